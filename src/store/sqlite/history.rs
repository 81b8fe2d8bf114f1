//! The history of all changes of progress: written as chains, read by walking along them.
//!
//! A row goes to the end of the table, next to everybody's new rows, and points to the row before it
//! of the same user and series. `progress` points to the newest row of each chain, and
//! `forgotten_progress` to the newest of those whose progress row was deleted. There is no index by
//! user; `schema.sql` says what it would cost.
//!
//! What the chains cost is paid here, by the reader: to find the page before some row, it walks over
//! everything newer, half a microsecond a row. Somebody who pages through a million rows of their own
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
    conn.prepare_cached(APPEND)?.execute(params![
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

/// A row, with every column given.
const APPEND: &str =
    "INSERT INTO history (seq, user_id, manga_id, chapter_thousandths, volume, page, status, device, read_at,
                          recorded_at, previous_seq)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

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
pub(super) fn chains(conn: &Connection, user: &UserId, manga: Option<MangaId>) -> Result<Vec<i64>, StoreError> {
    let (first, last) = manga.map_or((i64::MIN, i64::MAX), |manga| (manga, manga));
    let mut statement = conn.prepare_cached(CHAINS)?;
    let rows = statement.query_map(params![user.as_str(), first, last], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// For each chain its newest row before `before`, where it has one.
fn wind_back(conn: &Connection, user: &UserId, chains: Vec<i64>, before: i64) -> Result<BinaryHeap<i64>, StoreError> {
    let mut link = conn.prepare_cached(LINK)?;
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
    let mut statement = conn.prepare_cached(ENTRY)?;
    let mut entries = Vec::new();
    while entries.len() < limit as usize {
        let Some(seq) = next.pop() else { break };
        let Some((entry, previous_seq)) = entry_and_link(&mut statement, seq, user)? else { continue };
        next.extend(previous_seq);
        entries.push(entry);
    }
    Ok(entries)
}

/// A row and where its chain goes on; `None` when it is no longer there.
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

/// ?1 user, ?2 and ?3 the first and last series. A range, because one series and all of them are then
/// the same statement, and the primary key serves both.
const CHAINS: &str = "SELECT history_seq FROM progress WHERE user_id = ?1 AND manga_id BETWEEN ?2 AND ?3
    UNION ALL
    SELECT history_seq FROM forgotten_progress WHERE user_id = ?1 AND manga_id BETWEEN ?2 AND ?3";

/// ?1 number, ?2 user.
const LINK: &str = "SELECT previous_seq FROM history WHERE seq = ?1 AND user_id = ?2";

/// ?1 number, ?2 user. The user is asked for as well, so that nobody is ever shown a row of somebody
/// else, even if a file was damaged.
const ENTRY: &str =
    "SELECT seq, manga_id, chapter_thousandths, volume, page, status, device, read_at, recorded_at, previous_seq
    FROM history WHERE seq = ?1 AND user_id = ?2";

#[cfg(test)]
mod tests {
    use super::super::{fresh, progress};
    use super::*;

    /// Two users and three series, with nothing read yet.
    fn database() -> (tempfile::TempDir, Connection) {
        let (folder, conn) = fresh();
        conn.execute_batch(
            "INSERT INTO users VALUES ('ann', 'ann', 'ann', 'x', 'user', 0, 0), ('bob', 'bob', 'bob', 'x', 'user', 0, 0);
             INSERT INTO manga (id, slug, title, alternative_titles, status,
                                created_at, updated_at, description)
             SELECT value, value, 'A', '[]', 'ongoing', 0, 0, '' FROM json_each('[1, 2, 3]');",
        )
        .unwrap();
        (folder, conn)
    }

    fn ann() -> UserId {
        UserId::parse("ann").unwrap()
    }

    fn update(conn: &Connection, manga_id: MangaId) -> i64 {
        let change = ProgressChange::nothing(ann(), manga_id, 0);
        progress::update(conn, &change).unwrap().seq
    }

    fn seqs(conn: &Connection, manga: Option<MangaId>, before: Option<i64>) -> Vec<i64> {
        read(conn, &ann(), manga, before, 100).unwrap().into_iter().map(|entry| entry.seq).collect()
    }

    /// Shows that each row points to the one before it of the same series, and the first to none.
    #[test]
    fn rows_are_linked() {
        let (_folder, conn) = database();
        for manga in [1, 2, 1, 1, 2] {
            update(&conn, manga);
        }
        let mut statement = conn.prepare("SELECT previous_seq FROM history ORDER BY seq").unwrap();
        let links: Vec<Option<i64>> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(links, [None, None, Some(1), Some(3), Some(2)]);
    }

    /// Shows that when old rows are deleted by age the rest is still read, from any place, and that
    /// when all of them are, new ones get new numbers and are found.
    #[test]
    fn old_rows_may_go() {
        let (_folder, conn) = database();
        for manga in [1, 2, 1, 3, 2, 1] {
            update(&conn, manga);
        }
        conn.execute("DELETE FROM history WHERE seq <= 4", []).unwrap();
        assert_eq!(seqs(&conn, None, None), [6, 5]);
        assert_eq!(seqs(&conn, Some(1), None), [6]);
        assert_eq!(seqs(&conn, Some(3), None), [0; 0]);
        assert_eq!(seqs(&conn, None, Some(6)), [5]);
        assert_eq!(seqs(&conn, None, Some(2)), [0; 0]);
        conn.execute("DELETE FROM history", []).unwrap();
        assert_eq!(seqs(&conn, None, None), [0; 0]);
        assert_eq!([update(&conn, 3), update(&conn, 1)], [7, 8]);
        assert_eq!(seqs(&conn, None, None), [8, 7]);
    }

    /// Shows that a chain that was bent towards a stranger's row shows nothing of theirs, and that one
    /// that was bent into a circle can't be stored.
    #[test]
    fn bent_chains() {
        let (_folder, conn) = database();
        let seq = update(&conn, 1);
        conn.execute_batch(
            "INSERT INTO history VALUES (50, 'bob', 2, 0, NULL, NULL, 'reading', NULL, NULL, 0, NULL);
             UPDATE progress SET history_seq = 50;",
        )
        .unwrap();
        assert_eq!(seqs(&conn, None, None), [0; 0]);
        assert_eq!(seqs(&conn, None, Some(50)), [0; 0]);
        let circle = "INSERT INTO history VALUES (60, 'ann', 1, 0, NULL, NULL, 'reading', NULL, NULL, 0, ?1)";
        assert!(conn.execute(circle, [60]).is_err());
        assert!(conn.execute(circle, [seq]).is_ok());
    }

    /// Shows that nothing a change of progress or a read does scans a table that grows: SQLite says so
    /// of each statement.
    #[test]
    fn nothing_scans() {
        let (_folder, conn) = database();
        update(&conn, 1);
        seqs(&conn, None, Some(1));
        let plan = |sql: &str| -> Vec<String> {
            let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
            let rows = statement.query_map(rusqlite::params_from_iter(nulls), |row| row.get(3)).unwrap();
            rows.map(Result::unwrap).collect()
        };
        for sql in [CHAINS, LINK, ENTRY] {
            let plan = plan(sql);
            assert!(plan.iter().any(|step| step.starts_with("SEARCH")), "{plan:?}");
            assert!(!plan.iter().any(|step| step.starts_with("SCAN")), "{plan:?}");
        }
    }

    /// Shows that an update makes SQLite build no table in memory, as it does for a list of more than two
    /// words, in a rule of the schema too: that had cost a third of it.
    #[test]
    fn an_update_builds_no_table() {
        let (_folder, conn) = database();
        for sql in [super::super::progress::APPLY, APPEND] {
            let mut statement = conn.prepare(&format!("EXPLAIN {sql}")).unwrap();
            let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
            let rows = statement.query_map(rusqlite::params_from_iter(nulls), |row| row.get(1)).unwrap();
            let steps: Vec<String> = rows.map(Result::unwrap).collect();
            assert!(steps.iter().any(|step| step == "Insert"), "{steps:?}");
            assert!(!steps.iter().any(|step| step == "OpenEphemeral"), "{steps:?}");
        }
    }
}
