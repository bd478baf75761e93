//! `dropbed link` on a run that is held.

use std::path::Path;
use std::process::Output;

use dropbed::toxiproxy::api::ProxySpec;
use dropbed::toxiproxy::client::Client;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::attached::{Attached, LINK, OWNER, READER, leave_alone};
use crate::support::{Run, Running, dropbed};

const HELD: &str = "held:";

/// One file over one link, without a mount.
fn topology() -> String {
    format!(
        "version: 1\n\
         name: held\n\
         defaults: {{ peer: {{ mount: false }} }}\n\
         peers: {{ \"{OWNER}\": {{}}, \"{READER}\": {{}} }}\n\
         links:\n\
         \x20 - {{ a: \"{READER}\", b: \"{OWNER}\", both: {{ rtt: 20ms }}, dial: a }}\n\
         dataset:\n\
         \x20 - {{ peer: \"{OWNER}\", path: f.bin, size: 64KiB }}\n\
         scenario:\n\
         \x20 steps:\n\
         \x20   - transfer: {{ name: push, from: \"{OWNER}\", to: \"{READER}\", path: f.bin, mode: push }}\n"
    )
}

/// A run of processes that is to be held, and has said this much.
fn run_to(line: &str) -> Running {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let file = directory.path().join("held.yaml");
    std::fs::write(&file, topology()).expect("the directory is ours");
    let mut running = Run::new(&file.display().to_string(), "process").flag("--hold").start();
    running.wait_for_line(line);
    running
}

/// One that has shown what it found, and goes on.
fn held() -> Running {
    let mut running = run_to("pass: held");
    running.wait_for_line(HELD);
    running
}

/// `dropbed link` on the runs below `out`.
fn link(out: &Path, arguments: &[&str]) -> Output {
    let mut command = dropbed(["link", "--out"]);
    command.arg(out).args(arguments).output().expect("the executable was just built")
}

/// Its JSON, with this exit code.
fn told(out: &Path, arguments: &[&str], code: i32) -> Value {
    let output = link(out, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// What it says on stderr, with this exit code.
fn refused(out: &Path, arguments: &[&str], code: i32) -> String {
    let output = link(out, arguments);
    let said = String::from_utf8(output.stderr).expect("stderr is UTF-8");
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    said
}

fn done(out: &Path, arguments: &[&str]) {
    let said = refused(out, arguments, 0);
    assert_eq!(said, "", "nothing is measured any more, so nothing is spoiled");
}

#[test]
fn a_link_of_a_held_run_is_shown_changed_and_measured() {
    let running = held();
    let out = running.out().to_owned();

    let links = told(&out, &["ls", "--json"], 0);
    let [first] = links.as_array().expect("a list").as_slice() else { panic!("{links}") };
    assert_eq!((&first["name"], &first["enabled"]), (&json!(LINK), &json!(true)));
    assert_eq!(first["asked"]["up"]["latency_us"], 10_000);
    assert_eq!(first["counters"]["connections_open"], 1, "{first}");
    assert!(first["counters"]["downstream"]["sent_bytes"].as_u64() >= Some(64 << 10), "{first}");
    let one = told(&out, &["show", LINK, "--json"], 0);
    assert_eq!(one["connections"].as_array().map(Vec::len), Some(1), "{one}");

    // As the run left it, changed, and as the change says.
    assert_eq!(told(&out, &["probe", LINK, "--json"], 0)["rtt_is_right"], true);
    done(&out, &["set", LINK, "--rtt", "60ms", "--rate", "8Mbit/s", "--direction", "both"]);
    let wrong = told(&out, &["probe", LINK, "--json"], 1);
    assert_eq!(wrong["rtt_asked_us"], 20_000);
    assert!(wrong["rtt_measured_us"].as_u64() >= Some(55_000), "{wrong}");
    let right = told(&out, &["probe", LINK, "--as-set", "--json"], 0);
    assert_eq!(right["rtt_asked_us"], 60_000);
    assert_eq!(right["rates_are_right"], json!([true, true]), "{right}");

    // Other toxics, and the link itself.
    done(&out, &["set", LINK, "--add", "cut_after", "-a", "bytes=1000000", "--name", "cut"]);
    let toxics = |out: &Path| told(out, &["show", LINK, "--json"], 0)["toxics"].to_string();
    assert!(toxics(&out).contains("1000000"), "{}", toxics(&out));
    done(&out, &["set", LINK, "--remove", "cut"]);
    assert!(!toxics(&out).contains("1000000"), "{}", toxics(&out));
    done(&out, &["set", LINK, "--disable"]);
    let closed = told(&out, &["show", LINK, "--json"], 0);
    assert_eq!(
        (&closed["enabled"], &closed["counters"]["connections_open"]),
        (&json!(false), &json!(0))
    );
    done(&out, &["set", LINK, "--enable"]);

    // Back to what was asked.
    done(&out, &["set", LINK, "--rtt", "20ms", "--rate", "unlimited"]);
    assert_eq!(told(&out, &["probe", LINK, "--json"], 0)["rates"], json!([]));

    let unknown = refused(&out, &["show", "3:1"], 2);
    assert!(unknown.contains(&format!("did you mean `{LINK}`?")), "{unknown}");

    running.signal(Signal::INT);
    let ended = running.finish();
    assert_eq!(ended.result(0)["outcome"], "pass", "Ctrl-C ends holding, not the scenario");
    ended.assert_nothing_left();
    assert!(!ended.directory.join("live.json").exists());
    let events = std::fs::read_to_string(ended.directory.join("events.ndjson")).expect("events");
    assert_eq!(events.matches("\"event\":\"link_set\"").count(), 6, "{events}");
    let over = refused(&out, &["ls"], 3);
    assert!(over.contains("--hold"), "{over}");
}

/// Any server will do for what needs no daemons.
#[test]
fn a_proxy_server_without_a_run() {
    let running = held();
    let path = running.directory().join("live.json");
    let live = std::fs::read(&path).expect("a held run is live");
    let live: Value = serde_json::from_slice(&live).expect("live.json is JSON");
    let api = live["proxy_api"].as_str().expect("an address");
    let nowhere = Path::new("/nonexistent");
    done(nowhere, &["set", LINK, "--latency", "7ms", "--direction", "down", "--proxy", api]);
    let links = told(nowhere, &["ls", "--json", "--proxy", api], 0);
    assert_eq!(links[0]["shape"]["down"]["latency_us"], 7_000, "{links}");
    assert_eq!(links[0]["asked"], Value::Null);
    let probe = refused(nowhere, &["probe", LINK, "--proxy", api], 2);
    assert!(probe.contains("daemons of a run"), "{probe}");
    running.signal(Signal::TERM);
    let ended = running.finish();
    assert_eq!(ended.result(0)["outcome"], "pass");
    ended.assert_nothing_left();
    let gone = refused(nowhere, &["ls", "--proxy", api], 4);
    assert!(gone.contains("is the proxy server running there?"), "{gone}");
}

/// A peer that dies while the run is held ends it, as during the scenario.
#[test]
fn a_peers_death_ends_holding() {
    let running = held();
    let victim = running.daemon();
    rustix::process::kill_process(victim, Signal::KILL).expect("the daemon is alive");
    let ended = running.finish();
    let result = ended.result(4);
    assert!(result["reasons"].to_string().contains("SIGKILL"), "{result}");
    assert_eq!(result["turns"].as_array().map(Vec::len), Some(1), "what was measured stands");
    ended.assert_nothing_left();
    assert!(!ended.directory.join("live.json").exists());
}

/// Parts that somebody else started are held in the same way.
#[test]
fn an_attached_run_is_held() {
    let attached = Attached::start(leave_alone, false);
    let mut running = attached.run(&topology()).flag("--hold").start();
    running.wait_for_line(HELD);
    let out = running.out().to_owned();
    assert_eq!(told(&out, &["probe", LINK, "--json"], 0)["rtt_is_right"], true);
    running.signal(Signal::INT);
    let ended = running.finish();
    assert_eq!(ended.result(0)["outcome"], "pass");
    assert!(!ended.directory.join("live.json").exists());
    // The proxy is there for the next run, which makes the same links.
    let left = told(&out, &["ls", "--json", "--proxy", &attached.api()], 0);
    assert_eq!(left, json!([]));
}

/// What is there under a link's name is somebody else's: it stays, and the run says
/// what to do.
#[test]
fn a_link_that_another_run_has() {
    let attached = Attached::start(leave_alone, false);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    let client = Client::new(&attached.api()).expect("it is a URL");
    let spec = ProxySpec {
        name: LINK.to_owned(),
        listen: "127.0.0.1:0".to_owned(),
        upstream: "127.0.0.1:9".to_owned(),
        enabled: None,
    };
    let others = runtime.block_on(client.create(&spec)).expect("the proxy answers");
    let ended = attached.run(&topology()).start().finish();
    let result = ended.result(4);
    let reason = result["reasons"][0].as_str().expect("it says why");
    assert!(reason.contains("another run") && reason.contains("DELETE http://"), "{reason}");
    let there = runtime.block_on(client.proxies()).expect("the proxy answers");
    assert_eq!(there.into_values().collect::<Vec<_>>(), [others]);
}

/// An interrupt before the scenario's end is one, whatever would have come after it.
#[test]
fn an_interrupt_before_holding() {
    let running = run_to("starting");
    running.signal(Signal::INT);
    let ended = running.finish();
    assert_eq!(ended.result(130)["outcome"], "interrupted");
    ended.assert_nothing_left();
}
