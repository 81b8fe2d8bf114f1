//! Answers in the first family's shape.

use serde::Serialize;
use serde_json::{Value, json};

use super::{catalogue, chat, export, friends, goals, lists, notices, opinions, recommend, stats, webhooks};
use crate::handlers::api::{ApiError, Document, ErrorKind, Reply, Series};
use crate::handlers::conflict::Conflict;
use crate::handlers::progress::Changed;
use crate::proto::http1::Response;
use crate::proto::time::{Rfc3339, rfc3339};
use crate::store::model::{Chapter, HistoryEntry, Manga, MangaId, Page, Progress, Publication, User, Window};

/// An answer in this family's shape.
pub fn respond(outcome: Result<Reply, ApiError>) -> Response {
    match outcome {
        Ok(reply) => show(reply),
        Err(error) => refuse(&error),
    }
}

/// A refusal in this family's shape.
fn refuse(error: &ApiError) -> Response {
    let (status, code, _) = error.kind.codes();
    let mut body = json!({"success": false, "error": {"code": code, "message": error.message}});
    if let Some(conflict) = &error.conflict {
        body["error"]["details"] = conflict_details(conflict);
    }
    let response = Response::json(status, body.to_string());
    match (error.kind, &error.detail) {
        (ErrorKind::MethodNotAllowed, Some(methods)) => response.with_header("Allow", methods.clone()),
        (ErrorKind::Unauthorized, _) => response.with_header("WWW-Authenticate", "Bearer"),
        _ => response,
    }
}

fn show(reply: Reply) -> Response {
    match reply {
        Reply::Done(message) => data(200, json!({"message": message})),
        Reply::Created(message) => data(201, json!({"message": message})),
        Reply::Registered(user, token) => login(201, &user, &token),
        Reply::LoggedIn(user, token) => login(200, &user, &token),
        Reply::DatagramToken { token, expires_in_s } => data(200, json!({"token": token, "expires_in": expires_in_s})),
        Reply::Account(user) => data(200, json!({"user": account(&user)})),
        Reply::MangaList(page, window) => manga_list(&page, window),
        Reply::MangaDetail(body) => Response::json(200, body.plain().clone()),
        Reply::Catalogue(reply) => catalogue::show(reply),
        Reply::Document(document) => show_document(&document),
        Reply::Library(page) => library_list(&page),
        Reply::Progress(row, series) => data(200, json!({"progress": progress_row(&row, Some(&series))})),
        Reply::ProgressList(page, window) => {
            let rows = page.items.iter().map(|(row, series)| progress_row(row, series.as_deref()));
            let items: Vec<Value> = rows.collect();
            list(items, meta(page.total, window))
        }
        Reply::ProgressDeleted(_) => data(200, json!({"message": "Progress deleted"})),
        Reply::Changed(Changed::Added) => data(201, json!({"message": "Manga added to library"})),
        Reply::Changed(Changed::Removed) => data(200, json!({"message": "Manga removed from library"})),
        Reply::Changed(Changed::Updated(..)) => data(200, json!({"message": "Progress updated"})),
        Reply::History(entries) => {
            let items: Vec<Value> =
                entries.iter().map(|(entry, series)| history_entry(entry, series.as_deref())).collect();
            let count = items.len();
            list(items, json!({"count": count}))
        }
        Reply::Opinion(reply) => opinions::show(reply),
        Reply::Chat(reply) => chat::show(reply),
        Reply::Friends(reply) => friends::show(reply),
        Reply::Lists(reply) => lists::show(reply),
        Reply::Stats(reply) => stats::show(reply),
        Reply::Goals(reply) => goals::show(reply),
        Reply::Webhooks(reply) => webhooks::show(reply),
        Reply::Notices(reply) => notices::show(reply),
        Reply::Recommendations(recommendations) => recommend::show(&recommendations),
        Reply::Health { draining, store } => health(draining, store),
        Reply::Allowed(methods) => Response::empty(204).with_header("Allow", methods),
        Reply::Export(document) => export::file(document),
        Reply::Page(content_type, body) => Response::new(200, content_type, body),
        // Said by the second family's routes only.
        Reply::Tokens(_) | Reply::Parts(_) => Response::empty(204),
        Reply::Silence
        | Reply::Upgrade(_)
        | Reply::Ping
        | Reply::Welcome { .. }
        | Reply::Pong(_)
        | Reply::SyncStats { .. }
        | Reply::Notice { .. }
        | Reply::Packed(_) => Response::empty(204),
    }
}

pub(super) fn data(status: u16, data: Value) -> Response {
    Response::json(status, json!({"success": true, "data": data}).to_string())
}

pub(super) fn list(items: Vec<Value>, meta: Value) -> Response {
    Response::json(200, json!({"success": true, "data": {"items": items}, "meta": meta}).to_string())
}

/// The user and the token, in `data` and once more at the top, where an existing client's script reads it.
fn login(status: u16, user: &User, token: &str) -> Response {
    let user = account(user);
    let body = json!({"success": true, "data": {"user": user, "token": token}, "user": user, "token": token});
    Response::json(status, body.to_string())
}

pub(super) fn account(user: &User) -> Value {
    json!({
        "id": user.id, "username": user.username, "email": user.email, "role": user.role,
        "created_at": rfc3339(user.created_at),
    })
}

fn health(draining: bool, store: bool) -> Response {
    let (code, status) = match (store, draining) {
        (false, _) => (500, "unhealthy"),
        (true, true) => (200, "draining"),
        (true, false) => (200, "ok"),
    };
    let mut body =
        json!({"status": status, "service": "MangaHub HTTP API Server", "version": env!("CARGO_PKG_VERSION")});
    if !store {
        body["error"] = json!("database connection failed");
    }
    Response::json(code, body.to_string())
}

fn show_document(document: &Document) -> Response {
    let response = Response::new(200, document.content_type, document.body.plain().clone());
    document.headers.iter().fold(response, |response, (name, value)| response.with_header(name, *value))
}

pub(super) fn manga_list(page: &Page<Manga>, window: Window) -> Response {
    #[derive(Serialize)]
    struct Items<'a> {
        items: Vec<MangaShape<'a>>,
    }
    #[derive(Serialize)]
    struct Body<'a> {
        success: bool,
        data: Items<'a>,
        meta: Value,
    }
    let items = page.items.iter().map(manga_shape).collect();
    let body = Body { success: true, data: Items { items }, meta: meta(page.total, window) };
    Response::json(200, to_json(&body))
}

pub(super) fn detail_body(manga: &Manga) -> Vec<u8> {
    to_json(&json!({"success": true, "data": {"manga": manga_shape(manga)}}))
}

fn library_list(page: &Page<(Progress, Manga)>) -> Response {
    let items = page.items.iter().map(|(row, manga)| {
        let mut item = row_shape(row, Some((&manga.facts.slug, &manga.facts.title)));
        item["manga"] = json!(manga_shape(manga));
        item
    });
    let items: Vec<Value> = items.collect();
    let meta = if items.is_empty() { json!({}) } else { json!({"count": items.len(), "total": page.total}) };
    list(items, meta)
}

/// A series as this family's clients know it. What they don't know stands beside it.
#[derive(Serialize)]
pub(super) struct MangaShape<'a> {
    id: &'a str,
    key: i64,
    title: &'a str,
    title_english: &'a Option<String>,
    title_romanised: &'a Option<String>,
    title_native: &'a Option<String>,
    alternative_titles: &'a [String],
    author: &'a str,
    artist: &'a Option<String>,
    genres: &'a [String],
    demographic: &'a Option<crate::store::model::Demographic>,
    status: Publication,
    year: Option<i32>,
    total_chapters: i64,
    chapters_total: Option<Chapter>,
    volumes_total: Option<i32>,
    latest_chapter: Option<Chapter>,
    description: &'a str,
    cover_image_url: &'a str,
    average_rating: Option<f64>,
    rating_count: i64,
    readers: i64,
    created_at: Rfc3339,
    updated_at: Rfc3339,
}

pub(super) fn manga_shape(manga: &Manga) -> MangaShape<'_> {
    let facts = &manga.facts;
    MangaShape {
        id: &facts.slug,
        key: manga.id,
        title: &facts.title,
        title_english: &facts.title_english,
        title_romanised: &facts.title_romanised,
        title_native: &facts.title_native,
        alternative_titles: &facts.alternative_titles,
        author: facts.author.as_deref().unwrap_or(""),
        artist: &facts.artist,
        genres: &facts.genres,
        demographic: &facts.demographic,
        status: facts.status,
        year: facts.year,
        // Their clients refuse to update a series that shows 0 here, so the latest known stands in.
        total_chapters: facts.chapters_total.or(facts.latest_chapter).map_or(0, Chapter::floor),
        chapters_total: facts.chapters_total,
        volumes_total: facts.volumes_total,
        latest_chapter: facts.latest_chapter,
        description: &facts.description,
        cover_image_url: facts.cover_url.as_deref().unwrap_or(""),
        average_rating: manga.standing.average_rating(),
        rating_count: manga.standing.rating_count,
        readers: manga.standing.readers,
        created_at: rfc3339(manga.created_at),
        updated_at: rfc3339(manga.updated_at),
    }
}

/// A row of progress, with its series named where it is known.
pub fn progress_row(row: &Progress, series: Option<&Series>) -> Value {
    row_shape(row, series.map(names))
}

fn row_shape(row: &Progress, names: Option<(&str, &str)>) -> Value {
    let facts = json!({
        "user_id": row.user_id,
        "current_chapter": row.chapter.floor(),
        "chapter_exact": row.chapter,
        "volume": row.volume,
        "page": row.page,
        "status": row.status,
        "rating": row.rating,
        "times_reread": row.rereads,
        "in_library": row.in_library,
        "private": row.private,
        "note": row.note,
        "started_at": row.started_at.map(rfc3339),
        "completed_at": row.completed_at.map(rfc3339),
        "updated_at": rfc3339(row.updated_at),
        "added_at": row.added_at.map(rfc3339),
    });
    about(row.manga_id, names, facts)
}

pub(super) fn history_entry(entry: &HistoryEntry, series: Option<&Series>) -> Value {
    let facts = json!({
        "id": entry.seq,
        "chapter": entry.chapter.floor(),
        "chapter_exact": entry.chapter,
        "volume": entry.volume,
        "page": entry.page,
        "status": entry.status,
        "device": entry.device,
        "read_at": entry.read_at.map(rfc3339),
        "recorded_at": rfc3339(entry.recorded_at),
    });
    about(entry.manga_id, series.map(names), facts)
}

/// What a device is told whose change is behind: new to every client, so its chapters are exact.
pub fn conflict_details(conflict: &Conflict) -> Value {
    let facts = json!({
        "sent_chapter": conflict.sent,
        "stored_chapter": conflict.stored,
        "stored_status": conflict.status,
        "updated_at": rfc3339(conflict.updated_at),
        "device": conflict.device,
    });
    about(conflict.series.id, Some(names(&conflict.series)), facts)
}

/// Facts about a series, behind its names. Slug and title are null when it has left the catalogue.
fn about(key: MangaId, names: Option<(&str, &str)>, facts: Value) -> Value {
    let (slug, title) = names.unzip();
    let mut shape = json!({"manga_id": slug, "manga_key": key, "manga_title": title});
    if let (Value::Object(shape), Value::Object(facts)) = (&mut shape, facts) {
        shape.extend(facts);
    }
    shape
}

fn names(series: &Series) -> (&str, &str) {
    (&series.slug, &series.title)
}

/// How a part of a list stands to the whole, as this family says it: zero and false are left out,
/// and `count` is the limit that was asked for.
pub(super) fn meta(total: u64, window: Window) -> Value {
    let mut meta = serde_json::Map::new();
    if total > 0 {
        meta.insert("total".into(), total.into());
    }
    let Some(limit) = window.limit else { return Value::Object(meta) };
    let (limit, offset) = (u64::from(limit), u64::from(window.offset));
    meta.insert("count".into(), limit.into());
    meta.insert("limit".into(), limit.into());
    if offset > 0 {
        meta.insert("offset".into(), offset.into());
    }
    if offset + limit < total {
        meta.insert("has_more".into(), true.into());
    }
    meta.insert("page".into(), (offset / limit + 1).into());
    if total > 0 {
        meta.insert("total_pages".into(), total.div_ceil(limit).into());
    }
    Value::Object(meta)
}

/// Plain structs always become JSON; there is nothing in them that could not.
fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `meta` says what the first family's clients expect, and leaves out what is zero.
    #[test]
    fn meta_leaves_out_what_is_zero() {
        let window = |limit, offset| Window { limit: Some(limit), offset };
        assert_eq!(
            meta(200, window(1, 0)),
            json!({"total": 200, "count": 1, "limit": 1, "has_more": true, "page": 1, "total_pages": 200})
        );
        assert_eq!(meta(0, window(10, 0)), json!({"count": 10, "limit": 10, "page": 1}));
        assert_eq!(meta(3, Window::default()), json!({"total": 3}));
        assert_eq!(meta(25, window(10, 20))["page"], 3);
    }
}
