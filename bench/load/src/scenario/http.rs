//! One GET over and over, on many connections: `wrk` asks, as fast as it gets answers.
//!
//! The load is a program of its own because it is the one that others measure with. A closed loop: every
//! connection has one request on its way. A socket error, or an answer that is no success, spoils the number.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use serde::Serialize;

use crate::error::LoadError;
use crate::guard;

/// What a run of `wrk` showed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Http {
    /// Answers per second.
    pub requests_per_second: f64,
}

/// Asks `host` for `path` on `connections`, with one thread on the core that this process is bound to.
pub fn run(host: SocketAddr, path: &str, connections: usize, seconds: f64) -> Result<Http, LoadError> {
    guard::check(host)?;
    // wrk knows whole seconds only.
    let (connections, seconds) = (connections.max(1), seconds.clamp(1.0, 600.0).ceil());
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}"), &format!("http://{host}{path}")]);
    let output = command.stdin(Stdio::null()).output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => LoadError::Missing("wrk is not installed (Debian package wrk)".to_owned()),
        _ => LoadError::Io { doing: "start wrk".to_owned(), source: error },
    })?;
    match output.status.success() {
        true => read(&String::from_utf8_lossy(&output.stdout)),
        false => Err(LoadError::Wrong(format!("wrk: {}", String::from_utf8_lossy(&output.stderr).trim()))),
    }
}

/// The number in what `wrk` prints, unless it has a complaint.
fn read(said: &str) -> Result<Http, LoadError> {
    let find = |name: &str| said.lines().find_map(|line| line.trim().strip_prefix(name));
    for complaint in ["Socket errors:", "Non-2xx or 3xx responses:"] {
        if let Some(rest) = find(complaint) {
            return Err(LoadError::Wrong(format!("wrk: {complaint}{rest}")));
        }
    }
    let number = find("Requests/sec:").and_then(|rest| rest.trim().parse().ok()).filter(|rate| *rate > 0.0);
    let requests_per_second = number.ok_or_else(|| LoadError::Wrong("wrk had no answer".to_owned()))?;
    Ok(Http { requests_per_second })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that the rate is found, and that errors, refusals and silence are no numbers.
    #[test]
    fn what_wrk_says_is_read() {
        let said = |middle: &str, rate: &str| {
            format!("Running 2s test\n  9 requests in 2.00s\n{middle}Requests/sec: {rate}\n")
        };
        assert_eq!(read(&said("", " 139591.25")).unwrap().requests_per_second, 139_591.25);
        assert!(read(&said("  Socket errors: connect 0, read 3, write 0, timeout 0\n", "5.0")).is_err());
        assert!(read(&said("  Non-2xx or 3xx responses: 9\n", "5.0")).is_err());
        assert!(read(&said("", "0.00")).is_err());
    }
}
