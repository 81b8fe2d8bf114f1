//! Leaving: what a user takes along, and erasing what is left behind.
//!
//! Erasing is made of small jobs, so it can stop after any row and go on there: a history is erased along
//! its chains, from the newest row on, and where a job stops the chain begins at the next row. An area
//! whose rows belong to users adds one statement to [`OWN_ROWS`].

use std::ops::DerefMut;

use rusqlite::{Connection, OptionalExtension, params};

use super::progress::{progress_at, progress_columns};
use super::users::{found_as_it_was, listed, user_id};
use super::{SqliteStore, in_one_snapshot};
use crate::store::model::{MangaId, OwnRating, Progress, UserId, Voiding};
use crate::store::{Departure, StoreError};

impl<C: DerefMut<Target = Connection>> Departure for SqliteStore<C> {
    fn progress_after(&mut self, user: &UserId, after: MangaId, limit: u32) -> Result<Vec<Progress>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| progress_after(conn, user, after, limit))
    }

    fn ratings_after(&mut self, user: &UserId, after: MangaId, limit: u32) -> Result<Vec<OwnRating>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| ratings_after(conn, user, after, limit))
    }

    fn delete_user(&mut self, id: &UserId, voiding: Voiding, oldest: i64) -> Result<(), StoreError> {
        delete(self.writable()?, id, voiding, oldest)
    }

    fn erase_deleted(&mut self, rows_max: usize) -> Result<bool, StoreError> {
        erase_deleted(self.writable()?, rows_max)
    }
}

// ---- taking along

fn progress_after(conn: &Connection, user: &UserId, after: MangaId, limit: u32) -> Result<Vec<Progress>, StoreError> {
    let mut statement = conn.prepare_cached(concat!(
        "SELECT ",
        progress_columns!(),
        " FROM progress WHERE user_id = ?1 AND manga_id > ?2 ORDER BY manga_id LIMIT ?3"
    ))?;
    let rows = statement.query_map(params![user.as_str(), after, limit], |row| progress_at(row, user))?;
    listed(conn, user, rows.collect::<Result<_, _>>()?)
}

fn ratings_after(conn: &Connection, user: &UserId, after: MangaId, limit: u32) -> Result<Vec<OwnRating>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT manga_id, rating, created_at, updated_at FROM ratings
         WHERE user_id = ?1 AND manga_id > ?2 ORDER BY manga_id LIMIT ?3",
    )?;
    let rows = statement.query_map(params![user.as_str(), after, limit], |row| {
        Ok(OwnRating { manga_id: row.get(0)?, rating: row.get(1)?, created_at: row.get(2)?, updated_at: row.get(3)? })
    })?;
    listed(conn, user, rows.collect::<Result<_, _>>()?)
}

// ---- taking away

/// The row stays until nothing points to it, under a name that nobody can have: `:` is in none.
fn delete(conn: &Connection, id: &UserId, voiding: Voiding, oldest: i64) -> Result<(), StoreError> {
    let changed = conn
        .prepare_cached(
            "UPDATE users SET username = 'deleted:' || id, email = 'deleted:' || id, password_hash = '',
                              valid_from = max(valid_from, ?2)
             WHERE id = ?1 AND valid_from = ?3",
        )?
        .execute(params![id.as_str(), voiding.valid_from, voiding.was])?;
    found_as_it_was(conn, id, changed)?;
    conn.prepare_cached(
        "INSERT INTO deleted_users (id, valid_from, erased) SELECT id, valid_from, 0 FROM users WHERE id = ?1
         ON CONFLICT (id) DO UPDATE SET valid_from = max(valid_from, excluded.valid_from), erased = 0",
    )?
    .execute([id.as_str()])?;
    conn.prepare_cached(
        "DELETE FROM deleted_users WHERE id IN (
             SELECT id FROM deleted_users WHERE erased = 1 AND valid_from < ?1 LIMIT ?2)",
    )?
    .execute(params![oldest, FORGOTTEN_MAX])?;
    Ok(())
}

fn erase_deleted(conn: &Connection, rows_max: usize) -> Result<bool, StoreError> {
    let next = "SELECT id FROM deleted_users WHERE erased = 0 ORDER BY valid_from LIMIT 1";
    let Some(user) = conn.prepare_cached(next)?.query_row([], |row| user_id(row, 0)).optional()? else {
        return Ok(false);
    };
    let mut left = rows_max;
    for chains in [PROGRESS, FORGOTTEN] {
        left -= erase_chains(conn, &user, &chains, left)?;
    }
    for statement in OWN_ROWS {
        left -= conn.prepare_cached(statement)?.execute(params![user.as_str(), left as i64])?;
    }
    if left > 0 {
        conn.prepare_cached("DELETE FROM users WHERE id = ?1")?.execute([user.as_str()])?;
        conn.prepare_cached("UPDATE deleted_users SET erased = 1 WHERE id = ?1")?.execute([user.as_str()])?;
    }
    Ok(true)
}

/// A table whose rows each hold the beginning of a chain.
struct Chains {
    /// Some row of the user ?1.
    next: &'static str,
    /// Lets the chain of the row of ?1, ?2 that began at ?3 begin at ?4.
    shorten: &'static str,
    /// Deletes that row.
    delete: &'static str,
}

const PROGRESS: Chains = Chains {
    next: "SELECT manga_id, history_seq FROM progress WHERE user_id = ?1 LIMIT 1",
    shorten: "UPDATE progress SET history_seq = ?4, previous_seq = NULL
        WHERE user_id = ?1 AND manga_id = ?2 AND history_seq = ?3",
    delete: "DELETE FROM progress WHERE user_id = ?1 AND manga_id = ?2 AND history_seq = ?3",
};

const FORGOTTEN: Chains = Chains {
    next: "SELECT manga_id, history_seq FROM forgotten_progress WHERE user_id = ?1 LIMIT 1",
    shorten: "UPDATE forgotten_progress SET history_seq = ?4
        WHERE user_id = ?1 AND manga_id = ?2 AND history_seq = ?3",
    delete: "DELETE FROM forgotten_progress WHERE user_id = ?1 AND manga_id = ?2 AND history_seq = ?3",
};

/// Erases rows of history and then the row that held their chain, until `most` rows have gone. Returns
/// how many.
fn erase_chains(conn: &Connection, user: &UserId, chains: &Chains, most: usize) -> Result<usize, StoreError> {
    let mut gone = 0;
    while gone < most {
        let mut next = conn.prepare_cached(chains.next)?;
        let chain = next.query_row([user.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((manga, first)): Option<(MangaId, i64)> = chain else { break };
        let (erased, rest) = erase_chain(conn, user, first, most - gone)?;
        gone += erased;
        match rest {
            Some(seq) => {
                conn.prepare_cached(chains.shorten)?.execute(params![user.as_str(), manga, first, seq])?;
            }
            None if gone < most => {
                gone += conn.prepare_cached(chains.delete)?.execute(params![user.as_str(), manga, first])?;
            }
            // Its chain has ended, and the next job begins with it.
            None => {}
        }
    }
    Ok(gone)
}

/// Erases a chain from row `seq` on, at most so many rows. Returns how many, and where it goes on.
fn erase_chain(conn: &Connection, user: &UserId, seq: i64, most: usize) -> Result<(usize, Option<i64>), StoreError> {
    let mut link = conn.prepare_cached("SELECT previous_seq FROM history WHERE seq = ?1 AND user_id = ?2")?;
    let mut erase = conn.prepare_cached("DELETE FROM history WHERE seq = ?1 AND user_id = ?2")?;
    let (mut gone, mut place) = (0, Some(seq));
    while let Some(seq) = place.filter(|_| gone < most) {
        place = link.query_row(params![seq, user.as_str()], |row| row.get(0)).optional()?.flatten();
        gone += erase.execute(params![seq, user.as_str()])?;
    }
    Ok((gone, place))
}

/// What else belongs to a user, area by area: each deletes at most ?2 rows of the user ?1. What points
/// to rows of a table stands before it, so that by then nothing is left for SQLite to delete unasked.
const OWN_ROWS: &[&str] = &[
    "DELETE FROM ratings WHERE user_id = ?1 AND manga_id IN (
         SELECT manga_id FROM ratings WHERE user_id = ?1 LIMIT ?2)",
    "DELETE FROM refresh_tokens WHERE family IN (
         SELECT family FROM refresh_tokens WHERE user_id = ?1 LIMIT ?2)",
    "DELETE FROM comments WHERE id IN (SELECT id FROM comments WHERE user_id = ?1 LIMIT ?2)",
    "DELETE FROM review_votes WHERE user_id = ?1 AND review_id IN (
         SELECT review_id FROM review_votes WHERE user_id = ?1 LIMIT ?2)",
    "DELETE FROM review_votes WHERE (review_id, user_id) IN (
         SELECT review_id, votes.user_id FROM reviews CROSS JOIN review_votes AS votes ON review_id = id
         WHERE reviews.user_id = ?1 AND helpful > 0 LIMIT ?2)",
    "DELETE FROM reviews WHERE id IN (SELECT id FROM reviews WHERE user_id = ?1 LIMIT ?2)",
    "DELETE FROM list_items WHERE (list_id, manga_id) IN (
         SELECT list_id, manga_id FROM lists CROSS JOIN list_items ON list_id = id WHERE user_id = ?1 LIMIT ?2)",
    "DELETE FROM lists WHERE id IN (SELECT id FROM lists WHERE user_id = ?1 LIMIT ?2)",
    "DELETE FROM friendships WHERE low_id = ?1 AND high_id IN (
         SELECT high_id FROM friendships WHERE low_id = ?1 LIMIT ?2)",
    "DELETE FROM friendships WHERE high_id = ?1 AND low_id IN (
         SELECT low_id FROM friendships WHERE high_id = ?1 LIMIT ?2)",
    "DELETE FROM webhook_deliveries WHERE id IN (
         SELECT webhook_deliveries.id FROM webhooks CROSS JOIN webhook_deliveries ON webhook_id = webhooks.id
         WHERE user_id = ?1 LIMIT ?2)",
    "DELETE FROM webhook_events WHERE id IN (SELECT id FROM webhook_events WHERE user_id = ?1 LIMIT ?2)",
    "DELETE FROM webhooks WHERE id IN (SELECT id FROM webhooks WHERE user_id = ?1 LIMIT ?2)",
    "DELETE FROM chat_messages WHERE id IN (SELECT id FROM chat_messages WHERE user_id = ?1 LIMIT ?2)",
    "DELETE FROM chat_messages WHERE id IN (SELECT id FROM chat_messages WHERE to_id = ?1 LIMIT ?2)",
    "UPDATE chat_messages SET deleted_by = NULL WHERE id IN (
         SELECT id FROM chat_messages WHERE deleted_by = ?1 LIMIT ?2)",
    "DELETE FROM chat_mutes WHERE user_id = ?1 AND room IN (SELECT room FROM chat_mutes WHERE user_id = ?1 LIMIT ?2)",
    "UPDATE chat_mutes SET muted_by = NULL WHERE (user_id, room) IN (
         SELECT user_id, room FROM chat_mutes WHERE muted_by = ?1 LIMIT ?2)",
    "UPDATE chat_guest_mutes SET muted_by = NULL WHERE (name_key, room) IN (
         SELECT name_key, room FROM chat_guest_mutes WHERE muted_by = ?1 LIMIT ?2)",
    "DELETE FROM goals WHERE user_id = ?1 AND period IN (SELECT period FROM goals WHERE user_id = ?1 LIMIT ?2)",
    "DELETE FROM notification_mutes WHERE user_id = ?1 AND manga_id IN (
         SELECT manga_id FROM notification_mutes WHERE user_id = ?1 LIMIT ?2)",
    "DELETE FROM notification_reads WHERE user_id = ?1 AND notification_id IN (
         SELECT notification_id FROM notification_reads WHERE user_id = ?1 LIMIT ?2)",
    "DELETE FROM notification_settings WHERE user_id = ?1 AND ?2 > 0",
    "DELETE FROM notifications WHERE id IN (SELECT id FROM notifications WHERE user_id = ?1 LIMIT ?2)",
];

/// How many of those who were deleted long ago are forgotten with each who is deleted: they get fewer.
const FORGOTTEN_MAX: i64 = 100;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::fresh;
    use super::*;

    /// A database in which everybody has rows everywhere.
    fn database(users: &[&str]) -> (tempfile::TempDir, Connection) {
        let (folder, conn) = fresh();
        conn.execute_batch(
            "INSERT INTO manga (id, slug, title, alternative_titles, status,
                                created_at, updated_at, description)
             VALUES (1, 'a', 'A', '[]', 'ongoing', 0, 0, ''), (2, 'b', 'B', '[]', 'ongoing', 0, 0, '');",
        )
        .unwrap();
        for user in users {
            conn.execute("INSERT INTO users VALUES (?1, ?1, ?1, 'x', 'user', 0, 0)", [user]).unwrap();
            conn.execute(
                "INSERT INTO refresh_tokens VALUES (randomblob(32), ?1, randomblob(32), 0, 0, 0, NULL)",
                [user],
            )
            .unwrap();
            for sql in WEBHOOKS {
                conn.execute(sql, [user]).unwrap();
            }
            conn.execute("INSERT INTO notification_settings (user_id) VALUES (?1)", [user]).unwrap();
            conn.execute("INSERT INTO goals SELECT ?1, value, 5, 0, 0 FROM json_each('[\"day\", \"week\"]')", [user])
                .unwrap();
            for manga in [1, 2] {
                for sql in OPINIONS_AND_LISTS {
                    conn.execute(sql, params![user, manga]).unwrap();
                }
                conn.execute("INSERT INTO ratings VALUES (?1, ?2, 5, 0, 0)", params![user, manga]).unwrap();
                let chains = [chain(&conn, user, manga), chain(&conn, user, manga)];
                conn.execute(
                    "INSERT INTO progress VALUES (?1, ?2, 0, 'reading', 0, 0, 0, 0, 0, 0, 0, '', 0, ?3, ?3 - 1, NULL)",
                    params![user, manga, chains[0]],
                )
                .unwrap();
                conn.execute("INSERT INTO forgotten_progress VALUES (?1, ?2, ?3)", params![user, manga, chains[1]])
                    .unwrap();
            }
        }
        conn.execute_batch(
            "INSERT INTO review_votes SELECT reviews.id, users.id FROM reviews, users WHERE users.id <> user_id;
             INSERT INTO friendships SELECT low.id, high.id, 1, 0, 0 FROM users AS low JOIN users AS high ON low.id < high.id;",
        )
        .unwrap();
        (folder, conn)
    }

    /// A comment, a review, a list with both series, a notification that is read: of the user ?1, with the
    /// series ?2.
    const OPINIONS_AND_LISTS: [&str; 7] = [
        "INSERT INTO comments (manga_id, user_id, created_at, updated_at, content) VALUES (?2, ?1, 0, 0, 'x')",
        "INSERT INTO reviews (manga_id, user_id, spoiler, created_at, updated_at, text) VALUES (?2, ?1, 0, 0, 0, 'x')",
        "INSERT INTO lists (user_id, name, description, visibility, created_at, updated_at)
         VALUES (?1, ?2, '', 'public', 0, 0)",
        "INSERT INTO list_items SELECT lists.id, manga.id, manga.id, NULL, 0 FROM lists, manga
         WHERE user_id = ?1 AND name = ?2",
        "INSERT INTO notification_mutes VALUES (?1, ?2)",
        "INSERT INTO notifications (kind, audience, user_id, created_at, title, message, changes)
         VALUES ('TEST', 'user', ?1, ?2, '', '', '[]')",
        "INSERT INTO notification_reads SELECT ?1, max(id) FROM notifications WHERE ?2",
    ];

    /// Two webhooks of the user ?1, a test of theirs and something for everyone, on its way to both.
    const WEBHOOKS: [&str; 4] = [
        "INSERT INTO webhooks (user_id, url, events, scope, secret, dead_in_row, missed, created_at, updated_at)
         SELECT ?1, value, '[]', 'library', 'x', 0, 0, 0, 0 FROM json_each('[1, 2]')",
        "INSERT INTO webhook_events (kind, body, user_id, created_at) VALUES ('test', '{}', ?1, 0)",
        "INSERT OR IGNORE INTO webhook_events (id, kind, body, created_at)
         SELECT 1000, 'new_manga', '{}', 0 WHERE ?1 IS NOT NULL",
        "INSERT INTO webhook_deliveries (webhook_id, event_id, state, attempts, created_at)
         SELECT webhooks.id, event.id, 'dead', 1, 0 FROM webhooks, webhook_events AS event
         WHERE webhooks.user_id = ?1 AND (event.user_id = ?1 OR event.id = 1000)",
    ];

    /// Three rows of history, each pointing to the one before; the newest.
    fn chain(conn: &Connection, user: &str, manga: i64) -> i64 {
        let add = "INSERT INTO history VALUES (NULL, ?1, ?2, 0, 0, 0, 'reading', '', 0, 0, ?3)";
        let next = |before: Option<i64>| {
            conn.execute(add, params![user, manga, before]).unwrap();
            Some(conn.last_insert_rowid())
        };
        next(next(next(None))).unwrap()
    }

    /// Every table.
    fn tables(conn: &Connection) -> Vec<String> {
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
        let mut statement = conn.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Where somebody's id stands, in whichever column of whichever table, and how often; but for the list
    /// of those who are deleted.
    fn rows(conn: &Connection, user: &str) -> BTreeMap<String, i64> {
        let mut found = BTreeMap::new();
        for table in tables(conn).iter().filter(|table| *table != "deleted_users") {
            let mut statement = conn.prepare(&format!("SELECT name FROM pragma_table_info('{table}')")).unwrap();
            for column in statement.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap) {
                let sql = format!("SELECT count(*) FROM {table} WHERE {column} = ?1");
                let count: i64 = conn.query_row(&sql, [user], |row| row.get(0)).unwrap();
                if count > 0 && !["username", "email"].contains(&column.as_str()) {
                    found.insert(format!("{table}.{column}"), count);
                }
            }
        }
        found
    }

    fn counts<const N: usize>(counts: [(&str, i64); N]) -> BTreeMap<String, i64> {
        counts.into_iter().map(|(place, count)| (place.to_owned(), count)).collect()
    }

    /// How many rows there are of everything that users have.
    fn all_rows(conn: &Connection) -> i64 {
        let kept = ["deleted_users", "manga"];
        let count = |table: &String| {
            conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap()
        };
        tables(conn).iter().filter(|table| !kept.contains(&table.as_str())).map(count).sum()
    }

    /// The first voiding of a user's tokens, at this second.
    fn at(valid_from: i64) -> Voiding {
        Voiding { was: 0, valid_from }
    }

    /// Shows that everything of a deleted user goes, however few rows a job takes, and that no row of
    /// anybody else does but what was between the two; and that the counts of the catalogue and of
    /// reviews follow.
    #[test]
    fn everything_goes_in_jobs_of_any_size() {
        for rows_max in [1, 2, 3, 7, 500] {
            let (_folder, conn) = database(&["ann", "bob", "cid", "dan"]);
            for user in ["ann", "cid"] {
                delete(&conn, &UserId::parse(user).unwrap(), at(100), 0).unwrap();
            }
            let mut before = all_rows(&conn);
            while erase_deleted(&conn, rows_max).unwrap() {
                let left = all_rows(&conn);
                assert!(before - left <= rows_max as i64 + 1, "a job of {rows_max} took {}", before - left);
                before = left;
            }
            assert_eq!((rows(&conn, "ann"), rows(&conn, "cid")), (counts([]), counts([])), "{rows_max}");
            let kept = counts([
                ("comments.user_id", 2),
                ("forgotten_progress.user_id", 2),
                ("friendships.low_id", 1),
                ("goals.user_id", 2),
                ("history.user_id", 12),
                ("lists.user_id", 2),
                ("notification_mutes.user_id", 2),
                ("notification_reads.user_id", 2),
                ("notification_settings.user_id", 1),
                ("notifications.user_id", 2),
                ("progress.user_id", 2),
                ("ratings.user_id", 2),
                ("refresh_tokens.user_id", 1),
                ("review_votes.user_id", 2),
                ("reviews.user_id", 2),
                ("users.id", 1),
                ("webhook_events.user_id", 1),
                ("webhooks.user_id", 2),
            ]);
            assert_eq!(rows(&conn, "bob"), kept, "{rows_max}");
            let sums = |sql: &str| -> Vec<i64> {
                let mut statement = conn.prepare(sql).unwrap();
                statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
            };
            assert_eq!(sums("SELECT readers + rating_count + rating_sum FROM manga"), [14, 14]);
            assert_eq!(sums("SELECT helpful FROM reviews"), [1; 4]);
            assert_eq!(sums("SELECT count(*) FROM list_items"), [8]);
            assert_eq!(sums("SELECT count(*) FROM webhook_deliveries"), [8]);
        }
    }

    /// Shows that each statement finds what it deletes by an index: none reads what others have.
    #[test]
    fn erasing_scans_nothing() {
        let (_folder, conn) = database(&[]);
        for sql in OWN_ROWS {
            let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let plan: Vec<String> =
                statement.query_map(params!["ann", 1], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
            assert!(!plan.iter().any(|step| step.starts_with("SCAN")), "{sql}: {plan:?}");
        }
    }

    /// Shows that a chain whose end was deleted by age, and one that was bent to a stranger's row, are
    /// erased as far as they are the user's.
    #[test]
    fn broken_chains_end() {
        let (_folder, conn) = database(&["ann", "bob"]);
        conn.execute("DELETE FROM history WHERE user_id = 'ann' AND previous_seq IS NULL", []).unwrap();
        conn.execute(
            "UPDATE progress SET history_seq = (SELECT max(seq) FROM history WHERE user_id = 'bob')
             WHERE user_id = 'ann' AND manga_id = 1",
            [],
        )
        .unwrap();
        delete(&conn, &UserId::parse("ann").unwrap(), at(100), 0).unwrap();
        for _ in 0..100 {
            erase_deleted(&conn, 3).unwrap();
        }
        let left = counts([("history.user_id", 2)]);
        assert_eq!(rows(&conn, "ann"), left, "the chain that nothing points to is nobody's");
        assert_eq!(rows(&conn, "bob")["history.user_id"], 12);
    }

    /// Shows that whoever was deleted before the oldest living token is forgotten with the next one.
    #[test]
    fn deleted_users_are_forgotten() {
        let (_folder, conn) = database(&["ann", "bob", "cid"]);
        let known = || -> Vec<String> {
            let mut statement = conn.prepare("SELECT id FROM deleted_users ORDER BY id").unwrap();
            let rows = statement.query_map([], |row| row.get(0)).unwrap();
            rows.map(Result::unwrap).collect()
        };
        let leave = |user: &str, now: i64| delete(&conn, &UserId::parse(user).unwrap(), at(now), now - 50).unwrap();
        leave("ann", 100);
        leave("bob", 120);
        assert_eq!(known(), ["ann", "bob"]);
        while erase_deleted(&conn, 500).unwrap() {}
        leave("cid", 151);
        assert_eq!(known(), ["bob", "cid"]);
    }

    /// Shows that SQLite finds the rows that point to a user by an index, in every table: without one,
    /// deleting a user would read the whole table within one job.
    #[test]
    fn nothing_that_points_to_a_user_is_scanned() {
        let (_folder, conn) = database(&[]);
        let list = |sql: &str| -> Vec<(String, String)> {
            let mut statement = conn.prepare(sql).unwrap();
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            rows.map(Result::unwrap).collect()
        };
        let pointing = list(
            "SELECT tables.name, keys.\"from\" FROM sqlite_schema AS tables, pragma_foreign_key_list(tables.name) AS keys
             WHERE tables.type = 'table' AND keys.\"table\" = 'users'",
        );
        assert!(pointing.len() >= 4, "{pointing:?}");
        let first_columns = list(
            "SELECT tables.name, columns.name FROM sqlite_schema AS tables, pragma_index_list(tables.name) AS indexes,
                    pragma_index_info(indexes.name) AS columns
             WHERE columns.seqno = 0 AND (indexes.partial = 0 OR EXISTS (
                 SELECT 1 FROM sqlite_schema AS partial WHERE partial.name = indexes.name
                     AND partial.sql LIKE '% WHERE ' || columns.name || ' IS NOT NULL'))",
        );
        for column in pointing {
            assert!(first_columns.contains(&column), "{column:?} points to users and has no index");
        }
    }
}
