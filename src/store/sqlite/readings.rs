//! How a user went forward: the difference of each row of history to the one before it in its chain.
//!
//! All chains are walked at once, the newest row of all first, so that a bound cuts off what is oldest
//! and not some series. A row's step is known only when the row before it has been read; until then it
//! waits. Where rows were deleted by age the step over the gap is not known, and not counted.

use std::collections::BinaryHeap;

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::history;
use crate::store::StoreError;
use crate::store::model::{MangaId, Reading, Readings, UnixMillis, UserId};

/// A row of history, as far as steps need it.
#[derive(Clone, Copy)]
struct Stand {
    manga_id: MangaId,
    chapter_thousandths: i64,
    read_at: Option<UnixMillis>,
    recorded_at: UnixMillis,
    previous_seq: Option<i64>,
}

/// The steps from `since` on, from at most `rows_max` rows.
pub(super) fn read(
    conn: &Connection,
    user: &UserId,
    since: Option<UnixMillis>,
    rows_max: usize,
) -> Result<Readings, StoreError> {
    let since = since.unwrap_or(i64::MIN);
    let chains = history::chains(conn, user, None)?;
    let mut waiting: Vec<Option<Stand>> = vec![None; chains.len()];
    let mut next: BinaryHeap<(i64, usize)> = chains.into_iter().zip(0..).collect();
    let mut statement = conn.prepare_cached(STAND)?;
    let (mut steps, mut rows) = (Vec::new(), 0);
    while let Some((seq, chain)) = next.pop() {
        if rows == rows_max {
            return Ok(Readings { steps, complete: false });
        }
        rows += 1;
        let Some(stand) = stand(&mut statement, seq, user)? else { continue };
        steps.extend(waiting[chain].take().and_then(|newer| newer.step_from(stand.chapter_thousandths, since)));
        match stand.previous_seq {
            // A row is read when it was recorded at the latest: whatever came before is too old as well.
            Some(_) if stand.recorded_at < since => {}
            Some(previous) => {
                waiting[chain] = Some(stand);
                next.push((previous, chain));
            }
            None => steps.extend(stand.step_from(0, since)),
        }
    }
    Ok(Readings { steps, complete: true })
}

impl Stand {
    /// The step to here from a chapter, if it goes forward by a whole one and was not made before `since`.
    fn step_from(&self, thousandths: i64, since: UnixMillis) -> Option<Reading> {
        let chapters = u64::try_from(self.chapter_thousandths / 1000 - thousandths / 1000).ok()?;
        // Who says that it was read in the future, or before there were clocks, is not believed.
        let at = self.read_at.filter(|at| (0..=self.recorded_at).contains(at)).unwrap_or(self.recorded_at);
        (chapters > 0 && at >= since).then_some(Reading { manga_id: self.manga_id, at, chapters })
    }
}

fn stand(statement: &mut CachedStatement<'_>, seq: i64, user: &UserId) -> Result<Option<Stand>, rusqlite::Error> {
    let found = statement.query_row(params![seq, user.as_str()], |row| {
        Ok(Stand {
            manga_id: row.get(0)?,
            chapter_thousandths: row.get(1)?,
            read_at: row.get(2)?,
            recorded_at: row.get(3)?,
            previous_seq: row.get(4)?,
        })
    });
    found.optional()
}

/// ?1 number, ?2 user: nobody is ever counted a row of somebody else.
const STAND: &str = "SELECT manga_id, chapter_thousandths, read_at, recorded_at, previous_seq
    FROM history WHERE seq = ?1 AND user_id = ?2";

#[cfg(test)]
mod tests {
    use super::super::fresh;
    use super::*;

    /// Shows that a bound cuts off what is oldest, over all series, and that a gap that deletion by age
    /// left counts as nothing.
    #[test]
    fn bounds_and_gaps() {
        let (_folder, conn) = fresh();
        conn.execute_batch(
            "INSERT INTO users VALUES ('ann', 'ann', 'ann', 'x', 'user', 0, 0);
             INSERT INTO manga (id, slug, title, alternative_titles, status,
                                created_at, updated_at, description)
             SELECT value, value, 'A', '[]', 'ongoing', 0, 0, '' FROM json_each('[1, 2]');
             INSERT INTO history (seq, user_id, manga_id, chapter_thousandths, status, recorded_at, previous_seq)
             VALUES (1, 'ann', 1, 10000, 'reading', 100, NULL), (2, 'ann', 2, 20000, 'reading', 200, NULL),
                    (3, 'ann', 1, 11000, 'reading', 300, 1), (4, 'ann', 2, 22000, 'reading', 400, 2),
                    (5, 'ann', 1, 14000, 'reading', 500, 3);
             INSERT INTO progress VALUES
                 ('ann', 1, 0, 'reading', 0, NULL, NULL, 0, NULL, NULL, 0, NULL, 0, 5, NULL, NULL),
                 ('ann', 2, 0, 'reading', 0, NULL, NULL, 0, NULL, NULL, 0, NULL, 0, 4, NULL, NULL);",
        )
        .unwrap();
        let ann = UserId::parse("ann").unwrap();
        let counted = |conn: &Connection, since, most| {
            let found = read(conn, &ann, since, most).unwrap();
            let steps: Vec<_> = found.steps.iter().map(|step| (step.manga_id, step.at, step.chapters)).collect();
            (steps, found.complete)
        };
        let all = [(1, 500, 3), (2, 400, 2), (2, 200, 20), (1, 300, 1), (1, 100, 10)];
        assert_eq!(counted(&conn, None, 5), ([all[0], all[1], all[2], all[3], all[4]].to_vec(), true));
        assert_eq!(counted(&conn, None, 3), ([all[0]].to_vec(), false));
        assert_eq!(counted(&conn, Some(300), 9), ([all[0], all[1], all[3]].to_vec(), true));
        conn.execute("DELETE FROM history WHERE seq <= 2", []).unwrap();
        assert_eq!(counted(&conn, None, 9), ([all[0]].to_vec(), true));
    }
}
