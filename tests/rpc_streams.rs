//! The streams of gRPC beside every other protocol, heard by Google's own client: what is told, to whom and
//! in which order, what becomes of one that is not read, and what is left of one that was given up.

mod common;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use common::ears::Ears;
use common::grpc::{GrpcClient, python};
use common::ws::WsClient;
use common::{Account, COMPLETED, ONGOING, TestServer};
use serde_json::{Value, json};

const PROGRESS: &str = "mangahub.v1.ProgressService/WatchProgress";
const NOTIFICATIONS: &str = "mangahub.v1.NotificationService/WatchNotifications";
const CHAT: &str = "mangahub.v1.ChatService/WatchChat";

/// Waits until so many streams listen: what happens from then on is theirs.
fn await_streams(server: &TestServer, count: usize) {
    server.await_varz(&format!("{count} streams"), |varz| varz["grpc"]["streams"] == count);
}

fn keep(server: &TestServer, account: &Account, manga: &str) {
    let body = json!({"manga_id": manga, "status": "reading"});
    server.http().post("/api/v1/users/library", Some(&account.token), &body).data(201);
}

fn key_of(server: &TestServer, slug: &str) -> i64 {
    server.http().get(&format!("/api/v1/manga/{slug}"), None).data(200)["manga"]["key"].as_i64().unwrap()
}

fn trigger(server: &TestServer, name: &str, body: &Value) {
    assert_eq!(server.internal().post(&format!("/notify/{name}"), None, body).status, 202, "{name} {body}");
}

/// Notifications come as they happen to those whom they are for, as they want them: a chapter to the
/// series' readers, news to everyone who didn't refuse it, one's own test to oneself.
#[test]
fn notifications_are_told_to_whom_they_are_for() {
    let server = TestServer::start();
    let (alice, bob, carol) = (server.register("alice"), server.register("bob"), server.register("carol"));
    keep(&server, &alice, ONGOING);
    keep(&server, &carol, ONGOING);
    let mut http = server.http();
    let wishes = json!({"types": {"new_manga": false}});
    http.put("/api/v1/notifications/preferences", Some(&carol.token), &wishes).data(200);
    let path = format!("/api/v1/notifications/preferences/manga/{ONGOING}");
    http.put(&path, Some(&carol.token), &json!({})).data(200);
    let mut client = GrpcClient::of(&server);
    for (name, account) in [("alice", &alice), ("bob", &bob), ("carol", &carol)] {
        client.open(name, NOTIFICATIONS, json!({}), account);
    }
    await_streams(&server, 3);
    let key = key_of(&server, ONGOING);
    let chapter = json!({"manga_id": key, "title": "Berserk", "chapter": 500.5, "old_chapter": 499});
    trigger(&server, "new-chapter", &chapter);
    trigger(&server, "new-manga", &json!({"manga_id": 999_999, "title": "New one"}));
    http.post("/api/v1/notifications/test", Some(&carol.token), &json!({})).data(200);

    let told = client.hear("alice");
    assert_eq!(
        (&told["kind"], &told["manga"], &told["title"]),
        (&json!("NEW_CHAPTER"), &json!(ONGOING), &json!("Berserk"))
    );
    assert_eq!(
        (&told["manga_id"], &told["chapter"], &told["old_chapter"]),
        (&json!(key.to_string()), &json!(500.5), &json!(499.0))
    );
    assert_eq!(told["message"], "New chapter 500.5 available (was chapter 499)");
    let change = json!([{"field": "current_chapter", "old_value": "499", "new_value": "500"}]);
    assert_eq!(told["changes"], change);
    let listed = http.get("/api/v1/notifications", Some(&alice.token)).data(200);
    assert_eq!(told["id"], listed["items"][1]["id"].to_string());
    // What comes first to the others is what came second here.
    for name in ["alice", "bob"] {
        let told = client.hear(name);
        assert_eq!(
            (&told["kind"], &told["message"]),
            (&json!("NEW_MANGA"), &json!("New manga added: New one")),
            "{name}"
        );
    }
    assert_eq!(client.hear("carol")["kind"], "TEST");
    client.ask(json!({"do": "open", "stream": "nobody", "method": NOTIFICATIONS}));
    assert_eq!(client.end("nobody"), "UNAUTHENTICATED");
}

/// Whoever was away is told what they missed: what they have not read, or what is newer than the last that
/// they heard; then what happens follows, and nothing is told twice.
#[test]
fn what_was_missed_is_told_first() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let news = |title: &str| trigger(&server, "new-manga", &json!({"manga_id": 999_999, "title": title}));
    ["one", "two", "three"].into_iter().for_each(news);
    let mut http = server.http();
    let items = http.get("/api/v1/notifications", Some(&alice.token)).data(200)["items"].clone();
    let ids: Vec<i64> = (0..3).rev().map(|place| items[place]["id"].as_i64().unwrap()).collect();
    http.post(&format!("/api/v1/notifications/{}/read", ids[1]), Some(&alice.token), &json!({})).data(200);
    let mut client = GrpcClient::of(&server);
    client.open("live", NOTIFICATIONS, json!({}), &alice);
    client.open("unread", NOTIFICATIONS, json!({"include_unread": true}), &alice);
    client.open("after", NOTIFICATIONS, json!({"after_id": ids[0]}), &alice);
    client.open("far", NOTIFICATIONS, json!({"after_id": i64::MAX}), &alice);
    client.open("both", NOTIFICATIONS, json!({"after_id": ids[0], "include_unread": true}), &alice);
    await_streams(&server, 5);
    news("four");
    let all = [("live", vec!["four"]), ("far", vec!["four"]), ("unread", vec!["one", "three", "four"])];
    let newer = [("after", vec!["two", "three", "four"]), ("both", vec!["three", "four"])];
    for (name, titles) in all.into_iter().chain(newer) {
        for title in titles {
            assert_eq!(client.hear(name)["title"], title, "{name}");
        }
    }
}

fn say(server: &TestServer, who: &Account, room: &str, content: &str) -> i64 {
    let path = format!("/api/v1/chat/rooms/{room}/messages");
    let said = server.http().post(&path, Some(&who.token), &json!({"content": content})).data(201);
    said["message"]["id"].as_i64().unwrap()
}

/// An administrator: a user with a token that says so.
fn administrator(server: &TestServer) -> Account {
    let root = server.register("root");
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let claims = json!({"user_id": root.id, "username": root.username, "role": "admin", "iat": now, "exp": now + 3600});
    let key = jsonwebtoken::EncodingKey::from_secret(common::SECRET.as_bytes());
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
    Account { token, ..root }
}

/// A stream of chat begins with what was said, and hears what everybody in its room hears: who comes, what
/// is said, what is deleted, who is silenced. The others see who listens, and when they go.
#[test]
fn a_room_is_heard_by_a_stream() {
    let server = TestServer::start();
    let (alice, bob, root) = (server.register("alice"), server.register("bob"), administrator(&server));
    for content in ["first", "second", "<b>third</b>\n☃"] {
        say(&server, &bob, ONGOING, content);
    }
    let mut client = GrpcClient::of(&server);
    client.open("room", CHAT, json!({"room": ONGOING, "history": 2}), &alice);
    let [second, third] = [client.hear("room"), client.hear("room")];
    assert_eq!(
        (&second["message"]["content"], &third["message"]["content"]),
        (&json!("second"), &json!("<b>third</b>\n☃"))
    );
    assert_eq!((&third["room"], &third["manga_id"]), (&json!(ONGOING), &json!(key_of(&server, ONGOING).to_string())));
    let from = json!({"user_id": bob.id, "username": "bob"});
    assert_eq!((&third["message"]["from"], &third["message"]["speaker"]), (&from, &json!("user")));
    assert_eq!(client.hear("room")["notice"], "alice joined the chat");
    assert_eq!(client.hear("room")["online"], 1);

    let mut ws = WsClient::open(server.address("http"), &format!("/ws?token={}&room={ONGOING}", bob.token));
    assert_eq!(ws.expect("presence")["online"], 2);
    assert_eq!(client.hear("room")["notice"], "bob joined the chat");
    assert_eq!(client.hear("room")["online"], 2);
    ws.send(&json!({"type": "users"}));
    assert_eq!(ws.expect("users")["items"][0]["username"], "alice", "nobody listens unseen");
    ws.send(&json!({"type": "typing"}));
    assert_eq!(client.hear("room")["typing"], from);
    say(&server, &bob, "general", "elsewhere");
    ws.send(&json!({"type": "chat", "content": "hello"}));
    let said = client.hear("room")["message"].clone();
    assert_eq!((&said["content"], &said["id"]), (&json!("hello"), &json!(ws.expect("chat")["id"].to_string())));
    let id = say(&server, &bob, ONGOING, "a mistake");
    assert_eq!(client.hear("room")["message"]["id"], id.to_string());
    let path = format!("/api/v1/chat/messages/{id}");
    server.http().json("DELETE", &path, Some(&bob.token), None).data(200);
    assert_eq!(client.hear("room")["deleted_id"], id.to_string());
    let mute = json!({"user": "bob", "room": ONGOING, "seconds": 600, "reason": "between the two of us"});
    server.http().post("/api/v1/admin/chat/mutes", Some(&root.token), &mute).data(201);
    let muted = client.hear("room");
    assert_eq!(muted["muted"]["person"], from);
    let until = |event: &Value, name: &str| event[name].as_str().unwrap().parse::<i64>().unwrap();
    assert!(until(&muted["muted"], "until_ms") - until(&muted, "at_ms") > 500_000, "{muted}");
    assert!(!muted.to_string().contains("between"), "why is not everybody's business: {muted}");
    let path = format!("/api/v1/admin/chat/mutes/bob?room={ONGOING}");
    server.http().json("DELETE", &path, Some(&root.token), None).data(200);
    assert_eq!(client.hear("room")["unmuted"], from);

    client.cancel("room");
    assert_eq!(client.end("room"), "CANCELLED");
    while ws.expect("system")["content"] != "alice left the chat" {}
    assert_eq!(ws.expect("presence")["online"], 1);
}

/// Streams that begin in the middle of things miss nothing and hear nothing twice: what was stored before
/// they began comes first, what is stored from then on follows, in one order.
#[test]
fn nothing_falls_between_what_was_and_what_comes() {
    let server = TestServer::unmetered();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let mut client = GrpcClient::of(&server);
    let names: Vec<String> = (0..12).map(|number| number.to_string()).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut http = server.http();
            for number in 0..80 {
                trigger(&server, "new-manga", &json!({"manga_id": 999_999, "title": number.to_string()}));
                let body = json!({"content": number.to_string()});
                http.post("/api/v1/chat/rooms/general/messages", Some(&bob.token), &body).data(201);
            }
        });
        for name in &names {
            client.open(&format!("notices {name}"), NOTIFICATIONS, json!({"after_id": 0}), &alice);
            client.open(&format!("room {name}"), CHAT, json!({"history": 100}), &alice);
        }
    });
    for name in &names {
        let mut last = 0;
        for _ in 0..80 {
            let id = client.hear(&format!("notices {name}"))["id"].as_str().unwrap().parse::<i64>().unwrap();
            assert!(id == last + 1 || last == 0, "{id} after {last}");
            last = id;
        }
        let mut said = (0..).map(|_| client.hear(&format!("room {name}"))).filter(|told| told.get("message").is_some());
        for number in 0..80 {
            assert_eq!(said.next().unwrap()["message"]["content"], number.to_string());
        }
    }
}

/// A room is entered by the rules of a WebSocket: with a good token, where there is such a room.
#[test]
fn a_room_has_its_rules() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut client = GrpcClient::of(&server);
    for (message, code) in [
        (json!({"room": "424242"}), "NOT_FOUND"),
        (json!({"room": "a b"}), "INVALID_ARGUMENT"),
        (json!({"room": "a\u{0}"}), "INVALID_ARGUMENT"),
        (json!({"room": "x".repeat(201)}), "INVALID_ARGUMENT"),
    ] {
        client.open("room", CHAT, message.clone(), &alice);
        assert_eq!(client.end("room"), code, "{message}");
    }
    let nobody = Account { token: "not.a.token".into(), ..alice.clone() };
    client.open("room", CHAT, json!({}), &nobody);
    assert_eq!(client.end("room"), "UNAUTHENTICATED");
    // Without a name it is the room where everybody meets, and however much history is asked, there is an end.
    say(&server, &alice, "general", "hello");
    client.open("room", CHAT, json!({"history": u32::MAX}), &alice);
    let told = client.hear("room");
    assert_eq!((&told["room"], &told["message"]["content"]), (&json!("general"), &json!("hello")));
    assert_eq!(told.get("manga_id"), None);
    // A token that is voided ends the stream, and takes its user out of the room.
    server.http().post("/api/v1/auth/logout-all", Some(&alice.token), &json!({})).data(200);
    assert_eq!(client.hear("room")["notice"], "alice joined the chat");
    assert_eq!(client.hear("room")["online"], 1);
    assert_eq!(client.end("room"), "UNAUTHENTICATED");
    await_streams(&server, 0);
}

/// A private chapter is its reader's own: no stream of somebody else hears of it, whatever it asked for.
#[test]
fn a_private_chapter_is_not_heard() {
    let server = TestServer::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let mut client = GrpcClient::of(&server);
    client.open("alice", PROGRESS, json!({}), &alice);
    client.open("bob", PROGRESS, json!({}), &bob);
    await_streams(&server, 2);
    let update = "mangahub.v1.ProgressService/UpdateProgress";
    client.good(update, json!({"manga": ONGOING, "chapter": 1, "private": true}), Some(&alice));
    client.good(update, json!({"manga": ONGOING, "chapter": 2}), Some(&alice));
    client.good(update, json!({"manga": COMPLETED, "chapter": 3}), Some(&alice));
    for chapter in [1.0, 2.0, 3.0] {
        assert_eq!(client.hear("alice")["chapter"], chapter);
    }
    let told = client.hear("bob");
    assert_eq!((&told["manga"], &told["chapter"]), (&json!(COMPLETED), &json!(3.0)), "the first that is public");
}

/// Updates by gRPC, in each package's words, reach every protocol with the same content and in order:
/// both sync dialects, both of datagrams (for its own user, who asked for it), a WebSocket, and streams.
#[test]
fn updates_reach_every_protocol_in_order() {
    let server = TestServer::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let key = key_of(&server, ONGOING);
    let mut ears = Ears::new(&server, &alice);
    let mut client = GrpcClient::of(&server);
    client.open("own", PROGRESS, json!({"own": true}), &alice);
    client.open("all", PROGRESS, json!({}), &bob);
    await_streams(&server, 2);
    client.good("manga.MangaService/UpdateProgress", json!({"manga_id": ONGOING, "chapter": 41}), Some(&alice));
    client.good("pb.MangaService/UpdateProgress", json!({"manga_id": key, "chapter": 42}), Some(&alice));
    let own = json!({"manga": ONGOING, "chapter": 42.5, "volume": 3, "rating": 9});
    client.good("mangahub.v1.ProgressService/UpdateProgress", own, Some(&alice));
    let mut last = 0;
    for (chapter, whole) in [(41.0, 41), (42.0, 42), (42.5, 42)] {
        let [v1, v2, udp_v1, udp_v2, ws] = ears.progress();
        let [own, all] = [client.hear("own"), client.hear("all")];
        assert_eq!(own, all);
        assert_eq!((&own["chapter"], &own["username"]), (&json!(chapter), &json!("alice")));
        assert_eq!((&own["manga"], &own["manga_id"]), (&json!(ONGOING), &json!(key.to_string())));
        assert_eq!((&own["status"], &own["user_id"]), (&json!("reading"), &json!(alice.id)));
        for told in [&v1, &v2, &udp_v1, &udp_v2, &ws] {
            assert_eq!(told["chapter_exact"], chapter, "{told}");
            assert_eq!((&told["user_id"], &told["username"]), (&json!(alice.id), &json!("alice")), "{told}");
            assert_eq!(told["seq"].to_string(), own["seq"].as_str().unwrap(), "{told}");
        }
        for first in [&v1, &udp_v1] {
            assert_eq!((&first["manga_id"], &first["current_chapter"]), (&json!(ONGOING), &json!(whole)));
        }
        for second in [&v2, &udp_v2, &ws] {
            assert_eq!((&second["manga_id"], &second["chapter"]), (&json!(key), &json!(whole)), "{second}");
        }
        let seq = own["seq"].as_str().unwrap().parse::<i64>().unwrap();
        assert!(seq > last);
        last = seq;
    }
}

/// A client on plain HTTP/2 that never grants more than its window.
fn miser(server: &TestServer, by: &Account, window: u32) -> Child {
    let address = server.address("grpc");
    python("h2_stream.py")
        .args([&address.ip().to_string(), &address.port().to_string(), PROGRESS, &by.token, &window.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Streams that are not read are ended with RESOURCE_EXHAUSTED behind whole messages, whether Google's client
/// leaves them lying or a plain one grants no window; meanwhile and afterwards everybody else hears everything.
#[test]
fn who_does_not_read_is_ended_alone() {
    let server = TestServer::with(|config| {
        config.limits.messages_per_second = 0;
        config.tcp.broadcasts_per_second = 0;
    });
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let mut client = GrpcClient::of(&server);
    let lazy =
        json!({"do": "open", "stream": "lazy", "method": PROGRESS, "token": bob.token, "lazy": true, "timeout": 300});
    client.ask(lazy);
    client.open("quick", PROGRESS, json!({}), &alice);
    let misers = [0, 100, 20_000].map(|window| (window, miser(&server, &bob, window)));
    await_streams(&server, 5);
    let mut publisher = server.session_v1(&alice);
    let (manga, title) = ("画".repeat(200), "漫".repeat(200));
    for first in (1..=1_000).step_by(50) {
        for chapter in first..first + 50 {
            publisher.say("progress", json!({"manga_id": manga, "manga_title": title, "current_chapter": chapter}));
        }
        for chapter in first..first + 50 {
            assert_eq!(publisher.expect("broadcast")["data"]["current_chapter"], chapter);
            assert_eq!(client.hear("quick")["chapter"], f64::from(chapter));
        }
    }
    for (window, mut miser) in misers {
        let mut said = String::new();
        miser.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        let end = said.lines().last().unwrap().to_owned();
        assert!(end != "reset" && end != "closed", "{window}: {said}");
        let [status, whole, rest] = end.split(' ').map(|word| word.parse::<u32>().unwrap()).collect::<Vec<_>>()[..]
        else {
            panic!("{window}: {said}")
        };
        assert_eq!((status, rest), (8, 0), "{window}: {said}");
        assert_eq!(whole > 0, window > 2_000, "{window}: {said}");
        miser.wait().unwrap();
    }
    // What was on its way to the lazy one is read in order, then why there is no more.
    client.ask(json!({"do": "read", "stream": "lazy"}));
    let mut heard = 0.0;
    let end = loop {
        let told = client.ask(json!({"do": "next", "stream": "lazy"}));
        if told["end"] == true {
            break told;
        }
        heard += 1.0;
        assert_eq!(told["message"]["chapter"], heard);
    };
    assert_eq!(end["code"], "RESOURCE_EXHAUSTED", "{end}");
    assert!(heard > 0.0 && heard < 1_000.0, "{heard}");
    await_streams(&server, 1);
    publisher.say("progress", json!({"manga_id": ONGOING, "current_chapter": 7}));
    assert_eq!(client.hear("quick")["manga"], ONGOING);
}

/// Streams that are given up leave nothing: no stream, no topic, nobody in a room, and room for as many of
/// the same user again and again.
#[test]
fn what_is_given_up_is_free_again() {
    let server = TestServer::with(|config| {
        config.limits.connections_per_user = 3;
        config.grpc.calls = 3;
    });
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let mut ws = WsClient::open(server.address("http"), &format!("/ws?token={}&room=general", bob.token));
    ws.expect("presence");
    let topics = server.varz()["topics"].clone();
    let mut client = GrpcClient::of(&server);
    for _ in 0..3 {
        for (name, method) in [("progress", PROGRESS), ("notifications", NOTIFICATIONS), ("chat", CHAT)] {
            client.open(name, method, json!({}), &alice);
        }
        await_streams(&server, 3);
        assert_eq!(ws.expect("presence")["online"], 2);
        assert_eq!(
            client.refused("manga.MangaService/GetManga", json!({"manga_id": ONGOING}), None),
            "RESOURCE_EXHAUSTED"
        );
        for name in ["progress", "notifications", "chat"] {
            client.cancel(name);
        }
        await_streams(&server, 0);
        assert_eq!(ws.expect("presence")["online"], 1);
        client.good("manga.MangaService/GetManga", json!({"manga_id": ONGOING}), None);
        server.await_varz("the topics of before", |varz| varz["topics"] == topics);
    }
    let metrics = server.internal().get("/metrics", None).text();
    assert!(metrics.contains("\nmangahub_streams 0\n"), "{metrics}");
}

/// The rows of `/connz` for this query.
fn connz(server: &TestServer, query: &str) -> Vec<Value> {
    server.internal().get(&format!("/connz?{query}"), None).json()["connections"].as_array().unwrap().clone()
}

/// The operator sees who is connected by gRPC beside everybody else, whose calls they make, what they sent
/// and were sent, and of those who left why.
#[test]
fn connections_are_listed() {
    let server = TestServer::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let (mut client, mut nobody) = (GrpcClient::of(&server), GrpcClient::of(&server));
    client.good("mangahub.v1.ProgressService/ListProgress", json!({}), Some(&alice));
    client.open("own", PROGRESS, json!({}), &alice);
    nobody.good("manga.MangaService/GetManga", json!({"manga_id": ONGOING}), None);
    let _session = server.session_v1(&bob);
    await_streams(&server, 1);
    assert_eq!(server.varz()["grpc"]["connections"], 2);
    let rows = connz(&server, "state=open&protocol=grpc");
    let users: Vec<_> = rows.iter().map(|row| &row["user"]).collect();
    assert_eq!(users, [&json!("alice"), &Value::Null]);
    // The list has been answered, the stream has not.
    let row = &rows[0];
    assert_eq!((&row["in_msgs"], &row["out_msgs"], &row["jobs"]), (&json!(2), &json!(1), &json!(1)), "{row}");
    assert!(row["in_bytes"].as_u64().unwrap() > 100 && row["out_bytes"].as_u64().unwrap() > 50, "{row}");
    // One list of all protocols, in pages; a number names one connection.
    let all = connz(&server, "state=open");
    // Whoever asks for a page is in the list with another number each time. Only numbers are compared: a
    // connection may have acknowledged settings since it was listed.
    let others = |row: &&Value| row["protocol"] != "internal";
    let ids = |rows: &[Value]| rows.iter().filter(others).map(|row| row["cid"].clone()).collect::<Vec<_>>();
    assert!(all.iter().any(|row| row["protocol"] == "tcp_v1") && ids(&all).ends_with(&ids(&rows)), "{all:?}");
    let pages: Vec<Value> =
        (0..all.len()).flat_map(|offset| connz(&server, &format!("state=open&limit=1&offset={offset}"))).collect();
    assert_eq!(ids(&pages), ids(&all));
    assert!(connz(&server, &format!("state=open&offset={}", all.len())).is_empty());
    assert_eq!(ids(&connz(&server, "state=open&user=alice")), [row["cid"].clone()]);

    drop(client);
    let gone = ["peer_closed", "peer_lost"];
    server.await_varz("one connection", |varz| varz["grpc"]["connections"] == 1);
    let row = &connz(&server, "state=closed&protocol=grpc&user=alice")[0];
    assert!(gone.contains(&row["reason"].as_str().unwrap()) && row["cid"] == rows[0]["cid"], "{row}");
    drop(std::net::TcpStream::connect(server.address("grpc")).unwrap());
    server.await_closed("grpc", "peer_closed");
    let address = server.address("grpc");
    let attack = [&address.ip().to_string(), &address.port().to_string(), "ping"].map(str::to_owned);
    assert!(python("h2_attacks.py").args(attack).output().unwrap().status.success());
    server.await_closed("grpc", "flood");
    let metrics = server.internal().get("/metrics", None).text();
    for line in [r#"mangahub_grpc_connections_closed_total{reason="flood"} 1"#, "mangahub_grpc_connections 1"] {
        assert!(metrics.lines().any(|other| other == line), "{line} is not in {metrics}");
    }
}

/// `buf curl` on a server's gRPC port, with these arguments and this path.
fn buf(server: &TestServer, arguments: &[&str], method: &str) -> Command {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut command = Command::new(format!("{root}/target/node/node_modules/.bin/buf"));
    command
        .current_dir(root)
        .args(["curl", "--protocol", "grpc", "--http2-prior-knowledge"])
        .args(arguments)
        .arg(format!("http://{}/{method}", server.address("grpc")));
    command
}

/// Another implementation's client: it learns the messages by reflection or from the `.proto` files, calls,
/// is refused, and listens.
#[test]
fn buf_speaks_with_it() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let answered = |arguments: &[&str], method: &str| {
        let output = buf(&server, arguments, method).output();
        let output = output.unwrap_or_else(|error| panic!("run scripts/test once, it installs target/node: {error}"));
        (output.status.success(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr))
    };
    let asked = format!(r#"{{"manga_id": "{ONGOING}"}}"#);
    for more in [&[][..], &["--schema", "proto"][..]] {
        let arguments = [&["-d", asked.as_str()], more].concat();
        let (good, said) = answered(&arguments, "manga.MangaService/GetManga");
        assert!(good, "{said}");
        let series: Value = serde_json::from_str(&said).unwrap();
        assert_eq!((&series["id"], &series["title"]), (&json!(ONGOING), &json!("Berserk")));
    }
    let (good, said) = answered(&["-d", r#"{"manga_id": "nothing"}"#], "manga.MangaService/GetManga");
    assert!(!good && said.contains("not_found"), "{said}");

    let bearer = format!("Authorization: Bearer {}", alice.token);
    let mut listener = buf(&server, &["-H", &bearer, "-d", "{}"], PROGRESS).stdout(Stdio::piped()).spawn().unwrap();
    await_streams(&server, 1);
    let update = r#"{"manga": "berserk", "chapter": 44.5}"#;
    let (good, said) = answered(&["-H", &bearer, "-d", update], "mangahub.v1.ProgressService/UpdateProgress");
    assert!(good, "{said}");
    let mut heard = BufReader::new(listener.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(heard.any(|line| line.trim() == r#""chapter": 44.5,"#));
    server.http().post("/api/v1/auth/logout-all", Some(&alice.token), &json!({})).data(200);
    assert!(!listener.wait().unwrap().success(), "a stream whose token is void is refused");
    await_streams(&server, 0);
}
