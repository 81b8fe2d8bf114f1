//! Notifications over HTTP, in the first family.

use serde_json::{Value, json};

use super::bounded::{line, number};
use super::read::named;
use super::show::{data, list};
use crate::handlers::api::ApiError;
use crate::handlers::catalogue::MangaRef;
use crate::handlers::notices::Reply;
use crate::handlers::notices::inbox::{CHANGE, LIST, MUTE, READ, READ_ALL, SETTINGS, UNMUTE};
use crate::handlers::notices::tell::{ANNOUNCE, Announcement, TEST};
use crate::proto::http1::{Method, Response};
use crate::proto::json::Object;
use crate::proto::routes::{Family, HttpInput, Route};
use crate::proto::time::rfc3339;
use crate::store::model::{
    Chapter, Inbox, InboxQuery, NoticeId, NoticeSettings, Notification, Protocol, SettingsChange, WISHES,
};

pub(super) fn routes() -> Vec<Route> {
    use Method::{Delete, Get, Post, Put};
    const PREFERENCES: &str = "/api/v1/notifications/preferences";
    const MUTED: &str = "/api/v1/notifications/preferences/manga/{manga}";
    vec![
        Route::http(Family::V1, Get, "/api/v1/notifications", LIST, read_query),
        Route::http(Family::V1, Post, "/api/v1/notifications/{id}/read", READ, notice_id),
        Route::http(Family::V1, Post, "/api/v1/notifications/read-all", READ_ALL, |_| Ok(())),
        Route::http(Family::V1, Post, "/api/v1/notifications/test", TEST, |_| Ok(())),
        Route::http(Family::V1, Get, PREFERENCES, SETTINGS, |_| Ok(())),
        Route::http(Family::V1, Put, PREFERENCES, CHANGE, |input| read_change(&input.body()?)),
        Route::http(Family::V1, Put, MUTED, MUTE, |input| Ok(named(input))),
        Route::http(Family::V1, Delete, MUTED, UNMUTE, |input| Ok(named(input))),
        Route::http(Family::V1, Post, "/api/v1/admin/notifications", ANNOUNCE, |input| {
            read_announcement(&input.body()?)
        }),
    ]
}

/// What is no number is the key of no notification.
pub(in crate::proto) fn notice_id(input: &HttpInput<'_>) -> Result<NoticeId, ApiError> {
    input.param().parse().map_err(|_| ApiError::not_found("Notification not found"))
}

fn read_query(input: &HttpInput<'_>) -> Result<InboxQuery, ApiError> {
    let unread = match input.query("unread").as_deref() {
        None | Some("false" | "0") => false,
        Some("true" | "1") => true,
        Some(_) => return Err(ApiError::invalid("unread: expected true or false")),
    };
    let limit = number(input, "limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT_USUAL) as u32;
    Ok(InboxQuery { unread, before: number(input, "before", 1, i64::MAX)?, limit })
}

/// Wishes that are not named stay.
fn read_change(body: &Object<'_>) -> Result<SettingsChange, ApiError> {
    let (types, protocols) = (body.object("types")?, body.object("protocols")?);
    let mut change = SettingsChange::default();
    for (kind, name) in WISHES {
        change.kinds.extend(types.boolean(name)?.map(|wanted| (kind, wanted)));
    }
    for name in Protocol::WORDS {
        let (protocol, wanted) = (Protocol::parse(name), protocols.boolean(name)?);
        change.protocols.extend(protocol.zip(wanted));
    }
    Ok(change)
}

/// As its clients' own server takes it: every member may be missing, as long as something is said. A
/// series is named by its slug or its key; one that the catalogue doesn't have is told of by its title.
fn read_announcement(body: &Object<'_>) -> Result<Announcement, ApiError> {
    let given = |name, characters_max| {
        let text = body.long_text(name, characters_max)?;
        Ok::<_, ApiError>(text.filter(|text| !text.trim().is_empty()))
    };
    let manga = match body.raw("manga_id") {
        None => None,
        Some(raw) if raw.get().starts_with('"') => {
            body.short_text("manga_id", SLUG_CHARACTERS_MAX)?.map(|slug| MangaRef::Word(slug.into_owned()))
        }
        Some(_) => body.integer("manga_id", 1, i64::MAX)?.map(MangaRef::Id),
    };
    let (exact, whole) = (body.chapter("chapter_exact")?, body.chapter("chapter_number")?);
    let audience = body.text("audience")?;
    let everyone = match audience.as_deref() {
        None | Some("readers") => false,
        Some("everyone") => true,
        Some(_) => return Err(ApiError::invalid("audience: expected readers or everyone")),
    };
    Ok(Announcement {
        manga,
        title: line(body, "manga_title", TITLE_CHARACTERS_MAX).or_else(|error| empty(body, "manga_title", error))?,
        chapter: exact.or(whole).filter(|chapter| *chapter > Chapter::default()),
        chapter_title: given("chapter_title", TITLE_CHARACTERS_MAX)?,
        release_date: given("release_date", DATE_CHARACTERS_MAX)?,
        message: given("message", MESSAGE_CHARACTERS_MAX)?,
        everyone,
    })
}

/// An empty text is one that was not given.
fn empty(body: &Object<'_>, name: &str, error: ApiError) -> Result<Option<String>, ApiError> {
    match body.text(name)?.is_some_and(|text| text.trim().is_empty()) {
        true => Ok(None),
        false => Err(error),
    }
}

pub(super) fn show(reply: Reply) -> Response {
    match reply {
        // Its clients' own server puts the words at the top, and they look there.
        Reply::Queued | Reply::Accepted => {
            let words = json!({"message": "Notification queued"});
            Response::json(200, json!({"success": true, "data": words, "message": words["message"]}).to_string())
        }
        // Said on connections that live on.
        Reply::Subscribed(_) => Response::empty(204),
        Reply::Done(message) => data(200, json!({"message": message})),
        Reply::Inbox(_, inbox) => show_inbox(&inbox),
        Reply::Settings(settings, muted) => {
            let mut shown = wishes(&settings);
            let series = muted.iter().map(|(id, series)| {
                json!({
                    "manga_id": series.as_ref().map(|series| &series.slug),
                    "manga_key": id,
                    "manga_title": series.as_ref().map(|series| &series.title),
                })
            });
            shown["muted_manga"] = series.collect();
            data(200, json!({"preferences": shown}))
        }
    }
}

fn show_inbox(inbox: &Inbox) -> Response {
    let items: Vec<Value> = inbox.items.iter().map(|(told, read)| entry(told, *read)).collect();
    let next = inbox.items.last().map(|(told, _)| told.id).filter(|_| inbox.more);
    let meta = json!({"count": items.len(), "unread": inbox.unread, "has_more": inbox.more, "next_before": next});
    list(items, meta)
}

pub(super) fn entry(told: &Notification, read: bool) -> Value {
    json!({
        "id": told.id,
        "type": told.kind,
        "manga_id": told.manga.as_ref().map(|manga| &manga.slug),
        "manga_key": told.manga.as_ref().map(|manga| manga.id),
        "manga_title": told.title,
        "message": told.message,
        "chapter_number": told.chapter.map(Chapter::floor),
        "chapter_exact": told.chapter,
        "chapter_title": told.chapter_title,
        "release_date": told.release_date,
        "changes": told.changes,
        "read": read,
        "created_at": rfc3339(told.at),
    })
}

pub(super) fn wishes(settings: &NoticeSettings) -> Value {
    let types = WISHES.iter().map(|(kind, name)| ((*name).to_owned(), Value::Bool(settings.kinds.has(*kind))));
    let ways = Protocol::WORDS.iter().filter_map(|name| Some((name, Protocol::parse(name)?)));
    let protocols = ways.map(|(name, way)| ((*name).to_owned(), Value::Bool(settings.protocols.has(way))));
    json!({"types": types.collect::<Value>(), "protocols": protocols.collect::<Value>()})
}

/// How many notifications are shown unasked, and at most.
const LIMIT_USUAL: i64 = 20;
const LIMIT_MAX: i64 = 100;

const SLUG_CHARACTERS_MAX: usize = 200;
const TITLE_CHARACTERS_MAX: usize = 300;

/// Room for any way to write a date.
const DATE_CHARACTERS_MAX: usize = 60;

/// Some sentences: it has to fit into a datagram.
const MESSAGE_CHARACTERS_MAX: usize = 500;
