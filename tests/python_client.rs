//! A client as people write it by hand in Python, with its habits: one `recv` is one message.

mod common;

use std::process::Command;

use common::{ONGOING, TestServer};
use serde_json::{Value, json};

/// Runs the script against a service and gives the `data` of the broadcast that it heard.
fn heard(server: &TestServer, service: &str, arguments: &[&str]) -> Value {
    let address = server.address(service);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/sync_client.py");
    let output = Command::new("python3")
        .arg(script)
        .args([address.ip().to_string(), address.port().to_string()])
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("this test needs python3 in the PATH: {error}"));
    assert!(output.status.success(), "the client failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// It logs in, sends progress of a stored and of an unknown series, and hears its own broadcast.
#[test]
fn a_script_hears_its_own_broadcast() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let known = heard(&server, "tcp_v1", &[&alice.token, "progress", ONGOING, "100"]);
    assert_eq!((&known["manga_id"], &known["current_chapter"]), (&json!(ONGOING), &json!(100)));
    assert_eq!((&known["username"], &known["stored"]), (&json!("alice"), &json!(true)));
    let unknown = heard(&server, "tcp_v1", &[&alice.token, "progress", "manga-001", "75"]);
    assert_eq!((&unknown["manga_id"], &unknown["stored"]), (&json!("manga-001"), &json!(false)));
    let row = server.http().get(&format!("/api/v1/users/progress/{ONGOING}"), Some(&alice.token)).data(200);
    assert_eq!(row["progress"]["current_chapter"], 100);
}

/// The second dialect serves the same habits.
#[test]
fn a_script_of_the_second_dialect_hears_its_own_broadcast() {
    let server = TestServer::start();
    let alice = server.register("alice");
    let manga = server.http().get(&format!("/api/v1/manga/{ONGOING}"), None).data(200)["manga"].clone();
    let told = heard(&server, "tcp_v2", &[&alice.token, "progress_update", &manga["key"].to_string(), "7"]);
    assert_eq!((&told["manga_id"], &told["chapter"]), (&manga["key"], &json!(7)));
    assert_eq!(told["manga_title"], "Berserk");
}
