//! Medians with their confidence intervals, and percentiles.

use serde::Serialize;

/// A median and the interval that contains the true median with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Median {
    pub(crate) median: f64,
    /// Ends of the interval by order statistics, which assume nothing about the distribution. With fewer than six values
    /// they are the minimum and the maximum, and the confidence is lower.
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Number of values.
    pub(crate) of: usize,
}

impl Median {
    /// Returns `None` without values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let sorted = sorted(values);
        let rank = rank(sorted.len());
        let low = *sorted.get(rank - 1)?;
        let high = *sorted.get(sorted.len() - rank)?;
        Some(Self { median: middle(&sorted), low, high, of: sorted.len() })
    }

    /// Formats it as `median (low-high)`.
    pub(crate) fn text(&self, digits: usize) -> String {
        format!("{:.digits$} ({:.digits$}-{:.digits$})", self.median, self.low, self.high)
    }
}

/// Returns the rank at which the interval of `number` values begins, counted from 1 and from either end. The number of
/// values below the median has a binomial distribution; this is its normal approximation.
fn rank(number: usize) -> usize {
    let number = number as f64;
    let rank = (number + 1.0) / 2.0 - 1.96 * number.sqrt() / 2.0;
    if rank > 1.0 { rank as usize } else { 1 }
}

pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    middle(&sorted(values))
}

pub(crate) fn minimum(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(f64::NAN, f64::min)
}

/// Returns a percentile in microseconds of times in nanoseconds.
pub(crate) fn percentile(times: &[u64], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).map_or(f64::NAN, |&time| time as f64 / 1000.0)
}

fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// Returns the middle value, or the mean of the two middle values.
fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    let (Some(&upper), Some(&lower)) = (sorted.get(half), sorted.get(sorted.len().saturating_sub(1) / 2))
    else {
        return f64::NAN;
    };
    f64::midpoint(lower, upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert!(median([]).is_nan());
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(Median::of([]), None);
        let few = Median::of([3.0, 1.0, 2.0]).expect("values");
        assert_eq!((few.low, few.median, few.high, few.of), (1.0, 2.0, 3.0, 3));
    }

    /// Compares the approximation with the exact confidence, a sum of binomial probabilities.
    #[test]
    fn interval_contains_the_median_with_95_percent_confidence() {
        for number in 6..300_usize {
            let below = |most: usize| {
                let mut term = 0.5_f64.powi(number as i32);
                let mut sum = 0.0;
                for k in 0..=most {
                    sum += term;
                    term *= (number - k) as f64 / (k + 1) as f64;
                }
                sum
            };
            let confidence = |rank: usize| 1.0 - 2.0 * below(rank - 1);
            let rank = rank(number);
            assert!(confidence(rank) >= 0.949, "{number}: {}", confidence(rank));
            assert!(confidence(rank + 2) < 0.95, "{number}: wider than necessary");
        }
    }
}
