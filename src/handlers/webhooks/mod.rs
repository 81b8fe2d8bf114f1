//! Webhooks: addresses that are told over HTTP what happens, and how their owners look after them.
//!
//! [`address`] says where one may point, `sign` what a receiver can check, `deliver` moves deliveries.
//! What is told is put in line by whoever stores it:
//! [`enqueue_webhook`](crate::store::Webhooks::enqueue_webhook), with the text that [`envelope`] makes.

pub mod address;
mod deliver;
mod sign;

use serde_json::{Value, json};

pub use deliver::{Board, tick};

use super::api::{self, ApiError, ErrorKind};
use super::effect::Lane;
use super::lists::or_not_found;
use super::session::Session;
use super::{Access, Call, Caller, Ctx};
use crate::store::StoreError;
use crate::store::model::{
    DeliveriesWanted, Delivery, DeliveryId, HookEvent, HookScope, NewWebhook, Role, UnixMillis, Webhook, WebhookChange,
    WebhookId,
};

/// Lists the caller's webhooks.
pub const LIST: Call<()> = Call { name: "webhooks.list", access: Access::User, lane: Lane::Read, run: list };
/// Makes a webhook.
pub const CREATE: Call<New> = Call { name: "webhooks.create", access: Access::User, lane: Lane::Write, run: create };
/// Shows a webhook.
pub const GET: Call<WebhookId> = Call { name: "webhooks.get", access: Access::User, lane: Lane::Read, run: get };
/// Changes a webhook.
pub const CHANGE: Call<Change> = Call { name: "webhooks.change", access: Access::User, lane: Lane::Write, run: change };
/// Deletes a webhook.
pub const DELETE: Call<WebhookId> =
    Call { name: "webhooks.delete", access: Access::User, lane: Lane::Write, run: delete };
/// Gives a webhook another secret.
pub const ROTATE: Call<Rotate> =
    Call { name: "webhooks.rotate_secret", access: Access::User, lane: Lane::Write, run: rotate };
/// Sends a test.
pub const TEST: Call<WebhookId> = Call { name: "webhooks.test", access: Access::User, lane: Lane::Write, run: test };
/// Lists a webhook's deliveries.
pub const DELIVERIES: Call<Listing> =
    Call { name: "webhooks.deliveries", access: Access::User, lane: Lane::Read, run: deliveries };
/// Sends a delivery that has ended once more.
pub const REPLAY: Call<Replay> = Call { name: "webhooks.replay", access: Access::User, lane: Lane::Write, run: replay };

/// The operator's choices about webhooks.
#[derive(Debug, Clone)]
pub struct Settings {
    /// They may point to addresses that are not public.
    pub allow_private: bool,
    /// How many a user may have.
    pub per_user: u32,
    /// Deliveries on their way at a time.
    pub calls: Calls,
    /// The first pause after a failure, in milliseconds; each further one is twice as long.
    pub backoff_ms: u64,
    /// Attempts after which a delivery is given up.
    pub attempts: u32,
    /// Deliveries in a row, given up, after which a webhook is disabled.
    pub disable_after: u32,
    /// How long deliveries are kept, in milliseconds.
    pub keep_ms: i64,
}

/// How many deliveries are on their way at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    /// Of everybody together.
    pub all: usize,
    /// Of one user.
    pub of_one: usize,
    /// Of all users together whose receivers were slow lately, one of each.
    pub of_slow: usize,
}

/// A webhook to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct New {
    /// Where to.
    pub url: String,
    /// What it is told.
    pub events: Vec<HookEvent>,
    /// Of which series.
    pub scope: HookScope,
    /// What its deliveries are signed with; one is made if none is given.
    pub secret: Option<String>,
}

/// A change to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub id: WebhookId,
    /// What changes.
    pub change: WebhookChange,
}

/// Another secret for a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotate {
    /// Which.
    pub id: WebhookId,
    /// The secret; one is made if none is given.
    pub secret: Option<String>,
}

/// Deliveries to be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listing {
    /// Of which webhook.
    pub id: WebhookId,
    /// Which of them.
    pub wanted: DeliveriesWanted,
}

/// A delivery to be sent once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replay {
    /// Of which webhook.
    pub id: WebhookId,
    /// Which.
    pub delivery: DeliveryId,
}

/// What is answered about webhooks.
#[derive(Debug)]
pub enum Reply {
    /// All of a user's.
    List(Vec<Webhook>),
    /// One of them.
    One(Webhook),
    /// A new one, with its secret.
    Created(Webhook, String),
    /// One with a new secret.
    Rotated(Webhook, String),
    /// Some of its deliveries.
    Deliveries(Vec<Delivery>),
    /// A delivery that is in line now.
    Queued(Delivery),
}

/// What a receiver gets for an event: the one shape for all.
pub fn envelope(event: HookEvent, at: UnixMillis, data: &Value) -> String {
    let at = jiff::Timestamp::from_millisecond(at).unwrap_or_default().to_string();
    json!({"event": event, "created_at": at, "data": data}).to_string()
}

fn list((): (), _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    ctx.run(
        Lane::Read,
        move |store| store.webhooks(&caller.id),
        |hooks, _, ctx| {
            let hooks = hooks.map_err(|error| or_not_found(error, "This account no longer exists"))?;
            reply(Reply::List(hooks), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn create(new: New, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, now, settings) = (ctx.caller()?, ctx.now.unix_ms, &ctx.state.settings.webhooks);
    let most = settings.per_user;
    let url = address::check(&new.url, settings.allow_private)?;
    may_have_scope(new.scope, &caller)?;
    let secret = new.secret.unwrap_or_else(|| fresh_secret(ctx));
    let hook = NewWebhook { url, events: new.events, scope: new.scope, secret: secret.clone() };
    ctx.run(
        Lane::Write,
        move |store| store.create_webhook(&caller.id, &hook, most, now),
        move |hook, _, ctx| {
            let hook = hook.map_err(|error| match error {
                StoreError::TooMuch => {
                    ApiError::new(ErrorKind::Conflict, format!("A user has at most {most} webhooks"))
                }
                other => or_not_found(other, "This account no longer exists"),
            })?;
            reply(Reply::Created(hook, secret), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn get(id: WebhookId, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    ctx.run(
        Lane::Read,
        move |store| store.webhook(&caller.id, id),
        |hook, _, ctx| {
            reply(Reply::One(hook.map_err(no_webhook)?), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn change(args: Change, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, now, mut change) = (ctx.caller()?, ctx.now.unix_ms, args.change);
    let allow_private = ctx.state.settings.webhooks.allow_private;
    change.url = change.url.map(|url| address::check(&url, allow_private)).transpose()?;
    change.scope.map(|scope| may_have_scope(scope, &caller)).transpose()?;
    ctx.run(
        Lane::Write,
        move |store| store.change_webhook(&caller.id, args.id, &change, now),
        |hook, _, ctx| {
            let hook = hook.map_err(no_webhook)?;
            ctx.state.webhooks.due = true;
            reply(Reply::One(hook), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn delete(id: WebhookId, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    ctx.run(
        Lane::Write,
        move |store| store.delete_webhook(&caller.id, id),
        |deleted, _, ctx| {
            deleted.map_err(no_webhook)?;
            ctx.reply(api::Reply::Done("Webhook deleted"));
            Ok(())
        },
    );
    Ok(())
}

fn rotate(args: Rotate, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, now) = (ctx.caller()?, ctx.now.unix_ms);
    let secret = args.secret.unwrap_or_else(|| fresh_secret(ctx));
    let stored = secret.clone();
    ctx.run(
        Lane::Write,
        move |store| store.set_webhook_secret(&caller.id, args.id, &stored, now),
        |hook, _, ctx| {
            reply(Reply::Rotated(hook.map_err(no_webhook)?, secret), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn test(id: WebhookId, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, now) = (ctx.caller()?, ctx.now.unix_ms);
    let body = envelope(HookEvent::Test, now, &json!({"webhook_id": id, "message": "This is a test"}));
    ctx.run(Lane::Write, move |store| store.test_webhook(&caller.id, id, &body, now), queued);
    Ok(())
}

fn deliveries(args: Listing, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    ctx.run(
        Lane::Read,
        move |store| store.deliveries(&caller.id, args.id, args.wanted),
        |deliveries, _, ctx| {
            reply(Reply::Deliveries(deliveries.map_err(no_webhook)?), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn replay(args: Replay, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, now) = (ctx.caller()?, ctx.now.unix_ms);
    ctx.run(Lane::Write, move |store| store.replay_delivery(&caller.id, args.id, args.delivery, now), queued);
    Ok(())
}

fn queued(delivery: Result<Delivery, StoreError>, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let delivery = delivery.map_err(|error| match error {
        StoreError::Conflict => {
            ApiError::new(ErrorKind::Conflict, "The webhook is disabled, or the delivery waits already")
        }
        StoreError::TooMuch => ApiError::new(ErrorKind::Conflict, "Too many deliveries of this webhook wait already"),
        other => or_not_found(other, "There is no such webhook or delivery"),
    })?;
    ctx.state.webhooks.due = true;
    reply(Reply::Queued(delivery), ctx);
    Ok(())
}

fn may_have_scope(scope: HookScope, caller: &Caller) -> Result<(), ApiError> {
    match (scope, caller.role) {
        (HookScope::All, Role::User) => {
            Err(ApiError::new(ErrorKind::Forbidden, "scope: only an administrator's webhook may hear of all series"))
        }
        _ => Ok(()),
    }
}

/// A secret as long as the hash that it is for.
fn fresh_secret(ctx: &mut Ctx<'_>) -> String {
    format!("whsec_{}", sign::hex(&ctx.state.random_bytes::<32>()))
}

fn reply(reply: Reply, ctx: &mut Ctx<'_>) {
    ctx.reply(api::Reply::Webhooks(reply));
}

fn no_webhook(error: StoreError) -> ApiError {
    or_not_found(error, "Webhook not found")
}
