//! What readers seem to like, as far as recommendations need it.

use super::{MangaId, ReadingStatus, UnixMillis, UserId};

/// What a reader did with a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taste {
    /// Which series.
    pub manga_id: MangaId,
    /// Where they stand with it; `None` when they only rated it.
    pub status: Option<ReadingStatus>,
    /// How they rated it, 1 to 10.
    pub rating: Option<i32>,
    /// When it last changed.
    pub updated_at: UnixMillis,
}

/// A place in the order of everyone's progress: a user, and a series of theirs.
pub type TastePlace = (UserId, MangaId);

/// A part of everyone's tastes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TasteSlice {
    /// Whose, and what: user by user. Private ones are left out.
    pub tastes: Vec<(UserId, Taste)>,
    /// Where the next part begins; `None` when this was the last.
    pub next: Option<TastePlace>,
}
