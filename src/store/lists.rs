//! Verbs on lists that people put together.

use super::StoreError;
use super::model::{ItemChange, List, ListChange, ListId, ListItem, MangaId, Page, UnixMillis, UserId, Window};

/// What the store does with lists.
///
/// A list that somebody may not see, or not change, is [`StoreError::NotFound`] for them.
pub trait Lists {
    /// Makes a list; without a visibility it is private. [`StoreError::TooMuch`] when the user has
    /// [`LISTS_MAX`].
    fn create_list(&mut self, owner: &UserId, list: &ListChange, now: UnixMillis) -> Result<List, StoreError>;
    /// All of a user's own lists, the last changed first.
    fn own_lists(&mut self, owner: &UserId, window: Window) -> Result<Page<List>, StoreError>;
    /// A user's own lists by key, after the list `after`, each with all that is on it, for them to take
    /// along: until lists and items together are `limit` rows or more.
    fn lists_after(
        &mut self,
        owner: &UserId,
        after: ListId,
        limit: u32,
    ) -> Result<Vec<(List, Vec<ListItem>)>, StoreError>;
    /// The lists of a user, by id or name, that somebody may see, the last changed first.
    fn lists_seen(&mut self, viewer: &UserId, owner: &str, window: Window) -> Result<Page<List>, StoreError>;
    /// A list, and a part of what is on it, in its order.
    fn list(&mut self, viewer: &UserId, id: ListId, window: Window) -> Result<(List, Vec<ListItem>), StoreError>;
    /// Changes a list.
    fn change_list(
        &mut self,
        owner: &UserId,
        id: ListId,
        change: &ListChange,
        now: UnixMillis,
    ) -> Result<List, StoreError>;
    /// Deletes a list with all that is on it.
    fn delete_list(&mut self, owner: &UserId, id: ListId) -> Result<(), StoreError>;
    /// Puts a series on a list. [`StoreError::Conflict`] when it is there, [`StoreError::TooMuch`] when
    /// the list has [`ITEMS_MAX`].
    fn add_list_item(
        &mut self,
        owner: &UserId,
        id: ListId,
        manga: MangaId,
        item: &ItemChange,
        now: UnixMillis,
    ) -> Result<ListItem, StoreError>;
    /// Changes an item, or moves it.
    fn change_list_item(
        &mut self,
        owner: &UserId,
        id: ListId,
        manga: MangaId,
        change: &ItemChange,
        now: UnixMillis,
    ) -> Result<ListItem, StoreError>;
    /// Takes a series off a list.
    fn remove_list_item(
        &mut self,
        owner: &UserId,
        id: ListId,
        manga: MangaId,
        now: UnixMillis,
    ) -> Result<(), StoreError>;
}

/// The most lists of a user: more than anybody looks after.
pub const LISTS_MAX: u64 = 200;

/// The most series on a list: putting one in between writes half of them at most.
pub const ITEMS_MAX: u64 = 1_000;
