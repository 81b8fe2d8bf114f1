//! The operator's listener: metrics, the server in general, its connections, and whether to send it
//! clients; and that nobody else gets to see them.

mod common;

use std::collections::BTreeMap;

use common::accounts::refused;
use common::http::{HttpClient, request};
use common::ws::WsClient;
use common::{ONGOING, TestServer, await_true};
use mangahub::logs::Redacted;
use mangahub::reactor::start::LifeState;
use serde_json::{Value, json};

/// Every line of `/metrics` is a comment, the end, or a sample with a number; counters say that they
/// are, and names carry the prefix. So it is in both formats; a collector gets the one it asks for.
#[test]
fn metrics_can_be_read_by_a_collector() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let mut client = server.session_v1(&alice);
    client.say("progress", json!({"manga_id": ONGOING, "current_chapter": 1}));
    client.expect("broadcast");
    server.http().get("/nothing", None);
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let plain = "text/plain; version=0.0.4; charset=utf-8";
    // The second is what Prometheus sends.
    for (accept, media_type) in [
        ("application/openmetrics-text", open),
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            open,
        ),
        ("text/plain, application/openmetrics-text;q=0.5", plain),
        ("application/openmetrics-text;q=0", plain),
        ("text/html, */*", plain),
        ("", plain),
    ] {
        let reply = server.internal().request("GET", "/metrics", &[&format!("Accept: {accept}")], b"");
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(media_type)), "{accept}");
        check_metrics(&reply.text(), media_type == open);
    }
    assert_eq!(server.internal().get("/metrics", None).header("content-type"), Some(plain));
}

fn check_metrics(text: &str, open: bool) {
    let mut kinds: BTreeMap<String, String> = BTreeMap::new();
    let mut samples: BTreeMap<String, f64> = BTreeMap::new();
    assert_eq!(text.ends_with("# EOF\n"), open);
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(comment) = line.strip_prefix("# ") {
            let words: Vec<&str> = comment.splitn(3, ' ').collect();
            assert!(words.len() == 3 && ["HELP", "TYPE"].contains(&words[0]), "{line}");
            if words[0] == "TYPE" {
                assert!(kinds.insert(words[1].into(), words[2].into()).is_none(), "described twice: {line}");
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
        let bare = name.split('{').next().unwrap();
        assert!(bare.starts_with("mangahub_"), "{line}");
        let family = if open { bare.strip_suffix("_total").unwrap_or(bare) } else { bare };
        let kind = kinds.get(family).unwrap_or_else(|| panic!("undescribed: {line}"));
        assert_eq!(kind == "counter", bare.ends_with("_total"), "{line} is a {kind}");
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        assert!(value >= 0.0 && samples.insert(name.into(), value).is_none(), "twice: {line}");
    }
    assert_eq!(samples["mangahub_sync_clients"], 1.0);
    assert_eq!(samples["mangahub_events_published_total"], 1.0);
    assert_eq!(samples["mangahub_calls_total{call=\"progress.update\"}"], 1.0);
    assert!(samples["mangahub_errors_total{code=\"NOT_FOUND\"}"] >= 1.0);
    assert!(!text.contains("alice"), "no label names a user");
}

/// `/varz` counts what happened and what is held.
#[test]
fn varz_counts() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let _client = server.session_v1(&alice);
    // Neither of these syncs.
    let _ws = WsClient::open(server.address("http"), &format!("/ws?token={}", alice.token));
    let _other = WsClient::open(server.address("http"), &format!("/ws?token={}", server.register("bob").token));
    let varz = server.varz();
    assert_eq!((&varz["state"], &varz["sync_clients"], &varz["sync_users"]), (&json!("running"), &json!(1), &json!(1)));
    assert_eq!(varz["held_bytes"]["receive"], 0, "{varz}");
    assert!(varz["catalogue"].as_u64().unwrap() >= 40 && varz["panics"] == 0);
    assert!(varz["total_connections"].as_u64().unwrap() >= 3);
}

/// `/connz` shows open and closed connections, by state, protocol and user, in parts.
#[test]
fn connz_filters() {
    let server = TestServer::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let (_one, _two, three) = (server.session_v1(&alice), server.session_v2(&alice), server.session_v2(&bob));
    let mut internal = server.internal();
    let mut rows = |query: &str| -> Vec<Value> {
        let page = internal.get(&format!("/connz?{query}"), None).json();
        page["connections"].as_array().unwrap_or_else(|| panic!("{page}")).clone()
    };
    assert_eq!(rows("state=open&user=alice").len(), 2);
    let row = rows("state=open&user=alice&protocol=tcp_v1").remove(0);
    assert_eq!((&row["state"], &row["protocol"], &row["in_msgs"]), (&json!("open"), &json!("tcp_v1"), &json!(1)));
    for name in ["cid", "ip", "port", "start", "last_activity", "in_bytes", "out_bytes", "out_msgs", "pending_bytes"] {
        assert!(!row[name].is_null(), "{name} in {row}");
    }
    drop(three);
    let row = server.await_closed("tcp_v2", "peer_closed");
    assert_eq!((&row["user"], &row["state"]), (&json!("bob"), &json!("closed")));
    assert!(row["stop"].is_string());
    assert_eq!(rows("state=closed&user=alice").len(), 0);
    assert_eq!(rows("state=open&limit=1").len(), 1);
    assert_eq!(rows("state=open&offset=100").len(), 0);
    for wrong in ["state=shut", "limit=x", "offset=-1"] {
        assert_eq!(internal.get(&format!("/connz?{wrong}"), None).status, 400, "{wrong}");
    }
}

/// A page's filters choose before its limit does: a user's one connection is found among others.
#[test]
fn a_limit_counts_what_was_asked_for() {
    let server = TestServer::start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let _crowd: Vec<_> = (0..5).map(|_| server.session_v1(&alice)).collect();
    let _bob = server.session_v1(&bob);
    let page = server.internal().get("/connz?state=open&user=bob&limit=1", None).json();
    assert_eq!(page["connections"].as_array().unwrap().len(), 1, "{page}");
}

/// No public listener shows the operator's pages, and no browser sees them anywhere.
#[test]
fn the_pages_are_the_operators_alone() {
    let server = TestServer::start();
    for path in ["/metrics", "/varz", "/connz", "/readyz"] {
        assert_eq!(server.http().get(path, None).status, 404, "{path}");
        for field in ["Origin: http://localhost:3000", "Sec-Fetch-Site: same-origin", "Origin: null"] {
            let reply = server.internal().request("GET", path, &[field], b"");
            assert_eq!(reply.status, 403, "{path} with {field}");
            assert_eq!(reply.header("access-control-allow-origin"), None);
        }
        assert_eq!(server.internal().get(path, None).status, 200, "{path}");
    }
    assert_eq!(server.internal().get("/api/v1/manga", None).status, 404);
    let mut rebound = server.internal();
    rebound.send("GET /varz HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!(rebound.reply().status, 421);
}

/// With a token configured, nothing is shown without it.
#[test]
fn the_internal_token_is_demanded() {
    let token = "the-operators-token";
    let server = TestServer::with(|config| config.internal.token = Some(Redacted::new(token.to_owned())));
    let mut internal = server.internal();
    for wrong in [None, Some(""), Some("the-operators-tokem"), Some("the-operators-token2"), Some("the")] {
        assert_eq!(internal.get("/varz", wrong).status, 401, "{wrong:?}");
    }
    assert_eq!(internal.get("/metrics", Some(token)).status, 200);
}

/// A write that is refused because the database was moved away is enough to send new clients elsewhere, and
/// one that is kept is enough to have them again: nobody waits for the next look.
#[test]
fn a_refused_write_is_seen_at_once() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let (here, there) = (server.folder().join("mangahub.db"), server.folder().join("elsewhere.db"));
    let (mut http, mut internal) = (server.http(), server.internal());
    let goal = json!({"target": 5});
    for _ in 0..5 {
        std::fs::rename(&here, &there).unwrap();
        assert_eq!(http.put("/api/v1/users/goals/week", Some(&alice.token), &goal).status, 503);
        assert_eq!(internal.get("/readyz", None).status, 503);
        std::fs::rename(&there, &here).unwrap();
        assert_eq!(http.put("/api/v1/users/goals/week", Some(&alice.token), &goal).status, 200);
        assert_eq!(internal.get("/readyz", None).status, 200);
    }
}

/// While an unfinished request holds the drain open, new clients are sent elsewhere: `/readyz` is 503 and
/// `/health` says draining. The request is then still answered, as the last, and the server ends.
#[test]
fn a_drain_is_visible_and_finishes_what_began() {
    let mut server = TestServer::start();
    assert_eq!(server.internal().get("/readyz", None).status, 200);
    let body = b"{\"username\":\"nobody\",\"password\":\"x\"}";
    let whole = request("POST", "/api/v1/auth/login", &[], body);
    let (first, second) = whole.split_at(whole.len() - 5);
    let mut unfinished = server.http();
    unfinished.send(first);
    let idle = server.http();
    server.await_varz("half a request", |varz| varz["held_bytes"]["receive"].as_u64().unwrap() > 0);
    server.running().handle().drain();
    await_true("draining", || (server.running().handle().state() == LifeState::Draining).then_some(()));
    assert!(server.running().handle().is_gone() && !server.running().handle().is_running());
    // Each answer is its connection's last, so each question needs a new one.
    assert_eq!(server.internal().get("/readyz", None).status, 503);
    let health = server.internal().get("/health", None);
    assert_eq!((health.status, &health.json()["status"]), (200, &json!("draining")));
    assert_eq!(server.varz()["state"], "draining");
    idle.closed();
    assert!(std::net::TcpStream::connect(server.address("tcp_v1")).is_err(), "nothing new is accepted");
    unfinished.send(second);
    let reply = unfinished.reply();
    reply.refused(401, "UNAUTHORIZED");
    assert_eq!(reply.header("connection"), Some("close"));
    unfinished.closed();
    server.stop();
}

/// The four states of a server's life, as the program around it sees them.
#[test]
fn a_server_tells_its_state() {
    let server = TestServer::start();
    let handle = server.running().handle();
    assert!(handle.is_running() && !handle.is_gone());
    let clients: Vec<HttpClient> = (0..3).map(|_| server.http()).collect();
    await_true("three connections", || (handle.open_connections() == 3).then_some(()));
    drop(clients);
    await_true("no connection", || (handle.open_connections() == 0).then_some(()));
    handle.drain();
    await_true("the end", || (handle.state() == LifeState::Stopped).then_some(()));
    assert_eq!(handle.open_connections(), 0);
}

/// Both say how each part is, to anybody, and nothing else.
#[test]
fn the_parts_are_shown() {
    let server = TestServer::start();
    let parts = json!({"store": "ok", "writer": "ok", "reactor": "ok"});
    let mut http = server.http();
    for slash in ["", "/"] {
        let reply = http.get(&format!("/check-conn{slash}"), None);
        assert_eq!(
            (reply.status, reply.json()),
            (200, json!({"ok": true, "message": "api server running", "parts": parts}))
        );
        let reply = http.get(&format!("/db-ping{slash}"), None);
        assert_eq!((reply.status, reply.json()), (200, json!({"ok": true, "parts": parts})));
    }
    assert_eq!(http.request("HEAD", "/check-conn", &[], b"").status, 200);
    let reply = http.post("/db-ping", None, &json!({}));
    refused(&reply, 405, "This path does not take this method");
    assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"));
}

/// A database that is moved away can't be written to: `/db-ping` says which part it is, `/check-conn` that
/// the server runs; and when the file is back all is well.
#[test]
fn a_broken_part_is_shown() {
    let server = TestServer::start();
    let (here, there) = (server.folder().join("mangahub.db"), server.folder().join("elsewhere.db"));
    std::fs::rename(&here, &there).unwrap();
    let mut http = server.http();
    let reply = await_true("the failure", || Some(http.get("/db-ping", None)).filter(|reply| reply.status != 200));
    let parts = json!({"store": "ok", "writer": "down", "reactor": "ok"});
    assert_eq!(
        (reply.status, reply.json()),
        (500, json!({"ok": false, "error": "the writer is down", "parts": parts}))
    );
    let reply = http.get("/check-conn", None);
    assert_eq!((reply.status, &reply.json()["parts"]), (200, &parts));
    std::fs::rename(&there, &here).unwrap();
    await_true("the recovery", || (http.get("/db-ping", None).status == 200).then_some(()));
}
