//! The library of a reader, and the second family's routes of library and progress.

use serde_json::{Value, json};

use super::progress::{change, chapter, row, status_given};
use crate::proto::openapi::describe::{Area, Description, describe, example};
use crate::proto::openapi::schema::{
    data, from, items, list, message, named, number, object, one_of, text, time, truth, whole, with,
};
use crate::store::model::ReadingStatus;

/// The area.
pub fn area() -> Area {
    let item = [("manga_id", text()), ("manga_key", whole()), ("manga_title", text()), ("manga", named("Manga"))];
    Area {
        name: "Library",
        about: "The series that a reader keeps.",
        routes: [vec![listed(), add(), edit(), remove()], second_family()].into_iter().flatten().collect(),
        shapes: vec![("LibraryItem".into(), with(row(), item)), ("ProgressRow".into(), row_v2())],
    }
}

fn listed() -> Description {
    describe("GET /api/v1/users/library", "The library")
        .also_at("GET /users/library")
        .query("status", status_given(), "Of one status only")
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
            [("current_chapter", chapter()), ("chapter_exact", chapter()), ("private", truth()), ("force", truth())],
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

fn edit() -> Description {
    describe("PATCH /api/v1/users/library/{manga}", "Edit an entry")
        .says("Sync clients are told when it gives a chapter, a status, a volume or a page.")
        .takes(named("ProgressChange"))
        .gives(200, "The entry as it now is", data(object([("progress", named("Progress"))], [])))
        .refuses([403, 404, 409])
        .example(
            example("A note", "/api/v1/users/library/akira")
                .after("POST", "/api/v1/users/library", json!({"manga_id": "akira", "status": "reading"}))
                .sends(json!({"note": "Lent to a friend.", "status": "on_hold"})),
        )
        .example(
            example("One that is not there", "/api/v1/users/library/berserk").sends(json!({"rating": 9})).gives(404),
        )
}

fn remove() -> Description {
    describe("DELETE /api/v1/users/library/{manga}", "Remove a series")
        .says("Its progress and history stay.")
        .gives(200, "Removed", message())
        .refuses([404])
        .example(example("A series", "/api/v1/users/library/akira").after(
            "POST",
            "/api/v1/users/library",
            json!({"manga_id": "akira", "status": "reading"}),
        ))
        .example(example("One that is not there", "/api/v1/users/library/berserk").gives(404))
}

fn second_family() -> Vec<Description> {
    let done = || object([("message", text())], []);
    let (added, read) = (json!({"manga_id": 1}), json!({"chapter": 5.5, "status": "reading"}));
    let takes = || {
        let mut takes = change();
        takes["properties"]["chapter"] = json!({"type": "number", "minimum": 0});
        takes["required"] = json!(["chapter"]);
        takes
    };
    let mut takes_id = takes();
    takes_id["properties"]["manga_id"] = from(1);
    takes_id["required"] = json!(["manga_id", "chapter"]);
    let entry = [("id", whole()), ("manga_id", whole()), ("manga", json!({"type": "object"})), ("added_at", time())];
    vec![
        describe("GET /api/library", "The library")
            .says("Whole, unless a page is asked for.")
            .query("status", status_given(), "Of one status only")
            .pages()
            .gives(200, "The library", object([("items", list(object(entry, []))), ("total", from(0))], []))
            .example(example("One series", "/api/library").after("POST", "/api/library", added.clone())),
        describe("POST /api/library", "Add a series")
            .takes(object([("manga_id", from(1))], []))
            .gives(201, "Added", done())
            .refuses([404, 409])
            .example(example("A series", "/api/library").sends(added.clone()).gives(201)),
        describe("DELETE /api/library/{manga}", "Remove a series")
            .says("Its progress and history stay.")
            .gives_nothing(204, "Removed")
            .refuses([404])
            .example(example("A series", "/api/library/1").after("POST", "/api/library", added).gives(204)),
        describe("GET /api/progress", "All progress")
            .says("Whole, unless a page is asked for.")
            .query("status", status_given(), "Of one status only")
            .pages()
            .gives(200, "Every row", object([("history", list(named("ProgressRow"))), ("total", from(0))], []))
            .example(example("One row", "/api/progress").after("POST", "/api/progress/1", read.clone())),
        describe("POST /api/progress", "Read on, with the series in the body")
            .takes(takes_id)
            .gives(200, "The row as it now is", named("ProgressRow"))
            .refuses([403, 404, 409])
            .example(example("A chapter", "/api/progress").sends(json!({"manga_id": 1, "chapter": 6}))),
        describe("GET /api/progress/{manga}", "Progress in a series")
            .gives(200, "The row", named("ProgressRow"))
            .refuses([404])
            .example(example("A row", "/api/progress/1").after("POST", "/api/progress/1", read.clone()))
            .example(example("No row", "/api/progress/1").gives(404)),
        describe("POST /api/progress/{manga}", "Read on")
            .says("The series need not be in the library.")
            .takes(takes())
            .gives(200, "The row as it now is", named("ProgressRow"))
            .refuses([403, 404, 409])
            .example(example("A chapter", "/api/progress/1").sends(read.clone())),
        describe("DELETE /api/progress/{manga}", "Forget a row")
            .says("The history stays.")
            .gives(200, "Forgotten", done())
            .refuses([404])
            .example(example("A row", "/api/progress/1").after("POST", "/api/progress/1", read)),
    ]
}

/// A row of progress as the second family shows it.
fn row_v2() -> Value {
    object(
        [
            ("user_id", text()),
            ("manga_id", whole()),
            ("chapter", from(0)),
            ("chapter_exact", number()),
            ("status", one_of(ReadingStatus::WORDS)),
            ("updated_at", time()),
        ],
        [("manga_title", text()), ("last_chapter", from(0))],
    )
}
