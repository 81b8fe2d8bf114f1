//! The catalogue in the second family: its routes, how they are asked and what they answer.
//!
//! Series are named by their key alone. Lists show what its clients call a manga in brief, everything else
//! the whole; members without a value are left out.

use serde::Serialize;
use serde_json::{Value, json};

use crate::handlers::Access;
use crate::handlers::api::ApiError;
use crate::handlers::catalogue::{MangaRef, Shape};
use crate::handlers::curation::{self, Change};
use crate::handlers::manga::{self, Detail, ListKind, Listing, OfGenre, Reply};
use crate::proto::facts::{read_draft, read_genre};
use crate::proto::http1::{Method, Response};
use crate::proto::routes::{Family, HttpInput, Route};
use crate::proto::time::{Rfc3339, rfc3339};
use crate::proto::v1::read::search_text;
use crate::store::model::{Chapter, Manga, MangaQuery, MangaSort, Page, Publication, Window};

pub(super) fn routes() -> Vec<Route> {
    use Method::{Delete, Get, Post, Put};
    const LIST: &str = "/api/manga";
    const ONE: &str = "/api/manga/{id}";
    const READ: Access = Access::Scope("read:manga");
    const WRITE: Access = Access::Scope("write:manga");
    vec![
        Route::http(Family::V2, Get, LIST, manga::LIST, read_list).needs(READ).kept(),
        Route::http(Family::V2, Get, "/api/manga/search", manga::LIST, read_search).needs(READ).kept(),
        Route::http(Family::V2, Get, "/api/manga/advanced-search", manga::LIST, read_filters).needs(READ).kept(),
        Route::http(Family::V2, Get, ONE, manga::DETAIL, read_detail).needs(READ).kept(),
        Route::http(Family::V2, Post, LIST, curation::CREATE, |input| read_draft(&input.body()?)).needs(WRITE),
        Route::http(Family::V2, Put, ONE, curation::CHANGE, read_change).needs(WRITE),
        Route::http(Family::V2, Delete, ONE, curation::DELETE, read_id).needs(Access::Scope("delete:manga")),
        Route::http(Family::V2, Get, "/api/genres", manga::GENRES, |_| Ok(()))
            .needs(Access::Scope("read:genre"))
            .kept(),
        Route::http(Family::V2, Post, "/api/genres", curation::CREATE_GENRE, |input| read_genre(&input.body()?))
            .needs(Access::Scope("write:genre")),
        Route::http(Family::V2, Get, "/api/genres/{id}/mangas", manga::OF_GENRE, read_genre_list).needs(READ).kept(),
    ]
}

// ---- reading

fn read_list(input: &HttpInput<'_>) -> Result<Listing, ApiError> {
    let query = MangaQuery { sort: MangaSort::Recent, window: read_page(input, PAGE_SIZE), ..MangaQuery::default() };
    Ok(Listing { query, kind: ListKind::All })
}

fn read_search(input: &HttpInput<'_>) -> Result<Listing, ApiError> {
    let words = match search_text(input, "q")? {
        Some(words) => Some(words),
        None => search_text(input, "title")?,
    };
    let words = words.filter(|words| !words.trim().is_empty());
    let words = words.ok_or_else(|| ApiError::invalid("q or title query parameter is required"))?;
    let window = Window { limit: Some(FOUND_MAX), offset: 0 };
    Ok(Listing { query: MangaQuery { words: Some(words), window, ..MangaQuery::default() }, kind: ListKind::Found })
}

fn read_filters(input: &HttpInput<'_>) -> Result<Listing, ApiError> {
    let query = MangaQuery {
        words: search_text(input, "q")?,
        in_description: true,
        genres: read_genres(input)?,
        status: input.query("status").map(|word| read_status(&word)).transpose()?,
        rating_min_hundredths: input.query("min_rating").map_or(Ok(None), |text| read_rating(&text))?,
        sort: input.query("sort_by").map_or(Ok(MangaSort::Popularity), |word| read_sort(&word))?,
        window: read_page(input, PAGE_SIZE),
        ..MangaQuery::default()
    };
    Ok(Listing { query, kind: ListKind::Filtered })
}

/// Names or keys, with commas between them.
fn read_genres(input: &HttpInput<'_>) -> Result<Vec<String>, ApiError> {
    let Some(text) = search_text(input, "genres")? else { return Ok(Vec::new()) };
    let genres: Vec<String> =
        text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    match genres.len() > GENRES_MAX {
        true => Err(ApiError::invalid(format!("genres: at most {GENRES_MAX}"))),
        false => Ok(genres),
    }
}

fn read_status(word: &str) -> Result<Publication, ApiError> {
    let wanted = [Publication::Ongoing, Publication::Completed, Publication::Hiatus];
    wanted
        .into_iter()
        .find(|status| status.as_str() == word)
        .ok_or_else(|| ApiError::invalid("invalid status, must be one of: ongoing, completed, hiatus"))
}

fn read_sort(word: &str) -> Result<MangaSort, ApiError> {
    let wrong = || ApiError::invalid("invalid sort_by, must be one of: popularity, rating, recent, title");
    MangaSort::parse(word).ok_or_else(wrong)
}

/// The least rating in hundredths. Zero demands nothing: what nobody has rated is shown too.
fn read_rating(text: &str) -> Result<Option<u16>, ApiError> {
    let rating = text.parse::<f64>().ok().filter(|rating| (0.0..=10.0).contains(rating));
    let wrong = || ApiError::invalid("invalid min_rating parameter, must be between 0 and 10");
    let hundredths = (rating.ok_or_else(wrong)? * 100.0).round() as u16;
    Ok(Some(hundredths).filter(|hundredths| *hundredths > 0))
}

/// `page` and `page_size`; what can't be one counts as not given.
fn read_page(input: &HttpInput<'_>, unasked: u32) -> Window {
    let number = |name: &str| input.query(name).and_then(|text| text.parse::<u32>().ok());
    let size = number("page_size").filter(|size| (1..=PAGE_SIZE_MAX).contains(size)).unwrap_or(unasked);
    let page = number("page").unwrap_or(1).max(1);
    Window { limit: Some(size), offset: (page - 1).saturating_mul(size) }
}

fn read_id(input: &HttpInput<'_>) -> Result<MangaRef, ApiError> {
    input.param().parse().map(MangaRef::Id).map_err(|_| ApiError::invalid("invalid id"))
}

fn read_detail(input: &HttpInput<'_>) -> Result<Detail, ApiError> {
    Ok(Detail { manga: read_id(input)?, shape: Shape::Second, encode: |manga| to_json(&in_full(manga)) })
}

fn read_change(input: &HttpInput<'_>) -> Result<Change, ApiError> {
    Ok(Change { manga: read_id(input)?, draft: read_draft(&input.body()?)?, shape: Shape::Second })
}

fn read_genre_list(input: &HttpInput<'_>) -> Result<OfGenre, ApiError> {
    let genre = input.param().parse().map_err(|_| ApiError::invalid("invalid genre id"))?;
    Ok(OfGenre { genre, window: read_page(input, PAGE_SIZE_MAX) })
}

// ---- showing

pub(super) fn show(reply: Reply) -> Response {
    match reply {
        Reply::List(page, query, kind) => Response::json(200, list(&page, &query, kind).to_string()),
        Reply::Made(manga) => Response::json(201, to_json(&in_full(&manga))),
        Reply::Changed(manga) => Response::json(200, to_json(&in_full(&manga))),
        Reply::Deleted => Response::empty(204),
        Reply::Genres(genres) => Response::json(200, to_json(&genres)),
        Reply::GenreMade(genre) => Response::json(201, to_json(&genre)),
    }
}

fn list(page: &Page<Manga>, query: &MangaQuery, kind: ListKind) -> Value {
    let items: Vec<Value> = page.items.iter().map(|manga| json!(in_brief(manga))).collect();
    let mut pages = pagination(page.total, query.window);
    match kind {
        ListKind::OfGenre => Value::Array(items),
        ListKind::Found => json!({"data": items, "total": page.total}),
        ListKind::All => {
            // Some clients look into `pagination`, others beside it.
            let mut body = json!({"data": items, "pagination": pages});
            for (name, value) in pages.as_object().into_iter().flatten() {
                body[name] = value.clone();
            }
            body
        }
        ListKind::Filtered => {
            let (number, last) = (pages["page"].as_u64(), pages["total_pages"].as_u64());
            pages["has_next"] = json!(number < last);
            pages["has_previous"] = json!(number > Some(1));
            json!({"data": items, "pagination": pages, "filters": filters(query)})
        }
    }
}

fn pagination(total: u64, window: Window) -> Value {
    let size = window.limit.unwrap_or(PAGE_SIZE).max(1);
    json!({
        "page": window.offset / size + 1, "page_size": size, "total": total,
        "total_pages": total.div_ceil(u64::from(size)),
    })
}

/// What was asked, as it was understood.
fn filters(query: &MangaQuery) -> Value {
    json!({
        "query": query.words.as_deref().unwrap_or(""),
        "genres": query.genres,
        "status": query.status.map_or("", Publication::as_str),
        "min_rating": f64::from(query.rating_min_hundredths.unwrap_or(0)) / 100.0,
        "sort_by": query.sort.as_str(),
    })
}

/// A series in a list.
#[derive(Serialize)]
struct Brief<'a> {
    id: i64,
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<&'a str>,
    status: Publication,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_chapters: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cover_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    average_rating: Option<f64>,
}

/// A series by itself.
#[derive(Serialize)]
pub(super) struct Full<'a> {
    #[serde(flatten)]
    brief: Brief<'a>,
    slug: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    created_at: Rfc3339,
    genres: &'a [String],
}

fn in_brief(manga: &Manga) -> Brief<'_> {
    let facts = &manga.facts;
    Brief {
        id: manga.id,
        title: &facts.title,
        author: facts.author.as_deref(),
        status: facts.status,
        total_chapters: facts.chapters_total.or(facts.latest_chapter).map(Chapter::floor),
        cover_url: facts.cover_url.as_deref(),
        average_rating: manga.standing.average_rating(),
    }
}

pub(super) fn in_full(manga: &Manga) -> Full<'_> {
    Full {
        brief: in_brief(manga),
        slug: &manga.facts.slug,
        description: &manga.facts.description,
        created_at: rfc3339(manga.created_at),
        genres: &manga.facts.genres,
    }
}

/// Plain structs always become JSON; there is nothing in them that could not.
fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// How long a page is unasked, and at most.
const PAGE_SIZE: u32 = 20;
const PAGE_SIZE_MAX: u32 = 100;

/// A search has no pages in this family: so many are shown, `total` says how many there are.
const FOUND_MAX: u32 = 100;

/// A series has at most five to ten genres.
const GENRES_MAX: usize = 20;
