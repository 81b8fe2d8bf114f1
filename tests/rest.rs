//! The first family's routes as their clients meet them: what each shows, and what each refuses.
//!
//! HTTP itself is in `rest_wire.rs`; tokens, passwords and pauses are in `identity.rs`.

mod common;

use common::{Account, COMPLETED, COMPLETED_CHAPTERS, ONGOING, PASSWORD, TestServer};
use serde_json::{Value, json};

fn fields(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("not an object: {value}")).keys().map(String::as_str).collect()
}

fn has(value: &Value, names: &[&str]) {
    let fields = fields(value);
    for name in names {
        assert!(fields.contains(name), "{name} is missing in {value}");
    }
}

fn add(server: &TestServer, account: &Account, body: Value) {
    server.http().post("/api/v1/users/library", Some(&account.token), &body).data(201);
}

// ---- accounts

/// Registering answers the user and a token, in `data` and at the top, and the token is good.
#[test]
fn register_answers_user_and_token() {
    let server = TestServer::start();
    let mut http = server.http();
    let body = json!({"username": "alice", "email": "alice@example.org", "password": "secret", "unknown": {"x": 1}});
    let reply = http.post("/api/v1/auth/register", None, &body);
    let data = reply.data(201);
    has(&data["user"], &["id", "username", "email", "created_at"]);
    assert_eq!((&data["user"]["username"], &data["user"]["email"]), (&json!("alice"), &json!("alice@example.org")));
    assert_eq!((&reply.json()["token"], &reply.json()["user"]), (&data["token"], &data["user"]));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let created: jiff::Timestamp = data["user"]["created_at"].as_str().unwrap().parse().unwrap();
    assert!(jiff::Timestamp::now().duration_since(created).abs().as_secs() < 600, "{created}");
    let me = http.get("/api/v1/users/me", data["token"].as_str()).data(200);
    assert_eq!(me["user"]["id"], data["user"]["id"]);
    assert!(!reply.text().contains("password"), "{}", reply.text());
}

/// Names and addresses are taken once, whatever their case; what can't be one is refused by name.
#[test]
fn register_refuses_what_is_taken_or_wrong() {
    let server = TestServer::start();
    server.register("alice");
    let mut http = server.http();
    let mut register = |username: &str, email: &str, password: &str| {
        let body = json!({"username": username, "email": email, "password": password});
        http.post("/api/v1/auth/register", None, &body)
    };
    for (username, email) in [("alice", "new@example.org"), ("newname", "alice@example.org"), ("ALICE", "b@c.example")]
    {
        let message = register(username, email, "secret1").refused(409, "CONFLICT");
        assert_eq!(message, "username or email already exists");
    }
    let long = "n".repeat(33);
    for (username, email, password, member) in [
        ("ab", "x@example.org", "secret1", "username"),
        (long.as_str(), "x@example.org", "secret1", "username"),
        ("a b\u{202e}", "x@example.org", "secret1", "username"),
        ("x@example.org", "x@example.org", "secret1", "username"),
        ("someone", "nowhere", "secret1", "email"),
        ("someone", "x@example.org", "five5", "password"),
        ("someone", "x@example.org", &"x".repeat(73), "password"),
        ("someone", "x@example.org", "nul\0nul", "password"),
    ] {
        let message = register(username, email, password).refused(400, "BAD_REQUEST");
        assert!(message.contains(member), "{member}: {message}");
    }
}

/// Logging in answers what registering does; the name's case does not matter.
#[test]
fn login_answers_user_and_token() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let reply = server.http().post("/api/v1/auth/login", None, &json!({"username": "alice", "password": PASSWORD}));
    let data = reply.data(200);
    assert_eq!(data["user"]["id"], json!(alice.id));
    assert_eq!(reply.json()["token"], data["token"]);
    let message = server
        .http()
        .post("/api/v1/auth/login", None, &json!({"username": "alice", "password": "wrong horse"}))
        .refused(401, "UNAUTHORIZED");
    assert_eq!(message, "Invalid username or password");
}

/// Every route that needs a user says so, in the envelope, for no token, a broken header and a bad token.
#[test]
fn routes_of_users_need_a_token() {
    let server = TestServer::start();
    let mut http = server.http();
    for (method, path) in [
        ("GET", "/api/v1/users/me"),
        ("PUT", "/api/v1/users/me/password"),
        ("POST", "/api/v1/auth/logout-all"),
        ("GET", "/api/v1/users/library"),
        ("POST", "/api/v1/users/library"),
        ("GET", "/api/v1/users/progress"),
        ("GET", "/api/v1/users/progress/akira"),
        ("PUT", "/api/v1/users/progress/akira"),
        ("DELETE", "/api/v1/users/progress/akira"),
        ("GET", "/api/v1/users/history"),
        ("GET", "/users/library"),
        ("PUT", "/users/progress"),
    ] {
        for (field, message) in [
            ("X-Nothing: 1", "Authorization header required"),
            ("Authorization: Basic YTpi", "Invalid authorization header format"),
            ("Authorization: Bearer", "Invalid authorization header format"),
            ("Authorization: Bearer nonsense", "Invalid or expired token"),
        ] {
            let reply = http.request(method, path, &[field], b"");
            assert_eq!(reply.refused(401, "UNAUTHORIZED"), message, "{method} {path} with {field}");
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        }
    }
}

/// A changed password works from then on, the old one and every token from before do not.
#[test]
fn a_password_can_be_changed() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut http = server.http();
    let token = Some(alice.token.as_str());
    let mut change = |current: &str, new: &str| {
        http.put("/api/v1/users/me/password", token, &json!({"current_password": current, "new_password": new}))
    };
    change("not the one", "another horse").refused(403, "FORBIDDEN");
    assert!(change(PASSWORD, "seven77").refused(400, "BAD_REQUEST").contains("new_password"));
    change(PASSWORD, "another horse").data(200);
    change("another horse", "third horse").refused(401, "UNAUTHORIZED");
    let mut login =
        |password: &str| http.post("/api/v1/auth/login", None, &json!({"username": "alice", "password": password}));
    login(PASSWORD).refused(401, "UNAUTHORIZED");
    let fresh = login("another horse").data(200);
    server.http().get("/api/v1/users/me", fresh["token"].as_str()).data(200);
}

// ---- the catalogue

/// A list shows every member that clients read, in order of the title, with what they expect of `meta`.
#[test]
fn the_catalogue_is_listed() {
    let server = TestServer::start();
    let mut http = server.http();
    let all = http.get("/api/v1/manga", None);
    let items = all.data(200)["items"].as_array().unwrap().clone();
    let total = items.len();
    assert_eq!(all.json()["meta"], json!({"total": total}));
    for item in &items {
        has(item, &["id", "title", "author", "genres", "status", "total_chapters", "description"]);
        has(item, &["cover_image_url", "created_at", "updated_at"]);
        assert!(item["total_chapters"].is_i64() && item["genres"].is_array() && item["author"].is_string(), "{item}");
    }
    let titles: Vec<String> = items.iter().map(|item| item["title"].as_str().unwrap().to_lowercase()).collect();
    assert!(titles.is_sorted(), "{titles:?}");
    let page = http.get("/api/v1/manga?limit=10&offset=10", None).json();
    assert_eq!(page["data"]["items"].as_array().unwrap()[..], items[10..20]);
    let meta = json!({"total": total, "count": 10, "limit": 10, "offset": 10, "has_more": true, "page": 2,
        "total_pages": total.div_ceil(10)});
    assert_eq!(page["meta"], meta);
    let none = http.get("/api/v1/manga?title=there%20is%20no%20such%20series&limit=10", None).json();
    assert_eq!(none["data"]["items"], json!([]), "an empty list is a list");
    assert_eq!(none["meta"], json!({"count": 10, "limit": 10, "page": 1}));
    for path in ["/api/v1/manga/all", "/manga", "/api/v1/manga/", "/api/v1/manga?limit=0&offset=5"] {
        assert_eq!(http.get(path, None).data(200)["items"].as_array().unwrap().len(), total, "{path}");
    }
    assert_eq!(http.get("/api/v1/manga/all?limit=x", None).data(200)["items"].as_array().unwrap().len(), total);
}

/// Each filter finds by part and in any case, filters are joined by and, and none of them is a pattern.
#[test]
fn the_catalogue_is_searched() {
    let server = TestServer::start();
    let mut http = server.http();
    let mut slugs = |query: &str| -> Vec<String> {
        let data = http.get(&format!("/api/v1/manga?{query}"), None).data(200);
        data["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(slugs("title=AKIRA"), ["akira"]);
    assert_eq!(slugs("title=zerk"), Vec::<String>::new());
    assert!(slugs("title=ser").contains(&ONGOING.to_owned()));
    assert!(slugs("author=oda").contains(&"one-piece".to_owned()));
    let school = slugs("genre=SCHOOL");
    assert!(school.contains(&"assassination-classroom".to_owned()) && !school.contains(&"akira".to_owned()));
    let completed = slugs("status=completed");
    assert!(completed.contains(&COMPLETED.to_owned()) && !completed.contains(&ONGOING.to_owned()));
    assert_eq!(slugs("title=akira&status=ongoing"), Vec::<String>::new());
    assert_eq!(slugs("title=akira&author=otomo&genre=sci-fi&status=completed"), ["akira"]);
    for pattern in ["title=%25", "title=_kira", "author=%25%25", "genre=%25", "title=%27%20OR%201%3D1%20--"] {
        assert_eq!(slugs(pattern), Vec::<String>::new(), "{pattern} is text, not a pattern");
    }
    assert_eq!(slugs("title=&author=&genre=&status=").len(), slugs("").len(), "empty is not given");
    for wrong in ["limit=x", "limit=-1", "offset=1.5", "limit=99999999999999999999", "status=asleep"] {
        let message = http.get(&format!("/api/v1/manga?{wrong}"), None).refused(400, "BAD_REQUEST");
        assert!(message.contains(wrong.split('=').next().unwrap()), "{message}");
    }
}

/// A series is found by its slug, then by its key, with or without a slash behind it.
#[test]
fn a_series_is_shown() {
    let server = TestServer::start();
    let mut http = server.http();
    let akira = http.get("/api/v1/manga/akira", None).data(200)["manga"].clone();
    assert_eq!((&akira["id"], &akira["total_chapters"]), (&json!("akira"), &json!(COMPLETED_CHAPTERS)));
    for path in [format!("/api/v1/manga/{}", akira["key"]), "/manga/akira".into(), "/api/v1/manga/akira/".into()] {
        assert_eq!(http.get(&path, None).data(200)["manga"], akira, "{path}");
    }
    let running = http.get(&format!("/api/v1/manga/{ONGOING}"), None).data(200)["manga"].clone();
    assert_eq!(running["chapters_total"], Value::Null);
    assert_eq!(running["total_chapters"], 383, "the latest known stands in: their client refuses to update at 0");
    for strange in ["nothing", "0", "-1", "99999999999999999999", "akira%2f", "%27%3B--", "%E7%95%8C", "AKIRA%20"] {
        let message = http.get(&format!("/api/v1/manga/{strange}"), None).refused(404, "NOT_FOUND");
        assert_eq!(message, "Manga not found", "{strange}");
    }
    for no_text in ["%00", "%ff", "a%c3%28"] {
        http.get(&format!("/api/v1/manga/{no_text}"), None).refused(400, "BAD_REQUEST");
    }
}

/// A slug may be all digits, and then wins over a key.
#[test]
fn a_slug_of_digits_wins_over_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = folder.path().join("catalogue.json");
    let manga = |slug: &str, title: &str| json!({"slug": slug, "title": title, "status": "ongoing"});
    std::fs::write(&catalogue, json!([manga("first", "First"), manga("1", "Digits")]).to_string()).unwrap();
    let server = TestServer::with(|config| config.store.catalogue = Some(catalogue.clone()));
    let shown = |id: &str| server.http().get(&format!("/api/v1/manga/{id}"), None).data(200)["manga"]["title"].clone();
    assert_eq!((shown("1"), shown("2"), shown("first")), (json!("Digits"), json!("Digits"), json!("First")));
}

// ---- the library and progress

/// A series is added once; the list shows it whole, the newest first.
#[test]
fn the_library_is_filled_and_listed() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut http = server.http();
    let token = Some(alice.token.as_str());
    let empty = http.get("/api/v1/users/library", token).json();
    assert_eq!((&empty["data"]["items"], &empty["meta"]), (&json!([]), &json!({})));
    let mut add = |body: Value| http.post("/api/v1/users/library", token, &body);
    let added = add(json!({"manga_id": ONGOING, "status": "plan-to-read"})).data(201);
    assert_eq!(added, json!({"message": "Manga added to library"}));
    add(json!({"manga_id": COMPLETED, "status": "completed", "current_chapter": COMPLETED_CHAPTERS})).data(201);
    assert_eq!(
        add(json!({"manga_id": ONGOING, "status": "reading"})).refused(409, "CONFLICT"),
        "Manga already in library"
    );
    assert_eq!(add(json!({"manga_id": "nothing", "status": "reading"})).refused(404, "NOT_FOUND"), "Manga not found");
    let negative = add(json!({"manga_id": "bleach", "status": "reading", "current_chapter": -1}));
    assert!(negative.refused(400, "BAD_REQUEST").contains("invalid chapter number: cannot be negative"));
    let beyond = add(json!({"manga_id": "bleach", "status": "reading", "current_chapter": 687}));
    assert!(beyond.refused(400, "BAD_REQUEST").contains("exceeds total chapters (686)"));
    for alias in ["/api/v1/users/library", "/users/library"] {
        let list = http.get(alias, token).json();
        let items = list["data"]["items"].as_array().unwrap();
        let slugs: Vec<_> = items.iter().map(|item| item["manga_id"].as_str().unwrap()).collect();
        assert_eq!(slugs, [COMPLETED, ONGOING], "the newest is first");
        assert_eq!(list["meta"]["count"], 2);
        has(&items[0], &["user_id", "current_chapter", "status", "rating", "started_at", "completed_at", "updated_at"]);
        assert_eq!((&items[0]["manga"]["id"], &items[0]["status"]), (&json!(COMPLETED), &json!("completed")));
        assert_eq!((&items[1]["status"], &items[1]["rating"]), (&json!("plan_to_read"), &Value::Null));
    }
}

/// PUT changes what it is given and nothing else, and refuses what can't be, each by its rule.
#[test]
fn progress_is_updated_by_its_rules() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut http = server.http();
    let token = Some(alice.token.as_str());
    let path = |slug: &str| format!("/api/v1/users/progress/{slug}");
    assert_eq!(http.put(&path(ONGOING), token, &json!({})).refused(404, "NOT_FOUND"), "Manga not in library");
    assert_eq!(http.put(&path("nothing"), token, &json!({})).refused(404, "NOT_FOUND"), "Manga not found");
    assert_eq!(http.get(&path(ONGOING), token).refused(404, "NOT_FOUND"), "Progress not found");
    add(&server, &alice, json!({"manga_id": ONGOING, "status": "reading", "current_chapter": 3}));
    add(&server, &alice, json!({"manga_id": COMPLETED, "status": "reading"}));
    let all = json!({"current_chapter": 5, "status": "on_hold", "rating": 8, "volume": 2, "page": 11, "note": "n"});
    assert_eq!(http.put(&path(ONGOING), token, &all).data(200), json!({"message": "Progress updated"}));
    let nothing_given = [
        json!({}),
        json!({"status": "", "rating": 0}),
        json!({"rating": null, "status": null, "current_chapter": null}),
    ];
    for nothing in nothing_given {
        http.put(&path(ONGOING), token, &nothing).data(200);
        let row = http.get(&path(ONGOING), token).data(200)["progress"].clone();
        for (name, value) in all.as_object().unwrap() {
            assert_eq!(&row[name], value, "{name} after {nothing}");
        }
    }
    http.put(&path(ONGOING), token, &json!({"current_chapter": 7.5})).data(200);
    let row = http.get(&path(ONGOING), token).data(200)["progress"].clone();
    assert_eq!((&row["current_chapter"], &row["chapter_exact"]), (&json!(7), &json!(7.5)));
    http.put(&path(ONGOING), token, &json!({"current_chapter": 100_000})).data(200);
    http.put(&path(COMPLETED), token, &json!({"current_chapter": COMPLETED_CHAPTERS})).data(200);
    for (body, says) in [
        (json!({"current_chapter": COMPLETED_CHAPTERS + 1}), "exceeds total chapters (120)"),
        (json!({"current_chapter": -1}), "cannot be negative"),
        (json!({"rating": 11}), "rating"),
        (json!({"rating": -1}), "rating"),
        (json!({"status": "asleep"}), "status"),
        (json!({"read_at": "yesterday"}), "read_at"),
    ] {
        let message = http.put(&path(COMPLETED), token, &body).refused(400, "BAD_REQUEST");
        assert!(message.contains(says), "{body}: {message}");
    }
    let other = server.register("bob").id;
    http.put(&path(COMPLETED), token, &json!({"user_id": other})).refused(403, "FORBIDDEN");
    http.put("/users/progress", token, &json!({"manga_id": COMPLETED, "current_chapter": 9})).data(200);
    assert_eq!(http.get(&path(COMPLETED), token).data(200)["progress"]["current_chapter"], 9);
}

/// Rows are listed in parts and deleted; the history keeps what was read, with its device.
#[test]
fn rows_are_listed_deleted_and_remembered() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut http = server.http();
    let token = Some(alice.token.as_str());
    for slug in [ONGOING, COMPLETED, "bleach"] {
        add(&server, &alice, json!({"manga_id": slug, "status": "reading"}));
    }
    let authorization = format!("Authorization: Bearer {}", alice.token);
    let path = format!("/api/v1/users/progress/{ONGOING}");
    for chapter in 1..=3 {
        let body = json!({"current_chapter": chapter, "read_at": "2026-01-31T09:00:00+01:00"}).to_string();
        http.request("PUT", &path, &[&authorization, "X-Device: tablet"], body.as_bytes()).data(200);
    }
    let page = http.get("/api/v1/users/progress?limit=2&offset=2", token).json();
    assert_eq!(page["data"]["items"].as_array().unwrap().len(), 1);
    assert_eq!((&page["meta"]["total"], &page["meta"]["page"]), (&json!(3), &json!(2)));
    let history = http.get(&format!("/api/v1/users/history?manga={ONGOING}&limit=2"), token).data(200);
    let entries = history["items"].as_array().unwrap();
    let seen: Vec<_> = entries.iter().map(|entry| (entry["chapter"].clone(), entry["device"].clone())).collect();
    assert_eq!(seen, [(json!(3), json!("tablet")), (json!(2), json!("tablet"))], "the newest is first");
    assert!(entries[0]["read_at"].as_str().unwrap().starts_with("2026-01-31T08:00:00"), "{history}");
    let before = format!("/api/v1/users/history?manga={ONGOING}&before={}", entries[1]["id"]);
    assert_eq!(http.get(&before, token).data(200)["items"][0]["chapter"], 1);
    for wrong in ["limit=0", "limit=501", "before=x", "manga=nothing"] {
        assert!(http.get(&format!("/api/v1/users/history?{wrong}"), token).status >= 400, "{wrong}");
    }
    http.json("DELETE", &path, token, None).data(200);
    assert_eq!(http.json("DELETE", &path, token, None).refused(404, "NOT_FOUND"), "Progress not found");
    http.get(&path, token).refused(404, "NOT_FOUND");
}

/// Health says that the server is well, under the name that its clients know.
#[test]
fn health_is_ok() {
    let server = TestServer::start();
    for mut client in [server.http(), server.internal()] {
        let health = client.get("/health", None).json();
        assert_eq!((&health["status"], &health["service"]), (&json!("ok"), &json!("MangaHub HTTP API Server")));
        assert!(health["version"].is_string());
    }
}
