//! What readers think of a series.

use serde::{Deserialize, Serialize};

use super::{MangaId, UnixMillis, UserId};

/// The number of a comment. A later one is greater, and none is given twice.
pub type CommentId = i64;

/// The number of a review, alike.
pub type ReviewId = i64;

/// A reader's rating of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rating {
    /// 1 to 10.
    pub rating: i32,
    /// When the reader first rated the series.
    pub created_at: UnixMillis,
    /// When the reader last rated it.
    pub updated_at: UnixMillis,
}

/// What the ratings of a series add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RatingSums {
    /// All of them together.
    pub sum: i64,
    /// How many there are.
    pub count: i64,
}

impl RatingSums {
    /// The mean, once somebody has rated.
    pub fn average(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }
}

/// What a reader says below a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Its number.
    pub id: CommentId,
    /// Below which series.
    pub manga_id: MangaId,
    /// Whose.
    pub user_id: UserId,
    /// Their name.
    pub username: String,
    /// The text as it was sent.
    pub content: String,
    /// When it was posted.
    pub created_at: UnixMillis,
    /// When its text last changed.
    pub updated_at: UnixMillis,
}

/// A comment that is posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewComment {
    /// Below which series.
    pub manga_id: MangaId,
    /// Whose.
    pub user_id: UserId,
    /// The text: 1 to 5,000 characters.
    pub content: String,
    /// The server's time of receipt.
    pub received_at: UnixMillis,
}

/// What a reader says about a series at length: one for each pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Its number.
    pub id: ReviewId,
    /// About which series.
    pub manga_id: MangaId,
    /// Whose.
    pub user_id: UserId,
    /// Their name.
    pub username: String,
    /// The rating that the review itself gives, as it was published.
    pub rating: Option<i32>,
    /// It tells how the story goes on.
    pub spoiler: bool,
    /// How many readers found it helpful.
    pub helpful: i64,
    /// Whether the reader who asks is one of them; `None` when nobody in particular asks.
    pub voted: Option<bool>,
    /// When it was first published.
    pub created_at: UnixMillis,
    /// When it was last written.
    pub updated_at: UnixMillis,
    /// The text as it was sent.
    pub text: String,
}

/// A review that is written, for the first time or again. It replaces what was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewChange {
    /// About which series.
    pub manga_id: MangaId,
    /// Whose.
    pub user_id: UserId,
    /// The rating it gives, 1 to 10: written to the ratings as well.
    pub rating: Option<i32>,
    /// It tells how the story goes on.
    pub spoiler: bool,
    /// The text: 1 to 10,000 characters.
    pub text: String,
    /// The server's time of receipt.
    pub received_at: UnixMillis,
}

words! {
    /// In which order reviews are shown; those that are equal the newest first.
    ReviewOrder {
        /// The ones that most readers found helpful first.
        Helpful = "helpful",
        /// The newest first.
        Date = "date",
        /// The highest rating first, those without one last.
        Rating = "rating",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that nobody's rating is no average, not one of zero.
    #[test]
    fn an_average_needs_a_rating() {
        assert_eq!(RatingSums::default().average(), None);
        assert_eq!(RatingSums { sum: 15, count: 2 }.average(), Some(7.5));
    }
}
