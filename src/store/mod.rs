//! What MangaHub keeps: typed verbs over whole transactions, behind one seam.
//!
//! Everything here may block, so it runs on worker threads only. A verb speaks of the domain and
//! never of SQL; it never begins or ends a transaction, because grouping commits is the writer's
//! work ([`Writer`]). Each area's verbs are a trait in a file of its own, and [`Store`] is all of them.
//! [`open`] chooses the backend by the address.

mod accounts;
mod catalogue;
mod chat;
mod departure;
mod friends;
mod lists;
pub mod model;
mod notices;
mod opinions;
mod reading;
mod recommend;
mod refresh;
pub mod sqlite;
mod stats;
mod webhooks;

pub use accounts::Accounts;
pub use catalogue::{Catalogue, UPSERTS_MAX};
pub use chat::{CHAT_ROWS_MAX, Chat, GUEST_ROOMS_MAX, ROOMS_MAX};
pub use departure::{Departure, ERASED_ROWS_MAX};
pub use friends::{FRIENDS_MAX, Friends, REQUESTS_MAX};
pub use lists::{ITEMS_MAX, LISTS_MAX, Lists};
pub use notices::{LISTENERS_MAX, MUTES_MAX, NOTICES_OWN, NOTICES_SHOWN, Notices, PRUNED_ROWS_MAX, REPEAT_MS};
pub use opinions::Opinions;
pub use reading::Reading;
pub use recommend::Tastes;
pub use refresh::{FAMILIES_MAX, RefreshTokens};
pub use stats::{Goals, READING_ROWS_MAX, Statistics};
pub use webhooks::{DELIVERIES_MAX, EVENT_BYTES_MAX, SPREAD_HOOKS, Webhooks};

/// What went wrong, named for what the caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum StoreError {
    /// There is no such row: say so.
    #[error("not found")]
    NotFound,
    /// A row with that unique value exists: choose another.
    #[error("already exists")]
    Conflict,
    /// The change is behind what is stored, and was to be refused then: ask the reader.
    #[error("behind what is stored")]
    Behind,
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

/// The verbs of every area, and those of the store as a whole. A reader lane's store refuses the ones
/// that write with [`StoreError::Unavailable`].
///
/// Every verb that names a user or series that does not exist answers [`StoreError::NotFound`].
pub trait Store:
    Accounts
    + Catalogue
    + Chat
    + Departure
    + Friends
    + Goals
    + Lists
    + Notices
    + Opinions
    + Reading
    + RefreshTokens
    + Statistics
    + Tastes
    + Webhooks
{
    /// A number that changes when another process commits a change to the database.
    fn data_version(&mut self) -> Result<i64, StoreError>;
    /// Reads one row, to show that the store answers.
    fn ping(&mut self) -> Result<(), StoreError>;
}

/// A piece of work for a worker: it runs against a store and keeps its own result.
///
/// A result is final only when the worker hands the job back; until then it can be voided.
pub trait Job: Send {
    /// Does the work and keeps the result. `false` when it failed: its writes are then undone.
    ///
    /// The writer may undo it and run it again, so it must do the same each time, and nothing but with the store.
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
