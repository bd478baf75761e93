use std::os::unix::fs::PermissionsExt as _;

use clap::Parser as _;

use super::*;

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    options: AttachOptions,
}

fn options(arguments: &[&str]) -> AttachOptions {
    Line::try_parse_from([&["x"], arguments].concat()).unwrap().options
}

#[test]
fn the_defaults_are_the_names_that_compose_gives() {
    let options = options(&[]);
    assert_eq!(options.proxy_api, "http://proxy:8474");
    let peer = endpoint(&options, "alice", "t");
    assert_eq!(peer.upstream, "alice:4600");
    let control = ControlAddress::Tcp { address: "alice:4601".to_owned(), token: "t".to_owned() };
    assert_eq!(peer.control, control);
    assert!(!options.stop_peers);
}

#[test]
fn addresses_follow_the_options() {
    let options =
        options(&["--attach-control", "{peer}.lab:99", "--attach-upstream", "10.0.0.1:1"]);
    let peer = endpoint(&options, "bob", "t");
    assert_eq!(peer.upstream, "10.0.0.1:1");
    assert!(matches!(peer.control, ControlAddress::Tcp { address, .. } if address == "bob.lab:99"));
}

#[test]
fn a_token_is_made_once_and_then_kept() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    let token = token::read_or_create(&file).unwrap();
    assert_eq!(token.len(), 64);
    assert_eq!(token::read_or_create(&file).unwrap(), token);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn racing_testbeds_agree_on_one_token() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    let tokens: Vec<_> = std::thread::scope(|scope| {
        let racers: Vec<_> =
            (0..8).map(|_| scope.spawn(|| token::read_or_create(&file).unwrap())).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    assert!(tokens.iter().all(|token| *token == tokens[0]));
}

#[test]
fn a_file_that_holds_something_else_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    for content in ["", "short", &"a b".repeat(30)] {
        std::fs::write(&file, content).unwrap();
        let error = token::read_or_create(&file).unwrap_err().to_string();
        assert!(error.contains("no control token"), "{error}");
    }
    let error = token::read_or_create(Path::new("/nonexistent/token")).unwrap_err().to_string();
    assert!(error.contains("--attach-token-file"), "{error}");
}

#[tokio::test]
async fn a_proxy_that_does_not_answer_is_an_environment_error() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    let plan = Plan { name: "t".to_owned(), deadline_ms: 1000, ..Plan::default() };
    let arguments = [
        "--attach-proxy-api",
        "http://127.0.0.1:1",
        "--attach-deadline-s",
        "1",
        "--attach-token-file",
        file.to_str().unwrap(),
    ];
    let mut runtime = AttachRuntime::new(options(&arguments));
    let prepared = runtime.prepare(&plan, &RunContext::of_probe("r")).await.unwrap();
    assert_eq!(prepared.otlp_host, "0.0.0.0");
    let error = runtime.up(&plan, &Spans::Off).await.unwrap_err();
    assert!(
        matches!(&error, RuntimeError::Environment { what, .. } if what.contains("127.0.0.1:1"))
    );
    runtime.down().await.unwrap();
}
