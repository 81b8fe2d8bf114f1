//! What is said over a WebSocket: one JSON object to a text message, with the members of both families.
//!
//! The first family's clients read `username` and `room`, the second's `user_name`, `user_id` and `room_id`;
//! every message has all of them, so whatever a client prints, it prints something that makes sense.

use serde::Serialize;
use serde_json::{Value, json};

use super::json::{Object, missing};
use super::routes::Route;
use super::time::rfc3339;
use crate::handlers::api::ApiError;
use crate::handlers::chat::announce::SYSTEM_NAME;
use crate::handlers::chat::join::{JOIN, Join, LEAVE, Words};
use crate::handlers::chat::moderate::DELETE;
use crate::handlers::chat::read::{HISTORY, History, USERS};
use crate::handlers::chat::say::{SAY, Say, TYPING, WHISPER, Whisper};
use crate::handlers::chat::{Event, Face, HISTORY_MAX, HISTORY_USUAL, Reply, Room, RoomRef};
use crate::handlers::session::ServiceKind;
use crate::store::model::{Message, MessageId, Mute, Place, Speaker, UnixMillis};

/// What chat's clients say.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::line(ServiceKind::Ws, "join_room", JOIN, |data| read_join(data, Words::First)),
        Route::line(ServiceKind::Ws, "join", JOIN, |data| read_join(data, Words::Second)),
        Route::line(ServiceKind::Ws, "leave_room", LEAVE, |_| Ok(())),
        Route::line(ServiceKind::Ws, "leave", LEAVE, |_| Ok(())),
        Route::line(ServiceKind::Ws, "chat", SAY, read_say),
        Route::line(ServiceKind::Ws, "typing", TYPING, |_| Ok(())),
        Route::line(ServiceKind::Ws, "history", HISTORY, read_history),
        Route::line(ServiceKind::Ws, "users", USERS, read_room),
        Route::line(ServiceKind::Ws, "pm", WHISPER, read_whisper),
        Route::line(ServiceKind::Ws, "delete", DELETE, read_delete),
    ]
}

/// Whether the first family's clients say this: whoever says anything else understands more than they do.
pub fn is_plain(kind: &str) -> bool {
    ["chat", "join_room", "leave_room"].contains(&kind)
}

/// The room that a message names: by `room_id` or by `room`. What a client's empty record has names none.
fn read_room(data: &Object<'_>) -> Result<Option<RoomRef>, ApiError> {
    let id = data.integer("room_id", -1, i64::MAX)?.filter(|id| *id > 0);
    let word = data.short_text("room", ROOM_CHARACTERS_MAX)?.filter(|word| !word.is_empty());
    Ok(id.map(RoomRef::Manga).or(word.map(|word| RoomRef::Word(word.into_owned()))))
}

fn read_join(data: &Object<'_>, words: Words) -> Result<Join, ApiError> {
    Ok(Join { room: read_room(data)?, words })
}

fn read_say(data: &Object<'_>) -> Result<Say, ApiError> {
    Ok(Say { room: read_room(data)?, content: data.need_text("content")?.into_owned() })
}

fn read_history(data: &Object<'_>) -> Result<History, ApiError> {
    let limit = data.integer("limit", 1, HISTORY_MAX.into())?.map_or(HISTORY_USUAL, |limit| limit as u32);
    Ok(History { room: read_room(data)?, before: data.integer("before", 1, i64::MAX)?, limit })
}

fn read_whisper(data: &Object<'_>) -> Result<Whisper, ApiError> {
    let to = data.short_text("to", ROOM_CHARACTERS_MAX)?.ok_or_else(|| missing("to"))?;
    Ok(Whisper { to: to.into_owned(), content: data.need_text("content")?.into_owned() })
}

fn read_delete(data: &Object<'_>) -> Result<MessageId, ApiError> {
    data.integer("id", 1, i64::MAX)?.ok_or_else(|| missing("id"))
}

/// No slug, name or id that anything has is longer.
const ROOM_CHARACTERS_MAX: usize = 200;

/// What every message has. What only some have stands beside it.
#[derive(Debug, Serialize)]
struct Frame<'a> {
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    username: &'a str,
    user_name: &'a str,
    user_id: &'a str,
    verified: bool,
    room: &'a str,
    room_id: i64,
    content: &'a str,
    timestamp: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    online: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<&'a [Value]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    more: Option<bool>,
}

impl<'a> Frame<'a> {
    /// From the server itself.
    fn system(kind: &'a str, room: Option<&'a Room>, content: &'a str, timestamp: &'a str) -> Self {
        Self {
            r#type: kind,
            id: None,
            username: SYSTEM_NAME,
            user_name: SYSTEM_NAME,
            user_id: SYSTEM_ID,
            verified: true,
            room: room.map_or("", |room| &room.label),
            room_id: room_id(room),
            content,
            timestamp,
            to: None,
            to_id: None,
            online: None,
            until: None,
            items: None,
            more: None,
        }
    }

    /// The same, from or about somebody.
    fn of(self, username: &'a str, user_id: Option<&'a str>) -> Self {
        Self { username, user_name: username, user_id: user_id.unwrap_or(""), verified: user_id.is_some(), ..self }
    }

    fn of_face(self, face: &'a Face) -> Self {
        self.of(&face.username, face.user_id.as_ref().map(|id| id.as_str()))
    }

    fn of_muted(self, mute: &'a Mute) -> Self {
        self.of(&mute.username, mute.user_id.as_ref().map(|id| id.as_str()))
    }

    fn write(&self, out: &mut Vec<u8>) {
        // Writing text to memory does not fail.
        let _ = serde_json::to_writer(out, self);
    }
}

/// The number of the series whose room it is; 0 for a room with a name, and −1 for none at all.
pub(super) fn room_id(room: Option<&Room>) -> i64 {
    room.map_or(-1, |room| room.key.manga().unwrap_or(0))
}

/// A message that was said, as it was told when it was.
fn said<'a>(message: &'a Message, room: Option<&'a Room>, timestamp: &'a str) -> Frame<'a> {
    let kind = match (&message.place, message.speaker) {
        (Place::To { .. }, _) => "pm",
        (_, Speaker::System) => "system",
        _ => "chat",
    };
    let frame = Frame { id: Some(message.id), ..Frame::system(kind, room, &message.content, timestamp) };
    let frame = match message.speaker {
        Speaker::System => frame,
        _ => frame.of(&message.username, message.user_id.as_ref().map(|id| id.as_str())),
    };
    match &message.place {
        Place::Room(_) => frame,
        Place::To { id, username } => Frame { to: Some(username), to_id: Some(id.as_str()), ..frame },
    }
}

/// A stored message in a list.
pub(super) fn item(message: &Message, room: Option<&Room>) -> Value {
    json!(said(message, room, &rfc3339(message.created_at)))
}

/// Puts what happened into the text of a message.
pub fn write_event(event: &Event, out: &mut Vec<u8>) {
    match event {
        Event::Said(message, room) => said(message, room.as_ref(), &rfc3339(message.created_at)).write(out),
        Event::Typing(room, face, at) => {
            Frame::system("typing", Some(room), "", &rfc3339(*at)).of_face(face).write(out);
        }
        Event::Notice(room, text, at) => Frame::system("system", Some(room), text, &rfc3339(*at)).write(out),
        Event::Presence(room, online, at) => write_presence(room, *online, *at, out),
        Event::Deleted(id, room, at) => write_deleted(*id, room.as_ref(), *at, out),
        Event::Muted(room, mute, at) => write_muted(Some(room), mute, *at, out),
        Event::Unmuted(room, face, at) => {
            let name = if face.username.is_empty() { EVERY_GUEST } else { &face.username };
            let text = format!("{name} may speak again");
            Frame::system("unmuted", Some(room), &text, &rfc3339(*at)).of_face(face).write(out);
        }
    }
}

/// Puts an answer into the text of a message. What only HTTP asks for has none.
pub fn write_reply(reply: &Reply, at: UnixMillis, out: &mut Vec<u8>) {
    let now = rfc3339(at);
    match reply {
        Reply::Notice(room, text) => Frame::system("system", room.as_ref(), text, &now).write(out),
        Reply::History(room, messages, more) => {
            let items: Vec<Value> = messages.iter().map(|(message, room)| item(message, room.as_ref())).collect();
            let text = format!("{} earlier messages", items.len());
            let frame = Frame::system("history", room.as_ref(), &text, &now);
            Frame { items: Some(&items), more: Some(*more), ..frame }.write(out);
        }
        Reply::Users(room, faces, online) => {
            let items: Vec<Value> = faces.iter().map(user).collect();
            let text = format!("{online} online");
            let frame = Frame::system("users", Some(room), &text, &now);
            Frame { items: Some(&items), online: Some(*online), ..frame }.write(out);
        }
        Reply::Presence(room, online) => write_presence(room, *online, at, out),
        Reply::Deleted(id) => write_deleted(*id, None, at, out),
        Reply::Muted(mute) => write_muted(None, mute, at, out),
        // Several messages, each as it was told: they are written as those.
        Reply::Retold(_) => {}
        Reply::Said(..) | Reply::Rooms(..) | Reply::Mutes(..) => {}
    }
}

fn write_presence(room: &Room, online: usize, at: UnixMillis, out: &mut Vec<u8>) {
    let (text, at) = (format!("{online} online"), rfc3339(at));
    let frame = Frame::system("presence", Some(room), &text, &at);
    Frame { online: Some(online), ..frame }.write(out);
}

fn write_deleted(id: i64, room: Option<&Room>, at: UnixMillis, out: &mut Vec<u8>) {
    let at = rfc3339(at);
    let frame = Frame::system("message_deleted", room, "A message was deleted", &at);
    Frame { id: Some(id), ..frame }.write(out);
}

fn write_muted(room: Option<&Room>, mute: &Mute, at: UnixMillis, out: &mut Vec<u8>) {
    let (until, at) = (rfc3339(mute.until), rfc3339(at));
    let text = match mute.username.as_str() {
        "" => format!("{EVERY_GUEST} is muted until {until}"),
        name => format!("{name} is muted until {until}"),
    };
    let frame = Frame::system("muted", room, &text, &at).of_muted(mute);
    Frame { until: Some(&until), ..frame }.write(out);
}

fn user(face: &Face) -> Value {
    json!({
        "username": &*face.username,
        "user_name": &*face.username,
        "user_id": face.user_id.as_ref().map_or("", |id| id.as_str()),
        "verified": face.user_id.is_some(),
    })
}

/// Whom a mute without a name is about.
const EVERY_GUEST: &str = "Everybody without an account";

/// What the second family calls the server.
const SYSTEM_ID: &str = "system";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::model::{RoomKey, UserId};

    fn shown(event: &Event) -> Value {
        let mut out = Vec::new();
        write_event(event, &mut out);
        serde_json::from_slice(&out).unwrap()
    }

    fn room() -> Room {
        Room { key: RoomKey::of_manga(5), label: "one-piece".into() }
    }

    fn message(speaker: Speaker) -> Message {
        let user_id = (speaker == Speaker::User).then(|| UserId::parse("u1").unwrap());
        Message {
            id: 7,
            place: Place::Room(room().key),
            speaker,
            user_id,
            username: "ann".into(),
            created_at: 0,
            content: "<b>\"hi\"</b>\n".into(),
        }
    }

    /// Every message has the members of both families, and text comes through as it was.
    #[test]
    fn a_message_has_both_families_members() {
        let expected = json!({
            "type": "chat", "id": 7, "username": "ann", "user_name": "ann", "user_id": "u1", "verified": true,
            "room": "one-piece", "room_id": 5, "content": "<b>\"hi\"</b>\n", "timestamp": "1970-01-01T00:00:00Z",
        });
        assert_eq!(shown(&Event::Said(message(Speaker::User), Some(room()))), expected);
        let guest = shown(&Event::Said(message(Speaker::Guest), Some(room())));
        assert_eq!((&guest["verified"], &guest["user_id"]), (&json!(false), &json!("")));
    }

    /// The server speaks under the name and id that the second family's clients know.
    #[test]
    fn the_server_has_a_name() {
        for event in [
            Event::Notice(room(), "x".into(), 0),
            Event::Presence(room(), 3, 0),
            Event::Said(Message { username: SYSTEM_NAME.into(), ..message(Speaker::System) }, Some(room())),
        ] {
            let shown = shown(&event);
            assert_eq!((&shown["user_id"], &shown["user_name"]), (&json!("system"), &json!("System_Admin")));
        }
        assert_eq!(shown(&Event::Presence(room(), 3, 0))["online"], 3);
    }

    /// A private message has no room, and says whom it is for.
    #[test]
    fn a_private_message_has_no_room() {
        let to = Place::To { id: UserId::parse("u2").unwrap(), username: "bob".into() };
        let shown = shown(&Event::Said(Message { place: to, ..message(Speaker::User) }, None));
        assert_eq!((&shown["type"], &shown["to"], &shown["to_id"]), (&json!("pm"), &json!("bob"), &json!("u2")));
        assert_eq!((&shown["room"], &shown["room_id"]), (&json!(""), &json!(-1)));
    }
}
