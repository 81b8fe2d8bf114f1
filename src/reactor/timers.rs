//! Deadlines: coarse, and checked only when they seem due.
//!
//! A connection keeps its own deadlines; this heap holds hints: "look at it then". Moving a deadline
//! later touches nothing here: the hint comes up early, the connection says "not yet", and a new
//! hint is set. So an idle timeout renewed by every byte costs an assignment.
//!
//! Only a connection's earliest hint counts. Those that an earlier one overtook, and those of
//! connections that have ended, stay until they come up, or until they are the most: then a sweep
//! drops them. So memory follows the number of connections, not what happened to them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::handlers::key::ConnKey;

/// A moment in units of [`TICK_MS`] since the reactor started. 0 is "never".
pub type Tick = u32;

/// How coarse deadlines are. None here is shorter than half a second, and 32 bits of tenths last
/// thirteen years.
pub const TICK_MS: u64 = 100;

/// The tick at or after this moment: a deadline is never early.
pub const fn tick_after(mono_ms: u64) -> Tick {
    mono_ms.div_ceil(TICK_MS) as Tick
}

/// The last tick that has passed.
pub const fn tick_passed(mono_ms: u64) -> Tick {
    (mono_ms / TICK_MS) as Tick
}

/// The hints.
#[derive(Debug, Default)]
pub struct Timers {
    heap: BinaryHeap<Reverse<(Tick, ConnKey)>>,
}

impl Timers {
    /// Asks to look at a connection at `tick`.
    pub fn hint(&mut self, tick: Tick, key: ConnKey) {
        self.heap.push(Reverse((tick, key)));
    }

    /// The next connection to look at and the tick of the hint, if its time has come.
    pub fn next_due(&mut self, now: Tick) -> Option<(Tick, ConnKey)> {
        let Reverse((tick, _)) = self.heap.peek()?;
        if *tick > now {
            return None;
        }
        let Reverse(due) = self.heap.pop()?;
        if self.heap.len() < self.heap.capacity() / 4 {
            // A storm's hints are gone after the storm; so is their memory.
            self.heap.shrink_to(self.heap.len() * 2 + STALE_MAX);
        }
        Some(due)
    }

    /// Drops the hints that `counts` does not know, once they could be more than those of `conns`
    /// connections. The work is constant for each hint on average.
    pub fn sweep(&mut self, conns: usize, counts: impl Fn(Tick, ConnKey) -> bool) {
        if self.heap.len() > 2 * conns + STALE_MAX {
            self.heap.retain(|Reverse((tick, key))| counts(*tick, *key));
            self.heap.shrink_to(self.heap.len() * 2 + STALE_MAX);
        }
    }

    /// When the next hint is due, in milliseconds since the reactor started.
    pub fn next_ms(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((tick, _))| u64::from(*tick) * TICK_MS)
    }
}

/// How many stale hints are not worth a sweep.
const STALE_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Hints come up in order of time and never before it.
    #[test]
    fn hints_come_up_in_order_and_on_time() {
        let mut timers = Timers::default();
        let key = |index| ConnKey { index, generation: 1 };
        timers.hint(5, key(1));
        timers.hint(3, key(2));
        assert_eq!(timers.next_due(2), None);
        assert_eq!(timers.next_ms(), Some(300));
        assert_eq!(timers.next_due(9), Some((3, key(2))));
        assert_eq!(timers.next_due(9), Some((5, key(1))));
        assert_eq!(timers.next_due(9), None);
    }

    /// A connection with a far deadline and a near one again and again leaves a stale hint each time;
    /// the heap stays as large as the connections are many, and the hint that counts stays in it.
    #[test]
    fn stale_hints_do_not_pile_up() {
        let mut timers = Timers::default();
        let key = ConnKey { index: 1, generation: 1 };
        for step in 1..10_000 {
            let (near, far) = (step * 10, step * 10 + 100_000);
            timers.hint(near, key);
            assert_eq!(timers.next_due(near), Some((near, key)));
            timers.hint(far, key);
            timers.sweep(1, |tick, _| tick == far);
            assert!(timers.heap.len() <= 2 + STALE_MAX && timers.heap.capacity() <= 4 * STALE_MAX);
            assert!(timers.heap.iter().any(|Reverse((tick, _))| *tick == far));
        }
    }

    /// A deadline is rounded up, so it is never early.
    #[test]
    fn rounding_is_never_early() {
        assert_eq!(tick_after(201), 3);
        assert_eq!(tick_passed(299), 2);
    }
}
