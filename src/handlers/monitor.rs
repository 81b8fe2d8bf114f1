//! How the server is: for a person with a browser, a load balancer and a metrics collector.
//!
//! The numbers are the reactor's and the handlers' own; here is only what is asked. Pages are put
//! into bytes by `proto/internal.rs`.

use std::collections::HashMap;

use super::api::{ApiError, ConnzQuery, ErrorKind, Inquiry, MetricsFormat, Reply};
use super::effect::{Effect, Lane};
use super::session::Session;
use super::{Access, Call, Ctx, account, auth, chat, leases, notices, recommend, watch, webhooks};
use crate::store::StoreError;

/// Whether the server is well.
pub const HEALTH: Call<()> = Call { name: "health", access: Access::Public, lane: Lane::Read, run: health };
/// Whether it should be sent new clients.
pub const READY: Call<()> = Call { name: "ready", access: Access::Public, lane: Lane::Read, run: ready };
/// How each part of the server is.
pub const PARTS: Call<Asked> = Call { name: "parts", access: Access::Public, lane: Lane::Read, run: parts };
/// Metrics for Prometheus.
pub const METRICS: Call<MetricsFormat> = Call {
    name: "metrics",
    access: Access::Public,
    lane: Lane::Reactor,
    run: |format, _, ctx| inquire(Inquiry::Metrics(ctx.origin.clone(), format), ctx),
};
/// The server in general.
pub const VARZ: Call<()> = Call {
    name: "varz",
    access: Access::Public,
    lane: Lane::Reactor,
    run: |_, _, ctx| inquire(Inquiry::Varz(ctx.origin.clone()), ctx),
};
/// Its connections.
pub const CONNZ: Call<ConnzQuery> = Call {
    name: "connz",
    access: Access::Public,
    lane: Lane::Reactor,
    run: |query, _, ctx| inquire(Inquiry::Connz(ctx.origin.clone(), query), ctx),
};
/// The counts that a sync client may ask for.
pub const SYNC_STATS: Call<()> = Call {
    name: "sync.stats",
    access: Access::User,
    lane: Lane::Reactor,
    run: |_, _, ctx| inquire(Inquiry::Sync(ctx.origin.clone()), ctx),
};
/// Shows that the session lives.
pub const PING: Call<Option<Box<serde_json::value::RawValue>>> =
    Call { name: "sync.ping", access: Access::User, lane: Lane::Reactor, run: ping };
/// Ends the session.
pub const DISCONNECT: Call<()> =
    Call { name: "sync.disconnect", access: Access::User, lane: Lane::Reactor, run: disconnect };

/// Which part somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The server, which answers and so is well.
    Server,
    /// The store, to read and to write.
    Store,
}

/// How each part of the server is, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// Which one was asked for.
    pub asked: Asked,
    /// Whether it can be read.
    pub store: &'static str,
    /// Whether it could be written to at the last look.
    pub writer: &'static str,
    /// Whether the loop takes new connections.
    pub reactor: &'static str,
}

/// What was counted by name since the start.
#[derive(Debug, Default)]
pub struct Counts {
    /// Calls by route, and how many of them were refused, in the order of the table of routes.
    pub calls: Vec<(u64, u64)>,
    /// Calls that were answered, and the milliseconds from arrival to answer of all of them.
    pub answered: (u64, u64),
    /// Refusals by their code.
    pub refusals: HashMap<&'static str, u64>,
    /// Open WebSockets of users, and of people without a token.
    pub websockets: (usize, usize),
}

impl Counts {
    /// Counts a call by a route, numbered as in the table.
    pub fn call(&mut self, route: usize) {
        if self.calls.len() <= route {
            self.calls.resize(route + 1, (0, 0));
        }
        self.calls[route].0 += 1;
    }

    /// Counts a refusal.
    pub fn refuse(&mut self, route: Option<usize>, code: &'static str) {
        *self.refusals.entry(code).or_insert(0) += 1;
        if let Some(calls) = route.and_then(|route| self.calls.get_mut(route)) {
            calls.1 += 1;
        }
    }
}

fn health(_: (), _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    ctx.run(
        Lane::Read,
        |store| store.ping(),
        |alive, _, ctx| {
            let (draining, writes) = (ctx.state.draining, ctx.state.writer_works);
            // That too many ask says nothing about the store.
            let alive = matches!(alive, Ok(()) | Err(StoreError::Busy));
            ctx.reply(Reply::Health { draining, store: alive && writes });
            Ok(())
        },
    );
    Ok(())
}

fn parts(asked: Asked, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    ctx.run(
        Lane::Read,
        |store| store.ping(),
        move |alive, _, ctx| {
            let store = match alive {
                Ok(()) => "ok",
                Err(StoreError::Busy) => "busy",
                Err(_) => "down",
            };
            let writer = if ctx.state.writer_works { "ok" } else { "down" };
            let reactor = if ctx.state.draining { "draining" } else { "ok" };
            ctx.reply(Reply::Parts(Parts { asked, store, writer, reactor }));
            Ok(())
        },
    );
    Ok(())
}

fn ready(_: (), _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    if ctx.state.draining {
        return Err(ApiError::new(ErrorKind::Unavailable, "draining"));
    }
    ctx.run(
        Lane::Read,
        |store| store.ping(),
        |alive, _, ctx| {
            if !matches!(alive, Ok(()) | Err(StoreError::Busy)) || !ctx.state.writer_works {
                return Err(ApiError::new(ErrorKind::Unavailable, "the store does not answer"));
            }
            ctx.reply(Reply::Health { draining: false, store: true });
            Ok(())
        },
    );
    Ok(())
}

fn inquire(inquiry: Inquiry, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    ctx.inquire(inquiry);
    Ok(())
}

fn ping(
    client_time: Option<Box<serde_json::value::RawValue>>,
    _: &mut Session,
    ctx: &mut Ctx<'_>,
) -> Result<(), ApiError> {
    ctx.reply(Reply::Pong(client_time));
    Ok(())
}

fn disconnect(_: (), _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    ctx.close(super::effect::CloseReason::Goodbye);
    Ok(())
}

/// Once a second: looks whether another process changed the store, forgets what is past, and begins what is due.
pub fn tick(ctx: &mut Ctx<'_>) {
    let now_ms = ctx.now.mono_ms;
    ctx.state.members.sweep(now_ms);
    ctx.state.strangers.sweep(now_ms);
    auth::sweep(ctx);
    watch::sweep(ctx);
    account::erase_if_due(ctx);
    recommend::tick(ctx);
    webhooks::tick(ctx);
    notices::tick(ctx);
    leases::tick(ctx);
    chat::retention::prune_if_due(ctx);
    let oldest_s = ctx.now_s() - ctx.state.settings.token_s_max;
    ctx.state.revocations.sweep(oldest_s);
    let known = ctx.state.data_version;
    let look = super::work::Work::new(
        ctx.origin.clone(),
        move |store| {
            let version = store.data_version()?;
            let revoked = if version == known { None } else { Some(store.revocations(oldest_s)?) };
            Ok((version, revoked))
        },
        |seen: Result<_, StoreError>, _, ctx| {
            ctx.state.writer_works = seen.is_ok();
            if let Ok((version, revoked)) = seen {
                ctx.state.data_version = version;
                if let Some(revoked) = revoked {
                    // Who wrote may have deleted somebody and have ended since, or may have erased ratings.
                    ctx.state.erasing.due = true;
                    ctx.state.catalogue.forget_all_details();
                    take_over(revoked, ctx);
                }
            }
            Ok(())
        },
    );
    // The writer's connection, since it alone does not see its own commits as changes.
    ctx.effects.push(Effect::Submit(Lane::Write, look));
}

/// Ends the sessions of users whose tokens another process voided.
fn take_over(revoked: Vec<(crate::store::model::UserId, i64)>, ctx: &mut Ctx<'_>) {
    for user in ctx.state.revocations.merge(revoked) {
        if let Some(member) = ctx.state.members.find(&user) {
            let topic = super::api::Topic::Member(member);
            ctx.effects.push(Effect::Evict(topic, super::effect::CloseReason::Revoked));
            watch::evict(member, ctx);
        }
        leases::revoke(&user, ctx);
    }
}
