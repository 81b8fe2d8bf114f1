//! A plain HTTP/1.1 client: it sends exactly the bytes it is given and reads replies one by one.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Instant;

use serde_json::Value;

use super::DEADLINE;

/// A connection.
pub struct HttpClient {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A reply.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpClient {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).unwrap(), buffer: Vec::new() }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
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

    /// Sends a request and reads its reply. Header fields are whole lines without their end.
    pub fn request(&mut self, method: &str, path: &str, fields: &[&str], body: &[u8]) -> Reply {
        self.send(request(method, path, fields, body));
        match method {
            "HEAD" => self.reply_head(),
            _ => self.reply(),
        }
    }

    /// Sends a request with an optional token and JSON body, and reads its reply.
    pub fn json(&mut self, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> Reply {
        let authorization = token.map(|token| format!("Authorization: Bearer {token}"));
        let mut fields: Vec<&str> = authorization.iter().map(String::as_str).collect();
        let body = body.map(Value::to_string).unwrap_or_default();
        if !body.is_empty() {
            fields.push("Content-Type: application/json");
        }
        self.request(method, path, &fields, body.as_bytes())
    }

    /// GET.
    pub fn get(&mut self, path: &str, token: Option<&str>) -> Reply {
        self.json("GET", path, token, None)
    }

    /// POST with a JSON body.
    pub fn post(&mut self, path: &str, token: Option<&str>, body: &Value) -> Reply {
        self.json("POST", path, token, Some(body))
    }

    /// PUT with a JSON body.
    pub fn put(&mut self, path: &str, token: Option<&str>, body: &Value) -> Reply {
        self.json("PUT", path, token, Some(body))
    }

    /// Reads the next reply.
    pub fn reply(&mut self) -> Reply {
        let mut reply = self.reply_head();
        let interim = (100..200).contains(&reply.status);
        let length = match reply.header("content-length") {
            Some(length) if !interim => length.parse().unwrap(),
            _ => 0,
        };
        while self.buffer.len() < length {
            assert!(self.fill(), "the reply ended inside its body");
        }
        reply.body = self.buffer.drain(..length).collect();
        reply
    }

    /// Reads the next reply's head only: for HEAD, which has no body whatever its length says.
    pub fn reply_head(&mut self) -> Reply {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            let text = String::from_utf8_lossy(&self.buffer).into_owned();
            assert!(self.fill(), "the connection ended instead of a reply; before it came {text:?}");
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().strip_prefix("HTTP/1.1 ").unwrap();
        let status = status[..3].parse().unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("not a field: {line:?}"));
            (name.to_lowercase(), value.to_owned())
        });
        Reply { status, headers: headers.collect(), body: Vec::new() }
    }

    /// Asserts that the server closes without a further byte.
    pub fn closed(mut self) {
        while self.fill() {}
        assert!(self.buffer.is_empty(), "bytes before the end: {:?}", String::from_utf8_lossy(&self.buffer));
    }

    /// Everything that comes until the server closes.
    pub fn rest(mut self) -> Vec<u8> {
        while self.fill() {}
        self.buffer
    }

    /// Reads some bytes; `false` at the end.
    fn fill(&mut self) -> bool {
        super::http::fill(&mut self.stream, &mut self.buffer, Instant::now() + DEADLINE)
    }
}

impl Reply {
    /// A header field's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Asserts the status, and the envelope of the first family around the code; gives the message.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        let body = self.json();
        assert_eq!(body["success"], false, "{body}");
        assert_eq!(body["error"]["code"], code, "{body}");
        let message = body["error"]["message"].as_str().unwrap_or_else(|| panic!("no message in {body}"));
        assert!(!message.is_empty());
        message.to_owned()
    }

    /// Asserts the status and the envelope of the first family; gives `data`.
    #[track_caller]
    pub fn data(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        let body = self.json();
        assert_eq!(body["success"], true, "{body}");
        body["data"].clone()
    }
}

/// A request's bytes.
pub fn request(method: &str, path: &str, fields: &[&str], body: &[u8]) -> Vec<u8> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    for field in fields {
        request.push_str(field);
        request.push_str("\r\n");
    }
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    [request.as_bytes(), body].concat()
}

/// Reads some bytes before `until`; `false` when there are none to come.
pub fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>, until: Instant) -> bool {
    let left = until.saturating_duration_since(Instant::now());
    assert!(!left.is_zero(), "nothing came in time; so far {:?}", String::from_utf8_lossy(buffer));
    stream.set_read_timeout(Some(left)).unwrap();
    let mut chunk = [0; 16 << 10];
    match stream.read(&mut chunk) {
        Ok(0) => false,
        Ok(count) => {
            buffer.extend_from_slice(&chunk[..count]);
            true
        }
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => false,
        Err(error) if matches!(error.kind(), ErrorKind::Interrupted) => true,
        Err(error) => panic!("{error}; so far {:?}", String::from_utf8_lossy(buffer)),
    }
}
