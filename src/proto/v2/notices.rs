//! Notifications over HTTP, in the second family.

use serde_json::{Value, json};

use crate::handlers::notices::Reply;
use crate::handlers::notices::inbox::{LIST, READ, READ_ALL};
use crate::proto::http1::{Method, Response};
use crate::proto::routes::{Family, Route};
use crate::proto::time::rfc3339;
use crate::proto::v1;
use crate::store::model::{InboxQuery, Notification, UserId};

pub(super) fn routes() -> Vec<Route> {
    use Method::{Get, Put};
    vec![
        Route::http(Family::V2, Get, "/api/notifications/unread", LIST, |_| {
            Ok(InboxQuery { unread: true, before: None, limit: UNREAD_MAX })
        }),
        Route::http(Family::V2, Put, "/api/notifications/{id}/read", READ, v1::notices::notice_id),
        Route::http(Family::V2, Put, "/api/notifications/read-all", READ_ALL, |_| Ok(())),
    ]
}

pub(super) fn show(reply: Reply) -> Response {
    match reply {
        Reply::Inbox(user, inbox) => {
            let items: Vec<Value> = inbox.items.iter().map(|(told, read)| entry(told, *read, &user)).collect();
            Response::json(200, json!({"notifications": items, "total": inbox.unread}).to_string())
        }
        _ => Response::empty(204),
    }
}

fn entry(told: &Notification, read: bool, user: &UserId) -> Value {
    json!({
        "id": told.id,
        "user_id": user,
        "type": told.kind,
        "manga_id": told.manga.as_ref().map_or(0, |manga| manga.id),
        "title": told.title,
        "message": told.message,
        "read": read,
        "created_at": rfc3339(told.at),
    })
}

/// Its clients ask for no part of the list: they are shown the latest.
const UNREAD_MAX: u32 = 100;
