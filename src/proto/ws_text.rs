//! What the text messages of a WebSocket say: one JSON object each, its `type` and the rest side by side.
//!
//! Here is what every such session has: pings, errors, the goodbye. What is said in rooms is the
//! chat's, and has its own file.

use serde::Serialize;
use serde_json::value::RawValue;

use super::routes::Route;
use super::sync::read_ping;
use super::time::rfc3339;
use crate::handlers::api::{ApiError, Event, Reply};
use crate::handlers::session::ServiceKind;
use crate::handlers::{Access, monitor};
use crate::store::model::UnixMillis;

/// The messages that every session may send.
pub fn routes() -> Vec<Route> {
    vec![Route::line(ServiceKind::Ws, "ping", monitor::PING, read_ping).needs(Access::Public)]
}

/// Puts an answer into a message; nothing where there is nothing to say.
pub fn write_reply(outcome: Result<Reply, ApiError>, now: UnixMillis, out: &mut Vec<u8>) {
    let at = &rfc3339(now);
    match outcome {
        Err(error) => write_error(&error, at, out),
        Ok(Reply::Pong(client_time)) => {
            #[derive(Serialize)]
            struct Pong<'a> {
                r#type: &'a str,
                server_time: &'a str,
                client_time: Option<Box<RawValue>>,
                timestamp: &'a str,
            }
            write(&Pong { r#type: "pong", server_time: at, client_time, timestamp: at }, out);
        }
        Ok(Reply::Notice { message, reconnect_after_ms }) => {
            #[derive(Serialize)]
            struct Notice<'a> {
                r#type: &'a str,
                content: &'a str,
                message: &'a str,
                reconnect_after_ms: u64,
                timestamp: &'a str,
            }
            // `content` is where the families' clients look for what to show.
            write(&Notice { r#type: "system", content: message, message, reconnect_after_ms, timestamp: at }, out);
        }
        Ok(_) => {}
    }
}

fn write_error(error: &ApiError, at: &str, out: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct Error<'a> {
        r#type: &'a str,
        code: &'a str,
        message: &'a str,
        content: &'a str,
        timestamp: &'a str,
    }
    let (_, _, code) = error.kind.codes();
    let message = error.message.as_ref();
    write(&Error { r#type: "error", code, message, content: message, timestamp: at }, out);
}

/// Puts an event into a message; nothing for one that is told elsewhere.
pub fn write_event(event: &Event, _out: &mut Vec<u8>) {
    match event {
        // Whoever wants it says so; until then nobody here is a member of its topics.
        Event::Progress(_) | Event::Notification(..) => {}
    }
}

fn write<T: Serialize>(message: &T, out: &mut Vec<u8>) {
    // Writing plain data to memory has nothing that could fail.
    let _ = serde_json::to_writer(out, message);
}
