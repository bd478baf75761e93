//! Orders and distributions. Pure.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Random numbers of a round, the same for the same seed.
pub(crate) fn random(seed: u64, round: u32) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(round.into()))
}

/// Fisher and Yates.
pub(crate) fn shuffle<T>(items: &mut [T], random: &mut ChaCha8Rng) {
    for end in (1..items.len()).rev() {
        items.swap(end, random.random_range(0..=end));
    }
}

/// The smallest sample that at least `share` of all do not exceed; none of none.
pub(crate) fn quantile(samples: &[f64], share: f64) -> Option<f64> {
    let sorted = sorted(samples);
    let enough = |count: usize| count as f64 >= share * sorted.len() as f64;
    (1..=sorted.len()).find(|count| enough(*count)).map(|count| sorted[count - 1])
}

/// Kolmogorov and Smirnov's distance from the uniform distribution.
pub(crate) fn distance_from_uniform(samples: &[f64], low: f64, high: f64) -> f64 {
    let sorted = sorted(samples);
    let all = sorted.len() as f64;
    let distances = sorted.iter().enumerate().map(|(rank, sample)| {
        let share = ((sample - low) / (high - low)).clamp(0.0, 1.0);
        // The steps of the samples' own distribution, right after and right before.
        ((rank + 1) as f64 / all - share).max(share - rank as f64 / all)
    });
    distances.fold(0.0, f64::max)
}

/// Spearman's correlation of two series, pair by pair; ties have no shared rank,
/// as times in nanoseconds hardly tie.
pub(crate) fn rank_correlation(left: &[f64], right: &[f64]) -> f64 {
    let all = left.len().min(right.len()) as f64;
    let (left, right) = (ranks(left), ranks(right));
    let squares: f64 = left.iter().zip(&right).map(|(l, r)| (l - r) * (l - r)).sum();
    1.0 - 6.0 * squares / (all * (all * all - 1.0))
}

fn ranks(samples: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.sort_by(|a, b| samples[*a].total_cmp(&samples[*b]));
    let mut ranks = vec![0.0; samples.len()];
    for (rank, index) in order.into_iter().enumerate() {
        ranks[index] = rank as f64;
    }
    ranks
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}
