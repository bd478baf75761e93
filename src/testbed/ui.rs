//! What a person sees while a run goes on: on stderr, always.
//!
//! Bars on a terminal, plain lines otherwise. Results are not written here.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A line is repeated in plain output only when progress grew by this much, so
/// that a log of a long transfer stays readable.
const PLAIN_STEP_PERCENT: u64 = 25;

/// Redraws a second: smooth to the eye, invisible to the measurement.
const REDRAWS_PER_S: u8 = 10;

/// Writes progress to stderr.
#[derive(Clone, Copy, Debug)]
pub struct Ui {
    bars: bool,
    quiet: bool,
}

impl Ui {
    /// Bars when stderr is a terminal; nothing at all when `quiet`.
    pub fn new(quiet: bool) -> Self {
        Self { bars: std::io::stderr().is_terminal(), quiet }
    }

    /// One line.
    pub fn line(&self, text: impl AsRef<str>) {
        if !self.quiet {
            eprintln!("{}", text.as_ref());
        }
    }

    /// The progress of one transfer.
    pub fn transfer(&self, name: &str, total_bytes: u64) -> TransferProgress {
        let bar = if self.bars && !self.quiet {
            let target = ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_S);
            let bar = ProgressBar::with_draw_target(Some(total_bytes), target);
            let template =
                "  {prefix:<24} [{bar:30}] {bytes:>11} of {total_bytes} {binary_bytes_per_sec:>14}";
            // The template is a constant: a mistake in it shows in any run.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(250));
            Some(bar)
        } else {
            None
        };
        TransferProgress { ui: *self, bar, name: name.to_owned(), total_bytes, said_percent: 0 }
    }
}

/// The progress of one transfer; it vanishes when dropped.
#[derive(Debug)]
pub struct TransferProgress {
    ui: Ui,
    bar: Option<ProgressBar>,
    name: String,
    total_bytes: u64,
    said_percent: u64,
}

impl TransferProgress {
    /// `bytes` of the total have arrived.
    pub fn at(&mut self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
            return;
        }
        let percent = bytes.saturating_mul(100).checked_div(self.total_bytes).unwrap_or(100);
        if percent >= self.said_percent + PLAIN_STEP_PERCENT && percent < 100 {
            self.said_percent = percent - percent % PLAIN_STEP_PERCENT;
            self.ui.line(format!("  {:<24} {percent} %", self.name));
        }
    }
}

impl Drop for TransferProgress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
