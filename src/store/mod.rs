//! What MangaHub keeps: typed verbs over whole transactions, behind one seam.
//!
//! Everything here may block, so it runs on worker threads only. A verb speaks of the domain and
//! never of SQL; it never begins or ends a transaction, because grouping commits is the writer's
//! work ([`Writer`]). [`open`] chooses the backend by the address.

pub mod model;
pub mod sqlite;

use model::{
    HistoryEntry, Manga, MangaFacts, MangaId, MangaQuery, Page, Progress, ProgressChange, ReadingStatus, Stored,
    UnixMillis, User, UserId, Window,
};

/// What went wrong, named for what the caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum StoreError {
    /// There is no such row: say so.
    #[error("not found")]
    NotFound,
    /// A row with that unique value exists: choose another.
    #[error("already exists")]
    Conflict,
    /// Someone else holds the lock: try again soon.
    #[error("the store is busy")]
    Busy,
    /// The store can't do it now (disk full, I/O error, a lost transaction): nothing was kept.
    #[error("the store is unavailable")]
    Unavailable,
    /// More than one call may carry: send it in pieces.
    #[error("too much for one call")]
    TooMuch,
    /// The stored data contradicts itself: an operator must look.
    #[error("the store is corrupt")]
    Corrupt,
}

/// The verbs. A reader lane's store refuses the ones that write with [`StoreError::Unavailable`].
///
/// Every verb that names a user or series that does not exist answers [`StoreError::NotFound`].
pub trait Store {
    /// Adds a user. [`StoreError::Conflict`] when the name or the e-mail address is taken.
    fn create_user(&mut self, user: &User) -> Result<(), StoreError>;
    /// The user with that id.
    fn user(&mut self, id: &UserId) -> Result<User, StoreError>;
    /// The user with that name, or, when it holds an `@`, that e-mail address. ASCII case is ignored.
    fn user_by_login(&mut self, login: &str) -> Result<User, StoreError>;
    /// Sets a new password hash, and voids every token issued before `valid_from` (Unix seconds).
    fn set_password(&mut self, id: &UserId, hash: &str, valid_from: i64) -> Result<(), StoreError>;
    /// Voids every token of the user issued before `valid_from` (Unix seconds).
    fn set_valid_from(&mut self, id: &UserId, valid_from: i64) -> Result<(), StoreError>;
    /// Every user whose tokens were voided at or after `since` (Unix seconds), and from when theirs count.
    fn revocations(&mut self, since: i64) -> Result<Vec<(UserId, i64)>, StoreError>;
    /// A number that changes when another process commits a change to the database.
    fn data_version(&mut self) -> Result<i64, StoreError>;
    /// Reads one row, to show that the store answers.
    fn ping(&mut self) -> Result<(), StoreError>;

    /// Brings the catalogue to these facts, slug by slug; unchanged ones are not written. Returns how
    /// many rows were added or changed. More than [`UPSERTS_MAX`] are [`StoreError::TooMuch`].
    fn upsert_manga(&mut self, facts: &[MangaFacts], now: UnixMillis) -> Result<usize, StoreError>;
    /// The series of a key.
    fn manga(&mut self, id: MangaId) -> Result<Manga, StoreError>;
    /// The next series by key after `after`, at most `limit`: the catalogue in slices.
    fn manga_after(&mut self, after: MangaId, limit: u32) -> Result<Vec<Manga>, StoreError>;
    /// The series that match, by title.
    fn search_manga(&mut self, query: &MangaQuery) -> Result<Page<Manga>, StoreError>;

    /// Puts a series into a library. [`StoreError::Conflict`] when it is there. An existing
    /// progress row is kept: `status` replaces its status, `chapter` its chapter when not 0.
    fn add_to_library(&mut self, change: &ProgressChange, status: ReadingStatus) -> Result<Stored, StoreError>;
    /// A user's library, the last changed first.
    fn library(&mut self, user: &UserId, window: Window) -> Result<Page<(Progress, Manga)>, StoreError>;
    /// Stores a change of progress and its history row.
    fn update_progress(&mut self, change: &ProgressChange) -> Result<Stored, StoreError>;
    /// Where a user stands with a series.
    fn progress(&mut self, user: &UserId, manga: MangaId) -> Result<Progress, StoreError>;
    /// All of a user's progress, the last changed first.
    fn progress_page(&mut self, user: &UserId, window: Window) -> Result<Page<Progress>, StoreError>;
    /// Forgets a user's progress with a series; the history stays.
    fn delete_progress(&mut self, user: &UserId, manga: MangaId) -> Result<(), StoreError>;
    /// A user's history, the latest first: of one series or all, before `before` (a seq) where given.
    /// The time it takes grows with the rows that are skipped.
    fn history(
        &mut self,
        user: &UserId,
        manga: Option<MangaId>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<HistoryEntry>, StoreError>;
}

/// The most series in one call of [`Store::upsert_manga`]: writing more at once would keep readers'
/// progress waiting behind it. Whoever has more makes a chain of jobs.
pub const UPSERTS_MAX: usize = 500;

/// A piece of work for a worker: it runs against a store and keeps its own result.
///
/// A result is final only when the worker hands the job back; until then it can be voided.
pub trait Job: Send {
    /// Does the work and keeps the result. `false` when it failed: its writes are then undone.
    fn run(&mut self, store: &mut dyn Store) -> bool;
    /// Forgets the result: the transaction that held it is gone, or the work panicked.
    fn void(&mut self, error: StoreError);
}

/// The one lane that writes. It owns grouping: many jobs, one commit.
pub trait Writer: Send {
    /// Runs the jobs in order, each undone alone if it fails, and commits once. On return every job
    /// holds its final result: durable, or an error. A panic inside a job voids that job only.
    fn run(&mut self, group: &mut [&mut dyn Job]);
    /// Moves the log into the database file, as far as readers let it.
    fn checkpoint(&mut self) -> Result<(), StoreError>;
}

/// An opened store: the writer, and as many reader connections as asked for.
pub struct OpenStore {
    /// The writer lane.
    pub writer: Box<dyn Writer>,
    /// One store for each reader worker. They see what is committed.
    pub readers: Vec<Box<dyn Store + Send>>,
}

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// `sqlite:PATH`.
    pub url: String,
    /// How many readers [`OpenStore::readers`] holds.
    pub readers: usize,
    /// `PRAGMA synchronous`: `true` is FULL (a commit survives a power cut), `false` is NORMAL.
    pub full_sync: bool,
}

/// Why a store could not be opened: one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address names no backend that is built in.
    #[error("store url {0:?}: expected sqlite:PATH")]
    UnknownUrl(String),
    /// The database can't be opened, created or migrated.
    #[error("database {path}: {why}")]
    Failed {
        /// The file.
        path: String,
        /// What the database said.
        why: String,
    },
    /// The database was written by a newer version of this program.
    #[error("database {path} has schema version {found}, this program knows {known}: use a newer mangahub")]
    TooNew {
        /// The file.
        path: String,
        /// The version in the file.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
}

/// Opens the store, creating and migrating it where needed. Folders are made with mode 0700, files
/// with mode 0600.
pub fn open(options: &StoreOptions) -> Result<OpenStore, OpenError> {
    match options.url.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => sqlite::open(path, options),
        _ => Err(OpenError::UnknownUrl(options.url.clone())),
    }
}
