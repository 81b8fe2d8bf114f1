//! A plain UDP client: it sends exactly the bytes it is given and reads datagrams one by one.

use std::net::{SocketAddr, UdpSocket};

use serde_json::{Value, json};

use super::{DEADLINE, TestServer};

/// A socket of its own, and the server that it speaks to.
pub struct UdpClient {
    socket: UdpSocket,
    server: SocketAddr,
}

impl UdpClient {
    /// A client of a server's service, on a port of its own.
    pub fn new(server: &TestServer, service: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { socket, server: server.address(service) }
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&self, bytes: impl AsRef<[u8]>) {
        self.socket.send_to(bytes.as_ref(), self.server).unwrap();
    }

    /// Sends a message.
    pub fn send(&self, message: &Value) {
        self.send_bytes(message.to_string());
    }

    /// Sends a message of the first dialect.
    pub fn say(&self, kind: &str, data: Value) {
        self.send(&json!({"type": kind, "timestamp": "2026-11-21T10:00:00Z", "data": data}));
    }

    /// The next datagram.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = [0; 65_536];
        let (length, from) = self.socket.recv_from(&mut bytes).expect("a datagram in time");
        assert_eq!(from, self.server, "somebody else wrote");
        bytes[..length].to_vec()
    }

    /// The next message.
    pub fn hear(&self) -> Value {
        serde_json::from_slice(&self.bytes()).unwrap()
    }

    /// The next message, which is of this type.
    pub fn hear_type(&self, kind: &str) -> Value {
        let message = self.hear();
        assert_eq!(message["type"], kind, "{message}");
        message
    }

    /// Nothing was said to the second dialect's client: its next datagram answers a ping.
    pub fn silence(&self) {
        self.send(&json!({"type": "PING"}));
        assert_eq!(String::from_utf8(self.bytes()).unwrap(), r#"{"type":"PONG"}"#);
    }

    /// The same for the first dialect's.
    pub fn silence_v1(&self) {
        self.say("ping", json!({}));
        self.hear_type("pong");
    }

    /// Subscribes in the second dialect, with these members besides.
    pub fn subscribe(&self, more: Value) {
        let mut message = json!({"type": "SUBSCRIBE"});
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.send(&message);
        assert_eq!(self.hear_type("SUBSCRIBE")["message"], "Successfully subscribed to notifications");
    }

    /// Registers in the first dialect, with these members besides.
    pub fn register(&self, more: Value) {
        let mut data = json!({"client_id": "client-1"});
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.say("register", data);
        assert_eq!(self.hear_type("register_success")["data"]["client_id"], "client-1");
    }
}
