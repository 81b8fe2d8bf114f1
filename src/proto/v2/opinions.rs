//! Ratings and comments in the second family's words: routes, what is read, what is shown.

use serde_json::{Value, json};

use crate::handlers::api::{self, ApiError};
use crate::handlers::catalogue::MangaRef;
use crate::handlers::opinions::comments::{Edit, Post};
use crate::handlers::opinions::ratings::Rate;
use crate::handlers::opinions::{About, Reply, comments, ratings};
use crate::proto::http1::{Method, Response};
use crate::proto::json::missing;
use crate::proto::routes::{Family, HttpInput, Route};
use crate::proto::time::rfc3339;
use crate::proto::v1;
use crate::store::model::{Comment, CommentId, Rating, Window};

/// The routes of this area.
pub(super) fn routes() -> [Route; 11] {
    use Method::{Delete, Get, Post, Put};
    let rated = "/api/manga/{id}/ratings";
    let (commented, one) = ("/api/manga/{id}/comments", "/api/manga/comments/{id}");
    [
        Route::http(Family::V2, Get, rated, ratings::LIST, read_about),
        Route::http(Family::V2, Post, rated, ratings::RATE, read_rating),
        Route::http(Family::V2, Delete, rated, ratings::DELETE, series),
        Route::http(Family::V2, Get, "/api/manga/{id}/ratings/average", ratings::AVERAGE, series),
        Route::http(Family::V2, Get, "/api/manga/{id}/ratings/me", ratings::MINE, series),
        Route::http(Family::V2, Get, commented, comments::LIST, read_about),
        Route::http(Family::V2, Post, commented, comments::POST, read_comment),
        Route::http(Family::V2, Get, "/api/manga/comments/me", comments::MINE, |input| Ok(read_part(input))),
        Route::http(Family::V2, Get, one, comments::GET, read_id),
        Route::http(Family::V2, Put, one, comments::EDIT, read_edit),
        Route::http(Family::V2, Delete, one, comments::DELETE, read_id),
    ]
}

/// The series of a path: its key, and nothing else.
fn series(input: &HttpInput<'_>) -> Result<MangaRef, ApiError> {
    input.param().parse().map(MangaRef::Id).map_err(|_| ApiError::invalid("Invalid manga ID"))
}

fn read_id(input: &HttpInput<'_>) -> Result<CommentId, ApiError> {
    input.param().parse().map_err(|_| ApiError::invalid("Invalid comment ID"))
}

fn read_about(input: &HttpInput<'_>) -> Result<About, ApiError> {
    Ok(About { manga: series(input)?, window: read_part(input) })
}

/// `page` and `page_size`; what can't be one of them is as if it weren't there.
fn read_part(input: &HttpInput<'_>) -> Window {
    let number = |name| input.query(name).and_then(|text| text.parse::<u32>().ok()).filter(|number| *number > 0);
    let size = number("page_size").filter(|size| *size <= PAGE_SIZE_MAX).unwrap_or(PAGE_SIZE);
    let page = number("page").unwrap_or(1);
    Window { limit: Some(size), offset: (page - 1).saturating_mul(size) }
}

fn read_rating(input: &HttpInput<'_>) -> Result<Rate, ApiError> {
    let manga = series(input)?;
    let rating = input.body()?.integer("rating", 1, 10)?.ok_or_else(|| missing("rating"))?;
    Ok(Rate { manga, rating: rating as i32 })
}

fn read_comment(input: &HttpInput<'_>) -> Result<Post, ApiError> {
    Ok(Post { manga: series(input)?, content: read_content(input)? })
}

fn read_edit(input: &HttpInput<'_>) -> Result<Edit, ApiError> {
    Ok(Edit { id: read_id(input)?, content: read_content(input)? })
}

fn read_content(input: &HttpInput<'_>) -> Result<String, ApiError> {
    input.body()?.need_long_text("content", COMMENT_CHARACTERS_MAX)
}

pub(super) fn show(reply: Reply) -> Response {
    match reply {
        Reply::Ratings(page, window) => {
            let items = page.items.iter().map(|(username, rating)| rating_shape(username, *rating)).collect();
            part(items, page.total, window)
        }
        Reply::Rated(rating, standing) => answer(200, &rating_shape(&standing.username, rating)),
        Reply::OwnRating(rating) => answer(200, &own_rating_shape(rating)),
        Reply::Average(sums) => {
            let average = sums.average().unwrap_or(0.0);
            answer(200, &json!({"average_rating": average, "total_ratings": sums.count}))
        }
        Reply::Comment(comment) => answer(200, &comment_shape(&comment)),
        Reply::Commented(comment) => answer(201, &comment_shape(&comment)),
        Reply::Comments(page, window) => part(page.items.iter().map(comment_shape).collect(), page.total, window),
        other => v1::show::respond(Ok(api::Reply::Opinion(other))),
    }
}

fn answer(status: u16, body: &Value) -> Response {
    Response::json(status, body.to_string())
}

fn part(items: Vec<Value>, total: u64, window: Window) -> Response {
    let size = u64::from(window.limit.unwrap_or(PAGE_SIZE));
    let page = u64::from(window.offset) / size + 1;
    let pages = total.div_ceil(size);
    answer(200, &json!({"data": items, "page": page, "page_size": size, "total": total, "total_pages": pages}))
}

fn rating_shape(username: &str, rating: Rating) -> Value {
    json!({
        "username": username,
        "rating": rating.rating,
        "created_at": rfc3339(rating.created_at),
        "updated_at": rfc3339(rating.updated_at),
    })
}

fn own_rating_shape(rating: Rating) -> Value {
    json!({
        "rating": rating.rating,
        "created_at": rfc3339(rating.created_at),
        "updated_at": rfc3339(rating.updated_at),
    })
}

fn comment_shape(comment: &Comment) -> Value {
    json!({
        "id": comment.id,
        "user_id": comment.user_id,
        "manga_id": comment.manga_id,
        "username": comment.username,
        "content": comment.content,
        "created_at": rfc3339(comment.created_at),
        "updated_at": rfc3339(comment.updated_at),
    })
}

/// A page of print: at most 20,000 bytes of UTF-8.
const COMMENT_CHARACTERS_MAX: usize = 5000;

/// How many rows a page has unasked, and at most.
const PAGE_SIZE: u32 = 20;
const PAGE_SIZE_MAX: u32 = 100;
