//! Whether jitter has the distribution that it should, and its seed works.

use dropbed::toxiproxy::api::{Effect, Latency, Millis, Stream, Toxic};

use super::probe::{Probe, SenderArgs};
use super::report::{Figure, Plan, Wanted};
use super::sample::{distance_from_uniform, quantile, rank_correlation};
use super::server::Server;

const LATENCY_MS: u32 = 20;
const JITTER_MS: u32 = 10;
/// More than twice the jitter: no message ever waits for the one before it.
const GAP_US: u64 = 21_000;
const MESSAGES: u64 = 1_000;
const MESSAGES_QUICK: u64 = 150;

/// Two servers with the run's seed, and one with another.
const SEED_STEPS: [u64; 3] = [0, 0, 1];

/// Times the root of the samples' number: right draws are farther from their
/// distribution in 1 of 100 cases (Kolmogorov).
const DISTANCE_FACTOR_MAX: f64 = 1.63;
/// Between the same message's delays at two servers of one seed: two times the
/// error of a delay.
const SAME_SEED_P99_MS: Wanted = Wanted::AtMost(2.0);
const SAME_SEED_RANKS: Wanted = Wanted::AtLeast(0.99);
/// Times the root of the samples' number: independent ranks correlate more in 1
/// of 100 cases.
const OTHER_SEED_FACTOR_MAX: f64 = 2.58;

pub(crate) fn measure(plan: &Plan) -> anyhow::Result<Figure> {
    let mut figure = Figure::new(format!("jitter, {LATENCY_MS} ms +- {JITTER_MS} ms"));
    let messages = plan.size(MESSAGES, MESSAGES_QUICK);
    let delays = delays_ms(plan.seed, messages)?;
    let [one, same, other] = &delays;
    let root = (messages as f64).sqrt();
    let low = f64::from(LATENCY_MS - JITTER_MS);
    let high = f64::from(LATENCY_MS + JITTER_MS);
    let distance = distance_from_uniform(one, low, high);
    let wanted = Wanted::AtMost(DISTANCE_FACTOR_MAX / root);
    figure.row("distance from uniform (Kolmogorov-Smirnov)", "", &[distance], Some(wanted));
    let earliest = quantile(one, 0.0).map(|earliest| earliest - low);
    figure.row("earliest - least", "ms", earliest.as_slice(), Some(Wanted::AtLeast(0.0)));
    let latest = quantile(one, 1.0).map(|latest| latest - high);
    figure.row("latest - most", "ms", latest.as_slice(), None);
    let apart: Vec<f64> = one.iter().zip(same).map(|(a, b)| (a - b).abs()).collect();
    let p99 = quantile(&apart, 0.99);
    figure.row("same seed: difference per message, median", "ms", &apart, None);
    figure.row("same seed: 99th percentile", "ms", p99.as_slice(), Some(SAME_SEED_P99_MS));
    let ranks = rank_correlation(one, same);
    figure.row("same seed: rank correlation", "", &[ranks], Some(SAME_SEED_RANKS));
    let most = OTHER_SEED_FACTOR_MAX / root;
    let ranks = rank_correlation(one, other);
    let wanted = Wanted::Between(-most, most);
    figure.row("other seed: rank correlation", "", &[ranks], Some(wanted));
    figure.note(format!("{messages} messages on one connection, {GAP_US} us apart"));
    Ok(figure)
}

/// Delays of the messages in order, of each of the servers. They run at the same
/// time: at 50 messages per second none is in another's way.
fn delays_ms(seed: u64, messages: u64) -> anyhow::Result<[Vec<f64>; 3]> {
    let servers = SEED_STEPS.map(|step| Server::start(seed.wrapping_add(step)));
    let millis = |ms: u32| Millis::from_micros(u64::from(ms) * 1_000);
    let (latency, jitter) = (millis(LATENCY_MS), millis(JITTER_MS));
    let toxic = Toxic::new(Stream::Upstream, Effect::Latency(Latency { latency, jitter }));
    let servers: Vec<Server> = servers.into_iter().collect::<Result<_, _>>()?;
    let mut running = Vec::new();
    for server in &servers {
        let mut probe = Probe::start(1)?;
        let proxy = server.proxy(probe.address, std::slice::from_ref(&toxic))?;
        let to = proxy.address;
        let args = SenderArgs { to, connections: 1, messages, gap_us: GAP_US, fixed: true, seed };
        probe.send(args)?;
        running.push((probe, proxy));
    }
    let mut delays: [Vec<f64>; 3] = Default::default();
    for (delays, (probe, _proxy)) in delays.iter_mut().zip(running) {
        *delays = probe.finish()?;
    }
    Ok(delays)
}
