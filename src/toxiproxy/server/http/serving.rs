//! Connections of the API: how many at a time, and how long one may do nothing.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use hurried::Hurried;

mod hurried;

/// Connections of the API at a time; more wait in the kernel's backlog. Idle ones
/// end by themselves after [`HEADER_DEADLINE`].
pub(in super::super) const CONNECTIONS_MAX: usize = 128;
/// A request's head is there within this, also the next one of a connection that
/// is kept; the stock server's value.
const HEADER_DEADLINE: Duration = Duration::from_secs(15);
/// Longest head, which holds two names of 255 bytes and a client's usual headers.
const HEADER_BYTES_MAX: usize = 32 * 1024;
/// A client takes its whole answer within this, however steadily it reads; the stock
/// server's value.
const WRITE_DEADLINE: Duration = Duration::from_secs(30);
/// Pause after a failed accept: it fails when descriptors are used up, and
/// nothing tells when one is free again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// A client that still sends has this long to read its answer. Closing at once
/// would reset the connection, and the answer would be lost.
const LINGER: Duration = Duration::from_millis(500);
/// What is read and dropped in that time at most.
const LINGER_BYTES_MAX: u64 = 256 * 1024;

/// Answers calls until `shutdown` resolves; then those under way have `grace` to be
/// answered. Dropping the future cuts all connections.
pub(in super::super) async fn answer(
    listener: TcpListener,
    router: Router,
    grace: Duration,
    shutdown: impl Future<Output = ()>,
) {
    let (ending, cut) = (CancellationToken::new(), CancellationToken::new());
    let _cut = cut.clone().drop_guard();
    let tasks = TaskTracker::new();
    let accepting = async {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            match listener.accept().await {
                Ok((socket, _)) => {
                    let converse = converse(socket, router.clone(), ending.clone(), place);
                    let cut = cut.clone();
                    tasks.spawn(async move { cut.run_until_cancelled(converse).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection to the API");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => (),
        () = shutdown => (),
    }
    drop(listener);
    ending.cancel();
    tasks.close();
    // A client that does not take its answer cannot keep the server alive.
    let _ = timeout(grace, tasks.wait()).await;
}

async fn converse(
    socket: TcpStream,
    router: Router,
    ending: CancellationToken,
    _place: OwnedSemaphorePermit,
) {
    // Without them the connection works, but may outlive a client that is gone.
    let _ = SockRef::from(&socket).set_tcp_user_timeout(Some(WRITE_DEADLINE));
    let _ = socket.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        Box::pin(router.clone().oneshot(request.map(Body::new)))
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(Hurried::new(socket, WRITE_DEADLINE)), service);
    let mut is_told = false;
    let result = loop {
        tokio::select! {
            result = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break result,
            () = ending.cancelled(), if !is_told => {
                Pin::new(&mut connection).graceful_shutdown();
                is_told = true;
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection to the API broke off");
    }
    close(connection.into_parts().io.into_inner().into_inner()).await;
}

/// Closes the sending side first, and the rest once the client has seen that.
async fn close(mut socket: TcpStream) {
    if socket.shutdown().await.is_err() {
        return;
    }
    let mut rest = socket.take(LINGER_BYTES_MAX);
    let mut block = [0; 8 * 1024];
    let drain = async { while matches!(rest.read(&mut block).await, Ok(1..)) {} };
    if timeout(LINGER, drain).await.is_ok() && rest.limit() == 0 {
        // The client sends on: give it the time to read, as nothing tells when it has.
        sleep(LINGER).await;
    }
}
