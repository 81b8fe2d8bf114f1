//! The line on standard error that tells what a long run is doing.
//!
//! It is there for somebody who watches: on a terminal only, so that files and pipes stay clean, and without
//! colours, so that `NO_COLOR` has nothing to take away. It goes when the run is over; the numbers come on
//! standard output.

use std::cell::Cell;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::report::count;

/// A line, or none.
pub struct Progress {
    line: Option<Line>,
}

struct Line {
    bar: ProgressBar,
    what: String,
    start: Cell<Option<Instant>>,
    length: Duration,
    last: Cell<Option<Instant>>,
}

impl Progress {
    /// Nobody sees it.
    pub const HIDDEN: Progress = Progress { line: None };

    /// A line about `what`, which takes about `length` from its first tick. None, if nobody watches.
    pub fn new(what: &str, length: Duration) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if bar.is_hidden() {
            return Self::HIDDEN;
        }
        // The template is a constant and valid; a plain spinner would do as well.
        let style =
            ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        bar.set_style(style);
        bar.set_message(format!("{what}: getting ready"));
        bar.enable_steady_tick(EVERY);
        let (start, last) = (Cell::new(None), Cell::new(None));
        Self { line: Some(Line { bar, what: what.to_owned(), start, length, last }) }
    }

    /// Tells how far it is, now and then: how many operations are done and how many have failed, which is asked
    /// only when it is shown.
    pub fn tick(&self, now: Instant, so_far: impl FnOnce() -> (u64, u64)) {
        let Some(line) = &self.line else { return };
        if line.last.get().is_some_and(|last| now.saturating_duration_since(last) < EVERY) {
            return;
        }
        line.last.set(Some(now));
        let start = line.start.get().unwrap_or(now);
        line.start.set(Some(start));
        let (done, failed) = so_far();
        line.bar.set_message(message(&line.what, now.saturating_duration_since(start), line.length, done, failed));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            line.bar.finish_and_clear();
        }
    }
}

fn message(what: &str, elapsed: Duration, length: Duration, done: u64, failed: u64) -> String {
    let (elapsed, length) = (elapsed.as_secs(), length.as_secs_f64().ceil());
    let mut message = format!("{what}: {elapsed} of {length:.0} s");
    if done > 0 {
        message += &format!(", {} done", count(done as f64));
    }
    if failed > 0 {
        message += &format!(", {} failed", count(failed as f64));
    }
    message
}

/// Often enough to look alive, and no work worth the name.
const EVERY: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows what the line says, and that nothing is asked for when nobody watches, as in a test.
    #[test]
    fn the_line_says_how_far() {
        let said =
            |done, failed| message("ping", Duration::from_millis(3900), Duration::from_millis(5500), done, failed);
        assert_eq!(said(0, 0), "ping: 3 of 6 s");
        assert_eq!(said(12_345, 2), "ping: 3 of 6 s, 12,345 done, 2 failed");
        Progress::HIDDEN.tick(Instant::now(), || panic!("nobody watches"));
    }
}
