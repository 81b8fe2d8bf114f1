//! Webhooks: addresses that are told what happens, and what became of each telling.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{MangaId, UnixMillis, UserId};

/// The key of a webhook.
pub type WebhookId = i64;

/// The key of a delivery. Keys grow in the order of what is told.
pub type DeliveryId = i64;

words! {
    /// What a webhook can be told.
    HookEvent {
        /// A series came into the catalogue.
        NewManga = "new_manga",
        /// A chapter came out.
        NewChapter = "new_chapter",
        /// Facts of a series changed.
        MangaUpdate = "manga_update",
        /// An administrator has something to say.
        Announcement = "announcement",
        /// Somebody tries out whether it works.
        Test = "test",
    }
}

words! {
    /// Which series a webhook is told of.
    HookScope {
        /// Those in its owner's library.
        Library = "library",
        /// All, as long as its owner is an administrator.
        All = "all",
    }
}

words! {
    /// Where a delivery is.
    DeliveryState {
        /// It will be tried, for the first time or again.
        Pending = "pending",
        /// The receiver took it.
        Delivered = "delivered",
        /// It was given up.
        Dead = "dead",
    }
}

/// A webhook. Its secret is shown once, and read only to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its key.
    pub id: WebhookId,
    /// Where to.
    pub url: String,
    /// What it is told.
    pub events: Vec<HookEvent>,
    /// Of which series.
    pub scope: HookScope,
    /// Why it is told nothing; `None` while it is.
    pub disabled: Option<String>,
    /// Deliveries in a row that were given up.
    pub dead_in_row: u32,
    /// Events that found no room behind [`DELIVERIES_MAX`](crate::store::DELIVERIES_MAX) that wait.
    pub missed: u64,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it last changed.
    pub updated_at: UnixMillis,
}

/// A new webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWebhook {
    /// Where to.
    pub url: String,
    /// What it is told.
    pub events: Vec<HookEvent>,
    /// Of which series.
    pub scope: HookScope,
    /// What its deliveries are signed with.
    pub secret: String,
}

/// A change to a webhook. `None` leaves what is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookChange {
    /// Where to.
    pub url: Option<String>,
    /// What it is told.
    pub events: Option<Vec<HookEvent>>,
    /// Of which series.
    pub scope: Option<HookScope>,
    /// `true` begins anew after it was disabled; `false` disables it.
    pub active: Option<bool>,
}

/// Whom an event concerns, and so whose webhooks are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookAudience {
    /// Everyone.
    Everyone,
    /// Those who have the series in their library, and administrators who want to hear of all.
    Readers(MangaId),
    /// One user.
    User(UserId),
}

/// One event on its way to one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its key.
    pub id: DeliveryId,
    /// To which webhook.
    pub webhook_id: WebhookId,
    /// What happened.
    pub event: HookEvent,
    /// The JSON that is sent.
    pub body: String,
    /// Where it is.
    pub state: DeliveryState,
    /// How often it was tried since it was made or replayed.
    pub attempts: u32,
    /// When it is tried next.
    pub next_attempt_at: Option<UnixMillis>,
    /// What the receiver last answered.
    pub status: Option<u16>,
    /// What last went wrong.
    pub error: Option<String>,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it was delivered or given up.
    pub finished_at: Option<UnixMillis>,
}

/// Which deliveries of a webhook somebody wants to see, the latest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeliveriesWanted {
    /// Only those in this state.
    pub state: Option<DeliveryState>,
    /// Only those before this one.
    pub before: Option<DeliveryId>,
    /// At most so many.
    pub limit: u32,
}

/// What may be sent now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DueWanted {
    /// The time.
    pub now: UnixMillis,
    /// At most so many.
    pub most: usize,
    /// At most so many of one user, those on their way included.
    pub most_per_user: usize,
    /// Users whose receivers are slow: one of each, and of all of them together at most
    /// [`most_of_slow`](Self::most_of_slow).
    pub slow: HashSet<UserId>,
    /// See there.
    pub most_of_slow: usize,
    /// Webhooks with a delivery on its way, which must come back first, and whose they are.
    pub busy: Vec<(WebhookId, UserId)>,
}

/// What is to be sent, and when to look again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// At most one for each webhook, those that have waited longest first.
    pub deliveries: Vec<DueDelivery>,
    /// When the next one is due that is not yet.
    pub next_at: Option<UnixMillis>,
    /// Whether an event is still to be spread to its webhooks.
    pub unspread: bool,
}

/// A delivery that can be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueDelivery {
    /// Its key.
    pub id: DeliveryId,
    /// To which webhook.
    pub webhook_id: WebhookId,
    /// Whose that is.
    pub owner: UserId,
    /// Where to.
    pub url: String,
    /// What to sign it with.
    pub secret: String,
    /// What happened.
    pub event: HookEvent,
    /// The JSON to send.
    pub body: String,
    /// How often it was tried before.
    pub attempts: u32,
}

/// What came of sending a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Which delivery.
    pub id: DeliveryId,
    /// To which webhook.
    pub webhook_id: WebhookId,
    /// What the receiver answered, if it did.
    pub status: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
    /// What follows.
    pub verdict: Verdict,
    /// The time.
    pub at: UnixMillis,
}

/// What follows from an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was taken.
    Delivered,
    /// It is tried again then.
    Again(UnixMillis),
    /// It is given up; the webhook is disabled if so many in a row were.
    Dead {
        /// How many.
        disable_after: u32,
    },
    /// The receiver wants no more: it is given up, and the webhook is disabled.
    Unwanted,
}
