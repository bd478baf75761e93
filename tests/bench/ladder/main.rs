//! What every layer of the transport costs: `cargo bench --bench ladder -- --help`.
//!
//! One rung upon another, from a copy in memory to encrypted gRPC. Both ends of a
//! transfer are processes of their own, started from this program. Arms that are
//! compared run in the same round in shuffled order, and ratios are taken within a
//! round: what the machine does meanwhile meets all of them.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use aead::Cipher;
use arm::{Arm, Naive, Way};
use far::Far;
use figures::{How, exit};
use report::{Figure, Plan};
use role::Role;
use wire::Ratio;

mod aead;
mod arm;
#[path = "../child.rs"]
#[allow(dead_code, reason = "every bench uses its own part of what they share")]
mod child;
#[path = "../clock.rs"]
#[allow(dead_code, reason = "every bench uses its own part of what they share")]
mod clock;
mod far;
#[path = "../figures.rs"]
mod figures;
mod grpc;
mod handshake;
mod idle;
mod loops;
mod memory;
#[path = "../report.rs"]
#[allow(dead_code, reason = "every bench uses its own part of what they share")]
mod report;
mod role;
#[path = "../sample.rs"]
#[allow(dead_code, reason = "every bench uses its own part of what they share")]
mod sample;
mod session;
mod wire;

/// Measures the transport: cipher, record layer, gRPC over both.
///
/// A figure is met or missed by its median; it is unsure when the interval reaches
/// across what is wanted.
#[derive(Debug, Parser)]
#[command(name = "ladder")]
struct Cli {
    /// Only these figures
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Which>,
    #[command(flatten)]
    how: How,
    /// Process that a role must not outlive
    #[arg(long, hide = true)]
    parent: Option<u32>,
    #[command(subcommand)]
    role: Option<Role>,
}

/// A group of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    /// Rungs 0 to 2: memory, disk, cipher, record layer through a pipe
    Memory,
    /// Rungs 3 and 4: record layer and gRPC over TCP, against loops
    Wire,
    /// The same before what the article improved, and tonic as it comes
    Naive,
    /// What changing keys costs
    Rekey,
    /// Ranged reads against a push, both of a file
    Reads,
    /// One session over several connections
    Lanes,
    /// What sessions cost that do nothing
    Idle,
    /// CPU time of a session before its first byte
    Handshake,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.role {
        Some(role) => child::die_with(cli.parent).and_then(|()| role.play()).map(|()| true),
        None => cli.how.measure(&cli.only, |which, plan| match which {
            Which::Memory => memory::measure(plan),
            Which::Wire => rungs(plan),
            Which::Naive => naive(plan),
            Which::Rekey => rekey(plan),
            Which::Reads => reads(plan),
            Which::Lanes => lanes(plan),
            Which::Idle => idle::measure(plan),
            Which::Handshake => handshake::measure(plan),
        }),
    };
    exit(done)
}

const CHACHA: Cipher = Cipher::Chacha;
const AES: Cipher = Cipher::Aes;

const fn ratio(what: &'static str, of: Arm, to: Arm, wanted: f64) -> Ratio {
    Ratio { what, of, to, wanted: Some(wanted) }
}

fn rungs(plan: &Plan) -> anyhow::Result<Figure> {
    let raw = Arm::plain(Way::Loop);
    let plain = Arm::plain(Way::Push);
    let [chacha, aes] = [CHACHA, AES].map(|cipher| Arm::sealed(Way::Push, cipher));
    let [chacha_loop, aes_loop] = [CHACHA, AES].map(|cipher| Arm::sealed(Way::Loop, cipher));
    let [chacha_tuned, aes_tuned] = [CHACHA, AES].map(|cipher| Arm::sealed(Way::Tuned, cipher));
    let [chacha_stream, aes_stream] = [CHACHA, AES].map(|cipher| Arm::sealed(Way::Stream, cipher));
    let ratios = [
        ratio("SecureStream / sealed loop, ChaCha20", chacha_stream, chacha_loop, 0.95),
        ratio("SecureStream / sealed loop, AES", aes_stream, aes_loop, 0.95),
        ratio("plain push / raw loop", plain, raw, 1.0),
        ratio("plain push / raw loop, tuned", plain, Arm::plain(Way::Tuned), 0.9),
        ratio("push / sealed loop, ChaCha20", chacha, chacha_loop, 0.95),
        ratio("push / sealed loop, tuned, ChaCha20", chacha, chacha_tuned, 0.85),
        ratio("push / sealed loop, AES", aes, aes_loop, 1.0),
        ratio("push / sealed loop, tuned, AES", aes, aes_tuned, 0.85),
        ratio("push, AES / plain push", aes, plain, 0.80),
        Ratio { what: "push, ChaCha20 / plain push", of: chacha, to: plain, wanted: None },
    ];
    wire::measure("over TCP between two processes", plan, &ratios, &[])
}

fn naive(plan: &Plan) -> anyhow::Result<Figure> {
    let mut ratios = Vec::new();
    for cipher in [CHACHA, AES] {
        let best = Arm::sealed(Way::Loop, cipher);
        for (what, naive) in [
            ("cached cipher / one per record", Naive::Cipher),
            ("one write / three", Naive::Writes),
            ("in place / out of place", Naive::Buffers),
        ] {
            let to = Arm { naive: Some(naive), ..best };
            ratios.push(Ratio { what, of: best, to, wanted: None });
        }
        let (of, to) = (Arm::sealed(Way::Push, cipher), Arm::sealed(Way::Stock, cipher));
        ratios.push(Ratio { what: "push / tonic as it comes", of, to, wanted: None });
    }
    let (of, to) = (Arm::plain(Way::Push), Arm::plain(Way::Stock));
    ratios.push(Ratio { what: "plain push / tonic as it comes", of, to, wanted: None });
    wire::measure("before what was improved", plan, &ratios, &[])
}

fn rekey(plan: &Plan) -> anyhow::Result<Figure> {
    let mut ratios = Vec::new();
    for cipher in [CHACHA, AES] {
        let calm = Arm::sealed(Way::Push, cipher);
        let ratchets = Arm { rekey_bytes: Some(1 << 20), ..calm };
        let folds = Arm { fold_ms: Some(1000), ..calm };
        ratios.push(ratio("rekey every 1 MiB / none", ratchets, calm, 0.95));
        ratios.push(ratio("fold every second / none", folds, calm, 0.98));
    }
    wire::measure("changing keys", plan, &ratios, &[])
}

fn reads(plan: &Plan) -> anyhow::Result<Figure> {
    let ratios = [CHACHA, AES].map(|cipher| {
        let (reads, push) = (Arm::sealed(Way::Reads, cipher), Arm::sealed(Way::File, cipher));
        ratio("ranged reads / push", reads, push, 0.90)
    });
    wire::measure("a file in the page cache, as the daemon serves it", plan, &ratios, &[])
}

fn lanes(plan: &Plan) -> anyhow::Result<Figure> {
    let one = Arm::sealed(Way::Push, AES);
    let far = Arm { far: Some(Far::Narrow), ..one };
    let mut ratios = vec![ratio("4 lanes / 1, far", Arm { lanes: 4, ..far }, far, 3.0)];
    for (what, cipher, lanes) in [
        ("2 lanes / 1, loopback, AES", AES, 2),
        ("4 lanes / 1, loopback, AES", AES, 4),
        ("2 lanes / 1, loopback, ChaCha20", CHACHA, 2),
    ] {
        let to = Arm::sealed(Way::Push, cipher);
        ratios.push(Ratio { what, of: Arm { lanes, ..to }, to, wanted: None });
    }
    let wide = Arm { far: Some(Far::Wide), ..one };
    wire::measure("lanes of a session, and long links", plan, &ratios, &[wide])
}
