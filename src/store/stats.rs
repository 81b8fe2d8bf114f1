//! Verbs on what can be counted about a reader, and on their goals.

use super::StoreError;
use super::model::{Goal, MangaId, Period, Readings, Shelf, Unfinished, UnixMillis, UserId};

/// What the store counts.
pub trait Statistics {
    /// Where a user stands with everything.
    fn shelf(&mut self, user: &UserId) -> Result<Shelf, StoreError>;
    /// How a user went forward, from `since` on where given. A chapter counts when the number of the last
    /// chapter read grows past it, each time it does; a series that begins with chapter 5 begins with five.
    /// At most [`READING_ROWS_MAX`] rows of history are read, the newest.
    fn readings(&mut self, user: &UserId, since: Option<UnixMillis>) -> Result<Readings, StoreError>;
    /// The genres of every series that a user has or had progress with.
    fn genres_read(&mut self, user: &UserId) -> Result<Vec<(MangaId, String)>, StoreError>;
    /// Series with a known end that a user is reading, the last changed first.
    fn unfinished(&mut self, user: &UserId, limit: u32) -> Result<Vec<Unfinished>, StoreError>;
}

/// What the store does with goals.
pub trait Goals {
    /// A user's goals, the shortest period first.
    fn goals(&mut self, user: &UserId) -> Result<Vec<Goal>, StoreError>;
    /// Sets a goal, or changes it.
    fn set_goal(&mut self, user: &UserId, period: Period, target: u32, now: UnixMillis) -> Result<Goal, StoreError>;
    /// Gives a goal up.
    fn delete_goal(&mut self, user: &UserId, period: Period) -> Result<(), StoreError>;
}

/// The most rows of history that one look reads: what a devoted reader writes in some years, and a
/// fraction of a second of reading.
pub const READING_ROWS_MAX: usize = 100_000;
