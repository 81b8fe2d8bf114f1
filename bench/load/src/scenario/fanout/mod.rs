//! Fan-out: one publisher, every client receives every message.
//!
//! A closed loop: a message is delivered when *all* clients have received it, and only then is the next one
//! sent, up to `in_flight` at once. An open loop: messages are due at fixed times, and count from then. Every
//! client's messages are counted and its bytes compared with the others'; one client's messages are looked into,
//! each must be the next one. Several rooms are as many fan-outs side by side, each verified on its own.

mod receiver;
mod rooms;
mod window;

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

pub use rooms::Loop;

use super::{Pace, roll_call};
use crate::client::Swarm;
use crate::drive::{Meter, Pacing};
use crate::error::LoadError;
use crate::login::log_in_all;
use crate::message::Message;
use crate::stats::Summary;

/// What a fan-out run showed.
#[derive(Debug, Clone, Serialize)]
pub struct FanOut {
    /// Messages received, all clients together, per second.
    pub deliveries_per_second: f64,
    /// Messages received, all clients together, the warm-up's too.
    pub deliveries: u64,
    /// Messages sent in each room, the warm-up's too.
    pub messages: Vec<u64>,
    /// The mean length of a received message, in bytes.
    pub message_bytes: f64,
    /// From sending a message until the last client has it.
    pub latency: Summary,
    /// The server's processor time for one delivery, in microseconds, if it was looked at.
    pub server_cpu_us_per_delivery: Option<f64>,
}

/// Fan-out through MangaHub: `clients` authenticate with `tokens` in turn, the last one publishes.
pub fn run(
    tcp: SocketAddr,
    tokens: &[String],
    clients: usize,
    in_flight: usize,
    message: Message,
    pace: Pace,
) -> Result<FanOut, LoadError> {
    run_at(tcp, tokens, clients, in_flight, Pacing::Closed, message, pace, &Meter::HIDDEN)
}

/// The same at any pace, with somebody who watches.
#[expect(clippy::too_many_arguments, reason = "what a fan-out is made of; one call reads as a list of it")]
pub fn run_at(
    tcp: SocketAddr,
    tokens: &[String],
    clients: usize,
    in_flight: usize,
    pacing: Pacing,
    message: Message,
    pace: Pace,
    meter: &Meter<'_>,
) -> Result<FanOut, LoadError> {
    let mut swarm = Swarm::new(tcp)?;
    log_in_all(&mut swarm, clients, tokens)?;
    Loop::rooms(swarm, clients, &[clients - 1], in_flight, pacing, message).measure_watched(pace, meter)
}

/// The same up to the first message: everybody is connected and authenticated.
pub fn ready(
    tcp: SocketAddr,
    tokens: &[String],
    clients: usize,
    in_flight: usize,
    message: Message,
) -> Result<Loop, LoadError> {
    let mut swarm = Swarm::new(tcp)?;
    log_in_all(&mut swarm, clients, tokens)?;
    Ok(Loop::new(swarm, clients, clients - 1, in_flight, message))
}

/// Fan-out through the bare loop: lines of `message_bytes` and no authentication.
pub fn run_raw(
    tcp: SocketAddr,
    message_bytes: usize,
    clients: usize,
    in_flight: usize,
    pace: Pace,
) -> Result<FanOut, LoadError> {
    ready_raw(tcp, message_bytes, clients, in_flight)?.measure(pace)
}

/// The same up to the first message.
pub fn ready_raw(tcp: SocketAddr, message_bytes: usize, clients: usize, in_flight: usize) -> Result<Loop, LoadError> {
    ready_bare(tcp, clients, in_flight, Message::Raw { bytes: message_bytes })
}

/// The same with any message that a peer sends on as it gets it.
pub fn ready_bare(tcp: SocketAddr, clients: usize, in_flight: usize, message: Message) -> Result<Loop, LoadError> {
    let mut swarm = Swarm::new(tcp)?;
    roll_call::connect_all(&mut swarm, clients)?;
    Ok(Loop::new(swarm, clients, clients - 1, in_flight, message))
}

/// The length of one broadcast line with its newline, in bytes: what the bare loop and the brokers have to carry.
pub fn line_length(tcp: SocketAddr, tokens: &[String], message: Message) -> Result<usize, LoadError> {
    let pace = Pace { warm_up: Duration::ZERO, duration: Duration::from_millis(20) };
    let outcome = run(tcp, tokens, 1, 1, message, pace)?;
    Ok(outcome.message_bytes.round() as usize)
}
