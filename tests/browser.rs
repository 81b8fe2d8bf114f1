//! Pages in a real browser: Chromium, without a window, driven by the scripts in `tests/clients`.
//! `scripts/test` installs it.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::TestServer;
use serde_json::json;

/// A script of `tests/clients`, run by the Python that `scripts/test` installs.
fn script(name: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/python/bin/python");
    assert!(python.exists(), "{} is not there: scripts/test installs it", python.display());
    let mut command = Command::new(python);
    command.arg(root.join("tests/clients").join(name)).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// `/docs` shows every route, registers a user, keeps the token, and asks with it; its own rules against
/// foreign scripts don't get in its way.
#[test]
fn the_page_of_the_routes() {
    let server = TestServer::start();
    let origin = format!("http://{}", server.address("http"));
    succeeded(&script("docs_page.py").arg(origin).output().unwrap());
}

/// Two people chat in two tabs of the example's page; what they write is text; after a reload what was
/// said is still there.
#[test]
fn two_tabs_chat() {
    let mut tabs = script("chat_browser.py").stdin(Stdio::piped()).spawn().unwrap();
    let mut origin = String::new();
    let mut said = BufReader::new(tabs.stdout.take().unwrap());
    said.read_line(&mut origin).unwrap();
    let server = TestServer::with(|config| config.http.cors_origins.push(origin.trim().to_owned()));
    let (ann, bob) = (server.register("ann"), server.register("bob"));
    let told = json!({"server": server.address("http").to_string(), "ann": ann.token, "bob": bob.token});
    writeln!(tabs.stdin.take().unwrap(), "{told}").unwrap();
    succeeded(&tabs.wait_with_output().unwrap());
}
