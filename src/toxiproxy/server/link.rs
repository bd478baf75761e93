//! One connection through a proxy: two sockets, two flows.

use std::pin::pin;
use std::sync::Arc;

use futures::future::{Either, select};
use tokio::net::TcpStream;

use super::super::api::Stream;
use super::meter::{ConnectionMeter, FlowMeter};
use super::pool::Pool;
use super::toxics::Followed;
use acting::Cut;
use flow::{Ending, Flow};
use pipeline::Pipeline;
pub(super) use seed::ConnectionSeed;
use sides::Sides;

mod acting;
mod delay;
mod flow;
mod pipeline;
mod seed;
mod sides;
mod splice;

/// What a connection needs besides its sockets.
#[derive(Debug)]
pub(super) struct Link<'a> {
    pub(super) meter: &'a ConnectionMeter,
    pub(super) toxics: Followed,
    pub(super) seed: ConnectionSeed,
    pub(super) pool: &'a Arc<Pool>,
}

impl Link<'_> {
    /// Carries bytes both ways until both directions have ended. Cancelling cuts the
    /// connection.
    ///
    /// A closed direction is passed on as such, and the other lives on. A broken one
    /// is passed on as a reset, after the delay that its bytes had.
    pub(super) async fn carry(&self, client: &TcpStream, server: &TcpStream) {
        let sides = Sides::new(client, server);
        let flow = |stream: Stream| {
            let pipeline = Pipeline::new(&self.seed, stream);
            let followed = (self.toxics.clone(), pipeline);
            let meter = FlowMeter::new(self.meter, stream);
            Flow::new(&sides, stream.index(), meter, followed, self.pool)
        };
        let ending = end(&sides, flow).await;
        match ending {
            Ending::Closed | Ending::ReceiverGone | Ending::Silent => {}
            Ending::Cut(Cut::Close) => sides.close().await,
            Ending::Cut(Cut::Reset) | Ending::Reset => sides.reset(),
            Ending::Failed(error) => {
                tracing::warn!(%error, "cannot carry a connection on");
                sides.reset();
            }
        }
    }
}

/// Runs both flows; what they hold is given back when it returns.
async fn end<'a>(sides: &Sides<'_>, flow: impl Fn(Stream) -> Flow<'a>) -> Ending {
    let (up, down) = (flow(Stream::Upstream), flow(Stream::Downstream));
    let (up, down) = (pin!(up.run()), pin!(down.run()));
    // What arrived before a receiver went away may still be on its way back:
    // only a cut, or a reset that was itself carried to its end, ends both.
    match select(up, down).await {
        Either::Left((ending, down)) => next(ending, down, sides, Stream::Upstream).await,
        Either::Right((ending, up)) => next(ending, up, sides, Stream::Downstream).await,
    }
}

async fn next(
    first: Ending,
    other: impl Future<Output = Ending>,
    sides: &Sides<'_>,
    stream: Stream,
) -> Ending {
    match first {
        Ending::Closed | Ending::ReceiverGone | Ending::Silent => {
            sides.set_over(stream.index());
            other.await
        }
        Ending::Reset | Ending::Cut(_) | Ending::Failed(_) => first,
    }
}

#[cfg(test)]
mod tests;
