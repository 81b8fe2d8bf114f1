//! The server itself: whether it is well, and what it says about itself.

use serde_json::{Value, json};

use crate::proto::openapi::describe::{Area, Description, describe, example};
use crate::proto::openapi::schema::{from, named, object, one_of, text, truth};

/// The area.
pub fn area() -> Area {
    let health = object(
        [("status", one_of(&["ok", "draining", "unhealthy"])), ("service", text()), ("version", text())],
        [("error", text())],
    );
    Area {
        name: "Server",
        about: "Whether it is well, and what it says about itself.",
        routes: vec![
            describe("GET /health", "Is the server well?")
                .gives(200, "It is", named("Health"))
                .gives(500, "Its database can't be reached", named("Health"))
                .example(example("A server that is well", "/health")),
            describe("GET /check-conn", "Does the server run?")
                .gives(200, "It does, with the state of each part", parts())
                .example(example("A server that is well", "/check-conn")),
            describe("GET /db-ping", "Does what it keeps answer?")
                .gives(200, "It does", parts())
                .gives(500, "A part does not", parts())
                .example(example("A server that is well", "/db-ping")),
            websocket(),
            describe("GET /openapi.json", "This document")
                .gives(200, "OpenAPI 3.1", json!({"type": "object"}))
                .example(example("The document", "/openapi.json")),
            page("GET /docs", "/docs", "Try the routes in a browser", "text/html"),
            page("GET /docs/app.js", "/docs/app.js", "The page's script", "text/javascript"),
            page("GET /docs/style.css", "/docs/style.css", "The page's style", "text/css"),
        ],
        shapes: vec![("Health".into(), health)],
    }
}

fn websocket() -> Description {
    describe("GET /ws", "Make a WebSocket of the connection")
        .says("A handshake of RFC 6455, version 13, with a token in the header or in the query. Without a token one may come under a free name where the listener lets people chat unverified.")
        .query("token", text(), "A token, for browsers: their scripts can't set the header.")
        .query("username", text(), "The name of somebody without a token.")
        .query("room", text(), "The room to begin in.")
        .query("manga_id", from(1), "The series whose room to begin in.")
        .gives_nothing(101, "Messages from here on, one JSON object each")
        .refuses([400, 401, 403, 409, 426, 429, 503])
        .example(example("Not a handshake", "/ws").gives(400))
}

fn parts() -> Value {
    let states = object([("store", text()), ("writer", text()), ("reactor", text())], []);
    object([("ok", truth()), ("parts", states)], [("message", text()), ("error", text())])
}

fn page(place: &'static str, path: &'static str, summary: &'static str, media_type: &'static str) -> Description {
    describe(place, summary).gives_as(media_type, 200, "A file", text()).example(example("The file", path))
}
