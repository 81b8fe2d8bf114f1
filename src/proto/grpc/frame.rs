//! Messages within a stream of bytes: a flag, a length, the message.
//!
//! The flag says whether the message is compressed, by what the call's headers name; here that is gzip
//! or nothing. A compressed message counts by what it unpacks to, so that a few bytes can't become many.

use std::io::{Read, Write};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::status::{Code, Status};

/// The longest message, packed or not: what gRPC's own libraries take unless they are told otherwise.
pub const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// An answer below this is not worth compressing.
const PACK_BYTES_MIN: usize = 1 << 10;

/// The flag and the length.
const HEAD_BYTES: usize = 5;

/// Takes a stream of bytes apart into messages.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
    /// The call's headers name gzip.
    gzip: bool,
}

impl Decoder {
    /// For a stream whose messages may be compressed if `gzip`.
    pub fn new(gzip: bool) -> Self {
        Self { buffer: BytesMut::new(), gzip }
    }

    /// More bytes have come. The caller takes all messages out before it brings more.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.put_slice(bytes);
    }

    /// Whether the next message is whole. What is too long is refused by its head, before it is held.
    pub fn is_ready(&self) -> Result<bool, Status> {
        Ok(self.head()?.is_some_and(|(_, length)| self.buffer.len() >= HEAD_BYTES + length))
    }

    /// Whether there is something behind the next message, which is whole.
    pub fn has_more(&self) -> bool {
        self.head().is_ok_and(|head| head.is_some_and(|(_, length)| self.buffer.len() > HEAD_BYTES + length))
    }

    /// The next whole message.
    pub fn next_message(&mut self) -> Result<Option<Bytes>, Status> {
        let Some((packed, length)) = self.head()? else { return Ok(None) };
        if self.buffer.len() < HEAD_BYTES + length {
            return Ok(None);
        }
        self.buffer.advance(HEAD_BYTES);
        let message = self.buffer.split_to(length).freeze();
        if packed { unpack(&message).map(Some) } else { Ok(Some(message)) }
    }

    /// Whether the next message is packed, and its length.
    fn head(&self) -> Result<Option<(bool, usize)>, Status> {
        let Some((head, _)) = self.buffer.split_at_checked(HEAD_BYTES) else { return Ok(None) };
        let (packed, mut length) = (head[0], &head[1..]);
        let length = length.get_u32() as usize;
        if packed > 1 || (packed == 1 && !self.gzip) {
            return Err(Status::new(Code::Internal, "The message's flag does not fit grpc-encoding"));
        }
        if length > MESSAGE_BYTES_MAX {
            return Err(too_large());
        }
        Ok(Some((packed == 1, length)))
    }

    /// How many bytes are left.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether nothing is left: where a stream ends, something that is left is half a message.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}

/// A frame that many share, made for one who wants it compressed if that is worth it.
pub fn repack(frame: Bytes, gzip: bool) -> Bytes {
    if gzip && frame.len() >= HEAD_BYTES + PACK_BYTES_MIN { encode(&frame[HEAD_BYTES..], true) } else { frame }
}

/// A message ready to be sent, compressed if `gzip` and if that is worth it.
pub fn encode(message: &[u8], gzip: bool) -> Bytes {
    let packed = (gzip && message.len() >= PACK_BYTES_MIN).then(|| pack(message)).flatten();
    let (flag, body) = packed.as_deref().map_or((0, message), |packed| (1, packed));
    let mut frame = BytesMut::with_capacity(HEAD_BYTES + body.len());
    frame.put_u8(flag);
    frame.put_u32(body.len() as u32);
    frame.put_slice(body);
    frame.freeze()
}

/// Writing to memory does not fail; if it did, the message would go as it is.
fn pack(message: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(message.len() / 4), Compression::fast());
    encoder.write_all(message).ok()?;
    encoder.finish().ok()
}

fn unpack(packed: &[u8]) -> Result<Bytes, Status> {
    let mut message = Vec::new();
    let mut decoder = GzDecoder::new(packed).take(MESSAGE_BYTES_MAX as u64 + 1);
    if decoder.read_to_end(&mut message).is_err() {
        return Err(Status::new(Code::Internal, "The message is not gzip"));
    }
    if message.len() > MESSAGE_BYTES_MAX { Err(too_large()) } else { Ok(message.into()) }
}

fn too_large() -> Status {
    Status::new(Code::ResourceExhausted, "The message is longer than 4 MiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(decoder: &mut Decoder) -> Vec<Bytes> {
        std::iter::from_fn(|| decoder.next_message().unwrap()).collect()
    }

    /// Messages are found whole, byte by byte, and with others behind them.
    #[test]
    fn messages_are_found_however_they_come() {
        let long = vec![7; 5000];
        let wanted: [&[u8]; 3] = [b"", b"one", &long];
        let stream: Vec<u8> = wanted.iter().flat_map(|message| encode(message, true)).collect();
        let mut whole = Decoder::new(true);
        whole.feed(&stream);
        assert_eq!(all(&mut whole), wanted);
        assert!(whole.is_empty());
        let mut slow = Decoder::new(true);
        let mut found = Vec::new();
        for byte in &stream {
            slow.feed(&[*byte]);
            found.extend(all(&mut slow));
        }
        assert_eq!(found, wanted);
        let mut trailing = Decoder::new(true);
        trailing.feed(&stream);
        trailing.feed(&[0, 0]);
        assert_eq!(all(&mut trailing), wanted);
        assert!(!trailing.is_empty(), "half a message is left");
    }

    /// Only what is long enough is compressed, and only where it is wanted.
    #[test]
    fn compression_is_wanted_and_worth_it() {
        let long = vec![b'x'; 5000];
        assert_eq!(encode(&long, false).len(), 5005);
        assert!(encode(&long, true).len() < 100);
        assert_eq!(&encode(b"short", true)[..], b"\0\0\0\0\x05short");
        let shared = encode(&long, false);
        assert_eq!(repack(shared.clone(), false).as_ptr(), shared.as_ptr());
        assert_eq!(repack(shared, true), encode(&long, true));
    }

    fn code(stream: &[u8], gzip: bool) -> Option<Code> {
        let mut decoder = Decoder::new(gzip);
        decoder.feed(stream);
        decoder.next_message().err().map(|status| status.code)
    }

    /// What is too long is refused by its head, and what unpacks to too much by what it becomes.
    #[test]
    fn lengths_are_bounded() {
        let head = |length: usize| [&[0][..], &(length as u32).to_be_bytes()].concat();
        assert_eq!(code(&head(MESSAGE_BYTES_MAX), false), None);
        assert_eq!(code(&head(MESSAGE_BYTES_MAX + 1), false), Some(Code::ResourceExhausted));
        let bomb = encode(&vec![0; MESSAGE_BYTES_MAX + 1], true);
        assert!(bomb.len() < 100_000);
        assert_eq!(code(&bomb, true), Some(Code::ResourceExhausted));
    }

    /// A flag that its headers do not explain, and gzip that is none, are refused.
    #[test]
    fn flags_and_gzip_are_checked() {
        assert_eq!(code(b"\x02\0\0\0\0", true), Some(Code::Internal));
        assert_eq!(code(b"\x01\0\0\0\0", false), Some(Code::Internal));
        assert_eq!(code(b"\x01\0\0\0\x03abc", true), Some(Code::Internal));
    }
}
