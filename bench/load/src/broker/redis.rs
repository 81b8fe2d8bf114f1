//! Redis's protocol, RESP: every command and every push an array of strings with their lengths.

use std::io::Write;

use super::CHANNEL;

/// The command that subscribes.
pub fn subscribe() -> Vec<u8> {
    format!("*2\r\n$9\r\nSUBSCRIBE\r\n${}\r\n{CHANNEL}\r\n", CHANNEL.len()).into_bytes()
}

/// What confirms it: the connection's first subscription.
pub fn subscribed() -> Vec<u8> {
    format!("*3\r\n$9\r\nsubscribe\r\n${}\r\n{CHANNEL}\r\n:1\r\n", CHANNEL.len()).into_bytes()
}

/// Appends the command that publishes.
pub fn publish(payload: &str, out: &mut Vec<u8>) {
    let (name, length) = (CHANNEL.len(), payload.len());
    // Writing to a Vec can't fail.
    let _ = write!(out, "*3\r\n$7\r\nPUBLISH\r\n${name}\r\n{CHANNEL}\r\n${length}\r\n{payload}\r\n");
}

/// What a subscriber receives.
pub fn push(payload: &str) -> Vec<u8> {
    let (name, length) = (CHANNEL.len(), payload.len());
    format!("*3\r\n$7\r\nmessage\r\n${name}\r\n{CHANNEL}\r\n${length}\r\n{payload}\r\n").into_bytes()
}
