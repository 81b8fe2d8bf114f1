//! Echo: every byte that is sent must come back, and in its place.
//!
//! The peer is any program that sends back what it reads: `examples/echo.rs`, the bare loop, or somebody else's.
//! Every message carries its number and is compared byte by byte. [`table`] does all sizes and crowds as one command.

pub mod table;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::STALL;
use super::task::{Ready, Setup, Task, share};
use crate::client::{Arrival, Swarm};
use crate::drive::{Client, Drive, Pacing, Verdict};
use crate::error::LoadError;

/// What is echoed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Echoes {
    /// The peer.
    pub tcp: SocketAddr,
    /// On how many connections.
    pub connections: usize,
    /// The length of a message.
    pub bytes: usize,
    /// How many messages of each connection may be on their way.
    pub in_flight: usize,
    /// How many in a second, all connections together; as many as come back, if `None`.
    pub rate: Option<f64>,
}

impl Echoes {
    /// The part of one of several processes.
    pub fn part(&self, process: usize, of: usize) -> Self {
        let rate = self.rate.map(|rate| rate / of as f64);
        Self { connections: share(self.connections, process, of), rate, ..self.clone() }
    }

    /// Connects everyone.
    pub fn prepare(self, setup: &Setup) -> Result<Box<dyn Task>, LoadError> {
        Ok(Ready::boxed(self.connect(setup)?, setup))
    }

    fn connect(&self, setup: &Setup) -> Result<Drive<Echoer>, LoadError> {
        let mut swarm = Swarm::from_sources(self.tcp, setup.sources)?;
        connect_all(&mut swarm, self.connections)?;
        let filler: Arc<[u8]> = vec![b'.'; self.bytes.max(BYTES_MIN) - NUMBER_BYTES].into();
        let clients = (0..self.connections).map(|_| Echoer::new(filler.clone()));
        Ok(Drive::new(swarm).lane("echo", Pacing::at(self.rate), self.in_flight, clients))
    }
}

/// Connects `count` more, a few hundred at a time, and waits until all of them are.
pub fn connect_all(swarm: &mut Swarm, count: usize) -> Result<(), LoadError> {
    let target = swarm.len() + count;
    let (mut connected, mut closed, deadline) = (swarm.connected(), None, Instant::now() + 4 * STALL);
    while connected < target {
        while swarm.len() < target.min(connected + PENDING_MAX) {
            swarm.connect()?;
        }
        swarm.turn(Some(Duration::from_millis(100)), |index, arrival| {
            if let Arrival::Closed(kind) = arrival {
                closed.get_or_insert(LoadError::Closed(index, kind));
            }
        })?;
        connected = swarm.connected();
        if let Some(error) = closed {
            return Err(error);
        }
        if Instant::now() > deadline {
            return Err(LoadError::TimedOut(format!("{connected} of {target} connected")));
        }
    }
    Ok(())
}

/// One connection.
struct Echoer {
    /// What stands behind the number in every message.
    filler: Arc<[u8]>,
    sent: u64,
    /// The number of the message that is coming back.
    number: u64,
    /// How much of it has come.
    at: usize,
}

impl Echoer {
    fn new(filler: Arc<[u8]>) -> Self {
        Self { filler, sent: 0, number: 0, at: 0 }
    }

    /// What message number `number` has from byte `at` on, as far as it is in one piece.
    fn rest(&self) -> ([u8; NUMBER_BYTES], &[u8]) {
        let filler = &self.filler[self.at.saturating_sub(NUMBER_BYTES)..];
        (digits(self.number), filler)
    }
}

impl Client for Echoer {
    fn ask(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&digits(self.sent));
        out.extend_from_slice(&self.filler);
        self.sent += 1;
    }

    fn receive(&mut self, mut bytes: &[u8], answered: &mut dyn FnMut(Verdict)) -> Result<(), String> {
        while !bytes.is_empty() {
            let (number, filler) = self.rest();
            let expected = number.get(self.at..).filter(|number| !number.is_empty()).unwrap_or(filler);
            let length = expected.len().min(bytes.len());
            if bytes[..length] != expected[..length] {
                let shown = String::from_utf8_lossy(&bytes[..length.min(100)]).into_owned();
                return Err(format!("message {} came back otherwise at byte {}: {shown}", self.number, self.at));
            }
            self.at += length;
            bytes = &bytes[length..];
            if self.at == NUMBER_BYTES + self.filler.len() {
                (self.number, self.at) = (self.number + 1, 0);
                answered(Ok(0));
            }
        }
        Ok(())
    }
}

/// Twelve digits and a blank.
fn digits(number: u64) -> [u8; NUMBER_BYTES] {
    let (mut digits, mut left) = ([b' '; NUMBER_BYTES], number);
    for digit in digits[..NUMBER_BYTES - 1].iter_mut().rev() {
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
    }
    digits
}

const NUMBER_BYTES: usize = 13;

/// The number and something behind it.
pub const BYTES_MIN: usize = NUMBER_BYTES + 1;

/// Well within the usual `net.core.somaxconn` of 4096.
const PENDING_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn echoer() -> (Echoer, Vec<u8>) {
        let (mut echoer, mut sent) = (Echoer::new(vec![b'.'; 21].into()), Vec::new());
        (0..3).for_each(|_| echoer.ask(&mut sent));
        (echoer, sent)
    }

    /// Shows that messages come back whole in every chunking.
    #[test]
    fn messages_come_back_in_any_chunking() {
        let (_, sent) = echoer();
        assert_eq!(sent.len(), 3 * 34);
        for size in 1..=sent.len() {
            let ((mut echoer, _), mut count) = (echoer(), 0);
            for chunk in sent.chunks(size) {
                echoer.receive(chunk, &mut |_| count += 1).unwrap();
            }
            assert_eq!(count, 3, "in chunks of {size}");
        }
    }

    /// Shows that one wrong byte is found, in the number and behind it, and a lost message as well.
    #[test]
    fn one_wrong_byte_is_found() {
        for at in [0, 11, 12, 13, 33, 34] {
            let (mut echoer, mut sent) = echoer();
            sent[at] ^= 1;
            assert!(echoer.receive(&sent, &mut |_| {}).is_err(), "byte {at}");
        }
        let (mut echoer, sent) = echoer();
        assert!(echoer.receive(&sent[34..], &mut |_| {}).is_err());
    }
}
