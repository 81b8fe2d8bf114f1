//! What this thread counts: how calls and connections end. The loop shows it with its own numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The peer ended it.
    Peer,
    /// It broke.
    Lost,
    /// The peer did not say in time what it speaks.
    Greeting,
    /// It was no HTTP/2, and was told what this port is.
    Explained,
    /// It broke the rules of HTTP/2.
    Protocol,
    /// It sent too much that carries nothing.
    Flood,
    /// It did not answer a ping.
    Silent,
    /// The server drained.
    Shutdown,
    /// There were too many, here or from its address.
    TooMany,
}

/// Numbers that only grow, and how many connections there are.
#[derive(Debug, Default)]
pub struct Counts {
    calls: [AtomicU64; CODES.len()],
    closed: [AtomicU64; Closed::ALL.len()],
    opened: AtomicU64,
    accept_errors: AtomicU64,
}

impl Closed {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::Peer,
        Self::Lost,
        Self::Greeting,
        Self::Explained,
        Self::Protocol,
        Self::Flood,
        Self::Silent,
        Self::Shutdown,
        Self::TooMany,
    ];

    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Peer => "peer_closed",
            Self::Lost => "peer_lost",
            Self::Greeting => "greeting_timeout",
            Self::Explained => "explained",
            Self::Protocol => "protocol_error",
            Self::Flood => "flood",
            Self::Silent => "idle_timeout",
            Self::Shutdown => "shutdown",
            Self::TooMany => "too_many",
        }
    }
}

impl Counts {
    /// A call has ended with the code of this number.
    pub fn call_ended(&self, code: usize) {
        add(&self.calls[code.min(CODES.len() - 1)]);
    }

    /// A connection was accepted.
    pub fn opened(&self) {
        add(&self.opened);
    }

    /// A connection has ended.
    pub fn closed(&self, why: Closed) {
        add(&self.closed[why as usize]);
    }

    /// An accept failed.
    pub fn accept_failed(&self) {
        add(&self.accept_errors);
    }

    /// Calls that have ended, by their code.
    pub fn calls(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        CODES.iter().zip(&self.calls).map(|(code, count)| (*code, count.load(Ordering::Relaxed)))
    }

    /// Connections that have ended, by the reason.
    pub fn closes(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Closed::ALL.iter().zip(&self.closed).map(|(why, count)| (why.as_str(), count.load(Ordering::Relaxed)))
    }

    /// Connections that are open.
    pub fn connections(&self) -> u64 {
        let closed: u64 = self.closes().map(|(_, count)| count).sum();
        self.opened.load(Ordering::Relaxed).saturating_sub(closed)
    }

    /// Accepts that failed.
    pub fn accept_errors(&self) -> u64 {
        self.accept_errors.load(Ordering::Relaxed)
    }
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// The codes of gRPC by their numbers.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::grpc::status::Code;

    /// What ends is counted under its own name, and what has not ended is open.
    #[test]
    fn ends_are_counted() {
        let counts = Counts::default();
        (0..3).for_each(|_| counts.opened());
        counts.closed(Closed::Flood);
        counts.call_ended(Code::Unauthenticated as usize);
        assert_eq!(counts.connections(), 2);
        assert!(counts.closes().any(|ended| ended == ("flood", 1)));
        assert_eq!(counts.calls().filter(|ended| ended.1 > 0).collect::<Vec<_>>(), [("UNAUTHENTICATED", 1)]);
        assert!(Closed::ALL.iter().enumerate().all(|(place, why)| *why as usize == place));
    }
}
