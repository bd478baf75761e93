//! How far the time that a small message takes is from the asked delay.

use dropbed::toxiproxy::api::{Millis, Stream, Toxic};

use super::probe::{Probe, SenderArgs};
use super::report::{Figure, Plan, Wanted};
use super::sample::{quantile, random, shuffle};
use super::server::Server;

const ROUNDS: u32 = 6;
const ROUNDS_QUICK: u32 = 1;

const CONNECTIONS: [usize; 3] = [1, 100, 1000];
const DELAYS_MS: [u32; 3] = [5, 25, 100];

/// Of one connection: a message each 5 ms on average.
const MESSAGES_PER_S_OF_ONE: u64 = 200;
/// Of all connections together. Each message wakes sender, proxy and receiver, up
/// to 20 us of work each; 2000 per second keep two cores mostly idle, so what is
/// measured is the delay and not the wait for a core.
const MESSAGES_PER_S_MAX: u64 = 2_000;
/// At least a thousand messages, so that ten are beyond the 99th percentile.
const SECONDS: u64 = 5;
const SECONDS_QUICK: u64 = 1;

const MEDIAN_MS: Wanted = Wanted::Between(-0.2, 0.2);
const P99_MS: Wanted = Wanted::AtMost(1.0);
const EARLIEST_MS: Wanted = Wanted::AtLeast(0.0);

/// What lies between sender and receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Nothing: what sender, receiver and kernel add by themselves.
    Direct,
    /// A proxy without toxics.
    Plain,
    Delay {
        ms: u32,
    },
}

/// Statistics of each round in one cell, in milliseconds.
#[derive(Debug)]
struct Cell {
    way: Way,
    connections: usize,
    median: Vec<f64>,
    p99: Vec<f64>,
    earliest: Vec<f64>,
}

pub(crate) fn measure(plan: &Plan) -> anyhow::Result<Figure> {
    let mut figure = Figure::new("delay, arrival minus sending minus what was asked");
    let server = Server::start(plan.seed)?;
    let mut cells = cells();
    for round in 0..plan.rounds(ROUNDS, ROUNDS_QUICK) {
        let mut order: Vec<&mut Cell> = cells.iter_mut().collect();
        shuffle(&mut order, &mut random(plan.seed, round));
        for cell in order {
            if let Err(error) = cell.run(plan, &server, round) {
                figure.note(format!("{}, round {round}: {error:#}", cell.name()));
            }
        }
    }
    for cell in &cells {
        cell.describe(&mut figure);
    }
    figure.note(format!("bundled server: {}", server.version));
    figure.note("direct and plain are the floor: nothing was asked, all of it is error");
    figure.note(format!(
        "64-byte messages at random times, {MESSAGES_PER_S_OF_ONE}/s per connection, at most \
         {MESSAGES_PER_S_MAX}/s together, {} s per round",
        plan.size(SECONDS, SECONDS_QUICK)
    ));
    Ok(figure)
}

fn cells() -> Vec<Cell> {
    let delays = DELAYS_MS.map(|ms| Way::Delay { ms });
    let ways = [Way::Direct, Way::Plain].into_iter().chain(delays);
    ways.flat_map(|way| {
        CONNECTIONS.map(|connections| Cell {
            way,
            connections,
            median: Vec::new(),
            p99: Vec::new(),
            earliest: Vec::new(),
        })
    })
    .collect()
}

impl Cell {
    fn name(&self) -> String {
        let way = match self.way {
            Way::Direct => "direct".to_owned(),
            Way::Plain => "plain".to_owned(),
            Way::Delay { ms } => format!("{ms} ms"),
        };
        let plural = if self.connections == 1 { "" } else { "s" };
        format!("{way}, {} connection{plural}", self.connections)
    }

    const fn asked_ms(&self) -> u32 {
        match self.way {
            Way::Direct | Way::Plain => 0,
            Way::Delay { ms } => ms,
        }
    }

    fn run(&mut self, plan: &Plan, server: &Server, round: u32) -> anyhow::Result<()> {
        let mut probe = Probe::start(self.connections)?;
        let delay = Millis::from_micros(u64::from(self.asked_ms()) * 1_000);
        let latency = Toxic::latency(Stream::Upstream, delay);
        let proxy = match self.way {
            Way::Direct => None,
            Way::Plain => Some(server.proxy(probe.address, &[])?),
            Way::Delay { .. } => Some(server.proxy(probe.address, &[latency])?),
        };
        let per_s = (MESSAGES_PER_S_OF_ONE * self.connections as u64).min(MESSAGES_PER_S_MAX);
        probe.send(SenderArgs {
            to: proxy.as_ref().map_or(probe.address, |proxy| proxy.address),
            connections: self.connections,
            messages: per_s * plan.size(SECONDS, SECONDS_QUICK),
            gap_us: 1_000_000 / per_s,
            fixed: false,
            seed: plan.seed.wrapping_add(round.into()),
        })?;
        let asked = f64::from(self.asked_ms());
        let errors: Vec<f64> = probe.finish()?.into_iter().map(|ms| ms - asked).collect();
        self.median.extend(quantile(&errors, 0.5));
        self.p99.extend(quantile(&errors, 0.99));
        self.earliest.extend(quantile(&errors, 0.0));
        Ok(())
    }

    fn describe(&self, figure: &mut Figure) {
        let name = self.name();
        // Of the floor nothing is wanted: it is this machine's.
        let wanted = |wanted| matches!(self.way, Way::Delay { .. }).then_some(wanted);
        figure.row(format!("{name}: median"), "ms", &self.median, wanted(MEDIAN_MS));
        figure.row(format!("{name}: 99th percentile"), "ms", &self.p99, wanted(P99_MS));
        // Of all rounds: a median would hide one message that came early.
        let earliest = quantile(&self.earliest, 0.0);
        figure.row(format!("{name}: earliest"), "ms", earliest.as_slice(), wanted(EARLIEST_MS));
        if let Way::Delay { ms } = self.way {
            let relative: Vec<f64> =
                self.median.iter().map(|error| error / f64::from(ms) * 100.0).collect();
            figure.row(format!("{name}: median of the asked"), "%", &relative, None);
        }
    }
}
