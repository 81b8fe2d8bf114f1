//! Verbs on the catalogue.

use super::StoreError;
use super::model::{Fact, Genre, Manga, MangaEvent, MangaFacts, MangaId, MangaQuery, Page, UnixMillis};

/// What the store does with series.
pub trait Catalogue {
    /// Brings the catalogue to the facts of its file, slug by slug; unchanged ones are not written.
    /// What an administrator made, changed or deleted is left alone, even under another slug. Returns
    /// how many rows were added or changed. More than [`UPSERTS_MAX`] are [`StoreError::TooMuch`].
    fn upsert_manga(&mut self, facts: &[MangaFacts], now: UnixMillis) -> Result<usize, StoreError>;
    /// Puts series into the search index that are not in it as this program would put them: at most
    /// [`UPSERTS_MAX`] of those after the key `after`. Returns the last key looked at; `None` at the end.
    fn index_manga(&mut self, after: MangaId) -> Result<Option<MangaId>, StoreError>;
    /// The series of a key.
    fn manga(&mut self, id: MangaId) -> Result<Manga, StoreError>;
    /// The next series by key after `after`, at most `limit`: the catalogue in slices.
    fn manga_after(&mut self, after: MangaId, limit: u32) -> Result<Vec<Manga>, StoreError>;
    /// The series that match, in the order asked for.
    fn search_manga(&mut self, query: &MangaQuery) -> Result<Page<Manga>, StoreError>;
    /// Adds a series by an administrator's hand. [`StoreError::Conflict`] when its slug is taken.
    fn create_manga(&mut self, facts: &MangaFacts, now: UnixMillis) -> Result<Manga, StoreError>;
    /// Changes facts by an administrator's hand; the others stay. [`StoreError::Conflict`] when the
    /// new slug is taken.
    fn change_manga(&mut self, id: MangaId, facts: &[Fact], now: UnixMillis) -> Result<Manga, StoreError>;
    /// Takes a series out of the catalogue. Readers' rows stay, and whoever names it by its key finds
    /// nothing. Once more changes nothing.
    fn delete_manga(&mut self, id: MangaId, now: UnixMillis) -> Result<(), StoreError>;
    /// The last event so far; 0 when there is none.
    fn last_manga_event(&mut self) -> Result<i64, StoreError>;
    /// What administrators changed after the event `after`, the oldest first.
    fn manga_events(&mut self, after: i64, limit: u32) -> Result<Vec<MangaEvent>, StoreError>;
    /// Every genre, by name.
    fn genres(&mut self) -> Result<Vec<Genre>, StoreError>;
    /// Adds a genre. [`StoreError::Conflict`] when it is there.
    fn create_genre(&mut self, name: &str) -> Result<Genre, StoreError>;
}

/// The most series in one call of [`Catalogue::upsert_manga`] or [`Catalogue::index_manga`]: writing
/// more at once would keep readers' progress waiting behind it. Whoever has more makes a chain of jobs.
pub const UPSERTS_MAX: usize = 500;
