//! The only place that wires a daemon together, and takes it apart again.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use futures::StreamExt as _;
use futures::future::join_all;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Duration, timeout};
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tokio_util::sync::CancellationToken;

use super::admitted::Admitted;
use super::config::{Config, ControlListen};
use super::control::{self, Control, ControlError, Guard};
use super::core::{Accepted, Core};
use super::peers::{AddError, Peers};
use super::session::Dialler;
use crate::fs::{FileSystem, Owner, Shares};
use crate::fuse::{Mount, MountError, Options, Readers};
use crate::net::{ListenError, Listener, SessionOptions};
use crate::secure::{Identity, IdentityError, PeerId, SessionHandle};
use crate::source::{OpenError, Source};
use crate::telemetry::clock;
use crate::telemetry::setup::Telemetry;
use crate::transfer::burst::WireCounter;
use crate::transfer::limits::{self, Deadlines};
use crate::transfer::pull::remove_partials;
use crate::transfer::service::{Caller, Service};

/// The identity within the state directory.
const IDENTITY_FILE: &str = "identity";

/// How long sessions and calls may take to end.
pub(super) const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The control address.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The identity file.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Peers could read what is private, or what other peers share with us.
    #[error(
        "{} lies within the share {}, so peers could read it; keep them apart",
        inner.display(),
        share.display()
    )]
    Inside {
        /// The state directory or the mount.
        inner: PathBuf,
        /// The share.
        share: PathBuf,
    },
    /// The peers' address.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The mount.
    #[error("{source}; without --mount and DROPD_MOUNT the daemon runs without a mount")]
    Mount {
        /// What went wrong.
        source: MountError,
    },
    /// A peer in the file.
    #[error(transparent)]
    Peer(#[from] AddError),
    /// The share.
    #[error(transparent)]
    Share(#[from] OpenError),
    /// The state directory.
    #[error("{}: cannot use the state directory: {source}", path.display())]
    State {
        /// Which directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl StartError {
    /// 2: what was configured cannot be; 3: this machine lacks something; 1: else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Inside { .. } | Self::Peer(_) | Self::Share(OpenError::Directory { .. }) => 2,
            Self::Control(ControlError::Token { .. }) => 2,
            Self::Control(_) | Self::Listen(_) | Self::Mount { .. } | Self::Share(_) => 3,
            Self::Identity(_) | Self::State { .. } => 1,
        }
    }
}

/// A running daemon. Dropping it ends everything at once; [`Daemon::close`] does
/// it properly.
#[derive(Debug)]
pub struct Daemon {
    pub(super) core: Arc<Core>,
    mount: Option<Mount>,
    servers: JoinSet<()>,
    control_socket: Option<PathBuf>,
}

impl Daemon {
    /// Starts everything; returns when peers and control can connect.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running or mounted then.
    pub async fn start(
        config: Config,
        telemetry: Option<Arc<Telemetry>>,
    ) -> Result<Self, StartError> {
        let identity = Arc::new(identity(&config)?);
        let source = Arc::new(Source::open(&config.share)?);
        refuse_inside_share(&config)?;
        let options = SessionOptions {
            rekey: config.rekey,
            suites: config.suites,
            provider: config.provider,
            ..SessionOptions::default()
        };
        let listener = Listener::bind(&config.listen).await?;
        let dialler = Dialler {
            identity: Arc::clone(&identity),
            options: options.clone(),
            deadlines: Deadlines::default(),
        };
        let cut = CancellationToken::new();
        let core = Arc::new(Core {
            id: identity.id(),
            listen_address: listener.local_address().to_string(),
            started_ns: clock::now_ns(),
            source,
            peers: Peers::new(dialler, cut.clone()),
            shares: Shares::new(),
            readers: Readers::new(),
            telemetry,
            accepted: Accepted::default(),
            changing: Mutex::default(),
            stop: CancellationToken::new(),
            cut,
            config,
        });
        for peer in core.config.peers.clone() {
            core.add_peer(peer)?;
        }
        let mut servers = JoinSet::new();
        serve_peers(&mut servers, &core, listener, identity, options);
        let mut daemon = Self { core, mount: None, servers, control_socket: None };
        daemon.mount = daemon.mount().map_err(|source| StartError::Mount { source })?;
        // Last: who gets an answer may read through the mount.
        daemon.control_socket = serve_control(&mut daemon.servers, &daemon.core).await?;
        Ok(daemon)
    }

    /// Its id, for its peers' configuration.
    pub fn id(&self) -> PeerId {
        self.core.id
    }

    /// Where peers can dial, with the real port.
    pub fn listen_address(&self) -> &str {
        &self.core.listen_address
    }

    /// Resolves when `Stop` was called. Cancel-safe.
    pub async fn stopped(&self) {
        self.core.stop.cancelled().await;
    }

    /// Unmounts, closes the sessions with an authenticated close, and ends.
    pub async fn close(mut self) {
        // First: what peers wait for ends with a word, and nothing new is asked for.
        self.core.stop.cancel();
        let mut sessions = self.core.handles();
        if let Some(mount) = self.mount.take()
            && let Err(error) = mount.unmount().await
        {
            tracing::error!(%error, "the mount stays behind");
        }
        let peers = self.core.peers.all();
        let closed = join_all(peers.iter().map(|peer| peer.close()));
        let ended = async { while self.servers.join_next().await.is_some() {} };
        let (_, ended) = tokio::join!(closed, timeout(CLOSE_DEADLINE, ended));
        if ended.is_err() {
            tracing::warn!("sessions are still in use and are cut off");
        }
        // The connections have tasks of their own, which outlive the servers', and a dial
        // may have been under way. Peers are told good-bye, as far as they listen.
        sessions.extend(self.core.handles());
        self.core.cut(&sessions).await;
    }

    fn mount(&self) -> Result<Option<Mount>, MountError> {
        let Some(directory) = &self.core.config.mount else { return Ok(None) };
        let shares = self.core.shares.clone();
        let files = FileSystem::new(shares, Owner::of_process(), SystemTime::now());
        let options = Options::new(&self.core.config.name);
        let readers = self.core.readers.clone();
        Mount::start(directory, Arc::new(files), Handle::current(), readers, options).map(Some)
    }
}

/// The identity file must not be served, nor the shares of others: the kernel
/// confines paths to the share, and both would be in it.
fn refuse_inside_share(config: &Config) -> Result<(), StartError> {
    // What cannot be resolved fails by itself, with its own words.
    let Ok(share) = config.share.canonicalize() else { return Ok(()) };
    for inner in [Some(&config.state), config.mount.as_ref()].into_iter().flatten() {
        // A dead mount does not resolve; its parent does.
        let parent = || inner.parent().map_or_else(|| inner.canonicalize(), Path::canonicalize);
        if inner.canonicalize().or_else(|_| parent()).is_ok_and(|path| path.starts_with(&share)) {
            return Err(StartError::Inside { inner: inner.clone(), share });
        }
    }
    Ok(())
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Connections have tasks that do not go with the servers.
        self.core.stop.cancel();
        self.core.cut.cancel();
        if let Some(socket) = &self.control_socket {
            // Somebody may have removed it, which is as good.
            let _ = fs::remove_file(socket);
        }
    }
}

/// The identity in `config.state`, made when there is none.
pub fn identity(config: &Config) -> Result<Identity, StartError> {
    fs::create_dir_all(&config.state)
        .map_err(|source| StartError::State { path: config.state.clone(), source })?;
    Ok(Identity::load_or_create(&config.state.join(IDENTITY_FILE))?)
}

fn serve_peers(
    servers: &mut JoinSet<()>,
    core: &Arc<Core>,
    listener: Listener,
    identity: Arc<Identity>,
    options: SessionOptions,
) {
    let peers = core.peers.clone();
    let known = Arc::new(move |id: &PeerId| peers.name_of(id));
    let (accepted, peers) = (core.accepted.clone(), core.peers.clone());
    let incoming = listener.incoming(identity, known, options).filter_map(move |session| {
        let Ok(session) = session;
        // One that was forgotten since its handshake is not served.
        let handle = session.handle();
        let admitted = peers.forgotten(&handle.peer_id()).map(|forgotten| {
            let cut = accepted.add(handle.clone(), &forgotten);
            let complaints = Arc::clone(&accepted.complaints);
            Ok::<_, Infallible>(Admitted::accepted(session, handle.peer_name(), cut, complaints))
        });
        std::future::ready(admitted)
    });
    let service = Service::server(Arc::clone(&core.source), find_caller, core.stop.clone());
    let serving =
        limits::server().add_service(service).serve_with_incoming_shutdown(incoming, stopped(core));
    servers.spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "peers are no longer served");
        }
    });
}

/// Makes the downloads' directory, and removes what a killed daemon left in it.
/// Only with the control address in hand: until then, another daemon of the same
/// state may be running, and these its files.
fn prepare_downloads(core: &Core) -> Result<(), StartError> {
    let downloads = core.downloads();
    fs::create_dir_all(&downloads)
        .and_then(|()| remove_partials(&downloads))
        .map_err(|source| StartError::State { path: downloads, source })
}

fn find_caller(extensions: &http::Extensions) -> Option<Caller> {
    let handle = extensions.get::<SessionHandle>()?;
    Some(Caller {
        peer: handle.peer_name().to_owned(),
        account: handle.account().clone(),
        received: WireCounter::of(handle.clone()),
    })
}

/// The path of the socket, if it is one.
async fn serve_control(
    servers: &mut JoinSet<()>,
    core: &Arc<Core>,
) -> Result<Option<PathBuf>, StartError> {
    let stop = stopped(core);
    let failed = |error| tracing::error!(%error, "control is no longer served");
    match &core.config.control {
        ControlListen::Unix(path) => {
            let incoming = UnixListenerStream::new(control::bind_unix(path).await?);
            prepare_downloads(core)?;
            let control = Control::new(Arc::clone(core), true);
            servers.spawn(async move {
                control::serve(control, Guard::open(), incoming, stop).await.unwrap_or_else(failed);
            });
            Ok(Some(path.clone()))
        }
        ControlListen::Tcp { address, token_file } => {
            let guard = Guard::token(&control::read_token(token_file).await?);
            let listener = control::bind_tcp(address).await?;
            prepare_downloads(core)?;
            let incoming = TcpListenerStream::new(listener);
            let control = Control::new(Arc::clone(core), false);
            servers.spawn(async move {
                control::serve(control, guard, incoming, stop).await.unwrap_or_else(failed);
            });
            Ok(None)
        }
    }
}

fn stopped(core: &Core) -> impl Future<Output = ()> + Send + use<> {
    core.stop.clone().cancelled_owned()
}
