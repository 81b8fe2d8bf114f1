//! What a reader's history adds up to, as clients meet it, and the goals a reader sets.

mod common;

use common::{Account, COMPLETED, ONGOING, TestServer};
use serde_json::{Value, json};

/// Reads up to a chapter at a time of the reader's own.
fn read(server: &TestServer, account: &Account, manga: &str, chapter: f64, read_at: &str) {
    let mut http = server.http();
    let added = json!({"manga_id": manga, "status": "reading"});
    http.post("/api/v1/users/library", Some(&account.token), &added);
    let body = json!({"chapter_exact": chapter, "read_at": read_at});
    http.put(&format!("/api/v1/users/progress/{manga}"), Some(&account.token), &body).data(200);
}

/// So many days before now, as a client writes it.
fn days_ago(days: i64) -> String {
    (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days)).to_string()
}

/// A zone in which it is about noon, so that no day begins during a test.
fn noon_zone() -> String {
    let hour = jiff::Timestamp::now().as_second() / 3600 % 24;
    format!("{:+03}:00", 12 - hour)
}

/// The overview has the members that clients know, as numbers, for an empty library and a full one.
#[test]
fn the_overview_counts_everything() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut http = server.http();
    let token = Some(alice.token.as_str());
    let names = ["total_manga", "total_chapters_read", "completed_manga", "reading_manga", "plan_to_read_manga"];
    let empty = http.get("/api/v1/users/stats", token).data(200);
    for name in names {
        assert_eq!(empty[name], 0, "{name}");
    }
    assert_eq!(empty["average_rating"], 0.0);
    for (manga, status, chapter) in
        [(ONGOING, "reading", 7), (COMPLETED, "completed", 120), ("bleach", "plan_to_read", 0)]
    {
        let body = json!({"manga_id": manga, "status": status, "current_chapter": chapter});
        http.post("/api/v1/users/library", token, &body).data(201);
    }
    for (manga, rating) in [(ONGOING, 7), (COMPLETED, 10)] {
        http.put(&format!("/api/v1/users/progress/{manga}"), token, &json!({"rating": rating})).data(200);
    }
    let full = http.get("/api/v1/users/stats", token).data(200);
    assert_eq!(names.map(|name| full[name].as_i64().unwrap()), [3, 127, 1, 1, 1]);
    assert_eq!(
        (&full["average_rating"], &full["rated_manga"], &full["library_manga"]),
        (&json!(8.5), &json!(2), &json!(3))
    );
}

/// Chapters are counted by day, week, month and year where the reader lives.
#[test]
fn reading_is_counted_by_period() {
    let server = TestServer::start();
    let alice = server.register("alice");
    read(&server, &alice, ONGOING, 2.0, "2026-01-31T22:30:00Z");
    read(&server, &alice, ONGOING, 5.5, "2026-01-31T23:30:00Z");
    read(&server, &alice, COMPLETED, 1.0, "2026-02-02T12:00:00Z");
    let mut http = server.http();
    let mut counted = |query: &str| {
        let path = format!("/api/v1/users/stats/reading?{query}");
        http.get(&path, Some(&alice.token)).data(200)
    };
    let day = |from: &str, to: &str, chapters: u64, series: u64| json!({"from": from, "to": to, "chapters": chapters, "series": series});
    let utc = counted("from=2026-01-31&to=2026-02-02");
    let rows = [
        day("2026-01-31", "2026-01-31", 5, 1),
        day("2026-02-01", "2026-02-01", 0, 0),
        day("2026-02-02", "2026-02-02", 1, 1),
    ];
    assert_eq!(utc["items"], json!(rows));
    assert_eq!((&utc["total_chapters"], &utc["timezone"], &utc["complete"]), (&json!(6), &json!("UTC"), &json!(true)));
    let berlin = counted("by=month&from=2026-01-01&to=2026-02-28&timezone=Europe/Berlin");
    assert_eq!(berlin["items"], json!([day("2026-01-01", "2026-01-31", 2, 1), day("2026-02-01", "2026-02-28", 4, 2)]));
    for offset in ["timezone=+01:00", "timezone=%2B01:00"] {
        let shifted = counted(&format!("by=week&from=2026-02-01&to=2026-02-02&{offset}"));
        assert_eq!(
            shifted["items"],
            json!([day("2026-01-26", "2026-02-01", 3, 1), day("2026-02-02", "2026-02-08", 1, 1)])
        );
    }
    let year = counted("by=year&from=2026-06-01&to=2026-12-31");
    assert_eq!(year["items"], json!([day("2026-01-01", "2026-12-31", 0, 0)]), "what is outside is not counted");
    for (by, rows) in [("day", 30), ("week", 13), ("month", 12), ("year", 10)] {
        assert_eq!(counted(&format!("by={by}"))["items"].as_array().unwrap().len(), rows, "{by}");
    }
}

/// A streak is counted up to today, and the longest is remembered.
#[test]
fn streaks_are_counted() {
    let server = TestServer::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    for (chapter, days) in [(1.0, 20), (2.0, 19), (3.0, 18), (4.0, 1), (5.0, 0)] {
        read(&server, &alice, ONGOING, chapter, &days_ago(days));
    }
    let mut http = server.http();
    let zone = noon_zone();
    let found = http.get(&format!("/api/v1/users/stats/streaks?timezone={zone}"), Some(&alice.token)).data(200);
    assert_eq!((&found["current"], &found["longest"], &found["days_read"]), (&json!(2), &json!(3), &json!(5)));
    assert_eq!((&found["timezone"], &found["complete"]), (&json!(zone), &json!(true)));
    assert!(found["longest_from"].as_str().unwrap() < found["longest_to"].as_str().unwrap(), "{found}");
    let none = http.get("/api/v1/users/stats/streaks", Some(&bob.token)).data(200);
    assert_eq!((&none["current"], &none["longest"], &none["last_day"]), (&json!(0), &json!(0), &Value::Null));
}

/// Genres are shown with their share of chapters and of series.
#[test]
fn genres_have_their_share() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = folder.path().join("catalogue.json");
    let manga = |slug: &str, genres: Value| json!({"slug": slug, "title": slug, "status": "ongoing", "genres": genres});
    let series = json!([manga("a", json!(["action", "horror"])), manga("b", json!(["action"])), manga("c", json!([]))]);
    std::fs::write(&catalogue, series.to_string()).unwrap();
    let server = TestServer::with(|config| config.store.catalogue = Some(catalogue.clone()));
    let alice = server.register("alice");
    read(&server, &alice, "a", 1.0, "2026-01-10T00:00:00Z");
    read(&server, &alice, "b", 2.0, "2026-01-11T00:00:00Z");
    read(&server, &alice, "c", 1.0, "2026-01-12T00:00:00Z");
    let mut http = server.http();
    let all = http.get("/api/v1/users/stats/genres", Some(&alice.token)).data(200);
    let genre = |genre: &str, chapters: u64, series: u64, of_chapters: f64, of_series: f64| {
        json!({"genre": genre, "chapters": chapters, "series": series, "share_of_chapters": of_chapters,
               "share_of_series": of_series})
    };
    assert_eq!(all["items"], json!([genre("action", 3, 2, 0.75, 0.667), genre("horror", 1, 1, 0.25, 0.333)]));
    assert_eq!((&all["total_chapters"], &all["total_series"]), (&json!(4), &json!(3)));
    let one_day = http.get("/api/v1/users/stats/genres?from=2026-01-11&to=2026-01-11", Some(&alice.token)).data(200);
    assert_eq!(one_day["items"], json!([genre("action", 2, 1, 1.0, 1.0)]));
}

/// The pace is measured over three windows, and says when what has an end will be finished.
#[test]
fn the_pace_is_measured() {
    let server = TestServer::start();
    let alice = server.register("alice");
    read(&server, &alice, COMPLETED, 10.0, &days_ago(80));
    read(&server, &alice, COMPLETED, 20.0, &days_ago(20));
    read(&server, &alice, ONGOING, 7.0, &days_ago(1));
    let mut http = server.http();
    let pace = http.get("/api/v1/users/stats/pace", Some(&alice.token)).data(200);
    let windows = pace["windows"].as_array().unwrap();
    let chapters: Vec<_> = windows.iter().map(|window| window["chapters"].as_i64().unwrap()).collect();
    assert_eq!((chapters, &windows[0]["chapters_per_day"]), (vec![7, 17, 27], &json!(1.0)));
    let estimates = pace["estimates"].as_array().unwrap();
    assert_eq!(estimates.len(), 1, "a series that runs has no end: {pace}");
    assert_eq!((&estimates[0]["manga_id"], &estimates[0]["total_chapters"]), (&json!(COMPLETED), &json!(120)));
    assert_eq!((&estimates[0]["days_left"], &estimates[0]["chapters_per_day"]), (&json!(300), &json!(0.333)));
    assert!(estimates[0]["finished_by"].as_str().unwrap().ends_with('Z'));
}

/// What is no day, no period, no zone or too much is refused by its name; nothing is shown without a token.
#[test]
fn statistics_refuse_what_cannot_be() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut http = server.http();
    let token = Some(alice.token.as_str());
    let long = format!("timezone={}", "a".repeat(5000));
    for (route, wrong, member) in [
        ("reading", "by=hour", "by"),
        ("reading", "by=Day", "by"),
        ("reading", "from=yesterday", "from"),
        ("reading", "from=2026-02-30", "from"),
        ("reading", "from=2026-01-01T00:00:00Z", "from"),
        ("reading", "from=1969-12-31", "from"),
        ("reading", "from=-009999-01-01", "from"),
        ("reading", "to=20260101", "to"),
        ("reading", "to=1000000-01-01", "to"),
        ("reading", "from=2026-01-02&to=2026-01-01", "from"),
        ("reading", "from=1970-01-01&to=2026-01-01", "from"),
        ("reading", "to=1970-01-01&by=year&from=9999-12-31", "from"),
        ("reading", "timezone=Mars/Olympus", "timezone"),
        ("reading", "timezone=../../../etc/passwd", "timezone"),
        ("reading", "timezone=EST5EDT,M3.2.0,M11.1.0", "timezone"),
        ("reading", "timezone=%00", "timezone"),
        ("reading", long.as_str(), "timezone"),
        ("streaks", "timezone=x", "timezone"),
        ("genres", "from=x", "from"),
        ("genres", "to=x", "to"),
        ("genres", "timezone=x", "timezone"),
    ] {
        let message = http.get(&format!("/api/v1/users/stats/{route}?{wrong}"), token).refused(400, "BAD_REQUEST");
        assert!(message.starts_with(member), "{wrong}: {message}");
    }
    for odd in [
        "from=9999-12-31&to=9999-12-31",
        "from=9999-12-31&to=9999-12-31&by=year",
        "to=1970-01-01",
        "to=1970-01-01&by=year",
    ] {
        let reply = http.get(&format!("/api/v1/users/stats/reading?{odd}"), token);
        assert!(reply.status == 200 || reply.status == 400, "{odd}: {}", reply.text());
    }
    for route in ["", "/reading", "/streaks", "/genres", "/pace"] {
        http.get(&format!("/api/v1/users/stats{route}"), None).refused(401, "UNAUTHORIZED");
    }
    http.get("/api/v1/users/stats/nothing", token).refused(404, "NOT_FOUND");
}

// ---- goals

/// A goal is set, shown with how far its reader is, changed, and given up.
#[test]
fn a_goal_from_its_beginning_to_its_end() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut http = server.http();
    let token = Some(alice.token.as_str());
    assert_eq!(http.get("/api/v1/users/goals", token).data(200)["items"], json!([]));
    let set = http.put("/api/v1/users/goals/year", token, &json!({"target": 10})).data(200);
    assert_eq!((&set["goal"]["period"], &set["goal"]["target"]), (&json!("year"), &json!(10)));
    http.put("/api/v1/users/goals/day", token, &json!({"target": 4})).data(200);
    let now = days_ago(0);
    read(&server, &alice, ONGOING, 4.0, &now);
    let zone = noon_zone();
    let goals = http.get(&format!("/api/v1/users/goals?timezone={zone}"), token).data(200);
    let row = |goal: &Value| {
        (goal["period"].clone(), goal["chapters"].clone(), goal["left"].clone(), goal["reached"].clone())
    };
    assert_eq!(row(&goals["items"][0]), (json!("day"), json!(4), json!(0), json!(true)));
    assert_eq!(row(&goals["items"][1]), (json!("year"), json!(4), json!(6), json!(false)));
    assert_eq!((&goals["items"][1]["share"], &goals["timezone"]), (&json!(0.4), &json!(zone)));
    http.put("/api/v1/users/goals/year", token, &json!({"target": 3})).data(200);
    let one = http.get("/api/v1/users/goals/year", token).data(200);
    assert_eq!((&one["goal"]["reached"], &one["goal"]["share"]), (&json!(true), &json!(1.333)));
    assert!(one["goal"]["to"].as_str().unwrap().ends_with("-12-31"), "{one}");
    http.json("DELETE", "/api/v1/users/goals/year", token, None).data(200);
    http.json("DELETE", "/api/v1/users/goals/year", token, None).refused(404, "NOT_FOUND");
    http.get("/api/v1/users/goals/year", token).refused(404, "NOT_FOUND");
}

/// What can't be a goal is refused by its name.
#[test]
fn goals_refuse_what_cannot_be() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut http = server.http();
    let token = Some(alice.token.as_str());
    for wrong in [
        json!({}),
        json!({"target": null}),
        json!({"target": 0}),
        json!({"target": -1}),
        json!({"target": 1.5}),
        json!({"target": "10"}),
        json!({"target": 100_001}),
        json!({"target": 1e300}),
        json!({"target": [1]}),
    ] {
        let message = http.put("/api/v1/users/goals/day", token, &wrong).refused(400, "BAD_REQUEST");
        assert!(message.starts_with("target: "), "{wrong}: {message}");
    }
    for period in ["hour", "Day", "%27", "day%20"] {
        for method in ["GET", "PUT", "DELETE"] {
            let path = format!("/api/v1/users/goals/{period}");
            http.json(method, &path, token, Some(&json!({"target": 1}))).refused(404, "NOT_FOUND");
        }
    }
    http.get("/api/v1/users/goals?timezone=x", token).refused(400, "BAD_REQUEST");
    for (method, path) in [("GET", ""), ("GET", "/day"), ("PUT", "/day"), ("DELETE", "/day")] {
        http.json(method, &format!("/api/v1/users/goals{path}"), None, None).refused(401, "UNAUTHORIZED");
    }
}
