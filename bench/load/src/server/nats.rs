//! NATS (Debian package `nats-server`): publish and subscribe in Go, two goroutines for each connection.

use super::peer::Peer;
use super::process::{installed, version_of};
use crate::error::{Doing, LoadError};

/// Starts NATS as it comes, without a log. On one core Go runs one goroutine at a time; it sees that by itself.
pub fn start(core: Option<usize>) -> Result<Peer, LoadError> {
    let program = installed(PROGRAM, "nats-server")?;
    Peer::start(&program, core, |command, folder, address| {
        let config = folder.join("nats.conf");
        std::fs::write(&config, CONFIG).doing("write the configuration of NATS")?;
        command.args(["--addr", "127.0.0.1", "--port", &address.port().to_string(), "--config"]).arg(config);
        command.arg("--log").arg(folder.join("log"));
        Ok(())
    })
}

/// What it says of itself.
pub fn version() -> Option<String> {
    version_of(PROGRAM.as_ref(), "--version")
}

const PROGRAM: &str = "nats-server";

/// Room for every client, and for what one of them has not read yet.
const CONFIG: &str = "max_connections: 64000\nmax_pending: 1GB\nwrite_deadline: \"60s\"\n";
