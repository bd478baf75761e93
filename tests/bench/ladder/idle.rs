//! What sessions cost that do nothing: memory at both ends, and their keep-alive.

use std::time::Duration;

use anyhow::Context as _;

use super::aead::Cipher;
use super::arm::{Arm, Way};
use super::child::Child;
use super::report::{Figure, Plan};
use super::role::{Fetched, Listening};
use super::wire::{start_sender, used};

const COUNT: u32 = 1_000;
const COUNT_QUICK: u32 = 100;
/// Each has sent a keep-alive by then.
const SECONDS: u64 = 12;
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) fn measure(plan: &Plan) -> anyhow::Result<Figure> {
    let count = if plan.quick { COUNT_QUICK } else { COUNT };
    raise_descriptors(u64::from(count) + 64)?;
    let arm = Arm::sealed(Way::Push, Cipher::Chacha);
    let (mut sender, Listening { address, id }) = start_sender(arm, None)?;
    let id = id.context("a session has an id")?;
    let (all, seconds) = (count.to_string(), SECONDS.to_string());
    let words = ["idle", "--to", &address, "--id", &id, "--count", &all, "--seconds", &seconds];
    let mut dialler = Child::role(&words)?;
    dialler.hear::<()>(DEADLINE)?;
    let before = [resident_kib(&dialler)?, resident_kib(&sender)?];
    dialler.go()?;
    dialler.hear::<()>(DEADLINE)?;
    let accepting_s = used(&mut sender)?;
    dialler.go()?;
    let Fetched { wall_s, cpu_s } = dialler.hear(DEADLINE)?;
    let accepting_s = used(&mut sender)? - accepting_s;
    let after = [resident_kib(&dialler)?, resident_kib(&sender)?];
    dialler.go()?;

    let mut figure = Figure::new("sessions that do nothing");
    let each_kib = |end: usize| [(after[end] - before[end]) / f64::from(count)];
    let share = |cpu_s: f64| [cpu_s / wall_s * 100.0];
    figure.row("memory each, dialling end", "KiB", &each_kib(0), None);
    figure.row("memory each, accepting end", "KiB", &each_kib(1), None);
    figure.row("all of them, dialling end", "% of a core", &share(cpu_s), None);
    figure.row("all of them, accepting end", "% of a core", &share(accepting_s), None);
    figure.note(format!("{count} sessions with HTTP/2, each used once, then idle for {SECONDS} s"));
    Ok(figure)
}

/// As many as the ends need; they inherit it.
fn raise_descriptors(wanted: u64) -> anyhow::Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        setrlimit(Resource::Nofile, limit)
            .with_context(|| format!("cannot have {wanted} descriptors; see ulimit -n"))?;
    }
    Ok(())
}

/// Of a process.
fn resident_kib(child: &Child) -> anyhow::Result<f64> {
    let path = format!("/proc/{}/status", child.pid());
    let status = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.context("a process has a resident size")?.trim().parse()?)
}
