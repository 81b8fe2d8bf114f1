//! The storm: everyone connects and authenticates at once.
//!
//! Nobody is held back: connects go out as fast as this side can make them, whatever is unanswered, so the
//! listener's backlog and the server's accept budget are part of what is measured.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::client::Swarm;
use crate::error::LoadError;
use crate::login::log_in;
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
    let mut swarm = Swarm::new(tcp)?;
    let start = Instant::now();
    let logins = log_in(&mut swarm, clients, pending_max, tokens, DEADLINE)?;
    let wait = logins.times.summary();
    let logins_per_second = wait.count as f64 / start.elapsed().as_secs_f64();
    Ok(Storm { wait, logins_per_second, failures: logins.failures })
}

/// A storm that takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(60);
