//! Coming and going.
//!
//! Whoever joins sees the last of what was said there and then everything that is said from then on, without
//! a gap: the last of it is read in the writer's lane, whose order is the order of what is said.

use std::sync::Arc;

use super::rooms::{Entered, Person, RoomId};
use super::{Event, HISTORY_USUAL, Reply, Room, RoomRef, Seat, face, person, seat, with_rooms};
use crate::handlers::api::{self, ApiError, Topic};
use crate::handlers::effect::Lane;
use crate::handlers::greet::{Dialect, Who};
use crate::handlers::session::Session;
use crate::handlers::{Access, Call, Ctx};
use crate::store::model::Messages;

/// Comes to a room, and leaves the one before.
pub const JOIN: Call<Join> = Call { name: "chat.join", access: Access::Guest, lane: Lane::Write, run: join };
/// Leaves the room.
pub const LEAVE: Call<()> = Call { name: "chat.leave", access: Access::Guest, lane: Lane::Reactor, run: leave };

/// Where to come to, and in whose words that is told.
#[derive(Debug, Clone)]
pub struct Join {
    /// Which room; `general` where none is named.
    pub room: Option<RoomRef>,
    /// In whose words.
    pub words: Words,
}

/// How the two families tell that somebody comes or goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Words {
    /// One sentence for everybody, the newcomer too.
    #[default]
    First,
    /// One for the others, and another for the newcomer.
    Second,
}

/// A connection of chat begins. It goes where its request said; the first family's clients, who need not
/// say so, to `general`.
pub fn opened(session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let Some(greeting) = session.greeting().cloned() else { return Ok(()) };
    let guest = match greeting.who {
        Who::Anonymous(name) => Some(name),
        Who::Verified => None,
    };
    session.plain = guest.is_some() && greeting.family == Dialect::V1;
    session.extra_mut().seat = Some(Seat { guest, ..Seat::default() });
    if let Some(member) = session.member {
        ctx.enter(Topic::Private(member));
    }
    let room = greeting.manga_id.map(RoomRef::Manga).or(greeting.room.map(|room| RoomRef::Word(room.into())));
    match (room, greeting.family) {
        (None, Dialect::V2) => Ok(()),
        (room, Dialect::V2) => join(Join { room, words: Words::Second }, session, ctx),
        (room, Dialect::V1) => join(Join { room, words: Words::First }, session, ctx),
    }
}

fn join(args: Join, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let general = || RoomRef::Word("general".to_owned());
    let room = Room::named(&args.room.unwrap_or_else(general), &ctx.state.catalogue)?;
    person(session)?;
    let seat = seat(session)?;
    seat.heading = Some(room.clone());
    let key = room.key.clone();
    ctx.run(
        Lane::Write,
        move |store| store.room_messages(&key, None, HISTORY_USUAL),
        move |messages, session, ctx| {
            end_heading(session, &room)?;
            arrive(room, args.words, messages?, session, ctx)
        },
    );
    Ok(())
}

/// Whoever has arrived, or failed to, heads nowhere now, unless they have asked for another room since.
fn end_heading(session: &mut Session, room: &Room) -> Result<(), ApiError> {
    let seat = seat(session)?;
    seat.heading.take_if(|heading| heading == room);
    Ok(())
}

fn arrive(
    room: Room,
    words: Words,
    messages: Messages,
    session: &mut Session,
    ctx: &mut Ctx<'_>,
) -> Result<(), ApiError> {
    let here = seat(session)?.room;
    let stays = here.is_some_and(|here| ctx.state.rooms.find(&room.key) == Some(here));
    let entered = match here.filter(|_| stays) {
        Some(id) => Entered { id, is_new: false },
        None => {
            depart(session, ctx, Ending::Moves);
            let entered = ctx.state.rooms.enter(&room, person(session)?).ok_or_else(ApiError::busy)?;
            seat(session)?.room = Some(entered.id);
            entered
        }
    };
    if !messages.items.is_empty() {
        ctx.state.rooms.note_said(entered.id);
    }
    seat(session)?.words = words;
    let plain = session.plain;
    let (items, more) = with_rooms(messages, ctx);
    let greet = |ctx: &mut Ctx<'_>| greet(&room, words, &entered, stays, session, ctx);
    if plain {
        // Lines in the order in which they were said, the newcomer's own coming last.
        reply(Reply::Retold(items), ctx);
        greet(ctx)?;
    } else {
        greet(ctx)?;
        reply(Reply::History(Some(room.clone()), items, more), ctx);
    }
    tell_presence(entered.id, room, entered.is_new, plain, ctx);
    Ok(())
}

/// Tells that somebody has come: the others, unless they are many, and the newcomer.
fn greet(
    room: &Room,
    words: Words,
    entered: &Entered,
    stays: bool,
    session: &Session,
    ctx: &mut Ctx<'_>,
) -> Result<(), ApiError> {
    let (name, topic) = (face(session, ctx)?.username, Topic::Room(entered.id));
    let online = ctx.state.rooms.online(&room.key);
    let aloud = entered.is_new && online <= NOTICED_MAX;
    let now_ms = ctx.now.unix_ms;
    let tell = |text: String, ctx: &mut Ctx<'_>| {
        ctx.publish(topic, api::Event::Chat(Event::Notice(room.clone(), text, now_ms).into()));
    };
    if words == Words::Second && aloud {
        tell(format!("[{name}] has joined the chat."), ctx);
    }
    if !stays {
        ctx.enter(topic);
    }
    match words {
        Words::First if aloud => tell(format!("{name} joined the chat"), ctx),
        Words::First => reply(Reply::Notice(Some(room.clone()), format!("{name} joined the chat")), ctx),
        Words::Second => {
            let text = format!("You have joined the chat room for {}. Users online: {online}", title(room));
            reply(Reply::Notice(Some(room.clone()), text), ctx);
        }
    }
    Ok(())
}

fn leave(_: (), session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    seat(session)?;
    let notice = match depart(session, ctx, Ending::Moves) {
        Some(room) => {
            let text = format!("You have left the chat room for {}.", title(&room));
            Reply::Notice(Some(room), text)
        }
        None => Reply::Notice(None, "Room does not exist.".to_owned()),
    };
    reply(notice, ctx);
    Ok(())
}

/// Somebody without an account is called otherwise from now on.
pub(super) fn rename(name: &str, session: &mut Session, ctx: &mut Ctx<'_>) {
    let (Ok(before), Ok(seat)) = (person(session), seat(session)) else { return };
    if seat.guest.as_deref() == Some(name) {
        return;
    }
    let name: Arc<str> = name.into();
    seat.guest = Some(name.clone());
    if let Some((id, room)) = seat.room.and_then(|id| Some((id, ctx.state.rooms.get(id)?.name.clone()))) {
        // In this order, so that the room doesn't end in between. It is open, so there is room in it.
        ctx.state.rooms.enter(&room, Person::Guest(name));
        ctx.state.rooms.leave(id, &before);
    }
}

/// A connection that ends is in no room any more.
pub fn closed(session: &mut Session, ctx: &mut Ctx<'_>) {
    depart(session, ctx, Ending::Ends);
}

/// Why a connection leaves its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// It lives on elsewhere, and must hear no more.
    Moves,
    /// It hears nothing anyway.
    Ends,
}

/// Takes a connection out of its room, and tells those who stay. Returns the room.
fn depart(session: &mut Session, ctx: &mut Ctx<'_>, ending: Ending) -> Option<Room> {
    let (person, face) = (person(session).ok()?, face(session, ctx).ok()?);
    let seat = seat(session).ok()?;
    let (id, words) = (seat.room.take()?, seat.words);
    let room = ctx.state.rooms.get(id)?.name.clone();
    let gone = ctx.state.rooms.leave(id, &person);
    if ending == Ending::Moves {
        ctx.leave(Topic::Room(id));
    }
    if gone && (1..=NOTICED_MAX).contains(&ctx.state.rooms.online(&room.key)) {
        let text = match words {
            Words::First => format!("{} left the chat", face.username),
            Words::Second => format!("[{}] has left the chat.", face.username),
        };
        let notice = Event::Notice(room.clone(), text, ctx.now.unix_ms);
        ctx.publish(Topic::Room(id), api::Event::Chat(notice.into()));
        tell_presence(id, room.clone(), true, false, ctx);
    }
    Some(room)
}

/// Tells how many are in a room: everybody there, where that has changed and they are not too many, else
/// whoever just came, unless their client would show it as something said.
fn tell_presence(id: RoomId, room: Room, changed: bool, plain: bool, ctx: &mut Ctx<'_>) {
    let online = ctx.state.rooms.online(&room.key);
    if changed && online <= NOTICED_MAX {
        let presence = Event::Presence(room, online, ctx.now.unix_ms);
        ctx.publish(Topic::Room(id), api::Event::Chat(presence.into()));
    } else if !plain {
        reply(Reply::Presence(room, online), ctx);
    }
}

fn reply(reply: Reply, ctx: &mut Ctx<'_>) {
    ctx.reply(api::Reply::Chat(reply));
}

/// A room as a sentence names it: the second family's clients know theirs by these words.
fn title(room: &Room) -> String {
    match room.key.manga() {
        Some(id) => format!("manga ID {id}"),
        None => room.label.to_string(),
    }
}

/// In a larger room nobody is told who comes and goes: each of so many would be told of each other.
pub(super) const NOTICED_MAX: usize = 200;
