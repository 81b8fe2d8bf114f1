//! Brings a database's schema up to date, one step at a time.
//!
//! A step is a file in `migrations/`, numbered from 1; `PRAGMA user_version` is the number of the last
//! one that ran. **A step that has landed is never edited**: there are databases that ran it, and they
//! will not run it again. A change is a new step, and the same change in `schema.sql`. Tests hold both.

use rusqlite::{Connection, TransactionBehavior};

/// Every step, in order.
pub(super) const LANDED: &[&str] = &[
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_counts.sql"),
    include_str!("migrations/0003_refresh_tokens.sql"),
    include_str!("migrations/0004_search.sql"),
    include_str!("migrations/0005_library_dates.sql"),
    include_str!("migrations/0006_opinions.sql"),
    include_str!("migrations/0007_social.sql"),
    include_str!("migrations/0008_cheap_checks.sql"),
    include_str!("migrations/0009_webhooks.sql"),
    include_str!("migrations/0010_notifications.sql"),
    include_str!("migrations/0011_chat.sql"),
    include_str!("migrations/0012_guests.sql"),
];

/// Why the schema could not be brought up to date. The database is as the last good step left it.
#[derive(Debug, thiserror::Error)]
pub(super) enum MigrationError {
    /// A newer program has been here.
    #[error("schema version {found} is newer than {known}")]
    TooNew {
        /// The version in the file.
        found: i64,
        /// The newest known.
        known: i64,
    },
    /// A step failed and was undone.
    #[error("migration {version}: {why}")]
    Failed {
        /// The number of the step.
        version: i64,
        /// What the database said.
        why: String,
    },
}

/// Runs the steps that the database has not seen, each in a transaction of its own.
pub(super) fn run(conn: &mut Connection, steps: &[&str]) -> Result<(), MigrationError> {
    let known = steps.len() as i64;
    let found = version(conn).map_err(|why| MigrationError::Failed { version: 0, why: why.to_string() })?;
    if found > known {
        return Err(MigrationError::TooNew { found, known });
    }
    for (version, step) in (1..).zip(steps).filter(|&(version, _)| version > found) {
        run_step(conn, version, step).map_err(|why| MigrationError::Failed { version, why: why.to_string() })?;
    }
    Ok(())
}

/// One step: it happens as a whole, with its number, or not at all.
///
/// Foreign keys are off meanwhile, because a step that rebuilds a table drops the old one; that the
/// keys still hold is checked at the end instead. The version is read again inside the transaction,
/// in case another process was faster.
fn run_step(conn: &mut Connection, number: i64, step: &str) -> Result<(), rusqlite::Error> {
    conn.pragma_update(None, "foreign_keys", false)?;
    let done = (|| {
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if version(&transaction)? < number {
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", number)?;
            check_foreign_keys(&transaction)?;
        }
        transaction.commit()
    })();
    conn.pragma_update(None, "foreign_keys", true)?;
    done
}

fn check_foreign_keys(conn: &Connection) -> Result<(), rusqlite::Error> {
    match conn.prepare("PRAGMA foreign_key_check")?.exists([])? {
        true => Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY),
            Some("rows point to rows that don't exist".to_owned()),
        )),
        false => Ok(()),
    }
}

fn version(conn: &Connection) -> Result<i64, rusqlite::Error> {
    conn.pragma_query_value(None, "user_version", |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// Every object of a database, with the statement that made it, comments and layout taken out.
    fn objects(conn: &Connection) -> Vec<String> {
        let sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY name";
        let mut statement = conn.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        rows.map(|sql| normalised(&sql.unwrap())).collect()
    }

    /// Layout is taken out, around punctuation too: a column that a step added stands where no person put it.
    fn normalised(sql: &str) -> String {
        let code = sql.lines().map(|line| line.split("--").next().unwrap());
        let words = code.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
        ["(", ")", ","]
            .iter()
            .fold(words, |text, sign| text.replace(&format!(" {sign}"), sign).replace(&format!("{sign} "), sign))
    }

    fn migrated(steps: &[&str]) -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        run(&mut conn, steps).unwrap();
        conn
    }

    /// Shows that no landed step was edited: each has the checksum it landed with. When this fails,
    /// take the edit back and write a new step.
    #[test]
    fn landed_steps_are_never_edited() {
        let landed_with = [
            "785cc7c8a68e2e87f0c523f74409f7444ca91be11db2acae6b46bf3617c5bd56",
            "202879529eecac4dbf1a7cf9adbb76d2ad9874d65ddb59ffc8e43a34b1003f24",
            "16f33f566c8b7bbf0ff4f21f0e7c904f85887042f3e341bf2aaee48ea4fbfd84",
            "a146ef94ccfb8eb0bd2b0ae3b7d7b7b46da59fe2b7e782d5a30b48850bc113fd",
            "b7c2d3bdf507a1f5ca5795b5334c2c4c7f2eeb87f9439d1ec3fb22e7b74f778f",
            "ddf98dea4275d2ce3132b58c63485f1626e62d675f1240ae8ef67e414e13b136",
            "ae7598188dd6271816a1be0e193f5e0db3b1fac86ddf0353eda7405abbb55418",
            "b81525e94130815b36e6234d72bff2b6255333ed1abe7ebdbe208344e082f933",
            "5ba130ea0d1652327b951949f02124875ef833343c75dc6350cc7c8f4cd3951c",
            "2af3fd36aa934d06620aae48e46c512227883d020804f839cc1672c4e58c9f39",
            "6a89c7bb7bae7d23407d9c3618bc0f9d109f208afd1f1dbb3f635eb86e100cdc",
            "c0dc3af7396908640c809c0f574484b1d55519b3c0bc07404dee05f91a1b2ff8",
        ];
        let checksum = |step: &&str| Sha256::digest(step).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(LANDED.iter().map(checksum).collect::<Vec<_>>(), landed_with);
    }

    /// Shows that `schema.sql`, which people read, is what the steps produce.
    #[test]
    fn schema_sql_is_what_the_steps_produce() {
        let read = Connection::open_in_memory().unwrap();
        read.execute_batch(include_str!("../../../schema.sql")).unwrap();
        let produced = migrated(LANDED);
        assert!(!objects(&read).is_empty());
        assert_eq!(objects(&read), objects(&produced));
    }

    /// Shows that a second run finds nothing to do, and that foreign keys are on afterwards.
    #[test]
    fn a_second_run_changes_nothing() {
        let mut conn = migrated(LANDED);
        let before = objects(&conn);
        run(&mut conn, LANDED).unwrap();
        assert_eq!(objects(&conn), before);
        assert_eq!(version(&conn).unwrap(), LANDED.len() as i64);
        assert!(conn.pragma_query_value(None, "foreign_keys", |row| row.get::<_, bool>(0)).unwrap());
    }

    /// Shows that a later step runs on what an earlier program left, and only that step.
    #[test]
    fn later_steps_follow() {
        let mut conn = migrated(&["CREATE TABLE a (x)"]);
        run(&mut conn, &["CREATE TABLE a (x)", "CREATE TABLE b (x); INSERT INTO b VALUES (7)"]).unwrap();
        assert_eq!(version(&conn).unwrap(), 2);
        assert_eq!(objects(&conn), ["CREATE TABLE a(x)", "CREATE TABLE b(x)"]);
    }

    /// Shows that the step that makes the history anew keeps every row, and never gives a number twice,
    /// even when the newest rows, or all, had gone before.
    #[test]
    fn history_keeps_its_numbers() {
        for gone in ["seq = 3", "true", "false"] {
            let mut conn = migrated(&LANDED[..2]);
            conn.execute_batch(&format!(
                "INSERT INTO users VALUES ('ann', 'ann', 'ann', 'x', 'user', 0, 0);
                 INSERT INTO manga (id, slug, title, alternative_titles, search_titles, search_people, status,
                                    created_at, updated_at, description)
                 VALUES (1, 'a', 'A', '[]', 'a', '', 'ongoing', 0, 0, '');
                 INSERT INTO history VALUES (1, 'ann', 1, 1, NULL, 5, 'reading', 'phone', 0, 9, NULL),
                     (2, 'ann', 1, 2, 7, NULL, 'dropped', NULL, NULL, 9, 1), (3, 'ann', 1, 3, 8, 9, 'reading', 'x', 1, 2, 2);
                 DELETE FROM history WHERE {gone};"
            ))
            .unwrap();
            let all = |conn: &Connection| -> Vec<String> {
                let sql = "SELECT json_array(seq, user_id, manga_id, chapter_thousandths, volume, page, status, device,
                                             read_at, recorded_at, previous_seq) FROM history ORDER BY seq";
                let mut statement = conn.prepare(sql).unwrap();
                let rows = statement.query_map([], |row| row.get(0)).unwrap();
                rows.map(Result::unwrap).collect()
            };
            let before = all(&conn);
            run(&mut conn, LANDED).unwrap();
            assert_eq!(all(&conn), before, "{gone}");
            conn.execute("INSERT INTO history SELECT NULL, 'ann', 1, 0, 0, 0, 'reading', '', 0, 0, NULL", []).unwrap();
            assert_eq!(conn.last_insert_rowid(), 4, "{gone}");
        }
    }

    /// Shows that the step that words a rule anew leaves the rows alone, and that the rule holds at once:
    /// on the connection that ran it, and on one that had been open before.
    #[test]
    fn a_rule_worded_anew_holds() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Connection::open(folder.path().join("hub.db")).unwrap();
        let (mut conn, other) = (open(), open());
        run(&mut conn, &LANDED[..7]).unwrap();
        conn.execute_batch(
            "INSERT INTO users VALUES ('ann', 'ann', 'ann', 'x', 'user', 0, 0);
             INSERT INTO manga (id, slug, title, alternative_titles, status, created_at, updated_at, description)
             VALUES (1, 'a', 'A', '[]', 'ongoing', 0, 0, '');
             INSERT INTO history VALUES (1, 'ann', 1, 1, NULL, 5, 'reading', 'phone', 0, 9, NULL);",
        )
        .unwrap();
        let count = |conn: &Connection| conn.query_row("SELECT count(*) FROM history", [], |row| row.get::<_, i64>(0));
        assert_eq!(count(&other), Ok(1));
        run(&mut conn, LANDED).unwrap();
        for conn in [&conn, &other] {
            let add = "INSERT INTO history SELECT NULL, 'ann', 1, 0, 0, 0, ?1, '', 0, 0, NULL";
            assert!(conn.execute(add, ["asleep"]).unwrap_err().to_string().contains("CHECK constraint failed"));
            assert_eq!(conn.execute(add, ["re_reading"]), Ok(1));
            assert!(conn.execute("UPDATE sqlite_schema SET sql = sql", []).is_err(), "the schema is locked again");
        }
        assert_eq!(count(&other), Ok(3));
        let check: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
    }

    /// Shows that a database from the future is refused and left alone.
    #[test]
    fn too_new() {
        let mut conn = migrated(&["CREATE TABLE a (x)", "CREATE TABLE b (x)"]);
        let error = run(&mut conn, &["CREATE TABLE a (x)"]).unwrap_err();
        assert!(matches!(error, MigrationError::TooNew { found: 2, known: 1 }), "{error}");
        assert_eq!(objects(&conn).len(), 2);
    }

    /// Shows that a step that breaks half-way leaves nothing behind, and that the steps before it stay.
    #[test]
    fn a_broken_step_is_undone() {
        let mut conn = Connection::open_in_memory().unwrap();
        let steps = ["CREATE TABLE a (x)", "CREATE TABLE b (x); INSERT INTO nowhere VALUES (1)", "CREATE TABLE c (x)"];
        let error = run(&mut conn, &steps).unwrap_err();
        assert!(matches!(error, MigrationError::Failed { version: 2, .. }), "{error}");
        assert_eq!(version(&conn).unwrap(), 1);
        assert_eq!(objects(&conn), ["CREATE TABLE a(x)"]);
        assert!(conn.is_autocommit());
    }

    /// Shows that a step that leaves a key pointing nowhere is undone too.
    #[test]
    fn a_step_that_breaks_keys_is_undone() {
        let step = "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a REFERENCES a); INSERT INTO b VALUES (1)";
        let mut conn = Connection::open_in_memory().unwrap();
        run(&mut conn, &[step]).unwrap_err();
        assert_eq!(objects(&conn), [""; 0]);
    }
}
