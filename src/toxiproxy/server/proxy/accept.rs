//! A proxy's listener: bind, accept, dial.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::super::api::{Effect, Toxic};
use super::super::link::{ConnectionSeed, Link};
use super::super::meter::{ConnectionMeter, OpenConnection, ProxyMeter};
use super::super::refusal::Refusal;
use super::super::registry::Shared;
use super::super::toxics::{Followed, LiveToxic};

/// Connections of one proxy at a time; more wait in the kernel's backlog. Each
/// takes two descriptors, and up to six while it is busy.
const CONNECTIONS_MAX: usize = 16 * 1024;
/// A dial that takes longer has lost its SYN three times.
const DIAL_DEADLINE: Duration = Duration::from_secs(10);
/// A listen name is resolved within this; other API calls wait meanwhile.
const RESOLVE_DEADLINE: Duration = Duration::from_secs(5);
/// Pause after a failed accept: it fails when descriptors are used up, and
/// nothing tells when one is free again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Everything that a listener's tasks need.
#[derive(Clone, Debug)]
pub(super) struct Acceptor {
    pub(super) proxy: String,
    pub(super) upstream: String,
    pub(super) toxics: Followed,
    pub(super) meter: Arc<ProxyMeter>,
    pub(super) shared: Shared,
    pub(super) tasks: TaskTracker,
    pub(super) cut: CancellationToken,
}

impl Acceptor {
    /// Accepts until cut. The listener is closed when this returns.
    pub(super) async fn run(self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let shared = Arc::new(self);
        let cut = shared.cut.clone();
        let accept_all = async {
            loop {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                match listener.accept().await {
                    Ok((client, address)) => {
                        let everywhere = Arc::clone(&shared.shared.places);
                        let Ok(place_of_server) = everywhere.acquire_owned().await else { return };
                        let place = [place, place_of_server];
                        let tasks = &shared.tasks;
                        let connection = shared.meter.open(address);
                        tasks.spawn(Arc::clone(&shared).serve(client, connection, place));
                    }
                    Err(error) => {
                        tracing::warn!(proxy = shared.proxy, %error, "cannot accept");
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        cut.run_until_cancelled(accept_all).await;
    }

    async fn serve(
        self: Arc<Self>,
        client: TcpStream,
        connection: OpenConnection,
        _places: [OwnedSemaphorePermit; 2],
    ) {
        self.cut.run_until_cancelled(self.connect(client, &connection)).await;
    }

    async fn connect(&self, client: TcpStream, connection: &ConnectionMeter) {
        let seed = ConnectionSeed::new(self.shared.seed, &self.proxy, connection.ordinal());
        let mut toxics = self.toxics.clone();
        wait_to_dial(&mut toxics, &seed).await;
        let server = match self.dial().await {
            Ok(server) => server,
            Err(error) => {
                self.meter.dial_failed();
                let (proxy, upstream) = (&self.proxy, &self.upstream);
                tracing::warn!(proxy, upstream, %error, "cannot dial upstream");
                return;
            }
        };
        for socket in [&client, &server] {
            // Fails only on a socket that is gone already.
            let _ = socket.set_nodelay(true);
        }
        let link = Link { meter: connection, toxics, seed, pool: &self.shared.pool };
        link.carry(&client, &server).await;
    }

    async fn dial(&self) -> io::Result<TcpStream> {
        match timeout(DIAL_DEADLINE, TcpStream::connect(&self.upstream)).await {
            Ok(result) => result,
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no answer within {} s", DIAL_DEADLINE.as_secs()),
            )),
        }
    }
}

/// Waits as long as the `slow_connect` toxics say, which may change meanwhile.
async fn wait_to_dial(toxics: &mut Followed, seed: &ConnectionSeed) {
    let accepted = Instant::now();
    loop {
        let delay = dial_delay(&toxics.borrow_and_update(), seed);
        if delay.is_zero() {
            return;
        }
        tokio::select! {
            // The delay itself is what was asked for.
            () = sleep_until(accepted + delay) => return,
            Ok(()) = toxics.changed() => {}
        }
    }
}

fn dial_delay(live: &[LiveToxic], seed: &ConnectionSeed) -> Duration {
    let acts = |toxic: &Toxic| seed.lot(toxic.stream, &toxic.name) < toxic.toxicity;
    let acting = live.iter().map(|live| &live.toxic).filter(|toxic| acts(toxic));
    let mut delay = Duration::ZERO;
    for toxic in acting {
        match toxic.effect {
            Effect::SlowConnect { delay: more } => delay += Duration::from_nanos(more.as_nanos()),
            // It is to be reset now, and not after its dial.
            Effect::Reset => return Duration::ZERO,
            _ => {}
        }
    }
    delay
}

/// Listens on `listen`, IPv4 first where a name has both. Without a host: on all
/// addresses. An empty string: on any port of them.
pub(super) async fn bind(listen: &str) -> Result<(TcpListener, SocketAddr), Refusal> {
    let refuse = |why: String| Refusal::CannotListen { listen: listen.to_owned(), why };
    let target = match listen {
        "" => "[::]:0".to_owned(),
        _ if listen.starts_with(':') => format!("[::]{listen}"),
        _ => listen.to_owned(),
    };
    let found = timeout(RESOLVE_DEADLINE, lookup_host(&target)).await;
    let mut addresses: Vec<SocketAddr> = match found {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => return Err(refuse(error.to_string())),
        Err(_) => return Err(refuse("the name was not resolved in time".to_owned())),
    };
    addresses.sort_by_key(SocketAddr::is_ipv6);
    let mut why = "the name has no address".to_owned();
    for address in addresses {
        let bound = TcpListener::bind(address).await;
        match bound.and_then(|listener| listener.local_addr().map(|local| (listener, local))) {
            Ok(bound) => return Ok(bound),
            Err(error) => why = error.to_string(),
        }
    }
    Err(refuse(why))
}
