//! Chat over HTTP, as clients meet it: rooms, messages, deletion and mutes.

mod common;

use common::{Account, TestServer};
use mangahub::config::Synchronous;
use serde_json::{Value, json};

const GENERAL: &str = "/api/v1/chat/rooms/general/messages";

/// An administrator: a user with a token that says so.
fn administrator(server: &TestServer) -> Account {
    let root = server.register("root");
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let claims = json!({"user_id": root.id, "username": root.username, "role": "admin", "iat": now, "exp": now + 3600});
    let key = jsonwebtoken::EncodingKey::from_secret(common::SECRET.as_bytes());
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
    Account { token, ..root }
}

/// Says something in a room and returns the message.
fn say(server: &TestServer, who: &Account, room: &str, content: &str) -> Value {
    let path = format!("/api/v1/chat/rooms/{room}/messages");
    server.http().post(&path, Some(&who.token), &json!({"content": content})).data(201)["message"].clone()
}

fn texts(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|message| message["content"].as_str().unwrap()).collect()
}

/// What is said in a room is there afterwards, in pages, under each name of the room, and in no other.
#[test]
fn rooms_keep_what_was_said() {
    let server = TestServer::start();
    let ann = server.register("ann");
    let said = say(&server, &ann, common::ONGOING, "<b>☃</b>\n\u{0}\u{1b}[1m");
    assert_eq!((&said["content"], &said["room"]), (&json!("<b>☃</b>\n[1m"), &json!(common::ONGOING)));
    assert_eq!((&said["user_id"], &said["verified"]), (&json!(ann.id), &json!(true)));
    for number in 1..=5 {
        say(&server, &ann, "Off-Topic", &number.to_string());
    }
    let mut http = server.http();
    let token = Some(ann.token.as_str());
    let key = said["room_id"].as_i64().unwrap();
    let by_number = http.get(&format!("/api/v1/chat/rooms/{key}/messages"), token).data(200);
    assert_eq!(by_number["items"], json!([said]));
    let page = http.get("/api/v1/chat/rooms/off-topic/messages?limit=2", token);
    assert_eq!((texts(&page.data(200)), &page.json()["meta"]), (vec!["4", "5"], &json!({"count": 2, "more": true})));
    let before = page.data(200)["items"][0]["id"].as_i64().unwrap();
    let page = http.get(&format!("/api/v1/chat/rooms/off-topic/messages?before={before}"), token);
    assert_eq!((texts(&page.data(200)), &page.json()["meta"]["more"]), (vec!["1", "2", "3"], &json!(false)));
    let rooms = http.get("/api/v1/chat/rooms", token).data(200);
    let names: Vec<_> =
        rooms["items"].as_array().unwrap().iter().map(|room| (&room["room"], &room["online"])).collect();
    assert_eq!(names, [(&json!("off-topic"), &json!(0)), (&json!(common::ONGOING), &json!(0))]);
}

/// What can't be said, or not there, is refused by its name, and a stranger reads nothing.
#[test]
fn what_cannot_be_is_refused() {
    let server = TestServer::start();
    let ann = server.register("ann");
    let token = Some(ann.token.as_str());
    let mut http = server.http();
    for (content, status) in
        [(json!(""), 400), (json!("\u{0}\n"), 400), (json!(7), 400), (json!("x".repeat(2001)), 413)]
    {
        assert_eq!(http.post(GENERAL, token, &json!({"content": content})).status, status);
    }
    for room in ["999999", "a%20b", "%2e%2e", &"x".repeat(65)] {
        let path = format!("/api/v1/chat/rooms/{room}/messages");
        let status = http.get(&path, token).status;
        assert!([400, 404].contains(&status), "{room}: {status}");
    }
    for path in ["/api/v1/chat/rooms", GENERAL, "/api/v1/chat/messages/private?with=ann"] {
        http.get(path, None).refused(401, "UNAUTHORIZED");
    }
    http.get("/api/v1/chat/messages/private", token).refused(400, "BAD_REQUEST");
    http.get("/api/v1/chat/messages/private?with=nobody", token).refused(404, "NOT_FOUND");
    http.get("/api/v1/admin/chat/mutes", token).refused(403, "FORBIDDEN");
}

/// One deletes one's own messages, an administrator everybody's, and nobody any twice.
#[test]
fn messages_are_deleted() {
    let server = TestServer::start();
    let (ann, bob, root) = (server.register("ann"), server.register("bob"), administrator(&server));
    let [one, two] = ["one", "two"].map(|text| say(&server, &ann, "general", text)["id"].as_i64().unwrap());
    let mut http = server.http();
    let mut delete = |id: i64, who: &Account| {
        http.json("DELETE", &format!("/api/v1/chat/messages/{id}"), Some(&who.token), None).status
    };
    assert_eq!(delete(one, &bob), 404);
    assert_eq!(delete(one, &ann), 200);
    assert_eq!(delete(one, &ann), 404);
    assert_eq!(delete(two, &root), 200);
    assert_eq!(server.http().get(GENERAL, Some(&bob.token)).data(200)["items"], json!([]));
}

/// Whoever is muted hears until when, in the room that it is for, and speaks again when it is lifted.
#[test]
fn users_are_muted_for_a_time() {
    let server = TestServer::start();
    let (ann, root) = (server.register("ann"), administrator(&server));
    let (mut http, admin) = (server.http(), Some(root.token.as_str()));
    let mutes = "/api/v1/admin/chat/mutes";
    let mute = json!({"user": "ann", "seconds": 60, "room": "general", "reason": "Spoilers"});
    let shown = http.post(mutes, admin, &mute).data(201)["mute"].clone();
    assert_eq!((&shown["user"]["id"], &shown["muted_by"]), (&json!(ann.id), &json!(root.id)));
    let message = http.post(GENERAL, Some(&ann.token), &json!({"content": "x"})).refused(403, "FORBIDDEN");
    assert!(message.contains(shown["until"].as_str().unwrap()) && message.contains("Spoilers"), "{message}");
    say(&server, &ann, "elsewhere", "x");
    assert_eq!(http.get(mutes, admin).data(200)["items"], json!([shown]));
    let lift = |http: &mut common::http::HttpClient, query: &str| {
        http.json("DELETE", &format!("{mutes}/ann{query}"), admin, None).status
    };
    assert_eq!((lift(&mut http, ""), lift(&mut http, "?room=general")), (404, 200));
    say(&server, &ann, "general", "again");
}

/// What somebody said is in their export, and gone for everybody with their account.
#[test]
fn what_was_said_leaves_with_its_user() {
    let server = TestServer::start();
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    say(&server, &ann, "general", "ann's");
    say(&server, &bob, "general", "bob's");
    let mut http = server.http();
    let export = http.get("/api/v1/users/me/export?section=chat_messages", Some(&ann.token)).json();
    let items = &export["data"]["chat_messages"]["items"];
    assert_eq!((items.as_array().unwrap().len(), &items[0]["content"]), (1, &json!("ann's")));
    let password = json!({"password": common::PASSWORD});
    http.json("DELETE", "/api/v1/users/me", Some(&ann.token), Some(&password)).data(200);
    common::await_true("only bob's message is left", || {
        let left = server.http().get(GENERAL, Some(&bob.token)).data(200);
        (texts(&left) == ["bob's"]).then_some(())
    });
}

/// Whoever changes things faster than people do is told to wait, in each family's shape, over every wire that
/// shares the rate; looking is free, and nobody else pays for it.
#[test]
fn changes_are_metered() {
    let server = TestServer::with(|config| {
        config.limits.messages_per_second = 1;
        config.limits.messages_burst = 3;
        // On a slow disk each change would wait until there is room for the next.
        config.store.synchronous = Synchronous::Normal;
    });
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    let (mut http, token) = (server.http(), Some(ann.token.as_str()));
    // More than a second's tokens could make up for while they are sent.
    let many = (0..60).map(|_| http.post(GENERAL, token, &json!({"content": "x"})).status);
    let refused = many.filter(|status| *status == 429).count();
    assert!(refused > 30, "{refused} of 60 were refused");
    for path in [GENERAL, "/api/v1/notifications/test", "/api/v1/users/library"] {
        // A token may come back between two requests.
        let reply = common::await_true("a refusal", || {
            let reply = http.post(path, token, &json!({"content": "x"}));
            (reply.status == 429).then_some(reply)
        });
        assert_eq!(reply.header("retry-after"), Some("1"), "{path}");
        reply.refused(429, "RATE_LIMITED");
    }
    let reply = common::await_true("the second family's refusal", || {
        let reply = http.put("/api/notifications/read-all", token, &json!({}));
        (reply.status == 429).then_some(reply)
    });
    assert_eq!((reply.header("retry-after"), reply.json()), (Some("1"), json!({"error": "Rate limit exceeded"})));
    for _ in 0..20 {
        assert_eq!(http.get("/api/v1/chat/rooms", token).status, 200);
        assert_eq!(http.json("OPTIONS", GENERAL, token, None).status, 204);
    }
    say(&server, &bob, "general", "not me");
}
