//! Numbers out of samples: medians of rounds, percentiles of latencies.
//!
//! Nothing here knows what was measured. Latencies are kept in microseconds.

mod buckets;

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};

/// The median, or `None` without samples: of an even number of samples the mean of the middle two.
pub fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// How long things took, to three digits.
#[derive(Debug, Clone, PartialEq)]
pub struct Latencies(Histogram<u64>);

impl Latencies {
    /// No samples yet.
    pub fn new() -> Self {
        // The bounds are constants and valid, so the fallback is never taken; it resizes itself.
        let histogram = Histogram::new_with_max(LONGEST_US, 3);
        Self(histogram.unwrap_or_else(|_| Histogram::new(3).unwrap_or_else(|_| unreachable!("3 digits are valid"))))
    }

    /// Adds a sample. Anything beyond two minutes counts as two minutes.
    pub fn record(&mut self, elapsed: Duration) {
        self.0.saturating_record(elapsed.as_micros() as u64);
    }

    /// What the samples say.
    pub fn summary(&self) -> Summary {
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1000.0;
        Summary {
            count: self.0.len(),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: self.0.max() as f64 / 1000.0,
            percentiles: self.clone(),
        }
    }

    /// The distribution: which share of the samples took at most so many milliseconds. Finer towards the rare ones,
    /// and the last share is 1.
    pub fn curve(&self) -> Vec<[f64; 2]> {
        let steps = self.0.iter_quantiles(STEPS_PER_HALF);
        steps.map(|step| [step.quantile_iterated_to(), step.value_iterated_to() as f64 / 1000.0]).collect()
    }
}

fn as_curve<S: Serializer>(latencies: &Latencies, serializer: S) -> Result<S::Ok, S::Error> {
    latencies.curve().serialize(serializer)
}

/// Percentiles, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// How many samples there were.
    pub count: u64,
    /// Half were at most this.
    pub p50_ms: f64,
    /// 99 of 100 were at most this.
    pub p99_ms: f64,
    /// 999 of 1000 were at most this.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// All of them; as JSON, their [`curve`](Latencies::curve).
    #[serde(serialize_with = "as_curve")]
    pub percentiles: Latencies,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, max {:.2} ms",
            self.p50_ms, self.p99_ms, self.p999_ms, self.max_ms
        )
    }
}

/// Two minutes: longer than any run.
const LONGEST_US: u64 = 120_000_000;

/// Points of a curve while what is left of the samples halves: smooth to look at, and some hundred numbers at most.
const STEPS_PER_HALF: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows the median of no, odd and even numbers of samples, out of order.
    #[test]
    fn median_of_any_number() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }

    /// Shows that percentiles come out in milliseconds and to three digits, from a known ramp.
    #[test]
    fn percentiles_of_a_ramp() {
        let mut latencies = Latencies::new();
        (1..=1000u64).for_each(|ms| latencies.record(Duration::from_millis(ms)));
        let summary = latencies.summary();
        assert_eq!(summary.count, 1000);
        assert!((summary.p50_ms - 500.0).abs() < 1.0, "{summary}");
        assert!((summary.p99_ms - 990.0).abs() < 1.0, "{summary}");
        assert!((summary.max_ms - 1000.0).abs() < 1.0, "{summary}");
    }
    /// Shows that a curve rises to its last sample, and that the samples of two are all in the first.
    #[test]
    fn curves_of_samples_put_together() {
        let of = |range: std::ops::RangeInclusive<u64>| {
            let mut latencies = Latencies::new();
            range.for_each(|ms| latencies.record(Duration::from_millis(ms)));
            latencies
        };
        let mut both = of(1..=500);
        both.merge(&of(501..=1000));
        assert_eq!(both, of(1..=1000));
        let curve = both.curve();
        assert!(curve.is_sorted_by(|a, b| a[0] <= b[0] && a[1] <= b[1]), "{curve:?}");
        assert!(curve.last().is_some_and(|last| last[0] == 1.0 && (last[1] - 1000.0).abs() < 1.0), "{curve:?}");
        assert_eq!(Latencies::new().curve(), Vec::<[f64; 2]>::new());
    }
}
