//! The channel under its real user: tonic, which polls as HTTP/2 does.

use std::sync::Mutex;

use futures::stream::{self, BoxStream};
use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

use super::*;
use crate::proto::drop as wire;
use crate::sample::Sample;
use crate::secure::SessionHandle;
use wire::drop_client::DropClient;
use wire::drop_server::{Drop, DropServer};

const SEED: u64 = 8;
const FILE_BYTES: u64 = 24 << 20;

/// Serves one sample to whoever asks, and notes in which session.
struct Share(Arc<Mutex<Option<SessionHandle>>>);

#[tonic::async_trait]
impl Drop for Share {
    type ListStream = BoxStream<'static, Result<wire::ListReply, Status>>;
    type StreamFileStream = BoxStream<'static, Result<wire::FilePart, Status>>;
    type ReadStream = BoxStream<'static, Result<wire::ReadReply, Status>>;
    type BurstDownStream = BoxStream<'static, Result<wire::BurstPart, Status>>;

    async fn list(
        &self,
        _: Request<wire::ListRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        Err(Status::unimplemented("not in this test"))
    }

    async fn stat(
        &self,
        _: Request<wire::StatRequest>,
    ) -> Result<Response<wire::StatReply>, Status> {
        Err(Status::unimplemented("not in this test"))
    }

    async fn stream_file(
        &self,
        request: Request<wire::StreamFileRequest>,
    ) -> Result<Response<Self::StreamFileStream>, Status> {
        *self.0.lock().unwrap() = request.extensions().get::<SessionHandle>().cloned();
        let parts = stream::unfold(Sample::new(SEED, FILE_BYTES), |mut sample| async {
            let data = sample.next_block()?.to_vec();
            Some((Ok(wire::FilePart { data: data.into(), ..Default::default() }), sample))
        });
        Ok(Response::new(parts.boxed()))
    }

    async fn read(
        &self,
        _: Request<Streaming<wire::ReadRequest>>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        Err(Status::unimplemented("not in this test"))
    }

    async fn ping(
        &self,
        request: Request<wire::PingRequest>,
    ) -> Result<Response<wire::PingReply>, Status> {
        Ok(Response::new(wire::PingReply { payload: request.into_inner().payload }))
    }

    async fn burst_down(
        &self,
        _: Request<wire::BurstRequest>,
    ) -> Result<Response<Self::BurstDownStream>, Status> {
        Err(Status::unimplemented("not in this test"))
    }

    async fn burst_up(
        &self,
        _: Request<Streaming<wire::BurstPart>>,
    ) -> Result<Response<wire::BurstReply>, Status> {
        Err(Status::unimplemented("not in this test"))
    }
}

/// A channel over one session.
async fn channel(session: SecureStream<TcpStream>) -> Channel {
    let session = Mutex::new(Some(TokioIo::new(session)));
    let connector = tower::service_fn(move |_: http::Uri| {
        let session = session.lock().unwrap().take();
        async move { session.ok_or_else(|| io::Error::other("one session, one connection")) }
    });
    Endpoint::from_static("http://peer").connect_with_connector(connector).await.unwrap()
}

#[tokio::test]
async fn grpc_runs_through_rekeys_and_ends_with_a_close() {
    let (daemon, sessions) = Daemon::start().await;
    let served_in = Arc::new(Mutex::new(None));
    let share = DropServer::new(Share(Arc::clone(&served_in)));
    let incoming = sessions.map(Ok::<_, Infallible>);
    let server = tokio::spawn(Server::builder().add_service(share).serve_with_incoming(incoming));

    let dialled = daemon.dial().await.unwrap();
    let here = dialled.handle();
    let mut client = DropClient::new(channel(dialled).await).max_decoding_message_size(2 << 20);
    let mut parts = client.stream_file(wire::StreamFileRequest::default()).await.unwrap();
    let mut hasher = blake3::Hasher::new();
    while let Some(part) = parts.get_mut().message().await.unwrap() {
        hasher.update(&part.data);
        here.request_rekey();
    }
    assert_eq!(hasher.finalize(), Sample::digest(SEED, FILE_BYTES));
    let there = served_in.lock().unwrap().take().expect("the request carries its session");
    assert_eq!((there.peer_name(), there.dialled()), ("dialler", false));
    assert!(there.counters().plain_bytes_sent > FILE_BYTES);

    // Nothing is under way now, and the session still moves when asked.
    let (sent, received) = here.epochs();
    assert!(sent > 0 && received > 0);
    there.request_rekey();
    here.epochs_beyond(sent, received).await;
    let payload = vec![1];
    let reply = client.ping(wire::PingRequest { payload: payload.clone().into() }).await.unwrap();
    assert_eq!(reply.into_inner().payload, payload);

    // The client hangs up, and both ends know that the session is over.
    drop(parts);
    drop(client);
    there.closed().await;
    here.closed().await;
    server.abort();
}
