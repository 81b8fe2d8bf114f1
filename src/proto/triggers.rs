//! What programs beside the server tell it: a series came, a chapter came out, facts changed.
//!
//! They are the second family's: `{manga_id, title, …}` with the series' integer key. Members that are
//! not asked for, such as `type` and `source`, are passed over.

use serde::Deserialize;
use serde_json::Value;

use super::http1::Method;
use super::json::{Object, missing};
use super::routes::{Family, HttpInput, Route};
use crate::handlers::api::ApiError;
use crate::handlers::notices::tell::{TRIGGER, Trigger, What};
use crate::store::model::FieldChange;

pub(super) fn routes() -> Vec<Route> {
    let route = |path, read| Route::http(Family::Internal, Method::Post, path, TRIGGER, read);
    vec![
        route("/notify/new-manga", |input| trigger(input, |_| Ok(What::Added))),
        route("/notify/new-chapter", |input| trigger(input, |body| read_chapter(body, "chapter", "old_chapter"))),
        route("/notify/chapter-update", |input| {
            trigger(input, |body| read_chapter(body, "new_chapters", "old_chapters"))
        }),
        route("/notify/manga-update", |input| trigger(input, read_facts)),
    ]
}

fn trigger(input: &HttpInput<'_>, what: fn(&Object<'_>) -> Result<What, ApiError>) -> Result<Trigger, ApiError> {
    let body = input.body()?;
    let manga = body.integer("manga_id", 1, i64::MAX)?.ok_or_else(|| missing("manga_id"))?;
    let title = body.short_text("title", TITLE_CHARACTERS_MAX)?.filter(|title| !title.trim().is_empty());
    Ok(Trigger { manga, title: title.map(|title| title.into_owned()), what: what(&body)? })
}

/// A number of chapters that were there before is the number of the chapter before. The exact number wins where
/// both are given, and none may be wrong.
fn read_chapter(body: &Object<'_>, name: &str, old_name: &str) -> Result<What, ApiError> {
    let (exact, whole) = (body.chapter("chapter_exact")?, body.chapter(name)?);
    let (old_exact, old_whole) = (body.chapter("old_chapter_exact")?, body.chapter(old_name)?);
    let chapter = exact.or(whole).ok_or_else(|| missing(name))?;
    let old = old_exact.or(old_whole).filter(|old| old.thousandths() > 0);
    Ok(What::Chapter(chapter, old))
}

/// The details where they are given, else the bare names.
fn read_facts(body: &Object<'_>) -> Result<What, ApiError> {
    #[derive(Deserialize)]
    struct Detail {
        field: String,
        #[serde(default)]
        old_value: Value,
        #[serde(default)]
        new_value: Value,
    }
    let names: Vec<String> = body.list("changes", "strings", CHANGES_MAX)?.unwrap_or_default();
    let details: Vec<Detail> = body.list("detailed_changes", "changes", CHANGES_MAX)?.unwrap_or_default();
    if names.is_empty() && details.is_empty() {
        return Err(missing("changes"));
    }
    let bare = |field: String| FieldChange { field, old_value: Value::Null, new_value: Value::Null };
    let told: Vec<FieldChange> = details
        .into_iter()
        .map(|Detail { field, old_value, new_value }| FieldChange { field, old_value, new_value })
        .collect();
    let others = names.into_iter().filter(|name| told.iter().all(|change| change.field != *name)).map(bare);
    let others: Vec<FieldChange> = others.collect();
    Ok(What::Facts(told.into_iter().chain(others).collect()))
}

/// The catalogue's own bound on titles is lower.
const TITLE_CHARACTERS_MAX: usize = 500;

/// A series has some twenty facts.
const CHANGES_MAX: usize = 32;
