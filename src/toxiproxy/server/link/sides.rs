//! The two sockets of a connection, and what its flows tell each other of them.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use futures::future::join;
use rustix::net::Shutdown;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Before a reset everything that was due is sent, unless the receiver leaves no
/// room for it this long.
const SEND_DEADLINE: Duration = Duration::from_secs(1);
/// After a close what still comes is read this long, since closing a socket with
/// unread bytes would reset the connection.
const LINGER_DEADLINE: Duration = Duration::from_secs(2);

/// A read of what is dropped.
const DRAIN_BYTES: usize = 4 * 1024;

/// Client and server, in the order of [`Stream::index`](super::Stream::index) of
/// what they send.
#[derive(Debug)]
pub(super) struct Sides<'a> {
    pub(super) sockets: [&'a TcpStream; 2],
    broken: [AtomicBool; 2],
    sender_ended: [Notify; 2],
    over: [Notify; 2],
}

impl<'a> Sides<'a> {
    pub(super) fn new(client: &'a TcpStream, server: &'a TcpStream) -> Self {
        let sockets = [client, server];
        Self {
            sockets,
            broken: Default::default(),
            sender_ended: Default::default(),
            over: Default::default(),
        }
    }

    /// A write to that side failed. The kernel tells of a reset only once: to a
    /// later read it looks like a close.
    pub(super) fn set_broken(&self, side: usize) {
        self.broken[side].store(true, Relaxed);
    }

    pub(super) fn is_broken(&self, side: usize) -> bool {
        self.broken[side].load(Relaxed)
    }

    /// That side sends no more.
    pub(super) fn set_sender_ended(&self, side: usize) {
        self.sender_ended[side].notify_one();
    }

    /// Returns when the other side sends no more. Cancel-safe; one waiter, once.
    pub(super) async fn other_sender_ended(&self, side: usize) {
        self.sender_ended[1 - side].notified().await;
    }

    /// The flow from that side is over.
    pub(super) fn set_over(&self, side: usize) {
        self.over[side].notify_one();
    }

    /// Returns when the flow from the other side is over. Cancel-safe; one waiter,
    /// once.
    pub(super) async fn other_is_over(&self, side: usize) {
        self.over[1 - side].notified().await;
    }

    /// Returns when everything written to that side was sent, or after
    /// [`SEND_DEADLINE`]: a reset drops what was not.
    pub(super) async fn sent(&self, side: usize) {
        let socket = self.sockets[side];
        if let Ok(watched) = watch_sent(socket) {
            // Late or broken: there is nothing more to wait for.
            let _ = timeout(SEND_DEADLINE, watched.writable()).await;
        }
    }

    /// Resets both connections once their sockets are dropped.
    pub(super) fn reset(&self) {
        for socket in self.sockets {
            // Fails only on a socket that is gone already.
            let _ = socket.set_zero_linger();
        }
    }

    /// Closes both connections in order.
    pub(super) async fn close(&self) {
        for socket in self.sockets {
            // Fails only on a socket that is gone already.
            let _ = rustix::net::shutdown(socket, Shutdown::Write);
        }
        let both = join(drain(self.sockets[0]), drain(self.sockets[1]));
        // Whoever still sends after that is reset.
        let _ = timeout(LINGER_DEADLINE, both).await;
    }
}

/// Becomes writable when nothing waits to be sent. A registration of its own: that
/// of the socket has seen it writable under another bound.
#[expect(
    deprecated,
    reason = "its successor is unsafe, for types whose descriptor may change or close while \
              registered; an OwnedFd that is never moved out does neither"
)]
fn watch_sent(socket: &TcpStream) -> io::Result<AsyncFd<OwnedFd>> {
    SockRef::from(socket).set_tcp_notsent_lowat(1)?;
    AsyncFd::with_interest(socket.as_fd().try_clone_to_owned()?, Interest::WRITABLE)
}

/// Reads to the end.
async fn drain(socket: &TcpStream) {
    // Not on the stack: every connection's future would be as much larger.
    let mut dropped = vec![0; DRAIN_BYTES];
    while socket.readable().await.is_ok() {
        match socket.try_read(&mut dropped) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}
