//! WebSockets over real sockets: the handshake, frames and their faults, deadlines, ends.

mod common;

use std::path::Path;
use std::process::Command;

use common::ws::{KEY, WsClient, frame, handshake};
use common::{Account, PASSWORD, TestServer};
use serde_json::{Value, json};

/// A server whose only HTTP listener lets people chat without a token.
fn open_server() -> TestServer {
    TestServer::with(|config| config.http.anonymous_chat = vec![0])
}

fn path(account: &Account) -> String {
    format!("/ws?token={}", account.token)
}

fn session(server: &TestServer, account: &Account) -> WsClient {
    WsClient::open(server.address("http"), &path(account))
}

/// The status and head of the answer to a request.
fn asked(server: &TestServer, request: &str) -> (u16, String) {
    let (_, head) = WsClient::ask(server.address("http"), request);
    (head[9..12].parse().unwrap(), head)
}

/// The handshake is the standard's, by either way to show a token.
#[test]
fn a_handshake_is_answered_as_the_standard_says() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let by_header = handshake("/ws", &format!("Authorization: Bearer {}\r\n", alice.token));
    for request in [handshake(&path(&alice), ""), by_header] {
        let (status, head) = asked(&server, &request);
        assert_eq!(status, 101, "{head}");
        let fields: Vec<String> = head.lines().map(str::to_ascii_lowercase).collect();
        for field in ["upgrade: websocket", "connection: upgrade"] {
            assert!(fields.iter().any(|other| other == field), "{field} in {head}");
        }
        assert!(head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
        assert!(!fields.iter().any(|field| field.starts_with("content-length")), "{head}");
    }
}

/// What is not exactly a handshake is refused by what is wrong with it, and a stranger by who it is.
#[test]
fn what_is_no_handshake_is_refused() {
    let server = TestServer::start();
    let good = handshake(&path(&server.register("alice")), "");
    let bad = [
        (good.replace("Upgrade: websocket\r\n", ""), 400),
        (good.replace("Upgrade: websocket\r\n", "Upgrade: h2c\r\n"), 400),
        (good.replace("Connection: keep-alive, Upgrade\r\n", ""), 400),
        (good.replace("keep-alive, Upgrade", "keep-alive"), 400),
        (good.replace(KEY, ""), 400),
        (good.replace(KEY, "c2hvcnQ="), 400),
        (good.replace("Sec-WebSocket-Key", "X-Key"), 400),
        (good.replace("Sec-WebSocket-Version", &format!("Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version")), 400),
        (good.replace("Version: 13", "Version: 8"), 426),
        (good.replace("Sec-WebSocket-Version: 13\r\n", ""), 426),
        (good.replace("HTTP/1.1", "HTTP/1.0"), 400),
        (good.replace("GET", "POST"), 405),
        (good.replace("GET", "HEAD"), 405),
        (good.replace("Upgrade: websocket\r\n", "Upgrade: websocket\r\nContent-Length: 1\r\n") + "x", 400),
        (good.replace("Host: localhost", "Host: evil.example"), 421),
        (handshake("/ws", ""), 401),
        (handshake("/ws?token=nonsense", ""), 401),
        (handshake("/ws", "Authorization: Bearer nonsense\r\n"), 401),
        (handshake("/ws", "Authorization: Basic YTpi\r\n"), 401),
        (handshake("/ws?username=ann&room=general", ""), 401),
    ];
    for (request, status) in bad {
        let (given, head) = asked(&server, &request);
        assert_eq!(given, status, "{request}{head}");
        assert_eq!(given == 426, head.contains("Sec-WebSocket-Version: 13\r\n"), "{head}");
    }
    assert_eq!(asked(&server, &good).0, 101);
}

/// A page may connect from its own host and from listed origins; `*` is not a list of trusted pages.
#[test]
fn pages_connect_from_where_they_may() {
    let server = TestServer::with(|config| {
        config.http.cors_origins = vec!["*".to_owned(), "https://manga.example".to_owned()];
    });
    let path = path(&server.register("alice"));
    for (origin, status) in [
        ("http://localhost", 101),
        ("https://manga.example", 101),
        ("http://evil.example", 403),
        ("null", 403),
        ("http://localhost.evil.example", 403),
        ("http://localhost\r\nOrigin: http://localhost", 403),
    ] {
        let request = handshake(&path, &format!("Origin: {origin}\r\n"));
        assert_eq!(asked(&server, &request).0, status, "{origin}");
    }
}

/// Messages in the handshake's own segment are not lost, and bytes may come one by one.
#[test]
fn how_the_bytes_are_cut_changes_nothing() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut request = handshake(&path(&alice), "").into_bytes();
    request.extend(frame(0x81, br#"{"type":"ping","client_time":1}"#));
    request.extend(frame(0x89, b"?"));
    let (mut client, head) = WsClient::ask(server.address("http"), &request);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let mut heard = [client.frame().unwrap(), client.frame().unwrap()];
    heard.sort();
    assert_eq!(heard[1], (0x8a, b"?".to_vec()));
    assert!(String::from_utf8_lossy(&heard[0].1).contains("\"client_time\":1"));
    let bytes = [frame(0x01, br#"{"type":"#), frame(0x89, b"between"), frame(0x80, br#""ping"}"#)].concat();
    bytes.chunks(1).for_each(|byte| client.send_raw(byte));
    assert_eq!(client.frame(), Some((0x8a, b"between".to_vec())));
    assert!(client.expect("pong")["server_time"].is_string());
}

/// A message that makes no sense is answered, never punished.
#[test]
fn bad_messages_are_answered() {
    let server = open_server();
    let mut named = session(&server, &server.register("alice"));
    let mut unnamed = WsClient::open(server.address("http"), "/ws?username=Ann%20L%C3%B6w&room=general");
    for client in [&mut named, &mut unnamed] {
        for (text, code) in [
            ("", "INVALID_MESSAGE"),
            ("hello", "INVALID_MESSAGE"),
            ("[]", "INVALID_MESSAGE"),
            ("{}", "INVALID_MESSAGE"),
            (r#"{"type":5}"#, "INVALID_MESSAGE"),
            (r#"{"type":"auth"}"#, "UNKNOWN_MESSAGE_TYPE"),
            (r#"{"type":"fly me"}"#, "UNKNOWN_MESSAGE_TYPE"),
            (r#"{"type":"ping"} {}"#, "INVALID_MESSAGE"),
        ] {
            client.send_raw(frame(0x81, text.as_bytes()));
            client.expect_error(code);
        }
        client.expect_alive();
    }
}

/// Without a token one needs a listener that allows it, and a name that can be shown; a user's is marked.
#[test]
fn names_without_a_token_can_be_shown() {
    let server = open_server();
    server.register("alice");
    let unnamed = |query: &str| asked(&server, &handshake(&format!("/ws{query}"), "")).0;
    assert_eq!(unnamed("?username=ann&room=general"), 101);
    assert_eq!(unnamed(""), 101);
    assert_eq!(unnamed("?username=alice"), 101);
    assert_eq!(unnamed("?username=%20ALICE%20"), 101);
    assert_eq!(unnamed("?username=alice@example.org"), 400);
    for reserved in ["System_Admin", "system%20admin", "SYSTEM", "sys%E2%80%8Btem", "%EF%BD%93ystem", "%E2%80%8B"] {
        assert_eq!(unnamed(&format!("?username={reserved}")), 400, "{reserved}");
    }
    assert_eq!(unnamed("?username=a%00b"), 400);
    assert_eq!(unnamed(&format!("?username={}", "x".repeat(33))), 400);
    assert_eq!(unnamed("?username=ann&token=nonsense"), 401);
}

/// Whoever has no token comes in by the listener that allows it, named by its port, and by no other: 9093 if the
/// operator says nothing. Users come in by each. The operator's listener has no chat at all.
#[test]
fn strangers_come_in_by_their_listener() {
    assert_eq!(mangahub::config::Config::default().http.anonymous_chat, [9093]);
    // A port that was free a moment ago: one that the system chooses has no number yet in the configuration.
    let second = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = TestServer::with(|config| {
        config.http.listen.push(second);
        config.http.anonymous_chat = vec![second.port()];
    });
    let alice = server.register("alice");
    let unnamed = handshake("/ws?username=ann&room=general", "");
    let named = handshake(&path(&alice), "");
    for (address, request, status) in [
        (server.address("http"), &unnamed, "401"),
        (second, &unnamed, "101"),
        (server.address("http"), &named, "101"),
        (second, &named, "101"),
        (server.address("internal"), &unnamed, "404"),
        (server.address("internal"), &named, "404"),
    ] {
        let (_, head) = WsClient::ask(address, request);
        assert_eq!(&head[9..12], status, "{address}: {request}");
    }
}

/// Each fault ends the connection with its code, and a goodbye is answered.
#[test]
fn faults_end_with_their_codes() {
    let server = open_server();
    let alice = server.register("alice");
    let long = |length: usize| format!(r#"{{"type":"ping","pad":"{}"}}"#, "x".repeat(length));
    for (bytes, code) in [
        (vec![0x81, 0x02, b'h', b'i'], 1002),
        (frame(0x83, b""), 1002),
        (frame(0xc1, b"{}"), 1002),
        (frame(0x09, b"half a ping"), 1002),
        (frame(0x88, &1006_u16.to_be_bytes()), 1002),
        (frame(0x81, b"\xff"), 1007),
        (frame(0x82, b"{}"), 1003),
        (frame(0x81, long(16 << 10).as_bytes()), 1009),
        (vec![0x81, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4], 1009),
        (frame(0x88, b""), 1000),
        ([frame(0x01, b"half a mess"), frame(0x88, &1001_u16.to_be_bytes())].concat(), 1001),
        (frame(0x88, &[&3000_u16.to_be_bytes()[..], b"enough"].concat()), 3000),
    ] {
        let mut client = session(&server, &alice);
        client.send_raw([bytes.clone(), frame(0x81, br#"{"type":"ping"}"#)].concat());
        client.expect_close(code);
    }
    let mut named = session(&server, &alice);
    named.send_raw(frame(0x81, long(16_000).as_bytes()));
    named.expect("pong");
    let mut unnamed = WsClient::open(server.address("http"), "/ws?username=ann");
    unnamed.send_raw(frame(0x81, long(400).as_bytes()));
    unnamed.expect("pong");
    unnamed.send_raw(frame(0x81, long(500).as_bytes()));
    unnamed.expect_close(1009);
}

/// Pings are answered in their order, however many come at once, and whoever never reads the answers is
/// not read any more.
#[test]
fn a_flood_of_pings_is_answered_within_bounds() {
    let server = TestServer::start();
    let mut client = session(&server, &server.register("alice"));
    let flood: Vec<u8> = (0..5000_u32).flat_map(|number| frame(0x89, &number.to_be_bytes())).collect();
    client.send_raw(flood);
    for number in 0..5000_u32 {
        assert_eq!(client.frame(), Some((0x8a, number.to_be_bytes().to_vec())));
    }
    client.expect_alive();
}

/// A session ends with its tokens, and with the server after a word of goodbye.
#[test]
fn sessions_end_with_a_reason() {
    let mut server = open_server();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let (mut alices, mut bobs) = (session(&server, &alice), session(&server, &bob));
    let unnamed = WsClient::open(server.address("http"), "/ws?username=ann");
    let change = json!({"old_password": PASSWORD, "current_password": PASSWORD, "new_password": "another horse"});
    let reply = server.http().put("/api/v1/users/me/password", Some(&alice.token), &change);
    assert_eq!(reply.status, 200, "{}", reply.text());
    alices.expect_close(1008);
    server.await_closed("ws", "revoked");
    bobs.expect_alive();
    let ends: Vec<_> = [bobs, unnamed]
        .into_iter()
        .map(|mut client| {
            std::thread::spawn(move || {
                let mut notices = std::iter::repeat_with(|| client.expect("system"));
                let notice = notices.find(|notice| notice["reconnect_after_ms"].is_u64()).unwrap();
                assert!(notice["timestamp"].is_string(), "{notice}");
                client.expect_close(1001);
            })
        })
        .collect();
    server.stop();
    ends.into_iter().for_each(|end| end.join().unwrap());
}

/// Bounds hold for WebSockets as for other wires, and monitoring knows them.
#[test]
fn bounds_hold() {
    let server = TestServer::with(|config| {
        config.limits.connections_per_user = 2;
        config.limits.messages_per_second = 1;
        config.limits.messages_burst = 5;
        config.http.anonymous_chat = vec![0];
    });
    let alice = server.register("alice");
    let (mut first, _second) = (session(&server, &alice), session(&server, &alice));
    assert_eq!(asked(&server, &handshake(&path(&alice), "")).0, 429);
    let mut unnamed = WsClient::open(server.address("http"), "/ws?username=ann");
    for client in [&mut first, &mut unnamed] {
        (0..20).for_each(|_| client.send(&json!({"type": "ping"})));
        client.expect("pong");
        assert_eq!(client.expect_error("RATE_LIMITED")["retry_after"], 1);
    }
    let connz = server.internal().get("/connz?protocol=ws", None).json();
    let rows = connz["connections"].as_array().unwrap();
    assert_eq!(rows.iter().filter(|row| row["user"] == "alice").count(), 2, "{connz}");
    assert_eq!(rows.len(), 3, "{connz}");
    let varz = server.varz();
    assert_eq!(varz["websockets"], json!({"verified": 2, "anonymous": 1}));
    assert_eq!(varz["sync_clients"], 0);
    drop(first);
    server.await_varz("one session less", |varz| varz["websockets"]["verified"] == 1);
    common::await_true("room for another, at the rate of messages", || {
        (asked(&server, &handshake(&path(&alice), "")).0 == 101).then_some(())
    });
}

/// Coming and going is told to others, so it costs what a message costs: whoever does it all the time is told
/// to wait, a user by their rate, a stranger by their address's.
#[test]
fn coming_costs_what_a_message_costs() {
    let server = TestServer::with(|config| {
        config.limits.messages_per_second = 1;
        config.limits.messages_burst = 3;
        config.http.anonymous_chat = vec![0];
    });
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let alices = path(&alice) + "&room=general";
    for path in [alices.as_str(), "/ws?username=ann&room=general"] {
        assert_eq!(asked(&server, &handshake(path, "")).0, 101);
        let head = common::await_true("a refusal", || {
            let (status, head) = asked(&server, &handshake(path, ""));
            (status == 429).then_some(head)
        });
        assert!(head.contains("Retry-After: 1\r\n"), "{head}");
    }
    assert_eq!(asked(&server, &handshake(&path(&bob), "")).0, 101);
    assert_eq!(server.http().get("/api/v1/chat/rooms", Some(&alice.token)).status, 200);
}

/// Whoever is silent is asked; who answers stays, who doesn't is closed.
#[test]
fn the_silent_are_asked() {
    let server = TestServer::with(|config| {
        config.websocket.ping_seconds = 1;
        // Whoever answers may take four seconds for it.
        config.websocket.pong_seconds = 5;
    });
    let alice = server.register("alice");
    let (mut lively, mut deaf) = (session(&server, &alice), session(&server, &alice));
    for _ in 0..4 {
        assert_eq!(lively.frame(), Some((0x89, Vec::new())));
        lively.send_raw(frame(0x8a, b""));
    }
    deaf.expect_close(1008);
    server.await_closed("ws", "idle_timeout");
    lively.send_raw(frame(0x8a, b""));
    lively.send(&json!({"type": "ping"}));
    // It may be asked once more before its own question is answered.
    while let Some((0x89, _)) = lively.frame() {}
    lively.expect_alive();
}

/// The rest of a message in fragments is waited for as the rest of a frame is, and what has come of it is
/// counted until then: frames in between that say nothing keep nobody here.
#[test]
fn fragments_have_a_deadline_and_are_counted() {
    let server = TestServer::with(|config| config.http.body_timeout_ms = 5000);
    let mut client = session(&server, &server.register("alice"));
    client.send_raw([frame(0x01, &[b'x'; 5000]), frame(0x00, &[b'x'; 5000])].concat());
    server.await_varz("two fragments", |varz| varz["held_bytes"]["receive"].as_u64() >= Some(10_000));
    client.send_raw(frame(0x8a, b""));
    client.expect_close(1008);
    server.await_closed("ws", "read_timeout");
    drop(client);
    server.await_varz("nothing held", |varz| varz["held_bytes"]["receive"] == 0);
}

/// A peer that vanishes in the middle of a message takes everything it held along.
#[test]
fn an_end_in_the_middle_is_an_end() {
    let server = TestServer::start();
    let mut client = session(&server, &server.register("alice"));
    client.send_raw(&frame(0x81, &[b'x'; 1000])[..500]);
    server.await_varz("half a message", |varz| varz["held_bytes"]["receive"].as_u64() > Some(400));
    drop(client);
    server.await_varz("nothing held", |varz| varz["held_bytes"]["receive"] == 0 && varz["websockets"]["verified"] == 0);
}

/// The package that most clients in Python are written with understands all of it.
#[test]
fn a_python_client_is_served() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let python = Path::new(root).join("target/python/bin/python");
    assert!(python.exists(), "{} is not there: scripts/test installs it", python.display());
    let server = TestServer::start();
    let alice = server.register("alice");
    let output = Command::new(python)
        .arg(Path::new(root).join("tests/clients/ws_client.py"))
        .args([&format!("ws://{}/ws", server.address("http")), &alice.token])
        .output()
        .unwrap();
    assert!(output.status.success(), "the client failed: {}", String::from_utf8_lossy(&output.stderr));
    let met: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(met["pong"]["client_time"], 7, "{met}");
    assert_eq!(met["error"]["code"], "UNKNOWN_MESSAGE_TYPE", "{met}");
    assert_eq!(
        (&met["closed"], &met["refused"], &met["too_large"]),
        (&json!(1000), &json!(401), &json!(1009)),
        "{met}"
    );
}
