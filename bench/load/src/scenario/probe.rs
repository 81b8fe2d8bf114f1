//! A ping at a fixed rate on one authenticated TCP connection: how long the server's loop keeps others waiting.
//!
//! A ping needs no worker and no store, so whatever it waits for is the loop, or the core that the loop shares.
//! What must hold: the pongs come back in order, each with the number of its ping.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;

use serde::Deserialize;

use crate::client::{Arrival, LineBuffer, Swarm};
use crate::drive::schedule::Schedule;
use crate::error::LoadError;
use crate::stats::{Latencies, Summary};

/// One connection of a [`Swarm`], which must be authenticated.
pub struct Probe {
    index: usize,
    schedule: Schedule,
    lines: LineBuffer,
    sent: u64,
    answered: u64,
    /// When those on their way should have been sent. As many as the schedule has, at most.
    since: VecDeque<Instant>,
    window: Range<Instant>,
    latencies: Latencies,
}

impl Probe {
    /// Pings on connection `index` from `start` to the end of `window`; what was due in `window` is measured.
    pub fn new(index: usize, start: Instant, window: Range<Instant>) -> Self {
        let schedule = Schedule::new(start, window.end, PER_SECOND);
        let (lines, since, latencies) = (LineBuffer::default(), VecDeque::new(), Latencies::new());
        Self { index, schedule, lines, sent: 0, answered: 0, since, window, latencies }
    }

    /// When the next ping is due.
    pub fn next(&self) -> Option<Instant> {
        self.schedule.next()
    }

    /// Sends the pings that are due.
    pub fn send_due(&mut self, now: Instant, swarm: &mut Swarm) {
        while let Some(intended) = self.schedule.take(now) {
            let line = format!("{{\"type\":\"ping\",\"data\":{{\"client_time\":{}}}}}\n", self.sent);
            swarm.send(self.index, line.as_bytes());
            self.since.push_back(intended);
            self.sent += 1;
        }
    }

    /// Takes pongs. Anything else is an error.
    pub fn receive(&mut self, arrival: Arrival<'_>) -> Result<(), LoadError> {
        let Arrival::Bytes(bytes) = arrival else { return Err(LoadError::Closed(self.index)) };
        let Self { lines, since, answered, window, latencies, .. } = self;
        let mut failure = None;
        lines.feed(bytes, |line| match since.pop_front().filter(|_| pong_of(line) == Some(*answered)) {
            Some(intended) => {
                *answered += 1;
                if window.contains(&intended) {
                    latencies.record(intended.elapsed());
                }
            }
            None => {
                let shown = String::from_utf8_lossy(&line[..line.len().min(300)]).into_owned();
                failure.get_or_insert(LoadError::Wrong(format!("pong {answered} was expected, this came: {shown}")));
            }
        });
        failure.map_or(Ok(()), Err)
    }

    /// How many pings have no pong yet.
    pub fn unanswered(&self) -> usize {
        self.since.len()
    }

    /// How long the pongs took.
    pub fn summary(&self) -> Summary {
        self.latencies.summary()
    }
}

/// The number that came back, if the line is a pong.
fn pong_of(line: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(rename = "type")]
        kind: &'a str,
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        client_time: u64,
    }
    let line: Line<'_> = serde_json::from_slice(line).ok()?;
    (line.kind == "pong").then_some(line.data.client_time)
}

/// Often enough for a 99th percentile in a few seconds, and no load.
const PER_SECOND: f64 = 200.0;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn pong(number: u64) -> Vec<u8> {
        format!("{{\"type\":\"pong\",\"data\":{{\"server_time\":\"x\",\"client_time\":{number}}}}}\n").into()
    }

    /// A probe whose first two pings were due 50 and 45 ms ago and are on their way.
    fn probe() -> Probe {
        let start = Instant::now() - Duration::from_millis(50);
        let mut probe = Probe::new(0, start, start..start + Duration::from_secs(1));
        (0..2).for_each(|_| probe.since.extend(probe.schedule.take(Instant::now())));
        probe
    }

    /// Shows that pongs are taken in order, in pieces too, and count from the time their ping was due.
    #[test]
    fn pongs_count_from_the_due_time() {
        let mut probe = probe();
        let both = [pong(0), pong(1)].concat();
        probe.receive(Arrival::Bytes(&both[..30])).unwrap();
        assert_eq!(probe.unanswered(), 2);
        probe.receive(Arrival::Bytes(&both[30..])).unwrap();
        assert_eq!((probe.unanswered(), probe.summary().count), (0, 2));
        assert!(probe.summary().p50_ms >= 45.0);
    }

    /// Shows that a swapped pong, another line and a pong to nothing are errors.
    #[test]
    fn anything_else_is_an_error() {
        let many = [pong(0), pong(1), pong(2)].concat();
        for wrong in [pong(1), b"{\"type\":\"error\",\"data\":{}}\n".to_vec(), many] {
            assert!(probe().receive(Arrival::Bytes(&wrong)).is_err());
        }
    }
}
