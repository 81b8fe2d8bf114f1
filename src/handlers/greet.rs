//! Who comes to chat: what the request for a WebSocket says about its sender, and what is made of it.
//!
//! Whoever shows a token is known by it. Through some listeners one may come under a name that nobody
//! vouches for; it must not be a registered user's. Rooms and what is said in them are `chat`'s.

use std::sync::Arc;

use super::api::Topic;
use super::effect::Effect;
use super::session::Session;
use super::{Ctx, chat};

/// How whoever came to chat introduced themselves. It is kept with the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// Who they are.
    pub who: Who,
    /// The room named in the request, as it was sent.
    pub room: Option<Box<str>>,
    /// The series named in the request, whose room is meant.
    pub manga_id: Option<i64>,
    /// Which family's client it is, as far as the request tells.
    pub family: Dialect,
}

/// Who came to chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// A user: the session's member.
    Verified,
    /// Nobody knows; it is the name that they want to be called.
    Anonymous(Arc<str>),
}

/// Whose words a chat client understands. Every message has both families' members, but what is
/// said unasked differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// It named itself or a room in the request, as the first family's client does.
    V1,
    /// It showed a token and nothing else, or a series.
    V2,
}

/// A WebSocket is open, and its session says whose it is. What is said first, is said here.
pub fn opened(session: &mut Session, ctx: &mut Ctx<'_>) {
    if let Some(member) = session.member {
        ctx.effects.push(Effect::Enter(Topic::Member(member)));
    }
    if let Err(error) = chat::join::opened(session, ctx) {
        ctx.refuse(error);
    }
}
