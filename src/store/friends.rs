//! Verbs on friendships, and on what friends read.

use super::StoreError;
use super::model::{Activity, Asked, Friend, FriendRequests, Friendship, Page, UnixMillis, UserId, Window};

/// What the store does with friends.
///
/// `whom` names a user by id or by name; an id wins, because a name can be chosen.
pub trait Friends {
    /// A user's friends, by name.
    fn friends(&mut self, user: &UserId, window: Window) -> Result<Page<Friend>, StoreError>;
    /// The requests that are open: a part of those to the user, the latest first, and all of theirs.
    fn friend_requests(&mut self, user: &UserId, incoming: Window) -> Result<FriendRequests, StoreError>;
    /// Asks a user by name, or accepts if they have asked. [`StoreError::NotFound`] when there is no
    /// user of that name.
    fn ask_friend(&mut self, user: &UserId, username: &str, now: UnixMillis) -> Result<Asked, StoreError>;
    /// Accepts a request. [`StoreError::NotFound`] when `whom` has not asked, or does not exist.
    fn accept_friend(&mut self, user: &UserId, whom: &str, now: UnixMillis) -> Result<Asked, StoreError>;
    /// Ends a friendship, declines a request or takes one back. [`StoreError::NotFound`] when there
    /// is none.
    fn remove_friend(&mut self, user: &UserId, whom: &str) -> Result<(), StoreError>;
    /// Everybody whom a user asked or who asked them, friends by now or not, in the order of asking:
    /// after the first `skip`, at most `limit`. For the user to take along.
    fn friendships_after(&mut self, user: &UserId, skip: u64, limit: u32) -> Result<Vec<Friendship>, StoreError>;
    /// What a user's friends read lately, the latest first, before `before` (a seq) where given. Series
    /// that a friend keeps private now are left out.
    fn friends_activity(&mut self, user: &UserId, before: Option<i64>, limit: u32) -> Result<Activity, StoreError>;
}

/// The most friends that a user may have, and the most requests to them that may be open: what bounds a
/// feed, and what strangers can heap on somebody.
pub const FRIENDS_MAX: u64 = 1_000;

/// The most requests of a user that may be open: nobody needs to ask everybody.
pub const REQUESTS_MAX: u64 = 100;
