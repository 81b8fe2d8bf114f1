//! Streams: calls that are answered as long as something happens.
//!
//! A stream is a member of topics as a connection is, and its user counts it among their connections.
//! Who waits at its other end is another thread's; when they have left, the stream is noticed to be
//! over at the next event or within a second. Here is what all streams have in common, and the stream of
//! progress; [`notices`] and [`chat`] are the other two.

pub mod chat;
pub mod notices;

use bytes::Bytes;
use slab::Slab;

use super::api::{ApiError, ErrorKind, Event, Topic};
use super::chat::Event as Said;
use super::chat::listen;
use super::chat::rooms::RoomId;
use super::effect::{Effect, Lane};
use super::key::{Audience, Subscriber};
use super::remote::Remote;
use super::session::{MemberId, Session};
use super::{Access, Call, Caller, Ctx, State};
use crate::store::model::{MessageId, NoticeId, UserId};

/// Tells the caller of every change of progress that they may hear of.
pub const PROGRESS: Call<Watch> =
    Call { name: "progress.watch", access: Access::User, lane: Lane::Reactor, run: progress };

/// What to tell.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    /// Only the caller's own changes.
    pub own: bool,
}

/// Puts an event into a stream's message: its wire knows how.
pub type Show = fn(&Event) -> Option<Bytes>;

/// The streams that are open.
#[derive(Debug, Default)]
pub struct Streams(Slab<Stream>);

/// One stream.
#[derive(Debug)]
pub struct Stream {
    /// Who listens.
    pub remote: Remote,
    member: MemberId,
    ear: Ear,
}

/// What a stream listens to.
#[derive(Debug)]
enum Ear {
    /// Changes of progress, and whose alone.
    Progress(Option<UserId>),
    /// What is for its user, and newer than this, up to which it was told when it began.
    Notices(NoticeId),
    /// What happens in a room.
    Room {
        id: RoomId,
        /// It was told what was said up to this when it began.
        after: MessageId,
    },
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
        match (&self.ear, event) {
            (Ear::Progress(only), Event::Progress(event)) => only.as_ref().is_none_or(|only| *only == event.user_id),
            (Ear::Notices(after), Event::Notification(told, _)) => told.id > *after,
            (Ear::Room { after, .. }, Event::Chat(event)) => match &**event {
                Said::Said(message, _) => message.id > *after,
                _ => true,
            },
            _ => false,
        }
    }
}

impl Ear {
    /// The topics that tell of it.
    fn topics(&self, member: MemberId, state: &State) -> impl Iterator<Item = Topic> + use<> {
        let topics = match self {
            // Everybody's public changes if they are told at all, and the user's private ones.
            Self::Progress(_) => [state.settings.broadcast_all.then_some(Topic::Everyone), Some(Topic::Member(member))],
            Self::Notices(_) => [Some(Topic::Notices(member)), None],
            Self::Room { id, .. } => [Some(Topic::Room(*id)), None],
        };
        topics.into_iter().flatten()
    }
}

fn progress(args: Watch, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    let remote = listener(ctx)?;
    let member = admit(&caller, ctx)?;
    open(Stream { remote, member, ear: Ear::Progress(args.own.then_some(caller.id)) }, [], ctx);
    Ok(())
}

/// Who listens.
fn listener(ctx: &Ctx<'_>) -> Result<Remote, ApiError> {
    ctx.origin.remote.clone().ok_or_else(|| ApiError::invalid("not a stream"))
}

/// Counts a stream among its user's connections.
fn admit(caller: &Caller, ctx: &mut Ctx<'_>) -> Result<MemberId, ApiError> {
    let most = ctx.state.settings.connections_per_user;
    let member = ctx.state.members.enter(&caller.id, &caller.username, caller.role, most);
    member.ok_or_else(|| ApiError::new(ErrorKind::RateLimited, "Too many connections of this user"))
}

/// Tells it what it is to hear first; from now on it hears what happens.
fn open(stream: Stream, first: impl IntoIterator<Item = Bytes>, ctx: &mut Ctx<'_>) {
    stream.remote.0.admitted();
    for message in first {
        stream.remote.0.tell(message);
    }
    let topics = stream.ear.topics(stream.member, ctx.state);
    let subscriber = subscriber(ctx.state.streams.0.insert(stream));
    ctx.effects.extend(topics.map(|topic| Effect::Enlist(topic, subscriber)));
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
    let topics = stream.ear.topics(stream.member, ctx.state);
    ctx.effects.extend(topics.map(|topic| Effect::Dismiss(topic, subscriber(number))));
    match stream.ear {
        Ear::Progress(_) => {}
        Ear::Notices(_) => ctx.state.notices.listeners.leave(stream.member),
        Ear::Room { id, .. } => listen::leave(id, stream.member, ctx),
    }
    ctx.state.members.leave(stream.member, ctx.now.mono_ms);
}

fn subscriber(number: usize) -> Subscriber {
    Subscriber::new(Audience::Stream(number as u32))
}
