//! The catalogue, as anyone may read it.

use serde_json::Value;

use crate::proto::openapi::describe::{Area, Description, describe, example};
use crate::proto::openapi::schema::{
    data, from, items, list, named, number, object, one_of, or_null, text, time, whole,
};
use crate::store::model::{Demographic, Publication};

/// The area.
pub fn area() -> Area {
    Area {
        name: "Catalogue",
        about: "Series, as anyone may read them.",
        routes: vec![search(), all(), detail()],
        shapes: vec![("Manga".into(), manga())],
    }
}

fn search() -> Description {
    describe("GET /api/v1/manga", "Find series")
        .also_at("GET /manga")
        .says(
            "By title. Every part of the query that is given must match; a part of a word matches from its beginning.",
        )
        .query("title", text(), "Words of any of its titles")
        .query("author", text(), "A part of the author's name")
        .query("genre", text(), "A genre")
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
            ("created_at", time()),
            ("updated_at", time()),
        ],
        [],
    )
}
