//! The request that makes a WebSocket of an HTTP connection (RFC 6455, section 4.2), and its answer.
//!
//! Strict, because a browser can be made to send almost any request, but not this one: what is not
//! exactly a handshake is refused before it is asked who sends it. That question is `greet`'s.

use super::http1::{Method, Request, Response, Version};
use super::routes::{Family, HttpInput, Route};
use crate::handlers::api::{ApiError, ErrorKind};
use crate::handlers::greet::{self, Dialect, Opening};

/// The route.
pub fn routes() -> Vec<Route> {
    vec![Route::http(Family::V1, Method::Get, "/ws", greet::OPEN, read)]
}

fn read(input: &HttpInput<'_>) -> Result<Opening, ApiError> {
    let request = input.request;
    let accept = accept(request)?;
    let named = |name| input.query(name).map(|value| value.into_owned());
    let (username, room) = (named("username"), named("room"));
    let manga_id = input.query("manga_id").map(|id| id.parse::<i64>().ok().filter(|id| *id > 0));
    Ok(Opening {
        accept,
        token: read_token(input)?,
        page: read_page(request)?,
        host: request.host.to_owned(),
        dialect: if username.is_some() || room.is_some() { Dialect::V1 } else { Dialect::V2 },
        username,
        room: room.filter(|room| room.len() <= ROOM_BYTES_MAX),
        manga_id: match manga_id {
            Some(None) => return Err(ApiError::invalid("manga_id: expected a whole number from 1")),
            id => id.flatten(),
        },
    })
}

/// The token of the header, else of the query: a browser's script can't set the header.
fn read_token(input: &HttpInput<'_>) -> Result<Option<String>, ApiError> {
    let [_, bad_header, _] = Family::V1.unauthorized();
    match (input.request.bearer(), input.request.has_header("authorization")) {
        (Some(token), _) => Ok(Some(token.to_owned())),
        (None, true) => Err(ApiError::new(ErrorKind::Unauthorized, bad_header)),
        (None, false) => Ok(input.query("token").map(|token| token.into_owned())),
    }
}

/// The origin of the page whose script asks, if a browser says so.
fn read_page(request: &Request<'_>) -> Result<Option<String>, ApiError> {
    let mut origins = request.headers.all("origin");
    let page = match (origins.next(), origins.next()) {
        (None, _) => return Ok(None),
        (Some(origin), None) => std::str::from_utf8(origin).ok(),
        (Some(_), Some(_)) => None,
    };
    let page = page.ok_or_else(|| ApiError::new(ErrorKind::Forbidden, "There must be one Origin"))?;
    Ok(Some(page.to_owned()))
}

/// What proves that we have understood a handshake.
///
/// # Errors
/// When it is none, or one of another version.
pub fn accept(request: &Request<'_>) -> Result<String, ApiError> {
    let bad = |what: &'static str| Err(ApiError::new(ErrorKind::InvalidMessage, what));
    if request.method != Method::Get {
        return Err(ApiError {
            detail: Some("GET".into()),
            ..ApiError::new(ErrorKind::MethodNotAllowed, "This path does not take this method")
        });
    }
    if request.version != Version::Http11 {
        return bad("A WebSocket begins with HTTP/1.1");
    }
    if !request.body.is_empty() {
        return bad("A WebSocket's request has no body");
    }
    if !lists(request, "upgrade", "websocket") {
        return bad("Upgrade: expected websocket");
    }
    if !lists(request, "connection", "upgrade") {
        return bad("Connection: expected Upgrade");
    }
    let Some(key) = only(request, "sec-websocket-key").filter(|key| is_key(key)) else {
        return bad("Sec-WebSocket-Key: expected 16 bytes in base64");
    };
    if only(request, "sec-websocket-version") != Some(b"13") {
        return Err(ApiError::new(ErrorKind::UpgradeRequired, "Sec-WebSocket-Version: expected 13"));
    }
    Ok(tungstenite::handshake::derive_accept_key(key))
}

/// Whether a field that is a list has this member.
fn lists(request: &Request<'_>, field: &str, member: &str) -> bool {
    let mut members = request.headers.all(field).flat_map(|value| value.split(|&byte| byte == b','));
    members.any(|other| other.trim_ascii().eq_ignore_ascii_case(member.as_bytes()))
}

/// The value of a field that may come once.
fn only<'a>(request: &Request<'a>, field: &str) -> Option<&'a [u8]> {
    let mut values = request.headers.all(field);
    values.next().filter(|_| values.next().is_none())
}

/// Sixteen bytes in base64: 22 digits, of which the last has four bits to spare, and the padding.
fn is_key(key: &[u8]) -> bool {
    let Some((digits, b"==")) = key.split_at_checked(22) else { return false };
    let spare = digits.last().is_some_and(|last| b"AQgw".contains(last));
    spare && digits.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte))
}

/// The answer to a handshake.
pub fn switch(accept: String) -> Response {
    Response::empty(101)
        .with_header("Upgrade", "websocket")
        .with_header("Connection", "Upgrade")
        .with_header("Sec-WebSocket-Accept", accept)
}

/// Far more than a room's name may have; what is longer is no room's.
const ROOM_BYTES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Exactly the standard's example and what looks like it is a key.
    #[test]
    fn a_key_is_sixteen_bytes() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        for bad in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZR==",
            "dGhlIHNhbXBsZSBub25jZQ==x",
            "dGhl IHNhbXBsZSBub25jQ==",
        ] {
            assert!(!is_key(bad.as_bytes()), "{bad}");
        }
    }
}
