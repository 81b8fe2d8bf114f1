//! Chat: rooms over WebSocket, in each one member speaks and every member hears everything.
//!
//! The closed loop is the fan-out's; what is here is the way into the room. Everyone is a user of their own, so
//! that the rooms are as full as they look, and only the speakers have to exist in the store.

use std::net::SocketAddr;

use serde::Serialize;

use super::Pace;
use super::fanout::{FanOut, Loop};
use super::stored;
use crate::client::Swarm;
use crate::drive::{Meter, Pacing};
use crate::error::LoadError;
use crate::join::{Joined, ROOM, join_all};
use crate::message::{Message, padded};

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
    let rooms = Rooms { names: vec![ROOM.to_owned()], bytes, in_flight, pacing: Pacing::Closed };
    run_in(http, tokens, &rooms, pace, &Meter::HIDDEN)
}

/// Rooms, and what is said in each.
pub struct Rooms {
    /// What they are called.
    pub names: Vec<String>,
    /// The length of what is said.
    pub bytes: usize,
    /// How many messages of each room may be on their way.
    pub in_flight: usize,
    /// How often something is said, in all rooms together.
    pub pacing: Pacing,
}

/// Everyone in `tokens` joins the rooms in turn; the last ones, one for each room, speak.
pub fn run_in(
    http: SocketAddr,
    tokens: &[String],
    rooms: &Rooms,
    pace: Pace,
    meter: &Meter<'_>,
) -> Result<Chat, LoadError> {
    let (members, count) = (tokens.len(), rooms.names.len());
    if count == 0 || members < count {
        return Err(LoadError::Missing("every room needs a member".to_owned()));
    }
    let mut swarm = Swarm::new(http)?;
    let joined = join_all(&mut swarm, http, members, tokens, &rooms.names)?;
    // The last member of each room: who is number `at` of the rooms has the same remainder.
    let speakers: Vec<usize> = (0..count).map(|at| at + (members - 1 - at) / count * count).collect();
    let message = Message::Chat { bytes: rooms.bytes };
    let said = Loop::rooms(swarm, members, &speakers, rooms.in_flight, rooms.pacing, message);
    let said = said.measure_watched(pace, meter)?;
    for (room, messages) in rooms.names.iter().zip(&said.messages) {
        verify_stored(http, room, &tokens[members - 1], *messages, rooms.bytes)?;
    }
    Ok(Chat { said, joined })
}

/// The last of so many messages is the last that the server shows of the room; it may have said something itself.
fn verify_stored(http: SocketAddr, room: &str, token: &str, messages: u64, bytes: usize) -> Result<(), LoadError> {
    let Some(last) = messages.checked_sub(1).map(|last| padded(last, bytes)) else { return Ok(()) };
    let stored = stored::messages(http, room, token, 1)?;
    match stored.iter().rev().find(|content| content.starts_with('P')) {
        Some(content) if *content == last => Ok(()),
        other => Err(LoadError::Wrong(format!("{room}: {last} was told, but the last that is stored is {other:?}"))),
    }
}
