//! Arms between two processes, interleaved, and what is made of them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;

use super::arm::{Arm, Way};
use super::child::Child;
use super::clock::{NS_PER_S, now_ns};
use super::far::{Far, Link};
use super::grpc::FILE;
use super::report::{Figure, Plan, Wanted};
use super::role::{Fetched, Listening, Used};
use super::sample::{random, shuffle};

/// As many as make an interval of the median that is not the whole range.
const ROUNDS: u32 = 7;
const ROUNDS_QUICK: u32 = 1;
/// Fewer say nothing. Where a group would take longer than it may, no further round is
/// begun, so that all of them together take about 5 minutes on any machine.
const ROUNDS_LEAST: u32 = 3;
/// What an arm takes in a round besides its transfer: two processes and the warming up.
const STARTING_SECONDS: f64 = 0.3;
/// The same with its transfer, over a link that is slow anywhere.
const FAR_SECONDS: f64 = 3.3;
/// Of a first transfer, which does not count. It tells how many bytes an arm's others
/// have, so that each takes as long on any machine.
const BYTES_FIRST: u64 = 128 << 20;
/// What is served from a file: as much as it has.
const BYTES_FILE: u64 = 768 << 20;
/// Less would be over before both processors are at work.
const BYTES_MIN: u64 = 128 << 20;
/// A transfer has whole records of whatever carries it.
const BYTES_STEP: u64 = 512 << 10;
/// What a second of the fastest arm moves.
const BYTES_MAX: u64 = 6 << 30;
/// Of a transfer, unless a group asks for more.
pub(crate) const SECONDS: f64 = 0.3;
/// Buffers are grown and pages are there.
const WARM_BYTES: u64 = 64 << 20;
/// Of a transfer over the narrow link, twelve windows of it.
const BYTES_NARROW: u64 = 48 << 20;
/// A few windows there.
const WARM_BYTES_NARROW: u64 = 16 << 20;
/// Over the wide link: 2 s.
const BYTES_WIDE: u64 = 256 << 20;
/// Slower than 25 MB/s is a fault.
const DEADLINE: Duration = Duration::from_secs(40);

const BYTES_PER_MB: f64 = 1e6;
const BYTES_PER_GB: f64 = 1e9;

/// One quantity that is wanted: an arm's rate over another's, in the same round.
pub(crate) struct Ratio {
    pub(crate) what: String,
    pub(crate) of: Arm,
    pub(crate) to: Arm,
    pub(crate) wanted: Option<f64>,
}

/// What one transfer was.
#[derive(Clone, Copy, Debug)]
struct Sample {
    mb_per_s: f64,
    sender_s_per_gb: f64,
    receiver_s_per_gb: f64,
}

/// Measures the arms of these ratios, and any others, in transfers of so many seconds.
pub(crate) fn measure(
    name: &str,
    plan: &Plan,
    seconds: f64,
    ratios: &[Ratio],
    others: &[Arm],
) -> anyhow::Result<Figure> {
    let mut arms: Vec<Arm> = Vec::new();
    for arm in ratios.iter().flat_map(|ratio| [ratio.to, ratio.of]).chain(others.iter().copied()) {
        if !arms.contains(&arm) {
            arms.push(arm);
        }
    }
    let share = share(&arms, plan.size(BYTES_FILE, BYTES_FIRST))?;
    let share = share.as_ref().map(TempDir::path);
    let sizes: HashMap<Arm, u64> = arms
        .iter()
        .map(|&arm| Ok((arm, bytes_of(arm, seconds, plan, share)?)))
        .collect::<anyhow::Result<_>>()?;
    let mut samples: HashMap<Arm, Vec<Sample>> = HashMap::new();
    let (began, may_take) = (now_ns(), may_take(&arms, seconds));
    let mut rounds = 0;
    for round in 0..plan.rounds(ROUNDS, ROUNDS_QUICK) {
        let so_far = (now_ns() - began) as f64 / NS_PER_S as f64;
        let next = so_far / f64::from(round.max(1));
        if plan.rounds.is_none() && round >= ROUNDS_LEAST && so_far + next > may_take {
            break;
        }
        let mut order = arms.clone();
        shuffle(&mut order, &mut random(plan.seed, round));
        for arm in order {
            let sample = transfer(arm, sizes[&arm], share).with_context(|| arm.name())?;
            samples.entry(arm).or_default().push(sample);
        }
        rounds = round + 1;
    }
    let mut figure = Figure::new(name);
    describe(&mut figure, &arms, &samples);
    for ratio in ratios {
        let (of, to) = (&samples[&ratio.of], &samples[&ratio.to]);
        let shares: Vec<f64> =
            of.iter().zip(to).map(|(of, to)| of.mb_per_s / to.mb_per_s).collect();
        figure.row(&ratio.what, "ratio", &shares, ratio.wanted.map(Wanted::AtLeast));
    }
    figure.note(format!(
        "{rounds} rounds of transfers of {} to {} MiB, each after {} MiB to warm up: what takes \
         {seconds} s, but for links and files",
        sizes.values().min().map_or(0, |bytes| bytes >> 20),
        sizes.values().max().map_or(0, |bytes| bytes >> 20),
        WARM_BYTES >> 20
    ));
    Ok(figure)
}

/// All rounds, in seconds.
fn may_take(arms: &[Arm], seconds: f64) -> f64 {
    let of_arm = |arm: &Arm| arm.far.map_or(seconds + STARTING_SECONDS, |_| FAR_SECONDS);
    arms.iter().map(of_arm).sum::<f64>() * f64::from(ROUNDS)
}

/// How much an arm moves in so many seconds. What is served from a file has no more than
/// that, and a link is as slow on any machine.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped")]
fn bytes_of(arm: Arm, seconds: f64, plan: &Plan, share: Option<&Path>) -> anyhow::Result<u64> {
    match arm.far {
        Some(Far::Narrow) => return Ok(BYTES_NARROW),
        Some(Far::Wide) => return Ok(BYTES_WIDE),
        None if plan.quick => return Ok(BYTES_FIRST),
        None => {}
    }
    let first = transfer(arm, BYTES_FIRST, share).with_context(|| arm.name())?;
    let most = if matches!(arm.way, Way::File | Way::Reads) { BYTES_FILE } else { BYTES_MAX };
    let bytes = ((first.mb_per_s * BYTES_PER_MB * seconds) as u64).clamp(BYTES_MIN, most);
    Ok(bytes.next_multiple_of(BYTES_STEP))
}

fn describe(figure: &mut Figure, arms: &[Arm], samples: &HashMap<Arm, Vec<Sample>>) {
    for arm in arms {
        let all = |pick: fn(&Sample) -> f64| samples[arm].iter().map(pick).collect::<Vec<_>>();
        let name = arm.name();
        figure.row(&name, "MB/s", &all(|sample| sample.mb_per_s), None);
        figure.row("    its sender", "CPU s/GB", &all(|sample| sample.sender_s_per_gb), None);
        figure.row("    its receiver", "CPU s/GB", &all(|sample| sample.receiver_s_per_gb), None);
    }
}

/// A directory in memory with the file, where an arm serves one.
fn share(arms: &[Arm], bytes: u64) -> anyhow::Result<Option<TempDir>> {
    if !arms.iter().any(|arm| matches!(arm.way, Way::File | Way::Reads)) {
        return Ok(None);
    }
    let memory = Path::new("/dev/shm");
    let share = tempfile::tempdir_in(memory).context("cannot make a directory in memory")?;
    let size = usize::try_from(bytes).context("the file does not fit into memory")?;
    fs::write(share.path().join(FILE), vec![0x5a; size]).context("cannot write the file")?;
    Ok(Some(share))
}

/// Both processes are new for each transfer, so none inherits what another did to
/// its heap.
fn transfer(arm: Arm, bytes: u64, share: Option<&Path>) -> anyhow::Result<Sample> {
    let (mut sender, Listening { mut address, id }) = start_sender(arm, share)?;
    let link = arm.far.map(|far| Link::to(&address, far)).transpose()?;
    if let Some(link) = &link {
        address = link.address();
    }
    let warm = if arm.far == Some(Far::Narrow) { WARM_BYTES_NARROW } else { WARM_BYTES };
    let (warm, all) = (warm.to_string(), bytes.to_string());
    let words = arm.arguments();
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.insert(0, "receive");
    words.extend(["--to", &address, "--warm-bytes", &warm, "--bytes", &all]);
    words.extend(id.iter().flat_map(|id| ["--id", id]));
    let mut receiver = Child::role(&words)?;
    receiver.hear::<()>(DEADLINE)?;
    let before = used(&mut sender)?;
    receiver.go()?;
    let Fetched { wall_s, cpu_s } = receiver.hear(DEADLINE)?;
    let sender_s = used(&mut sender)? - before;
    let bytes = bytes as f64;
    Ok(Sample {
        mb_per_s: bytes / BYTES_PER_MB / wall_s,
        sender_s_per_gb: sender_s / (bytes / BYTES_PER_GB),
        receiver_s_per_gb: cpu_s / (bytes / BYTES_PER_GB),
    })
}

/// A process that serves an arm, and where.
pub(crate) fn start_sender(arm: Arm, share: Option<&Path>) -> anyhow::Result<(Child, Listening)> {
    let words = arm.arguments();
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.insert(0, "send");
    if let Some(share) = share {
        words.extend(["--share", share.to_str().context("the share's path is no text")?]);
    }
    let sender = Child::role(&words)?;
    let listening = sender.hear(DEADLINE)?;
    Ok((sender, listening))
}

/// CPU seconds that a sender has used so far.
pub(crate) fn used(sender: &mut Child) -> anyhow::Result<f64> {
    sender.go()?;
    Ok(sender.hear::<Used>(DEADLINE)?.cpu_s)
}
