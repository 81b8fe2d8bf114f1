//! What the text messages of a WebSocket say: one JSON object each, its `type` and the rest side by side.
//!
//! Here is what every such session has: pings, errors, the goodbye. What is said in rooms is the
//! chat's, and has its own file.

use serde::Serialize;
use serde_json::value::RawValue;

use super::routes::Route;
use super::sync::{progress_v2, read_ping};
use super::time::rfc3339;
use super::{chat, notices};
use crate::handlers::api::{ApiError, Event, ProgressEvent, Reply};
use crate::handlers::notices::subscribe::{SUBSCRIBE, UNSUBSCRIBE};
use crate::handlers::session::ServiceKind;
use crate::handlers::{Access, monitor};
use crate::store::model::{Protocol, UnixMillis};

/// The messages that every session may send.
pub fn routes() -> Vec<Route> {
    vec![
        Route::line(ServiceKind::Ws, "ping", monitor::PING, read_ping).needs(Access::Public),
        Route::line(ServiceKind::Ws, "subscribe", SUBSCRIBE, notices::read_subjects),
        Route::line(ServiceKind::Ws, "unsubscribe", UNSUBSCRIBE, notices::read_subjects),
    ]
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
        Ok(Reply::Notices(crate::handlers::notices::Reply::Subscribed(subjects))) => {
            #[derive(Serialize)]
            struct Subscribed<'a> {
                r#type: &'a str,
                topics: Vec<&'static str>,
                timestamp: &'a str,
            }
            write(&Subscribed { r#type: "subscribed", topics: notices::names(&subjects), timestamp: at }, out);
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
        Ok(Reply::Chat(reply)) => chat::write_reply(&reply, now, out),
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
        /// In seconds, as HTTP's field of that name.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<u32>,
        timestamp: &'a str,
    }
    let (_, _, code) = error.kind.codes();
    let message = error.message.as_ref();
    let retry_after = Some(error.retry_after_s).filter(|seconds| *seconds > 0);
    write(&Error { r#type: "error", code, message, content: message, retry_after, timestamp: at }, out);
}

/// Puts an event into a message; nothing for one that is told elsewhere.
pub fn write_event(event: &Event, out: &mut Vec<u8>) {
    match event {
        Event::Progress(event) => write_progress(event, out),
        Event::Notification(notification, protocols) if protocols.has(Protocol::Websocket) => {
            notices::write_web(notification, out);
        }
        Event::Notification(..) => {}
        Event::Chat(event) => chat::write_event(event, out),
    }
}

/// Flat as every message here, with the members of both families.
fn write_progress(event: &ProgressEvent, out: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct Progress<'a, T> {
        r#type: &'a str,
        #[serde(flatten)]
        data: T,
        current_chapter: i64,
        user_name: &'a str,
    }
    let (current_chapter, user_name) = (event.chapter.floor(), event.username.as_ref());
    let at = rfc3339(event.at);
    let data = progress_v2(event, &at);
    write(&Progress { r#type: "progress", data, current_chapter, user_name }, out);
}

fn write<T: Serialize>(message: &T, out: &mut Vec<u8>) {
    // Writing plain data to memory has nothing that could fail.
    let _ = serde_json::to_writer(out, message);
}
