//! What a handler wants done: plain values that the reactor carries out.
//!
//! A handler decides and never acts, so it needs no socket, thread or clock, and a test reads its
//! decisions off a list. The enum is open in its nouns ([`Vocabulary`]): the product and
//! `examples/echo.rs` fill in their own replies, events and jobs, and the reactor serves both.

use std::hash::Hash;
use std::net::SocketAddr;
use std::rc::Rc;

use super::key::Subscriber;

/// The clock, read once a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds since the reactor started; never goes back.
    pub mono_ms: u64,
    /// Milliseconds since 1970; may jump when somebody sets the clock.
    pub unix_ms: i64,
}

/// The nouns that a service gives to the effects.
pub trait Vocabulary: 'static {
    /// An answer to one call, before it is bytes.
    type Reply;
    /// What members hear about.
    type Topic: Clone + Eq + Hash;
    /// Something that happened, told to a topic.
    type Event;
    /// Work for a lane. It comes back with its result inside.
    type Job: Send;
    /// A question about the reactor itself, for monitoring.
    type Question;
}

/// One thing to be done, for the connection whose message is being handled unless it says otherwise.
pub enum Effect<V: Vocabulary> {
    /// Answer.
    Reply(V::Reply),
    /// Run this elsewhere, and come back with it. Refused when the lane is full.
    Submit(Lane, V::Job),
    /// The same, but no connection waits for it or answers for it.
    SubmitApart(Lane, V::Job),
    /// Tell everyone in the topic, in the order of publishing.
    Publish(V::Topic, V::Event),
    /// Join the session's topics once everything queued before has been written.
    Join,
    /// Become a member of one more topic here, in its place among what is told: of that, it hears
    /// what comes later. The session's topics must name it from now on, and must not have before.
    Enter(V::Topic),
    /// Stop being a member of a topic that was entered, in its place among what is told. The
    /// session's topics must not name it any more.
    Leave(V::Topic),
    /// End every connection that belongs to this topic, joined already or about to.
    Evict(V::Topic, CloseReason),
    /// Send a datagram. Dropped when too many wait in its socket.
    Datagram(Datagram),
    /// Make a member of the topic of somebody who is no connection. They join it once.
    Enlist(V::Topic, Subscriber),
    /// Somebody who is no connection, and was a member of this topic, has ended.
    Delist(V::Topic),
    /// Take somebody who is no connection out of this topic, at once: their number may be used again.
    Dismiss(V::Topic, Subscriber),
    /// Answer from what the reactor knows about itself.
    Inspect(V::Question),
    /// End this connection after everything queued before has been written.
    Close(CloseReason),
}

/// One datagram to be sent. Whoever is told the same shares its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// The socket that it leaves by: its place in the list the reactor was given.
    pub socket: u8,
    /// Where it goes.
    pub to: SocketAddr,
    /// What it says.
    pub bytes: Rc<[u8]>,
}

/// Which thread a call's work runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Answered from memory by the loop itself.
    Reactor,
    /// A pool of store readers.
    Read,
    /// The one writer: first in, first out, many jobs to a commit.
    Write,
    /// Work that takes long by nature: password hashes, large bodies.
    Slow,
    /// Requests to other people's servers, which take as long as those like.
    Outbound,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)?) => {
        /// Why a connection ended. Every one is counted under its reason.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum CloseReason { $($(#[$doc])* $variant),+ }

        impl CloseReason {
            /// Every reason, in order.
            pub const ALL: &'static [CloseReason] = &[$(CloseReason::$variant),+];

            /// Its name in metrics, `/connz` and logs.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

reasons! {
    /// The peer closed its side and everything was answered.
    PeerClosed = "peer_closed",
    /// The peer asked to end the session.
    Goodbye = "goodbye",
    /// The connection broke: reset, aborted, timed out by the kernel.
    PeerLost = "peer_lost",
    /// An HTTP answer was the last one by agreement.
    Finished = "finished",
    /// The bytes were not the protocol.
    ProtocolError = "protocol_error",
    /// A message was of a kind that has no meaning here.
    Unsupported = "unsupported",
    /// The credentials were not accepted.
    AuthFailed = "auth_failed",
    /// No credentials in time.
    AuthTimeout = "auth_timeout",
    /// Nothing arrived for too long.
    IdleTimeout = "idle_timeout",
    /// A message began and did not end in time.
    ReadTimeout = "read_timeout",
    /// A worker did not answer in time.
    JobTimeout = "job_timeout",
    /// The peer stopped reading.
    WriteTimeout = "write_timeout",
    /// The peer reads slower than it is told things.
    SlowConsumer = "slow_consumer",
    /// All connections together held too many bytes, and this one held the most.
    MemoryPressure = "memory_pressure",
    /// The server, the user or the address has too many connections.
    TooMany = "too_many_connections",
    /// The user's tokens were revoked.
    Revoked = "revoked",
    /// A handler panicked.
    Internal = "internal_error",
    /// The server is shutting down.
    Shutdown = "shutdown",
}
