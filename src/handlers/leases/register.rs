//! How a lease begins, changes hands and ends.
//!
//! A token decides whose it is; without one it is nobody's, and displaces nobody but others of its own host.

use smallvec::{SmallVec, smallvec};

use super::standing::Standing;
use super::{Answer, Holder, Lease, Outbox, Place, Register, missed};
use crate::handlers::api::{ApiError, ErrorKind, Topic};
use crate::handlers::effect::{Effect, Lane};
use crate::handlers::key::LeaseKey;
use crate::handlers::{Caller, Ctx, auth};
use crate::store::model::UserId;

/// An address registers, anew or for the first time.
pub(super) fn register(wish: Register, place: Place, bytes: usize, ctx: &mut Ctx<'_>) -> Result<Answer, ApiError> {
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
            make_room(caller.as_ref(), place, ctx)?;
            let key = replace(known, caller.as_ref(), place, bytes, &wish, ctx);
            set(Some(key), &wish, ctx);
        }
    }
    if caller.is_none() && before.is_none() {
        believe(&wish, place, ctx);
    }
    let registry = &ctx.state.leases.registry;
    let lease = registry.find(place).and_then(|key| registry.get(key));
    Ok(Answer::Registered(wish.client_id, lease.and_then(|lease| lease.standing.secret())))
}

/// Ends whoever is in the way of one more.
fn make_room(caller: Option<&Caller>, place: Place, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let bounds = &ctx.state.settings.leases.bounds;
    let in_the_way = ctx.state.leases.registry.in_the_way(caller.map(|caller| &caller.id), place, bounds);
    let full = |_| ApiError::new(ErrorKind::Unavailable, "The server is full, please try again later");
    if let Some(key) = in_the_way.map_err(full)? {
        end(key, ctx);
    }
    Ok(())
}

/// A new lease instead of the one that the place has, which leaves what it has shown of where it is.
fn replace(
    known: Option<LeaseKey>,
    caller: Option<&Caller>,
    place: Place,
    bytes: usize,
    wish: &Register,
    ctx: &mut Ctx<'_>,
) -> LeaseKey {
    let before = known.and_then(|known| end(known, ctx));
    let secret = u64::from_le_bytes(ctx.state.random_bytes());
    let standing = before.unwrap_or_else(|| Standing::new(place.address.ip(), bytes, secret));
    let holder = caller.map(|caller| {
        let member = ctx.state.members.hold(&caller.id, &caller.username, caller.role);
        ctx.state.notices.listeners.enter(member);
        Holder { user: caller.id.clone(), member, progress: wish.progress }
    });
    let now_ms = ctx.now.mono_ms;
    let key = ctx.state.leases.registry.add(place, holder, standing, &ctx.state.settings.leases.bounds, now_ms);
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
    missed::ask_all(ctx);
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

/// A lease ends: nothing is sent to it any more. Tells what it has shown of where it is.
pub(super) fn end(key: LeaseKey, ctx: &mut Ctx<'_>) -> Option<Standing> {
    let lease = ctx.state.leases.registry.remove(key)?;
    let topics = topics(&lease, ctx);
    ctx.effects.extend(topics.into_iter().map(Effect::Delist));
    if let Some(holder) = lease.holder {
        ctx.state.notices.listeners.leave(holder.member);
        ctx.state.members.release(holder.member, ctx.now.mono_ms);
    }
    Some(lease.standing)
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
