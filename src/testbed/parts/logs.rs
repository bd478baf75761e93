//! What parts say: live, or of a run that is over.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::watch::Watch;
use super::{Chunk, Part, Stream, VerbError};
use crate::testbed::topology::suggest;

mod container;

pub(super) use container::started;

/// Most bytes told at once, and looked at when lines are counted from the end.
const BLOCK_BYTES: usize = 64 * 1024;

/// From the end of a topology to that of its parts, whose last words are still told.
const LAST_WORDS_DEADLINE: Duration = Duration::from_secs(15);

/// Directory of logs in that of a finished run, and the end of their names.
const DIRECTORY: &str = "logs";
const SUFFIX: &str = ".log";

/// What of a log is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Only the last lines.
    pub(crate) tail: Option<u64>,
    /// Also what comes, until this is cancelled: the topology is over.
    pub(crate) until: Option<CancellationToken>,
}

/// Tells a part's log. Cancel-safe.
pub(crate) async fn tell(
    part: &Part,
    wanted: &Wanted,
    output: &mpsc::Sender<Chunk>,
) -> Result<(), VerbError> {
    match part {
        Part::Process(process) => {
            let Some(over) = &wanted.until else {
                return file(&process.name, &process.log, wanted.tail, None, output).await;
            };
            let last_words = async {
                over.cancelled().await;
                // Past the deadline it says nothing that is waited for.
                let _late = timeout(LAST_WORDS_DEADLINE, part.death()).await;
            };
            let until = Box::pin(last_words);
            file(&process.name, &process.log, wanted.tail, Some(until), output).await
        }
        Part::Container(part) => container::tell(part, wanted, output).await,
        Part::Elsewhere(part) => Err(part.not_ours()),
    }
}

/// Tells a file, and what is added to it before `until`. Cancel-safe.
pub(super) async fn file(
    part: &str,
    path: &Path,
    tail: Option<u64>,
    until: Option<std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>>>,
    output: &mpsc::Sender<Chunk>,
) -> Result<(), VerbError> {
    let failed = |error: io::Error| {
        VerbError::failed(format!("reading the log {}: {error}", path.display()))
    };
    // Before the first read: nothing that comes in between is missed.
    let following = match until {
        Some(until) => Some((Watch::file(path).map_err(failed)?, until)),
        None => None,
    };
    let mut log = std::fs::File::open(path).map_err(failed)?;
    if let Some(lines) = tail {
        seek_to_tail(&mut log, lines).map_err(failed)?;
    }
    let mut log = tokio::fs::File::from_std(log);
    rest(part, &mut log, output).await.map_err(failed)?;
    let Some((watch, mut until)) = following else { return Ok(()) };
    loop {
        let is_over = tokio::select! {
            changed = watch.changed() => changed.map(|()| false).map_err(failed)?,
            () = &mut until => true,
        };
        rest(part, &mut log, output).await.map_err(failed)?;
        if is_over {
            return Ok(());
        }
    }
}

async fn rest(
    part: &str,
    log: &mut tokio::fs::File,
    output: &mpsc::Sender<Chunk>,
) -> io::Result<()> {
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        let length = log.read(&mut block).await?;
        let bytes = block[..length].to_vec();
        let chunk = Chunk { part: part.to_owned(), stream: Stream::Stdout, bytes };
        if length == 0 || output.send(chunk).await.is_err() {
            return Ok(());
        }
    }
}

/// Goes to where the last `lines` begin; a last line without an end is one.
fn seek_to_tail(log: &mut (impl Read + Seek), lines: u64) -> io::Result<()> {
    let length = log.seek(SeekFrom::End(0))?;
    if lines == 0 {
        return Ok(());
    }
    let mut block = vec![0; BLOCK_BYTES];
    let mut end = length;
    let mut left = lines;
    while end > 0 {
        let begin = end.saturating_sub(BLOCK_BYTES as u64);
        let block = &mut block[..usize::try_from(end - begin).expect("at most a block")];
        log.seek(SeekFrom::Start(begin))?;
        log.read_exact(block)?;
        for (index, _) in block.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let after = begin + index as u64 + 1;
            // The end of the last line begins no other.
            if after == length {
                continue;
            }
            left = left.saturating_sub(1);
            if left == 0 {
                return log.seek(SeekFrom::Start(after)).map(|_| ());
            }
        }
        end = begin;
    }
    log.seek(SeekFrom::Start(0)).map(|_| ())
}

/// Logs of a run that is over, by part; those named, or all.
pub(crate) fn finished(
    directory: &Path,
    names: &[String],
) -> Result<Vec<(String, PathBuf)>, VerbError> {
    let logs = directory.join(DIRECTORY);
    let entries = std::fs::read_dir(&logs).map_err(|error| {
        let what = format!("no logs in {}: {error}", logs.display());
        VerbError::lacks(what, "a run saves them at its end; `dropbed ls --all` shows runs")
    })?;
    let mut found: Vec<(String, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().to_str()?.strip_suffix(SUFFIX)?.to_owned();
            Some((name, entry.path()))
        })
        .collect();
    found.sort();
    let known: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        let what = format!("there is no log of `{unknown}` in {}", logs.display());
        return Err(VerbError::input(what, suggest::hint(unknown, &known)));
    }
    if !names.is_empty() {
        found.retain(|(name, _)| names.contains(name));
    }
    Ok(found)
}

/// Tells one of these.
pub(crate) async fn tell_file(
    part: &str,
    path: &Path,
    tail: Option<u64>,
    output: &mpsc::Sender<Chunk>,
) -> Result<(), VerbError> {
    file(part, path, tail, None, output).await
}

#[cfg(test)]
mod tests;
