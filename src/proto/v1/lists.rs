//! Lists of series over HTTP.

use serde_json::{Value, json};

use super::bounded::{line, need_line, window};
use super::read::{parse_word, read_manga};
use super::show::{data, list, meta};
use crate::handlers::api::{ApiError, Series};
use crate::handlers::catalogue::MangaRef;
use crate::handlers::lists::{
    ADD, CHANGE, CHANGE_ITEM, CREATE, Change, DELETE, GET, Item, OF_USER, OWN, OfUser, Part, REMOVE, Reply,
};
use crate::proto::http1::{Method, Response};
use crate::proto::json::Object;
use crate::proto::routes::{Family, HttpInput, Route};
use crate::proto::time::rfc3339;
use crate::store::ITEMS_MAX;
use crate::store::model::{ItemChange, List, ListChange, ListId, ListItem, Visibility};

pub(super) fn routes() -> Vec<Route> {
    use Method::{Delete, Get, Patch, Post};
    vec![
        Route::http(Family::V1, Get, "/api/v1/lists", OWN, |input| window(input, LISTS_USUAL)),
        Route::http(Family::V1, Post, "/api/v1/lists", CREATE, read_new),
        Route::http(Family::V1, Get, "/api/v1/lists/{list}", GET, |input| {
            Ok(Part { id: list_id(input)?, window: window(input, ITEMS_USUAL)? })
        }),
        Route::http(Family::V1, Patch, "/api/v1/lists/{list}", CHANGE, |input| {
            Ok(Change { id: list_id(input)?, change: read_change(&input.body()?)? })
        }),
        Route::http(Family::V1, Delete, "/api/v1/lists/{list}", DELETE, list_id),
        Route::http(Family::V1, Post, "/api/v1/lists/{list}/items", ADD, |input| {
            let body = input.body()?;
            Ok(Item { id: list_id(input)?, manga: read_manga(&body)?, change: read_item(&body)? })
        }),
        Route::http(Family::V1, Patch, "/api/v1/lists/{list}/items/{manga}", CHANGE_ITEM, |input| {
            named_item(input, read_item(&input.body()?)?)
        }),
        Route::http(Family::V1, Delete, "/api/v1/lists/{list}/items/{manga}", REMOVE, |input| {
            named_item(input, ItemChange::default())
        }),
        Route::http(Family::V1, Get, "/api/v1/users/{user}/lists", OF_USER, |input| {
            Ok(OfUser { owner: input.param().to_owned(), window: window(input, LISTS_USUAL)? })
        }),
    ]
}

/// What is no number is the key of no list.
fn list_id(input: &HttpInput<'_>) -> Result<ListId, ApiError> {
    input.param().parse().map_err(|_| ApiError::not_found("List not found"))
}

fn named_item(input: &HttpInput<'_>, change: ItemChange) -> Result<Item, ApiError> {
    Ok(Item { id: list_id(input)?, manga: MangaRef::Word(input.second_param().to_owned()), change })
}

fn read_new(input: &HttpInput<'_>) -> Result<ListChange, ApiError> {
    let body = input.body()?;
    let name = need_line(&body, "name", NAME_CHARACTERS_MAX)?;
    Ok(ListChange { name: Some(name), ..read_change(&body)? })
}

fn read_change(body: &Object<'_>) -> Result<ListChange, ApiError> {
    let visibility = body.text("visibility")?;
    let parse = |word: &str| parse_word(word, "visibility", Visibility::parse, Visibility::WORDS);
    Ok(ListChange {
        name: line(body, "name", NAME_CHARACTERS_MAX)?,
        description: body.long_text("description", DESCRIPTION_CHARACTERS_MAX)?,
        visibility: visibility.map(|word| parse(&word)).transpose()?,
    })
}

fn read_item(body: &Object<'_>) -> Result<ItemChange, ApiError> {
    Ok(ItemChange {
        position: body.integer("position", 1, ITEMS_MAX as i64)?.map(i64::unsigned_abs),
        note: body.long_text("note", NOTE_CHARACTERS_MAX)?,
    })
}

pub(super) fn show(reply: Reply) -> Response {
    match reply {
        Reply::Lists(page, window) => list(page.items.iter().map(head).collect(), meta(page.total, window)),
        Reply::Created(made) => data(201, json!({"list": head(&made)})),
        Reply::Changed(changed) => data(200, json!({"list": head(&changed)})),
        Reply::List(found, items, window) => {
            let items: Vec<Value> = items.iter().map(|(found, series)| item(found, series.as_deref())).collect();
            let shown = json!({"list": head(&found), "items": items});
            let body = json!({"success": true, "data": shown, "meta": meta(found.items, window)});
            Response::json(200, body.to_string())
        }
        Reply::Added(added, series) => data(201, json!({"item": item(&added, Some(&series))})),
        Reply::Item(found, series) => data(200, json!({"item": item(&found, Some(&series))})),
    }
}

pub(super) fn head(list: &List) -> Value {
    json!({
        "id": list.id,
        "name": list.name,
        "description": list.description,
        "visibility": list.visibility,
        "items_count": list.items,
        "user_id": list.owner,
        "username": list.owner_name,
        "created_at": rfc3339(list.created_at),
        "updated_at": rfc3339(list.updated_at),
    })
}

pub(super) fn item(item: &ListItem, series: Option<&Series>) -> Value {
    json!({
        "manga_id": series.map(|series| series.slug.as_str()),
        "manga_key": item.manga_id,
        "manga_title": series.map(|series| series.title.as_str()),
        "position": item.position,
        "note": item.note,
        "added_at": rfc3339(item.added_at),
    })
}

/// How many lists are shown unasked.
const LISTS_USUAL: u32 = 50;

/// How many series of a list are shown unasked.
const ITEMS_USUAL: u32 = 50;

/// A name fits on a line.
const NAME_CHARACTERS_MAX: usize = 100;

/// A description is a paragraph.
const DESCRIPTION_CHARACTERS_MAX: usize = 1000;

/// A note is some sentences.
const NOTE_CHARACTERS_MAX: usize = 500;
