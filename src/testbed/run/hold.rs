//! Keeping everything up after the scenario.

use std::pin::Pin;
use std::time::Duration;

use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use super::{Ending, Record, Standing, keep_spans};
use crate::telemetry::clock;
use crate::testbed::bed::Desk;
use crate::testbed::live::Phase;
use crate::testbed::report;
use crate::testbed::runtime::Runtime;

/// How often spans are moved from memory to the run's directory: the collector
/// holds those of some minutes of reads.
const KEEP_SPANS_EVERY: Duration = Duration::from_secs(5);

impl Standing {
    /// Whether there is still something to hold: links are up, and nothing that the
    /// runtime started has ended.
    pub(super) const fn can_be_held(&self, ending: &Ending) -> bool {
        self.live.is_some() && matches!(ending, Ending::Done | Ending::Scenario(_))
    }

    /// Shows what was found, then waits for `cancelled`, or for the end of something
    /// that has to be there.
    pub(super) async fn hold(
        &mut self,
        runtime: &mut dyn Runtime,
        desk: Desk<'_>,
        record: &mut Record,
        mut cancelled: Pin<&mut impl Future<Output = ()>>,
    ) -> Ending {
        let Desk { directory, events, ui } = desk;
        let start_ns = clock::now_ns();
        let held = self.live.as_mut().map(|file| file.update(|live| live.phase = Phase::Held));
        if let Some(Err(error)) = held {
            record.warn_live(&error);
        }
        events.add("hold", json!({}));
        ui.line(report::render(&record.clone().end().result));
        let path = directory.path.display();
        ui.line(format!(
            "held: everything stays up until Ctrl-C; `dropbed link --run {path} ls` shows the links"
        ));
        let mut ticks = interval(KEEP_SPANS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // One watch for all of it: some runtimes count silence while they watch.
        let mut watch = runtime.watch();
        let ending = loop {
            tokio::select! {
                // Before a peer's end that the same Ctrl-C may have brought about.
                biased;
                () = &mut cancelled => break Ending::Done,
                death = &mut watch => break Ending::Dead(death),
                _ = ticks.tick() => {
                    self.collector.iter().for_each(|spans| keep_spans(spans, directory, record));
                }
            }
        };
        ui.line("removing what was started ...");
        events.add("released", json!({}));
        record.held_ns = clock::now_ns() - start_ns;
        ending
    }
}
