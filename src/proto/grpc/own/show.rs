//! What `mangahub.v1` answers, and what its streams tell.

use bytes::Bytes;

use super::super::{bytes, frame};
use super::{messages, told};
use crate::handlers::api::{Event, ProgressEvent, Reply, Series, SeriesName};
use crate::handlers::manga;
use crate::handlers::opinions::{self, Standing};
use crate::handlers::progress::Changed;
use crate::store::model::{Chapter, HistoryEntry, Manga, Progress};

/// Puts a reply into its message.
pub fn show(reply: Reply) -> Option<Vec<u8>> {
    match reply {
        Reply::MangaDetail(made) => Some(made.plain().to_vec()),
        Reply::MangaList(page, _) => bytes(&messages::SearchMangaResponse {
            items: page.items.iter().map(manga_shape).collect(),
            total: page.total,
        }),
        Reply::Catalogue(manga::Reply::Genres(genres)) => bytes(&messages::ListGenresResponse {
            items: genres.into_iter().map(|genre| messages::Genre { id: genre.id, name: genre.name }).collect(),
        }),
        Reply::Library(page) => {
            let items = page.items.iter().map(|(row, manga)| messages::LibraryEntry {
                progress: Some(progress(row, Some((&manga.facts.slug, &manga.facts.title)))),
                manga: Some(manga_shape(manga)),
            });
            bytes(&messages::ListLibraryResponse { items: items.collect(), total: page.total })
        }
        Reply::Progress(row, series) | Reply::Changed(Changed::Updated(row, series)) => {
            bytes(&progress(&row, Some(names(&series))))
        }
        Reply::ProgressList(page, _) => bytes(&messages::ListProgressResponse {
            items: page.items.iter().map(|(row, series)| progress(row, series.as_deref().map(names))).collect(),
            total: page.total,
        }),
        Reply::History(entries) => bytes(&messages::ListHistoryResponse {
            items: entries.iter().map(|(entry, series)| history(entry, series.as_deref().map(names))).collect(),
        }),
        Reply::Opinion(opinions::Reply::Standing(standing) | opinions::Reply::Rated(_, standing)) => {
            bytes(&rating(&standing))
        }
        // The answers that have nothing to say are messages without members, which are no bytes.
        Reply::ProgressDeleted(_) | Reply::Changed(Changed::Added | Changed::Removed) | Reply::Done(_) => {
            Some(Vec::new())
        }
        _ => None,
    }
}

/// Puts an event into the message that its stream tells, framed: every stream that hears it is sent these
/// same bytes. What concerns two people alone is no stream's.
pub fn event(event: &Event) -> Option<Bytes> {
    let message = match event {
        Event::Progress(event) => bytes(&progress_event(event))?,
        Event::Notification(notification, _) => bytes(&told::notification(notification))?,
        Event::Chat(event) => bytes(&told::chat(event)?)?,
    };
    Some(frame::encode(&message, false))
}

/// A series, as it is made once and kept.
pub(super) fn encode(manga: &Manga) -> Vec<u8> {
    bytes(&manga_shape(manga)).unwrap_or_default()
}

fn manga_shape(manga: &Manga) -> messages::Manga {
    let facts = manga.facts.clone();
    messages::Manga {
        id: manga.id,
        slug: facts.slug,
        title: facts.title,
        title_english: facts.title_english,
        title_romanised: facts.title_romanised,
        title_native: facts.title_native,
        alternative_titles: facts.alternative_titles,
        author: facts.author,
        artist: facts.artist,
        genres: facts.genres,
        demographic: facts.demographic.map(|demographic| demographic.as_str().to_owned()),
        status: facts.status.as_str().to_owned(),
        year: facts.year,
        chapters_total: facts.chapters_total.map(Chapter::as_f64),
        volumes_total: facts.volumes_total,
        latest_chapter: facts.latest_chapter.map(Chapter::as_f64),
        description: facts.description,
        cover_url: facts.cover_url,
        readers: manga.standing.readers,
        average_rating: manga.standing.average_rating(),
        rating_count: manga.standing.rating_count,
    }
}

/// A row, under the slug and title of its series if that is still in the catalogue.
fn progress(row: &Progress, names: Option<(&str, &str)>) -> messages::Progress {
    let (slug, title) = names.unwrap_or_default();
    messages::Progress {
        manga_id: row.manga_id,
        manga: slug.to_owned(),
        manga_title: title.to_owned(),
        in_library: row.in_library,
        status: row.status.as_str().to_owned(),
        chapter: row.chapter.as_f64(),
        volume: row.volume,
        page: row.page,
        times_reread: row.rereads,
        rating: row.rating,
        private: row.private,
        note: row.note.clone(),
        started_at_ms: row.started_at,
        completed_at_ms: row.completed_at,
        updated_at_ms: row.updated_at,
        added_at_ms: row.added_at,
        user_id: row.user_id.as_str().to_owned(),
    }
}

fn history(entry: &HistoryEntry, names: Option<(&str, &str)>) -> messages::HistoryEntry {
    let (slug, title) = names.unwrap_or_default();
    messages::HistoryEntry {
        id: entry.seq,
        manga_id: entry.manga_id,
        manga: slug.to_owned(),
        manga_title: title.to_owned(),
        chapter: entry.chapter.as_f64(),
        volume: entry.volume,
        page: entry.page,
        status: entry.status.as_str().to_owned(),
        device: entry.device.clone(),
        read_at_ms: entry.read_at,
        recorded_at_ms: entry.recorded_at,
    }
}

fn rating(standing: &Standing) -> messages::Rating {
    messages::Rating {
        manga_id: standing.series.id,
        manga: standing.series.slug.clone(),
        average: standing.sums.average(),
        count: standing.sums.count,
        mine: standing.mine.map(|mine| mine.rating),
    }
}

fn progress_event(event: &ProgressEvent) -> messages::ProgressEvent {
    let (manga_id, manga, manga_title) = match &event.series {
        SeriesName::Known(series) => (series.id, series.slug.clone(), series.title.clone()),
        SeriesName::Unknown { id, title } => (0, id.clone(), title.clone()),
    };
    messages::ProgressEvent {
        seq: event.seq,
        user_id: event.user_id.as_str().to_owned(),
        username: event.username.to_string(),
        manga_id,
        manga,
        manga_title,
        chapter: event.chapter.as_f64(),
        status: event.status.map_or("", |status| status.as_str()).to_owned(),
        volume: event.volume,
        page: event.page,
        rating: event.rating,
        device: event.device.clone(),
        at_ms: event.at,
    }
}

fn names(series: &Series) -> (&str, &str) {
    (&series.slug, &series.title)
}
