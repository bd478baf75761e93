//! The child process behind `ReadMount`: reads a file as an application would,
//! and tells in NDJSON. Both ends of that conversation are here or in
//! [`control`](super::control), so the format is nobody else's.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::Path;
use std::sync::mpsc::sync_channel;

use serde::{Deserialize, Serialize};

use crate::telemetry::clock;

/// Bytes per read(2), unless asked otherwise: what `cp` uses.
pub const READ_BYTES_DEFAULT: u32 = 128 << 10;

/// Most bytes per read(2).
pub const READ_BYTES_MAX: u32 = 16 << 20;

/// Buffers between reading and hashing.
const BUFFERS: usize = 4;

/// At most one line of progress in this time.
const PROGRESS_INTERVAL_NS: u64 = 10_000_000;

/// One line of the reader's standard output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// Bytes so far, and the file's size.
    Progress {
        /// Read so far.
        bytes: u64,
        /// Size when it was opened.
        bytes_total: u64,
    },
    /// The last line.
    Done {
        /// Read in all.
        bytes: u64,
        /// From just before open(2) to the end of the last read(2).
        wall_ns: u64,
        /// From just before open(2) to the end of the first read(2).
        first_byte_ns: u64,
        /// Longest time between the ends of two successive read(2).
        gap_ns_max: u64,
        /// BLAKE3, as hexadecimal digits.
        blake3: String,
    },
}

/// Reads the file at `path` to its end, hashing on a thread beside it, and writes
/// [`Line`]s to `out`, one of them at once when the bytes pass one of `tell_at_bytes`.
/// A file shorter or longer than its size is an error.
pub fn read(
    path: &Path,
    read_bytes: u32,
    tell_at_bytes: &[u64],
    out: &mut impl Write,
) -> io::Result<()> {
    let start_ns = clock::now_ns();
    let mut file = File::open(path)?;
    let bytes_total = file.metadata()?.len();
    let size = usize::try_from(read_bytes).map_err(io::Error::other)?;
    let (full, hashing) = sync_channel::<(Vec<u8>, usize)>(BUFFERS);
    let (empty, spare) = sync_channel::<Vec<u8>>(BUFFERS);
    for _ in 0..BUFFERS {
        // Room for all of them, and the receiver is still here.
        empty.send(vec![0; size]).map_err(io::Error::other)?;
    }
    let hasher = std::thread::spawn(move || {
        let mut hasher = blake3::Hasher::new();
        for (buffer, length) in hashing {
            hasher.update(&buffer[..length]);
            // Nobody reads any more: the last buffers.
            let _ = empty.send(buffer);
        }
        hasher.finalize()
    });
    let (mut bytes, mut first_ns, mut last_ns, mut gap_ns_max) = (0, None, start_ns, 0);
    let mut told_ns = start_ns;
    loop {
        let mut buffer = spare.recv().map_err(io::Error::other)?;
        let length = loop {
            match file.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        let now_ns = clock::now_ns();
        if length == 0 {
            break;
        }
        if first_ns.is_some() {
            gap_ns_max = gap_ns_max.max(now_ns - last_ns);
        }
        first_ns.get_or_insert(now_ns);
        last_ns = now_ns;
        let passing = bytes + 1..=bytes + length as u64;
        let asked = tell_at_bytes.iter().any(|at| passing.contains(at));
        bytes += length as u64;
        full.send((buffer, length)).map_err(io::Error::other)?;
        if asked || now_ns - told_ns >= PROGRESS_INTERVAL_NS {
            told_ns = now_ns;
            tell(out, &Line::Progress { bytes, bytes_total })?;
        }
    }
    drop(full);
    let digest = hasher.join().map_err(|_| io::Error::other("hashing failed"))?;
    if bytes != bytes_total {
        let reason = format!("the file has {bytes_total} bytes, {bytes} were read");
        return Err(io::Error::other(reason));
    }
    let done = Line::Done {
        bytes,
        wall_ns: last_ns - start_ns,
        first_byte_ns: first_ns.map_or(0, |first_ns| first_ns - start_ns),
        gap_ns_max,
        blake3: digest.to_string(),
    };
    tell(out, &done)
}

fn tell(out: &mut impl Write, line: &Line) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")?;
    out.flush()
}
