//! The request target: which of its four forms it has, and its parts (RFC 9112 §3.2).
//!
//! Parts stay as sent: decoding is `request.rs`'s, and only when a handler asks. UTF-8 that a client
//! forgot to percent-encode is tolerated in path and query, since it can't be mistaken for anything else.

use memchr::memchr;

use super::request::Method;
use super::{Fault, fault};

/// A request target taken apart (RFC 9112 §3.2).
pub(super) struct Target<'a> {
    /// Only in absolute form; it stands above the Host field then.
    pub(super) authority: Option<&'a [u8]>,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Takes apart what httparse has found free of blanks and control characters.
    pub(super) fn parse(method: Method, target: &'a str) -> Result<Self, Fault> {
        if method == Method::Connect {
            return Err(CONNECT_REFUSED);
        }
        if target.contains('#') || (target == "*" && method != Method::Options) {
            return Err(TARGET_MALFORMED);
        }
        let (authority, local) = if target.starts_with('/') || target == "*" {
            (None, target)
        } else {
            split_absolute(target).ok_or(TARGET_MALFORMED)?
        };
        let (path, query) = match memchr(b'?', local.as_bytes()) {
            Some(mark) => (&local[..mark], Some(&local[mark + 1..])),
            None => (local, None),
        };
        Ok(Self { authority, path, query })
    }
}

/// Takes `http://host:port` off the front of an absolute target.
fn split_absolute(target: &str) -> Option<(Option<&[u8]>, &str)> {
    let (scheme, rest) = target.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let (authority, local) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    is_authority(authority.as_bytes()).then_some((Some(authority.as_bytes()), local))
}

/// A host with an optional port, without user information (RFC 3986 §3.2.2).
pub(super) fn is_authority(value: &[u8]) -> bool {
    let (host_valid, port) = match value {
        [b'[', rest @ ..] => {
            let Some(end) = memchr(b']', rest) else { return false };
            let address = &rest[..end];
            let valid = address.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
            (valid && address.contains(&b':'), &rest[end + 1..])
        }
        _ => {
            let (name, port) = value.split_at(memchr(b':', value).unwrap_or(value.len()));
            (!name.is_empty() && name.iter().all(|&byte| is_host_byte(byte)), port)
        }
    };
    host_valid && is_port(port)
}

/// A colon with a port number that there can be, or nothing.
fn is_port(port: &[u8]) -> bool {
    match port {
        [] | [b':'] => true,
        [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
            std::str::from_utf8(digits).is_ok_and(|digits| digits.parse::<u16>().is_ok())
        }
        _ => false,
    }
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte)
}

const TARGET_MALFORMED: Fault = fault(400, "The request target is malformed.");
const CONNECT_REFUSED: Fault = fault(501, "This server is not a proxy.");
