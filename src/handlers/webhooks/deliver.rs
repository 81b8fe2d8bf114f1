//! Deliveries on their way: looked for when something is due, sent by the outbound lane, noted in the
//! store before the next one of the same webhook may go.
//!
//! What is on its way is only remembered here. A server that ends in between sends it again after its
//! next start: a delivery is made at least once.
//!
//! Everything begins with the tick, so that no connection of a client waits for a receiver.
//!
//! Receivers that take long hold calls that others could have. So a user has a share of them, and users whose
//! receivers took long lately have one each, within a share for all of them together: however many they
//! are, most calls are for those who answer. What they can do is hold their first calls until it shows.

use std::collections::HashMap;

use super::sign::signature;
use crate::handlers::Ctx;
use crate::handlers::effect::{Effect, Lane};
use crate::handlers::work::{Post, Posted, Work};
use crate::store::StoreError;
use crate::store::model::{Attempt, DueDelivery, DueWanted, UserId, Verdict, WebhookId};

/// What is on its way, and when to look for more. Times are milliseconds of the turn's clock.
#[derive(Debug)]
pub struct Board {
    /// Something may be due.
    pub due: bool,
    /// When the next one is due by the time of day, going by the last look.
    next_at: Option<i64>,
    /// When it was last looked.
    looked_ms: u64,
    /// Since when somebody is looking.
    looking_ms: Option<u64>,
    /// Since when an event is being spread.
    spreading_ms: Option<u64>,
    /// Not before then, because the store could not note what was sent.
    paused_ms: u64,
    /// When old deliveries are next forgotten.
    prune_ms: u64,
    /// Webhooks with a delivery on its way: whose, and since when.
    on_way: HashMap<WebhookId, (UserId, u64)>,
    /// Users whose receivers took long, and until when that is held against them. Their number is bounded by
    /// the calls that there can be meanwhile.
    slow: HashMap<UserId, u64>,
}

impl Default for Board {
    /// At the start there may be what the server before this one left.
    fn default() -> Self {
        Self {
            due: true,
            next_at: None,
            looked_ms: 0,
            looking_ms: None,
            spreading_ms: None,
            paused_ms: 0,
            prune_ms: 0,
            on_way: HashMap::new(),
            slow: HashMap::new(),
        }
    }
}

impl Board {
    /// Whoever has a call on its way that takes long is slow from now on.
    fn note_slow(&mut self, now_ms: u64) {
        let long = self.on_way.values().filter(|(_, since_ms)| now_ms >= since_ms + SLOW_MS);
        let long: Vec<UserId> = long.map(|(owner, _)| owner.clone()).collect();
        self.slow.extend(long.into_iter().map(|owner| (owner, now_ms + SLOW_FOR_MS)));
    }
}

/// Once a second: looks for what is due.
pub fn tick(ctx: &mut Ctx<'_>) {
    let (now_ms, unix_ms) = (ctx.now.mono_ms, ctx.now.unix_ms);
    let board = &mut ctx.state.webhooks;
    board.on_way.retain(|_, (_, since_ms)| now_ms < *since_ms + JOB_MS_MAX);
    board.slow.retain(|_, until_ms| now_ms < *until_ms);
    let next_is_due = board.next_at.is_some_and(|at| at <= unix_ms) || now_ms >= board.looked_ms + LOOK_MS;
    board.due |= next_is_due;
    if board.due && now_ms >= board.paused_ms {
        look(ctx);
    }
    if now_ms >= ctx.state.webhooks.prune_ms && !ctx.state.draining {
        prune(ctx);
    }
}

/// Looks for what can be sent, unless somebody does already.
fn look(ctx: &mut Ctx<'_>) {
    let (now, settings, board) = (ctx.now, &ctx.state.settings.webhooks, &mut ctx.state.webhooks);
    let looking = board.looking_ms.is_some_and(|since_ms| now.mono_ms < since_ms + JOB_MS_MAX);
    if looking || ctx.state.draining {
        board.due = true;
        return;
    }
    (board.due, board.looked_ms, board.looking_ms) = (false, now.mono_ms, Some(now.mono_ms));
    board.note_slow(now.mono_ms);
    let wanted = DueWanted {
        now: now.unix_ms,
        most: settings.calls.all.saturating_sub(board.on_way.len()),
        most_per_user: settings.calls.of_one,
        slow: board.slow.keys().cloned().collect(),
        most_of_slow: settings.calls.of_slow,
        busy: board.on_way.iter().map(|(hook, (owner, _))| (*hook, owner.clone())).collect(),
    };
    ctx.run(
        Lane::Read,
        move |store| store.due_webhooks(&wanted),
        |due, _, ctx| {
            ctx.state.webhooks.looking_ms = None;
            let Ok(due) = due else {
                // The next second tries again.
                ctx.state.webhooks.due = true;
                return Ok(());
            };
            ctx.state.webhooks.next_at = due.next_at;
            due.deliveries.into_iter().for_each(|delivery| send(delivery, ctx));
            if due.unspread {
                spread(ctx);
            }
            Ok(())
        },
    );
}

/// Spreads events to webhooks, slice by slice, and then looks for what there is to send.
fn spread(ctx: &mut Ctx<'_>) {
    let (now, board) = (ctx.now, &mut ctx.state.webhooks);
    let spreading = board.spreading_ms.is_some_and(|since_ms| now.mono_ms < since_ms + JOB_MS_MAX);
    if spreading || ctx.state.draining {
        return;
    }
    board.spreading_ms = Some(now.mono_ms);
    ctx.run(
        Lane::Write,
        move |store| store.spread_webhooks(now.unix_ms),
        |more, _, ctx| {
            ctx.state.webhooks.spreading_ms = None;
            match more {
                Ok(true) => spread(ctx),
                Ok(false) => look(ctx),
                Err(_) => ctx.state.webhooks.due = true,
            }
            Ok(())
        },
    );
}

/// Hands a delivery to the outbound lane.
fn send(due: DueDelivery, ctx: &mut Ctx<'_>) {
    let board = &mut ctx.state.webhooks;
    if ctx.state.draining || board.on_way.contains_key(&due.webhook_id) {
        return;
    }
    board.on_way.insert(due.webhook_id, (due.owner.clone(), ctx.now.mono_ms));
    let post = post(&due, ctx.now_s());
    let work = Work::post(ctx.origin.clone(), post, move |posted, _, ctx| {
        ctx.state.webhooks.note_slow(ctx.now.mono_ms);
        match posted {
            Ok(posted) => {
                let attempt = judge(&due, posted, ctx);
                settle(attempt, ctx);
            }
            // It was never tried.
            Err(_) => came_back(due.webhook_id, false, ctx),
        }
        Ok(())
    });
    ctx.effects.push(Effect::Submit(Lane::Outbound, work));
}

fn post(due: &DueDelivery, timestamp: i64) -> Post {
    let headers = vec![
        ("X-MangaHub-Event", due.event.as_str().to_owned()),
        ("X-MangaHub-Delivery", due.id.to_string()),
        ("X-MangaHub-Timestamp", timestamp.to_string()),
        ("X-MangaHub-Signature", format!("sha256={}", signature(&due.secret, timestamp, &due.body))),
    ];
    Post { url: due.url.clone(), headers, body: due.body.clone() }
}

/// What follows from what came back.
fn judge(due: &DueDelivery, posted: Posted, ctx: &mut Ctx<'_>) -> Attempt {
    let (now_ms, settings) = (ctx.now.unix_ms, ctx.state.settings.webhooks.clone());
    let (status, error) = match posted {
        Posted::Status(status @ 200..=299) => (Some(status), None),
        Posted::Status(status) => (Some(status), Some(format!("The receiver answered {status}"))),
        Posted::Failed(why) => (None, Some(why)),
    };
    let verdict = match (status, &error) {
        (_, None) => Verdict::Delivered,
        (Some(410), _) => Verdict::Unwanted,
        _ if due.attempts + 1 >= settings.attempts => Verdict::Dead { disable_after: settings.disable_after },
        _ => {
            let random = u64::from_le_bytes(ctx.state.random_bytes());
            Verdict::Again(now_ms + pause_ms(settings.backoff_ms, due.attempts, random) as i64)
        }
    };
    let (id, hook) = (due.id, due.webhook_id);
    tracing::debug!(webhook = hook, delivery = id, status, error, "sent");
    Attempt { id, webhook_id: hook, status, error, verdict, at: now_ms }
}

/// The pause after so many failures before this one: twice as long each time, a quarter more or less by
/// chance, so that what failed together does not come back together.
fn pause_ms(first_ms: u64, failures: u32, random: u64) -> u64 {
    let doubled = first_ms.saturating_mul(1_u64.checked_shl(failures).unwrap_or(u64::MAX));
    let pause_ms = doubled.min(PAUSE_MS_MAX);
    pause_ms - pause_ms / 4 + random % (pause_ms / 2 + 1)
}

/// Notes an attempt. Only then may the webhook's next delivery go.
fn settle(attempt: Attempt, ctx: &mut Ctx<'_>) {
    let hook = attempt.webhook_id;
    ctx.run(
        Lane::Write,
        move |store| store.settle_delivery(&attempt),
        move |settled: Result<(), StoreError>, _, ctx| {
            came_back(hook, settled.is_ok(), ctx);
            Ok(())
        },
    );
}

/// A delivery is no longer on its way. When the store could not note it, it would be found due again at
/// once: a pause spares its receiver.
fn came_back(hook: WebhookId, noted: bool, ctx: &mut Ctx<'_>) {
    let board = &mut ctx.state.webhooks;
    board.on_way.remove(&hook);
    board.due = true;
    match noted {
        true => look(ctx),
        false => board.paused_ms = ctx.now.mono_ms + UNNOTED_PAUSE_MS,
    }
}

/// Forgets old deliveries, some at a time.
fn prune(ctx: &mut Ctx<'_>) {
    let before = ctx.now.unix_ms - ctx.state.settings.webhooks.keep_ms;
    ctx.state.webhooks.prune_ms = ctx.now.mono_ms + PRUNE_MS;
    ctx.run(
        Lane::Write,
        move |store| store.prune_webhooks(before, PRUNE_ROWS),
        |more, _, ctx| {
            if more == Ok(true) && !ctx.state.draining {
                prune(ctx);
            }
            Ok(())
        },
    );
}

/// A job that is not back after so long found no room in its lane: no call and no wait for the writer is
/// longer.
const JOB_MS_MAX: u64 = 120_000;

/// A receiver that takes so long is slow, whatever it answers in the end. Most take a few hundred milliseconds.
const SLOW_MS: u64 = 2_000;

/// How long that is held against its user.
const SLOW_FOR_MS: u64 = 300_000;

/// Without a hint it is looked this often: for what could not be hinted at.
const LOOK_MS: u64 = 60_000;

/// How long nothing is sent after the store could not note what was.
const UNNOTED_PAUSE_MS: u64 = 5_000;

/// No pause between two attempts is longer than a day.
const PAUSE_MS_MAX: u64 = 86_400_000;

/// How often old deliveries are forgotten: once an hour.
const PRUNE_MS: u64 = 3_600_000;

/// Deliveries that one job forgets: a few milliseconds of the writer's time.
const PRUNE_ROWS: u32 = 400;

#[cfg(test)]
mod tests {
    use super::*;

    /// Pauses double, stay within a quarter of that, and end at a day; no number is too large.
    #[test]
    fn pauses_double() {
        for (failures, expected) in [(0, 1_000), (1, 2_000), (5, 32_000), (17, 86_400_000), (40, 86_400_000)] {
            for random in [0, 1, 777, u64::MAX] {
                let pause_ms = pause_ms(1_000, failures, random);
                assert!((expected * 3 / 4..=expected * 5 / 4).contains(&pause_ms), "{failures} {random}: {pause_ms}");
            }
        }
        assert!(pause_ms(u64::MAX, u32::MAX, u64::MAX) <= PAUSE_MS_MAX * 5 / 4);
        assert!(pause_ms(1, 0, u64::MAX) <= 1);
    }
}
