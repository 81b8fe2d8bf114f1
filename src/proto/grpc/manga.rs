//! `manga.MangaService`: the first family's service. A series is named by its slug.

use super::messages::manga as messages;
use super::{bytes, read};
use crate::handlers::api::{ApiError, Reply, Series};
use crate::handlers::behalf;
use crate::handlers::catalogue::Shape;
use crate::handlers::manga::{self, Detail};
use crate::handlers::progress::{Changed, Unknown, Update};
use crate::proto::routes::{Package, Route};
use crate::store::model::{Chapter, Manga, MangaQuery, Progress, UnixMillis, Window};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::rpc(Package::Manga, "/manga.MangaService/GetManga", manga::DETAIL, read_detail),
        Route::rpc(Package::Manga, "/manga.MangaService/SearchManga", manga::SEARCH, read_search),
        Route::rpc(Package::Manga, "/manga.MangaService/UpdateProgress", behalf::UPDATE, read_update),
    ]
}

fn read_detail(message: messages::GetMangaRequest) -> Result<Detail, ApiError> {
    let encode = |manga: &Manga| bytes(&response(manga)).unwrap_or_default();
    Ok(Detail { manga: read::manga("manga_id", message.manga_id)?, shape: Shape::RpcFirst, encode })
}

/// No limit, or none that can be one, is all there are; then there is no offset either.
fn read_search(message: messages::SearchRequest) -> Result<MangaQuery, ApiError> {
    let window = match (u32::try_from(message.limit), u32::try_from(message.offset)) {
        (Ok(limit), offset) if limit > 0 => Window { limit: Some(limit), offset: offset.unwrap_or(0) },
        _ => Window::default(),
    };
    Ok(MangaQuery {
        title: read::words("title", message.title)?,
        author: read::words("author", message.author)?,
        genre: read::words("genre", message.genre)?,
        status: read::publication(&message.status)?,
        window,
        ..MangaQuery::default()
    })
}

fn read_update(message: messages::UpdateProgressRequest) -> Result<Update, ApiError> {
    Ok(Update {
        manga: read::manga("manga_id", message.manga_id)?,
        user_id: read::text("user_id", message.user_id, USER_CHARACTERS_MAX)?,
        chapter: Some(read::whole_chapter(message.chapter)?),
        status: read::status(&message.status)?,
        volume: None,
        page: None,
        rating: read::rating(message.rating)?,
        private: None,
        note: None,
        read_at: None,
        force: false,
        unknown: Unknown::SeriesMustExist,
    })
}

pub(super) fn show(reply: Reply) -> Option<Vec<u8>> {
    match reply {
        Reply::MangaDetail(made) => Some(made.plain().to_vec()),
        Reply::MangaList(page, _) => bytes(&messages::SearchResponse {
            manga: page.items.iter().map(response).collect(),
            total: i32::try_from(page.total).unwrap_or(i32::MAX),
        }),
        Reply::Changed(Changed::Updated(row, series)) => {
            bytes(&messages::UpdateProgressResponse { progress: Some(user_progress(&row, &series)) })
        }
        _ => None,
    }
}

fn response(manga: &Manga) -> messages::MangaResponse {
    let facts = &manga.facts;
    messages::MangaResponse {
        id: facts.slug.clone(),
        title: facts.title.clone(),
        author: facts.author.clone().unwrap_or_default(),
        genres: facts.genres.clone(),
        status: facts.status.as_str().to_owned(),
        total_chapters: whole(facts.chapters_total.or(facts.latest_chapter)),
        description: facts.description.clone(),
        cover_url: facts.cover_url.clone().unwrap_or_default(),
    }
}

fn user_progress(row: &Progress, series: &Series) -> messages::UserProgress {
    messages::UserProgress {
        user_id: row.user_id.as_str().to_owned(),
        manga_id: series.slug.clone(),
        current_chapter: whole(Some(row.chapter)),
        status: row.status.as_str().to_owned(),
        rating: row.rating.unwrap_or(0),
        started_at: seconds(row.started_at),
        completed_at: seconds(row.completed_at),
        updated_at: seconds(Some(row.updated_at)),
    }
}

/// A chapter as these clients read it: a whole number, 0 for not known.
pub(super) fn whole(chapter: Option<Chapter>) -> i32 {
    chapter.map_or(0, |chapter| i32::try_from(chapter.floor()).unwrap_or(i32::MAX))
}

/// Unix seconds in digits.
fn seconds(at: Option<UnixMillis>) -> String {
    at.map_or(0, |at| at.div_euclid(1000)).to_string()
}

/// No user's id is longer.
pub(super) const USER_CHARACTERS_MAX: usize = 64;
