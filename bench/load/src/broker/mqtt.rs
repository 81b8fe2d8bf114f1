//! MQTT 3.1.1, as far as a fan-out needs it: connect, subscribe, publish, all without acknowledgement (QoS 0).
//!
//! A packet is one byte that says what it is, the length of the rest in seven bits a byte, and the rest.

use super::CHANNEL;

/// `CONNECT` and `SUBSCRIBE` in one: the protocol lets a client go on without waiting.
pub fn hello(index: usize) -> Vec<u8> {
    let mut connect = Vec::new();
    string("MQTT", &mut connect);
    connect.extend_from_slice(&[LEVEL_3_1_1, CLEAN_SESSION]);
    connect.extend_from_slice(&KEEP_ALIVE_OFF);
    string(&format!("load-{index}"), &mut connect);
    let mut subscribe = vec![0, 1]; // The packet's number, which its confirmation repeats.
    string(CHANNEL, &mut subscribe);
    subscribe.push(QOS_0);
    let mut out = Vec::new();
    packet(CONNECT, &connect, &mut out);
    packet(SUBSCRIBE, &subscribe, &mut out);
    out
}

/// `CONNACK` without a kept session and with code 0, then `SUBACK` of packet 1 with QoS 0.
pub const WELCOME: &[u8] = &[0x20, 2, 0, 0, 0x90, 3, 0, 1, QOS_0];

/// Appends a `PUBLISH`, which looks the same on its way to a subscriber.
pub fn publish(payload: &str, out: &mut Vec<u8>) {
    let mut rest = Vec::with_capacity(2 + CHANNEL.len() + payload.len());
    string(CHANNEL, &mut rest);
    rest.extend_from_slice(payload.as_bytes());
    packet(PUBLISH, &rest, out);
}

fn packet(kind: u8, rest: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    let mut length = rest.len();
    while length > 0x7f {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(rest);
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

const CONNECT: u8 = 0x10;
const PUBLISH: u8 = 0x30;
const SUBSCRIBE: u8 = 0x82;

const LEVEL_3_1_1: u8 = 4;
const CLEAN_SESSION: u8 = 2;
const QOS_0: u8 = 0;

/// No run is so long that anybody must show that they are still there.
const KEEP_ALIVE_OFF: [u8; 2] = [0, 0];

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows the bytes of each packet, those of a length that takes two bytes included.
    #[test]
    fn packets_are_as_the_standard_says() {
        let connect = b"\x10\x12\x00\x04MQTT\x04\x02\x00\x00\x00\x06load-7";
        let subscribe = b"\x82\x06\x00\x01\x00\x01b\x00";
        assert_eq!(hello(7), [connect.as_slice(), subscribe.as_slice()].concat());
        let mut out = Vec::new();
        publish(&"x".repeat(318), &mut out);
        assert_eq!((&out[..6], out.len()), (b"\x30\xc1\x02\x00\x01b".as_slice(), 3 + 321));
    }
}
