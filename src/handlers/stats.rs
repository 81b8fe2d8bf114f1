//! What a reader's history adds up to: by day and year, in a row, by genre, and how fast.
//!
//! A chapter counts when the number of the last chapter read grows past it, each time it does; so what
//! is read again counts again. The numbers are worked out beside the query, on the worker: a long
//! history is a hundred thousand steps, and the loop has no time for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;

use super::api::{self, ApiError, Series};
use super::calendar::{PERIODS_MAX, PeriodCount, Streaks, Zone, after, count_periods, first_day, streaks};
use super::effect::Lane;
use super::session::Session;
use super::{Access, Call, Ctx};
use crate::store::model::{MangaId, Period, Reading, Shelf, Unfinished, UnixMillis};

/// Shows where the caller stands with everything.
pub const OVERVIEW: Call<()> = Call { name: "stats.overview", access: Access::User, lane: Lane::Read, run: overview };
/// Shows how much was read in each period.
pub const READING: Call<Range> = Call { name: "stats.reading", access: Access::User, lane: Lane::Read, run: reading };
/// Shows on how many days in a row something was read.
pub const STREAKS: Call<Zone> =
    Call { name: "stats.streaks", access: Access::User, lane: Lane::Read, run: show_streaks };
/// Shows which genres were read.
pub const GENRES: Call<Days> = Call { name: "stats.genres", access: Access::User, lane: Lane::Read, run: genres };
/// Shows how fast the caller reads, and when that will bring them to the end of what they read.
pub const PACE: Call<()> = Call { name: "stats.pace", access: Access::User, lane: Lane::Read, run: pace };

/// Some days where the reader lives. `None` is open.
#[derive(Debug, Clone)]
pub struct Days {
    /// The first.
    pub from: Option<Date>,
    /// The last.
    pub to: Option<Date>,
    /// Where days begin.
    pub zone: Zone,
}

/// Some days, and how to part them.
#[derive(Debug, Clone)]
pub struct Range {
    /// The days; by default some periods up to today.
    pub days: Days,
    /// How to part them.
    pub by: Period,
}

/// What is answered about a reader.
#[derive(Debug)]
pub enum Reply {
    /// Where they stand with everything.
    Overview(Shelf),
    /// How much was read when.
    Reading(ByPeriod),
    /// In a row; and whether all of the history was looked at.
    Streaks(Streaks, Zone, bool),
    /// By genre.
    Genres(ByGenre),
    /// How fast.
    Pace(Pace),
}

/// Chapters by period.
#[derive(Debug)]
pub struct ByPeriod {
    /// How they are parted.
    pub by: Period,
    /// The first and the last day.
    pub days: (Date, Date),
    /// Where days begin.
    pub zone: Zone,
    /// Each period.
    pub periods: Vec<PeriodCount>,
    /// Whether all of the history was looked at.
    pub complete: bool,
}

/// What was read by genre.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByGenre {
    /// The most read first.
    pub genres: Vec<GenreCount>,
    /// All chapters; one counts for each genre of its series, so the genres' add up to more.
    pub chapters: u64,
    /// All series of which any was read.
    pub series: u64,
    /// Whether all of the history was looked at.
    pub complete: bool,
}

/// One genre.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenreCount {
    /// Its name.
    pub genre: String,
    /// Chapters of its series.
    pub chapters: u64,
    /// Its series of which any was read.
    pub series: u64,
}

/// How fast somebody reads.
#[derive(Debug)]
pub struct Pace {
    /// Chapters in the last so many days.
    pub windows: Vec<(u32, u64)>,
    /// What they are reading that has an end.
    pub estimates: Vec<(Estimate, Option<Arc<Series>>)>,
    /// Whether all of the history was looked at.
    pub complete: bool,
}

/// When a series will be finished, if its reader goes on as lately.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Where they are, and where the end is.
    pub of: Unfinished,
    /// Chapters of it in the last [`ESTIMATE_DAYS`].
    pub chapters_lately: u64,
    /// In so many days, and when that is; `None` when nothing of it was read lately.
    pub finish: Option<(u64, UnixMillis)>,
}

fn overview(_: (), _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    ctx.run(Lane::Read, move |store| store.shelf(&caller.id), |shelf, _, ctx| reply(Reply::Overview(shelf?), ctx));
    Ok(())
}

fn reading(args: Range, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    let Range { days: Days { from, to, zone }, by } = args;
    let to = to.unwrap_or_else(|| zone.day(ctx.now.unix_ms));
    let from = from.unwrap_or_else(|| after(by, first_day(by, to), 1 - usual_periods(by)));
    let empty = count_periods(&[], &zone, by, from, to);
    empty.ok_or_else(|| ApiError::invalid(format!("from, to: expected from 1 to {PERIODS_MAX} periods")))?;
    ctx.run(
        Lane::Read,
        move |store| {
            let found = store.readings(&caller.id, Some(zone.begin(from)))?;
            let periods = count_periods(&found.steps, &zone, by, from, to).unwrap_or_default();
            Ok(ByPeriod { by, days: (from, to), zone: zone.clone(), periods, complete: found.complete })
        },
        |counted, _, ctx| reply(Reply::Reading(counted?), ctx),
    );
    Ok(())
}

/// How many periods are shown unasked: a month, a quarter, a year, ten years.
const fn usual_periods(by: Period) -> i32 {
    match by {
        Period::Day => 30,
        Period::Week => 13,
        Period::Month => 12,
        Period::Year => 10,
    }
}

fn show_streaks(zone: Zone, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, today) = (ctx.caller()?, zone.day(ctx.now.unix_ms));
    ctx.run(
        Lane::Read,
        move |store| {
            let found = store.readings(&caller.id, None)?;
            Ok((streaks(&found.steps, &zone, today), zone.clone(), found.complete))
        },
        |counted, _, ctx| {
            let (streaks, zone, complete) = counted?;
            reply(Reply::Streaks(streaks, zone, complete), ctx)
        },
    );
    Ok(())
}

fn genres(args: Days, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    let Days { from, to, zone } = args;
    ctx.run(
        Lane::Read,
        move |store| {
            let mut found = store.readings(&caller.id, from.map(|from| zone.begin(from)))?;
            found.steps.retain(|step| to.is_none_or(|to| zone.day(step.at) <= to));
            let genres = store.genres_read(&caller.id)?;
            Ok(by_genre(&found.steps, genres, found.complete))
        },
        |counted, _, ctx| reply(Reply::Genres(counted?), ctx),
    );
    Ok(())
}

fn by_genre(steps: &[Reading], genres: Vec<(MangaId, String)>, complete: bool) -> ByGenre {
    let mut by_series: BTreeMap<MangaId, u64> = BTreeMap::new();
    steps.iter().for_each(|step| *by_series.entry(step.manga_id).or_default() += step.chapters);
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for (manga, genre) in genres {
        let Some(chapters) = by_series.get(&manga) else { continue };
        let count = counts.entry(genre).or_default();
        *count = (count.0 + chapters, count.1 + 1);
    }
    let count = |(genre, (chapters, series))| GenreCount { genre, chapters, series };
    let mut genres: Vec<GenreCount> = counts.into_iter().map(count).collect();
    // Sorting keeps the order by name where the numbers are equal.
    genres.sort_by_key(|count| std::cmp::Reverse((count.chapters, count.series)));
    ByGenre { genres, chapters: by_series.values().sum(), series: by_series.len() as u64, complete }
}

fn pace(_: (), _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, now) = (ctx.caller()?, ctx.now.unix_ms);
    ctx.run(
        Lane::Read,
        move |store| {
            let found = store.readings(&caller.id, Some(now - i64::from(PACE_DAYS[2]) * DAY_MS))?;
            let unfinished = store.unfinished(&caller.id, ESTIMATES_MAX)?;
            let windows = PACE_DAYS.map(|days| (days, chapters_lately(&found.steps, days, None, now)));
            let estimates: Vec<Estimate> = unfinished.into_iter().map(|of| estimate(of, &found.steps, now)).collect();
            Ok((windows.to_vec(), estimates, found.complete))
        },
        |counted, _, ctx| {
            let (windows, estimates, complete) = counted?;
            let series = |estimate: Estimate| {
                let series = ctx.state.catalogue.get(estimate.of.manga_id).cloned();
                (estimate, series)
            };
            let estimates = estimates.into_iter().map(series).collect();
            reply(Reply::Pace(Pace { windows, estimates, complete }), ctx)
        },
    );
    Ok(())
}

fn estimate(of: Unfinished, steps: &[Reading], now: UnixMillis) -> Estimate {
    let chapters_lately = chapters_lately(steps, ESTIMATE_DAYS, Some(of.manga_id), now);
    let left = (of.chapters_total.thousandths() - of.chapter.thousandths()).unsigned_abs().div_ceil(1000);
    let days = (left * u64::from(ESTIMATE_DAYS)).checked_div(chapters_lately).map(|days| days.max(1));
    Estimate { of, chapters_lately, finish: days.map(|days| (days, now + days as i64 * DAY_MS)) }
}

/// Chapters of a series, or of all, in the last so many times 24 hours.
fn chapters_lately(steps: &[Reading], days: u32, manga: Option<MangaId>, now: UnixMillis) -> u64 {
    let since = now - i64::from(days) * DAY_MS;
    let counts = |step: &&Reading| step.at > since && manga.is_none_or(|manga| manga == step.manga_id);
    steps.iter().filter(counts).map(|step| step.chapters).sum()
}

fn reply(reply: Reply, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    ctx.reply(api::Reply::Stats(reply));
    Ok(())
}

/// The days that a pace is measured over; the longest last.
const PACE_DAYS: [u32; 3] = [7, 30, 90];

/// The days that an estimate looks back: long enough for somebody who reads at weekends.
pub const ESTIMATE_DAYS: u32 = 30;

/// Nobody reads more series at a time.
const ESTIMATES_MAX: u32 = 50;

const DAY_MS: i64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::model::Chapter;

    fn step(manga_id: MangaId, at: UnixMillis, chapters: u64) -> Reading {
        Reading { manga_id, at, chapters }
    }

    /// A chapter counts for each genre of its series, and the order is the same every time.
    #[test]
    fn genres_are_counted() {
        let steps = [step(1, 0, 3), step(1, 5, 2), step(2, 0, 5), step(3, 0, 1)];
        let of = |manga, genre: &str| (manga, genre.to_owned());
        let genres = vec![of(1, "b"), of(1, "c"), of(2, "a"), of(2, "c"), of(9, "unread")];
        let counted = by_genre(&steps, genres, true);
        let rows: Vec<_> = counted.genres.iter().map(|row| (row.genre.as_str(), row.chapters, row.series)).collect();
        assert_eq!(rows, [("c", 10, 2), ("a", 5, 1), ("b", 5, 1)]);
        assert_eq!((counted.chapters, counted.series), (11, 3));
    }

    /// An estimate goes by what was read of the series lately, is a day at least, and is none without reading.
    #[test]
    fn the_end_is_estimated() {
        let now = 100 * DAY_MS;
        let of = |chapter| Unfinished {
            manga_id: 1,
            chapter: Chapter::from_f64(chapter).unwrap(),
            chapters_total: Chapter::whole(120).unwrap(),
        };
        let steps = [step(1, now - DAY_MS, 10), step(2, now, 99), step(1, now - 31 * DAY_MS, 1000)];
        assert_eq!(estimate(of(100.0), &steps, now).finish, Some((60, now + 60 * DAY_MS)));
        assert_eq!(estimate(of(119.5), &steps, now).finish.unwrap().0, 3);
        assert_eq!(estimate(of(119.0), &[step(1, now, 1000)], now).finish.unwrap().0, 1);
        assert_eq!(estimate(of(0.0), &steps[1..], now).finish, None);
    }
}
