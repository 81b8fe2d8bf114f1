//! Verbs on what readers read: their libraries, their progress, their history.

use super::StoreError;
use super::model::{
    HistoryEntry, Manga, MangaId, Page, Progress, ProgressChange, ReadingStatus, Stored, UserId, Window,
};

/// What the store does with readers' progress.
///
/// Whether a change is behind what is stored is decided here, in the transaction that would store it:
/// [`StoreError::Behind`] when such a change was to be refused.
pub trait Reading {
    /// Puts a series into a library. [`StoreError::Conflict`] when it is there. An existing progress row
    /// is kept and changed, but 0 does not replace its chapter; a new one is `plan_to_read`, unless the
    /// change says otherwise.
    fn add_to_library(&mut self, change: &ProgressChange) -> Result<Stored, StoreError>;
    /// Takes a series out of a library; its progress and history stay.
    fn remove_from_library(&mut self, user: &UserId, manga: MangaId) -> Result<(), StoreError>;
    /// A user's library, of one status or all, the last changed first.
    fn library(
        &mut self,
        user: &UserId,
        status: Option<ReadingStatus>,
        window: Window,
    ) -> Result<Page<(Progress, Manga)>, StoreError>;
    /// Stores a change of progress and its history row.
    fn update_progress(&mut self, change: &ProgressChange) -> Result<Stored, StoreError>;
    /// Where a user stands with a series.
    fn progress(&mut self, user: &UserId, manga: MangaId) -> Result<Progress, StoreError>;
    /// A user's progress, of one status or all, the last changed first.
    fn progress_page(
        &mut self,
        user: &UserId,
        status: Option<ReadingStatus>,
        window: Window,
    ) -> Result<Page<Progress>, StoreError>;
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
