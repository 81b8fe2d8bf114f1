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

impl Rooms {
    /// One room, in which messages of `bytes` are said, `in_flight` at a time.
    pub fn one(bytes: usize, in_flight: usize) -> Self {
        Self { names: vec![ROOM.to_owned()], bytes, in_flight, pacing: Pacing::Closed }
    }
}

/// Everyone in `tokens` joins the rooms in turn; the last ones, one for each room, speak.
pub fn run_in(
    http: SocketAddr,
    tokens: &[String],
    rooms: &Rooms,
    pace: Pace,
    meter: &Meter<'_>,
) -> Result<Chat, LoadError> {
    let (said, joined) = ready(http, tokens, rooms)?;
    let said = said.measure_watched(pace, meter)?;
    verify(http, tokens, rooms, &said.messages)?;
    Ok(Chat { said, joined })
}

/// The same up to the first message: everybody is in.
pub fn ready(http: SocketAddr, tokens: &[String], rooms: &Rooms) -> Result<(Loop, Joined), LoadError> {
    let (members, count) = (tokens.len(), rooms.names.len());
    if count == 0 || members < count {
        return Err(LoadError::Missing("every room needs a member".to_owned()));
    }
    let mut swarm = Swarm::new(http)?;
    let joined = join_all(&mut swarm, http, members, tokens, &rooms.names)?;
    // The last member of each room: who is number `at` of the rooms has the same remainder.
    let speakers: Vec<usize> = (0..count).map(|at| at + (members - 1 - at) / count * count).collect();
    let message = Message::Chat { bytes: rooms.bytes };
    Ok((Loop::rooms(swarm, members, &speakers, rooms.in_flight, rooms.pacing, message), joined))
}

/// The server shows as the last of each room what was said there last, of so many messages.
pub fn verify(http: SocketAddr, tokens: &[String], rooms: &Rooms, messages: &[u64]) -> Result<(), LoadError> {
    let reader = tokens.last().ok_or_else(|| LoadError::Missing("nobody is in the rooms".to_owned()))?;
    let mut rooms_and_counts = rooms.names.iter().zip(messages);
    rooms_and_counts.try_for_each(|(room, messages)| verify_stored(http, room, reader, *messages, rooms.bytes))
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
