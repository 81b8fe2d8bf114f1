//! Being in a room by a stream: one comes and goes as by a WebSocket, and says nothing there.
//!
//! Everybody is told in the first family's words. Who hears, and where, is the stream's own affair
//! ([`watch`](crate::handlers::watch)).

use super::join::NOTICED_MAX;
use super::rooms::{Entered, Person, RoomId};
use super::{Event, Room, face_of};
use crate::handlers::Ctx;
use crate::handlers::api::{self, ApiError, Topic};
use crate::handlers::session::MemberId;

/// Notes that a user is in a room from now on.
pub fn enter(room: &Room, member: MemberId, ctx: &mut Ctx<'_>) -> Result<Entered, ApiError> {
    ctx.state.rooms.enter(room, Person::Member(member)).ok_or_else(ApiError::busy)
}

/// Tells the room who has come; where it isn't told, what the newcomer alone is to hear.
pub fn announce(room: &Room, entered: &Entered, member: MemberId, ctx: &mut Ctx<'_>) -> Option<Event> {
    let online = ctx.state.rooms.online(&room.key);
    let presence = Event::Presence(room.clone(), online, ctx.now.unix_ms);
    if !entered.is_new || online > NOTICED_MAX {
        return Some(presence);
    }
    tell_of(entered.id, room, member, "joined the chat", ctx);
    ctx.publish(Topic::Room(entered.id), api::Event::Chat(presence.into()));
    None
}

/// Notes that a user is there no longer, and tells those who stay.
pub fn leave(id: RoomId, member: MemberId, ctx: &mut Ctx<'_>) {
    let Some(room) = ctx.state.rooms.get(id).map(|open| open.name.clone()) else { return };
    let gone = ctx.state.rooms.leave(id, &Person::Member(member));
    let online = ctx.state.rooms.online(&room.key);
    if gone && (1..=NOTICED_MAX).contains(&online) {
        tell_of(id, &room, member, "left the chat", ctx);
        let presence = Event::Presence(room, online, ctx.now.unix_ms);
        ctx.publish(Topic::Room(id), api::Event::Chat(presence.into()));
    }
}

fn tell_of(id: RoomId, room: &Room, member: MemberId, what: &str, ctx: &mut Ctx<'_>) {
    let Some(face) = face_of(&Person::Member(member), ctx) else { return };
    let notice = Event::Notice(room.clone(), format!("{} {what}", face.username), ctx.now.unix_ms);
    ctx.publish(Topic::Room(id), api::Event::Chat(notice.into()));
}
