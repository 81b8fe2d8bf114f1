//! The library of a reader.

use serde_json::json;

use super::progress::{chapter, row, status_given};
use crate::proto::openapi::describe::{Area, Description, describe, example};
use crate::proto::openapi::schema::{items, message, named, object, text, truth, whole, with};

/// The area.
pub fn area() -> Area {
    let item = [("manga_id", text()), ("manga_key", whole()), ("manga_title", text()), ("manga", named("Manga"))];
    Area {
        name: "Library",
        about: "The series that a reader keeps.",
        routes: vec![listed(), add()],
        shapes: vec![("LibraryItem".into(), with(row(), item))],
    }
}

fn listed() -> Description {
    describe("GET /api/v1/users/library", "The library")
        .also_at("GET /users/library")
        .window()
        .gives(200, "The library, the last changed first", items(named("LibraryItem")))
        .example(example("One series", "/api/v1/users/library").after(
            "POST",
            "/api/v1/users/library",
            json!({"manga_id": "akira", "status": "reading"}),
        ))
        .example(example("Nothing yet", "/users/library"))
}

fn add() -> Description {
    let given = json!({"oneOf": [{"type": "string"}, {"type": "integer", "minimum": 1}]});
    let body = || json!({"manga_id": "one-piece", "status": "reading", "current_chapter": 7});
    describe("POST /api/v1/users/library", "Add a series")
        .also_at("POST /users/library")
        .takes(object(
            [("manga_id", given), ("status", status_given())],
            [("current_chapter", chapter()), ("chapter_exact", chapter()), ("private", truth())],
        ))
        .gives(201, "Added", message())
        .refuses([404, 409])
        .example(example("A series", "/api/v1/users/library").sends(body()).gives(201))
        .example(
            example("One that is there", "/api/v1/users/library")
                .after("POST", "/api/v1/users/library", body())
                .sends(body())
                .gives(409),
        )
        .example(example("A series", "/users/library").sends(body()).gives(201))
}
