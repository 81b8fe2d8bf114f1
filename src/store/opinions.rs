//! Verbs on what readers think: ratings, comments, reviews.

use super::StoreError;
use super::model::{
    Comment, CommentId, MangaId, NewComment, Page, Rating, RatingSums, Review, ReviewChange, ReviewId, ReviewOrder,
    UnixMillis, UserId, Window,
};

/// What the store does with readers' opinions. Whose they are is checked by whoever asks.
pub trait Opinions {
    /// Rates a series, 1 to 10, for the first time or again.
    fn rate(
        &mut self,
        user: &UserId,
        manga: MangaId,
        rating: i32,
        received_at: UnixMillis,
    ) -> Result<Rating, StoreError>;
    /// Takes a rating back.
    fn delete_rating(&mut self, user: &UserId, manga: MangaId) -> Result<(), StoreError>;
    /// A user's rating of a series.
    fn rating(&mut self, user: &UserId, manga: MangaId) -> Result<Rating, StoreError>;
    /// What all ratings of a series add up to, private ones included.
    fn rating_sums(&mut self, manga: MangaId) -> Result<RatingSums, StoreError>;
    /// Who rated a series, the newest first, without those whose progress with it is private.
    fn ratings(&mut self, manga: MangaId, window: Window) -> Result<Page<(String, Rating)>, StoreError>;

    /// Posts a comment.
    fn add_comment(&mut self, comment: &NewComment) -> Result<Comment, StoreError>;
    /// One comment.
    fn comment(&mut self, id: CommentId) -> Result<Comment, StoreError>;
    /// Replaces a comment's text.
    fn edit_comment(&mut self, id: CommentId, content: &str, received_at: UnixMillis) -> Result<Comment, StoreError>;
    /// Deletes a comment.
    fn delete_comment(&mut self, id: CommentId) -> Result<(), StoreError>;
    /// The comments below a series, the newest first.
    fn comments(&mut self, manga: MangaId, window: Window) -> Result<Page<Comment>, StoreError>;
    /// A user's comments, the newest first.
    fn comments_by(&mut self, user: &UserId, window: Window) -> Result<Page<Comment>, StoreError>;

    /// Writes a review, and its rating if it gives one.
    fn put_review(&mut self, change: &ReviewChange) -> Result<Review, StoreError>;
    /// One review, as `viewer` sees it.
    fn review(&mut self, id: ReviewId, viewer: Option<&UserId>) -> Result<Review, StoreError>;
    /// A user's own review of a series.
    fn review_by(&mut self, user: &UserId, manga: MangaId) -> Result<Review, StoreError>;
    /// Deletes a review with its votes.
    fn delete_review(&mut self, id: ReviewId) -> Result<(), StoreError>;
    /// The reviews of a series, as `viewer` sees them.
    fn reviews(
        &mut self,
        manga: MangaId,
        order: ReviewOrder,
        window: Window,
        viewer: Option<&UserId>,
    ) -> Result<Page<Review>, StoreError>;
    /// A user's comments after the comment `after`, at most `limit`, for them to take along.
    fn comments_after(&mut self, user: &UserId, after: CommentId, limit: u32) -> Result<Vec<Comment>, StoreError>;
    /// A user's reviews by series, after the series `after`, at most `limit`.
    fn reviews_after(&mut self, user: &UserId, after: MangaId, limit: u32) -> Result<Vec<Review>, StoreError>;
    /// The reviews that a user found helpful, after the review `after`, at most `limit`, each with its series.
    fn votes_after(
        &mut self,
        user: &UserId,
        after: ReviewId,
        limit: u32,
    ) -> Result<Vec<(ReviewId, MangaId)>, StoreError>;
    /// Notes whether a user finds a review helpful; saying it once more changes nothing.
    fn vote(&mut self, id: ReviewId, user: &UserId, helpful: bool) -> Result<Review, StoreError>;
}
