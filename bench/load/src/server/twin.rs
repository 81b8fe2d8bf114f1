//! The Go twin, `bench/twin-go`: the same protocol with one goroutine for each connection. `bench/run` builds it.

use std::path::Path;

use super::peer::Peer;
use super::process::{must_exist, version_of};
use crate::error::LoadError;

/// Starts the twin at `program`. Its clients show tokens signed with `secret`, as the server's do.
pub fn start(program: &Path, core: Option<usize>, secret: &str) -> Result<Peer, LoadError> {
    let program = must_exist(program).map_err(|_| {
        LoadError::Missing("the Go twin is not built (bench/run builds it, with Go or with pip to get Go)".to_owned())
    })?;
    Peer::announced(&program, core, |command| {
        command.args(["-listen", "127.0.0.1:0"]).env("MANGAHUB_AUTH_SECRET", secret);
    })
}

/// What it says of itself: the version of Go that built it.
pub fn version(program: &Path) -> Option<String> {
    version_of(program, "-version")
}
