//! Ratings and reviews in the first family's words: routes, what is read, what is shown.

use serde_json::{Value, json};

use super::bounded::window;
use super::read::named;
use super::show::{data, list, meta};
use crate::handlers::api::{ApiError, Series};
use crate::handlers::opinions::ratings::Rate;
use crate::handlers::opinions::reviews::{List, Put, Vote};
use crate::handlers::opinions::{About, Reply, Standing, ratings, reviews};
use crate::proto::http1::{Method, Response};
use crate::proto::json::missing;
use crate::proto::routes::{Family, HttpInput, Route};
use crate::proto::time::rfc3339;
use crate::store::model::{Review, ReviewId, ReviewOrder};

/// The routes of this area.
pub(super) fn routes() -> [Route; 10] {
    use Method::{Delete, Get, Put};
    let (rating, mine) = ("/api/v1/manga/{manga}/rating", "/api/v1/manga/{manga}/reviews/mine");
    let helpful = "/api/v1/reviews/{id}/helpful";
    [
        Route::http(Family::V1, Get, rating, ratings::STANDING, |input| Ok(named(input))),
        Route::http(Family::V1, Put, rating, ratings::RATE, read_rating),
        Route::http(Family::V1, Delete, rating, ratings::DELETE, |input| Ok(named(input))),
        Route::http(Family::V1, Get, "/api/v1/manga/{manga}/reviews", reviews::LIST, read_list),
        Route::http(Family::V1, Get, mine, reviews::MINE, |input| Ok(named(input))),
        Route::http(Family::V1, Put, mine, reviews::PUT, read_review),
        Route::http(Family::V1, Delete, mine, reviews::DELETE_MINE, |input| Ok(named(input))),
        Route::http(Family::V1, Put, helpful, reviews::VOTE, |input| Ok(Vote { id: read_id(input)?, helpful: true })),
        Route::http(Family::V1, Delete, helpful, reviews::VOTE, |input| {
            Ok(Vote { id: read_id(input)?, helpful: false })
        }),
        Route::http(Family::V1, Delete, "/api/v1/reviews/{id}", reviews::DELETE, read_id),
    ]
}

fn read_rating(input: &HttpInput<'_>) -> Result<Rate, ApiError> {
    let rating = input.body()?.integer("rating", 1, 10)?.ok_or_else(|| missing("rating"))?;
    Ok(Rate { manga: named(input), rating: rating as i32 })
}

/// A rating of 0 is none, as it is everywhere in this family.
fn read_review(input: &HttpInput<'_>) -> Result<Put, ApiError> {
    let body = input.body()?;
    Ok(Put {
        manga: named(input),
        rating: body.integer("rating", 0, 10)?.filter(|rating| *rating > 0).map(|rating| rating as i32),
        spoiler: body.boolean("spoiler")?.unwrap_or(false),
        text: body.need_long_text("text", REVIEW_CHARACTERS_MAX)?,
    })
}

fn read_list(input: &HttpInput<'_>) -> Result<List, ApiError> {
    let order = match input.query("sort") {
        None => ReviewOrder::Helpful,
        Some(word) => ReviewOrder::parse(&word)
            .ok_or_else(|| ApiError::invalid(format!("sort: expected one of {}", ReviewOrder::WORDS.join(", "))))?,
    };
    Ok(List { about: About { manga: named(input), window: window(input, REVIEWS_USUAL)? }, order })
}

fn read_id(input: &HttpInput<'_>) -> Result<ReviewId, ApiError> {
    input.param().parse().map_err(|_| ApiError::invalid("id: expected the whole number of a review"))
}

pub(super) fn show(reply: Reply) -> Response {
    match reply {
        Reply::Rated(_, standing) | Reply::Standing(standing) => {
            data(200, json!({"rating": standing_shape(&standing)}))
        }
        Reply::Review(review, series) => data(200, json!({"review": review_shape(&review, &series)})),
        Reply::Reviews(page, series, window) => {
            let items = page.items.iter().map(|review| review_shape(review, &series)).collect();
            list(items, meta(page.total, window))
        }
        Reply::Voted { helpful, voted } => data(200, json!({"helpful": helpful, "voted": voted})),
        // Only the second family has routes that ask for these.
        Reply::Ratings(..)
        | Reply::OwnRating(_)
        | Reply::Average(_)
        | Reply::Comment(_)
        | Reply::Commented(_)
        | Reply::Comments(..) => Response::empty(204),
    }
}

fn standing_shape(standing: &Standing) -> Value {
    json!({
        "manga_id": standing.series.slug,
        "manga_key": standing.series.id,
        "rating": standing.mine.map(|mine| mine.rating),
        "created_at": standing.mine.map(|mine| rfc3339(mine.created_at)),
        "updated_at": standing.mine.map(|mine| rfc3339(mine.updated_at)),
        "average_rating": standing.sums.average(),
        "total_ratings": standing.sums.count,
    })
}

fn review_shape(review: &Review, series: &Series) -> Value {
    json!({
        "id": review.id,
        "manga_id": series.slug,
        "manga_key": series.id,
        "user": {"id": review.user_id, "username": review.username},
        "rating": review.rating,
        "text": review.text,
        "spoiler": review.spoiler,
        "helpful": review.helpful,
        "voted": review.voted,
        "created_at": rfc3339(review.created_at),
        "updated_at": rfc3339(review.updated_at),
    })
}

/// Some four pages of print: at most 40,000 bytes of UTF-8.
const REVIEW_CHARACTERS_MAX: usize = 10_000;

/// How many reviews are shown unasked.
const REVIEWS_USUAL: u32 = 20;
