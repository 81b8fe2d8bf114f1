//! Lists of series that people put together.

use serde::{Deserialize, Serialize};

use super::{MangaId, UnixMillis, UserId};

/// The key of a list.
pub type ListId = i64;

words! {
    /// Who may see a list, beside its owner.
    Visibility {
        /// Nobody.
        Private = "private",
        /// The owner's friends.
        Friends = "friends",
        /// Every user.
        Public = "public",
    }
}

/// A list, without what is on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Its key.
    pub id: ListId,
    /// Whose it is.
    pub owner: UserId,
    /// Their name.
    pub owner_name: String,
    /// What it is called.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Who may see it.
    pub visibility: Visibility,
    /// How many series are on it.
    pub items: u64,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it or anything on it last changed.
    pub updated_at: UnixMillis,
}

/// A change to a list; for a new one, what it begins with. `None` leaves what is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListChange {
    /// What it is called.
    pub name: Option<String>,
    /// What it is about.
    pub description: Option<String>,
    /// Who may see it.
    pub visibility: Option<Visibility>,
}

/// A series on a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListItem {
    /// Which series.
    pub manga_id: MangaId,
    /// Its place, counted from 1.
    pub position: u64,
    /// What the owner says about it.
    pub note: Option<String>,
    /// When it was put there.
    pub added_at: UnixMillis,
}

/// A change to an item; for a new one, what it begins with. `None` leaves what is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemChange {
    /// The place it shall have, from 1; beyond the end is the end, and so is none for a new one.
    pub position: Option<u64>,
    /// What to say about it; the empty text clears it.
    pub note: Option<String>,
}
