//! Bytes of messages that calls hold, on their way in and on their way out.
//!
//! They are counted twice: over all calls, and over those of one connection, so that one peer can't take
//! what is there for everybody. A part of each count is for short messages alone: long ones that nobody
//! finishes, or nobody reads, leave room for the many calls of a few hundred bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Both counts of somebody who has calls: a connection, or all of them together.
pub struct Memory {
    received: Pool,
    sent: Pool,
}

/// What calls of one connection are counted by.
#[derive(Clone)]
pub struct Share {
    everybody: Arc<Memory>,
    conn: Arc<Memory>,
}

/// What one call holds in one direction. It is given back when this is dropped.
pub struct Held {
    share: Share,
    pool: fn(&Memory) -> &Pool,
    bytes: usize,
}

/// One count.
pub struct Pool {
    held: AtomicUsize,
    /// The most there may be with a call that holds much, and with one that holds little.
    most: (usize, usize),
}

impl Memory {
    /// For all connections.
    pub const fn of_everybody() -> Self {
        Self { received: Pool::new(RECEIVED_BYTES_MAX), sent: Pool::new(SENT_BYTES_MAX) }
    }

    const fn of_one() -> Self {
        Self { received: Pool::new(CONN_RECEIVED_BYTES_MAX), sent: Pool::new(CONN_SENT_BYTES_MAX) }
    }
}

impl Share {
    /// For a new connection.
    pub fn new(everybody: Arc<Memory>) -> Self {
        Self { everybody, conn: Arc::new(Memory::of_one()) }
    }

    /// Nothing yet of what a call receives.
    pub fn receiving(&self) -> Held {
        Held { share: self.clone(), pool: |memory| &memory.received, bytes: 0 }
    }

    /// Nothing yet of what a call sends.
    pub fn sending(&self) -> Held {
        Held { share: self.clone(), pool: |memory| &memory.sent, bytes: 0 }
    }
}

impl Held {
    /// Notes that a call holds so much, if there is room for it.
    pub fn set(&mut self, bytes: usize) -> bool {
        let (everybody, conn) = ((self.pool)(&self.share.everybody), (self.pool)(&self.share.conn));
        let more = bytes.saturating_sub(self.bytes);
        let short = bytes <= SHORT_BYTES_MAX;
        if !conn.take(more, short) {
            return false;
        }
        if !everybody.take(more, short) {
            conn.give(more);
            return false;
        }
        let less = self.bytes.saturating_sub(bytes);
        conn.give(less);
        everybody.give(less);
        self.bytes = bytes;
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl Pool {
    const fn new(most: (usize, usize)) -> Self {
        Self { held: AtomicUsize::new(0), most }
    }

    fn take(&self, bytes: usize, short: bool) -> bool {
        let most = if short { self.most.1 } else { self.most.0 };
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        let room = bytes == 0 || before + bytes <= most;
        if !room {
            self.give(bytes);
        }
        room
    }

    fn give(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A short message: nearly every call's, and what 4096 calls may hold is 64 MiB.
const SHORT_BYTES_MAX: usize = 16 << 10;

/// Messages that are being received or asked, over all calls: sixteen of the longest, and the short ones.
/// A call beyond it is refused.
const RECEIVED_BYTES_MAX: (usize, usize) = (64 << 20, 128 << 20);

/// The same of one connection: four of the longest, with their heads.
const CONN_RECEIVED_BYTES_MAX: (usize, usize) = (17 << 20, 19 << 20);

/// Answers that have not been taken, over all calls. One beyond it is refused instead.
const SENT_BYTES_MAX: (usize, usize) = (192 << 20, 256 << 20);

/// The same of one connection: eight of the longest, which are there only while they are not read.
const CONN_SENT_BYTES_MAX: (usize, usize) = (32 << 20, 34 << 20);

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: usize = 4 << 20;

    /// One connection fills its share with long messages, and has still room for short ones; what is let go
    /// makes room again.
    #[test]
    fn a_connection_has_a_share() {
        let share = Share::new(Arc::new(Memory::of_everybody()));
        let long: Vec<Held> = (0..4).map(|_| holds(&share, LONG)).map(Option::unwrap).collect();
        assert!(holds(&share, LONG).is_none());
        assert!(holds(&share, 1000).is_some());
        drop(long);
        assert!(holds(&share, LONG).is_some());
        assert_eq!(share.everybody.received.held.load(Ordering::Relaxed), 0);
    }

    /// Many connections that hold all they may leave room for everybody's short calls.
    #[test]
    fn short_calls_have_room_of_their_own() {
        let everybody = Arc::new(Memory::of_everybody());
        let shares: Vec<Share> = (0..5).map(|_| Share::new(everybody.clone())).collect();
        let long: Vec<Held> =
            shares.iter().flat_map(|share| (0..4).filter_map(|_| holds(share, LONG)).collect::<Vec<_>>()).collect();
        assert_eq!(long.len(), 16);
        let other = Share::new(everybody);
        assert!(holds(&other, SHORT_BYTES_MAX + 1).is_none());
        assert!((0..100).map(|_| holds(&other, SHORT_BYTES_MAX)).all(|held| held.is_some()));
    }

    /// A message grows and shrinks; what can't grow keeps what it has.
    #[test]
    fn what_is_held_changes() {
        let share = Share::new(Arc::new(Memory::of_everybody()));
        let mut held = share.receiving();
        assert!(held.set(10 << 20) && !held.set(18 << 20));
        assert_eq!(share.conn.received.held.load(Ordering::Relaxed), 10 << 20);
        assert!(held.set(1000) && share.sending().set(LONG));
        drop(held);
        assert_eq!(share.conn.received.held.load(Ordering::Relaxed), 0);
    }

    fn holds(share: &Share, bytes: usize) -> Option<Held> {
        let mut held = share.receiving();
        held.set(bytes).then_some(held)
    }
}
