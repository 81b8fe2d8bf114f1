//! A group of connections that do the same at the same pace.
//!
//! A connection has as many places as it may have operations on their way. [`Lane::take`] gives the next free
//! place and the time from which its operation counts; that is where the closed and the open loop part.

use std::collections::VecDeque;
use std::time::Instant;

use super::schedule::Schedule;
use super::tally::Tally;

/// When the next operation of a lane is due.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pacing {
    /// As soon as a place is free.
    Closed,
    /// So many times in a second, all connections together, whether a place is free or not.
    Open(f64),
}

impl Pacing {
    /// Open at a rate, if there is one.
    pub fn at(rate: Option<f64>) -> Self {
        rate.map_or(Pacing::Closed, Pacing::Open)
    }
}

/// The places of a group of connections, and what came of their operations.
pub struct Lane {
    pacing: Pacing,
    /// The open loop's times, once it runs.
    schedule: Option<Schedule>,
    /// Times whose operation waits for a place.
    waiting: VecDeque<Instant>,
    /// Connections with room for an operation, once for each. Whoever has waited longest is next.
    free: VecDeque<usize>,
    /// Closed loops: no operation begins later.
    end: Option<Instant>,
    /// What came of the operations.
    pub tally: Tally,
}

impl Lane {
    /// No connections yet.
    pub fn new(name: &str, pacing: Pacing) -> Self {
        let (waiting, free) = (VecDeque::new(), VecDeque::new());
        Self { pacing, schedule: None, waiting, free, end: None, tally: Tally::new(name) }
    }

    /// From `start` on operations are due, and none from `end` on.
    pub fn open(&mut self, start: Instant, end: Instant) {
        self.end = Some(end);
        if let Pacing::Open(per_second) = self.pacing {
            self.schedule = Some(Schedule::new(start, end, per_second));
        }
    }

    /// Connection `index` has room for one operation more.
    pub fn free(&mut self, index: usize) {
        self.free.push_back(index);
    }

    /// Connection `index` is gone.
    pub fn remove(&mut self, index: usize) {
        self.free.retain(|other| *other != index);
    }

    /// Takes up what is due, and counts it when it is due within `window`.
    pub fn arrive(&mut self, now: Instant, window: &std::ops::Range<Instant>) {
        let Some(schedule) = &mut self.schedule else { return };
        while let Some(intended) = schedule.take(now) {
            if window.contains(&intended) {
                self.tally.offered += 1;
                self.tally.lateness.record(now - intended);
            }
            match self.waiting.len() < WAITING_MAX {
                true => self.waiting.push_back(intended),
                false => self.tally.fail("not sent: too many were waiting", 1),
            }
        }
    }

    /// The connection for an operation that is due, and from when it counts.
    pub fn take(&mut self) -> Option<(usize, Instant)> {
        let index = *self.free.front()?;
        let since = match self.pacing {
            Pacing::Closed => Some(Instant::now()).filter(|now| self.end.is_some_and(|end| *now < end)),
            Pacing::Open(_) => self.waiting.pop_front(),
        }?;
        self.free.pop_front();
        Some((index, since))
    }

    /// The next time at which something is due that is not due yet.
    pub fn next(&self) -> Option<Instant> {
        self.schedule.as_ref().and_then(Schedule::next)
    }

    /// Lets go of what still waits for a place; it has failed.
    pub fn give_up(&mut self) {
        let waiting = std::mem::take(&mut self.waiting).len();
        self.tally.fail("not sent at the end", waiting as u64);
    }

    /// How many wait for a place.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

/// Operations that wait for a place: a second or more of any rate that one process offers, so that it only bounds
/// a collapse.
const WAITING_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Shows that a closed lane has something due as long as a place is free, until its end.
    #[test]
    fn a_closed_lane_is_due_when_free() {
        let mut lane = Lane::new("x", Pacing::Closed);
        lane.free(7);
        assert!(lane.take().is_none(), "not open yet");
        let now = Instant::now();
        lane.open(now, now + Duration::from_secs(60));
        assert_eq!(lane.take().map(|(index, _)| index), Some(7));
        assert!(lane.take().is_none());
        lane.free(7);
        lane.open(now, now);
        assert!(lane.take().is_none(), "over");
    }

    /// Shows that an open lane's operations count from the time that was meant, also when no place was free then.
    #[test]
    fn an_open_lane_counts_from_the_time_meant() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut lane = Lane::new("x", Pacing::Open(100.0));
        lane.open(start, start + ms(1000));
        lane.arrive(start + ms(25), &(start..start + ms(1000)));
        assert_eq!((lane.take(), lane.waiting(), lane.tally.offered), (None, 3, 3));
        lane.free(1);
        lane.free(2);
        assert_eq!((lane.take(), lane.take()), (Some((1, start)), Some((2, start + ms(10)))));
        assert_eq!((lane.take(), lane.next()), (None, Some(start + ms(30))));
        lane.give_up();
        assert_eq!((lane.waiting(), lane.tally.failures["not sent at the end"]), (0, 1));
    }
}
