//! What readers think of a series, one file for each way to say it: a number, a few words, a text.
//!
//! An opinion is said to everybody. The one exception is a rating by somebody whose progress with the
//! series is private: it is counted in the average, and nobody is shown whose it is.

pub mod comments;
pub mod ratings;
pub mod reviews;

use std::sync::Arc;

use super::api::{ApiError, Series};
use super::catalogue::MangaRef;
use crate::store::StoreError;
use crate::store::model::{Comment, Page, Rating, RatingSums, Review, Window};

/// What is answered about opinions.
#[derive(Debug)]
pub enum Reply {
    /// Who rated a series, and how.
    Ratings(Page<(String, Rating)>, Window),
    /// The rating that was given, and where it leaves the series.
    Rated(Rating, Box<Standing>),
    /// How a series is rated, by all and by the caller.
    Standing(Box<Standing>),
    /// The caller's rating.
    OwnRating(Rating),
    /// What all ratings come to.
    Average(RatingSums),
    /// A comment.
    Comment(Box<Comment>),
    /// A new comment.
    Commented(Box<Comment>),
    /// Many comments.
    Comments(Page<Comment>, Window),
    /// A review.
    Review(Box<Review>, Arc<Series>),
    /// Reviews of one series.
    Reviews(Page<Review>, Arc<Series>, Window),
    /// What a review's votes come to after one of them changed.
    Voted {
        /// How many found it helpful.
        helpful: i64,
        /// Whether the caller is one of them.
        voted: bool,
    },
}

/// How a series is rated.
#[derive(Debug)]
pub struct Standing {
    /// Which series.
    pub series: Arc<Series>,
    /// Who asks.
    pub username: Arc<str>,
    /// What they gave.
    pub mine: Option<Rating>,
    /// What all gave.
    pub sums: RatingSums,
}

/// A part of a list about a series.
#[derive(Debug, Clone)]
pub struct About {
    /// Which series.
    pub manga: MangaRef,
    /// Which part.
    pub window: Window,
}

/// A failure of the store where what isn't there has a name.
fn or_missing(what: &'static str) -> impl Fn(StoreError) -> ApiError {
    move |error| match error {
        StoreError::NotFound => ApiError::not_found(what),
        other => other.into(),
    }
}

/// What isn't there when something new can't be written: the catalogue knew the series a moment ago.
const GONE: &str = "This account or series no longer exists";
