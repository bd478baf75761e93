use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::testbed::plan::OneWay;
use crate::testbed::runtime::ControlAddress;
use crate::testbed::runtime::part::Place;

/// A run of this process with the links of two peers that both dial.
pub(in crate::testbed) fn live() -> Live {
    let way = OneWay { latency_us: 25_000, ..OneWay::default() };
    let place = |dialler: &str, listener: &str, port| LinkPlace {
        plan: LinkPlan {
            name: format!("{dialler}:{listener}").into(),
            dialler: dialler.into(),
            listener: listener.into(),
            port: Some(port),
            shape: Shape { up: way, down: way },
        },
        listen: format!("127.0.0.1:{port}"),
        dial: format!("127.0.0.1:{port}"),
        host: Some(format!("127.0.0.1:{port}")),
        upstream: "127.0.0.2:4600".to_owned(),
        correction_us: 1_000,
    };
    let control = ControlAddress::Tcp { address: "a:4601".into(), token: "secret".into() };
    Live {
        schema: SCHEMA,
        name: "x".to_owned(),
        file: "/topologies/x.yaml".into(),
        run_id: "20260101-000000-x-00000000".to_owned(),
        owner: Owner::current().to_string(),
        runtime: "process".to_owned(),
        started_unix_ns: 0,
        phase: Phase::Measuring,
        proxy_api: "http://127.0.0.1:8474".to_owned(),
        link_hosts: LinkHosts { bind: "b".into(), dial: "d".into(), fixed_ports: false },
        links: vec![place("a", "b", 21_000), place("b", "a", 21_001)],
        peers: vec![PeerEndpoint { name: "a".into(), control, upstream: "127.0.0.2:4600".into() }],
        parts: vec![PartPlace { name: "a".into(), place: Place::Elsewhere }],
        peers_source: String::new(),
    }
}

#[test]
fn what_is_kept_stands_without_its_maker_until_the_machine_restarts() {
    let directory = tempfile::tempdir().unwrap();
    LiveFile::create(directory.path(), live()).unwrap().keep().unwrap();
    let kept = Live::read(directory.path()).unwrap();
    assert_eq!(kept.phase, Phase::Up);
    let gone = Owner { start_ticks: 1, ..Owner::current() };
    let kept = Live { owner: gone.to_string(), ..kept };
    assert_eq!(kept.liveness(), Liveness::Alive);
    let earlier = Owner { boot_id: "another".to_owned(), ..gone };
    assert_eq!(Live { owner: earlier.to_string(), ..kept.clone() }.liveness(), Liveness::Gone);

    let mut file = LiveFile::adopt(directory.path(), kept.clone());
    file.end().unwrap();
    let ending = Live::read(directory.path()).unwrap();
    assert_eq!((ending.phase, ending.liveness()), (Phase::Ending, Liveness::Alive));
    let dead = Owner { start_ticks: 1, ..Owner::current() }.to_string();
    let dead = Live { owner: dead, ..ending };
    assert_eq!((dead.liveness(), dead.is_to_remove()), (Liveness::Gone, true));
    drop(file);

    LiveFile::adopt(directory.path(), kept.clone());
    assert!(directory.path().join(FILE).exists());
    LiveFile::adopt(directory.path(), kept).remove();
    assert!(!directory.path().join(FILE).exists());
}

#[test]
fn the_file_is_for_its_owner_alone_and_goes_with_the_run() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = LiveFile::create(directory.path(), live()).unwrap();
    let mode = || {
        let path = directory.path().join(FILE);
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode(), 0o600);
    assert_eq!(Live::read(directory.path()).unwrap(), live());
    file.update(|live| live.phase = Phase::Held).unwrap();
    assert_eq!(mode(), 0o600, "also after a change");
    let read = Live::read(directory.path()).unwrap();
    assert_eq!(read, Live { phase: Phase::Held, ..live() });
    drop(file);
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn another_schema_is_not_guessed_at() {
    let directory = tempfile::tempdir().unwrap();
    let newer = Live { schema: SCHEMA + 1, ..live() };
    let _file = LiveFile::create(directory.path(), newer).unwrap();
    let error = Live::read(directory.path()).unwrap_err();
    let other = OtherSchema::of(&error).unwrap();
    assert!(other.is_called("x") && !other.is_called("y"));
    let text = error.to_string();
    let path = directory.path().join(FILE);
    for part in [
        path.to_str().unwrap(),
        &format!("schema {}", SCHEMA + 1),
        &format!("knows {SCHEMA}"),
        "dropbed gc",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Also one that has nothing else in common.
    std::fs::write(path, r#"{"schema": 1, "name": 7}"#).unwrap();
    assert!(Live::read(directory.path()).is_err());
    std::fs::write(directory.path().join(FILE), r#"{"schema": 1}"#).unwrap();
    assert!(OtherSchema::of(&Live::read(directory.path()).unwrap_err()).is_some());
}

#[test]
fn the_file_follows_what_the_links_are_asked_to_be() {
    let mut followed = live();
    let links: Vec<scenario::LiveLink> = live()
        .links
        .iter()
        .map(|place| scenario::LiveLink {
            plan: place.plan.clone(),
            dialler: 0,
            listener: 1,
            listen: place.listen.clone(),
            dial: place.dial.clone(),
            upstream: place.upstream.clone(),
            rtt_measured_us: 0,
            correction_us: -7,
        })
        .collect();
    followed.follow(&links, &[Shape::default(), live().links[1].plan.shape]);
    assert_eq!(followed.links[0].plan.shape, Shape::default());
    assert_eq!(followed.links[1].plan, live().links[1].plan);
    assert!(followed.links.iter().all(|link| link.correction_us == -7));
}
