//! A sync session from its first message to its last, and the order of what is said between.
//!
//! What progress does is in `sync_progress.rs`; what is bounded (rates, sizes, times, slow readers)
//! in `sync_bounds.rs`.

mod common;

use std::collections::HashMap;

use common::{ONGOING, TestServer, await_true};
use serde_json::{Value, json};

// ---- beginning a session

/// Both dialects welcome a good token with the same members, and a session id of its own each time.
#[test]
fn a_good_token_begins_a_session() {
    let server = TestServer::start();
    let account = server.register("alice");
    let mut ids = Vec::new();
    for mut client in [server.v1(), server.v2()] {
        client.send(&json!({"type": "auth", "timestamp": "2026-01-31T09:00:00Z",
            "data": {"token": account.token, "username": "alice", "device": "phone"}}));
        let welcome = client.expect("auth_success");
        assert!(welcome["timestamp"].is_string(), "{welcome}");
        let data = &welcome["data"];
        assert_eq!(data["user_id"], json!(account.id));
        assert_eq!(data["username"], "alice");
        assert_eq!(data["message"], "Authentication successful");
        ids.push(data["session_id"].as_str().unwrap().to_owned());
    }
    assert_ne!(ids[0], ids[1]);
}

/// A token at the top of the message is taken by the second dialect only.
#[test]
fn only_the_second_dialect_takes_a_token_at_the_top() {
    let server = TestServer::start();
    let account = server.register("alice");
    let auth = json!({"type": "auth", "token": account.token});
    let mut v2 = server.v2();
    v2.send(&auth);
    v2.expect("auth_success");
    let mut v1 = server.v1();
    v1.send(&auth);
    assert!(v1.expect("auth_failed")["data"]["reason"].is_string());
    v1.expect_end();
    let mut beside_empty_data = server.v2();
    beside_empty_data.send(&json!({"type": "auth", "token": account.token, "data": {}}));
    beside_empty_data.expect("auth_success");
}

/// A token that does not count is refused in each dialect's own shape, and the connection ends.
#[test]
fn a_bad_token_is_refused_and_closed() {
    let server = TestServer::start();
    let bad = [json!({"token": "nonsense"}), json!({}), json!({"token": 5}), json!({"token": ""}), Value::Null];
    for data in bad {
        let mut v1 = server.v1();
        v1.say("auth", data.clone());
        let refused = v1.expect("auth_failed");
        assert!(refused["data"]["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{refused}");
        v1.expect_end();
        let mut v2 = server.v2();
        v2.say("auth", data);
        let refused = v2.expect("auth_error");
        assert!(refused["data"]["error"].as_str().is_some_and(|reason| !reason.is_empty()), "{refused}");
        v2.expect_end();
    }
}

/// Whatever else comes first is refused and closed, and what is pipelined behind it is not served.
#[test]
fn nothing_comes_before_auth() {
    let server = TestServer::start();
    let account = server.register("alice");
    let auth = json!({"type": "auth", "data": {"token": account.token}});
    for first in [
        "{\"type\":\"ping\"}",
        "{\"type\":\"progress\",\"data\":{\"manga_id\":\"berserk\",\"current_chapter\":5}}",
        "{\"type\":\"shrug\"}",
        "not json",
        "",
        "[]",
        "{\"type\":\"auth\",\"timestamp\":5,\"data\":{\"token\":\"x\"}}",
    ] {
        let mut v1 = server.v1();
        v1.try_send(format!("{first}\n{auth}\n"));
        assert!(v1.expect("auth_failed")["data"]["reason"].is_string(), "{first}");
        v1.expect_end();
        let mut v2 = server.v2();
        v2.try_send(format!("{first}\n{auth}\n"));
        assert!(v2.expect("auth_error")["data"]["error"].is_string(), "{first}");
        v2.expect_end();
    }
    let mut v1 = server.v1();
    v1.say("ping", json!({}));
    assert_eq!(v1.expect("auth_failed")["data"]["reason"], "Authentication required");
}

/// A first message that can't be read is told what is wrong with it, in each dialect's shape, and closed.
#[test]
fn an_unreadable_auth_hears_why() {
    let server = TestServer::start();
    let token = server.register("alice").token;
    let cases = [
        (
            format!("{{\"type\":\"auth\",\"timestamp\":5,\"data\":{{\"token\":\"{token}\"}}}}"),
            Some("timestamp must be"),
            None,
        ),
        (
            format!("{{\"type\":\"auth\",\"type\":\"auth\",\"data\":{{\"token\":\"{token}\"}}}}"),
            Some("twice"),
            Some("twice"),
        ),
        (
            format!("{{\"type\":\"auth\",\"data\":{{\"token\":\"x\",\"token\":\"{token}\"}}}}"),
            Some("data: "),
            Some("data: "),
        ),
        ("{\"type\":\"auth\",\"data\":5}".into(), Some("data: expected"), Some("data: expected")),
        ("auth".into(), Some("not valid JSON"), Some("not valid JSON")),
    ];
    for (line, first, second) in cases {
        for (mut client, why, kind, member) in
            [(server.v1(), first, "auth_failed", "reason"), (server.v2(), second, "auth_error", "error")]
        {
            client.send_raw(format!("{line}\n"));
            let Some(why) = why else {
                client.expect("auth_success");
                continue;
            };
            let refused = client.expect(kind);
            assert!(refused["data"][member].as_str().unwrap().contains(why), "{line}: {refused}");
            client.expect_end();
        }
    }
}

/// A session begins once: a second `auth` is a type that is not known there, and changes nothing.
#[test]
fn a_session_begins_once() {
    let server = TestServer::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    for mut client in [server.session_v1(&alice), server.session_v2(&alice)] {
        client.say("auth", json!({"token": bob.token}));
        client.expect_error("UNKNOWN_MESSAGE_TYPE");
        client.expect_nothing();
    }
}

/// Lines that arrive in one segment with `auth` are processed, in both dialects.
#[test]
fn lines_behind_auth_are_served() {
    let server = TestServer::start();
    let account = server.register("alice");
    let auth = json!({"type": "auth", "data": {"token": account.token}});
    for mut client in [server.v1(), server.v2()] {
        client.send_raw(format!("{auth}\r\n{{\"type\":\"ping\",\"data\":{{\"client_time\":1}}}}\n"));
        client.expect("auth_success");
        assert_eq!(client.expect("pong")["data"]["client_time"], 1);
    }
}

// ---- small messages

/// A pong carries the client's own time back exactly as it was written, whatever it is.
#[test]
fn a_pong_echoes_the_clients_time() {
    let server = TestServer::start();
    let account = server.register("alice");
    for mut client in [server.session_v1(&account), server.session_v2(&account)] {
        for time in ["\"2026-01-31T09:00:00.123456789+02:00\"", "1.50", "123456789012345678901234567890", "[1, 2]"] {
            client.send_raw(format!("{{\"type\":\"ping\",\"data\":{{\"client_time\":{time}}}}}\n"));
            let pong = client.raw_line();
            assert!(pong.contains(&format!("\"client_time\":{time}")), "{pong}");
        }
        client.send_raw("{\"type\":\"ping\"}\n{\"type\":\"ping\",\"data\":null}\n");
        assert_eq!(client.expect("pong")["data"]["client_time"], Value::Null);
        client.expect("pong");
    }
}

/// A heartbeat of the second dialect is answered to its sender alone; `disconnect` ends the session.
#[test]
fn heartbeat_and_disconnect() {
    let server = TestServer::start();
    let account = server.register("alice");
    let (mut client, mut other) = (server.session_v2(&account), server.session_v2(&account));
    client.say("heartbeat", json!({}));
    client.expect("pong");
    other.expect_nothing();
    client.say("disconnect", json!({}));
    client.expect_end();
    drop(client);
    server.await_closed("tcp_v2", "goodbye");
    let mut v1 = server.session_v1(&account);
    v1.say("heartbeat", json!({}));
    v1.expect_error("UNKNOWN_MESSAGE_TYPE");
}

/// `stats` counts connections and the users behind them.
#[test]
fn stats_counts_clients_and_users() {
    let server = TestServer::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let (mut first, _second, _third) = (server.session_v1(&alice), server.session_v2(&alice), server.session_v2(&bob));
    let _stranger = server.v1();
    first.say("stats", json!({}));
    let stats = first.expect("stats");
    assert_eq!(stats["data"], json!({"total_clients": 3, "total_users": 2, "broadcast_queue": 0}));
}

// ---- errors and order

/// Every wrong line is answered with its code, and the session goes on.
#[test]
fn wrong_lines_are_answered_and_the_session_goes_on() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let deep = format!("{{\"type\":\"ping\",\"data\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let update = |data: &str| format!("{{\"type\":\"progress\",\"data\":{data}}}");
    let cases: Vec<(String, &str)> = vec![
        ("".into(), "INVALID_MESSAGE"),
        ("nonsense".into(), "INVALID_MESSAGE"),
        ("{".into(), "INVALID_MESSAGE"),
        ("[]".into(), "INVALID_MESSAGE"),
        ("null".into(), "INVALID_MESSAGE"),
        ("{}".into(), "INVALID_MESSAGE"),
        ("{\"type\":5}".into(), "INVALID_MESSAGE"),
        ("{\"type\":\"ping\",\"type\":\"ping\"}".into(), "INVALID_MESSAGE"),
        ("{\"type\":\"ping\",\"timestamp\":1700000000}".into(), "INVALID_MESSAGE"),
        (update("{\"manga_id\":\"berserk\",\"manga_id\":\"akira\",\"current_chapter\":1}"), "INVALID_MESSAGE"),
        (deep, "INVALID_DATA"),
        ("{\"type\":\"ping\",\"data\":5}".into(), "INVALID_DATA"),
        ("{\"type\":\"shrug\"}".into(), "UNKNOWN_MESSAGE_TYPE"),
        ("{\"type\":\"progress_update\"}".into(), "UNKNOWN_MESSAGE_TYPE"),
        ("{\"type\":\"\"}".into(), "UNKNOWN_MESSAGE_TYPE"),
        (update("{}"), "INVALID_DATA"),
        (update("{\"manga_id\":\"berserk\"}"), "INVALID_DATA"),
        (update("{\"manga_id\":\"\",\"current_chapter\":1}"), "INVALID_DATA"),
        (update("{\"manga_id\":0,\"current_chapter\":1}"), "INVALID_DATA"),
        (update("{\"manga_id\":1.5,\"current_chapter\":1}"), "INVALID_DATA"),
        (update("{\"manga_id\":[],\"current_chapter\":1}"), "INVALID_DATA"),
        (update("{\"manga_id\":\"berserk\",\"current_chapter\":\"5\"}"), "INVALID_DATA"),
        (update("{\"manga_id\":\"berserk\",\"current_chapter\":-1}"), "INVALID_DATA"),
        (update("{\"manga_id\":\"berserk\",\"current_chapter\":1e300}"), "INVALID_DATA"),
        (update("{\"manga_id\":\"berserk\",\"current_chapter\":1,\"status\":\"asleep\"}"), "INVALID_DATA"),
        (update("{\"manga_id\":\"berserk\",\"current_chapter\":1,\"rating\":11}"), "INVALID_DATA"),
        (update("{\"manga_id\":\"akira\",\"current_chapter\":121}"), "INVALID_DATA"),
        ("{\"type\":\"get_progress\",\"data\":{\"manga_id\":\"berserk\"}}".into(), "NOT_FOUND"),
        ("{\"type\":\"get_user_progress\",\"data\":{\"limit\":-1}}".into(), "INVALID_DATA"),
    ];
    let mut client = server.session_v1(&alice);
    for (line, code) in cases {
        client.send_raw(format!("{line}\n"));
        let message = client.expect_error(code);
        assert!(message.len() < 200 && !message.contains('\n'), "{message}");
        client.expect_nothing();
    }
    client.send_raw(b"\xff\xfe\x00\n");
    client.expect_error("INVALID_MESSAGE");
    client.expect_nothing();
}

/// An object has at most 128 members, on the line and in its `data`; more are said to be too many.
#[test]
fn an_object_has_at_most_128_members() {
    let server = TestServer::start();
    let mut client = server.session_v1(&server.register("alice"));
    let members = |count: usize| (0..count).map(|number| format!("\"m{number}\":0")).collect::<Vec<_>>().join(",");
    client.send_raw(format!("{{\"type\":\"ping\",\"data\":{{{}}},{}}}\n", members(128), members(126)));
    client.expect("pong");
    client.send_raw(format!("{{\"type\":\"ping\",\"data\":{{{}}}}}\n", members(129)));
    assert_eq!(client.expect_error("INVALID_MESSAGE"), "data: too many members (at most 128)");
    client.send_raw(format!("{{\"type\":\"ping\",{}}}\n", members(128)));
    let message = client.expect_error("INVALID_MESSAGE");
    assert_eq!(message, "Invalid message format: too many members (at most 128)");
}

/// Lines that need the writer, a reader, memory or nothing at all are answered in the order in which
/// they were sent, however they arrive in one segment.
#[test]
fn answers_come_in_the_order_of_the_lines() {
    let server = TestServer::unmetered();
    let alice = server.register("alice");
    let mut client = server.session_v1(&alice);
    let mut lines = String::new();
    for round in 1..=50 {
        let line = |kind: &str, data: Value| format!("{}\n", json!({"type": kind, "data": data}));
        lines += &line("progress", json!({"manga_id": ONGOING, "current_chapter": round}));
        lines += &line("get_progress", json!({"manga_id": ONGOING}));
        lines += "nonsense\n";
        lines += &line("ping", json!({"client_time": round}));
        lines += &line("progress", json!({"manga_id": "unknown", "current_chapter": round}));
    }
    client.send_raw(&lines);
    // A broadcast goes out at the end of a turn, an answer at once: each kind keeps its order, and
    // an answer never comes before the broadcast of a change that it shows.
    let mut seen: HashMap<&str, Vec<i64>> = HashMap::new();
    let mut told_stored = 0;
    for _ in 0..50 * 5 {
        let message = client.next();
        let data = &message["data"];
        let (kind, number) = match message["type"].as_str().unwrap() {
            "broadcast" if data["stored"] == json!(true) => ("told", data["current_chapter"].as_i64().unwrap()),
            "broadcast" => ("unstored", data["current_chapter"].as_i64().unwrap()),
            "progress" => ("shown", data["current_chapter"].as_i64().unwrap()),
            "pong" => ("pong", data["client_time"].as_i64().unwrap()),
            "error" => ("error", seen.get("error").map_or(1, |errors| errors.len() as i64 + 1)),
            other => panic!("{other}: {message}"),
        };
        if kind == "told" {
            told_stored = number;
        }
        if kind == "shown" {
            assert!(number <= told_stored, "shown before it was told: {message}");
        }
        seen.entry(kind).or_default().push(number);
    }
    let expected: Vec<i64> = (1..=50).collect();
    for kind in ["told", "shown", "error", "pong", "unstored"] {
        assert_eq!(seen[kind], expected, "{kind}");
    }
}

/// Answers alone, without broadcasts between them, come strictly in the order of their lines.
#[test]
fn answers_of_different_lanes_never_overtake() {
    let server = TestServer::unmetered();
    let alice = server.register("alice");
    let mut client = server.session_v2(&alice);
    let mut lines = String::new();
    for round in 0..100 {
        lines += &format!("{{\"type\":\"delete_progress\",\"data\":{{\"manga_id\":{}}}}}\n", round + 1);
        lines += "{\"type\":\"get_user_progress\"}\n";
        lines += &format!("{{\"type\":\"ping\",\"data\":{{\"client_time\":{round}}}}}\n");
        lines += "{\"type\":\"shrug\"}\n";
    }
    client.send_raw(&lines);
    for round in 0..100 {
        client.expect_error("NOT_FOUND");
        client.expect("progress_list");
        assert_eq!(client.expect("pong")["data"]["client_time"], round);
        client.expect_error("UNKNOWN_MESSAGE_TYPE");
    }
}

/// Who sends lines and then closes its side is still answered, line by line, before the end.
#[test]
fn lines_before_a_half_close_are_answered() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut client = server.v1();
    let mut lines = format!("{}\n", json!({"type": "auth", "data": {"token": alice.token}}));
    for round in 0..20 {
        lines += &format!("{}\n", json!({"type": "delete_progress", "data": {"manga_id": ONGOING}}));
        lines += &format!("{}\n", json!({"type": "ping", "data": {"client_time": round}}));
    }
    client.send_raw(&lines);
    client.end();
    client.expect("auth_success");
    for round in 0..20 {
        client.expect_error("NOT_FOUND");
        assert_eq!(client.expect("pong")["data"]["client_time"], round);
    }
    client.expect_end();
    server.await_closed("tcp_v1", "peer_closed");
}

/// A last line without its end is a line when nothing more can come, before a session and within one; half
/// a message is an error like any other.
#[test]
fn the_last_line_needs_no_end() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let auth = json!({"type": "auth", "data": {"token": alice.token}}).to_string();
    let update = json!({"type": "progress", "data": {"manga_id": ONGOING, "current_chapter": 7}}).to_string();
    let last = |lines: &str| {
        let mut client = server.v1();
        client.send_raw(lines);
        client.end();
        client.expect("auth_success");
        client
    };
    last(&auth).expect_end();
    let mut client = last(&format!("{auth}\n{update}"));
    assert_eq!(client.expect("broadcast")["data"]["current_chapter"], 7);
    client.expect_end();
    let mut client = last(&format!("{auth}\n{}", &update[..update.len() - 1]));
    client.expect_error("INVALID_MESSAGE");
    client.expect_end();
    let progress = server.http().get(&format!("/api/v1/users/progress/{ONGOING}"), Some(&alice.token)).data(200);
    assert_eq!(progress["progress"]["current_chapter"], 7, "{progress}");
}

// ---- the end of a session

/// Logging out everywhere and changing the password end every open session at once; a new token begins
/// a new one.
#[test]
fn revoked_sessions_end_at_once() {
    let server = TestServer::start();
    for (method, path, body) in [
        ("POST", "/api/v1/auth/logout-all", json!({})),
        (
            "PUT",
            "/api/v1/users/me/password",
            json!({"current_password": common::PASSWORD, "new_password": "another horse"}),
        ),
    ] {
        let (alice, bob) = (server.register(&format!("al-{}", method.to_lowercase())), server.register(method));
        let (mut v1, mut v2, mut other) =
            (server.session_v1(&alice), server.session_v2(&alice), server.session_v1(&bob));
        server.http().json(method, path, Some(&alice.token), Some(&body)).data(200);
        v1.expect_end();
        v2.expect_end();
        other.expect_nothing();
        let mut again = server.v1();
        again.say("auth", json!({"token": alice.token}));
        again.expect("auth_failed");
    }
    server.await_closed("tcp_v2", "revoked");
}

/// A server that ends tells every session when to come back, and then closes.
#[test]
fn a_drain_is_announced() {
    let mut server = TestServer::start();
    let alice = server.register("alice");
    let (mut v1, mut v2) = (server.session_v1(&alice), server.session_v2(&alice));
    v1.say("progress", json!({"manga_id": ONGOING, "current_chapter": 12}));
    server.running().handle().drain();
    // What runs is finished: its broadcast comes before the notice or, when it is committed later, behind.
    let told: Vec<Value> = std::iter::from_fn(|| v1.next_or_end()).collect();
    let of_type = |kind: &str| told.iter().filter(|message| message["type"] == kind).collect::<Vec<_>>();
    let (notices, broadcasts) = (of_type("system"), of_type("broadcast"));
    assert_eq!((notices.len(), notices.len() + broadcasts.len()), (1, told.len()), "{told:?}");
    let notice = notices[0];
    assert!(notice["message"].is_string() && notice["reconnect_after_ms"].is_u64() && notice["timestamp"].is_string());
    let told: Vec<Value> = std::iter::from_fn(|| v2.next_or_end()).collect();
    assert!(
        told.iter().any(|message| message["type"] == "system" && message["reconnect_after_ms"].is_u64()),
        "{told:?}"
    );
    server.stop();
}

/// A session is gone from the counts once its connection is.
#[test]
fn counts_follow_the_connections() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let (client, other) = (server.session_v1(&alice), server.session_v2(&alice));
    assert_eq!(server.varz()["sync_clients"], 2);
    drop((client, other));
    await_true("no sync clients", || (server.varz()["sync_clients"] == 0).then_some(()));
    assert_eq!(server.varz()["topics"], 0);
}
