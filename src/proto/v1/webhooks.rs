//! Webhooks over HTTP.

use serde_json::{Value, json};

use super::bounded::number;
use super::read::parse_word;
use super::show::{data, list};
use crate::handlers::api::ApiError;
use crate::handlers::webhooks::{
    CHANGE, CREATE, Change, DELETE, DELIVERIES, GET, LIST, Listing, New, REPLAY, ROTATE, Replay, Reply, Rotate, TEST,
};
use crate::proto::http1::{Method, Response};
use crate::proto::json::{Object, missing};
use crate::proto::routes::{Family, HttpInput, Route};
use crate::proto::time::rfc3339;
use crate::store::model::{
    DeliveriesWanted, Delivery, DeliveryState, HookEvent, HookScope, Webhook, WebhookChange, WebhookId,
};

pub(super) fn routes() -> Vec<Route> {
    use Method::{Delete, Get, Patch, Post};
    vec![
        Route::http(Family::V1, Get, "/api/v1/webhooks", LIST, |_| Ok(())),
        Route::http(Family::V1, Post, "/api/v1/webhooks", CREATE, |input| read_new(&input.body()?)),
        Route::http(Family::V1, Get, "/api/v1/webhooks/{id}", GET, webhook_id),
        Route::http(Family::V1, Patch, "/api/v1/webhooks/{id}", CHANGE, |input| {
            Ok(Change { id: webhook_id(input)?, change: read_change(&input.body()?)? })
        }),
        Route::http(Family::V1, Delete, "/api/v1/webhooks/{id}", DELETE, webhook_id),
        Route::http(Family::V1, Post, "/api/v1/webhooks/{id}/test", TEST, webhook_id),
        Route::http(Family::V1, Post, "/api/v1/webhooks/{id}/secret", ROTATE, |input| {
            Ok(Rotate { id: webhook_id(input)?, secret: read_secret(&input.body()?)? })
        }),
        Route::http(Family::V1, Get, "/api/v1/webhooks/{id}/deliveries", DELIVERIES, read_listing),
        Route::http(Family::V1, Post, "/api/v1/webhooks/{id}/deliveries/{delivery}/replay", REPLAY, |input| {
            let delivery = input.second_param().parse().map_err(|_| ApiError::not_found("Delivery not found"))?;
            Ok(Replay { id: webhook_id(input)?, delivery })
        }),
    ]
}

/// What is no number is the key of no webhook.
fn webhook_id(input: &HttpInput<'_>) -> Result<WebhookId, ApiError> {
    input.param().parse().map_err(|_| ApiError::not_found("Webhook not found"))
}

fn read_new(body: &Object<'_>) -> Result<New, ApiError> {
    let change = read_change(body)?;
    let events = change.events.unwrap_or_else(|| {
        let all = HookEvent::WORDS.iter().filter_map(|word| HookEvent::parse(word));
        all.filter(|event| *event != HookEvent::Test).collect()
    });
    Ok(New {
        url: change.url.ok_or_else(|| missing("url"))?,
        events,
        scope: change.scope.unwrap_or(HookScope::Library),
        secret: read_secret(body)?,
    })
}

fn read_change(body: &Object<'_>) -> Result<WebhookChange, ApiError> {
    let scope = body.text("scope")?;
    let parse = |word: &str| parse_word(word, "scope", HookScope::parse, HookScope::WORDS);
    Ok(WebhookChange {
        url: body.text("url")?.map(|url| url.trim().to_owned()),
        events: read_events(body)?,
        scope: scope.map(|word| parse(&word)).transpose()?,
        active: body.boolean("active")?,
    })
}

fn read_events(body: &Object<'_>) -> Result<Option<Vec<HookEvent>>, ApiError> {
    let Some(words) = body.list::<String>("events", "strings", EVENTS_MAX)? else { return Ok(None) };
    let mut events = Vec::new();
    for word in &words {
        let event = parse_word(word, "events", HookEvent::parse, HookEvent::WORDS)?;
        if !events.contains(&event) {
            events.push(event);
        }
    }
    match events.is_empty() {
        true => Err(ApiError::invalid("events: at least one")),
        false => Ok(Some(events)),
    }
}

fn read_secret(body: &Object<'_>) -> Result<Option<String>, ApiError> {
    let Some(secret) = body.text("secret")? else { return Ok(None) };
    let fits = (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&secret.len());
    match fits && secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(Some(secret.into_owned())),
        false => Err(ApiError::invalid(format!(
            "secret: expected {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} letters, digits and signs of ASCII"
        ))),
    }
}

fn read_listing(input: &HttpInput<'_>) -> Result<Listing, ApiError> {
    let state = input.query("state");
    let parse = |word: &str| parse_word(word, "state", DeliveryState::parse, DeliveryState::WORDS);
    let wanted = DeliveriesWanted {
        state: state.map(|word| parse(&word)).transpose()?,
        before: number(input, "before", 1, i64::MAX)?,
        limit: number(input, "limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT_USUAL) as u32,
    };
    Ok(Listing { id: webhook_id(input)?, wanted })
}

pub(super) fn show(reply: Reply) -> Response {
    match reply {
        Reply::List(hooks) => {
            let total = hooks.len();
            list(hooks.iter().map(webhook).collect(), json!({"total": total}))
        }
        Reply::One(hook) => data(200, json!({"webhook": webhook(&hook)})),
        Reply::Created(hook, secret) => data(201, json!({"webhook": webhook(&hook), "secret": secret})),
        Reply::Rotated(hook, secret) => data(200, json!({"webhook": webhook(&hook), "secret": secret})),
        Reply::Deliveries(deliveries) => {
            let count = deliveries.len();
            list(deliveries.iter().map(delivery).collect(), json!({"count": count}))
        }
        Reply::Queued(queued) => data(202, json!({"delivery": delivery(&queued)})),
    }
}

/// A webhook without its secret.
pub(super) fn webhook(hook: &Webhook) -> Value {
    json!({
        "id": hook.id,
        "url": hook.url,
        "events": hook.events,
        "scope": hook.scope,
        "active": hook.disabled.is_none(),
        "disabled_reason": hook.disabled,
        "dead_in_row": hook.dead_in_row,
        "missed": hook.missed,
        "created_at": rfc3339(hook.created_at),
        "updated_at": rfc3339(hook.updated_at),
    })
}

fn delivery(delivery: &Delivery) -> Value {
    json!({
        "id": delivery.id,
        "webhook_id": delivery.webhook_id,
        "event": delivery.event,
        // As it is sent.
        "body": serde_json::from_str::<Value>(&delivery.body).ok(),
        "state": delivery.state,
        "attempts": delivery.attempts,
        "next_attempt_at": delivery.next_attempt_at.map(rfc3339),
        "status": delivery.status,
        "error": delivery.error,
        "created_at": rfc3339(delivery.created_at),
        "finished_at": delivery.finished_at.map(rfc3339),
    })
}

/// More than there are, so that a word may come twice.
const EVENTS_MAX: usize = 20;

/// A secret that can't be guessed, and one that fits in a configuration.
const SECRET_BYTES_MIN: usize = 16;
const SECRET_BYTES_MAX: usize = 128;

/// How many deliveries are shown unasked, and at most.
const LIMIT_USUAL: i64 = 20;
const LIMIT_MAX: i64 = 100;
