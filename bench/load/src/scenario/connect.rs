//! The storm: everyone connects and authenticates at once.
//!
//! Nobody is held back: connects go out as fast as this side can make them, whatever is unanswered, so the
//! listener's backlog and the server's accept budget are part of what is measured. Newcomers at a steady rate are
//! in [`arrive`](super::arrive).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::task::{Setup, Task, share};
use crate::client::Swarm;
use crate::drive::Tally;
use crate::drive::tally::Answers;
use crate::error::LoadError;
use crate::login::log_in;
use crate::progress::Progress;
use crate::server::processor_time;
use crate::sources::Sources;
use crate::stats::Summary;

/// What a storm showed.
#[derive(Debug, Clone, Serialize)]
pub struct Storm {
    /// From `connect()` to `auth_success`.
    pub wait: Summary,
    /// Authenticated clients per second, from the first connect to the last answer.
    pub logins_per_second: f64,
    /// What went wrong, and how often.
    pub failures: BTreeMap<String, u64>,
}

/// `clients` connect and authenticate with `tokens` in turn, at most `pending_max` of them unanswered.
pub fn run(tcp: SocketAddr, tokens: &[String], clients: usize, pending_max: usize) -> Result<Storm, LoadError> {
    let storms = Storms { tcp, tokens: tokens.to_vec(), clients, pending_max };
    let tally = storms.begin(Sources::default())?;
    let wait = tally.answers.get(&0).map(|answers| answers.latencies.summary()).unwrap_or_default();
    Ok(Storm { logins_per_second: wait.count as f64 / tally.seconds, wait, failures: tally.failures })
}

/// Who connects.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Storms {
    /// The server's v1 TCP address.
    pub tcp: SocketAddr,
    /// The tokens to authenticate with, in turn.
    pub tokens: Vec<String>,
    /// How many.
    pub clients: usize,
    /// How many may wait for an answer at once.
    pub pending_max: usize,
}

impl Storms {
    /// The part of one of several processes.
    pub fn part(&self, process: usize, of: usize) -> Self {
        let pending_max = self.pending_max.div_ceil(of.max(1));
        Self { clients: share(self.clients, process, of), pending_max, ..self.clone() }
    }

    /// There is nothing to prepare: connecting is what is measured.
    pub fn prepare(self, setup: &Setup) -> Result<Box<dyn Task>, LoadError> {
        Ok(Box::new(Storming { storms: self, setup: setup.clone() }))
    }

    fn begin(&self, sources: Sources) -> Result<Tally, LoadError> {
        let mut swarm = Swarm::from_sources(self.tcp, sources)?;
        let (start, mut tally) = (Instant::now(), Tally::new("login"));
        let logins = log_in(&mut swarm, self.clients, self.pending_max, &self.tokens, DEADLINE)?;
        tally.seconds = start.elapsed().as_secs_f64();
        let in_window = logins.times.summary().count;
        tally.answers.insert(0, Answers { in_window, latencies: logins.times });
        tally.failures = logins.failures;
        Ok(tally)
    }
}

struct Storming {
    storms: Storms,
    setup: Setup,
}

impl Task for Storming {
    fn step(&mut self, _: &Progress) -> Result<Vec<Tally>, LoadError> {
        let Self { storms, setup } = self;
        let before = setup.pid.map(processor_time).transpose()?;
        let mut tally = storms.begin(setup.sources)?;
        let after = setup.pid.map(processor_time).transpose()?;
        tally.processor_seconds = after.zip(before).map(|(after, before)| after.saturating_sub(before).as_secs_f64());
        Ok(vec![tally])
    }
}

/// A storm that takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(60);
