//! Receiving a push: every part in its place, all of one version, none missing.
//!
//! Over several lanes a push is as many streams, each with every so-manieth part. They
//! are taken in turn, so that the parts come out in order and nothing has to be kept
//! here: what comes early waits in its lane's HTTP/2 window.

use bytes::Bytes;
use futures::stream;
use tokio::time::{Duration, timeout};
use tonic::{Request, Status};
use tracing::Span;

use super::FetchError;
use super::client::Connection;
use super::direct::{self, Messages};
use super::status::{fetch_error, is_broken};
use crate::proto::drop as wire;
use crate::telemetry::layers::{Account, Layer};
use crate::telemetry::propagate;

mod expected;

pub(super) use expected::{Expected, Stripe};

/// A push under way. Dropping it cancels its streams.
#[derive(Debug)]
pub struct Push {
    asker: Asker,
    /// One for each stream, in the order of their first parts.
    ways: Vec<Way>,
    /// Whose part comes next.
    turn: usize,
    /// Streams that have ended as they should.
    ended: usize,
}

/// One stream of a push.
#[derive(Debug)]
struct Way {
    /// None when it is to be asked for anew.
    parts: Option<Messages<wire::FilePart>>,
    expected: Expected,
    first: bool,
    /// Which of the asker's connections carries it.
    connection: usize,
}

/// Asks for streams.
#[derive(Debug)]
pub(super) struct Asker {
    /// None for one that broke.
    pub(super) connections: Vec<Option<Connection>>,
    /// Those that broke since a part came last.
    pub(super) lost: Vec<Connection>,
    pub(super) peer: String,
    pub(super) path: String,
    pub(super) unary_ms: u64,
    pub(super) stall_ms: u64,
    pub(super) account: Account,
    /// Ends with the push.
    pub(super) span: Span,
}

/// Why a stream gives no part.
enum Failed {
    /// Its connection is gone, or silent for too long.
    Broken(FetchError),
    Else(FetchError),
}

impl Push {
    /// Begins as many streams as are expected, one on each connection.
    pub(super) async fn begin(
        mut asker: Asker,
        expected: Vec<Expected>,
    ) -> Result<Self, FetchError> {
        let asked = expected.iter().enumerate().map(|(connection, expected)| {
            let asker = &asker;
            async move { asker.ask(connection, expected).await }
        });
        let answers = futures::future::join_all(asked).await;
        let mut ways = Vec::with_capacity(expected.len());
        for (connection, (answer, expected)) in answers.into_iter().zip(expected).enumerate() {
            let parts = match answer {
                Ok(parts) => Some(parts),
                Err(Failed::Broken(error)) => {
                    asker.give_up(connection, error)?;
                    None
                }
                Err(Failed::Else(error)) => return Err(error),
            };
            ways.push(Way { parts, expected, first: true, connection });
        }
        Ok(Self { asker, ways, turn: 0, ended: 0 })
    }

    /// Streams that it began as: never more than lanes were asked for, and fewer for a
    /// small file.
    pub const fn streams(&self) -> usize {
        self.ways.len()
    }

    /// The next bytes, in order; `None` after the last one. Cancel-safe. When a lane
    /// breaks, its stream goes on over another one.
    ///
    /// [`FetchError::TimedOut`] when nothing arrives for the stall deadline;
    /// [`FetchError::Failed`] when parts are missing, misplaced or mixed.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        while self.ended < self.ways.len() {
            let way = &mut self.ways[self.turn];
            match way.next(&self.asker).await {
                Ok(Some(data)) => {
                    self.asker.lost.drain(..).for_each(|lane| lane.give_up());
                    self.turn = (self.turn + 1) % self.ways.len();
                    return Ok(Some(data));
                }
                Ok(None) => {
                    self.ended += 1;
                    self.turn = (self.turn + 1) % self.ways.len();
                }
                Err(Failed::Broken(error)) => {
                    way.parts = None;
                    let connection = way.connection;
                    self.asker.give_up(connection, error)?;
                }
                Err(Failed::Else(error)) => return Err(error),
            }
        }
        Ok(None)
    }
}

impl Way {
    async fn next(&mut self, asker: &Asker) -> Result<Option<Bytes>, Failed> {
        let parts = match &mut self.parts {
            Some(parts) => parts,
            None => {
                if !self.first {
                    let Some(rest) = self.expected.rest() else { return Ok(None) };
                    self.expected = rest;
                }
                self.connection = asker.open_connection(self.connection);
                self.first = true;
                self.parts.insert(asker.ask(self.connection, &self.expected).await?)
            }
        };
        let message = {
            let _grpc = asker.account.enter(Layer::Grpc);
            timeout(Duration::from_millis(asker.stall_ms), parts.message()).await
        };
        let message = match message {
            Err(_elapsed) => return Err(Failed::Broken(asker.timed_out(asker.stall_ms))),
            Ok(Err(status)) => return Err(asker.failed_status(&status)),
            Ok(Ok(message)) => message,
        };
        let taken = match message {
            None => self.expected.finish(self.first).map(|()| None),
            Some(part) => self.expected.accept(part, self.first).map(Some),
        };
        self.first = false;
        taken.map_err(|reason| {
            let (peer, path) = (asker.peer.clone(), asker.path.clone());
            Failed::Else(FetchError::Failed { peer, path, reason })
        })
    }
}

impl Asker {
    async fn ask(
        &self,
        connection: usize,
        expected: &Expected,
    ) -> Result<Messages<wire::FilePart>, Failed> {
        let Some(connection) = self.connections.get(connection).cloned().flatten() else {
            let (peer, reason) = (self.peer.clone(), "its lane is gone".to_owned());
            return Err(Failed::Broken(FetchError::Unreachable { peer, reason }));
        };
        let request = expected.request(self.path.clone());
        let mut request = Request::new(stream::iter([request]));
        self.span.in_scope(|| propagate::attach(&mut request));
        let _grpc = self.account.enter(Layer::Grpc);
        let call = direct::call(connection.channel, direct::STREAM_FILE, request);
        match timeout(Duration::from_millis(self.unary_ms), call).await {
            Err(_elapsed) => Err(Failed::Broken(self.timed_out(self.unary_ms))),
            Ok(Err(status)) => Err(self.failed_status(&status)),
            Ok(Ok(parts)) => Ok(parts),
        }
    }

    /// A connection that is not known to be broken, the given one if that is so.
    fn open_connection(&self, wanted: usize) -> usize {
        let count = self.connections.len();
        let mut from_there = (wanted..count).chain(0..wanted);
        from_there.find(|&index| self.connections[index].is_some()).unwrap_or(wanted)
    }

    /// No stream of this push is begun on this connection any more; `error` when it was
    /// the last. Other pushes do without it once a part has come over another one: until
    /// then it may be the peer that says nothing, and not the lane. A peer that says
    /// nothing for just so long costs a lane all the same.
    fn give_up(&mut self, connection: usize, error: FetchError) -> Result<(), FetchError> {
        self.lost.extend(self.connections[connection].take());
        if self.connections.iter().all(Option::is_none) {
            return Err(error);
        }
        tracing::warn!(%error, "a lane is lost; the transfer goes on over the others");
        Ok(())
    }

    fn timed_out(&self, deadline_ms: u64) -> FetchError {
        FetchError::TimedOut { peer: self.peer.clone(), path: self.path.clone(), deadline_ms }
    }

    fn failed_status(&self, status: &Status) -> Failed {
        let error = fetch_error(status, &self.peer, &self.path);
        if is_broken(status) { Failed::Broken(error) } else { Failed::Else(error) }
    }
}
