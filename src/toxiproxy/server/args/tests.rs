use std::process::Stdio;

use clap::Parser;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: ToxiproxyArgs,
}

fn parse(line: &[&str]) -> ToxiproxyArgs {
    let words = line.iter().map(OsString::from);
    Line::parse_from(normalise_stock_flags(words)).args
}

#[test]
fn stock_flags_take_one_dash_or_two() {
    for line in [
        &["x", "-host=::1", "-port", "0", "-proxy-metrics", "-seed", "-5", "-config=a.json"][..],
        &["x", "--host", "::1", "--port=0", "--proxy-metrics", "--seed=-5", "--config", "a.json"],
    ] {
        let args = parse(line);
        assert_eq!((args.host.as_str(), args.port, args.seed), ("::1", 0, Some(-5)));
        assert!(args.proxy_metrics && !args.runtime_metrics && !args.version);
        assert_eq!(args.config, Some(PathBuf::from("a.json")));
    }
    let defaults = parse(&["x"]);
    assert_eq!((defaults.host.as_str(), defaults.port), ("localhost", 8474));
    assert!(parse(&["x", "-version"]).version);
}

#[test]
fn other_words_stay() {
    let line = ["-h", "-hosts", "-v", "-", "--", "-host", "port"].map(OsString::from);
    assert_eq!(normalise_stock_flags(line.clone()), line);
}

#[tokio::test]
async fn a_taken_port_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = run(parse(&["x", "-host=127.0.0.1", &format!("-port={port}")])).await.unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains(&format!("127.0.0.1:{port}")) && text.contains("in use"), "{text}");
}

#[tokio::test]
async fn a_wrong_configuration_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("proxies.json");
    let told = async |text: Option<&str>| {
        match text {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let mut args = parse(&["x", "-host=127.0.0.1", "-port=0"]);
        args.config = Some(path.clone());
        format!("{:#}", run(args).await.unwrap_err())
    };
    for text in ["{}", "", "[", r#"[{"name":5}]"#, r#"["a"]"#] {
        let error = told(Some(text)).await;
        assert!(error.contains(path.to_str().unwrap()), "{error}");
        assert!(error.contains(r#"wanted: [{"name": .., "listen""#), "{error}");
        assert!(error.contains("line 1 column"), "{error}");
    }
    let error = told(Some(r#"[{"name":"a","upstream":"b:1"},{"name":"c"}]"#)).await;
    assert!(error.contains("missing required field: upstream at proxy 2"), "{error}");
    let long = format!("[{}]", " ".repeat(4 * 1024 * 1024));
    assert!(told(Some(&long)).await.contains("more than 4194304 bytes"));
    let error = told(None).await;
    assert!(error.contains(path.to_str().unwrap()) && error.contains("No such file"), "{error}");
}

#[tokio::test]
async fn a_configuration_is_read_as_the_stock_server_reads_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("proxies.json");
    let text = r#"[{"Name":"a","Listen":"127.0.0.1:0","upstream":"b:1","Enabled":false,"x":1}]
        and more"#;
    std::fs::write(&path, text).unwrap();
    let expected = ProxySpec {
        name: "a".to_owned(),
        listen: "127.0.0.1:0".to_owned(),
        upstream: "b:1".to_owned(),
        enabled: Some(false),
    };
    assert_eq!(read_config(&path).await.unwrap(), [expected]);
}

/// Set in the child that [`a_process_tells_when_it_is_ready_and_ends_on_a_signal`]
/// starts from this very executable.
const CHILD: &str = "DROPBED_TEST_TOXIPROXY_CHILD";

#[tokio::test]
async fn as_a_process() {
    if std::env::var_os(CHILD).is_some() {
        run(parse(&["x", "-host", "127.0.0.1", "-port", "0"])).await.unwrap();
    }
}

#[tokio::test]
async fn a_process_tells_when_it_is_ready_and_ends_on_a_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "toxiproxy::server::args::tests::as_a_process", "--nocapture"])
            .env(CHILD, "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next_line().await.unwrap().expect("the ready line");
            if let Some(address) = line.strip_prefix(READY_PREFIX) {
                break address.to_owned();
            }
        };
        let client = super::super::super::client::Client::new(&format!("http://{address}"));
        assert!(client.unwrap().version().await.unwrap().is_bundled);
        let pid = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
        assert!(child.wait().await.unwrap().success(), "{signal:?}");
    }
}
