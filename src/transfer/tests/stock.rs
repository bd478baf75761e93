//! What goes over the wire is gRPC: ends that know nothing of `direct` speak it.

use tonic::transport::Endpoint;

use super::*;
use crate::proto::drop as wire;
use crate::proto::drop::drop_client::DropClient;
use crate::proto::drop::drop_server::DropServer;
use crate::transfer::direct::Direct;

const SIZE_BYTES: u64 = 3_000_001;

fn service(share: &Path) -> Service {
    let find = |_: &http::Extensions| {
        let received = WireCounter::new(|| 0);
        Some(Caller { peer: "reader".to_owned(), account: Account::new(), received })
    };
    Service::new(Arc::new(Source::open(share).unwrap()), find, Default::default())
}

#[tokio::test]
async fn a_stock_client_reads_what_we_send() {
    let share = tempfile::tempdir().unwrap();
    let digest = write_sample(share.path(), "f", SIZE_BYTES);
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let incoming = futures::stream::iter([Ok::<_, std::io::Error>(far)]);
    let service = Direct::new(service(share.path()));
    tokio::spawn(limits::server().add_service(service).serve_with_incoming(incoming));
    let mut near = Some(hyper_util::rt::TokioIo::new(near));
    let connector = tower::service_fn(move |_: http::Uri| {
        std::future::ready(near.take().ok_or_else(|| std::io::Error::other("used")))
    });
    let endpoint = Endpoint::from_static("http://peer");
    let mut client = DropClient::new(endpoint.connect_with_connector(connector).await.unwrap());

    let request = wire::StreamFileRequest { path: "f".to_owned(), ..Default::default() };
    let mut pushed = client.stream_file(request).await.unwrap().into_inner();
    let (mut hasher, mut version) = (blake3::Hasher::new(), None);
    while let Some(part) = pushed.message().await.unwrap() {
        hasher.update(&part.data);
        version = version.or(part.version);
    }
    assert_eq!(hasher.finalize(), digest);

    let request = wire::ReadRequest {
        path: "f".to_owned(),
        length_bytes: u32::try_from(SIZE_BYTES).unwrap(),
        version,
        ..Default::default()
    };
    let replies = client.read(futures::stream::iter([request])).await.unwrap();
    let reply = replies.into_inner().message().await.unwrap().unwrap();
    assert_eq!(blake3::hash(&reply.data), digest);
    let missing = wire::StreamFileRequest { path: "g".to_owned(), ..Default::default() };
    assert_eq!(client.stream_file(missing).await.unwrap_err().code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn we_read_what_a_stock_server_sends() {
    let share = tempfile::tempdir().unwrap();
    let digest = write_sample(share.path(), "f", SIZE_BYTES);
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let incoming = futures::stream::iter([Ok::<_, std::io::Error>(far)]);
    let service = DropServer::new(service(share.path()));
    let server = tonic::transport::Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(incoming));
    let deadlines = Deadlines::default();
    let client = Client::over(near, "peer", Account::new(), deadlines).await.unwrap();

    let path = "f".to_owned();
    let request = client::PushRequest { path, ..Default::default() };
    let mut push = client.push(request).await.unwrap();
    let mut hasher = blake3::Hasher::new();
    while let Some(data) = push.next().await.unwrap() {
        hasher.update(&data);
    }
    assert_eq!(hasher.finalize(), digest);

    let version = client.stat("f").await.unwrap().version;
    let length_bytes = u32::try_from(SIZE_BYTES).unwrap();
    let data = Remote::read(&client, "f", version, 0, length_bytes).await.unwrap();
    assert_eq!(blake3::hash(&data), digest);
}
