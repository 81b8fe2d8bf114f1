//! How the server is, as the second family's clients ask: `/check-conn` for itself, `/db-ping` for what
//! it keeps.

use serde_json::json;

use crate::handlers::monitor::{self, Asked, Parts};
use crate::proto::http1::{Method, Response};
use crate::proto::routes::{Family, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::http(Family::V2, Method::Get, "/check-conn", monitor::PARTS, |_| Ok(Asked::Server)),
        Route::http(Family::V2, Method::Get, "/db-ping", monitor::PARTS, |_| Ok(Asked::Store)),
    ]
}

pub(super) fn show(parts: &Parts) -> Response {
    let words = json!({"store": parts.store, "writer": parts.writer, "reactor": parts.reactor});
    let broken = [("store", parts.store), ("writer", parts.writer)].into_iter().find(|(_, state)| *state != "ok");
    let (status, body) = match (parts.asked, broken) {
        (Asked::Server, _) => (200, json!({"ok": true, "message": "api server running", "parts": words})),
        (Asked::Store, None) => (200, json!({"ok": true, "parts": words})),
        (Asked::Store, Some((part, state))) => {
            (500, json!({"ok": false, "error": format!("the {part} is {state}"), "parts": words}))
        }
    };
    Response::json(status, body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A part that is down is told to whoever asks for it; the server itself runs.
    #[test]
    fn a_broken_part_is_named() {
        let parts = |asked, store, writer| Parts { asked, store, writer, reactor: "ok" };
        assert_eq!(show(&parts(Asked::Server, "down", "down")).status, 200);
        assert_eq!(show(&parts(Asked::Store, "ok", "ok")).status, 200);
        let broken = show(&parts(Asked::Store, "ok", "down"));
        assert_eq!(broken.status, 500);
        let body: serde_json::Value = serde_json::from_slice(broken.body.bytes()).unwrap();
        assert_eq!((&body["ok"], &body["error"]), (&json!(false), &json!("the writer is down")));
    }
}
