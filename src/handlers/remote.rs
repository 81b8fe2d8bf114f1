//! Somebody who waits for an answer and is no connection of the loop: a client of another thread.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::api::{ApiError, Reply};

/// The end at which somebody waits. When it is dropped before it was answered, its owner says so.
pub trait Waiting: Send + Sync {
    /// Where they are.
    fn peer(&self) -> SocketAddr;
    /// Notes whose call it is, once that is known: the operator is shown it.
    fn is_of(&self, _username: &Arc<str>) {}
    /// They have given up, or their time is over.
    fn has_left(&self) -> bool;
    /// Answers, once. What comes after that is not heard; where a stream of messages is waited for, a
    /// refusal ends it.
    fn answer(&self, outcome: Result<Reply, ApiError>);
    /// A stream is admitted: from now on it is waited for what happens.
    fn admitted(&self);
    /// Tells a stream one message, as its wire wants it: the bytes are shared with all who hear the same.
    /// `false` when it has ended, or takes no more.
    fn tell(&self, frame: Bytes) -> bool;
}

/// A handle to one who waits.
#[derive(Clone)]
pub struct Remote(pub Arc<dyn Waiting>);

impl Remote {
    /// See [`Waiting::has_left`].
    pub fn has_left(&self) -> bool {
        self.0.has_left()
    }
}

/// Two handles are equal when they are of the same call.
impl PartialEq for Remote {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Remote {}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote({})", self.0.peer())
    }
}
