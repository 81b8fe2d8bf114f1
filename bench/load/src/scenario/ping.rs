//! Pings on authenticated TCP connections: what a line costs that needs no store and no worker.
//!
//! Each ping carries its connection's number of it, and its pong must bring the same number back. A refusal (too
//! many messages, say) is a failure; what others tell meanwhile is passed over.

use std::net::SocketAddr;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::STALL;
use super::task::{Ready, Setup, Task, share};
use crate::client::{Arrival, LineBuffer, Swarm};
use crate::drive::{Client, Drive, Pacing, Verdict};
use crate::error::LoadError;
use crate::login::log_in_all;

/// Who pings, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pings {
    /// The server's v1 TCP address.
    pub tcp: SocketAddr,
    /// The tokens to authenticate with, in turn.
    pub tokens: Vec<String>,
    /// On how many connections.
    pub connections: usize,
    /// How many pings on each may be unanswered.
    pub in_flight: usize,
    /// How many in a second, all connections together; as many as are answered, if `None`.
    pub rate: Option<f64>,
}

impl Pings {
    /// The part of one of several processes.
    pub fn part(&self, process: usize, of: usize) -> Self {
        let rate = self.rate.map(|rate| rate / of as f64);
        Self { connections: share(self.connections, process, of), rate, ..self.clone() }
    }

    /// Connects and authenticates everyone.
    pub fn prepare(self, setup: &Setup) -> Result<Box<dyn Task>, LoadError> {
        let mut swarm = Swarm::from_sources(self.tcp, setup.sources)?;
        log_in_all(&mut swarm, self.connections, &self.tokens)?;
        let clients = (0..self.connections).map(|_| Pinger::default());
        let drive = Drive::new(swarm).lane("ping", Pacing::at(self.rate), self.in_flight, clients);
        Ok(Ready::boxed(drive, setup))
    }
}

/// One connection.
#[derive(Default)]
pub struct Pinger {
    lines: LineBuffer,
    sent: u64,
    answered: u64,
}

impl Client for Pinger {
    fn ask(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(ping_line(self.sent).as_bytes());
        self.sent += 1;
    }

    fn receive(&mut self, bytes: &[u8], answered: &mut dyn FnMut(Verdict)) -> Result<(), String> {
        let Self { lines, answered: number, .. } = self;
        let mut wrong = None;
        lines.feed(bytes, |line| {
            let verdict = if is_pong(line, *number) { Some(Ok(0)) } else { refusal(line).map(Err) };
            match verdict {
                Some(verdict) => {
                    *number += 1;
                    answered(verdict);
                }
                None if line.starts_with(BROADCAST) => {}
                None => {
                    let shown = String::from_utf8_lossy(&line[..line.len().min(300)]).into_owned();
                    wrong.get_or_insert(format!("pong {number} was expected, this came: {shown}"));
                }
            }
        });
        wrong.map_or(Ok(()), Err)
    }
}

/// The length of a pong to a ping with a number of some digits: what a bare echo has to carry to be compared.
pub fn pong_length(pings: &Pings) -> Result<usize, LoadError> {
    let (mut swarm, mut line, start) = (Swarm::new(pings.tcp)?, Vec::new(), Instant::now());
    log_in_all(&mut swarm, 1, &pings.tokens)?;
    swarm.send(0, ping_line(SOME_NUMBER).as_bytes());
    while !line.ends_with(b"\n") {
        swarm.turn(Some(STALL), |_, arrival| {
            if let Arrival::Bytes(bytes) = arrival {
                line.extend_from_slice(bytes);
            }
        })?;
        if start.elapsed() > STALL {
            return Err(LoadError::TimedOut("no pong".to_owned()));
        }
    }
    Ok(line.len())
}

/// A ping with a number.
fn ping_line(number: u64) -> String {
    format!("{{\"type\":\"ping\",\"data\":{{\"client_time\":{number}}}}}\n")
}

/// Whether the line is the pong with this number. The load has to be cheaper than the server, so the line is
/// looked at and not read as JSON.
fn is_pong(line: &[u8], number: u64) -> bool {
    let Some(at) = memchr::memmem::find(line, NUMBER).filter(|_| line.starts_with(PONG)) else { return false };
    let mut digits = line[at + NUMBER.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    let add = |sum: u64, digit: &u8| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    digits.try_fold(0, add) == Some(number)
}

/// The code of an error, if the line is one.
pub fn refusal(line: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Refused<'a> {
        code: &'a str,
    }
    let refused = line.starts_with(ERROR).then(|| serde_json::from_slice::<Refused<'_>>(line).ok()).flatten();
    refused.map(|refused| refused.code.to_owned())
}

/// As long as most numbers of a run are.
const SOME_NUMBER: u64 = 100;

const PONG: &[u8] = b"{\"type\":\"pong\"";
const ERROR: &[u8] = b"{\"type\":\"error\"";
const NUMBER: &[u8] = b"\"client_time\":";

/// How a line begins that tells of somebody's progress.
pub const BROADCAST: &[u8] = b"{\"type\":\"broadcast\"";

#[cfg(test)]
mod tests {
    use super::*;

    fn received(lines: &str) -> (Result<(), String>, Vec<Verdict>) {
        let (mut pinger, mut verdicts) = (Pinger::default(), Vec::new());
        (0..2).for_each(|_| pinger.ask(&mut Vec::new()));
        let result = pinger.receive(lines.as_bytes(), &mut |verdict| verdicts.push(verdict));
        (result, verdicts)
    }

    fn pong(number: u64) -> String {
        format!(
            "{{\"type\":\"pong\",\"timestamp\":\"t\",\"data\":{{\"server_time\":\"t\",\"client_time\":{number}}}}}\n"
        )
    }

    /// Shows that pongs are taken in order, among broadcasts, and that a refusal stands for a pong.
    #[test]
    fn pongs_in_order() {
        let broadcast = "{\"type\":\"broadcast\",\"data\":{}}\n";
        assert_eq!(received(&[&pong(0), broadcast, &pong(1)].concat()), (Ok(()), vec![Ok(0), Ok(0)]));
        let refused = "{\"type\":\"error\",\"code\":\"RATE_LIMITED\",\"message\":\"m\",\"data\":{}}\n";
        assert_eq!(received(&[refused, &pong(1)].concat()).1, vec![Err("RATE_LIMITED".to_owned()), Ok(0)]);
    }

    /// Shows that a swapped pong, another line and a longer number are wrong.
    #[test]
    fn anything_else_is_wrong() {
        for wrong in [pong(1), "nonsense\n".to_owned(), pong(10)] {
            assert!(received(&wrong).0.is_err(), "{wrong}");
        }
    }
}
