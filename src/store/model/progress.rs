//! Where readers stand, and how they came there.

use serde::{Deserialize, Serialize};

use super::{Chapter, MangaId, UnixMillis, UserId};

words! {
    /// Where a reader stands with a series.
    ReadingStatus {
        /// Reading it now.
        Reading = "reading",
        /// Read to its end.
        Completed = "completed",
        /// On the list for later.
        PlanToRead = "plan_to_read",
        /// Paused.
        OnHold = "on_hold",
        /// Given up.
        Dropped = "dropped",
        /// Reading it once more.
        ReReading = "re_reading",
    }
}

impl ReadingStatus {
    /// Whether whoever stands there has begun to read.
    pub const fn has_begun(self) -> bool {
        matches!(self, Self::Reading | Self::Completed | Self::ReReading)
    }
}

/// Where one user stands with one series: at most one row for each pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Whose.
    pub user_id: UserId,
    /// Of which series.
    pub manga_id: MangaId,
    /// Whether it stands in the user's library; progress alone doesn't put it there.
    pub in_library: bool,
    /// Where the reader stands.
    pub status: ReadingStatus,
    /// The last chapter read; 0 when none.
    pub chapter: Chapter,
    /// The volume, where the reader counts in volumes.
    pub volume: Option<i32>,
    /// The page within the chapter.
    pub page: Option<i32>,
    /// How often it was read again.
    pub rereads: i32,
    /// When reading began.
    pub started_at: Option<UnixMillis>,
    /// When it was read to its end.
    pub completed_at: Option<UnixMillis>,
    /// Shown to its owner only.
    pub private: bool,
    /// A note for its owner only.
    pub note: Option<String>,
    /// The user's rating of the series, 1 to 10, from the ratings table.
    pub rating: Option<i32>,
    /// The server's time of receipt of the last change.
    pub updated_at: UnixMillis,
    /// When it came into the library; `None` when it isn't there.
    pub added_at: Option<UnixMillis>,
}

/// What a user thinks of a series, as they are shown it themselves.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnRating {
    /// Of which series.
    pub manga_id: MangaId,
    /// 1 to 10.
    pub rating: i32,
    /// When it was first given.
    pub created_at: UnixMillis,
    /// When it was last given.
    pub updated_at: UnixMillis,
}

/// One change to one progress row. `None` leaves the stored value as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct ProgressChange {
    /// Whose.
    pub user_id: UserId,
    /// Of which series.
    pub manga_id: MangaId,
    /// The chapter now reached.
    pub chapter: Option<Chapter>,
    /// The status now held.
    pub status: Option<ReadingStatus>,
    /// The volume now reached.
    pub volume: Option<i32>,
    /// The page now reached.
    pub page: Option<i32>,
    /// A rating, 1 to 10; written to the ratings table.
    pub rating: Option<i32>,
    /// Whether others may see it.
    pub private: Option<bool>,
    /// The owner's note; the empty string clears it.
    pub note: Option<String>,
    /// The device that sent it, for the history.
    pub device: Option<String>,
    /// When the reader says it was read, for the history; it orders nothing.
    pub read_at: Option<UnixMillis>,
    /// The server's time of receipt.
    pub received_at: UnixMillis,
    /// What must be there already, else it is `NotFound`.
    pub needs: Needs,
    /// What becomes of it when its chapter is behind the stored one.
    pub behind: Behind,
}

impl ProgressChange {
    /// A change of nothing, to start from: it makes the row if there is none.
    pub fn nothing(user_id: UserId, manga_id: MangaId, received_at: UnixMillis) -> Self {
        Self {
            user_id,
            manga_id,
            chapter: None,
            status: None,
            volume: None,
            page: None,
            rating: None,
            private: None,
            note: None,
            device: None,
            read_at: None,
            received_at,
            needs: Needs::Nothing,
            behind: Behind::Store,
        }
    }
}

/// What must be there before a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: a row is made.
    Nothing,
    /// A row (the v1 PUT).
    Row,
    /// A row that is in the library (the v1 PATCH).
    LibraryEntry,
}

/// What becomes of a change whose chapter is behind the stored one.
///
/// One that begins again is never behind: it makes the row `re_reading` or `plan_to_read`, which it
/// was not before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// It is stored: the last one to come is right.
    Store,
    /// The stored place stays (chapter, volume and page), and the rest of it is stored.
    KeepPlace,
    /// It is refused with `Behind`, and nothing is changed.
    Refuse,
}

/// A stored change, and the number of its history row: the order in which changes happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The row as it now is.
    pub progress: Progress,
    /// The id of the history row written in the same transaction.
    pub seq: i64,
    /// There was no row before: the series has one reader more.
    pub is_first: bool,
}

/// One line of a user's reading history. Appended, never changed.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEntry {
    /// Its number; later entries have higher ones.
    pub seq: i64,
    /// Of which series.
    pub manga_id: MangaId,
    /// The chapter reached.
    pub chapter: Chapter,
    /// The volume reached.
    pub volume: Option<i32>,
    /// The page reached.
    pub page: Option<i32>,
    /// The status held.
    pub status: ReadingStatus,
    /// The device that sent it.
    pub device: Option<String>,
    /// When the reader says it was read.
    pub read_at: Option<UnixMillis>,
    /// When the server received it.
    pub recorded_at: UnixMillis,
}

#[cfg(test)]
mod tests {
    use crate::store::model::Role;

    use super::*;

    /// Shows that each word is read as the variant that writes it, and that nothing else is a word.
    #[test]
    fn words_are_read_as_written() {
        for word in ReadingStatus::WORDS {
            assert_eq!(ReadingStatus::parse(word).unwrap().as_str(), *word);
            assert_eq!(ReadingStatus::parse(&word.replace('_', "-")).unwrap().as_str(), *word);
        }
        for word in ["", "Reading", "reading ", "plan to read", "-", "re_reading\0"] {
            assert_eq!(ReadingStatus::parse(word), None, "{word:?}");
        }
        assert_eq!(serde_json::to_string(&ReadingStatus::PlanToRead).unwrap(), r#""plan_to_read""#);
        assert_eq!(Role::WORDS, ["user", "admin"]);
    }
}
