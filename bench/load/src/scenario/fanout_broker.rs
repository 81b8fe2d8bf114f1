//! The same fan-out through a broker, the peers to be ahead of; and what one more idle subscriber costs it.
//!
//! What differs from one broker to the next is in [`Broker`]; the closed loop and its verification are those of
//! [`fanout`](super::fanout). Where a subscriber may not publish, the publisher has a connection of its own, whose
//! replies (how many subscribers a message reached) are read and let go.

use std::net::SocketAddr;
use std::time::Instant;

use super::fanout::{FanOut, Loop};
use super::idle::Idle;
use super::{Pace, STALL};
use crate::broker::Broker;
use crate::client::{Arrival, Swarm};
use crate::error::LoadError;
use crate::message::Message;
use crate::server::settled_rss_anon_bytes;

/// Fan-out of payloads of `message_bytes` to `clients` subscribers.
pub fn run(
    broker: Broker,
    address: SocketAddr,
    message_bytes: usize,
    clients: usize,
    in_flight: usize,
    pace: Pace,
) -> Result<FanOut, LoadError> {
    ready(broker, address, message_bytes, clients, in_flight)?.measure(pace)
}

/// The same up to the first message: everybody has subscribed.
pub fn ready(
    broker: Broker,
    address: SocketAddr,
    message_bytes: usize,
    clients: usize,
    in_flight: usize,
) -> Result<Loop, LoadError> {
    let mut swarm = Swarm::new(address)?;
    subscribe_all(&mut swarm, broker, clients)?;
    let publisher = if broker.subscriber_publishes() { clients - 1 } else { swarm.connect()? };
    Ok(Loop::new(swarm, clients, publisher, in_flight, Message::Broker { broker, bytes: message_bytes }))
}

/// Grows from `from` to `to` idle subscribers and measures process `pid` at both.
pub fn idle(broker: Broker, address: SocketAddr, pid: u32, from: usize, to: usize) -> Result<Idle, LoadError> {
    let mut swarm = Swarm::new(address)?;
    subscribe_all(&mut swarm, broker, from)?;
    let small_bytes = settled_rss_anon_bytes(pid)?;
    subscribe_all(&mut swarm, broker, to.saturating_sub(from))?;
    let large_bytes = settled_rss_anon_bytes(pid)?;
    let bytes_per_connection = (large_bytes as f64 - small_bytes as f64) / to.saturating_sub(from).max(1) as f64;
    Ok(Idle { small_bytes, large_bytes, bytes_per_connection })
}

/// Connects `count` more subscribers, a few hundred at a time, and waits until each was welcomed.
fn subscribe_all(swarm: &mut Swarm, broker: Broker, count: usize) -> Result<(), LoadError> {
    let first = swarm.len();
    let mut crowd = Crowd { broker, first, waiting: Vec::new(), welcomed: 0, asked: Vec::new(), failure: None };
    let mut last = (Instant::now(), 0);
    while crowd.welcomed < count {
        while crowd.waiting.len() < count.min(crowd.welcomed + PENDING_MAX) {
            crowd.waiting.push(Some(Vec::new()));
            let index = swarm.connect()?;
            swarm.send(index, &broker.hello(index));
        }
        swarm.turn(Some(STALL), |index, arrival| crowd.on(index, arrival))?;
        if let Some(error) = crowd.failure.take() {
            return Err(error);
        }
        for (index, answer) in crowd.asked.drain(..) {
            swarm.send(index, answer);
        }
        if crowd.welcomed > last.1 {
            last = (Instant::now(), crowd.welcomed);
        } else if last.0.elapsed() > 2 * STALL {
            return Err(LoadError::TimedOut(format!("{} of {count} subscribed", crowd.welcomed)));
        }
    }
    Ok(())
}

struct Crowd {
    broker: Broker,
    /// The index of the first connection of this crowd.
    first: usize,
    /// What each has received so far; `None` once welcomed.
    waiting: Vec<Option<Vec<u8>>>,
    welcomed: usize,
    /// What answers a broker that has asked whether somebody is still there.
    asked: Vec<(usize, &'static [u8])>,
    failure: Option<LoadError>,
}

impl Crowd {
    fn on(&mut self, index: usize, arrival: Arrival<'_>) {
        let bytes = match arrival {
            Arrival::Bytes(bytes) => bytes,
            Arrival::Closed(kind) => {
                self.failure.get_or_insert(LoadError::Closed(index, kind));
                return;
            }
        };
        let slot = index.checked_sub(self.first).and_then(|at| self.waiting.get_mut(at));
        let Some(slot @ Some(_)) = slot else {
            self.asked.extend(self.broker.sign_of_life(bytes).map(|answer| (index, answer)));
            return;
        };
        let received = slot.get_or_insert_default();
        received.extend_from_slice(bytes);
        match self.broker.welcomed(received) {
            Ok(false) => {}
            Ok(true) => {
                *slot = None;
                self.welcomed += 1;
            }
            Err(said) => drop(self.failure.get_or_insert(LoadError::Wrong(said))),
        }
    }
}

/// Below Redis's default backlog of 511.
const PENDING_MAX: usize = 256;
