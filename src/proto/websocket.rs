//! WebSocket frames (RFC 6455), the server's side: frames in, whole messages out, and back.
//!
//! Heads are read and written by `tungstenite`; everything else stays in the connection's own buffers:
//! a message of one frame is unmasked where it lies and shown from there, and only fragments are
//! collected here. So an idle connection holds a few words, where a stream of `tungstenite`'s would
//! hold buffers of its own.
//!
//! What must hold: how the bytes were cut into reads changes nothing; a length beyond the bound is
//! refused by its head, before anything is held for it; after a fault or the peer's goodbye nothing
//! more is shown, and our own goodbye is said once. Extensions are not negotiated. What a message
//! means is `ws_text.rs`; the request that begins all this is `handshake.rs`.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::buffer::RecvBuf;
use crate::handlers::effect::CloseReason;

/// One connection's place in the conversation.
#[derive(Debug, Default)]
pub struct WebSocket {
    /// The fragments of a message that has begun and not ended.
    begun: Option<Box<Begun>>,
    /// The frame at the front of the buffer that has been unmasked, and is not consumed yet.
    shown: Option<Shown>,
    /// The code of our goodbye, where it doesn't follow from why the connection ends.
    code: Option<u16>,
    /// The peer has said goodbye.
    ended: bool,
    /// So have we.
    left: bool,
    /// A ping of ours is not answered yet.
    awaits_pong: bool,
}

#[derive(Debug)]
struct Begun {
    binary: bool,
    bytes: Vec<u8>,
}

/// A frame that is shown: where it lies, and as what.
#[derive(Debug, Clone, Copy)]
struct Shown {
    head_bytes: usize,
    bytes: usize,
    what: What,
}

#[derive(Debug, Clone, Copy)]
enum What {
    /// A whole message.
    Message { binary: bool },
    /// The last fragment of one; all of it is in `begun`.
    Last,
    /// A ping, turned into its pong.
    Pong,
}

/// What the buffer holds next.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// Nothing whole.
    NeedMore,
    /// A text message. It is shown again until it is consumed.
    Text(&'a str),
    /// A binary message; likewise.
    Binary(&'a [u8]),
    /// The answer to a ping, to be sent now.
    Pong(&'a [u8]),
    /// The peer has said goodbye.
    Ended,
}

/// The peer broke the rules. The connection ends with this code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Fault {
    /// The code of our goodbye (RFC 6455 §7.4.1).
    pub code: u16,
    /// What was wrong.
    pub what: &'static str,
}

/// What one frame came to.
enum Step {
    NeedMore,
    Whole,
    Ended,
}

impl WebSocket {
    /// How many messages may be owed to a peer that takes none: whoever is that far behind a
    /// conversation reads it up more easily than it catches up.
    pub const MESSAGES_OWED_MAX: usize = 256;

    /// Shows the next message of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// When the peer breaks the rules; nothing more may be decoded then.
    pub fn decode<'a>(&'a mut self, rx: &'a mut RecvBuf, bytes_max: usize) -> Result<Decoded<'a>, Fault> {
        if matches!(self.shown, Some(Shown { what: What::Pong, .. })) {
            self.consume(rx);
        }
        match self.advance(rx, bytes_max)? {
            Step::NeedMore => Ok(Decoded::NeedMore),
            Step::Ended => Ok(Decoded::Ended),
            Step::Whole => self.show(rx),
        }
    }

    /// Drops the message that was shown last.
    pub fn consume(&mut self, rx: &mut RecvBuf) {
        let Some(shown) = self.shown.take() else { return };
        rx.consume(shown.bytes);
        if matches!(shown.what, What::Last) {
            self.begun = None;
        }
    }

    /// Whether nothing of a message has arrived beyond what has been shown: neither a part of a frame, nor
    /// fragments whose rest is to come.
    pub fn is_idle(&self, rx: &RecvBuf) -> bool {
        let whole = matches!(self.shown, Some(Shown { what: What::Last, .. }));
        (whole || self.begun.is_none()) && rx.len() <= self.shown.map_or(0, |shown| shown.bytes)
    }

    /// How many bytes are held for fragments: the frames they came in are no longer in the buffer.
    pub fn held(&self) -> usize {
        self.begun.as_ref().map_or(0, |begun| begun.bytes.capacity())
    }

    /// Whether a ping of ours waits for its answer.
    pub fn awaits_pong(&self) -> bool {
        self.awaits_pong
    }

    /// Appends a ping, whose answer is waited for from now on.
    pub fn ping(&mut self, out: &mut Vec<u8>) {
        self.awaits_pong = true;
        push_frame(OpCode::Control(Control::Ping), b"", out);
    }

    /// Remembers the code of our goodbye, where it doesn't follow from why the connection ends.
    pub fn end_with(&mut self, fault: Fault) {
        self.code = Some(fault.code);
    }

    /// Appends our goodbye, which is the last we say; nothing the second time.
    pub fn last_word(&mut self, reason: CloseReason, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.left, true) {
            return;
        }
        let code = self.code.unwrap_or_else(|| close_code(reason).into());
        push_frame(OpCode::Control(Control::Close), &code.to_be_bytes(), out);
    }

    /// Reads frames until one is to be shown.
    fn advance(&mut self, rx: &mut RecvBuf, bytes_max: usize) -> Result<Step, Fault> {
        while self.shown.is_none() {
            if self.ended {
                return Ok(Step::Ended);
            }
            let mut cursor = Cursor::new(rx.data());
            let parsed = FrameHeader::parse(&mut cursor).map_err(|_| RESERVED_OPCODE)?;
            let Some((head, length)) = parsed else { return Ok(Step::NeedMore) };
            let head_bytes = cursor.position() as usize;
            let mask = self.check(&head, length, bytes_max)?;
            let bytes = head_bytes + length as usize;
            if rx.len() < bytes {
                return Ok(Step::NeedMore);
            }
            let frame = &mut rx.data_mut()[..bytes];
            unmask(&mut frame[head_bytes..], mask);
            match self.take(&head, frame, head_bytes)? {
                Some(what) => self.shown = Some(Shown { head_bytes, bytes, what }),
                // A goodbye stays: it is dealt with when what was asked before has been answered.
                None if self.ended => {}
                None => rx.consume(bytes),
            }
        }
        Ok(Step::Whole)
    }

    /// What a head must keep to, whatever follows it. Returns the mask.
    fn check(&self, head: &FrameHeader, length: u64, bytes_max: usize) -> Result<[u8; 4], Fault> {
        if head.rsv1 || head.rsv2 || head.rsv3 {
            return Err(RESERVED_BIT);
        }
        let mask = head.mask.ok_or(UNMASKED)?;
        let begun = self.begun.as_ref();
        match head.opcode {
            OpCode::Control(_) if !head.is_final || length > CONTROL_BYTES_MAX => return Err(BAD_CONTROL),
            OpCode::Control(_) => {}
            OpCode::Data(Data::Continue) if begun.is_none() => return Err(NOTHING_BEGUN),
            OpCode::Data(Data::Text | Data::Binary) if begun.is_some() => return Err(BEGUN_TWICE),
            OpCode::Data(_) => {
                let room = bytes_max.saturating_sub(begun.map_or(0, |begun| begun.bytes.len()));
                if length > room as u64 {
                    return Err(TOO_LARGE);
                }
            }
        }
        Ok(mask)
    }

    /// Takes a frame up. Returns what of it is to be shown; without that it has been dealt with.
    fn take(&mut self, head: &FrameHeader, frame: &mut [u8], head_bytes: usize) -> Result<Option<What>, Fault> {
        let payload = &frame[head_bytes..];
        match head.opcode {
            OpCode::Control(Control::Ping) => {
                // A pong is four bytes shorter than the ping it answers: it carries no mask.
                let length = payload.len() as u8;
                frame[head_bytes - 2..head_bytes].copy_from_slice(&[PONG, length]);
                Ok(Some(What::Pong))
            }
            OpCode::Control(Control::Pong) => {
                self.awaits_pong = false;
                Ok(None)
            }
            OpCode::Control(_) => {
                self.code = Some(read_goodbye(payload)?);
                self.ended = true;
                Ok(None)
            }
            OpCode::Data(Data::Continue) => {
                let Some(begun) = &mut self.begun else { return Err(NOTHING_BEGUN) };
                begun.bytes.extend_from_slice(payload);
                Ok(head.is_final.then_some(What::Last))
            }
            OpCode::Data(kind) if head.is_final => Ok(Some(What::Message { binary: kind == Data::Binary })),
            OpCode::Data(kind) => {
                let binary = kind == Data::Binary;
                self.begun = Some(Box::new(Begun { binary, bytes: payload.to_vec() }));
                Ok(None)
            }
        }
    }

    fn show<'a>(&'a self, rx: &'a RecvBuf) -> Result<Decoded<'a>, Fault> {
        let Some(Shown { head_bytes, bytes, what }) = self.shown else { return Ok(Decoded::NeedMore) };
        let frame = &rx.data()[..bytes];
        let (binary, message) = match (what, &self.begun) {
            (What::Pong, _) => return Ok(Decoded::Pong(&frame[head_bytes - 2..])),
            (What::Last, Some(begun)) => (begun.binary, begun.bytes.as_slice()),
            (What::Last, None) => return Ok(Decoded::NeedMore),
            (What::Message { binary }, _) => (binary, &frame[head_bytes..]),
        };
        match binary {
            true => Ok(Decoded::Binary(message)),
            false => std::str::from_utf8(message).map(Decoded::Text).map_err(|_| NOT_UTF8),
        }
    }
}

/// Appends a text message.
pub fn push_text(payload: &[u8], out: &mut Vec<u8>) {
    push_frame(OpCode::Data(Data::Text), payload, out);
}

/// Appends a text message whose payload `write` appends; nothing if that appends nothing.
pub fn write_text(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write(out);
    let length = out.len() - start;
    if length > 0 {
        let mut head = Vec::with_capacity(HEAD_BYTES_MAX);
        push_head(OpCode::Data(Data::Text), length, &mut head);
        out.splice(start..start, head);
    }
}

/// Appends a binary message.
pub fn push_binary(payload: &[u8], out: &mut Vec<u8>) {
    push_frame(OpCode::Data(Data::Binary), payload, out);
}

fn push_frame(opcode: OpCode, payload: &[u8], out: &mut Vec<u8>) {
    push_head(opcode, payload.len(), out);
    out.extend_from_slice(payload);
}

fn push_head(opcode: OpCode, length: usize, out: &mut Vec<u8>) {
    let head = FrameHeader { opcode, ..FrameHeader::default() };
    // Writing to memory has nothing that could fail.
    let _ = head.format(length as u64, out);
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    for (index, byte) in payload.iter_mut().enumerate() {
        *byte ^= mask[index % 4];
    }
}

/// The code of the peer's goodbye, which ours repeats.
fn read_goodbye(payload: &[u8]) -> Result<u16, Fault> {
    let (code, words) = match payload {
        [] => return Ok(CloseCode::Normal.into()),
        [_] => return Err(BAD_GOODBYE),
        [high, low, words @ ..] => (u16::from_be_bytes([*high, *low]), words),
    };
    if !CloseCode::from(code).is_allowed() {
        return Err(BAD_GOODBYE);
    }
    std::str::from_utf8(words).map(|_| code).map_err(|_| NOT_UTF8)
}

/// The code that tells a peer why its connection ends.
fn close_code(reason: CloseReason) -> CloseCode {
    match reason {
        CloseReason::Goodbye | CloseReason::PeerClosed | CloseReason::PeerLost | CloseReason::Finished => {
            CloseCode::Normal
        }
        CloseReason::Shutdown => CloseCode::Away,
        CloseReason::ProtocolError => CloseCode::Protocol,
        CloseReason::Unsupported => CloseCode::Unsupported,
        CloseReason::SlowConsumer | CloseReason::MemoryPressure | CloseReason::TooMany => CloseCode::Again,
        CloseReason::Internal | CloseReason::JobTimeout => CloseCode::Error,
        CloseReason::AuthFailed
        | CloseReason::AuthTimeout
        | CloseReason::IdleTimeout
        | CloseReason::ReadTimeout
        | CloseReason::WriteTimeout
        | CloseReason::Revoked => CloseCode::Policy,
    }
}

/// The payload of a control frame is no longer (RFC 6455 §5.5).
const CONTROL_BYTES_MAX: u64 = 125;
/// The longest head that a server writes: it has no mask.
const HEAD_BYTES_MAX: usize = 10;
/// The first byte of a pong, which is whole in itself.
const PONG: u8 = 0x8a;

const RESERVED_OPCODE: Fault = Fault { code: 1002, what: "A frame's opcode is reserved." };
const RESERVED_BIT: Fault = Fault { code: 1002, what: "A reserved bit is set and no extension was agreed on." };
const UNMASKED: Fault = Fault { code: 1002, what: "A client's frames must be masked." };
const BAD_CONTROL: Fault = Fault { code: 1002, what: "A control frame is fragmented or too long." };
const NOTHING_BEGUN: Fault = Fault { code: 1002, what: "There is no message to continue." };
const BEGUN_TWICE: Fault = Fault { code: 1002, what: "A message began inside another." };
const BAD_GOODBYE: Fault = Fault { code: 1002, what: "A goodbye is malformed." };
const NOT_UTF8: Fault = Fault { code: 1007, what: "Text is not UTF-8." };
const TOO_LARGE: Fault = Fault { code: 1009, what: "The message is too large." };

#[cfg(test)]
#[path = "websocket/tests.rs"]
mod tests;
