//! Asking a daemon: the typed client of `control.proto`.

use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Duration, timeout};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::proto::control::control_client::ControlClient as Calls;

/// A control client that shows its token with every call.
pub type ControlClient = Calls<InterceptedService<Channel, Bearer>>;

/// A daemon that does not accept within this is not there: control is local, or
/// one management network away.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// Largest reply: a listing of `LIST_ENTRIES_MAX` entries with the longest names.
const REPLY_BYTES_MAX: usize = 128 << 20;

/// How to reach a daemon's control service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlAddress {
    /// A unix socket.
    Unix(PathBuf),
    /// `host:port`, with a bearer token.
    Tcp {
        /// Where to connect.
        address: String,
        /// Sent as `authorization: Bearer <token>`.
        token: String,
    },
}

/// Adds `authorization: Bearer <token>` on TCP; nothing on a unix socket.
#[derive(Clone, Debug)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// Why a daemon cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The token is not one that HTTP can carry.
    #[error("the control token has characters that HTTP does not allow")]
    Token,
    /// Nobody there.
    #[error("no daemon answers at {address}: {reason}; start one with `dropd run`")]
    Unreachable {
        /// Where.
        address: String,
        /// The system's reason.
        reason: String,
    },
}

/// Connects once. Cancel-safe.
pub async fn connect(address: &ControlAddress) -> Result<ControlClient, ConnectError> {
    let (channel, token) = match address {
        ControlAddress::Unix(path) => (unix(path).await?, None),
        ControlAddress::Tcp { address, token } => {
            let token = format!("Bearer {token}").parse().map_err(|_| ConnectError::Token)?;
            (tcp(address).await?, Some(token))
        }
    };
    Ok(Calls::with_interceptor(channel, Bearer(token)).max_decoding_message_size(REPLY_BYTES_MAX))
}

async fn unix(path: &Path) -> Result<Channel, ConnectError> {
    let socket = path.to_owned();
    let connector = tower::service_fn(move |_: http::Uri| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    within(path.display().to_string(), endpoint().connect_with_connector(connector)).await
}

async fn tcp(address: &str) -> Result<Channel, ConnectError> {
    let target = address.to_owned();
    let connector = tower::service_fn(move |_: http::Uri| {
        let target = target.clone();
        async move { TcpStream::connect(target).await.map(TokioIo::new) }
    });
    within(address.to_owned(), endpoint().connect_with_connector(connector)).await
}

/// The connector knows where; the authority only names what is there.
fn endpoint() -> Endpoint {
    Endpoint::from_static("http://control.dropbed")
}

async fn within(
    address: String,
    connecting: impl Future<Output = Result<Channel, tonic::transport::Error>>,
) -> Result<Channel, ConnectError> {
    let reason = match timeout(CONNECT_DEADLINE, connecting).await {
        Ok(Ok(channel)) => return Ok(channel),
        Ok(Err(error)) => innermost(&error),
        Err(_elapsed) => format!("no connection within {CONNECT_DEADLINE:?}"),
    };
    Err(ConnectError::Unreachable { address, reason })
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
