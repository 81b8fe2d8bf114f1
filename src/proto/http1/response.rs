//! A reply, and its bytes.
//!
//! One append to the connection's send bytes, no formatting machinery on the way: this is the hot
//! path of every reply. Framing is decided here alone (RFC 9112 §6, RFC 9110 §8.6), so no handler can
//! get it wrong. What a reply says is the handlers' affair; whether it is sent compressed, or
//! at all to a client that has it already, is decided in `app/answer.rs`.

use std::borrow::Cow;
use std::sync::Arc;

use smallvec::SmallVec;

use super::asked::Asked;
use super::request::Version;

/// A reply to one request.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code, 100 to 999.
    pub status: u16,
    /// The body's media type; empty when there is no body to describe.
    pub content_type: &'static str,
    /// Further fields. `Date`, `Content-Type`, `Content-Length` and `Connection` are written here.
    pub headers: SmallVec<[(&'static str, Cow<'static, str>); 2]>,
    /// What follows the head, unless method or status forbid it.
    pub body: Body,
    /// Close the connection after this reply.
    pub close: bool,
}

/// A body that is ours, shared with other replies, or part of the program.
#[derive(Debug, Clone)]
pub enum Body {
    /// Made for this reply.
    Owned(Vec<u8>),
    /// One encoding for many replies.
    Shared(Arc<[u8]>),
    /// Known when the program was compiled.
    Static(&'static [u8]),
}

impl Body {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes) => bytes,
            Self::Static(bytes) => bytes,
        }
    }

    /// The bytes, to be held by several.
    pub fn into_shared(self) -> Arc<[u8]> {
        match self {
            Self::Owned(bytes) => bytes.into(),
            Self::Shared(bytes) => bytes,
            Self::Static(bytes) => bytes.into(),
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Owned(bytes)
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::Owned(text.into_bytes())
    }
}

impl From<Arc<[u8]>> for Body {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self::Shared(bytes)
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Self::Static(bytes)
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::Static(text.as_bytes())
    }
}

impl Response {
    /// A reply with a body of this media type.
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Body>) -> Self {
        Self { status, content_type, headers: SmallVec::new(), body: body.into(), close: false }
    }

    /// A JSON reply; the body is encoded already.
    pub fn json(status: u16, body: impl Into<Body>) -> Self {
        Self::new(status, "application/json", body)
    }

    /// A reply for people.
    pub fn text(status: u16, body: impl Into<Body>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body)
    }

    /// A reply without a body.
    pub fn empty(status: u16) -> Self {
        Self::new(status, "", Body::Static(b""))
    }

    /// The same reply with one more field. Control characters in the value become spaces on the wire,
    /// so that a value made from input can't add a line.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        debug_assert!(!OWN_FIELDS.iter().any(|own| own.eq_ignore_ascii_case(name)), "{name} is written by the codec");
        self.headers.push((name, value.into()));
        self
    }

    /// Whether it has a field of this name already.
    pub fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name))
    }

    /// The same reply, closing the connection.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// Appends the reply's bytes.
    pub(super) fn encode(&self, exchange: &Exchange, stays_open: bool, date: &str, out: &mut Vec<u8>) {
        let body = self.body.bytes();
        let body_sent = if exchange.method_is_head || !self.may_have_body() { &[] } else { body };
        out.reserve(HEAD_BYTES_USUAL + body_sent.len());
        push_status_line(self.status, out);
        push_field("Date", date, out);
        if !self.content_type.is_empty() && self.may_have_body() {
            push_field("Content-Type", self.content_type, out);
        }
        for (name, value) in &self.headers {
            push_field(name, value, out);
        }
        if self.may_have_body() {
            out.extend_from_slice(b"Content-Length: ");
            push_decimal(body.len(), out);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(self.connection_field(exchange.version, stays_open));
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(body_sent);
    }

    /// Interim replies, 204 and 304 end with their head and state no length (RFC 9110 §8.6, §15.4.5).
    fn may_have_body(&self) -> bool {
        !matches!(self.status, ..200 | 204 | 304)
    }

    /// What to say about the connection; a switch of protocols says it in a field of its own.
    fn connection_field(&self, version: Version, stays_open: bool) -> &'static [u8] {
        match (stays_open, version) {
            _ if self.status == 101 => b"",
            (false, _) => b"Connection: close\r\n",
            (true, Version::Http10) => b"Connection: keep-alive\r\n",
            (true, Version::Http11) => b"",
        }
    }
}

/// What a reply must know of the request it answers. The default belongs to a request that could not
/// be read.
#[derive(Debug, Default, Clone)]
pub(super) struct Exchange {
    pub(super) method_is_head: bool,
    pub(super) version: Version,
    pub(super) keep_alive: bool,
    pub(super) asked: Asked,
}

fn push_status_line(status: u16, out: &mut Vec<u8>) {
    debug_assert!((100..1000).contains(&status), "{status} is not a status code");
    out.extend_from_slice(b"HTTP/1.1 ");
    push_decimal(status.into(), out);
    out.push(b' ');
    out.extend_from_slice(reason(status).as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn push_field(name: &str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    if value.bytes().any(|byte| byte.is_ascii_control()) {
        out.extend(value.bytes().map(|byte| if byte.is_ascii_control() { b' ' } else { byte }));
    } else {
        out.extend_from_slice(value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

fn push_decimal(mut number: usize, out: &mut Vec<u8>) {
    let mut digits = [0; DECIMAL_DIGITS_MAX];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

/// The standard's phrase for a status code (RFC 9110 §15, RFC 6585); nothing for one it does not know.
pub(super) const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "",
    }
}

/// Fields that frame or describe the message; a second one from a handler would contradict them.
const OWN_FIELDS: [&str; 4] = ["date", "content-type", "content-length", "transfer-encoding"];
/// What a head usually takes, so that a reply needs one allocation at most. More is only slower.
const HEAD_BYTES_USUAL: usize = 256;
/// The digits of the largest 64-bit number.
const DECIMAL_DIGITS_MAX: usize = 20;
