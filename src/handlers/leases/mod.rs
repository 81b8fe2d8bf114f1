//! Datagram addresses that want to hear of things: registering, proving who one is, acknowledging.
//!
//! Both dialects say the same few things ([`Said`]) and share one [`Registry`]. An address that shows a
//! token made for this ([`TOKEN`]) hears what is for its user, and what it missed. Any other hears what is
//! public, as it happens, whatever it claims. Nothing that an address sends is passed on to another.
//!
//! What is to be sent is left in [`Leases::take_letters`]; how it looks is the dialects' concern.

mod outbox;
mod registry;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::value::RawValue;
use smallvec::{SmallVec, smallvec};

pub use outbox::{Outbox, Outgoing, Resend};
pub use registry::{Bounds, Dialect, Full, Holder, Lease, Place, Registry};

use super::api::{ApiError, ErrorKind, ProgressEvent, Reply, Topic};
use super::effect::{Effect, Lane};
use super::key::LeaseKey;
use super::session::Session;
use super::{Access, Call, Caller, Ctx, auth};
use crate::store::model::{NoticeId, Notification, UserId};
use crate::store::{Store, StoreError};

/// Makes a token for registering an address. A datagram travels in the clear, so it is short-lived and
/// good for nothing else; and no other token is good for that.
pub const TOKEN: Call<()> = Call { name: "auth.udp_token", access: Access::User, lane: Lane::Reactor, run: make_token };

/// How the operator wants leases.
#[derive(Debug, Clone, Copy)]
pub struct Wishes {
    /// Their bounds.
    pub bounds: Bounds,
    /// How often something unacknowledged is sent again.
    pub resend: Resend,
    /// An address that claims to be a user without a token is believed.
    pub believe_claims: bool,
}

/// What an address says, whatever the dialect.
#[derive(Debug)]
pub enum Said {
    /// It wants to hear of things.
    Register(Register),
    /// It doesn't any more.
    Unregister,
    /// It is there. The client's own time comes back as it was sent.
    Ping(Option<Box<RawValue>>),
    /// It has received a notification.
    Acknowledge(NoticeId),
}

/// How an address wants to hear of things.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Register {
    /// What the client calls itself: told back to it, and otherwise of no meaning.
    pub client_id: String,
    /// Who it claims to be.
    pub user_id: Option<String>,
    /// What proves whose it is.
    pub token: Option<String>,
    /// It acknowledges notifications, and wants to be sent again what it has not.
    pub acknowledges: bool,
    /// It wants to hear of its user's own progress, too.
    pub progress: bool,
}

/// What an address is answered.
#[derive(Debug)]
pub enum Answer {
    /// It will hear of things.
    Registered(String),
    /// It won't any more.
    Unregistered,
    /// The server is there, too.
    Pong(Option<Box<RawValue>>),
    /// Nothing.
    Silence,
}

/// A notification for one address.
#[derive(Debug)]
pub struct Letter {
    /// Where it goes.
    pub to: Place,
    /// What it says.
    pub notification: Arc<Notification>,
}

/// The registry, and what follows from it that has not been done yet.
#[derive(Debug, Default)]
pub struct Leases {
    /// Who there is.
    pub registry: Registry,
    letters: Vec<Letter>,
    /// Whose missed notifications are to be looked up.
    asks: Vec<LeaseKey>,
    /// Up to where each user's notifications were sent: stored once a second.
    delivered: HashMap<UserId, NoticeId>,
}

impl Leases {
    /// What is to be sent, which is then taken for sent.
    pub fn take_letters(&mut self) -> Vec<Letter> {
        std::mem::take(&mut self.letters)
    }

    /// Hands a lease a notification as it happens. Where it goes if it can be sent at once; else it waits
    /// in the outbox, and becomes a letter when it is its turn.
    pub fn hand(
        &mut self,
        key: LeaseKey,
        notification: &Arc<Notification>,
        resend: Resend,
        now_ms: u64,
    ) -> Option<Place> {
        let lease = self.registry.get_mut(key).filter(|lease| lease.last < notification.id)?;
        lease.last = notification.id;
        let place = lease.place;
        if let Some(outbox) = &mut lease.outbox {
            outbox.push(notification.clone());
            self.step(key, resend, now_ms);
            return None;
        }
        let user = lease.holder.as_ref().map(|holder| holder.user.clone());
        self.note_delivered(user, Some(notification.id));
        Some(place)
    }

    /// Where a lease is, if it wants to hear of this user's progress: it is that user's own.
    pub fn hears_progress(&self, key: LeaseKey, event: &ProgressEvent) -> Option<Place> {
        let lease = self.registry.get(key)?;
        let holder = lease.holder.as_ref()?;
        (holder.progress && holder.user == event.user_id).then_some(lease.place)
    }

    /// Does what an outbox has to do now.
    fn step(&mut self, key: LeaseKey, resend: Resend, now_ms: u64) {
        let Some(lease) = self.registry.get_mut(key) else { return };
        let Some(outbox) = &mut lease.outbox else { return };
        let Outgoing { send, delivered, ask } = outbox.next(resend, now_ms);
        if outbox.is_idle() && !outbox.acknowledges {
            lease.outbox = None;
        }
        let (to, user) = (lease.place, lease.holder.as_ref().map(|holder| holder.user.clone()));
        self.letters.extend(send.into_iter().map(|notification| Letter { to, notification }));
        if ask {
            self.asks.push(key);
        }
        self.note_delivered(user, delivered);
    }

    /// Everything up to this one counts as delivered to a user, if it is one.
    fn note_delivered(&mut self, user: Option<UserId>, up_to: Option<NoticeId>) {
        if let (Some(user), Some(up_to)) = (user, up_to) {
            let known = self.delivered.entry(user).or_insert(up_to);
            *known = up_to.max(*known);
        }
    }
}

/// Does what an address says with a datagram of so many bytes, and tells what it is answered.
pub fn hear(said: Said, place: Place, bytes: usize, ctx: &mut Ctx<'_>) -> Result<Answer, ApiError> {
    match said {
        Said::Register(wish) => register(wish, place, bytes, ctx),
        Said::Ping(client_time) => Ok(Answer::Pong(client_time)),
        Said::Unregister => {
            if let Some(key) = ctx.state.leases.registry.find(place) {
                end(key, ctx);
            }
            Ok(Answer::Unregistered)
        }
        Said::Acknowledge(id) => {
            acknowledge(id, place, ctx);
            Ok(Answer::Silence)
        }
    }
}

fn register(wish: Register, place: Place, bytes: usize, ctx: &mut Ctx<'_>) -> Result<Answer, ApiError> {
    let caller = wish.token.as_deref().map(|token| auth::check_datagram_token(token, ctx)).transpose()?;
    let known = ctx.state.leases.registry.find(place);
    let user_of = |key| ctx.state.leases.registry.get(key)?.holder.as_ref().map(|holder| holder.user.clone());
    let before = known.and_then(user_of);
    match (&caller, &before) {
        // It says less than is known: it goes on as it is.
        (None, Some(_)) => {}
        (Some(caller), Some(user)) if caller.id == *user => set(known, &wish, ctx),
        (None, None) if known.is_some() => set(known, &wish, ctx),
        _ => {
            make_room(caller.as_ref(), ctx)?;
            let key = replace(known, caller.as_ref(), place, bytes, &wish, ctx);
            set(Some(key), &wish, ctx);
        }
    }
    if caller.is_none() && before.is_none() {
        believe(&wish, place, ctx);
    }
    Ok(Answer::Registered(wish.client_id))
}

/// Ends whoever is in the way of one more.
fn make_room(caller: Option<&Caller>, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let bounds = &ctx.state.settings.leases.bounds;
    let in_the_way = ctx.state.leases.registry.in_the_way(caller.map(|caller| &caller.id), bounds);
    let full = |_| ApiError::new(ErrorKind::Unavailable, "The server is full, please try again later");
    if let Some(key) = in_the_way.map_err(full)? {
        end(key, ctx);
    }
    Ok(())
}

/// A new lease instead of the one that the place has.
fn replace(
    known: Option<LeaseKey>,
    caller: Option<&Caller>,
    place: Place,
    bytes: usize,
    wish: &Register,
    ctx: &mut Ctx<'_>,
) -> LeaseKey {
    if let Some(known) = known {
        end(known, ctx);
    }
    let holder = caller.map(|caller| {
        let member = ctx.state.members.hold(&caller.id, &caller.username, caller.role);
        ctx.state.notices.listeners.enter(member);
        Holder { user: caller.id.clone(), member, progress: wish.progress }
    });
    let now_ms = ctx.now.mono_ms;
    let key = ctx.state.leases.registry.add(place, holder, bytes, &ctx.state.settings.leases.bounds, now_ms);
    let topics = ctx.state.leases.registry.get(key).map(|lease| topics(lease, ctx)).unwrap_or_default();
    ctx.effects.extend(topics.into_iter().map(|topic| Effect::Enlist(topic, key.into())));
    key
}

/// Sets what an address may choose anew each time it registers, and looks up what a verified one missed.
fn set(key: Option<LeaseKey>, wish: &Register, ctx: &mut Ctx<'_>) {
    let Some((key, lease)) = key.and_then(|key| Some((key, ctx.state.leases.registry.get_mut(key)?))) else { return };
    if lease.outbox.as_ref().is_some_and(|outbox| outbox.is_asking()) {
        return;
    }
    let verified = lease.holder.is_some();
    let outbox = lease.outbox.get_or_insert_with(|| Box::new(Outbox::new(wish.acknowledges)));
    outbox.acknowledges = wish.acknowledges;
    if verified {
        outbox.ask(ctx.now.mono_ms);
        ctx.state.leases.asks.push(key);
    } else if outbox.is_idle() && !outbox.acknowledges {
        lease.outbox = None;
    }
    ask_all(ctx);
}

/// Where the operator allows it, an address is who it claims to be. It displaces nobody for that.
fn believe(wish: &Register, place: Place, ctx: &mut Ctx<'_>) {
    let Some(id) = wish.user_id.as_deref().and_then(UserId::parse) else { return };
    if !ctx.state.settings.leases.believe_claims {
        return;
    }
    let wish = Register { acknowledges: wish.acknowledges, progress: wish.progress, ..Register::default() };
    ctx.run(
        Lane::Read,
        move |store| store.user(&id),
        move |user, _, ctx| {
            let Ok(user) = user else { return Ok(()) };
            let registry = &ctx.state.leases.registry;
            let known = registry.find(place);
            let unverified = known.and_then(|key| registry.get(key)).is_some_and(|lease| lease.holder.is_none());
            if unverified && registry.of(&user.id).len() < ctx.state.settings.leases.bounds.leases_per_user {
                let caller = Caller { id: user.id, username: user.username.into(), role: user.role };
                let key = replace(known, Some(&caller), place, 0, &wish, ctx);
                set(Some(key), &wish, ctx);
            }
            Ok(())
        },
    );
}

fn acknowledge(id: NoticeId, place: Place, ctx: &mut Ctx<'_>) {
    let (resend, now_ms) = (ctx.state.settings.leases.resend, ctx.now.mono_ms);
    let leases = &mut ctx.state.leases;
    let Some(key) = leases.registry.find(place) else { return };
    let Some(lease) = leases.registry.get_mut(key) else { return };
    let delivered = lease.outbox.as_mut().and_then(|outbox| outbox.acknowledge(id));
    let user = lease.holder.as_ref().map(|holder| holder.user.clone());
    leases.note_delivered(user, delivered);
    leases.step(key, resend, now_ms);
    ask_all(ctx);
}

/// A lease ends: nothing is sent to it any more.
fn end(key: LeaseKey, ctx: &mut Ctx<'_>) {
    let Some(lease) = ctx.state.leases.registry.remove(key) else { return };
    let topics = topics(&lease, ctx);
    ctx.effects.extend(topics.into_iter().map(Effect::Delist));
    if let Some(holder) = lease.holder {
        ctx.state.notices.listeners.leave(holder.member);
        ctx.state.members.release(holder.member, ctx.now.mono_ms);
    }
}

/// Ends the verified leases of a user whose tokens have become void.
pub fn revoke(user: &UserId, ctx: &mut Ctx<'_>) {
    for key in ctx.state.leases.registry.of(user) {
        end(key, ctx);
    }
}

/// The topics of a lease. One that nobody vouches for has no user, whatever it claims.
fn topics(lease: &Lease, ctx: &Ctx<'_>) -> SmallVec<[Topic; 4]> {
    let Some(holder) = &lease.holder else { return smallvec![Topic::Announced] };
    let mut topics = smallvec![Topic::Notices(holder.member)];
    if holder.progress {
        topics.push(Topic::Member(holder.member));
        if ctx.state.settings.broadcast_all {
            topics.push(Topic::Everyone);
        }
    }
    topics
}

/// Once a second: ends what has been silent for too long, sends what is due, stores what was delivered.
pub fn tick(ctx: &mut Ctx<'_>) {
    let (resend, now_ms) = (ctx.state.settings.leases.resend, ctx.now.mono_ms);
    ctx.state.leases.registry.sweep_rates(now_ms);
    let (ended, busy) = ctx.state.leases.registry.due(now_ms);
    ended.into_iter().for_each(|key| end(key, ctx));
    busy.into_iter().for_each(|key| ctx.state.leases.step(key, resend, now_ms));
    ask_all(ctx);
    let delivered: Vec<_> = std::mem::take(&mut ctx.state.leases.delivered).into_iter().collect();
    for some in delivered.chunks(DELIVERED_MAX) {
        let some = some.to_vec();
        ctx.run(Lane::Write, move |store| store_delivered(store, &some), |_, _, _| Ok(()));
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
fn ask_all(ctx: &mut Ctx<'_>) {
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
            let (resend, now_ms) = (ctx.state.settings.leases.resend, ctx.now.mono_ms);
            let missed: Option<Vec<_>> = missed.ok().map(|missed| missed.into_iter().map(Arc::new).collect());
            let full = missed.as_ref().is_some_and(|missed| missed.len() >= PAGE as usize);
            if let Some(lease) = ctx.state.leases.registry.get_mut(key)
                && let Some(outbox) = &mut lease.outbox
            {
                lease.last = missed.iter().flatten().map(|missed| missed.id).fold(lease.last, i64::max);
                outbox.found(missed, full);
            }
            ctx.state.leases.step(key, resend, now_ms);
            Ok(())
        },
    );
}

fn make_token(_: (), _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    let id = ctx.state.fresh_id();
    // Right after a revocation it is dated to when tokens count again.
    let valid_from = ctx.state.revocations.valid_from(&caller.id).unwrap_or(0);
    let issued_s = ctx.now_s().max(valid_from);
    let token = ctx.state.keys.issue_for_datagrams(&caller, issued_s, TOKEN_S, id);
    ctx.reply(Reply::DatagramToken { token, expires_in_s: TOKEN_S });
    Ok(())
}

/// A token for datagrams lives for so many seconds: it is used at once, and travels in the clear.
pub const TOKEN_S: i64 = 600;

/// How many missed notifications are looked up at a time: some 100 KiB.
const PAGE: u32 = 100;

/// How many users' marks one job of the writer sets.
const DELIVERED_MAX: usize = 200;
