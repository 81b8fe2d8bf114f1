//! The second family's libraries and progress: their routes, what is read, and how it is shown.
//!
//! A library and progress are two things to its clients; here they are one row, and what they show of
//! it is either. Lists are shown whole, because they know no pages; `page` and `page_size` may ask for
//! a part.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use super::catalogue::{Full, in_full};
use crate::handlers::api::{ApiError, Series};
use crate::handlers::catalogue::MangaRef;
use crate::handlers::conflict::Conflict;
use crate::handlers::library::{self, Add};
use crate::handlers::progress::{self, Changed, List, Unknown, Update};
use crate::handlers::{Access, Call};
use crate::proto::http1::{Method, Response};
use crate::proto::json::{Object, missing};
use crate::proto::routes::{Family, HttpInput, Route};
use crate::proto::time::{Rfc3339, rfc3339};
use crate::proto::v1;
use crate::store::model::{Chapter, Manga, MangaId, Page, Progress, ReadingStatus, Window};

pub(super) fn routes() -> Vec<Route> {
    use Method::{Delete, Get, Post};
    vec![
        route(Get, "/api/library", library::LIST, "read:library", read_list),
        route(Post, "/api/library", library::ADD, "write:library", read_add),
        route(Delete, "/api/library/{manga}", library::REMOVE, "write:library", named),
        route(Get, "/api/progress", progress::LIST, "read:progress", read_list),
        route(Post, "/api/progress", progress::UPDATE, "write:progress", read_update_with_id),
        route(Get, "/api/progress/{manga}", progress::GET, "read:progress", named),
        route(Post, "/api/progress/{manga}", progress::UPDATE, "write:progress", read_update),
        route(Delete, "/api/progress/{manga}", progress::DELETE, "write:progress", named),
    ]
}

fn route<A: Send + 'static>(
    method: Method,
    path: &'static str,
    call: Call<A>,
    scope: &'static str,
    read: fn(&HttpInput<'_>) -> Result<A, ApiError>,
) -> Route {
    Route::http(Family::V2, method, path, call, read).needs(Access::Scope(scope))
}

// ---- what is read

/// The series that the path names, by its key only.
fn named(input: &HttpInput<'_>) -> Result<MangaRef, ApiError> {
    let key = input.param().parse::<MangaId>().ok().filter(|key| *key > 0);
    key.map(MangaRef::Id).ok_or_else(|| ApiError::invalid("manga_id: expected a whole number from 1"))
}

/// The series that a body names, by its key only.
fn read_manga(body: &Object<'_>) -> Result<MangaRef, ApiError> {
    let key = body.integer("manga_id", 1, MangaId::MAX)?;
    key.map(MangaRef::Id).ok_or_else(|| missing("manga_id"))
}

/// A status is a thing of progress to these clients, so a library takes none.
fn read_add(input: &HttpInput<'_>) -> Result<Add, ApiError> {
    Ok(Add {
        manga: read_manga(&input.body()?)?,
        status: None,
        chapter: Chapter::default(),
        private: None,
        force: false,
    })
}

/// The path names the series, whatever the body says.
fn read_update(input: &HttpInput<'_>) -> Result<Update, ApiError> {
    read_update_of(named(input)?, &input.body()?)
}

fn read_update_with_id(input: &HttpInput<'_>) -> Result<Update, ApiError> {
    let body = input.body()?;
    read_update_of(read_manga(&body)?, &body)
}

fn read_update_of(manga: MangaRef, body: &Object<'_>) -> Result<Update, ApiError> {
    let update = v1::read::read_change(body)?;
    match update.chapter {
        None => Err(missing("chapter")),
        Some(_) => Ok(Update { manga, unknown: Unknown::SeriesMustExist, ..update }),
    }
}

fn read_list(input: &HttpInput<'_>) -> Result<List, ApiError> {
    let status = input.query("status").map(|word| v1::read::parse_status(&word)).transpose()?;
    Ok(List { status, window: read_window(input) })
}

/// A part where a page is asked for; a page or a size that can't be one is the usual one.
fn read_window(input: &HttpInput<'_>) -> Window {
    let (page, size) = (input.query("page"), input.query("page_size"));
    if page.is_none() && size.is_none() {
        return Window::default();
    }
    let number = |text: Option<Cow<'_, str>>, max: u32, usual: u32| {
        let number = text.and_then(|text| text.parse().ok());
        number.filter(|number| (1..=max).contains(number)).unwrap_or(usual)
    };
    let limit = number(size, PAGE_SIZE_MAX, PAGE_SIZE);
    Window { limit: Some(limit), offset: (number(page, u32::MAX, 1) - 1).saturating_mul(limit) }
}

// ---- what is shown

/// A row of progress.
#[derive(Serialize)]
struct Row<'a> {
    user_id: &'a str,
    manga_id: MangaId,
    #[serde(skip_serializing_if = "Option::is_none")]
    manga_title: Option<&'a str>,
    chapter: i64,
    chapter_exact: Chapter,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_chapter: Option<i64>,
    status: ReadingStatus,
    updated_at: Rfc3339,
}

fn row<'a>(progress: &'a Progress, series: Option<&'a Series>) -> Row<'a> {
    let last = series.and_then(|series| series.chapters_total.or(series.latest_chapter));
    Row {
        user_id: progress.user_id.as_str(),
        manga_id: progress.manga_id,
        manga_title: series.map(|series| series.title.as_str()),
        chapter: progress.chapter.floor(),
        chapter_exact: progress.chapter,
        last_chapter: last.map(Chapter::floor),
        status: progress.status,
        updated_at: rfc3339(progress.updated_at),
    }
}

pub(super) fn progress(progress: &Progress, series: Option<&Series>) -> Response {
    answer(200, &row(progress, series))
}

pub(super) fn progress_list(page: &Page<(Progress, Option<Arc<Series>>)>) -> Response {
    #[derive(Serialize)]
    struct List<'a> {
        history: Vec<Row<'a>>,
        total: u64,
    }
    let rows = page.items.iter().map(|(progress, series)| row(progress, series.as_deref()));
    answer(200, &List { history: rows.collect(), total: page.total })
}

pub(super) fn library(page: &Page<(Progress, Manga)>) -> Response {
    #[derive(Serialize)]
    struct Entry<'a> {
        // An entry has no number of its own; within one library the series' is as good.
        id: MangaId,
        manga_id: MangaId,
        manga: Full<'a>,
        added_at: Rfc3339,
    }
    #[derive(Serialize)]
    struct Library<'a> {
        items: Vec<Entry<'a>>,
        total: u64,
    }
    let entries = page.items.iter().map(|(progress, manga)| Entry {
        id: manga.id,
        manga_id: manga.id,
        manga: in_full(manga),
        added_at: rfc3339(progress.added_at.unwrap_or(progress.updated_at)),
    });
    answer(200, &Library { items: entries.collect(), total: page.total })
}

pub(super) fn changed(changed: &Changed) -> Response {
    match changed {
        Changed::Added => answer(201, &json!({"message": "manga added to library"})),
        Changed::Removed => Response::empty(204),
        Changed::Updated(row, series) => progress(row, Some(series)),
    }
}

/// A change that is behind: `local` is what the device sent, `remote` what is stored here.
#[derive(Serialize)]
pub struct ConflictShape<'a> {
    manga_id: MangaId,
    manga_title: &'a str,
    local_chapter: i64,
    remote_chapter: i64,
    local_chapter_exact: Chapter,
    remote_chapter_exact: Chapter,
    status: ReadingStatus,
    updated_at: Rfc3339,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a str>,
}

/// Puts a conflict into this family's shape, the same over HTTP and on a line.
pub fn conflict(conflict: &Conflict) -> ConflictShape<'_> {
    ConflictShape {
        manga_id: conflict.series.id,
        manga_title: &conflict.series.title,
        local_chapter: conflict.sent.floor(),
        remote_chapter: conflict.stored.floor(),
        local_chapter_exact: conflict.sent,
        remote_chapter_exact: conflict.stored,
        status: conflict.status,
        updated_at: rfc3339(conflict.updated_at),
        device: conflict.device.as_deref(),
    }
}

/// Plain structs always become JSON; there is nothing in them that could not.
fn answer(status: u16, body: &impl Serialize) -> Response {
    Response::json(status, serde_json::to_vec(body).unwrap_or_default())
}

/// How many rows a page has when nobody says, and at most.
const PAGE_SIZE: u32 = 20;
const PAGE_SIZE_MAX: u32 = 100;
