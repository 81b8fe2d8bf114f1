//! The catalogue: facts in, series out.
//!
//! A series' genres are rows of their own; here they are joined on and taken apart again. What a
//! search looks into is written along with the facts; how it is found again is `search`'s work, and
//! what administrators do is `curation`'s.

use std::ops::DerefMut;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::unknown_word;
use super::{SqliteStore, curation, genres, in_one_snapshot, search};
use crate::store::model::{
    Chapter, Demographic, Fact, Genre, Manga, MangaEvent, MangaFacts, MangaId, MangaQuery, Page, Publication, Standing,
    UnixMillis, Window, fold_case,
};
use crate::store::{Catalogue, StoreError, UPSERTS_MAX};

impl<C: DerefMut<Target = Connection>> Catalogue for SqliteStore<C> {
    fn upsert_manga(&mut self, facts: &[MangaFacts], now: UnixMillis) -> Result<usize, StoreError> {
        upsert(self.writable()?, facts, now)
    }

    fn index_manga(&mut self, after: MangaId) -> Result<Option<MangaId>, StoreError> {
        search::index_next(self.writable()?, after)
    }

    fn manga(&mut self, id: MangaId) -> Result<Manga, StoreError> {
        by_id(&self.conn, id)
    }

    fn manga_after(&mut self, id: MangaId, limit: u32) -> Result<Vec<Manga>, StoreError> {
        after(&self.conn, id, limit)
    }

    fn search_manga(&mut self, query: &MangaQuery) -> Result<Page<Manga>, StoreError> {
        if !self.conn.is_autocommit() {
            // In a transaction that may be undone, a version does not stand for one catalogue.
            self.orders = search::Orders::default();
        }
        let orders = &mut self.orders;
        in_one_snapshot(&mut self.conn, |conn| search::page(conn, orders, query))
    }

    fn create_manga(&mut self, facts: &MangaFacts, now: UnixMillis) -> Result<Manga, StoreError> {
        curation::create(self.writable()?, facts, now)
    }

    fn change_manga(&mut self, id: MangaId, facts: &[Fact], now: UnixMillis) -> Result<Manga, StoreError> {
        curation::change(self.writable()?, id, facts, now)
    }

    fn delete_manga(&mut self, id: MangaId, now: UnixMillis) -> Result<(), StoreError> {
        curation::delete(self.writable()?, id, now)
    }

    fn last_manga_event(&mut self) -> Result<i64, StoreError> {
        curation::last_event(&self.conn)
    }

    fn manga_events(&mut self, after: i64, limit: u32) -> Result<Vec<MangaEvent>, StoreError> {
        curation::events(&self.conn, after, limit)
    }

    fn genres(&mut self) -> Result<Vec<Genre>, StoreError> {
        genres::all(&self.conn)
    }

    fn create_genre(&mut self, name: &str) -> Result<Genre, StoreError> {
        genres::create(self.writable()?, name)
    }
}

pub(super) fn upsert(conn: &Connection, facts: &[MangaFacts], now: UnixMillis) -> Result<usize, StoreError> {
    if facts.len() > UPSERTS_MAX {
        return Err(StoreError::TooMuch);
    }
    let mut written = 0;
    for facts in facts {
        written += usize::from(upsert_one(conn, facts, now)?);
    }
    Ok(written)
}

/// Whether a row was written: unchanged facts are not, and neither is what an administrator touched.
/// Their series may bear another slug by now, or be gone, or have taken this slug.
fn upsert_one(conn: &Connection, facts: &MangaFacts, now: UnixMillis) -> Result<bool, StoreError> {
    let sql = concat!(
        "SELECT ",
        manga_columns!(),
        ", edited_at IS NOT NULL OR deleted_at IS NOT NULL FROM manga WHERE loaded_slug = ?1"
    );
    let stored = conn
        .prepare_cached(sql)?
        .query_row([&facts.slug], |row| Ok((manga_at(row, 0)?, row.get::<_, bool>(MANGA_COLUMNS)?)))
        .optional()?;
    let id = match stored {
        Some((_, true)) => return Ok(false),
        Some((stored, false)) if is_same(facts, &stored.facts) => return Ok(false),
        Some((stored, false)) => Some(stored.id),
        None if slug_is_taken(conn, &facts.slug)? => return Ok(false),
        None => None,
    };
    put(conn, id, facts, By::File, now)?;
    Ok(true)
}

fn is_same(facts: &MangaFacts, stored: &MangaFacts) -> bool {
    MangaFacts { genres: genre_names(facts), ..facts.clone() } == *stored
}

fn slug_is_taken(conn: &Connection, slug: &str) -> Result<bool, StoreError> {
    Ok(conn.prepare_cached("SELECT 1 FROM manga WHERE slug = ?1")?.exists([slug])?)
}

/// Whose word facts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// The catalogue file's.
    File,
    /// An administrator's: from then on the file leaves the series alone.
    Administrator,
}

/// Writes all facts of a series, and its entry in the index. Without a key it is a new one.
pub(super) fn put(
    conn: &Connection,
    id: Option<MangaId>,
    facts: &MangaFacts,
    by: By,
    now: UnixMillis,
) -> Result<MangaId, StoreError> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO manga (id, slug, title, title_english, title_romanised, title_native, alternative_titles,
                            author, artist, demographic, status, year, chapters_total_thousandths, volumes_total,
                            latest_chapter_thousandths, cover_url, description, created_at, updated_at, edited_at,
                            loaded_slug, search_version)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?18,
                 iif(?19, ?18, NULL), iif(?19, NULL, ?2), ?20)
         ON CONFLICT (id) DO UPDATE SET
             slug = excluded.slug,
             title = excluded.title,
             title_english = excluded.title_english,
             title_romanised = excluded.title_romanised,
             title_native = excluded.title_native,
             alternative_titles = excluded.alternative_titles,
             author = excluded.author,
             artist = excluded.artist,
             demographic = excluded.demographic,
             status = excluded.status,
             year = excluded.year,
             chapters_total_thousandths = excluded.chapters_total_thousandths,
             volumes_total = excluded.volumes_total,
             latest_chapter_thousandths = excluded.latest_chapter_thousandths,
             cover_url = excluded.cover_url,
             description = excluded.description,
             updated_at = max(updated_at, excluded.updated_at),
             edited_at = coalesce(excluded.edited_at, edited_at),
             search_version = excluded.search_version",
    )?;
    statement.execute(params![
        id,
        facts.slug,
        facts.title,
        facts.title_english,
        facts.title_romanised,
        facts.title_native,
        json_of(&facts.alternative_titles),
        facts.author,
        facts.artist,
        facts.demographic.map(Demographic::as_str),
        facts.status.as_str(),
        facts.year,
        facts.chapters_total.map(Chapter::thousandths),
        facts.volumes_total,
        facts.latest_chapter.map(Chapter::thousandths),
        facts.cover_url,
        facts.description,
        now,
        by == By::Administrator,
        search::VERSION
    ])?;
    let id = id.unwrap_or_else(|| conn.last_insert_rowid());
    write_genres(conn, id, &genre_names(facts))?;
    search::index(conn, id, facts)?;
    Ok(id)
}

fn write_genres(conn: &Connection, id: MangaId, genres: &[String]) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM manga_genres WHERE manga_id = ?1")?.execute([id])?;
    for (position, name) in genres.iter().enumerate() {
        conn.prepare_cached("INSERT INTO genres (name) VALUES (?1) ON CONFLICT DO NOTHING")?.execute([name])?;
        conn.prepare_cached(
            "INSERT INTO manga_genres (manga_id, position, genre_id)
             SELECT ?1, ?2, id FROM genres WHERE name = ?3",
        )?
        .execute(params![id, position as i64, name])?;
    }
    Ok(())
}

pub(super) fn by_id(conn: &Connection, id: MangaId) -> Result<Manga, StoreError> {
    let sql = concat!("SELECT ", manga_columns!(), " FROM manga WHERE id = ?1 AND deleted_at IS NULL");
    Ok(conn.prepare_cached(sql)?.query_row([id], |row| manga_at(row, 0))?)
}

pub(super) fn after(conn: &Connection, after: MangaId, limit: u32) -> Result<Vec<Manga>, StoreError> {
    let sql =
        concat!("SELECT ", manga_columns!(), " FROM manga WHERE id > ?1 AND deleted_at IS NULL ORDER BY id LIMIT ?2");
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([after, limit.into()], |row| manga_at(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The next series after a key whose entry in the search index is not of this version.
pub(super) fn facts_to_index(
    conn: &Connection,
    after: MangaId,
    version: i64,
    most: usize,
) -> Result<Vec<(MangaId, MangaFacts)>, StoreError> {
    let mut statement = conn.prepare_cached(concat!(
        "SELECT ",
        manga_columns!(),
        " FROM manga WHERE id > ?1 AND search_version <> ?2 AND deleted_at IS NULL ORDER BY id LIMIT ?3"
    ))?;
    let rows = statement.query_map(params![after, version, most as i64], |row| {
        let manga = manga_at(row, 0)?;
        Ok((manga.id, manga.facts))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// `NotFound` when there is no such series, or no longer. For verbs that found nothing and must say why.
pub(super) fn must_exist(conn: &Connection, id: MangaId) -> Result<(), StoreError> {
    Ok(conn.prepare_cached("SELECT 1 FROM manga WHERE id = ?1 AND deleted_at IS NULL")?.query_row([id], |_| Ok(()))?)
}

/// LIMIT and OFFSET of a window; to SQLite, -1 is no limit.
pub(super) fn bounds(window: Window) -> (i64, i64) {
    (window.limit.map_or(-1, i64::from), window.offset.into())
}

/// The series in a row whose columns from `first` on are [`manga_columns`].
pub(super) fn manga_at(row: &Row<'_>, first: usize) -> Result<Manga, rusqlite::Error> {
    let facts = MangaFacts {
        slug: row.get(first + 1)?,
        title: row.get(first + 2)?,
        title_english: row.get(first + 3)?,
        title_romanised: row.get(first + 4)?,
        title_native: row.get(first + 5)?,
        alternative_titles: strings(row, first + 6)?,
        author: row.get(first + 7)?,
        artist: row.get(first + 8)?,
        genres: strings(row, first + 9)?,
        demographic: word(row, first + 10, Demographic::parse)?,
        status: word(row, first + 11, Publication::parse)?.ok_or_else(|| unknown_word(first + 11, "NULL"))?,
        year: row.get(first + 12)?,
        chapters_total: chapter(row, first + 13)?,
        volumes_total: row.get(first + 14)?,
        latest_chapter: chapter(row, first + 15)?,
        description: row.get(first + 16)?,
        cover_url: row.get(first + 17)?,
    };
    let standing = Standing {
        readers: row.get(first + 20)?,
        rating_sum: row.get(first + 21)?,
        rating_count: row.get(first + 22)?,
    };
    let (created_at, updated_at) = (row.get(first + 18)?, row.get(first + 19)?);
    Ok(Manga { id: row.get(first)?, facts, created_at, updated_at, standing })
}

/// The columns that [`manga_at`] reads, in its order.
macro_rules! manga_columns {
    () => {
        "manga.id, slug, title, title_english, title_romanised, title_native, alternative_titles, author, artist,
         (SELECT json_group_array(name ORDER BY position)
          FROM manga_genres JOIN genres ON genres.id = genre_id WHERE manga_genres.manga_id = manga.id),
         demographic, manga.status, year, chapters_total_thousandths, volumes_total, latest_chapter_thousandths,
         description, cover_url, manga.created_at, manga.updated_at, readers, rating_sum, rating_count"
    };
}
pub(super) use manga_columns;

/// How many columns [`manga_columns`] names.
const MANGA_COLUMNS: usize = 23;

/// A word column, parsed; `None` for NULL.
pub(super) fn word<T>(
    row: &Row<'_>,
    column: usize,
    parse: fn(&str) -> Option<T>,
) -> Result<Option<T>, rusqlite::Error> {
    let Some(word) = row.get_ref(column)?.as_str_or_null()? else { return Ok(None) };
    parse(word).map(Some).ok_or_else(|| unknown_word(column, word))
}

/// A column of thousandths; `None` for NULL.
pub(super) fn chapter(row: &Row<'_>, column: usize) -> Result<Option<Chapter>, rusqlite::Error> {
    let Some(thousandths) = row.get::<_, Option<i64>>(column)? else { return Ok(None) };
    let chapter = Chapter::from_thousandths(thousandths);
    chapter.map(Some).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, thousandths))
}

/// A column with a JSON array of strings.
fn strings(row: &Row<'_>, column: usize) -> Result<Vec<String>, rusqlite::Error> {
    let json = row.get_ref(column)?.as_str()?;
    serde_json::from_str(json).map_err(|_| unknown_word(column, json))
}

fn json_of(strings: &[String]) -> String {
    serde_json::Value::from(strings).to_string()
}

/// The names under which the genres are kept: without case, each once, in the order given.
pub(super) fn genre_names(facts: &MangaFacts) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(facts.genres.len());
    for name in facts.genres.iter().map(|name| fold_case(name)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
