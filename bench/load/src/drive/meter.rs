//! What watches a run: the line for the user, and the server's processor time.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::error::LoadError;
use crate::progress::Progress;
use crate::server::processor_time;

/// Who watches.
pub struct Meter<'a> {
    /// Shown while it runs.
    pub progress: &'a Progress,
    /// The server's process, to see what an operation costs it.
    pub pid: Option<u32>,
}

impl Meter<'static> {
    /// Nobody.
    pub const HIDDEN: Meter<'static> = Meter { progress: &Progress::HIDDEN, pid: None };
}

impl Meter<'_> {
    /// Begins to look at the server.
    pub fn processor(&self) -> Processor {
        Processor { pid: self.pid, before: None, used: None }
    }
}

/// The server's processor time from the beginning to the end of what is measured.
pub struct Processor {
    pid: Option<u32>,
    before: Option<Duration>,
    used: Option<Duration>,
}

impl Processor {
    /// Looks, if it is time to.
    pub fn look(&mut self, now: Instant, window: &Range<Instant>) -> Result<(), LoadError> {
        let Some(pid) = self.pid else { return Ok(()) };
        match self.before {
            None if now >= window.start => self.before = Some(processor_time(pid)?),
            Some(before) if now >= window.end && self.used.is_none() => {
                self.used = Some(processor_time(pid)?.saturating_sub(before));
            }
            _ => {}
        }
        Ok(())
    }

    /// What it used, once the end has been looked at.
    pub fn used(&self) -> Option<Duration> {
        self.used
    }

    /// The same for each of so many operations, in microseconds.
    pub fn us_for_each(&self, operations: u64) -> Option<f64> {
        self.used.filter(|_| operations > 0).map(|used| used.as_secs_f64() * 1e6 / operations as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that time is counted between the two ends only, and not without a process or an operation.
    #[test]
    fn only_the_window_counts() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let window = start + ms(10)..start + ms(20);
        let mut own = Meter { progress: &Progress::HIDDEN, pid: Some(std::process::id()) }.processor();
        own.look(start, &window).unwrap();
        assert_eq!((own.before, own.used()), (None, None));
        own.look(start + ms(10), &window).unwrap();
        own.look(start + ms(20), &window).unwrap();
        assert!(own.used().is_some() && own.us_for_each(0).is_none() && own.us_for_each(5).is_some());
        let mut nobody = Meter::HIDDEN.processor();
        [start + ms(10), start + ms(20)].iter().for_each(|now| nobody.look(*now, &window).unwrap());
        assert_eq!(nobody.us_for_each(5), None);
    }
}
