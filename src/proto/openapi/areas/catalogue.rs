//! The first family's catalogue, as anyone may read it and as administrators change it.

use serde_json::{Value, json};

use crate::proto::openapi::describe::{Area, Description, Example, describe, example};
use crate::proto::openapi::schema::{
    between, chars, data, from, items, list, message, named, number, object, one_of, or_null, text, time, up_to, whole,
};
use crate::store::model::{Demographic, Publication};

/// The area.
pub fn area() -> Area {
    Area {
        name: "Catalogue",
        about: "Series and genres, as anyone may read them and as administrators change them.",
        routes: vec![search(), all(), detail(), genres(), create(), change(), delete(), create_genre()],
        shapes: vec![
            ("Manga".into(), manga()),
            ("MangaFacts".into(), facts()),
            ("Genre".into(), object([("id", whole()), ("name", text())], [])),
        ],
    }
}

fn search() -> Description {
    describe("GET /api/v1/manga", "Find series")
        .also_at("GET /manga")
        .says("Every part of the query that is given must match, whatever its case and accents.")
        .query("title", chars(0, 300), "A part of any of its titles, blanks included")
        .query("author", chars(0, 300), "A part of the author's or artist's name")
        .query("genre", chars(0, 300), "A part of a genre's name")
        .query("status", one_of(Publication::WORDS), "Where it stands with its publisher")
        .window()
        .gives(200, "Series by title", items(named("Manga")))
        .example(example("By title", "/api/v1/manga?title=frieren"))
        .example(example("A part of the list", "/api/v1/manga?status=completed&limit=2&offset=1"))
        .example(example("A status that there isn't", "/api/v1/manga?status=asleep").gives(400))
        .example(example("By author", "/manga?author=oda"))
}

fn all() -> Description {
    describe("GET /api/v1/manga/all", "All series")
        .says("What can't be read in the query is as if it weren't there.")
        .window()
        .gives(200, "Series by title", items(named("Manga")))
        .example(example("The first five", "/api/v1/manga/all?limit=5"))
}

fn detail() -> Description {
    describe("GET /api/v1/manga/{manga}", "One series")
        .also_at("GET /manga/{manga}")
        .gives(200, "The series", data(object([("manga", named("Manga"))], [])))
        .refuses([404])
        .example(example("By slug", "/api/v1/manga/one-piece"))
        .example(example("By key", "/api/v1/manga/1"))
        .example(example("One that there isn't", "/api/v1/manga/no-such-series").gives(404))
        .example(example("By slug", "/manga/akira"))
}

fn genres() -> Description {
    describe("GET /api/v1/genres", "All genres")
        .gives(200, "Genres by name", items(named("Genre")))
        .example(example("All", "/api/v1/genres"))
}

fn create() -> Description {
    const PLACE: &str = "/api/v1/admin/manga";
    describe("POST /api/v1/admin/manga", "Add a series")
        .says("Without a slug it gets one made of its title and eight random digits.")
        .takes(new_series())
        .gives(201, "The series", data(object([("manga", named("Manga"))], [])))
        .refuses([409])
        .example(
            example("A completed series", PLACE)
                .sends(json!({
                    "slug": "a-quiet-harbour", "title": "A Quiet Harbour", "author": "Somebody", "year": 2024,
                    "status": "completed", "total_chapters": 12, "genres": ["drama", "slice of life"],
                }))
                .gives(201),
        )
        .example(example("A title alone", PLACE).sends(json!({"title": "A Quiet Harbour"})).gives(201))
        .example(example("A slug that is taken", PLACE).sends(json!({"title": "Akira", "slug": "akira"})).gives(409))
        .example(example("No title", PLACE).sends(json!({"author": "Somebody"})).gives(400))
}

fn change() -> Description {
    const PLACE: &str = "/api/v1/admin/manga/akira";
    describe("PUT /api/v1/admin/manga/{manga}", "Change facts of a series")
        .also_at("PATCH /api/v1/admin/manga/{manga}")
        .says("What is not sent stays; here `null` clears. Lists are replaced.")
        .takes(named("MangaFacts"))
        .gives(200, "The series as it now is", data(object([("manga", named("Manga"))], [])))
        .refuses([404, 409])
        .example(
            example("Some facts", PLACE)
                .sends(json!({"year": 1982, "artist": null, "alternative_titles": ["AKIRA"], "demographic": "seinen"})),
        )
        .example(
            example("One that there isn't", "/api/v1/admin/manga/no-such-series")
                .sends(json!({"year": 1982}))
                .gives(404),
        )
        .example(example("A slug that is taken", PLACE).sends(json!({"slug": "berserk"})).gives(409))
        .example(example("A status that there isn't", PLACE).sends(json!({"status": "asleep"})).gives(400))
}

fn delete() -> Description {
    describe("DELETE /api/v1/admin/manga/{manga}", "Take a series out of the catalogue")
        .says("What isn't there is answered alike. Histories keep their rows, without its name.")
        .gives(200, "It is not in the catalogue any more", message())
        .example(after_new_series(example("A series", "/api/v1/admin/manga/$1.data.manga.id")))
        .example(example("One that there isn't", "/api/v1/admin/manga/no-such-series"))
}

fn create_genre() -> Description {
    const PLACE: &str = "/api/v1/admin/genres";
    describe("POST /api/v1/admin/genres", "Add a genre")
        .takes(new_genre())
        .gives(201, "The genre", data(object([("genre", named("Genre"))], [])))
        .refuses([409])
        .example(example("A new one", PLACE).sends(json!({"name": "gardening"})).gives(201))
        .example(example("One that is there", PLACE).sends(json!({"name": "drama"})).gives(409))
}

/// An example that begins with a series of its own.
pub(super) fn after_new_series(example: Example) -> Example {
    example.after("POST", "/api/v1/admin/manga", json!({"title": "A Quiet Harbour"}))
}

/// What a new genre is made of.
pub(super) fn new_genre() -> Value {
    object([("name", chars(1, 50))], [])
}

/// What a new series is made of: any facts, and a title.
pub(super) fn new_series() -> Value {
    let mut series = facts();
    series["required"] = json!(["title"]);
    series
}

/// What administrators of both families may set of a series; `null` clears what need not be known.
fn facts() -> Value {
    let name = || or_null(chars(0, 300));
    let chapter = || or_null(json!({"type": "number", "minimum": 0, "maximum": 100_000}));
    let url = || or_null(json!({"type": "string", "maxLength": 2000, "pattern": "^(https?://[^\\s\"<>]*)?$"}));
    object(
        [],
        [
            ("slug", or_null(json!({"type": "string", "pattern": "^[a-z0-9-]{0,200}$"}))),
            ("title", chars(1, 300)),
            ("title_english", name()),
            ("title_romanised", name()),
            ("title_native", name()),
            ("alternative_titles", or_null(up_to(50, chars(0, 300)))),
            ("author", name()),
            ("artist", name()),
            ("genres", or_null(up_to(30, chars(0, 50)))),
            ("genre_ids", or_null(up_to(30, from(1)))),
            ("demographic", or_null(one_of(Demographic::WORDS))),
            ("status", or_null(one_of(Publication::WORDS))),
            ("year", or_null(between(1800, 2200))),
            ("total_chapters", chapter()),
            ("chapters_total", chapter()),
            ("latest_chapter", chapter()),
            ("volumes_total", or_null(between(0, 100_000))),
            ("description", or_null(chars(0, 10_000))),
            ("cover_url", url()),
            ("cover_image_url", url()),
        ],
    )
}

fn manga() -> Value {
    object(
        [
            ("id", text()),
            ("key", whole()),
            ("title", text()),
            ("title_english", or_null(text())),
            ("title_romanised", or_null(text())),
            ("title_native", or_null(text())),
            ("alternative_titles", list(text())),
            ("author", text()),
            ("artist", or_null(text())),
            ("genres", list(text())),
            ("demographic", or_null(one_of(Demographic::WORDS))),
            ("status", one_of(Publication::WORDS)),
            ("year", or_null(whole())),
            ("total_chapters", from(0)),
            ("chapters_total", or_null(number())),
            ("volumes_total", or_null(from(0))),
            ("latest_chapter", or_null(number())),
            ("description", text()),
            ("cover_image_url", text()),
            ("average_rating", or_null(number())),
            ("rating_count", from(0)),
            ("readers", from(0)),
            ("created_at", time()),
            ("updated_at", time()),
        ],
        [],
    )
}
