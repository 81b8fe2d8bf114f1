//! The brokers that a fan-out is compared with, and what a client has to say to each: one file per protocol.
//!
//! Bytes only: no sockets here. A payload is as long as MangaHub's broadcast and carries its sequence number; what
//! the broker puts around it is the broker's own. What must hold: every delivery of one run is equally long, so that a
//! receiver counts them without looking into them, and NATS's `PING` in between is none.

mod mqtt;
mod nats;
mod redis;

use clap::ValueEnum;

use crate::message::Framing;

pub use nats::{Counter, first_push};

/// A broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Broker {
    /// Redis pub/sub.
    Redis,
    /// NATS.
    Nats,
    /// MQTT 3.1.1 without acknowledgements, to Mosquitto.
    Mosquitto,
}

impl Broker {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Broker::Redis => "Redis",
            Broker::Nats => "NATS",
            Broker::Mosquitto => "Mosquitto",
        }
    }

    /// What subscriber number `index` says first: who it is, and that it wants the messages.
    pub fn hello(self, index: usize) -> Vec<u8> {
        match self {
            Broker::Redis => redis::subscribe(),
            Broker::Nats => nats::HELLO.to_vec(),
            Broker::Mosquitto => mqtt::hello(index),
        }
    }

    /// Whether all of the answer to [`Broker::hello`] is there; anything but a yes is an error.
    pub fn welcomed(self, received: &[u8]) -> Result<bool, String> {
        let whole = match self {
            Broker::Redis => redis::subscribed(),
            Broker::Nats => return nats::welcomed(received),
            Broker::Mosquitto => mqtt::WELCOME.to_vec(),
        };
        match whole.starts_with(received) {
            true => Ok(received.len() == whole.len()),
            false => Err(format!("{} said: {}", self.name(), String::from_utf8_lossy(received))),
        }
    }

    /// What keeps the connection when the broker has asked whether anybody is there.
    pub fn sign_of_life(self, asked: &[u8]) -> Option<&'static [u8]> {
        (self == Broker::Nats && asked.starts_with(nats::PING)).then_some(nats::PONG)
    }

    /// Whether a subscriber may publish. Redis's may not, in the protocol that everybody speaks.
    pub fn subscriber_publishes(self) -> bool {
        self != Broker::Redis
    }

    /// Appends what publishes a payload.
    pub fn publish(self, payload: &str, out: &mut Vec<u8>) {
        match self {
            Broker::Redis => redis::publish(payload, out),
            Broker::Nats => nats::publish(payload, out),
            Broker::Mosquitto => mqtt::publish(payload, out),
        }
    }

    /// What a subscriber receives for a payload.
    pub fn delivery(self, payload: &str) -> Vec<u8> {
        match self {
            Broker::Redis => redis::push(payload),
            Broker::Nats => nats::push(payload),
            // A broker sends on what it was sent.
            Broker::Mosquitto => {
                let mut out = Vec::new();
                mqtt::publish(payload, &mut out);
                out
            }
        }
    }

    /// How deliveries of `length` bytes are cut out of what arrives.
    pub fn framing(self, length: usize) -> Framing {
        match self {
            Broker::Nats => Framing::Pushes(length),
            Broker::Redis | Broker::Mosquitto => Framing::Fixed(length),
        }
    }
}

/// A short name, in the brokers' favour: it travels with every delivery.
const CHANNEL: &str = "b";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::padded;

    /// Shows that every broker's deliveries are equally long, whatever the sequence number, and hold the payload.
    #[test]
    fn deliveries_are_equally_long() {
        for broker in Broker::value_variants().iter().copied() {
            let [early, late] = [0, 123_456_789].map(|sequence| broker.delivery(&padded(sequence, 318)));
            assert_eq!(early.len(), late.len(), "{broker:?}");
            let payload = padded(123_456_789, 318);
            assert!(late.windows(payload.len()).any(|window| window == payload.as_bytes()), "{broker:?}");
        }
    }

    /// Shows that a welcome is known only when all of it is there, and that anything else is an error.
    #[test]
    fn a_welcome_is_waited_for() {
        let info: &[u8] = b"INFO {\"server_id\":\"x\"}\r\nPONG\r\n";
        for (broker, whole) in [
            (Broker::Redis, redis::subscribed()),
            (Broker::Nats, info.to_vec()),
            (Broker::Mosquitto, mqtt::WELCOME.to_vec()),
        ] {
            for end in 1..whole.len() {
                assert_eq!(broker.welcomed(&whole[..end]), Ok(false), "{broker:?}, {end} bytes");
            }
            assert_eq!(broker.welcomed(&whole), Ok(true), "{broker:?}");
        }
        assert!(Broker::Redis.welcomed(b"-ERR max number of clients reached\r\n").is_err());
        assert!(Broker::Nats.welcomed(b"INFO {}\r\n-ERR 'Authorization Violation'\r\n").is_err());
        assert!(Broker::Mosquitto.welcomed(&[0x20, 2, 0, 5]).is_err());
    }
}
