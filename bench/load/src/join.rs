//! Joining a room over WebSocket: one newcomer step by step, and a crowd of them.
//!
//! A newcomer asks for the upgrade, joins when it is granted, and is present when its own presence message has
//! come, behind the history. What is said to those who are present already is read and let go, and its bytes are
//! counted: they tell whether joining costs the square of the crowd. What must hold: when a crowd has joined,
//! nothing is on its way any more, so whatever comes next begins with a frame.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::client::{Arrival, Swarm};
use crate::error::LoadError;
use crate::scenario::STALL;
use crate::websocket::{self, Counter, Head, Kind};

/// What it took to fill a room.
#[derive(Debug, Clone, Serialize)]
pub struct Joined {
    /// From the first connect until everyone was present.
    pub join_seconds: f64,
    /// What everyone together received meanwhile, those included who were present already.
    pub join_bytes: u64,
}

impl fmt::Display for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "joined in {:.2} s, {} bytes received meanwhile", self.join_seconds, self.join_bytes)
    }
}

/// The frame that joins a room.
pub fn join_frame(room: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    websocket::text(format!("{{\"type\":\"join\",\"room\":\"{room}\"}}").as_bytes(), &mut frame);
    frame
}

/// Adds `count` members to `swarm`, whose target is `http`, with `tokens` in turn, who join `rooms` in turn, and
/// waits until nothing more is said about it.
pub fn join_all(
    swarm: &mut Swarm,
    http: SocketAddr,
    count: usize,
    tokens: &[String],
    rooms: &[String],
) -> Result<Joined, LoadError> {
    let start = Instant::now();
    let joins: Vec<Vec<u8>> = rooms.iter().map(|room| join_frame(room)).collect();
    let first = swarm.len();
    let mut crowd = Crowd { first, members: Vec::new(), present: 0, upgraded: Vec::new(), bytes: 0, failure: None };
    while crowd.present < count {
        while crowd.members.len() < count.min(crowd.present + PENDING_MAX) {
            crowd.members.push(Member::Coming(Newcomer::default()));
            let index = swarm.connect()?;
            swarm.send(index, &websocket::upgrade(http, &tokens[index % tokens.len()]));
        }
        let something = crowd.turn(swarm, STALL)?;
        crowd.upgraded.drain(..).for_each(|index| swarm.send(index, &joins[(index - first) % joins.len()]));
        if !something || start.elapsed() > DEADLINE {
            let Crowd { present, bytes, .. } = crowd;
            return Err(LoadError::TimedOut(format!("{present} of {count} were present, after {bytes} bytes")));
        }
    }
    let join_seconds = start.elapsed().as_secs_f64();
    while crowd.turn(swarm, QUIET)? {
        if start.elapsed() > DEADLINE {
            return Err(LoadError::TimedOut(format!("quiet, with {count} members and {} bytes", crowd.bytes)));
        }
    }
    Ok(Joined { join_seconds, join_bytes: crowd.bytes })
}

struct Crowd {
    /// The index of the first connection of this crowd.
    first: usize,
    /// Everyone so far.
    members: Vec<Member>,
    present: usize,
    /// Those who may join now.
    upgraded: Vec<usize>,
    bytes: u64,
    failure: Option<LoadError>,
}

enum Member {
    Coming(Newcomer),
    /// Only hears of the others, and is told why if the server ends it.
    Present(Counter),
}

impl Crowd {
    fn turn(&mut self, swarm: &mut Swarm, timeout: Duration) -> Result<bool, LoadError> {
        let something = swarm.turn(Some(timeout), |index, arrival| {
            if let Err(error) = self.on(index, arrival) {
                self.failure.get_or_insert(error);
            }
        })?;
        self.failure.take().map_or(Ok(something), Err)
    }

    fn on(&mut self, index: usize, arrival: Arrival<'_>) -> Result<(), LoadError> {
        let bytes = match arrival {
            Arrival::Bytes(bytes) => bytes,
            Arrival::Closed(kind) => return Err(LoadError::Closed(index, kind)),
        };
        self.bytes += bytes.len() as u64;
        // Members of an earlier crowd are not ours.
        let Some(member) = index.checked_sub(self.first).and_then(|at| self.members.get_mut(at)) else { return Ok(()) };
        let newcomer = match member {
            Member::Coming(newcomer) => newcomer,
            Member::Present(frames) => return frames.feed(bytes, PRESENCE).map(drop),
        };
        match newcomer.receive(bytes).map_err(|said| LoadError::Wrong(format!("connection {index}: {said}")))? {
            Step::Waiting | Step::Greeted => {}
            Step::Upgraded => self.upgraded.push(index),
            Step::Present => {
                let mut frames = Counter::default();
                frames.feed(&newcomer.received, PRESENCE)?;
                *member = Member::Present(frames);
                self.present += 1;
            }
        }
        Ok(())
    }
}

/// Somebody on the way into a room.
#[derive(Debug, Default)]
pub struct Newcomer {
    upgraded: bool,
    /// What has come since the last whole answer or frame.
    received: Vec<u8>,
}

/// How far a newcomer has come with what just arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Not further.
    Waiting,
    /// It may join.
    Upgraded,
    /// A message has come.
    Greeted,
    /// Its presence has been told.
    Present,
}

impl Newcomer {
    /// Takes what arrived. A message that says no, or anything but the upgrade before it, is an error.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Step, String> {
        self.received.extend_from_slice(bytes);
        let mut step = Step::Waiting;
        if !self.upgraded {
            let Some(end) = websocket::upgraded(&self.received)? else { return Ok(Step::Waiting) };
            self.received.drain(..end);
            (self.upgraded, step) = (true, Step::Upgraded);
        }
        while let Some(next) = self.take_frame()? {
            step = step.max(next);
        }
        Ok(step)
    }

    fn take_frame(&mut self) -> Result<Option<Step>, String> {
        let Some(head) = Head::parse(&self.received)? else { return Ok(None) };
        let end = (head.length as u64).saturating_add(head.payload);
        let Some(end) = usize::try_from(end).ok().filter(|end| *end <= self.received.len()) else { return Ok(None) };
        let payload = &self.received[head.length..end];
        let step = match head.kind {
            Kind::Text if payload.starts_with(ERROR) => return Err(String::from_utf8_lossy(payload).into_owned()),
            Kind::Text if payload.starts_with(PRESENCE) => Step::Present,
            Kind::Text => Step::Greeted,
            Kind::Ping | Kind::Other => Step::Waiting,
        };
        self.received.drain(..end);
        Ok(Some(step))
    }
}

/// The room that everyone joins.
pub const ROOM: &str = "general";

/// How the message begins that says how many are in the room.
const PRESENCE: &[u8] = b"{\"type\":\"presence\"";

const ERROR: &[u8] = b"{\"type\":\"error\"";

/// How many may be on the way at once: well within a listener's backlog.
const PENDING_MAX: usize = 256;

/// A room that takes longer to fill has failed. It is within the server's patience for an answer to a ping, so
/// nobody on the way has to answer one.
const DEADLINE: Duration = Duration::from_secs(50);

/// When nothing has come for this long, nothing is on its way.
const QUIET: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &[u8]) -> Vec<u8> {
        [&[0x81, payload.len() as u8], payload].concat()
    }

    fn answer() -> Vec<u8> {
        b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n".to_vec()
    }

    /// Shows each step of a newcomer, with everything in pieces: upgraded, greeted by the history, present.
    #[test]
    fn a_newcomer_goes_step_by_step() {
        let stream =
            [answer(), frame(b"{\"type\":\"history\"}"), frame(b"{\"type\":\"presence\",\"online\":1}")].concat();
        for size in 1..40 {
            let mut newcomer = Newcomer::default();
            let steps = stream.chunks(size).map(|chunk| newcomer.receive(chunk).unwrap());
            let steps: Vec<Step> = steps.filter(|step| *step != Step::Waiting).collect();
            assert!(steps.is_sorted(), "{steps:?} in chunks of {size}");
            assert_eq!((steps[0] <= Step::Greeted, steps.last()), (true, Some(&Step::Present)));
        }
    }

    /// Shows that a refusal is an error in the server's words, before the upgrade and after.
    #[test]
    fn a_refusal_is_told() {
        let refused = Newcomer::default().receive(b"HTTP/1.1 401 Unauthorized\r\n\r\n");
        assert_eq!(refused, Err("status 401 instead of 101".to_owned()));
        let error = b"{\"type\":\"error\",\"code\":\"NOT_FOUND\"}";
        let refused = Newcomer::default().receive(&[answer(), frame(error)].concat());
        assert_eq!(refused, Err(String::from_utf8_lossy(error).into_owned()));
    }
}
