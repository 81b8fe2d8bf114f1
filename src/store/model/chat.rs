//! What people say to each other.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{MangaId, UnixMillis, UserId, fold_case};

/// The number of a message. A later one is greater, and none is given twice.
pub type MessageId = i64;

/// A room: that of a series, or one with a name.
///
/// Both are kept as text, the key: the digits of a series' number, or a name, which is never all digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomKey(Arc<str>);

impl RoomKey {
    /// The longest name of a room, in characters, which are bytes as well.
    pub const CHARACTERS_MAX: usize = 64;

    /// The room of a series.
    pub fn of_manga(id: MangaId) -> Self {
        Self(id.to_string().into())
    }

    /// The room with this name, upper case taken for lower; `None` when it can't be one: empty, too long,
    /// all digits, or with anything but letters and digits of ASCII, `-` and `_`.
    pub fn named(name: &str) -> Option<Self> {
        let fits = (1..=Self::CHARACTERS_MAX).contains(&name.len());
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        let digits = name.bytes().all(|byte| byte.is_ascii_digit());
        (fits && plain && !digits).then(|| Self(name.to_ascii_lowercase().into()))
    }

    /// The room where everybody meets.
    pub fn general() -> Self {
        Self("general".into())
    }

    /// The series that it is the room of.
    pub fn manga(&self) -> Option<MangaId> {
        self.0.bytes().all(|byte| byte.is_ascii_digit()).then(|| self.0.parse().ok())?
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A key as it was stored.
    pub(crate) fn stored(key: &str) -> Self {
        Self(key.into())
    }
}

impl fmt::Display for RoomKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

words! {
    /// What kind of somebody says something.
    Speaker {
        /// Somebody with an account.
        User = "user",
        /// Somebody without, under a name that anybody may take.
        Guest = "guest",
        /// The server itself.
        System = "system",
    }
}

/// Where a message is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a room.
    Room(RoomKey),
    /// To one person.
    To {
        /// Who.
        id: UserId,
        /// Their name.
        username: String,
    },
}

/// Something that was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its number.
    pub id: MessageId,
    /// Where.
    pub place: Place,
    /// What kind of somebody said it.
    pub speaker: Speaker,
    /// Who, if they have an account.
    pub user_id: Option<UserId>,
    /// Their name, as it was shown then.
    pub username: String,
    /// When the server received it.
    pub created_at: UnixMillis,
    /// The text.
    pub content: String,
}

/// Something that is said in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Where.
    pub room: RoomKey,
    /// Who, if they have an account.
    pub user_id: Option<UserId>,
    /// What kind of somebody.
    pub speaker: Speaker,
    /// Their name.
    pub username: String,
    /// The text: 1 to 2,000 characters.
    pub content: String,
    /// The server's time of receipt.
    pub received_at: UnixMillis,
}

/// Something that is said to one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPrivateMessage {
    /// Who says it.
    pub from: UserId,
    /// Their name.
    pub username: String,
    /// To whom: an id or a name.
    pub to: String,
    /// The text: 1 to 2,000 characters.
    pub content: String,
    /// The server's time of receipt.
    pub received_at: UnixMillis,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Posted {
    /// It is kept.
    Stored(Message),
    /// Whoever says it must be silent.
    Muted(Mute),
    /// The room would be a new one, and there are as many as there may be.
    NoRoom,
}

/// A part of what was said somewhere, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Messages {
    /// The messages.
    pub items: Vec<Message>,
    /// There are older ones.
    pub more: bool,
}

/// Whom a mute silences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silenced {
    /// A user: an id or a name.
    User(String),
    /// Whoever goes by this name without an account; by none, everybody who has no account.
    Guest(String),
}

/// How somebody without an account is shown whose name is a user's. No user can be called that.
pub fn as_guest(name: &str) -> String {
    format!("{name}{GUEST_SUFFIX}")
}

/// What somebody without an account calls themselves, as it is compared: in one case, and as if no user were
/// called that, which may change.
pub fn guest_key(name: &str) -> String {
    fold_case(name.strip_suffix(GUEST_SUFFIX).unwrap_or(name))
}

const GUEST_SUFFIX: &str = " (guest)";

/// Where somebody must be silent, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mute {
    /// Which user; `None` for those without an account.
    pub user_id: Option<UserId>,
    /// Their name; empty for everybody without an account.
    pub username: String,
    /// Where; `None` for everywhere.
    pub room: Option<RoomKey>,
    /// Until when.
    pub until: UnixMillis,
    /// Why, as an administrator put it; may be empty.
    pub reason: String,
    /// Which administrator, if there still is.
    pub muted_by: Option<UserId>,
    /// Since when.
    pub created_at: UnixMillis,
}

/// A mute that an administrator gives. It replaces one for the same place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMute {
    /// Who.
    pub who: Silenced,
    /// Where; `None` for everywhere.
    pub room: Option<RoomKey>,
    /// Until when.
    pub until: UnixMillis,
    /// Why; may be empty.
    pub reason: String,
    /// Which administrator.
    pub muted_by: UserId,
    /// The server's time of receipt.
    pub received_at: UnixMillis,
}

/// A room in a list of rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomRow {
    /// Which one.
    pub room: RoomKey,
    /// When something was last said there; `None` when nothing is stored.
    pub last_at: Option<UnixMillis>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows which names a room can have, and that none can be taken for the room of a series.
    #[test]
    fn room_names_are_plain() {
        for (name, key) in [("general", "general"), ("Off-Topic_2", "off-topic_2"), ("5a", "5a"), ("-5", "-5")] {
            assert_eq!(RoomKey::named(name).map(|room| room.as_str().to_owned()).as_deref(), Some(key));
        }
        let long = "x".repeat(RoomKey::CHARACTERS_MAX);
        assert!(RoomKey::named(&long).is_some() && RoomKey::named(&format!("{long}x")).is_none());
        for bad in ["", " ", "5", "007", "a b", "é", "a:b", "a/b", "a\0", "\u{202e}"] {
            assert_eq!(RoomKey::named(bad), None, "{bad:?}");
        }
        assert_eq!(RoomKey::of_manga(5).manga(), Some(5));
        assert!(["general", "-5"].iter().all(|name| RoomKey::named(name).unwrap().manga().is_none()));
    }
}
