//! What to read next: what people who like the same things like, else what is popular in one's genres.
//!
//! Which series are liked together is worked out anew every hour or so, beside everything else: a chain
//! of jobs in the read lane, each of which looks at one slice and hands on what it has seen. (The slow
//! lane has little room, and people who log in wait for it.) What somebody keeps private takes no part in
//! it. The result is kept in memory only; after a start there is none for a moment, and everyone gets what
//! is popular.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::api::{self, ApiError, Series};
use super::effect::Lane;
use super::neighbours::{Neighbours, Tally, closest_first, weight};
use super::session::Session;
use super::{Access, Call, Ctx};
use crate::store::model::{MangaId, Taste, TastePlace, UserId};
use crate::store::{Store, StoreError};

/// Recommends series to the caller.
pub const RECOMMEND: Call<u32> = Call { name: "recommend", access: Access::User, lane: Lane::Read, run: recommend };

/// What is known about all readers together.
#[derive(Debug, Default)]
pub struct Board {
    neighbours: Arc<Neighbours>,
    /// When it shall be worked out anew, in milliseconds of the turn's clock. Every step of a chain
    /// puts it off, so that there is never a second one, and a chain that broke off is replaced.
    due_ms: u64,
}

/// A series to read, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Pick {
    /// Which series.
    pub manga_id: MangaId,
    /// Why.
    pub reason: Reason,
}

/// Why a series is recommended.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// It is like what the reader likes: how much, and what it is like, the most telling first.
    Like(f32, Vec<MangaId>),
    /// Many read it, of a genre that the reader likes.
    PopularIn(String),
    /// Many read it.
    Popular,
}

/// A series to read, and why, by name.
#[derive(Debug)]
pub struct Recommendation {
    /// The series.
    pub series: Arc<Series>,
    /// Why.
    pub reason: Reason,
    /// What it is like.
    pub because: Vec<Arc<Series>>,
}

// ---- asking

fn recommend(limit: u32, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, neighbours) = (ctx.caller()?, ctx.state.recommend.neighbours.clone());
    ctx.run(
        Lane::Read,
        move |store| picks(store, &caller.id, &neighbours, limit as usize),
        |picks, _, ctx| {
            let named = picks?.into_iter().filter_map(|pick| by_name(pick, ctx)).collect();
            ctx.reply(api::Reply::Recommendations(named));
            Ok(())
        },
    );
    Ok(())
}

/// A series that left the catalogue meanwhile is recommended to nobody.
fn by_name(pick: Pick, ctx: &Ctx<'_>) -> Option<Recommendation> {
    let known = |manga: &MangaId| ctx.state.catalogue.get(*manga).cloned();
    let because = match &pick.reason {
        Reason::Like(_, because) => because.iter().filter_map(known).collect(),
        Reason::PopularIn(_) | Reason::Popular => Vec::new(),
    };
    Some(Recommendation { series: known(&pick.manga_id)?, reason: pick.reason, because })
}

fn picks(store: &mut dyn Store, user: &UserId, neighbours: &Neighbours, limit: usize) -> Result<Vec<Pick>, StoreError> {
    let tastes = store.tastes_of(user)?;
    let mut picks = alike(&tastes, neighbours, limit);
    if picks.len() < limit {
        let genres = favourite_genres(&tastes, &store.genres_read(user)?);
        let mut shelves = Vec::new();
        for genre in genres {
            let popular = store.popular(user, Some(&genre), 2 * limit as u32)?;
            shelves.push((Reason::PopularIn(genre), popular));
        }
        take_turns(&mut picks, shelves, limit);
    }
    if picks.len() < limit {
        let popular = store.popular(user, None, 2 * limit as u32)?;
        take_turns(&mut picks, vec![(Reason::Popular, popular)], limit);
    }
    Ok(picks)
}

/// What is like the things that somebody likes, and not among the things they know.
fn alike(tastes: &[Taste], neighbours: &Neighbours, limit: usize) -> Vec<Pick> {
    let known: BTreeSet<MangaId> = tastes.iter().map(|taste| taste.manga_id).collect();
    let mut found: HashMap<MangaId, Vec<(f32, MangaId)>> = HashMap::new();
    for taste in tastes {
        let Some(weight) = weight(taste) else { continue };
        for &(likeness, manga) in neighbours.of(taste.manga_id).iter().filter(|(_, manga)| !known.contains(manga)) {
            found.entry(manga).or_default().push((likeness * weight as f32, taste.manga_id));
        }
    }
    let mut scored: Vec<((f32, MangaId), Vec<MangaId>)> = found
        .into_iter()
        .map(|(manga, mut because)| {
            because.sort_by(closest_first);
            let score = because.iter().map(|(score, _)| score).sum();
            ((score, manga), because.into_iter().take(BECAUSE_MAX).map(|(_, manga)| manga).collect())
        })
        .collect();
    scored.sort_by(|(one, _), (other, _)| closest_first(one, other));
    let pick = |((score, manga_id), because)| Pick { manga_id, reason: Reason::Like(score, because) };
    scored.into_iter().take(limit).map(pick).collect()
}

/// The genres that somebody likes best, the best first.
fn favourite_genres(tastes: &[Taste], genres: &[(MangaId, String)]) -> Vec<String> {
    let liked: HashMap<MangaId, u32> =
        tastes.iter().filter_map(|taste| Some((taste.manga_id, weight(taste)?))).collect();
    let mut sums: BTreeMap<&str, u32> = BTreeMap::new();
    for (manga, genre) in genres {
        if let Some(weight) = liked.get(manga) {
            *sums.entry(genre).or_default() += weight;
        }
    }
    let mut sums: Vec<(&str, u32)> = sums.into_iter().collect();
    sums.sort_by_key(|(_, sum)| std::cmp::Reverse(*sum));
    sums.into_iter().take(GENRES_MAX).map(|(genre, _)| genre.to_owned()).collect()
}

/// Adds from each shelf in turn what is not picked yet, up to `limit` in all.
fn take_turns(picks: &mut Vec<Pick>, shelves: Vec<(Reason, Vec<MangaId>)>, limit: usize) {
    let mut picked: BTreeSet<MangaId> = picks.iter().map(|pick| pick.manga_id).collect();
    let mut shelves: Vec<_> = shelves.into_iter().map(|(reason, series)| (reason, series.into_iter())).collect();
    let mut empty = 0;
    while picks.len() < limit && empty < shelves.len() {
        empty = 0;
        for (reason, series) in &mut shelves {
            match series.find(|manga| picked.insert(*manga)) {
                Some(manga_id) if picks.len() < limit => picks.push(Pick { manga_id, reason: reason.clone() }),
                Some(_) => {}
                None => empty += 1,
            }
        }
    }
}

// ---- working it out

/// Once a second: begins to work out anew who is close to whom, when it is time.
pub fn tick(ctx: &mut Ctx<'_>) {
    let wanted = ctx.state.settings.recommend_interval_ms > 0;
    if wanted && !ctx.state.draining && ctx.now.mono_ms >= ctx.state.recommend.due_ms {
        look_on(Tally::default(), None, 1, ctx);
    }
}

/// What a slice came to.
enum Looked {
    /// There are more readers, from this place on.
    More(Tally, TastePlace),
    /// That was all.
    Done(Neighbours),
}

/// Looks at the next slice of readers, and goes on from there.
fn look_on(tally: Tally, after: Option<TastePlace>, slice: u32, ctx: &mut Ctx<'_>) {
    ctx.state.recommend.due_ms = ctx.now.mono_ms + ctx.state.settings.recommend_interval_ms;
    let tally = Cell::new(tally);
    ctx.run(
        Lane::Read,
        move |store| {
            // It is large, so it is taken instead of copied: what only reads runs once.
            let mut tally = tally.take();
            let found = store.tastes_after(after.as_ref(), SLICE_ROWS)?;
            found.tastes.into_iter().for_each(|(reader, taste)| tally.add(reader, taste));
            Ok(match found.next {
                Some(next) if slice < SLICES_MAX => Looked::More(tally, next),
                _ => Looked::Done(tally.finish()),
            })
        },
        move |looked, _, ctx| {
            match looked {
                Ok(Looked::Done(neighbours)) => ctx.state.recommend.neighbours = Arc::new(neighbours),
                Ok(Looked::More(tally, next)) if !ctx.state.draining => look_on(tally, Some(next), slice + 1, ctx),
                // A server that ends needs none; what went wrong is tried again when it is due.
                Ok(Looked::More(..)) | Err(_) => {}
            }
            Ok(())
        },
    );
}

/// Rows that one job looks at: some thirty milliseconds, and no query waits longer behind it.
const SLICE_ROWS: u32 = 5_000;

/// Slices of one chain: the two million rows that come first by user are enough to know what people like.
const SLICES_MAX: u32 = 400;

/// Nobody reads more reasons.
const BECAUSE_MAX: usize = 3;

/// The genres that popular series are looked for in.
const GENRES_MAX: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::model::ReadingStatus;

    fn taste(manga_id: MangaId, status: ReadingStatus) -> Taste {
        Taste { manga_id, status: Some(status), rating: None, updated_at: 0 }
    }

    fn neighbours(shelves: &[&[MangaId]]) -> Neighbours {
        let mut tally = Tally::default();
        for (number, shelf) in shelves.iter().enumerate() {
            let reader = UserId::parse(&format!("reader-{number}")).unwrap();
            shelf.iter().for_each(|&manga| tally.add(reader.clone(), taste(manga, ReadingStatus::Reading)));
        }
        tally.finish()
    }

    /// What is like several things that somebody likes comes first, with its reasons; nothing that they
    /// know comes at all, and what they dropped is no reason.
    #[test]
    fn picks_are_like_what_is_liked() {
        let known =
            [taste(1, ReadingStatus::Reading), taste(2, ReadingStatus::Completed), taste(3, ReadingStatus::Dropped)];
        let found = neighbours(&[&[1, 2, 10], &[1, 11], &[2, 10], &[3, 12], &[1, 3]]);
        let picks = alike(&known, &found, 9);
        let shown: Vec<(MangaId, Vec<MangaId>)> = picks
            .iter()
            .map(|pick| match &pick.reason {
                Reason::Like(_, because) => (pick.manga_id, because.clone()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(shown, [(10, vec![2, 1]), (11, vec![1])]);
        assert_eq!(alike(&known, &found, 1).len(), 1);
        assert_eq!(alike(&[], &found, 9), []);
    }

    /// Genres count by how much their series are liked; ties go by name.
    #[test]
    fn genres_are_ranked_by_liking() {
        let tastes =
            [taste(1, ReadingStatus::PlanToRead), taste(2, ReadingStatus::Reading), taste(3, ReadingStatus::Dropped)];
        let of = |manga, genre: &str| (manga, genre.to_owned());
        let genres = [of(1, "a"), of(2, "c"), of(2, "b"), of(3, "z"), of(9, "y")];
        assert_eq!(favourite_genres(&tastes, &genres), ["b", "c", "a"]);
    }

    /// Shelves take turns, nothing is picked twice, and when all are empty that is all.
    #[test]
    fn shelves_take_turns() {
        let shelves =
            || vec![(Reason::PopularIn("a".into()), vec![1, 2, 3]), (Reason::PopularIn("b".into()), vec![2, 4])];
        let picked = |limit| -> Vec<MangaId> {
            let mut picks = vec![Pick { manga_id: 1, reason: Reason::Popular }];
            take_turns(&mut picks, shelves(), limit);
            picks.iter().map(|pick| pick.manga_id).collect()
        };
        assert_eq!(picked(9), [1, 2, 4, 3]);
        assert_eq!(picked(3), [1, 2, 4]);
        assert_eq!(picked(1), [1]);
    }
}
