//! The catalogue: facts in, series out, and the search.
//!
//! A series' genres are rows of their own; here they are joined on and taken apart again. What a
//! search looks into is folded when it is stored ([`fold`]), so SQL compares bytes and needs to know
//! nothing of Unicode.

use std::ops::DerefMut;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::unknown_word;
use super::{SqliteStore, in_one_snapshot};
use crate::store::model::{
    Chapter, Demographic, Manga, MangaFacts, MangaId, MangaQuery, Page, Publication, UnixMillis, Window,
};
use crate::store::{Catalogue, StoreError, UPSERTS_MAX};

impl<C: DerefMut<Target = Connection>> Catalogue for SqliteStore<C> {
    fn upsert_manga(&mut self, facts: &[MangaFacts], now: UnixMillis) -> Result<usize, StoreError> {
        upsert(self.writable()?, facts, now)
    }

    fn manga(&mut self, id: MangaId) -> Result<Manga, StoreError> {
        by_id(&self.conn, id)
    }

    fn manga_after(&mut self, id: MangaId, limit: u32) -> Result<Vec<Manga>, StoreError> {
        after(&self.conn, id, limit)
    }

    fn search_manga(&mut self, query: &MangaQuery) -> Result<Page<Manga>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| search(conn, query))
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

/// Whether a row was written: unchanged facts are not.
fn upsert_one(conn: &Connection, facts: &MangaFacts, now: UnixMillis) -> Result<bool, StoreError> {
    let genres = genre_names(facts);
    let stored = by_slug(conn, &facts.slug).optional()?;
    if stored.is_some_and(|stored| MangaFacts { genres: genres.clone(), ..facts.clone() } == stored.facts) {
        return Ok(false);
    }
    let id = write_facts(conn, facts, now)?;
    write_genres(conn, id, &genres)?;
    Ok(true)
}

fn write_facts(conn: &Connection, facts: &MangaFacts, now: UnixMillis) -> Result<MangaId, StoreError> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO manga (slug, title, title_english, title_romanised, title_native, alternative_titles,
                            author, artist, search_titles, search_people, demographic, status, year,
                            chapters_total_thousandths, volumes_total, latest_chapter_thousandths, cover_url,
                            description, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?19)
         ON CONFLICT (slug) DO UPDATE SET
             title = excluded.title,
             title_english = excluded.title_english,
             title_romanised = excluded.title_romanised,
             title_native = excluded.title_native,
             alternative_titles = excluded.alternative_titles,
             author = excluded.author,
             artist = excluded.artist,
             search_titles = excluded.search_titles,
             search_people = excluded.search_people,
             demographic = excluded.demographic,
             status = excluded.status,
             year = excluded.year,
             chapters_total_thousandths = excluded.chapters_total_thousandths,
             volumes_total = excluded.volumes_total,
             latest_chapter_thousandths = excluded.latest_chapter_thousandths,
             cover_url = excluded.cover_url,
             description = excluded.description,
             updated_at = max(updated_at, excluded.updated_at)",
    )?;
    statement.execute(params![
        facts.slug,
        facts.title,
        facts.title_english,
        facts.title_romanised,
        facts.title_native,
        json_of(&facts.alternative_titles),
        facts.author,
        facts.artist,
        search_titles(facts),
        search_people(facts),
        facts.demographic.map(Demographic::as_str),
        facts.status.as_str(),
        facts.year,
        facts.chapters_total.map(Chapter::thousandths),
        facts.volumes_total,
        facts.latest_chapter.map(Chapter::thousandths),
        facts.cover_url,
        facts.description,
        now
    ])?;
    Ok(conn.prepare_cached("SELECT id FROM manga WHERE slug = ?1")?.query_row([&facts.slug], |row| row.get(0))?)
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
    let sql = concat!("SELECT ", manga_columns!(), " FROM manga WHERE id = ?1");
    Ok(conn.prepare_cached(sql)?.query_row([id], |row| manga_at(row, 0))?)
}

fn by_slug(conn: &Connection, slug: &str) -> Result<Manga, rusqlite::Error> {
    let sql = concat!("SELECT ", manga_columns!(), " FROM manga WHERE slug = ?1");
    conn.prepare_cached(sql)?.query_row([slug], |row| manga_at(row, 0))
}

pub(super) fn after(conn: &Connection, after: MangaId, limit: u32) -> Result<Vec<Manga>, StoreError> {
    let sql = concat!("SELECT ", manga_columns!(), " FROM manga WHERE id > ?1 ORDER BY id LIMIT ?2");
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([after, limit.into()], |row| manga_at(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A scan of the catalogue: 100,000 series take tens of milliseconds. When that is too slow, an FTS5
/// trigram index over the search columns answers the same question.
pub(super) fn search(conn: &Connection, query: &MangaQuery) -> Result<Page<Manga>, StoreError> {
    let title = query.title.as_deref().map(fold);
    let author = query.author.as_deref().map(fold);
    let genre = query.genre.as_deref().map(fold);
    let status = query.status.map(Publication::as_str);
    let (limit, offset) = bounds(query.window);
    let total = conn
        .prepare_cached(concat!("SELECT count(*) FROM manga ", conditions!()))?
        .query_row(params![title, author, genre, status], |row| row.get::<_, i64>(0))?;
    let mut statement = conn.prepare_cached(concat!(
        "SELECT ",
        manga_columns!(),
        " FROM manga ",
        conditions!(),
        " ORDER BY title COLLATE NOCASE, id LIMIT ?5 OFFSET ?6"
    ))?;
    let rows = statement.query_map(params![title, author, genre, status, limit, offset], |row| manga_at(row, 0))?;
    Ok(Page { items: rows.collect::<Result<_, _>>()?, total: total.unsigned_abs() })
}

/// `NotFound` when there is no such series. For verbs that found nothing and must say why.
pub(super) fn must_exist(conn: &Connection, id: MangaId) -> Result<(), StoreError> {
    Ok(conn.prepare_cached("SELECT 1 FROM manga WHERE id = ?1")?.query_row([id], |_| Ok(()))?)
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
    Ok(Manga { id: row.get(first)?, facts, created_at: row.get(first + 18)?, updated_at: row.get(first + 19)? })
}

/// The columns that [`manga_at`] reads, in its order.
macro_rules! manga_columns {
    () => {
        "manga.id, slug, title, title_english, title_romanised, title_native, alternative_titles, author, artist,
         (SELECT json_group_array(name ORDER BY position)
          FROM manga_genres JOIN genres ON genres.id = genre_id WHERE manga_genres.manga_id = manga.id),
         demographic, manga.status, year, chapters_total_thousandths, volumes_total, latest_chapter_thousandths,
         description, cover_url, manga.created_at, manga.updated_at"
    };
}
pub(super) use manga_columns;

/// Which series a search finds: ?1 title, ?2 person, ?3 genre, each folded, ?4 status; NULL is any.
/// `instr` knows no wildcards.
macro_rules! conditions {
    () => {
        "WHERE (?1 IS NULL OR instr(search_titles, ?1) > 0)
           AND (?2 IS NULL OR instr(search_people, ?2) > 0)
           AND (?3 IS NULL OR id IN (SELECT manga_id FROM manga_genres JOIN genres ON genres.id = genre_id
                                     WHERE instr(name, ?3) > 0))
           AND (?4 IS NULL OR status = ?4)"
    };
}
use conditions;

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

/// The names under which the genres are kept: folded, each once, in the order given.
fn genre_names(facts: &MangaFacts) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(facts.genres.len());
    for name in facts.genres.iter().map(|name| fold(name)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn search_titles(facts: &MangaFacts) -> String {
    let known = [&facts.title_english, &facts.title_romanised, &facts.title_native];
    let titles = std::iter::once(&facts.title).chain(known.into_iter().flatten()).chain(&facts.alternative_titles);
    lines(titles)
}

fn search_people(facts: &MangaFacts) -> String {
    lines([&facts.author, &facts.artist].into_iter().flatten())
}

/// Folded and one to a line; since folded text has no line break, no match reaches over two.
fn lines<'a>(texts: impl Iterator<Item = &'a String>) -> String {
    texts.map(|text| fold(text)).collect::<Vec<_>>().join("\n")
}

/// Text with case taken out of it, the same for what is stored and what is looked for.
///
/// Character by character, up and down again: that makes one of `ß` and `SS`, of `ς` and `Σ`.
/// Composed and decomposed accents stay different; both sides come from keyboards, which compose.
fn fold(text: &str) -> String {
    let one_case = text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    one_case.map(|char| if char.is_control() { ' ' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that folding ignores case in scripts that have it and leaves the others alone.
    #[test]
    fn folding() {
        assert_eq!(fold("ONE Piece"), "one piece");
        assert_eq!(fold("ÉÀ Straße ΟΔΟΣ οδος"), "éà strasse οδοσ οδοσ");
        assert_eq!(fold("進撃の巨人 🏴‍☠️"), "進撃の巨人 🏴‍☠️");
        assert_eq!(fold("a\nb\0c"), "a b c");
        assert_eq!(fold(&fold("İstanbul ǅ")), fold("İstanbul ǅ"));
    }
}
