//! What connections that say nothing cost in memory.

use std::time::Duration;

use anyhow::Context as _;
use dropbed::toxiproxy::api::{Millis, Stream, Toxic};

use super::bulk::{Listening, START_DEADLINE};
use super::child::Child;
use super::crowd::Crowd;
use super::limits::descriptors;
use super::report::{Figure, Plan, Wanted};
use super::server::{Server, resident_mib};

const ROUNDS: u32 = 6;
const ROUNDS_QUICK: u32 = 1;
const CONNECTIONS: usize = 10_000;
/// The delay is there so that its queues are; small, as each connection waits for it.
const DELAY_MS: u64 = 5;
/// Of the server's whole process with all connections.
const RESIDENT_MIB: Wanted = Wanted::AtMost(200.0);

/// In the server: one to the client, one to the upstream.
const DESCRIPTORS_PER_CONNECTION: u64 = 2;
/// Listeners, timers, API and the runtime's own.
const DESCRIPTORS_BESIDES: u64 = 200;
/// 10 000 connections take seconds; a busy machine takes longer.
const CROWD_DEADLINE: Duration = Duration::from_secs(180);

pub(crate) fn measure(plan: &Plan) -> anyhow::Result<Figure> {
    let mut figure = Figure::new(format!("memory of {CONNECTIONS} idle connections"));
    let room = descriptors().saturating_sub(DESCRIPTORS_BESIDES) / DESCRIPTORS_PER_CONNECTION;
    let asked = usize::try_from(room).map_or(CONNECTIONS, |room| room.min(CONNECTIONS));
    if asked < CONNECTIONS {
        figure.note(format!(
            "the hard limit of {} open files per process allows {asked} connections only; \
             ulimit -Hn raises it, which takes CAP_SYS_RESOURCE",
            descriptors()
        ));
    }
    let (mut open, mut before, mut with, mut each, mut scaled) =
        (vec![], vec![], vec![], vec![], vec![]);
    for round in 0..plan.rounds(ROUNDS, ROUNDS_QUICK) {
        // A new process each time: memory that was freed would not be seen.
        let server = Server::start(plan.seed)?;
        let found = once(&server, asked)?;
        if let Some(why) = found.crowd.why {
            figure.note(format!("round {round}: {} of {asked} open: {why}", found.crowd.open));
        }
        let count = found.crowd.open as f64;
        open.push(count);
        before.push(found.before_mib);
        with.push(found.with_mib);
        let mib = (found.with_mib - found.before_mib) / count.max(1.0);
        each.push(mib * 1024.0);
        scaled.push(found.before_mib + mib * CONNECTIONS as f64);
    }
    let all = Some(Wanted::AtLeast(CONNECTIONS as f64));
    figure.row("connections open", "", &open, all);
    figure.row("resident before", "MiB", &before, None);
    figure.row("resident with them", "MiB", &with, None);
    figure.row("of each connection", "KiB", &each, None);
    // The same as measured when all are open. With fewer it must not look better.
    let name = format!("resident with {CONNECTIONS}, in proportion");
    figure.row(name, "MiB", &scaled, Some(RESIDENT_MIB));
    figure.note(format!("latency {DELAY_MS} ms both ways, after one byte each way"));
    Ok(figure)
}

#[derive(Debug)]
struct Found {
    crowd: Crowd,
    before_mib: f64,
    with_mib: f64,
}

fn once(server: &Server, connections: usize) -> anyhow::Result<Found> {
    let far = Child::role(&["crowd-server"])?;
    let Listening { address } = far.hear(START_DEADLINE)?;
    let delay = Millis::from_micros(DELAY_MS * 1_000);
    let toxics = Stream::ALL.map(|stream| Toxic::latency(stream, delay));
    let proxy = server.proxy(address, &toxics)?;
    let pid = server.pid().context("the server is no process of ours")?;
    let before_mib = resident_mib(pid)?;
    let (to, connections) = (proxy.address.to_string(), connections.to_string());
    let near = Child::role(&["crowd", "--to", &to, "--connections", &connections])?;
    let crowd = near.hear(CROWD_DEADLINE)?;
    let with_mib = resident_mib(pid)?;
    Ok(Found { crowd, before_mib, with_mib })
}
