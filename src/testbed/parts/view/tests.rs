use bollard::Docker;
use tokio::sync::OnceCell;

use super::overview::{Overview, Standing};
use super::*;
use crate::testbed::live::Live;
use crate::testbed::live::find::Found;
use crate::testbed::live::tests::live;
use crate::testbed::parts::RunState;
use crate::testbed::result::Outcome;
use crate::testbed::runtime::part::PartPlace;

fn overview_of(name: &str, phase: Standing) -> Overview {
    Overview {
        name: name.to_owned(),
        run_id: format!("20260101-000000-{name}-00000000"),
        runtime: "process".to_owned(),
        phase,
        peers_running: Some(1),
        peers: 2,
        links: 2,
        age_ms: Some(3_723_456),
        outcome: None,
        directory: PathBuf::from("/runs").join(name),
    }
}

#[test]
fn topologies_as_a_table() {
    let over = Overview {
        outcome: Some(Outcome::TimedOut),
        age_ms: None,
        ..overview_of("ended", Standing::Over)
    };
    let stalled = Overview { peers_running: None, ..overview_of("stalled", Standing::Up) };
    assert!(serde_json::to_value(&stalled).unwrap()["peers_running"].is_null());
    let views = [
        overview_of("mine", Standing::Up),
        overview_of("busy", Standing::Measuring),
        overview_of("lost", Standing::Dead),
        stalled,
        over,
    ];
    insta::assert_snapshot!(table::overview(&views));
    assert!(!table::overview(&views[..2]).contains("gc"));
}

/// They may well be running.
#[tokio::test]
async fn peers_of_an_engine_that_fails_are_not_counted_as_ended() {
    let place = Place::Container { id: "c".into(), container: "r-a".into() };
    let live = Live { parts: vec![PartPlace { name: "a".into(), place }], ..live() };
    // Nothing listens there.
    let host = "http://127.0.0.1:1";
    let engine = Docker::connect_with_http(host, 120, bollard::API_DEFAULT_VERSION).unwrap();
    let found = Found { directory: PathBuf::new(), live };
    let parts = Parts { found, docker: OnceCell::new_with(Some(engine)) };
    assert_eq!(overview::running(&parts).await, None);
}

#[test]
fn parts_and_links_as_tables() {
    let peer = PartView {
        name: "bob".to_owned(),
        kind: "container",
        state: PartState {
            running: RunState::Running,
            how: None,
            pid: Some(7),
            memory_bytes: Some(24 << 20),
            cpu_ms: Some(1_250),
        },
        container: Some("r-bob".to_owned()),
        home: None,
        control: Some("127.0.0.1:32768".to_owned()),
        answers: Some(true),
        upstream: Some("bob:4600".to_owned()),
        mount: Some("/mnt/dropd".to_owned()),
        mounted: Some(true),
    };
    let silent = PartView {
        name: "carol".to_owned(),
        state: PartState { running: RunState::Paused, ..peer.state.clone() },
        answers: Some(false),
        mounted: Some(false),
        ..peer.clone()
    };
    let ended = PartView {
        name: "dave".to_owned(),
        state: PartState {
            how: Some("exit code 137 (signal 9)".to_owned()),
            ..PartState::only(RunState::Ended)
        },
        answers: Some(false),
        mount: None,
        mounted: None,
        ..peer.clone()
    };
    let parts = Parts::of(Found { directory: PathBuf::new(), live: live() });
    let links = links(&parts, &[], None).unwrap();
    insta::assert_snapshot!(table::inspected(&[peer, silent, ended], &links));
}

#[test]
fn a_link_is_found_by_either_spelling() {
    let parts = Parts::of(Found { directory: PathBuf::new(), live: live() });
    let names = |peers: &[&str], link: Option<&str>| {
        let peers: Vec<String> = peers.iter().map(|name| (*name).to_owned()).collect();
        links(&parts, &peers, link)
            .map(|links| links.into_iter().map(|link| link.name).collect::<Vec<_>>())
    };
    assert_eq!(names(&[], Some("a->b")).unwrap(), ["a:b"]);
    assert_eq!(names(&[], Some("b:a")).unwrap(), ["b:a"]);
    assert_eq!(names(&["a"], None).unwrap(), ["a:b", "b:a"]);
    assert!(names(&["c"], None).unwrap().is_empty());
    let unknown = names(&[], Some("a->c")).unwrap_err().to_string();
    assert!(unknown.contains("did you mean"), "{unknown}");
}

/// The token opens every daemon of a run, and stands in no view.
#[test]
fn an_address_is_shown_without_its_token() {
    assert_eq!(shown(&live().peers[0].control), "a:4601");
}
