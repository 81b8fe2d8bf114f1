//! Chat: people who are in a room together, and what they say to each other.
//!
//! A room is that of a series or one with a name, and is there while somebody is in it or something that
//! was said there is stored. What is said is stored first and told after; who is in a room is known in
//! memory only. Suggested reading: `rooms` (who is where), `join` (coming and going), `listen` (the same for a stream), `say` (talking),
//! `read` (what was said), `moderate` (who must be silent), `announce` (what the server itself says),
//! `retention` (what is forgotten).

pub mod announce;
pub mod join;
pub mod listen;
pub mod moderate;
pub mod read;
pub mod retention;
pub mod rooms;
pub mod say;

use std::sync::Arc;

use jiff::Timestamp;

use super::Ctx;
use super::api::{ApiError, ErrorKind, Topic};
use super::catalogue::{Catalogue, MangaRef};
use super::session::Session;
use crate::store::StoreError;
use crate::store::model::{
    MangaId, Message, MessageId, Messages, Mute, Page, RoomKey, RoomRow, Speaker, UnixMillis, UserId, Window,
};
use rooms::{Person, RoomId};

/// How a client names a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomRef {
    /// That of a series, by its key.
    Manga(MangaId),
    /// By a word: `general`, else a series' slug, else a series' key, else a name.
    Word(String),
}

/// A room, and what it is called on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Its key.
    pub key: RoomKey,
    /// The slug of its series, or its name.
    pub label: Arc<str>,
}

/// Somebody in a room, as others see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Face {
    /// Their name.
    pub username: Arc<str>,
    /// Their id; a guest has none.
    pub user_id: Option<UserId>,
}

/// What a connection of chat has beside its session: few connections do.
#[derive(Debug, Default)]
pub struct Seat {
    /// Where it is.
    pub room: Option<RoomId>,
    /// Where it will be once what is outstanding is done: what is said meanwhile is said there.
    heading: Option<Room>,
    /// The name of one who has no account.
    pub guest: Option<Arc<str>>,
    /// In whose words its coming was told, and its going will be.
    words: join::Words,
    /// When it last told that it is typing, in milliseconds of the turn's clock.
    typed_ms: u64,
}

/// What is answered about chat.
#[derive(Debug)]
pub enum Reply {
    /// A word from the server to this connection alone, about a room.
    Notice(Option<Room>, String),
    /// Something was said.
    Said(Box<Message>, Room),
    /// What was said in a room, or between two people.
    History(Option<Room>, Vec<(Message, Option<Room>)>, bool),
    /// What was said in a room, each message as it was told when it was.
    Retold(Vec<(Message, Option<Room>)>),
    /// Who is in a room, and how many there are.
    Users(Room, Vec<Face>, usize),
    /// How many are in a room.
    Presence(Room, usize),
    /// Rooms, with how many are in each.
    Rooms(Vec<(RoomRow, Room, usize)>, u64, Window),
    /// A message is deleted.
    Deleted(MessageId),
    /// Somebody must be silent.
    Muted(Box<Mute>),
    /// Who must be silent.
    Mutes(Page<Mute>, Window),
}

/// What happened in chat, as everybody hears of it whom it concerns.
#[derive(Debug, Clone)]
pub enum Event {
    /// Something was said, and is stored. A private message has no room.
    Said(Message, Option<Room>),
    /// Somebody is typing.
    Typing(Room, Face, UnixMillis),
    /// Somebody came or went, in words. It is not stored.
    Notice(Room, String, UnixMillis),
    /// How many are in a room now.
    Presence(Room, usize, UnixMillis),
    /// A message is no longer there.
    Deleted(MessageId, Option<Room>, UnixMillis),
    /// Somebody must be silent from now on.
    Muted(Room, Box<Mute>, UnixMillis),
    /// Somebody may speak again.
    Unmuted(Room, Face, UnixMillis),
}

impl Room {
    /// The room with this key.
    pub fn of(key: RoomKey, catalogue: &Catalogue) -> Self {
        let series = key.manga().and_then(|id| catalogue.get(id));
        let label = series.map_or_else(|| key.as_str().into(), |series| series.slug.as_str().into());
        Self { key, label }
    }

    /// The room that a client named.
    pub fn named(name: &RoomRef, catalogue: &Catalogue) -> Result<Self, ApiError> {
        let unknown = || ApiError::not_found("There is no such manga, and so no room for it");
        let of_series = |manga: &MangaRef| catalogue.find(manga).map(|series| RoomKey::of_manga(series.id));
        let key = match name {
            RoomRef::Manga(id) => of_series(&MangaRef::Id(*id)).ok_or_else(unknown)?,
            RoomRef::Word(word) if *word == *RoomKey::general().as_str() => RoomKey::general(),
            RoomRef::Word(word) => match of_series(&MangaRef::Word(word.clone())) {
                Some(key) => key,
                None if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()) => return Err(unknown()),
                None => RoomKey::named(word).ok_or_else(|| {
                    ApiError::invalid(format!(
                        "room: a manga, or a name of at most {} letters, digits, '-' and '_'",
                        RoomKey::CHARACTERS_MAX
                    ))
                })?,
            },
        };
        Ok(Self::of(key, catalogue))
    }
}

impl Seat {
    /// The room that it is in, or about to be in.
    fn place(&self, ctx: &Ctx<'_>) -> Result<Room, ApiError> {
        let here = self.room.and_then(|room| ctx.state.rooms.get(room));
        let place = self.heading.clone().or_else(|| here.map(|room| room.name.clone()));
        place.ok_or_else(|| ApiError::invalid("Join a room first"))
    }
}

/// The topics that a connection has entered for the sake of chat.
pub fn topics(session: &Session) -> impl Iterator<Item = Topic> {
    let seat = seat_of(session);
    let room = seat.and_then(|seat| seat.room).map(Topic::Room);
    room.into_iter().chain(seat.and(session.member).map(Topic::Private))
}

/// Whose connection this is, as a person in a room.
fn person(session: &Session) -> Result<Person, ApiError> {
    match (session.member, seat_of(session).and_then(|seat| seat.guest.clone())) {
        (Some(member), _) => Ok(Person::Member(member)),
        (None, Some(name)) => Ok(Person::Guest(name)),
        (None, None) => Err(ApiError::new(ErrorKind::Unauthorized, "Authentication required")),
    }
}

/// Whose connection this is, as others see them.
fn face(session: &Session, ctx: &Ctx<'_>) -> Result<Face, ApiError> {
    let person = person(session)?;
    face_of(&person, ctx).ok_or_else(|| ApiError::new(ErrorKind::Unauthorized, "Authentication required"))
}

fn face_of(person: &Person, ctx: &Ctx<'_>) -> Option<Face> {
    match person {
        Person::Guest(name) => Some(Face { username: name.clone(), user_id: None }),
        Person::Member(member) => {
            let member = ctx.state.members.get(*member)?;
            Some(Face { username: member.username.clone(), user_id: Some(member.id.clone()) })
        }
    }
}

impl Event {
    /// Whether it makes sense as a line that somebody said.
    pub fn is_line(&self) -> bool {
        !matches!(self, Self::Typing(..) | Self::Presence(..))
    }
}

impl Face {
    fn speaker(&self) -> Speaker {
        if self.user_id.is_some() { Speaker::User } else { Speaker::Guest }
    }
}

/// The seat of a connection of chat.
fn seat(session: &mut Session) -> Result<&mut Seat, ApiError> {
    let seat = session.extra.as_mut().and_then(|extra| extra.seat.as_mut());
    seat.ok_or_else(|| ApiError::invalid("Chat is for WebSocket connections"))
}

fn seat_of(session: &Session) -> Option<&Seat> {
    session.extra.as_ref()?.seat.as_ref()
}

/// A text that is said: without control characters but for ends of lines and tabs. It must say something.
pub fn clean(content: &str) -> Result<String, ApiError> {
    let hidden = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    let text = match content.contains(hidden) {
        true => content.replace("\r\n", "\n").replace(hidden, ""),
        false => content.to_owned(),
    };
    if text.trim().is_empty() {
        return Err(ApiError::invalid("content: must not be empty"));
    }
    if text.len() > CONTENT_BYTES_MAX || text.chars().count() > CONTENT_CHARACTERS_MAX {
        let what = format!("content: at most {CONTENT_CHARACTERS_MAX} characters and {CONTENT_BYTES_MAX} bytes");
        return Err(ApiError::new(ErrorKind::TooLarge, what));
    }
    Ok(text)
}

/// What somebody hears who must be silent.
fn silenced(mute: &Mute, now_ms: UnixMillis) -> ApiError {
    let until = Timestamp::from_millisecond(mute.until).unwrap_or_default();
    let place = if mute.room.is_some() { "in this room" } else { "in chat" };
    let because = if mute.reason.is_empty() { String::new() } else { format!(": {}", mute.reason) };
    let left_s = (mute.until - now_ms).max(0).unsigned_abs().div_ceil(1000);
    ApiError::new(ErrorKind::Forbidden, format!("You are muted {place} until {until}{because}"))
        .after(u32::try_from(left_s).unwrap_or(u32::MAX))
}

/// A failure of the store where what isn't there has a name.
fn or_missing(what: &'static str) -> impl Fn(StoreError) -> ApiError {
    move |error| match error {
        StoreError::NotFound => ApiError::not_found(what),
        other => other.into(),
    }
}

/// What was said, each with the room it was said in.
fn with_rooms(messages: Messages, ctx: &Ctx<'_>) -> (Vec<(Message, Option<Room>)>, bool) {
    let items = messages.items.into_iter().map(|message| {
        let room = room_of(&message, ctx);
        (message, room)
    });
    (items.collect(), messages.more)
}

/// The room that something was said in; none for a private message.
fn room_of(message: &Message, ctx: &Ctx<'_>) -> Option<Room> {
    match &message.place {
        crate::store::model::Place::Room(key) => Some(Room::of(key.clone(), &ctx.state.catalogue)),
        crate::store::model::Place::To { .. } => None,
    }
}

/// The topic of what is said to one user.
fn topic_of(user: &UserId, ctx: &Ctx<'_>) -> Option<Topic> {
    ctx.state.members.find(user).map(Topic::Private)
}

/// What a token must grant for changes over HTTP. Whoever opens a WebSocket with one came to speak.
const SPEAKING: &str = "write:community_chat";

/// A page of print, about a minute's reading.
const CONTENT_CHARACTERS_MAX: usize = 2000;

/// Three bytes each: whole pages of any living script, and fewer of what takes four.
const CONTENT_BYTES_MAX: usize = 6000;

/// How many messages are shown on joining and unasked.
pub const HISTORY_USUAL: u32 = 50;

/// How many messages are shown at most: of the longest, a hundred are 600 KB.
pub const HISTORY_MAX: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    /// Text is data: what could move a cursor goes, markup stays as it is, and length is bounded.
    #[test]
    fn content_is_cleaned_and_bounded() {
        assert_eq!(clean("<b>a</b>\r\n\t☃ '--\0\u{1b}[1m").as_deref(), Ok("<b>a</b>\n\t☃ '--[1m"));
        for nothing in ["", " \n\t", "\0\0", "\u{7f}\u{85}"] {
            assert_eq!(clean(nothing).unwrap_err().kind, ErrorKind::Invalid, "{nothing:?}");
        }
        assert!(clean(&"é".repeat(CONTENT_CHARACTERS_MAX)).is_ok());
        assert_eq!(clean(&"x".repeat(CONTENT_CHARACTERS_MAX + 1)).unwrap_err().kind, ErrorKind::TooLarge);
        assert!(clean(&"界".repeat(CONTENT_CHARACTERS_MAX)).is_ok());
        assert_eq!(clean(&"🏴".repeat(1501)).unwrap_err().kind, ErrorKind::TooLarge);
    }

    /// `general` is always the named room; a series comes before a name, and digits are never one.
    #[test]
    fn rooms_are_found() {
        let catalogue = Catalogue::default();
        let named = |word: &str| Room::named(&RoomRef::Word(word.into()), &catalogue);
        assert_eq!(named("general").unwrap().key, RoomKey::general());
        assert_eq!(&*named("Off-Topic").unwrap().label, "off-topic");
        assert_eq!(named("5").unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(Room::named(&RoomRef::Manga(5), &catalogue).unwrap_err().kind, ErrorKind::NotFound);
        for bad in ["", "a b", "é", "a/b", &"x".repeat(65)] {
            assert_eq!(named(bad).unwrap_err().kind, ErrorKind::Invalid, "{bad:?}");
        }
    }
}
