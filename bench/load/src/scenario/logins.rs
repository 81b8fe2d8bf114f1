//! More logins than bcrypt allows: some are served, the rest must be told so soon, and nobody else waits.
//!
//! The passwords are right, so that no pause after a failure gets in the way. A login is answered 200 with a
//! token, or 503 when too many wait; anything else is a failure.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use super::Pace;
use super::open_loop::{self, Offer, OpenLoop};
use crate::error::LoadError;
use crate::http::{self, Answer};
use crate::token::{Identity, PASSWORD};

/// Logs `users` in over `http` in turn, `per_second` of them, and pings `tcp` meanwhile.
pub fn run(
    http: SocketAddr,
    tcp: SocketAddr,
    users: &[Identity],
    per_second: f64,
    pace: Pace,
) -> Result<OpenLoop, LoadError> {
    let first = users.first().ok_or_else(|| LoadError::Missing("a user to log in is needed".to_owned()))?;
    let requests: Vec<Vec<u8>> = users.iter().map(|user| login(http, &user.username)).collect();
    let offer = Offer { requests: &requests, per_second, connections: CONNECTIONS, drain: DRAIN, judge };
    open_loop::run(http, tcp, &first.token, &offer, pace)
}

fn login(http: SocketAddr, username: &str) -> Vec<u8> {
    let body = format!("{{\"username\":\"{username}\",\"password\":\"{PASSWORD}\"}}");
    http::post(http, "/api/v1/auth/login", &body)
}

fn judge(answer: &Answer<'_>) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Body {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        token: String,
    }
    match answer.status {
        200 => match serde_json::from_slice::<Body>(answer.body) {
            Ok(body) if !body.data.token.is_empty() => Ok(()),
            _ => Err("a login without a token".to_owned()),
        },
        503 => Ok(()),
        status => Err(format!("status {status}")),
    }
}

/// More than the server lets wait, so that it is the server that says no, not a queue on this side.
const CONNECTIONS: usize = 256;

/// Five times as long as a full queue of logins takes.
const DRAIN: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that a token and a refusal for want of room are answers, and nothing else is.
    #[test]
    fn an_answer_is_judged() {
        let verdict = |status, body: &[u8]| judge(&Answer { status, body, length: 0 });
        assert_eq!(verdict(200, br#"{"success":true,"data":{"user":{},"token":"x.y.z"}}"#), Ok(()));
        assert_eq!(verdict(503, br#"{"success":false}"#), Ok(()));
        assert!(verdict(200, br#"{"success":true,"data":{}}"#).is_err());
        assert_eq!(verdict(429, b"{}"), Err("status 429".to_owned()));
    }
}
