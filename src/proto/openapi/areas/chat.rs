//! Chat: what was said in rooms and from one to another, and who must be silent.

use serde_json::{Value, json};

use crate::handlers::chat::HISTORY_MAX;
use crate::proto::openapi::describe::{Area, Description, Example, describe, example};
use crate::proto::openapi::schema::{
    between, chars, data, from, items, message, named, object, one_of, or_null, text, time, truth, whole, with,
};

/// The area.
pub fn area() -> Area {
    Area {
        name: "Chat",
        about: "What is said in rooms and from one to another. Chat itself is at `/ws`, over a WebSocket. A room is that \
                of a series, by its slug or number, or one with a name, such as `general`.",
        routes: [rooms(), messages(), mutes()].into_iter().flatten().collect(),
        shapes: vec![("ChatRoom".into(), room()), ("ChatMessage".into(), chat_message()), ("ChatMute".into(), mute())],
    }
}

const IN_GENERAL: &str = "/api/v1/chat/rooms/general/messages";

fn said(example: Example) -> Example {
    example.after("POST", IN_GENERAL, json!({"content": "Has anybody read chapter 5?"}))
}

fn rooms() -> Vec<Description> {
    vec![
        part(describe("GET /api/v1/chat/rooms", "Rooms"))
            .gives(
                200,
                "Rooms in which something was said, the latest first, then those that somebody is in",
                items(named("ChatRoom")),
            )
            .example(said(example("One room", "/api/v1/chat/rooms")))
            .example(example("None yet", "/api/v1/chat/rooms?limit=10")),
        pages(describe("GET /api/v1/chat/rooms/{room}/messages", "What was said in a room"))
            .path("room", text(), "A series' slug or number, or a room's name")
            .refuses([404])
            .gives(200, "Messages, the oldest first", some_messages())
            .example(said(example("A room", IN_GENERAL)))
            .example(example("The room of a series", "/api/v1/chat/rooms/one-piece/messages?limit=10"))
            .example(example("No such series", "/api/v1/chat/rooms/999999/messages").gives(404)),
        describe("POST /api/v1/chat/rooms/{room}/messages", "Say something in a room")
            .says("At most 2,000 characters and 6,000 bytes. Whoever is in the room hears it.")
            .path("room", text(), "A series' slug or number, or a room's name")
            .takes(object([("content", chars(1, 2000))], []))
            .refuses([403, 404, 413])
            .gives(201, "What was said", data(object([("message", named("ChatMessage"))], [])))
            .example(example("To everybody", IN_GENERAL).sends(json!({"content": "Hello!"})).gives(201))
            .example(example("Nothing", IN_GENERAL).sends(json!({"content": " "})).gives(400)),
    ]
}

fn messages() -> Vec<Description> {
    vec![
        pages(describe("GET /api/v1/chat/messages/private", "What the reader and somebody else said to each other"))
            .query("with", text(), "Somebody: their id or their name")
            .refuses([404])
            .gives(200, "Messages, the oldest first", some_messages())
            .example(example("Nothing yet", "/api/v1/chat/messages/private?with=friend"))
            .example(example("Nobody", "/api/v1/chat/messages/private?with=nobody").gives(404)),
        describe("DELETE /api/v1/chat/messages/{id}", "Delete a message")
            .says("One's own; an administrator deletes anybody's that was said in a room.")
            .path("id", whole(), "The message's number")
            .refuses([404])
            .gives(200, "Done", data(object([("message", text()), ("id", whole())], [])))
            .example(said(example("One's own", "/api/v1/chat/messages/$1.data.message.id")))
            .example(example("None", "/api/v1/chat/messages/999").gives(404)),
    ]
}

fn mutes() -> Vec<Description> {
    let (all, hour) = ("/api/v1/admin/chat/mutes", || json!({"user": "friend", "seconds": 3600, "reason": "Spoilers"}));
    let guests = || json!({"guest": "*", "seconds": 600, "room": "general"});
    vec![
        part(describe("GET /api/v1/admin/chat/mutes", "Who must be silent"))
            .gives(200, "Mutes that have not ended, the last to end first", items(named("ChatMute")))
            .example(example("One", all).after("POST", all, hour()))
            .example(example("Nobody", "/api/v1/admin/chat/mutes?limit=10")),
        describe("POST /api/v1/admin/chat/mutes", "Silence somebody for a time")
            .says(
                "A user, or whoever goes by a name without an account (`guest`; `*` is all of those). In one room, or \
                 everywhere, private messages included. A new mute for the same place replaces the old.",
            )
            .takes(object(
                [("seconds", between(1, 366 * 86_400))],
                [
                    ("user", chars(1, 64)),
                    ("guest", chars(1, 64)),
                    ("room", json!({"type": ["string", "integer"]})),
                    ("reason", chars(1, 200)),
                ],
            ))
            .refuses([403, 404])
            .gives(201, "The mute", data(object([("mute", named("ChatMute"))], [])))
            .example(example("For an hour", all).sends(hour()).gives(201))
            .example(
                example("In one room", all)
                    .sends(json!({"user": "friend", "seconds": 60, "room": "general"}))
                    .gives(201),
            )
            .example(example("Everybody without an account", all).sends(guests()).gives(201))
            .example(example("Nobody", all).sends(json!({"user": "nobody", "seconds": 60})).gives(404)),
        describe("DELETE /api/v1/admin/chat/mutes", "Let people without an account speak again")
            .query("guest", text(), "What they call themselves; `*` is the mute of all of those")
            .query("room", text(), "The room that the mute is for; without it, the mute for everywhere")
            .refuses([404])
            .gives(200, "Done", message())
            .example(example("A mute", "/api/v1/admin/chat/mutes?guest=*&room=general").after("POST", all, guests()))
            .example(example("Who may speak", "/api/v1/admin/chat/mutes?guest=nobody").gives(404)),
        describe("DELETE /api/v1/admin/chat/mutes/{user}", "Let a user speak again")
            .path("user", text(), "Somebody: their id or their name")
            .query("room", text(), "The room that the mute is for; without it, the mute for everywhere")
            .refuses([404])
            .gives(200, "Done", message())
            .example(example("A mute", "/api/v1/admin/chat/mutes/friend").after("POST", all, hour()))
            .example(example("Who may speak", "/api/v1/admin/chat/mutes/friend?room=general").gives(404)),
    ]
}

fn part(description: Description) -> Description {
    description.query("limit", between(1, 100), "At most so many; 50 unless said").query(
        "offset",
        from(0),
        "After skipping so many",
    )
}

fn pages(description: Description) -> Description {
    description.query("before", from(1), "Messages before the one of this id").query(
        "limit",
        between(1, HISTORY_MAX.into()),
        "At most so many; 50 unless said",
    )
}

fn some_messages() -> Value {
    with(items(named("ChatMessage")), [("meta", object([("count", from(0)), ("more", truth())], []))])
}

fn room() -> Value {
    object([("room", text()), ("room_id", from(0)), ("online", from(0)), ("last_message_at", or_null(time()))], [])
}

fn chat_message() -> Value {
    object(
        [
            ("type", one_of(&["chat", "system", "pm"])),
            ("id", whole()),
            ("username", text()),
            ("user_name", text()),
            ("user_id", text()),
            ("verified", truth()),
            ("room", text()),
            ("room_id", from(-1)),
            ("content", text()),
            ("timestamp", time()),
        ],
        [("to", text()), ("to_id", text())],
    )
}

fn mute() -> Value {
    object(
        [
            ("user", or_null(object([("id", text()), ("username", text())], []))),
            ("guest", or_null(text())),
            ("room", or_null(text())),
            ("until", time()),
            ("reason", text()),
            ("muted_by", or_null(text())),
            ("created_at", time()),
        ],
        [],
    )
}
