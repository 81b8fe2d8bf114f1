//! Input that no honest client sends: whatever it is, the server stays up, holds nothing of it, and serves
//! the next client.

mod common;

use std::cell::{Cell, RefCell};
use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use common::http::{HttpClient, request};
use common::line::LineClient;
use common::udp::UdpClient;
use common::ws::{frame, handshake};
use common::{DEADLINE, ONGOING, PASSWORD, TestServer, await_true};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

/// The listeners, by name.
const SERVICES: [&str; 4] = ["http", "tcp_v1", "tcp_v2", "internal"];

/// Sends bytes in pieces of these sizes, closes that side, and reads until the server closes its own.
fn throw(server: &TestServer, service: &str, bytes: &[u8], sizes: &[usize]) {
    let mut stream = TcpStream::connect(server.address(service)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let (mut rest, mut sizes) = (bytes, sizes.iter().cycle());
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
        rest = later;
        // The server may have refused and closed already.
        if std::io::Write::write_all(&mut stream, piece).is_err() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert!(
            !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
            "{service} neither answered nor closed {:?}",
            String::from_utf8_lossy(bytes)
        ),
    }
}

/// The server lives, nothing panicked, and nothing of what came is held.
fn is_well(server: &TestServer) {
    assert_eq!(server.http().get("/health", None).status, 200);
    let varz = server.await_varz("nothing to be held", |varz| {
        varz["held_bytes"] == json!({"receive": 0, "send": 0}) && varz["connections"] == 1
    });
    assert_eq!(varz["panics"], 0, "{varz}");
}

/// What honest clients send on each service.
fn honest(token: &str) -> Vec<Vec<u8>> {
    let line = |kind: &str, data: serde_json::Value| format!("{}\n", json!({"type": kind, "data": data}));
    let auth = line("auth", json!({"token": token}));
    let session = [
        auth.clone(),
        line("progress", json!({"manga_id": ONGOING, "current_chapter": 5, "status": "reading"})),
        line("progress_update", json!({"manga_id": 1, "chapter": 5.5})),
        line("ping", json!({"client_time": "2026-01-31T09:00:00Z"})),
        line("get_user_progress", json!({"limit": 5, "offset": 0})),
    ];
    let authorization = format!("Authorization: Bearer {token}");
    let login = json!({"username": "alice", "password": PASSWORD}).to_string();
    let say = |message: serde_json::Value| frame(0x81, message.to_string().as_bytes());
    let web_socket = [
        handshake(&format!("/ws?token={token}"), "").into_bytes(),
        say(json!({"type": "join", "room": "general"})),
        say(json!({"type": "chat", "content": "hello"})),
        frame(0x01, b"{\"type\":"),
        frame(0x89, b"between"),
        frame(0x80, b"\"typing\"}"),
        say(json!({"type": "history", "limit": 5})),
        frame(0x88, &1000_u16.to_be_bytes()),
    ];
    vec![
        web_socket.concat(),
        session.concat().into_bytes(),
        request("GET", "/api/v1/manga?title=a&limit=3&offset=1", &[], b""),
        request("POST", "/api/v1/auth/login", &[], login.as_bytes()),
        request("PUT", "/api/v1/users/progress/akira", &[&authorization], b"{\"current_chapter\":5}"),
        format!(
            "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{login}\r\n0\r\n\r\n",
            login.len()
        )
        .into_bytes(),
        request("GET", "/connz?state=open&limit=5", &[], b""),
    ]
}

/// One change to honest bytes.
#[derive(Debug, Clone)]
enum Change {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    Repeat(prop::sample::Index, prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<prop::sample::Index>;
    let hostile = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..20),
        prop::sample::select(vec![
            &b"\0"[..],
            b"\r\n\r\n",
            b"\n",
            b"\"",
            b"{{{{[[[[",
            b"\\u0000",
            b"\xff\xfe",
            b"'; DROP TABLE users; --",
            b"1e999",
            b"-9223372036854775809",
            b"Content-Length: 99999999999999999999\r\n",
            b"Transfer-Encoding: chunked\r\n",
        ])
        .prop_map(<[u8]>::to_vec),
    ];
    prop_oneof![
        (index(), any::<u8>()).prop_map(|(place, byte)| Change::Flip(place, byte)),
        index().prop_map(Change::Cut),
        (index(), hostile).prop_map(|(place, bytes)| Change::Insert(place, bytes)),
        (index(), index()).prop_map(|(from, to)| Change::Repeat(from, to)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        match change {
            Change::Flip(place, byte) => {
                let place = place.index(bytes.len());
                bytes[place] ^= byte;
            }
            Change::Cut(place) => bytes.truncate(place.index(bytes.len())),
            Change::Insert(place, insert) => {
                let place = place.index(bytes.len());
                bytes.splice(place..place, insert.iter().copied());
            }
            Change::Repeat(from, to) => {
                let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
                let part = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.extend(part);
            }
        }
    }
    bytes
}

/// Random bytes, and honest messages with random damage, in random pieces, on every listener: each is
/// answered or closed, and afterwards nothing is held.
#[test]
fn damaged_input_harms_nobody() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let honest = honest(&alice.token);
    let input = prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..300),
        4 => (prop::sample::select(honest), prop::collection::vec(change(), 0..4))
            .prop_map(|(bytes, changes)| changed(bytes, &changes)),
    ];
    let sizes = prop::collection::vec(1usize..200, 1..6);
    let mut runner = TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
    let checked = runner.run(&(input, sizes), |(bytes, sizes)| {
        SERVICES.iter().for_each(|service| throw(&server, service, &bytes, &sizes));
        Ok(())
    });
    checked.unwrap_or_else(|failed| panic!("{failed}"));
    is_well(&server);
}

/// Frames of any kind in any order behind a good handshake, with any bytes between them, in random pieces: the
/// server closes, and holds nothing of them afterwards.
#[test]
fn damaged_frames_harm_nobody() {
    let server = TestServer::with(|config| {
        config.limits.messages_per_second = 0;
        config.http.anonymous_chat = vec![0];
    });
    let alice = server.register("alice");
    let paths = [format!("/ws?token={}", alice.token), "/ws?username=ann&room=general".to_owned()];
    let first = prop::sample::select(vec![0x81_u8, 0x01, 0x00, 0x80, 0x82, 0x89, 0x8a, 0x88, 0xc1, 0x83, 0x09]);
    let text = prop::sample::select(vec![
        r#"{"type":"chat","content":"x"}"#,
        r#"{"type":"join","room":"other"}"#,
        r#"{"type":"subscribe","topics":["progress"]}"#,
        r#"{"type":"pm","to":"alice","content":"x"}"#,
        r#"{"type":"#,
    ]);
    let payload = prop_oneof![
        text.prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..200),
        Just(vec![b'x'; 20_000]),
    ];
    let framed = (first, payload).prop_map(|(first, payload)| frame(first, &payload));
    let piece = prop_oneof![6 => framed, 1 => prop::collection::vec(any::<u8>(), 1..20)];
    let sent = (prop::collection::vec(piece, 0..8), prop::collection::vec(change(), 0..2));
    let frames = sent.prop_map(|(pieces, changes)| changed(pieces.concat(), &changes));
    let sizes = prop::collection::vec(1usize..5000, 1..6);
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let checked = runner.run(&(prop::sample::select(paths.to_vec()), frames, sizes), |(path, frames, sizes)| {
        throw(&server, "http", &[handshake(&path, "").into_bytes(), frames].concat(), &sizes);
        Ok(())
    });
    checked.unwrap_or_else(|failed| panic!("{failed}"));
    is_well(&server);
    let varz = server.varz();
    assert_eq!(varz["websockets"], json!({"verified": 0, "anonymous": 0}));
}

/// Inside a session, damage to one line costs that line only: the ping behind it is always answered.
#[test]
fn a_damaged_line_costs_that_line_only() {
    let server = TestServer::unmetered();
    let alice = server.register("alice");
    let sessions = RefCell::new([server.session_v1(&alice), server.session_v2(&alice)]);
    let line = json!({"type": "progress", "data": {"manga_id": ONGOING, "current_chapter": 5, "note": "é\u{1}"}});
    let input =
        prop::collection::vec(change(), 0..4).prop_map(move |changes| changed(line.to_string().into_bytes(), &changes));
    let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
    let number = Cell::new(0);
    let checked = runner.run(&input, |mut bytes| {
        bytes.retain(|byte| *byte != b'\n');
        number.set(number.get() + 1);
        for client in sessions.borrow_mut().iter_mut() {
            client.send_raw([&bytes[..], b"\n"].concat());
            client.say("ping", json!({"client_time": number.get()}));
            while client.next()["data"]["client_time"] != json!(number.get()) {}
        }
        Ok(())
    });
    checked.unwrap_or_else(|failed| panic!("{failed}"));
    drop(sessions);
    is_well(&server);
}

/// A damaged datagram of either dialect costs itself only: the ping behind it is answered, nobody else
/// hears of it, and the longest are as harmless as the shortest.
#[test]
fn a_damaged_datagram_costs_itself_only() {
    let server = TestServer::with(|config| config.udp.datagrams_per_second = 0);
    let alice = server.register("alice");
    let token = server.http().post("/api/v1/auth/udp-token", Some(&alice.token), &json!({})).data(200)["token"].clone();
    let (first, second) = (UdpClient::new(&server, "udp_v1"), UdpClient::new(&server, "udp_v2"));
    let (listener, other) = (UdpClient::new(&server, "udp_v1"), UdpClient::new(&server, "udp_v2"));
    listener.register(json!({}));
    other.subscribe(json!({"token": token}));
    let honest = [
        json!({"type": "register", "data": {"client_id": "é\u{1}", "token": token, "ack": true, "topics": ["progress"]}}),
        json!({"type": "register", "data": {"client_id": "c", "user_id": alice.id}}),
        json!({"type": "unregister", "data": {}}),
        json!({"type": "ping", "data": {"client_time": [7], "proof": "0123456789abcdef"}}),
        json!({"type": "ack", "data": {"id": 7}}),
        json!({"type": "notification", "data": {"manga_id": "x", "message": "believe me"}}),
        json!({"type": "SUBSCRIBE", "user_id": alice.id, "token": token, "ack": false}),
        json!({"type": "UNSUBSCRIBE"}),
        json!({"type": "PING", "proof": "0123456789abcdef"}),
        json!({"type": "ACK", "id": i64::MAX}),
        json!({"type": "NEW_MANGA", "manga_id": 1, "title": "believe me"}),
    ];
    let honest = honest.map(|message| message.to_string().into_bytes()).to_vec();
    let long = [b'[', b'{', b'"', b'x', 0, 0xff].into_iter().map(|byte| vec![byte; 60_000]).collect::<Vec<_>>();
    let input = prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..300),
        1 => prop::sample::select(long),
        6 => (prop::sample::select(honest), prop::collection::vec(change(), 0..4))
            .prop_map(|(bytes, changes)| changed(bytes, &changes)),
    ];
    let mut runner = TestRunner::new(Config { cases: 1000, failure_persistence: None, ..Config::default() });
    let number = Cell::new(0);
    let checked = runner.run(&input, |bytes| {
        number.set(number.get() + 1);
        first.send_bytes(&bytes);
        first.say("ping", json!({"client_time": number.get()}));
        while first.hear()["data"]["client_time"] != json!(number.get()) {}
        second.send_bytes(&bytes);
        second.send(&json!({"type": "UNSUBSCRIBE", "user_id": "u"}));
        while second.hear()["type"] != "UNSUBSCRIBE" {}
        Ok(())
    });
    checked.unwrap_or_else(|failed| panic!("{failed}"));
    listener.silence_v1();
    other.silence();
    is_well(&server);
}

/// Lines, heads and chunks without end are ended by the server; none of them is kept.
#[test]
fn input_without_end_is_ended() {
    let server = TestServer::start();
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\n";
    for (service, begin, then) in [
        ("tcp_v1", String::new(), "x"),
        ("tcp_v2", String::new(), "{\"type\":"),
        ("tcp_v1", "{\"type\":\"auth\",\"data\":{\"token\":\"".into(), "\\u0041"),
        ("http", String::new(), "GET "),
        ("http", "GET /".into(), "a/"),
        ("http", head.to_owned(), "A: b\r\n"),
        ("http", format!("{head}A: "), "b"),
        ("http", format!("{head}Transfer-Encoding: chunked\r\n\r\n"), "1000\r\n"),
        ("http", format!("{head}Transfer-Encoding: chunked\r\n\r\n1;"), "ext"),
        ("http", format!("{head}Transfer-Encoding: chunked\r\n\r\n0\r\n"), "A: b\r\n"),
        ("http", format!("{head}Content-Length: 1048577\r\n\r\n"), "x"),
        ("internal", head.to_owned(), "A: b\r\n"),
        ("http", String::new(), "\r\n"),
    ] {
        let mut bytes = begin.into_bytes();
        while bytes.len() < 8 << 20 {
            bytes.extend_from_slice(then.repeat(1000).as_bytes());
        }
        throw(&server, service, &bytes, &[64 << 10]);
    }
    is_well(&server);
}

/// Ten thousand levels of nesting, in arrays and objects, as a message and inside one, end as errors.
#[test]
fn deep_nesting_is_an_error() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut client = server.session_v1(&alice);
    let mut http = server.http();
    let arrays = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let objects = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    for deep in [&arrays, &objects, &"[".repeat(10_000), &"{\"a\":".repeat(10_000)] {
        client.send_raw(format!("{deep}\n{{\"type\":\"progress\",\"data\":{deep}}}\n"));
        client.expect("error");
        client.expect("error");
        client.send_raw(format!("{{\"type\":\"progress\",\"data\":{{\"manga_id\":{deep},\"current_chapter\":1}}}}\n"));
        client.expect("error");
        client.expect_nothing();
        let reply = http.request("POST", "/api/v1/auth/login", &[], deep.as_bytes());
        assert_eq!(reply.status, 400, "{}", reply.text());
        let reply = http.request("POST", "/api/v1/auth/login", &[], format!("{{\"username\":{deep}}}").as_bytes());
        assert_eq!(reply.status, 400, "{}", reply.text());
    }
    client.send_raw(format!("{{\"type\":\"ping\",\"data\":{{\"client_time\":{arrays}}}}}\n"));
    client.expect_error("INVALID_DATA");
    client.expect_nothing();
}

/// Text that means something to a database means nothing here, on the sync services as elsewhere.
#[test]
fn statements_are_text() {
    let server = TestServer::unmetered();
    let alice = server.register("alice");
    let mut client = server.session_v1(&alice);
    for text in ["'; DROP TABLE users; --", "' OR '1'='1", "\"; PRAGMA user_version = 99; --", "berserk' --"] {
        client.say("progress", json!({"manga_id": text, "manga_title": text, "current_chapter": 1, "note": text}));
        assert_eq!(client.expect("broadcast")["data"]["manga_title"], text);
        client.say("get_progress", json!({"manga_id": text}));
        client.expect_error("NOT_FOUND");
        client.say("progress", json!({"manga_id": ONGOING, "current_chapter": 1, "note": text}));
        client.expect("broadcast");
        client.say("get_progress", json!({"manga_id": ONGOING}));
        assert_eq!(client.expect("progress")["data"]["note"], text);
    }
    server.http().get("/api/v1/users/me", Some(&alice.token)).data(200);
}

/// Two thousand clients at a server with room for fifty: those that find none are told so in words and
/// closed, and when the crowd has gone there is room again.
#[test]
fn a_crowd_is_refused_with_words() {
    let server = TestServer::with(|config| config.limits.connections = 50);
    let alice = server.register("alice");
    let mut crowd: Vec<TcpStream> = (0..2000).map(|_| TcpStream::connect(server.address("tcp_v1")).unwrap()).collect();
    // The first fifty hold their places without a word; everybody behind them is told.
    let mut held = crowd.drain(..50).collect::<Vec<_>>();
    for stream in &mut crowd {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).unwrap();
        assert!(told.contains("auth_failed") && told.contains("full") && told.ends_with('\n'), "{told:?}");
        stream.shutdown(Shutdown::Both).unwrap();
    }
    for stream in &mut held {
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        assert!(stream.read(&mut [0; 1]).is_err(), "a client that had a place was sent away");
    }
    drop((held, crowd));
    await_true("room again", || {
        let mut client = server.v1();
        client.try_send(format!("{}\n", json!({"type": "auth", "data": {"token": alice.token}})));
        client.next_or_end().is_some_and(|message| message["type"] == "auth_success").then_some(())
    });
    assert_eq!(HttpClient::connect(server.address("http")).get("/health", None).status, 200);
    assert_eq!(server.varz()["panics"], 0);
}

/// Clients that connect and reset, in the middle of anything, leave nothing behind.
#[test]
fn clients_that_vanish_leave_nothing() {
    let server = TestServer::start();
    let alice = server.register("alice");
    for round in 0..50 {
        for service in SERVICES {
            let stream = TcpStream::connect(server.address(service)).unwrap();
            // Closing with this set sends a reset.
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            if round % 2 == 0 {
                let _ = std::io::Write::write_all(&mut &stream, b"GET /api/v1/manga HTTP/1.1\r\nHost: loc");
            }
        }
        let mut client: LineClient = server.session_v1(&alice);
        client.say("progress", json!({"manga_id": ONGOING, "current_chapter": round}));
        socket2::SockRef::from(&*client.stream()).set_linger(Some(Duration::ZERO)).unwrap();
    }
    is_well(&server);
}
