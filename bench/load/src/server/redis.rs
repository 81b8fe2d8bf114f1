//! Redis (Debian package `redis-server`): publish and subscribe in one thread with one loop, as MangaHub has.

use super::peer::Peer;
use super::process::{installed, version_of};
use crate::error::LoadError;

/// Starts Redis with nothing between it and its sockets: no snapshots, no log, no limit on what a slow subscriber
/// may leave unread, and room for more clients than the 10,000 it would take.
pub fn start(core: Option<usize>) -> Result<Peer, LoadError> {
    let program = installed(PROGRAM, "redis-server")?;
    Peer::start(&program, core, |command, folder, address| {
        command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string()]);
        command.args(["--save", "", "--appendonly", "no", "--protected-mode", "no"]);
        command.args(["--client-output-buffer-limit", "pubsub 0 0 0", "--maxclients", CLIENTS_MAX]);
        command.arg("--dir").arg(folder);
        Ok(())
    })
}

/// What it says of itself.
pub fn version() -> Option<String> {
    version_of(PROGRAM.as_ref(), "--version")
}

const PROGRAM: &str = "redis-server";

/// Fewer than the 20,000 descriptors that a process often has at most: Redis lowers more by itself.
const CLIENTS_MAX: &str = "19500";
