//! After success, failure, Ctrl-C, and SIGKILL followed by `gc`: nothing is left.
//!
//! Success is checked by every run in `runs.rs`.

use rustix::process::Signal;

use crate::support::{Need, Run, Running, dropbed, has, leftovers, shipped};

fn runtimes() -> Vec<&'static str> {
    let mut runtimes = Vec::new();
    if has(Need::Fuse) {
        runtimes.push("process");
        if has(Need::Docker) {
            runtimes.push("docker");
        }
    }
    runtimes
}

/// A run that is in the middle of a long transfer: the link's delay makes the
/// request-response of the sweep last long enough to be met.
fn in_the_middle(runtime: &str) -> Running {
    let mut running = Run::new(&shipped("two-peer.yaml"), runtime).set("rtt=400ms").start();
    running.wait_for_line("request-response");
    running
}

#[test]
fn a_failed_assertion() {
    for runtime in runtimes() {
        let ended = Run::new(&shipped("two-peer.yaml"), runtime)
            .set("scenario.steps.0.transfer.expect.rekeys=1000")
            .finish();
        let result = ended.result(1);
        assert_eq!(result["outcome"], "fail");
        let reasons = result["reasons"].to_string();
        assert!(reasons.contains("at least 1000 rekeys"), "{reasons}");
        ended.assert_nothing_left();
    }
}

#[test]
fn an_interrupt() {
    for runtime in runtimes() {
        let running = in_the_middle(runtime);
        running.signal(Signal::INT);
        let ended = running.finish();
        assert_eq!(ended.result(130)["outcome"], "interrupted");
        ended.assert_nothing_left();
    }
}

/// Ctrl-C while peers are being started.
#[test]
fn an_early_interrupt() {
    for runtime in runtimes() {
        let mut running = Run::new(&shipped("two-peer.yaml"), runtime).start();
        running.wait_for_line("starting");
        running.signal(Signal::INT);
        let ended = running.finish();
        assert_eq!(ended.result(130)["outcome"], "interrupted");
        ended.assert_nothing_left();
    }
}

#[test]
fn a_kill_and_then_gc() {
    for runtime in runtimes() {
        let running = in_the_middle(runtime);
        let run_id = running.run_id();
        running.signal(Signal::KILL);
        assert_eq!(running.finish().code, -1, "ended by a signal");
        let output = dropbed(["gc"]).output().expect("it runs");
        let said =
            String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
        let left = leftovers(&run_id);
        assert!(left.is_empty(), "{runtime}: {left:#?}\n{said}");
    }
}

/// `gc` leaves a living run alone.
#[test]
fn gc_spares_the_living() {
    if !has(Need::Fuse) {
        return;
    }
    let running = in_the_middle("process");
    let output = dropbed(["gc"]).output().expect("it runs");
    assert!(output.status.success());
    running.signal(Signal::INT);
    let ended = running.finish();
    assert_eq!(ended.result(130)["outcome"], "interrupted", "the run was still there");
    ended.assert_nothing_left();
}

/// A peer that dies ends the run at once, with its name and how it ended.
#[test]
fn a_dead_peer() {
    for runtime in runtimes() {
        let running = in_the_middle(runtime);
        let victim = running.daemon();
        rustix::process::kill_process(victim, Signal::KILL).expect("the daemon is alive");
        let ended = running.finish();
        let result = ended.result(4);
        let reasons = result["reasons"].to_string();
        assert!(reasons.contains("alice") || reasons.contains("bob"), "{reasons}");
        assert!(reasons.contains("SIGKILL") || reasons.contains("137"), "{reasons}");
        assert!(reasons.contains("ready"), "its last log lines are shown: {reasons}");
        ended.assert_nothing_left();
    }
}
