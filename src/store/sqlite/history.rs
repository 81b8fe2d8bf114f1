//! The history of all changes of progress: written as chains, read by walking along them.
//!
//! A row goes to the end of the table, next to everybody's new rows, and points to the row before it
//! of the same user and series. `progress` points to the newest row of each chain, and
//! `forgotten_progress` to the newest of those whose progress row was deleted. There is no index by
//! user; `schema.sql` says what it would cost.
//!
//! What the chains cost is paid here, by the reader: to find the page before some row, it walks over
//! everything newer, about a microsecond a row. Somebody who pages through a million rows of their own
//! feels it; then is the time for a second link in each row that skips far ahead.
//!
//! Two things must hold. A number is never given twice, or a chain could lead to a stranger's row;
//! AUTOINCREMENT sees to it. And a link leads to an older row, or a walk would not end; a CHECK does.

use std::collections::BinaryHeap;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};

use super::manga::{chapter, must_exist as manga_must_exist};
use super::progress::status;
use super::users::must_exist as user_must_exist;
use crate::store::StoreError;
use crate::store::model::{HistoryEntry, MangaId, Progress, ProgressChange, UserId};

/// A row's place in its chain.
pub(super) struct Link {
    /// Its number.
    pub(super) seq: i64,
    /// The row before it, of the same user and series; `None` for the first.
    pub(super) previous_seq: Option<i64>,
}

/// Writes the row of a change: how the progress stands `now`, after it.
pub(super) fn append(
    conn: &Connection,
    change: &ProgressChange,
    now: &Progress,
    link: &Link,
) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO history (seq, user_id, manga_id, chapter_thousandths, volume, page, status, device, read_at,
                              recorded_at, previous_seq)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        link.seq,
        now.user_id.as_str(),
        now.manga_id,
        now.chapter.thousandths(),
        now.volume,
        now.page,
        now.status.as_str(),
        change.device,
        change.read_at,
        change.received_at,
        link.previous_seq
    ])?;
    Ok(())
}

/// The newest rows before `before`: each chain is wound back to there, then the chains are merged.
///
/// The heap holds the next row of each chain. A number names its row and its place in time, so
/// numbers are all it needs.
pub(super) fn read(
    conn: &Connection,
    user: &UserId,
    manga: Option<MangaId>,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<HistoryEntry>, StoreError> {
    let mut next = BinaryHeap::from(chains(conn, user, manga)?);
    if let Some(before) = before {
        next = wind_back(conn, user, next.into_vec(), before)?;
    }
    let entries = merge(conn, user, next, limit)?;
    if entries.is_empty() {
        user_must_exist(conn, user)?;
        manga.map_or(Ok(()), |manga| manga_must_exist(conn, manga))?;
    }
    Ok(entries)
}

/// The newest row of each of a user's chains, those of deleted progress included.
fn chains(conn: &Connection, user: &UserId, manga: Option<MangaId>) -> Result<Vec<i64>, StoreError> {
    // A range of series, because one and all are then the same statement, and the key serves both.
    let (first, last) = manga.map_or((i64::MIN, i64::MAX), |manga| (manga, manga));
    let mut statement = conn.prepare_cached(
        "SELECT history_seq FROM progress WHERE user_id = ?1 AND manga_id BETWEEN ?2 AND ?3
         UNION ALL
         SELECT history_seq FROM forgotten_progress WHERE user_id = ?1 AND manga_id BETWEEN ?2 AND ?3",
    )?;
    let rows = statement.query_map(params![user.as_str(), first, last], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// For each chain its newest row before `before`, where it has one.
fn wind_back(conn: &Connection, user: &UserId, chains: Vec<i64>, before: i64) -> Result<BinaryHeap<i64>, StoreError> {
    let mut link = conn.prepare_cached("SELECT previous_seq FROM history WHERE seq = ?1 AND user_id = ?2")?;
    let mut older = BinaryHeap::with_capacity(chains.len());
    for newest in chains {
        let mut place = Some(newest);
        while let Some(seq) = place.filter(|&seq| seq >= before) {
            place = link.query_row(params![seq, user.as_str()], |row| row.get(0)).optional()?.flatten();
        }
        older.extend(place);
    }
    Ok(older)
}

/// The newest rows of several chains, at most `limit`. Where a chain leads to a row that is no longer
/// there, it ends.
fn merge(
    conn: &Connection,
    user: &UserId,
    mut next: BinaryHeap<i64>,
    limit: u32,
) -> Result<Vec<HistoryEntry>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, manga_id, chapter_thousandths, volume, page, status, device, read_at, recorded_at, previous_seq
         FROM history WHERE seq = ?1 AND user_id = ?2",
    )?;
    let mut entries = Vec::new();
    while entries.len() < limit as usize {
        let Some(seq) = next.pop() else { break };
        let Some((entry, previous_seq)) = entry_and_link(&mut statement, seq, user)? else { continue };
        next.extend(previous_seq);
        entries.push(entry);
    }
    Ok(entries)
}

/// A row and where its chain goes on. Asked for with its user, so that nobody is ever shown a row of
/// somebody else, even if a file was damaged.
fn entry_and_link(
    statement: &mut CachedStatement<'_>,
    seq: i64,
    user: &UserId,
) -> Result<Option<(HistoryEntry, Option<i64>)>, rusqlite::Error> {
    statement.query_row(params![seq, user.as_str()], |row| Ok((entry_of(row)?, row.get(9)?))).optional()
}

fn entry_of(row: &Row<'_>) -> Result<HistoryEntry, rusqlite::Error> {
    Ok(HistoryEntry {
        seq: row.get(0)?,
        manga_id: row.get(1)?,
        chapter: chapter(row, 2)?.unwrap_or_default(),
        volume: row.get(3)?,
        page: row.get(4)?,
        status: status(row, 5)?,
        device: row.get(6)?,
        read_at: row.get(7)?,
        recorded_at: row.get(8)?,
    })
}
