//! Programs that send datagrams: honest, careless and hostile ones, near and far. None is told more than
//! it may be.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use mangahub::handlers::Caller;
use mangahub::handlers::token::Keys;
use mangahub::store::model::{Role, UserId};
use serde_json::{Value, json};

use super::net::{START_UNIX_MS, SimNet};
use super::world::SECRET;

/// What each address far away sent and was sent, in bytes, and who has pinged.
#[derive(Default)]
pub struct Posts {
    bytes: HashMap<SocketAddr, (usize, usize)>,
    pinged: HashSet<SocketAddr>,
}

impl Posts {
    /// Somebody sends something.
    pub fn act(&mut self, net: &SimNet, users: &[UserId]) {
        let from = match net.below(2) {
            0 => SocketAddr::from(([127, 0, 0, 1], 40_000 + net.below(10) as u16)),
            _ => SocketAddr::from(([203, 0, 113, net.below(10) as u8], 40_000)),
        };
        let port = net.below(2);
        let token = || {
            let user = users[net.below(users.len())].clone();
            let username = user.as_str().into();
            let caller = Caller { id: user, username, role: Role::User };
            Keys::new(SECRET).issue_for_datagrams(&caller, START_UNIX_MS / 1000 - 3600, 864_000, uuid::Uuid::nil())
        };
        let (ack, id, topics) = (net.below(2) == 0, 1 + net.below(20), json!(["progress"]));
        let message = match (port, net.below(9)) {
            (0, 0 | 1) => json!({"type": "register", "data": {"client_id": "c", "ack": ack}}),
            (0, 2) => {
                json!({"type": "register", "data": {"client_id": "c", "token": token(), "ack": ack, "topics": topics}})
            }
            (0, 3) => json!({"type": "unregister", "data": {"client_id": "c"}}),
            (0, 4) => json!({"type": "ping", "data": {}}),
            (0, 5) => json!({"type": "ack", "data": {"id": id}}),
            (0, 6) => json!({"type": "notification", "data": {"message": "believe me"}}),
            (_, 0 | 1) => json!({"type": "SUBSCRIBE", "user_id": "user-1", "ack": ack}),
            (_, 2) => json!({"type": "SUBSCRIBE", "token": token(), "ack": ack, "topics": topics}),
            (_, 3) => json!({"type": "UNSUBSCRIBE", "user_id": "user-1"}),
            (_, 4) => json!({"type": "PING"}),
            (_, 5) => json!({"type": "ACK", "id": id}),
            _ => Value::Null,
        };
        let bytes = match message {
            Value::Null => "{\"type\":7".repeat(net.below(700)).into_bytes(),
            message => message.to_string().into_bytes(),
        };
        if bytes.windows(6).any(|part| part.eq_ignore_ascii_case(b"\"ping\"")) {
            self.pinged.insert(from);
        }
        // Twice, since the network may double it.
        self.bytes.entry(from).or_default().0 += 2 * bytes.len();
        net.send_datagram(port, from, &bytes);
    }

    /// Everybody hears what they were sent: one object each, and nobody far away more than three times
    /// what they sent, unless they have pinged.
    pub fn hear(&mut self, net: &SimNet) {
        for port in 0..2 {
            for (to, bytes) in net.take_datagrams(port) {
                let message: Value = serde_json::from_slice(&bytes).expect("a datagram is JSON");
                assert!(message["type"].is_string(), "{message}");
                assert!(!message.to_string().contains("believe me"), "what a peer sent was passed on");
                let sums = self.bytes.entry(to).or_default();
                sums.1 += bytes.len();
                let near = to.ip().is_loopback() || self.pinged.contains(&to);
                assert!(near || sums.1 <= 3 * sums.0, "{to} was sent {} for {} bytes", sums.1, sums.0);
            }
        }
    }
}
