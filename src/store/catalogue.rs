//! Verbs on the catalogue.

use super::StoreError;
use super::model::{Manga, MangaFacts, MangaId, MangaQuery, Page, UnixMillis};

/// What the store does with series.
pub trait Catalogue {
    /// Brings the catalogue to these facts, slug by slug; unchanged ones are not written. Returns how
    /// many rows were added or changed. More than [`UPSERTS_MAX`] are [`StoreError::TooMuch`].
    fn upsert_manga(&mut self, facts: &[MangaFacts], now: UnixMillis) -> Result<usize, StoreError>;
    /// The series of a key.
    fn manga(&mut self, id: MangaId) -> Result<Manga, StoreError>;
    /// The next series by key after `after`, at most `limit`: the catalogue in slices.
    fn manga_after(&mut self, after: MangaId, limit: u32) -> Result<Vec<Manga>, StoreError>;
    /// The series that match, by title.
    fn search_manga(&mut self, query: &MangaQuery) -> Result<Page<Manga>, StoreError>;
}

/// The most series in one call of [`Catalogue::upsert_manga`]: writing more at once would keep readers'
/// progress waiting behind it. Whoever has more makes a chain of jobs.
pub const UPSERTS_MAX: usize = 500;
