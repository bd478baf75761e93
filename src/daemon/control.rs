//! Local control: what `control.proto` says, on a unix socket or TCP.

use std::sync::Arc;

use futures::stream::BoxStream;
use tokio::time::{Duration, timeout};
use tonic::{Request, Response, Status};

use super::core::{Core, counters, together};
use super::peers::PeerEntry;
use super::session::{PeerSession, Session};
use crate::proto::control as wire;
use crate::proto::control::control_server::Control as Calls;
use crate::telemetry::clock;
use crate::telemetry::names::attribute;
use crate::transfer::{FileKind, spans};

mod access;
mod files;
mod mount_read;
mod probe;
mod progress;
mod pull;
mod rekeys;

pub use access::{ControlError, bind_tcp, bind_unix, read_token};
pub(crate) use access::{Guard, serve};

/// Longest wait for both directions to change their key: a round trip, behind
/// the data that is under way.
const REKEY_DEADLINE: Duration = Duration::from_secs(30);

/// Most pings in one call.
const PINGS_MAX: u32 = 10_000;

type Events = BoxStream<'static, Result<wire::TransferEvent, Status>>;

/// The service of one daemon.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    core: Arc<Core>,
    /// The caller is the daemon's own user: on the unix socket.
    is_local: bool,
}

impl Control {
    pub(crate) fn new(core: Arc<Core>, is_local: bool) -> Self {
        Self { core, is_local }
    }

    fn peer(&self, name: &str) -> Result<Arc<PeerSession>, Status> {
        self.core.peers.find(name).ok_or_else(|| no_peer(name))
    }

    async fn session(&self, peer: &str) -> Result<Session, Status> {
        Ok(self.peer(peer)?.session().await?)
    }

    fn peer_statuses(&self) -> Vec<wire::PeerStatus> {
        let statuses = self.core.peers.all().into_iter().map(|peer| wire::PeerStatus {
            name: peer.entry().name.clone(),
            id: peer.entry().id.to_string(),
            address: peer.entry().address.clone().unwrap_or_default(),
            connected: peer.current().is_some(),
            last_error: peer.last_error(),
        });
        statuses.collect()
    }
}

#[tonic::async_trait]
impl Calls for Control {
    type PullStream = Events;
    type ReadMountStream = Events;

    async fn status(
        &self,
        _: Request<wire::StatusRequest>,
    ) -> Result<Response<wire::StatusReply>, Status> {
        let core = &self.core;
        let mount = core.config.mount.as_ref();
        Ok(Response::new(wire::StatusReply {
            name: core.config.name.clone(),
            id: core.id.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            listen_address: core.listen_address.clone(),
            share_dir: core.source.directory().display().to_string(),
            mount_dir: mount.map(|mount| mount.display().to_string()).unwrap_or_default(),
            // The daemon does not start without the mount it was asked for.
            mounted: mount.is_some(),
            uptime_ms: (clock::now_ns() - core.started_ns) / 1_000_000,
            process_id: std::process::id(),
            peers: self.peer_statuses(),
        }))
    }

    async fn add_peer(
        &self,
        request: Request<wire::AddPeerRequest>,
    ) -> Result<Response<wire::AddPeerReply>, Status> {
        let wire::AddPeerRequest { name, id, address } = request.into_inner();
        let id = id
            .parse()
            .map_err(|error| Status::invalid_argument(format!("peer id `{id}`: {error}")))?;
        let address = Some(address).filter(|address| !address.is_empty());
        self.core
            .add_peer(PeerEntry { name, id, address })
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        Ok(Response::new(wire::AddPeerReply {}))
    }

    async fn peers(
        &self,
        _: Request<wire::PeersRequest>,
    ) -> Result<Response<wire::PeersReply>, Status> {
        Ok(Response::new(wire::PeersReply { peers: self.peer_statuses() }))
    }

    async fn list(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Result<Response<wire::ListReply>, Status> {
        let wire::ListRequest { peer, path } = request.into_inner();
        let entries = self.session(&peer).await?.client.list(&path).await?;
        let entries = entries.into_iter().map(|entry| wire::ListEntry {
            name: entry.name,
            directory: entry.kind == FileKind::Directory,
            size_bytes: entry.version.size_bytes,
            mtime_s: entry.version.mtime_s,
        });
        Ok(Response::new(wire::ListReply { entries: entries.collect() }))
    }

    async fn pull(
        &self,
        request: Request<wire::PullRequest>,
    ) -> Result<Response<Self::PullStream>, Status> {
        self.start_pull(request)
    }

    async fn read_mount(
        &self,
        request: Request<wire::ReadMountRequest>,
    ) -> Result<Response<Self::ReadMountStream>, Status> {
        self.start_mount_read(request)
    }

    async fn rekey(
        &self,
        request: Request<wire::RekeyRequest>,
    ) -> Result<Response<wire::RekeyReply>, Status> {
        let wire::RekeyRequest { peer: name, fold } = request.into_inner();
        let handle = self.session(&name).await?.handle;
        let span = spans::rekey(&name);
        let (sent, received) = handle.epochs();
        let folds = handle.folds();
        if fold {
            handle.request_fold();
        } else {
            handle.request_rekey();
        }
        let moved = async {
            tokio::select! {
                () = handle.folds_beyond(folds), if fold => Ok(()),
                () = handle.epochs_beyond(sent, received), if !fold => Ok(()),
                () = handle.closed() => Err(Status::unavailable("the session ended meanwhile")),
            }
        };
        timeout(REKEY_DEADLINE, moved).await.map_err(|_| {
            Status::deadline_exceeded(format!("the keys did not change within {REKEY_DEADLINE:?}"))
        })??;
        let (epoch_sent, epoch_received) = handle.epochs();
        span.record(attribute::EPOCH_SENT, epoch_sent);
        span.record(attribute::EPOCH_RECEIVED, epoch_received);
        let folds = handle.folds();
        Ok(Response::new(wire::RekeyReply { epoch_sent, epoch_received, folds }))
    }

    async fn ping(
        &self,
        request: Request<wire::PingRequest>,
    ) -> Result<Response<wire::PingReply>, Status> {
        let wire::PingRequest { peer, count } = request.into_inner();
        if count > PINGS_MAX {
            return Err(Status::invalid_argument(format!("at most {PINGS_MAX} pings at once")));
        }
        probe::ping(&self.session(&peer).await?, count).await.map(Response::new)
    }

    async fn burst(
        &self,
        request: Request<wire::BurstRequest>,
    ) -> Result<Response<wire::BurstReply>, Status> {
        let request = request.into_inner();
        let session = self.session(&request.peer).await?;
        probe::burst(&session, &request).await.map(Response::new)
    }

    async fn sessions(
        &self,
        _: Request<wire::SessionsRequest>,
    ) -> Result<Response<wire::SessionsReply>, Status> {
        Ok(Response::new(wire::SessionsReply { sessions: self.core.sessions() }))
    }

    async fn make_sample(
        &self,
        request: Request<wire::MakeSampleRequest>,
    ) -> Result<Response<wire::MakeSampleReply>, Status> {
        files::make_sample(&self.core, request.into_inner()).await.map(Response::new)
    }

    async fn digest(
        &self,
        request: Request<wire::DigestRequest>,
    ) -> Result<Response<wire::DigestReply>, Status> {
        files::digest(&self.core, request.into_inner()).await.map(Response::new)
    }

    async fn discard(
        &self,
        request: Request<wire::DiscardRequest>,
    ) -> Result<Response<wire::DiscardReply>, Status> {
        files::discard(&self.core, request.into_inner()).await.map(Response::new)
    }

    async fn flush_telemetry(
        &self,
        _: Request<wire::FlushTelemetryRequest>,
    ) -> Result<Response<wire::FlushTelemetryReply>, Status> {
        if let Some(telemetry) = &self.core.telemetry {
            let flushed = telemetry.flush().await;
            flushed.map_err(|error| Status::unavailable(error.to_string()))?;
        }
        Ok(Response::new(wire::FlushTelemetryReply {}))
    }

    async fn stop(
        &self,
        _: Request<wire::StopRequest>,
    ) -> Result<Response<wire::StopReply>, Status> {
        self.core.stop.cancel();
        Ok(Response::new(wire::StopReply {}))
    }

    async fn remove_peer(
        &self,
        request: Request<wire::RemovePeerRequest>,
    ) -> Result<Response<wire::RemovePeerReply>, Status> {
        let name = request.into_inner().name;
        if !self.core.remove_peer(&name).await {
            return Err(no_peer(&name));
        }
        Ok(Response::new(wire::RemovePeerReply {}))
    }
}

fn no_peer(name: &str) -> Status {
    Status::not_found(format!("no peer is called `{name}`; `dropd peers` lists them"))
}

/// The counters of a session now, all its connections together, for a transfer's before and after.
fn snapshot(session: &Session) -> Option<wire::SessionCounters> {
    session.handles().iter().map(counters).reduce(together)
}
