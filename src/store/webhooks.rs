//! Verbs on webhooks: who is told what, and what became of each telling.

use super::StoreError;
use super::model::{
    Attempt, DeliveriesWanted, Delivery, DeliveryId, Due, DueWanted, HookAudience, HookEvent, NewWebhook, UnixMillis,
    UserId, Webhook, WebhookChange, WebhookId,
};

/// What the store does with webhooks. Another user's webhook is [`StoreError::NotFound`].
///
/// An event is stored once, with whom it concerns ([`enqueue_webhook`](Self::enqueue_webhook)); later jobs
/// spread it to the webhooks that are told of it ([`spread_webhooks`](Self::spread_webhooks)), some at a
/// time, so that no job grows with the number of webhooks. What waits is therefore as durable as what it
/// tells about.
pub trait Webhooks {
    /// Makes a webhook. [`StoreError::TooMuch`] when its owner has `most`.
    fn create_webhook(
        &mut self,
        owner: &UserId,
        hook: &NewWebhook,
        most: u32,
        now: UnixMillis,
    ) -> Result<Webhook, StoreError>;
    /// A user's webhooks, the first made first.
    fn webhooks(&mut self, owner: &UserId) -> Result<Vec<Webhook>, StoreError>;
    /// One of them.
    fn webhook(&mut self, owner: &UserId, id: WebhookId) -> Result<Webhook, StoreError>;
    /// Changes a webhook. One that is made active begins anew, with what still waits.
    fn change_webhook(
        &mut self,
        owner: &UserId,
        id: WebhookId,
        change: &WebhookChange,
        now: UnixMillis,
    ) -> Result<Webhook, StoreError>;
    /// Gives a webhook another secret.
    fn set_webhook_secret(
        &mut self,
        owner: &UserId,
        id: WebhookId,
        secret: &str,
        now: UnixMillis,
    ) -> Result<Webhook, StoreError>;
    /// Deletes a webhook with its deliveries.
    fn delete_webhook(&mut self, owner: &UserId, id: WebhookId) -> Result<(), StoreError>;
    /// Puts a test in line for one webhook, whatever events it is told. [`StoreError::TooMuch`] when there
    /// is no room for it, [`StoreError::Conflict`] when the webhook is disabled.
    fn test_webhook(
        &mut self,
        owner: &UserId,
        id: WebhookId,
        body: &str,
        now: UnixMillis,
    ) -> Result<Delivery, StoreError>;
    /// Deliveries of a webhook.
    fn deliveries(
        &mut self,
        owner: &UserId,
        id: WebhookId,
        wanted: DeliveriesWanted,
    ) -> Result<Vec<Delivery>, StoreError>;
    /// Puts a delivery that has ended in line again, at its old place. [`StoreError::Conflict`] when it
    /// waits anyway, or the webhook is disabled.
    fn replay_delivery(
        &mut self,
        owner: &UserId,
        id: WebhookId,
        delivery: DeliveryId,
        now: UnixMillis,
    ) -> Result<Delivery, StoreError>;

    /// Puts an event in line for all webhooks that are to hear of it: one row at most, and none while there
    /// is no webhook, or for one user's own event none of theirs that is told of such. **Call it in the job that stores what it tells about**, so that both are kept or
    /// neither is. `body` is the whole JSON object that receivers get, at most [`EVENT_BYTES_MAX`]
    /// ([`StoreError::TooMuch`]). `true` when there is something to deliver: then, in what follows from the
    /// job, set `ctx.state.webhooks.due = true`, or it waits up to a minute.
    fn enqueue_webhook(
        &mut self,
        event: HookEvent,
        body: &str,
        audience: &HookAudience,
        now: UnixMillis,
    ) -> Result<bool, StoreError>;
    /// Spreads the oldest event that is not spread yet to some more webhooks. `false` when all are.
    fn spread_webhooks(&mut self, now: UnixMillis) -> Result<bool, StoreError>;
    /// What may be sent now. The deliveries of a webhook come in their order, one at a time.
    fn due_webhooks(&mut self, wanted: &DueWanted) -> Result<Due, StoreError>;
    /// Notes what came of sending. What was deleted meanwhile is passed over.
    fn settle_delivery(&mut self, attempt: &Attempt) -> Result<(), StoreError>;
    /// Forgets at most `rows_max` deliveries and events from before then. `false` when none is left.
    fn prune_webhooks(&mut self, before: UnixMillis, rows_max: u32) -> Result<bool, StoreError>;
}

/// The most deliveries kept for one webhook, those that wait and those that have ended. The oldest that
/// has ended makes room; when all wait, what comes next is missed.
pub const DELIVERIES_MAX: u32 = 500;

/// The largest event. Notifications are a few hundred bytes.
pub const EVENT_BYTES_MAX: usize = 64 << 10;

/// Webhooks that one job looks at to spread an event: each that is told takes three rows.
pub const SPREAD_HOOKS: u32 = 150;
