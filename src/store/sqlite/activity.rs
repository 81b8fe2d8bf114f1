//! What a user's friends read: the newest rows of all their chains, merged.
//!
//! History has no index by user; each progress row points to the newest row of its chain (see
//! `history`). A chain whose progress row is private now, or was deleted, is not followed at all, so
//! nothing of it can be shown, whenever it was written.
//!
//! Two bounds hold for one look, whatever friends have ([`Bounds`]). Who reaches one is told that the
//! answer is not complete.

use std::collections::BinaryHeap;

use rusqlite::{CachedStatement, Connection, OptionalExtension, named_params, params};

use super::friends::FRIENDS;
use super::manga::chapter;
use super::progress::status;
use super::users::user_id;
use crate::store::StoreError;
use crate::store::model::{Activity, ActivityEntry, UserId};

/// How much one look may read.
pub(super) struct Bounds {
    /// Progress rows, to find the chains.
    pub(super) heads: i64,
    /// Rows of history, those that are newer than the page among them.
    pub(super) steps: u32,
}

impl Bounds {
    /// A thousand friends with 300 series each, at a quarter of a microsecond a row; and pages that go
    /// back over 20,000 rows, at two microseconds a row: together about a tenth of a second.
    pub(super) const STANDARD: Bounds = Bounds { heads: 300_000, steps: 20_000 };
}

/// A friend: their id and name.
type Person = (UserId, String);

/// The newest rows of friends' chains before `before`, at most `limit`.
pub(super) fn read(
    conn: &Connection,
    user: &UserId,
    before: Option<i64>,
    limit: u32,
    bounds: &Bounds,
) -> Result<Activity, StoreError> {
    let people = people(conn, user)?;
    let (mut next, mut complete) = heads(conn, &people, bounds.heads)?;
    let before = before.unwrap_or(i64::MAX);
    let mut statement = conn.prepare_cached(ENTRY)?;
    let (mut entries, mut steps) = (Vec::new(), 0);
    while entries.len() < limit as usize {
        let Some((seq, whose)) = next.pop() else { break };
        if steps == bounds.steps {
            complete = false;
            break;
        }
        steps += 1;
        let Some((entry, previous)) = entry_and_link(&mut statement, seq, &people[whose])? else { continue };
        next.extend(previous.map(|previous| (previous, whose)));
        entries.extend((seq < before).then_some(entry));
    }
    Ok(Activity { entries, complete })
}

/// The user's friends, those of longest standing first: they are read before the bound is reached.
fn people(conn: &Connection, user: &UserId) -> Result<Vec<Person>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT users.id, username FROM ({FRIENDS}) JOIN users ON users.id = other ORDER BY since, users.id"
    ))?;
    let rows = statement
        .query_map(named_params! {":user": user.as_str()}, |row| Ok((user_id(row, 0)?, row.get::<_, String>(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Where each chain begins that may be shown, with the place of its owner among the people; and whether
/// these are all.
fn heads(conn: &Connection, people: &[Person], most: i64) -> Result<(BinaryHeap<(i64, usize)>, bool), StoreError> {
    let mut statement = conn.prepare_cached("SELECT history_seq, private FROM progress WHERE user_id = ?1 LIMIT ?2")?;
    let (mut heads, mut left) = (Vec::new(), most);
    for (whose, (id, _)) in people.iter().enumerate() {
        let mut rows = statement.query(params![id.as_str(), left + 1])?;
        while let Some(row) = rows.next()? {
            if left == 0 {
                return Ok((heads.into(), false));
            }
            left -= 1;
            let (seq, private): (i64, bool) = (row.get(0)?, row.get(1)?);
            heads.extend((!private).then_some((seq, whose)));
        }
    }
    Ok((heads.into(), true))
}

/// A row and where its chain goes on; `None` when it is no longer there.
fn entry_and_link(
    statement: &mut CachedStatement<'_>,
    seq: i64,
    (id, username): &Person,
) -> Result<Option<(ActivityEntry, Option<i64>)>, rusqlite::Error> {
    let found = statement.query_row(params![seq, id.as_str()], |row| {
        let entry = ActivityEntry {
            seq,
            user_id: id.clone(),
            username: username.clone(),
            manga_id: row.get(0)?,
            chapter: chapter(row, 1)?.unwrap_or_default(),
            status: status(row, 2)?,
            recorded_at: row.get(3)?,
        };
        Ok((entry, row.get(4)?))
    });
    found.optional()
}

/// ?1 number, ?2 user: a chain that was bent towards a stranger's row shows nothing of theirs.
const ENTRY: &str = "SELECT manga_id, chapter_thousandths, status, recorded_at, previous_seq
    FROM history WHERE seq = ?1 AND user_id = ?2";

#[cfg(test)]
mod tests {
    use super::super::fresh;
    use super::*;

    /// Shows what is left out when a bound is reached, and that the answer says so.
    #[test]
    fn one_look_is_bounded() {
        let (_folder, conn) = fresh();
        conn.execute_batch(
            "INSERT INTO users SELECT value, value, value, 'x', 'user', 0, 0 FROM json_each('[\"ann\", \"bob\", \"cay\"]');
             INSERT INTO friendships VALUES ('ann', 'bob', 1, 0, 2), ('ann', 'cay', 1, 0, 1);
             INSERT INTO manga (id, slug, title, alternative_titles, status,
                                created_at, updated_at, description)
             VALUES (1, 'a', 'A', '[]', 'ongoing', 0, 0, '');
             INSERT INTO history (seq, user_id, manga_id, chapter_thousandths, status, recorded_at, previous_seq)
             VALUES (1, 'bob', 1, 1000, 'reading', 0, NULL), (2, 'cay', 1, 1000, 'reading', 0, NULL),
                    (3, 'bob', 1, 2000, 'reading', 0, 1), (4, 'cay', 1, 2000, 'reading', 0, 2);
             INSERT INTO progress VALUES
                 ('bob', 1, 0, 'reading', 0, NULL, NULL, 0, NULL, NULL, 0, NULL, 0, 3, NULL, NULL),
                 ('cay', 1, 0, 'reading', 0, NULL, NULL, 0, NULL, NULL, 0, NULL, 0, 4, NULL, NULL);",
        )
        .unwrap();
        let look = |before, limit, heads, steps| {
            let ann = UserId::parse("ann").unwrap();
            let found = read(&conn, &ann, before, limit, &Bounds { heads, steps }).unwrap();
            (found.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), found.complete)
        };
        assert_eq!(look(None, 9, 2, 4), (vec![4, 3, 2, 1], true));
        assert_eq!(look(None, 3, 2, 3), (vec![4, 3, 2], true), "what was asked for was found");
        assert_eq!(look(None, 9, 2, 3), (vec![4, 3, 2], false));
        assert_eq!(look(Some(3), 9, 2, 3), (vec![2], false));
        assert_eq!(look(None, 9, 1, 9), (vec![4, 2], false), "the older friendship is read first");
    }
}
