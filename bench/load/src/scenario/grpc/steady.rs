//! Unary calls at a fixed rate, whether the server keeps up or not.
//!
//! Each call has the time at which it should be made, and its latency counts from then. Every answer must be the
//! same message; anything else is a failure. So is a call for which too many are on their way already.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use tokio::task::{LocalSet, spawn_local, yield_now};

use super::runtime;
use crate::drive::schedule::Schedule;
use crate::error::LoadError;
use crate::grpc::{Call, Channel};
use crate::scenario::Pace;
use crate::stats::{Latencies, Summary};

/// What calls at a fixed rate showed, the warm-up left out.
#[derive(Debug, Clone, Serialize)]
pub struct Steady {
    /// How many calls there should be.
    pub offered: u64,
    /// From the time a call should be made to its answer.
    pub latency: Summary,
    /// What went wrong, and how often; the warm-up's too.
    pub failures: BTreeMap<String, u64>,
}

impl Steady {
    /// An error when any call failed: numbers of what was lost are for looking at.
    pub fn none_failed(&self) -> Result<(), LoadError> {
        match self.failures.values().sum::<u64>() {
            0 => Ok(()),
            failed => Err(LoadError::Wrong(format!("{failed} calls failed"))),
        }
    }
}

impl fmt::Display for Steady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} offered; {}", self.offered, self.latency)?;
        self.failures.iter().try_for_each(|(reason, times)| write!(f, "; {reason}: {times}"))
    }
}

/// Makes `call` on `connections` in turn, `per_second` times in a second.
pub fn run(
    address: SocketAddr,
    call: &Call,
    connections: usize,
    per_second: f64,
    pace: Pace,
) -> Result<Steady, LoadError> {
    LocalSet::new().block_on(&runtime()?, async {
        let mut channels = Vec::new();
        for _ in 0..connections.max(1) {
            channels.push(Channel::connect(address).await?);
        }
        let expected = channels[0].unary(call).await?;
        let tally = Rc::new(Tally { expected, begin: Instant::now() + pace.warm_up, seen: RefCell::default() });
        offer(&channels, call, per_second, pace, &tally).await;
        wait_for_the_last(&tally).await;
        let seen = tally.seen.take();
        let missing = seen.under_way as u64;
        let mut failures = seen.failures;
        if missing > 0 {
            failures.insert("no answer".to_owned(), missing);
        }
        Ok(Steady { offered: seen.offered, latency: seen.latencies.summary(), failures })
    })
}

/// Begins every call at its time. Sleeping would be a millisecond off, so this yields to the answers instead: the
/// load has a core of its own.
async fn offer(channels: &[Channel], call: &Call, per_second: f64, pace: Pace, tally: &Rc<Tally>) {
    let start = Instant::now();
    let mut arrivals = Schedule::new(start, start + pace.warm_up + pace.duration, per_second);
    let call = Rc::new(call.clone());
    for channel in channels.iter().cycle() {
        let Some(next) = arrivals.next() else { return };
        while arrivals.take(Instant::now()).is_none() {
            yield_now().await;
        }
        if tally.admit(next) {
            let (channel, call, tally) = (channel.clone(), call.clone(), tally.clone());
            spawn_local(async move { tally.settle(next, channel.unary(&call).await) });
        }
    }
}

async fn wait_for_the_last(tally: &Tally) {
    let end = Instant::now() + DRAIN;
    while tally.seen.borrow().under_way > 0 && Instant::now() < end {
        yield_now().await;
    }
}

struct Tally {
    expected: Bytes,
    /// The end of the warm-up.
    begin: Instant,
    seen: RefCell<Seen>,
}

#[derive(Default)]
struct Seen {
    offered: u64,
    under_way: usize,
    latencies: Latencies,
    failures: BTreeMap<String, u64>,
}

impl Tally {
    /// Whether the call of this time may be made.
    fn admit(&self, due: Instant) -> bool {
        let seen = &mut *self.seen.borrow_mut();
        seen.offered += u64::from(due >= self.begin);
        if seen.under_way >= UNDER_WAY_MAX {
            *seen.failures.entry("too many on their way".to_owned()).or_default() += 1;
            return false;
        }
        seen.under_way += 1;
        true
    }

    fn settle(&self, due: Instant, answer: Result<Bytes, LoadError>) {
        let seen = &mut *self.seen.borrow_mut();
        seen.under_way -= 1;
        match answer {
            Ok(answer) if answer == self.expected => {
                if due >= self.begin {
                    seen.latencies.record(due.elapsed());
                }
            }
            Ok(_) => *seen.failures.entry("another answer".to_owned()).or_default() += 1,
            Err(error) => *seen.failures.entry(error.to_string()).or_default() += 1,
        }
    }
}

/// A second's worth at the rate that is claimed.
const UNDER_WAY_MAX: usize = 10_000;

/// How long answers are waited for after the last call.
const DRAIN: Duration = Duration::from_secs(3);
