//! Chat over HTTP: what was said where, and who must be silent.

use serde_json::{Value, json};

use super::bounded::{line, number, window};
use super::show::{data, list, meta};
use crate::handlers::Access;
use crate::handlers::api::ApiError;
use crate::handlers::chat::moderate::{DELETE, MUTE, MUTES, Silence, UNMUTE, Unmute};
use crate::handlers::chat::read::{HISTORY, History, PRIVATE, Private, ROOMS};
use crate::handlers::chat::say::{self, Say};
use crate::handlers::chat::{HISTORY_MAX, HISTORY_USUAL, Reply, Room, RoomRef};
use crate::proto::chat::{item, room_id};
use crate::proto::http1::{Method, Response};
use crate::proto::json::{Object, missing};
use crate::proto::routes::{Family, HttpInput, Route};
use crate::proto::time::rfc3339;
use crate::store::model::{MessageId, Mute, RoomRow, Silenced};

pub(super) fn routes() -> Vec<Route> {
    use Method::{Delete, Get, Post};
    let mutes = "/api/v1/admin/chat/mutes";
    vec![
        Route::http(Family::V1, Get, "/api/v1/chat/rooms", ROOMS, |input| window(input, ROOMS_USUAL)),
        Route::http(Family::V1, Get, "/api/v1/chat/rooms/{room}/messages", HISTORY, read_history).needs(Access::User),
        Route::http(Family::V1, Post, "/api/v1/chat/rooms/{room}/messages", say::POST, read_say),
        Route::http(Family::V1, Get, "/api/v1/chat/messages/private", PRIVATE, read_private),
        Route::http(Family::V1, Delete, "/api/v1/chat/messages/{id}", DELETE, read_id),
        Route::http(Family::V1, Get, mutes, MUTES, |input| window(input, MUTES_USUAL)),
        Route::http(Family::V1, Post, mutes, MUTE, read_mute),
        Route::http(Family::V1, Delete, mutes, UNMUTE, read_unmute_guest),
        Route::http(Family::V1, Delete, "/api/v1/admin/chat/mutes/{user}", UNMUTE, read_unmute),
    ]
}

fn read_history(input: &HttpInput<'_>) -> Result<History, ApiError> {
    let (before, limit) = read_part(input)?;
    Ok(History { room: Some(RoomRef::Word(input.param().to_owned())), before, limit })
}

fn read_say(input: &HttpInput<'_>) -> Result<Say, ApiError> {
    let content = input.body()?.need_text("content")?.into_owned();
    Ok(Say { room: Some(RoomRef::Word(input.param().to_owned())), content })
}

fn read_private(input: &HttpInput<'_>) -> Result<Private, ApiError> {
    let (before, limit) = read_part(input)?;
    let with = input.query("with").ok_or_else(|| missing("with"))?.into_owned();
    Ok(Private { with, before, limit })
}

fn read_part(input: &HttpInput<'_>) -> Result<(Option<MessageId>, u32), ApiError> {
    let limit = number(input, "limit", 1, HISTORY_MAX.into())?.map_or(HISTORY_USUAL, |limit| limit as u32);
    Ok((number(input, "before", 1, i64::MAX)?, limit))
}

fn read_id(input: &HttpInput<'_>) -> Result<MessageId, ApiError> {
    input.param().parse().map_err(|_| ApiError::invalid("id: expected the whole number of a message"))
}

fn read_mute(input: &HttpInput<'_>) -> Result<Silence, ApiError> {
    let body = input.body()?;
    Ok(Silence {
        who: read_who(&body)?,
        room: read_room(&body)?,
        seconds: body.integer("seconds", 1, MUTE_SECONDS_MAX)?.ok_or_else(|| missing("seconds"))? as u32,
        reason: line(&body, "reason", REASON_CHARACTERS_MAX)?.unwrap_or_default(),
    })
}

/// Whom a body names: a user, or people without an account.
fn read_who(body: &Object<'_>) -> Result<Silenced, ApiError> {
    match (line(body, "user", NAME_CHARACTERS_MAX)?, line(body, "guest", NAME_CHARACTERS_MAX)?) {
        (Some(user), None) => Ok(Silenced::User(user)),
        (None, Some(guest)) => Ok(guests(guest)),
        (None, None) => Err(missing("user")),
        (Some(_), Some(_)) => Err(ApiError::invalid("user: not together with guest")),
    }
}

/// Whoever has this name, or everybody.
fn guests(name: String) -> Silenced {
    Silenced::Guest(if name == EVERYBODY { String::new() } else { name })
}

/// The room that a body names, by text or by number.
fn read_room(body: &Object<'_>) -> Result<Option<RoomRef>, ApiError> {
    Ok(match body.raw("room") {
        None => None,
        Some(raw) if raw.get().starts_with('"') => Some(RoomRef::Word(body.need_text("room")?.into_owned())),
        Some(_) => body.integer("room", 1, i64::MAX)?.map(RoomRef::Manga),
    })
}

fn read_unmute(input: &HttpInput<'_>) -> Result<Unmute, ApiError> {
    let room = input.query("room").map(|room| RoomRef::Word(room.into_owned()));
    Ok(Unmute { who: Silenced::User(input.param().to_owned()), room })
}

fn read_unmute_guest(input: &HttpInput<'_>) -> Result<Unmute, ApiError> {
    let guest = input.query("guest").ok_or_else(|| missing("guest"))?.into_owned();
    Ok(Unmute { who: guests(guest), ..read_unmute(input)? })
}

pub(super) fn show(reply: Reply) -> Response {
    match reply {
        Reply::Rooms(rows, total, window) => {
            let items = rows.iter().map(|(row, room, online)| room_row(row, room, *online)).collect();
            list(items, meta(total, window))
        }
        Reply::Said(message, room) => data(201, json!({"message": item(&message, Some(&room))})),
        Reply::History(_, messages, more) => {
            let items: Vec<Value> = messages.iter().map(|(message, room)| item(message, room.as_ref())).collect();
            let count = items.len();
            list(items, json!({"count": count, "more": more}))
        }
        Reply::Deleted(id) => data(200, json!({"message": "Message deleted", "id": id})),
        Reply::Muted(mute) => data(201, json!({"mute": mute_shape(&mute)})),
        Reply::Mutes(page, window) => list(page.items.iter().map(mute_shape).collect(), meta(page.total, window)),
        // Said over WebSockets only.
        Reply::Notice(..) | Reply::Retold(_) | Reply::Users(..) | Reply::Presence(..) => Response::empty(204),
    }
}

fn room_row(row: &RoomRow, room: &Room, online: usize) -> Value {
    json!({
        "room": &*room.label,
        "room_id": room_id(Some(room)),
        "online": online,
        "last_message_at": row.last_at.map(rfc3339),
    })
}

pub(super) fn mute_shape(mute: &Mute) -> Value {
    let name = if mute.username.is_empty() { EVERYBODY } else { &mute.username };
    json!({
        "user": mute.user_id.as_ref().map(|id| json!({"id": id, "username": name})),
        "guest": mute.user_id.is_none().then_some(name),
        "room": mute.room.as_ref().map(|room| room.as_str()),
        "until": rfc3339(mute.until),
        "reason": mute.reason,
        "muted_by": mute.muted_by,
        "created_at": rfc3339(mute.created_at),
    })
}

/// How many rooms, and how many mutes, are shown unasked.
const ROOMS_USUAL: u32 = 50;
const MUTES_USUAL: u32 = 50;

/// The name of everybody without an account. Whoever calls themselves that is silent with all.
const EVERYBODY: &str = "*";

/// No name or id is longer, so no longer one is looked for.
const NAME_CHARACTERS_MAX: usize = 64;

/// A sentence or two.
const REASON_CHARACTERS_MAX: usize = 200;

/// A year. Whoever should be silent for longer should not have an account.
const MUTE_SECONDS_MAX: i64 = 366 * 86_400;
