//! Days where a reader lives: time zones, weeks, months, and what was read in each.
//!
//! Nothing here asks what time it is; whoever calls says so. The time zones are part of the program.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::store::model::{MangaId, Period, Reading, UnixMillis};

/// A time zone, under the name that the reader gave it.
#[derive(Debug, Clone)]
pub struct Zone {
    /// Such as `Europe/Berlin` or `+02:00`.
    pub name: String,
    rules: TimeZone,
}

impl Zone {
    /// Where nobody said otherwise.
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), rules: TimeZone::UTC }
    }

    /// A zone by its IANA name, or by its offset from UTC.
    pub fn parse(name: &str) -> Option<Self> {
        // The parser also takes whole sets of rules; they have commas.
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+-:".contains(&byte));
        if name.len() > ZONE_BYTES_MAX || !plain {
            return None;
        }
        let rules = DateTimeParser::new().parse_time_zone(name).ok()?;
        Some(Self { name: name.to_owned(), rules })
    }

    /// The day that it is there.
    pub fn day(&self, at: UnixMillis) -> Date {
        let at = Timestamp::from_millisecond(at).unwrap_or_default();
        self.rules.to_datetime(at).date()
    }

    /// When a day begins there.
    pub fn begin(&self, day: Date) -> UnixMillis {
        day.to_zoned(self.rules.clone()).map_or(i64::MIN, |begin| begin.timestamp().as_millisecond())
    }
}

/// No zone has a longer name.
const ZONE_BYTES_MAX: usize = 64;

/// The first day of the period that a day is in.
pub fn first_day(period: Period, day: Date) -> Date {
    match period {
        Period::Day => day,
        Period::Week => day.saturating_sub(Span::new().days(day.weekday().to_monday_zero_offset())),
        Period::Month => day.first_of_month(),
        Period::Year => day.first_of_year(),
    }
}

/// The last day of the period that a day is in.
pub fn last_day(period: Period, day: Date) -> Date {
    after(period, first_day(period, day), 1).saturating_sub(Span::new().days(1))
}

/// The first day so many periods later, or earlier. Beyond the calendar it is its end.
pub fn after(period: Period, first: Date, periods: i32) -> Date {
    first.saturating_add(match period {
        Period::Day => Span::new().days(periods),
        Period::Week => Span::new().weeks(periods),
        Period::Month => Span::new().months(periods),
        Period::Year => Span::new().years(periods),
    })
}

/// What was read in one period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeriodCount {
    /// Its first day.
    pub first: Date,
    /// Its last day.
    pub last: Date,
    /// Chapters.
    pub chapters: u64,
    /// Series.
    pub series: u64,
}

/// Every period from one day to another, those without reading too. What was read outside of these two
/// days is not counted. `None` when there are more than [`PERIODS_MAX`], or none.
pub fn count_periods(steps: &[Reading], zone: &Zone, period: Period, from: Date, to: Date) -> Option<Vec<PeriodCount>> {
    let mut read: BTreeMap<Date, (u64, BTreeSet<MangaId>)> = BTreeMap::new();
    let mut first = first_day(period, from);
    while first <= to {
        read.insert(first, Default::default());
        let next = after(period, first, 1);
        if read.len() > PERIODS_MAX || next <= first {
            return None;
        }
        first = next;
    }
    for step in steps {
        let day = zone.day(step.at);
        let Some((chapters, series)) = read.get_mut(&first_day(period, day)).filter(|_| (from..=to).contains(&day))
        else {
            continue;
        };
        *chapters += step.chapters;
        series.insert(step.manga_id);
    }
    let count = |(first, (chapters, series)): (Date, (u64, BTreeSet<MangaId>))| PeriodCount {
        first,
        last: last_day(period, first),
        chapters,
        series: series.len() as u64,
    };
    (!read.is_empty()).then(|| read.into_iter().map(count).collect())
}

/// The most periods in one answer: nearly three years of days.
pub const PERIODS_MAX: usize = 1_000;

/// Days in a row on which something was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Streaks {
    /// Up to today; up to yesterday while today may still be one of them.
    pub current: u32,
    /// The longest ever, the latest of those that are equal.
    pub longest: u32,
    /// Its first and its last day.
    pub longest_days: Option<(Date, Date)>,
    /// On how many days something was read.
    pub days: u32,
    /// The last of them.
    pub last: Option<Date>,
}

/// The streaks of a reader for whom it is `today`.
pub fn streaks(steps: &[Reading], zone: &Zone, today: Date) -> Streaks {
    let days: BTreeSet<Date> = steps.iter().map(|step| zone.day(step.at)).collect();
    let mut found = Streaks { days: days.len() as u32, last: days.last().copied(), ..Streaks::default() };
    let mut run: Option<(Date, Date, u32)> = None;
    for day in days {
        let (first, _, length) =
            run.filter(|(_, last, _)| last.tomorrow().is_ok_and(|next| next == day)).unwrap_or((day, day, 0));
        run = Some((first, day, length + 1));
        if length + 1 >= found.longest {
            (found.longest, found.longest_days) = (length + 1, Some((first, day)));
        }
    }
    let alive = |last: Date| last >= today || last.tomorrow().is_ok_and(|next| next == today);
    found.current = run.filter(|(_, last, _)| alive(*last)).map_or(0, |(_, _, length)| length);
    found
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn step(at: &str, manga_id: MangaId, chapters: u64) -> Reading {
        Reading { manga_id, at: at.parse::<Timestamp>().unwrap().as_millisecond(), chapters }
    }

    /// Names and offsets are zones, whole rules and nonsense are not, and no file of the system is needed.
    #[test]
    fn zones_are_read() {
        for name in ["UTC", "Europe/Berlin", "america/new_york", "Asia/Kathmandu", "+02:00", "-09:30", "Etc/GMT+12"] {
            assert_eq!(Zone::parse(name).unwrap().name, name);
        }
        for wrong in ["", "Mars", "+2", "+99:00", "EST5EDT,M3.2.0,M11.1.0", "../../etc/passwd", "Ünï", "Local"] {
            assert!(Zone::parse(wrong).is_none(), "{wrong:?}");
        }
        assert!(Zone::parse(&"a".repeat(10_000)).is_none());
    }

    /// The same moment is on different days, and a day that a clock change shortens begins when it does.
    #[test]
    fn days_are_local() {
        let moment = step("2026-03-28T23:30:00Z", 1, 1).at;
        let day = |name: &str| Zone::parse(name).unwrap().day(moment);
        assert_eq!(
            (day("UTC"), day("Europe/Berlin"), day("-12:00")),
            (date(2026, 3, 28), date(2026, 3, 29), date(2026, 3, 28))
        );
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        let hours = (berlin.begin(date(2026, 3, 30)) - berlin.begin(date(2026, 3, 29))) / 3_600_000;
        assert_eq!(hours, 23);
    }

    /// Periods begin where the calendar says: weeks on Mondays, over the turn of the year.
    #[test]
    fn periods_have_their_first_and_last_days() {
        let day = date(2027, 1, 2);
        let ends = |period| (first_day(period, day), last_day(period, day));
        assert_eq!(ends(Period::Day), (day, day));
        assert_eq!(ends(Period::Week), (date(2026, 12, 28), date(2027, 1, 3)));
        assert_eq!(ends(Period::Month), (date(2027, 1, 1), date(2027, 1, 31)));
        assert_eq!(ends(Period::Year), (date(2027, 1, 1), date(2027, 12, 31)));
        assert_eq!(after(Period::Month, date(2026, 12, 1), -11), date(2026, 1, 1));
    }

    /// Chapters land in their local period; empty periods are there; what is outside is not.
    #[test]
    fn chapters_are_counted_by_period() {
        let tokyo = Zone::parse("Asia/Tokyo").unwrap();
        let steps = [
            step("2026-01-31T14:59:00Z", 1, 2),
            step("2026-01-31T15:01:00Z", 1, 3),
            step("2026-02-01T10:00:00Z", 2, 4),
            step("2026-04-01T00:00:00Z", 2, 5),
        ];
        let counts = |from, to| -> Vec<(u64, u64)> {
            let found = count_periods(&steps, &tokyo, Period::Month, from, to).unwrap();
            found.iter().map(|count| (count.chapters, count.series)).collect()
        };
        assert_eq!(counts(date(2026, 1, 1), date(2026, 4, 30)), [(2, 1), (7, 2), (0, 0), (5, 1)]);
        assert_eq!(counts(date(2026, 2, 2), date(2026, 3, 1)), [(0, 0), (0, 0)]);
        let days = |to| count_periods(&steps, &tokyo, Period::Day, date(2026, 1, 1), to).map(|days| days.len());
        assert_eq!(
            (days(date(2028, 9, 26)), days(date(2028, 9, 27)), days(date(2025, 12, 31))),
            (Some(1000), None, None)
        );
        assert_eq!(days(Date::MAX), None);
    }

    /// A streak lives through the day after its last one, breaks then, and the longest is remembered.
    #[test]
    fn streaks_follow_local_days() {
        let utc = Zone::utc();
        let steps = ["03", "04", "05", "07", "08"].map(|day| step(&format!("2026-05-{day}T12:00:00Z"), 1, 1));
        let on = |day| streaks(&steps, &utc, date(2026, 5, day));
        assert_eq!((on(8).current, on(9).current, on(10).current), (2, 2, 0));
        assert_eq!((on(8).longest, on(8).longest_days), (3, Some((date(2026, 5, 3), date(2026, 5, 5)))));
        assert_eq!((on(8).days, on(8).last), (5, Some(date(2026, 5, 8))));
        assert_eq!(streaks(&[], &utc, date(2026, 5, 1)), Streaks::default());
        let late = [step("2026-05-01T22:30:00Z", 1, 1), step("2026-05-02T23:30:00Z", 1, 1)];
        assert_eq!(streaks(&late, &Zone::parse("+02:00").unwrap(), date(2026, 5, 3)).current, 2);
        assert_eq!(streaks(&late, &Zone::parse("+01:00").unwrap(), date(2026, 5, 3)).current, 1);
    }
}
