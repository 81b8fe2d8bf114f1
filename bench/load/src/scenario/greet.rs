//! Greetings: newcomers at a fixed rate, each with a WebSocket handshake and a join, and how long each waits for
//! the first message of the room.

use std::net::SocketAddr;

use serde::Serialize;

use super::Pace;
use super::arrive::{self, Guest};
use crate::client::Swarm;
use crate::error::LoadError;
use crate::join::{Newcomer, ROOM, Step, join_frame};
use crate::progress::Progress;
use crate::stats::Summary;
use crate::websocket;

/// What the newcomers saw.
#[derive(Debug, Clone, Serialize)]
pub struct Greet {
    /// From the time a newcomer was due to the first message, the warm-up left out.
    pub wait: Summary,
}

/// `per_second` newcomers a second, with `tokens` in turn. Each must be greeted.
pub fn run(http: SocketAddr, tokens: &[String], per_second: f64, pace: Pace) -> Result<Greet, LoadError> {
    let guest = |index: usize| Joining {
        upgrade: websocket::upgrade(http, &tokens[index % tokens.len()]),
        newcomer: Newcomer::default(),
    };
    let tally = arrive::run(Swarm::new(http)?, "greeting", per_second, pace, &Progress::HIDDEN, guest)?;
    match tally.failures.first_key_value() {
        Some((reason, times)) => Err(LoadError::Wrong(format!("{times} were not greeted: {reason}"))),
        None => Ok(Greet { wait: tally.answers.get(&0).map(|all| all.latencies.summary()).unwrap_or_default() }),
    }
}

struct Joining {
    upgrade: Vec<u8>,
    newcomer: Newcomer,
}

impl Guest for Joining {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.upgrade);
    }

    fn receive(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<bool, String> {
        match self.newcomer.receive(bytes)? {
            Step::Waiting => Ok(false),
            Step::Upgraded => {
                out.extend_from_slice(&join_frame(ROOM));
                Ok(false)
            }
            Step::Greeted | Step::Present => Ok(true),
        }
    }
}

/// How many users take turns: more than are ever there at once.
pub const GUESTS: usize = 100;
