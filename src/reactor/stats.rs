//! What the reactor counts about itself, and how it shows it.
//!
//! Counting is adding to a number; nothing here allocates while the loop runs. How the numbers are
//! printed (Prometheus, JSON) is the handlers' concern.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::service::{ListenerIndex, Now};
use crate::handlers::effect::CloseReason;
use crate::handlers::key::ConnKey;

/// The phases of a turn that do work, in their order.
pub const PHASES: [&str; 8] = ["finish", "serve", "expire", "publish", "flush", "reap", "accept", "tick"];

/// How many closed connections `/connz` remembers: enough to find what just happened.
pub const CLOSED_MAX: usize = 256;

/// Numbers that only grow, and the memory of who just left.
#[derive(Debug)]
pub struct Stats {
    /// Turns of the loop.
    pub turns: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Accepted and told at once that there is no room.
    pub refused: u64,
    /// Accepts that failed, for want of descriptors or otherwise.
    pub accept_errors: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Messages decoded.
    pub messages_in: u64,
    /// Events published.
    pub events: u64,
    /// Copies of events queued to members.
    pub deliveries: u64,
    /// Datagrams received and sent.
    pub datagrams: (u64, u64),
    /// Bytes of datagrams received and sent.
    pub datagram_bytes: (u64, u64),
    /// Datagrams dropped because too many were waiting to be sent.
    pub datagrams_dropped: u64,
    /// Datagrams that the system would not send or receive.
    pub datagram_errors: u64,
    /// Jobs submitted to lanes.
    pub jobs: u64,
    /// Jobs refused because their lane was full.
    pub jobs_refused: u64,
    /// Handlers that panicked.
    pub panics: u64,
    /// Microseconds in each of [`PHASES`], sampled one turn in [`Stats::SAMPLE`].
    pub phase_us: [u64; PHASES.len()],
    closes: [u64; CloseReason::ALL.len()],
    closed: VecDeque<Closed>,
}

/// A connection that ended.
#[derive(Debug, Clone)]
pub struct Closed {
    /// Its name.
    pub key: ConnKey,
    /// Its remote address.
    pub peer: SocketAddr,
    /// What it spoke.
    pub protocol: &'static str,
    /// Who it was.
    pub user: Option<String>,
    /// When it was accepted, in Unix milliseconds.
    pub opened_ms: i64,
    /// When it ended, in Unix milliseconds.
    pub closed_ms: i64,
    /// Bytes received and sent.
    pub bytes: (u64, u64),
    /// Messages received and sent.
    pub messages: (u32, u32),
    /// Why.
    pub reason: CloseReason,
}

/// A connection that is open.
#[derive(Debug, Clone)]
pub struct Open {
    /// Its name.
    pub key: ConnKey,
    /// Its remote address.
    pub peer: SocketAddr,
    /// The listener it came through.
    pub listener: ListenerIndex,
    /// What it speaks.
    pub protocol: &'static str,
    /// Who it is.
    pub user: Option<String>,
    /// When it was accepted, in Unix milliseconds.
    pub opened_ms: i64,
    /// When it last received or was sent something, in Unix milliseconds.
    pub active_ms: i64,
    /// Bytes received and sent.
    pub bytes: (u64, u64),
    /// Messages received and sent.
    pub messages: (u32, u32),
    /// Bytes received and not consumed, and bytes owed.
    pub held: (usize, usize),
    /// Jobs that have not come back.
    pub jobs: u16,
}

/// The reactor at one moment, for monitoring.
pub struct View<'a> {
    /// When.
    pub now: Now,
    /// What was counted.
    pub stats: &'a Stats,
    /// How many connections are open.
    pub connections: usize,
    /// The most there may be.
    pub connections_max: usize,
    /// How many topics have members.
    pub topics: usize,
    /// Jobs waiting in each lane.
    pub lanes: [(&'static str, usize); 4],
    /// Events waiting to be published.
    pub events_waiting: usize,
    /// Bytes held in receive and send buffers.
    pub held: (usize, usize),
    /// Datagrams waiting to be sent.
    pub datagrams_waiting: usize,
    /// Whether it is draining.
    pub draining: bool,
    /// Lists the open connections that are wanted, in slot order, after `skip` at most `limit`.
    pub open: &'a dyn Fn(Wanted<'_>, usize, usize) -> Vec<Open>,
}

/// Says which connections to list.
pub type Wanted<'a> = &'a dyn Fn(&Open) -> bool;

impl Stats {
    /// One turn in so many is timed.
    pub const SAMPLE: u64 = 16;

    /// Nothing counted.
    pub fn new() -> Self {
        Self {
            turns: 0,
            accepted: 0,
            refused: 0,
            accept_errors: 0,
            bytes_in: 0,
            bytes_out: 0,
            messages_in: 0,
            events: 0,
            deliveries: 0,
            datagrams: (0, 0),
            datagram_bytes: (0, 0),
            datagrams_dropped: 0,
            datagram_errors: 0,
            jobs: 0,
            jobs_refused: 0,
            panics: 0,
            phase_us: [0; PHASES.len()],
            closes: [0; CloseReason::ALL.len()],
            closed: VecDeque::new(),
        }
    }

    /// Counts an end and remembers it.
    pub fn close(&mut self, closed: Closed) {
        self.closes[closed.reason as usize] += 1;
        if self.closed.len() == CLOSED_MAX {
            self.closed.pop_front();
        }
        self.closed.push_back(closed);
    }

    /// How many connections ended for each reason.
    pub fn closes(&self) -> impl Iterator<Item = (CloseReason, u64)> {
        CloseReason::ALL.iter().map(|reason| (*reason, self.closes[*reason as usize]))
    }

    /// Who left lately, the last first.
    pub fn closed(&self) -> impl Iterator<Item = &Closed> {
        self.closed.iter().rev()
    }
}

impl Default for Stats {
    fn default() -> Self {
        Self::new()
    }
}
