//! The same fan-out through Redis pub/sub, the peer to be ahead of.
//!
//! A subscriber can't publish, so the publisher has a connection of its own, whose replies (how many
//! subscribers a message reached) are read and let go.

use std::net::SocketAddr;
use std::time::Instant;

use super::fanout::{FanOut, Loop};
use super::{Pace, STALL};
use crate::client::{Arrival, Swarm};
use crate::error::LoadError;
use crate::message::{Message, redis_subscribe};

/// Fan-out of payloads of `message_bytes` to `clients` subscribers.
pub fn run(
    redis: SocketAddr,
    message_bytes: usize,
    clients: usize,
    in_flight: usize,
    pace: Pace,
) -> Result<FanOut, LoadError> {
    let mut swarm = Swarm::new(redis)?;
    subscribe_all(&mut swarm, clients)?;
    let publisher = swarm.connect()?;
    Loop::new(swarm, clients, publisher, in_flight, Message::Redis { bytes: message_bytes }).measure(pace)
}

/// Connects `count` subscribers, a few hundred at a time, and waits for every confirmation.
fn subscribe_all(swarm: &mut Swarm, count: usize) -> Result<(), LoadError> {
    let (command, confirmation) = redis_subscribe();
    let deadline = Instant::now() + 2 * STALL;
    let (mut bytes, mut closed) = (0, None);
    while bytes < count * confirmation {
        while swarm.len() < count && swarm.len() < bytes / confirmation + PENDING_MAX {
            let index = swarm.connect()?;
            swarm.send(index, command.as_bytes());
        }
        swarm.turn(Some(STALL), |index, arrival| match arrival {
            Arrival::Bytes(more) => bytes += more.len(),
            Arrival::Closed(_) => closed = Some(index),
        })?;
        if let Some(index) = closed {
            return Err(LoadError::Closed(index));
        }
        if Instant::now() > deadline {
            return Err(LoadError::TimedOut(format!("{} of {count} subscribed", bytes / confirmation)));
        }
    }
    Ok(())
}

/// Below Redis's default backlog of 511.
const PENDING_MAX: usize = 256;
