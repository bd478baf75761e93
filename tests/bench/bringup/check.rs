//! Reading and planning, without starting anything.

use crate::command::{Bench, dropbed, text, timed};
use crate::report::{Figure, Plan, Wanted};

const MESH_PEERS: usize = 1000;

pub(crate) fn measure(plan: &Plan) -> anyhow::Result<Figure> {
    let bench = Bench::new()?;
    let (small, mesh) = (bench.star(8)?, bench.mesh(MESH_PEERS)?);
    let arms = [
        ("validate, star of 8", "validate", &small, 0.020),
        ("plan, star of 8", "plan", &small, 0.020),
        ("validate, mesh of 1000", "validate", &mesh, 1.0),
        ("plan, mesh of 1000", "plan", &mesh, 1.0),
    ];
    let mut samples: [Vec<f64>; 4] = Default::default();
    for _round in 0..plan.rounds(10, 2) {
        for ((_, verb, file, _), samples) in arms.iter().zip(&mut samples) {
            samples.push(timed(&mut dropbed(&[verb, text(file)]))?);
        }
    }
    let mut figure = Figure::new("checking a file, whole process");
    for ((what, _, _, most_s), samples) in arms.iter().zip(&samples) {
        let ms: Vec<f64> = samples.iter().map(|s| s * 1_000.0).collect();
        figure.row(*what, "ms", &ms, Some(Wanted::AtMost(most_s * 1_000.0)));
    }
    Ok(figure)
}
