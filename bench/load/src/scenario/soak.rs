//! A soak: the [`mixed`](super::mixed) day for many minutes, with the server's memory looked at all along.
//!
//! It fails when anything was lost, as every mixed run does, and when memory still grows once it should have
//! settled. Growth is the slope of the last two thirds: caches fill in the first.

use std::fmt;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::idle::fitted_slope;
use crate::crew::Crew;
use crate::drive::Outcome;
use crate::error::LoadError;
use crate::progress::Progress;
use crate::server::settled_rss_anon_bytes;

/// What a soak showed.
#[derive(Debug, Clone, Serialize)]
pub struct Soak {
    /// The day.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The server's memory.
    pub memory: Memory,
}

/// A process's anonymous memory over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Memory {
    /// Seconds from the start, and bytes then.
    pub samples: Vec<(f64, u64)>,
    /// By how much it grew in the last two thirds, in bytes, by the line that fits best.
    pub growth_bytes: f64,
}

impl Memory {
    fn of(samples: Vec<(f64, u64)>) -> Self {
        let settled: Vec<(f64, f64)> =
            samples.iter().skip(samples.len() / 3).map(|(at, bytes)| (*at, *bytes as f64)).collect();
        let length = settled.last().zip(settled.first()).map_or(0.0, |(last, first)| last.0 - first.0);
        Self { growth_bytes: fitted_slope(&settled) * length, samples }
    }

    /// Whether it grew by more than it may: `most_bytes`, or a tenth of what it was, whatever is more.
    pub fn has_grown(&self, most_bytes: u64) -> bool {
        let before = self.samples.get(self.samples.len() / 3).map_or(0, |(_, bytes)| *bytes);
        self.growth_bytes > (most_bytes as f64).max(before as f64 / 10.0)
    }
}

/// Takes the crew's step, and looks at process `pid` every now and then meanwhile, some [`SAMPLES`] times in `length`.
pub fn run(crew: &mut Crew, pid: u32, length: Duration, progress: &Progress) -> Result<Soak, LoadError> {
    let every = (length / SAMPLES).max(EVERY_MIN);
    let (over, is_over) = channel::<()>();
    let sampler = std::thread::spawn(move || -> Result<Vec<(f64, u64)>, LoadError> {
        let (start, mut samples) = (Instant::now(), Vec::new());
        // The other side says nothing; it is gone when the step is over.
        while is_over.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
            let bytes = settled_rss_anon_bytes(pid)?;
            samples.push((start.elapsed().as_secs_f64(), bytes));
        }
        Ok(samples)
    });
    let stepped = crew.step(progress);
    drop(over);
    let samples = sampler.join().map_err(|_| LoadError::Wrong("looking at the memory failed".to_owned()))?;
    Ok(Soak { outcome: Outcome::of(stepped?), memory: Memory::of(samples?) })
}

impl fmt::Display for Soak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: f64| bytes / (1024.0 * 1024.0);
        let at = |sample: Option<&(f64, u64)>| sample.map_or(0.0, |(_, bytes)| mib(*bytes as f64));
        let Memory { samples, growth_bytes } = &self.memory;
        let (first, last) = (at(samples.first()), at(samples.last()));
        write!(f, "{}\nmemory: {first:.1} MiB at first, {last:.1} MiB at last, ", self.outcome)?;
        write!(f, "{:+.2} MiB in the last two thirds", mib(*growth_bytes))
    }
}

/// Enough for a line through them; each takes a fifth of a second or more, until memory has stood still.
const SAMPLES: u32 = 120;

const EVERY_MIN: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(of: impl Fn(u64) -> u64) -> Memory {
        Memory::of((0..30).map(|second| (second as f64, of(second))).collect())
    }

    /// Shows that memory that has filled up and stays is no growth, nor is a jitter, and that a leak is.
    #[test]
    fn a_leak_is_told_from_a_cache() {
        let mib = 1024 * 1024;
        let filled = memory(|second| second.min(8) * 10 * mib);
        assert!(filled.growth_bytes.abs() < 1.0 && !filled.has_grown(mib), "{}", filled.growth_bytes);
        assert!(!memory(|second| 50 * mib + second % 2 * mib).has_grown(mib));
        let leak = memory(|second| 50 * mib + second * mib);
        assert!((leak.growth_bytes / mib as f64 - 19.0).abs() < 0.1 && leak.has_grown(8 * mib));
        assert!(!memory(|_| mib).has_grown(0) && !Memory::of(Vec::new()).has_grown(0));
    }
}
