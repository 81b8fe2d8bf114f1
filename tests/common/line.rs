//! A plain sync client: lines out, lines in, nothing hidden.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Instant;

use serde_json::{Value, json};

use super::DEADLINE;
use super::http::fill;

/// A connection.
pub struct LineClient {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl LineClient {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    /// Connects with segments so short that the kernels between both ends hold little.
    pub fn connect_narrow(address: SocketAddr) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None).unwrap();
        socket.set_tcp_mss(536).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    /// Sends one message.
    pub fn send(&mut self, message: &Value) {
        self.send_raw(format!("{message}\n"));
    }

    /// Sends a message of this type.
    pub fn say(&mut self, kind: &str, data: Value) {
        self.send(&json!({"type": kind, "data": data}));
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends bytes to a server that may close in the middle of them.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Says that nothing more will be sent.
    pub fn end(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Whatever one read brings.
    pub fn segment(&mut self) -> String {
        let mut bytes = std::mem::take(&mut self.buffer);
        assert!(bytes.is_empty(), "read before: {:?}", String::from_utf8_lossy(&bytes));
        assert!(fill(&mut self.stream, &mut bytes, Instant::now() + DEADLINE), "the server closed");
        String::from_utf8(bytes).unwrap()
    }

    /// The socket itself.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Begins a session, and gives the `data` of its welcome.
    pub fn authenticate(&mut self, token: &str) -> Value {
        self.say("auth", json!({"token": token}));
        self.expect("auth_success")["data"].clone()
    }

    /// The next line as it came, for what is no JSON that this side could read.
    pub fn raw_line(&mut self) -> String {
        let line = self.line().expect("the server closed instead of answering");
        String::from_utf8(line).unwrap()
    }

    /// The next message, or `None` when the server has closed.
    pub fn next_or_end(&mut self) -> Option<Value> {
        let line = self.line()?;
        let message: Value = serde_json::from_slice(&line)
            .unwrap_or_else(|error| panic!("{error} in the line {:?}", String::from_utf8_lossy(&line)));
        assert_timestamps(&message);
        Some(message)
    }

    /// The next line with its end, or `None` when the server has closed.
    fn line(&mut self) -> Option<Vec<u8>> {
        let until = Instant::now() + DEADLINE;
        let end = loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                break end;
            }
            if !fill(&mut self.stream, &mut self.buffer, until) {
                let rest = String::from_utf8_lossy(&self.buffer);
                assert!(rest.is_empty(), "half a line before the end: {rest:?}");
                return None;
            }
        };
        Some(self.buffer.drain(..=end).collect())
    }

    /// The next message.
    #[track_caller]
    pub fn next(&mut self) -> Value {
        self.next_or_end().expect("the server closed instead of answering")
    }

    /// The next message, which must be of this type.
    #[track_caller]
    pub fn expect(&mut self, kind: &str) -> Value {
        let message = self.next();
        assert_eq!(message["type"], kind, "{message}");
        message
    }

    /// The next message, which must be an error with this code, at the top and in `data`.
    #[track_caller]
    pub fn expect_error(&mut self, code: &str) -> String {
        let message = self.expect("error");
        assert_eq!(message["code"], code, "{message}");
        assert_eq!(message["data"]["code"], message["code"], "{message}");
        assert_eq!(message["data"]["message"], message["message"], "{message}");
        assert!(message["timestamp"].is_string(), "{message}");
        message["message"].as_str().expect("a message").to_owned()
    }

    /// Asserts that nothing was said before the answer to a ping that is sent now.
    #[track_caller]
    pub fn expect_nothing(&mut self) {
        self.say("ping", json!({"client_time": "nothing else"}));
        let pong = self.expect("pong");
        assert_eq!(pong["data"]["client_time"], "nothing else", "{pong}");
    }

    /// Asserts that the server closes without a further message.
    #[track_caller]
    pub fn expect_end(&mut self) {
        let message = self.next_or_end();
        assert_eq!(message, None, "said instead of closing");
    }
}

/// Every timestamp, wherever it stands, is an RFC 3339 string: an integer would break whole messages
/// in existing clients.
fn assert_timestamps(message: &Value) {
    let Value::Object(members) = message else { return };
    for (name, value) in members {
        if name == "timestamp" || name.ends_with("_time") && name.starts_with("server") {
            let text = value.as_str().unwrap_or_else(|| panic!("{name} is not a string in {message}"));
            let parsed: Result<jiff::Timestamp, _> = text.parse();
            assert!(parsed.is_ok(), "{text} is not RFC 3339 in {message}");
        }
        assert_timestamps(value);
    }
}
