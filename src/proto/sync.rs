//! The sync services: one JSON object to a line, in two dialects.
//!
//! Both speak the same language with other words: what the first family calls `progress` and
//! `broadcast`, the second calls `progress_update` and `progress_broadcast`. Every line out has a
//! string `timestamp`; every error has its code at the top and in `data`, so that both families'
//! clients find it.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::json::{Object, missing};
use super::routes::Route;
use super::time::rfc3339;
use super::{notices, v1, v2};
use crate::handlers;
use crate::handlers::api::{ApiError, ErrorKind, Event, ProgressEvent, Reply, SeriesName};
use crate::handlers::catalogue::MangaRef;
use crate::handlers::monitor;
use crate::handlers::notices::subscribe::{SUBSCRIBE, UNSUBSCRIBE};
use crate::handlers::progress::{self, List, Unknown, Update};
use crate::handlers::session::ServiceKind;
use crate::handlers::sync_auth::{self, Authenticate};
use crate::handlers::text;
use crate::store::model::{Chapter, Protocol, UnixMillis, Window};

/// The routes of both dialects.
pub fn routes() -> Vec<Route> {
    use ServiceKind::{SyncV1, SyncV2};
    let mut routes = vec![
        Route::line(SyncV1, "progress", progress::UPDATE, read_progress_v1),
        Route::line(SyncV2, "progress_update", progress::UPDATE, read_progress_v2),
        // A control frame in all but name, and as cheap as one: it does not count.
        Route::line(SyncV2, "heartbeat", monitor::PING, |_| Ok(None)).unmetered(),
        Route::line(SyncV2, "disconnect", monitor::DISCONNECT, |_| Ok(())).unmetered(),
    ];
    for service in [SyncV1, SyncV2] {
        routes.extend([
            Route::line(service, "auth", sync_auth::AUTHENTICATE, read_auth).beginning(),
            Route::line(service, "ping", monitor::PING, read_ping),
            Route::line(service, "stats", monitor::SYNC_STATS, |_| Ok(())),
            Route::line(service, "get_progress", progress::GET, read_manga),
            Route::line(service, "get_user_progress", progress::LIST, read_list),
            Route::line(service, "delete_progress", progress::DELETE, read_manga),
            Route::line(service, "subscribe", SUBSCRIBE, notices::read_subjects),
            Route::line(service, "unsubscribe", UNSUBSCRIBE, notices::read_subjects),
        ]);
    }
    routes
}

/// A line: its type, and what it says.
pub struct Message<'a> {
    /// Its type.
    pub kind: Cow<'a, str>,
    /// Its `data`; empty when there is none. On a WebSocket, all of it.
    pub data: Object<'a>,
}

impl<'a> Message<'a> {
    /// Reads a line. A `timestamp` that isn't a string spoils it, as it does for the first
    /// family's own server; a token at the top is taken for one in `data`, for the second's.
    pub fn parse(line: &'a [u8], service: ServiceKind) -> Result<Self, ApiError> {
        let invalid = |message: &'static str| ApiError::new(ErrorKind::InvalidMessage, message);
        let top = Object::parse(line).map_err(|error| {
            ApiError::new(ErrorKind::InvalidMessage, format!("Invalid message format: {}", error.what()))
        })?;
        let kind = top.text("type").map_err(|_| invalid("Invalid message format: type must be a string"))?;
        let kind = kind.ok_or_else(|| invalid("Invalid message format: type is missing"))?;
        if service == ServiceKind::SyncV1 && !top.may_be_text("timestamp") {
            return Err(invalid("Invalid message format: timestamp must be an RFC 3339 string"));
        }
        let data = match service {
            ServiceKind::SyncV2 if kind == "auth" => {
                let data = top.object("data")?;
                if data.raw("token").is_some() { data } else { top }
            }
            // Everything stands side by side there.
            ServiceKind::Ws => top,
            // In either place, in both dialects: it is one message on every wire.
            _ if matches!(&*kind, "subscribe" | "unsubscribe") && top.raw("topics").is_some() => top,
            _ => top.object("data")?,
        };
        Ok(Self { kind, data })
    }
}

// ---- what is read

fn read_auth(data: &Object<'_>) -> Result<Authenticate, ApiError> {
    Ok(Authenticate {
        token: data.need_text("token")?.into_owned(),
        device: data.short_text("device", text::DEVICE_CHARACTERS_MAX)?.as_deref().and_then(text::device),
    })
}

/// The client's own time comes back as it was written, whatever its type, but not at any length.
pub(super) fn read_ping(data: &Object<'_>) -> Result<Option<Box<RawValue>>, ApiError> {
    match data.raw("client_time") {
        Some(time) if time.get().len() > CLIENT_TIME_BYTES_MAX => {
            Err(ApiError::invalid(format!("client_time: at most {CLIENT_TIME_BYTES_MAX} bytes")))
        }
        time => Ok(time.map(ToOwned::to_owned)),
    }
}

/// The first family may tell of a series that the catalogue doesn't have.
fn read_progress_v1(data: &Object<'_>) -> Result<Update, ApiError> {
    let update = read_progress(data, "current_chapter")?;
    // Much longer than what is told of it: an id is cut, a flood is refused.
    let title = data.text("manga_title")?.unwrap_or_default();
    Ok(Update { unknown: Unknown::Tell(title.chars().take(4 * 200).collect()), ..update })
}

fn read_progress_v2(data: &Object<'_>) -> Result<Update, ApiError> {
    read_progress(data, "chapter")
}

fn read_progress(data: &Object<'_>, chapter_name: &str) -> Result<Update, ApiError> {
    let update = v1::read::read_change(data)?;
    if update.chapter.is_none() {
        return Err(missing(chapter_name));
    }
    Ok(Update { manga: read_manga(data)?, ..update })
}

/// The JSON type decides: a string is a slug, a number is a key.
fn read_manga(data: &Object<'_>) -> Result<MangaRef, ApiError> {
    let raw = data.raw("manga_id").ok_or_else(|| missing("manga_id"))?;
    if raw.get().starts_with('"') {
        let slug = data.need_text("manga_id")?;
        return match slug.is_empty() {
            true => Err(missing("manga_id")),
            false => Ok(MangaRef::Slug(slug.into_owned())),
        };
    }
    let id = data.integer("manga_id", 1, i64::MAX);
    let id =
        id.map_err(|_| ApiError::invalid("manga_id: expected a slug (a string) or a key (a whole number from 1)"))?;
    Ok(MangaRef::Id(id.unwrap_or_default()))
}

fn read_list(data: &Object<'_>) -> Result<List, ApiError> {
    let status = data.text("status")?.filter(|word| !word.is_empty());
    Ok(List { status: status.map(|word| v1::read::parse_status(&word)).transpose()?, window: read_window(data)? })
}

fn read_window(data: &Object<'_>) -> Result<Window, ApiError> {
    let number =
        |name, min, usual| data.integer(name, min, i64::from(LIST_LIMIT_MAX)).map(|number| number.unwrap_or(usual));
    let limit = number("limit", 1, i64::from(LIST_LIMIT))? as u32;
    let offset = data.integer("offset", 0, i64::from(u32::MAX))?.unwrap_or(0) as u32;
    Ok(Window { limit: Some(limit), offset })
}

// ---- what is written

/// A line out, its `data` of any shape.
fn write_line<T: Serialize>(kind: &'static str, at: &str, data: T, out: &mut Vec<u8>) {
    write_parts(&[r#"{"type":""#, kind, r#"","timestamp":""#, at, r#"","data":"#], out);
    // Writing plain data to memory has nothing that could fail.
    let _ = serde_json::to_writer(&mut *out, &data);
    out.extend_from_slice(b"}\n");
}

/// Pieces of a line that need no escaping, as is so for our own words, for times, and for what was JSON when it came.
fn write_parts(parts: &[&str], out: &mut Vec<u8>) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Puts an answer on a line. `auth` says that it answers the first message, whose refusal has a
/// shape of its own.
pub fn write_reply(
    outcome: Result<Reply, ApiError>,
    service: ServiceKind,
    auth: bool,
    now: UnixMillis,
    out: &mut Vec<u8>,
) {
    let at: &str = &rfc3339(now);
    match outcome {
        Err(error) if auth => match service {
            ServiceKind::SyncV2 => write_line("auth_error", at, json!({"error": error.message}), out),
            _ => write_line("auth_failed", at, json!({"reason": error.message}), out),
        },
        Err(error) => match &error.conflict {
            // What its clients understand instead of an error.
            Some(conflict) if service == ServiceKind::SyncV2 => {
                write_line("conflict", at, v2::reading::conflict(conflict), out);
            }
            _ => write_error(&error, at, out),
        },
        Ok(reply) => write_answer(reply, at, out),
    }
}

fn write_answer(reply: Reply, at: &str, out: &mut Vec<u8>) {
    match reply {
        Reply::Welcome { session_id, user_id, username } => {
            let data = json!({
                "session_id": session_id, "user_id": user_id, "username": username,
                "message": "Authentication successful",
            });
            write_line("auth_success", at, data, out);
        }
        Reply::Pong(client_time) => {
            // Written as it came: reading it would round numbers, and could fail on deep nesting.
            let client_time = client_time.as_ref().map_or("null", |time| time.get());
            let head = r#"{"type":"pong","timestamp":""#;
            let data = r#"","data":{"server_time":""#;
            write_parts(&[head, at, data, at, r#"","client_time":"#, client_time, "}}\n"], out);
        }
        Reply::SyncStats { clients, users, waiting } => {
            let data = json!({"total_clients": clients, "total_users": users, "broadcast_queue": waiting});
            write_line("stats", at, data, out);
        }
        Reply::Progress(row, series) => write_line("progress", at, v1::show::progress_row(&row, Some(&series)), out),
        Reply::ProgressList(page, _) => {
            let rows = page.items.iter().map(|(row, series)| v1::show::progress_row(row, series.as_deref()));
            let items: Vec<_> = rows.collect();
            write_line("progress_list", at, json!({"items": items, "total": page.total}), out);
        }
        Reply::ProgressDeleted(series) => {
            write_line("progress_deleted", at, json!({"manga_id": series.slug, "manga_key": series.id}), out);
        }
        Reply::Notices(handlers::notices::Reply::Subscribed(subjects)) => {
            write_line("subscribed", at, json!({"topics": notices::names(&subjects)}), out);
        }
        Reply::Notice { message, reconnect_after_ms } => {
            #[derive(Serialize)]
            struct Notice<'a> {
                r#type: &'a str,
                message: &'a str,
                reconnect_after_ms: u64,
                timestamp: &'a str,
            }
            let notice = Notice { r#type: "system", message, reconnect_after_ms, timestamp: at };
            let _ = serde_json::to_writer(&mut *out, &notice);
            out.push(b'\n');
        }
        // A change is answered by its broadcast, which every device of the user hears too.
        _ => {}
    }
}

fn write_error(error: &ApiError, at: &str, out: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct Inner<'a> {
        code: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        details: Option<serde_json::Value>,
    }
    #[derive(Serialize)]
    struct Error<'a> {
        r#type: &'a str,
        code: &'a str,
        message: &'a str,
        timestamp: &'a str,
        data: Inner<'a>,
    }
    let (code, message) = (error.kind.codes().2, error.message.as_ref());
    let details = error.conflict.as_deref().map(v1::show::conflict_details);
    let error = Error { r#type: "error", code, message, timestamp: at, data: Inner { code, message, details } };
    let _ = serde_json::to_writer(&mut *out, &error);
    out.push(b'\n');
}

/// Puts an event on a line.
pub fn write_event(event: &Event, service: ServiceKind, out: &mut Vec<u8>) {
    match event {
        Event::Progress(event) => write_progress(event, service, out),
        Event::Notification(notification, protocols) if protocols.has(Protocol::Tcp) => {
            match service {
                ServiceKind::SyncV2 => notices::write_sync_v2(notification, out),
                _ => notices::write_v1(notification, out),
            }
            out.push(b'\n');
        }
        // Chat is for WebSockets; whoever joined its topics has one.
        Event::Notification(..) | Event::Chat(_) => {}
    }
}

fn write_progress(event: &ProgressEvent, service: ServiceKind, out: &mut Vec<u8>) {
    let at = rfc3339(event.at);
    match service {
        ServiceKind::SyncV2 => write_line("progress_broadcast", &at, progress_v2(event, &at), out),
        _ => write_line("broadcast", &at, progress_v1(event, &at), out),
    }
}

/// Somebody's progress in the first family's words.
pub(super) fn progress_v1<'a>(event: &'a ProgressEvent, at: &'a str) -> impl Serialize + 'a {
    let (_, slug, title) = named(event);
    broadcast(event, PlaceV1 { manga_id: slug, manga_title: title, current_chapter: event.chapter.floor() }, at)
}

/// Somebody's progress in the second family's words.
pub(super) fn progress_v2<'a>(event: &'a ProgressEvent, at: &'a str) -> impl Serialize + 'a {
    let (key, slug, title) = named(event);
    let chapter = event.chapter.floor();
    broadcast(event, PlaceV2 { manga_id: key, manga_slug: slug, manga_title: title, chapter }, at)
}

/// The key, slug and title of an event's series.
fn named(event: &ProgressEvent) -> (i64, &str, &str) {
    match &event.series {
        SeriesName::Known(series) => (series.id, series.slug.as_str(), series.title.as_str()),
        SeriesName::Unknown { id, title } => (0, id.as_str(), title.as_str()),
    }
}

/// Somebody's progress; `P` is what the dialects name differently.
#[derive(Serialize)]
struct Broadcast<'a, P> {
    user_id: &'a str,
    username: &'a str,
    #[serde(flatten)]
    place: P,
    chapter_exact: Chapter,
    status: &'a str,
    stored: bool,
    seq: i64,
    // What only some updates have.
    #[serde(skip_serializing_if = "Option::is_none")]
    volume: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rating: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a str>,
    timestamp: &'a str,
}

/// Where a reader is, in the first family's words.
#[derive(Serialize)]
struct PlaceV1<'a> {
    manga_id: &'a str,
    manga_title: &'a str,
    current_chapter: i64,
}

/// Where a reader is, in the second family's words.
#[derive(Serialize)]
struct PlaceV2<'a> {
    manga_id: i64,
    manga_slug: &'a str,
    manga_title: &'a str,
    chapter: i64,
}

fn broadcast<'a, P>(event: &'a ProgressEvent, place: P, timestamp: &'a str) -> Broadcast<'a, P> {
    Broadcast {
        user_id: event.user_id.as_str(),
        username: &event.username,
        place,
        chapter_exact: event.chapter,
        status: event.status.map_or("", |status| status.as_str()),
        stored: matches!(event.series, SeriesName::Known(_)),
        seq: event.seq,
        volume: event.volume,
        page: event.page,
        rating: event.rating,
        device: event.device.as_deref(),
        timestamp,
    }
}

/// Room for any way to write a time.
const CLIENT_TIME_BYTES_MAX: usize = 100;

/// How many rows of progress a line lists unasked, and at most: some 250 bytes each, so that a list
/// stays well below what is owed to a connection at most.
const LIST_LIMIT: u32 = 50;
const LIST_LIMIT_MAX: u32 = 500;
