//! How exactly a rate is kept, at the receiver.

use std::time::Duration;

use dropbed::toxiproxy::api::{RateBytes, Stream, Toxic};

use super::bulk::{Sink, Transfer};
use super::report::{Figure, Plan, Wanted};
use super::sample::{random, shuffle};
use super::server::Server;

const ROUNDS: u32 = 6;
const ROUNDS_QUICK: u32 = 1;

const LINES: [Line; 5] = [
    Line { name: "100 kbit/s", bytes_per_s: 12_500 },
    Line { name: "1 Mbit/s", bytes_per_s: 125_000 },
    Line { name: "10 Mbit/s", bytes_per_s: 1_250_000 },
    Line { name: "100 Mbit/s", bytes_per_s: 12_500_000 },
    Line { name: "1 Gbit/s", bytes_per_s: 125_000_000 },
];
/// The one that two connections share.
const SHARED: Line = LINES[3];

/// What is sent at a rate, in quarters of a second: 5.25 s, so that 5 s are
/// measured with the first read left out.
const QUARTERS: u64 = 21;
/// Four times what the slowest line takes.
const TRANSFER_DEADLINE: Duration = Duration::from_secs(QUARTERS);

const ERROR_PERCENT: Wanted = Wanted::Between(-1.0, 1.0);
const SHARE_ERROR_PERCENT: Wanted = Wanted::Between(-5.0, 5.0);
/// What the server documents: so much of the rate may be caught up at once.
const BURST_MS: Wanted = Wanted::AtMost(20.0);

#[derive(Clone, Copy, Debug)]
struct Line {
    name: &'static str,
    bytes_per_s: u64,
}

/// Samples of one line.
#[derive(Debug, Default)]
struct Found {
    error_percent: Vec<f64>,
    burst_ms: Vec<f64>,
}

pub(crate) fn measure(plan: &Plan) -> anyhow::Result<Figure> {
    let mut figure = Figure::new("rate, at the receiver from its first to its last byte");
    let server = Server::start(plan.seed)?;
    let mut found: [Found; LINES.len()] = Default::default();
    let mut shared: [Vec<f64>; 2] = Default::default();
    for round in 0..plan.rounds(ROUNDS, ROUNDS_QUICK) {
        // The last arm is the shared line.
        let mut order: Vec<usize> = (0..=LINES.len()).collect();
        shuffle(&mut order, &mut random(plan.seed, round));
        for arm in order {
            let (line, together) = LINES.get(arm).map_or((SHARED, 2), |line| (*line, 1));
            let transfers = match transfer(&server, line, together) {
                Ok(transfers) => transfers,
                Err(error) => {
                    figure.note(format!("{}, round {round}: {error:#}", line.name));
                    continue;
                }
            };
            match (found.get_mut(arm), transfers.first()) {
                (Some(found), Some(transfer)) => found.add(line, transfer),
                _ => add_shares(&mut shared, &transfers),
            }
        }
    }
    describe(&mut figure, &found, &shared);
    figure.note(format!("bundled server: {}", server.version));
    figure.note("a burst is what came beyond the rate in any span, one read included");
    Ok(figure)
}

/// Sends 5.25 s of the line's rate, in as many connections.
fn transfer(server: &Server, line: Line, together: usize) -> anyhow::Result<Vec<Transfer>> {
    let sink = Sink::start(Some(line.bytes_per_s), together)?;
    let rate = RateBytes::from_bytes_per_s(line.bytes_per_s);
    let proxy = server.proxy(sink.address, &[Toxic::bandwidth(Stream::Upstream, rate)])?;
    let bytes = line.bytes_per_s * QUARTERS / 4 / together as u64;
    sink.transfer(proxy.address, bytes, TRANSFER_DEADLINE)
}

impl Found {
    fn add(&mut self, line: Line, transfer: &Transfer) {
        let asked = line.bytes_per_s as f64;
        let error = |rate: f64| (rate / asked - 1.0) * 100.0;
        self.error_percent.extend(transfer.received.rate.map(error));
        self.burst_ms.extend(transfer.received.burst_ms);
    }
}

/// In percent of half the line, the connection that began first being the first.
fn add_shares(shared: &mut [Vec<f64>; 2], transfers: &[Transfer]) {
    let half = SHARED.bytes_per_s as f64 / 2.0;
    let mut received: Vec<_> = transfers.iter().map(|transfer| transfer.received).collect();
    received.sort_by_key(|received| received.first_ns);
    for (samples, received) in shared.iter_mut().zip(received) {
        samples.extend(received.common_rate.map(|rate| (rate / half - 1.0) * 100.0));
    }
}

fn describe(figure: &mut Figure, found: &[Found], shared: &[Vec<f64>; 2]) {
    for (line, found) in LINES.iter().zip(found) {
        let what = format!("{}: error", line.name);
        figure.row(what, "%", &found.error_percent, Some(ERROR_PERCENT));
    }
    for (which, samples) in ["first", "second"].iter().zip(shared) {
        let what = format!("{} shared by two, {which}: error of its half", SHARED.name);
        figure.row(what, "%", samples, Some(SHARE_ERROR_PERCENT));
    }
    for (line, found) in LINES.iter().zip(found) {
        figure.row(format!("{}: burst", line.name), "ms", &found.burst_ms, Some(BURST_MS));
    }
}
