//! The vocabulary of the product: what is asked, answered, refused and told, on no wire in particular.
//!
//! Each family puts a [`Reply`] or an [`Event`] into its own shape; each wire puts an [`ApiError`]
//! into its own code, by the one table here.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::chat::rooms::RoomId;
use super::conflict::Conflict;
use super::effect::Vocabulary;
use super::encoded::Encoded;
use super::key::ConnKey;
use super::monitor::Parts;
use super::recommend::Recommendation;
use super::remote::Remote;
use super::session::MemberId;
use super::work::Work;
use super::{chat, friends, goals, lists, manga, notices, opinions, progress, refresh, stats, webhooks};
use crate::store::StoreError;
use crate::store::model::{
    Chapter, HistoryEntry, Manga, MangaId, Notification, Page, Progress, Protocols, Publication, ReadingStatus, Role,
    UnixMillis, User, UserId, Window,
};

/// The product's nouns for the reactor.
pub struct Product;

impl Vocabulary for Product {
    type Reply = Answer;
    type Topic = Topic;
    type Event = Event;
    type Job = Work;
    type Question = Inquiry;
}

/// Which route a call came by, and so how its answer is put: an index into the table of routes.
/// Handlers carry it and don't look inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Via(pub u16);

impl Via {
    /// No route: what came was not understood so far. Answers have the first family's shape.
    pub const NONE: Via = Via(u16::MAX);
    /// The same, on a path of the second family.
    pub const NONE_V2: Via = Via(u16::MAX - 1);
}

/// Where a call came from: what its answer and its line in the log need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The route.
    pub via: Via,
    /// The connection.
    pub conn: ConnKey,
    /// When it arrived, in milliseconds of the turn's clock.
    pub since_ms: u64,
    /// Who makes it, once that is known.
    pub user: Option<Arc<str>>,
    /// Who waits for its answer, when that is no connection of the loop.
    pub remote: Option<Remote>,
}

impl Origin {
    /// Whether nobody waits for the answer any more, and what has not begun need not begin.
    pub fn is_abandoned(&self) -> bool {
        self.remote.as_ref().is_some_and(Remote::has_left)
    }
}

/// An answer to a call.
#[derive(Debug)]
pub struct Answer {
    /// Which call.
    pub origin: Origin,
    /// What to say.
    pub outcome: Result<Reply, ApiError>,
}

/// What a call answers.
#[derive(Debug)]
pub enum Reply {
    /// Done, and nothing to add.
    Done(&'static str),
    /// Something was made.
    Created(&'static str),
    /// A new user, with a token to begin with.
    Registered(Box<User>, String),
    /// A token for a user.
    LoggedIn(Box<User>, String),
    /// A token for registering datagram addresses, and its life in seconds.
    DatagramToken {
        /// The token.
        token: String,
        /// How long it lives.
        expires_in_s: i64,
    },
    /// A user's own account.
    Account(Box<User>),
    /// What the second family's logins answer.
    Tokens(refresh::Reply),
    /// Everything of a user's, already in its shape.
    Export(Vec<u8>),
    /// Part of the catalogue.
    MangaList(Page<Manga>, Window),
    /// One series, already in its shape and shared with whoever asked before.
    MangaDetail(Arc<Encoded>),
    /// What else is said of the catalogue.
    Catalogue(manga::Reply),
    /// A library.
    Library(Page<(Progress, Manga)>),
    /// One row of progress.
    Progress(Box<Progress>, Arc<Series>),
    /// Many rows of progress; the series of each is `None` if it left the catalogue.
    ProgressList(Page<(Progress, Option<Arc<Series>>)>, Window),
    /// A row of progress is forgotten.
    ProgressDeleted(Arc<Series>),
    /// A row of progress, or its place in the library, has changed.
    Changed(progress::Changed),
    /// A reading history.
    History(Vec<(HistoryEntry, Option<Arc<Series>>)>),
    /// About ratings, comments and reviews.
    Opinion(opinions::Reply),
    /// About friends.
    Friends(friends::Reply),
    /// About lists.
    Lists(lists::Reply),
    /// About what a reader's history adds up to.
    Stats(stats::Reply),
    /// About chat.
    Chat(chat::Reply),
    /// About goals.
    Goals(goals::Reply),
    /// About webhooks.
    Webhooks(webhooks::Reply),
    /// About notifications.
    Notices(notices::Reply),
    /// What to read next.
    Recommendations(Vec<Recommendation>),
    /// A session has begun.
    Welcome {
        /// Names this connection to its client.
        session_id: uuid::Uuid,
        /// Whose session it is.
        user_id: UserId,
        /// Their name.
        username: Arc<str>,
    },
    /// The answer to a ping, with the client's own time as it was sent.
    Pong(Option<Box<RawValue>>),
    /// How busy the sync service is.
    SyncStats {
        /// Authenticated connections.
        clients: usize,
        /// Distinct users among them.
        users: usize,
        /// Events that wait to be told.
        waiting: usize,
    },
    /// Whether the server is well, and whether it is on its way out.
    Health {
        /// It takes no new connections.
        draining: bool,
        /// The store answers.
        store: bool,
    },
    /// How each part of the server is.
    Parts(Parts),
    /// A page for an operator.
    Page(&'static str, Vec<u8>),
    /// A document about the program itself.
    Document(Document),
    /// An answer that is in its shape already, and comes back from being made smaller.
    Packed(Box<Packed>),
    /// Goodbye to a session, with the pause before its client should come back.
    Notice {
        /// What to tell.
        message: &'static str,
        /// In milliseconds.
        reconnect_after_ms: u64,
    },
    /// A WebSocket from here on; this proves that its request was understood.
    Upgrade(String),
    /// Asks a silent client whether it is still there.
    Ping,
    /// Nothing to say: the client hears of it as everybody does.
    Silence,
    /// The methods that a path takes: the answer to OPTIONS.
    Allowed(String),
}

/// A document that was made before anybody asked.
#[derive(Debug, Clone)]
pub struct Document {
    /// Its media type.
    pub content_type: &'static str,
    /// What is in it.
    pub body: Arc<Encoded>,
    /// What a browser must know to show it safely: names and values of header fields.
    pub headers: &'static [(&'static str, &'static str)],
}

/// An answer on an HTTP wire that is in its shape already: what is left of it while its body is
/// compressed elsewhere.
#[derive(Debug)]
pub struct Packed {
    /// Its status code.
    pub status: u16,
    /// Its body's media type.
    pub content_type: &'static str,
    /// The fields that it had already.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The tag of its body before it was compressed, if it has one.
    pub tag: Option<Box<str>>,
    /// Its body.
    pub body: Arc<[u8]>,
    /// Whether the body is compressed by now: there may have been no room to do that.
    pub gzip: bool,
}

/// What happened, told to a topic.
#[derive(Debug, Clone)]
pub enum Event {
    /// Somebody read on.
    Progress(Box<ProgressEvent>),
    /// Something about the catalogue that readers want to know, and the ways by which these do.
    Notification(Arc<Notification>, Protocols),
    /// Something happened in chat.
    Chat(Box<chat::Event>),
}

/// A reader's progress, as others hear of it.
#[derive(Debug, Clone)]
pub struct ProgressEvent {
    /// The history row's number; 0 when nothing was stored. It orders events of all protocols.
    pub seq: i64,
    /// Who.
    pub user_id: UserId,
    /// Their name.
    pub username: Arc<str>,
    /// The series in the catalogue, or what the client called it.
    pub series: SeriesName,
    /// The chapter reached.
    pub chapter: Chapter,
    /// The status held.
    pub status: Option<ReadingStatus>,
    /// The volume reached.
    pub volume: Option<i32>,
    /// The page reached.
    pub page: Option<i32>,
    /// The rating given with it.
    pub rating: Option<i32>,
    /// The device it came from.
    pub device: Option<String>,
    /// When the server received it.
    pub at: UnixMillis,
}

/// Which series an event is about.
#[derive(Debug, Clone)]
pub enum SeriesName {
    /// One of the catalogue: the update was stored.
    Known(Arc<Series>),
    /// One that the catalogue doesn't have: told, not stored. Cut and cleaned.
    Unknown {
        /// What the client called it.
        id: String,
        /// The title that the client gave.
        title: String,
    },
}

/// What the server remembers of a series without asking the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Its key.
    pub id: MangaId,
    /// Its public id.
    pub slug: String,
    /// Its title.
    pub title: String,
    /// Where it stands with its publisher.
    pub status: Publication,
    /// How many chapters it has in all.
    pub chapters_total: Option<Chapter>,
    /// The latest chapter known.
    pub latest_chapter: Option<Chapter>,
}

/// What is remembered of a row.
impl From<&Manga> for Series {
    fn from(manga: &Manga) -> Self {
        let facts = &manga.facts;
        Self {
            id: manga.id,
            slug: facts.slug.clone(),
            title: facts.title.clone(),
            status: facts.status,
            chapters_total: facts.chapters_total,
            latest_chapter: facts.latest_chapter,
        }
    }
}

/// Who hears of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Every authenticated sync connection.
    Everyone,
    /// One user's connections.
    Member(MemberId),
    /// Those whom nobody vouches for: they hear what is public, as it happens, whoever it is for.
    Announced,
    /// Where one user asked for notifications: they hear what is for this user, and for everyone.
    Notices(MemberId),
    /// Whoever is in a room of chat.
    Room(RoomId),
    /// One user's connections of chat, whichever room they are in.
    Private(MemberId),
}

/// A question about the server itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inquiry {
    /// Metrics for Prometheus, in the format that the collector asks for.
    Metrics(Origin, MetricsFormat),
    /// The server in general, as JSON.
    Varz(Origin),
    /// Its connections, as JSON.
    Connz(Origin, ConnzQuery),
    /// The counts that a sync client may ask for.
    Sync(Origin),
}

/// A text format for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsFormat {
    /// Prometheus' own, which every collector and a person with curl can read.
    Text,
    /// OpenMetrics.
    Open,
}

/// Which connections `/connz` shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnzQuery {
    /// Those that are open.
    pub open: bool,
    /// Those that ended lately, with their reason.
    pub closed: bool,
    /// Of one protocol only.
    pub protocol: Option<String>,
    /// Of one user only.
    pub user: Option<String>,
    /// Skip so many open ones.
    pub offset: usize,
    /// Show at most so many of each.
    pub limit: usize,
}

/// Why a call is refused. It answers a request and keeps the connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// What the client can do about it.
    pub kind: ErrorKind,
    /// A sentence for the client's user.
    pub message: Cow<'static, str>,
    /// Come back after so many seconds; 0 when that is not the remedy.
    pub retry_after_s: u32,
    /// Further facts for the wire, such as the methods that a path allows.
    pub detail: Option<String>,
    /// What stands in the way of a change that is behind.
    pub conflict: Option<Box<Conflict>>,
    /// What the caller's token lacks.
    pub lack: Option<Box<Lack>>,
}

/// What a good token lacks for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// A scope.
    Scopes {
        /// The one that the call needs.
        required: &'static str,
        /// Those that the token has.
        granted: Vec<String>,
    },
    /// The role of an administrator; it has this one.
    Role(Role),
}

/// What a client can do about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Not JSON: mend the client.
    InvalidJson,
    /// Not a message at all: mend the client.
    InvalidMessage,
    /// A type of message that is not known here.
    UnknownType,
    /// A member is missing or wrong: the message names it.
    Invalid,
    /// Log in.
    Unauthorized,
    /// Somebody else may; you may not.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// It exists already.
    Conflict,
    /// Send less.
    TooLarge,
    /// Send less often.
    RateLimited,
    /// The host asked for is not this server's.
    Misdirected,
    /// Another version of the protocol was asked for than is spoken here.
    UpgradeRequired,
    /// The request did not arrive in time.
    Timeout,
    /// The body is not marked as what the path takes.
    MediaType,
    /// Not HTTP/1.1, or beyond its limits: the status says which.
    Framing(u16),
    /// Try again: the server is busy or the store is away. Nothing was kept.
    Unavailable,
    /// Our fault.
    Internal,
}

impl ErrorKind {
    /// The one table: HTTP status, code in v1's JSON, code on the sync wires.
    pub const fn codes(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::InvalidJson => (400, "INVALID_JSON", "INVALID_MESSAGE"),
            Self::InvalidMessage => (400, "BAD_REQUEST", "INVALID_MESSAGE"),
            Self::UnknownType => (404, "NOT_FOUND", "UNKNOWN_MESSAGE_TYPE"),
            Self::Invalid => (400, "BAD_REQUEST", "INVALID_DATA"),
            Self::Unauthorized => (401, "UNAUTHORIZED", "AUTH_REQUIRED"),
            Self::Forbidden => (403, "FORBIDDEN", "FORBIDDEN"),
            Self::NotFound => (404, "NOT_FOUND", "NOT_FOUND"),
            Self::MethodNotAllowed => (405, "METHOD_NOT_ALLOWED", "UNKNOWN_MESSAGE_TYPE"),
            Self::Conflict => (409, "CONFLICT", "CONFLICT"),
            Self::TooLarge => (413, "PAYLOAD_TOO_LARGE", "MESSAGE_TOO_LARGE"),
            Self::RateLimited => (429, "RATE_LIMITED", "RATE_LIMITED"),
            Self::Misdirected => (421, "MISDIRECTED_REQUEST", "FORBIDDEN"),
            Self::UpgradeRequired => (426, "UPGRADE_REQUIRED", "INVALID_MESSAGE"),
            Self::Timeout => (408, "REQUEST_TIMEOUT", "AUTH_TIMEOUT"),
            Self::MediaType => (415, "UNSUPPORTED_MEDIA_TYPE", "INVALID_MESSAGE"),
            Self::Framing(413) => (413, "PAYLOAD_TOO_LARGE", "MESSAGE_TOO_LARGE"),
            Self::Framing(414) => (414, "URI_TOO_LONG", "MESSAGE_TOO_LARGE"),
            Self::Framing(431) => (431, "HEADERS_TOO_LARGE", "MESSAGE_TOO_LARGE"),
            Self::Framing(417) => (417, "EXPECTATION_FAILED", "INVALID_MESSAGE"),
            Self::Framing(501) => (501, "NOT_IMPLEMENTED", "INVALID_MESSAGE"),
            Self::Framing(505) => (505, "VERSION_NOT_SUPPORTED", "INVALID_MESSAGE"),
            Self::Framing(status) => (status, "BAD_REQUEST", "INVALID_MESSAGE"),
            Self::Unavailable => (503, "UNAVAILABLE", "UNAVAILABLE"),
            Self::Internal => (500, "INTERNAL_ERROR", "SAVE_FAILED"),
        }
    }
}

impl ApiError {
    /// A refusal of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), retry_after_s: 0, detail: None, conflict: None, lack: None }
    }

    /// A member is missing or wrong.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Try again in a moment.
    pub fn busy() -> Self {
        Self::new(ErrorKind::Unavailable, "The server is busy, please try again").after(1)
    }

    /// A bucket is empty, and has a token again in so many milliseconds.
    pub fn too_often(wait_ms: u32) -> Self {
        Self::new(ErrorKind::RateLimited, "Rate limit exceeded").after(wait_ms.div_ceil(1000))
    }

    /// The same, with the seconds after which trying again makes sense.
    pub fn after(mut self, seconds: u32) -> Self {
        self.retry_after_s = seconds;
        self
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::not_found("Not found"),
            StoreError::Conflict => Self::new(ErrorKind::Conflict, "Already exists"),
            StoreError::Behind => Self::new(ErrorKind::Conflict, "Behind what is stored"),
            StoreError::Busy => Self::busy(),
            StoreError::Unavailable => {
                Self::new(ErrorKind::Unavailable, "The change could not be stored; nothing was kept").after(1)
            }
            StoreError::TooMuch => Self::new(ErrorKind::TooLarge, "That is too much at once"),
            StoreError::Corrupt => Self::new(ErrorKind::Internal, "The server's data needs its operator"),
        }
    }
}
