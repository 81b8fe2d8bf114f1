//! The writer lane: many jobs, one commit.
//!
//! Each group is one transaction. A job that fails or panics is undone alone, which a savepoint for each
//! would do; but that costs as much as a quarter of the work, and nearly every failure comes before the first
//! write. So a group runs without savepoints, and only if a job fails after it has written is all of it undone
//! and run again, with them. A job's result is final only when [`Writer::run`] returns: durable, or an error.
//!
//! The trap this file exists for: SQLite may end a transaction by itself (disk full, I/O error, out of
//! memory, interrupted). What earlier jobs wrote is then gone although they succeeded, and what later
//! jobs write would commit one by one. So after each job the writer asks whether its transaction still
//! stands. If not, every job so far is voided, and the rest begins a new transaction.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Connection;

use super::SqliteStore;
use super::file::DatabaseFile;
use super::log::Log;
use crate::store::{Job, StoreError, Writer};

/// What undoing a job's writes takes with it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Undo {
    /// The whole transaction.
    Together,
    /// Nothing else: each job is a savepoint.
    Alone,
}

/// Owns the one connection that writes.
pub(super) struct SqliteWriter {
    store: SqliteStore<Box<Connection>>,
    file: DatabaseFile,
    log: Log,
}

impl SqliteWriter {
    pub(super) fn new(conn: Connection, file: DatabaseFile, log: Log) -> Self {
        Self { store: SqliteStore::new(Box::new(conn)), file, log }
    }

    /// Runs jobs from the front in one transaction, and returns how many now have their final result:
    /// all of them, or, when the transaction was lost, those that went down with it. It is none of them where
    /// one had to be undone, and nothing less than everything could be.
    fn run_transaction(&mut self, group: &mut [&mut dyn Job], undo: Undo) -> usize {
        if let Err(error) = self.begin() {
            void(group, error);
            return group.len();
        }
        for index in 0..group.len() {
            let job = &mut *group[index];
            let clean = match undo {
                Undo::Together => Ok(self.run_bare(job)),
                Undo::Alone => self.run_in_savepoint(job),
            };
            let lost = self.store.conn.is_autocommit();
            match clean {
                Ok(true) if !lost => {}
                Ok(false) if !lost && self.execute("ROLLBACK").is_ok() => return 0,
                _ => {
                    self.abandon();
                    void(&mut group[..=index], StoreError::Unavailable);
                    return index + 1;
                }
            }
        }
        if self.execute("COMMIT").is_err() {
            self.abandon();
            void(group, StoreError::Unavailable);
        }
        group.len()
    }

    /// Begins with the lock in hand: a transaction that reads first could later fail to get it. Not in
    /// a file that nobody would find again.
    fn begin(&mut self) -> Result<(), StoreError> {
        if !self.file.is_in_place() {
            return Err(StoreError::Unavailable);
        }
        debug_assert!(self.store.conn.is_autocommit(), "the last transaction has ended");
        self.execute("BEGIN IMMEDIATE")?;
        self.log.make_room();
        Ok(())
    }

    /// Runs one job, and says whether its writes may stay. A panic is a failure.
    fn run_job(&mut self, job: &mut dyn Job) -> bool {
        catch_unwind(AssertUnwindSafe(|| job.run(&mut self.store))).unwrap_or_else(|_| {
            job.void(StoreError::Unavailable);
            false
        })
    }

    /// Runs one job. `false` when it failed and left something: a statement that fails undoes itself and is not
    /// counted, so where the count has not moved there is nothing to undo.
    fn run_bare(&mut self, job: &mut dyn Job) -> bool {
        let before = self.store.conn.total_changes();
        self.run_job(job) || self.store.conn.total_changes() == before
    }

    /// Runs one job; what it wrote stays only if it says so, so it leaves nothing to undo. `Err` when the
    /// savepoint could not be closed, and nothing in this transaction can be trusted.
    fn run_in_savepoint(&mut self, job: &mut dyn Job) -> Result<bool, StoreError> {
        self.execute("SAVEPOINT job")?;
        if !self.run_job(job) {
            self.execute("ROLLBACK TO job")?;
        }
        self.execute("RELEASE job").map(|()| true)
    }

    /// Ends a transaction that came to nothing. SQLite may have ended it already, and then says so.
    fn abandon(&mut self) {
        if !self.store.conn.is_autocommit() {
            let _ = self.execute("ROLLBACK");
        }
        tracing::error!("a transaction was lost; every job in it is answered as unavailable");
    }

    fn execute(&self, sql: &str) -> Result<(), StoreError> {
        self.store.conn.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

impl Writer for SqliteWriter {
    fn run(&mut self, group: &mut [&mut dyn Job]) {
        let mut settled = 0;
        while settled < group.len() {
            let rest = &mut group[settled..];
            settled += match self.run_transaction(rest, Undo::Together) {
                0 => self.run_transaction(rest, Undo::Alone),
                settled => settled,
            };
        }
    }

    fn checkpoint(&mut self) -> Result<(), StoreError> {
        // The row says how far it got. A reader in the way is no failure: the log is just kept.
        Ok(self.store.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }
}

/// Voids jobs, those that failed by themselves as well: a `Conflict` may have been with a row that
/// is gone now.
fn void(group: &mut [&mut dyn Job], error: StoreError) {
    for job in group {
        job.void(error);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proptest::prelude::*;

    use super::super::{connect, create_file, migrations};
    use super::*;
    use crate::store::Store;
    use crate::store::model::{ProgressChange, Role, User, UserId};

    type Work = Box<dyn FnMut(&mut dyn Store) -> Result<(), StoreError> + Send>;

    struct Task {
        work: Work,
        outcome: Option<Result<(), StoreError>>,
    }

    impl Job for Task {
        fn run(&mut self, store: &mut dyn Store) -> bool {
            self.outcome.insert((self.work)(store)).is_ok()
        }

        fn void(&mut self, error: StoreError) {
            self.outcome = Some(Err(error));
        }
    }

    fn run(writer: &mut SqliteWriter, work: Vec<Work>) -> Vec<Result<(), StoreError>> {
        let mut tasks: Vec<Task> = work.into_iter().map(|work| Task { work, outcome: None }).collect();
        writer.run(&mut tasks.iter_mut().map(|task| task as &mut dyn Job).collect::<Vec<_>>());
        assert!(writer.store.conn.is_autocommit(), "no transaction stays open");
        tasks.into_iter().map(|task| task.outcome.unwrap()).collect()
    }

    fn writer(folder: &tempfile::TempDir) -> SqliteWriter {
        let file = create_file(folder.path().join("hub.db").to_str().unwrap()).unwrap();
        let mut conn = connect(&file, false).unwrap();
        migrations::run(&mut conn, migrations::LANDED).unwrap();
        let log = Log::of(&file).unwrap();
        SqliteWriter::new(conn, DatabaseFile::new(file).unwrap(), log)
    }

    fn user(number: usize, hash_bytes: usize) -> User {
        User {
            id: UserId::parse(&format!("user-{number:05}")).unwrap(),
            username: format!("user-{number:05}"),
            email: format!("user-{number:05}@example.org"),
            password_hash: "x".repeat(hash_bytes),
            role: Role::User,
            valid_from: 0,
            created_at: 0,
        }
    }

    fn create(number: usize, hash_bytes: usize) -> Work {
        let user = user(number, hash_bytes);
        Box::new(move |store| store.create_user(&user))
    }

    /// The numbers of the users that another connection finds in the file.
    fn durable(folder: &tempfile::TempDir) -> Vec<usize> {
        let conn = Connection::open(folder.path().join("hub.db")).unwrap();
        let check: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
        let mut statement = conn.prepare("SELECT CAST(substr(id, 6) AS INTEGER) FROM users ORDER BY id").unwrap();
        let rows = statement.query_map([], |row| row.get::<_, i64>(0).map(|number| number as usize)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    /// Lets the file grow by so many pages and no more, like a disk that is nearly full.
    fn leave_pages(writer: &SqliteWriter, pages: i64) {
        let used: i64 = writer.store.conn.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        let limit = format!("PRAGMA max_page_count = {}", used + pages);
        writer.store.conn.query_row(&limit, [], |_| Ok(())).unwrap();
    }

    fn succeeded(outcomes: &[Result<(), StoreError>]) -> Vec<usize> {
        (0..outcomes.len()).filter(|&number| outcomes[number].is_ok()).collect()
    }

    /// Shows that when SQLite ends the transaction in the middle of a group, the jobs before are
    /// voided with it, the jobs after run in a new one, and the file holds just what was reported.
    #[test]
    fn a_full_disk_in_the_middle_of_a_group() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(&folder);
        leave_pages(&writer, 20);
        let sizes = [10, 10, 10, 400_000, 10, 10];
        let work = sizes.iter().enumerate().map(|(number, &bytes)| create(number, bytes)).collect();
        let outcomes = run(&mut writer, work);
        let lost = Err(StoreError::Unavailable);
        assert_eq!(outcomes, [lost, lost, lost, lost, Ok(()), Ok(())]);
        assert_eq!(durable(&folder), [4, 5]);
    }

    /// Shows that a job whose transaction was ended under it can't commit anything by itself
    /// afterwards, although it ignores the error and goes on writing.
    #[test]
    fn a_job_that_goes_on_without_a_transaction() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(&folder);
        leave_pages(&writer, 20);
        let stubborn: Work = Box::new(|store| {
            assert_eq!(store.create_user(&user(1, 400_000)), Err(StoreError::Unavailable));
            assert_eq!(store.create_user(&user(2, 10)), Err(StoreError::Unavailable));
            Ok(())
        });
        let outcomes = run(&mut writer, vec![create(0, 10), stubborn, create(3, 10)]);
        assert_eq!(outcomes, [Err(StoreError::Unavailable), Err(StoreError::Unavailable), Ok(())]);
        assert_eq!(durable(&folder), [3]);
    }

    /// Shows that a job that panics after its transaction was ended takes nothing later with it.
    #[test]
    fn a_panic_without_a_transaction() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(&folder);
        leave_pages(&writer, 20);
        let panics: Work = Box::new(|store| {
            let _ = store.create_user(&user(1, 400_000));
            std::panic::resume_unwind(Box::new(()))
        });
        let outcomes = run(&mut writer, vec![create(0, 10), panics, create(2, 10)]);
        assert_eq!(outcomes, [Err(StoreError::Unavailable), Err(StoreError::Unavailable), Ok(())]);
        assert_eq!(durable(&folder), [2]);
    }

    /// Shows that a job which fails after it has written, or panics then, is undone alone, although the group began
    /// without savepoints; and that one which fails before it writes has nothing run again.
    #[test]
    fn a_job_that_fails_after_it_has_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(&folder);
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = |number| -> Work {
            let (mut create, runs) = (create(number, 10), runs.clone());
            Box::new(move |store| {
                runs.fetch_add(1, Ordering::Relaxed);
                create(store)
            })
        };
        let clean: Work = Box::new(|_| Err(StoreError::NotFound));
        assert_eq!(
            run(&mut writer, vec![counted(0), clean, create(0, 10)]),
            [Ok(()), Err(StoreError::NotFound), Err(StoreError::Conflict)]
        );
        assert_eq!(runs.load(Ordering::Relaxed), 1);
        let late: Work = Box::new(|store| {
            store.create_user(&user(2, 10))?;
            Err(StoreError::NotFound)
        });
        let panics: Work = Box::new(|store| {
            store.create_user(&user(3, 10)).unwrap();
            std::panic::resume_unwind(Box::new(()))
        });
        let outcomes = run(&mut writer, vec![counted(1), late, create(4, 10), panics, create(5, 10)]);
        assert_eq!(outcomes, [Ok(()), Err(StoreError::NotFound), Ok(()), Err(StoreError::Unavailable), Ok(())]);
        assert_eq!(runs.load(Ordering::Relaxed), 3);
        assert_eq!(durable(&folder), [0, 1, 4, 5]);
    }

    /// Shows that when COMMIT fails every job is voided and nothing is kept, and that the next group
    /// works: with keys checked only at the end, COMMIT finds one that points nowhere.
    #[test]
    fn a_commit_that_fails() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(&folder);
        writer.store.conn.pragma_update(None, "defer_foreign_keys", true).unwrap();
        let dangling: Work = Box::new(|store| store.update_progress(&change(0, 404)).map(drop));
        let conflict = create(0, 10);
        let outcomes = run(&mut writer, vec![create(0, 10), dangling, create(1, 10), conflict]);
        assert_eq!(outcomes, [Err(StoreError::Unavailable); 4]);
        assert_eq!(durable(&folder), [0; 0]);
        assert_eq!(run(&mut writer, vec![create(2, 10)]), [Ok(())]);
        assert_eq!(durable(&folder), [2]);
    }

    /// Shows that a lock held by someone else is answered `Busy`, to the whole group, and that no job
    /// even began.
    #[test]
    fn a_lock_held_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(&folder);
        writer.store.conn.busy_timeout(std::time::Duration::ZERO).unwrap();
        let other = Connection::open(folder.path().join("hub.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let began: Work = Box::new(|_| unreachable!("no job runs without a transaction"));
        assert_eq!(run(&mut writer, vec![create(0, 10), began]), [Err(StoreError::Busy); 2]);
        other.execute_batch("COMMIT").unwrap();
        assert_eq!(run(&mut writer, vec![create(1, 10)]), [Ok(())]);
        assert_eq!(durable(&folder), [1]);
    }

    /// Shows that an empty group is nothing to do.
    #[test]
    fn an_empty_group() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(run(&mut writer(&folder), vec![]), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

        /// Shows, with groups of rows of random sizes on a disk that fills up, and jobs that fail after they have
        /// written, that the file holds exactly the rows whose jobs reported success, whatever was lost on the way.
        #[test]
        fn what_is_reported_is_what_is_there(
            pages in 0_i64..60,
            sizes in prop::collection::vec(prop_oneof![4 => 1_usize..2_000, 1 => 2_000_usize..60_000], 1..30),
            late in prop::collection::vec(prop::bool::weighted(0.1), 30),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut writer = writer(&folder);
            leave_pages(&writer, pages);
            let work = sizes.iter().zip(late).enumerate().map(|(number, (&bytes, late))| -> Work {
                let mut create = create(number, bytes);
                Box::new(move |store| create(store).and(if late { Err(StoreError::NotFound) } else { Ok(()) }))
            });
            let outcomes = run(&mut writer, work.collect());
            prop_assert_eq!(durable(&folder), succeeded(&outcomes));
        }
    }

    fn change(user: usize, manga_id: i64) -> ProgressChange {
        ProgressChange::nothing(UserId::parse(&format!("user-{user:05}")).unwrap(), manga_id, 0)
    }
}
