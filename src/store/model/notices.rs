//! Notifications: what readers are told about the catalogue, and who wants to hear what.

use serde::{Deserialize, Serialize};

use super::{Chapter, FieldChange, MangaId, UnixMillis, UserId};

/// The key of a notification. Keys grow in the order of storing.
pub type NoticeId = i64;

words! {
    /// What a notification tells.
    NoticeKind {
        /// A series came into the catalogue.
        NewManga = "NEW_MANGA",
        /// A chapter came out.
        NewChapter = "NEW_CHAPTER",
        /// Facts of a series changed.
        MangaUpdate = "MANGA_UPDATE",
        /// An administrator has something to say.
        Announcement = "ANNOUNCEMENT",
        /// A user tries out whether notifications arrive.
        Test = "TEST",
    }
}

/// What happened to the catalogue, as readers are told.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// Its key.
    pub id: NoticeId,
    /// What it tells.
    pub kind: NoticeKind,
    /// Which series it is about, if about one.
    pub manga: Option<NoticeManga>,
    /// The series' title, or a heading.
    pub title: String,
    /// What people read.
    pub message: String,
    /// The chapter that came out.
    pub chapter: Option<Chapter>,
    /// The latest one before.
    pub old_chapter: Option<Chapter>,
    /// What the chapter is called.
    pub chapter_title: Option<String>,
    /// When it came out, as whoever told of it wrote the date.
    pub release_date: Option<String>,
    /// Which facts changed, and how.
    pub changes: Vec<FieldChange>,
    /// When it was stored.
    pub at: UnixMillis,
}

/// The series that a notification is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeManga {
    /// Its key, as it was given: the catalogue may not have it.
    pub id: MangaId,
    /// Its public id; the digits of its key where the catalogue doesn't have it.
    pub slug: String,
}

/// Who shall hear of a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Every user who was registered by then.
    Everyone,
    /// Those who had its series in their library by then.
    Readers,
    /// One user.
    User(UserId),
}

/// A notification that is not stored yet.
#[derive(Debug, Clone, PartialEq)]
pub struct NewNotice {
    /// Who shall hear of it.
    pub audience: Audience,
    /// What it says; its key and time are not looked at.
    pub notification: Notification,
}

words! {
    /// A way that notifications reach a user.
    Protocol {
        /// Datagrams.
        Udp = "udp",
        /// WebSocket.
        Websocket = "websocket",
        /// The sync services.
        Tcp = "tcp",
        /// Requests to an address that the user gave.
        Webhook = "webhook",
    }
}

/// A set of ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Protocols(u8);

impl Protocols {
    /// Every way.
    pub const ALL: Protocols = Protocols(0b1111);

    /// Whether a way is among them.
    pub const fn has(self, protocol: Protocol) -> bool {
        self.0 & (1 << protocol as u8) != 0
    }

    /// The same, with or without a way.
    #[must_use]
    pub const fn with(self, protocol: Protocol, wanted: bool) -> Self {
        match wanted {
            true => Self(self.0 | 1 << protocol as u8),
            false => Self(self.0 & !(1 << protocol as u8)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ways come and go one by one.
    #[test]
    fn protocols_are_a_set() {
        let some = Protocols::ALL.with(Protocol::Udp, false).with(Protocol::Tcp, false).with(Protocol::Tcp, true);
        assert!(!some.has(Protocol::Udp));
        assert!(some.has(Protocol::Websocket) && some.has(Protocol::Tcp) && some.has(Protocol::Webhook));
        assert_eq!(some.with(Protocol::Udp, true), Protocols::ALL);
    }
}
