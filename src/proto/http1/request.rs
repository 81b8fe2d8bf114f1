//! A request as handlers see it: a view into received bytes, decoded on demand.
//!
//! Nothing is copied or looked up before it is asked for. Framing fields were judged in `head.rs`;
//! what a path, a parameter or a token means is the routes' affair.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter};
use percent_encoding::percent_decode_str;
use smallvec::SmallVec;

use super::HttpError;

/// One request with its whole body.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method, to decide by.
    pub method: Method,
    /// The method as sent.
    pub method_name: &'a str,
    /// The whole request target, as sent.
    pub target: &'a str,
    /// The path, not decoded; begins with `/`, or is `*` (OPTIONS only).
    pub path: &'a str,
    /// What follows the `?`, not decoded.
    pub query: Option<&'a str>,
    /// The HTTP version.
    pub version: Version,
    /// Host and port that the client believes to talk to: the absolute target's, else the Host
    /// field's. Well formed; empty only in HTTP/1.0.
    pub host: &'a str,
    /// The header fields, in order.
    pub headers: Headers<'a>,
    /// The body, with any chunked framing removed.
    pub body: &'a [u8],
}

/// A path's decoded segments.
pub type Segments<'a> = SmallVec<[Cow<'a, str>; 8]>;

/// A query's decoded names and values, as the WHATWG URL standard reads a form.
pub type QueryPairs<'a> = form_urlencoded::Parse<'a>;

impl<'a> Request<'a> {
    /// The first field of this name (case does not matter), if there is one and it is UTF-8.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.all(name).next().and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Whether there is a field of this name, whatever it contains.
    pub fn has_header(&self, name: &str) -> bool {
        self.headers.all(name).next().is_some()
    }

    /// The path between its slashes, percent-decoded after splitting, so that `%2F` separates nothing.
    /// `/` has none; a trailing slash makes a last segment that is empty. A `%` without two digits
    /// after it stands for itself.
    ///
    /// # Errors
    /// 400 when a segment is not UTF-8 or contains NUL.
    pub fn segments(&self) -> Result<Segments<'a>, HttpError> {
        let inner = self.path.strip_prefix('/').unwrap_or(self.path);
        if inner.is_empty() {
            return Ok(Segments::new());
        }
        inner.split('/').map(|segment| self.decode_segment(segment)).collect()
    }

    fn decode_segment(&self, segment: &'a str) -> Result<Cow<'a, str>, HttpError> {
        if memchr(b'%', segment.as_bytes()).is_none() {
            return Ok(Cow::Borrowed(segment));
        }
        match percent_decode_str(segment).decode_utf8() {
            Ok(text) if !text.contains('\0') => Ok(text),
            _ => {
                let what = "The path must be UTF-8 text without NUL.";
                Err(HttpError { status: 400, what, path: Some(self.path.into()), truncated: false })
            }
        }
    }

    /// The query's names and values, decoded; none without a query.
    pub fn query_pairs(&self) -> QueryPairs<'a> {
        form_urlencoded::parse(self.query.unwrap_or_default().as_bytes())
    }

    /// The token of `Authorization: Bearer` (RFC 6750 §2.1). Two Authorization fields are as good as
    /// none: nobody can tell which one was checked before us.
    pub fn bearer(&self) -> Option<&'a str> {
        let mut fields = self.headers.all("authorization");
        let (Some(value), None) = (fields.next(), fields.next()) else { return None };
        let (scheme, token) = std::str::from_utf8(value).ok()?.split_once(' ')?;
        let token = token.trim_start_matches(' ');
        (scheme.eq_ignore_ascii_case("bearer") && is_token68(token)).then_some(token)
    }
}

/// What the client wants done (RFC 9110 §9, RFC 5789). CONNECT never reaches a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the variants are the methods")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Patch,
    Options,
    Trace,
    Connect,
    /// Any other; `Request::method_name` has it.
    Other,
}

impl Method {
    /// The method of this name; case matters (RFC 9110 §9.1).
    pub fn of(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "PATCH" => Self::Patch,
            "OPTIONS" => Self::Options,
            "TRACE" => Self::Trace,
            "CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }
}

/// The version a client speaks.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Closes after the reply unless told otherwise.
    Http10,
    /// Stays open unless told otherwise.
    #[default]
    Http11,
}

/// The header fields of a head that has been parsed.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a> {
    /// Lines with their line ends, nothing else; `Head::parse` has checked them.
    lines: &'a [u8],
}

impl<'a> Headers<'a> {
    pub(super) const fn new(lines: &'a [u8]) -> Self {
        Self { lines }
    }

    /// Names and values as sent, without the blanks around the value.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        self.pairs().filter_map(|(name, value)| Some((std::str::from_utf8(name).ok()?, value.trim_ascii())))
    }

    /// The values of all fields of this name, in order; case does not matter.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let named = move |sent: &[u8]| sent.eq_ignore_ascii_case(name.as_bytes());
        self.pairs().filter(move |(sent, _)| named(sent)).map(|(_, value)| value.trim_ascii())
    }

    /// Each line, split at its colon.
    fn pairs(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let lines = self.lines;
        let mut start = 0;
        memchr_iter(b'\n', lines).filter_map(move |newline| {
            let line = &lines[start..newline];
            start = newline + 1;
            let colon = line.iter().position(|&byte| byte == b':')?;
            Some((&line[..colon], &line[colon + 1..]))
        })
    }
}

/// The characters a token may have (RFC 9110 §11.2).
fn is_token68(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}
