//! One connection through a proxy: two sockets, two flows.

use std::pin::pin;

use futures::future::{Either, select};
use tokio::net::TcpStream;

use super::super::api::Stream;
use super::meter::ProxyMeter;
use flow::{Ending, Flow};
pub(super) use shaping::{FlowSeed, Shaping};

mod alarm;
mod delay;
mod flow;
mod shaping;

/// Carries bytes both ways until both directions have ended. Cancelling cuts the
/// connection.
///
/// A closed direction is passed on as such, and the other lives on. A broken one
/// is passed on as a reset, after the delay that its bytes had.
pub(super) async fn carry(
    client: &TcpStream,
    server: &TcpStream,
    meter: &ProxyMeter,
    [upstream, downstream]: [Shaping; 2],
) {
    let up = Flow::new(client, server, meter.stream(Stream::Upstream), upstream);
    let down = Flow::new(server, client, meter.stream(Stream::Downstream), downstream);
    let (up, down) = (pin!(up.run()), pin!(down.run()));
    // What arrived before a receiver went away may still be on its way back:
    // only a reset that was itself carried to its end cuts both directions.
    let ending = match select(up, down).await {
        Either::Left((ending, down)) => next(ending, down).await,
        Either::Right((ending, up)) => next(ending, up).await,
    };
    match ending {
        Ending::Closed | Ending::ReceiverGone => return,
        Ending::Failed(error) => tracing::warn!(%error, "cannot carry a connection on"),
        Ending::Reset => {}
    }
    for socket in [client, server] {
        // Fails only on a socket that is gone already.
        let _ = socket.set_zero_linger();
    }
}

async fn next(first: Ending, other: impl Future<Output = Ending>) -> Ending {
    match first {
        Ending::Closed | Ending::ReceiverGone => other.await,
        Ending::Reset | Ending::Failed(_) => first,
    }
}

#[cfg(test)]
mod tests;
