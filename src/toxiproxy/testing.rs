//! What the tests of server and client share.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::api::{Proxy, ProxySpec, Stream, Toxic};
use super::client::Client;
use super::server::{Options, ServeError, serve};

/// A bundled server on a free port, ended by [`Self::end`] or with its runtime.
pub(super) struct TestServer {
    pub(super) url: String,
    pub(super) client: Client,
    shutdown: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServeError>>,
}

impl TestServer {
    pub(super) async fn start(options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (shutdown, ended) = oneshot::channel();
        let ended = async { ended.await.unwrap_or(()) };
        let served = tokio::spawn(serve(listener, options, ended));
        Self { client: Client::new(&url).unwrap(), url, shutdown, served }
    }

    pub(super) async fn end(self) {
        self.shutdown.send(()).unwrap();
        self.served.await.unwrap().unwrap();
    }

    /// A proxy `p` in front of a new listener, with these toxics.
    pub(super) async fn proxy(&self, toxics: &[Toxic]) -> (Proxy, TcpListener) {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let spec = spec("p", &upstream.local_addr().unwrap());
        (self.client.create_shaped(&spec, toxics).await.unwrap(), upstream)
    }

    /// Both ends of a connection through such a proxy: client, server.
    pub(super) async fn connection(&self, toxics: &[Toxic]) -> (TcpStream, TcpStream) {
        let (proxy, upstream) = self.proxy(toxics).await;
        let (client, server) = tokio::join!(TcpStream::connect(&proxy.listen), upstream.accept());
        let (client, (server, _)) = (client.unwrap(), server.unwrap());
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        (client, server)
    }
}

pub(super) fn spec(name: &str, upstream: &SocketAddr) -> ProxySpec {
    ProxySpec {
        name: name.to_owned(),
        listen: "127.0.0.1:0".to_owned(),
        upstream: upstream.to_string(),
        enabled: None,
    }
}

pub(super) fn latency(stream: Stream, us: u64) -> Toxic {
    Toxic::latency(stream, super::api::Millis::from_micros(us))
}

/// The byte at `position` of the test stream; its period is prime, so a shift or
/// a swap of blocks shows.
pub(super) fn pattern(position: usize) -> u8 {
    u8::try_from(position % 251).unwrap()
}

/// Writes `bytes` of the pattern in pieces of `piece`, then closes the side.
pub(super) async fn send_pattern(
    mut to: impl tokio::io::AsyncWrite + Unpin,
    bytes: usize,
    piece: usize,
) {
    let mut position = 0;
    while position < bytes {
        let block: Vec<u8> = (position..bytes.min(position + piece)).map(pattern).collect();
        to.write_all(&block).await.unwrap();
        position += block.len();
    }
    to.shutdown().await.unwrap();
}

/// Reads to the end and checks every byte. Returns how many there were.
pub(super) async fn receive_pattern(mut from: impl tokio::io::AsyncRead + Unpin) -> usize {
    let (mut position, mut block) = (0, vec![0; 64 * 1024]);
    loop {
        let read = from.read(&mut block).await.unwrap();
        if read == 0 {
            return position;
        }
        for &byte in &block[..read] {
            assert_eq!(byte, pattern(position), "at byte {position}");
            position += 1;
        }
    }
}
