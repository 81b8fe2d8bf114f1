//! Friends and lists as clients meet them: what each route shows to whom, and what it refuses.

mod common;

use common::{Account, COMPLETED, ONGOING, TestServer};
use serde_json::{Value, json};

fn read(server: &TestServer, account: &Account, manga: &str, chapter: f64, private: bool) {
    let mut http = server.http();
    let body = json!({"manga_id": manga, "status": "reading", "private": private, "note": "between me and me"});
    http.post("/api/v1/users/library", Some(&account.token), &body);
    let path = format!("/api/v1/users/progress/{manga}");
    let body = json!({"chapter_exact": chapter, "private": private, "note": "between me and me"});
    http.put(&path, Some(&account.token), &body).data(200);
}

fn befriend(server: &TestServer, one: &Account, other: &Account) {
    let mut http = server.http();
    http.post("/api/v1/friends", Some(&one.token), &json!({"username": other.username})).data(201);
    let path = format!("/api/v1/friends/{}/accept", one.username);
    http.json("POST", &path, Some(&other.token), None).data(200);
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["username"].as_str().unwrap()).collect()
}

// ---- friends

/// A request is seen by both, accepted once, and ended by either.
#[test]
fn a_friendship_from_its_beginning_to_its_end() {
    let server = TestServer::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let mut http = server.http();
    let asked = http.post("/api/v1/friends", Some(&alice.token), &json!({"username": "BOB"})).data(201);
    assert_eq!((&asked["status"], &asked["friend"]["username"]), (&json!("requested"), &json!("bob")));
    assert_eq!(asked["friend"]["id"], json!(bob.id));
    let outgoing = http.get("/api/v1/friends/requests", Some(&alice.token)).data(200);
    assert_eq!((names(&outgoing["incoming"]), names(&outgoing["outgoing"])), (vec![], vec!["bob"]));
    let incoming = http.get("/api/v1/friends/requests", Some(&bob.token)).json();
    assert_eq!((names(&incoming["data"]["incoming"]), &incoming["meta"]["total"]), (vec!["alice"], &json!(1)));
    let accept = format!("/api/v1/friends/{}/accept", alice.id);
    assert_eq!(http.json("POST", &accept, Some(&bob.token), None).data(200)["status"], "accepted");
    http.json("POST", &accept, Some(&bob.token), None).refused(409, "CONFLICT");
    for (who, friend) in [(&alice, &bob), (&bob, &alice)] {
        let list = http.get("/api/v1/friends", Some(&who.token)).json();
        assert_eq!(list["data"]["items"][0]["id"], json!(friend.id));
        assert!(list["data"]["items"][0]["since"].as_str().unwrap().ends_with('Z'));
        assert_eq!(list["meta"]["total"], 1);
        assert!(!list.to_string().contains("example.org"), "an address is nobody's business: {list}");
    }
    http.json("DELETE", "/api/v1/friends/bob", Some(&alice.token), None).data(200);
    http.json("DELETE", "/api/v1/friends/alice", Some(&bob.token), None).refused(404, "NOT_FOUND");
    assert_eq!(http.get("/api/v1/friends", Some(&bob.token)).data(200)["items"], json!([]));
    http.post("/api/v1/friends", Some(&bob.token), &json!({"username": "alice"})).data(201);
    let back = http.post("/api/v1/friends", Some(&alice.token), &json!({"username": "bob"})).data(200);
    assert_eq!(back["status"], "accepted", "asking back is accepting");
}

/// What can't be asked is refused by its reason, and nothing of a stranger is told.
#[test]
fn friends_refuse_what_cannot_be() {
    let server = TestServer::start();
    let (alice, _bob) = (server.register("alice"), server.register("bob"));
    let mut http = server.http();
    let token = Some(alice.token.as_str());
    let mut ask = |body: Value| http.post("/api/v1/friends", token, &body);
    ask(json!({"username": "bob"})).data(201);
    assert_eq!(ask(json!({"username": "bob"})).refused(409, "CONFLICT"), "You have asked already");
    assert_eq!(ask(json!({"username": "nobody"})).refused(404, "NOT_FOUND"), "User not found");
    ask(json!({"username": "bob@example.org"})).refused(404, "NOT_FOUND");
    ask(json!({"username": "' OR 1=1 --"})).refused(404, "NOT_FOUND");
    for wrong in [
        json!({}),
        json!({"username": null}),
        json!({"username": 5}),
        json!({"username": ["bob"]}),
        json!({"username": ""}),
        json!({"username": "   "}),
        json!({"username": "bob\u{0}"}),
        json!({"username": "x".repeat(65)}),
        json!({"username": "Alice"}),
    ] {
        let message = ask(wrong.clone()).refused(400, "BAD_REQUEST");
        assert!(message.starts_with("username: "), "{wrong}: {message}");
    }
    for (method, path, status) in [
        ("POST", "/api/v1/friends/bob/accept", 404),
        ("POST", "/api/v1/friends/alice/accept", 404),
        ("POST", "/api/v1/friends/nobody/accept", 404),
        ("POST", "/api/v1/friends/%00/accept", 400),
        ("DELETE", "/api/v1/friends/nobody", 404),
        ("DELETE", "/api/v1/friends/alice", 404),
        ("DELETE", "/api/v1/friends/%27%20OR%201%3D1%20--", 404),
        ("DELETE", "/api/v1/friends", 405),
        ("GET", "/api/v1/friends?limit=0", 400),
        ("GET", "/api/v1/friends?limit=101", 400),
        ("GET", "/api/v1/friends?limit=x", 400),
        ("GET", "/api/v1/friends?offset=-1", 400),
        ("GET", "/api/v1/friends?offset=4294967295", 200),
        ("GET", "/api/v1/friends/requests?limit=1e9", 400),
        ("GET", "/api/v1/friends/activity?before=0", 400),
        ("GET", "/api/v1/friends/activity?before=9223372036854775808", 400),
        ("GET", "/api/v1/friends/activity?before=9223372036854775807", 200),
        ("GET", "/api/v1/friends/activity?limit=1000", 400),
    ] {
        let reply = http.json(method, path, token, None);
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
    }
    for (method, path) in [
        ("GET", "/api/v1/friends"),
        ("POST", "/api/v1/friends"),
        ("GET", "/api/v1/friends/requests"),
        ("GET", "/api/v1/friends/activity"),
        ("POST", "/api/v1/friends/bob/accept"),
        ("DELETE", "/api/v1/friends/bob"),
    ] {
        http.json(method, path, None, None).refused(401, "UNAUTHORIZED");
    }
}

/// Friends see what is read in the open, page by page, and neither notes nor what is private now.
#[test]
fn friends_see_what_is_read() {
    let server = TestServer::start();
    let (alice, bob, eve) = (server.register("alice"), server.register("bob"), server.register("eve"));
    befriend(&server, &alice, &bob);
    read(&server, &bob, ONGOING, 5.5, false);
    read(&server, &bob, COMPLETED, 7.0, true);
    read(&server, &eve, COMPLETED, 9.0, false);
    let mut http = server.http();
    let feed = http.get("/api/v1/friends/activity", Some(&alice.token)).json();
    let items = feed["data"]["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "{feed}");
    let first = &items[0];
    assert_eq!(
        (&first["username"], &first["manga_id"], &first["status"]),
        (&json!("bob"), &json!(ONGOING), &json!("reading"))
    );
    assert_eq!((&first["chapter"], &first["chapter_exact"]), (&json!(5), &json!(5.5)));
    assert_eq!(feed["meta"], json!({"count": 2, "complete": true}));
    assert!(!feed.to_string().contains("between me") && !feed.to_string().contains(COMPLETED), "{feed}");
    let page = format!("/api/v1/friends/activity?limit=1&before={}", first["id"]);
    assert_eq!(http.get(&page, Some(&alice.token)).data(200)["items"], json!([items[1]]));
    read(&server, &bob, ONGOING, 6.0, true);
    assert_eq!(http.get("/api/v1/friends/activity", Some(&alice.token)).data(200)["items"], json!([]));
    assert_eq!(http.get("/api/v1/friends/activity", Some(&eve.token)).data(200)["items"], json!([]));
}
