//! A daemon's control service, as the testbed reaches it.

use std::path::Path;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::ControlAddress;
use crate::proto::control::control_client::ControlClient;
use crate::proto::control::{StatusReply, StatusRequest};

/// A daemon that does not accept within this is asked again or given up:
/// everything is on one machine or in one data centre.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest wait for one `Status`, which only copies a few strings.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

/// Pause between two questions to a daemon that is starting. Short against its
/// start (tens of ms), long against the cost of a refused connect (tens of us).
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// A control client that shows its token with every call.
pub type Client = ControlClient<InterceptedService<Channel, Bearer>>;

/// Adds `authorization: Bearer <token>` to TCP calls; nothing on a unix socket.
#[derive(Clone, Debug)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

/// Why a control service could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Not a `host:port`, or a token that no header can hold.
    #[error("control address {address} cannot be used: {why}")]
    Address {
        /// As given.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody accepted.
    #[error("no connection to control address {address}: {why}")]
    Refused {
        /// As given.
        address: String,
        /// The operating system's words.
        why: String,
    },
}

/// Why a daemon did not become ready.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// It answers, but not to us: asking again would not help.
    #[error("{address} refuses the question for its status: {message}")]
    Refused {
        /// Where it was asked.
        address: String,
        /// The daemon's words.
        message: String,
    },
    /// The address itself is of no use.
    #[error(transparent)]
    Address(ConnectError),
    /// It did not answer in time.
    #[error("{address} did not answer within {waited_ms} ms; last: {last}")]
    Deadline {
        /// Where it was asked.
        address: String,
        /// For how long, in milliseconds.
        waited_ms: u128,
        /// What the last attempt ended with.
        last: String,
    },
}

/// Connects once. Cancel-safe: a dropped attempt leaves nothing.
///
/// # Errors
/// [`ConnectError`]; at the latest after two seconds.
pub async fn connect(address: &ControlAddress) -> Result<Client, ConnectError> {
    let (channel, bearer) = match address {
        ControlAddress::Unix(path) => (connect_unix(path).await?, Bearer(None)),
        ControlAddress::Tcp { address, token } => {
            let bearer = bearer(address, token)?;
            (connect_tcp(address).await?, bearer)
        }
    };
    Ok(ControlClient::with_interceptor(channel, bearer))
}

/// Asks for the daemon's status until it answers. Cancel-safe.
///
/// # Errors
/// [`NotReady`]: at once when asking again cannot help, else at the deadline.
pub async fn wait_until_ready(
    address: &ControlAddress,
    deadline: Duration,
) -> Result<(Client, StatusReply), NotReady> {
    let mut last = "not asked yet".to_owned();
    let asking = async {
        loop {
            match ask(address).await {
                Ok(answer) => return Ok(answer),
                Err(Ask::Never(error)) => return Err(error),
                Err(Ask::Again(why)) => last = why,
            }
            sleep(ASK_AGAIN_AFTER).await;
        }
    };
    match timeout(deadline, asking).await {
        Ok(answer) => answer,
        Err(_) => Err(NotReady::Deadline {
            address: describe(address),
            waited_ms: deadline.as_millis(),
            last,
        }),
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

enum Ask {
    Again(String),
    Never(NotReady),
}

async fn ask(address: &ControlAddress) -> Result<(Client, StatusReply), Ask> {
    let mut client = connect(address).await.map_err(|error| match error {
        ConnectError::Address { .. } => Ask::Never(NotReady::Address(error)),
        ConnectError::Refused { .. } => Ask::Again(error.to_string()),
    })?;
    let answer = timeout(STATUS_TIMEOUT, client.status(StatusRequest {})).await;
    match answer {
        Ok(Ok(reply)) => Ok((client, reply.into_inner())),
        Ok(Err(status)) if is_final(status.code()) => Err(Ask::Never(NotReady::Refused {
            address: describe(address),
            message: status.to_string(),
        })),
        Ok(Err(status)) => Err(Ask::Again(status.to_string())),
        Err(_) => Err(Ask::Again(format!("no answer within {STATUS_TIMEOUT:?}"))),
    }
}

/// A daemon that starts is unavailable; one that says these has started.
fn is_final(code: Code) -> bool {
    matches!(code, Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented)
}

async fn connect_unix(path: &Path) -> Result<Channel, ConnectError> {
    let socket = path.to_owned();
    // The connector takes the path; a URI must be given, and names nobody.
    let endpoint = Endpoint::from_static("http://control.invalid").connect_timeout(CONNECT_TIMEOUT);
    let connecting = endpoint.connect_with_connector(tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    }));
    connecting.await.map_err(|error| ConnectError::Refused {
        address: path.display().to_string(),
        why: innermost(&error),
    })
}

async fn connect_tcp(address: &str) -> Result<Channel, ConnectError> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| unusable(address, &error))?;
    endpoint.connect_timeout(CONNECT_TIMEOUT).tcp_nodelay(true).connect().await.map_err(|error| {
        ConnectError::Refused { address: address.to_owned(), why: innermost(&error) }
    })
}

fn bearer(address: &str, token: &str) -> Result<Bearer, ConnectError> {
    let mut value: MetadataValue<Ascii> =
        format!("Bearer {token}").parse().map_err(|error| unusable(address, &error))?;
    // Kept out of logs and of HPACK's tables.
    value.set_sensitive(true);
    Ok(Bearer(Some(value)))
}

fn unusable(address: &str, why: &dyn std::fmt::Display) -> ConnectError {
    ConnectError::Address { address: address.to_owned(), why: why.to_string() }
}

fn describe(address: &ControlAddress) -> String {
    match address {
        ControlAddress::Unix(path) => path.display().to_string(),
        ControlAddress::Tcp { address, .. } => address.clone(),
    }
}

/// The transport's own message says only "transport error".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests;
