//! What can be counted about a reader, goals, and what to read next.

use serde_json::{Value, json};

use crate::proto::openapi::describe::{Area, Description, Example, describe, example};
use crate::proto::openapi::schema::{
    between, data, from, items, list, message, named, number, object, one_of, or_null, text, time, truth, whole, with,
};
use crate::store::model::Period;

/// The area.
pub fn area() -> Area {
    Area {
        name: "Statistics",
        about: "What can be counted about a reader, goals, and what to read next. `complete` is false where a history \
                is longer than one look reads.",
        routes: [statistics(), goals(), vec![recommendations()]].into_iter().flatten().collect(),
        shapes: vec![
            ("Overview".into(), overview()),
            ("ReadingByPeriod".into(), reading()),
            ("Streaks".into(), streaks()),
            ("Genres".into(), genres()),
            ("Pace".into(), pace()),
            ("Goal".into(), goal()),
            ("Pursuit".into(), pursuit()),
            ("Recommendation".into(), recommendation()),
        ],
    }
}

fn statistics() -> Vec<Description> {
    vec![
        describe("GET /api/v1/users/stats", "The library in numbers")
            .gives(200, "Counts", data(named("Overview")))
            .example(reads(example("One series", "/api/v1/users/stats"))),
        of_days(describe("GET /api/v1/users/stats/reading", "Chapters by day, week, month or year"))
            .query("by", one_of(Period::WORDS), "What a line is about; a day unless said")
            .gives(200, "Chapters, period by period", data(named("ReadingByPeriod")))
            .example(reads(example("By week", "/api/v1/users/stats/reading?by=week&timezone=Europe/Berlin")))
            .example(example("Backwards", "/api/v1/users/stats/reading?from=2026-02-01&to=2026-01-01").gives(400)),
        zoned(describe("GET /api/v1/users/stats/streaks", "Days in a row"))
            .gives(200, "Streaks", data(named("Streaks")))
            .example(reads(example("A day", "/api/v1/users/stats/streaks?timezone=-05:00")))
            .example(example("Nowhere", "/api/v1/users/stats/streaks?timezone=Nowhere").gives(400)),
        of_days(describe("GET /api/v1/users/stats/genres", "Chapters by genre"))
            .gives(200, "Genres, the most read first", data(named("Genres")))
            .example(reads(example("Of one series", "/api/v1/users/stats/genres"))),
        describe("GET /api/v1/users/stats/pace", "How fast, and when a series will be finished")
            .gives(200, "Chapters a day, and estimates for what is being read", data(named("Pace")))
            .example(reads(example("One series", "/api/v1/users/stats/pace"))),
    ]
}

fn goals() -> Vec<Description> {
    let one = "/api/v1/users/goals/week";
    let shown = |goal: &str| data(object([("goal", named(goal)), ("timezone", text()), ("complete", truth())], []));
    let all = object([("items", list(named("Pursuit"))), ("timezone", text()), ("complete", truth())], []);
    vec![
        zoned(describe("GET /api/v1/users/goals", "Goals, and how far one is"))
            .gives(200, "Goals, the shortest period first", data(all))
            .example(reads(after_goal(example("A goal", "/api/v1/users/goals")))),
        zoned(one_goal("GET /api/v1/users/goals/{period}", "A goal, and how far one is"))
            .gives(200, "The goal", shown("Pursuit"))
            .example(after_goal(example("A goal", "/api/v1/users/goals/week?timezone=Asia/Tokyo")))
            .example(example("None", one).gives(404)),
        one_goal("PUT /api/v1/users/goals/{period}", "Set a goal, or change it")
            .takes(object([("target", between(1, 100_000))], []))
            .gives(200, "The goal", data(object([("goal", named("Goal"))], [])))
            .example(example("Ten chapters a week", one).sends(json!({"target": 10}))),
        one_goal("DELETE /api/v1/users/goals/{period}", "Give a goal up")
            .gives(200, "Done", message())
            .example(after_goal(example("A goal", one))),
    ]
}

fn recommendations() -> Description {
    describe("GET /api/v1/users/recommendations", "What to read next")
        .says("Series that are not in the library: by what readers alike read, then what is popular.")
        .query("limit", between(1, 50), "At most so many; 20 unless said")
        .gives(200, "Series, the most fitting first", items(named("Recommendation")))
        .example(reads(example("Five", "/api/v1/users/recommendations?limit=5")))
}

fn one_goal(place: &'static str, summary: &'static str) -> Description {
    describe(place, summary).path("period", one_of(Period::WORDS), "What the goal is for").refuses([404])
}

fn zoned(description: Description) -> Description {
    let says = "Where days begin: a name such as `Europe/Berlin`, or an offset such as `+02:00`; UTC unless said";
    description.query("timezone", text(), says)
}

fn of_days(description: Description) -> Description {
    let description = description.query("from", day(), "The first day").query("to", day(), "The last day");
    zoned(description)
}

fn after_goal(example: Example) -> Example {
    example.after("PUT", "/api/v1/users/goals/week", json!({"target": 10}))
}

fn reads(example: Example) -> Example {
    let body = json!({"manga_id": "akira", "status": "reading", "current_chapter": 5});
    example.after("POST", "/api/v1/users/library", body)
}

fn day() -> Value {
    json!({"type": "string", "format": "date"})
}

fn overview() -> Value {
    let counts = [
        "total_manga",
        "total_chapters_read",
        "completed_manga",
        "reading_manga",
        "plan_to_read_manga",
        "on_hold_manga",
        "dropped_manga",
        "re_reading_manga",
        "library_manga",
        "times_reread",
        "rated_manga",
    ];
    with(object(counts.map(|name| (name, from(0))), []), [("average_rating", number())])
}

fn reading() -> Value {
    let line = object([("from", day()), ("to", day()), ("chapters", from(0)), ("series", from(0))], []);
    object(
        [
            ("by", one_of(Period::WORDS)),
            ("from", day()),
            ("to", day()),
            ("timezone", text()),
            ("total_chapters", from(0)),
            ("items", list(line)),
            ("complete", truth()),
        ],
        [],
    )
}

fn streaks() -> Value {
    object(
        [
            ("current", from(0)),
            ("longest", from(0)),
            ("longest_from", or_null(day())),
            ("longest_to", or_null(day())),
            ("days_read", from(0)),
            ("last_day", or_null(day())),
            ("timezone", text()),
            ("complete", truth()),
        ],
        [],
    )
}

fn genres() -> Value {
    let line = object(
        [
            ("genre", text()),
            ("chapters", from(0)),
            ("series", from(0)),
            ("share_of_chapters", number()),
            ("share_of_series", number()),
        ],
        [],
    );
    object([("total_chapters", from(0)), ("total_series", from(0)), ("items", list(line)), ("complete", truth())], [])
}

fn pace() -> Value {
    let window = object([("days", from(1)), ("chapters", from(0)), ("chapters_per_day", number())], []);
    let estimate = object(
        [
            ("manga_id", or_null(text())),
            ("manga_key", whole()),
            ("manga_title", or_null(text())),
            ("current_chapter", from(0)),
            ("chapter_exact", number()),
            ("total_chapters", from(0)),
            ("chapters_per_day", number()),
            ("days_left", or_null(from(0))),
            ("finished_by", or_null(time())),
        ],
        [],
    );
    object([("windows", list(window)), ("estimates", list(estimate)), ("complete", truth())], [])
}

fn goal() -> Value {
    object(
        [
            ("period", one_of(Period::WORDS)),
            ("target", between(1, 100_000)),
            ("created_at", time()),
            ("updated_at", time()),
        ],
        [],
    )
}

/// A goal, and how far its reader is.
fn pursuit() -> Value {
    let so_far = [
        ("chapters", from(0)),
        ("left", from(0)),
        ("share", number()),
        ("reached", truth()),
        ("from", day()),
        ("to", day()),
    ];
    with(goal(), so_far)
}

fn recommendation() -> Value {
    let named = object([("manga_id", text()), ("title", text())], []);
    object(
        [
            ("manga_id", text()),
            ("manga_key", whole()),
            ("manga_title", text()),
            ("score", or_null(number())),
            ("reason", text()),
            ("because", list(named)),
        ],
        [],
    )
}
