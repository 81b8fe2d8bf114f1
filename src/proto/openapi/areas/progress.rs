//! How far a reader is, and what was read when.

use serde_json::{Value, json};

use crate::proto::openapi::describe::{Area, Description, Example, describe, example};
use crate::proto::openapi::schema::{
    between, chars, data, from, items, message, named, number, object, one_of, or_null, text, time, truth, whole,
};
use crate::store::model::{Chapter, ReadingStatus};

/// The area.
pub fn area() -> Area {
    Area {
        name: "Progress",
        about: "How far a reader is, and what was read when. Every change is told to sync clients.",
        routes: vec![all(), one(), update(), update_by_body(), forget(), history()],
        shapes: vec![
            ("Progress".into(), row()),
            ("ProgressChange".into(), change()),
            ("HistoryEntry".into(), history_entry()),
        ],
    }
}

fn all() -> Description {
    describe("GET /api/v1/users/progress", "All progress")
        .query("status", status_given(), "Of one status only")
        .window()
        .gives(200, "Every row, the last changed first", items(named("Progress")))
        .example(after_adding(example("One row", "/api/v1/users/progress?limit=10")))
}

fn one() -> Description {
    describe("GET /api/v1/users/progress/{manga}", "Progress in a series")
        .gives(200, "The row", data(object([("progress", named("Progress"))], [])))
        .refuses([404])
        .example(after_adding(example("A row", "/api/v1/users/progress/akira")))
        .example(example("No row", "/api/v1/users/progress/berserk").gives(404))
}

fn update() -> Description {
    describe("PUT /api/v1/users/progress/{manga}", "Read on")
        .says("Changes what it is given and nothing else. The row must be there: add the series to the library first.")
        .takes(named("ProgressChange"))
        .gives(200, "Changed", message())
        .refuses([403, 404, 409])
        .example(after_adding(
            example("A chapter", "/api/v1/users/progress/akira").sends(json!({"current_chapter": 5, "rating": 8})),
        ))
        .example(
            example("A series that is not in the library", "/api/v1/users/progress/berserk")
                .sends(json!({"current_chapter": 1}))
                .gives(404),
        )
        .example(after_adding(
            example("Beyond the last chapter", "/api/v1/users/progress/akira")
                .sends(json!({"current_chapter": 100_000}))
                .gives(400),
        ))
}

fn update_by_body() -> Description {
    let given = json!({"oneOf": [{"type": "string"}, {"type": "integer", "minimum": 1}]});
    let mut takes = change();
    takes["properties"]["manga_id"] = given;
    takes["required"] = json!(["manga_id"]);
    describe("PUT /users/progress", "Read on, with the series in the body")
        .takes(takes)
        .gives(200, "Changed", message())
        .refuses([403, 404, 409])
        .example(after_adding(
            example("A chapter", "/users/progress").sends(json!({"manga_id": "akira", "current_chapter": 6})),
        ))
}

fn forget() -> Description {
    describe("DELETE /api/v1/users/progress/{manga}", "Forget a row")
        .says("The history stays.")
        .gives(200, "Forgotten", message())
        .refuses([404])
        .example(after_adding(example("A row", "/api/v1/users/progress/akira")))
}

fn history() -> Description {
    describe("GET /api/v1/users/history", "What was read when")
        .query("manga", text(), "Of one series: its slug or its key")
        .query("before", from(1), "Entries before the one of this id")
        .query("limit", between(1, 500), "At most so many; 50 unless said")
        .gives(200, "Entries, the latest first", items(named("HistoryEntry")))
        .refuses([404])
        .example(after_adding(example("Of one series", "/api/v1/users/history?manga=akira&limit=5")).after(
            "PUT",
            "/api/v1/users/progress/akira",
            json!({"chapter_exact": 1.5, "volume": 1}),
        ))
        .example(
            after_adding(example("What came before", "/api/v1/users/history?before=$3.data.items.0.id"))
                .after("PUT", "/api/v1/users/progress/akira", json!({"current_chapter": 1}))
                .after("GET", "/api/v1/users/history?limit=1", json!(null)),
        )
}

fn after_adding(example: Example) -> Example {
    example.after("POST", "/api/v1/users/library", json!({"manga_id": "akira", "status": "reading"}))
}

/// A row of progress.
pub(super) fn row() -> Value {
    object(
        [
            ("user_id", text()),
            ("manga_id", or_null(text())),
            ("manga_key", whole()),
            ("manga_title", or_null(text())),
            ("current_chapter", from(0)),
            ("chapter_exact", number()),
            ("volume", or_null(from(0))),
            ("page", or_null(from(0))),
            ("status", or_null(one_of(ReadingStatus::WORDS))),
            ("rating", or_null(between(1, 10))),
            ("times_reread", from(0)),
            ("in_library", truth()),
            ("private", truth()),
            ("note", or_null(text())),
            ("started_at", or_null(time())),
            ("completed_at", or_null(time())),
            ("updated_at", time()),
            ("added_at", or_null(time())),
        ],
        [],
    )
}

/// What a client may change of it.
pub(super) fn change() -> Value {
    let members = [
        ("current_chapter", chapter()),
        ("chapter_exact", chapter()),
        ("status", or_null(status_given())),
        ("rating", or_null(between(0, 10))),
        ("volume", or_null(between(0, 1_000_000))),
        ("page", or_null(between(0, 1_000_000))),
        ("private", or_null(truth())),
        ("note", or_null(chars(0, 2000))),
        ("read_at", or_null(time())),
        ("force", or_null(truth())),
    ];
    object([], members)
}

fn history_entry() -> Value {
    object(
        [
            ("id", whole()),
            ("manga_id", or_null(text())),
            ("manga_key", whole()),
            ("manga_title", or_null(text())),
            ("chapter", from(0)),
            ("chapter_exact", number()),
            ("volume", or_null(from(0))),
            ("page", or_null(from(0))),
            ("status", or_null(one_of(ReadingStatus::WORDS))),
            ("device", or_null(text())),
            ("read_at", or_null(time())),
            ("recorded_at", time()),
        ],
        [],
    )
}

/// A status as a client gives it: hyphens do as well, and an empty one is not given.
pub(super) fn status_given() -> Value {
    let mut words: Vec<String> = ReadingStatus::WORDS.iter().map(|word| (*word).to_owned()).collect();
    words.extend(ReadingStatus::WORDS.iter().filter(|word| word.contains('_')).map(|word| word.replace('_', "-")));
    json!({"type": "string", "enum": words})
}

/// A chapter as a client gives it: at most three decimals.
pub(super) fn chapter() -> Value {
    json!({"type": ["number", "null"], "minimum": 0, "maximum": Chapter::MAX.as_f64()})
}
