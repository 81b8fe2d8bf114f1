//! Members of a room who say nothing: what one more costs the server in user-space memory.
//!
//! The cost is a slope between two crowds, as for [`idle`](super::idle) connections. Everyone is a user of their own.

use std::net::SocketAddr;

use serde::Serialize;

use super::idle::Idle;
use crate::client::Swarm;
use crate::error::LoadError;
use crate::join::{Joined, ROOM, join_all};
use crate::server::settled_rss_anon_bytes;

/// What a crowd of members costs.
#[derive(Debug, Clone, Serialize)]
pub struct Members {
    /// Memory.
    #[serde(flatten)]
    pub idle: Idle,
    /// How the large crowd came in, on top of the small one.
    #[serde(flatten)]
    pub joined: Joined,
}

/// Grows from `from` members to one for each of `tokens`, and measures process `pid` at both.
pub fn run(http: SocketAddr, pid: u32, tokens: &[String], from: usize) -> Result<Members, LoadError> {
    let to = tokens.len();
    if from == 0 || to <= from {
        return Err(LoadError::Missing(format!("--to {to} must be more than --from {from}, and that more than none")));
    }
    let mut swarm = Swarm::new(http)?;
    join_all(&mut swarm, http, from, tokens, &[ROOM.to_owned()])?;
    let small_bytes = settled_rss_anon_bytes(pid)?;
    let joined = join_all(&mut swarm, http, to - from, tokens, &[ROOM.to_owned()])?;
    let large_bytes = settled_rss_anon_bytes(pid)?;
    let bytes_per_connection = (large_bytes as f64 - small_bytes as f64) / (to - from) as f64;
    Ok(Members { idle: Idle { small_bytes, large_bytes, bytes_per_connection }, joined })
}
