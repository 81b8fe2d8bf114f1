//! Friends over HTTP.

use serde_json::{Value, json};

use super::bounded::{need_line, number, window};
use super::show::{data, list, meta};
use crate::handlers::api::{ApiError, Series};
use crate::handlers::friends::{ACCEPT, ACTIVITY, ASK, LIST, REMOVE, REQUESTS, Reply, Since};
use crate::proto::http1::{Method, Response};
use crate::proto::routes::{Family, HttpInput, Route};
use crate::proto::time::rfc3339;
use crate::store::model::{ActivityEntry, Friend};

pub(super) fn routes() -> Vec<Route> {
    use Method::{Delete, Get, Post};
    let whom = |input: &HttpInput<'_>| Ok(input.param().to_owned());
    vec![
        Route::http(Family::V1, Get, "/api/v1/friends", LIST, |input| window(input, FRIENDS_USUAL)),
        Route::http(Family::V1, Post, "/api/v1/friends", ASK, read_ask),
        Route::http(Family::V1, Get, "/api/v1/friends/requests", REQUESTS, |input| window(input, FRIENDS_USUAL)),
        Route::http(Family::V1, Get, "/api/v1/friends/activity", ACTIVITY, read_since),
        Route::http(Family::V1, Post, "/api/v1/friends/{user}/accept", ACCEPT, whom),
        Route::http(Family::V1, Delete, "/api/v1/friends/{user}", REMOVE, whom),
    ]
}

fn read_ask(input: &HttpInput<'_>) -> Result<String, ApiError> {
    need_line(&input.body()?, "username", NAME_CHARACTERS_MAX)
}

fn read_since(input: &HttpInput<'_>) -> Result<Since, ApiError> {
    let limit = number(input, "limit", 1, ACTIVITY_MAX)?.unwrap_or(ACTIVITY_USUAL);
    Ok(Since { before: number(input, "before", 1, i64::MAX)?, limit: limit as u32 })
}

pub(super) fn show(reply: Reply) -> Response {
    match reply {
        Reply::List(page, window) => list(page.items.iter().map(friend).collect(), meta(page.total, window)),
        Reply::Requests(requests, window) => {
            let people = |people: &[Friend]| people.iter().map(friend).collect::<Vec<Value>>();
            let shown = json!({"incoming": people(&requests.incoming), "outgoing": people(&requests.outgoing)});
            let body = json!({"success": true, "data": shown, "meta": meta(requests.incoming_total, window)});
            Response::json(200, body.to_string())
        }
        Reply::Asked(whom) => data(201, json!({"status": "requested", "friend": friend(&whom)})),
        Reply::Accepted(whom) => data(200, json!({"status": "accepted", "friend": friend(&whom)})),
        Reply::Activity(entries, complete) => {
            let items: Vec<Value> = entries.iter().map(|(entry, series)| activity(entry, series.as_deref())).collect();
            let count = items.len();
            list(items, json!({"count": count, "complete": complete}))
        }
    }
}

fn friend(friend: &Friend) -> Value {
    json!({"id": friend.id, "username": friend.username, "since": rfc3339(friend.since)})
}

fn activity(entry: &ActivityEntry, series: Option<&Series>) -> Value {
    json!({
        "id": entry.seq,
        "user_id": entry.user_id,
        "username": entry.username,
        "manga_id": series.map(|series| series.slug.as_str()),
        "manga_key": entry.manga_id,
        "manga_title": series.map(|series| series.title.as_str()),
        "chapter": entry.chapter.floor(),
        "chapter_exact": entry.chapter,
        "status": entry.status,
        "recorded_at": rfc3339(entry.recorded_at),
    })
}

/// How many people are shown unasked.
const FRIENDS_USUAL: u32 = 50;

/// No name is longer, so no longer one is looked for.
const NAME_CHARACTERS_MAX: usize = 64;

/// How many entries of the feed are shown unasked, and at most.
const ACTIVITY_USUAL: i64 = 20;
const ACTIVITY_MAX: i64 = 100;
