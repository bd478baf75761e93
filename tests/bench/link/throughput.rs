//! Bytes per second through the proxy, against the least that any proxy costs.
//!
//! With the bundled server in the place of the stock one, their ratio is 1 within
//! its interval: the way in which the arms are measured favours none.

use std::net::SocketAddr;
use std::time::Duration;

use dropbed::toxiproxy::api::{Millis, RateBytes, Stream, Toxic};

use super::bulk::{Listening, START_DEADLINE, Sink, Transfer};
use super::child::Child;
use super::clock::millis;
use super::report::{Figure, Plan, Wanted};
use super::sample::{random, shuffle};
use super::server::{Server, cpu_s};

const ROUNDS: u32 = 10;
const ROUNDS_QUICK: u32 = 3;
const BYTES: u64 = 2 << 30;
const BYTES_QUICK: u64 = 512 << 20;
/// 2 GiB at 25 MB/s: slower is a fault, not a figure.
const TRANSFER_DEADLINE: Duration = Duration::from_secs(90);

const DELAY_MS: u32 = 100;
const DELAY_US: u64 = DELAY_MS as u64 * 1_000;
const BUNDLED_TO_SPLICE_MIN: f64 = 0.9;
const DELAYED_TO_BUNDLED_MIN: f64 = 0.6;

/// 1 Gbit/s.
const LINE_BYTES_PER_S: u64 = 125_000_000;
/// 5.25 s at the line's rate: at least 5 s are measured, the first read left out.
const LINE_BYTES: u64 = LINE_BYTES_PER_S / 4 * 21;
const LINE_ROUNDS: u32 = 6;
const LINE_ROUNDS_QUICK: u32 = 1;
/// Of the line's rate. More than the rate would be no line.
const LINE_SHARE: Wanted = Wanted::Between(0.97, 1.01);

const BYTES_PER_MB: f64 = 1e6;

/// A way from source to sink, and what was measured on it.
#[derive(Debug)]
struct Arm {
    name: &'static str,
    address: SocketAddr,
    /// Of the process in the middle, where it is ours.
    pid: Option<u32>,
    mb_per_s: Vec<f64>,
    cpu_s_per_gb: Vec<f64>,
    first_byte_ms: Vec<f64>,
}

impl Arm {
    const fn new(name: &'static str, address: SocketAddr, pid: Option<u32>) -> Self {
        Self {
            name,
            address,
            pid,
            mb_per_s: Vec::new(),
            cpu_s_per_gb: Vec::new(),
            first_byte_ms: Vec::new(),
        }
    }

    fn run(&mut self, sink: &Sink, bytes: u64, is_kept: bool) -> anyhow::Result<()> {
        let cpu = |pid: Option<u32>| pid.map(cpu_s).transpose();
        let before = cpu(self.pid)?;
        let transfers = sink.transfer(self.address, bytes, TRANSFER_DEADLINE)?;
        let used = before.zip(cpu(self.pid)?).map(|(before, after)| after - before);
        if !is_kept {
            return Ok(());
        }
        for Transfer { received, started_ns } in transfers {
            self.mb_per_s.extend(received.rate.map(|rate| rate / BYTES_PER_MB));
            self.first_byte_ms.push(millis(started_ns, received.first_ns));
        }
        self.cpu_s_per_gb.extend(used.map(|used| used / (bytes as f64 / 1e9)));
        Ok(())
    }
}

pub(crate) fn measure(plan: &Plan) -> anyhow::Result<Figure> {
    let mut figure = Figure::new("throughput, at the receiver from its first to its last byte");
    let sink = Sink::start(None, 1)?;
    let (splice, read_write) =
        (forwarder("splice", sink.address)?, forwarder("read-write", sink.address)?);
    let bundled = Server::start(plan.seed)?;
    let stock = Server::stock()?;
    let delay = [Toxic::latency(Stream::Upstream, Millis::from_micros(DELAY_US))];
    let mut proxies = Vec::new();
    let mut arms = vec![
        Arm::new("direct", sink.address, None),
        Arm::new("splice", splice.1, Some(splice.0.pid())),
        Arm::new("read/write", read_write.1, Some(read_write.0.pid())),
    ];
    for (server, names) in [
        (Some(&bundled), ["bundled", "bundled + 100 ms"]),
        (stock.as_ref(), ["stock", "stock + 100 ms"]),
    ] {
        let Some(server) = server else { continue };
        for (name, toxics) in names.into_iter().zip([&[][..], &delay]) {
            let proxy = server.proxy(sink.address, toxics)?;
            arms.push(Arm::new(name, proxy.address, server.pid()));
            proxies.push(proxy);
        }
    }
    let bytes = plan.size(BYTES, BYTES_QUICK);
    // The first round warms up and is not kept.
    for round in 0..=plan.rounds(ROUNDS, ROUNDS_QUICK) {
        let mut order: Vec<&mut Arm> = arms.iter_mut().collect();
        shuffle(&mut order, &mut random(plan.seed, round));
        for arm in order {
            arm.run(&sink, bytes, round > 0)?;
        }
    }
    describe(&mut figure, &arms);
    figure.note(format!("bundled server: {}; {} MiB per run", bundled.version, bytes >> 20));
    match &stock {
        Some(stock) => figure.note(format!("stock server: {}", stock.version)),
        None => figure.note("no stock server: DROPBED_TOXIPROXY_URL names none"),
    }
    line(plan, &bundled, &mut figure);
    Ok(figure)
}

fn forwarder(role: &str, to: SocketAddr) -> anyhow::Result<(Child, SocketAddr)> {
    let child = Child::role(&[role, "--to", &to.to_string()])?;
    let Listening { address } = child.hear(START_DEADLINE)?;
    Ok((child, address))
}

fn describe(figure: &mut Figure, arms: &[Arm]) {
    for arm in arms {
        figure.row(arm.name, "MB/s", &arm.mb_per_s, None);
    }
    let ratio = |over: &str, under: &str| -> Vec<f64> {
        let of = |name| arms.iter().find(|arm| arm.name == name).map(|arm| &arm.mb_per_s);
        let pairs = of(over).into_iter().flatten().zip(of(under).into_iter().flatten());
        pairs.map(|(over, under)| over / under).collect()
    };
    for (over, under, least) in [
        ("bundled", "splice", Some(BUNDLED_TO_SPLICE_MIN)),
        ("bundled + 100 ms", "bundled", Some(DELAYED_TO_BUNDLED_MIN)),
        ("bundled", "read/write", None),
        ("bundled", "stock", None),
        ("bundled + 100 ms", "stock + 100 ms", None),
    ] {
        let ratios = ratio(over, under);
        if !ratios.is_empty() || least.is_some() {
            let wanted = least.map(Wanted::AtLeast);
            figure.row(format!("{over} / {under}"), "", &ratios, wanted);
        }
    }
    for arm in arms.iter().filter(|arm| arm.pid.is_some()) {
        figure.row(format!("CPU of {}", arm.name), "s per GB", &arm.cpu_s_per_gb, None);
    }
    // A delay that is not there would make the ratio above worthless.
    if let Some(arm) = arms.iter().find(|arm| arm.name == "bundled + 100 ms") {
        let wanted = Some(Wanted::AtLeast(DELAY_MS.into()));
        figure.row("first byte, bundled + 100 ms", "ms", &arm.first_byte_ms, wanted);
    }
}

/// A line of 1 Gbit/s with 100 ms each way, as far as it is carried.
fn line(plan: &Plan, server: &Server, figure: &mut Figure) {
    let (mut shares, mut first_byte_ms) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds(LINE_ROUNDS, LINE_ROUNDS_QUICK) {
        match line_once(server) {
            Ok(Transfer { received, started_ns }) => {
                shares.extend(received.rate.map(|rate| rate / LINE_BYTES_PER_S as f64));
                first_byte_ms.push(millis(started_ns, received.first_ns));
            }
            Err(error) => figure.note(format!("1 Gbit/s, 200 ms RTT: {error:#}")),
        }
    }
    figure.row("1 Gbit/s at 200 ms RTT", "of the rate", &shares, Some(LINE_SHARE));
    let wanted = Some(Wanted::AtLeast(DELAY_MS.into()));
    figure.row("first byte at 200 ms RTT", "ms", &first_byte_ms, wanted);
}

fn line_once(server: &Server) -> anyhow::Result<Transfer> {
    let sink = Sink::start(None, 1)?;
    let delay = Millis::from_micros(DELAY_US);
    let toxics = [
        Toxic::latency(Stream::Upstream, delay),
        Toxic::latency(Stream::Downstream, delay),
        Toxic::bandwidth(Stream::Upstream, RateBytes::from_bytes_per_s(LINE_BYTES_PER_S)),
    ];
    let proxy = server.proxy(sink.address, &toxics)?;
    let transfers = sink.transfer(proxy.address, LINE_BYTES, TRANSFER_DEADLINE)?;
    transfers.into_iter().next().ok_or_else(|| anyhow::anyhow!("nothing was measured"))
}
