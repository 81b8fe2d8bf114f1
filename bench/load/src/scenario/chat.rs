//! Chat: a room over WebSocket, one member speaks, every member hears everything.
//!
//! The closed loop is the fan-out's; what is here is the way into the room. Everyone is a user of their own, so
//! that the room is as full as it looks, and only the speaker has to exist in the store.

use std::net::SocketAddr;

use serde::Serialize;

use super::Pace;
use super::fanout::{FanOut, Loop};
use crate::client::Swarm;
use crate::error::LoadError;
use crate::join::{Joined, join_all};
use crate::message::Message;

/// What a chat run showed.
#[derive(Debug, Clone, Serialize)]
pub struct Chat {
    /// The messages.
    #[serde(flatten)]
    pub said: FanOut,
    /// The way into the room.
    #[serde(flatten)]
    pub joined: Joined,
}

/// Everyone in `tokens` joins one room; the last one says messages of `bytes`, `in_flight` at a time.
pub fn run(http: SocketAddr, tokens: &[String], bytes: usize, in_flight: usize, pace: Pace) -> Result<Chat, LoadError> {
    let mut swarm = Swarm::new(http)?;
    let members = tokens.len();
    let joined = join_all(&mut swarm, http, members, tokens)?;
    let said = Loop::new(swarm, members, members - 1, in_flight, Message::Chat { bytes }).measure(pace)?;
    Ok(Chat { said, joined })
}
