//! Notifications as clients meet them: what triggers one, who hears of it in which shape, what is found
//! later, and who may not.

mod common;

use common::http::HttpClient;
use common::line::LineClient;
use common::udp::UdpClient;
use common::ws::WsClient;
use common::{Account, COMPLETED, ONGOING, PASSWORD, TestServer, account, run};
use serde_json::{Value, json};

fn admin(server: &TestServer) -> Account {
    let url = format!("store.url=sqlite:{}/mangahub.db", server.folder().display());
    let arguments = ["admin", "create-user", "ann", "--email", "ann@example.org", "--role", "admin"];
    let options = ["--password-stdin", "--set", "auth.bcrypt_cost=4", "--set", &url];
    let made = run(server.folder(), &[&arguments[..], &options].concat(), PASSWORD);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    account(&server.http().post("/api/v1/auth/login", None, &json!({"username": "ann", "password": PASSWORD})).json())
}

fn key_of(server: &TestServer, slug: &str) -> i64 {
    let manga = server.http().get(&format!("/api/v1/manga/{slug}"), None).data(200);
    manga["manga"]["key"].as_i64().unwrap()
}

fn keep(server: &TestServer, account: &Account, manga: &str) {
    let body = json!({"manga_id": manga, "status": "reading"});
    server.http().post("/api/v1/users/library", Some(&account.token), &body).data(201);
}

/// Asks for notifications at the place where the dialect has it.
fn listen(mut client: LineClient) -> LineClient {
    client.say("subscribe", json!({"topics": ["notifications"]}));
    assert_eq!(client.expect("subscribed")["data"]["topics"], json!(["progress", "notifications"]));
    client
}

fn trigger(server: &TestServer, name: &str, body: &Value) {
    let fields = ["Content-Type: application/json"];
    let reply = server.internal().request("POST", &format!("/notify/{name}"), &fields, body.to_string().as_bytes());
    assert_eq!((reply.status, reply.text().as_str()), (202, ""), "{name} {body}");
}

fn unread(http: &mut HttpClient, account: &Account) -> Vec<Value> {
    let list = http.get("/api/v1/notifications?unread=true", Some(&account.token)).data(200);
    list["items"].as_array().unwrap().clone()
}

fn messages(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["message"].as_str().unwrap()).collect()
}

/// A chapter reaches those who have the series, in each dialect's shape, and is found by them later;
/// nobody else hears of it. A second try tells nothing again.
#[test]
fn a_chapter_reaches_its_readers() {
    let server = TestServer::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    keep(&server, &alice, ONGOING);
    let key = key_of(&server, ONGOING);
    let (mut v1, mut v2) = (listen(server.session_v1(&alice)), listen(server.session_v2(&alice)));
    let mut other = listen(server.session_v1(&bob));
    let chapter = json!({"manga_id": key, "title": "Berserk", "chapter": 500, "old_chapter": 499, "source": "x"});
    trigger(&server, "new-chapter", &chapter);
    let message = "New chapter 500 available (was chapter 499)";
    let told = v1.expect("notification");
    let data = &told["data"];
    assert!(told["timestamp"].is_string());
    assert_eq!((&data["manga_id"], &data["manga_title"]), (&json!(ONGOING), &json!("Berserk")), "{told}");
    assert_eq!((&data["chapter_number"], &data["message"]), (&json!(500), &json!(message)));
    assert!(data["release_date"].is_string());
    let told = v2.expect("notification");
    let data = &told["data"];
    assert_eq!((&data["type"], &data["manga_id"]), (&json!("NEW_CHAPTER"), &json!(key)), "{told}");
    assert_eq!((&data["title"], &data["message"]), (&json!("Berserk"), &json!(message)));
    assert_eq!(data["data"]["chapter"], 500);
    assert_eq!(data["changes"], json!([{"field": "current_chapter", "old_value": 499, "new_value": 500}]));
    trigger(&server, "new-chapter", &chapter);
    trigger(&server, "manga-update", &json!({"manga_id": key, "title": "Berserk", "changes": ["author", "status"]}));
    assert_eq!(v1.expect("notification")["data"]["message"], "Updated: author and status");
    let news = json!({"manga_id": 999_999, "title": "New one"});
    trigger(&server, "new-manga", &news);
    assert_eq!(other.expect("notification")["data"]["message"], "New manga added: New one");
    let mut http = server.http();
    let all = ["New manga added: New one", "Updated: author and status", message];
    assert_eq!(messages(&unread(&mut http, &alice)), all);
    assert_eq!(messages(&unread(&mut http, &bob)), all[..1]);
}

/// The other trigger for a chapter, and whole and broken numbers of chapters.
#[test]
fn triggers_take_what_their_programs_send() {
    let server = TestServer::start();
    let alice = server.register("alice");
    keep(&server, &alice, ONGOING);
    let key = key_of(&server, ONGOING);
    let update = json!({"type": "x", "manga_id": key, "title": "Berserk", "old_chapters": 7, "new_chapters": 8.5});
    trigger(&server, "chapter-update", &update);
    let details =
        json!([{"field": "status", "old_value": "ongoing", "new_value": "hiatus"}, {"field": "a", "new_value": 1}]);
    trigger(&server, "manga-update", &json!({"manga_id": key, "changes": ["status"], "detailed_changes": details}));
    let mut http = server.http();
    let items = unread(&mut http, &alice);
    assert_eq!(messages(&items), ["Updated: status and a", "New chapter 8.5 available (was chapter 7)"]);
    assert_eq!((&items[1]["chapter_number"], &items[1]["chapter_exact"]), (&json!(8), &json!(8.5)));
    assert_eq!(items[0]["manga_title"], "Berserk", "a title that is not given is the catalogue's");
    let fields = ["Content-Type: application/json"];
    for (path, body) in [
        ("new-manga", "{}"),
        ("new-manga", "["),
        ("new-manga", r#"{"manga_id":0,"title":"x"}"#),
        ("new-manga", r#"{"manga_id":"1","title":"x"}"#),
        ("new-manga", r#"{"manga_id":999999}"#),
        ("new-manga", r#"{"manga_id":999999,"title":"  "}"#),
        ("new-chapter", r#"{"manga_id":1,"title":"x"}"#),
        ("new-chapter", r#"{"manga_id":1,"title":"x","chapter":-1}"#),
        ("chapter-update", r#"{"manga_id":1,"title":"x","new_chapters":"many"}"#),
        ("manga-update", r#"{"manga_id":1,"title":"x"}"#),
        ("manga-update", r#"{"manga_id":1,"title":"x","changes":[1]}"#),
        ("manga-update", r#"{"manga_id":1,"title":"x","changes":[],"detailed_changes":[{}]}"#),
    ] {
        let reply = server.internal().request("POST", &format!("/notify/{path}"), &fields, body.as_bytes());
        assert_eq!(reply.status, 400, "{path} {body}: {}", reply.text());
    }
    assert_eq!(server.internal().request("GET", "/notify/new-manga", &[], b"").status, 405);
}

/// A page in a browser can't tell readers anything, on either side.
#[test]
fn browsers_trigger_nothing() {
    let server = TestServer::start();
    let body = br#"{"manga_id":1,"title":"x"}"#;
    let mut internal = server.internal();
    for (fields, status) in [
        (vec!["Content-Type: application/json", "Origin: http://localhost:8080"], 403),
        (vec!["Content-Type: application/json", "Sec-Fetch-Site: none"], 403),
        (vec!["Content-Type: text/plain"], 415),
        (vec![], 415),
    ] {
        assert_eq!(internal.request("POST", "/notify/new-manga", &fields, body).status, status, "{fields:?}");
    }
    server.http().post("/notify/new-manga", None, &json!({"manga_id": 1, "title": "x"})).refused(404, "NOT_FOUND");
}

/// What administrators do to the catalogue is told: a new series to everyone, a chapter and other facts
/// to readers; what doesn't change is not.
#[test]
fn administrators_tell_by_changing_the_catalogue() {
    let server = TestServer::start();
    let (ann, alice) = (admin(&server), server.register("alice"));
    keep(&server, &alice, ONGOING);
    let mut client = listen(server.session_v2(&alice));
    let mut http = server.http();
    let path = format!("/api/v1/admin/manga/{ONGOING}");
    let change = json!({"latest_chapter": 700.5, "author": "Somebody", "description": "long ".repeat(900)});
    http.put(&path, Some(&ann.token), &change).data(200);
    let told = client.expect("notification");
    assert!(told["data"]["message"].as_str().unwrap().starts_with("New chapter 700.5 available"), "{told}");
    let told = client.expect("notification");
    assert_eq!(told["data"]["message"], "Updated: author and description", "{told}");
    let cut = told["data"]["changes"][1]["new_value"].as_str().unwrap();
    assert!(cut.len() <= 120 && told.to_string().len() < 2000, "it fits into a datagram: {told}");
    http.put(&path, Some(&ann.token), &change).data(200);
    http.post("/api/v1/admin/manga", Some(&ann.token), &json!({"title": "Quite new"})).data(201);
    assert_eq!(client.expect("notification")["data"]["message"], "New manga added: Quite new");
}

/// Only an administrator announces; a chapter goes to readers, anything else to everyone, and the texts
/// are the administrator's own.
#[test]
fn only_administrators_announce() {
    let server = TestServer::start();
    let (ann, alice, bob) = (admin(&server), server.register("alice"), server.register("bob"));
    keep(&server, &alice, ONGOING);
    let (mut first, mut second) = (listen(server.session_v1(&alice)), listen(server.session_v1(&bob)));
    let mut http = server.http();
    let release = json!({
        "manga_id": ONGOING, "manga_title": "Berserk", "chapter_number": 9, "chapter_title": "Nine",
        "release_date": "2026-01-31", "message": "Out now",
    });
    let path = "/api/v1/admin/notifications";
    http.post(path, None, &release).refused(401, "UNAUTHORIZED");
    http.post(path, Some(&alice.token), &release).refused(403, "FORBIDDEN");
    let reply = http.post(path, Some(&ann.token), &release);
    assert_eq!((reply.status, &reply.json()["message"]), (200, &json!("Notification queued")));
    let told = first.expect("notification");
    let data = &told["data"];
    assert_eq!((&data["chapter_title"], &data["release_date"]), (&json!("Nine"), &json!("2026-01-31")), "{told}");
    assert_eq!((&data["message"], &data["chapter_number"]), (&json!("Out now"), &json!(9)));
    http.post(path, Some(&ann.token), &json!({"message": "At noon", "manga_title": ""})).data(200);
    assert_eq!(first.expect("notification")["data"]["message"], "At noon");
    let told = second.expect("notification");
    assert_eq!((&told["data"]["message"], &told["data"]["kind"]), (&json!("At noon"), &json!("ANNOUNCEMENT")));
    http.post(path, Some(&ann.token), &json!({"manga_id": ONGOING, "chapter_number": 10, "audience": "everyone"}))
        .data(200);
    assert_eq!(second.expect("notification")["data"]["message"], "New chapter 10 available");
    for wrong in [
        json!({}),
        json!({"manga_id": ["x"]}),
        json!({"message": "a\u{1b}[2J"}),
        json!({"message": "x".repeat(501)}),
        json!({"message": "x", "audience": "me"}),
        json!({"message": "x", "chapter_number": "9"}),
    ] {
        http.post(path, Some(&ann.token), &wrong).refused(400, "BAD_REQUEST");
    }
}

/// An administrator's own words are told although somebody has told of the same chapter a moment ago.
#[test]
fn an_announcement_is_no_repetition() {
    let server = TestServer::start();
    let (ann, bob) = (admin(&server), server.register("bob"));
    let mut client = listen(server.session_v1(&bob));
    trigger(&server, "new-chapter", &json!({"manga_id": key_of(&server, ONGOING), "title": "Berserk", "chapter": 9}));
    let said = json!({"manga_id": ONGOING, "chapter_number": 9, "message": "At last", "audience": "everyone"});
    let mut http = server.http();
    http.post("/api/v1/admin/notifications", Some(&ann.token), &said).data(200);
    assert_eq!(client.expect("notification")["data"]["message"], "At last");
    assert_eq!(messages(&unread(&mut http, &bob)), ["At last"]);
}

/// The exact number of a chapter may be given beside the whole one, and wins.
#[test]
fn the_exact_chapter_wins() {
    let server = TestServer::start();
    let (ann, alice) = (admin(&server), server.register("alice"));
    keep(&server, &alice, ONGOING);
    let (key, mut http) = (key_of(&server, ONGOING), server.http());
    let chapter = json!({
        "manga_id": key, "title": "T", "chapter": 10, "chapter_exact": 10.5, "old_chapter": 9, "old_chapter_exact": 9.5,
    });
    trigger(&server, "new-chapter", &chapter);
    trigger(&server, "chapter-update", &json!({"manga_id": key, "title": "T", "chapter_exact": 11.5}));
    let said = json!({"manga_id": ONGOING, "chapter_number": 12, "chapter_exact": 12.5});
    http.post("/api/v1/admin/notifications", Some(&ann.token), &said).data(200);
    let expected =
        ["New chapter 12.5 available", "New chapter 11.5 available", "New chapter 10.5 available (was chapter 9.5)"];
    assert_eq!(messages(&unread(&mut http, &alice)), expected);
    let wrong = json!({"manga_id": ONGOING, "chapter_number": 12, "chapter_exact": "12.5"});
    http.post("/api/v1/admin/notifications", Some(&ann.token), &wrong).refused(400, "BAD_REQUEST");
}

/// The second family's routes for the catalogue tell as the first family's do.
#[test]
fn the_second_familys_administrators_tell_too() {
    let server = TestServer::start();
    let (ann, alice) = (admin(&server), server.register("alice"));
    keep(&server, &alice, ONGOING);
    let mut client = listen(server.session_v2(&alice));
    let (mut http, token) = (server.http(), Some(ann.token.as_str()));
    let made = http.post("/api/manga/", token, &json!({"title": "Quite new"}));
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(client.expect("notification")["data"]["message"], "New manga added: Quite new");
    let path = format!("/api/manga/{}", key_of(&server, ONGOING));
    let changed = http.put(&path, token, &json!({"author": "Somebody", "total_chapters": 800}));
    assert_eq!(changed.status, 200, "{}", changed.text());
    let told = client.expect("notification");
    assert!(told["data"]["message"].as_str().unwrap().starts_with("New chapter 800 available"), "{told}");
    let told = client.expect("notification");
    assert_eq!(told["data"]["message"], "Updated: author");
    assert_eq!(told["data"]["changes"][0]["new_value"], "Somebody");
}

/// However much changed, a datagram is as long as its clients read at most, and says how much it leaves out; over
/// HTTP nothing is left out.
#[test]
fn a_datagram_leaves_out_what_has_no_room() {
    let server = TestServer::start();
    let alice = server.register("alice");
    keep(&server, &alice, ONGOING);
    let udp = UdpClient::new(&server, "udp_v2");
    udp.subscribe(json!({}));
    let detail = |number: i64| json!({"field": format!("f{number}"), "old_value": "界".repeat(120), "new_value": "x"});
    let details: Vec<Value> = (0..32).map(detail).collect();
    let body = json!({"manga_id": key_of(&server, ONGOING), "title": "T", "detailed_changes": details});
    trigger(&server, "manga-update", &body);
    let bytes = udp.bytes();
    assert!(bytes.len() <= 8192, "{} bytes", bytes.len());
    let told: Value = serde_json::from_slice(&bytes).unwrap();
    let shown = told["changes"].as_array().unwrap().len();
    assert!(shown > 0 && told["changes_left_out"] == 32 - shown, "{told}");
    let items = unread(&mut server.http(), &alice);
    assert_eq!(items[0]["changes"].as_array().unwrap().len(), 32);
}

/// One user's ears of every protocol, and somebody else's to know when all have been told.
struct Ears {
    tcp: LineClient,
    ws: WsClient,
    udp: UdpClient,
    witness: LineClient,
}

impl Ears {
    fn new(server: &TestServer, account: &Account, witness: &Account) -> Self {
        let mut ws = WsClient::open(server.address("http"), &format!("/ws?token={}", account.token));
        ws.send(&json!({"type": "subscribe", "topics": ["notifications"]}));
        ws.expect("subscribed");
        let made = server.http().post("/api/v1/auth/udp-token", Some(&account.token), &json!({})).data(200);
        let udp = UdpClient::new(server, "udp_v1");
        udp.register(json!({"token": made["token"]}));
        let (tcp, witness) = (listen(server.session_v1(account)), listen(server.session_v1(witness)));
        Self { tcp, ws, udp, witness }
    }

    /// Waits until everybody has been told of this.
    fn all_told(&mut self, message: &str) {
        while self.witness.expect("notification")["data"]["message"] != message {}
    }

    /// The next that those of these protocols hear is this.
    fn hear(&mut self, protocols: &[&str], message: &str) {
        for protocol in protocols {
            let told = match *protocol {
                "tcp" => self.tcp.expect("notification")["data"]["message"].take(),
                "websocket" => self.ws.expect("notification")["message"].take(),
                _ => self.udp.hear_type("notification")["data"]["message"].take(),
            };
            assert_eq!(told, message, "{protocol}");
        }
    }
}

/// A wish counts from the moment that it is stored, for what is told on every protocol, whoever it is for: a type,
/// a way, a series.
#[test]
fn wishes_count_at_once_on_every_protocol() {
    const ALL: [&str; 3] = ["tcp", "websocket", "udp"];
    let server = TestServer::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    [&alice, &bob].into_iter().for_each(|reader| keep(&server, reader, ONGOING));
    let (key, mut http, token) = (key_of(&server, ONGOING), server.http(), Some(alice.token.as_str()));
    let mut ears = Ears::new(&server, &alice, &bob);
    let preferences = "/api/v1/notifications/preferences";
    let muted = format!("{preferences}/manga/{ONGOING}");
    let news = |ears: &mut Ears, number: i64| -> String {
        trigger(&server, "new-manga", &json!({"manga_id": 900_000 + number, "title": format!("S{number}")}));
        ears.all_told(&format!("New manga added: S{number}"));
        format!("New manga added: S{number}")
    };
    let chapter = |ears: &mut Ears, number: i64| -> String {
        trigger(&server, "new-chapter", &json!({"manga_id": key, "title": "T", "chapter": number}));
        ears.all_told(&format!("New chapter {number} available"));
        format!("New chapter {number} available")
    };
    let first = news(&mut ears, 1);
    ears.hear(&ALL, &first);
    for (kind, told) in [("new_manga", &news as &dyn Fn(&mut Ears, i64) -> String), ("new_chapter", &chapter)] {
        http.put(preferences, token, &json!({"types": {kind: false}})).data(200);
        told(&mut ears, 11);
        http.put(preferences, token, &json!({"types": {kind: true}})).data(200);
        let heard = told(&mut ears, 12);
        ears.hear(&ALL, &heard);
        for (number, way) in (20..).step_by(10).zip(ALL) {
            http.put(preferences, token, &json!({"protocols": {way: false}})).data(200);
            let others: Vec<&str> = ALL.into_iter().filter(|other| *other != way).collect();
            let unheard = told(&mut ears, number);
            ears.hear(&others, &unheard);
            http.put(preferences, token, &json!({"protocols": {way: true}})).data(200);
            let heard = told(&mut ears, number + 1);
            ears.hear(&ALL, &heard);
        }
    }
    http.json("PUT", &muted, token, None).data(200);
    chapter(&mut ears, 101);
    http.json("DELETE", &muted, token, None).data(200);
    let heard = chapter(&mut ears, 102);
    ears.hear(&ALL, &heard);
}

/// Nobody hears of a series, a type or a way that they muted; what they take back they hear again.
#[test]
fn wishes_are_followed() {
    let server = TestServer::start();
    let alice = server.register("alice");
    keep(&server, &alice, ONGOING);
    keep(&server, &alice, COMPLETED);
    let (ongoing, completed) = (key_of(&server, ONGOING), key_of(&server, COMPLETED));
    let mut client = listen(server.session_v1(&alice));
    let mut http = server.http();
    let token = Some(alice.token.as_str());
    let preferences = "/api/v1/notifications/preferences";
    let muted = format!("{preferences}/manga/{ONGOING}");
    http.json("PUT", &muted, token, None).data(200);
    http.put(preferences, token, &json!({"types": {"manga_update": false}})).data(200);
    let shown = http.get(preferences, token).data(200);
    assert_eq!(shown["preferences"]["types"]["manga_update"], false, "{shown}");
    assert_eq!(shown["preferences"]["muted_manga"][0]["manga_id"], ONGOING);
    let chapter = |key: i64, number: i64| {
        trigger(&server, "new-chapter", &json!({"manga_id": key, "title": "T", "chapter": number}));
    };
    chapter(ongoing, 1);
    trigger(&server, "manga-update", &json!({"manga_id": completed, "title": "T", "changes": ["author"]}));
    chapter(completed, 2);
    assert_eq!(client.expect("notification")["data"]["chapter_number"], 2);
    http.put(preferences, token, &json!({"protocols": {"tcp": false}})).data(200);
    chapter(completed, 3);
    assert_eq!(unread(&mut http, &alice).len(), 2, "it is there, and was not told");
    http.put(preferences, token, &json!({"protocols": {"tcp": true}})).data(200);
    http.json("DELETE", &muted, token, None).data(200);
    chapter(ongoing, 4);
    assert_eq!(client.expect("notification")["data"]["chapter_number"], 4);
    http.json("PUT", &format!("{preferences}/manga/nothing"), token, None).refused(404, "NOT_FOUND");
    for wrong in [json!({"types": 5}), json!({"types": {"new_manga": 1}}), json!({"protocols": {"udp": "no"}})] {
        http.put(preferences, token, &wrong).refused(400, "BAD_REQUEST");
    }
}

/// Notifications are read one by one or all, in both families, and nobody reads another's.
#[test]
fn notifications_are_read() {
    let server = TestServer::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let mut client = listen(server.session_v1(&alice));
    let mut http = server.http();
    let (token, stranger) = (Some(alice.token.as_str()), Some(bob.token.as_str()));
    for _ in 0..3 {
        http.json("POST", "/api/v1/notifications/test", token, None).data(200);
        assert_eq!(client.expect("notification")["data"]["kind"], "TEST");
    }
    let page = http.get("/api/v1/notifications?limit=2", token).json();
    assert_eq!((&page["meta"]["unread"], &page["meta"]["has_more"]), (&json!(3), &json!(true)), "{page}");
    let rest = format!("/api/v1/notifications?before={}", page["meta"]["next_before"]);
    let rest = http.get(&rest, token).data(200);
    let last = rest["items"][0]["id"].as_i64().unwrap();
    http.json("POST", &format!("/api/v1/notifications/{last}/read"), stranger, None).refused(404, "NOT_FOUND");
    http.json("POST", &format!("/api/v1/notifications/{last}/read"), token, None).data(200);
    let list = http.get("/api/notifications/unread", token).json();
    let first = &list["notifications"][0];
    assert_eq!(list["notifications"].as_array().unwrap().len(), 2);
    assert_eq!((&first["user_id"], &first["type"], &first["read"]), (&json!(alice.id), &json!("TEST"), &json!(false)));
    assert!(first["manga_id"].is_i64() && first["title"].is_string() && first["created_at"].is_string());
    let one = format!("/api/notifications/{}/read", first["id"]);
    assert_eq!(http.json("PUT", &one, token, None).status, 204);
    assert_eq!(http.json("PUT", &one, stranger, None).status, 404);
    assert_eq!(http.json("PUT", "/api/notifications/read-all", token, None).status, 204);
    assert_eq!(http.get("/api/notifications/unread", token).json()["notifications"], json!([]));
    http.json("POST", "/api/v1/notifications/read-all", token, None).data(200);
    for (method, path) in [
        ("GET", "/api/v1/notifications"),
        ("POST", "/api/v1/notifications/1/read"),
        ("POST", "/api/v1/notifications/read-all"),
        ("POST", "/api/v1/notifications/test"),
        ("GET", "/api/v1/notifications/preferences"),
        ("GET", "/api/notifications/unread"),
    ] {
        assert_eq!(http.json(method, path, None, None).status, 401, "{method} {path}");
    }
    for query in ["limit=0", "limit=101", "before=0", "before=x", "unread=maybe"] {
        http.get(&format!("/api/v1/notifications?{query}"), token).refused(400, "BAD_REQUEST");
    }
    let export = http.get("/api/v1/users/me/export", token).json();
    assert!(export.to_string().contains("This is a test notification"), "{export}");
}

/// Notifications come only to who asked, until they ask no more; a topic that there isn't is named.
#[test]
fn one_asks_and_asks_no_more() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut http = server.http();
    let mut test = || http.json("POST", "/api/v1/notifications/test", Some(&alice.token), None).data(200);
    for mut client in [server.session_v1(&alice), server.session_v2(&alice)] {
        test();
        client.send(&json!({"type": "subscribe", "topics": ["weather"]}));
        assert!(client.expect_error("INVALID_DATA").contains("weather"));
        for wrong in [json!({"type": "subscribe"}), json!({"type": "subscribe", "topics": "notifications"})] {
            client.send(&wrong);
            client.expect_error("INVALID_DATA");
        }
        for _ in 0..2 {
            client.send(&json!({"type": "subscribe", "topics": ["notifications", "notifications"]}));
            assert_eq!(client.expect("subscribed")["data"]["topics"], json!(["progress", "notifications"]));
        }
        test();
        client.expect("notification");
        client.say("unsubscribe", json!({"topics": ["progress"]}));
        client.expect_error("INVALID_DATA");
        client.say("unsubscribe", json!({"topics": ["notifications"]}));
        assert_eq!(client.expect("subscribed")["data"]["topics"], json!(["progress"]));
        test();
        client.say("ping", json!({}));
        client.expect("pong");
    }
}

/// Whoever asks before they have joined at all hears everything once.
#[test]
fn subscribing_right_behind_auth_is_heard_once() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut client = server.v1();
    let auth = json!({"type": "auth", "data": {"token": alice.token}});
    let subscribe = json!({"type": "subscribe", "topics": ["notifications"]});
    client.send_raw(format!("{auth}\n{subscribe}\n"));
    client.expect("auth_success");
    client.expect("subscribed");
    server.http().json("POST", "/api/v1/notifications/test", Some(&alice.token), None).data(200);
    client.expect("notification");
    client.say("ping", json!({}));
    client.expect("pong");
}
