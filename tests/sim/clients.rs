//! The clients of the simulated world: what they send, and what the honest ones hold the server to.
//!
//! An honest client knows which answer each of its requests must have, and panics at the first that
//! is out of order, twice or wrong. What it has not been told yet it reports with
//! [`Client::waits_for`].

use std::collections::VecDeque;
use std::io::Read;

use serde_json::Value;

use super::net::{SimNet, SocketId};

/// How a client behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A sync client of either dialect that does everything right.
    Line { v2: bool },
    /// An HTTP client that keeps its connection and pipelines.
    Http,
    /// Joins, asks, and then never reads again.
    Deaf,
    /// Connects and says nothing.
    Silent,
    /// Sends what is no protocol.
    Garbage,
}

/// How an honest client ends: by itself at some point, or not before the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    Never,
    HalfClose,
    Abort,
}

/// What an honest client must hear next.
#[derive(Debug)]
enum Expected {
    /// A line of one of these types that holds this text.
    Line(&'static [&'static str], String),
    /// A response with one of these statuses that holds this text.
    Response(&'static [u16], String),
}

/// A client.
pub struct Client {
    pub id: SocketId,
    pub kind: Kind,
    pub leaving: Leaving,
    pub left: bool,
    /// The server had no room for it, or the kernel dropped it: it has no claims.
    pub excused: bool,
    /// The most that arrives of it at once: one byte makes a dribbler.
    pub piece: usize,
    user: usize,
    requests_left: usize,
    expected: VecDeque<Expected>,
    input: Vec<u8>,
    /// Chapters that it sent and has not heard of.
    unheard: VecDeque<i64>,
    /// Numbers of the events it heard, and the last one there was when it joined.
    pub heard: Vec<i64>,
    pub joined_after: Option<i64>,
}

impl Client {
    pub fn new(net: &SimNet, kind: Kind, user: usize) -> Self {
        let listener = match kind {
            Kind::Http => 0,
            Kind::Line { v2: true } => 2,
            Kind::Garbage => net.below(3),
            _ => 1,
        };
        Self {
            id: net.connect(listener),
            kind,
            leaving: [Leaving::Never, Leaving::Never, Leaving::Never, Leaving::HalfClose, Leaving::Abort][net.below(5)],
            left: false,
            excused: false,
            piece: [1, 7, 100, 10_000][net.below(4)],
            user,
            requests_left: 5 + net.below(30),
            expected: VecDeque::new(),
            input: Vec::new(),
            unheard: VecDeque::new(),
            heard: Vec::new(),
            joined_after: None,
        }
    }

    /// Whether its claims count.
    pub fn is_honest(&self) -> bool {
        matches!(self.kind, Kind::Line { .. } | Kind::Http) && !self.excused
    }

    /// What it must still be told; nothing if it has no claims any more.
    pub fn waits_for(&self) -> Option<String> {
        let owed = self.is_honest() && !(self.left && self.leaving == Leaving::Abort);
        // Who has said that nothing more comes is answered, but no member any more.
        let unheard = !self.left && !self.unheard.is_empty();
        (owed && (unheard || !self.expected.is_empty()))
            .then(|| format!("{:?} {:?} unheard {:?}", self.kind, self.expected, self.unheard))
    }

    /// Sends something, or leaves.
    pub fn act(&mut self, net: &SimNet, tokens: &[String], slugs: &[String], serial: &mut i64) {
        if self.left || self.requests_left == 0 {
            return;
        }
        self.requests_left -= 1;
        if self.requests_left == 0 && self.leaving != Leaving::Never {
            return self.leave(net);
        }
        *serial += 1;
        match self.kind {
            Kind::Line { .. } | Kind::Deaf => self.send_line(net, tokens, slugs, *serial),
            Kind::Http => self.send_request(net, tokens, slugs, *serial),
            Kind::Silent => {}
            Kind::Garbage => {
                let bytes: Vec<u8> = (0..net.below(300)).map(|_| b"\n\r{\"} :GET/\0\xff"[net.below(13)]).collect();
                net.send(self.id, &bytes);
            }
        }
    }

    /// Goes away as it was meant to.
    pub fn leave(&mut self, net: &SimNet) {
        self.left = true;
        match self.leaving {
            Leaving::Abort => net.abort(self.id),
            _ => net.half_close(self.id),
        }
    }

    fn send_line(&mut self, net: &SimNet, tokens: &[String], slugs: &[String], serial: i64) {
        let v2 = self.kind == Kind::Line { v2: true };
        if self.expected.is_empty() && self.joined_after.is_none() {
            self.line(net, &format!(r#"{{"type":"auth","data":{{"token":"{}"}}}}"#, tokens[self.user]));
            self.expected.push_back(Expected::Line(&["auth_success"], String::new()));
            return;
        }
        let slug = &slugs[net.below(slugs.len())];
        let joined = self.joined_after.is_some();
        match net.below(if joined { 8 } else { 5 }) {
            0 | 1 => {
                self.line(net, &format!(r#"{{"type":"ping","data":{{"client_time":{serial}}}}}"#));
                self.expected.push_back(Expected::Line(&["pong"], format!("\"client_time\":{serial}}}")));
            }
            2 => {
                self.line(net, &format!(r#"{{"type":"no-{serial}"}}"#));
                self.expected.push_back(Expected::Line(&["error"], format!("no-{serial}")));
            }
            3 => {
                self.line(net, &format!(r#"{{"type":"get_progress","data":{{"manga_id":"{slug}"}}}}"#));
                self.expected.push_back(Expected::Line(&["progress", "error"], String::new()));
            }
            4 => {
                self.line(net, &format!(r#"{{"type":"delete_progress","data":{{"manga_id":"{slug}"}}}}"#));
                self.expected.push_back(Expected::Line(&["progress_deleted", "error"], String::new()));
            }
            _ => {
                let (kind, chapter) = if v2 { ("progress_update", "chapter") } else { ("progress", "current_chapter") };
                let data = format!(r#"{{"manga_id":"{slug}","{chapter}":{serial},"status":"reading"}}"#);
                self.line(net, &format!(r#"{{"type":"{kind}","data":{data}}}"#));
                self.unheard.push_back(serial);
            }
        }
    }

    fn line(&self, net: &SimNet, line: &str) {
        net.send(self.id, format!("{line}\n").as_bytes());
    }

    fn send_request(&mut self, net: &SimNet, tokens: &[String], slugs: &[String], serial: i64) {
        let slug = &slugs[net.below(slugs.len())];
        let token = &tokens[self.user];
        let put =
            format!("PUT /api/v1/users/progress/{slug} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}");
        let body = format!(r#"{{"current_chapter":{serial}}}"#);
        let (text, statuses, needle): (String, &'static [u16], String) = match net.below(5) {
            0 => ("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n".into(), &[200], String::new()),
            1 => {
                // Compressed, it makes a detour through the slow lane that nothing may overtake.
                let coding = ["identity", "gzip", "gzip, identity;q=0"][net.below(3)];
                let text = format!(
                    "GET /api/v1/manga/{slug} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {coding}\r\n\r\n"
                );
                (text, &[200], format!("\"{slug}\""))
            }
            2 => {
                (format!("GET /nothing/{serial} HTTP/1.1\r\nHost: localhost\r\n\r\n"), &[404], "nothing at this".into())
            }
            3 => (format!("{put}\r\nContent-Length: {}\r\n\r\n{body}", body.len()), &[200, 404], String::new()),
            _ => {
                let (start, end) = body.split_at(1 + net.below(body.len() - 1));
                let chunks = format!("{:x}\r\n{start}\r\n{:x}\r\n{end}\r\n0\r\n\r\n", start.len(), end.len());
                (format!("{put}\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"), &[200, 404], String::new())
            }
        };
        net.send(self.id, text.as_bytes());
        self.expected.push_back(Expected::Response(statuses, needle));
    }

    /// Takes up to `most` bytes and holds them against what was expected. `last_seq` is the highest
    /// number that the store has given to an event.
    pub fn hear(&mut self, net: &SimNet, most: usize, last_seq: i64) {
        if self.kind == Kind::Deaf && self.joined_after.is_some() {
            return;
        }
        self.input.extend(net.receive(self.id, most));
        match self.kind {
            Kind::Line { .. } | Kind::Deaf => self.hear_lines(last_seq),
            Kind::Http => self.hear_responses(),
            _ => self.input.clear(),
        }
    }

    fn hear_lines(&mut self, last_seq: i64) {
        while let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.input.drain(..=end).collect();
            let line = String::from_utf8(line).expect("text");
            let value: Value = serde_json::from_str(&line).expect("a JSON line");
            match value["type"].as_str().expect("every line has a type") {
                "broadcast" | "progress_broadcast" => self.hear_event(&value["data"]),
                // The server says goodbye: from here nothing is promised.
                "system" => self.excused = true,
                _ if line.contains("The server is full") => self.excused = true,
                // It never said who it was.
                _ if line.contains("AUTH_TIMEOUT") && self.expected.is_empty() => self.excused = true,
                kind => self.hear_answer(kind, &line, last_seq),
            }
        }
    }

    fn hear_event(&mut self, data: &Value) {
        assert!(self.joined_after.is_some(), "an event before the welcome");
        let seq = data["seq"].as_i64().expect("a number");
        assert!(self.heard.last().is_none_or(|last| *last < seq), "event {seq} after {:?}", self.heard.last());
        self.heard.push(seq);
        let chapter = data["chapter_exact"].as_i64().expect("a whole chapter");
        if let Some(place) = self.unheard.iter().position(|sent| *sent == chapter) {
            assert_eq!(place, 0, "its own changes are told in another order");
            self.unheard.pop_front();
        }
    }

    fn hear_answer(&mut self, kind: &str, line: &str, last_seq: i64) {
        if self.kind == Kind::Deaf {
            // Its jobs may be lost, so it can't expect anything. This was the last that it hears.
            self.joined_after = Some(last_seq);
            return;
        }
        let Some(Expected::Line(kinds, text)) = self.expected.pop_front() else { panic!("nobody asked for {line}") };
        assert!(kinds.contains(&kind) && line.contains(&text), "expected {kinds:?} {text}, heard {line}");
        if kind == "auth_success" {
            self.joined_after = Some(last_seq);
        }
    }

    fn hear_responses(&mut self) {
        loop {
            let text = String::from_utf8_lossy(&self.input).into_owned();
            let Some(head_end) = text.find("\r\n\r\n") else { return };
            let head = &text[..head_end];
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let body_end = head_end + 4 + length.unwrap_or(0usize);
            if self.input.len() < body_end {
                return;
            }
            let body = unpacked(head, &self.input[head_end + 4..body_end]);
            self.input.drain(..body_end);
            if body.contains("The server is full") || head.contains("onnection: close") {
                self.excused = true;
                continue;
            }
            let status: u16 = head[9..12].parse().expect("a status");
            let Some(Expected::Response(statuses, needle)) = self.expected.pop_front() else {
                panic!("unasked: {text}")
            };
            assert!(
                statuses.contains(&status) && body.contains(&needle),
                "expected {statuses:?} {needle}: {head}{body}"
            );
        }
    }
}

/// A body as text, whatever its coding.
fn unpacked(head: &str, body: &[u8]) -> String {
    let mut text = String::new();
    match head.contains("Content-Encoding: gzip") {
        true => drop(flate2::read::GzDecoder::new(body).read_to_string(&mut text).expect("gzip")),
        false => text = String::from_utf8_lossy(body).into_owned(),
    }
    text
}
