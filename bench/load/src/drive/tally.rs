//! What came of the operations: counted while the loop runs, added up over processes, and summed up at the end.
//!
//! A [`Tally`] is what is counted, an [`Outcome`] what is shown. What must hold: percentiles are made last, of all
//! processes' latencies together.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::report::count;
use crate::stats::{Latencies, Summary};

/// What is counted of one lane.
#[derive(Serialize, Deserialize)]
pub struct Tally {
    /// What its operations are called.
    pub name: String,
    /// How many an open loop should have sent in the time measured; a closed one has no such number.
    pub offered: u64,
    /// Good answers by kind.
    pub answers: BTreeMap<u16, Answers>,
    /// What went wrong, by kind; the warm-up's too.
    pub failures: BTreeMap<String, u64>,
    /// How late this side was itself; what the server can't help.
    pub lateness: Latencies,
    /// How long was measured.
    pub seconds: f64,
    /// The processor time that the server used meanwhile, if it was looked at.
    pub processor_seconds: Option<f64>,
}

/// Good answers of one kind.
#[derive(Default, Serialize, Deserialize)]
pub struct Answers {
    /// How many came in the time measured, whenever they were asked for.
    pub in_window: u64,
    /// Of those that were due in the time measured.
    pub latencies: Latencies,
}

impl Tally {
    /// Nothing yet.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            offered: 0,
            answers: BTreeMap::new(),
            failures: BTreeMap::new(),
            lateness: Latencies::new(),
            seconds: 0.0,
            processor_seconds: None,
        }
    }

    /// Counts an operation that was due at `since` and has come to its end `now`.
    pub fn add(&mut self, since: Instant, now: Instant, verdict: Verdict, window: &Range<Instant>) {
        let kind = match verdict {
            Ok(kind) => kind,
            Err(reason) => return self.fail(&reason, 1),
        };
        let answers = self.answers.entry(kind).or_default();
        answers.in_window += u64::from(window.contains(&now));
        if window.contains(&since) {
            answers.latencies.record(now.saturating_duration_since(since));
        }
    }

    /// Counts what went wrong.
    pub fn fail(&mut self, reason: &str, times: u64) {
        if times > 0 {
            *self.failures.entry(reason.to_owned()).or_default() += times;
        }
    }

    /// How many good answers came in the time measured.
    pub fn operations(&self) -> u64 {
        self.answers.values().map(|answers| answers.in_window).sum()
    }

    /// Adds what another process has counted of the same lane.
    pub fn merge(&mut self, other: Tally) {
        self.offered += other.offered;
        for (kind, answers) in other.answers {
            let own = self.answers.entry(kind).or_default();
            own.in_window += answers.in_window;
            own.latencies.merge(&answers.latencies);
        }
        other.failures.iter().for_each(|(reason, times)| self.fail(reason, *times));
        self.lateness.merge(&other.lateness);
        self.seconds = self.seconds.max(other.seconds);
        // All of them looked at the same server.
        self.processor_seconds = self.processor_seconds.or(other.processor_seconds);
    }
}

/// What a run showed.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// One for each kind of work.
    pub work: Vec<Work>,
    /// The server's processor time for one operation, in microseconds, all kinds of work together.
    pub server_cpu_us_per_operation: Option<f64>,
}

/// What one kind of work showed.
#[derive(Debug, Clone, Serialize)]
pub struct Work {
    /// What was done.
    pub name: String,
    /// Good answers in a second.
    pub operations_per_second: f64,
    /// From the time an operation was due to its answer.
    pub latency: Summary,
    /// How many an open loop should have sent; `None` of a closed one.
    pub offered: Option<u64>,
    /// How late this side was itself, in an open loop.
    pub lateness: Option<Summary>,
    /// What went wrong, and how often.
    pub failures: BTreeMap<String, u64>,
}

impl Outcome {
    /// Sums up tallies, the same lane's of several processes as one.
    pub fn of(tallies: Vec<Tally>) -> Self {
        let mut merged: Vec<Tally> = Vec::new();
        for tally in tallies {
            match merged.iter_mut().find(|other| other.name == tally.name) {
                Some(other) => other.merge(tally),
                None => merged.push(tally),
            }
        }
        let operations: u64 = merged.iter().map(Tally::operations).sum();
        let used = merged.iter().find_map(|tally| tally.processor_seconds);
        let server_cpu_us_per_operation =
            used.filter(|_| operations > 0).map(|seconds| seconds * 1e6 / operations as f64);
        Self { work: merged.into_iter().map(Work::of).collect(), server_cpu_us_per_operation }
    }

    /// How many operations failed.
    pub fn failed(&self) -> u64 {
        self.work.iter().flat_map(|work| work.failures.values()).sum()
    }

    /// Good answers in a second, of all kinds of work.
    pub fn operations_per_second(&self) -> f64 {
        self.work.iter().map(|work| work.operations_per_second).sum()
    }
}

impl Work {
    fn of(tally: Tally) -> Self {
        let mut latencies = Latencies::new();
        tally.answers.values().for_each(|answers| latencies.merge(&answers.latencies));
        let open = tally.offered > 0;
        Self {
            operations_per_second: tally.operations() as f64 / tally.seconds.max(f64::MIN_POSITIVE),
            latency: latencies.summary(),
            offered: open.then_some(tally.offered),
            lateness: open.then(|| tally.lateness.summary()),
            failures: tally.failures,
            name: tally.name,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, work) in self.work.iter().enumerate() {
            let line = if at > 0 { "\n" } else { "" };
            write!(f, "{line}{work}")?;
        }
        match self.server_cpu_us_per_operation {
            Some(us) => write!(f, "\nserver: {us:.2} µs of processor time for each"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, operations_per_second, latency, .. } = self;
        write!(f, "{name}: {}/s; {latency}", count(*operations_per_second))?;
        if let (Some(offered), Some(lateness)) = (self.offered, &self.lateness) {
            write!(f, "; {} offered, sent {:.2} ms late at p99", count(offered as f64), lateness.p99_ms)?;
        }
        for (reason, times) in &self.failures {
            write!(f, "; failed, {reason}: {times}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Shows that an answer counts for the rate when it comes within the window, for the latency when it was due in
    /// it, and that a failure is no answer.
    #[test]
    fn the_window_decides() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let window = start + ms(10)..start + ms(20);
        let mut tally = Tally::new("x");
        tally.add(start, start + ms(12), Ok(0), &window);
        tally.add(start + ms(12), start + ms(14), Ok(0), &window);
        tally.add(start + ms(15), start + ms(30), Ok(0), &window);
        tally.add(start + ms(15), start + ms(16), Err("no".to_owned()), &window);
        assert_eq!((tally.operations(), tally.answers[&0].latencies.summary().count), (2, 2));
        assert_eq!(tally.failures["no"], 1);
    }

    /// Shows that two processes' tallies of a lane are one line, their rates added and the server looked at once.
    #[test]
    fn processes_are_added_up() {
        let of = |operations: u64| {
            let mut tally = Tally::new("ping");
            (tally.seconds, tally.processor_seconds) = (2.0, Some(0.3));
            tally.answers.insert(0, Answers { in_window: operations, latencies: Latencies::new() });
            tally.fail("closed", 1);
            tally
        };
        let outcome = Outcome::of(vec![of(100_000), of(200_000)]);
        assert_eq!((outcome.work.len(), outcome.failed()), (1, 2));
        assert_eq!((outcome.operations_per_second(), outcome.server_cpu_us_per_operation), (150_000.0, Some(1.0)));
        assert!(outcome.to_string().starts_with("ping: 150,000/s"), "{outcome}");
    }
}
