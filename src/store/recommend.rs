//! Verbs on what readers seem to like.

use super::StoreError;
use super::model::{MangaId, Taste, TastePlace, TasteSlice, UserId};

/// What the store knows about tastes.
pub trait Tastes {
    /// A part of what everyone reads, after a place, from `limit` rows. What somebody keeps private is
    /// not in it.
    fn tastes_after(&mut self, after: Option<&TastePlace>, limit: u32) -> Result<TasteSlice, StoreError>;
    /// Everything that a user has progress with or rated.
    fn tastes_of(&mut self, user: &UserId) -> Result<Vec<Taste>, StoreError>;
    /// Series that a user has nothing to do with, of a genre or of all, with the most readers first.
    fn popular(&mut self, user: &UserId, genre: Option<&str>, limit: u32) -> Result<Vec<MangaId>, StoreError>;
}
