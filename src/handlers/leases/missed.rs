//! What is looked up and noted in the store: what a user missed, and up to where they were told.
//!
//! Marks are kept in memory for a second and stored together. Before anybody's missed notifications are
//! looked up, and before the server ends, they are stored at once: nobody is told anything twice.

use std::sync::Arc;

use super::register::end;
use crate::handlers::Ctx;
use crate::handlers::effect::Lane;
use crate::handlers::key::LeaseKey;
use crate::store::model::{NoticeId, UserId};
use crate::store::{Store, StoreError};

/// Once a second: ends what has been silent for too long, sends what is due, stores what was delivered.
pub fn tick(ctx: &mut Ctx<'_>) {
    let now_ms = ctx.now.mono_ms;
    ctx.state.leases.registry.sweep_rates(now_ms);
    let (ended, busy) = ctx.state.leases.registry.due(now_ms);
    for key in ended {
        end(key, ctx);
    }
    ctx.state.leases.ready.extend(busy);
    store_marks(ctx);
}

/// The server is on its way out: what was delivered is stored, and nothing more is sent of which that would
/// have to be stored too. It comes when its user registers again.
pub fn close(ctx: &mut Ctx<'_>) {
    ctx.state.leases.closed = true;
    store_marks(ctx);
}

fn store_marks(ctx: &mut Ctx<'_>) {
    let delivered: Vec<_> = std::mem::take(&mut ctx.state.leases.delivered).into_iter().collect();
    for some in delivered.chunks(DELIVERED_MAX) {
        let (some, again) = (some.to_vec(), some.to_vec());
        ctx.run(
            Lane::Write,
            move |store| store_delivered(store, &some),
            move |stored, _, ctx| {
                if stored.is_err() {
                    // They go with those of the next second.
                    again.into_iter().for_each(|(user, up_to)| ctx.state.leases.note_delivered(user, up_to));
                }
                Ok(())
            },
        );
    }
}

/// Whose account has gone meanwhile has nothing to be noted, and keeps nobody else's from it.
fn store_delivered(store: &mut dyn Store, delivered: &[(UserId, NoticeId)]) -> Result<(), StoreError> {
    for (user, up_to) in delivered {
        match store.notices_delivered(user, *up_to) {
            Ok(()) | Err(StoreError::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Looks up what was missed, for all who wait for it.
pub fn ask_all(ctx: &mut Ctx<'_>) {
    for key in std::mem::take(&mut ctx.state.leases.asks) {
        let Some(lease) = ctx.state.leases.registry.get(key) else { continue };
        let Some(user) = lease.holder.as_ref().map(|holder| holder.user.clone()) else { continue };
        // First it must be stored what is no longer missed, by this job or by one before it in the lane.
        let delivered: Vec<_> = ctx.state.leases.delivered.remove_entry(&user).into_iter().collect();
        let work = move |store: &mut dyn Store| store_delivered(store, &delivered);
        ctx.run(Lane::Write, work, move |_, _, ctx| {
            ask(key, user, ctx);
            Ok(())
        });
    }
}

fn ask(key: LeaseKey, user: UserId, ctx: &mut Ctx<'_>) {
    ctx.run(
        Lane::Read,
        move |store| store.undelivered_notices(&user, PAGE),
        move |missed, _, ctx| {
            let missed: Option<Vec<_>> = missed.ok().map(|missed| missed.into_iter().map(Arc::new).collect());
            let full = missed.as_ref().is_some_and(|missed| missed.len() >= PAGE as usize);
            if let Some(lease) = ctx.state.leases.registry.get_mut(key)
                && let Some(outbox) = &mut lease.outbox
            {
                lease.last = missed.iter().flatten().map(|missed| missed.id).fold(lease.last, i64::max);
                outbox.found(missed, full);
            }
            ctx.state.leases.ready.push_back(key);
            Ok(())
        },
    );
}

/// How many missed notifications are looked up at a time: some 100 KiB.
const PAGE: u32 = 100;

/// How many users' marks one job of the writer sets.
const DELIVERED_MAX: usize = 200;
