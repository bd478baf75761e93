use std::pin::pin;
use std::task::{Context, Waker};

use super::*;
use crate::testbed::live::LiveFile;
use crate::testbed::live::tests::live;

/// Other files of the directory, and other facts, are no end.
#[tokio::test]
async fn a_topology_is_over_when_its_file_goes() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = LiveFile::create(directory.path(), live()).unwrap();
    let mut over = pin!(over(directory.path()));
    let pending = |over: std::pin::Pin<&mut _>| {
        let over: std::pin::Pin<&mut dyn Future<Output = io::Result<()>>> = over;
        over.poll(&mut Context::from_waker(Waker::noop())).is_pending()
    };
    assert!(pending(over.as_mut()));
    std::fs::write(directory.path().join("other"), "").unwrap();
    file.update(|live| live.phase = Phase::Held).unwrap();
    tokio::select! {
        biased;
        ended = &mut over => panic!("{ended:?}"),
        () = tokio::task::yield_now() => {}
    }
    drop(file);
    over.await.unwrap();
}

#[tokio::test]
async fn what_is_not_there_is_over() {
    let directory = tempfile::tempdir().unwrap();
    over(directory.path()).await.unwrap();
    over(&directory.path().join("missing")).await.unwrap();
}

#[tokio::test]
async fn a_file_that_grows_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    std::fs::write(&path, "a").unwrap();
    let watch = Watch::file(&path).unwrap();
    std::fs::write(&path, "ab").unwrap();
    watch.changed().await.unwrap();
}
