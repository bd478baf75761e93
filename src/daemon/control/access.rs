//! Who may control: whoever can open the unix socket, or knows the token.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::time::{Duration, Instant, sleep};
use tonic::service::Interceptor;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic::{Request, Status};

use super::Control;
use crate::net::pause_after;
use crate::proto::control::control_server::ControlServer;
use crate::telemetry::complaints::Complaints;

/// Only the owner may connect.
const SOCKET_MODE: u32 = 0o600;

/// The directory in which it gets that mode.
const PRIVATE_DIRECTORY_MODE: u32 = 0o700;

/// How long the token file is awaited: who writes it may be starting, too.
const TOKEN_DEADLINE: Duration = Duration::from_secs(60);

/// Pause between looks for the token file; it has no event to wait for on every
/// file system that containers share.
const TOKEN_RETRY: Duration = Duration::from_millis(50);

/// Shortest token: 128 bits as hexadecimal digits. Guessing is hopeless then.
const TOKEN_CHARS_MIN: usize = 32;

/// Calls at a time on one connection. Tools make a handful.
const CALLS_MAX: u32 = 64;

/// Why control cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Somebody answers on the socket.
    #[error("{}: another daemon listens here; stop it, or choose another DROPD_CONTROL", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("control address {address}: cannot {action}: {source}")]
    System {
        /// Where.
        address: String,
        /// What was attempted.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The token file is missing or no use.
    #[error("{}: {reason}", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Listens on a unix socket of mode 0600. A socket that a dead daemon left is
/// replaced; one that somebody answers on is not.
pub async fn bind_unix(path: &Path) -> Result<UnixListener, ControlError> {
    let failed = |action| {
        move |source| ControlError::System { address: path.display().to_string(), action, source }
    };
    match UnixStream::connect(path).await {
        Ok(_) => return Err(ControlError::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("look for another daemon")(error)),
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed("create the directory"))?;
    }
    // In a directory of our own first: at no moment can others connect.
    let private = tempfile::Builder::new()
        .prefix(".c")
        .permissions(std::fs::Permissions::from_mode(PRIVATE_DIRECTORY_MODE))
        .tempdir_in(path.parent().unwrap_or_else(|| Path::new(".")))
        .map_err(failed("make a private directory"))?;
    let temporary = private.path().join("s");
    let listener = UnixListener::bind(&temporary).map_err(failed("bind"))?;
    let mode = std::fs::Permissions::from_mode(SOCKET_MODE);
    std::fs::set_permissions(&temporary, mode)
        .and_then(|()| std::fs::rename(&temporary, path))
        .map_err(failed("make the socket private"))?;
    Ok(listener)
}

/// Listens on TCP, for callers with a token.
pub async fn bind_tcp(address: &str) -> Result<TcpListener, ControlError> {
    let bound = TcpListener::bind(address).await;
    let address = address.to_owned();
    bound.map_err(|source| ControlError::System { address, action: "listen", source })
}

/// Reads the token, waiting for its file within a deadline.
pub async fn read_token(path: &Path) -> Result<String, ControlError> {
    let failed = |reason: String| ControlError::Token { path: path.to_owned(), reason };
    let deadline = Instant::now() + TOKEN_DEADLINE;
    loop {
        match tokio::fs::read_to_string(path).await {
            // Not written to its end yet.
            Ok(token) if token.trim().is_empty() => {}
            Ok(token) if token.trim().len() < TOKEN_CHARS_MIN => {
                let reason =
                    format!("the control token has less than {TOKEN_CHARS_MIN} characters");
                return Err(failed(reason));
            }
            Ok(token) => return Ok(token.trim().to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(format!("cannot read the control token: {error}"))),
        }
        if Instant::now() >= deadline {
            return Err(failed(format!("no control token appeared within {TOKEN_DEADLINE:?}")));
        }
        sleep(TOKEN_RETRY).await;
    }
}

/// Refuses calls without the token.
#[derive(Clone, Debug)]
pub(crate) struct Guard(Option<blake3::Hash>);

impl Guard {
    /// Everybody who connected may call: the socket's mode decided.
    pub(crate) fn open() -> Self {
        Self(None)
    }

    /// Only who sends `authorization: Bearer <token>`.
    pub(crate) fn token(token: &str) -> Self {
        Self(Some(blake3::hash(format!("Bearer {token}").as_bytes())))
    }
}

impl Interceptor for Guard {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let Some(wanted) = &self.0 else { return Ok(request) };
        let shown = request.metadata().get("authorization");
        let shown = shown.map(|shown| blake3::hash(shown.as_encoded_bytes()));
        // blake3's comparison takes the same time for every digest.
        if shown.is_some_and(|shown| shown == *wanted) {
            return Ok(request);
        }
        Err(Status::unauthenticated("control needs the token of this daemon"))
    }
}

/// Serves control to `incoming` until `stop` resolves and its calls have ended.
pub(crate) async fn serve<IO, S>(
    control: Control,
    guard: Guard,
    incoming: S,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error>
where
    IO: tokio::io::AsyncRead + tokio::io::AsyncWrite + Connected + Unpin + Send + 'static,
    S: futures::Stream<Item = io::Result<IO>>,
{
    let complaints = Complaints::default();
    let incoming = incoming.filter_map(|accepted| async {
        if let Err(error) = &accepted {
            pause_after(error, &complaints).await;
        }
        accepted.ok().map(Ok::<_, io::Error>)
    });
    Server::builder()
        .max_concurrent_streams(CALLS_MAX)
        .add_service(ControlServer::with_interceptor(control, guard))
        .serve_with_incoming_shutdown(incoming, stop)
        .await
}
