//! What clients of `mangahub.v1` ask, read into the calls' arguments.

use super::super::manga::USER_CHARACTERS_MAX;
use super::super::read;
use super::messages::*;
use super::show::encode;
use crate::handlers::api::ApiError;
use crate::handlers::catalogue::{MangaRef, Shape};
use crate::handlers::chat::{self, RoomRef};
use crate::handlers::library::Add;
use crate::handlers::manga::Detail;
use crate::handlers::opinions::ratings::Rate;
use crate::handlers::progress::{History, List, Unknown, Update};
use crate::handlers::watch::Watch;
use crate::handlers::watch::chat::WatchChat;
use crate::handlers::watch::notices::WatchNotices;
use crate::store::model::{MangaQuery, MangaSort, Window};

pub(super) fn read_detail(message: GetMangaRequest) -> Result<Detail, ApiError> {
    Ok(Detail { manga: named(message.manga)?, shape: Shape::RpcOwn, encode })
}

pub(super) fn read_search(message: SearchMangaRequest) -> Result<MangaQuery, ApiError> {
    let rating = message.rating_min;
    if !(0.0..=10.0).contains(&rating) {
        return Err(ApiError::invalid("rating_min: expected a number from 0 to 10"));
    }
    if message.genres.len() > GENRES_MAX {
        return Err(ApiError::invalid(format!("genres: at most {GENRES_MAX}")));
    }
    let genres = message.genres.into_iter().map(|genre| read::words("genres", genre));
    let sort = match message.sort.as_str() {
        "" => Some(MangaSort::default()),
        word => MangaSort::parse(word),
    };
    Ok(MangaQuery {
        words: read::words("query", message.query)?,
        title: read::words("title", message.title)?,
        author: read::words("author", message.author)?,
        genres: genres.filter_map(Result::transpose).collect::<Result<_, _>>()?,
        status: read::publication(&message.status)?,
        rating_min_hundredths: Some((rating * 100.0).round() as u16).filter(|hundredths| *hundredths > 0),
        sort: sort.ok_or_else(|| ApiError::invalid("sort: expected one of title, recent, popularity, rating"))?,
        window: page(message.limit, message.offset),
        ..MangaQuery::default()
    })
}

pub(super) fn read_library(message: ListLibraryRequest) -> Result<List, ApiError> {
    Ok(List { status: read::status(&message.status)?, window: page(message.limit, message.offset) })
}

pub(super) fn read_add(message: AddToLibraryRequest) -> Result<Add, ApiError> {
    Ok(Add {
        manga: named(message.manga)?,
        status: read::status(&message.status)?,
        chapter: read::chapter(message.chapter)?,
        private: message.private,
        force: message.force,
    })
}

pub(super) fn read_remove(message: RemoveFromLibraryRequest) -> Result<MangaRef, ApiError> {
    named(message.manga)
}

pub(super) fn read_get(message: GetProgressRequest) -> Result<MangaRef, ApiError> {
    named(message.manga)
}

pub(super) fn read_list(message: ListProgressRequest) -> Result<List, ApiError> {
    Ok(List { status: read::status(&message.status)?, window: page(message.limit, message.offset) })
}

pub(super) fn read_update(message: UpdateProgressRequest) -> Result<Update, ApiError> {
    Ok(Update {
        manga: named(message.manga)?,
        user_id: read::text("user_id", message.user_id, USER_CHARACTERS_MAX)?,
        chapter: message.chapter.map(read::chapter).transpose()?,
        status: read::status(&message.status)?,
        volume: read::count("volume", message.volume)?,
        page: read::count("page", message.page)?,
        rating: read::rating(message.rating.unwrap_or(0))?,
        private: message.private,
        note: message.note.map(|note| read::long_text("note", note, NOTE_CHARACTERS_MAX)).transpose()?,
        read_at: message.read_at_ms.map(read_time).transpose()?,
        force: message.force,
        unknown: Unknown::SeriesMustExist,
    })
}

/// A time that a calendar can show: up to the year 9999.
fn read_time(at: i64) -> Result<i64, ApiError> {
    match (0..=LATEST_MS).contains(&at) {
        true => Ok(at),
        false => Err(ApiError::invalid("read_at_ms: expected Unix milliseconds")),
    }
}

pub(super) fn read_delete(message: DeleteProgressRequest) -> Result<MangaRef, ApiError> {
    named(message.manga)
}

pub(super) fn read_history(message: ListHistoryRequest) -> Result<History, ApiError> {
    let manga = (!message.manga.is_empty()).then(|| named(message.manga)).transpose()?;
    let limit = if message.limit == 0 { PAGE_ROWS } else { message.limit.min(HISTORY_ROWS_MAX) };
    Ok(History { manga, before: message.before, limit })
}

pub(super) fn read_watch(message: WatchProgressRequest) -> Result<Watch, ApiError> {
    Ok(Watch { own: message.own })
}

pub(super) fn read_watch_notices(message: WatchNotificationsRequest) -> Result<WatchNotices, ApiError> {
    let after = message.after_id.map(|id| i64::max(id, 0));
    Ok(WatchNotices { unread: message.include_unread, after, show: super::event })
}

pub(super) fn read_watch_chat(message: WatchChatRequest) -> Result<WatchChat, ApiError> {
    let word = read::text("room", message.room, ROOM_CHARACTERS_MAX)?;
    let room = RoomRef::Word(word.unwrap_or_else(|| "general".to_owned()));
    Ok(WatchChat { room, history: message.history.min(chat::HISTORY_MAX), show: super::event })
}

pub(super) fn read_rating(message: GetRatingRequest) -> Result<MangaRef, ApiError> {
    named(message.manga)
}

pub(super) fn read_rate(message: RateMangaRequest) -> Result<Rate, ApiError> {
    let rating = read::rating(message.rating)?;
    let rating = rating.ok_or_else(|| ApiError::invalid("rating: expected a whole number from 1 to 10"))?;
    Ok(Rate { manga: named(message.manga)?, rating })
}

pub(super) fn read_unrate(message: DeleteRatingRequest) -> Result<MangaRef, ApiError> {
    named(message.manga)
}

fn named(word: String) -> Result<MangaRef, ApiError> {
    read::manga("manga", word)
}

fn page(limit: u32, offset: u32) -> Window {
    read::window(limit, offset, PAGE_ROWS, PAGE_ROWS_MAX)
}

/// How many rows of a list are shown unasked, and at most: a megabyte.
const PAGE_ROWS: u32 = 50;
const PAGE_ROWS_MAX: u32 = 1000;

/// How many entries of a history are shown at most.
const HISTORY_ROWS_MAX: u32 = 500;

/// No slug and no name of a room is longer.
const ROOM_CHARACTERS_MAX: usize = 200;

/// A series has at most five to ten genres.
const GENRES_MAX: usize = 20;

/// A note is a few paragraphs.
const NOTE_CHARACTERS_MAX: usize = 2000;

/// The end of the year 9999.
const LATEST_MS: i64 = 253_402_300_799_999;
