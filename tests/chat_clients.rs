//! Chat with clients that we did not write: Python's `websockets` and Node's `ws`, in one room.
//! `scripts/test` installs both.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::TestServer;
use serde_json::{Value, json};

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What a client heard, until it heard its own words.
fn heard(mut client: Command, server: &TestServer, token: &str, text: &str) -> Vec<Value> {
    let url = format!("ws://{}/ws", server.address("http"));
    let output = client.args([&url, token, "general", text]).output();
    let output = output.unwrap_or_else(|error| panic!("{client:?} needs what scripts/test installs: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn python() -> Command {
    let mut command = Command::new(root("target/python/bin/python"));
    command.arg(root("tests/clients/chat_client.py"));
    command
}

fn node() -> Command {
    assert!(root("target/node/node_modules/ws").exists(), "target/node is not there: scripts/test installs it");
    let mut command = Command::new("node");
    command.arg(root("tests/clients/chat_client.mjs")).arg(root("target/node"));
    command
}

/// Each joins, finds in its history what was said before, hears its own words back, has its ping answered
/// and says goodbye with 1000. Text of any script and length comes as it was sent.
#[test]
fn clients_that_we_did_not_write_chat() {
    let server = TestServer::start();
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    let words = ["from Python: 進撃の巨人 <b>&amp;", &"long ".repeat(399), "from Node: naïve 🦊"];
    let first = heard(python(), &server, &ann.token, words[0]);
    let second = heard(node(), &server, &bob.token, words[1].trim_end());
    let third = heard(node(), &server, &ann.token, words[2]);
    for (heard, before) in [(first, 0), (second, 1), (third, 2)] {
        let history = heard.iter().find(|message| message["type"] == "history").unwrap();
        let said: Vec<&Value> = history["items"].as_array().unwrap().iter().map(|item| &item["content"]).collect();
        let wanted: Vec<Value> = words[..before].iter().map(|text| json!(text.trim_end())).collect();
        assert_eq!(said, wanted.iter().collect::<Vec<_>>());
        let own = heard.last().unwrap();
        assert_eq!((&own["type"], &own["content"]), (&json!("chat"), &json!(words[before].trim_end())));
        assert_eq!(own["verified"], true);
    }
}
