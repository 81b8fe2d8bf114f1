//! A plain WebSocket client: frames out, frames in, nothing hidden.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use serde_json::{Value, json};

use super::DEADLINE;
use super::http::fill;

/// The handshake's key in RFC 6455, section 1.3.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A connection.
pub struct WsClient {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A frame of the server's: its first byte and its payload.
pub type Frame = (u8, Vec<u8>);

impl WsClient {
    /// Connects, and shakes hands on `path`.
    #[track_caller]
    pub fn open(address: SocketAddr, path: &str) -> Self {
        let (mut client, head) = Self::ask(address, handshake(path, ""));
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}{}", client.rest());
        client
    }

    /// Connects and sends bytes, and gives the head of what is answered.
    pub fn ask(address: SocketAddr, request: impl AsRef<[u8]>) -> (Self, String) {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(request.as_ref()).unwrap();
        let mut client = Self { stream, buffer: Vec::new() };
        let until = Instant::now() + DEADLINE;
        loop {
            if let Some(end) = client.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head: Vec<u8> = client.buffer.drain(..end + 4).collect();
                return (client, String::from_utf8(head).unwrap());
            }
            assert!(fill(&mut client.stream, &mut client.buffer, until), "closed instead of answering");
        }
    }

    /// What has arrived and was not asked for.
    pub fn rest(&mut self) -> String {
        String::from_utf8_lossy(&self.buffer).into_owned()
    }

    /// Sends bytes as they are, to a server that may close in the middle of them.
    pub fn send_raw(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Sends a text message.
    pub fn send(&mut self, message: &Value) {
        self.send_raw(frame(0x81, message.to_string().as_bytes()));
    }

    /// The next frame, or `None` when the server has closed.
    pub fn frame(&mut self) -> Option<Frame> {
        let until = Instant::now() + DEADLINE;
        loop {
            if let Some((frame, bytes)) = parse(&self.buffer) {
                self.buffer.drain(..bytes);
                return Some(frame);
            }
            if !fill(&mut self.stream, &mut self.buffer, until) {
                assert!(self.buffer.is_empty(), "half a frame before the end: {:x?}", self.buffer);
                return None;
            }
        }
    }

    /// The next frame, which must be a text message.
    #[track_caller]
    pub fn next(&mut self) -> Value {
        let (first, payload) = self.frame().expect("the server closed instead of answering");
        assert_eq!(first, 0x81, "not a whole text message: {payload:x?}");
        serde_json::from_slice(&payload).unwrap()
    }

    /// The next message of this type; what else is said before it is of no interest.
    #[track_caller]
    pub fn expect(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next();
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// The next error, which must have this code.
    #[track_caller]
    pub fn expect_error(&mut self, code: &str) -> Value {
        let message = self.expect("error");
        assert_eq!(message["code"], code, "{message}");
        assert!(message["message"].is_string() && message["timestamp"].is_string(), "{message}");
        message
    }

    /// Asks and hears that the session goes on.
    #[track_caller]
    pub fn expect_alive(&mut self) {
        self.send(&json!({"type": "ping", "client_time": "still there?"}));
        assert_eq!(self.expect("pong")["client_time"], "still there?");
    }

    /// Reads on to the server's goodbye, which must have this code and be the last that it says.
    #[track_caller]
    pub fn expect_close(&mut self, code: u16) {
        loop {
            let (first, payload) = self.frame().expect("the server closed without a goodbye");
            if first == 0x88 {
                assert_eq!(u16::from_be_bytes([payload[0], payload[1]]), code, "the code of the goodbye");
                assert_eq!(self.frame(), None, "said after the goodbye");
                return;
            }
        }
    }
}

/// A handshake on `path`, with further fields (each with its line end).
pub fn handshake(path: &str, fields: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{fields}\r\n"
    )
}

/// A masked frame.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | length as u8),
        length @ 126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().enumerate().map(|(index, byte)| byte ^ MASK[index % 4]));
    bytes
}

/// The first frame of a server's bytes, and how many bytes it takes.
pub fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    assert_eq!(second & 0x80, 0, "a server's frame is not masked");
    let (head, length) = match second {
        126 => (4, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?) as usize),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        length => (2, length as usize),
    };
    let payload = bytes.get(head..head + length)?;
    Some(((first, payload.to_vec()), head + length))
}
