//! Programs that send datagrams: honest, careless and hostile ones, near and far. None is told more than
//! it may be.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use mangahub::handlers::Caller;
use mangahub::handlers::token::Keys;
use mangahub::store::model::{Role, UserId};
use serde_json::{Value, json};

use super::net::{START_UNIX_MS, SimNet};
use super::world::{SECRET, World};

/// What each address far away sent and was sent, in bytes, what it was told to prove itself by, and who
/// has said that.
#[derive(Default)]
pub struct Posts {
    bytes: HashMap<(usize, SocketAddr), (usize, usize)>,
    told: HashMap<(usize, SocketAddr), String>,
    proven: HashSet<(usize, SocketAddr)>,
}

impl Posts {
    /// Somebody sends something.
    pub fn act(&mut self, net: &SimNet, users: &[UserId]) {
        let from = match net.below(2) {
            0 => SocketAddr::from(([127, 0, 0, 1], 40_000 + net.below(10) as u16)),
            _ => SocketAddr::from(([203, 0, 113, net.below(10) as u8], 40_000)),
        };
        let port = net.below(2);
        let token = || token_of(&users[net.below(users.len())]);
        // Some say what they were told, and the hostile ones only guess.
        let told = self.told.get(&(port, from)).filter(|_| net.below(4) == 0).cloned();
        let proof = told.clone().unwrap_or_else(|| "0123456789abcdef".to_owned());
        let (ack, id, topics) = (net.below(2) == 0, 1 + net.below(20), json!(["progress"]));
        let message = match (port, net.below(9)) {
            (0, 0 | 1) => json!({"type": "register", "data": {"client_id": "c", "ack": ack}}),
            (0, 2) => {
                json!({"type": "register", "data": {"client_id": "c", "token": token(), "ack": ack, "topics": topics}})
            }
            (0, 3) => json!({"type": "unregister", "data": {"client_id": "c"}}),
            (0, 4) => json!({"type": "ping", "data": {"proof": proof}}),
            (0, 5) => json!({"type": "ack", "data": {"id": id}}),
            (0, 6) => json!({"type": "notification", "data": {"message": "believe me"}}),
            (_, 0 | 1) => json!({"type": "SUBSCRIBE", "user_id": "user-1", "ack": ack}),
            (_, 2) => json!({"type": "SUBSCRIBE", "token": token(), "ack": ack, "topics": topics}),
            (_, 3) => json!({"type": "UNSUBSCRIBE", "user_id": "user-1"}),
            (_, 4) => json!({"type": "PING", "proof": proof}),
            (_, 5) => json!({"type": "ACK", "id": id}),
            _ => Value::Null,
        };
        let bytes = match message {
            Value::Null => "{\"type\":7".repeat(net.below(700)).into_bytes(),
            message => message.to_string().into_bytes(),
        };
        if told.is_some_and(|told| bytes.windows(told.len()).any(|part| part == told.as_bytes())) {
            self.proven.insert((port, from));
        }
        // Twice, since the network may double it.
        self.bytes.entry((port, from)).or_default().0 += 2 * bytes.len();
        net.send_datagram(port, from, &bytes);
    }

    /// Everybody hears what they were sent: one object each, and nobody far away more than three times
    /// what they sent, unless they have said what they were told there.
    pub fn hear(&mut self, net: &SimNet) {
        for port in 0..2 {
            for (to, bytes) in net.take_datagrams(port) {
                let message: Value = serde_json::from_slice(&bytes).expect("a datagram is JSON");
                assert!(message["type"].is_string(), "{message}");
                assert!(!message.to_string().contains("believe me"), "what a peer sent was passed on");
                let data = if port == 0 { &message["data"] } else { &message };
                if let Some(proof) = data["proof"].as_str() {
                    assert!(!to.ip().is_loopback(), "somebody near was asked for a proof");
                    self.told.insert((port, to), proof.to_owned());
                }
                let sums = self.bytes.entry((port, to)).or_default();
                sums.1 += bytes.len();
                let welcome = to.ip().is_loopback() || self.proven.contains(&(port, to));
                assert!(welcome || sums.1 <= 3 * sums.0, "{to} was sent {} for {} bytes", sums.1, sums.0);
            }
        }
    }
}

/// A token that registers addresses of a user.
fn token_of(user: &UserId) -> String {
    let caller = Caller { id: user.clone(), username: user.as_str().into(), role: Role::User };
    Keys::new(SECRET).issue_for_datagrams(&caller, START_UNIX_MS / 1000 - 3600, 864_000, uuid::Uuid::nil())
}

/// A user far away who missed ten notifications hears some of them for what they send, however often they
/// ping, and the others when they have shown where they are: all in order, each once, none lost.
pub fn hear_what_was_missed(seed: u64) {
    let mut world = World::new(seed);
    world.net.set_faults(|faults| faults.chaos = false);
    let user = world.announce(10);
    let from = SocketAddr::from(([203, 0, 113, 9], 40_000));
    let (mut sent, mut received, mut proof, mut heard) = (0, 0, String::new(), Vec::new());
    let mut say = |message: Value, sent: &mut usize| {
        let bytes = message.to_string().into_bytes();
        *sent += bytes.len();
        world.net.send_datagram(1, from, &bytes);
        for _ in 0..40 {
            world.net.advance(100);
            world.reactor.turn().expect("the selector does not fail");
            world.work(false);
            for (to, bytes) in world.net.take_datagrams(1) {
                assert_eq!(to, from);
                received += bytes.len();
                let message: Value = serde_json::from_slice(&bytes).expect("a datagram is JSON");
                heard.extend(message["manga_id"].as_i64().filter(|_| message["type"] == "NEW_MANGA"));
                proof = message["proof"].as_str().map_or(std::mem::take(&mut proof), str::to_owned);
            }
        }
        (received, heard.clone(), proof.clone())
    };
    let (_, first, _) = say(json!({"type": "SUBSCRIBE", "token": token_of(&user)}), &mut sent);
    assert!(!first.is_empty(), "nothing was paid for by {sent} bytes");
    let (received, some, proof) = say(json!({"type": "PING", "user_id": "x".repeat(80)}), &mut sent);
    assert!(first.len() < some.len() && some.len() < 10, "a ping pays for what it is long: {first:?}, {some:?}");
    assert!(received <= 3 * sent, "{received} bytes for {sent}");
    let (_, all, _) = say(json!({"type": "PING", "proof": proof}), &mut sent);
    assert_eq!(all, (1..=10).collect::<Vec<_>>());
}
