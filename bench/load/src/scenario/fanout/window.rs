//! Which messages of a fan-out are in flight, and how many clients still lack each.
//!
//! A closed loop's heart: a message is done when the slowest client has it, and only then is there room for another.

use std::time::Instant;

use crate::error::LoadError;

/// Which messages are in flight, and how many clients still lack each.
pub(super) struct Window {
    receivers: usize,
    /// A ring: message `n` is at `n % slots.len()`.
    slots: Vec<Slot>,
    /// Messages sent.
    pub(super) sent: u64,
    /// Messages that every client has.
    pub(super) done: u64,
}

#[derive(Clone)]
struct Slot {
    missing: usize,
    since: Instant,
}

impl Window {
    /// Room for `in_flight` messages, which so many receive.
    pub(super) fn new(receivers: usize, in_flight: usize) -> Self {
        let slots = vec![Slot { missing: 0, since: Instant::now() }; in_flight.max(1)];
        Self { receivers, slots, sent: 0, done: 0 }
    }

    /// The number of the next message, which counts from `since`. Its lane has made sure that there is room.
    pub(super) fn send(&mut self, since: Instant) -> u64 {
        let sequence = self.sent;
        debug_assert!(sequence - self.done < self.slots.len() as u64, "more in flight than places");
        *self.slot(sequence) = Slot { missing: self.receivers, since };
        self.sent += 1;
        sequence
    }

    /// A client that had messages up to `before` has received `count` more. Tells `done` from when each message
    /// counts that everyone has now.
    pub(super) fn receive(
        &mut self,
        index: usize,
        before: u64,
        count: u64,
        mut done: impl FnMut(Instant),
    ) -> Result<(), LoadError> {
        if before + count > self.sent {
            return Err(LoadError::Wrong(format!("client {index} received a message that was not sent")));
        }
        for sequence in before..before + count {
            self.slot(sequence).missing -= 1;
        }
        while self.done < self.sent && self.slot(self.done).missing == 0 {
            done(self.slot(self.done).since);
            self.done += 1;
        }
        Ok(())
    }

    fn slot(&mut self, sequence: u64) -> &mut Slot {
        let at = (sequence % self.slots.len() as u64) as usize;
        &mut self.slots[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that a message is done only when the last client has it, and that the window then moves on.
    #[test]
    fn the_slowest_client_moves_the_window() {
        let (mut window, now, mut done) = (Window::new(2, 2), Instant::now(), 0);
        assert_eq!((window.send(now), window.send(now)), (0, 1));
        window.receive(0, 0, 2, |_| done += 1).unwrap();
        window.receive(1, 0, 1, |_| done += 1).unwrap();
        assert_eq!((window.done, done, window.send(now)), (1, 1, 2));
    }

    /// Shows that a message too many is an error, for it was doubled or invented.
    #[test]
    fn a_message_too_many_is_an_error() {
        let mut window = Window::new(1, 4);
        window.send(Instant::now());
        assert!(window.receive(0, 0, 2, |_| {}).is_err());
    }
}
