//! Requests over HTTP on many connections, as fast as they are answered or at a rate.
//!
//! The same request over and over, or a mix of them in turn. An answer must be a success; of logins, which are slow
//! on purpose, a 503 that says "no room" is an answer too.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::asker::{Asker, Questions};
use super::echo::connect_all;
use super::task::{Ready, Setup, Task, share};
use crate::client::Swarm;
use crate::drive::{Drive, Pacing};
use crate::error::LoadError;
use crate::http::{Answer, get, post};
use crate::token::{Identity, PASSWORD};

/// Who asks for what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Asks {
    /// The server's HTTP address.
    pub http: SocketAddr,
    /// Whole requests, sent in turn.
    pub requests: Vec<String>,
    /// On how many connections, each with one request on its way.
    pub connections: usize,
    /// How many in a second, all connections together; as many as are answered, if `None`.
    pub rate: Option<f64>,
}

impl Asks {
    /// The part of one of several processes.
    pub fn part(&self, process: usize, of: usize) -> Self {
        let rate = self.rate.map(|rate| rate / of as f64);
        Self { connections: share(self.connections, process, of), rate, ..self.clone() }
    }

    /// Connects everyone.
    pub fn prepare(self, setup: &Setup) -> Result<Box<dyn Task>, LoadError> {
        if self.requests.is_empty() {
            return Err(LoadError::Missing("a request to send is needed".to_owned()));
        }
        let mut swarm = Swarm::from_sources(self.http, setup.sources)?;
        connect_all(&mut swarm, self.connections)?;
        let questions = Questions::new(self.requests.into_iter().map(String::into_bytes).collect(), judge);
        let askers: Vec<Asker> = (0..self.connections).map(|_| Asker::new(&questions)).collect();
        let drive = Drive::new(swarm).lane("request", Pacing::at(self.rate), 1, askers);
        Ok(Ready::boxed(drive, setup))
    }
}

/// The same path over and over.
pub fn one(http: SocketAddr, path: &str) -> Vec<String> {
    vec![text(get(http, path))]
}

/// What people do: of twenty requests fourteen for a series, five searches, one login.
pub fn mix(http: SocketAddr, manga: &str, words: &[String], users: &[Identity]) -> Vec<String> {
    let detail = text(get(http, &format!("/api/v1/manga/{manga}")));
    let rounds = words.len().div_ceil(SEARCHES).max(users.len());
    let mut requests = Vec::new();
    for round in 0..rounds {
        requests.extend(std::iter::repeat_n(detail.clone(), DETAILS));
        let some = words.iter().cycle().skip(round * SEARCHES).take(SEARCHES);
        requests.extend(some.map(|word| text(get(http, &format!("/api/v1/manga?title={word}&limit=20")))));
        let user = users.get(round % users.len().max(1)).map(|user| login(http, &user.username));
        requests.extend(user);
    }
    requests
}

fn login(http: SocketAddr, username: &str) -> String {
    let body = format!("{{\"username\":\"{username}\",\"password\":\"{PASSWORD}\"}}");
    text(post(http, "/api/v1/auth/login", &body))
}

fn text(request: Vec<u8>) -> String {
    String::from_utf8_lossy(&request).into_owned()
}

fn judge(answer: &Answer<'_>) -> Result<(), String> {
    match answer.status {
        200..300 | 503 => Ok(()),
        status => Err(format!("status {status}")),
    }
}

const DETAILS: usize = 14;
const SEARCHES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows the parts of the mix, and that every word and every user has a turn.
    #[test]
    fn a_mix_has_its_parts() {
        let user = |name: &str| Identity { user_id: "u".into(), username: name.into(), token: "t".into() };
        let words: Vec<String> = (0..10).map(|word| format!("word{word}")).collect();
        let host = "127.0.0.1:1".parse().unwrap();
        let mix = mix(host, "one-piece", &words, &[user("ann"), user("bob")]);
        let count = |part: &str| mix.iter().filter(|request| request.contains(part)).count();
        assert_eq!((mix.len(), count("GET /api/v1/manga/one-piece "), count("?title=")), (40, 28, 10));
        assert_eq!((count("word9&"), count("\"ann\""), count("\"bob\"")), (1, 1, 1));
    }

    /// Shows that a refusal for want of room is an answer, and another is not.
    #[test]
    fn an_answer_is_judged() {
        let verdict = |status| judge(&Answer { status, body: b"", length: 0 });
        assert_eq!((verdict(200), verdict(503), verdict(404)), (Ok(()), Ok(()), Err("status 404".to_owned())));
    }
}
