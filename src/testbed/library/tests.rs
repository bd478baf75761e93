use futures::FutureExt as _;
use futures::future::{BoxFuture, pending, ready};

use super::*;
use crate::testbed::plan::{PeerPlan, Plan};
use crate::testbed::runtime::part::PartPlace;
use crate::testbed::runtime::{
    Claim, Death, PeerEndpoint, Prepared, RunContext, Spans, Standing, World,
};

/// An engine that takes for ever, over its logs or over everything.
#[derive(Debug, Default)]
struct Stuck {
    over_removal: bool,
    removed: bool,
}

impl Runtime for Stuck {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Docker
    }

    fn prepare<'a>(
        &'a mut self,
        _: &'a Plan,
        _: &'a RunContext,
    ) -> BoxFuture<'a, Result<Prepared, RuntimeError>> {
        pending().boxed()
    }

    fn resume<'a>(
        &'a mut self,
        _: Option<&'a Plan>,
        _: &'a Standing,
        _: &'a RunContext,
        _: Claim,
    ) -> BoxFuture<'a, Result<(), RuntimeError>> {
        pending().boxed()
    }

    fn up<'a>(
        &'a mut self,
        _: &'a Plan,
        _: &'a Spans,
    ) -> BoxFuture<'a, Result<World, RuntimeError>> {
        pending().boxed()
    }

    fn start<'a>(
        &'a mut self,
        _: &'a [PeerPlan],
        _: &'a Spans,
    ) -> BoxFuture<'a, Result<Vec<PeerEndpoint>, RuntimeError>> {
        pending().boxed()
    }

    fn remove<'a>(&'a mut self, _: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        pending().boxed()
    }

    fn parts(&self) -> Vec<PartPlace> {
        Vec::new()
    }

    fn release(&mut self) {}

    fn watch(&mut self) -> BoxFuture<'_, Death> {
        pending().boxed()
    }

    fn save_logs<'a>(&'a mut self, _: &'a Path) -> BoxFuture<'a, Result<(), RuntimeError>> {
        pending().boxed()
    }

    fn down(&mut self) -> BoxFuture<'_, Result<(), RuntimeError>> {
        if self.over_removal {
            return pending().boxed();
        }
        self.removed = true;
        ready(Ok(())).boxed()
    }
}

fn directory(parent: &Path) -> RunDirectory {
    RunDirectory::create(parent, "x", Path::new("x.yaml")).unwrap().0
}

#[tokio::test(start_paused = true)]
async fn logs_that_never_come_keep_nothing_up() {
    let parent = tempfile::tempdir().unwrap();
    let mut stuck = Stuck::default();
    let left = take_down(&mut stuck, &directory(parent.path())).await.unwrap_err().to_string();
    assert!(stuck.removed);
    assert!(left.contains("logs were not kept"), "{left}");
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_never_ends_says_what_to_do() {
    let parent = tempfile::tempdir().unwrap();
    let mut stuck = Stuck { over_removal: true, ..Stuck::default() };
    let left = take_down(&mut stuck, &directory(parent.path())).await.unwrap_err();
    let both = TestbedError::Harness("bob is ill".to_owned()).and(&left).to_string();
    for part in ["bob is ill", "longer than 60s", "dropbed gc"] {
        assert!(both.contains(part), "{part}: {both}");
    }
}
