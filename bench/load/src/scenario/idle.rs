//! Idle connections: what one more costs the server in user-space memory.
//!
//! The cost is a slope between two crowds, so that what the server needs anyway falls out of it. Memory is
//! read when it has stopped moving.

use std::net::SocketAddr;

use serde::Serialize;

use crate::client::Swarm;
use crate::error::LoadError;
use crate::login::log_in_all;
use crate::server::settled_rss_anon_bytes;

/// What a crowd of idle connections costs.
#[derive(Debug, Clone, Serialize)]
pub struct Idle {
    /// `RssAnon` with the small crowd, in bytes.
    pub small_bytes: u64,
    /// `RssAnon` with the large crowd, in bytes.
    pub large_bytes: u64,
    /// User-space bytes for each connection more.
    pub bytes_per_connection: f64,
}

/// Grows from `from` to `to` authenticated connections, with `tokens` in turn, and measures process `pid` at both.
pub fn run(tcp: SocketAddr, pid: u32, tokens: &[String], from: usize, to: usize) -> Result<Idle, LoadError> {
    if to <= from {
        return Err(LoadError::Missing(format!("--to {to} must be more than --from {from}")));
    }
    let mut swarm = Swarm::new(tcp)?;
    log_in_all(&mut swarm, from, tokens)?;
    let small_bytes = settled_rss_anon_bytes(pid)?;
    log_in_all(&mut swarm, to - from, tokens)?;
    let large_bytes = settled_rss_anon_bytes(pid)?;
    let bytes_per_connection = (large_bytes as f64 - small_bytes as f64) / (to - from) as f64;
    Ok(Idle { small_bytes, large_bytes, bytes_per_connection })
}
