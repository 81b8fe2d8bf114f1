//! The catalogue in the first family beyond reading it: what administrators do, and the genres.

use serde_json::{Value, json};

use super::read::named;
use super::show::{data, list, manga_list, manga_shape};
use crate::handlers::api::ApiError;
use crate::handlers::catalogue::Shape;
use crate::handlers::curation::{self, Change};
use crate::handlers::manga::{self, Reply};
use crate::proto::facts::{read_draft, read_genre};
use crate::proto::http1::{Method, Response};
use crate::proto::routes::{Family, HttpInput, Route};

pub(super) fn routes() -> Vec<Route> {
    use Method::{Delete, Get, Patch, Post, Put};
    const ONE: &str = "/api/v1/admin/manga/{manga}";
    vec![
        Route::http(Family::V1, Get, "/api/v1/genres", manga::GENRES, |_| Ok(())),
        Route::http(Family::V1, Post, "/api/v1/admin/genres", curation::CREATE_GENRE, |input| {
            read_genre(&input.body()?)
        }),
        Route::http(Family::V1, Post, "/api/v1/admin/manga", curation::CREATE, |input| read_draft(&input.body()?)),
        Route::http(Family::V1, Put, ONE, curation::CHANGE, read_change),
        Route::http(Family::V1, Patch, ONE, curation::CHANGE, read_change),
        Route::http(Family::V1, Delete, ONE, curation::DELETE, |input| Ok(named(input))),
    ]
}

fn read_change(input: &HttpInput<'_>) -> Result<Change, ApiError> {
    Ok(Change { manga: named(input), draft: read_draft(&input.body()?)?, shape: Shape::First })
}

pub(super) fn show(reply: Reply) -> Response {
    match reply {
        Reply::List(page, query, _) => manga_list(&page, query.window),
        Reply::Made(manga) => data(201, json!({"manga": manga_shape(&manga)})),
        Reply::Changed(manga) => data(200, json!({"manga": manga_shape(&manga)})),
        Reply::Deleted => data(200, json!({"message": "The manga is not in the catalogue any more"})),
        Reply::Genres(genres) => {
            let items: Vec<Value> = genres.iter().map(|genre| json!(genre)).collect();
            let count = items.len();
            list(items, json!({"total": count}))
        }
        Reply::GenreMade(genre) => data(201, json!({"genre": genre})),
    }
}
