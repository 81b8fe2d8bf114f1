//! Webhooks as their owners see them. How deliveries move is in `deliveries`.

use std::ops::DerefMut;

use rusqlite::{Connection, Row, params};

use super::error::unknown_word;
use super::manga::word;
use super::users::{found, listed};
use super::{SqliteStore, deliveries, in_one_snapshot};
use crate::store::model::{
    Attempt, DeliveriesWanted, Delivery, DeliveryId, Due, DueWanted, HookAudience, HookEvent, HookScope, NewWebhook,
    UnixMillis, UserId, Webhook, WebhookChange, WebhookId,
};
use crate::store::{StoreError, Webhooks};

impl<C: DerefMut<Target = Connection>> Webhooks for SqliteStore<C> {
    fn create_webhook(
        &mut self,
        owner: &UserId,
        hook: &NewWebhook,
        most: u32,
        now: UnixMillis,
    ) -> Result<Webhook, StoreError> {
        create(self.writable()?, owner, hook, most, now)
    }

    fn webhooks(&mut self, owner: &UserId) -> Result<Vec<Webhook>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| all(conn, owner))
    }

    fn webhook(&mut self, owner: &UserId, id: WebhookId) -> Result<Webhook, StoreError> {
        own(&self.conn, owner, id)
    }

    fn change_webhook(
        &mut self,
        owner: &UserId,
        id: WebhookId,
        change: &WebhookChange,
        now: UnixMillis,
    ) -> Result<Webhook, StoreError> {
        self::change(self.writable()?, owner, id, change, now)
    }

    fn set_webhook_secret(
        &mut self,
        owner: &UserId,
        id: WebhookId,
        secret: &str,
        now: UnixMillis,
    ) -> Result<Webhook, StoreError> {
        set_secret(self.writable()?, owner, id, secret, now)
    }

    fn delete_webhook(&mut self, owner: &UserId, id: WebhookId) -> Result<(), StoreError> {
        delete(self.writable()?, owner, id)
    }

    fn test_webhook(
        &mut self,
        owner: &UserId,
        id: WebhookId,
        body: &str,
        now: UnixMillis,
    ) -> Result<Delivery, StoreError> {
        let conn = self.writable()?;
        must_be_active(&own(conn, owner, id)?)?;
        deliveries::test(conn, owner, id, body, now)
    }

    fn deliveries(
        &mut self,
        owner: &UserId,
        id: WebhookId,
        wanted: DeliveriesWanted,
    ) -> Result<Vec<Delivery>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| {
            own(conn, owner, id)?;
            deliveries::page(conn, id, wanted)
        })
    }

    fn replay_delivery(
        &mut self,
        owner: &UserId,
        id: WebhookId,
        delivery: DeliveryId,
        now: UnixMillis,
    ) -> Result<Delivery, StoreError> {
        let conn = self.writable()?;
        let hook = own(conn, owner, id)?;
        deliveries::one(conn, id, delivery)?;
        must_be_active(&hook)?;
        deliveries::replay(conn, id, delivery, now)
    }

    fn enqueue_webhook(
        &mut self,
        event: HookEvent,
        body: &str,
        audience: &HookAudience,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        deliveries::enqueue(self.writable()?, event, body, audience, now)
    }

    fn spread_webhooks(&mut self, now: UnixMillis) -> Result<bool, StoreError> {
        deliveries::spread(self.writable()?, now)
    }

    fn due_webhooks(&mut self, wanted: &DueWanted) -> Result<Due, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| deliveries::due(conn, wanted))
    }

    fn settle_delivery(&mut self, attempt: &Attempt) -> Result<(), StoreError> {
        deliveries::settle(self.writable()?, attempt)
    }

    fn prune_webhooks(&mut self, before: UnixMillis, rows_max: u32) -> Result<bool, StoreError> {
        deliveries::prune(self.writable()?, before, rows_max)
    }
}

fn create(
    conn: &Connection,
    owner: &UserId,
    hook: &NewWebhook,
    most: u32,
    now: UnixMillis,
) -> Result<Webhook, StoreError> {
    let count: u32 = conn
        .prepare_cached("SELECT count(*) FROM webhooks WHERE user_id = ?1")?
        .query_row([owner.as_str()], |row| row.get(0))?;
    if count >= most {
        return Err(StoreError::TooMuch);
    }
    conn.prepare_cached(
        "INSERT INTO webhooks (user_id, url, events, scope, secret, dead_in_row, missed, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, ?6, ?6)",
    )?
    .execute(params![owner.as_str(), hook.url, words(&hook.events), hook.scope.as_str(), hook.secret, now])?;
    own(conn, owner, conn.last_insert_rowid())
}

fn all(conn: &Connection, owner: &UserId) -> Result<Vec<Webhook>, StoreError> {
    let mut statement =
        conn.prepare_cached(concat!("SELECT ", hook_columns!(), " FROM webhooks WHERE user_id = ?1 ORDER BY id"))?;
    let rows = statement.query_map([owner.as_str()], hook_of)?;
    listed(conn, owner, rows.collect::<Result<_, _>>()?)
}

fn own(conn: &Connection, owner: &UserId, id: WebhookId) -> Result<Webhook, StoreError> {
    let sql = concat!("SELECT ", hook_columns!(), " FROM webhooks WHERE id = ?1 AND user_id = ?2");
    Ok(conn.prepare_cached(sql)?.query_row(params![id, owner.as_str()], hook_of)?)
}

fn change(
    conn: &Connection,
    owner: &UserId,
    id: WebhookId,
    change: &WebhookChange,
    now: UnixMillis,
) -> Result<Webhook, StoreError> {
    let changed = conn
        .prepare_cached(
            "UPDATE webhooks SET url = coalesce(?3, url), events = coalesce(?4, events), scope = coalesce(?5, scope),
                 disabled = CASE ?6 WHEN 1 THEN NULL WHEN 0 THEN coalesce(disabled, ?7) ELSE disabled END,
                 dead_in_row = CASE ?6 WHEN 1 THEN 0 ELSE dead_in_row END,
                 updated_at = max(updated_at, ?8)
             WHERE id = ?1 AND user_id = ?2",
        )?
        .execute(params![
            id,
            owner.as_str(),
            change.url,
            change.events.as_deref().map(words),
            change.scope.map(HookScope::as_str),
            change.active,
            BY_OWNER,
            now
        ])?;
    found(changed)?;
    deliveries::reschedule(conn, id)?;
    own(conn, owner, id)
}

fn set_secret(
    conn: &Connection,
    owner: &UserId,
    id: WebhookId,
    secret: &str,
    now: UnixMillis,
) -> Result<Webhook, StoreError> {
    let changed = conn
        .prepare_cached(
            "UPDATE webhooks SET secret = ?3, updated_at = max(updated_at, ?4) WHERE id = ?1 AND user_id = ?2",
        )?
        .execute(params![id, owner.as_str(), secret, now])?;
    found(changed)?;
    own(conn, owner, id)
}

/// Its deliveries go with it: a few hundred rows at most.
fn delete(conn: &Connection, owner: &UserId, id: WebhookId) -> Result<(), StoreError> {
    let deleted = conn
        .prepare_cached("DELETE FROM webhooks WHERE id = ?1 AND user_id = ?2")?
        .execute(params![id, owner.as_str()])?;
    found(deleted)
}

fn must_be_active(hook: &Webhook) -> Result<(), StoreError> {
    match hook.disabled {
        Some(_) => Err(StoreError::Conflict),
        None => Ok(()),
    }
}

/// Events as a JSON array.
fn words(events: &[HookEvent]) -> String {
    serde_json::json!(events).to_string()
}

/// The columns that [`hook_of`] reads, in its order.
macro_rules! hook_columns {
    () => {
        "id, url, events, scope, disabled, dead_in_row, missed, created_at, updated_at"
    };
}
use hook_columns;

fn hook_of(row: &Row<'_>) -> Result<Webhook, rusqlite::Error> {
    let events = row.get_ref(2)?.as_str()?;
    Ok(Webhook {
        id: row.get(0)?,
        url: row.get(1)?,
        events: serde_json::from_str(events).map_err(|_| unknown_word(2, events))?,
        scope: word(row, 3, HookScope::parse)?.ok_or_else(|| unknown_word(3, "NULL"))?,
        disabled: row.get(4)?,
        dead_in_row: row.get(5)?,
        missed: row.get::<_, i64>(6)?.unsigned_abs(),
        created_at: row.get(7)?,
        updated_at: row.get(8)?,
    })
}

/// Why a webhook is disabled when its owner did it.
const BY_OWNER: &str = "Disabled by its owner";
