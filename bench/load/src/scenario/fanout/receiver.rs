//! What the clients of a fan-out have received: each one's messages counted, one client's looked into.

use crate::broker;
use crate::error::LoadError;
use crate::message::{CHAT, Framing, Message};
use crate::websocket::{self, Counter};

/// What one client has received.
#[derive(Clone)]
pub(super) struct Receiver {
    framing: Framing,
    /// Where it is within a frame, if its messages are frames.
    frames: Counter,
    /// The same among NATS's deliveries.
    pushes: broker::Counter,
    /// The length of its messages in all.
    pub(super) bytes: u64,
    pub(super) messages: u64,
}

impl Receiver {
    /// Nothing yet.
    pub(super) fn new(framing: Framing) -> Self {
        Self { framing, frames: Counter::default(), pushes: broker::Counter::default(), bytes: 0, messages: 0 }
    }

    /// Counts the messages that `bytes` completes.
    pub(super) fn count(&mut self, bytes: &[u8]) -> Result<u64, LoadError> {
        let before = self.messages;
        self.bytes += bytes.len() as u64;
        self.messages = match self.framing {
            Framing::Lines => before + memchr::memchr_iter(b'\n', bytes).count() as u64,
            Framing::Fixed(length) => self.bytes / length as u64,
            Framing::Pushes(length) => before + self.pushes.feed(bytes, length).map_err(LoadError::Wrong)?,
            Framing::Frames => before + self.frames.feed(bytes, CHAT)?,
        };
        match self.framing {
            Framing::Pushes(_) => self.bytes = self.pushes.counted_bytes,
            Framing::Frames => self.bytes = self.frames.counted_bytes,
            Framing::Lines | Framing::Fixed(_) => {}
        }
        Ok(self.messages - before)
    }

    /// What answers the pings that came.
    pub(super) fn take_pongs(&mut self) -> Option<Vec<u8>> {
        match self.framing {
            Framing::Pushes(_) => self.pushes.take_pongs(),
            _ => self.frames.take_ping().map(|ping| {
                let mut pong = Vec::new();
                websocket::pong(&ping, &mut pong);
                pong
            }),
        }
    }
}

/// Looks into every message of one client.
pub(super) struct Watch {
    pub(super) message: Message,
    /// The beginning of a message whose end has not come yet.
    pub(super) tail: Vec<u8>,
    /// The sequence number that must come next.
    pub(super) next: u64,
}

impl Watch {
    /// Takes more of what that client received.
    pub(super) fn look(&mut self, bytes: &[u8]) -> Result<(), LoadError> {
        self.tail.extend_from_slice(bytes);
        let mut from = 0;
        while let Some(cut) = self.message.framing().first(&self.tail[from..])? {
            let received = &self.tail[from..][cut.content];
            if cut.counts && !self.message.is(self.next, received) {
                let shown = String::from_utf8_lossy(&received[..received.len().min(300)]).into_owned();
                return Err(LoadError::Wrong(format!("message {} was expected, this came: {shown}", self.next)));
            }
            self.next += u64::from(cut.counts);
            from += cut.end;
        }
        self.tail.drain(..from);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::padded;

    /// Shows that both framings count the same stream of messages alike in every chunking.
    #[test]
    fn counting_in_any_chunking() {
        let stream = b"aaa\nbbb\nccc\n";
        for framing in [Framing::Lines, Framing::Fixed(4)] {
            for size in 1..=stream.len() {
                let mut receiver = Receiver::new(framing);
                let counted: u64 = stream.chunks(size).map(|chunk| receiver.count(chunk).unwrap()).sum();
                assert_eq!((counted, receiver.bytes), (3, 12), "{framing:?} in chunks of {size}");
            }
        }
    }

    /// Shows that of WebSocket frames the chat's count, and their bytes alone, with a presence in between, and
    /// that the watch sees the same messages.
    #[test]
    fn chat_is_counted_among_frames() {
        let message = Message::Chat { bytes: 20 };
        let frame = |payload: String| [&[0x81, payload.len() as u8], payload.as_bytes()].concat();
        let said = |sequence: u64| frame(format!(r#"{{"type":"chat","content":"{}"}}"#, padded(sequence, 20)));
        let presence = frame(r#"{"type":"presence","room":"general","online":2}"#.to_owned());
        let stream = [said(0), presence.clone(), said(1), presence].concat();
        for size in 1..=stream.len() {
            let mut receiver = Receiver::new(Framing::Frames);
            let mut watch = Watch { message: message.clone(), tail: Vec::new(), next: 0 };
            let counted: u64 = stream.chunks(size).map(|chunk| receiver.count(chunk).unwrap()).sum();
            stream.chunks(size).for_each(|chunk| watch.look(chunk).unwrap());
            assert_eq!((counted, receiver.bytes), (2, 2 * said(0).len() as u64), "in chunks of {size}");
            assert_eq!((watch.next, watch.tail.len()), (2, 0));
        }
    }

    /// Shows that the watch takes messages in order in every chunking and stops at one that was swapped.
    #[test]
    fn the_watch_sees_a_swap() {
        let message = Message::Raw { bytes: 40 };
        let (mut stream, mut swapped) = (Vec::new(), Vec::new());
        (0..3).for_each(|sequence| message.publish(sequence, &mut stream));
        [0, 2, 1].iter().for_each(|&sequence| message.publish(sequence, &mut swapped));
        let watch = || Watch { message: message.clone(), tail: Vec::new(), next: 0 };
        for size in 1..=stream.len() {
            let mut watch = watch();
            stream.chunks(size).for_each(|chunk| watch.look(chunk).unwrap());
            assert_eq!((watch.next, watch.tail.len()), (3, 0));
        }
        assert!(watch().look(&swapped).is_err());
    }
}
