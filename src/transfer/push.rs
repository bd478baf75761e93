//! Receiving a push: every part in its place, all of one version, none missing.

use bytes::Bytes;
use tokio::time::{Duration, timeout};
use tracing::Span;

use super::direct::Messages;
use super::status::fetch_error;
use super::{FetchError, Version};
use crate::proto::drop as wire;
use crate::telemetry::layers::{Account, Layer};

/// The pure part: which part may come next.
#[derive(Debug)]
pub(super) struct Expected {
    version: Option<Version>,
    next_bytes: u64,
    length_bytes: Option<u64>,
    end_bytes: u64,
}

impl Expected {
    /// A push of `length_bytes` (none: to the end) from `offset_bytes`, of
    /// `version` when that is known before the first part.
    pub(super) fn new(
        version: Option<Version>,
        offset_bytes: u64,
        length_bytes: Option<u64>,
    ) -> Self {
        Self { version, next_bytes: offset_bytes, length_bytes, end_bytes: offset_bytes }
    }

    /// Takes the next part, or says what is wrong with it.
    pub(super) fn accept(&mut self, part: wire::FilePart, first: bool) -> Result<Bytes, String> {
        match (first, part.version) {
            (true, Some(version)) => self.begin(version.into())?,
            (true, None) => return Err("the first part has no version".to_owned()),
            (false, Some(version)) if self.version != Some(version.into()) => {
                return Err("a later part is of another version".to_owned());
            }
            (false, _) => {}
        }
        if part.offset_bytes != self.next_bytes {
            let (got, want) = (part.offset_bytes, self.next_bytes);
            return Err(format!("a part is at {got} instead of {want}"));
        }
        // Without this a peer could keep a pull going for ever.
        if !first && part.data.is_empty() {
            return Err("an empty part after the first".to_owned());
        }
        if part.data.len() as u64 > self.end_bytes - self.next_bytes {
            return Err("more bytes than were asked for".to_owned());
        }
        self.next_bytes += part.data.len() as u64;
        Ok(part.data)
    }

    /// The stream ended; the reason when that was too early.
    pub(super) fn finish(&self, first: bool) -> Result<(), String> {
        if first {
            return Err("the stream ended before its first part".to_owned());
        }
        match self.end_bytes - self.next_bytes {
            0 => Ok(()),
            missing => Err(format!("the stream ended {missing} bytes early")),
        }
    }

    fn begin(&mut self, version: Version) -> Result<(), String> {
        if self.version.is_some_and(|wanted| wanted != version) {
            return Err("the first part is of another version than asked for".to_owned());
        }
        let Some(rest_bytes) = version.size_bytes.checked_sub(self.next_bytes) else {
            return Err("the file ends before the offset asked for".to_owned());
        };
        self.version = Some(version);
        self.end_bytes += self.length_bytes.map_or(rest_bytes, |length| length.min(rest_bytes));
        Ok(())
    }
}

/// A push under way. Dropping it cancels the stream.
#[derive(Debug)]
pub struct Push {
    pub(super) stream: Messages<wire::FilePart>,
    pub(super) expected: Expected,
    pub(super) first: bool,
    pub(super) peer: String,
    pub(super) path: String,
    pub(super) stall_ms: u64,
    pub(super) account: Account,
    /// Ends with the push.
    pub(super) _span: Span,
}

impl Push {
    /// The next bytes, in order; `None` after the last one. Cancel-safe.
    ///
    /// [`FetchError::TimedOut`] when nothing arrives for the stall deadline;
    /// [`FetchError::Failed`] when parts are missing, misplaced or mixed.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        let message = {
            let _grpc = self.account.enter(Layer::Grpc);
            timeout(Duration::from_millis(self.stall_ms), self.stream.message()).await
        };
        let taken = match message {
            Err(_elapsed) => {
                return Err(FetchError::TimedOut {
                    peer: self.peer.clone(),
                    path: self.path.clone(),
                    deadline_ms: self.stall_ms,
                });
            }
            Ok(Err(status)) => return Err(fetch_error(&status, &self.peer, &self.path)),
            Ok(Ok(None)) => self.expected.finish(self.first).map(|()| None),
            Ok(Ok(Some(part))) => self.expected.accept(part, self.first).map(Some),
        };
        self.first = false;
        taken.map_err(|reason| FetchError::Failed {
            peer: self.peer.clone(),
            path: self.path.clone(),
            reason,
        })
    }
}

#[cfg(test)]
mod tests;
