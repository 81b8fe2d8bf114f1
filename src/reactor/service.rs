//! What runs on the reactor: the seam between moving bytes and knowing what they mean.
//!
//! The reactor owns sockets, buffers, time and threads; a [`Service`] owns meaning. Each method is
//! called by exactly one phase of the turn, gets plain values, and leaves its wishes in
//! [`Io::effects`]. None may block: whatever can goes to a lane as a job.

use std::net::SocketAddr;

use smallvec::SmallVec;

use super::post::Post;
use super::stats::View;
pub use crate::handlers::effect::Now;
use crate::handlers::effect::{CloseReason, Effect, Lane, Vocabulary};
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

/// What becomes of a connection whose peer was waited for in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// It is closed once everything queued has been written.
    Close(CloseReason),
    /// It is asked once more: how long from here on is [`Service::patience`]'s to say.
    GoOn,
}

/// The meaning of the bytes: the product and `examples/echo.rs` each implement it.
///
/// Three methods have to be written. The rest have the answers of a service that has no jobs, no
/// topics and no questions, waits for ever, and says nothing when it ends a connection; one that
/// uses more of the reactor replaces those that its part is about.
pub trait Service: Sized {
    /// The nouns of its effects: itself, or a type that its handlers share.
    type Words: Vocabulary;
    /// What is remembered about who a connection is. Small: one is held for each.
    type Session;

    // ---- a connection and its messages

    /// Someone connected: which wire do they speak, and who are they so far? One who can't stay is
    /// told why (a reply) and closed (an effect).
    fn open(&mut self, io: &mut Io<'_, Self>) -> (Wire, Self::Session);

    /// A message arrived whole.
    fn handle(&mut self, message: Incoming<'_>, session: &mut Self::Session, io: &mut Io<'_, Self>) -> Flow;

    /// Puts an answer into bytes, or says which job it still needs; what follows from that job then
    /// answers.
    fn write_reply(
        &mut self,
        reply: ReplyOf<Self>,
        wire: &mut Wire,
        session: &Self::Session,
        now: Now,
        out: &mut Vec<u8>,
    ) -> Written<JobOf<Self>>;

    /// The longest message this connection may send now, in bytes; longer ones are skipped.
    /// It bounds lines. HTTP has limits of its own, and raw bytes have no messages.
    fn message_bytes_max(&self, _session: &Self::Session) -> usize {
        LINE_BYTES_MAX
    }

    /// The step the peer owes, given what the wire is in the middle of. By default it may take
    /// for ever.
    fn patience(&self, _wire: &Wire, _phase: Phase, _session: &Self::Session) -> Patience {
        Patience::ENDLESS
    }

    /// The [`Patience`] of this kind ended, or jobs took too long ([`JOBS`](super::JOBS)): say so, or
    /// ask whether the peer is still there. By default nothing is said, and the connection is closed.
    fn expired(&mut self, kind: u8, _session: &mut Self::Session, _io: &mut Io<'_, Self>) -> Expired {
        Expired::Close(if kind == super::JOBS { CloseReason::JobTimeout } else { CloseReason::IdleTimeout })
    }

    /// The bytes were not the protocol: answer if it makes sense. The connection is then closed.
    fn broken(&mut self, _error: &ProtoError, _session: &mut Self::Session, _io: &mut Io<'_, Self>) {}

    /// A method panicked on behalf of this connection: answer that it was our fault. The connection
    /// is then closed, which is all that happens by default.
    fn panicked(&mut self, _session: Option<&mut Self::Session>, _io: &mut Io<'_, Self>) {}

    /// A connection is gone. Its session can give back what it held.
    fn closed(&mut self, _session: &mut Self::Session, _io: &mut Io<'_, Self>) {}

    /// The connection speaks another protocol from here on ([`Written::Upgrade`]); the answer that
    /// says so is on its way. By default there is nothing to add.
    fn upgraded(&mut self, _session: &mut Self::Session, _io: &mut Io<'_, Self>) {}

    // ---- jobs: for a service that submits any

    /// A job came back. `session` is `None` when the connection has ended: then nothing can be
    /// answered, but what was stored is stored and others must hear of it. By default its result is
    /// of no interest.
    fn finish(&mut self, _job: JobOf<Self>, _session: Option<&mut Self::Session>, _io: &mut Io<'_, Self>) {}

    /// A lane had no room for this job: answer that the server is busy. By default the connection
    /// is closed, since it would wait for an answer that never comes.
    fn busy(&mut self, _job: JobOf<Self>, _session: Option<&mut Self::Session>, io: &mut Io<'_, Self>) {
        io.effects.push(Effect::Close(CloseReason::Internal));
    }

    // ---- calls from other threads: for a service that has clients which are no connections

    /// A call came from another thread, as a job that is done: what follows from it is the call. By
    /// default nothing does.
    fn begin(&mut self, _call: JobOf<Self>, _io: &mut Io<'_, Self>) {}

    /// An answer that is for no connection, or for one that has ended. By default nobody hears it.
    fn answer(&mut self, _reply: ReplyOf<Self>, _now: Now) {}

    /// Whether another thread still serves clients of this service: a drain waits for them. By default none
    /// does.
    fn serves_elsewhere(&self) -> bool {
        false
    }

    /// Everything of this turn has been answered and told: what is for other threads may go to them.
    fn hand_over(&mut self) {}

    // ---- topics: for a service that publishes events

    /// The topics that a joined connection is a member of.
    fn topics(&self, _session: &Self::Session) -> SmallVec<[TopicOf<Self>; 2]> {
        SmallVec::new()
    }

    /// Whether this topic may be published to now; `Err` says in how many milliseconds.
    fn may_publish(&mut self, _topic: &TopicOf<Self>, _now: Now) -> Result<(), u32> {
        Ok(())
    }

    /// Which of at most [`KINDS`] encodings of an event this session reads.
    fn kind(&self, _session: &Self::Session) -> usize {
        0
    }

    /// Whether messages to this kind may share one write.
    fn joins(&self, _kind: usize) -> bool {
        true
    }

    /// Puts an event into bytes for one kind.
    fn write_event(&mut self, _event: &EventOf<Self>, _kind: usize, _out: &mut Vec<u8>) {}

    /// Hands an event to all members of its topic that are no connections, and puts the datagrams that
    /// tell some of them into `post`.
    fn deliver(
        &mut self,
        _to: &mut dyn Iterator<Item = Audience>,
        _event: &EventOf<Self>,
        _now: Now,
        _post: &mut Post,
    ) {
    }

    /// Whether a member that is no connection is still there.
    fn is_member(&self, _member: Audience) -> bool {
        true
    }

    // ---- datagrams: for a service that has sockets of them

    /// A datagram arrived at the socket with this place in the list. One that is longer than
    /// [`DATAGRAM_BYTES_MAX`](super::datagrams::DATAGRAM_BYTES_MAX) has been cut, to one byte more.
    fn datagram(&mut self, _socket: ListenerIndex, _bytes: &[u8], _io: &mut Io<'_, Self>) {}

    /// Once a turn, and after each tick: puts what is due to be sent into `post`, as far as it has room.
    fn fill(&mut self, _post: &mut Post, _io: &mut Io<'_, Self>) {}

    // ---- the server: its time, its end, and what it says about itself

    /// About once a second.
    fn tick(&mut self, _io: &mut Io<'_, Self>) {}

    /// The server begins to drain: answers are the last ones from now on.
    fn drain(&mut self, _io: &mut Io<'_, Self>) {}

    /// Called for every connection after [`drain`](Self::drain): say goodbye. `idle` when it is
    /// between messages and nothing is outstanding.
    fn farewell(&mut self, _session: &mut Self::Session, _idle: bool, _io: &mut Io<'_, Self>) -> Farewell {
        Farewell::Close
    }

    /// Answers a question about the reactor.
    ///
    /// # Panics
    /// By default: only the service itself asks, with [`Effect::Inspect`], and one that asks answers.
    fn inspect(&self, _question: QuestionOf<Self>, _view: &View<'_>) -> ReplyOf<Self> {
        unreachable!("a service that asks about the reactor implements `inspect`")
    }

    /// The name of a session for monitoring and logs: protocol and user.
    fn describe(&self, _session: &Self::Session) -> (&'static str, Option<String>) {
        ("service", None)
    }
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
pub const KINDS: usize = 5;

/// What became of an answer.
pub enum Written<J> {
    /// It is in bytes, and more may follow.
    Open,
    /// It is in bytes, and the connection's last: close after it has been sent.
    Last,
    /// It is in bytes, and from here on the connection speaks another protocol. What has already
    /// arrived behind the request belongs to that, and [`Service::upgraded`] is called.
    Upgrade(Wire),
    /// Nothing is in bytes yet. This job makes the answer ready; it comes back as every job does. The
    /// connection has one more job outstanding meanwhile, so nothing overtakes it.
    Later(Lane, J),
}

/// The longest line of a service that does not say: plenty for a message, little to hold.
pub const LINE_BYTES_MAX: usize = 64 << 10;
