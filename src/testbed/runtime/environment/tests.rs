use super::*;
use crate::testbed::plan::{Resources, Volumes};

fn peer(environment: &[(&str, &str)]) -> PeerPlan {
    PeerPlan {
        name: "alice".to_owned(),
        mount: false,
        privileged: false,
        rekey_bytes: Some(65536),
        environment: environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        resources: Resources::default(),
        volumes: Volumes::default(),
    }
}

fn context() -> RunContext {
    RunContext {
        run_id: "r1".to_owned(),
        directory: "/runs/r1".into(),
        log_filter: "info".to_owned(),
        outlives: false,
    }
}

fn place() -> Placement {
    Placement {
        listen: "127.0.0.2:0".to_owned(),
        control: "/x/control".to_owned(),
        token_file: None,
        state: "/x/state".to_owned(),
        share: "/x/share".to_owned(),
        mount: "/x/mnt".to_owned(),
        otlp_endpoint: Some("http://127.0.0.1:4317".to_owned()),
    }
}

#[test]
fn only_what_applies_is_set() {
    let environment =
        of_peer(&peer(&[("TOKIO_WORKER_THREADS", "2")]), &context(), place()).unwrap();
    assert_eq!(environment["DROPD_NAME"], "alice");
    assert_eq!(environment["DROPD_REKEY_BYTES"], "65536");
    assert_eq!(environment["TOKIO_WORKER_THREADS"], "2");
    assert!(!environment.contains_key("DROPD_MOUNT"));
    assert!(!environment.contains_key("DROPD_CONTROL_TOKEN_FILE"));

    let mounted = PeerPlan { mount: true, rekey_bytes: None, ..peer(&[]) };
    let environment = of_peer(&mounted, &context(), place()).unwrap();
    assert_eq!(environment["DROPD_MOUNT"], "/x/mnt");
    assert!(!environment.contains_key("DROPD_REKEY_BYTES"));
}

#[test]
fn a_topology_cannot_redirect_control() {
    let error = of_peer(&peer(&[("DROPD_CONTROL", "0.0.0.0:1")]), &context(), place()).unwrap_err();
    assert!(error.to_string().contains("DROPD_CONTROL"), "{error}");
}

#[test]
fn a_child_carries_its_owner() {
    let owner = Owner::current();
    let environment = of_child(&owner, &context());
    assert_eq!(environment[OWNER_VARIABLE].parse::<Owner>().unwrap(), owner);
    assert_eq!(environment[RUN_ID_VARIABLE], "r1");
    assert_eq!(environment[DIRECTORY_VARIABLE], "/runs/r1");
    assert_eq!(environment[DIE_WITH_PARENT_VARIABLE], "1");

    let outliving = of_child(&owner, &RunContext { outlives: true, ..context() });
    assert!(!outliving.contains_key(DIE_WITH_PARENT_VARIABLE));
}
