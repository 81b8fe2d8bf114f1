//! WebSocket as far as a load needs it: the handshake, text out, and the server's frames cut out of a stream.
//!
//! No sockets here. Every client shows the same key and uses the same mask: both are there to keep proxies from
//! mistaking frames for something else, and there is none. What must hold: frames come out the same however the
//! stream is cut into reads, and a frame that no server may send, or that is in pieces, is an error.

use std::net::SocketAddr;

use crate::error::LoadError;

/// The request that turns a connection into a WebSocket, by whoever has the token.
pub fn upgrade(host: SocketAddr, token: &str) -> Vec<u8> {
    let fields = format!("Host: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13");
    format!("GET /ws?token={token} HTTP/1.1\r\n{fields}\r\nSec-WebSocket-Key: {KEY}\r\n\r\n").into_bytes()
}

/// Where the answer to [`upgrade`] ends, once all of it is there; anything but a yes is an error.
pub fn upgraded(bytes: &[u8]) -> Result<Option<usize>, String> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Response::new(&mut fields);
    let parsed = head.parse(bytes).map_err(|error| format!("not an answer: {error}"))?;
    let httparse::Status::Complete(end) = parsed else { return Ok(None) };
    let accept = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case("sec-websocket-accept"));
    match (head.code, accept) {
        (Some(101), Some(accept)) if accept.value == ACCEPT.as_bytes() => Ok(Some(end)),
        (Some(101), _) => Err("101 without the answer to the key".to_owned()),
        (status, _) => Err(format!("status {} instead of 101", status.unwrap_or_default())),
    }
}

/// Appends a text message in one masked frame.
pub fn text(payload: &[u8], out: &mut Vec<u8>) {
    masked(OPCODE_TEXT, payload, out);
}

/// Appends the answer to a ping with this payload.
pub fn pong(payload: &[u8], out: &mut Vec<u8>) {
    masked(OPCODE_PONG, payload, out);
}

/// Appends a text message as a server sends it, in one frame without a mask.
pub fn text_of_server(payload: &[u8], out: &mut Vec<u8>) {
    head(OPCODE_TEXT, 0, payload.len(), out);
    out.extend_from_slice(payload);
}

/// Appends the first two bytes of a frame, and the length's others.
fn head(opcode: u8, mask: u8, length: usize, out: &mut Vec<u8>) {
    out.push(FIN | opcode);
    match length {
        short @ 0..126 => out.push(mask | short as u8),
        medium @ 126..=0xFFFF => {
            out.push(mask | 126);
            out.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            out.push(mask | 127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
}

fn masked(opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
    head(opcode, MASKED, payload.len(), out);
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text message.
    Text,
    /// A ping, which wants its payload back.
    Ping,
    /// Nothing that a load looks at: a binary message or a pong.
    Other,
}

/// The beginning of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// What it carries.
    pub kind: Kind,
    /// Bytes of the head itself.
    pub length: usize,
    /// Bytes of the payload behind it.
    pub payload: u64,
}

impl Head {
    /// The head that `bytes` begin with, once all of it is there.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, String> {
        let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
        if first & !OPCODE != FIN || second & MASKED != 0 {
            return Err(format!("a frame that begins with {first:#04x} {second:#04x}: masked, extended or in pieces"));
        }
        let (length, payload) = match (second, rest) {
            (short @ 0..126, _) => (2, Some(u64::from(short))),
            (126, [a, b, ..]) => (4, Some(u64::from(u16::from_be_bytes([*a, *b])))),
            (126, _) => (4, None),
            (_, long) => (10, long.first_chunk().map(|long| u64::from_be_bytes(*long))),
        };
        let kind = match first & OPCODE {
            OPCODE_TEXT => Kind::Text,
            OPCODE_PING => Kind::Ping,
            OPCODE_CLOSE => return goodbye(second, rest),
            _ => Kind::Other,
        };
        Ok(payload.map(|payload| Self { kind, length, payload }))
    }
}

/// Why a server says goodbye, with what has come of its words; `None` until its code is there. Nothing follows it.
fn goodbye(length: u8, payload: &[u8]) -> Result<Option<Head>, String> {
    let said = &payload[..payload.len().min(usize::from(length))];
    match said {
        [high, low, words @ ..] => {
            let (code, words) = (u16::from_be_bytes([*high, *low]), String::from_utf8_lossy(words));
            Err(format!("the server closed the WebSocket with {code} {words}").trim_end().to_owned())
        }
        _ if length < 2 => Err("the server closed the WebSocket and did not say why".to_owned()),
        _ => Ok(None),
    }
}

/// Counts text messages by how they begin, without keeping them. One for each connection.
#[derive(Debug, Clone, Default)]
pub struct Counter {
    /// The beginning of a head whose end has not come yet.
    head: [u8; HEAD_BYTES_MAX],
    head_length: u8,
    /// How much of the prefix the payload has had so far; `None` when it can't be one of those that count.
    matched: Option<u8>,
    /// Bytes of the payload that are still to come.
    left: u64,
    /// Bytes of the frame that is under way.
    frame_bytes: u64,
    /// Bytes of the frames counted, their heads included.
    pub counted_bytes: u64,
    /// A ping's payload: none, and without memory, nearly always.
    ping: Option<Vec<u8>>,
}

impl Counter {
    /// How many text messages that begin with `prefix` end in `bytes`.
    pub fn feed(&mut self, bytes: &[u8], prefix: &[u8]) -> Result<u64, LoadError> {
        let (mut rest, mut count) = (bytes, 0);
        while !rest.is_empty() {
            rest = match self.left {
                0 => self.take_head(rest).map_err(LoadError::Wrong)?,
                _ => self.take_payload(rest, prefix),
            };
            count += u64::from(self.ends(prefix));
        }
        Ok(count)
    }

    /// The payload of a ping that has not been answered yet.
    pub fn take_ping(&mut self) -> Option<Vec<u8>> {
        if self.left == 0 { self.ping.take() } else { None }
    }

    fn take_head<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], String> {
        let before = usize::from(self.head_length);
        let taken = bytes.len().min(HEAD_BYTES_MAX - before);
        self.head[before..before + taken].copy_from_slice(&bytes[..taken]);
        let Some(head) = Head::parse(&self.head[..before + taken])? else {
            self.head_length += taken as u8;
            return Ok(&[]);
        };
        self.head_length = 0;
        (self.left, self.frame_bytes) = (head.payload, head.length as u64 + head.payload);
        self.matched = (head.kind == Kind::Text).then_some(0);
        if head.kind == Kind::Ping {
            self.ping = Some(Vec::new());
        }
        Ok(&bytes[head.length - before..])
    }

    fn take_payload<'a>(&mut self, bytes: &'a [u8], prefix: &[u8]) -> &'a [u8] {
        let (payload, rest) = bytes.split_at(bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX)));
        self.left -= payload.len() as u64;
        if let Some(matched) = self.matched.map(usize::from) {
            let wanted = &prefix[matched..];
            let seen = wanted.len().min(payload.len());
            self.matched = (payload[..seen] == wanted[..seen]).then_some((matched + seen) as u8);
        } else if let Some(ping) = &mut self.ping {
            ping.extend_from_slice(payload);
        }
        rest
    }

    /// Whether the frame that just ended, if one did, counts.
    fn ends(&mut self, prefix: &[u8]) -> bool {
        if self.left > 0 || self.frame_bytes == 0 {
            return false;
        }
        let frame_bytes = std::mem::take(&mut self.frame_bytes);
        let counts = self.matched.take().is_some_and(|matched| usize::from(matched) == prefix.len());
        self.counted_bytes += if counts { frame_bytes } else { 0 };
        counts
    }
}

/// The key of the RFC's own example, and the answer to it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// An upgrade's answer has some five fields.
const FIELDS_MAX: usize = 32;

/// Two bytes and a length of eight.
const HEAD_BYTES_MAX: usize = 10;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
const OPCODE: u8 = 0x0f;
const OPCODE_TEXT: u8 = 1;
const OPCODE_CLOSE: u8 = 8;
const OPCODE_PING: u8 = 9;
const OPCODE_PONG: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &[u8] = b"{\"type\":\"chat\"";

    /// A frame as a server sends it.
    fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        head(opcode, 0, payload.len(), &mut frame);
        [frame, payload.to_vec()].concat()
    }

    fn chat(length: usize) -> Vec<u8> {
        let mut payload = PREFIX.to_vec();
        payload.resize(length, b'.');
        frame(OPCODE_TEXT, &payload)
    }

    /// Shows that the RFC's example key is answered with the RFC's answer and nothing else, and cut off at its end.
    #[test]
    fn an_upgrade_is_judged() {
        let yes = format!("HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n");
        assert_eq!(upgraded(yes.as_bytes()), Ok(Some(yes.len())));
        assert_eq!(upgraded([yes.as_bytes(), b"\x81\x00"].concat().as_slice()), Ok(Some(yes.len())));
        assert_eq!(upgraded(&yes.as_bytes()[..yes.len() - 1]), Ok(None));
        assert!(upgraded(yes.replace('s', "t").as_bytes()).is_err());
        assert_eq!(upgraded(b"HTTP/1.1 401 No\r\n\r\n"), Err("status 401 instead of 101".to_owned()));
    }

    /// Shows that a text goes out masked, with each form of length, by taking the mask off again.
    #[test]
    fn text_goes_out_masked() {
        for (length, head) in [(5, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let (payload, mut out) = (vec![b'a'; length], Vec::new());
            text(&payload, &mut out);
            assert_eq!((out[0], out[1] & MASKED, out.len()), (0x81, MASKED, head + 4 + length));
            let (mask, sent) = out[head..].split_at(4);
            assert!(sent.iter().zip(mask.iter().cycle()).all(|(byte, mask)| byte ^ mask == b'a'));
        }
    }

    /// Shows that messages of every form of length are counted alike in every chunking, and only those that begin
    /// as they should: not a presence, not a shorter text, not an empty one, not a pong that looks like one.
    #[test]
    fn counting_in_any_chunking() {
        let others = [
            frame(OPCODE_TEXT, b"{\"type\":\"presence\"}"),
            frame(OPCODE_TEXT, b"{\"type\""),
            frame(OPCODE_TEXT, b""),
            frame(OPCODE_PONG, PREFIX),
        ];
        let short = [chat(40), others.concat(), chat(125), chat(126), chat(300)].concat();
        let counted = (chat(40).len() + chat(125).len() + chat(126).len() + chat(300).len()) as u64;
        for size in 1..=short.len() {
            let mut counter = Counter::default();
            let count: u64 = short.chunks(size).map(|chunk| counter.feed(chunk, PREFIX).unwrap()).sum();
            assert_eq!((count, counter.counted_bytes), (4, counted), "in chunks of {size}");
        }
        let long = [chat(70_000), chat(20)].concat();
        for size in [1, 9, 10, 11, 4096, long.len()] {
            let mut counter = Counter::default();
            let count: u64 = long.chunks(size).map(|chunk| counter.feed(chunk, PREFIX).unwrap()).sum();
            assert_eq!(count, 2, "in chunks of {size}");
        }
    }

    /// Shows that a ping's payload is there to be sent back, in pieces too.
    #[test]
    fn a_ping_is_noticed() {
        let mut counter = Counter::default();
        for byte in frame(OPCODE_PING, b"you?") {
            assert_eq!(counter.take_ping(), None);
            assert_eq!(counter.feed(&[byte], PREFIX).unwrap(), 0);
        }
        assert_eq!((counter.take_ping(), counter.take_ping()), (Some(b"you?".to_vec()), None));
    }

    /// Shows that a goodbye is told with its code and what came of its words, in one piece and byte by byte.
    #[test]
    fn a_goodbye_says_why() {
        let said = |bytes: &[u8], size: usize| {
            let mut counter = Counter::default();
            bytes.chunks(size).find_map(|chunk| counter.feed(chunk, PREFIX).err()).map(|error| error.to_string())
        };
        let busy = frame(OPCODE_CLOSE, &[&1013u16.to_be_bytes()[..], b"busy"].concat());
        assert_eq!(said(&busy, 99).unwrap(), "wrong answer: the server closed the WebSocket with 1013 busy");
        assert_eq!(said(&busy, 1).unwrap(), "wrong answer: the server closed the WebSocket with 1013");
        assert!(said(&frame(OPCODE_CLOSE, b""), 1).unwrap().ends_with("did not say why"));
        assert_eq!(said(&busy[..3], 1), None);
    }

    /// Shows that what a server may not send is an error: a mask, a fragment, an extension; and that a close is one.
    #[test]
    fn anything_else_is_an_error() {
        for wrong in [[0x81, 0x81], [0x01, 0x01], [0xc1, 0x01], [0x88, 0x00]] {
            assert!(Counter::default().feed(&wrong, PREFIX).is_err());
        }
    }
}
