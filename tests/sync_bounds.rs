//! What a sync session may not do for ever, too often or too much, and what it is told then.

mod common;

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use common::line::LineClient;
use common::{ONGOING, TestServer, await_true};
use serde_json::{Value, json};

/// Who says nothing, or only half a line, is told so after the dialect's time and closed.
#[test]
fn auth_must_come_in_time() {
    let server = TestServer::with(|config| {
        config.tcp.v1_auth_timeout_ms = 300;
        config.tcp.v2_auth_timeout_ms = 300;
    });
    for half in ["", "{\"type\":\"au"] {
        for mut client in [server.v1(), server.v2()] {
            client.send_raw(half);
            client.expect_error("AUTH_TIMEOUT");
            client.expect_end();
        }
    }
    server.await_closed("tcp_v1", "auth_timeout");
    server.await_closed("tcp_v2", "auth_timeout");
}

/// A silent session of the second dialect ends after its time; heartbeats keep it, and the first
/// dialect's, whose clients only listen, never ends for silence.
#[test]
fn only_silent_sessions_of_the_second_dialect_end() {
    let server = TestServer::with(|config| config.tcp.v2_idle_timeout_ms = 4000);
    let alice = server.register("alice");
    let (mut v1, mut silent, mut lively) =
        (server.session_v1(&alice), server.session_v2(&alice), server.session_v2(&alice));
    silent.stream().set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    await_true("the end of the silent one", || {
        lively.say("heartbeat", json!({}));
        lively.expect("pong");
        match silent.stream().read(&mut [0; 16]) {
            Ok(0) => Some(()),
            Ok(_) => panic!("something was said"),
            Err(_) => None,
        }
    });
    lively.expect_nothing();
    v1.expect_nothing();
    server.await_closed("tcp_v2", "idle_timeout");
}

/// 160 messages at once: the burst of 100 is served, the rest is refused one by one, and the session
/// goes on when there is room again.
#[test]
fn a_flood_is_refused_and_the_session_stays() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut client = server.session_v1(&alice);
    client.send_raw("{\"type\":\"ping\"}\n".repeat(160));
    let kinds: Vec<Value> = (0..160).map(|_| client.next()).collect();
    let refused = kinds.iter().filter(|message| message["type"] == "error").count();
    assert!(kinds.iter().all(|message| message["type"] == "pong" || message["code"] == "RATE_LIMITED"));
    assert!((50..=60).contains(&refused), "{refused} of 160 were refused");
    assert_eq!(kinds[99]["type"], "pong", "the burst is served first");
    await_true("room for a ping", || {
        client.say("ping", json!({}));
        (client.next()["type"] == "pong").then_some(())
    });
}

/// The rate is the user's, over all connections, and outlives them; others have their own.
#[test]
fn the_rate_is_counted_per_user() {
    let server = TestServer::with(|config| {
        config.limits.messages_per_second = 1;
        config.limits.messages_burst = 10;
    });
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let refused = |client: &mut LineClient| {
        client.send_raw("{\"type\":\"ping\"}\n".repeat(100));
        (0..100).filter(|_| client.next()["code"] == "RATE_LIMITED").count()
    };
    let (mut first, mut second) = (server.session_v1(&alice), server.session_v2(&alice));
    assert!(refused(&mut first) >= 50);
    assert!(refused(&mut second) >= 90, "a second connection does not double the burst");
    drop((first, second));
    assert!(refused(&mut server.session_v1(&alice)) >= 90, "nor does a new one");
    let mut other = server.session_v1(&bob);
    other.send_raw("{\"type\":\"ping\"}\n".repeat(10));
    (0..10).for_each(|_| drop(other.expect("pong")));
}

/// Whoever has no user is counted by address: a flood of first messages that are none is told so, and
/// a session that begins properly is not held up by it.
#[test]
fn strangers_are_counted_per_address() {
    let server = TestServer::with(|config| {
        config.limits.messages_per_second = 1;
        config.limits.messages_burst = 3;
    });
    let alice = server.register("alice");
    let refused = || {
        let mut stranger = server.v1();
        stranger.say("ping", json!({}));
        stranger.expect("auth_failed")["data"]["reason"].as_str().unwrap().to_owned()
    };
    (0..3).for_each(|_| assert_eq!(refused(), "Authentication required"));
    // Each second lets another one in.
    await_true("a flood to be told so", || match refused().as_str() {
        "Authentication required" => None,
        other => {
            assert_eq!(other, "Rate limit exceeded");
            Some(())
        }
    });
    server.session_v1(&alice);
}

/// Heartbeats do not count.
#[test]
fn heartbeats_are_free() {
    let server = TestServer::with(|config| {
        config.limits.messages_per_second = 1;
        config.limits.messages_burst = 1;
    });
    let alice = server.register("alice");
    let mut client = server.session_v2(&alice);
    client.send_raw("{\"type\":\"heartbeat\",\"data\":{}}\n".repeat(500));
    (0..500).for_each(|_| drop(client.expect("pong")));
}

/// With a rate of 0 nothing is limited.
#[test]
fn a_rate_of_zero_is_no_limit() {
    let server = TestServer::unmetered();
    let alice = server.register("alice");
    let mut client = server.session_v1(&alice);
    client.send_raw("{\"type\":\"ping\"}\n".repeat(2000));
    (0..2000).for_each(|_| drop(client.expect("pong")));
}

/// A user with too many connections is told at the next one, in the dialect's shape; when one leaves
/// there is room.
#[test]
fn connections_of_a_user_are_capped() {
    let server = TestServer::with(|config| config.limits.connections_per_user = 2);
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let (_first, second) = (server.session_v1(&alice), server.session_v2(&alice));
    let mut third = server.v1();
    third.say("auth", json!({"token": alice.token}));
    let reason = third.expect("auth_failed")["data"]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("Too many connections"), "{reason}");
    third.expect_end();
    let mut third = server.v2();
    third.say("auth", json!({"token": alice.token}));
    assert!(third.expect("auth_error")["data"]["error"].as_str().unwrap().contains("Too many connections"));
    third.expect_end();
    server.session_v1(&bob).expect_nothing();
    drop(second);
    await_true("room for another", || {
        let mut client = server.v1();
        client.say("auth", json!({"token": alice.token}));
        (client.next()["type"] == "auth_success").then_some(())
    });
}

/// Connections from one address can be bounded; who is beyond it is told in the shape of the wire.
#[test]
fn connections_of_an_address_are_capped() {
    let server = TestServer::with(|config| config.limits.connections_per_address = 2);
    let (_first, mut second) = (server.v1(), server.v2());
    await_true("two connections", || (server.varz()["connections"] == 3).then_some(()));
    let mut third = server.v1();
    assert!(third.expect("auth_failed")["data"]["reason"].as_str().unwrap().contains("address"));
    third.expect_end();
    let refused = server.http().reply();
    assert!(refused.refused(503, "UNAVAILABLE").contains("address"));
    second.end();
    second.expect_end();
    await_true("room for a request", || {
        let mut client = server.http();
        client.try_send(common::http::request("GET", "/health", &[], b""));
        (client.reply().status == 200).then_some(())
    });
}

/// Before a session a line may have 8 KiB, to the byte; a longer one is refused and closed.
#[test]
fn a_first_line_has_at_most_8_kib() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let auth = |bytes: usize| {
        let bare = json!({"type": "auth", "data": {"token": alice.token, "pad": ""}}).to_string();
        let pad = "x".repeat(bytes - bare.len());
        json!({"type": "auth", "data": {"token": alice.token, "pad": pad}}).to_string()
    };
    let mut fits = server.v1();
    fits.send_raw(auth(8 << 10) + "\n");
    fits.expect("auth_success");
    let mut long = server.v1();
    long.try_send(auth((8 << 10) + 1) + "\n");
    long.expect("auth_failed");
    long.expect_end();
    let mut endless = server.v2();
    endless.try_send("x".repeat(100_000));
    endless.expect("auth_error");
    endless.expect_end();
}

/// In a session a line may have 1 MiB, to the byte. A longer one is said to be, once, and skipped
/// without being held, however long it is; the next line is served.
#[test]
fn a_line_has_at_most_1_mib_and_is_skipped_beyond() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut client = server.session_v1(&alice);
    let ping = |bytes: usize| {
        let bare = json!({"type": "ping", "data": {"client_time": 1, "pad": ""}}).to_string();
        json!({"type": "ping", "data": {"client_time": 1, "pad": "x".repeat(bytes - bare.len())}}).to_string()
    };
    client.send_raw(ping(1 << 20) + "\n");
    assert_eq!(client.expect("pong")["data"]["client_time"], 1);
    client.send_raw(ping((1 << 20) + 1) + "\n");
    client.expect_error("MESSAGE_TOO_LARGE");
    client.expect_nothing();
    let piece = "x".repeat(1 << 20);
    (0..20).for_each(|_| client.send_raw(&piece));
    client.expect_error("MESSAGE_TOO_LARGE");
    let varz = server.await_varz("the long line to have arrived", |varz| varz["in_bytes"].as_u64().unwrap() > 20 << 20);
    assert!(varz["held_bytes"]["receive"].as_u64().unwrap() < 2 << 20, "{varz}");
    client.send_raw("tail of it\n");
    client.expect_nothing();
    server.await_varz("nothing to be held", |varz| varz["held_bytes"] == json!({"receive": 0, "send": 0}));
}

/// A listener that stops reading is closed when it is owed too much, under its reason, while another
/// hears everything in order.
#[test]
fn a_slow_listener_is_closed_and_nobody_else_is_touched() {
    let server = TestServer::with(|config| {
        config.limits.messages_per_second = 0;
        config.tcp.broadcasts_per_second = 0;
        config.limits.send_bytes_per_connection = 256 << 10;
    });
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let (mut sender, mut listener) = (server.session_v1(&alice), server.session_v2(&bob));
    let _slow = server.session_v1(&bob);
    let mut internal = server.internal();
    let text = "界".repeat(200);
    let mut chapter = 0;
    let row = await_true("the slow one to be closed", || {
        for _ in 0..100 {
            chapter += 1;
            let data = json!({"manga_id": text, "manga_title": text, "current_chapter": chapter});
            sender.say("progress", data);
        }
        for told in chapter - 99..=chapter {
            assert_eq!(sender.expect("broadcast")["data"]["current_chapter"], told);
            assert_eq!(listener.expect("progress_broadcast")["data"]["chapter"], told);
        }
        let page = internal.get("/connz?state=closed&protocol=tcp_v1", None).json();
        page["connections"].as_array().unwrap().iter().find(|row| row["reason"] == "slow_consumer").cloned()
    });
    assert_eq!(row["user"], "bob");
    assert_eq!(server.varz()["closed"]["slow_consumer"], 1);
    sender.say("progress", json!({"manga_id": ONGOING, "current_chapter": 1}));
    sender.expect("broadcast");
    listener.expect("progress_broadcast");
    server.await_varz("nothing to be owed", |varz| varz["held_bytes"]["send"] == 0);
}

/// A client that sends and never reads is not read any more once it is owed much: what it makes the
/// server hold is bounded, and others are served meanwhile.
#[test]
fn who_does_not_read_is_not_read() {
    let server = TestServer::unmetered();
    let alice = server.register("alice");
    let mut greedy = server.session_v1(&alice);
    let mut client = server.session_v2(&alice);
    let pad = "x".repeat(4000);
    let line = format!("{}\n", json!({"type": "ping", "data": {"client_time": pad}}));
    greedy.stream().set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut sent = 0;
    // Until the kernel's buffers are full on both sides, which shows that the server stopped reading.
    while sent < 200 << 20 && std::io::Write::write_all(greedy.stream(), line.as_bytes()).is_ok() {
        sent += line.len();
    }
    assert!(sent < 200 << 20, "the server reads on without end");
    let varz = server.varz();
    assert!(varz["held_bytes"]["send"].as_u64().unwrap() <= 1 << 20, "{varz}");
    assert!(varz["held_bytes"]["receive"].as_u64().unwrap() <= 1 << 20, "{varz}");
    client.expect_nothing();
}

/// A full server says so and closes; the operator still gets in, and there is room when somebody leaves.
#[test]
fn a_full_server_says_so() {
    let server = TestServer::with(|config| config.limits.connections = 20);
    let alice = server.register("alice");
    let mut crowd: Vec<TcpStream> = Vec::new();
    // The operator's own connection counts, so it stays.
    let mut internal = server.internal();
    await_true("a full server", || {
        crowd.push(TcpStream::connect(server.address("tcp_v1")).unwrap());
        (internal.get("/varz", None).json()["connections"].as_u64().unwrap() >= 20).then_some(())
    });
    let mut told = server.v1();
    assert!(told.expect("auth_failed")["data"]["reason"].as_str().unwrap().contains("full"));
    told.expect_end();
    let refused = server.http().reply();
    assert!(refused.refused(503, "UNAVAILABLE").contains("full"));
    assert!(refused.header("retry-after").is_some());
    assert!(internal.get("/varz", None).json()["refused_connections"].as_u64().unwrap() >= 2);
    assert_eq!(server.internal().get("/readyz", None).status, 200, "the operator gets in");
    drop(crowd);
    await_true("room", || {
        let mut client = server.v1();
        client.try_send(format!("{}\n", json!({"type": "auth", "data": {"token": alice.token}})));
        (client.next_or_end()?["type"] == "auth_success").then_some(())
    });
}

/// A client that sent much before it read anything gets every answer once it reads: the server goes on
/// reading although no news of the socket will come.
#[test]
fn who_reads_late_gets_everything() {
    const LINES: usize = 20_000;
    let server = TestServer::with(|config| {
        config.limits.messages_per_second = 0;
        // A byte is a line and a read is a byte, so nothing unfinished is held when reading stops.
        config.limits.read_budget_bytes = 1;
        config.limits.send_bytes_per_connection = 64 << 10;
    });
    let alice = server.register("alice");
    let mut client = LineClient::connect_narrow(server.address("tcp_v1"));
    client.authenticate(&alice.token);
    client.send_raw(vec![b'\n'; LINES]);
    let mut before = 0;
    let varz = server.await_varz("the server to stop reading", |varz| {
        let (now, owed) = (varz["in_bytes"].as_u64().unwrap(), varz["held_bytes"]["send"].as_u64().unwrap());
        // Some bytes are the question's own, and each has its turn.
        let still = now - std::mem::replace(&mut before, now) < 100;
        still && owed >= 16 << 10
    });
    assert!(varz["in_bytes"].as_u64().unwrap() < LINES as u64, "there is nothing left to read: {varz}");
    for _ in 0..LINES {
        client.expect_error("INVALID_MESSAGE");
    }
    client.expect_nothing();
}
