//! Ranged reads over one bidirectional stream, matched by id.
//!
//! A task owns the stream. Requests reach it by a bounded channel, answers leave
//! by one-shots, so nobody holds a lock while waiting, and a caller that goes
//! away costs no more than its answer being dropped.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Duration, Instant, sleep_until};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status};

use super::direct::{self, Messages};
use super::limits::{DEPTH_MAX, READ_IN_FLIGHT_MAX};
use super::plain::Plain;
use super::status::{coded_error, fetch_error, unreachable};
use super::{FetchError, Version};
use crate::proto::drop as wire;
use crate::telemetry::propagate;

/// One ranged read.
#[derive(Clone, Debug)]
pub(super) struct Range {
    pub(super) path: String,
    pub(super) version: Version,
    pub(super) offset_bytes: u64,
    pub(super) length_bytes: u32,
}

/// A handle on a stream of reads. When the last clone and the last read are
/// gone, the stream is cancelled.
#[derive(Clone, Debug)]
pub(super) struct Reads {
    asks: mpsc::Sender<Ask>,
    peer: String,
}

#[derive(Debug)]
struct Ask {
    request: wire::ReadRequest,
    reply: oneshot::Sender<Result<bytes::Bytes, FetchError>>,
    range: Range,
}

impl Reads {
    /// Opens a stream. Failures to open it are those of the reads.
    pub(super) fn open(channel: Plain, peer: &str, stall_ms: u64) -> Self {
        let (asks, incoming) = mpsc::channel(DEPTH_MAX as usize);
        let task = Task {
            peer: peer.to_owned(),
            stall: Duration::from_millis(stall_ms),
            incoming,
            pending: BTreeMap::new(),
            overtaken: 0,
            next_id: 0,
            deadline: Instant::now(),
        };
        let mut call = Request::new(());
        // Here and not in the task, which runs in no span.
        propagate::attach(&mut call);
        tokio::spawn(task.run(channel, call));
        Self { asks, peer: peer.to_owned() }
    }

    /// Whether the stream has ended, so that a new one must be opened.
    pub(super) fn is_closed(&self) -> bool {
        self.asks.is_closed()
    }

    /// Reads one range. Bounded by the stall deadline for each answer ahead of
    /// it; dropping the future gives the answer up.
    pub(super) async fn read(self, range: Range) -> Result<bytes::Bytes, FetchError> {
        let request = wire::ReadRequest {
            id: 0,
            path: range.path.clone(),
            offset_bytes: range.offset_bytes,
            length_bytes: range.length_bytes,
            version: Some(range.version.into()),
            traceparent: propagate::inject_current().unwrap_or_default(),
        };
        let (reply, answer) = oneshot::channel();
        let gone = || unreachable(&self.peer, "the stream of reads ended");
        self.asks.send(Ask { request, reply, range }).await.map_err(|_| gone())?;
        // `self` lives until the answer: the task ends when nobody can want one.
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

/// The owner of one stream.
struct Task {
    peer: String,
    stall: Duration,
    incoming: mpsc::Receiver<Ask>,
    /// By id, so in the order in which they were asked.
    pending: BTreeMap<u64, Ask>,
    /// Answers that came before that of the oldest one.
    overtaken: usize,
    next_id: u64,
    /// When silence becomes a stall; means nothing while nothing is pending. Answers do
    /// not move it any more when [`READ_IN_FLIGHT_MAX`] of them, all that a peer works on
    /// at a time, have overtaken the oldest read: that one may have been left out.
    deadline: Instant,
}

/// Why the stream is over.
enum End {
    Unwanted,
    Status(Status),
    Closed,
    Stalled,
    Nonsense(String),
}

impl Task {
    async fn run(mut self, channel: Plain, call: Request<()>) {
        let end = self.pump(channel, call).await;
        self.incoming.close();
        let mut left: Vec<Ask> = std::mem::take(&mut self.pending).into_values().collect();
        while let Some(ask) = self.incoming.recv().await {
            left.push(ask);
        }
        for ask in left {
            let error = self.error(&end, &ask.range.path);
            // Who dropped the read does not want to know.
            let _ = ask.reply.send(Err(error));
        }
    }

    async fn pump(&mut self, channel: Plain, call: Request<()>) -> End {
        // Holds every request in flight, so that sending never waits.
        let (requests, outgoing) = mpsc::channel(DEPTH_MAX as usize);
        let call = call.map(|()| ReceiverStream::new(outgoing));
        let mut opening = std::pin::pin!(direct::call(channel, direct::READ, call));
        let mut replies: Option<Messages<wire::ReadReply>> = None;
        loop {
            let idle = self.pending.is_empty();
            let message = async {
                match replies.as_mut() {
                    Some(replies) => Ok(Received::Reply(replies.message().await?)),
                    None => Ok(Received::Opened(opening.as_mut().await?)),
                }
            };
            tokio::select! {
                received = message => match received {
                    Ok(Received::Opened(stream)) => replies = Some(stream),
                    Ok(Received::Reply(Some(reply))) => {
                        if !self.is_withheld(reply.id) {
                            self.deadline = Instant::now() + self.stall;
                        }
                        if let Err(reason) = self.answer(reply) {
                            return End::Nonsense(reason);
                        }
                    }
                    Ok(Received::Reply(None)) => return End::Closed,
                    Err(status) => return End::Status(status),
                },
                ask = self.incoming.recv(), if self.pending.len() < DEPTH_MAX as usize => {
                    let Some(ask) = ask else { return End::Unwanted };
                    if idle {
                        self.deadline = Instant::now() + self.stall;
                    }
                    if !self.request(&requests, ask) {
                        return End::Closed;
                    }
                }
                () = sleep_until(self.deadline), if !idle => return End::Stalled,
            }
        }
    }

    /// Sends one request; false when the stream no longer takes any.
    fn request(&mut self, requests: &mpsc::Sender<wire::ReadRequest>, ask: Ask) -> bool {
        let id = self.next_id;
        self.next_id += 1;
        let request = wire::ReadRequest { id, ..ask.request.clone() };
        self.pending.insert(id, ask);
        requests.try_send(request).is_ok()
    }

    /// Counts an answer; whether the oldest one is still withheld after it.
    fn is_withheld(&mut self, answered: u64) -> bool {
        let oldest = self.pending.first_key_value().is_none_or(|(id, _)| *id == answered);
        self.overtaken = if oldest { 0 } else { self.overtaken + 1 };
        self.overtaken > READ_IN_FLIGHT_MAX
    }

    /// Hands a reply to whom it belongs; the reason when it belongs to nobody.
    fn answer(&mut self, reply: wire::ReadReply) -> Result<(), String> {
        let Some(ask) = self.pending.remove(&reply.id) else {
            return Err(format!("it answered a read that was not asked for (id {})", reply.id));
        };
        let result = self.check(reply, &ask.range);
        // Who dropped the read does not want it.
        let _ = ask.reply.send(result);
        Ok(())
    }

    fn check(&self, reply: wire::ReadReply, range: &Range) -> Result<bytes::Bytes, FetchError> {
        let code = i32::try_from(reply.code).map_or(Code::Unknown, Code::from_i32);
        if code != Code::Ok {
            return Err(coded_error(code, &reply.message, &self.peer, &range.path));
        }
        let rest_bytes = range.version.size_bytes.saturating_sub(range.offset_bytes);
        let length_bytes = rest_bytes.min(u64::from(range.length_bytes));
        let wrong = if reply.version.map(Version::from) != Some(range.version) {
            "it answered with another version"
        } else if reply.offset_bytes != range.offset_bytes {
            "it answered with another offset"
        } else if reply.data.len() as u64 != length_bytes {
            "it answered with another length"
        } else {
            return Ok(reply.data);
        };
        Err(self.failed(&range.path, wrong))
    }

    fn error(&self, end: &End, path: &str) -> FetchError {
        match end {
            End::Unwanted | End::Closed => unreachable(&self.peer, "the stream of reads ended"),
            End::Status(status) => fetch_error(status, &self.peer, path),
            End::Nonsense(reason) => self.failed(path, reason),
            End::Stalled => FetchError::TimedOut {
                peer: self.peer.clone(),
                path: path.to_owned(),
                deadline_ms: u64::try_from(self.stall.as_millis()).unwrap_or(u64::MAX),
            },
        }
    }

    fn failed(&self, path: &str, reason: &str) -> FetchError {
        FetchError::Failed {
            peer: self.peer.clone(),
            path: path.to_owned(),
            reason: reason.to_owned(),
        }
    }
}

/// What the stream yields: itself, once, then replies.
enum Received {
    Opened(Messages<wire::ReadReply>),
    Reply(Option<wire::ReadReply>),
}
