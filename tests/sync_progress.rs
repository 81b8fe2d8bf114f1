//! Progress over the sync services: what is stored, who hears of it in which shape, and how rows are
//! read and forgotten.

mod common;

use common::line::LineClient;
use common::{COMPLETED, ONGOING, TestServer};
use serde_json::{Value, json};

/// What is sent right behind `auth` is heard by its sender too, stored or not.
#[test]
fn what_follows_auth_at_once_is_heard() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut client = server.v1();
    let auth = json!({"type": "auth", "data": {"token": alice.token}});
    let told = json!({"type": "progress", "data": {"manga_id": "not-in-the-catalogue", "current_chapter": 1}});
    client.send_raw(format!("{auth}\n{told}\n"));
    client.expect("auth_success");
    assert_eq!(client.expect("broadcast")["data"]["stored"], false);
}

/// The key of a series, as the second dialect names it.
fn key_of(server: &TestServer, slug: &str) -> i64 {
    let manga = server.http().get(&format!("/api/v1/manga/{slug}"), None).data(200);
    manga["manga"]["key"].as_i64().unwrap()
}

fn progress(client: &mut LineClient, manga: impl Into<Value>, chapter: impl Into<Value>) {
    client.say("progress", json!({"manga_id": manga.into(), "current_chapter": chapter.into()}));
}

// ---- progress and who hears of it

/// Progress by a line is told to both dialects, each in its own shape, the sender included, and is
/// then there for HTTP to read.
#[test]
fn progress_is_stored_and_told_in_both_dialects() {
    let server = TestServer::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let key = key_of(&server, ONGOING);
    let (mut sender, mut v1, mut v2) = (server.session_v1(&alice), server.session_v1(&bob), server.session_v2(&bob));
    sender.say("progress", json!({"manga_id": ONGOING, "current_chapter": 5, "status": "on-hold", "rating": 9}));
    for client in [&mut sender, &mut v1] {
        let told = client.expect("broadcast");
        let data = &told["data"];
        assert_eq!(data["user_id"], json!(alice.id), "{told}");
        assert_eq!(data["username"], "alice");
        assert_eq!((&data["manga_id"], &data["manga_title"]), (&json!(ONGOING), &json!("Berserk")));
        assert_eq!((&data["current_chapter"], &data["chapter_exact"]), (&json!(5), &json!(5)));
        assert_eq!((&data["status"], &data["stored"]), (&json!("on_hold"), &json!(true)));
        assert!(data["timestamp"].is_string() && told["timestamp"].is_string());
    }
    let told = v2.expect("progress_broadcast");
    let data = &told["data"];
    assert_eq!((&data["manga_id"], &data["chapter"]), (&json!(key), &json!(5)), "{told}");
    assert_eq!((&data["manga_title"], &data["username"]), (&json!("Berserk"), &json!("alice")));
    assert_eq!((&data["user_id"], &data["status"]), (&json!(alice.id), &json!("on_hold")));
    let row = server.http().get(&format!("/api/v1/users/progress/{ONGOING}"), Some(&alice.token)).data(200);
    assert_eq!(row["progress"]["current_chapter"], 5);
    assert_eq!(row["progress"]["rating"], 9);
    assert_eq!(row["progress"]["in_library"], false, "progress alone puts nothing into the library");
}

/// The second dialect's progress reaches the first, with the exact chapter beside the whole one.
#[test]
fn decimals_are_kept_beside_whole_numbers() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let key = key_of(&server, ONGOING);
    let (mut v1, mut v2) = (server.session_v1(&alice), server.session_v2(&alice));
    v2.say("progress_update", json!({"user_id": alice.id, "manga_id": key, "chapter": 5.5}));
    let told = v1.expect("broadcast");
    assert_eq!((&told["data"]["current_chapter"], &told["data"]["chapter_exact"]), (&json!(5), &json!(5.5)));
    let told = v2.expect("progress_broadcast");
    assert_eq!((&told["data"]["chapter"], &told["data"]["chapter_exact"]), (&json!(5), &json!(5.5)));
    v1.say("progress", json!({"manga_id": ONGOING, "current_chapter": 6, "chapter_exact": 6.25}));
    assert_eq!(v1.expect("broadcast")["data"]["chapter_exact"], 6.25, "the exact one wins");
}

/// HTTP and TCP are two doors to one thing: a PUT is told on both dialects after it was stored, and
/// what a line stored is what a GET shows.
#[test]
fn http_reaches_tcp_and_tcp_reaches_http() {
    let server = TestServer::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let (mut v1, mut v2) = (server.session_v1(&bob), server.session_v2(&bob));
    let mut http = server.http();
    let token = Some(alice.token.as_str());
    http.post("/api/v1/users/library", token, &json!({"manga_id": COMPLETED, "status": "reading"})).data(201);
    let path = format!("/api/v1/users/progress/{COMPLETED}");
    http.put(&path, token, &json!({"current_chapter": 7})).data(200);
    let told = v1.expect("broadcast");
    assert_eq!((&told["data"]["current_chapter"], &told["data"]["username"]), (&json!(7), &json!("alice")));
    assert_eq!(v2.expect("progress_broadcast")["data"]["chapter"], 7);
    let mut sender = server.session_v1(&alice);
    progress(&mut sender, COMPLETED, 8);
    sender.expect("broadcast");
    assert_eq!(http.get(&path, token).data(200)["progress"]["current_chapter"], 8);
    v1.expect("broadcast");
    v1.expect_nothing();
}

/// A series outside the catalogue is told on the first dialect, said to be not stored, cut to 200
/// characters and without what can't be seen, which alone is no name; the second dialect and a number know no such series.
#[test]
fn an_unknown_series_is_told_and_not_stored() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let (mut v1, mut v2) = (server.session_v1(&alice), server.session_v2(&alice));
    progress(&mut v1, "manga-001", 75);
    let told = v1.expect("broadcast");
    assert_eq!((&told["data"]["manga_id"], &told["data"]["stored"]), (&json!("manga-001"), &json!(false)), "{told}");
    assert_eq!(v2.expect("progress_broadcast")["data"]["manga_slug"], "manga-001");
    let long = format!("a\u{1b}[31m\n\u{7}\u{202e}\u{2028}{}", "界".repeat(500));
    v1.say("progress", json!({"manga_id": long, "manga_title": long, "current_chapter": 1}));
    let told = v1.expect("broadcast");
    for name in ["manga_id", "manga_title"] {
        let text = told["data"][name].as_str().unwrap();
        assert_eq!(text.chars().count(), 200);
        assert!(text.starts_with("a[31m界"), "{text:?}");
    }
    v2.expect("progress_broadcast");
    progress(&mut v1, "\n\u{202e}", 1);
    let refused = v1.expect_error("INVALID_DATA");
    assert!(refused.starts_with("manga_id: "), "{refused}");
    v2.expect_nothing();
    v2.say("progress_update", json!({"manga_id": "manga-001", "chapter": 75}));
    v2.expect_error("NOT_FOUND");
    progress(&mut v1, 999_999, 75);
    v1.expect_error("NOT_FOUND");
    let rows = server.http().get("/api/v1/users/progress", Some(&alice.token)).data(200);
    assert_eq!(rows["items"], json!([]));
}

/// The JSON type decides: a number is a key, a string is a slug, in both dialects and every message.
#[test]
fn a_string_is_a_slug_and_a_number_is_a_key() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let key = key_of(&server, ONGOING);
    let (mut v1, mut v2) = (server.session_v1(&alice), server.session_v2(&alice));
    progress(&mut v1, key, 3);
    assert_eq!(v1.expect("broadcast")["data"]["manga_id"], ONGOING);
    v2.expect("progress_broadcast");
    v2.say("progress_update", json!({"manga_id": ONGOING, "chapter": 4}));
    assert_eq!(v2.expect("progress_broadcast")["data"]["manga_id"], key);
    v1.expect("broadcast");
    v1.say("get_progress", json!({"manga_id": key.to_string()}));
    v1.expect_error("NOT_FOUND");
}

/// Progress of somebody else can't be written, one's own id may be said.
#[test]
fn progress_of_others_is_forbidden() {
    let server = TestServer::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let (mut v1, mut v2) = (server.session_v1(&alice), server.session_v2(&alice));
    for (client, kind) in [(&mut v1, "progress"), (&mut v2, "progress_update")] {
        let change = json!({"user_id": bob.id, "manga_id": ONGOING, "current_chapter": 9, "chapter": 9});
        client.say(kind, change);
        client.expect_error("FORBIDDEN");
    }
    let reply = server.http().get(&format!("/api/v1/users/progress/{ONGOING}"), Some(&bob.token));
    reply.refused(404, "NOT_FOUND");
}

/// What is marked private is told to its owner's connections only, until it is marked public.
#[test]
fn private_entries_are_told_to_their_owner_only() {
    let server = TestServer::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let (mut phone, mut tablet) = (server.session_v1(&alice), server.session_v2(&alice));
    let mut stranger = server.session_v1(&bob);
    phone.say("progress", json!({"manga_id": ONGOING, "current_chapter": 1, "private": true}));
    phone.expect("broadcast");
    tablet.expect("progress_broadcast");
    progress(&mut phone, ONGOING, 2);
    phone.expect("broadcast");
    tablet.expect("progress_broadcast");
    phone.say("progress", json!({"manga_id": ONGOING, "current_chapter": 3, "private": false}));
    phone.expect("broadcast");
    assert_eq!(stranger.expect("broadcast")["data"]["current_chapter"], 3, "the private ones were not told");
}

/// With `broadcast_scope = "user"` everybody hears of their own progress only.
#[test]
fn the_scope_user_keeps_progress_to_its_user() {
    let server = TestServer::with(|config| config.tcp.broadcast_scope = Some(mangahub::config::BroadcastScope::User));
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let (mut phone, mut tablet) = (server.session_v1(&alice), server.session_v2(&alice));
    let mut stranger = server.session_v1(&bob);
    progress(&mut phone, ONGOING, 1);
    phone.expect("broadcast");
    tablet.expect("progress_broadcast");
    progress(&mut phone, "not-in-the-catalogue", 1);
    phone.expect("broadcast");
    stranger.expect_nothing();
}

/// A session's device goes with its progress, into what is told and into the history, without what can't
/// be seen of its name.
#[test]
fn the_device_goes_with_the_progress() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut client = server.v1();
    client.say("auth", json!({"token": alice.token, "device": "Alice's phone"}));
    client.expect("auth_success");
    client.say(
        "progress",
        json!({"manga_id": ONGOING, "current_chapter": 2, "timestamp": 5, "read_at": "2026-01-31T09:00:00Z"}),
    );
    assert_eq!(client.expect("broadcast")["data"]["device"], "Alice's phone");
    let history = server.http().get("/api/v1/users/history", Some(&alice.token)).data(200);
    let entry = &history["items"][0];
    assert_eq!((&entry["device"], &entry["chapter"]), (&json!("Alice's phone"), &json!(2)));
    assert!(entry["read_at"].as_str().unwrap().starts_with("2026-01-31T09:00:00"), "{entry}");
    for (name, shown) in [("\u{1b}[2J\u{9b}ph\u{2028}\u{202e}one\u{7f}", json!("[2Jphone")), ("\n", json!(null))] {
        let mut odd = server.v2();
        odd.say("auth", json!({"token": alice.token, "device": name}));
        odd.expect("auth_success");
        odd.say("progress_update", json!({"manga_id": ONGOING, "chapter": 3}));
        assert_eq!(odd.expect("progress_broadcast")["data"]["device"], shown, "{name:?}");
    }
    let mut long = server.v1();
    long.say("auth", json!({"token": alice.token, "device": "x".repeat(65)}));
    long.expect("auth_failed");
}

/// Public and private changes are told to their user in the order in which they were made.
#[test]
fn public_and_private_changes_keep_their_order() {
    let server = TestServer::unmetered();
    let alice = server.register("alice");
    let (mut client, mut other) = (server.session_v1(&alice), server.session_v2(&alice));
    let change = |chapter: u32| {
        let data = json!({"manga_id": ONGOING, "current_chapter": chapter, "private": chapter.is_multiple_of(3)});
        format!("{}\n", json!({"type": "progress", "data": data}))
    };
    client.send_raw((0..300).map(change).collect::<String>());
    for chapter in 0..300 {
        assert_eq!(client.expect("broadcast")["data"]["current_chapter"], chapter);
        assert_eq!(other.expect("progress_broadcast")["data"]["chapter"], chapter);
    }
}

/// Beyond `broadcasts_per_second` changes are told later and together; none is lost, and the order stays.
#[test]
fn broadcasts_beyond_their_rate_are_told_later() {
    let server = TestServer::with(|config| {
        config.limits.messages_per_second = 0;
        config.tcp.broadcasts_per_second = 5;
    });
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let (mut sender, mut listener) = (server.session_v1(&alice), server.session_v2(&bob));
    for chapter in 0..200 {
        progress(&mut sender, ONGOING, chapter);
        // An answer between makes each change a turn of its own.
        sender.say("get_progress", json!({"manga_id": ONGOING}));
    }
    let mut told = Vec::new();
    while told.len() < 200 {
        let message = sender.next();
        if message["type"] == "broadcast" {
            told.push(message["data"]["current_chapter"].as_i64().unwrap());
        }
    }
    assert_eq!(told, (0..200).collect::<Vec<_>>());
    for chapter in 0..200 {
        assert_eq!(listener.expect("progress_broadcast")["data"]["chapter"], chapter);
    }
}

/// Adding to the library is nobody's news.
#[test]
fn library_changes_are_not_told() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut client = server.session_v1(&alice);
    let entry = json!({"manga_id": ONGOING, "status": "reading", "current_chapter": 3});
    server.http().post("/api/v1/users/library", Some(&alice.token), &entry).data(201);
    client.expect_nothing();
}

// ---- reading and forgetting

/// A row can be shown, listed in parts and deleted, in both dialects.
#[test]
fn rows_are_shown_listed_and_deleted() {
    let server = TestServer::start();
    let alice = server.register("alice");
    for kind in ["progress", "progress_update"] {
        let mut client = if kind == "progress" { server.session_v1(&alice) } else { server.session_v2(&alice) };
        for (chapter, slug) in [ONGOING, COMPLETED, "bleach"].into_iter().enumerate() {
            client.say(kind, json!({"manga_id": slug, "chapter_exact": chapter as f64 + 0.5, "volume": 2, "page": 7}));
            client.next();
        }
        client.say("get_progress", json!({"manga_id": COMPLETED}));
        let row = client.expect("progress")["data"].clone();
        assert_eq!((&row["manga_id"], &row["chapter_exact"]), (&json!(COMPLETED), &json!(1.5)), "{row}");
        assert_eq!((&row["volume"], &row["page"], &row["status"]), (&json!(2), &json!(7), &json!("reading")));
        client.say("get_user_progress", json!({"limit": 2, "offset": 1}));
        let list = client.expect("progress_list")["data"].clone();
        assert_eq!((list["items"].as_array().unwrap().len(), &list["total"]), (2, &json!(3)));
        client.say("delete_progress", json!({"manga_id": COMPLETED}));
        assert_eq!(client.expect("progress_deleted")["data"]["manga_id"], COMPLETED);
        for kind in ["get_progress", "delete_progress"] {
            client.say(kind, json!({"manga_id": COMPLETED}));
            client.expect_error("NOT_FOUND");
        }
        client.say("get_user_progress", json!({}));
        assert_eq!(client.expect("progress_list")["data"]["total"], 2);
        for slug in [ONGOING, "bleach"] {
            client.say("delete_progress", json!({"manga_id": slug}));
            client.expect("progress_deleted");
        }
    }
}

/// The second dialect's clients lose a second message in one segment, so each is written alone: what
/// small reads bring never holds more than one line when the client reads before the next is due.
#[test]
fn the_second_dialect_is_welcomed_alone() {
    let server = TestServer::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let mut sender = server.session_v1(&bob);
    let mut client = server.v2();
    client.say("auth", json!({"token": alice.token}));
    // A connection joins its topics only after its welcome was written: nothing can share its segment.
    let first = client.segment();
    assert_eq!(first.matches('\n').count(), 1, "{first:?}");
    assert!(first.contains("auth_success"));
    progress(&mut sender, ONGOING, 1);
    let told = client.segment();
    assert_eq!(told.matches('\n').count(), 1, "{told:?}");
    assert!(told.contains("progress_broadcast"));
}
