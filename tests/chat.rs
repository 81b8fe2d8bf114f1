//! Chat over WebSockets, as both families' clients meet it, on real sockets.

mod common;

use std::net::SocketAddr;

use common::ws::{WsClient, handshake};
use common::{Account, Program, TestServer};
use serde_json::{Value, json};

/// A server through whose only HTTP listener people may come without a token.
fn start() -> TestServer {
    TestServer::with(|config| config.http.anonymous_chat = vec![0])
}

/// A connection of the second family's client: it shows its token in a header and is in no room.
fn second(server: &TestServer, who: &Account) -> WsClient {
    let fields = format!("Authorization: Bearer {}\r\n", who.token);
    let (client, head) = WsClient::ask(server.address("http"), handshake("/ws", &fields));
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    client
}

/// A connection of the first family's client: a name and a room, and no token.
fn first(server: &TestServer, name: &str, room: &str) -> WsClient {
    first_at(server.address("http"), name, room)
}

fn first_at(address: SocketAddr, name: &str, room: &str) -> WsClient {
    WsClient::open(address, &format!("/ws?username={name}&room={room}"))
}

/// The number of a series.
fn number(server: &TestServer, who: &Account, slug: &str) -> i64 {
    let path = format!("/api/v1/chat/rooms/{slug}/messages");
    let said = server.http().post(&path, Some(&who.token), &json!({"content": "first"})).data(201);
    said["message"]["room_id"].as_i64().unwrap()
}

fn join(client: &mut WsClient, room: &str) -> Value {
    client.send(&json!({"type": "join", "room": room}));
    let joined = client.expect("system");
    client.expect("presence");
    joined
}

fn say(client: &mut WsClient, text: &str) {
    client.send(&json!({"type": "chat", "content": text}));
}

fn heard(client: &mut WsClient) -> Value {
    client.expect("chat")["content"].clone()
}

/// Shows what the second family's clients hear and say, in their words: joining by number, who comes and
/// goes, and that what is typed and said comes back to its sender.
#[test]
fn the_second_familys_clients_chat() {
    let server = start();
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    let room = number(&server, &ann, common::ONGOING);
    let (mut a, mut b) = (second(&server, &ann), second(&server, &bob));
    a.send(&json!({"type": "leave", "room_id": room}));
    let nowhere = a.next();
    assert_eq!((&nowhere["content"], &nowhere["room_id"]), (&json!("Room does not exist."), &json!(-1)));
    let words = |online: usize| format!("You have joined the chat room for manga ID {room}. Users online: {online}");
    a.send(&json!({"type": "join", "room_id": room}));
    let joined = a.next();
    assert_eq!((&joined["type"], &joined["content"]), (&json!("system"), &json!(words(1))));
    assert_eq!((&joined["user_id"], &joined["user_name"]), (&json!("system"), &json!("System_Admin")));
    let history = a.next();
    assert_eq!((&history["type"], &history["more"]), (&json!("history"), &json!(false)));
    assert_eq!(history["items"][0]["content"], "first");
    assert_eq!(a.next()["online"], 1);
    b.send(&json!({"type": "join", "room_id": room}));
    assert_eq!(b.next()["content"], json!(words(2)));
    assert_eq!(a.next()["content"], "[bob] has joined the chat.");
    assert_eq!(a.next()["online"], 2);
    b.send(&json!({"type": "typing", "room_id": room}));
    b.send(&json!({"type": "chat", "room_id": room, "content": "hi <b>☃</b>"}));
    for client in [&mut a, &mut b] {
        let typing = client.expect("typing");
        assert_eq!((&typing["user_name"], &typing["room_id"]), (&json!("bob"), &json!(room)));
        let chat = client.next();
        assert_eq!((&chat["content"], &chat["user_id"]), (&json!("hi <b>☃</b>"), &json!(bob.id)));
        assert_eq!((&chat["room"], &chat["verified"]), (&json!(common::ONGOING), &json!(true)));
        assert!(chat["timestamp"].as_str().unwrap().ends_with('Z') && chat["id"].is_i64(), "{chat}");
    }
    b.send(&json!({"type": "leave", "room_id": room}));
    assert_eq!(b.next()["content"], format!("You have left the chat room for manga ID {room}."));
    assert_eq!(a.next()["content"], "[bob] has left the chat.");
    assert_eq!(a.next()["online"], 1);
    drop(a);
    say(&mut b, "to nobody");
    b.expect_error("INVALID_DATA");
}

/// Shows that a series named in the address is joined at once, and that one there is not leaves the session be.
#[test]
fn the_address_may_name_a_series() {
    let server = start();
    let ann = server.register("ann");
    let room = number(&server, &ann, common::ONGOING);
    let open = |id: i64| WsClient::open(server.address("http"), &format!("/ws?token={}&manga_id={id}", ann.token));
    let joined = open(room).next();
    assert_eq!(joined["content"], format!("You have joined the chat room for manga ID {room}. Users online: 1"));
    let mut nowhere = open(999_999);
    nowhere.expect_error("NOT_FOUND");
    assert_eq!(join(&mut nowhere, "general")["room"], "general");
}

/// Shows what the first family's clients hear and say: a name and a room in the address, `general` where
/// there is none, and who comes and goes.
#[test]
fn the_first_familys_clients_chat() {
    let server = start();
    let mut a = WsClient::open(server.address("http"), "/ws?username=ann");
    let joined = a.next();
    assert_eq!((&joined["type"], &joined["content"]), (&json!("system"), &json!("ann joined the chat")));
    assert_eq!(joined["room"], "general");
    let mut b = first(&server, "bob", "general");
    assert_eq!(b.next()["content"], "bob joined the chat");
    assert_eq!(a.expect("system")["content"], "bob joined the chat");
    b.send(&json!({"type": "chat", "username": "somebody else", "room": "general", "content": "hi"}));
    for client in [&mut a, &mut b] {
        let chat = client.expect("chat");
        assert_eq!(
            (&chat["username"], &chat["verified"], &chat["user_id"]),
            (&json!("bob"), &json!(false), &json!(""))
        );
    }
    b.send(&json!({"type": "join_room", "username": "bob", "room": "other"}));
    assert_eq!(b.expect("system")["content"], "bob joined the chat");
    assert_eq!(a.expect("system")["content"], "bob left the chat");
    say(&mut b, "is anybody here?");
    assert_eq!(heard(&mut b), "is anybody here?");
    say(&mut a, "just me");
    assert_eq!(heard(&mut a), "just me", "what is said elsewhere is not heard here");
}

/// Shows that the first family's clients, who print every message as a line that somebody said, hear nothing
/// that is none: what was said before comes as it was told, and neither who is typing nor how many there are is
/// told. One who says more than they do hears all of it.
#[test]
fn the_first_familys_clients_hear_lines() {
    let server = start();
    let ann = server.register("ann");
    let mut user = second(&server, &ann);
    join(&mut user, "general");
    ["one", "two"].iter().for_each(|text| say(&mut user, text));
    assert_eq!((heard(&mut user), heard(&mut user)), (json!("one"), json!("two")));
    let mut plain = first(&server, "bob", "general");
    let mut lines: Vec<Value> = (0..3).map(|_| plain.next()).collect();
    user.send(&json!({"type": "typing"}));
    user.expect("typing");
    let other = first(&server, "cay", "general");
    user.send(&json!({"type": "chat", "content": "three"}));
    lines.extend((0..2).map(|_| plain.next()));
    let shown: Vec<_> = lines.iter().map(|line| (&line["username"], &line["content"])).collect();
    let by = |name: &str, content: &str| (json!(name), json!(content));
    let [one, two, bob, cay, three] = [
        by("ann", "one"),
        by("ann", "two"),
        by("System_Admin", "bob joined the chat"),
        by("System_Admin", "cay joined the chat"),
        by("ann", "three"),
    ];
    let expected = [&one, &two, &bob, &cay, &three].map(|(name, content)| (name, content));
    assert_eq!(shown, expected);
    assert!(lines[0]["id"].is_i64() && lines[0]["timestamp"].is_string(), "{}", lines[0]);
    plain.send(&json!({"type": "history", "limit": 1}));
    assert_eq!(plain.next()["items"][0]["content"], "three");
    drop(other);
    assert_eq!(plain.expect("presence")["online"], 2);
    plain.send(&json!({"type": "join_room", "room": "general"}));
    assert_eq!(plain.expect("history")["items"][2]["content"], "three");
}

/// Shows that whoever asks for a user's name is shown as a guest, and may say and read only what is public.
#[test]
fn guests_are_no_users() {
    let server = start();
    let ann = server.register("ann");
    let mut user = second(&server, &ann);
    join(&mut user, "general");
    let mut guest = first(&server, "ANN", "general");
    assert_eq!(guest.next()["content"], "ANN (guest) joined the chat");
    say(&mut guest, "it is me");
    let chat = user.expect("chat");
    assert_eq!((&chat["username"], &chat["verified"]), (&json!("ANN (guest)"), &json!(false)));
    for message in [json!({"type": "pm", "to": "ann", "content": "x"}), json!({"type": "delete", "id": chat["id"]})] {
        guest.send(&message);
        guest.expect_error("AUTH_REQUIRED");
    }
    guest.send(&json!({"type": "users"}));
    let users = guest.expect("users");
    assert_eq!((&users["online"], &users["items"][0]["verified"]), (&json!(2), &json!(false)));
}

/// Shows that a guest who looks like a user is marked, whatever stands between the letters and in whichever
/// case and width they are, and that one who looks like nobody is shown as they are seen.
#[test]
fn guests_look_like_nobody_else() {
    let server = start();
    server.register("alice");
    let body = json!({"username": "Åsa Öberg", "email": "asa@example.org", "password": common::PASSWORD});
    assert_eq!(server.http().post("/api/v1/auth/register", None, &body).status, 201);
    for name in [
        "alice%E2%80%8B",
        "a%C2%ADlice",
        "%EF%BB%BFALICE",
        "%EF%BD%81%EF%BD%8C%EF%BD%89%EF%BD%83%EF%BD%85",
        "%C3%A5sa%20%20%C3%B6berg",
        "%C3%85SA%E3%80%80%C3%96BERG",
    ] {
        let joined = first(&server, name, "general").next()["content"].clone();
        assert!(joined.as_str().unwrap().ends_with(" (guest) joined the chat"), "{joined}");
    }
    assert_eq!(first(&server, "al%E2%80%8Bine", "general").next()["content"], "aline joined the chat");
    for name in ["System_Admin", "system", "Anonymous", "Server"] {
        let body = json!({"username": name, "email": "a@example.org", "password": common::PASSWORD});
        server.http().post("/api/v1/auth/register", None, &body).refused(400, "BAD_REQUEST");
        assert_eq!(server.http().post("/auth/register", None, &body).status, 400, "{name}");
    }
}

/// Shows that a user with two connections is one user: who comes and goes, and how many there are, says so.
#[test]
fn a_user_counts_once() {
    let server = start();
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    let mut watching = second(&server, &bob);
    join(&mut watching, "general");
    let (mut one, mut two) = (second(&server, &ann), second(&server, &ann));
    join(&mut one, "general");
    let joined = join(&mut two, "general");
    assert!(joined["content"].as_str().unwrap().ends_with("Users online: 2"), "{joined}");
    assert_eq!(watching.expect("presence")["online"], 2);
    drop(two);
    say(&mut one, "still here");
    assert_eq!(heard(&mut watching), "still here", "nobody has left yet");
    drop(one);
    assert_eq!(watching.next()["content"], "[ann] has left the chat.");
    assert_eq!(watching.next()["online"], 1);
}

/// Shows that whoever joins sees the last fifty messages, can page through the rest, and hears what follows
/// without a gap while others go on talking.
#[test]
fn history_has_no_gap() {
    let server = TestServer::unmetered();
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    let mut talking = second(&server, &ann);
    join(&mut talking, "general");
    for number in 0..60 {
        say(&mut talking, &number.to_string());
    }
    (0..60).for_each(|number| assert_eq!(heard(&mut talking), number.to_string()));
    let mut joining = second(&server, &bob);
    joining.send(&json!({"type": "join", "room": "general"}));
    (60..120).for_each(|number| say(&mut talking, &number.to_string()));
    let history = joining.expect("history");
    let items = history["items"].as_array().unwrap();
    assert_eq!((items.len(), &history["more"]), (50, &json!(true)));
    let mut next = items[49]["content"].as_str().unwrap().parse::<i32>().unwrap() + 1;
    assert_eq!(items[0]["content"], (next - 50).to_string());
    while next < 120 {
        assert_eq!(heard(&mut joining), next.to_string());
        next += 1;
    }
    joining.send(&json!({"type": "history", "before": items[0]["id"], "limit": 3}));
    let page = joining.expect("history");
    let before: i32 = items[0]["content"].as_str().unwrap().parse().unwrap();
    let texts: Vec<_> = page["items"].as_array().unwrap().iter().map(|item| item["content"].clone()).collect();
    assert_eq!(texts, [3, 2, 1].map(|back| json!((before - back).to_string())));
}

/// Shows that a private message reaches every connection of both, whichever room they are in, and nobody
/// else; and that it is kept for the two.
#[test]
fn private_messages_reach_two() {
    let server = start();
    let [ann, bob, cay] = ["ann", "bob", "cay"].map(|name| server.register(name));
    let (mut a, mut b, mut elsewhere) = (second(&server, &ann), second(&server, &bob), second(&server, &bob));
    let mut other = second(&server, &cay);
    join(&mut a, "general");
    join(&mut elsewhere, "elsewhere");
    join(&mut other, "general");
    a.send(&json!({"type": "pm", "to": "BOB", "content": "psst"}));
    for client in [&mut a, &mut b, &mut elsewhere] {
        let pm = client.expect("pm");
        assert_eq!((&pm["content"], &pm["username"], &pm["to"]), (&json!("psst"), &json!("ann"), &json!("bob")));
    }
    a.send(&json!({"type": "pm", "to": "nobody", "content": "psst"}));
    a.expect_error("NOT_FOUND");
    say(&mut a, "in public");
    assert_eq!(other.next()["content"], "in public");
    let mut http = server.http();
    let kept = |http: &mut common::http::HttpClient, who: &Account, with: &str| {
        let path = format!("/api/v1/chat/messages/private?with={with}");
        http.get(&path, Some(&who.token)).data(200)["items"].as_array().unwrap().len()
    };
    assert_eq!((kept(&mut http, &bob, "ann"), kept(&mut http, &ann, "bob"), kept(&mut http, &cay, "ann")), (1, 1, 0));
}

/// Shows that a deleted message and a mute are told to the room, and that the muted hear until when.
#[test]
fn moderation_is_told() {
    let server = start();
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    let (mut a, mut b) = (second(&server, &ann), second(&server, &bob));
    join(&mut a, "general");
    join(&mut b, "general");
    say(&mut a, "oops");
    let id = a.expect("chat")["id"].clone();
    b.send(&json!({"type": "delete", "id": id}));
    b.expect_error("NOT_FOUND");
    a.send(&json!({"type": "delete", "id": id}));
    assert_eq!(b.expect("message_deleted")["id"], id);
    let admin = administrator(&server);
    let mute = json!({"user": "ann", "seconds": 60});
    server.http().post("/api/v1/admin/chat/mutes", Some(&admin), &mute).data(201);
    let muted = b.expect("muted");
    assert_eq!((&muted["username"], &muted["room"]), (&json!("ann"), &json!("general")));
    say(&mut a, "hello?");
    let error = a.expect_error("FORBIDDEN");
    assert!(error["message"].as_str().unwrap().contains(muted["until"].as_str().unwrap()), "{error}");
    assert!((1..=60).contains(&error["retry_after"].as_u64().unwrap()), "{error}");
    a.send(&json!({"type": "typing"}));
    a.expect_alive();
    say(&mut b, "while ann is silent");
    assert_eq!(b.next()["content"], "while ann is silent", "nothing is told of what won't be said");
    server.http().json("DELETE", "/api/v1/admin/chat/mutes/ann", Some(&admin), None).data(200);
    assert_eq!(b.expect("unmuted")["username"], "ann");
    say(&mut a, "hello!");
    assert_eq!(heard(&mut b), "hello!");
}

/// Shows that what is done to messages and people over HTTP is heard in the room that it is about, as it is done,
/// and in no other: words, a deletion by their author, one by an administrator, a mute for that room and its end.
#[test]
fn what_is_done_over_http_is_heard() {
    let server = start();
    let (ann, bob, cay) = (server.register("ann"), server.register("bob"), server.register("cay"));
    let admin = administrator(&server);
    let (mut here, mut elsewhere) = (second(&server, &bob), second(&server, &cay));
    join(&mut here, "general");
    join(&mut elsewhere, "elsewhere");
    let mut http = server.http();
    let post = |http: &mut common::http::HttpClient, room: &str, text: &str| {
        let path = format!("/api/v1/chat/rooms/{room}/messages");
        http.post(&path, Some(&ann.token), &json!({"content": text}))
    };
    for token in [&ann.token, &admin] {
        let id = post(&mut http, "general", "oops").data(201)["message"]["id"].clone();
        assert_eq!(here.next()["id"], id);
        http.json("DELETE", &format!("/api/v1/chat/messages/{id}"), Some(token), None).data(200);
        let deleted = here.next();
        assert_eq!((&deleted["type"], &deleted["id"]), (&json!("message_deleted"), &id));
        assert_eq!(deleted["room"], "general");
    }
    let mute = json!({"user": "ann", "seconds": 60, "room": "general"});
    http.post("/api/v1/admin/chat/mutes", Some(&admin), &mute).data(201);
    let muted = here.next();
    assert_eq!((&muted["type"], &muted["username"]), (&json!("muted"), &json!("ann")));
    assert_eq!((&muted["room"], muted["until"].is_string()), (&json!("general"), true));
    post(&mut http, "general", "hello?").refused(403, "FORBIDDEN");
    post(&mut http, "elsewhere", "only there").data(201);
    http.json("DELETE", "/api/v1/admin/chat/mutes/ann?room=general", Some(&admin), None).data(200);
    assert_eq!(here.next()["type"], "unmuted");
    assert_eq!(elsewhere.next()["content"], "only there", "nothing of the other room is heard here");
}

/// Shows that a new chapter is said by the server, live, in the series' room and where everybody meets, and in no
/// other room; each has it once and keeps it.
#[test]
fn a_new_chapter_is_said_in_its_rooms() {
    let server = start();
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    let key = number(&server, &ann, common::ONGOING);
    let mut reader = second(&server, &ann);
    join(&mut reader, common::ONGOING);
    let mut elsewhere = second(&server, &bob);
    join(&mut elsewhere, "elsewhere");
    let mut guest = first(&server, "cay", "general");
    guest.expect("system");
    let body = json!({"manga_id": key, "title": "Berserk", "chapter": 999, "old_chapter": 998});
    assert_eq!(server.internal().post("/notify/new-chapter", None, &body).status, 202);
    for (client, room) in [(&mut reader, common::ONGOING), (&mut guest, "general")] {
        let said = client.next();
        assert_eq!((&said["type"], &said["room"]), (&json!("system"), &json!(room)));
        assert_eq!(said["content"], "New Chapter Release: Berserk - Chapter 999!");
        assert_eq!((&said["user_id"], said["id"].is_i64()), (&json!("system"), true), "{said}");
    }
    for client in [&mut reader, &mut guest] {
        say(client, "at last");
        assert_eq!(client.next()["content"], "at last");
    }
    say(&mut elsewhere, "nothing new here");
    assert_eq!(elsewhere.next()["content"], "nothing new here");
}

/// Shows that somebody without an account is silenced by their name, and all of them together where the next
/// name would only be another one; that the room hears of it, and that users go on talking.
#[test]
fn guests_are_silenced() {
    let server = start();
    let ann = server.register("ann");
    let mut user = second(&server, &ann);
    join(&mut user, "general");
    let (mut guest, admin) = (first(&server, "Loud", "general"), administrator(&server));
    let mutes = "/api/v1/admin/chat/mutes";
    let mut http = server.http();
    let mute = http.post(mutes, Some(&admin), &json!({"guest": "loud", "seconds": 60})).data(201)["mute"].clone();
    assert_eq!((&mute["guest"], &mute["user"], &mute["room"]), (&json!("loud"), &Value::Null, &Value::Null));
    for client in [&mut user, &mut guest] {
        let muted = client.expect("muted");
        assert_eq!((&muted["username"], &muted["room"]), (&json!("loud"), &json!("general")));
        assert_eq!((&muted["user_id"], &muted["verified"]), (&json!(""), &json!(false)));
    }
    for message in [json!({"type": "typing"}), json!({"type": "chat", "content": "hello?"})] {
        guest.send(&message);
    }
    assert!(guest.expect_error("FORBIDDEN")["retry_after"].as_u64() > Some(0));
    let mut other = first(&server, "louder", "general");
    say(&mut other, "it is me again");
    let chat = user.expect("chat");
    assert_eq!(chat["username"], "louder", "nothing was heard of the other: {chat}");
    http.post(mutes, Some(&admin), &json!({"guest": "*", "room": "general", "seconds": 60})).data(201);
    assert!(user.expect("muted")["content"].as_str().unwrap().starts_with("Everybody without an account is muted"));
    say(&mut other, "and again");
    other.expect_error("FORBIDDEN");
    say(&mut user, "peace");
    assert_eq!(heard(&mut user), "peace");
    let shown = http.get(mutes, Some(&admin)).data(200)["items"].clone();
    assert_eq!(shown.as_array().unwrap().iter().map(|mute| mute["guest"].clone()).collect::<Vec<_>>(), ["*", "loud"]);
    for guest in ["guest=*&room=general", "guest=LOUD"] {
        let path = format!("{mutes}?{guest}");
        assert_eq!(http.json("DELETE", &path, Some(&admin), None).status, 200);
        assert_eq!(http.json("DELETE", &path, Some(&admin), None).status, 404);
    }
    say(&mut guest, "sorry");
    assert_eq!(heard(&mut user), "sorry");
    for bad in [json!({"seconds": 60}), json!({"user": "ann", "guest": "ann", "seconds": 60})] {
        http.post(mutes, Some(&admin), &bad).refused(400, "BAD_REQUEST");
    }
}

/// Shows that a name without an account is marked from the next message on when somebody registers with it,
/// wherever it is shown, and that its bearer still counts once.
#[test]
fn a_name_that_is_registered_is_marked() {
    let server = start();
    let mut guest = first(&server, "ann", "general");
    say(&mut guest, "it is me");
    assert_eq!(guest.expect("chat")["username"], "ann");
    let ann = server.register("Ann");
    say(&mut guest, "it still is");
    assert_eq!(guest.expect("chat")["username"], "ann (guest)");
    guest.send(&json!({"type": "typing"}));
    assert_eq!(guest.expect("typing")["username"], "ann (guest)");
    guest.send(&json!({"type": "users"}));
    let users = guest.expect("users");
    assert_eq!((&users["online"], &users["items"][0]["username"]), (&json!(1), &json!("ann (guest)")));
    let mut user = second(&server, &ann);
    assert!(join(&mut user, "general")["content"].as_str().unwrap().ends_with("Users online: 2"));
    say(&mut guest, "and again");
    assert_eq!(user.expect("chat")["username"], "ann (guest)");
    drop(guest);
    assert_eq!(user.expect("presence")["online"], 1);
}

/// Shows that rooms in which nothing was said are listed once, behind those in which something was.
#[test]
fn silent_rooms_are_listed() {
    let server = start();
    let ann = server.register("ann");
    let (mut one, mut two) = (first(&server, "x", "one"), first(&server, "x", "two"));
    say(&mut one, "first words");
    assert_eq!(heard(&mut one), "first words");
    two.expect("system");
    let listed = server.http().get("/api/v1/chat/rooms", Some(&ann.token)).data(200)["items"].clone();
    let rows: Vec<_> = listed.as_array().unwrap().iter().map(|row| (&row["room"], &row["online"])).collect();
    assert_eq!(rows, [(&json!("one"), &json!(1)), (&json!("two"), &json!(1))]);
    assert_eq!(listed[1]["last_message_at"], Value::Null);
}

/// A token that says that its user is an administrator.
fn administrator(server: &TestServer) -> String {
    let root = server.register("root");
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let claims = json!({"user_id": root.id, "username": root.username, "role": "admin", "iat": now, "exp": now + 3600});
    let key = jsonwebtoken::EncodingKey::from_secret(common::SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

/// Shows that a client may say things right behind a join without waiting, and that each is said where the
/// client was heading when it said it.
#[test]
fn pipelined_messages_go_where_they_were_meant() {
    let server = start();
    let ann = server.register("ann");
    let mut client = second(&server, &ann);
    for room in ["one", "two"] {
        client.send(&json!({"type": "join", "room": room}));
        say(&mut client, &format!("in {room}"));
    }
    for room in ["one", "two"] {
        let chat = client.expect("chat");
        assert_eq!((&chat["room"], &chat["content"]), (&json!(room), &json!(format!("in {room}"))));
    }
    client.expect_alive();
    let path = "/api/v1/chat/rooms/two/messages";
    assert_eq!(server.http().get(path, Some(&ann.token)).data(200)["items"].as_array().unwrap().len(), 1);
}

/// Shows that what makes no sense is answered with an error, and that the session goes on.
#[test]
fn nonsense_is_answered() {
    let server = start();
    let ann = server.register("ann");
    let mut client = second(&server, &ann);
    join(&mut client, "general");
    for (message, code) in [
        (json!({"type": "chat"}), "INVALID_DATA"),
        (json!({"type": "chat", "content": 7}), "INVALID_DATA"),
        (json!({"type": "chat", "content": "\u{0}\u{7}"}), "INVALID_DATA"),
        (json!({"type": "chat", "content": "x".repeat(2001)}), "MESSAGE_TOO_LARGE"),
        (json!({"type": "chat", "room": "elsewhere", "content": "x"}), "INVALID_DATA"),
        (json!({"type": "join", "room_id": 999_999}), "NOT_FOUND"),
        (json!({"type": "join", "room": "a b"}), "INVALID_DATA"),
        (json!({"type": "join", "room_id": "5"}), "INVALID_DATA"),
        (json!({"type": "history", "limit": 101}), "INVALID_DATA"),
        (json!({"type": "pm", "content": "x"}), "INVALID_DATA"),
        (json!({"type": "delete", "id": 0}), "INVALID_DATA"),
    ] {
        client.send(&message);
        client.expect_error(code);
    }
    say(&mut client, "still here");
    assert_eq!(heard(&mut client), "still here");
}

/// Shows that a member who does not read is closed, and that the others hear everything meanwhile.
#[test]
fn a_stalled_member_delays_nobody() {
    let server = TestServer::with(|config| {
        config.http.anonymous_chat = vec![0];
        config.limits.send_bytes_per_connection = 64 * 1024;
        config.limits.messages_per_second = 0;
    });
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    let mut stalled = second(&server, &bob);
    join(&mut stalled, "general");
    let mut talking = second(&server, &ann);
    join(&mut talking, "general");
    let text = "x".repeat(2000);
    // More than the kernel holds for somebody who does not read.
    for _ in 0..600 {
        (0..10).for_each(|_| say(&mut talking, &text));
        (0..10).for_each(|_| assert_eq!(heard(&mut talking), text.as_str()));
    }
    stalled.expect_close(1013);
    server.await_closed("ws", "slow_consumer");
    assert_eq!(talking.expect("presence")["online"], 1);
}

/// Shows that rooms come back after a restart with what was said in them.
#[test]
fn what_was_said_outlives_the_server() {
    let mut server = start();
    let ann = server.register("ann");
    let mut client = second(&server, &ann);
    join(&mut client, "general");
    say(&mut client, "remember me");
    client.expect("chat");
    server.restart_with(|config| config.http.anonymous_chat = vec![0]);
    let mut guest = first(&server, "anybody", "general");
    assert_eq!(guest.next()["content"], "remember me");
}

/// Shows that what somebody has heard is stored: the program is killed while it is talked to, and what was
/// heard until then is there when it runs again, in its order.
#[test]
fn what_was_heard_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let run = || Program::start(folder.path(), &["--set", "http.anonymous_chat=0"]);
    let program = run();
    let mut client = first_at(program.address("http"), "ann", "general");
    (0..48).for_each(|number| say(&mut client, &number.to_string()));
    let told = 24;
    (0..told).for_each(|number| assert_eq!(heard(&mut client), number.to_string()));
    drop(program);
    std::fs::remove_file(folder.path().join("ports.json")).unwrap();
    let program = run();
    let mut bob = first_at(program.address("http"), "bob", "general");
    let kept: Vec<Value> = std::iter::repeat_with(|| bob.next()).take_while(|said| said["type"] == "chat").collect();
    assert!(kept.len() >= told, "{told} were heard, {} kept", kept.len());
    kept.iter().enumerate().for_each(|(number, item)| assert_eq!(item["content"], number.to_string()));
}
