//! Verbs for whoever leaves: everything of theirs to take along, and nothing of theirs to stay.

use super::StoreError;
use super::model::{MangaId, OwnRating, Progress, UserId, Voiding};

/// What the store does for a user who leaves.
pub trait Departure {
    /// A user's progress by series, after the series `after`, at most `limit` rows.
    fn progress_after(&mut self, user: &UserId, after: MangaId, limit: u32) -> Result<Vec<Progress>, StoreError>;
    /// A user's ratings by series, after the series `after`, at most `limit`.
    fn ratings_after(&mut self, user: &UserId, after: MangaId, limit: u32) -> Result<Vec<OwnRating>, StoreError>;
    /// Deletes a user as far as anybody can see: no password, no name, no tokens from before.
    /// [`erase_deleted`](Self::erase_deleted) does the rest. [`StoreError::Conflict`] when the tokens were
    /// voided since the password was compared. Forgets some who were deleted before `oldest`: no token from
    /// their time is alive.
    fn delete_user(&mut self, id: &UserId, voiding: Voiding, oldest: i64) -> Result<(), StoreError>;
    /// Erases at most about `rows_max` rows of deleted users, the user last. `false` when none is left.
    fn erase_deleted(&mut self, rows_max: usize) -> Result<bool, StoreError>;
}

/// How many rows a job of [`Departure::erase_deleted`] takes: a few milliseconds of the writer's time.
pub const ERASED_ROWS_MAX: usize = 500;
