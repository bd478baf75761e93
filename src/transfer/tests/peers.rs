//! A share that is served over TCP, and a session with it that can have lanes.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use crate::net::{self, Listener, SessionOptions};
use crate::secure::{Identity, PeerId, SecureStream, SessionHandle};

/// A share that is served, and a session with it.
pub(super) struct Peers {
    pub(super) client: Client,
    pub(super) session: SessionHandle,
    pub(super) identity: Identity,
    pub(super) address: String,
    pub(super) options: SessionOptions,
    deadlines: Deadlines,
}

impl Peers {
    pub(super) async fn connect(share: &Path) -> Self {
        Self::connect_with(share, Deadlines::default()).await
    }

    pub(super) async fn connect_with(share: &Path, deadlines: Deadlines) -> Self {
        let (identity, server) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let (reader, id, options) = (identity.id(), server.id(), SessionOptions::default());
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_address().to_string();
        let known = move |id: &PeerId| (*id == reader).then(|| "reader".to_owned());
        let incoming = listener.incoming(Arc::new(server), Arc::new(known), options.clone());
        let find = |extensions: &http::Extensions| {
            let handle = extensions.get::<SessionHandle>()?.clone();
            let (peer, account) = (handle.peer_name().to_owned(), handle.account().clone());
            Some(Caller { peer, account, received: WireCounter::of(handle) })
        };
        let source = Arc::new(Source::open(share).unwrap());
        let service = Service::server(source, find, Default::default());
        tokio::spawn(limits::server().add_service(service).serve_with_incoming(incoming));
        let (client, session) = session(&address, id, &identity, &options, deadlines).await;
        Self { client, session, identity, address, options, deadlines }
    }

    /// Another session in place of this one, over `address`.
    pub(super) async fn dial_over(&mut self, address: &str) {
        let id = self.session.peer_id();
        (self.client, self.session) =
            session(address, id, &self.identity, &self.options, self.deadlines).await;
    }

    pub(super) async fn lane_over(&self, address: &str) -> SecureStream<TcpStream> {
        net::join(address, &self.session, &self.identity, &self.options).await.unwrap()
    }

    pub(super) async fn add_lane_over(&self, address: &str) -> SessionHandle {
        let lane = self.lane_over(address).await;
        let handle = lane.handle();
        self.client.add_lane(lane, handle.clone()).await.unwrap();
        handle
    }

    /// A push of the file `f` over at most so many connections.
    pub(super) async fn push(&self, lanes: u8, part_bytes: u32) -> client::Push {
        let version = self.client.stat("f").await.unwrap().version;
        let request = client::PushRequest {
            path: "f".to_owned(),
            version: Some(version),
            part_bytes: Some(part_bytes),
            lanes_max: lanes.into(),
            ..Default::default()
        };
        self.client.push(request).await.unwrap()
    }
}

async fn session(
    address: &str,
    id: PeerId,
    identity: &Identity,
    options: &SessionOptions,
    deadlines: Deadlines,
) -> (Client, SessionHandle) {
    let account = Account::new();
    let dialled = net::dial(address, "sharer", id, identity, options, account.clone());
    let stream = dialled.await.unwrap();
    let handle = stream.handle();
    let client = Client::over(stream, "sharer", account, deadlines).await.unwrap();
    // After its answer the other end has the session.
    client.ping().await.unwrap();
    (client, handle)
}

/// Carries one connection to `to` until it is aborted.
pub(super) async fn relay(to: String) -> (String, JoinHandle<()>) {
    relay_up_to(to, u64::MAX).await
}

/// The same, but carries no more than so many bytes back: then it is silent that way, and
/// stays open.
pub(super) async fn relay_up_to(to: String, bytes_max: u64) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let carrying = tokio::spawn(async move {
        let (mut here, _) = listener.accept().await.unwrap();
        let mut there = TcpStream::connect(to).await.unwrap();
        let (mut from_here, mut to_here) = here.split();
        let (from_there, mut to_there) = there.split();
        let mut from_there = from_there.take(bytes_max);
        // How it ends is the ends' affair.
        let forth = async {
            let _ = tokio::io::copy(&mut from_here, &mut to_there).await;
            let _ = to_there.shutdown().await;
        };
        let back = async {
            let _ = tokio::io::copy(&mut from_there, &mut to_here).await;
            if from_there.limit() == 0 {
                std::future::pending::<()>().await;
            }
            let _ = to_here.shutdown().await;
        };
        tokio::join!(forth, back);
    });
    (address, carrying)
}
