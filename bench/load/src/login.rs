//! Connecting and authenticating many TCP clients, with the time each waited.
//!
//! It ends when every client has its `auth_success` or has failed. How many may wait at once is the
//! caller's choice: a storm lets all of them, the other scenarios keep within the listener's backlog.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::client::{Arrival, LineBuffer, Swarm};
use crate::error::LoadError;
use crate::stats::Latencies;

/// How a crowd of logins went.
pub struct Logins {
    /// From `connect()` to `auth_success`, of those that got it.
    pub times: Latencies,
    /// What went wrong, and how often.
    pub failures: BTreeMap<String, u64>,
}

/// Adds `count` authenticated connections to `swarm`, with `tokens` in turn and at most `pending_max` unanswered.
/// Fails only when `deadline` passes; single failures are counted.
pub fn log_in(
    swarm: &mut Swarm,
    count: usize,
    pending_max: usize,
    tokens: &[String],
    deadline: Duration,
) -> Result<Logins, LoadError> {
    let lines: Vec<String> = tokens.iter().map(|token| auth_line(token)).collect();
    let first = swarm.len();
    let mut crowd =
        Crowd { first, waiting: Vec::new(), answered: 0, times: Latencies::new(), failures: BTreeMap::new() };
    let end = Instant::now() + deadline;
    while crowd.answered < count {
        let room = pending_max.saturating_sub(crowd.waiting.len() - crowd.answered);
        let more = room.min(count - crowd.waiting.len()).min(CONNECTS_PER_TURN);
        for _ in 0..more {
            crowd.waiting.push(Some(Waiting { since: Instant::now(), lines: LineBuffer::default() }));
            let index = swarm.connect()?;
            swarm.send(index, lines[index % lines.len()].as_bytes());
        }
        let timeout = if more > 0 { Duration::ZERO } else { Duration::from_millis(100) };
        swarm.turn(Some(timeout), |index, arrival| crowd.on(index, arrival))?;
        if Instant::now() > end {
            return Err(LoadError::TimedOut(format!("{} of {count} logins were answered", crowd.answered)));
        }
    }
    Ok(Logins { times: crowd.times, failures: crowd.failures })
}

/// Like [`log_in`], for a scenario that needs every one of them.
pub fn log_in_all(swarm: &mut Swarm, count: usize, tokens: &[String]) -> Result<(), LoadError> {
    let logins = log_in(swarm, count, PENDING_MAX, tokens, Duration::from_secs(60))?;
    match logins.failures.first_key_value() {
        None => Ok(()),
        Some((reason, times)) => Err(LoadError::Wrong(format!("{times} of {count} logins failed: {reason}"))),
    }
}

struct Crowd {
    /// The index of the first connection of this crowd.
    first: usize,
    /// Everyone so far; `None` once answered.
    waiting: Vec<Option<Waiting>>,
    answered: usize,
    times: Latencies,
    failures: BTreeMap<String, u64>,
}

struct Waiting {
    since: Instant,
    lines: LineBuffer,
}

impl Crowd {
    fn on(&mut self, index: usize, arrival: Arrival<'_>) {
        // Connections of an earlier crowd are idle; what they receive is not ours.
        let Some(slot) = index.checked_sub(self.first).and_then(|at| self.waiting.get_mut(at)) else { return };
        let Some(waiting) = slot else { return };
        let mut answer = None;
        match arrival {
            Arrival::Bytes(bytes) => waiting.lines.feed(bytes, |line| answer = Some(verdict(line))),
            Arrival::Closed(kind) => answer = Some(Err(format!("closed before an answer: {kind}"))),
        }
        let Some(answer) = answer else { return };
        match answer {
            Ok(()) => self.times.record(waiting.since.elapsed()),
            Err(reason) => *self.failures.entry(reason).or_default() += 1,
        }
        *slot = None;
        self.answered += 1;
    }
}

/// The line that authenticates.
pub fn auth_line(token: &str) -> String {
    format!("{{\"type\":\"auth\",\"data\":{{\"token\":\"{token}\"}}}}\n")
}

/// Whether the line says yes, or else what it says.
pub fn verdict(line: &[u8]) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(rename = "type")]
        kind: &'a str,
    }
    match serde_json::from_slice::<Envelope<'_>>(line) {
        Ok(envelope) if envelope.kind == "auth_success" => Ok(()),
        _ => Err(String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned()),
    }
}

/// Connects begun before looking at answers, so that a storm's answers are timed when they come.
const CONNECTS_PER_TURN: usize = 32;

/// Well within the usual `net.core.somaxconn` of 4096, so that no set-up waits for a lost SYN.
const PENDING_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that only `auth_success` counts, and that anything else is reported as it came.
    #[test]
    fn an_answer_is_judged() {
        assert_eq!(verdict(br#"{"type":"auth_success","data":{}}"#), Ok(()));
        let refused = r#"{"type":"auth_failed","data":{"reason":"no"}}"#;
        assert_eq!(verdict(refused.as_bytes()), Err(refused.to_owned()));
        assert_eq!(verdict(b"nonsense"), Err("nonsense".to_owned()));
    }
}
