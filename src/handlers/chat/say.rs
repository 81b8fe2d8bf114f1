//! Talking: in a room, to one person, and showing that one is about to.
//!
//! What is said is told when it is stored, so whoever hears it can find it again. The one who says it hears
//! it as everybody does.

use super::{Event, Face, Room, RoomRef, clean, face, join, room_of, seat, silenced, topic_of};
use crate::handlers::api::{self, ApiError, ErrorKind, Reply, Topic};
use crate::handlers::effect::Lane;
use crate::handlers::session::Session;
use crate::handlers::{Access, Call, Ctx, names};
use crate::store::model::{Message, NewMessage, NewPrivateMessage, Place, Posted, Speaker, UserId, as_guest};
use crate::store::{Store, StoreError};

/// Says something in the room.
pub const SAY: Call<Say> = Call { name: "chat.say", access: Access::Guest, lane: Lane::Write, run: say };
/// Says something in a room without being in one.
pub const POST: Call<Say> =
    Call { name: "chat.post", access: Access::Scope(super::SPEAKING), lane: Lane::Write, run: post };
/// Shows the others that something is being typed.
pub const TYPING: Call<()> = Call { name: "chat.typing", access: Access::Guest, lane: Lane::Read, run: typing };
/// Says something to one person.
pub const WHISPER: Call<Whisper> = Call { name: "chat.whisper", access: Access::User, lane: Lane::Write, run: whisper };

/// Something to be said.
#[derive(Debug, Clone)]
pub struct Say {
    /// Where, if the message says so: it must be the room that its sender is in.
    pub room: Option<RoomRef>,
    /// The text.
    pub content: String,
}

/// Something to be said to one person.
#[derive(Debug, Clone)]
pub struct Whisper {
    /// To whom: an id or a name.
    pub to: String,
    /// The text.
    pub content: String,
}

fn say(args: Say, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let face = face(session, ctx)?;
    let room = seat(session)?.place(ctx)?;
    if let Some(named) = &args.room
        && Room::named(named, &ctx.state.catalogue)?.key != room.key
    {
        return Err(ApiError::invalid("room: not the room that you are in"));
    }
    store(face, room, &args.content, |_, _| Reply::Silence, ctx)
}

fn post(args: Say, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    let room = args.room.as_ref().ok_or_else(|| ApiError::invalid("room: required"))?;
    let room = Room::named(room, &ctx.state.catalogue)?;
    let face = Face { username: caller.username, user_id: Some(caller.id) };
    let answer = |message: &Message, room| Reply::Chat(super::Reply::Said(Box::new(message.clone()), room));
    store(face, room, &args.content, answer, ctx)
}

/// Stores what somebody says in a room, then tells it and answers.
fn store(
    face: Face,
    room: Room,
    content: &str,
    answer: fn(&Message, Room) -> Reply,
    ctx: &mut Ctx<'_>,
) -> Result<(), ApiError> {
    let message = NewMessage {
        room: room.key.clone(),
        speaker: face.speaker(),
        user_id: face.user_id,
        username: face.username.to_string(),
        content: clean(content)?,
        received_at: ctx.now.unix_ms,
    };
    ctx.run(
        Lane::Write,
        move |store| match marked(&message, store)? {
            Some(marked) => store.post_message(&marked),
            None => store.post_message(&message),
        },
        move |posted, session, ctx| {
            let message = stored(posted.map_err(super::or_missing(NO_ACCOUNT))?, ctx)?;
            if message.speaker == Speaker::Guest {
                join::rename(&message.username, session, ctx);
            }
            let answer = answer(&message, room);
            tell(message, ctx);
            ctx.reply(answer);
            Ok(())
        },
    );
    Ok(())
}

/// The message with another name, where it needs one: somebody without an account may be called as a user is
/// since they came.
fn marked(message: &NewMessage, store: &mut dyn Store) -> Result<Option<NewMessage>, StoreError> {
    let taken = message.speaker == Speaker::Guest && names::is_taken(&message.username, store)?;
    Ok(taken.then(|| NewMessage { username: as_guest(&message.username), ..message.clone() }))
}

/// What was stored, or why it was not.
fn stored(posted: Posted, ctx: &Ctx<'_>) -> Result<Message, ApiError> {
    match posted {
        Posted::Stored(message) => Ok(message),
        Posted::Muted(mute) => Err(silenced(&mute, ctx.now.unix_ms)),
        Posted::NoRoom => Err(ApiError::new(ErrorKind::Forbidden, "There are too many rooms to begin another")),
    }
}

/// Tells a stored message to everybody in its room.
pub(super) fn tell(message: Message, ctx: &mut Ctx<'_>) {
    let Place::Room(key) = &message.place else { return };
    if let Some(id) = ctx.state.rooms.find(key) {
        ctx.state.rooms.note_said(id);
        let room = room_of(&message, ctx);
        ctx.publish(Topic::Room(id), api::Event::Chat(Event::Said(message, room).into()));
    }
}

fn typing(_: (), session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let face = face(session, ctx)?;
    let seat = seat(session)?;
    let room = seat.place(ctx)?;
    let now_ms = ctx.now.mono_ms;
    // Whoever hears of it shows it for longer than that anyway.
    if seat.typed_ms != 0 && now_ms < seat.typed_ms + TYPING_MS_MIN {
        ctx.reply(Reply::Silence);
        return Ok(());
    }
    seat.typed_ms = now_ms.max(1);
    let (who, key, now) = (face.clone(), room.key.clone(), ctx.now.unix_ms);
    ctx.run(
        Lane::Read,
        move |store| store.mute_in_force(who.user_id.as_ref(), &who.username, &key, now),
        move |muted, _, ctx| {
            // Whoever must be silent is about to say nothing. Where nobody can tell, nothing is lost.
            if let (Ok(None), Some(id)) = (muted, ctx.state.rooms.find(&room.key)) {
                ctx.publish(Topic::Room(id), api::Event::Chat(Event::Typing(room, face, now).into()));
            }
            ctx.reply(Reply::Silence);
            Ok(())
        },
    );
    Ok(())
}

fn whisper(args: Whisper, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    let message = NewPrivateMessage {
        from: caller.id.clone(),
        username: caller.username.to_string(),
        to: args.to,
        content: clean(&args.content)?,
        received_at: ctx.now.unix_ms,
    };
    ctx.run(
        Lane::Write,
        move |store| store.post_private(&message),
        move |posted, _, ctx| {
            let message = stored(posted.map_err(super::or_missing("User not found"))?, ctx)?;
            tell_two(&Event::Said(message.clone(), None), &message, ctx);
            ctx.reply(Reply::Silence);
            Ok(())
        },
    );
    Ok(())
}

/// Tells something about a private message to the connections of both.
pub(super) fn tell_two(event: &Event, message: &Message, ctx: &mut Ctx<'_>) {
    let Place::To { id: to, .. } = &message.place else { return };
    let from = message.user_id.as_ref().filter(|from| *from != to);
    let both: Vec<&UserId> = from.into_iter().chain([to]).collect();
    for user in both {
        if let Some(topic) = topic_of(user, ctx) {
            ctx.publish(topic, api::Event::Chat(event.clone().into()));
        }
    }
}

const NO_ACCOUNT: &str = "This account no longer exists";

/// How often one connection may show that it is typing: more often is passed over.
const TYPING_MS_MIN: u64 = 250;
