//! The head of a request: where it ends, and what it says about the message.
//!
//! Line ends are looked for as bytes arrive, each byte once, so that a bare line feed or an endless
//! line is refused without waiting; httparse reads the head when all of it is there. What is kept is
//! a few offsets into the head's own bytes, from which `Request` is made without parsing again.
//! The target is taken apart in `target.rs`; chunks are `chunked.rs`.

use std::mem::MaybeUninit;

use httparse::Header;
use memchr::{memchr, memchr_iter};

use super::asked::{Asked, Codings};
use super::request::{Headers, Method, Request, Version};
use super::response::Exchange;
use super::target::{Target, is_authority};
use super::{BARE_LINE_FEED, BODY_TOO_LARGE, Fault, HttpLimits, fault};
use crate::proto::buffer::RecvBuf;

/// A head that has been read: offsets into its bytes, and how the body is framed.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) framing: Framing,
    pub(super) expects_continue: bool,
    method: Method,
    version: Version,
    bytes: u32,
    method_name: Span,
    target: Span,
    path: Span,
    query: Option<Span>,
    host: Span,
    fields: Span,
}

/// Where the body ends (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes; none without a length.
    Sized(usize),
    /// Where the last chunk says.
    Chunked,
}

impl Head {
    /// Reads a whole head. `exchange` learns what the reply depends on as early as it is known, so
    /// that a refusal can respect it.
    pub(super) fn parse(wire: &[u8], limits: &HttpLimits, exchange: &mut Exchange) -> Result<Self, Fault> {
        let mut slots = [const { MaybeUninit::<Header<'_>>::uninit() }; FIELDS_CEILING];
        let slots = &mut slots[..limits.fields_max.min(FIELDS_CEILING)];
        let mut parsed = httparse::Request::new(&mut []);
        parsed.parse_with_uninit_headers(wire, slots).map_err(|error| parse_fault(error, wire))?;
        let (Some(name), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(MALFORMED);
        };
        let (method, version) = (Method::of(name), if minor == 0 { Version::Http10 } else { Version::Http11 });
        *exchange = Exchange { method_is_head: method == Method::Head, version, ..Exchange::default() };
        let mut fields = Fields::collect(parsed.headers, version)?;
        fields.asked.set_codings(fields.codings);
        exchange.asked = std::mem::take(&mut fields.asked);
        exchange.keep_alive = fields.keep_alive(version);
        let framing = fields.framing(version, limits)?;
        let parts = Target::parse(method, target)?;
        let host = parts.authority.unwrap_or(fields.host.unwrap_or_default());
        let line_bytes = memchr(b'\n', wire).map_or(0, |newline| newline + 1);
        Ok(Self {
            framing,
            expects_continue: fields.expects_continue && framing != Framing::Sized(0),
            method,
            version,
            bytes: wire.len() as u32,
            method_name: Span::of(name.as_bytes(), wire),
            target: Span::of(target.as_bytes(), wire),
            path: Span::of(parts.path.as_bytes(), wire),
            query: parts.query.map(|query| Span::of(query.as_bytes(), wire)),
            host: Span::of(host, wire),
            fields: Span::of(&wire[line_bytes..wire.len() - 2], wire),
        })
    }

    /// The head's length.
    pub(super) fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// The length of head and body, as far as the head tells it.
    pub(super) fn message_bytes(&self) -> usize {
        match self.framing {
            Framing::Sized(body_bytes) => self.bytes() + body_bytes,
            Framing::Chunked => self.bytes(),
        }
    }

    /// The request, given the bytes this head was parsed from.
    pub(super) fn request<'a>(&self, wire: &'a [u8], body: &'a [u8]) -> Request<'a> {
        let path = self.path.text(wire);
        Request {
            method: self.method,
            method_name: self.method_name.text(wire),
            target: self.target.text(wire),
            path: if path.is_empty() { "/" } else { path },
            query: self.query.map(|query| query.text(wire)),
            version: self.version,
            host: self.host.text(wire),
            headers: Headers::new(self.fields.bytes(wire)),
            body,
        }
    }
}

/// Drops empty lines before a request line, which old clients send after a body (RFC 9112 §2.2), and
/// says whether the line itself has begun.
pub(super) fn skip_empty_lines(rx: &mut RecvBuf, empty_lines: &mut u8) -> Result<bool, Fault> {
    while rx.scanned == 0 {
        match rx.data() {
            [] | [b'\r'] => return Ok(false),
            [b'\r', b'\n', ..] if *empty_lines < EMPTY_LINES_MAX => {
                *empty_lines += 1;
                rx.consume(2);
            }
            [b'\n', ..] => return Err(BARE_LINE_FEED),
            // Not a method: a TLS greeting on the plain port, say. It would wait for a line end in vain.
            [first, ..] if !is_token_byte(*first) => return Err(MALFORMED),
            _ => break,
        }
    }
    Ok(true)
}

/// The length of the head with its empty line, once that is there. Every line end is seen once.
pub(super) fn find_end(rx: &mut RecvBuf, line_ended: &mut bool, limits: &HttpLimits) -> Result<Option<usize>, Fault> {
    let data = rx.data();
    let searched = rx.scanned;
    for newline in memchr_iter(b'\n', &data[searched..]).map(|at| at + searched) {
        check_size(newline + 1, *line_ended, limits)?;
        *line_ended = true;
        match &data[..newline] {
            [.., b'\r', b'\n', b'\r'] => return Ok(Some(newline + 1)),
            [.., b'\r'] => {}
            _ => return Err(BARE_LINE_FEED),
        }
    }
    check_size(data.len(), *line_ended, limits)?;
    rx.scanned = data.len();
    Ok(None)
}

fn check_size(head_bytes: usize, line_ended: bool, limits: &HttpLimits) -> Result<(), Fault> {
    if !line_ended && head_bytes > limits.line_bytes_max {
        return Err(LINE_TOO_LONG);
    }
    if head_bytes > limits.head_bytes_max { Err(HEAD_TOO_LARGE) } else { Ok(()) }
}

/// The path of a request line that may be part of a refused request.
pub(super) fn path_hint(wire: &[u8], line_bytes_max: usize) -> Option<Box<str>> {
    let line = &wire[..wire.len().min(line_bytes_max)];
    let line = &line[..memchr(b'\n', line)?];
    let target = std::str::from_utf8(line.split(|&byte| byte == b' ').nth(1)?).ok()?;
    let path = target.split(['?', '#']).next()?;
    (path.starts_with('/') && !path.contains(char::is_control)).then(|| path.into())
}

/// The fields that decide about the message, gathered in one pass.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a [u8]>,
    length: Option<&'a [u8]>,
    coding: Option<&'a [u8]>,
    expects_continue: bool,
    says_close: bool,
    says_keep_alive: bool,
    asked: Asked,
    codings: Codings,
}

impl<'a> Fields<'a> {
    fn collect(headers: &[Header<'a>], version: Version) -> Result<Self, Fault> {
        let mut fields = Self::default();
        for header in headers {
            fields.note(header, version)?;
        }
        match fields.host {
            None if version == Version::Http11 => Err(HOST_MISSING),
            Some(host) if !is_authority(host) => Err(HOST_MALFORMED),
            _ => Ok(fields),
        }
    }

    fn note(&mut self, header: &Header<'a>, version: Version) -> Result<(), Fault> {
        let is = |name| header.name.eq_ignore_ascii_case(name);
        match header.name.len() {
            4 if is("host") => once(&mut self.host, header.value, HOST_REPEATED),
            6 if is("expect") && version == Version::Http11 => self.note_expectation(header.value),
            10 if is("connection") => {
                self.note_connection(header.value);
                Ok(())
            }
            13 if is("if-none-match") => {
                self.asked.note_unless(header.value);
                Ok(())
            }
            14 if is("content-length") => once(&mut self.length, header.value, LENGTH_REPEATED),
            15 if is("accept-encoding") => {
                self.codings.note(header.value);
                Ok(())
            }
            17 if is("transfer-encoding") => once(&mut self.coding, header.value, CODING_UNKNOWN),
            _ => Ok(()),
        }
    }

    fn note_expectation(&mut self, value: &[u8]) -> Result<(), Fault> {
        self.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
        if self.expects_continue { Ok(()) } else { Err(EXPECTATION_UNKNOWN) }
    }

    fn note_connection(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            self.says_close |= option.eq_ignore_ascii_case(b"close");
            self.says_keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn keep_alive(&self, version: Version) -> bool {
        !self.says_close && (version == Version::Http11 || self.says_keep_alive)
    }

    fn framing(&self, version: Version, limits: &HttpLimits) -> Result<Framing, Fault> {
        match (self.coding, self.length) {
            (Some(_), Some(_)) => Err(FRAMED_TWICE),
            (Some(_), None) if version == Version::Http10 => Err(CODING_IN_HTTP_10),
            (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
            (Some(_), None) => Err(CODING_UNKNOWN),
            (None, Some(length)) => parse_length(length, limits).map(Framing::Sized),
            (None, None) => Ok(Framing::Sized(0)),
        }
    }
}

fn once<'a>(place: &mut Option<&'a [u8]>, value: &'a [u8], repeated: Fault) -> Result<(), Fault> {
    if place.replace(value).is_some() { Err(repeated) } else { Ok(()) }
}

/// Digits and nothing else: no sign, no list, no blanks inside (RFC 9110 §8.6).
fn parse_length(value: &[u8], limits: &HttpLimits) -> Result<usize, Fault> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(LENGTH_MALFORMED);
    }
    let length = value.iter().fold(0_usize, |sum, digit| sum.saturating_mul(10).saturating_add((digit - b'0').into()));
    if length > limits.body_bytes_max { Err(BODY_TOO_LARGE) } else { Ok(length) }
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn parse_fault(error: httparse::Error, wire: &[u8]) -> Fault {
    match error {
        httparse::Error::TooManyHeaders => TOO_MANY_FIELDS,
        httparse::Error::Version if names_other_version(wire) => VERSION_UNKNOWN,
        httparse::Error::HeaderName | httparse::Error::HeaderValue => FIELD_MALFORMED,
        _ => MALFORMED,
    }
}

/// Whether the request line is in order except that it speaks another HTTP than ours.
fn names_other_version(wire: &[u8]) -> bool {
    let line = &wire[..memchr(b'\n', wire).unwrap_or(wire.len())];
    let parts: Vec<&[u8]> = line.trim_ascii_end().splitn(4, |&byte| byte == b' ').collect();
    match parts[..] {
        [_, _, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]] => major.is_ascii_digit() && minor.is_ascii_digit(),
        _ => false,
    }
}

/// A part of the head, as offsets: the head itself may lie elsewhere the next time it is looked at.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Where `part` lies in `wire`; what is not a part of it (nothing at all) becomes an empty span.
    fn of(part: &[u8], wire: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).wrapping_sub(wire.as_ptr() as usize);
        match start.checked_add(part.len()) {
            Some(end) if end <= wire.len() => Self { start: start as u32, end: end as u32 },
            _ => Self { start: 0, end: 0 },
        }
    }

    fn bytes(self, wire: &[u8]) -> &[u8] {
        &wire[self.start as usize..self.end as usize]
    }

    /// The part as text; `Head::parse` has seen that it is.
    fn text(self, wire: &[u8]) -> &str {
        std::str::from_utf8(self.bytes(wire)).unwrap_or_default()
    }
}

/// Room for the fields of one head on the stack (8 KiB); `HttpLimits::fields_max` can't exceed it.
pub(super) const FIELDS_CEILING: usize = 256;
/// RFC 9112 asks for "at least one" to be tolerated; a third is refused with 400.
const EMPTY_LINES_MAX: u8 = 2;

const MALFORMED: Fault = fault(400, "This is not an HTTP request.");
const FIELD_MALFORMED: Fault = fault(400, "A header field is malformed.");
const HOST_MISSING: Fault = fault(400, "The Host field is missing.");
const HOST_REPEATED: Fault = fault(400, "There is more than one Host field.");
const HOST_MALFORMED: Fault = fault(400, "The Host field is malformed.");
const LENGTH_REPEATED: Fault = fault(400, "There is more than one Content-Length field.");
const LENGTH_MALFORMED: Fault = fault(400, "The Content-Length field is malformed.");
const FRAMED_TWICE: Fault = fault(400, "Content-Length and Transfer-Encoding exclude each other.");
const CODING_IN_HTTP_10: Fault = fault(400, "HTTP/1.0 has no Transfer-Encoding.");
const CODING_UNKNOWN: Fault = fault(501, "The only transfer coding this server knows is chunked.");
const EXPECTATION_UNKNOWN: Fault = fault(417, "The only expectation this server meets is 100-continue.");
const LINE_TOO_LONG: Fault = fault(414, "The request line is longer than this server accepts.");
const HEAD_TOO_LARGE: Fault = fault(431, "The request head is larger than this server accepts.");
const TOO_MANY_FIELDS: Fault = fault(431, "The request has more header fields than this server accepts.");
const VERSION_UNKNOWN: Fault = fault(505, "This server speaks HTTP/1.1 and HTTP/1.0.");
