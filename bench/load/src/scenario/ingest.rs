//! Ingest: durable progress updates, every user on a connection of their own.
//!
//! A closed loop for each user: an update is acknowledged by its own broadcast, which follows the commit, and
//! then the next one is sent. The server must run with `broadcast_scope = user`. Every line is looked into: it
//! must be this user's, stored, and the next chapter.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Pace, STALL};
use crate::client::{Arrival, LineBuffer, Swarm};
use crate::error::LoadError;
use crate::login::log_in_all;
use crate::message::{Broadcast, progress_line};
use crate::stats::{Latencies, Summary};
use crate::token::Identity;

/// What an ingest run showed.
#[derive(Debug, Clone, Serialize)]
pub struct Ingest {
    /// Durable updates per second.
    pub updates_per_second: f64,
    /// From sending an update to its broadcast.
    pub latency: Summary,
}

/// Every identity updates its chapter of `manga`, `in_flight` updates at a time.
pub fn run(
    tcp: SocketAddr,
    identities: &[Identity],
    manga: &str,
    in_flight: usize,
    pace: Pace,
) -> Result<Ingest, LoadError> {
    let mut swarm = Swarm::new(tcp)?;
    let tokens: Vec<String> = identities.iter().map(|identity| identity.token.clone()).collect();
    log_in_all(&mut swarm, tokens.len(), &tokens)?;
    let readers = identities.iter().map(|identity| Reader::new(&identity.user_id, in_flight)).collect();
    let due = (0..tokens.len()).collect();
    let mut run = Run { swarm, manga, readers, due, acknowledged: 0, latencies: Latencies::new() };
    run.measure(pace)
}

struct Run<'a> {
    swarm: Swarm,
    manga: &'a str,
    readers: Vec<Reader<'a>>,
    /// Readers whose window has room.
    due: Vec<usize>,
    acknowledged: u64,
    latencies: Latencies,
}

impl Run<'_> {
    fn measure(&mut self, pace: Pace) -> Result<Ingest, LoadError> {
        self.drive_until(Instant::now() + pace.warm_up)?;
        self.latencies = Latencies::new();
        let (start, before) = (Instant::now(), self.acknowledged);
        self.drive_until(start + pace.duration)?;
        let updates_per_second = (self.acknowledged - before) as f64 / start.elapsed().as_secs_f64();
        let latency = self.latencies.summary();
        while self.readers.iter().any(|reader| reader.acknowledged < reader.sent) {
            self.receive(STALL)?;
        }
        Ok(Ingest { updates_per_second, latency })
    }

    fn drive_until(&mut self, end: Instant) -> Result<(), LoadError> {
        let mut lines = Vec::new();
        while Instant::now() < end {
            for index in self.due.drain(..) {
                lines.clear();
                self.readers[index].fill(self.manga, &mut lines);
                self.swarm.send(index, &lines);
            }
            self.receive(STALL)?;
        }
        Ok(())
    }

    fn receive(&mut self, timeout: Duration) -> Result<(), LoadError> {
        let Self { swarm, readers, due, acknowledged, latencies, .. } = self;
        let mut failure = None;
        let something = swarm.turn(Some(timeout), |index, arrival| {
            let result = match arrival {
                Arrival::Closed(_) => Err(LoadError::Closed(index)),
                Arrival::Bytes(bytes) => readers[index].receive(bytes, latencies),
            };
            match result {
                Ok(0) => {}
                Ok(count) => {
                    *acknowledged += count;
                    due.push(index);
                }
                Err(error) => drop(failure.get_or_insert(error)),
            }
        })?;
        match failure {
            Some(error) => Err(error),
            None if something => Ok(()),
            None => Err(LoadError::TimedOut(format!("no acknowledgement after {} updates", self.acknowledged))),
        }
    }
}

/// One user's side of the loop.
struct Reader<'a> {
    user_id: &'a str,
    lines: LineBuffer,
    sent: u64,
    acknowledged: u64,
    /// A ring: update `n` was sent at `since[n % since.len()]`.
    since: Vec<Instant>,
}

impl<'a> Reader<'a> {
    fn new(user_id: &'a str, in_flight: usize) -> Self {
        let since = vec![Instant::now(); in_flight.max(1)];
        Self { user_id, lines: LineBuffer::default(), sent: 0, acknowledged: 0, since }
    }

    /// Appends the updates there is room for.
    fn fill(&mut self, manga: &str, out: &mut Vec<u8>) {
        let room = self.since.len() as u64;
        while self.sent - self.acknowledged < room {
            self.since[(self.sent % room) as usize] = Instant::now();
            // Writing to a Vec can't fail.
            let _ = progress_line(manga, chapter(self.sent), out);
            self.sent += 1;
        }
    }

    /// Takes acknowledgements and returns how many there were.
    fn receive(&mut self, bytes: &[u8], latencies: &mut Latencies) -> Result<u64, LoadError> {
        let Self { user_id, lines, sent, acknowledged, since } = self;
        let (before, mut failure) = (*acknowledged, None);
        lines.feed(bytes, |line| {
            let expected = *acknowledged < *sent && acknowledges(line, user_id, chapter(*acknowledged));
            if !expected {
                let shown = String::from_utf8_lossy(&line[..line.len().min(300)]).into_owned();
                failure.get_or_insert(LoadError::Wrong(format!("update {acknowledged} of {user_id} got: {shown}")));
            }
            latencies.record(since[(*acknowledged % since.len() as u64) as usize].elapsed());
            *acknowledged += 1;
        });
        failure.map_or(Ok(*acknowledged - before), Err)
    }
}

fn acknowledges(line: &[u8], user_id: &str, chapter: u64) -> bool {
    Broadcast::parse(line).is_some_and(|Broadcast { data, .. }| {
        data.user_id == user_id && data.current_chapter == chapter && data.stored != Some(false)
    })
}

/// From 1 up, and round again before the server's largest chapter.
fn chapter(sequence: u64) -> u64 {
    1 + sequence % 99_999
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(user: &str, chapter: u64) -> Vec<u8> {
        format!("{{\"type\":\"broadcast\",\"data\":{{\"user_id\":\"{user}\",\"current_chapter\":{chapter}}}}}\n").into()
    }

    /// Shows that a reader takes its own updates in order and opens its window again.
    #[test]
    fn own_updates_in_order() {
        let (mut reader, mut latencies, mut out) = (Reader::new("u", 2), Latencies::new(), Vec::new());
        reader.fill("one-piece", &mut out);
        assert_eq!((reader.sent, memchr::memchr_iter(b'\n', &out).count()), (2, 2));
        let both = [line("u", 1), line("u", 2)].concat();
        assert_eq!(reader.receive(&both[..10], &mut latencies).unwrap(), 0);
        assert_eq!(reader.receive(&both[10..], &mut latencies).unwrap(), 2);
        reader.fill("one-piece", &mut out);
        assert_eq!((reader.sent, latencies.summary().count), (4, 2));
    }

    /// Shows that another user's line, a skipped chapter and a line too many are errors.
    #[test]
    fn anything_else_is_an_error() {
        for wrong in [line("other", 1), line("u", 2), [line("u", 1), line("u", 2)].concat()] {
            let (mut reader, mut latencies) = (Reader::new("u", 1), Latencies::new());
            reader.fill("one-piece", &mut Vec::new());
            assert!(reader.receive(&wrong, &mut latencies).is_err());
        }
    }
}
