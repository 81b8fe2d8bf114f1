//! gRPC frame by frame, by a client that shows every one: bounds, deadlines, compression, and the way out.

mod common;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::json;

use common::{Account, ONGOING, TestServer};

/// A client in the middle of a scene.
struct Scene {
    process: Child,
    says: BufReader<ChildStdout>,
}

impl Scene {
    fn of(server: &TestServer, scene: &str, by: Option<&Account>) -> Self {
        let (root, address) = (env!("CARGO_MANIFEST_DIR"), server.address("grpc"));
        let mut process = Command::new(format!("{root}/target/python/bin/python"))
            .arg(format!("{root}/tests/clients/h2_wire.py"))
            .args([&address.ip().to_string(), &address.port().to_string(), scene])
            .args(by.map(|account| &account.token))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("run scripts/test once, it installs target/python: {error}"));
        let says = BufReader::new(process.stdout.take().unwrap());
        Self { process, says }
    }

    /// Waits until it says that it is ready.
    fn ready(&mut self) {
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
    }

    /// What it saw.
    fn seen(mut self) -> String {
        let mut text = String::new();
        self.says.read_to_string(&mut text).unwrap();
        text.trim().to_owned()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn seen(server: &TestServer, scene: &str) -> String {
    Scene::of(server, scene, None).seen()
}

/// Calls that are unusual and right are answered; those that are wrong are told so in one head.
#[test]
fn calls_are_answered_as_the_protocol_says() {
    let server = TestServer::start();
    assert_eq!(seen(&server, "unknown_service"), "200 12: 0, end");
    assert_eq!(seen(&server, "no_content_type"), "415");
    assert_eq!(seen(&server, "client_trailers"), "200 0: 1, end");
    assert_eq!(seen(&server, "reflection_v1"), "0 True");
    assert_eq!(seen(&server, "refused_stream"), "1: 200 16");
}

/// A packed question is understood, and its answer is packed unless its reader can't read that.
#[test]
fn compression_is_seen_on_the_wire() {
    let server = TestServer::start();
    assert_eq!(seen(&server, "packed"), "0 gzip 1 True, 0 gzip 1 True, 0 None 0 True");
}

/// The server itself ends a call whose time is over: before it is asked, and while its answer is not read. What
/// has begun to leave is never ended by trailers, and who reads a little at a time gets everything.
#[test]
fn time_and_windows_bound_an_answer() {
    let server = TestServer::start();
    assert_eq!(seen(&server, "own_deadline"), "200 4: 0, end");
    assert_eq!(seen(&server, "closed_window"), "200 4: 0, end");
    assert_eq!(seen(&server, "narrow_window"), "200 0: 1, end");
    assert_eq!(seen(&server, "torn"), "200 None: 0 and a half, reset 8");
}

/// A stream that is not read is ended with a word, which stands behind whole messages.
#[test]
fn a_slow_stream_hears_that_it_was_slow() {
    let server = TestServer::unmetered();
    let alice = server.register("alice");
    let mut scene = Scene::of(&server, "slow_stream", Some(&alice));
    scene.ready();
    let mut http = server.http();
    let add = json!({"manga_id": ONGOING, "status": "reading"});
    http.post("/api/v1/users/library", Some(&alice.token), &add).data(201);
    for chapter in 1..=300 {
        let body = json!({"current_chapter": chapter});
        http.put(&format!("/api/v1/users/progress/{ONGOING}"), Some(&alice.token), &body).data(200);
    }
    assert_eq!(scene.seen(), "200 8: whole, True, end");
}

/// What one peer may take is bounded: streams, connections, and memory, of which others keep their share.
#[test]
fn what_a_peer_takes_is_bounded() {
    let server = TestServer::with(|config| config.grpc.streams_per_connection = 3);
    assert_eq!(seen(&server, "too_many_streams"), "3: reset 7");
    let server = TestServer::start();
    assert_eq!(seen(&server, "hoard"), "4: 8; 200 0: 1, end");
    for narrow in [
        TestServer::with(|config| config.grpc.connections = 1),
        TestServer::with(|config| config.limits.connections_per_address = 1),
    ] {
        assert_eq!(seen(&narrow, "too_many_connections"), "200 0: 1, end; 11 too many connections");
    }
}

/// A peer that answers pings stays connected, one that does not is let go.
#[test]
fn the_dead_are_let_go() {
    let server = TestServer::with(|config| config.grpc.keepalive_seconds = 6);
    assert_eq!(seen(&server, "keepalive"), "200 0: 1, end");
    let metrics = server.internal().get("/metrics", None).text();
    assert!(metrics.contains("mangahub_grpc_connections_closed_total{reason=\"idle_timeout\"} 1"), "{metrics}");
}

/// A server that drains says so to every connection, answers the calls that run, and takes its time for them.
#[test]
fn a_drain_waits_for_running_calls() {
    let mut server = TestServer::start();
    let mut scene = Scene::of(&server, "drain", None);
    scene.ready();
    server.stop();
    assert_eq!(scene.seen(), "goaway True; 200 0: 1, end; 200 0: 1, end 0802; 14");
}
