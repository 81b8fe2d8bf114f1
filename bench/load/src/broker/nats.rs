//! NATS's protocol: lines, and a payload behind those that announce one.
//!
//! A server asks every client now and then whether it is there, by a `PING` between messages, so a stream of
//! deliveries is not of messages alone.

use std::io::Write;

use super::CHANNEL;
use crate::message::Cut;

/// Who we are, what we want, and a question whose answer tells that both were understood.
pub const HELLO: &[u8] =
    b"CONNECT {\"verbose\":false,\"pedantic\":false,\"protocol\":0,\"name\":\"load\"}\r\nSUB b 1\r\nPING\r\n";

/// What a server asks.
pub const PING: &[u8] = b"PING\r\n";

/// What it is answered.
pub const PONG: &[u8] = b"PONG\r\n";

/// Whether the answer to [`HELLO`] is there: the server says who it is before it is spoken to, and then `PONG`.
pub fn welcomed(received: &[u8]) -> Result<bool, String> {
    let lines = received.split_inclusive(|byte| *byte == b'\n');
    let refusal = lines.clone().find(|line| line.starts_with(b"-ERR"));
    match refusal {
        Some(refusal) => Err(format!("NATS said: {}", String::from_utf8_lossy(refusal).trim_end())),
        None => Ok(lines.into_iter().any(|line| line == PONG)),
    }
}

/// Appends the command that publishes.
pub fn publish(payload: &str, out: &mut Vec<u8>) {
    // Writing to a Vec can't fail.
    let _ = write!(out, "PUB {CHANNEL} {}\r\n{payload}\r\n", payload.len());
}

/// What a subscriber receives.
pub fn push(payload: &str) -> Vec<u8> {
    format!("MSG {CHANNEL} 1 {}\r\n{payload}\r\n", payload.len()).into_bytes()
}

/// Counts deliveries of one length among `PING`s, in a stream that is cut anywhere.
#[derive(Debug, Clone, Default)]
pub struct Counter {
    /// Bytes still to come of what has begun.
    left: usize,
    /// Whether that is a delivery.
    delivery: bool,
    /// `PING`s that nobody has answered yet.
    pings: usize,
    /// The bytes of the deliveries.
    pub counted_bytes: u64,
}

impl Counter {
    /// Counts the deliveries, of `length` bytes each, that end in `bytes`.
    pub fn feed(&mut self, mut bytes: &[u8], length: usize) -> Result<u64, String> {
        let mut ended = 0;
        while let Some(first) = bytes.first() {
            if self.left == 0 {
                self.delivery = is_delivery(*first)?;
                self.left = if self.delivery { length } else { PING.len() };
            }
            let step = self.left.min(bytes.len());
            (self.left, bytes) = (self.left - step, &bytes[step..]);
            match (self.left, self.delivery) {
                (0, true) => (ended, self.counted_bytes) = (ended + 1, self.counted_bytes + length as u64),
                (0, false) => self.pings += 1,
                _ => {}
            }
        }
        Ok(ended)
    }

    /// The answers to the `PING`s since the last time, if there were any.
    pub fn take_pongs(&mut self) -> Option<Vec<u8>> {
        let pings = std::mem::take(&mut self.pings);
        (pings > 0).then(|| PONG.repeat(pings))
    }
}

/// The first delivery, or `PING`, in `bytes`, once all of it is there.
pub fn first_push(bytes: &[u8], length: usize) -> Result<Option<Cut>, String> {
    let Some(first) = bytes.first() else { return Ok(None) };
    let counts = is_delivery(*first)?;
    let end = if counts { length } else { PING.len() };
    Ok((bytes.len() >= end).then_some(Cut { content: 0..end, end, counts }))
}

/// A delivery or a `PING`, by its first letter; an error, which begins with a hyphen, is neither.
fn is_delivery(first: u8) -> Result<bool, String> {
    match first {
        b'M' => Ok(true),
        b'P' => Ok(false),
        other => Err(format!("NATS sent something that begins with {:?}", char::from(other))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that deliveries are counted among pings in every chunking, and the pings are answered.
    #[test]
    fn deliveries_among_pings() {
        let push = push("payload");
        let stream = [push.as_slice(), PING, &push, &push, PING, PING].concat();
        for size in 1..=stream.len() {
            let mut counter = Counter::default();
            let counted: u64 = stream.chunks(size).map(|chunk| counter.feed(chunk, push.len()).unwrap()).sum();
            assert_eq!((counted, counter.counted_bytes), (3, 3 * push.len() as u64), "in chunks of {size}");
            assert_eq!(counter.take_pongs(), Some(PONG.repeat(3)));
            assert_eq!(counter.take_pongs(), None);
        }
        assert!(Counter::default().feed(b"-ERR 'Slow Consumer'\r\n", 20).is_err());
    }

    /// Shows that the first delivery is found behind a ping, and waits for its end.
    #[test]
    fn the_first_push() {
        let push = push("payload");
        let cut = |counts, end| Cut { content: 0..end, end, counts };
        assert_eq!(first_push(PING, push.len()), Ok(Some(cut(false, 6))));
        assert_eq!(first_push(&push, push.len()), Ok(Some(cut(true, push.len()))));
        assert_eq!(first_push(&push[..push.len() - 1], push.len()), Ok(None));
        assert_eq!(first_push(b"", push.len()), Ok(None));
    }
}
