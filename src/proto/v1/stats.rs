//! Statistics over HTTP.

use jiff::civil::{Date, date};
use serde_json::{Value, json};

use super::read::parse_word;
use super::show::data;
use crate::handlers::api::{ApiError, Series};
use crate::handlers::calendar::{PeriodCount, Streaks, Zone};
use crate::handlers::stats::{
    ByGenre, ByPeriod, Days, ESTIMATE_DAYS, Estimate, GENRES, OVERVIEW, PACE, Pace, READING, Range, Reply, STREAKS,
};
use crate::proto::http1::{Method, Response};
use crate::proto::routes::{Family, HttpInput, Route};
use crate::proto::time::rfc3339;
use crate::store::model::{Period, ReadingStatus, Shelf, StatusCount};

pub(super) fn routes() -> Vec<Route> {
    use Method::Get;
    vec![
        Route::http(Family::V1, Get, "/api/v1/users/stats", OVERVIEW, |_| Ok(())),
        Route::http(Family::V1, Get, "/api/v1/users/stats/reading", READING, read_range),
        Route::http(Family::V1, Get, "/api/v1/users/stats/streaks", STREAKS, zone),
        Route::http(Family::V1, Get, "/api/v1/users/stats/genres", GENRES, read_days),
        Route::http(Family::V1, Get, "/api/v1/users/stats/pace", PACE, |_| Ok(())),
    ]
}

fn read_range(input: &HttpInput<'_>) -> Result<Range, ApiError> {
    let by = input.query("by").map(|word| parse_word(&word, "by", Period::parse, Period::WORDS)).transpose()?;
    Ok(Range { days: read_days(input)?, by: by.unwrap_or(Period::Day) })
}

fn read_days(input: &HttpInput<'_>) -> Result<Days, ApiError> {
    Ok(Days { from: day(input, "from")?, to: day(input, "to")?, zone: zone(input)? })
}

fn day(input: &HttpInput<'_>, name: &str) -> Result<Option<Date>, ApiError> {
    let Some(text) = input.query(name) else { return Ok(None) };
    let plain = text.len() == DAY_BYTES && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let day = text.parse::<Date>().ok().filter(|day| plain && *day >= FIRST_DAY);
    day.map(Some).ok_or_else(|| ApiError::invalid(format!("{name}: expected a day such as 2026-01-31")))
}

/// Where the days of a request begin. A plus sign that was not encoded has become a space.
pub(super) fn zone(input: &HttpInput<'_>) -> Result<Zone, ApiError> {
    let Some(name) = input.query("timezone") else { return Ok(Zone::utc()) };
    let name = name.strip_prefix(' ').map_or(name.clone().into_owned(), |offset| format!("+{offset}"));
    Zone::parse(&name).ok_or_else(|| {
        ApiError::invalid("timezone: expected a name such as Europe/Berlin, or an offset such as +02:00")
    })
}

pub(super) fn show(reply: Reply) -> Response {
    data(
        200,
        match reply {
            Reply::Overview(shelf) => overview(&shelf),
            Reply::Reading(counted) => reading(&counted),
            Reply::Streaks(found, zone, complete) => streaks(&found, &zone, complete),
            Reply::Genres(counted) => genres(&counted),
            Reply::Pace(measured) => pace(&measured),
        },
    )
}

fn overview(shelf: &Shelf) -> Value {
    let sum = |part: fn(&StatusCount) -> u64| shelf.by_status.iter().map(part).sum::<u64>();
    let series = |status| shelf.by_status.iter().find(|count| count.status == status).map_or(0, |count| count.series);
    let (ratings, rating_sum) = shelf.ratings;
    json!({
        "total_manga": sum(|count| count.series),
        "total_chapters_read": sum(|count| count.chapters),
        "completed_manga": series(ReadingStatus::Completed),
        "reading_manga": series(ReadingStatus::Reading),
        "plan_to_read_manga": series(ReadingStatus::PlanToRead),
        "on_hold_manga": series(ReadingStatus::OnHold),
        "dropped_manga": series(ReadingStatus::Dropped),
        "re_reading_manga": series(ReadingStatus::ReReading),
        "library_manga": sum(|count| count.in_library),
        "times_reread": sum(|count| count.rereads),
        "rated_manga": ratings,
        "average_rating": ratio(rating_sum, ratings),
    })
}

fn reading(counted: &ByPeriod) -> Value {
    let period = |count: &PeriodCount| json!({"from": count.first.to_string(), "to": count.last.to_string(), "chapters": count.chapters, "series": count.series});
    json!({
        "by": counted.by,
        "from": counted.days.0.to_string(),
        "to": counted.days.1.to_string(),
        "timezone": counted.zone.name,
        "total_chapters": counted.periods.iter().map(|count| count.chapters).sum::<u64>(),
        "items": counted.periods.iter().map(period).collect::<Vec<Value>>(),
        "complete": counted.complete,
    })
}

fn streaks(found: &Streaks, zone: &Zone, complete: bool) -> Value {
    json!({
        "current": found.current,
        "longest": found.longest,
        "longest_from": found.longest_days.map(|days| days.0.to_string()),
        "longest_to": found.longest_days.map(|days| days.1.to_string()),
        "days_read": found.days,
        "last_day": found.last.map(|day| day.to_string()),
        "timezone": zone.name,
        "complete": complete,
    })
}

fn genres(counted: &ByGenre) -> Value {
    let items = counted.genres.iter().map(|count| {
        json!({
            "genre": count.genre,
            "chapters": count.chapters,
            "series": count.series,
            "share_of_chapters": ratio(count.chapters, counted.chapters),
            "share_of_series": ratio(count.series, counted.series),
        })
    });
    json!({
        "total_chapters": counted.chapters,
        "total_series": counted.series,
        "items": items.collect::<Vec<Value>>(),
        "complete": counted.complete,
    })
}

fn pace(pace: &Pace) -> Value {
    let windows = pace.windows.iter().map(|&(days, chapters)| {
        json!({"days": days, "chapters": chapters, "chapters_per_day": ratio(chapters, days.into())})
    });
    let estimates = pace.estimates.iter().map(|(estimate, series)| show_estimate(estimate, series.as_deref()));
    json!({
        "windows": windows.collect::<Vec<Value>>(),
        "estimates": estimates.collect::<Vec<Value>>(),
        "complete": pace.complete,
    })
}

fn show_estimate(estimate: &Estimate, series: Option<&Series>) -> Value {
    json!({
        "manga_id": series.map(|series| series.slug.as_str()),
        "manga_key": estimate.of.manga_id,
        "manga_title": series.map(|series| series.title.as_str()),
        "current_chapter": estimate.of.chapter.floor(),
        "chapter_exact": estimate.of.chapter,
        "total_chapters": estimate.of.chapters_total.floor(),
        "chapters_per_day": ratio(estimate.chapters_lately, ESTIMATE_DAYS.into()),
        "days_left": estimate.finish.map(|finish| finish.0),
        "finished_by": estimate.finish.map(|finish| rfc3339(finish.1)),
    })
}

/// A part of a whole to three places; nothing of nothing is 0.
pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    match whole {
        0 => 0.0,
        whole => (part as f64 / whole as f64 * 1000.0).round() / 1000.0,
    }
}

/// How many bytes a day has when it is written.
const DAY_BYTES: usize = 10;

/// Nothing was read here before there was a clock to say so.
const FIRST_DAY: Date = date(1970, 1, 1);
