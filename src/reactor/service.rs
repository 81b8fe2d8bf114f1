//! What runs on the reactor: the seam between moving bytes and knowing what they mean.
//!
//! The reactor owns sockets, buffers, time and threads; a [`Service`] owns meaning. Each method is
//! called by exactly one phase of the turn, gets plain values, and leaves its wishes in
//! [`Io::effects`]. None may block: whatever can goes to a lane as a job.

use std::net::SocketAddr;

use smallvec::SmallVec;

use super::stats::View;
pub use crate::handlers::effect::Now;
use crate::handlers::effect::{CloseReason, Effect, Vocabulary};
use crate::handlers::key::{Audience, ConnKey};
use crate::proto::{Incoming, Phase, ProtoError, Wire};

/// Which listener a connection came through: the place in the list the reactor was given.
pub type ListenerIndex = u8;

/// What a service method may see and say.
pub struct Io<'a, S: Service> {
    /// This turn's time.
    pub now: Now,
    /// The connection, or what it was if it has ended meanwhile.
    pub key: ConnKey,
    /// Its remote address.
    pub peer: SocketAddr,
    /// The listener it came through.
    pub listener: ListenerIndex,
    /// How many of its jobs have not been answered yet.
    pub jobs: u16,
    /// Whether there is room for no more connections: whoever opens now must be refused.
    pub full: bool,
    /// What shall be done, in this order.
    pub effects: &'a mut Vec<Effect<S::Words>>,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It was handled; the next one may come.
    Handled,
    /// It must not overtake the connection's outstanding jobs. It stays in the buffer, nothing more
    /// is read, and it is shown again when they have been answered. No effect may have been left.
    Wait,
}

/// How long the reactor waits for a peer's next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Which step. A change of kind starts a new wait; 0 is "for ever".
    pub kind: u8,
    /// From its start, in milliseconds.
    pub ms: u32,
    /// Whether every byte received starts the wait anew.
    pub renewed_by_bytes: bool,
}

impl Patience {
    /// Wait for ever.
    pub const ENDLESS: Patience = Patience { kind: 0, ms: 0, renewed_by_bytes: false };
}

/// The meaning of the bytes: the product and `examples/echo.rs` each implement it.
pub trait Service: Sized {
    /// The nouns of its effects: itself, or a type that its handlers share.
    type Words: Vocabulary;
    /// What is remembered about who a connection is. Small: one is held for each.
    type Session;

    /// Someone connected: which wire do they speak, and who are they so far? One who can't stay is
    /// told why (a reply) and closed (an effect).
    fn open(&mut self, io: &mut Io<'_, Self>) -> (Wire, Self::Session);

    /// A message arrived whole.
    fn handle(&mut self, message: Incoming<'_>, session: &mut Self::Session, io: &mut Io<'_, Self>) -> Flow;

    /// A job came back. `session` is `None` when the connection has ended: then nothing can be
    /// answered, but what was stored is stored and others must hear of it.
    fn finish(&mut self, job: JobOf<Self>, session: Option<&mut Self::Session>, io: &mut Io<'_, Self>);

    /// A lane had no room for this job: answer that the server is busy.
    fn busy(&mut self, job: JobOf<Self>, session: &mut Self::Session, io: &mut Io<'_, Self>);

    /// The bytes were not the protocol: answer if it makes sense. The connection is then closed.
    fn broken(&mut self, error: &ProtoError, session: &mut Self::Session, io: &mut Io<'_, Self>);

    /// A method above panicked on behalf of this connection: answer that it was our fault. The
    /// connection is then closed.
    fn panicked(&mut self, session: Option<&mut Self::Session>, io: &mut Io<'_, Self>);

    /// The [`Patience`] of this kind ended: say so. The connection is then closed with the reason.
    fn expired(&mut self, kind: u8, session: &mut Self::Session, io: &mut Io<'_, Self>) -> CloseReason;

    /// The server begins to drain: answers are the last ones from now on.
    fn drain(&mut self);

    /// Called for every connection after [`drain`](Self::drain): say goodbye. `idle` when it is
    /// between messages and nothing is outstanding.
    fn farewell(&mut self, session: &mut Self::Session, idle: bool, io: &mut Io<'_, Self>) -> Farewell;

    /// A connection is gone. Its session can give back what it held.
    fn closed(&mut self, session: &mut Self::Session, io: &mut Io<'_, Self>);

    /// About once a second.
    fn tick(&mut self, io: &mut Io<'_, Self>);

    /// The step the peer owes, given what the wire is in the middle of.
    fn patience(&self, wire: &Wire, phase: Phase, session: &Self::Session) -> Patience;

    /// The longest message this connection may send now, in bytes; longer ones are skipped.
    fn message_bytes_max(&self, session: &Self::Session) -> usize;

    /// The topics that a joined connection is a member of.
    fn topics(&self, session: &Self::Session) -> SmallVec<[TopicOf<Self>; 2]>;

    /// Whether this topic may be published to now; `Err` says in how many milliseconds.
    fn may_publish(&mut self, topic: &TopicOf<Self>, now: Now) -> Result<(), u32>;

    /// Puts an answer into bytes. Returns whether it is the connection's last.
    fn write_reply(
        &mut self,
        reply: ReplyOf<Self>,
        wire: &mut Wire,
        session: &Self::Session,
        now: Now,
        out: &mut Vec<u8>,
    ) -> Last;

    /// Which of at most [`KINDS`] encodings of an event this session reads.
    fn kind(&self, session: &Self::Session) -> usize;

    /// Whether messages to this kind may share one write.
    fn joins(&self, kind: usize) -> bool;

    /// Puts an event into bytes for one kind.
    fn write_event(&mut self, event: &EventOf<Self>, kind: usize, out: &mut Vec<u8>);

    /// Hands an event to a member that is not a connection.
    fn deliver(&mut self, to: Audience, event: &EventOf<Self>);

    /// Answers a question about the reactor.
    fn inspect(&self, question: QuestionOf<Self>, view: &View<'_>) -> ReplyOf<Self>;

    /// The name of a session for `/connz`: protocol and user.
    fn describe(&self, session: &Self::Session) -> (&'static str, Option<String>);
}

/// A service's jobs.
pub type JobOf<S> = <<S as Service>::Words as Vocabulary>::Job;
/// A service's topics.
pub type TopicOf<S> = <<S as Service>::Words as Vocabulary>::Topic;
/// A service's events.
pub type EventOf<S> = <<S as Service>::Words as Vocabulary>::Event;
/// A service's replies.
pub type ReplyOf<S> = <<S as Service>::Words as Vocabulary>::Reply;
/// A service's questions about the reactor.
pub type QuestionOf<S> = <<S as Service>::Words as Vocabulary>::Question;

/// How a connection ends when the server drains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// It takes no new message, and closes when its jobs are answered and everything is written.
    Close,
    /// It may finish the message it has begun; the answer is its last.
    AfterReply,
    /// It stays until the end, to watch.
    Stay,
}

/// How many encodings of one event there can be at a time.
pub const KINDS: usize = 4;

/// Whether an answer ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// More may follow.
    No,
    /// Close after it has been written.
    Yes,
}
