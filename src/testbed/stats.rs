//! Medians and what can be said about them from few samples.
//!
//! The interval is the one of order statistics: it assumes nothing about the
//! distribution (Hahn & Meeker, Statistical Intervals, section 5.2).

use serde::{Deserialize, Serialize};

/// Coverage that an interval must have at least.
pub const COVERAGE_MIN: f64 = 0.95;

/// Fewest samples for which an interval of [`COVERAGE_MIN`] exists: minimum to
/// maximum of 5 samples covers the median in 93.75 % of cases only.
pub const INTERVAL_SAMPLES_MIN: usize = 6;

/// What a set of samples says, in the unit of the samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How many samples.
    pub samples: usize,
    /// The smallest.
    pub min: f64,
    /// A quarter of the samples are below.
    pub quartile_low: f64,
    /// Half of the samples are below.
    pub median: f64,
    /// A quarter of the samples are above.
    pub quartile_high: f64,
    /// The largest.
    pub max: f64,
    /// Of the median; none below [`INTERVAL_SAMPLES_MIN`] samples.
    pub interval: Option<Interval>,
}

/// A confidence interval between two of the samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// How surely it holds the median, at least [`COVERAGE_MIN`].
    pub coverage: f64,
}

impl Summary {
    /// Summarises samples in any order. No sample is left out. Quartiles
    /// interpolate linearly between ranks (type 7 of Hyndman & Fan, 1996).
    ///
    /// # Errors
    /// No samples, or one that is not a number.
    pub fn of(samples: &[f64]) -> Result<Self, StatsError> {
        if let Some(index) = samples.iter().position(|sample| !sample.is_finite()) {
            return Err(StatsError::NotFinite { index });
        }
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&[min, ..], &[.., max]) = (&sorted[..], &sorted[..]) else {
            return Err(StatsError::Empty);
        };
        let interval = median_ranks(sorted.len()).map(|ranks| Interval {
            low: sorted[ranks.low - 1],
            high: sorted[ranks.high - 1],
            coverage: ranks.coverage,
        });
        Ok(Self {
            samples: sorted.len(),
            min,
            quartile_low: quantile(&sorted, 1, 4),
            median: quantile(&sorted, 1, 2),
            quartile_high: quantile(&sorted, 3, 4),
            max,
            interval,
        })
    }
}

/// Why samples have no summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatsError {
    /// Nothing was measured.
    #[error("there are no samples to summarise")]
    Empty,
    /// A measurement went wrong before it came here.
    #[error("sample {index} (from 0) is not a finite number")]
    NotFinite {
        /// Which one.
        index: usize,
    },
}

/// The two order statistics that hold the median.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranks {
    /// 1-based, from the smallest.
    pub low: usize,
    /// 1-based, `samples + 1 - low`.
    pub high: usize,
    /// Probability that the median lies between them.
    pub coverage: f64,
}

/// The narrowest symmetric pair of ranks that covers the median with at least
/// [`COVERAGE_MIN`], or none below [`INTERVAL_SAMPLES_MIN`] samples.
///
/// Each sample is below the median with probability 1/2, so the median is below
/// the `r`-th smallest with `P(Bin(n, 1/2) < r)`, and by symmetry above its
/// counterpart with the same.
pub fn median_ranks(samples: usize) -> Option<Ranks> {
    let n = samples as f64;
    let mut ranks = None;
    let mut ln_ways = 0.0_f64;
    let mut below = 0.0;
    for low in 1..=samples / 2 {
        // ln_ways is ln C(n, low - 1); logarithms, for 2^n overflows at 1024.
        below += (ln_ways - n * std::f64::consts::LN_2).exp();
        let coverage = 1.0 - 2.0 * below;
        if coverage < COVERAGE_MIN {
            break;
        }
        ranks = Some(Ranks { low, high: samples + 1 - low, coverage });
        ln_ways += ((n - low as f64 + 1.0) / low as f64).ln();
    }
    ranks
}

/// The quantile `part / parts` of at least one sorted sample.
fn quantile(sorted: &[f64], part: usize, parts: usize) -> f64 {
    let position = (sorted.len() - 1) * part;
    let (index, rest) = (position / parts, position % parts);
    let low = sorted[index];
    let high = sorted[(index + 1).min(sorted.len() - 1)];
    low + (high - low) * (rest as f64 / parts as f64)
}

#[cfg(test)]
mod tests;
