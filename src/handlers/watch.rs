//! Streams: calls that are answered as long as something happens.
//!
//! A stream is a member of topics as a connection is, and its user counts it among their connections.
//! Who waits at its other end is another thread's; when they have left, the stream is noticed to be
//! over at the next event or within a second.

use slab::Slab;

use super::api::{ApiError, ErrorKind, Event, Topic};
use super::effect::{Effect, Lane};
use super::key::{Audience, Subscriber};
use super::remote::Remote;
use super::session::{MemberId, Session};
use super::{Access, Call, Ctx};
use crate::store::model::UserId;

/// Tells the caller of every change of progress that they may hear of.
pub const PROGRESS: Call<Watch> =
    Call { name: "progress.watch", access: Access::User, lane: Lane::Reactor, run: progress };

/// What to tell.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    /// Only the caller's own changes.
    pub own: bool,
}

/// The streams that are open.
#[derive(Debug, Default)]
pub struct Streams(Slab<Stream>);

/// One stream.
#[derive(Debug)]
pub struct Stream {
    /// Who listens.
    pub remote: Remote,
    member: MemberId,
    /// Whose changes alone it is told.
    only: Option<UserId>,
}

impl Streams {
    /// A stream by its number.
    pub fn get(&self, number: u32) -> Option<&Stream> {
        self.0.get(number as usize)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn numbers(&self, wanted: impl Fn(&Stream) -> bool) -> Vec<usize> {
        self.0.iter().filter(|(_, stream)| wanted(stream)).map(|(number, _)| number).collect()
    }
}

impl Stream {
    /// Whether it is told of an event.
    pub fn hears(&self, event: &Event) -> bool {
        match event {
            Event::Progress(event) => self.only.as_ref().is_none_or(|only| *only == event.user_id),
            Event::Notification(..) | Event::Chat(_) => false,
        }
    }
}

fn progress(args: Watch, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    let Some(remote) = ctx.origin.remote.clone() else { return Err(ApiError::invalid("not a stream")) };
    let most = ctx.state.settings.connections_per_user;
    let Some(member) = ctx.state.members.enter(&caller.id, &caller.username, caller.role, most) else {
        return Err(ApiError::new(ErrorKind::RateLimited, "Too many connections of this user"));
    };
    remote.0.admitted();
    let stream = Stream { remote, member, only: args.own.then_some(caller.id) };
    let subscriber = subscriber(ctx.state.streams.0.insert(stream));
    for topic in topics(member, ctx) {
        ctx.effects.push(Effect::Enlist(topic, subscriber));
    }
    Ok(())
}

/// Everybody's public changes if they are told at all, and the user's private ones.
fn topics(member: MemberId, ctx: &Ctx<'_>) -> impl Iterator<Item = Topic> + use<> {
    let everyone = ctx.state.settings.broadcast_all.then_some(Topic::Everyone);
    everyone.into_iter().chain([Topic::Member(member)])
}

/// Ends the streams of a user whose tokens were voided.
pub fn evict(member: MemberId, ctx: &mut Ctx<'_>) {
    for number in ctx.state.streams.numbers(|stream| stream.member == member) {
        if let Some(stream) = ctx.state.streams.get(number as u32) {
            stream.remote.0.answer(Err(super::auth::bad_token()));
        }
        close(number, ctx);
    }
}

/// Forgets the streams that nobody listens to any more.
pub fn sweep(ctx: &mut Ctx<'_>) {
    for number in ctx.state.streams.numbers(|stream| stream.remote.has_left()) {
        close(number, ctx);
    }
}

fn close(number: usize, ctx: &mut Ctx<'_>) {
    let Some(stream) = ctx.state.streams.0.try_remove(number) else { return };
    ctx.state.members.leave(stream.member, ctx.now.mono_ms);
    for topic in topics(stream.member, ctx) {
        ctx.effects.push(Effect::Dismiss(topic, subscriber(number)));
    }
}

fn subscriber(number: usize) -> Subscriber {
    Subscriber::new(Audience::Stream(number as u32))
}
