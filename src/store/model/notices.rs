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
    /// It is told even if its chapter was told of a moment ago: somebody says so on purpose.
    pub insists: bool,
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

/// A set of an enum's variants.
macro_rules! sets {
    ($(#[$doc:meta])* $Set:ident of $Of:ident = $all:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $Set(u8);

        impl $Set {
            /// All of them.
            pub const ALL: $Set = $Set($all);

            /// Whether it is among them.
            pub const fn has(self, one: $Of) -> bool {
                self.0 & (1 << one as u8) != 0
            }

            /// The same, with or without it.
            #[must_use]
            pub const fn with(self, one: $Of, wanted: bool) -> Self {
                match wanted {
                    true => Self(self.0 | 1 << one as u8),
                    false => Self(self.0 & !(1 << one as u8)),
                }
            }
        }
    };
}

sets! {
    /// A set of ways.
    Protocols of Protocol = 0b1111
}

sets! {
    /// A set of kinds.
    Kinds of NoticeKind = 0b1_1111
}

/// The kinds that a user may not want to hear of, with the names of these wishes.
pub const WISHES: [(NoticeKind, &str); 3] = [
    (NoticeKind::NewManga, "new_manga"),
    (NoticeKind::NewChapter, "new_chapter"),
    (NoticeKind::MangaUpdate, "manga_update"),
];

/// What a user wants to hear, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoticeSettings {
    /// Which kinds.
    pub kinds: Kinds,
    /// By which ways.
    pub protocols: Protocols,
}

/// Some wishes that change; the others stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsChange {
    /// Whether to hear of a kind.
    pub kinds: Vec<(NoticeKind, bool)>,
    /// Whether to hear by a way.
    pub protocols: Vec<(Protocol, bool)>,
}

impl NoticeSettings {
    /// Everything, in every way.
    pub const ALL: NoticeSettings = NoticeSettings { kinds: Kinds::ALL, protocols: Protocols::ALL };

    /// The same after a change.
    #[must_use]
    pub fn changed(mut self, change: &SettingsChange) -> Self {
        for (kind, wanted) in &change.kinds {
            self.kinds = self.kinds.with(*kind, *wanted);
        }
        for (protocol, wanted) in &change.protocols {
            self.protocols = self.protocols.with(*protocol, *wanted);
        }
        self
    }
}

/// Which of a user's notifications are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxQuery {
    /// Only what is not read yet.
    pub unread: bool,
    /// Only what was stored before this one.
    pub before: Option<NoticeId>,
    /// At most so many.
    pub limit: u32,
}

/// Notifications as a user finds them.
#[derive(Debug, Clone, PartialEq)]
pub struct Inbox {
    /// A part of them, the latest first, each with whether it is read.
    pub items: Vec<(Notification, bool)>,
    /// Whether more follow.
    pub more: bool,
    /// How many are unread in all.
    pub unread: u64,
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
