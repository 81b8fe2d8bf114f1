//! Newcomers at a fixed rate, and how long each waits until it is in.
//!
//! Nobody waits for anybody: a newcomer is due at its time, whatever the others do, and leaves when it is in, so
//! that the server stays as empty as it was. Its time counts from when it was due. What it has to do to get in is
//! a [`Guest`]'s matter: [`greet`](super::greet) has one of a room, here is one of the v1 TCP port.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::task::{Setup, Task};
use super::{Pace, STALL};
use crate::client::{Arrival, LineBuffer, Swarm};
use crate::drive::Tally;
use crate::drive::schedule::{Schedule, timeout};
use crate::error::LoadError;
use crate::login::{auth_line, verdict};
use crate::progress::Progress;
use crate::sources::Sources;

/// Somebody on the way in.
pub trait Guest {
    /// What it says first.
    fn begin(&mut self, out: &mut Vec<u8>);
    /// Takes what arrived and appends what it says to that. Whether it is in; a refusal is an error.
    fn receive(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<bool, String>;
}

/// Newcomers to the v1 TCP port.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Arrivals {
    /// The server's v1 TCP address.
    pub tcp: SocketAddr,
    /// The tokens to authenticate with, in turn.
    pub tokens: Vec<String>,
    /// How many come in a second.
    pub rate: f64,
}

impl Arrivals {
    /// The part of one of `of` processes.
    pub fn part(&self, of: usize) -> Self {
        Self { rate: self.rate / of.max(1) as f64, ..self.clone() }
    }

    /// There is nothing to prepare: connecting is what is measured.
    pub fn prepare(self, setup: &Setup) -> Result<Box<dyn Task>, LoadError> {
        Ok(Box::new(Arriving { arrivals: self, sources: setup.sources, pace: setup.pace }))
    }
}

struct Arriving {
    arrivals: Arrivals,
    sources: Sources,
    pace: Pace,
}

impl Task for Arriving {
    fn step(&mut self, progress: &Progress) -> Result<Vec<Tally>, LoadError> {
        let Arrivals { tcp, tokens, rate } = &self.arrivals;
        let swarm = Swarm::from_sources(*tcp, self.sources)?;
        let guest =
            |index: usize| Login { line: auth_line(&tokens[index % tokens.len()]), lines: LineBuffer::default() };
        Ok(vec![run(swarm, "login", *rate, self.pace, progress, guest)?])
    }
}

struct Login {
    line: String,
    lines: LineBuffer,
}

impl Guest for Login {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.line.as_bytes());
    }

    fn receive(&mut self, bytes: &[u8], _: &mut Vec<u8>) -> Result<bool, String> {
        let mut first = None;
        self.lines.feed(bytes, |line| first = first.take().or_else(|| Some(verdict(line))));
        first.map_or(Ok(false), |verdict| verdict.map(|()| true))
    }
}

/// `per_second` newcomers a second, made by `guest` from their number.
pub fn run<G: Guest>(
    swarm: Swarm,
    name: &str,
    per_second: f64,
    pace: Pace,
    progress: &Progress,
    guest: impl Fn(usize) -> G,
) -> Result<Tally, LoadError> {
    let start = Instant::now();
    let window = start + pace.warm_up..start + pace.warm_up + pace.duration;
    let (schedule, mut tally) = (Schedule::new(start, window.end, per_second), Tally::new(name));
    tally.seconds = pace.duration.as_secs_f64();
    let mut hall = Hall { swarm, guests: Vec::new(), inside: 0, window, tally, outgoing: Vec::new() };
    hall.receive_all(schedule, progress, guest)?;
    hall.tally.fail("not in at the end", hall.inside as u64);
    Ok(hall.tally)
}

/// Everyone who came.
struct Hall<G> {
    swarm: Swarm,
    /// In the order in which they came; `None` once it is clear what becomes of them.
    guests: Vec<Option<(Instant, G)>>,
    /// How many of them it is not clear of.
    inside: usize,
    window: Range<Instant>,
    tally: Tally,
    outgoing: Vec<u8>,
}

impl<G: Guest> Hall<G> {
    fn receive_all(
        &mut self,
        mut schedule: Schedule,
        progress: &Progress,
        guest: impl Fn(usize) -> G,
    ) -> Result<(), LoadError> {
        let last = self.window.end + STALL;
        while schedule.next().is_some() || self.inside > 0 {
            let now = Instant::now();
            progress.tick(now, || (self.tally.operations(), self.tally.failures.values().sum()));
            while let Some(intended) = schedule.take(now) {
                if self.window.contains(&intended) {
                    self.tally.offered += 1;
                    self.tally.lateness.record(now - intended);
                }
                match self.inside < INSIDE_MAX {
                    true => self.welcome(intended, guest(self.guests.len()))?,
                    false => self.tally.fail("not sent: too many were waiting", 1),
                }
            }
            self.turn(timeout(now, schedule.next()))?;
            if now > last {
                return Ok(());
            }
        }
        Ok(())
    }

    fn welcome(&mut self, intended: Instant, mut guest: G) -> Result<(), LoadError> {
        let index = self.swarm.connect()?;
        guest.begin(&mut self.outgoing);
        self.swarm.send(index, &self.outgoing);
        self.outgoing.clear();
        self.guests.push(Some((intended, guest)));
        self.inside += 1;
        Ok(())
    }

    fn turn(&mut self, timeout: Duration) -> Result<(), LoadError> {
        let Self { swarm, guests, inside, window, tally, .. } = self;
        // What each of them says now, and who leaves.
        let (mut said, mut leaving) = (Vec::new(), Vec::new());
        swarm.turn(Some(timeout), |index, arrival| {
            let Some((since, guest)) = &mut guests[index] else { return };
            let mut out = Vec::new();
            let step = match arrival {
                Arrival::Bytes(bytes) => guest.receive(bytes, &mut out),
                Arrival::Closed(kind) => Err(format!("closed: {kind}")),
            };
            if !out.is_empty() {
                said.push((index, out));
            }
            let end = step.map(|is_in| is_in.then_some(0)).transpose();
            if let Some(verdict) = end {
                tally.add(*since, Instant::now(), verdict, window);
                guests[index] = None;
                *inside -= 1;
                leaving.push(index);
            }
        })?;
        said.iter().for_each(|(index, bytes)| swarm.send(*index, bytes));
        leaving.into_iter().for_each(|index| swarm.close(index));
        Ok(())
    }
}

/// Newcomers who are not in yet: half of the descriptors that many systems give a process.
const INSIDE_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// Shows that every newcomer at a rate is let in or counted by what the server said, by a peer that refuses
    /// every other one.
    #[test]
    fn newcomers_are_counted_by_what_became_of_them() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 512]);
                let kind = if number % 2 == 0 { "auth_success" } else { "auth_failed" };
                let _ = writeln!(stream, "{{\"type\":\"{kind}\",\"data\":{{}}}}");
            }
        });
        let pace = Pace { warm_up: Duration::ZERO, duration: Duration::from_millis(200) };
        let setup = Setup { sources: Sources::default(), pace, pid: None };
        let arrivals = Arrivals { tcp: address, tokens: vec!["t".to_owned()], rate: 100.0 };
        let tally = arrivals.prepare(&setup).unwrap().step(&Progress::HIDDEN).unwrap().remove(0);
        assert_eq!((tally.offered, tally.answers[&0].latencies.summary().count), (20, 10));
        assert_eq!(tally.failures.values().sum::<u64>(), 10, "{:?}", tally.failures);
    }
}
