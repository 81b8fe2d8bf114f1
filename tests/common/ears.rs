//! One client of each protocol, to hear what is told on all of them.

use serde_json::{Value, json};

use super::line::LineClient;
use super::udp::UdpClient;
use super::ws::WsClient;
use super::{Account, TestServer};

/// One client of each protocol, all of one user, all listening to progress and notifications.
pub struct Ears {
    /// Sync as on port 9090.
    pub v1: LineClient,
    /// Sync as on port 8081.
    pub v2: LineClient,
    /// Datagrams as on port 9091.
    pub udp_v1: UdpClient,
    /// Datagrams as on port 8082.
    pub udp_v2: UdpClient,
    /// A WebSocket that is in no room.
    pub ws: WsClient,
}

impl Ears {
    /// They listen when this returns.
    pub fn new(server: &TestServer, account: &Account) -> Self {
        let (mut v1, mut v2) = (server.session_v1(account), server.session_v2(account));
        for client in [&mut v1, &mut v2] {
            client.say("subscribe", json!({"topics": ["notifications"]}));
            client.expect("subscribed");
        }
        let (udp_v1, udp_v2) = (UdpClient::new(server, "udp_v1"), UdpClient::new(server, "udp_v2"));
        udp_v1
            .say("register", json!({"client_id": "ears", "token": udp_token(server, account), "topics": ["progress"]}));
        udp_v1.hear_type("register_success");
        let token = udp_token(server, account);
        udp_v2.send(&json!({"type": "SUBSCRIBE", "token": token, "topics": ["progress"], "ack": true}));
        udp_v2.hear_type("SUBSCRIBE");
        Self { v1, v2, udp_v1, udp_v2, ws: listening(server, account) }
    }

    /// The next progress on each, in the order v1, v2, UDP v1, UDP v2, WebSocket.
    pub fn progress(&mut self) -> [Value; 5] {
        [
            self.v1.expect("broadcast")["data"].take(),
            self.v2.expect("progress_broadcast")["data"].take(),
            self.udp_v1.hear_type("progress")["data"].take(),
            self.udp_v2.hear_type("PROGRESS"),
            self.ws.next(),
        ]
    }

    /// The next notification on each, in the same order. The one by UDP v2 waits to be acknowledged.
    pub fn notification(&mut self, kind: &str) -> [Value; 5] {
        let told = [
            self.v1.expect("notification")["data"].take(),
            self.v2.expect("notification")["data"].take(),
            self.udp_v1.hear_type("notification")["data"].take(),
            self.udp_v2.hear_type(kind),
            self.ws.next(),
        ];
        self.udp_v2.send(&json!({"type": "ACK", "id": told[3]["id"]}));
        told
    }
}

fn udp_token(server: &TestServer, account: &Account) -> String {
    let made = server.http().post("/api/v1/auth/udp-token", Some(&account.token), &json!({})).data(200);
    made["token"].as_str().unwrap().to_owned()
}

/// A WebSocket that asked for everything, and is in no room.
fn listening(server: &TestServer, account: &Account) -> WsClient {
    let mut ws = WsClient::open(server.address("http"), &format!("/ws?token={}", account.token));
    ws.send(&json!({"type": "subscribe", "topics": ["progress", "notifications"]}));
    ws.expect("subscribed");
    ws
}
