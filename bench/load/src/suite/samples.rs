//! What the rounds of a measurement showed, by themselves and in pairs.
//!
//! Neighbours slow this kind of machine by a third, for seconds at a time. Two who take turns in short slices are
//! slowed alike, so the median of their ratios, pair by pair, holds still where the ratio of two medians does not.

use crate::error::LoadError;
use crate::stats::{Latencies, Summary, median};

/// What one of them did in the rounds so far.
#[derive(Default)]
pub struct Samples {
    /// One for each round.
    pub numbers: Vec<f64>,
    /// How long things took, all rounds together, where that was measured.
    pub latencies: Latencies,
    /// What went wrong first.
    pub failure: Option<LoadError>,
}

/// What one round measured: a number, and how long things took if it says so.
pub struct Sample(f64, Option<Summary>);

impl From<f64> for Sample {
    fn from(number: f64) -> Self {
        Self(number, None)
    }
}

impl From<(f64, Summary)> for Sample {
    fn from((number, summary): (f64, Summary)) -> Self {
        Self(number, Some(summary))
    }
}

impl Samples {
    /// Measures once more, unless an earlier round failed.
    pub fn take<S: Into<Sample>>(&mut self, measure: impl FnOnce() -> Result<S, LoadError>) {
        if self.failure.is_none() {
            match measure().map(Into::into) {
                Ok(Sample(number, summary)) => {
                    self.numbers.push(number);
                    summary.iter().for_each(|summary| self.latencies.merge(&summary.percentiles));
                }
                Err(error) => self.failure = Some(error),
            }
        }
    }
}

/// The server and somebody else, measured in turn.
#[derive(Default)]
pub struct Pairs {
    /// The server's rounds.
    pub server: Samples,
    /// The other's.
    pub other: Samples,
}

impl Pairs {
    /// The median of the server's parts of what the other did right beside it; none when any round failed.
    pub fn ratio(&self) -> Option<f64> {
        if self.server.failure.is_some() || self.other.failure.is_some() {
            return None;
        }
        let both = self.server.numbers.iter().zip(&self.other.numbers);
        median(&both.filter(|(_, other)| **other > 0.0).map(|(server, other)| server / other).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    /// Shows that what slows a pair does not move the ratio, and that a failed round leaves none.
    #[test]
    fn a_ratio_is_taken_pair_by_pair() {
        let mut pairs = Pairs::default();
        for speed in [1.0, 10.0, 3.0] {
            pairs.server.take(|| Ok(9.0 * speed));
            pairs.other.take(|| Ok(10.0 * speed));
        }
        assert_eq!(pairs.ratio(), Some(0.9));
        pairs.other.take(|| Err::<f64, _>(LoadError::Closed(3, ErrorKind::ConnectionReset)));
        assert_eq!(pairs.ratio(), None);
    }
}
