//! What can be counted about a reader, and what readers aim at.

use serde::{Deserialize, Serialize};

use super::{Chapter, MangaId, ReadingStatus, UnixMillis};

words! {
    /// A stretch of the calendar.
    Period {
        /// From midnight to midnight.
        Day = "day",
        /// From Monday on.
        Week = "week",
        /// A month of the calendar.
        Month = "month",
        /// A year of the calendar.
        Year = "year",
    }
}

/// Where a reader stands with everything, in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Shelf {
    /// Each status that a series of theirs has.
    pub by_status: Vec<StatusCount>,
    /// How many series they rated, and what the ratings add up to.
    pub ratings: (u64, u64),
}

/// What has one status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusCount {
    /// The status.
    pub status: ReadingStatus,
    /// So many series.
    pub series: u64,
    /// So many of them stand in the library.
    pub in_library: u64,
    /// So many whole chapters of them were read.
    pub chapters: u64,
    /// So often one of them was read again.
    pub rereads: u64,
}

/// A step forward in a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Which series.
    pub manga_id: MangaId,
    /// When: as the reader said, or else when the server heard of it.
    pub at: UnixMillis,
    /// So many whole chapters, at least one.
    pub chapters: u64,
}

/// Steps forward, in no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readings {
    /// The steps.
    pub steps: Vec<Reading>,
    /// Whether these are all. If not, there is more history than one look may read, and the oldest is missing.
    pub complete: bool,
}

/// A series that has ended, and that its reader has not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfinished {
    /// Which series.
    pub manga_id: MangaId,
    /// The last chapter read.
    pub chapter: Chapter,
    /// The last chapter there is.
    pub chapters_total: Chapter,
}

/// What a reader aims at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goal {
    /// In each of these.
    pub period: Period,
    /// So many chapters.
    pub target: u32,
    /// When the goal was set first.
    pub created_at: UnixMillis,
    /// When it last changed.
    pub updated_at: UnixMillis,
}
