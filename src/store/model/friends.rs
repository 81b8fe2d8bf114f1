//! Who is friends with whom, and what they see of each other.

use super::{Chapter, MangaId, ReadingStatus, UnixMillis, UserId};

/// Somebody else, as a friend or as one who asked or was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Friend {
    /// Their id.
    pub id: UserId,
    /// Their name.
    pub username: String,
    /// Since when: friends, or waiting for an answer.
    pub since: UnixMillis,
}

/// The requests that are open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FriendRequests {
    /// A part of those who asked the user.
    pub incoming: Vec<Friend>,
    /// How many asked.
    pub incoming_total: u64,
    /// Everyone whom the user asked.
    pub outgoing: Vec<Friend>,
}

/// How a user and somebody else stand to each other, for the user to take along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Friendship {
    /// Somebody else's id.
    pub id: UserId,
    /// Their name.
    pub username: String,
    /// Whether the user asked, and not they.
    pub asked: bool,
    /// When.
    pub asked_at: UnixMillis,
    /// Since when they are friends; `None` while the request is open.
    pub accepted_at: Option<UnixMillis>,
}

/// What came of asking or accepting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// They have been asked.
    Waiting(Friend),
    /// They are friends now.
    Friends(Friend),
    /// They were friends before. Nothing changed; the same holds for all below.
    FriendsAlready,
    /// They had been asked before.
    WaitingAlready,
    /// It was the user themself.
    Oneself,
    /// One of the two has as many friends as there may be.
    TooManyFriends,
    /// The user has as many open requests as there may be, or the other has.
    TooManyRequests,
}

/// What friends read: a part of their histories, merged.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    /// The latest first.
    pub entries: Vec<ActivityEntry>,
    /// Whether everything was looked at. If not, friends read more than one look may read.
    pub complete: bool,
}

/// One line of a friend's history, as others may see it.
#[derive(Debug, Clone, PartialEq)]
pub struct ActivityEntry {
    /// Its number; later entries have higher ones.
    pub seq: i64,
    /// Whose.
    pub user_id: UserId,
    /// Their name.
    pub username: String,
    /// Of which series.
    pub manga_id: MangaId,
    /// The chapter reached.
    pub chapter: Chapter,
    /// The status held.
    pub status: ReadingStatus,
    /// When the server received it.
    pub recorded_at: UnixMillis,
}
