//! Latencies that travel from one process to another, and come together there.
//!
//! What travels is every bucket that has something in it with how much: the percentiles of several processes can't
//! be averaged, their histograms can be added up.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Latencies;

impl Latencies {
    /// Adds what others have seen.
    pub fn merge(&mut self, others: &Latencies) {
        for bucket in others.0.iter_recorded() {
            self.0.saturating_record_n(bucket.value_iterated_to(), bucket.count_at_value());
        }
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

impl Serialize for Latencies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let buckets = self.0.iter_recorded().map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value()));
        serializer.collect_seq(buckets)
    }
}

impl<'de> Deserialize<'de> for Latencies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut latencies = Latencies::new();
        for (value, count) in Vec::<(u64, u64)>::deserialize(deserializer)? {
            latencies.0.saturating_record_n(value, count);
        }
        Ok(latencies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Shows that what two processes saw has the percentiles of what one would have seen, after a trip as JSON.
    #[test]
    fn two_halves_make_a_whole() {
        let of = |range: std::ops::Range<u64>| {
            let mut latencies = Latencies::new();
            range.for_each(|us| latencies.record(Duration::from_micros(us * us)));
            latencies
        };
        let travelled = |latencies: Latencies| -> Latencies {
            serde_json::from_str(&serde_json::to_string(&latencies).unwrap()).unwrap()
        };
        let mut merged = travelled(of(0..500));
        merged.merge(&travelled(of(500..1000)));
        assert_eq!(merged.summary(), of(0..1000).summary());
    }
}
