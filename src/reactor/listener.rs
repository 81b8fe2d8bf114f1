//! Accepting, and what to do when the system has no descriptors left.
//!
//! A backlog that could not be accepted makes no new event, so a listener stays ready until accept
//! itself says that nothing waits; after a failure it is tried again, later and later, without
//! anybody having to connect for it.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use super::net::Net;

/// A listening socket and when to try it.
pub struct Listener<N: Net> {
    socket: N::Listener,
    /// Keeps accepting while the server drains, so that its state can be seen.
    pub outlives_drain: bool,
    ready: bool,
    /// After a failure: not before this time, and how long the next pause would be.
    retry_ms: u64,
    pause_ms: u64,
}

/// What accepting brought.
pub enum Accepted<T> {
    /// A connection.
    One(T, SocketAddr),
    /// Nothing waits, or it is not the time to try.
    Nothing,
    /// Accepting failed and will be tried again by itself.
    Failed(io::Error),
}

impl<N: Net> Listener<N> {
    /// A listener that is ready to be tried.
    pub fn new(socket: N::Listener, outlives_drain: bool) -> Self {
        Self { socket, outlives_drain, ready: true, retry_ms: 0, pause_ms: PAUSE_MS_MIN }
    }

    /// The socket, to be watched.
    pub fn socket(&mut self) -> &mut N::Listener {
        &mut self.socket
    }

    /// Notes that somebody may be waiting.
    pub fn note_ready(&mut self) {
        self.ready = true;
    }

    /// When it wants to be tried: `Some(0)` at once, `None` when an event will tell.
    pub fn wants_ms(&self) -> Option<u64> {
        self.ready.then_some(self.retry_ms)
    }

    /// Accepts one. The only place where a connection is accepted.
    pub fn accept(&mut self, net: &mut N, now_ms: u64) -> Accepted<N::Stream> {
        if !self.ready || now_ms < self.retry_ms {
            return Accepted::Nothing;
        }
        loop {
            match net.accept(&mut self.socket) {
                Ok((stream, peer)) => {
                    (self.retry_ms, self.pause_ms) = (0, PAUSE_MS_MIN);
                    return Accepted::One(stream, peer);
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => {
                        self.ready = false;
                        return Accepted::Nothing;
                    }
                    // The client gave up while it waited, or a signal came: try the next.
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset => {}
                    _ => {
                        self.retry_ms = now_ms + self.pause_ms;
                        self.pause_ms = (self.pause_ms * 2).min(PAUSE_MS_MAX);
                        return Accepted::Failed(error);
                    }
                },
            }
        }
    }
}

/// The first pause after a failure: about as long as it takes a busy server to close something.
const PAUSE_MS_MIN: u64 = 50;

/// The longest pause: a person who waits should not notice more.
const PAUSE_MS_MAX: u64 = 1000;
