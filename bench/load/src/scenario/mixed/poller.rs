//! One who looks: at a series, at a search, at their own library, in turn, over HTTP.

use std::net::SocketAddr;

use serde::Deserialize;

use crate::http::{Answer, get_as};
use crate::scenario::asker::{Asker, Questions};

/// Asks `http` about `manga`, as whoever has `token`.
pub fn poller(http: SocketAddr, manga: &str, token: &str) -> Asker {
    let targets = [
        format!("/api/v1/manga/{manga}"),
        "/api/v1/manga?title=one&limit=20".to_owned(),
        "/api/v1/users/library?limit=20".to_owned(),
    ];
    Asker::new(&Questions::new(targets.map(|target| get_as(http, &target, token)).to_vec(), judge))
}

fn judge(answer: &Answer<'_>) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Body {
        success: bool,
    }
    match answer.status {
        200 if serde_json::from_slice::<Body>(answer.body).is_ok_and(|body| body.success) => Ok(()),
        200 => Err("a 200 that is no success".to_owned()),
        status => Err(format!("status {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::Client;

    /// Shows that a poller asks as its user, for one thing after the other.
    #[test]
    fn one_thing_after_the_other() {
        let mut poller = poller("127.0.0.1:1".parse().unwrap(), "one-piece", "t");
        let mut asked = || {
            let mut out = Vec::new();
            poller.ask(&mut out);
            String::from_utf8(out).unwrap()
        };
        let [first, second, third, again] = [asked(), asked(), asked(), asked()];
        assert!(first.starts_with("GET /api/v1/manga/one-piece ") && first.contains("Bearer t\r\n"), "{first}");
        assert!(second != first && third != second && again == first);
    }

    /// Shows that only a success is right.
    #[test]
    fn an_answer_is_judged() {
        let verdict = |status, body: &[u8]| judge(&Answer { status, body, length: 0 });
        assert_eq!(verdict(200, b"{\"success\":true,\"data\":{}}"), Ok(()));
        assert_eq!(verdict(503, b"{}"), Err("status 503".to_owned()));
        assert!(verdict(200, b"{\"success\":false}").is_err() && verdict(200, b"x").is_err());
    }
}
