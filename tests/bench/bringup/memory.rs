//! Memory of the testbed beside 32 peers, and of a daemon that has nothing to do.

use std::io::{BufRead as _, BufReader};
use std::process::Child;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::command::{Bench, dropbed, text};
use crate::report::{Figure, Plan, Wanted};

const PEERS: usize = 32;

pub(crate) fn measure(plan: &Plan) -> anyhow::Result<Figure> {
    let (mut orchestrator_mib, mut daemons_mib) = (Vec::new(), Vec::new());
    for _round in 0..plan.rounds(6, 1) {
        let (orchestrator, daemons) = once()?;
        orchestrator_mib.push(orchestrator);
        daemons_mib.extend(daemons);
    }
    let mut figure = Figure::new(format!("memory, star of {PEERS} peers as processes"));
    let most = Some(Wanted::AtMost(150.0));
    figure.row("dropbed run with traces, most resident", "MiB", &orchestrator_mib, most);
    let most = Some(Wanted::AtMost(25.0));
    figure.row("a daemon that was provisioned, resident", "MiB", &daemons_mib, most);
    figure.note("VmHWM and VmRSS of /proc/PID/status, when the scenario is over");
    Ok(figure)
}

/// The orchestrator's peak and each idle daemon's memory, in MiB.
fn once() -> anyhow::Result<(f64, Vec<f64>)> {
    let bench = Bench::new()?;
    let (file, out) = (bench.star(PEERS)?, bench.path("runs"));
    let run = ["run", text(&file), "--runtime", "process", "--hold", "--out", text(&out)];
    let mut child = dropbed(&run).spawn().context("cannot start dropbed")?;
    let found = held(&mut child).and_then(|()| {
        let peak = status_mib(child.id(), "VmHWM:")?;
        let daemons = daemons(&out)?;
        let daemons: Vec<f64> =
            daemons.into_iter().map(|pid| status_mib(pid, "VmRSS:")).collect::<Result<_, _>>()?;
        ensure!(daemons.len() == PEERS, "{} daemons of {PEERS} are told", daemons.len());
        Ok((peak, daemons))
    });
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.context("a process id")?;
    rustix::process::kill_process(pid, rustix::process::Signal::INT).context("ending the run")?;
    child.wait().context("waiting for the run")?;
    found
}

/// Waits until the scenario is over. The rest of what it says is read elsewhere, so
/// that it never waits for us.
fn held(child: &mut Child) -> anyhow::Result<()> {
    let said = child.stderr.take().context("stderr is piped")?;
    let mut lines = BufReader::new(said).lines();
    let mut told = String::new();
    for line in lines.by_ref() {
        let line = line.context("reading what dropbed says")?;
        if line.contains("held:") {
            std::thread::spawn(move || lines.count());
            return Ok(());
        }
        told += &line;
        told.push('\n');
    }
    bail!("it ended instead of being held:\n{told}")
}

fn daemons(out: &std::path::Path) -> anyhow::Result<Vec<u32>> {
    let runs = std::fs::read_dir(out).context("looking for the run")?;
    let live = runs.flatten().find_map(|run| std::fs::read(run.path().join("live.json")).ok());
    let live: Value = serde_json::from_slice(&live.context("the run has no live.json")?)?;
    let parts = live["parts"].as_array().context("live.json tells parts")?;
    let peers = parts.iter().filter(|part| part["name"] != "proxy");
    peers
        .map(|part| part["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()))
        .map(|pid| pid.context("a part is no process"))
        .collect()
}

/// A line of a process's status, which is in KiB.
fn status_mib(pid: u32, field: &str) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kib.with_context(|| format!("{path} has no {field}"))? / 1024.0)
}
