//! What a publisher sends, and how a receiver knows it again.
//!
//! One [`Message`] for each kind of peer: MangaHub's progress and broadcast lines, its chat over WebSocket, plain
//! lines for the bare loop, and what each [`Broker`] is told and sends on. Every message carries its sequence number,
//! from 0, so that a receiver can tell a lost, doubled or swapped one.

use std::io::Write;
use std::ops::Range;

use serde::Deserialize;

use crate::broker::{self, Broker};
use crate::error::LoadError;
use crate::websocket::{self, Head, Kind};

/// The messages of one peer.
#[derive(Debug, Clone)]
pub enum Message {
    /// MangaHub's v1 dialect: the sequence number is the chapter.
    Progress {
        /// The slug of the series.
        manga: String,
        /// Whether the series is in the catalogue, so that the server must have stored it.
        stored: bool,
    },
    /// What is said in a room, over WebSocket.
    Chat {
        /// The length of what is said, in bytes. The message around it is MangaHub's own.
        bytes: usize,
    },
    /// Lines of a fixed length, for a peer that sends on what it gets.
    Raw {
        /// The length of a line with its newline, in bytes.
        bytes: usize,
    },
    /// What a room hears, in frames of a fixed length, for a peer that sends on what it gets. Receivers have the
    /// same work with them as with [`Message::Chat`].
    Heard {
        /// The length of a frame, in bytes.
        bytes: usize,
    },
    /// Publish and subscribe.
    Broker {
        /// Through whom.
        broker: Broker,
        /// The length of a payload, in bytes. What is around it is the broker's own.
        bytes: usize,
    },
}

/// How a receiver finds the ends of messages without looking into them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Every newline ends one.
    Lines,
    /// Every so many bytes are one.
    Fixed(usize),
    /// Every so many bytes are one, but for NATS's `PING`s.
    Pushes(usize),
    /// WebSocket frames; those that begin with [`CHAT`] are messages, the others are passed over.
    Frames,
}

/// Where a message is in a stream.
#[derive(Debug, PartialEq, Eq)]
pub struct Cut {
    /// Where its content is.
    pub content: Range<usize>,
    /// Where the next message begins.
    pub end: usize,
    /// Whether it counts.
    pub counts: bool,
}

impl Framing {
    /// The first message in `bytes`, once all of it is there.
    pub fn first(self, bytes: &[u8]) -> Result<Option<Cut>, LoadError> {
        let all = |content: usize, end: usize| Cut { content: 0..content, end, counts: true };
        match self {
            Framing::Lines => Ok(memchr::memchr(b'\n', bytes).map(|end| all(end, end + 1))),
            Framing::Fixed(length) => Ok((bytes.len() >= length).then(|| all(length, length))),
            Framing::Pushes(length) => broker::first_push(bytes, length).map_err(LoadError::Wrong),
            Framing::Frames => first_frame(bytes).map_err(LoadError::Wrong),
        }
    }
}

fn first_frame(bytes: &[u8]) -> Result<Option<Cut>, String> {
    let Some(head) = Head::parse(bytes)? else { return Ok(None) };
    let payload = usize::try_from(head.payload).map_err(|_| "a frame too long".to_owned())?;
    let content = head.length..head.length.saturating_add(payload);
    let end = content.end;
    Ok(bytes.get(content.clone()).map(|payload| {
        let counts = head.kind == Kind::Text && payload.starts_with(CHAT);
        Cut { content, end, counts }
    }))
}

impl Message {
    /// Appends the bytes that publish number `sequence`.
    pub fn publish(&self, sequence: u64, out: &mut Vec<u8>) {
        // Writing to a Vec can't fail.
        let _ = match self {
            Message::Progress { manga, .. } => progress_line(manga, chapter(sequence), out),
            Message::Chat { bytes } => {
                websocket::text(said(sequence, *bytes).as_bytes(), out);
                Ok(())
            }
            Message::Heard { bytes } => {
                websocket::text_of_server(said(sequence, heard_content(*bytes)).as_bytes(), out);
                Ok(())
            }
            Message::Raw { bytes } => writeln!(out, "{}", padded(sequence, bytes.saturating_sub(1))),
            Message::Broker { broker, bytes } => {
                broker.publish(&padded(sequence, *bytes), out);
                Ok(())
            }
        };
    }

    /// Whether number `sequence` leaves this chapter in the store, where it leaves one at all.
    pub fn leaves(&self, sequence: u64, stored: u64) -> bool {
        matches!(self, Message::Progress { stored: true, .. }) && stored == chapter(sequence)
    }

    /// How the receivers' bytes are cut into messages.
    pub fn framing(&self) -> Framing {
        match self {
            Message::Progress { .. } | Message::Raw { .. } => Framing::Lines,
            Message::Chat { .. } | Message::Heard { .. } => Framing::Frames,
            Message::Broker { broker, bytes } => broker.framing(broker.delivery(&padded(0, *bytes)).len()),
        }
    }

    /// Whether a received message, cut by [`Message::framing`], is exactly number `sequence`.
    pub fn is(&self, sequence: u64, received: &[u8]) -> bool {
        match self {
            Message::Progress { stored, .. } => Broadcast::parse(received).is_some_and(|broadcast| {
                broadcast.data.current_chapter == chapter(sequence) && broadcast.data.stored.unwrap_or(true) == *stored
            }),
            Message::Chat { bytes } => Said::is(received, sequence, *bytes),
            Message::Heard { bytes } => Said::is(received, sequence, heard_content(*bytes)),
            Message::Raw { bytes } => received == padded(sequence, bytes.saturating_sub(1)).as_bytes(),
            Message::Broker { broker, bytes } => received == broker.delivery(&padded(sequence, *bytes)),
        }
    }
}

/// What somebody said in a room, as far as it is checked.
#[derive(Debug, Deserialize)]
struct Said<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    content: &'a str,
}

impl Said<'_> {
    fn is(received: &[u8], sequence: u64, bytes: usize) -> bool {
        serde_json::from_slice(received)
            .is_ok_and(|said: Said<'_>| said.kind == "chat" && said.content == padded(sequence, bytes))
    }
}

/// A chat message with so many bytes of content.
fn said(sequence: u64, bytes: usize) -> String {
    format!("{{\"type\":\"chat\",\"content\":\"{}\"}}", padded(sequence, bytes))
}

/// How much content makes [`said`] fill a frame of a server's, of so many bytes; its head has four.
fn heard_content(frame_bytes: usize) -> usize {
    frame_bytes.saturating_sub(4 + said(0, 0).len() - padded(0, 0).len())
}

/// MangaHub's broadcast line, as far as it is checked.
#[derive(Debug, Deserialize)]
pub struct Broadcast<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    /// What was read, and by whom.
    #[serde(borrow)]
    pub data: BroadcastData<'a>,
}

/// The payload of a [`Broadcast`].
#[derive(Debug, Deserialize)]
pub struct BroadcastData<'a> {
    /// Whose progress it is.
    pub user_id: &'a str,
    /// The chapter, a whole number.
    pub current_chapter: u64,
    /// `false` when the series is outside the catalogue.
    pub stored: Option<bool>,
}

impl<'a> Broadcast<'a> {
    /// The broadcast in a line, or `None` when the line is anything else.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(line).ok().filter(|broadcast: &Self| broadcast.kind == "broadcast")
    }
}

/// Appends a v1 `progress` line.
pub fn progress_line(manga: &str, chapter: u64, out: &mut Vec<u8>) -> std::io::Result<()> {
    writeln!(
        out,
        "{{\"type\":\"progress\",\"data\":{{\"manga_id\":\"{manga}\",\"current_chapter\":{chapter},\"status\":\"reading\"}}}}"
    )
}

/// `P`, the sequence number and dots up to `bytes`; at least the first two.
pub fn padded(sequence: u64, bytes: usize) -> String {
    format!("{:.<bytes$}", format!("P{sequence:012}"))
}

/// Five digits whatever the number, so that every line is as long as the others, and within the server's
/// largest chapter.
fn chapter(sequence: u64) -> u64 {
    CHAPTER_FIRST + sequence % CHAPTERS
}

/// How a chat message begins; presence, history and what the system says begin otherwise.
pub const CHAT: &[u8] = b"{\"type\":\"chat\"";

const CHAPTER_FIRST: u64 = 10_000;
const CHAPTERS: u64 = 90_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn published(message: &Message, sequence: u64) -> Vec<u8> {
        let mut out = Vec::new();
        message.publish(sequence, &mut out);
        out
    }

    /// Shows that a raw line has the length asked for and is known again as itself only.
    #[test]
    fn raw_lines_have_their_length() {
        let message = Message::Raw { bytes: 250 };
        let line = published(&message, 7);
        assert_eq!((line.len(), line[249]), (250, b'\n'));
        assert!(message.is(7, &line[..249]));
        assert!(!message.is(8, &line[..249]));
    }

    /// Shows that a delivery of a broker is known by its number, and is as long as the framing says.
    #[test]
    fn deliveries_are_checked() {
        let message = Message::Broker { broker: Broker::Redis, bytes: 250 };
        let delivery = Broker::Redis.delivery(&padded(123_456, 250));
        assert_eq!(message.framing(), Framing::Fixed(delivery.len()));
        assert!(message.is(123_456, &delivery) && !message.is(123_457, &delivery));
        assert!(published(&message, 1).ends_with(b"..\r\n"));
    }

    /// Shows that what is said is known by its number and length, that other frames are passed over, and that a
    /// frame in pieces waits for its end.
    #[test]
    fn what_is_said_is_checked() {
        let message = Message::Chat { bytes: 20 };
        let said = br#"{"type":"chat","id":9,"username":"u","content":"P000000000003......."}"#;
        assert!(message.is(3, said));
        assert!(!message.is(4, said) && !Message::Chat { bytes: 21 }.is(3, said));
        let frame = [&[0x81, said.len() as u8], said.as_slice()].concat();
        let cut = Cut { content: 2..frame.len(), end: frame.len(), counts: true };
        assert_eq!(Framing::Frames.first(&frame).unwrap(), Some(cut));
        assert_eq!(Framing::Frames.first(&frame[..frame.len() - 1]).unwrap(), None);
        let other = Framing::Frames.first(b"\x81\x02{}").unwrap();
        assert_eq!(other, Some(Cut { content: 2..4, end: 4, counts: false }));
        assert_eq!(published(&message, 0).len(), published(&message, 500_000).len());
    }

    /// Shows that what a room hears has the length asked for, and is what is said there in everything else.
    #[test]
    fn what_is_heard_has_its_length() {
        let (heard, said) = (Message::Heard { bytes: 301 }, Message::Chat { bytes: heard_content(301) });
        let frame = published(&heard, 3);
        let cut = heard.framing().first(&frame).unwrap().unwrap();
        assert_eq!((frame.len(), cut.end, cut.counts), (301, 301, true));
        assert!(heard.is(3, &frame[cut.content.clone()]) && said.is(3, &frame[cut.content]));
    }

    /// Shows that a broadcast is known by its chapter and by whether it was stored, and an error line is not one.
    #[test]
    fn broadcasts_are_checked() {
        let line = br#"{"type":"broadcast","data":{"user_id":"u","current_chapter":10003,"stored":false,"x":1}}"#;
        let unknown = Message::Progress { manga: "bench-series".into(), stored: false };
        assert!(unknown.is(3, line));
        assert!(!unknown.is(4, line));
        assert!(!Message::Progress { manga: "bench-series".into(), stored: true }.is(3, line));
        assert!(!unknown.is(3, br#"{"type":"error","data":{"code":"RATE_LIMITED"}}"#));
        assert_eq!(published(&unknown, 0).len(), published(&unknown, 500_000).len());
    }
}
