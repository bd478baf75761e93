//! A peer that has what docs/peer-contract.md requires and nothing else: no
//! encryption, no mount, no telemetry, bytes over plain TCP.
//!
//! The testbed's own tests run it in place of the daemon: what they find is then the
//! testbed's doing.

mod control;
mod fault;
mod files;
mod link;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use dropbed::proto::control::control_server::ControlServer;
use futures::FutureExt as _;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::service::Interceptor;
use tonic::transport::Server;
use tonic::{Request, Status};

use crate::control::Reference;
use crate::fault::Fault;

/// What the contract says of input that is no use.
const WRONG_INPUT: u8 = 2;

/// Between two looks for a token: a file has no event on every shared file system.
const TOKEN_RETRY: Duration = Duration::from_millis(50);

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("--version") => {
            println!("reference-peer {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Some("run") => match run().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("reference peer: {error}");
                ExitCode::FAILURE
            }
        },
        _ => {
            eprintln!("usage: reference-peer run|--version; see docs/peer-contract.md");
            ExitCode::from(WRONG_INPUT)
        }
    }
}

/// Serves until SIGTERM.
async fn run() -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let name = variable("DROPD_NAME")?;
    let files = Arc::new(files::Files {
        share: PathBuf::from(variable("DROPD_SHARE")?),
        downloads: PathBuf::from(variable("DROPD_STATE")?).join("downloads"),
    });
    tokio::fs::create_dir_all(&files.downloads).await?;
    let listener = TcpListener::bind(variable("DROPD_LISTEN")?).await?;
    let listen_address = listener.local_addr()?.to_string();
    let fault = Fault::from_environment()?;
    tokio::spawn(link::serve(listener, Arc::clone(&files), fault));
    let reference = Reference::new(name.clone(), listen_address, files);
    let address = variable("DROPD_CONTROL")?;
    let mut server = Server::builder();
    let served = if address.contains('/') {
        let incoming = UnixListenerStream::new(UnixListener::bind(&address)?);
        let service = ControlServer::new(reference);
        server.add_service(service).serve_with_incoming(incoming).boxed()
    } else {
        let incoming = TcpListenerStream::new(TcpListener::bind(&address).await?);
        let service = ControlServer::with_interceptor(reference, Token(token().await?));
        server.add_service(service).serve_with_incoming(incoming).boxed()
    };
    eprintln!("reference peer {name} ready: control on {address}");
    tokio::select! {
        served = served => served.map_err(Into::into),
        _ = terminate.recv() => Ok(()),
    }
}

fn variable(name: &str) -> Result<String, Failure> {
    std::env::var(name).map_err(|error| format!("{name}: {error}").into())
}

/// Waits for the file: whoever writes it may be starting, too. Whoever starts the peer
/// bounds the wait, by its own for the first answer.
async fn token() -> Result<String, Failure> {
    let file = variable("DROPD_CONTROL_TOKEN_FILE")?;
    loop {
        match tokio::fs::read_to_string(&file).await {
            Ok(token) if !token.trim().is_empty() => return Ok(token.trim().to_owned()),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(format!("{file}: {error}").into());
            }
            // A file that is not there yet has no event without a watch of its own; the
            // pause only keeps the question cheap, and no outcome depends on it.
            Ok(_) | Err(_) => tokio::time::sleep(TOKEN_RETRY).await,
        }
    }
}

/// Lets in who shows the token.
#[derive(Clone, Debug)]
struct Token(String);

impl Interceptor for Token {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let shown = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        let is_ours = shown == Some(format!("Bearer {}", self.0).as_str());
        is_ours.then_some(request).ok_or_else(|| Status::unauthenticated("not this run's token"))
    }
}
