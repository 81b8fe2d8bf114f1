//! What was said, and who is there.

use super::rooms::Person;
use super::{Reply, Room, RoomRef, face_of, or_missing, seat_of, with_rooms};
use crate::handlers::api::{self, ApiError};
use crate::handlers::effect::Lane;
use crate::handlers::session::Session;
use crate::handlers::{Access, Call, Ctx};
use crate::store::model::{MessageId, RoomKey, Window};

/// Shows what was said in a room.
pub const HISTORY: Call<History> = Call { name: "chat.history", access: Access::Guest, lane: Lane::Read, run: history };
/// Shows what the caller and somebody else said to each other.
pub const PRIVATE: Call<Private> = Call { name: "chat.private", access: Access::User, lane: Lane::Read, run: private };
/// Shows who is in a room.
pub const USERS: Call<Option<RoomRef>> =
    Call { name: "chat.users", access: Access::Guest, lane: Lane::Reactor, run: users };
/// Lists the rooms.
pub const ROOMS: Call<Window> = Call { name: "chat.rooms", access: Access::User, lane: Lane::Read, run: rooms };

/// Which part of what was said in a room.
#[derive(Debug, Clone)]
pub struct History {
    /// Which room; the one that the connection is in where none is named.
    pub room: Option<RoomRef>,
    /// Before this message.
    pub before: Option<MessageId>,
    /// At most so many.
    pub limit: u32,
}

/// Which part of what two people said to each other.
#[derive(Debug, Clone)]
pub struct Private {
    /// With whom: an id or a name.
    pub with: String,
    /// Before this message.
    pub before: Option<MessageId>,
    /// At most so many.
    pub limit: u32,
}

fn history(args: History, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let room = room_or_here(args.room.as_ref(), session, ctx)?;
    let key = room.key.clone();
    ctx.run(
        Lane::Read,
        move |store| store.room_messages(&key, args.before, args.limit),
        |messages, _, ctx| {
            let (items, more) = with_rooms(messages?, ctx);
            reply(Reply::History(Some(room), items, more), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn private(args: Private, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    ctx.run(
        Lane::Read,
        move |store| store.private_messages(&caller.id, &args.with, args.before, args.limit),
        |messages, _, ctx| {
            let (items, more) = with_rooms(messages.map_err(or_missing("User not found"))?, ctx);
            reply(Reply::History(None, items, more), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn users(room: Option<RoomRef>, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let room = room_or_here(room.as_ref(), session, ctx)?;
    let open = ctx.state.rooms.find(&room.key).and_then(|id| ctx.state.rooms.get(id));
    let people: Vec<Person> = open.into_iter().flat_map(|open| open.people()).take(USERS_MAX).cloned().collect();
    let online = open.map_or(0, |open| open.online());
    let mut faces: Vec<_> = people.iter().filter_map(|person| face_of(person, ctx)).collect();
    faces.sort_by(|one, other| one.username.cmp(&other.username));
    reply(Reply::Users(room, faces, online), ctx);
    Ok(())
}

fn rooms(window: Window, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let open: Vec<RoomKey> = ctx.state.rooms.silent().take(SILENT_MAX).cloned().collect();
    ctx.run(
        Lane::Read,
        move |store| store.rooms(&open, window),
        move |page, _, ctx| {
            let page = page?;
            let known = |row: crate::store::model::RoomRow| {
                let (room, online) =
                    (Room::of(row.room.clone(), &ctx.state.catalogue), ctx.state.rooms.online(&row.room));
                (row, room, online)
            };
            let rows = page.items.into_iter().map(known).collect();
            reply(Reply::Rooms(rows, page.total, window), ctx);
            Ok(())
        },
    );
    Ok(())
}

/// The room that was named, or else the one that the connection is in.
fn room_or_here(named: Option<&RoomRef>, session: &Session, ctx: &Ctx<'_>) -> Result<Room, ApiError> {
    match (named, seat_of(session)) {
        (Some(named), _) => Room::named(named, &ctx.state.catalogue),
        (None, Some(seat)) => seat.place(ctx),
        (None, None) => Err(ApiError::invalid("room: required")),
    }
}

fn reply(reply: Reply, ctx: &mut Ctx<'_>) {
    ctx.reply(api::Reply::Chat(reply));
}

/// How many rooms are listed in which nothing was said: each is looked up, since old talk may be stored.
const SILENT_MAX: usize = 500;

/// How many people of a room are shown: more are a number.
const USERS_MAX: usize = 500;
