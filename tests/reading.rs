//! Libraries and progress over HTTP in both families, and what two devices are told that disagree.

mod common;

use common::http::{HttpClient, Reply};
use common::{Account, COMPLETED, COMPLETED_CHAPTERS, ONGOING, SECRET, TestServer};
use jsonwebtoken::{EncodingKey, Header};
use mangahub::config::ConflictRule;
use serde_json::{Value, json};

/// A server, a user and a connection, which ends first: a server that ends waits for those that are open.
struct Reader {
    http: HttpClient,
    account: Account,
    server: TestServer,
}

impl Reader {
    fn new() -> Self {
        Self::on(TestServer::start())
    }

    fn under(rule: ConflictRule) -> Self {
        Self::on(TestServer::with(|config| config.sync.conflict = rule))
    }

    fn on(server: TestServer) -> Self {
        Self { account: server.register("alice"), http: server.http(), server }
    }

    fn ask(&mut self, method: &str, path: &str, body: Value) -> Reply {
        let body = (!body.is_null()).then_some(body);
        self.http.json(method, path, Some(&self.account.token), body.as_ref())
    }

    fn get(&mut self, path: &str) -> Value {
        let reply = self.ask("GET", path, Value::Null);
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.json()
    }

    /// The key of a series, as the second family names it.
    fn key(&mut self, slug: &str) -> i64 {
        self.get(&format!("/api/v1/manga/{slug}"))["data"]["manga"]["key"].as_i64().unwrap()
    }

    /// The same request with a header that names a device.
    fn ask_on(&mut self, device: &str, method: &str, path: &str, body: &Value) -> Reply {
        let authorization = format!("Authorization: Bearer {}", self.account.token);
        let device = format!("X-Device: {device}");
        self.http.request(method, path, &[&authorization, &device], body.to_string().as_bytes())
    }
}

/// Asserts the status and the second family's refusal; gives its message.
#[track_caller]
fn refused_v2(reply: &Reply, status: u16) -> String {
    assert_eq!(reply.status, status, "{}", reply.text());
    reply.json()["error"].as_str().unwrap_or_else(|| panic!("no error in {}", reply.text())).to_owned()
}

fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

// ---- the second family

/// A series is put into the library by its key, shown whole with the date it came, and taken out.
#[test]
fn v2_library_is_filled_listed_and_emptied() {
    let mut reader = Reader::new();
    let (running, ended) = (reader.key(ONGOING), reader.key(COMPLETED));
    assert_eq!(reader.get("/api/library/"), json!({"items": [], "total": 0}));
    for path in ["/api/library/", "/api/library"] {
        let key = if path.ends_with('/') { running } else { ended };
        let added = reader.ask("POST", path, json!({"manga_id": key}));
        assert_eq!((added.status, added.json()), (201, json!({"message": "manga added to library"})));
    }
    let again = reader.ask("POST", "/api/library/", json!({"manga_id": running}));
    assert_eq!(refused_v2(&again, 409), "manga already in library");

    let list = reader.get("/api/library");
    assert_eq!(list["total"], 2);
    let items = list["items"].as_array().unwrap();
    assert_eq!((&items[0]["manga_id"], &items[1]["manga_id"]), (&json!(ended), &json!(running)), "the newest is first");
    for item in items {
        assert_eq!(names(item), ["id", "manga_id", "manga", "added_at"]);
        assert_eq!(item["manga"]["id"], item["manga_id"]);
        let added: jiff::Timestamp = item["added_at"].as_str().unwrap().parse().unwrap();
        assert!(jiff::Timestamp::now().duration_since(added).abs().as_secs() < 600, "{added}");
    }
    let manga = &items[0]["manga"];
    assert_eq!((&manga["slug"], &manga["total_chapters"]), (&json!(COMPLETED), &json!(COMPLETED_CHAPTERS)));
    assert!(manga["genres"].is_array() && manga["created_at"].is_string() && manga["title"].is_string());
    assert!(!manga.as_object().unwrap().values().any(Value::is_null), "what is not known is left out: {manga}");

    let row = reader.get(&format!("/api/v1/users/progress/{ONGOING}"))["data"]["progress"].clone();
    assert_eq!((&row["status"], &row["started_at"]), (&json!("plan_to_read"), &Value::Null), "nothing was read yet");
    let removed = reader.ask("DELETE", &format!("/api/library/{running}"), Value::Null);
    assert_eq!((removed.status, removed.text()), (204, String::new()));
    let removed = reader.ask("DELETE", &format!("/api/library/{running}/"), Value::Null);
    assert_eq!(refused_v2(&removed, 404), "manga not found in library");
    assert_eq!(reader.get("/api/library/")["total"], 1);
    assert_eq!(reader.get("/api/library?page=2&page_size=1"), json!({"items": [], "total": 1}));
}

/// Progress is written by the path's key or the body's, without a library, and shown the same way by
/// every route that shows it.
#[test]
fn v2_progress_is_written_shown_and_deleted() {
    let mut reader = Reader::new();
    let (running, ended) = (reader.key(ONGOING), reader.key(COMPLETED));
    let path = format!("/api/progress/{running}");
    assert_eq!(reader.get("/api/progress"), json!({"history": [], "total": 0}));
    let none = reader.ask("GET", &path, Value::Null);
    assert_eq!(refused_v2(&none, 404), "progress not found");

    let sent = json!({"manga_id": ended, "chapter": 5.5, "status": "on-hold", "manga_title": "ignored"});
    let row = reader.ask("POST", &path, sent);
    assert_eq!(row.status, 200, "{}", row.text());
    let row = row.json();
    assert_eq!(row["user_id"], json!(reader.account.id));
    assert_eq!((&row["manga_id"], &row["manga_title"]), (&json!(running), &json!("Berserk")), "the path decides");
    assert_eq!((&row["chapter"], &row["chapter_exact"], &row["last_chapter"]), (&json!(5), &json!(5.5), &json!(383)));
    assert_eq!(row["status"], "on_hold");
    let _: jiff::Timestamp = row["updated_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(reader.get(&path), row);
    assert_eq!(reader.get("/api/progress/"), json!({"history": [row], "total": 1}));
    assert_eq!(reader.get("/api/library")["total"], 0, "progress puts nothing into the library");

    for (body, status) in [
        (json!({"manga_id": ended, "chapter": 0}), "reading"),
        (json!({"manga_id": ended, "chapter": 3, "status": "completed"}), "completed"),
    ] {
        let row = reader.ask("POST", "/api/progress", body).json();
        assert_eq!((&row["manga_id"], &row["status"]), (&json!(ended), &json!(status)), "{row}");
    }
    assert_eq!(reader.get("/api/progress?status=completed")["total"], 1);
    assert_eq!(reader.get("/api/progress?status=on-hold")["history"][0]["manga_id"], json!(running));
    let page = reader.get("/api/progress?page=2&page_size=1");
    assert_eq!((page["total"].clone(), page["history"].as_array().unwrap().len()), (json!(2), 1));

    let beyond = reader.ask("POST", "/api/progress", json!({"manga_id": ended, "chapter": COMPLETED_CHAPTERS + 1}));
    assert!(refused_v2(&beyond, 400).contains("exceeds total chapters (120)"));
    let deleted = reader.ask("DELETE", &path, Value::Null);
    assert_eq!((deleted.status, deleted.json()), (200, json!({"message": "progress deleted"})));
    let deleted = reader.ask("DELETE", &path, Value::Null);
    assert_eq!(refused_v2(&deleted, 404), "progress not found");
}

/// Progress over the second family's HTTP is told on both sync dialects like any other; what happens to a
/// library is not.
#[test]
fn v2_progress_is_told_and_libraries_are_not() {
    let mut reader = Reader::new();
    let key = reader.key(ONGOING);
    let bob = reader.server.register("bob");
    let (mut v1, mut v2) = (reader.server.session_v1(&bob), reader.server.session_v2(&bob));
    assert_eq!(reader.ask("POST", "/api/library", json!({"manga_id": key})).status, 201);
    assert_eq!(reader.ask("POST", &format!("/api/progress/{key}"), json!({"chapter": 4})).status, 200);
    let told = v1.expect("broadcast");
    assert_eq!((&told["data"]["manga_id"], &told["data"]["current_chapter"]), (&json!(ONGOING), &json!(4)), "{told}");
    let told = v2.expect("progress_broadcast");
    assert_eq!((&told["data"]["manga_id"], &told["data"]["chapter"]), (&json!(key), &json!(4)), "{told}");
    assert_eq!(reader.ask("DELETE", &format!("/api/library/{key}"), Value::Null).status, 204);
    v1.expect_nothing();
    v2.expect_nothing();
}

/// Every route of the second family wants a token, and one with the route's own scope.
#[test]
fn v2_routes_need_a_token_with_a_scope() {
    let mut reader = Reader::new();
    let now_s = jiff::Timestamp::now().as_second();
    let narrowed = |scope: &str| {
        let claims = json!({"user_id": reader.account.id, "username": "alice", "iat": now_s, "exp": now_s + 600, "scopes": [scope]});
        jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
    };
    let scopes = ["read:library", "write:library", "read:progress", "write:progress"];
    let tokens = scopes.map(narrowed);
    for (method, path, scope) in [
        ("GET", "/api/library/", "read:library"),
        ("POST", "/api/library/", "write:library"),
        ("DELETE", "/api/library/1", "write:library"),
        ("GET", "/api/progress", "read:progress"),
        ("POST", "/api/progress", "write:progress"),
        ("GET", "/api/progress/1", "read:progress"),
        ("POST", "/api/progress/1", "write:progress"),
        ("DELETE", "/api/progress/1", "write:progress"),
    ] {
        refused_v2(&reader.http.json(method, path, None, None), 401);
        refused_v2(&reader.http.json(method, path, Some("nonsense"), None), 401);
        for (granted, token) in scopes.iter().zip(&tokens) {
            let reply = reader.http.json(method, path, Some(token), None);
            assert_eq!(reply.status != 403, *granted == scope, "{method} {path} with {granted}: {}", reply.text());
        }
    }
}

// ---- the first family

/// An entry is edited where it stands, answered as it is then, and found nowhere else.
#[test]
fn v1_entries_are_edited() {
    let mut reader = Reader::new();
    let path = format!("/api/v1/users/library/{ONGOING}");
    let edit = json!({"status": "on-hold", "current_chapter": 5, "rating": 8, "volume": 2, "page": 11, "note": "n"});
    let absent = reader.ask("PATCH", &path, edit.clone()).refused(404, "NOT_FOUND");
    assert_eq!(absent, "Manga not found in library");
    let key = reader.key(ONGOING);
    assert_eq!(reader.ask("POST", &format!("/api/progress/{key}"), json!({"chapter": 1})).status, 200);
    reader.ask("PATCH", &path, edit.clone()).refused(404, "NOT_FOUND");
    reader.ask("POST", "/api/v1/users/library", json!({"manga_id": ONGOING, "status": "reading"})).data(201);
    let row = reader.ask("PATCH", &path, edit.clone()).data(200)["progress"].clone();
    assert_eq!((&row["status"], &row["current_chapter"], &row["rating"]), (&json!("on_hold"), &json!(5), &json!(8)));
    assert_eq!((&row["volume"], &row["page"], &row["note"]), (&json!(2), &json!(11), &json!("n")));
    assert_eq!((&row["in_library"], &row["manga_id"]), (&json!(true), &json!(ONGOING)));
    let row = reader.ask("PATCH", &format!("/api/v1/users/library/{key}"), json!({"private": true, "note": ""}));
    let row = row.data(200)["progress"].clone();
    assert_eq!((&row["private"], &row["note"], &row["current_chapter"]), (&json!(true), &Value::Null, &json!(5)));
    let listed = reader.get("/api/v1/users/library")["data"]["items"][0].clone();
    assert_eq!((&listed["private"], &listed["rating"]), (&json!(true), &json!(8)));
}

/// An edit is told when it says how far its reader is, and only then.
#[test]
fn v1_edits_are_told_when_they_are_progress() {
    let mut reader = Reader::new();
    let path = format!("/api/v1/users/library/{ONGOING}");
    reader.ask("POST", "/api/v1/users/library", json!({"manga_id": ONGOING, "status": "reading"})).data(201);
    let mut other = reader.server.session_v1(&reader.server.register("bob"));
    for unheard in [json!({"rating": 3}), json!({"note": "x"}), json!({"private": false}), json!({})] {
        reader.ask("PATCH", &path, unheard).data(200);
    }
    other.expect_nothing();
    reader.ask("PATCH", &path, json!({"chapter": 7})).data(200);
    assert_eq!(other.expect("broadcast")["data"]["current_chapter"], 7);
    reader.ask("PATCH", &path, json!({"private": true, "status": "dropped"})).data(200);
    other.expect_nothing();
}

/// What leaves the library keeps its row and its history.
#[test]
fn v1_entries_are_removed() {
    let mut reader = Reader::new();
    let path = format!("/api/v1/users/library/{ONGOING}");
    let absent = reader.ask("DELETE", &path, Value::Null).refused(404, "NOT_FOUND");
    assert_eq!(absent, "Manga not found in library");
    let body = json!({"manga_id": ONGOING, "status": "reading", "current_chapter": 9});
    reader.ask("POST", "/users/library", body.clone()).data(201);
    let added = reader.get("/users/library")["data"]["items"][0]["added_at"].clone();
    assert!(added.is_string());
    let removed = reader.ask("DELETE", &path, Value::Null).data(200);
    assert_eq!(removed, json!({"message": "Manga removed from library"}));
    reader.ask("DELETE", &path, Value::Null).refused(404, "NOT_FOUND");
    reader.ask("PATCH", &path, json!({"rating": 1})).refused(404, "NOT_FOUND");
    assert_eq!(reader.get("/api/v1/users/library")["data"]["items"], json!([]));
    let row = reader.get(&format!("/api/v1/users/progress/{ONGOING}"))["data"]["progress"].clone();
    assert_eq!(
        (&row["current_chapter"], &row["in_library"], &row["added_at"]),
        (&json!(9), &json!(false), &Value::Null)
    );
    assert_eq!(reader.get("/api/v1/users/history")["data"]["items"].as_array().unwrap().len(), 1);
    reader.ask("POST", "/api/v1/users/library", body).data(201);
}

/// Lists may be of one status, written either way; the window counts within it.
#[test]
fn v1_lists_are_of_one_status() {
    let mut reader = Reader::new();
    for (slug, status) in [(ONGOING, "plan_to_read"), (COMPLETED, "reading"), ("bleach", "plan_to_read")] {
        reader.ask("POST", "/api/v1/users/library", json!({"manga_id": slug, "status": status})).data(201);
    }
    for list in ["/api/v1/users/library", "/users/library", "/api/v1/users/progress"] {
        for (query, count) in
            [("", 3), ("?status=", 3), ("?status=plan-to-read", 2), ("?status=reading", 1), ("?status=dropped", 0)]
        {
            let items = reader.get(&format!("{list}{query}"))["data"]["items"].as_array().unwrap().len();
            assert_eq!(items, count, "{list}{query}");
        }
        let wrong = reader.ask("GET", &format!("{list}?status=asleep"), Value::Null).refused(400, "BAD_REQUEST");
        assert!(wrong.contains("status"), "{wrong}");
    }
    let page = reader.get("/api/v1/users/progress?status=plan_to_read&limit=1&offset=1");
    assert_eq!((&page["meta"]["total"], &page["meta"]["page"]), (&json!(2), &json!(2)));
    assert_eq!(page["data"]["items"][0]["manga_id"], ONGOING);
    let mut client = reader.server.session_v1(&reader.account);
    client.say("get_user_progress", json!({"status": "plan-to-read"}));
    assert_eq!(client.expect("progress_list")["data"]["total"], 2);
    client.say("get_user_progress", json!({"status": "asleep"}));
    assert!(client.expect_error("INVALID_DATA").contains("status"));
}

/// A history is read backwards from any entry, in parts of any size, each entry once.
#[test]
fn v1_history_is_read_backwards() {
    let mut reader = Reader::new();
    reader.ask("POST", "/api/v1/users/library", json!({"manga_id": ONGOING, "status": "reading"})).data(201);
    for chapter in 1..=6 {
        let path = format!("/api/v1/users/progress/{ONGOING}");
        reader.ask("PUT", &path, json!({"current_chapter": chapter})).data(200);
    }
    let (mut seen, mut before) = (Vec::new(), String::new());
    loop {
        let page = reader.get(&format!("/api/v1/users/history?limit=4{before}"))["data"]["items"].clone();
        let page = page.as_array().unwrap();
        let Some(last) = page.last() else { break };
        before = format!("&before={}", last["id"]);
        seen.extend(page.iter().map(|entry| entry["chapter"].as_i64().unwrap()));
    }
    assert_eq!(seen, [6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(
        reader.get("/api/v1/users/history?before=9223372036854775807")["data"]["items"].as_array().unwrap().len(),
        7
    );
    assert_eq!(reader.get("/api/v1/users/history?before=1")["data"]["items"], json!([]));
    for wrong in ["before=0", "before=-1", "before=9223372036854775808", "limit=0", "limit=501", "limit=1e9"] {
        let message = reader.ask("GET", &format!("/api/v1/users/history?{wrong}"), Value::Null);
        let message = message.refused(400, "BAD_REQUEST");
        assert!(message.starts_with(wrong.split('=').next().unwrap()), "{wrong}: {message}");
    }
}

// ---- what is wrong, and whose it is

/// Whatever is wrong with a request is said by its name and never is the server's fault; nothing is
/// stored.
#[test]
fn wrong_requests_are_refused_by_name() {
    let mut reader = Reader::new();
    let key = reader.key(ONGOING);
    let long = "x".repeat(100_000);
    let progress = format!("/api/progress/{key}");
    let entry = format!("/api/v1/users/library/{ONGOING}");
    reader.ask("POST", "/api/v1/users/library", json!({"manga_id": ONGOING, "status": "reading"})).data(201);
    let cases: Vec<(&str, &str, Value, u16, &str)> = vec![
        ("POST", "/api/library", json!({}), 400, "manga_id"),
        ("POST", "/api/library", json!({"manga_id": key.to_string()}), 400, "manga_id"),
        ("POST", "/api/library", json!({"manga_id": ONGOING}), 400, "manga_id"),
        ("POST", "/api/library", json!({"manga_id": 0}), 400, "manga_id"),
        ("POST", "/api/library", json!({"manga_id": -key}), 400, "manga_id"),
        ("POST", "/api/library", json!({"manga_id": 1.5}), 400, "manga_id"),
        ("POST", "/api/library", json!({"manga_id": [key]}), 400, "manga_id"),
        ("POST", "/api/library", json!([1]), 400, "object"),
        ("POST", "/api/library", json!({"manga_id": i64::MAX}), 404, "manga not found"),
        ("DELETE", "/api/library/x", Value::Null, 400, "manga_id"),
        ("DELETE", "/api/library/0", Value::Null, 400, "manga_id"),
        ("DELETE", "/api/library/999999", Value::Null, 404, "manga not found"),
        ("DELETE", "/api/library/99999999999999999999", Value::Null, 400, "manga_id"),
        ("GET", "/api/library?status=%27--", Value::Null, 400, "status"),
        ("GET", "/api/progress/%E7%95%8C", Value::Null, 400, "manga_id"),
        ("GET", "/api/progress/999999", Value::Null, 404, "manga not found"),
        ("DELETE", "/api/progress/-1", Value::Null, 400, "manga_id"),
        ("DELETE", "/api/progress/999999", Value::Null, 404, "manga not found"),
        ("POST", "/api/progress", json!({"chapter": 1}), 400, "manga_id"),
        ("POST", "/api/progress", json!({"manga_id": "1", "chapter": 1}), 400, "manga_id"),
        ("POST", "/api/progress/999999", json!({"chapter": 1}), 404, "manga not found"),
        ("POST", &progress, json!({}), 400, "chapter"),
        ("POST", &progress, json!({"status": "reading"}), 400, "chapter"),
        ("POST", &progress, json!({"chapter": -1}), 400, "chapter"),
        ("POST", &progress, json!({"chapter": "5"}), 400, "chapter"),
        ("POST", &progress, json!({"chapter": 1e300}), 400, "chapter"),
        ("POST", &progress, json!({"chapter": 1, "status": "asleep"}), 400, "status"),
        ("POST", &progress, json!({"chapter": 1, "status": 7}), 400, "status"),
        ("POST", &progress, json!({"chapter": 1, "status": long}), 400, "status"),
        ("POST", &progress, json!({"chapter": 1, "note": long}), 400, "note"),
        ("POST", &progress, json!({"chapter": 1, "note": {}}), 400, "note"),
        ("POST", &progress, json!({"chapter": 1, "note": "nul\0"}), 400, "note"),
        ("POST", &progress, json!({"chapter": 1, "note": "\u{1b}[31mred"}), 400, "note"),
        ("POST", &progress, json!({"chapter": 1, "volume": -1}), 400, "volume"),
        ("POST", &progress, json!({"chapter": 1, "page": 1e12}), 400, "page"),
        ("POST", &progress, json!({"chapter": 1, "force": "yes"}), 400, "force"),
        ("POST", &progress, json!({"chapter": 1, "read_at": "soon"}), 400, "read_at"),
        ("POST", &progress, json!({"chapter": 1, "user_id": "somebody-else"}), 403, "user_id"),
        ("PATCH", &entry, json!({"rating": 11}), 400, "rating"),
        ("PATCH", &entry, json!({"private": "yes"}), 400, "private"),
        ("PATCH", &entry, json!({"chapter": []}), 400, "chapter"),
        ("PATCH", &entry, json!({"user_id": "somebody-else"}), 403, "user_id"),
        ("PATCH", &entry, json!(["rating"]), 400, "object"),
        ("PATCH", "/api/v1/users/library/nothing", json!({}), 404, "Manga not found"),
        ("DELETE", "/api/v1/users/library/%27%3B--", Value::Null, 404, "Manga not found"),
    ];
    for (method, path, body, status, says) in cases {
        let shown = format!("{method} {path} {:.80}", body.to_string());
        let reply = reader.ask(method, path, body);
        assert_eq!(reply.status, status, "{shown}: {}", reply.text());
        let body = reply.json();
        let message = body["error"]["message"].as_str().or_else(|| body["error"].as_str()).unwrap();
        assert!(message.contains(says) && message.len() < 300, "{shown}: {message}");
    }
    for page in ["page=0", "page=-1", "page=99999999999999999999", "page_size=0", "page_size=101", "page=x&page_size=y"]
    {
        assert_eq!(reader.get(&format!("/api/library?{page}"))["total"], 1, "{page}");
    }
    assert_eq!(reader.get("/api/library?page=4294967295&page_size=100")["items"], json!([]));
    for garbage in [&b"{"[..], b"\xff\xfe", b"{\"manga_id\":1,\"manga_id\":2}", b"nul\0"] {
        let field = format!("Authorization: Bearer {}", reader.account.token);
        refused_v2(&reader.http.request("POST", "/api/library", &[&field], garbage), 400);
        reader.http.request("PATCH", &entry, &[&field], garbage).refused(400, "INVALID_JSON");
    }
    let row = reader.get(&progress);
    assert_eq!((&row["chapter"], &row["status"]), (&json!(0), &json!("reading")), "nothing was stored: {row}");
}

/// What one reader has is not there for another, on any route.
#[test]
fn readers_do_not_see_each_other() {
    let mut alice = Reader::new();
    let key = alice.key(ONGOING);
    let body = json!({"manga_id": ONGOING, "status": "reading", "current_chapter": 9});
    alice.ask("POST", "/api/v1/users/library", body).data(201);
    let server = &alice.server;
    let bob = server.register("bob");
    let mut http = server.http();
    let mut ask = |method: &str, path: String, body: Value| {
        http.json(method, &path, Some(&bob.token), (!body.is_null()).then_some(&body))
    };
    assert_eq!(ask("GET", "/api/library".into(), Value::Null).json()["total"], 0);
    assert_eq!(ask("GET", "/api/progress".into(), Value::Null).json()["total"], 0);
    for (method, path) in [
        ("GET", format!("/api/progress/{key}")),
        ("DELETE", format!("/api/progress/{key}")),
        ("DELETE", format!("/api/library/{key}")),
        ("DELETE", format!("/api/v1/users/library/{ONGOING}")),
        ("PATCH", format!("/api/v1/users/library/{ONGOING}")),
    ] {
        assert_eq!(ask(method, path.clone(), Value::Null).status, 404, "{method} {path}");
    }
    assert_eq!(alice.get(&format!("/api/progress/{key}"))["chapter"], 9);
}

// ---- conflicts

/// With the usual rule the last one to write is right.
#[test]
fn usually_the_last_one_wins() {
    let mut reader = Reader::new();
    let key = reader.key(ONGOING);
    let path = format!("/api/progress/{key}");
    assert_eq!(reader.ask("POST", &path, json!({"chapter": 10})).json()["chapter"], 10);
    assert_eq!(reader.ask("POST", &path, json!({"chapter": 2})).json()["chapter"], 2);
}

/// With `furthest` a chapter that is behind does not move the reader back, whichever wire it comes by,
/// and everybody is told where they really are. To begin again, or to insist, moves them.
#[test]
fn furthest_keeps_the_place() {
    let mut reader = Reader::under(ConflictRule::Furthest);
    let key = reader.key(ONGOING);
    let path = format!("/api/progress/{key}");
    let mut phone = reader.server.session_v1(&reader.account);
    reader.ask("POST", &path, json!({"chapter": 10.5, "status": "reading"}));
    phone.expect("broadcast");
    phone.say("progress", json!({"manga_id": ONGOING, "current_chapter": 4, "status": "on_hold"}));
    let told = phone.expect("broadcast");
    assert_eq!((&told["data"]["chapter_exact"], &told["data"]["status"]), (&json!(10.5), &json!("on_hold")), "{told}");
    let row = reader.ask("POST", &path, json!({"chapter": 3, "rating": 6})).json();
    assert_eq!((&row["chapter_exact"], &row["status"]), (&json!(10.5), &json!("on_hold")));
    let put = format!("/api/v1/users/progress/{ONGOING}");
    assert_eq!(reader.get(&put)["data"]["progress"]["rating"], 6, "the rest is stored");
    reader.ask("PUT", &put, json!({"current_chapter": 2, "force": true})).data(200);
    assert_eq!(reader.get(&path)["chapter"], 2);
    reader.ask("PUT", &put, json!({"current_chapter": 20, "status": "completed"})).data(200);
    reader.ask("PUT", &put, json!({"current_chapter": 1, "status": "re-reading"})).data(200);
    assert_eq!(reader.get(&path)["chapter"], 1, "reading again begins at 1");
    reader.ask("PUT", &put, json!({"current_chapter": 3, "status": "re-reading"})).data(200);
    reader.ask("PUT", &put, json!({"current_chapter": 2, "status": "re-reading"})).data(200);
    assert_eq!(reader.get(&path)["chapter"], 3, "and is then read on like anything else");
}

/// With `ask` a chapter that is behind is not stored and nobody is told; its sender learns both chapters
/// and the other device, in the words of each family over HTTP.
#[test]
fn ask_refuses_over_http() {
    let mut reader = Reader::under(ConflictRule::Ask);
    let key = reader.key(ONGOING);
    let (v1, v2) = (format!("/api/v1/users/progress/{ONGOING}"), format!("/api/progress/{key}"));
    assert_eq!(reader.ask_on("tablet", "POST", &v2, &json!({"chapter": 10.5})).status, 200);
    let mut other = reader.server.session_v1(&reader.server.register("bob"));

    let asked = reader.ask("PUT", &v1, json!({"current_chapter": 4, "rating": 1}));
    asked.refused(409, "CONFLICT");
    let details = asked.json()["error"]["details"].clone();
    assert_eq!((&details["sent_chapter"], &details["stored_chapter"]), (&json!(4), &json!(10.5)), "{details}");
    assert_eq!((&details["device"], &details["manga_id"]), (&json!("tablet"), &json!(ONGOING)));
    assert_eq!((&details["manga_key"], &details["manga_title"]), (&json!(key), &json!("Berserk")));
    assert_eq!(details["updated_at"], reader.get(&v2)["updated_at"]);

    let asked = reader.ask("POST", &v2, json!({"chapter": 4}));
    refused_v2(&asked, 409);
    let conflict = asked.json()["conflict"].clone();
    assert_eq!((&conflict["local_chapter"], &conflict["remote_chapter"]), (&json!(4), &json!(10)), "{conflict}");
    assert_eq!((&conflict["remote_chapter_exact"], &conflict["device"]), (&json!(10.5), &json!("tablet")));
    assert_eq!((&conflict["manga_id"], &conflict["manga_title"]), (&json!(key), &json!("Berserk")));

    let body = json!({"manga_id": ONGOING, "status": "reading", "current_chapter": 4});
    assert!(reader.ask("POST", "/api/v1/users/library", body).json()["error"]["details"].is_object());
    reader.ask("POST", "/api/v1/users/library", json!({"manga_id": ONGOING, "status": "reading"})).data(201);
    let edit = reader.ask("PATCH", &format!("/api/v1/users/library/{ONGOING}"), json!({"chapter": 4}));
    edit.refused(409, "CONFLICT");

    let row = reader.get(&v1)["data"]["progress"].clone();
    assert_eq!((&row["chapter_exact"], &row["rating"]), (&json!(10.5), &Value::Null), "nothing was stored");
    assert_eq!(reader.get("/api/v1/users/history")["data"]["items"].as_array().unwrap().len(), 2);
    other.expect_nothing();
    reader.ask("PUT", &v1, json!({"status": "on_hold"})).data(200);
    assert_eq!(other.expect("broadcast")["data"]["chapter_exact"], 10.5, "without a chapter there is nothing to ask");
    reader.ask("PUT", &v1, json!({"current_chapter": 4, "force": true})).data(200);
    assert_eq!(other.expect("broadcast")["data"]["current_chapter"], 4);
}

/// With `ask` a line that is behind is answered in its dialect, in its order among other lines, and
/// leaves the connection as it was.
#[test]
fn ask_refuses_on_lines() {
    let mut reader = Reader::under(ConflictRule::Ask);
    let key = reader.key(ONGOING);
    let mut v1 = reader.server.v1();
    v1.say("auth", json!({"token": reader.account.token, "device": "phone"}));
    v1.expect("auth_success");
    let mut v2 = reader.server.session_v2(&reader.account);
    let line = |chapter: f64| json!({"type": "progress", "data": {"manga_id": ONGOING, "current_chapter": chapter}});
    v1.send_raw(format!("{}\n{}\n{}\n{}\n", line(10.0), line(4.5), line(11.0), line(9.0)));
    assert_eq!(v1.expect("broadcast")["data"]["current_chapter"], 10);
    let message = v1.expect("error");
    assert_eq!((&message["code"], &message["data"]["code"]), (&json!("CONFLICT"), &json!("CONFLICT")), "{message}");
    let details = &message["data"]["details"];
    assert_eq!((&details["sent_chapter"], &details["stored_chapter"]), (&json!(4.5), &json!(10)), "{message}");
    assert_eq!((&details["manga_id"], &details["device"]), (&json!(ONGOING), &json!("phone")));
    assert_eq!(v1.expect("broadcast")["data"]["current_chapter"], 11);
    v1.expect_error("CONFLICT");

    for chapter in [10, 11] {
        assert_eq!(v2.expect("progress_broadcast")["data"]["chapter"], chapter);
    }
    v2.say("progress_update", json!({"user_id": reader.account.id, "manga_id": key, "chapter": 3}));
    let conflict = v2.expect("conflict");
    assert!(conflict["timestamp"].is_string(), "{conflict}");
    let data = &conflict["data"];
    assert_eq!((&data["manga_title"], &data["manga_id"]), (&json!("Berserk"), &json!(key)));
    assert_eq!((&data["local_chapter"], &data["remote_chapter"]), (&json!(3), &json!(11)));
    assert_eq!(data["device"], "phone");
    v2.expect_nothing();
    v2.say("progress_update", json!({"manga_id": key, "chapter": 3, "force": true}));
    assert_eq!(v2.expect("progress_broadcast")["data"]["chapter"], 3);
    assert_eq!(v1.expect("broadcast")["data"]["current_chapter"], 3);
}

/// Many devices that each send many chapters at once, under `ask`: the chapters that were told only ever
/// grow, each line is answered once, and the last one told is the one that is stored.
#[test]
fn devices_never_slip_past_each_other() {
    let mut reader = Reader::under(ConflictRule::Ask);
    let mut devices: Vec<_> = (0..4).map(|_| reader.server.session_v1(&reader.account)).collect();
    let mut watcher = reader.server.session_v1(&reader.account);
    for (number, device) in (1..).zip(&mut devices) {
        let lines = (1..=20).map(|step| {
            let chapter = (step * number * 7) % 40;
            let line = json!({"type": "progress", "data": {"manga_id": ONGOING, "current_chapter": chapter}});
            format!("{line}\n")
        });
        device.send_raw(lines.collect::<String>());
    }
    let mut told = Vec::new();
    for device in &mut devices {
        device.say("ping", json!({"client_time": "end"}));
        let (mut stored, mut refused) = (0, 0);
        loop {
            let message = device.next();
            match message["type"].as_str().unwrap() {
                "broadcast" => stored += 1,
                "error" => refused += 1,
                _ => break,
            }
        }
        assert!(refused <= 20 && stored >= 1, "{refused} refused, {stored} told");
        told.push((stored, refused));
    }
    let refused: usize = told.iter().map(|(_, refused)| refused).sum();
    let mut chapters = Vec::new();
    for _ in 0..80 - refused {
        chapters.push(watcher.expect("broadcast")["data"]["current_chapter"].as_i64().unwrap());
    }
    watcher.expect_nothing();
    assert!(chapters.is_sorted(), "{chapters:?}");
    let stored =
        reader.get(&format!("/api/v1/users/progress/{ONGOING}"))["data"]["progress"]["current_chapter"].clone();
    assert_eq!(stored.as_i64(), chapters.last().copied());
}
