//! Progress and libraries. Each change also appends to `history`.
//!
//! The rules of a change (when reading began, what counts as read again) stand in one statement,
//! [`apply`], so that no two changes of a row can ever interleave. `schema.sql` says what each
//! column means.

use std::ops::DerefMut;

use rusqlite::{Connection, Row, params};

use super::error::unknown_word;
use super::history::{self, Link};
use super::manga::{bounds, chapter, manga_at, manga_columns, word};
use super::opinions::rate;
use super::users::{found, must_exist as user_must_exist};
use super::{SqliteStore, in_one_snapshot};
use crate::store::model::{
    Behind, Chapter, HistoryEntry, Manga, MangaId, Needs, Page, Progress, ProgressChange, ReadingStatus, Stored,
    UserId, Window,
};
use crate::store::{Reading, StoreError};

impl<C: DerefMut<Target = Connection>> Reading for SqliteStore<C> {
    fn add_to_library(&mut self, change: &ProgressChange) -> Result<Stored, StoreError> {
        add_to_library(self.writable()?, change)
    }

    fn remove_from_library(&mut self, user: &UserId, manga: MangaId) -> Result<(), StoreError> {
        remove_from_library(self.writable()?, user, manga)
    }

    fn library(
        &mut self,
        user: &UserId,
        status: Option<ReadingStatus>,
        window: Window,
    ) -> Result<Page<(Progress, Manga)>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| library(conn, user, status, window))
    }

    fn update_progress(&mut self, change: &ProgressChange) -> Result<Stored, StoreError> {
        update(self.writable()?, change)
    }

    fn progress(&mut self, user: &UserId, manga: MangaId) -> Result<Progress, StoreError> {
        one(&self.conn, user, manga)
    }

    fn progress_page(
        &mut self,
        user: &UserId,
        status: Option<ReadingStatus>,
        window: Window,
    ) -> Result<Page<Progress>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| page(conn, user, status, window))
    }

    fn delete_progress(&mut self, user: &UserId, manga: MangaId) -> Result<(), StoreError> {
        delete(self.writable()?, user, manga)
    }

    fn history(
        &mut self,
        user: &UserId,
        manga: Option<MangaId>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| history::read(conn, user, manga, before, limit))
    }
}

pub(super) fn update(conn: &Connection, change: &ProgressChange) -> Result<Stored, StoreError> {
    must_exist(conn, change)?;
    store(conn, change, change.chapter, false)
}

pub(super) fn add_to_library(conn: &Connection, change: &ProgressChange) -> Result<Stored, StoreError> {
    let chapter = change.chapter.filter(|&chapter| chapter != Chapter::default());
    store(conn, change, chapter, true)
}

/// The row, its history line and its rating: all of a change, in this order, because the row already
/// names the line.
fn store(
    conn: &Connection,
    change: &ProgressChange,
    chapter: Option<Chapter>,
    into_library: bool,
) -> Result<Stored, StoreError> {
    let (mut progress, link) = apply(conn, change, chapter, into_library)?;
    history::append(conn, change, &progress, &link)?;
    if let Some(rating) = change.rating {
        rate(conn, &change.user_id, change.manga_id, rating, change.received_at)?;
        progress.rating = change.rating;
    }
    Ok(Stored { progress, seq: link.seq, is_first: link.previous_seq.is_none() })
}

/// Inserts or changes the row and returns it as it now is, with the place of the history line that
/// must follow. In the second half an unqualified column is the value before the change. No row is
/// changed when it was to be put into the library and is there already, or when the change is behind
/// and was to be refused then.
///
/// The line's number is the one after the last ever given, which SQLite keeps in `sqlite_sequence`: so
/// the row can name a line that is not yet written, and is itself written only once.
fn apply(
    conn: &Connection,
    change: &ProgressChange,
    chapter: Option<Chapter>,
    into_library: bool,
) -> Result<(Progress, Link), StoreError> {
    let mut statement = conn.prepare_cached(APPLY)?;
    let changed = statement.execute(params![
        change.user_id.as_str(),
        change.manga_id,
        into_library,
        change.status.map(ReadingStatus::as_str),
        chapter.map(Chapter::thousandths),
        change.volume,
        change.page,
        change.private,
        change.note,
        change.received_at,
        change.behind == Behind::KeepPlace,
        change.behind == Behind::Refuse,
        change.status.is_some_and(ReadingStatus::has_begun)
    ])?;
    let (row, link) = applied(conn, &change.user_id, change.manga_id)?;
    match changed {
        0 if into_library && row.in_library => Err(StoreError::Conflict),
        0 => Err(StoreError::Behind),
        _ => Ok((row, link)),
    }
}

/// Whether a change's chapter is behind that of the row, and it does not begin again. Never NULL: a
/// change without a chapter is not behind, one without a status does not begin again.
macro_rules! behind {
    () => {
        "(coalesce(?5, chapter_thousandths) < chapter_thousandths
          AND NOT (coalesce(?4, status) IN ('re_reading', 'plan_to_read') AND coalesce(?4, status) <> status))"
    };
}

/// ?1 user, ?2 series, ?3 into the library, ?4 status, ?5 chapter, ?6 volume, ?7 page, ?8 private,
/// ?9 note, ?10 now, ?11 keep the place if it is behind, ?12 refuse it then, ?13 the status is one of
/// who has begun to read.
///
/// No `IN` with more than two words: SQLite would build a table in memory for it, each time.
pub(super) const APPLY: &str = concat!(
    "INSERT INTO progress (user_id, manga_id, in_library, status, chapter_thousandths, volume, page, rereads,
                           started_at, completed_at, private, note, updated_at, history_seq, added_at)
     VALUES (?1, ?2, ?3, coalesce(?4, iif(?3, 'plan_to_read', 'reading')), coalesce(?5, 0), ?6, ?7, 0,
             CASE WHEN ?13 OR ?4 IS NULL AND NOT ?3 OR ?5 > 0 THEN ?10 END,
             CASE WHEN ?4 = 'completed' THEN ?10 END,
             coalesce(?8, 0), nullif(?9, ''), ?10,
             1 + coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'history'), 0),
             CASE WHEN ?3 THEN ?10 END)
     ON CONFLICT (user_id, manga_id) DO UPDATE SET
         in_library = max(in_library, ?3),
         status = coalesce(?4, status),
         chapter_thousandths = iif(?11 AND ",
    behind!(),
    ", chapter_thousandths, coalesce(?5, chapter_thousandths)),
         volume = iif(?11 AND ",
    behind!(),
    ", volume, coalesce(?6, volume)),
         page = iif(?11 AND ",
    behind!(),
    ", page, coalesce(?7, page)),
         rereads = rereads + (status = 're_reading' AND ?4 IS 'completed'),
         started_at = coalesce(started_at,
             CASE WHEN ?13 OR ?4 IS NULL AND (status = 'reading' OR status = 're_reading' OR status = 'completed')
                       OR ?5 > 0 THEN ?10 END),
         completed_at = CASE coalesce(?4, status)
             WHEN 'completed' THEN iif(status = 'completed', completed_at, ?10)
             WHEN 'reading' THEN NULL
             WHEN 'plan_to_read' THEN NULL
             ELSE completed_at END,
         private = coalesce(?8, private),
         note = iif(?9 IS NULL, note, nullif(?9, '')),
         updated_at = max(updated_at, ?10),
         history_seq = excluded.history_seq,
         previous_seq = history_seq,
         added_at = iif(?3, ?10, added_at)
     WHERE NOT (?3 AND in_library) AND NOT (?12 AND ",
    behind!(),
    ")"
);

/// The row as it now is, and the place of its history line. `NotFound` for a series that was deleted:
/// nobody begins to read it, and who did is not told any more. That is looked up here, where a statement
/// runs anyway, instead of by one more for each update.
///
/// A second look at a page that is at hand anyway. RETURNING would save it, but SQLite then builds a
/// temporary table for each statement, with a page cache of its own: no faster, and where the allocator
/// gives that memory back to the system each time, several times slower.
fn applied(conn: &Connection, user: &UserId, manga: MangaId) -> Result<(Progress, Link), StoreError> {
    let mut statement = conn.prepare_cached(concat!(
        "SELECT ",
        progress_columns!(),
        ", history_seq, previous_seq, (SELECT deleted_at IS NULL FROM manga WHERE id = ?2)
         FROM progress WHERE user_id = ?1 AND manga_id = ?2"
    ))?;
    let (row, link, there) = statement.query_row(params![user.as_str(), manga], |row| {
        Ok((
            progress_at(row, user)?,
            link_at(row, PROGRESS_COLUMNS)?,
            row.get::<_, Option<bool>>(PROGRESS_COLUMNS + 2)?,
        ))
    })?;
    // One that never was is left to the foreign key.
    if there == Some(false) { Err(StoreError::NotFound) } else { Ok((row, link)) }
}

/// `NotFound` when what the change needs is not there.
fn must_exist(conn: &Connection, change: &ProgressChange) -> Result<(), StoreError> {
    let in_library = match change.needs {
        Needs::Nothing => return Ok(()),
        Needs::Row => false,
        Needs::LibraryEntry => true,
    };
    let mut statement =
        conn.prepare_cached("SELECT 1 FROM progress WHERE user_id = ?1 AND manga_id = ?2 AND in_library >= ?3")?;
    Ok(statement.query_row(params![change.user_id.as_str(), change.manga_id, in_library], |_| Ok(()))?)
}

pub(super) fn one(conn: &Connection, user: &UserId, manga: MangaId) -> Result<Progress, StoreError> {
    let sql = concat!("SELECT ", progress_columns!(), " FROM progress WHERE user_id = ?1 AND manga_id = ?2");
    let mut statement = conn.prepare_cached(sql)?;
    Ok(statement.query_row(params![user.as_str(), manga], |row| progress_at(row, user))?)
}

pub(super) fn page(
    conn: &Connection,
    user: &UserId,
    status: Option<ReadingStatus>,
    window: Window,
) -> Result<Page<Progress>, StoreError> {
    let status = status.map(ReadingStatus::as_str);
    let total = count(conn, user, status, false)?;
    let (limit, offset) = bounds(window);
    let mut statement = conn.prepare_cached(concat!(
        "SELECT ",
        progress_columns!(),
        " FROM progress WHERE user_id = ?1 AND (?2 IS NULL OR status = ?2)
         ORDER BY updated_at DESC, history_seq DESC LIMIT ?3 OFFSET ?4"
    ))?;
    let rows = statement.query_map(params![user.as_str(), status, limit, offset], |row| progress_at(row, user))?;
    Ok(Page { items: rows.collect::<Result<_, _>>()?, total })
}

fn remove_from_library(conn: &Connection, user: &UserId, manga: MangaId) -> Result<(), StoreError> {
    let removed = conn
        .prepare_cached(
            "UPDATE progress SET in_library = 0, added_at = NULL WHERE user_id = ?1 AND manga_id = ?2 AND in_library",
        )?
        .execute(params![user.as_str(), manga])?;
    found(removed)
}

pub(super) fn library(
    conn: &Connection,
    user: &UserId,
    status: Option<ReadingStatus>,
    window: Window,
) -> Result<Page<(Progress, Manga)>, StoreError> {
    let status = status.map(ReadingStatus::as_str);
    let total = count(conn, user, status, true)?;
    let (limit, offset) = bounds(window);
    let mut statement = conn.prepare_cached(concat!(
        "SELECT ",
        progress_columns!(),
        ", ",
        manga_columns!(),
        " FROM progress JOIN manga ON manga.id = progress.manga_id
         WHERE user_id = ?1 AND in_library AND deleted_at IS NULL AND (?2 IS NULL OR progress.status = ?2)
         ORDER BY progress.updated_at DESC, progress.history_seq DESC LIMIT ?3 OFFSET ?4"
    ))?;
    let rows = statement.query_map(params![user.as_str(), status, limit, offset], |row| {
        Ok((progress_at(row, user)?, manga_at(row, PROGRESS_COLUMNS)?))
    })?;
    Ok(Page { items: rows.collect::<Result<_, _>>()?, total })
}

/// How many rows a user's list has. Only where there are none is the user looked for.
fn count(conn: &Connection, user: &UserId, status: Option<&str>, in_library: bool) -> Result<u64, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT count(*) FROM progress JOIN manga ON manga.id = manga_id
         WHERE user_id = ?1 AND (?2 IS NULL OR progress.status = ?2)
           AND (NOT ?3 OR in_library AND deleted_at IS NULL)",
    )?;
    let total: i64 = statement.query_row(params![user.as_str(), status, in_library], |row| row.get(0))?;
    if total == 0 {
        user_must_exist(conn, user)?;
    }
    Ok(total.unsigned_abs())
}

/// Deletes the row, and keeps hold of its history.
pub(super) fn delete(conn: &Connection, user: &UserId, manga: MangaId) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO forgotten_progress (user_id, manga_id, history_seq)
         SELECT user_id, manga_id, history_seq FROM progress WHERE user_id = ?1 AND manga_id = ?2",
    )?
    .execute(params![user.as_str(), manga])?;
    let deleted = conn
        .prepare_cached("DELETE FROM progress WHERE user_id = ?1 AND manga_id = ?2")?
        .execute(params![user.as_str(), manga])?;
    found(deleted)
}

/// The columns that [`progress_at`] reads, in its order. The user is not among them: whoever asks
/// knows.
macro_rules! progress_columns {
    () => {
        "progress.manga_id, in_library, progress.status, chapter_thousandths, volume, page, rereads, started_at,
         completed_at, private, note,
         (SELECT rating FROM ratings
          WHERE ratings.user_id = progress.user_id AND ratings.manga_id = progress.manga_id),
         progress.updated_at, added_at"
    };
}
pub(super) use progress_columns;

/// How many columns [`progress_columns`] names.
const PROGRESS_COLUMNS: usize = 14;

/// The progress in a row that begins with [`progress_columns`].
pub(super) fn progress_at(row: &Row<'_>, user: &UserId) -> Result<Progress, rusqlite::Error> {
    Ok(Progress {
        user_id: user.clone(),
        manga_id: row.get(0)?,
        in_library: row.get(1)?,
        status: status(row, 2)?,
        chapter: chapter(row, 3)?.unwrap_or_default(),
        volume: row.get(4)?,
        page: row.get(5)?,
        rereads: row.get(6)?,
        started_at: row.get(7)?,
        completed_at: row.get(8)?,
        private: row.get(9)?,
        note: row.get(10)?,
        rating: row.get(11)?,
        updated_at: row.get(12)?,
        added_at: row.get(13)?,
    })
}

fn link_at(row: &Row<'_>, first: usize) -> Result<Link, rusqlite::Error> {
    Ok(Link { seq: row.get(first)?, previous_seq: row.get(first + 1)? })
}

/// A column with the word of a reading status.
pub(super) fn status(row: &Row<'_>, column: usize) -> Result<ReadingStatus, rusqlite::Error> {
    word(row, column, ReadingStatus::parse)?.ok_or_else(|| unknown_word(column, "NULL"))
}
