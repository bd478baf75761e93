//! gRPC as the daemon speaks it, as tonic comes, and what is between.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use dropbed::proto::drop as wire;
use dropbed::proto::drop::drop_client::DropClient;
use dropbed::proto::drop::drop_server::{Drop as Calls, DropServer};
use dropbed::secure::{SecureStream, SessionHandle};
use dropbed::source::Source;
use dropbed::telemetry::layers::Account;
use dropbed::transfer::burst::WireCounter;
use dropbed::transfer::client::{Client, PushRequest};
use dropbed::transfer::direct::Direct;
use dropbed::transfer::limits::{
    self, CHUNK_BYTES_DEFAULT, Deadlines, MESSAGE_BYTES_MAX, PART_BYTES_DEFAULT,
    SMALL_MESSAGE_BYTES_MAX,
};
use dropbed::transfer::service::{Caller, Service};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

use super::arm::{Arm, Way};

/// In flight, as the article's parallel reads.
const READS_DEPTH: usize = 16;

/// File bytes per message of [`Way::Typed`]: with its head it just fits one DATA frame.
/// The daemon's own parts would spill into a second frame here, which tonic would have to
/// put together: this is the best of the typed API that the raw path has to beat.
const TYPED_PART_BYTES: u32 = limits::FRAME_BYTES - HEAD_BYTES_MAX;
/// gRPC's prefix, version, offset and length of a part.
const HEAD_BYTES_MAX: u32 = 64;

/// The file of [`Way::File`] and [`Way::Reads`].
pub(crate) const FILE: &str = "data";

/// Serves all connections until the process ends.
pub(crate) async fn serve<IO>(
    way: Way,
    share: Option<PathBuf>,
    incoming: impl Stream<Item = IO> + Send + 'static,
) -> anyhow::Result<()>
where
    IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    IO::ConnectInfo: Clone + Send + Sync + 'static,
{
    let mut server = if way == Way::Stock { Server::builder() } else { limits::server() };
    let incoming = incoming.map(Ok::<_, std::convert::Infallible>);
    if matches!(way, Way::File | Way::Reads) {
        let source = Source::open(&share.context("a share is needed")?)?;
        let service = Service::server(Arc::new(source), caller, Default::default());
        return Ok(server.add_service(service).serve_with_incoming(incoming).await?);
    }
    let memory = Memory { block: Bytes::from(vec![0x5a; limits::FRAME_BYTES as usize]) };
    if way == Way::Push {
        return Ok(server.add_service(Direct::new(memory)).serve_with_incoming(incoming).await?);
    }
    let service = DropServer::new(memory)
        .max_decoding_message_size(SMALL_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    Ok(server.add_service(service).serve_with_incoming(incoming).await?)
}

fn caller(extensions: &http::Extensions) -> Option<Caller> {
    let handle = extensions.get::<SessionHandle>()?;
    Some(Caller {
        peer: handle.peer_name().to_owned(),
        account: handle.account().clone(),
        received: WireCounter::of(handle.clone()),
    })
}

/// One connection's client.
pub(crate) enum Receiver {
    Daemon(Arm, Client),
    /// tonic's generated one, and the part it asks for; 0: the server's default.
    Tonic(DropClient<Channel>, u32),
}

impl Receiver {
    pub(crate) async fn over<IO>(arm: Arm, io: IO) -> anyhow::Result<Self>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (endpoint, part_bytes) = match arm.way {
            Way::Stock => (Endpoint::from_static("http://sender"), 0),
            Way::Typed => (limits::endpoint(), TYPED_PART_BYTES),
            _ => {
                let deadlines = Deadlines::default();
                let client = Client::over(io, "sender", Account::new(), deadlines).await?;
                return Ok(Self::Daemon(arm, client));
            }
        };
        let mut io = Some(TokioIo::new(io));
        let connector = tower::service_fn(move |_: http::Uri| {
            std::future::ready(io.take().ok_or_else(|| std::io::Error::other("used")))
        });
        let calls = DropClient::new(endpoint.connect_with_connector(connector).await?)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(SMALL_MESSAGE_BYTES_MAX);
        Ok(Self::Tonic(calls, part_bytes))
    }

    /// One more connection of its session.
    pub(crate) async fn widen(&mut self, lane: SecureStream<TcpStream>) -> anyhow::Result<()> {
        let Self::Daemon(_, client) = self else { anyhow::bail!("tonic has no lanes") };
        let handle = lane.handle();
        Ok(client.add_lane(lane, handle).await?)
    }

    /// Fetches so many bytes and discards them.
    pub(crate) async fn receive(&mut self, bytes: u64) -> anyhow::Result<()> {
        let got = match self {
            Self::Daemon(Arm { way: Way::Reads, .. }, client) => reads(client, bytes).await?,
            Self::Daemon(arm, client) => push(client, bytes, arm.lanes).await?,
            Self::Tonic(calls, part_bytes) => typed(calls, bytes, *part_bytes).await?,
        };
        anyhow::ensure!(got == bytes, "{got} of {bytes} bytes came");
        Ok(())
    }
}

/// The memory's file, as long as it is asked for.
fn version(size_bytes: u64) -> wire::Version {
    wire::Version { size_bytes, ..Default::default() }
}

async fn push(client: &Client, bytes: u64, lanes: u8) -> anyhow::Result<u64> {
    let request = PushRequest {
        path: FILE.to_owned(),
        length_bytes: Some(bytes),
        // Lanes share what is known; a file in memory has no other version.
        version: (lanes > 1).then(|| version(bytes).into()),
        lanes_max: lanes.into(),
        ..PushRequest::default()
    };
    let mut push = client.push(request).await?;
    let mut got = 0;
    while let Some(data) = push.next().await? {
        got += data.len() as u64;
    }
    Ok(got)
}

async fn reads(client: &Client, bytes: u64) -> anyhow::Result<u64> {
    use dropbed::transfer::Remote as _;
    let version = client.stat(FILE).await?.version;
    let offsets = (0..bytes).step_by(CHUNK_BYTES_DEFAULT as usize);
    let mut chunks = futures::stream::iter(offsets)
        .map(|offset| client.read(FILE, version, offset, CHUNK_BYTES_DEFAULT))
        .buffered(READS_DEPTH);
    let mut got = 0;
    while let Some(data) = chunks.next().await {
        got += data?.len() as u64;
    }
    Ok(got)
}

async fn typed(
    calls: &mut DropClient<Channel>,
    bytes: u64,
    part_bytes: u32,
) -> anyhow::Result<u64> {
    let request = wire::StreamFileRequest { length_bytes: bytes, part_bytes, ..Default::default() };
    let mut parts = calls.stream_file(request).await?.into_inner();
    let mut got = 0;
    while let Some(part) = parts.message().await? {
        got += part.data.len() as u64;
    }
    Ok(got)
}

/// A file of any length, the same block again and again.
#[derive(Debug)]
struct Memory {
    block: Bytes,
}

type Parts<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl Calls for Memory {
    type ListStream = Parts<wire::ListReply>;
    type StreamFileStream = Parts<wire::FilePart>;
    type ReadStream = Parts<wire::ReadReply>;
    type BurstDownStream = Parts<wire::BurstPart>;

    async fn stream_file(
        &self,
        request: Request<wire::StreamFileRequest>,
    ) -> Result<Response<Self::StreamFileStream>, Status> {
        let request = request.into_inner();
        let (start, end) = (request.offset_bytes, request.offset_bytes + request.length_bytes);
        let version = request.version.unwrap_or_else(|| version(end));
        let block = self.block.clone();
        let part = u64::from(match request.part_bytes {
            0 => PART_BYTES_DEFAULT,
            asked => asked,
        });
        let step = usize::try_from(request.step_bytes.max(part)).unwrap_or(usize::MAX);
        let parts = (start..end).step_by(step).map(move |offset_bytes| {
            let length = usize::try_from((end - offset_bytes).min(part)).unwrap_or(usize::MAX);
            let version = (offset_bytes == start).then_some(version);
            Ok(wire::FilePart { version, offset_bytes, data: block.slice(..length) })
        });
        Ok(Response::new(futures::stream::iter(parts).boxed()))
    }

    async fn list(
        &self,
        _: Request<wire::ListRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        Err(Status::unimplemented("only pushes are measured"))
    }

    async fn stat(
        &self,
        _: Request<wire::StatRequest>,
    ) -> Result<Response<wire::StatReply>, Status> {
        Err(Status::unimplemented("only pushes are measured"))
    }

    async fn read(
        &self,
        _: Request<Streaming<wire::ReadRequest>>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        Err(Status::unimplemented("only pushes are measured"))
    }

    async fn ping(
        &self,
        _: Request<wire::PingRequest>,
    ) -> Result<Response<wire::PingReply>, Status> {
        Err(Status::unimplemented("only pushes are measured"))
    }

    async fn burst_down(
        &self,
        _: Request<wire::BurstRequest>,
    ) -> Result<Response<Self::BurstDownStream>, Status> {
        Err(Status::unimplemented("only pushes are measured"))
    }

    async fn burst_up(
        &self,
        _: Request<Streaming<wire::BurstPart>>,
    ) -> Result<Response<wire::BurstReply>, Status> {
        Err(Status::unimplemented("only pushes are measured"))
    }
}
