//! Which series are liked together: for each series those that share the most with it.
//!
//! Readers go by one at a time, each with a shelf of weighted series ([`Tally`]). Two series that stand
//! on one shelf come closer by the product of their weights; in the end the cosine of all that is
//! their likeness ([`Neighbours`]). It is damped, so that one reader with two series is not yet a law.
//! Weights are whole numbers and ties fall to the smaller key: the same readers always give the same.
//!
//! Three bounds hold whatever is read: so many series of a reader count, so many pairs are kept in mind,
//! and so many neighbours are remembered of each series. They stand at the end.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::store::model::{MangaId, ReadingStatus, Taste, UserId};

/// How much somebody likes a series, from 1 to 10, as far as that shows. `None`: not at all.
pub fn weight(taste: &Taste) -> Option<u32> {
    match (taste.status, taste.rating) {
        (Some(ReadingStatus::Dropped), _) | (_, Some(..=DISLIKED)) => None,
        (_, Some(rating)) => Some(rating.unsigned_abs()),
        (Some(ReadingStatus::ReReading), None) => Some(9),
        (Some(ReadingStatus::Completed), None) => Some(8),
        (Some(ReadingStatus::Reading), None) => Some(7),
        (Some(ReadingStatus::OnHold), None) => Some(5),
        (Some(ReadingStatus::PlanToRead), None) => Some(4),
        (None, None) => None,
    }
}

/// Who rates so low would not have it recommended.
const DISLIKED: i32 = 3;

/// What has been seen of readers so far.
#[derive(Debug, Default)]
pub struct Tally {
    reader: Option<UserId>,
    shelf: Vec<Taste>,
    /// A small number for each series, so that a pair fits into one word.
    numbers: HashMap<MangaId, u32>,
    /// By number: the series, and the sum of the squares of its weights.
    series: Vec<(MangaId, u64)>,
    /// By the numbers of both, the smaller one above: the sum of the products of their weights.
    pairs: HashMap<u64, u32>,
}

impl Tally {
    /// Notes what a reader likes. All of one reader's come one after the other.
    pub fn add(&mut self, reader: UserId, taste: Taste) {
        if self.reader.as_ref() != Some(&reader) {
            self.close_shelf();
            self.reader = Some(reader);
        }
        self.shelf.push(taste);
    }

    /// The reader's shelf is complete: its pairs count.
    fn close_shelf(&mut self) {
        let shelf = std::mem::take(&mut self.shelf);
        let mut liked: Vec<(u32, &Taste)> = shelf.iter().filter_map(|taste| Some((weight(taste)?, taste))).collect();
        liked.sort_by_key(|(weight, taste)| (Reverse(*weight), Reverse(taste.updated_at), taste.manga_id));
        liked.truncate(SHELF_MAX);
        let numbered: Vec<(u32, u32)> =
            liked.into_iter().map(|(weight, taste)| (self.note(taste.manga_id, weight), weight)).collect();
        for (place, &(one, weight)) in numbered.iter().enumerate() {
            for &(other, other_weight) in &numbered[place + 1..] {
                self.pair(one, other, weight * other_weight);
            }
        }
    }

    /// Counts a series, and gives its number.
    fn note(&mut self, manga: MangaId, weight: u32) -> u32 {
        let number = *self.numbers.entry(manga).or_insert_with(|| {
            self.series.push((manga, 0));
            self.series.len() as u32 - 1
        });
        self.series[number as usize].1 += u64::from(weight).pow(2);
        number
    }

    fn pair(&mut self, one: u32, other: u32, product: u32) {
        let key = u64::from(one.min(other)) << 32 | u64::from(one.max(other));
        let room = self.pairs.len() < PAIRS_MAX;
        match self.pairs.get_mut(&key) {
            Some(sum) => *sum = sum.saturating_add(product),
            // The pairs that most readers share are met early, so those that find no room matter least.
            None if room => drop(self.pairs.insert(key, product)),
            None => {}
        }
    }

    /// Everybody has gone by.
    pub fn finish(mut self) -> Neighbours {
        self.close_shelf();
        let mut near: Vec<Vec<(f32, MangaId)>> = vec![Vec::new(); self.series.len()];
        for (key, product) in &self.pairs {
            let (one, other) = ((key >> 32) as usize, (key & u64::from(u32::MAX)) as usize);
            let (one_series, other_series) = (self.series[one], self.series[other]);
            let length = (one_series.1 as f64 * other_series.1 as f64).sqrt();
            let likeness = (f64::from(*product) / (length + DAMPING)) as f32;
            near[one].push((likeness, other_series.0));
            near[other].push((likeness, one_series.0));
        }
        let mut by_series: Vec<(MangaId, Vec<(f32, MangaId)>)> =
            self.series.iter().map(|(manga, _)| *manga).zip(near).collect();
        by_series.sort_by_key(|(manga, _)| *manga);
        let mut neighbours = Neighbours::default();
        for (manga, mut near) in by_series {
            near.sort_by(closest_first);
            near.truncate(NEIGHBOURS_MAX);
            neighbours.series.push(manga);
            neighbours.near.extend(near);
            neighbours.ends.push(neighbours.near.len() as u32);
        }
        neighbours
    }
}

/// The closest first; of two that are equally close the one with the smaller key.
pub fn closest_first(one: &(f32, MangaId), other: &(f32, MangaId)) -> std::cmp::Ordering {
    other.0.total_cmp(&one.0).then(one.1.cmp(&other.1))
}

/// The closest of each series. Three blocks of memory, however many series: it is forgotten as quickly
/// as it is replaced.
#[derive(Debug, Default)]
pub struct Neighbours {
    /// In order.
    series: Vec<MangaId>,
    /// Where the neighbours of each end, in `near`.
    ends: Vec<u32>,
    near: Vec<(f32, MangaId)>,
}

impl Neighbours {
    /// The closest of a series, and how close they are, from 0 to 1.
    pub fn of(&self, manga: MangaId) -> &[(f32, MangaId)] {
        let Ok(place) = self.series.binary_search(&manga) else { return &[] };
        let begin = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.near[begin as usize..self.ends[place] as usize]
    }
}

/// What two readers who like both of two series add: below that, likeness is more chance than taste.
const DAMPING: f64 = 100.0;

/// The series of a reader that count, the best liked: five thousand pairs.
const SHELF_MAX: usize = 100;

/// Some twenty megabytes while it is worked out, none afterwards.
const PAIRS_MAX: usize = 500_000;

/// As many as a list of recommendations has.
const NEIGHBOURS_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn taste(manga_id: MangaId, status: ReadingStatus, rating: Option<i32>) -> Taste {
        Taste { manga_id, status: Some(status), rating, updated_at: 0 }
    }

    fn tally(shelves: &[&[MangaId]]) -> Neighbours {
        let mut tally = Tally::default();
        for (number, shelf) in shelves.iter().enumerate() {
            let reader = UserId::parse(&format!("reader-{number}")).unwrap();
            shelf.iter().for_each(|&manga| tally.add(reader.clone(), taste(manga, ReadingStatus::Completed, None)));
        }
        tally.finish()
    }

    fn near(neighbours: &Neighbours, manga: MangaId) -> Vec<MangaId> {
        neighbours.of(manga).iter().map(|(_, manga)| *manga).collect()
    }

    /// What was dropped or rated low is not liked; a rating says more than a status.
    #[test]
    fn weights_follow_what_was_done() {
        let of = |status, rating| weight(&taste(1, status, rating));
        assert_eq!(of(ReadingStatus::Dropped, Some(10)), None);
        assert_eq!(of(ReadingStatus::Completed, Some(3)), None);
        assert_eq!(of(ReadingStatus::PlanToRead, Some(10)), Some(10));
        assert!(of(ReadingStatus::Reading, None) > of(ReadingStatus::PlanToRead, None));
    }

    /// Series that more readers share are closer, from both sides; ties fall to the smaller key.
    #[test]
    fn what_is_liked_together_is_close() {
        let found = tally(&[&[1, 2, 3], &[1, 2], &[1, 2, 4], &[3, 4]]);
        assert_eq!(near(&found, 1), [2, 3, 4]);
        assert_eq!(near(&found, 2), [1, 3, 4]);
        assert_eq!(near(&found, 3), [4, 1, 2]);
        assert_eq!(near(&found, 9), [0; 0]);
        assert!(found.of(1)[0].0 > found.of(1)[1].0 && found.of(1)[1].0 == found.of(1)[2].0);
        assert_eq!(near(&Tally::default().finish(), 1), [0; 0]);
    }

    /// The order in which readers come changes nothing.
    #[test]
    fn the_same_readers_give_the_same() {
        let (one, other) = (tally(&[&[1, 2, 3], &[2, 3], &[1, 4]]), tally(&[&[4, 1], &[3, 2], &[3, 2, 1]]));
        for manga in 1..=4 {
            assert_eq!(one.of(manga), other.of(manga));
        }
    }

    /// One reader with everything is bounded, and so is what is remembered of each series.
    #[test]
    fn one_reader_is_bounded() {
        let everything: Vec<MangaId> = (1..=1000).collect();
        let found = tally(&[&everything]);
        assert_eq!((found.series.len(), found.near.len()), (SHELF_MAX, SHELF_MAX * NEIGHBOURS_MAX));
        assert_eq!(near(&found, 1), (2..=21).collect::<Vec<_>>());
    }

    /// When there is no room for more pairs, those that are known still count.
    #[test]
    fn pairs_are_bounded() {
        let mut tally = Tally::default();
        (0..PAIRS_MAX as u32).for_each(|number| tally.pair(number, u32::MAX, 1));
        tally.pair(7, 8, 1);
        tally.pair(u32::MAX, 7, 5);
        assert_eq!(tally.pairs.len(), PAIRS_MAX);
        assert_eq!(tally.pairs[&(7 << 32 | u64::from(u32::MAX))], 6);
    }
}
