//! What the system does: a message and a session in, effects out.
//!
//! Handlers are pure. They decide from what is in memory ([`State`]) and the turn's clock, and leave
//! their decisions in [`Ctx`]; whatever can block is left as work for a lane, with what follows from
//! it. They know no wire: a route turns a message into a call's arguments, and its family turns the
//! reply into bytes.
//!
//! Suggested reading: `api` (what is said), `session` (who says it), this file (how it is decided),
//! then an area: `progress`, `library`, `manga`, `curation`, `opinions`, `auth` with `password`, `refresh` and `sync_auth`, `account`,
//! `chat` with `greet` and `names`, `friends`, `lists`, `stats`, `recommend`, `notices`, `leases`, `webhooks`,
//! `monitor`.

pub mod account;
pub mod api;
pub mod auth;
pub mod behalf;
pub mod calendar;
pub mod catalogue;
pub mod chat;
pub mod conflict;
pub mod curation;
pub mod documents;
pub mod effect;
pub mod encoded;
pub mod export;
pub mod friends;
pub mod goals;
pub mod greet;
pub mod hub;
pub mod key;
pub mod leases;
pub mod library;
pub mod lists;
pub mod manga;
pub mod monitor;
pub mod names;
pub mod neighbours;
pub mod notices;
pub mod opinions;
pub mod password;
pub mod progress;
pub mod rate;
pub mod recommend;
pub mod refresh;
pub mod remote;
pub mod scope;
pub mod session;
pub mod stats;
pub mod sync_auth;
pub mod text;
pub mod token;
pub mod watch;
pub mod webhooks;
pub mod work;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;

use api::{Answer, ApiError, ErrorKind, Event, Inquiry, Origin, Product, Reply, Topic, Via};
use catalogue::Catalogue;
use effect::{CloseReason, Effect, Lane, Now};
use key::ConnKey;
use rate::{Backoff, Bucket, Buckets, Rate};
use session::{Addresses, Member, Members, Session};
use token::{Keys, Revocations};
use work::Work;

use crate::store::model::{Behind, Role, UserId};
use crate::store::{Store, StoreError};

/// One thing that the system does. `A` is what it needs to be told.
pub struct Call<A> {
    /// Its name in logs and metrics.
    pub name: &'static str,
    /// Who may ask for it.
    pub access: Access,
    /// The lane that its work runs in; [`Lane::Reactor`] when it is answered from memory.
    pub lane: Lane,
    /// Decides. It may be run again for the same message if it has to wait for its turn, so it
    /// changes a session only together with a reply.
    pub run: fn(A, &mut Session, &mut Ctx<'_>) -> Result<(), ApiError>,
}

/// Who may make a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Public,
    /// Anyone too, and whoever shows a token is known by it; one that is no good is refused.
    Guest,
    /// Whoever has a good token.
    User,
    /// Whoever has a token whose role grants this scope; see [`scope`].
    Scope(&'static str),
    /// Whoever has an administrator's.
    Admin,
}

/// The user that a call is made for, once access has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Their id.
    pub id: UserId,
    /// Their name.
    pub username: Arc<str>,
    /// What they may do.
    pub role: Role,
}

/// What handlers decide from: everything that the loop keeps in memory.
pub struct State {
    /// How the operator wants things.
    pub settings: Settings,
    /// Every series.
    pub catalogue: Catalogue,
    /// Users with connections.
    pub members: Members,
    /// Connections by address.
    pub addresses: Addresses,
    /// From when each user's tokens count.
    pub revocations: Revocations,
    /// What tokens are signed with.
    pub keys: Keys,
    /// What those without a user send, by address.
    pub strangers: Buckets<IpAddr>,
    /// Failed logins by account and address.
    pub login_pauses: Backoff<(IpAddr, String)>,
    /// Failed logins by address.
    pub address_pauses: Backoff<IpAddr>,
    /// How often everyone is told something.
    pub broadcasts: Bucket,
    /// When everyone was last told something, in milliseconds of the turn's clock.
    pub broadcast_ms: u64,
    /// The store's version at the last look: it changes when another process writes.
    pub data_version: i64,
    /// Whether the writer could work when it was last looked at or written to: readers don't notice when
    /// it can't.
    pub writer_works: bool,
    /// What is left of users who were deleted.
    pub erasing: account::Erasing,
    /// Streams that are told what happens.
    pub streams: watch::Streams,
    /// What was counted by name.
    pub counts: monitor::Counts,
    /// Who is in which room of chat.
    pub rooms: chat::rooms::Rooms,
    /// When old chat was last forgotten.
    pub pruning: chat::retention::Pruning,
    /// Who likes what together.
    pub recommend: recommend::Board,
    /// What is on its way to webhooks.
    pub webhooks: webhooks::Board,
    /// Notifications on their way to those who listen.
    pub notices: notices::Board,
    /// Datagram addresses that want to hear of things.
    pub leases: leases::Leases,
    /// The server is on its way out.
    pub draining: bool,
    /// When the server started, in Unix milliseconds.
    pub started_ms: i64,
    random: ChaCha20Rng,
}

/// The operator's choices that handlers need.
#[derive(Debug, Clone)]
pub struct Settings {
    /// New users may register.
    pub registration: bool,
    /// bcrypt's cost.
    pub bcrypt_cost: u32,
    /// How long a token from the first family's login lives, in seconds.
    pub v1_token_s: i64,
    /// How long an access token from the second family's login lives, in seconds.
    pub v2_access_s: i64,
    /// How long a refresh token lives, in seconds.
    pub v2_refresh_s: i64,
    /// The longest life of any token but refresh tokens, in seconds.
    pub token_s_max: i64,
    /// Everyone hears of public progress; else only its user.
    pub broadcast_all: bool,
    /// How often everyone may be told something.
    pub broadcasts: Rate,
    /// How many messages a user may send, and an address on behalf of nobody.
    pub messages: Rate,
    /// Connections a user may have; 0 for any number.
    pub connections_per_user: u32,
    /// Connections an address may have; 0 for any number.
    pub connections_per_address: u32,
    /// Hosts that requests may name, beside loopback names and addresses.
    pub hosts: Vec<String>,
    /// Origins whose pages may read answers.
    pub cors_origins: Vec<String>,
    /// The token that the internal listener demands, if any.
    pub internal_token: Option<String>,
    /// How long notifications are kept, in milliseconds; 0 for ever.
    pub notices_keep_ms: i64,
    /// For how many days what is said in chat is kept; 0 for ever.
    pub chat_keep_days: u32,
    /// How often it is worked out what readers like together; 0 for never.
    pub recommend_interval_ms: u64,
    /// About webhooks.
    pub webhooks: webhooks::Settings,
    /// How long a client should wait before it comes back after a shutdown.
    pub reconnect_after_ms: u64,
    /// The longest line from a client that has authenticated.
    pub line_bytes_max: usize,
    /// The longest line before that.
    pub first_line_bytes_max: usize,
    /// Patience, in milliseconds: for the first message on v1 and v2, for the next on v2.
    pub auth_timeout_ms: (u32, u32),
    /// How long a v2 sync connection may be silent.
    pub v2_idle_ms: u32,
    /// How long an HTTP connection may be idle, take for a head, take for a body.
    pub http_timeouts_ms: (u32, u32, u32),
    /// The listeners through which people may chat under names that nobody vouches for.
    pub anonymous_chat: Vec<u8>,
    /// How long a WebSocket may be silent until it is asked, and until it is closed.
    pub ws_timeouts_ms: (u32, u32),
    /// The longest WebSocket message of a user, and of somebody without a token.
    pub ws_message_bytes_max: (usize, usize),
    /// v2 messages may share a write.
    pub v2_coalesce: bool,
    /// What datagram addresses may do.
    pub leases: leases::Wishes,
    /// What becomes of a change of progress that is behind what is stored.
    pub behind: Behind,
    /// Whoever speaks gRPC may change anybody's progress without a token.
    pub rpc_unauthenticated: bool,
}

impl State {
    /// Nothing known beyond the settings, the keys and the catalogue.
    pub fn new(settings: Settings, keys: Keys, catalogue: Catalogue, random: ChaCha20Rng, started_ms: i64) -> Self {
        Self {
            settings,
            catalogue,
            keys,
            members: Members::default(),
            addresses: Addresses::default(),
            revocations: Revocations::default(),
            strangers: Buckets::default(),
            login_pauses: Backoff::new(5, 30_000),
            // Many people can share an address, so it is slowed down and never shut out.
            address_pauses: Backoff::new(50, 1000),
            broadcasts: Bucket::default(),
            broadcast_ms: 0,
            data_version: 0,
            writer_works: true,
            erasing: account::Erasing::default(),
            streams: watch::Streams::default(),
            counts: monitor::Counts::default(),
            rooms: chat::rooms::Rooms::default(),
            pruning: chat::retention::Pruning::default(),
            recommend: recommend::Board::default(),
            webhooks: webhooks::Board::default(),
            notices: notices::Board::default(),
            leases: leases::Leases::default(),
            draining: false,
            started_ms,
            random,
        }
    }

    /// Notes what a write says about the writer. Other errors are about the write, or pass by themselves.
    fn hear_writer(&mut self, error: Option<&StoreError>) {
        match error {
            None => self.writer_works = true,
            Some(StoreError::Unavailable) => self.writer_works = false,
            Some(_) => {}
        }
    }

    /// An id like no other.
    pub fn fresh_id(&mut self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes(self.random_bytes()).into_uuid()
    }

    /// Bytes that nobody can guess.
    pub fn random_bytes<const COUNT: usize>(&mut self) -> [u8; COUNT] {
        let mut bytes = [0; COUNT];
        self.random.fill_bytes(&mut bytes);
        bytes
    }
}

/// What a handler works with while it decides about one message.
pub struct Ctx<'a> {
    /// The turn's time.
    pub now: Now,
    /// All that is in memory.
    pub state: &'a mut State,
    /// Where the message came from.
    pub peer: SocketAddr,
    /// Which call this is.
    pub origin: Origin,
    /// The device that the message names, beside the session's.
    pub device: Option<String>,
    /// Who the caller is, once access has been checked.
    pub caller: Option<Caller>,
    /// What shall be done.
    pub effects: &'a mut Vec<Effect<Product>>,
}

impl Ctx<'_> {
    /// Answers.
    pub fn reply(&mut self, reply: Reply) {
        self.effects.push(Effect::Reply(Answer { origin: self.origin.clone(), outcome: Ok(reply) }));
    }

    /// Refuses.
    pub fn refuse(&mut self, error: ApiError) {
        self.effects.push(Effect::Reply(Answer { origin: self.origin.clone(), outcome: Err(error) }));
    }

    /// Notes who makes the call.
    pub fn set_caller(&mut self, caller: Option<Caller>) {
        self.origin.user = caller.as_ref().map(|caller| caller.username.clone());
        self.caller = caller;
    }

    /// Runs `work` in a lane, then `then` on the loop with what came of it. An error that `then`
    /// returns is the answer. The writer may run `work` again (see [`Job::run`](crate::store::Job::run)).
    pub fn run<T: Send + 'static>(
        &mut self,
        lane: Lane,
        work: impl Fn(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
        then: impl FnOnce(Result<T, StoreError>, &mut Session, &mut Ctx<'_>) -> Result<(), ApiError> + Send + 'static,
    ) {
        self.run_with(
            lane,
            (),
            move |(), store| work(store),
            move |(), result, session, ctx| then(result, session, ctx),
        );
    }

    /// The same with something that `work` looks at and `then` is given back.
    pub fn run_with<A: Send + 'static, T: Send + 'static>(
        &mut self,
        lane: Lane,
        args: A,
        work: impl Fn(&A, &mut dyn Store) -> Result<T, StoreError> + Send + 'static,
        then: impl FnOnce(A, Result<T, StoreError>, &mut Session, &mut Ctx<'_>) -> Result<(), ApiError> + Send + 'static,
    ) {
        let then = move |args: A, result: Result<T, StoreError>, session: &mut Session, ctx: &mut Ctx<'_>| {
            if lane == Lane::Write {
                ctx.state.hear_writer(result.as_ref().err());
            }
            then(args, result, session, ctx)
        };
        self.effects.push(Effect::Submit(lane, Work::with(self.origin.clone(), args, work, then)));
    }

    /// Runs `work` in a lane and then `then` on the loop, on behalf of nobody: no connection waits for it, and
    /// none answers for it.
    pub fn run_apart<T: Send + 'static>(
        &mut self,
        lane: Lane,
        work: impl Fn(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
        then: impl FnOnce(Result<T, StoreError>, &mut Ctx<'_>) + Send + 'static,
    ) {
        let origin =
            Origin { via: Via::NONE, conn: ConnKey::NOBODY, since_ms: self.now.mono_ms, user: None, remote: None };
        let job = Work::new(origin, work, move |result, _, ctx| {
            then(result, ctx);
            Ok(())
        });
        self.effects.push(Effect::SubmitApart(lane, job));
    }

    /// Tells a topic.
    pub fn publish(&mut self, topic: Topic, event: Event) {
        self.effects.push(Effect::Publish(topic, event));
    }

    /// Joins the session's topics once the answer is written.
    pub fn join(&mut self) {
        self.effects.push(Effect::Join);
    }

    /// Joins one more topic: of what is told, it hears what comes after this.
    pub fn enter(&mut self, topic: Topic) {
        self.effects.push(Effect::Enter(topic));
    }

    /// Leaves a topic that was entered.
    pub fn leave(&mut self, topic: Topic) {
        self.effects.push(Effect::Leave(topic));
    }

    /// Closes the connection once the answer is written.
    pub fn close(&mut self, reason: CloseReason) {
        self.effects.push(Effect::Close(reason));
    }

    /// Answers from what the reactor knows about itself.
    pub fn inquire(&mut self, inquiry: Inquiry) {
        self.effects.push(Effect::Inspect(inquiry));
    }

    /// Voids every token of a user issued before now, in memory: their sessions end at once.
    pub fn revoke(&mut self, user: &UserId, valid_from: i64) {
        self.state.revocations.revoke(user.clone(), valid_from);
        if let Some(member) = self.state.members.find(user) {
            self.effects.push(Effect::Evict(Topic::Member(member), CloseReason::Revoked));
            watch::evict(member, self);
        }
        leases::revoke(user, self);
    }

    /// The turn's time in Unix seconds.
    pub fn now_s(&self) -> i64 {
        self.now.unix_ms.div_euclid(1000)
    }

    /// The user that this call is made for. Access was checked before the call, so it is there; if
    /// a route forgot to, the answer is to log in.
    pub fn caller(&self) -> Result<Caller, ApiError> {
        self.caller.clone().ok_or_else(|| ApiError::new(ErrorKind::Unauthorized, "Authentication required"))
    }
}

/// The caller that a member is.
impl From<&Member> for Caller {
    fn from(member: &Member) -> Self {
        Self { id: member.id.clone(), username: member.username.clone(), role: member.role }
    }
}
