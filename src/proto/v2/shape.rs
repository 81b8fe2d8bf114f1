//! Series as the second family's clients know them: what is not known is left out.

use serde::Serialize;

use crate::proto::time::rfc3339;
use crate::store::model::{Chapter, Manga, Publication};

/// A series with all that is shown of it.
#[derive(Serialize)]
pub struct Full<'a> {
    id: i64,
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<&'a str>,
    status: Publication,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_chapters: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cover_url: Option<&'a str>,
    slug: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    created_at: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    genres: &'a [String],
}

/// Puts a series into this family's shape.
pub fn full(manga: &Manga) -> Full<'_> {
    let facts = &manga.facts;
    Full {
        id: manga.id,
        title: &facts.title,
        author: facts.author.as_deref(),
        status: facts.status,
        total_chapters: facts.chapters_total.or(facts.latest_chapter).map(Chapter::floor),
        cover_url: facts.cover_url.as_deref(),
        slug: &facts.slug,
        description: &facts.description,
        created_at: rfc3339(manga.created_at),
        genres: &facts.genres,
    }
}
