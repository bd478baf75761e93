//! What a session costs before its first byte.

use std::time::Duration;

use anyhow::Context as _;

use super::aead::Cipher;
use super::arm::{Arm, Way};
use super::child::Child;
use super::report::{Figure, Plan, Wanted};
use super::role::{Fetched, Listening};
use super::wire::{start_sender, used};

const ROUNDS: u32 = 10;
const ROUNDS_QUICK: u32 = 2;
const COUNT: u32 = 200;
const DEADLINE: Duration = Duration::from_secs(20);
const CPU_MS_MAX: f64 = 1.0;

pub(crate) fn measure(plan: &Plan) -> anyhow::Result<Figure> {
    let arm = Arm::sealed(Way::Stream, Cipher::Chacha);
    let (mut sender, Listening { address, id }) = start_sender(arm, None)?;
    let id = id.context("a session has an id")?;
    let count = COUNT.to_string();
    let (mut wall_ms, mut dialling_ms, mut accepting_ms) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.rounds(ROUNDS, ROUNDS_QUICK) {
        let mut dialler =
            Child::role(&["shake", "--to", &address, "--id", &id, "--count", &count])?;
        dialler.hear::<()>(DEADLINE)?;
        let before = used(&mut sender)?;
        dialler.go()?;
        let Fetched { wall_s, cpu_s } = dialler.hear(DEADLINE)?;
        let accepting_s = used(&mut sender)? - before;
        let each_ms = |seconds: f64| seconds * 1e3 / f64::from(COUNT);
        wall_ms.push(each_ms(wall_s));
        dialling_ms.push(each_ms(cpu_s));
        accepting_ms.push(each_ms(accepting_s));
    }
    let mut figure = Figure::new("a session, from connect to confirmed keys");
    figure.row("one after the other, loopback", "ms", &wall_ms, None);
    let wanted = Some(Wanted::AtMost(CPU_MS_MAX));
    figure.row("the dialling end", "CPU ms", &dialling_ms, wanted);
    figure.row("the accepting end", "CPU ms", &accepting_ms, wanted);
    figure.note(format!("{COUNT} sessions a round, of the same two peers"));
    Ok(figure)
}
