//! Pages in a real browser: Chromium, without a window, driven by the scripts in `tests/clients`.
//! `scripts/test` installs it.

mod common;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::TestServer;

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
