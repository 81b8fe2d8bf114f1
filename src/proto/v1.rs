//! The first family over HTTP: `/api/v1`, and the aliases of the common specification.
//!
//! `{"success":true,"data":…}` or `{"success":false,"error":{"code","message"}}`, always. Lists are
//! never null, times are RFC 3339, and members that its clients read as integers are whole numbers,
//! with the exact value beside them. `docs/protocol.md` shows each shape.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Value, json};

use super::http1::{Method, Response};
use super::json::missing;
use super::routes::{Family, HttpInput, Route};
use super::time::{parse_rfc3339, rfc3339};
use crate::handlers::api::{ApiError, ErrorKind, Reply, Series};
use crate::handlers::auth::{self, ChangePassword, Login, PasswordRule, Register};
use crate::handlers::catalogue::MangaRef;
use crate::handlers::library::{self, Add};
use crate::handlers::manga::{self, Detail};
use crate::handlers::monitor;
use crate::handlers::progress::{self, History, Unknown, Update};
use crate::store::model::{
    Chapter, HistoryEntry, Manga, MangaQuery, Page, Progress, Publication, ReadingStatus, User, Window,
};

/// The routes of this family.
pub fn routes() -> Vec<Route> {
    use Method::{Delete, Get, Post, Put};
    let mut routes = vec![
        Route::http(Family::V1, Get, "/health", monitor::HEALTH, |_| Ok(())),
        Route::http(Family::V1, Post, "/api/v1/auth/register", auth::REGISTER, read_register),
        Route::http(Family::V1, Post, "/api/v1/auth/login", auth::LOGIN, read_login),
        Route::http(Family::V1, Post, "/api/v1/auth/logout-all", auth::LOGOUT_ALL, |_| Ok(())),
        Route::http(Family::V1, Get, "/api/v1/users/me", auth::ME, |_| Ok(())),
        Route::http(Family::V1, Put, "/api/v1/users/me/password", auth::CHANGE_PASSWORD, read_change_password),
        Route::http(Family::V1, Get, "/api/v1/manga/all", manga::SEARCH, read_all),
        Route::http(Family::V1, Get, "/api/v1/users/progress", progress::LIST, read_window),
        Route::http(Family::V1, Delete, "/api/v1/users/progress/{manga}", progress::DELETE, |input| Ok(named(input))),
        Route::http(Family::V1, Get, "/api/v1/users/progress/{manga}", progress::GET, |input| Ok(named(input))),
        Route::http(Family::V1, Put, "/api/v1/users/progress/{manga}", progress::UPDATE, read_update),
        Route::http(Family::V1, Get, "/api/v1/users/history", progress::HISTORY, read_history),
    ];
    for (list, detail, library) in [
        ("/api/v1/manga", "/api/v1/manga/{manga}", "/api/v1/users/library"),
        ("/manga", "/manga/{manga}", "/users/library"),
    ] {
        routes.push(Route::http(Family::V1, Get, list, manga::SEARCH, read_search));
        routes.push(Route::http(Family::V1, Get, detail, manga::DETAIL, |input| {
            Ok(Detail { manga: named(input), shape: detail_body })
        }));
        routes.push(Route::http(Family::V1, Get, library, library::LIST, read_window));
        routes.push(Route::http(Family::V1, Post, library, library::ADD, read_add));
    }
    routes.push(Route::http(Family::V1, Put, "/users/progress", progress::UPDATE, read_update_with_id));
    routes
}

// ---- what is read

fn read_register(input: &HttpInput<'_>) -> Result<Register, ApiError> {
    let body = input.body()?;
    Ok(Register {
        username: auth::check_username(body.need_text("username")?.into_owned(), USERNAME_CHARACTERS_MAX)?,
        email: auth::check_email(body.need_text("email")?.into_owned())?,
        password: PasswordRule::V1.check(body.need_text("password")?.into_owned())?,
    })
}

fn read_login(input: &HttpInput<'_>) -> Result<Login, ApiError> {
    let body = input.body()?;
    let login = match body.short_text("username", LOGIN_CHARACTERS_MAX)? {
        Some(username) => username,
        None => body.short_text("email", LOGIN_CHARACTERS_MAX)?.ok_or_else(|| missing("username"))?,
    };
    Ok(Login { login: login.into_owned(), password: body.need_text("password")?.into_owned() })
}

fn read_change_password(input: &HttpInput<'_>) -> Result<ChangePassword, ApiError> {
    let body = input.body()?;
    Ok(ChangePassword {
        current: body.need_text("current_password")?.into_owned(),
        new: PasswordRule::STANDARD.check(body.need_text("new_password")?.into_owned()).map_err(|mut error| {
            error.message = error.message.replacen("password", "new_password", 1).into();
            error
        })?,
    })
}

fn read_search(input: &HttpInput<'_>) -> Result<MangaQuery, ApiError> {
    let text = |name| input.query(name).map(Cow::into_owned);
    let status = input.query("status").map(|word| parse_word(&word, "status", Publication::parse, Publication::WORDS));
    Ok(MangaQuery {
        title: text("title"),
        author: text("author"),
        genre: text("genre"),
        status: status.transpose()?,
        window: read_window(input)?,
    })
}

/// Every series: what can't be read in the query is as if it weren't there.
fn read_all(input: &HttpInput<'_>) -> Result<MangaQuery, ApiError> {
    Ok(MangaQuery { window: read_window(input).unwrap_or_default(), ..MangaQuery::default() })
}

/// `limit` and `offset`. No limit, or 0, is all there are; then there is no offset either.
fn read_window(input: &HttpInput<'_>) -> Result<Window, ApiError> {
    let number = |name: &str| {
        let Some(text) = input.query(name) else { return Ok(0) };
        text.parse::<u32>().map_err(|_| ApiError::invalid(format!("{name}: expected a whole number from 0")))
    };
    let (limit, offset) = (number("limit")?, number("offset")?);
    Ok(match limit {
        0 => Window::default(),
        limit => Window { limit: Some(limit), offset },
    })
}

fn read_add(input: &HttpInput<'_>) -> Result<Add, ApiError> {
    let body = input.body()?;
    let status = body.text("status")?.filter(|word| !word.is_empty()).ok_or_else(|| missing("status"))?;
    Ok(Add {
        manga: read_manga(&body)?,
        status: parse_status(&status)?,
        chapter: read_chapter(&body)?.unwrap_or_default(),
        private: body.boolean("private")?,
    })
}

fn read_update(input: &HttpInput<'_>) -> Result<Update, ApiError> {
    read_update_of(named(input), &input.body()?)
}

fn read_update_with_id(input: &HttpInput<'_>) -> Result<Update, ApiError> {
    let body = input.body()?;
    read_update_of(read_manga(&body)?, &body)
}

fn read_update_of(manga: MangaRef, body: &super::json::Object<'_>) -> Result<Update, ApiError> {
    Ok(Update { manga, unknown: Unknown::RowMustExist, ..read_change(body)? })
}

/// The members that change progress, the same on every wire: those that aren't there change
/// nothing. `""` for a status and `0` for a rating are how a client says "not given".
pub fn read_change(body: &super::json::Object<'_>) -> Result<Update, ApiError> {
    let status = body.text("status")?.filter(|word| !word.is_empty());
    let read_at = body.text("read_at")?;
    let read_at = read_at.map(|text| {
        parse_rfc3339(&text).ok_or_else(|| ApiError::invalid("read_at: expected a time such as 2026-01-31T09:00:00Z"))
    });
    let count = |name| body.integer(name, 0, COUNT_MAX).map(|count| count.map(|count| count as i32));
    Ok(Update {
        manga: MangaRef::Id(0),
        user_id: body.text("user_id")?.map(Cow::into_owned),
        chapter: read_chapter(body)?,
        status: status.map(|word| parse_status(&word)).transpose()?,
        volume: count("volume")?,
        page: count("page")?,
        rating: body.integer("rating", 0, 10)?.filter(|rating| *rating > 0).map(|rating| rating as i32),
        private: body.boolean("private")?,
        note: body.short_text("note", NOTE_CHARACTERS_MAX)?.map(Cow::into_owned),
        read_at: read_at.transpose()?,
        unknown: Unknown::SeriesMustExist,
    })
}

/// The chapter under any of its names; the exact one wins, and none may be wrong.
fn read_chapter(body: &super::json::Object<'_>) -> Result<Option<Chapter>, ApiError> {
    let (exact, current, chapter) =
        (body.chapter("chapter_exact")?, body.chapter("current_chapter")?, body.chapter("chapter")?);
    Ok(exact.or(current).or(chapter))
}

fn read_history(input: &HttpInput<'_>) -> Result<History, ApiError> {
    let number = |name: &str, max: i64| {
        let Some(text) = input.query(name) else { return Ok(None) };
        let number = text.parse::<i64>().ok().filter(|number| (1..=max).contains(number));
        number.map(Some).ok_or_else(|| ApiError::invalid(format!("{name}: expected a whole number from 1 to {max}")))
    };
    Ok(History {
        manga: input.query("manga").map(|word| MangaRef::Word(word.into_owned())),
        before: number("before", i64::MAX)?,
        limit: number("limit", HISTORY_LIMIT_MAX)?.unwrap_or(HISTORY_LIMIT) as u32,
    })
}

/// The series that the path names: a slug first, then, if all digits, a key.
fn named(input: &HttpInput<'_>) -> MangaRef {
    MangaRef::Word(input.param().to_owned())
}

/// The series that a body names, by text or by number.
fn read_manga(body: &super::json::Object<'_>) -> Result<MangaRef, ApiError> {
    let raw = body.raw("manga_id").ok_or_else(|| missing("manga_id"))?;
    match raw.get().starts_with('"') {
        true => Ok(MangaRef::Word(body.need_text("manga_id")?.into_owned())),
        false => Ok(MangaRef::Id(body.integer("manga_id", 0, i64::MAX)?.unwrap_or_default())),
    }
}

fn parse_status(word: &str) -> Result<ReadingStatus, ApiError> {
    parse_word(word, "status", ReadingStatus::parse, ReadingStatus::WORDS)
}

fn parse_word<T>(word: &str, name: &str, parse: fn(&str) -> Option<T>, words: &[&str]) -> Result<T, ApiError> {
    parse(word).ok_or_else(|| ApiError::invalid(format!("{name}: expected one of {}", words.join(", "))))
}

// ---- what is shown

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
    let body = json!({"success": false, "error": {"code": code, "message": error.message}});
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
        Reply::Account(user) => data(200, json!({"user": account(&user)})),
        Reply::MangaList(page, window) => manga_list(&page, window),
        Reply::MangaDetail(body) => Response::json(200, body),
        Reply::Library(page) => library_list(&page),
        Reply::Progress(row, series) => data(200, json!({"progress": progress_row(&row, Some(&series))})),
        Reply::ProgressList(page, window) => {
            let rows = page.items.iter().map(|(row, series)| progress_row(row, series.as_deref()));
            let items: Vec<Value> = rows.collect();
            list(items, meta(page.total, window))
        }
        Reply::ProgressDeleted(_) => data(200, json!({"message": "Progress deleted"})),
        Reply::History(entries) => {
            let items: Vec<Value> =
                entries.iter().map(|(entry, series)| history_entry(entry, series.as_deref())).collect();
            let count = items.len();
            list(items, json!({"count": count}))
        }
        Reply::Health { draining, store } => health(draining, store),
        Reply::Allowed(methods) => Response::empty(204).with_header("Allow", methods),
        Reply::Page(content_type, body) => Response::new(200, content_type, body),
        Reply::Silence | Reply::Welcome { .. } | Reply::Pong(_) | Reply::SyncStats { .. } | Reply::Notice { .. } => {
            Response::empty(204)
        }
    }
}

fn data(status: u16, data: Value) -> Response {
    Response::json(status, json!({"success": true, "data": data}).to_string())
}

fn list(items: Vec<Value>, meta: Value) -> Response {
    Response::json(200, json!({"success": true, "data": {"items": items}, "meta": meta}).to_string())
}

/// The user and the token, in `data` and once more at the top: one seed's script reads it there.
fn login(status: u16, user: &User, token: &str) -> Response {
    let user = account(user);
    let body = json!({"success": true, "data": {"user": user, "token": token}, "user": user, "token": token});
    Response::json(status, body.to_string()).with_header("Cache-Control", "no-store")
}

fn account(user: &User) -> Value {
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
    Response::json(code, body.to_string()).with_header("Cache-Control", "no-store")
}

fn manga_list(page: &Page<Manga>, window: Window) -> Response {
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

fn detail_body(manga: &Manga) -> Vec<u8> {
    to_json(&json!({"success": true, "data": {"manga": manga_shape(manga)}}))
}

fn library_list(page: &Page<(Progress, Manga)>) -> Response {
    let items = page.items.iter().map(|(row, manga)| {
        let mut item = progress_row(row, None);
        item["manga_id"] = json!(manga.facts.slug);
        item["manga_key"] = json!(manga.id);
        item["manga"] = json!(manga_shape(manga));
        item
    });
    let items: Vec<Value> = items.collect();
    let meta = if items.is_empty() { json!({}) } else { json!({"count": items.len(), "total": page.total}) };
    list(items, meta)
}

/// A series as this family's clients know it. What they don't know stands beside it.
#[derive(Serialize)]
struct MangaShape<'a> {
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
    created_at: String,
    updated_at: String,
}

fn manga_shape(manga: &Manga) -> MangaShape<'_> {
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
        created_at: rfc3339(manga.created_at),
        updated_at: rfc3339(manga.updated_at),
    }
}

/// A row of progress, with its series named where it is known.
pub fn progress_row(row: &Progress, series: Option<&Series>) -> Value {
    json!({
        "user_id": row.user_id,
        "manga_id": series.map(|series| series.slug.as_str()),
        "manga_key": row.manga_id,
        "manga_title": series.map(|series| series.title.as_str()),
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
    })
}

fn history_entry(entry: &HistoryEntry, series: Option<&Series>) -> Value {
    json!({
        "id": entry.seq,
        "manga_id": series.map(|series| series.slug.as_str()),
        "manga_key": entry.manga_id,
        "manga_title": series.map(|series| series.title.as_str()),
        "chapter": entry.chapter.floor(),
        "chapter_exact": entry.chapter,
        "volume": entry.volume,
        "page": entry.page,
        "status": entry.status,
        "device": entry.device,
        "read_at": entry.read_at.map(rfc3339),
        "recorded_at": rfc3339(entry.recorded_at),
    })
}

/// How a part of a list stands to the whole, as this family says it: zero and false are left out,
/// and `count` is the limit that was asked for.
fn meta(total: u64, window: Window) -> Value {
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

/// The longest name this family's registration takes.
const USERNAME_CHARACTERS_MAX: usize = 32;

/// No name or address is longer, so no longer one is looked for.
const LOGIN_CHARACTERS_MAX: usize = 254;

/// A note is a few paragraphs.
const NOTE_CHARACTERS_MAX: usize = 2000;

/// No volume or page has a higher number.
const COUNT_MAX: i64 = 1_000_000;

/// How many entries of a history are shown unasked, and at most.
const HISTORY_LIMIT: i64 = 50;
const HISTORY_LIMIT_MAX: i64 = 500;

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
