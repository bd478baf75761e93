//! Ctrl-C and SIGTERM: the first asks for an end with clean-up, the third leaves the
//! rest to `dropbed gc`.

use futures::future::select_all;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Signals after which a command no longer waits for its clean-up. The second only
/// says so: people press twice.
const GIVE_UP_AT: u32 = 3;

/// Counts the signals that the process was sent. Without it they end the process.
#[derive(Clone, Debug)]
pub(super) struct Signals(watch::Receiver<u32>);

impl Signals {
    /// Takes over SIGINT and SIGTERM for as long as the process lives. Needs a tokio
    /// runtime around it.
    pub(super) fn take_over() -> Self {
        Self::of(&[SignalKind::interrupt(), SignalKind::terminate()])
    }

    /// Each by itself: one that cannot be taken over ends the process as before, and
    /// `gc` cleans up; that must not make the other one unheard.
    fn of(kinds: &[SignalKind]) -> Self {
        let (count, counted) = watch::channel(0);
        let mut streams: Vec<Signal> = kinds.iter().filter_map(|kind| signal(*kind).ok()).collect();
        if streams.is_empty() {
            return Self(counted);
        }
        tokio::spawn(async move {
            for number in 1.. {
                select_all(streams.iter_mut().map(|stream| Box::pin(stream.recv()))).await;
                if number == GIVE_UP_AT - 1 {
                    eprintln!(
                        "already removing what was started; once more leaves the rest to \
                         `dropbed gc`"
                    );
                }
                count.send_replace(number);
            }
        });
        Self(counted)
    }

    /// Resolves at the first signal, also when that came before.
    pub(super) async fn interrupted(&self) {
        self.reached(1).await;
    }

    /// What `work` ends with; none when whoever waits has had enough of its clean-up.
    pub(super) async fn patiently<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = Box::pin(work);
        tokio::select! {
            ended = &mut work => Some(ended),
            () = self.reached(GIVE_UP_AT) => {
                // Its destructors would go on cleaning up.
                std::mem::forget(work);
                eprintln!("left as it is: `dropbed gc` removes what is still there");
                None
            }
        }
    }

    async fn reached(&self, wanted: u32) {
        let mut counted = self.0.clone();
        if counted.wait_for(|count| *count >= wanted).await.is_err() {
            // Nobody counts: the signals do what the kernel does with them.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests;
