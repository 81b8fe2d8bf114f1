//! Taking back what was said, and who must be silent.
//!
//! Everybody deletes their own messages; an administrator deletes any that was said in a room, and silences
//! somebody for a time: a user, or whoever goes by a name without an account, or all of those, since the next name is
//! free. Private messages are nobody's business but the sender's.

use super::rooms::{Open, Person, RoomId};
use super::{Event, Face, Reply, Room, RoomRef, or_missing, room_of, say, seat_of, topic_of};
use crate::handlers::api::{self, ApiError, ErrorKind, Topic};
use crate::handlers::effect::Lane;
use crate::handlers::session::Session;
use crate::handlers::{Access, Call, Ctx};
use crate::store::StoreError;
use crate::store::model::{MessageId, NewMute, Place, Role, RoomKey, Silenced, UserId, Window, guest_key};

/// Deletes one's own message; an administrator deletes anybody's.
pub const DELETE: Call<MessageId> =
    Call { name: "chat.delete", access: Access::Scope(super::SPEAKING), lane: Lane::Write, run: delete };
/// Silences a user, or people without an account.
pub const MUTE: Call<Silence> = Call { name: "chat.mute", access: Access::Admin, lane: Lane::Write, run: mute };
/// Lets a user speak again.
pub const UNMUTE: Call<Unmute> = Call { name: "chat.unmute", access: Access::Admin, lane: Lane::Write, run: unmute };
/// Lists who must be silent.
pub const MUTES: Call<Window> = Call { name: "chat.mutes", access: Access::Admin, lane: Lane::Read, run: mutes };

/// Who shall be silent.
#[derive(Debug, Clone)]
pub struct Silence {
    /// Who.
    pub who: Silenced,
    /// Where; everywhere if not said.
    pub room: Option<RoomRef>,
    /// For how long.
    pub seconds: u32,
    /// Why; may be empty.
    pub reason: String,
}

/// Who may speak again.
#[derive(Debug, Clone)]
pub struct Unmute {
    /// Who.
    pub who: Silenced,
    /// Where; the mute for everywhere if not said.
    pub room: Option<RoomRef>,
}

fn delete(id: MessageId, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, now) = (ctx.caller()?, ctx.now.unix_ms);
    ctx.run(
        Lane::Write,
        move |store| {
            let message = store.message(id)?;
            let own = message.user_id.as_ref() == Some(&caller.id);
            let public = matches!(message.place, Place::Room(_));
            match own || (public && caller.role == Role::Admin) {
                true => store.delete_message(id, &caller.id, now).map(|()| message),
                false => Err(StoreError::NotFound),
            }
        },
        move |deleted, session, ctx| {
            let message = deleted.map_err(or_missing("There is no such message of yours"))?;
            let room = room_of(&message, ctx);
            let open = room.as_ref().and_then(|room| ctx.state.rooms.find(&room.key));
            // Whoever hears it as everybody does need not be answered.
            let hears = seat_of(session).is_some_and(|seat| room.is_none() || (open.is_some() && seat.room == open));
            let event = Event::Deleted(id, room, ctx.now.unix_ms);
            say::tell_two(&event, &message, ctx);
            if let Some(open) = open {
                ctx.publish(Topic::Room(open), api::Event::Chat(event.into()));
            }
            ctx.reply(if hears { api::Reply::Silence } else { api::Reply::Chat(Reply::Deleted(id)) });
            Ok(())
        },
    );
    Ok(())
}

fn mute(args: Silence, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, now) = (ctx.caller()?, ctx.now.unix_ms);
    let room = key_of(args.room.as_ref(), ctx)?;
    let until = now + i64::from(args.seconds) * 1000;
    let mute = NewMute { who: args.who, room, until, reason: args.reason, muted_by: caller.id, received_at: now };
    ctx.run(
        Lane::Write,
        move |store| store.mute(&mute),
        |muted, _, ctx| {
            let mute = Box::new(muted.map_err(|error| match error {
                StoreError::Conflict => ApiError::new(ErrorKind::Forbidden, "An administrator can't be muted"),
                other => or_missing("User not found")(other),
            })?);
            let now = ctx.now.unix_ms;
            let about = About { user: mute.user_id.as_ref(), name: &mute.username, room: mute.room.as_ref() };
            about.tell(|room| Event::Muted(room, mute.clone(), now), ctx);
            reply(Reply::Muted(mute), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn unmute(args: Unmute, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let room = key_of(args.room.as_ref(), ctx)?;
    let there = room.clone();
    ctx.run(
        Lane::Write,
        move |store| store.unmute(&args.who, room.as_ref()),
        move |unmuted, _, ctx| {
            let (user_id, username) = unmuted.map_err(or_missing("There is no such mute"))?;
            let (now, face) = (ctx.now.unix_ms, Face { username: username.into(), user_id });
            let about = About { user: face.user_id.as_ref(), name: &face.username, room: there.as_ref() };
            about.tell(|room| Event::Unmuted(room, face.clone(), now), ctx);
            ctx.reply(api::Reply::Done("The user may speak again"));
            Ok(())
        },
    );
    Ok(())
}

fn mutes(window: Window, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let now = ctx.now.unix_ms;
    ctx.run(
        Lane::Read,
        move |store| store.mutes(now, window),
        move |page, _, ctx| {
            reply(Reply::Mutes(page?, window), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn key_of(room: Option<&RoomRef>, ctx: &Ctx<'_>) -> Result<Option<RoomKey>, ApiError> {
    room.map(|room| Room::named(room, &ctx.state.catalogue)).transpose().map(|room| room.map(|room| room.key))
}

/// Who may no longer speak, or again, and where.
struct About<'a> {
    /// A user, else whoever goes by the name without an account.
    user: Option<&'a UserId>,
    name: &'a str,
    room: Option<&'a RoomKey>,
}

impl About<'_> {
    /// Tells it in the room that it is about, or in each that somebody of those is in; and a user, who may be
    /// elsewhere.
    fn tell(&self, event: impl Fn(Room) -> Event, ctx: &mut Ctx<'_>) {
        let member = self.user.and_then(|user| ctx.state.members.find(user)).map(Person::Member);
        let is_in = |open: &Open| match (self.user, &member) {
            (Some(_), member) => member.as_ref().is_some_and(|member| open.holds(member)),
            (None, _) => open.people().any(|person| self.is_guest(person)),
        };
        let concerned = |id: &RoomId| {
            let open = ctx.state.rooms.get(*id);
            open.is_some_and(|open| self.room.map_or_else(|| is_in(open), |key| open.name.key == *key))
        };
        let ids: Vec<RoomId> = ctx.state.rooms.ids().filter(concerned).collect();
        let mut told = false;
        for id in ids {
            let Some(open) = ctx.state.rooms.get(id) else { continue };
            told |= is_in(open);
            let event = event(open.name.clone());
            ctx.publish(Topic::Room(id), api::Event::Chat(event.into()));
        }
        let elsewhere = self.user.filter(|_| !told).and_then(|user| topic_of(user, ctx));
        if let Some(topic) = elsewhere {
            let anywhere = Room::of(self.room.cloned().unwrap_or_else(RoomKey::general), &ctx.state.catalogue);
            ctx.publish(topic, api::Event::Chat(event(anywhere).into()));
        }
    }

    /// Whether this is one of those without an account whom it is about.
    fn is_guest(&self, person: &Person) -> bool {
        let named = |name: &str| self.name.is_empty() || guest_key(name) == guest_key(self.name);
        matches!(person, Person::Guest(name) if named(name))
    }
}

fn reply(reply: Reply, ctx: &mut Ctx<'_>) {
    ctx.reply(api::Reply::Chat(reply));
}
