//! Times that a fixed rate gives, and how long to wait for the next one.
//!
//! What must hold: a time is taken once, never before it has come, and a late one is not left out. Who works by a
//! schedule counts from the time that was meant, so that whatever was late shows.

use std::time::{Duration, Instant};

/// Times that are one interval apart.
pub struct Schedule {
    start: Instant,
    interval: Duration,
    taken: u32,
    end: Instant,
}

impl Schedule {
    /// `per_second` times in a second, from `start` on and before `end`.
    pub fn new(start: Instant, end: Instant, per_second: f64) -> Self {
        Self { start, interval: Duration::from_secs_f64(1.0 / per_second.clamp(0.1, 100_000.0)), taken: 0, end }
    }

    /// The next time that is still to come, or past and not taken yet.
    pub fn next(&self) -> Option<Instant> {
        Some(self.start + self.interval * self.taken).filter(|time| *time < self.end)
    }

    /// Takes the next time if it is not later than `now`.
    pub fn take(&mut self, now: Instant) -> Option<Instant> {
        let time = self.next().filter(|time| *time <= now)?;
        self.taken += 1;
        Some(time)
    }
}

/// How long to wait for events: the selector rounds up to milliseconds, so close to a time we don't wait at all.
pub fn timeout(now: Instant, next: Option<Instant>) -> Duration {
    let left = next.map_or(LONG_WAIT, |next| next.saturating_duration_since(now));
    if left < SHORT_WAIT { Duration::ZERO } else { (left - SHORT_WAIT / 2).min(LONG_WAIT) }
}

const SHORT_WAIT: Duration = Duration::from_millis(2);

const LONG_WAIT: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that times come one interval apart, none before it is due, and late ones all at once.
    #[test]
    fn times_are_an_interval_apart() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut schedule = Schedule::new(start, start + ms(35), 100.0);
        assert_eq!((schedule.take(start), schedule.take(start + ms(9))), (Some(start), None));
        let late = start + ms(90);
        let taken: Vec<Instant> = std::iter::from_fn(|| schedule.take(late)).collect();
        assert_eq!(taken, [start + ms(10), start + ms(20), start + ms(30)]);
        assert_eq!(schedule.next(), None);
    }
}
