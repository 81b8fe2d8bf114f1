//! HTTP/1.1 as far as a load needs it: requests as bytes, and answers cut out of a stream.
//!
//! No sockets here but the one of [`exchange`]. An answer has a `Content-Length`, as all of the server's have;
//! chunks are refused rather than guessed at. What must hold: an answer that never ends is not kept.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::error::{Doing, LoadError};
use crate::guard;
use crate::scenario::STALL;

/// A request for `target`, a path with its query.
pub fn get(host: SocketAddr, target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

/// A request for `target` by whoever has the token.
pub fn get_as(host: SocketAddr, target: &str, token: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n").into_bytes()
}

/// A request that posts JSON.
pub fn post(host: SocketAddr, target: &str, json: &str) -> Vec<u8> {
    let length = json.len();
    let fields = format!("Host: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}");
    format!("POST {target} HTTP/1.1\r\n{fields}\r\n\r\n{json}").into_bytes()
}

/// What one connection received, up to the end of an answer.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
}

/// A whole answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
    /// Bytes of the answer, its head included.
    pub length: usize,
}

impl Inbox {
    /// Adds what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The answer, once all of it is there. It stays until [`Inbox::clear`].
    pub fn answer(&self) -> Result<Option<Answer<'_>>, String> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut head = httparse::Response::new(&mut fields);
        let status = head.parse(&self.bytes).map_err(|error| format!("not an answer: {error}"))?;
        let httparse::Status::Complete(start) = status else { return self.wait_for_more() };
        let length = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
        let length = length.and_then(|field| std::str::from_utf8(field.value).ok()?.trim().parse::<usize>().ok());
        let length = start.saturating_add(length.ok_or("an answer without a length")?);
        match self.bytes.get(start..length) {
            None => self.wait_for_more(),
            Some(_) if self.bytes.len() > length => Err("bytes after the answer".to_owned()),
            Some(body) => Ok(Some(Answer { status: head.code.unwrap_or_default(), body, length })),
        }
    }

    /// Forgets the answer, and keeps the memory for the next.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    fn wait_for_more(&self) -> Result<Option<Answer<'_>>, String> {
        if self.bytes.len() > ANSWER_BYTES_MAX { Err("an answer too long".to_owned()) } else { Ok(None) }
    }
}

/// The body of the answer to one request on a connection of its own, which must be a success.
pub fn body(host: SocketAddr, request: &[u8]) -> Result<Vec<u8>, LoadError> {
    let mut inbox = Inbox::default();
    inbox.push(&exchange(host, request)?);
    Ok(inbox.answer().map_err(LoadError::Wrong)?.map_or_else(Vec::new, |answer| answer.body.to_vec()))
}

/// Sends one request on a connection of its own and returns the bytes of its answer, which must be a success.
pub fn exchange(host: SocketAddr, request: &[u8]) -> Result<Vec<u8>, LoadError> {
    guard::check(host)?;
    let mut stream = TcpStream::connect(host).doing("connect")?;
    stream.set_read_timeout(Some(STALL)).doing("set a time limit")?;
    stream.write_all(request).doing("send a request")?;
    let (mut inbox, mut piece) = (Inbox::default(), [0; 4096]);
    loop {
        if let Some(answer) = inbox.answer().map_err(LoadError::Wrong)? {
            return match answer.status {
                200..300 => Ok(inbox.bytes),
                status => Err(LoadError::Wrong(format!("status {status}"))),
            };
        }
        match stream.read(&mut piece).doing("read an answer")? {
            0 => return Err(LoadError::Wrong("closed before an answer".to_owned())),
            length => inbox.push(&piece[..length]),
        }
    }
}

/// The server writes less than ten.
const FIELDS_MAX: usize = 32;

/// A page of 100 series is some 80 KB.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that an answer comes out in every chunking, and not before its last byte.
    #[test]
    fn an_answer_in_any_chunking() {
        let bytes = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\nRetry-After: 1\r\n\r\nbusy";
        for size in 1..=bytes.len() {
            let mut inbox = Inbox::default();
            for (at, piece) in bytes.chunks(size).enumerate() {
                assert_eq!(inbox.answer(), Ok(None), "after {at} pieces of {size}");
                inbox.push(piece);
            }
            let expected = Answer { status: 503, body: b"busy", length: bytes.len() };
            assert_eq!(inbox.answer(), Ok(Some(expected)));
        }
    }

    /// Shows that anything else is an error: no HTTP, no length, bytes too many, an end that never comes.
    #[test]
    fn anything_else_is_an_error() {
        let endless = [b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n".as_slice(), &[b'x'; 1 << 20]].concat();
        let wrong: [&[u8]; 4] = [
            b"{\"type\":\"error\"}\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxx",
            &endless,
        ];
        for bytes in wrong {
            let mut inbox = Inbox::default();
            inbox.push(bytes);
            assert!(inbox.answer().is_err());
        }
    }
}
