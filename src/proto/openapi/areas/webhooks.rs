//! Webhooks: users' own programs, told over HTTP what happens.

use serde_json::{Value, json};

use crate::proto::openapi::describe::{Area, Description, Example, describe, example};
use crate::proto::openapi::schema::{
    between, chars, data, from, items, list, message, named, number, object, one_of, or_null, text, time, truth, whole,
    with,
};
use crate::store::model::{DeliveryState, HookEvent, HookScope};

/// The area.
pub fn area() -> Area {
    Area {
        name: "Webhooks",
        about: "Addresses that are told over HTTP what happens, each delivery signed, in order, at least once.",
        routes: [webhooks(), deliveries()].into_iter().flatten().collect(),
        shapes: vec![("Webhook".into(), webhook()), ("Delivery".into(), delivery())],
    }
}

fn webhooks() -> Vec<Description> {
    let (all, first) = ("/api/v1/webhooks", "/api/v1/webhooks/$1.data.webhook.id");
    let shown = || data(object([("webhook", named("Webhook"))], []));
    let with_secret = || data(object([("webhook", named("Webhook")), ("secret", text())], []));
    let total = object([("total", from(0))], []);
    vec![
        describe("GET /api/v1/webhooks", "One's webhooks")
            .gives(200, "Webhooks, the first made first", with(items(named("Webhook")), [("meta", total)]))
            .example(made(example("One", all))),
        describe("POST /api/v1/webhooks", "Make a webhook")
            .says(
                "The address must be public and have no user name in it. Without `events` it is told everything but \
                 tests. `scope: all` is for administrators. The answer is the only one that shows the secret.",
            )
            .takes(new_webhook())
            .gives(201, "The webhook and its secret", with_secret())
            .refuses([403, 409])
            .example(example("With a secret that is made", all).sends(json!({"url": URL})).gives(201))
            .example(
                example("A private address", all).sends(json!({"url": "http://169.254.169.254/latest"})).gives(400),
            )
            .example(
                example("Of all series", all)
                    .sends(json!({"url": URL, "events": ["new_chapter"], "scope": "all"}))
                    .gives(403),
            ),
        one("GET /api/v1/webhooks/{id}", "A webhook")
            .gives(200, "The webhook", shown())
            .example(made(example("One's own", first)))
            .example(example("One that there isn't", "/api/v1/webhooks/404").gives(404)),
        one("PATCH /api/v1/webhooks/{id}", "Change a webhook")
            .says("`active: true` begins anew after it was disabled, `false` disables it.")
            .takes(object([], about_webhook()))
            .gives(200, "The webhook", shown())
            .refuses([403])
            .example(made(example("Fewer events", first).sends(json!({"events": ["new_chapter"], "active": true})))),
        one("DELETE /api/v1/webhooks/{id}", "Delete a webhook")
            .says("What still waits is not delivered.")
            .gives(200, "Done", message())
            .example(made(example("One's own", first))),
        one("POST /api/v1/webhooks/{id}/secret", "Give a webhook another secret")
            .says("Without one in the body it is made. It holds from the next attempt on.")
            .takes(object([], [("secret", or_null(chars(16, 128)))]))
            .gives(200, "The webhook and its secret", with_secret())
            .example(made(example("One that is made", "/api/v1/webhooks/$1.data.webhook.id/secret").sends(json!({})))),
        one("POST /api/v1/webhooks/{id}/test", "Send a test")
            .says("It is delivered like any event, whatever events the webhook is told.")
            .gives(202, "The delivery", data(object([("delivery", named("Delivery"))], [])))
            .refuses([409])
            .example(made(example("To one's own", "/api/v1/webhooks/$1.data.webhook.id/test").gives(202))),
    ]
}

fn deliveries() -> Vec<Description> {
    let count = object([("count", from(0))], []);
    vec![
        one("GET /api/v1/webhooks/{id}/deliveries", "What became of deliveries")
            .query("state", one_of(DeliveryState::WORDS), "Only those in this state")
            .query("before", from(1), "Deliveries before the one of this id")
            .query("limit", between(1, 100), "At most so many; 20 unless said")
            .gives(200, "Deliveries, the latest first", with(items(named("Delivery")), [("meta", count)]))
            .example(tested(example("A test", "/api/v1/webhooks/$1.data.webhook.id/deliveries?limit=5")))
            .example(made(example("No dead letters", "/api/v1/webhooks/$1.data.webhook.id/deliveries?state=dead"))),
        one("POST /api/v1/webhooks/{id}/deliveries/{delivery}/replay", "Send a delivery once more")
            .says("One that was delivered or given up. It takes its old place among those that wait.")
            .path("delivery", whole(), "A delivery: its number")
            .gives(202, "The delivery", data(object([("delivery", named("Delivery"))], [])))
            .refuses([409])
            .example(made(
                example("One that there isn't", "/api/v1/webhooks/$1.data.webhook.id/deliveries/404/replay").gives(404),
            )),
    ]
}

fn one(place: &'static str, summary: &'static str) -> Description {
    describe(place, summary).path("id", whole(), "A webhook: its number").refuses([404])
}

fn made(example: Example) -> Example {
    example.after("POST", "/api/v1/webhooks", json!({"url": URL}))
}

fn tested(example: Example) -> Example {
    made(example).after("POST", "/api/v1/webhooks/$1.data.webhook.id/test", Value::Null)
}

fn about_webhook() -> [(&'static str, Value); 4] {
    [
        ("url", or_null(chars(1, 2048))),
        ("events", or_null(list(one_of(HookEvent::WORDS)))),
        ("scope", or_null(one_of(HookScope::WORDS))),
        ("active", or_null(truth())),
    ]
}

fn new_webhook() -> Value {
    let [_, events, scope, _] = about_webhook();
    object([("url", chars(1, 2048))], [events, scope, ("secret", or_null(chars(16, 128)))])
}

fn webhook() -> Value {
    object(
        [
            ("id", whole()),
            ("url", text()),
            ("events", list(one_of(HookEvent::WORDS))),
            ("scope", one_of(HookScope::WORDS)),
            ("active", truth()),
            ("disabled_reason", or_null(text())),
            ("dead_in_row", from(0)),
            ("missed", from(0)),
            ("created_at", time()),
            ("updated_at", time()),
        ],
        [],
    )
}

fn delivery() -> Value {
    let body = object([("event", one_of(HookEvent::WORDS)), ("created_at", time()), ("data", told())], []);
    object(
        [
            ("id", whole()),
            ("webhook_id", whole()),
            ("event", one_of(HookEvent::WORDS)),
            ("body", body),
            ("state", one_of(DeliveryState::WORDS)),
            ("attempts", from(0)),
            ("next_attempt_at", or_null(time())),
            ("status", or_null(between(100, 999))),
            ("error", or_null(text())),
            ("created_at", time()),
            ("finished_at", or_null(time())),
        ],
        [],
    )
}

/// What happened. The event of a test from here has `webhook_id` and `message`, all others the rest.
fn told() -> Value {
    let change = object([("field", text()), ("old_value", json!({})), ("new_value", json!({}))], []);
    object(
        [("message", text())],
        [
            ("webhook_id", whole()),
            ("id", whole()),
            ("manga_id", or_null(whole())),
            ("manga_slug", or_null(text())),
            ("title", text()),
            ("chapter", or_null(number())),
            ("old_chapter", or_null(number())),
            ("chapter_title", or_null(text())),
            ("release_date", or_null(text())),
            ("changes", list(change)),
        ],
    )
}

/// Nobody can have a name under `.example`, so trying the examples out troubles nobody.
const URL: &str = "https://receiver.example/hook";
