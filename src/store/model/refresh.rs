//! Refresh tokens, as much of them as is kept.

use super::{UnixMillis, User, UserId};

/// A SHA-256 hash.
pub type Digest = [u8; 32];

/// What is kept of a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshKey {
    /// The hash of what all tokens of its family have in common.
    pub family: Digest,
    /// The hash of what it alone has.
    pub token: Digest,
}

/// A family of refresh tokens that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFamily {
    /// Whose.
    pub user_id: UserId,
    /// The user's `valid_from` when the password was compared.
    pub valid_from: i64,
    /// Its first token.
    pub key: RefreshKey,
    /// The server's time.
    pub issued_at: UnixMillis,
    /// When that token ends.
    pub expires_at: UnixMillis,
}

/// What came of using a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// It was the living one of its family and is replaced: whose it was.
    Rotated(Box<User>),
    /// It was the living one, for too long.
    Expired,
    /// Its family has ended, now at the latest: a token was used that had been spent.
    Revoked,
}
