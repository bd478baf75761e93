//! The control service: what the contract requires, and a refusal for the rest.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use dropbed::proto::control::control_server::Control;
use dropbed::proto::control::destination::To;
use dropbed::proto::control::digest_request::File as Which;
use dropbed::proto::control::{self as wire, transfer_event::Event};
use dropbed::telemetry::clock::now_ns;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::files::Files;
use crate::link::{self, Ask};

mod pull;

type Answer<T> = Result<Response<T>, Status>;
/// Progress that waits for a slow controller; the rest of it is left out.
const EVENTS_MAX: usize = 4;

type Events = BoxStream<'static, Result<wire::TransferEvent, Status>>;

/// The peer as its controller sees it.
#[derive(Debug)]
pub(crate) struct Reference {
    name: String,
    listen_address: String,
    files: Arc<Files>,
    /// Where to dial whom.
    peers: Mutex<HashMap<String, String>>,
}

impl Reference {
    pub(crate) fn new(name: String, listen_address: String, files: Arc<Files>) -> Self {
        Self { name, listen_address, files, peers: Mutex::default() }
    }

    async fn dial(&self, peer: &str) -> Result<TcpStream, Status> {
        let address = self.peers.lock().unwrap_or_else(PoisonError::into_inner).get(peer).cloned();
        let address = address.ok_or_else(|| Status::not_found(format!("no peer {peer}")))?;
        let stream = TcpStream::connect(&address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        Ok(stream)
    }
}

#[tonic::async_trait]
impl Control for Reference {
    type PullStream = Events;
    type ReadMountStream = Events;

    async fn status(&self, _: Request<wire::StatusRequest>) -> Answer<wire::StatusReply> {
        let reply = wire::StatusReply {
            name: self.name.clone(),
            // Whoever dials is served, so a name does for an identity.
            id: format!("reference-{}", self.name),
            listen_address: self.listen_address.clone(),
            ..wire::StatusReply::default()
        };
        Ok(Response::new(reply))
    }

    async fn add_peer(&self, request: Request<wire::AddPeerRequest>) -> Answer<wire::AddPeerReply> {
        let wire::AddPeerRequest { name, address, .. } = request.into_inner();
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).insert(name, address);
        Ok(Response::new(wire::AddPeerReply {}))
    }

    async fn make_sample(
        &self,
        request: Request<wire::MakeSampleRequest>,
    ) -> Answer<wire::MakeSampleReply> {
        let wire::MakeSampleRequest { path, seed, size_bytes, entropy } = request.into_inner();
        if !matches!(
            wire::Entropy::try_from(entropy),
            Ok(wire::Entropy::Unspecified | wire::Entropy::Random)
        ) {
            return Err(absent("an entropy other than random"));
        }
        let digest = self.files.make(&path, seed, size_bytes).await.map_err(failed)?;
        Ok(Response::new(wire::MakeSampleReply { blake3: digest.as_bytes().to_vec() }))
    }

    async fn ping(&self, request: Request<wire::PingRequest>) -> Answer<wire::PingReply> {
        let wire::PingRequest { peer, count } = request.into_inner();
        let mut reply = wire::PingReply::default();
        let mut started_ns = now_ns();
        let (read, mut write) = self.dial(&peer).await?.into_split();
        let mut read = BufReader::new(read);
        for _ in 0..count {
            link::ask(&mut write, Ask { path: "", offset: 0, length: 0 }).await.map_err(failed)?;
            link::answer(&mut read).await.map_err(failed)?;
            let answered_ns = now_ns();
            reply.rtt_ns.push(answered_ns - started_ns);
            started_ns = answered_ns;
        }
        Ok(Response::new(reply))
    }

    async fn pull(&self, request: Request<wire::PullRequest>) -> Answer<Self::PullStream> {
        let request = request.into_inner();
        if !request.rekey_at_bytes.is_empty() {
            return Err(absent("rekey_at_bytes"));
        }
        if request.lanes > 1 {
            return Err(absent("lanes"));
        }
        let to = match request.destination.as_ref().and_then(|destination| destination.to.as_ref())
        {
            Some(To::HashOnly(true)) => None,
            Some(To::Download(name)) => Some(self.files.download(name).map_err(failed)?),
            _ => return Err(absent("a destination other than hash_only or download")),
        };
        let stream = self.dial(&request.peer).await?;
        let (events, told) = mpsc::channel(EVENTS_MAX);
        tokio::spawn(async move {
            let done = pull::pull(stream, &request, to, &events).await;
            let done = done.map_err(failed);
            // A controller that went away wants no result.
            let _ = events.send(done.map(|done| event(Event::Done(done)))).await;
        });
        Ok(Response::new(ReceiverStream::new(told).boxed()))
    }

    async fn digest(&self, request: Request<wire::DigestRequest>) -> Answer<wire::DigestReply> {
        let path = match request.into_inner().file {
            Some(Which::Share(path)) => self.files.shared(&path),
            Some(Which::Download(name)) => self.files.download(&name),
            None => return Err(Status::invalid_argument("no file to digest")),
        };
        let (size_bytes, digest) = Files::digest(&path.map_err(failed)?).await.map_err(failed)?;
        Ok(Response::new(wire::DigestReply { size_bytes, blake3: digest.as_bytes().to_vec() }))
    }

    async fn discard(&self, request: Request<wire::DiscardRequest>) -> Answer<wire::DiscardReply> {
        let path = self.files.download(&request.into_inner().download).map_err(failed)?;
        tokio::fs::remove_file(path).await.map_err(failed)?;
        Ok(Response::new(wire::DiscardReply {}))
    }

    async fn peers(&self, _: Request<wire::PeersRequest>) -> Answer<wire::PeersReply> {
        Err(absent("Peers"))
    }

    async fn list(&self, _: Request<wire::ListRequest>) -> Answer<wire::ListReply> {
        Err(absent("List"))
    }

    async fn read_mount(&self, _: Request<wire::ReadMountRequest>) -> Answer<Events> {
        Err(absent("ReadMount"))
    }

    async fn rekey(&self, _: Request<wire::RekeyRequest>) -> Answer<wire::RekeyReply> {
        Err(absent("Rekey"))
    }

    async fn burst(&self, _: Request<wire::BurstRequest>) -> Answer<wire::BurstReply> {
        Err(absent("Burst"))
    }

    async fn sessions(&self, _: Request<wire::SessionsRequest>) -> Answer<wire::SessionsReply> {
        Err(absent("Sessions"))
    }

    async fn flush_telemetry(
        &self,
        _: Request<wire::FlushTelemetryRequest>,
    ) -> Answer<wire::FlushTelemetryReply> {
        Err(absent("FlushTelemetry"))
    }

    async fn stop(&self, _: Request<wire::StopRequest>) -> Answer<wire::StopReply> {
        Err(absent("Stop"))
    }

    async fn remove_peer(
        &self,
        _: Request<wire::RemovePeerRequest>,
    ) -> Answer<wire::RemovePeerReply> {
        Err(absent("RemovePeer"))
    }
}

fn event(event: Event) -> wire::TransferEvent {
    wire::TransferEvent { event: Some(event) }
}

/// What the contract leaves open, and this peer out.
fn absent(what: &str) -> Status {
    Status::unimplemented(format!("the reference peer has no {what}"))
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn failed(error: io::Error) -> Status {
    Status::aborted(error.to_string())
}
