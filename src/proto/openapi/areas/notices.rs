//! Notifications: what a user has been told, and what they want to hear.

use serde_json::{Value, json};

use crate::proto::openapi::describe::{Area, Description, Example, describe, example};
use crate::proto::openapi::schema::{
    between, chars, data, from, items, list, message, named, number, object, one_of, or_null, text, time, truth, whole,
    with,
};
use crate::store::model::NoticeKind;

/// The area.
pub fn area() -> Area {
    Area {
        name: "Notifications",
        about: "What readers are told about the catalogue: new series for everyone, new chapters and changes for those who have the series in their library.",
        routes: [inbox(), preferences(), second_family()].into_iter().flatten().collect(),
        shapes: vec![
            ("Notification".into(), notification()),
            ("Preferences".into(), wishes()),
            ("NotificationV2".into(), notification_v2()),
        ],
    }
}

fn inbox() -> Vec<Description> {
    let all = "/api/v1/notifications";
    let meta =
        object([("count", from(0)), ("unread", from(0)), ("has_more", truth()), ("next_before", or_null(from(1)))], []);
    vec![
        describe("GET /api/v1/notifications", "One's notifications")
            .says("Those of series and types that are muted now are left out.")
            .query("unread", truth(), "Only those that are not read yet")
            .query("before", from(1), "Those before the one of this id")
            .query("limit", between(1, 100), "At most so many; 20 unless said")
            .gives(200, "Notifications, the latest first", with(items(named("Notification")), [("meta", meta)]))
            .example(tested(example("Unread", "/api/v1/notifications?unread=true")))
            .example(example("None yet", all)),
        one("POST /api/v1/notifications/{id}/read", "Mark one as read")
            .gives(200, "Done", message())
            .example(listed(tested(example("The first", "/api/v1/notifications/$2.data.items.0.id/read"))))
            .example(example("None of one's own", "/api/v1/notifications/999999/read").gives(404)),
        describe("POST /api/v1/notifications/read-all", "Mark all as read")
            .gives(200, "Done", message())
            .example(example("All", "/api/v1/notifications/read-all")),
        describe("POST /api/v1/notifications/test", "Send oneself a notification")
            .says("It takes every way on which one listens now, muted or not.")
            .gives(200, "It is on its way", queued())
            .example(example("A test", "/api/v1/notifications/test")),
        describe("POST /api/v1/admin/notifications", "Tell readers something")
            .says("A chapter of a series goes to its readers unless `audience` says otherwise, anything else to everyone. The exact number of a chapter wins over the whole one.")
            .takes(object([], [
                ("manga_id", json!({"type": ["string", "integer"]})),
                ("manga_title", text()),
                ("chapter_number", number()),
                ("chapter_exact", number()),
                ("chapter_title", text()),
                ("release_date", text()),
                ("message", chars(0, 500)),
                ("audience", one_of(&["readers", "everyone"])),
            ]))
            .gives(200, "It is on its way", queued())
            .example(example("A chapter", "/api/v1/admin/notifications").sends(json!({
                "manga_id": "one-piece", "manga_title": "One Piece", "chapter_number": 1200,
                "release_date": "2026-01-31", "message": "Chapter 1200 is out",
            })))
            .example(example("Nothing", "/api/v1/admin/notifications").sends(json!({})).gives(400)),
    ]
}

fn preferences() -> Vec<Description> {
    let path = "/api/v1/notifications/preferences";
    let answer = || data(object([("preferences", named("Preferences"))], []));
    let flags = |names: &[&str]| {
        let members: serde_json::Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), truth())).collect();
        json!({"type": "object", "properties": members})
    };
    vec![
        describe("GET /api/v1/notifications/preferences", "What one wants to hear")
            .gives(200, "Types, ways, and series that are muted", answer())
            .example(example("Everything", path)),
        describe("PUT /api/v1/notifications/preferences", "Change what one wants to hear")
            .says("What is not named stays. A connection that listens already follows `new_manga` when it subscribes again; all else at once.")
            .takes(object([], [
                ("types", flags(&["new_manga", "new_chapter", "manga_update"])),
                ("protocols", flags(&["udp", "websocket", "tcp", "webhook"])),
            ]))
            .gives(200, "As it is now", answer())
            .example(
                example("No new series, no datagrams", path)
                    .sends(json!({"types": {"new_manga": false}, "protocols": {"udp": false}})),
            )
            .example(example("Not yes or no", path).sends(json!({"types": {"new_manga": "no"}})).gives(400)),
        describe("PUT /api/v1/notifications/preferences/manga/{manga}", "Mute a series")
            .gives(200, "Done", message())
            .refuses([404, 409])
            .example(example("A series", "/api/v1/notifications/preferences/manga/one-piece"))
            .example(example("No series", "/api/v1/notifications/preferences/manga/nothing").gives(404)),
        describe("DELETE /api/v1/notifications/preferences/manga/{manga}", "Hear of a series again")
            .gives(200, "Done", message())
            .refuses([404])
            .example(example("A series", "/api/v1/notifications/preferences/manga/one-piece")),
    ]
}

fn second_family() -> Vec<Description> {
    vec![
        describe("GET /api/notifications/unread", "One's unread notifications")
            .gives(
                200,
                "The latest hundred, the latest first",
                object([("notifications", list(named("NotificationV2"))), ("total", from(0))], []),
            )
            .example(tested(example("One", "/api/notifications/unread"))),
        one("PUT /api/notifications/{id}/read", "Mark one as read")
            .gives_nothing(204, "Done")
            .example(listed(tested(example("The first", "/api/notifications/$2.data.items.0.id/read").gives(204))))
            .example(example("None of one's own", "/api/notifications/999999/read").gives(404)),
        describe("PUT /api/notifications/read-all", "Mark all as read")
            .gives_nothing(204, "Done")
            .example(example("All", "/api/notifications/read-all").gives(204)),
    ]
}

fn one(place: &'static str, summary: &'static str) -> Description {
    describe(place, summary).path("id", from(1), "A notification").refuses([404])
}

fn tested(example: Example) -> Example {
    example.after("POST", "/api/v1/notifications/test", Value::Null)
}

fn listed(example: Example) -> Example {
    example.after("GET", "/api/v1/notifications", Value::Null)
}

fn queued() -> Value {
    with(message(), [("message", text())])
}

fn notification() -> Value {
    let change = json!({
        "type": "object",
        "properties": {"field": {"type": "string"}, "old_value": {}, "new_value": {}},
        "required": ["field"],
    });
    object(
        [
            ("id", from(1)),
            ("type", one_of(NoticeKind::WORDS)),
            ("manga_id", or_null(text())),
            ("manga_key", or_null(whole())),
            ("manga_title", text()),
            ("message", text()),
            ("chapter_number", or_null(whole())),
            ("chapter_exact", or_null(number())),
            ("chapter_title", or_null(text())),
            ("release_date", or_null(text())),
            ("changes", list(change)),
            ("read", truth()),
            ("created_at", time()),
        ],
        [],
    )
}

fn notification_v2() -> Value {
    object(
        [
            ("id", from(1)),
            ("user_id", text()),
            ("type", one_of(NoticeKind::WORDS)),
            ("manga_id", from(0)),
            ("title", text()),
            ("message", text()),
            ("read", truth()),
            ("created_at", time()),
        ],
        [],
    )
}

fn wishes() -> Value {
    let muted = object([("manga_id", or_null(text())), ("manga_key", from(1)), ("manga_title", or_null(text()))], []);
    let types = object([("new_manga", truth()), ("new_chapter", truth()), ("manga_update", truth())], []);
    let ways = object([("udp", truth()), ("websocket", truth()), ("tcp", truth()), ("webhook", truth())], []);
    object([("types", types), ("protocols", ways), ("muted_manga", list(muted))], [])
}
