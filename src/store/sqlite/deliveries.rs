//! How deliveries of webhooks move: an event is stored once, spread to the webhooks that are told of it,
//! sent one at a time for each, and in the end forgotten.
//!
//! A webhook's `due_at` is when its oldest pending delivery is due, so that what can be sent now is found
//! by one look into one small index. Whatever moves a delivery calls [`reschedule`].

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::unknown_word;
use super::manga::word;
use super::users::{found, user_id};
use crate::store::model::{
    Attempt, DeliveriesWanted, Delivery, DeliveryId, DeliveryState, Due, DueDelivery, DueWanted, HookAudience,
    HookEvent, UnixMillis, UserId, Verdict, WebhookId,
};
use crate::store::{DELIVERIES_MAX, EVENT_BYTES_MAX, SPREAD_HOOKS, StoreError};

// ---- in line

pub(super) fn enqueue(
    conn: &Connection,
    event: HookEvent,
    body: &str,
    audience: &HookAudience,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    if !could_be_told(conn, event, audience)? {
        return Ok(false);
    }
    let (manga, user) = match audience {
        HookAudience::Everyone => (None, None),
        HookAudience::Readers(manga) => (Some(*manga), None),
        HookAudience::User(user) => (None, Some(user)),
    };
    add_event(conn, event, body, (manga, user), Some(0), now)?;
    Ok(true)
}

/// Whether there is a webhook at all; for one user's own event, one of theirs that is told of such.
fn could_be_told(conn: &Connection, event: HookEvent, audience: &HookAudience) -> Result<bool, StoreError> {
    let HookAudience::User(user) = audience else {
        return Ok(conn.prepare_cached("SELECT 1 FROM webhooks LIMIT 1")?.exists([])?);
    };
    let mut statement = conn.prepare_cached(
        "SELECT 1 FROM webhooks
         WHERE user_id = ?1 AND EXISTS (SELECT 1 FROM json_each(events) WHERE value = ?2)",
    )?;
    Ok(statement.exists(params![user.as_str(), event.as_str()])?)
}

pub(super) fn test(
    conn: &Connection,
    owner: &UserId,
    hook: WebhookId,
    body: &str,
    now: UnixMillis,
) -> Result<Delivery, StoreError> {
    let event = add_event(conn, HookEvent::Test, body, (None, Some(owner)), None, now)?;
    match add_delivery(conn, hook, event, now)? {
        Some(id) => one(conn, hook, id),
        None => Err(StoreError::TooMuch),
    }
}

fn add_event(
    conn: &Connection,
    event: HookEvent,
    body: &str,
    (manga, user): (Option<i64>, Option<&UserId>),
    spread_to: Option<WebhookId>,
    now: UnixMillis,
) -> Result<i64, StoreError> {
    if body.len() > EVENT_BYTES_MAX {
        return Err(StoreError::TooMuch);
    }
    conn.prepare_cached(
        "INSERT INTO webhook_events (kind, body, manga_id, user_id, spread_to, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![event.as_str(), body, manga, user.map(UserId::as_str), spread_to, now])?;
    Ok(conn.last_insert_rowid())
}

/// Looks at the webhooks of one slice and tells those that the event is for. A user who is being erased is
/// told nothing more.
pub(super) fn spread(conn: &Connection, now: UnixMillis) -> Result<bool, StoreError> {
    let oldest = "SELECT id, spread_to FROM webhook_events WHERE spread_to IS NOT NULL ORDER BY id LIMIT 1";
    let next = conn.prepare_cached(oldest)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((event, after)): Option<(i64, WebhookId)> = next else { return Ok(false) };
    let last: Option<WebhookId> = conn
        .prepare_cached("SELECT max(id) FROM (SELECT id FROM webhooks WHERE id > ?1 ORDER BY id LIMIT ?2)")?
        .query_row(params![after, SPREAD_HOOKS], |row| row.get(0))?;
    if let Some(last) = last {
        for hook in told(conn, event, after, last)? {
            if add_delivery(conn, hook, event, now)?.is_none() {
                conn.prepare_cached("UPDATE webhooks SET missed = missed + 1 WHERE id = ?1")?.execute([hook])?;
            }
        }
    }
    conn.prepare_cached("UPDATE webhook_events SET spread_to = ?2 WHERE id = ?1")?.execute(params![event, last])?;
    Ok(true)
}

/// Which webhooks between the two are told of an event: those of users whom it concerns, and who want to
/// hear of its kind and its series in this way. What is for everyone may be about a series as well; then its
/// text says so. A test always comes.
fn told(conn: &Connection, event: i64, after: WebhookId, last: WebhookId) -> Result<Vec<WebhookId>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT webhooks.id FROM webhook_events AS event CROSS JOIN webhooks JOIN users ON users.id = webhooks.user_id
         LEFT JOIN notification_settings AS wishes ON wishes.user_id = users.id
         WHERE event.id = ?1 AND webhooks.id > ?2 AND webhooks.id <= ?3
           AND disabled IS NULL AND webhooks.created_at <= event.created_at
           AND EXISTS (SELECT 1 FROM json_each(events) WHERE value = event.kind)
           AND NOT EXISTS (SELECT 1 FROM deleted_users WHERE deleted_users.id = users.id)
           AND CASE WHEN event.user_id IS NOT NULL THEN event.user_id = users.id
                    WHEN event.manga_id IS NULL THEN 1
                    ELSE (scope = 'all' AND role = 'admin')
                      OR EXISTS (SELECT 1 FROM progress WHERE progress.user_id = users.id
                                 AND progress.manga_id = event.manga_id AND in_library) END
           AND CASE event.kind WHEN 'new_manga' THEN coalesce(wishes.new_manga, 1)
                               WHEN 'new_chapter' THEN coalesce(wishes.new_chapter, 1)
                               WHEN 'manga_update' THEN coalesce(wishes.manga_update, 1)
                               ELSE 1 END
           AND (event.kind = 'test' OR coalesce(wishes.webhook, 1))
           AND NOT EXISTS (
               SELECT 1 FROM notification_mutes AS mutes
               WHERE mutes.user_id = users.id AND mutes.manga_id = coalesce(
                   event.manga_id, CASE WHEN json_valid(event.body) THEN event.body ->> '$.data.manga_id' END))
         ORDER BY webhooks.id",
    )?;
    let rows = statement.query_map(params![event, after, last], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Puts an event in line for a webhook; `None` when there is no room.
fn add_delivery(
    conn: &Connection,
    hook: WebhookId,
    event: i64,
    now: UnixMillis,
) -> Result<Option<DeliveryId>, StoreError> {
    let kept: u32 = conn
        .prepare_cached("SELECT count(*) FROM webhook_deliveries WHERE webhook_id = ?1")?
        .query_row([hook], |row| row.get(0))?;
    if kept >= DELIVERIES_MAX && !forget_oldest(conn, hook)? {
        return Ok(None);
    }
    conn.prepare_cached(
        "INSERT INTO webhook_deliveries (webhook_id, event_id, state, attempts, next_attempt_at, created_at)
         VALUES (?1, ?2, 'pending', 0, ?3, ?3)",
    )?
    .execute(params![hook, event, now])?;
    let id = conn.last_insert_rowid();
    reschedule(conn, hook)?;
    Ok(Some(id))
}

/// Forgets the oldest delivery of a webhook that has ended. `false` when none has.
fn forget_oldest(conn: &Connection, hook: WebhookId) -> Result<bool, StoreError> {
    let gone = conn
        .prepare_cached(
            "DELETE FROM webhook_deliveries WHERE id = (
                 SELECT id FROM webhook_deliveries WHERE webhook_id = ?1 AND state <> 'pending' ORDER BY id LIMIT 1)",
        )?
        .execute([hook])?;
    Ok(gone > 0)
}

pub(super) fn replay(
    conn: &Connection,
    hook: WebhookId,
    id: DeliveryId,
    now: UnixMillis,
) -> Result<Delivery, StoreError> {
    let changed = conn
        .prepare_cached(
            "UPDATE webhook_deliveries
             SET state = 'pending', attempts = 0, next_attempt_at = ?3, finished_at = NULL
             WHERE id = ?1 AND webhook_id = ?2 AND state <> 'pending'",
        )?
        .execute(params![id, hook, now])?;
    found(changed).map_err(|_| StoreError::Conflict)?;
    reschedule(conn, hook)?;
    one(conn, hook, id)
}

// ---- on their way

pub(super) fn due(conn: &Connection, wanted: &DueWanted) -> Result<Due, StoreError> {
    let unspread = conn.prepare_cached("SELECT 1 FROM webhook_events WHERE spread_to IS NOT NULL LIMIT 1")?;
    let later = "SELECT min(due_at) FROM webhooks WHERE due_at > ?1";
    Ok(Due {
        deliveries: due_now(conn, wanted)?,
        next_at: conn.prepare_cached(later)?.query_row([wanted.now], |row| row.get(0))?,
        unspread: { unspread }.exists([])?,
    })
}

fn due_now(conn: &Connection, wanted: &DueWanted) -> Result<Vec<DueDelivery>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT id, user_id FROM webhooks WHERE due_at <= ?1
           AND NOT EXISTS (SELECT 1 FROM deleted_users WHERE deleted_users.id = user_id)
         ORDER BY due_at, id LIMIT ?2",
    )?;
    let mut rows = statement.query(params![wanted.now, HOOKS_LOOKED_AT])?;
    let (mut taken, mut found) = (wanted.busy.clone(), Vec::new());
    while found.len() < wanted.most {
        let Some(row) = rows.next()? else { break };
        let (hook, owner): (WebhookId, UserId) = (row.get(0)?, user_id(row, 1)?);
        if taken.iter().any(|(other, _)| *other == hook) || !has_share(&owner, &taken, wanted) {
            continue;
        }
        if let Some(delivery) = oldest_pending(conn, hook)? {
            taken.push((hook, owner));
            found.push(delivery);
        }
    }
    Ok(found)
}

/// Whether a user may have one more call on its way, beside those that are taken.
fn has_share(owner: &UserId, taken: &[(WebhookId, UserId)], wanted: &DueWanted) -> bool {
    let of_owner = taken.iter().filter(|(_, other)| other == owner).count();
    match wanted.slow.contains(owner) {
        true => {
            of_owner == 0 && taken.iter().filter(|(_, other)| wanted.slow.contains(other)).count() < wanted.most_of_slow
        }
        false => of_owner < wanted.most_per_user,
    }
}

fn oldest_pending(conn: &Connection, hook: WebhookId) -> Result<Option<DueDelivery>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT delivery.id, webhooks.user_id, url, secret, kind, body, attempts
         FROM webhook_deliveries AS delivery
         JOIN webhooks ON webhooks.id = webhook_id JOIN webhook_events AS event ON event.id = event_id
         WHERE webhook_id = ?1 AND state = 'pending' ORDER BY delivery.id LIMIT 1",
    )?;
    let delivery = |row: &Row<'_>| {
        Ok(DueDelivery {
            id: row.get(0)?,
            webhook_id: hook,
            owner: user_id(row, 1)?,
            url: row.get(2)?,
            secret: row.get(3)?,
            event: word(row, 4, HookEvent::parse)?.ok_or_else(|| unknown_word(4, "NULL"))?,
            body: row.get(5)?,
            attempts: row.get(6)?,
        })
    };
    Ok(statement.query_row([hook], delivery).optional()?)
}

pub(super) fn settle(conn: &Connection, attempt: &Attempt) -> Result<(), StoreError> {
    let Attempt { id, webhook_id: hook, status, error, verdict, at } = attempt;
    let (state, next) = match verdict {
        Verdict::Delivered => (DeliveryState::Delivered, None),
        Verdict::Again(next) => (DeliveryState::Pending, Some(*next)),
        Verdict::Dead { .. } | Verdict::Unwanted => (DeliveryState::Dead, None),
    };
    let finished = next.is_none().then_some(*at);
    let changed = conn
        .prepare_cached(
            "UPDATE webhook_deliveries
             SET state = ?3, attempts = attempts + 1, next_attempt_at = ?4, status = ?5, error = ?6, finished_at = ?7
             WHERE id = ?1 AND webhook_id = ?2 AND state = 'pending'",
        )?
        .execute(params![id, hook, state.as_str(), next, status, error, finished])?;
    if changed > 0 {
        judge(conn, *hook, verdict)?;
        reschedule(conn, *hook)?;
    }
    Ok(())
}

/// What an attempt means for its webhook.
fn judge(conn: &Connection, hook: WebhookId, verdict: &Verdict) -> Result<(), StoreError> {
    match verdict {
        Verdict::Again(_) => {}
        Verdict::Delivered => {
            let sql = "UPDATE webhooks SET dead_in_row = 0 WHERE id = ?1 AND dead_in_row > 0";
            conn.prepare_cached(sql)?.execute([hook])?;
        }
        Verdict::Dead { disable_after } => {
            conn.prepare_cached(
                "UPDATE webhooks SET dead_in_row = dead_in_row + 1,
                     disabled = CASE WHEN dead_in_row + 1 >= ?2
                         THEN coalesce(disabled, (dead_in_row + 1) || ' deliveries in a row were given up')
                         ELSE disabled END
                 WHERE id = ?1",
            )?
            .execute(params![hook, disable_after])?;
        }
        Verdict::Unwanted => {
            let sql = "UPDATE webhooks SET disabled = coalesce(disabled, ?2) WHERE id = ?1";
            conn.prepare_cached(sql)?.execute(params![hook, UNWANTED])?;
        }
    }
    Ok(())
}

/// Notes when the oldest pending delivery of a webhook is due.
pub(super) fn reschedule(conn: &Connection, hook: WebhookId) -> Result<(), StoreError> {
    conn.prepare_cached(
        "UPDATE webhooks SET due_at = CASE WHEN disabled IS NULL THEN (
             SELECT next_attempt_at FROM webhook_deliveries
             WHERE webhook_id = ?1 AND state = 'pending' ORDER BY id LIMIT 1) END
         WHERE id = ?1",
    )?
    .execute([hook])?;
    Ok(())
}

// ---- looking back

pub(super) fn page(conn: &Connection, hook: WebhookId, wanted: DeliveriesWanted) -> Result<Vec<Delivery>, StoreError> {
    let mut statement = conn.prepare_cached(concat!(
        "SELECT ",
        delivery_columns!(),
        " WHERE webhook_id = ?1 AND delivery.id < coalesce(?2, delivery.id + 1) AND state = coalesce(?3, state)
         ORDER BY delivery.id DESC LIMIT ?4"
    ))?;
    let state = wanted.state.map(DeliveryState::as_str);
    let rows = statement.query_map(params![hook, wanted.before, state, wanted.limit], delivery_of)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn one(conn: &Connection, hook: WebhookId, id: DeliveryId) -> Result<Delivery, StoreError> {
    let sql = concat!("SELECT ", delivery_columns!(), " WHERE delivery.id = ?1 AND webhook_id = ?2");
    Ok(conn.prepare_cached(sql)?.query_row(params![id, hook], delivery_of)?)
}

/// The columns that [`delivery_of`] reads, in its order, and where from.
macro_rules! delivery_columns {
    () => {
        "delivery.id, webhook_id, kind, body, state, attempts, next_attempt_at, status, error, delivery.created_at,
         finished_at
         FROM webhook_deliveries AS delivery JOIN webhook_events AS event ON event.id = event_id"
    };
}
use delivery_columns;

fn delivery_of(row: &Row<'_>) -> Result<Delivery, rusqlite::Error> {
    Ok(Delivery {
        id: row.get(0)?,
        webhook_id: row.get(1)?,
        event: word(row, 2, HookEvent::parse)?.ok_or_else(|| unknown_word(2, "NULL"))?,
        body: row.get(3)?,
        state: word(row, 4, DeliveryState::parse)?.ok_or_else(|| unknown_word(4, "NULL"))?,
        attempts: row.get(5)?,
        next_attempt_at: row.get(6)?,
        status: row.get(7)?,
        error: row.get(8)?,
        created_at: row.get(9)?,
        finished_at: row.get(10)?,
    })
}

/// Keys grow with time, so what is oldest comes first, and one look tells whether anything is too old. An
/// event goes after the last of its deliveries.
pub(super) fn prune(conn: &Connection, before: UnixMillis, rows_max: u32) -> Result<bool, StoreError> {
    let hooks: Vec<WebhookId> = conn
        .prepare_cached(
            "SELECT DISTINCT webhook_id FROM (SELECT webhook_id, created_at FROM webhook_deliveries ORDER BY id LIMIT ?2)
             WHERE created_at < ?1",
        )?
        .query_map(params![before, rows_max], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let gone = conn
        .prepare_cached(
            "DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries ORDER BY id LIMIT ?2)
                 AND created_at < ?1",
        )?
        .execute(params![before, rows_max])?;
    hooks.into_iter().try_for_each(|hook| reschedule(conn, hook))?;
    let left = rows_max.saturating_sub(gone as u32);
    let events = conn
        .prepare_cached(
            "DELETE FROM webhook_events WHERE id IN (SELECT id FROM webhook_events ORDER BY id LIMIT ?2)
                 AND created_at < ?1 AND spread_to IS NULL
                 AND NOT EXISTS (SELECT 1 FROM webhook_deliveries WHERE event_id = webhook_events.id)",
        )?
        .execute(params![before, left])?;
    Ok(gone + events > 0)
}

/// Why a webhook is disabled when its receiver asked for it.
const UNWANTED: &str = "The receiver answered 410 Gone";

/// Webhooks that one look for due deliveries passes, at a microsecond each: those on their way and those of
/// users who have enough on theirs are among them. Five hundred users with every webhook stuck are passed.
const HOOKS_LOOKED_AT: u32 = 10_000;
