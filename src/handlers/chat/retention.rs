//! Forgetting what was said long ago, and mutes that have ended, in small jobs.

use crate::handlers::Ctx;
use crate::handlers::effect::{Effect, Lane};
use crate::handlers::work::Work;

/// When that was last done.
#[derive(Debug, Default)]
pub struct Pruning {
    /// When the next job is due, in milliseconds of the turn's clock.
    due_ms: u64,
}

/// Once a second: begins when it is due.
pub fn prune_if_due(ctx: &mut Ctx<'_>) {
    let now_ms = ctx.now.mono_ms;
    if now_ms >= ctx.state.pruning.due_ms && !ctx.state.draining {
        // Also the patience with a job that found no room.
        ctx.state.pruning.due_ms = now_ms + PAUSE_MS;
        prune(ctx);
        prune_guests(ctx);
    }
}

fn prune(ctx: &mut Ctx<'_>) {
    let (now, days) = (ctx.now.unix_ms, ctx.state.settings.chat_keep_days);
    let oldest = (days > 0).then(|| now - i64::from(days) * DAY_MS);
    let job = Work::new(
        ctx.origin.clone(),
        move |store| store.prune_chat(oldest, now),
        |more, _, ctx| {
            if more == Ok(true) && !ctx.state.draining {
                prune(ctx);
            }
            Ok(())
        },
    );
    ctx.effects.push(Effect::Submit(Lane::Write, job));
}

/// The same for what was said without an account, however young: nothing else bounds it.
fn prune_guests(ctx: &mut Ctx<'_>) {
    let job = Work::new(
        ctx.origin.clone(),
        |store| store.prune_guests(GUEST_MESSAGES_MAX),
        |more, _, ctx| {
            if more == Ok(true) && !ctx.state.draining {
                prune_guests(ctx);
            }
            Ok(())
        },
    );
    ctx.effects.push(Effect::Submit(Lane::Write, job));
}

const DAY_MS: i64 = 86_400_000;

/// How many messages of people without an account are kept: some fifty megabytes of the longest, and years of
/// what is said on an evening. Anybody can write them, so no account of theirs can be closed instead.
const GUEST_MESSAGES_MAX: u32 = 100_000;

/// How often it is looked for: what is kept a minute longer harms nobody.
const PAUSE_MS: u64 = 60_000;
