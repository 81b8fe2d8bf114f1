//! Notifications: what readers are told about the catalogue.
//!
//! A notification is stored before anybody is told of it, in the transaction of what it tells about.
//! Whoever is away finds it later. [`tell`] is how one comes to be and reaches those who listen;
//! [`inbox`] is what a user finds, and what they want to hear at all;
//! [`subscribe`] is who listens on a connection.

pub mod inbox;
mod listeners;
pub mod subscribe;
pub mod tell;
pub mod words;

pub use listeners::Listeners;

use super::Ctx;
use super::effect::{Effect, Lane};
use super::work::Work;
use crate::store::PRUNED_ROWS_MAX;
use crate::store::model::{Inbox, MangaId, NoticeSettings, UserId};

/// Notifications on their way to those who listen.
#[derive(Debug, Default)]
pub struct Board {
    /// Who listens now.
    pub listeners: Listeners,
    /// What is in line to be told.
    pub line: tell::Line,
    /// When old ones are looked for next, in milliseconds of the turn's clock.
    prune_ms: u64,
}

/// What is answered about notifications.
#[derive(Debug)]
pub enum Reply {
    /// It is taken: an operator's program wants to know no more.
    Accepted,
    /// It is stored and on its way.
    Queued,
    /// A user's notifications.
    Inbox(UserId, Inbox),
    /// What the connection hears now.
    Subscribed(Vec<subscribe::Subject>),
    /// Done, and nothing to add.
    Done(&'static str),
    /// What a user wants to hear, and the series that they muted, with their names where there are any.
    Settings(NoticeSettings, Vec<(MangaId, Option<std::sync::Arc<super::api::Series>>)>),
}

/// Once a second: goes on telling where that stopped, and begins to delete what is old when that is due.
pub fn tick(ctx: &mut Ctx<'_>) {
    tell::go_on_if_idle(ctx);
    let keep_ms = ctx.state.settings.notices_keep_ms;
    if keep_ms > 0 && ctx.now.mono_ms >= ctx.state.notices.prune_ms && !ctx.state.draining {
        ctx.state.notices.prune_ms = ctx.now.mono_ms + PRUNE_EVERY_MS;
        prune(ctx.now.unix_ms - keep_ms, ctx);
    }
}

/// One job follows the other until nothing old is left; each is a turn of the writer like anybody's.
fn prune(before: i64, ctx: &mut Ctx<'_>) {
    let job = Work::new(
        ctx.origin.clone(),
        move |store| store.prune_notices(before, PRUNED_ROWS_MAX),
        move |left, _, ctx| {
            // After a failure the next round goes on.
            if let (Ok(true), false) = (left, ctx.state.draining) {
                prune(before, ctx);
            }
            Ok(())
        },
    );
    ctx.effects.push(Effect::Submit(Lane::Write, job));
}

/// Days are kept, so an hour more or less is nothing.
const PRUNE_EVERY_MS: u64 = 3_600_000;
