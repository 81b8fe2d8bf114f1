//! `pb.MangaService`: the second family's service. A series is named by its key.
//!
//! Its clients learn in the answer itself that a change was refused, so such a refusal is an answer.

use super::manga::{USER_CHARACTERS_MAX, whole};
use super::messages::pb as messages;
use super::status::Status;
use super::{bytes, read};
use crate::handlers::api::{ApiError, ErrorKind, Reply};
use crate::handlers::behalf;
use crate::handlers::catalogue::{MangaRef, Shape};
use crate::handlers::manga::{self, Detail};
use crate::handlers::progress::{Unknown, Update};
use crate::proto::routes::{Package, Route};
use crate::store::model::{Manga, MangaQuery, Window};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::rpc(Package::Pb, "/pb.MangaService/GetManga", manga::DETAIL, read_detail),
        Route::rpc(Package::Pb, "/pb.MangaService/SearchManga", manga::SEARCH, read_search),
        Route::rpc(Package::Pb, "/pb.MangaService/UpdateProgress", behalf::UPDATE, read_update),
    ]
}

fn read_detail(message: messages::GetMangaRequest) -> Result<Detail, ApiError> {
    let encode = |manga: &Manga| bytes(&messages::GetMangaResponse { manga: Some(shape(manga)) }).unwrap_or_default();
    Ok(Detail { manga: MangaRef::Id(message.manga_id), shape: Shape::RpcSecond, encode })
}

fn read_search(message: messages::SearchRequest) -> Result<MangaQuery, ApiError> {
    let limit = u32::try_from(message.limit).ok().filter(|limit| (1..=FOUND_MAX).contains(limit));
    let window = Window { limit: Some(limit.unwrap_or(FOUND_MAX)), offset: u32::try_from(message.offset).unwrap_or(0) };
    Ok(MangaQuery { words: read::words("query", message.query)?, window, ..MangaQuery::default() })
}

fn read_update(message: messages::UpdateProgressRequest) -> Result<Update, ApiError> {
    Ok(Update {
        manga: MangaRef::Id(message.manga_id),
        user_id: read::text("user_id", message.user_id, USER_CHARACTERS_MAX)?,
        chapter: Some(read::whole_chapter(message.chapter)?),
        status: read::status(&message.status)?,
        volume: None,
        page: None,
        rating: None,
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
            total_count: page.items.len() as i64,
            mangas: page.items.iter().map(shape).collect(),
        }),
        _ => None,
    }
}

/// What came of a change. What is wrong with it stands in the answer; everything else is a status.
pub(super) fn updated(outcome: Result<Reply, ApiError>) -> Result<Option<Vec<u8>>, Status> {
    let (success, message) = match outcome {
        Ok(_) => (true, "Progress updated successfully".to_owned()),
        Err(error) if matches!(error.kind, ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Conflict) => {
            (false, format!("failed to update: {error}"))
        }
        Err(error) => return Err(Status::from(&error)),
    };
    Ok(bytes(&messages::UpdateProgressResponse { success, message }))
}

fn shape(manga: &Manga) -> messages::Manga {
    let facts = &manga.facts;
    let artist = facts.artist.as_ref().filter(|artist| Some(*artist) != facts.author.as_ref());
    messages::Manga {
        id: manga.id,
        title: facts.title.clone(),
        description: facts.description.clone(),
        authors: facts.author.iter().chain(artist).cloned().collect(),
        genres: facts.genres.clone(),
        cover_url: facts.cover_url.clone().unwrap_or_default(),
        chapters_count: whole(facts.chapters_total.or(facts.latest_chapter)),
        source: "local".to_owned(),
        source_url: String::new(),
    }
}

/// How many series a search shows unasked, and at most.
const FOUND_MAX: u32 = 20;
