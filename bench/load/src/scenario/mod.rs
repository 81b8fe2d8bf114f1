//! The scenarios: one file each, one kind of load each.
//!
//! A scenario takes addresses, tokens and a pace, returns numbers, and verifies what it received: a number
//! whose messages were lost, doubled or swapped is an error, not a number. Most of them are a client for the loop
//! in [`drive`](crate::drive), and a [`task`] that several processes can share.

pub mod accepts;
pub mod arrive;
pub mod asker;
pub mod asks;
pub mod chat;
pub mod connect;
pub mod echo;
pub mod fanout;
pub mod fanout_broker;
pub mod greet;
pub mod grpc;
pub mod http;
pub mod idle;
pub mod ingest;
pub mod logins;
pub mod members;
pub mod mixed;
pub mod open_loop;
pub mod ping;
pub mod roll_call;
pub mod search;
pub mod soak;
pub mod stored;
pub mod task;
pub mod udp;

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long to load before measuring, and how long to measure.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Pace {
    /// Not measured: caches fill, batches find their size.
    pub warm_up: Duration,
    /// Measured.
    pub duration: Duration,
}

impl Pace {
    /// `seconds` measured after a fifth of that to warm up.
    pub fn seconds(seconds: f64) -> Self {
        let duration = Duration::from_secs_f64(seconds.clamp(0.1, 600.0));
        Self { warm_up: duration / 5, duration }
    }

    /// How long all of it takes.
    pub fn whole(self) -> Duration {
        self.warm_up + self.duration
    }
}

/// A closed loop that gets no answer for this long has lost a message.
pub const STALL: Duration = Duration::from_secs(5);
