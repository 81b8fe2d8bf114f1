//! Arguments that several commands share.

use std::time::Duration;

use clap::Args;

use crate::crew::Crew;
use crate::drive::Outcome;
use crate::error::LoadError;
use crate::progress::Progress;
use crate::scenario::Pace;
use crate::scenario::task::{Job, Setup, Work};
use crate::sources::Sources;

/// How long.
#[derive(Debug, Clone, Args)]
pub struct Time {
    /// How long to measure.
    #[arg(long, default_value_t = 5.0, value_parser = seconds)]
    pub seconds: f64,
    /// How long to load before measuring; a fifth of --seconds, if not given.
    #[arg(long, value_parser = seconds)]
    pub warm_up: Option<f64>,
}

impl Time {
    /// As a pace.
    pub fn pace(&self) -> Pace {
        let pace = Pace::seconds(self.seconds);
        Pace { warm_up: self.warm_up.map_or(pace.warm_up, Duration::from_secs_f64), ..pace }
    }
}

/// How many processes, and from where.
#[derive(Debug, Clone, Args)]
pub struct Scale {
    /// Share the work among so many processes, for more connections than one may open and more load than one can
    /// make.
    #[arg(long, default_value_t = 1, value_name = "P")]
    pub processes: usize,
    /// Connect from so many addresses, 127.0.0.1 and on; each has some 28,000 ports.
    #[arg(long, default_value_t = 16, value_name = "N")]
    pub sources: u32,
}

impl Scale {
    /// The addresses.
    pub fn sources(&self) -> Result<Sources, LoadError> {
        Sources::new(self.sources)
    }

    /// Has the work done, and tells what it is on a terminal.
    pub fn run(&self, name: &str, work: Work, pace: Pace, pid: Option<u32>) -> Result<Outcome, LoadError> {
        let progress = Progress::new(name, pace.whole());
        let mut crew = self.crew(work, pace, pid, &progress)?;
        Ok(Outcome::of(crew.step(&progress)?))
    }

    /// Has the work prepared.
    pub fn crew(&self, work: Work, pace: Pace, pid: Option<u32>, progress: &Progress) -> Result<Crew, LoadError> {
        let setup = Setup { sources: self.sources()?, pace, pid };
        Crew::ready(Job { setup, work }, self.processes, progress)
    }
}

/// Seconds, and no more of them than a run may take.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=SECONDS_MAX).contains(&seconds) => Ok(seconds),
        _ => Err(format!("a number between 0 and {SECONDS_MAX}")),
    }
}

/// A rate that can be kept.
pub fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.1..=RATE_MAX).contains(&rate) => Ok(rate),
        _ => Err(format!("a number between 0.1 and {RATE_MAX} a second")),
    }
}

/// A number that is not zero.
pub fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "a whole number above 0".to_owned())
}

/// Longer runs are `soak`'s.
const SECONDS_MAX: f64 = 600.0;

/// What one process can keep to; several share a rate.
const RATE_MAX: f64 = 6_400_000.0;
