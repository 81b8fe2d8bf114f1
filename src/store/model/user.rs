//! People.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::UnixMillis;

/// A user's id: the same text on every wire. New users get a UUID; imported ones keep what they had.
///
/// Shared text, so that a connection, a topic and a job can each hold it for the price of a pointer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct UserId(Arc<str>);

impl UserId {
    /// The longest id, in bytes: room for any UUID or name, and a bound on what a token can make us hold.
    pub const MAX_BYTES: usize = 64;

    /// An id from its text, or `None` when it is empty, too long or has anything but `[A-Za-z0-9_.@-]`.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.@-".contains(&byte);
        let fits = (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(plain);
        fits.then(|| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<uuid::Uuid> for UserId {
    fn from(id: uuid::Uuid) -> Self {
        Self(id.to_string().into())
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

words! {
    /// What a user may do beyond their own data.
    Role {
        /// Reads, and writes what is their own.
        User = "user",
        /// Also changes the catalogue and other people's content.
        Admin = "admin",
    }
}

/// A registered person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The same on every wire.
    pub id: UserId,
    /// Unique, ASCII case ignored.
    pub username: String,
    /// Unique, ASCII case ignored.
    pub email: String,
    /// The bcrypt hash of the password.
    pub password_hash: String,
    /// What they may do.
    pub role: Role,
    /// Tokens issued before this second (Unix time) are void; 0 when none ever was.
    pub valid_from: i64,
    /// When they registered.
    pub created_at: UnixMillis,
}

/// The voiding of a user's tokens on the word of somebody who was seen to know the password. Had they
/// been voided in between, that password may no longer be the user's, and nothing is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voiding {
    /// The user's `valid_from` when the password was compared.
    pub was: i64,
    /// What it becomes, in Unix seconds.
    pub valid_from: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows which ids are taken and which are not, at the edges.
    #[test]
    fn user_ids() {
        let longest = "x".repeat(UserId::MAX_BYTES);
        for good in ["a", "0b0e9a3c-57a8-4c4e-8e0b-0d5c3c1f2a11", "user_1.2@x", longest.as_str()] {
            assert_eq!(UserId::parse(good).unwrap().as_str(), good);
        }
        let too_long = "x".repeat(UserId::MAX_BYTES + 1);
        for bad in ["", " ", "a b", "a'b", "a\0", "é", "a/b", "a:b", too_long.as_str()] {
            assert_eq!(UserId::parse(bad), None, "{bad:?}");
        }
    }
}
