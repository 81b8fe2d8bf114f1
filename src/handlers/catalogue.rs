//! Every series in memory: enough to check an id, name a series and bound a chapter without a job.
//!
//! About 150 bytes a series, so 100,000 are 15 MB. Full facts stay in the store; answers made from
//! them are kept in a bounded cache. Changed only in the turn that publishes a change.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::api::Series;
use super::encoded::Encoded;
use crate::store::model::{Manga, MangaId};

/// How a client names a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MangaRef {
    /// By its key.
    Id(MangaId),
    /// By its slug.
    Slug(String),
    /// By a word from a path of the v1 family: a slug first, then, if all digits, a key.
    Word(String),
}

/// Whose shape an answer has: what is made for one family can't be shown to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// The first family's.
    First,
    /// The second family's.
    Second,
    /// The first family's over gRPC.
    RpcFirst,
    /// The second family's over gRPC.
    RpcSecond,
    /// This server's own over gRPC.
    RpcOwn,
}

impl Shape {
    const ALL: [Shape; 5] = [Self::First, Self::Second, Self::RpcFirst, Self::RpcSecond, Self::RpcOwn];
}

/// The series, by both their names.
#[derive(Debug, Default)]
pub struct Catalogue {
    by_id: HashMap<MangaId, Arc<Series>>,
    by_slug: HashMap<Arc<str>, MangaId>,
    details: Details,
}

/// Encoded answers, the oldest forgotten first.
#[derive(Debug, Default)]
struct Details {
    by_id: HashMap<(MangaId, Shape), Arc<Encoded>>,
    order: VecDeque<(MangaId, Shape)>,
    bytes: usize,
    /// How often something was forgotten because it was no longer true.
    changes: u64,
}

impl Catalogue {
    /// Adds a series or replaces what was known of it.
    pub fn put(&mut self, manga: &Manga) {
        let facts = &manga.facts;
        if let Some(before) = self.by_id.insert(manga.id, Arc::new(Series::from(manga))) {
            self.by_slug.remove(before.slug.as_str());
        }
        self.by_slug.insert(facts.slug.as_str().into(), manga.id);
        self.forget_details(manga.id);
    }

    /// Takes a series out.
    pub fn remove(&mut self, id: MangaId) {
        if let Some(gone) = self.by_id.remove(&id) {
            self.by_slug.remove(gone.slug.as_str());
        }
        self.forget_details(id);
    }

    /// The series that a client named.
    pub fn find(&self, name: &MangaRef) -> Option<&Arc<Series>> {
        match name {
            MangaRef::Id(id) => self.by_id.get(id),
            MangaRef::Slug(slug) => self.by_slug(slug),
            MangaRef::Word(word) => self.by_slug(word).or_else(|| self.by_id.get(&word.parse().ok()?)),
        }
    }

    fn by_slug(&self, slug: &str) -> Option<&Arc<Series>> {
        self.by_id.get(self.by_slug.get(slug)?)
    }

    /// The series of a key.
    pub fn get(&self, id: MangaId) -> Option<&Arc<Series>> {
        self.by_id.get(&id)
    }

    /// The answer that was made for a series before, if it is still kept.
    pub fn detail(&self, id: MangaId, shape: Shape) -> Option<Arc<Encoded>> {
        self.details.by_id.get(&(id, shape)).cloned()
    }

    /// Keeps the answer that was made for a series, of what was read after [`changes`](Self::changes)
    /// said this number. If something changed since, it could be out of date, and is not kept.
    pub fn keep_detail(&mut self, id: MangaId, shape: Shape, detail: Arc<Encoded>, changes: u64) {
        if changes == self.details.changes {
            self.details.keep((id, shape), detail);
        }
    }

    /// Forgets the answers made for a series: a fact has changed, or somebody rated it or began to
    /// read it. Whoever stores such a thing calls this when it is committed.
    pub fn forget_details(&mut self, id: MangaId) {
        self.details.changes += 1;
        Shape::ALL.into_iter().for_each(|shape| self.details.forget((id, shape)));
    }

    /// A number that grows when answers are forgotten.
    pub fn changes(&self) -> u64 {
        self.details.changes
    }

    /// Forgets every answer, because something has changed that any of them may show.
    pub fn forget_all_details(&mut self) {
        self.details = Details { changes: self.details.changes + 1, ..Details::default() };
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

impl Details {
    fn keep(&mut self, id: (MangaId, Shape), detail: Arc<Encoded>) {
        if self.by_id.contains_key(&id) {
            self.forget(id);
        }
        self.bytes += detail.plain().len();
        self.by_id.insert(id, detail);
        self.order.push_back(id);
        while self.bytes > DETAIL_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            self.bytes -= self.by_id.remove(&oldest).map_or(0, |gone| gone.plain().len());
        }
    }

    fn forget(&mut self, id: (MangaId, Shape)) {
        if let Some(gone) = self.by_id.remove(&id) {
            self.bytes -= gone.plain().len();
            self.order.retain(|other| *other != id);
        }
    }
}

/// How many bytes of answers are kept: some 16,000 series of one kilobyte. Their compressed forms come
/// on top; each is smaller than what it was made from.
const DETAIL_BYTES_MAX: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::model::{MangaFacts, Standing};

    fn manga(id: MangaId, slug: &str) -> Manga {
        let facts: MangaFacts =
            serde_json::from_value(serde_json::json!({"slug": slug, "title": slug, "status": "ongoing"})).unwrap();
        Manga { id, facts, created_at: 0, updated_at: 0, standing: Standing::default() }
    }

    fn encoded(body: &[u8]) -> Arc<Encoded> {
        Arc::new(Encoded::new(body.to_vec()))
    }

    /// A word is a slug before it is a number: slugs may be all digits.
    #[test]
    fn a_word_is_a_slug_first() {
        let mut catalogue = Catalogue::default();
        catalogue.put(&manga(111, "berserk"));
        catalogue.put(&manga(5, "111"));
        let found = |name| catalogue.find(&name).map(|series| series.id);
        assert_eq!(found(MangaRef::Word("111".into())), Some(5));
        assert_eq!(found(MangaRef::Id(111)), Some(111));
        assert_eq!(found(MangaRef::Word("5".into())), Some(5));
        assert_eq!(found(MangaRef::Slug("5".into())), None);
        assert_eq!(found(MangaRef::Word("-5".into())), None);
    }

    /// A new slug replaces the old one, and a change forgets the answer made before.
    #[test]
    fn a_change_replaces_names_and_answers() {
        let mut catalogue = Catalogue::default();
        catalogue.put(&manga(1, "old"));
        catalogue.keep_detail(1, Shape::First, encoded(b"x"), catalogue.changes());
        assert!(catalogue.detail(1, Shape::First).is_some() && catalogue.detail(1, Shape::Second).is_none());
        catalogue.put(&manga(1, "new"));
        assert!(catalogue.find(&MangaRef::Slug("old".into())).is_none());
        assert!(catalogue.find(&MangaRef::Slug("new".into())).is_some());
        assert!(catalogue.detail(1, Shape::First).is_none());
        catalogue.remove(1);
        assert!(catalogue.is_empty() && catalogue.find(&MangaRef::Slug("new".into())).is_none());
    }

    /// What may have changed any answer forgets all, and those that were read before and arrive later.
    #[test]
    fn all_answers_are_forgotten() {
        let mut catalogue = Catalogue::default();
        let before = catalogue.changes();
        (1..3).for_each(|id| catalogue.keep_detail(id, Shape::First, encoded(b"old"), before));
        catalogue.forget_all_details();
        catalogue.keep_detail(3, Shape::First, encoded(b"old"), before);
        assert!((1..4).all(|id| catalogue.detail(id, Shape::First).is_none()));
        catalogue.keep_detail(1, Shape::First, encoded(b"new"), catalogue.changes());
        assert!(catalogue.detail(1, Shape::First).is_some());
    }

    /// An answer made of what was read before a change is not kept after it.
    #[test]
    fn an_answer_out_of_date_is_not_kept() {
        let mut catalogue = Catalogue::default();
        let before = catalogue.changes();
        catalogue.forget_details(1);
        catalogue.keep_detail(1, Shape::First, encoded(b"x"), before);
        assert!(catalogue.detail(1, Shape::First).is_none());
    }

    /// The cache is bounded in bytes, and the oldest answers go first.
    #[test]
    fn the_cache_is_bounded() {
        let mut details = Details::default();
        let big = encoded(&vec![0; DETAIL_BYTES_MAX / 2]);
        (1..=3).for_each(|id| details.keep((id, Shape::First), big.clone()));
        assert!(details.bytes <= DETAIL_BYTES_MAX);
        assert!(!details.by_id.contains_key(&(1, Shape::First)) && details.by_id.contains_key(&(3, Shape::First)));
    }
}
