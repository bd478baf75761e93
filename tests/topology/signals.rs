//! Ctrl-C and SIGTERM, more than once.

use std::time::Duration;

use dropbed::telemetry::clock;
use rustix::process::Signal;

use crate::support::{Need, Run, Running, dropbed, has, leftovers};

/// 32 round trips of 200 ms: a delay so long that a busy machine still measures it
/// within its tolerance of 2 %.
const LONG: &str = "version: 1
name: long
seed: 7
peers: { alice: {}, bob: {} }
links:
  - { a: alice, b: bob, both: { rtt: 200ms } }
dataset:
  - { peer: alice, path: long.bin, size: 8MiB }
scenario:
  deadline: 60s
  steps:
    - transfer:
        name: request-response
        from: alice
        to: bob
        path: long.bin
        mode: request-response
        chunk: 256KiB
        depth: 1
";

/// A run in the middle of a long transfer, one daemon of which is stopped: ending it
/// takes the 5 s from SIGTERM to SIGKILL, so that signals meet the clean-up.
fn slow_to_end(runtime: &str) -> Running {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let topology = home.path().join("long.yaml");
    std::fs::write(&topology, LONG).expect("the directory is ours");
    let mut running = Run::new(&topology.display().to_string(), runtime).start();
    // It has read its topology by then.
    running.wait_for_line("request-response");
    rustix::process::kill_process(running.daemon(), Signal::STOP).expect("the daemon is alive");
    running
}

fn runtimes() -> impl Iterator<Item = &'static str> {
    let process = has(Need::Fuse).then_some("process");
    let docker = (has(Need::Fuse) && has(Need::Docker)).then_some("docker");
    process.into_iter().chain(docker)
}

/// The second signal changes nothing, and says so.
#[test]
fn twice() {
    for (runtime, first) in runtimes().zip([Signal::INT, Signal::TERM]) {
        let mut running = slow_to_end(runtime);
        running.signal(first);
        running.wait_for_line("removing what was started");
        running.signal(Signal::INT);
        running.wait_for_line("already removing");
        let ended = running.finish();
        assert_eq!(ended.result(130)["outcome"], "interrupted");
        ended.assert_nothing_left();
    }
}

/// The third leaves the rest to `gc`, at once.
#[test]
fn three_times() {
    for runtime in runtimes() {
        let mut running = slow_to_end(runtime);
        let run_id = running.run_id();
        running.signal(Signal::INT);
        running.wait_for_line("removing what was started");
        running.signal(Signal::INT);
        running.wait_for_line("already removing");
        let third_ns = clock::now_ns();
        running.signal(Signal::TERM);
        let ended = running.finish();
        let took = Duration::from_nanos(clock::now_ns() - third_ns);
        assert_eq!(ended.code, 130, "{}", ended.stderr);
        assert!(ended.stderr.contains("dropbed gc"), "{}", ended.stderr);
        assert!(took.as_secs() < 3, "{took:?}: it did not wait for the stopped daemon");
        let output = dropbed(["gc"]).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}");
        let left = leftovers(&run_id);
        assert!(left.is_empty(), "{runtime}: {left:#?}\n{said}");
    }
}
