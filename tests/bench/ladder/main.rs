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
use wire::{Ratio, SECONDS};

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
/// across what is wanted, or there are fewer than six rounds.
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
    /// Rungs 3 and 4: record layer and gRPC over TCP, against loops, tonic's typed API and
    /// the other provider
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

/// Between two folds: four times as often as the figure is asked for, so that a transfer
/// of a second has a few.
const FOLD_MS: u64 = 250;
const SECONDS_OF_KEYS: f64 = 1.0;

/// A MiB of a file, which is two records, and the heads in them: under a MiB sharp the
/// second record would get a key of its own.
const REKEY_BYTES: u64 = (1 << 20) + (8 << 10);

const CHACHA: Cipher = Cipher::Chacha;
const AES: Cipher = Cipher::Aes;

fn ratio(what: impl Into<String>, of: Arm, to: Arm, wanted: f64) -> Ratio {
    Ratio { wanted: Some(wanted), ..shown(what, of, to) }
}

/// One of which nothing is wanted.
fn shown(what: impl Into<String>, of: Arm, to: Arm) -> Ratio {
    Ratio { what: what.into(), of, to, wanted: None }
}

fn rungs(plan: &Plan) -> anyhow::Result<Figure> {
    let ways = [Way::Loop, Way::Tuned, Way::Stream, Way::Push, Way::Typed];
    let [raw, raw_tuned, _, plain, typed] = ways.map(Arm::plain);
    let mut ratios = vec![
        ratio("plain push / raw loop", plain, raw, 1.0),
        ratio("plain push / raw loop, tuned", plain, raw_tuned, 0.9),
        shown("push / typed tonic with our limits, plain", plain, typed),
    ];
    for (cipher, of_loop) in [(CHACHA, 0.95), (AES, 1.0)] {
        let name = cipher.name();
        let [sealed, tuned, stream, push, typed] = ways.map(|way| Arm::sealed(way, cipher));
        ratios.extend([
            shown(format!("sealed loop / raw loop, {name}"), sealed, raw),
            ratio(format!("SecureStream / sealed loop, {name}"), stream, sealed, 0.95),
            shown(format!("gRPC push / SecureStream, {name}"), push, stream),
            ratio(format!("push / sealed loop, {name}"), push, sealed, of_loop),
            ratio(format!("push / sealed loop, tuned, {name}"), push, tuned, 0.85),
            shown(format!("push / typed tonic with our limits, {name}"), push, typed),
        ]);
    }
    ratios.push(ratio("push, AES / plain push", Arm::sealed(Way::Push, AES), plain, 0.80));
    ratios.push(shown("push, ChaCha20 / plain push", Arm::sealed(Way::Push, CHACHA), plain));
    for (what, way) in [("push", Way::Push), ("SecureStream", Way::Stream)] {
        let [aws_lc, of_crate] =
            [CHACHA, Cipher::ChachaCrate].map(|cipher| Arm::sealed(way, cipher));
        ratios.push(shown(format!("{what}, ChaCha20, AWS-LC / crate"), aws_lc, of_crate));
    }
    wire::measure("over TCP between two processes", plan, SECONDS, &ratios, &[])
}

fn naive(plan: &Plan) -> anyhow::Result<Figure> {
    let mut ratios = Vec::new();
    for cipher in [CHACHA, AES] {
        let name = cipher.name();
        let best = Arm::sealed(Way::Loop, cipher);
        for (what, naive) in [
            ("cached cipher / one per record", Naive::Cipher),
            ("one write / three", Naive::Writes),
            ("in place / out of place", Naive::Buffers),
        ] {
            let to = Arm { naive: Some(naive), ..best };
            ratios.push(shown(format!("{what}, {name}"), best, to));
        }
        let (of, to) = (Arm::sealed(Way::Push, cipher), Arm::sealed(Way::Stock, cipher));
        ratios.push(shown(format!("push / tonic as it comes, {name}"), of, to));
    }
    let (of, to) = (Arm::plain(Way::Push), Arm::plain(Way::Stock));
    ratios.push(shown("push / tonic as it comes, plain", of, to));
    wire::measure("before what was improved", plan, SECONDS, &ratios, &[])
}

fn rekey(plan: &Plan) -> anyhow::Result<Figure> {
    let mut ratios = Vec::new();
    for cipher in [CHACHA, AES] {
        let name = cipher.name();
        let calm = Arm::sealed(Way::Push, cipher);
        let ratchets = Arm { rekey_bytes: Some(REKEY_BYTES), ..calm };
        let folds = Arm { fold_ms: Some(FOLD_MS), ..calm };
        ratios.push(ratio(format!("rekey every 1 MiB / none, {name}"), ratchets, calm, 0.95));
        ratios.push(ratio(format!("fold every {FOLD_MS} ms / none, {name}"), folds, calm, 0.98));
    }
    wire::measure("changing keys", plan, SECONDS_OF_KEYS, &ratios, &[])
}

fn reads(plan: &Plan) -> anyhow::Result<Figure> {
    let ratios = [CHACHA, AES].map(|cipher| {
        let (reads, push) = (Arm::sealed(Way::Reads, cipher), Arm::sealed(Way::File, cipher));
        ratio(format!("ranged reads / push, {}", cipher.name()), reads, push, 0.90)
    });
    wire::measure("a file in the page cache, as the daemon serves it", plan, SECONDS, &ratios, &[])
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
        ratios.push(shown(what, Arm { lanes, ..to }, to));
    }
    let wide = Arm { far: Some(Far::Wide), ..one };
    wire::measure("lanes of a session, and long links", plan, SECONDS, &ratios, &[wide])
}
