//! What the tests of server and client share.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, MutexGuard, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::api::{Millis, Proxy, ProxySpec, Stream, Toxic};
use super::client::Client;
use super::server::{Options, ServeError, serve};

/// What should come at once comes within this on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Names a server to run the conformance cases against, a stock one for instance,
/// by the URL of its API. All of its proxies are deleted. Unset: the bundled one.
const URL_VARIABLE: &str = "DROPBED_TOXIPROXY_URL";

/// The tests share the server that [`URL_VARIABLE`] names.
static ITS_TURN: Mutex<()> = Mutex::const_new(());

/// What ends a server of this process, and how it ended.
struct Own {
    shutdown: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServeError>>,
}

/// A server under test, ended by [`Self::end`] or with its runtime.
pub(super) struct TestServer {
    pub(super) url: String,
    pub(super) client: Client,
    pub(super) is_bundled: bool,
    own: Option<Own>,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl TestServer {
    /// A bundled one on a free port.
    pub(super) async fn start(options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (shutdown, ended) = oneshot::channel();
        let ended = async { ended.await.unwrap_or(()) };
        let served = tokio::spawn(serve(listener, options, ended));
        let client = Client::new(&url).unwrap();
        Self { client, url, is_bundled: true, own: Some(Own { shutdown, served }), _turn: None }
    }

    /// The server that [`URL_VARIABLE`] names, without proxies; else a bundled one.
    pub(super) async fn conforming() -> Self {
        let Ok(url) = std::env::var(URL_VARIABLE) else {
            return Self::start(Options { seed: 1, ..Options::default() }).await;
        };
        let turn = ITS_TURN.lock().await;
        let client = Client::new(&url).unwrap();
        for name in client.proxies().await.unwrap().keys() {
            client.delete(name).await.unwrap();
        }
        let is_bundled = client.version().await.unwrap().is_bundled;
        Self { client, url, is_bundled, own: None, _turn: Some(turn) }
    }

    pub(super) async fn end(self) {
        if let Some(Own { shutdown, served }) = self.own {
            shutdown.send(()).unwrap();
            served.await.unwrap().unwrap();
        }
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
        connect(&proxy, &upstream).await
    }
}

/// Both ends of a new connection through `proxy`: client, server.
pub(super) async fn connect(proxy: &Proxy, upstream: &TcpListener) -> (TcpStream, TcpStream) {
    let (client, server) = tokio::join!(TcpStream::connect(&proxy.listen), upstream.accept());
    let (client, (server, _)) = (client.unwrap(), server.unwrap());
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    (client, server)
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    Reset,
}

/// Reads to the end: what came, and how it ended.
pub(super) async fn read_to_end(from: &mut TcpStream) -> (Vec<u8>, End) {
    let mut bytes = Vec::new();
    let mut block = [0; 64 * 1024];
    let read = async {
        loop {
            match from.read(&mut block).await {
                Ok(0) => return End::Closed,
                Ok(read) => bytes.extend_from_slice(&block[..read]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return End::Reset,
                Err(error) => panic!("neither closed nor reset: {error}"),
            }
        }
    };
    let end = timeout(PATIENCE, read).await.expect("the connection does not end");
    (bytes, end)
}

/// Reads exactly that many bytes.
pub(super) async fn read_bytes(from: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    timeout(PATIENCE, from.read_exact(&mut bytes)).await.expect("it does not arrive").unwrap();
    bytes
}

/// Fails when anything comes within a time, be it the end.
pub(super) async fn silence(from: &mut TcpStream, ms: u64) {
    let mut byte = [0];
    if let Ok(come) = timeout(Duration::from_millis(ms), from.read(&mut byte)).await {
        panic!("{come:?} came, byte {byte:?}");
    }
}

/// The first `count` bytes of the pattern.
pub(super) fn pattern_bytes(count: usize) -> Vec<u8> {
    (0..count).map(pattern).collect()
}

pub(super) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// As an attribute.
pub(super) fn millis(ms: u64) -> Millis {
    Millis::from_micros(ms * 1_000)
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
    Toxic::latency(stream, Millis::from_micros(us))
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
