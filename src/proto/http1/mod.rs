//! HTTP/1.1, the server's side: bytes in, whole requests out; replies in, bytes out.
//!
//! `Http1` is one connection's place in the conversation (RFC 9112). A request is handed out when its
//! whole body is there, as a view into the receive buffer, and can be looked at again until `finish`
//! consumes it. A chunked body alone is copied: its payload is collected here while the framing
//! around it is consumed, so that the wire form never occupies memory beyond the limits.
//!
//! What must hold: how the bytes were cut into reads changes nothing; of two readings of a message
//! neither is chosen, the message is refused (a proxy before us may have read it the other way);
//! after an error or a closing reply nothing more is decoded. No byte is searched
//! twice for the end of a line.
//!
//! Not here: sockets and deadlines (`phase` tells the owner which deadline applies), routes,
//! and the shape of error bodies, which depends on the path (`HttpError::path`).
//! Read on in `head.rs`, `target.rs`, `chunked.rs`, `request.rs`, `asked.rs`, `response.rs`.

mod asked;
mod chunked;
mod head;
mod request;
mod response;
mod target;

use std::sync::Arc;

pub use self::asked::Asked;
pub(crate) use self::asked::weight;
pub use self::request::{Headers, Method, QueryPairs, Request, Segments, Version};
pub use self::response::{Body, Response};

use self::chunked::ChunkedBody;
use self::head::{Framing, Head};
use self::response::Exchange;
use crate::proto::buffer::RecvBuf;

/// How much of a request one connection may make us hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpLimits {
    /// The request line and all fields, in bytes; also a chunked body's extensions and trailers
    /// together. Beyond: 431.
    pub head_bytes_max: usize,
    /// The request line with its line end, in bytes. Beyond: 414.
    pub line_bytes_max: usize,
    /// Header fields, at most `FIELDS_CEILING`. Beyond: 431.
    pub fields_max: usize,
    /// The decoded body, in bytes. Beyond: 413.
    pub body_bytes_max: usize,
}

impl Default for HttpLimits {
    /// What browsers, proxies and our own clients stay far below; the body is the largest list import.
    fn default() -> Self {
        Self { head_bytes_max: 16 << 10, line_bytes_max: 8 << 10, fields_max: 64, body_bytes_max: 1 << 20 }
    }
}

/// One connection's codec. It holds no buffer unless a chunked request is under way.
#[derive(Debug)]
pub struct Http1 {
    limits: Arc<HttpLimits>,
    state: State,
    /// The client waits for our 100 before it sends the body.
    continue_due: bool,
    /// What the reply must know of the request it answers.
    exchange: Exchange,
}

/// What the received bytes amount to.
#[derive(Debug)]
pub enum Decoded<'a> {
    /// No whole request yet; nothing to do until more bytes come.
    NeedMore,
    /// Send `Http1::continue_line` now, then decode again. Comes at most once for a request.
    Continue,
    /// A request with its whole body. It stays until `Http1::finish`.
    Request(Request<'a>),
    /// The client ended between two requests, or the conversation was ended from here.
    Closed,
}

pub use super::Phase;

/// A request that cannot be read. Answer it with `Http1::encode_error`, unless `truncated`, and close.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {what}")]
pub struct HttpError {
    /// The status code to answer with.
    pub status: u16,
    /// One sentence for the client.
    pub what: &'static str,
    /// The path, as sent, if the request line got that far: it decides the shape of the answer.
    pub path: Option<Box<str>>,
    /// The client went away in the middle of its request: there is nobody to answer.
    pub truncated: bool,
}

impl Http1 {
    /// A connection that has said nothing yet.
    pub fn new(limits: Arc<HttpLimits>) -> Self {
        Self { limits, state: State::START, continue_due: false, exchange: Exchange::default() }
    }

    /// What the request that was decoded last asks of its answer's form.
    pub fn asked(&self) -> &Asked {
        &self.exchange.asked
    }

    /// Reads on. `eof` says that nothing will follow what is in `rx`.
    ///
    /// A request that is not finished is returned again, unchanged, by the next call.
    ///
    /// # Errors
    /// When the bytes are no request this server will read; from then on it decodes `Closed`.
    pub fn decode<'a>(&'a mut self, rx: &'a mut RecvBuf, eof: bool) -> Result<Decoded<'a>, HttpError> {
        match self.advance(rx) {
            Ok(Step::Whole) => Ok(self.request(rx).map_or(Decoded::Closed, Decoded::Request)),
            Ok(Step::Closed) => Ok(Decoded::Closed),
            Ok(_) if eof && self.phase(rx) == Phase::Idle => Ok(Decoded::Closed),
            Ok(_) if eof => Err(HttpError { truncated: true, ..self.fail(TRUNCATED, rx) }),
            Ok(Step::Continue) => Ok(Decoded::Continue),
            Ok(Step::NeedMore) => Ok(Decoded::NeedMore),
            Err(fault) => Err(self.fail(fault, rx)),
        }
    }

    /// Consumes the request that `decode` returned last; the bytes after it stay in `rx`.
    /// Without a whole request it does nothing.
    pub fn finish(&mut self, rx: &mut RecvBuf) {
        match &self.state {
            State::Sized(head) if rx.len() >= head.message_bytes() => rx.consume(head.message_bytes()),
            State::Chunked(collected) if collected.body.is_whole() => {}
            _ => return,
        }
        self.state = State::START;
    }

    /// Which part of a message comes next, given what is unread.
    pub fn phase(&self, rx: &RecvBuf) -> Phase {
        match self.state {
            State::Head { .. } if rx.is_empty() => Phase::Idle,
            State::Head { .. } => Phase::Head,
            State::Sized(_) | State::Chunked(_) => Phase::Body,
            State::Closed => Phase::Idle,
        }
    }

    /// Appends the reply to the request that was decoded last, before or after its `finish`, and says
    /// whether the connection stays open. `date` is the `Date` field's value (`http_date.rs`).
    pub fn encode(&mut self, response: &Response, date: &str, out: &mut Vec<u8>) -> bool {
        let exchange = std::mem::take(&mut self.exchange);
        let stays_open = exchange.keep_alive && !response.close;
        response.encode(&exchange, stays_open, date, out);
        if !stays_open {
            self.state = State::Closed;
        }
        stays_open
    }

    /// Appends the answer to a request that could not be read. The connection always closes after it:
    /// nobody knows where the next request would begin.
    pub fn encode_error(&mut self, response: &Response, date: &str, out: &mut Vec<u8>) {
        response.encode(&std::mem::take(&mut self.exchange), false, date, out);
        self.state = State::Closed;
    }

    /// The interim reply that invites the body (RFC 9110 §15.2.1).
    pub const fn continue_line() -> &'static [u8] {
        b"HTTP/1.1 100 Continue\r\n\r\n"
    }

    fn advance(&mut self, rx: &mut RecvBuf) -> Result<Step, Fault> {
        if matches!(self.state, State::Head { .. }) && !self.read_head(rx)? {
            return Ok(Step::NeedMore);
        }
        let (body_begun, whole) = match &mut self.state {
            State::Head { .. } => return Ok(Step::NeedMore),
            State::Closed => return Ok(Step::Closed),
            State::Sized(head) => (rx.len() > head.bytes(), rx.len() >= head.message_bytes()),
            State::Chunked(collected) => (!rx.is_empty(), collected.body.read(rx, &self.limits)?),
        };
        if whole {
            return Ok(Step::Whole);
        }
        // A client that already sends its body waits for no invitation (RFC 9110 §10.1.1).
        let invite = std::mem::take(&mut self.continue_due) && !body_begun;
        Ok(if invite { Step::Continue } else { Step::NeedMore })
    }

    /// Whether the head is there; then it is parsed and the state says how the body is framed.
    fn read_head(&mut self, rx: &mut RecvBuf) -> Result<bool, Fault> {
        let State::Head { line_ended, empty_lines } = &mut self.state else { return Ok(true) };
        if !head::skip_empty_lines(rx, empty_lines)? {
            return Ok(false);
        }
        let Some(head_bytes) = head::find_end(rx, line_ended, &self.limits)? else { return Ok(false) };
        let wire = &rx.data()[..head_bytes];
        let head = Head::parse(wire, &self.limits, &mut self.exchange)?;
        self.continue_due = head.expects_continue;
        self.state = match head.framing {
            Framing::Sized(_) => State::Sized(head),
            Framing::Chunked => State::Chunked(Box::new(Collected::new(head, wire))),
        };
        if matches!(self.state, State::Chunked(_)) {
            rx.consume(head_bytes);
        }
        Ok(true)
    }

    fn request<'a>(&'a self, rx: &'a RecvBuf) -> Option<Request<'a>> {
        match &self.state {
            State::Sized(head) => {
                let (wire, body) = rx.data()[..head.message_bytes()].split_at(head.bytes());
                Some(head.request(wire, body))
            }
            State::Chunked(collected) => Some(collected.head.request(&collected.wire, collected.body.bytes())),
            State::Head { .. } | State::Closed => None,
        }
    }

    /// Turns a fault into the error for the caller and ends the conversation.
    fn fail(&mut self, fault: Fault, rx: &RecvBuf) -> HttpError {
        let wire = match &self.state {
            State::Chunked(collected) => &collected.wire,
            _ => rx.data(),
        };
        let path = head::path_hint(wire, self.limits.line_bytes_max);
        self.state = State::Closed;
        HttpError { status: fault.status, what: fault.what, path, truncated: false }
    }
}

#[derive(Debug)]
enum State {
    /// The head is not all there.
    Head { line_ended: bool, empty_lines: u8 },
    /// Head and body lie in the receive buffer, one after the other.
    Sized(Head),
    /// Head and body are collected here.
    Chunked(Box<Collected>),
    /// Nothing more is read.
    Closed,
}

impl State {
    const START: Self = Self::Head { line_ended: false, empty_lines: 0 };
}

/// A chunked request under way, with the head's own bytes.
#[derive(Debug)]
struct Collected {
    head: Head,
    wire: Box<[u8]>,
    body: ChunkedBody,
}

impl Collected {
    fn new(head: Head, wire: &[u8]) -> Self {
        Self { head, wire: wire.into(), body: ChunkedBody::default() }
    }
}

enum Step {
    NeedMore,
    Continue,
    Whole,
    Closed,
}

/// What is wrong with the bytes, before it is known whose they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fault {
    status: u16,
    what: &'static str,
}

const fn fault(status: u16, what: &'static str) -> Fault {
    Fault { status, what }
}

const TRUNCATED: Fault = fault(400, "The connection ended in the middle of a request.");
const BODY_TOO_LARGE: Fault = fault(413, "The body is larger than this server accepts.");
const BARE_LINE_FEED: Fault = fault(400, "Lines end with CR LF; a line feed alone is refused.");

#[cfg(test)]
mod tests;
