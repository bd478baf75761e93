//! Rungs 0 to 2: what never leaves the process.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt as _;

use anyhow::Context as _;
use clap::ValueEnum as _;
use dropbed::secure::establish::{Terms, accept, connect};
use dropbed::secure::{Identity, PeerId, Provider, RekeyLimits, Suite, SuiteChoice};
use dropbed::telemetry::layers::Account;

use super::aead::{Cipher, Key};
use super::clock::{NS_PER_S, now_ns};
use super::report::{Figure, Plan};
use super::sample::{random, shuffle};
use super::session;

const ROUNDS: u32 = 6;
const ROUNDS_QUICK: u32 = 2;
const BYTES: u64 = 256 << 20;
const BYTES_QUICK: u64 = 64 << 20;
/// Twice a record, so that a writer need not wait for its reader.
const PIPE_BYTES: usize = 1 << 20;
const BLOCK_BYTES: usize = 256 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rung {
    Memcpy,
    Disk,
    Seal(Cipher),
    Open(Cipher),
    Pipe(Suite),
}

impl Rung {
    fn name(self) -> String {
        match self {
            Self::Memcpy => "memcpy".to_owned(),
            Self::Disk => "read of a file in the page cache".to_owned(),
            Self::Seal(cipher) => format!("seal in place, {}", cipher.name()),
            Self::Open(cipher) => format!("open in place, {}", cipher.name()),
            Self::Pipe(suite) => format!("SecureStream through a pipe in memory, {suite}"),
        }
    }
}

pub(crate) fn measure(plan: &Plan) -> anyhow::Result<Figure> {
    let bytes = plan.size(BYTES, BYTES_QUICK);
    let mut bench = Bench::new(bytes)?;
    let ciphers = Cipher::value_variants();
    let mut rungs = vec![Rung::Memcpy, Rung::Disk];
    rungs.extend(ciphers.iter().flat_map(|&cipher| [Rung::Seal(cipher), Rung::Open(cipher)]));
    rungs.extend(Suite::ALL.map(Rung::Pipe));
    let mut samples = vec![Vec::new(); rungs.len()];
    // The first round warms up and is not kept.
    for round in 0..=plan.rounds(ROUNDS, ROUNDS_QUICK) {
        let mut order: Vec<usize> = (0..rungs.len()).collect();
        shuffle(&mut order, &mut random(plan.seed, round));
        for index in order {
            let took_s = bench.run(rungs[index])?;
            if round > 0 {
                samples[index].push(took_s * 1e9 / bytes as f64);
            }
        }
    }
    let mut figure = Figure::new("in one thread, without a network");
    for (rung, samples) in rungs.iter().zip(&samples) {
        figure.row(rung.name(), "s/GB", samples, None);
    }
    compare(&mut figure, &rungs, &samples);
    figure.note(format!("{} MiB in blocks of {} KiB", bytes >> 20, BLOCK_BYTES >> 10));
    figure.note("ratios are of rates, in the same round");
    Ok(figure)
}

/// What is left of the rate of the rung below.
fn compare(figure: &mut Figure, rungs: &[Rung], samples: &[Vec<f64>]) {
    let of = |wanted: Rung| {
        let found = rungs.iter().zip(samples).find(|(rung, _)| **rung == wanted);
        found.expect("every rung is measured").1
    };
    for (cipher, suite) in [
        (Cipher::Chacha, Some(Suite::ChaCha20Poly1305)),
        (Cipher::ChachaCrate, None),
        (Cipher::Aes, Some(Suite::Aes256Gcm)),
    ] {
        let name = cipher.name();
        let (seal, open) = (of(Rung::Seal(cipher)), of(Rung::Open(cipher)));
        let both: Vec<f64> = seal.iter().zip(open).map(|(seal, open)| seal + open).collect();
        let what = format!("seal and open / memcpy, {name}");
        figure.row(what, "ratio", &rates(&both, of(Rung::Memcpy)), None);
        if let Some(suite) = suite {
            let what = format!("SecureStream through a pipe / seal and open, {name}");
            figure.row(what, "ratio", &rates(of(Rung::Pipe(suite)), &both), None);
        }
    }
}

/// One rung's rates by another's, from what a byte takes.
fn rates(of: &[f64], to: &[f64]) -> Vec<f64> {
    of.iter().zip(to).map(|(of_s, to_s)| to_s / of_s).collect()
}

struct Bench {
    bytes: u64,
    from: Vec<u8>,
    to: Vec<u8>,
    file: File,
}

impl Bench {
    fn new(bytes: u64) -> anyhow::Result<Self> {
        let file = tempfile::tempfile().context("cannot make a file to read")?;
        let from = vec![0x5a; BLOCK_BYTES];
        for offset in (0..bytes).step_by(BLOCK_BYTES) {
            file.write_all_at(&from, offset).context("cannot write the file to read")?;
        }
        Ok(Self { bytes, to: vec![0; BLOCK_BYTES], from, file })
    }

    /// Seconds of all bytes.
    fn run(&mut self, rung: Rung) -> anyhow::Result<f64> {
        let mut offsets = (0..self.bytes).step_by(BLOCK_BYTES);
        match rung {
            Rung::Memcpy => timed(|| {
                offsets.for_each(|_| black_box(&mut self.to).copy_from_slice(&self.from));
                Ok(())
            }),
            Rung::Disk => timed(|| {
                for offset in offsets {
                    self.file.read_exact_at(black_box(&mut self.to), offset)?;
                }
                Ok(())
            }),
            Rung::Seal(cipher) => {
                let key = Key::new(cipher)?;
                timed(|| offsets.try_for_each(|at| key.seal(at, &mut self.to).map(|_| ())))
            }
            Rung::Open(cipher) => {
                let key = Key::new(cipher)?;
                // Each opening needs a block that was sealed; only it is timed.
                let mut took_s = 0.0;
                for at in offsets {
                    let tag = key.seal(at, &mut self.to)?;
                    took_s += timed(|| key.open(at, &mut self.to, tag))?;
                }
                Ok(took_s)
            }
            Rung::Pipe(suite) => pipe(suite, self.bytes),
        }
    }
}

fn timed(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let began_ns = now_ns();
    work()?;
    Ok((now_ns() - began_ns) as f64 / NS_PER_S as f64)
}

/// Both ends in one thread: sealing and opening take turns.
fn pipe(suite: Suite, bytes: u64) -> anyhow::Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async {
        let (here, there) = tokio::io::duplex(PIPE_BYTES);
        let terms = || Terms {
            rekey: RekeyLimits::default(),
            suites: SuiteChoice::Only(suite),
            provider: Provider::default(),
            handshake_deadline_ms: 10_000,
            stall_deadline_ms: 60_000,
            account: Account::new(),
            complaints: Default::default(),
        };
        let (dialler, acceptor) = (Identity::generate()?, Identity::generate()?);
        let known = |_: &PeerId| Some("dialler".to_owned());
        let (dialled, accepted) = tokio::join!(
            connect(here, &dialler, acceptor.id(), "acceptor", terms()),
            accept(there, &acceptor, &known, &|_| None, terms()),
        );
        let mut dialled = dialled?;
        let accepted = accepted.map_err(|rejected| rejected.error)?;
        let sending = tokio::spawn(session::send(accepted));
        let began_ns = now_ns();
        session::receive(&mut dialled, bytes).await?;
        let took_s = (now_ns() - began_ns) as f64 / NS_PER_S as f64;
        drop(dialled);
        sending.await??;
        Ok(took_s)
    })
}
