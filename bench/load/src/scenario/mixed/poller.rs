//! One who looks: at a series, at a search, at their own library, in turn, over HTTP.

use std::net::SocketAddr;

use serde::Deserialize;

use crate::drive::{Client, Verdict};
use crate::http::{Answer, Inbox, get_as};

/// A connection that asks over HTTP.
pub struct Poller {
    requests: [Vec<u8>; 3],
    sent: usize,
    inbox: Inbox,
}

impl Poller {
    /// Asks `http` about `manga`, as whoever has `token`.
    pub fn new(http: SocketAddr, manga: &str, token: &str) -> Self {
        let targets = [
            format!("/api/v1/manga/{manga}"),
            "/api/v1/manga?title=one&limit=20".to_owned(),
            "/api/v1/users/library?limit=20".to_owned(),
        ];
        Self { requests: targets.map(|target| get_as(http, &target, token)), sent: 0, inbox: Inbox::default() }
    }
}

impl Client for Poller {
    fn ask(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.requests[self.sent % self.requests.len()]);
        self.sent += 1;
    }

    fn receive(&mut self, bytes: &[u8], answered: &mut dyn FnMut(Verdict)) -> Result<(), String> {
        self.inbox.push(bytes);
        let Some(answer) = self.inbox.answer()? else { return Ok(()) };
        answered(judge(&answer));
        self.inbox.clear();
        Ok(())
    }
}

fn judge(answer: &Answer<'_>) -> Verdict {
    #[derive(Deserialize)]
    struct Body {
        success: bool,
    }
    match answer.status {
        200 if serde_json::from_slice::<Body>(answer.body).is_ok_and(|body| body.success) => Ok(200),
        200 => Err("a 200 that is no success".to_owned()),
        status => Err(format!("status {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that requests go round, that a success is one answer in pieces too, and that another status is a failure.
    #[test]
    fn requests_go_round() {
        let mut poller = Poller::new("127.0.0.1:1".parse().unwrap(), "one-piece", "t");
        let mut asked = || {
            let mut out = Vec::new();
            poller.ask(&mut out);
            String::from_utf8(out).unwrap()
        };
        let [first, second, third, again] = [asked(), asked(), asked(), asked()];
        assert!(first.starts_with("GET /api/v1/manga/one-piece ") && first.contains("Bearer t\r\n"), "{first}");
        assert!(second != first && third != second && again == first);
        let mut verdicts = Vec::new();
        let mut hear = |bytes: &[u8]| poller.receive(bytes, &mut |verdict| verdicts.push(verdict)).unwrap();
        hear(b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n");
        hear(b"{\"success\":true}");
        hear(b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n{}");
        assert_eq!(verdicts, [Ok(200), Err("status 503".to_owned())]);
    }
}
