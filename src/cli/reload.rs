//! SIGHUP: what an operator can change while the server runs.
//!
//! That is the log's level. The configuration is read again from the same file, environment and flags;
//! of every other key that is different now, the log says that it waits for a restart. A configuration
//! that is wrong changes nothing. Secrets are not compared: one that has changed goes unmentioned.

use super::{Global, environment};
use crate::config::Config;
use crate::logs::Level;

/// What a running server was started with.
pub struct Reload {
    global: Global,
    /// The configuration that holds.
    config: Config,
    level: Level,
}

impl Reload {
    /// For a server that was started with these.
    pub fn new(global: Global, config: Config, level: Level) -> Self {
        Self { global, config, level }
    }

    /// Reads the configuration again, and logs what came of it.
    pub fn run(&mut self) {
        let config = match self.global.load(environment()) {
            Ok(config) => config,
            Err(error) => return tracing::error!(%error, "SIGHUP: nothing has changed"),
        };
        if self.level.set(&config.log.level).is_ok() {
            self.config.log.level = config.log.level.clone();
        }
        tracing::warn!(log_level = self.config.log.level, "SIGHUP: the configuration was read again");
        for key in different(&self.config, &config) {
            tracing::warn!(key, "SIGHUP: this key has changed, and waits for a restart");
        }
    }
}

/// The keys whose values differ.
fn different(one: &Config, other: &Config) -> Vec<String> {
    let pairs = one.shown().into_iter().zip(other.shown());
    pairs.filter(|(one, other)| one.literal != other.literal).map(|(one, _)| one.key).collect()
}
