//! From nothing to a topology that stands with every link proven, and back.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use crate::command::{Bench, Runtime, dropbed, text, timed};
use crate::report::{Figure, Plan, Wanted};

/// Peers in a star, hub included.
const PEERS: [usize; 5] = [2, 8, 16, 32, 64];
const PEERS_QUICK: [usize; 2] = [2, 8];

struct Arm {
    runtime: Runtime,
    peers: usize,
    up_s: Vec<f64>,
    down_s: Vec<f64>,
}

pub(crate) fn measure(plan: &Plan, runtimes: &[Runtime]) -> anyhow::Result<Figure> {
    let bench = Bench::new()?;
    let runtimes =
        if runtimes.is_empty() { &[Runtime::Process, Runtime::Docker] } else { runtimes };
    if runtimes.contains(&Runtime::Docker) {
        timed(&mut dropbed(&["image"]))?;
    }
    let peers: &[usize] = if plan.quick { &PEERS_QUICK } else { &PEERS };
    let mut arms: Vec<Arm> = runtimes
        .iter()
        .flat_map(|&runtime| {
            peers.iter().map(move |&peers| Arm {
                runtime,
                peers,
                up_s: Vec::new(),
                down_s: Vec::new(),
            })
        })
        .collect();
    let mut random = StdRng::seed_from_u64(plan.seed);
    for _round in 0..plan.rounds(6, 2) {
        let mut order: Vec<usize> = (0..arms.len()).collect();
        order.shuffle(&mut random);
        for index in order {
            arms[index].once(&bench)?;
        }
    }
    let mut figure = Figure::new("up (start, shape, prove every link) and down, star of N peers");
    for arm in &arms {
        arm.report(&mut figure);
    }
    figure.note("wall time of the whole command; every peer mounts; links have no delay");
    Ok(figure)
}

impl Arm {
    fn once(&mut self, bench: &Bench) -> anyhow::Result<()> {
        let file = bench.star(self.peers)?;
        let out = bench.path("runs");
        let up = ["up", text(&file), "--runtime", self.runtime.name(), "--out", text(&out)];
        let up_s = timed(&mut dropbed(&up));
        // Also after a failure: what stands must not be in the next arm's way.
        let down_s = timed(&mut dropbed(&["down", "--all", "--out", text(&out)]));
        self.up_s.push(up_s?);
        self.down_s.push(down_s?);
        Ok(())
    }

    fn report(&self, figure: &mut Figure) {
        let Self { runtime, peers, up_s, down_s } = self;
        let wanted = match (runtime, peers) {
            (Runtime::Process, 2) => Some((1.0, 1.0)),
            (Runtime::Docker, 2) => Some((3.0, 5.0)),
            (Runtime::Process, 32) => Some((3.0, 1.0)),
            (Runtime::Docker, 32) => Some((12.0, 5.0)),
            _ => None,
        };
        let [up, down] = [wanted.map(|(up, _)| up), wanted.map(|(_, down)| down)];
        let name = runtime.name();
        figure.row(format!("{name}, {peers} peers, up"), "s", up_s, up.map(Wanted::AtMost));
        figure.row(format!("{name}, {peers} peers, down"), "s", down_s, down.map(Wanted::AtMost));
    }
}
