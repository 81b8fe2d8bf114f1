//! The chunked transfer coding, decoded as the bytes arrive (RFC 9112 §7.1).
//!
//! Payload is collected; sizes, extensions and trailers are checked, bounded and dropped, and every
//! byte leaves the receive buffer as soon as it is understood. Memory grows with what has arrived,
//! never with what a size line promises.

use memchr::memchr;

use super::{BARE_LINE_FEED, BODY_TOO_LARGE, Fault, HttpLimits, fault};
use crate::proto::buffer::RecvBuf;

/// A body under way.
#[derive(Debug, Default)]
pub(super) struct ChunkedBody {
    stage: Stage,
    payload: Vec<u8>,
    /// Bytes of extensions and trailers so far, which nobody will read.
    dropped_bytes: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Size,
    Data {
        left_bytes: usize,
    },
    DataEnd,
    Trailers,
    Whole,
}

impl ChunkedBody {
    /// The payload so far.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.payload
    }

    /// Whether the last chunk and its trailers have been read.
    pub(super) fn is_whole(&self) -> bool {
        self.stage == Stage::Whole
    }

    /// Consumes what has arrived and says whether the body is whole.
    pub(super) fn read(&mut self, rx: &mut RecvBuf, limits: &HttpLimits) -> Result<bool, Fault> {
        while !self.is_whole() {
            let next = match self.stage {
                Stage::Size => self.read_size(rx, limits)?,
                Stage::Data { left_bytes } => self.read_data(rx, left_bytes, limits),
                Stage::DataEnd => read_data_end(rx)?,
                Stage::Trailers => self.read_trailer(rx, limits)?,
                Stage::Whole => None,
            };
            match next {
                Some(stage) => self.stage = stage,
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn read_size(&mut self, rx: &mut RecvBuf, limits: &HttpLimits) -> Result<Option<Stage>, Fault> {
        let Some(line_bytes) = find_line(rx, SIZE_LINE_BYTES_MAX, SIZE_LINE_TOO_LONG)? else { return Ok(None) };
        let line = &rx.data()[..line_bytes - 2];
        let (size, extension_bytes) = parse_size(line)?;
        self.drop_bytes(extension_bytes, limits)?;
        if size > (limits.body_bytes_max - self.payload.len()) as u64 {
            return Err(BODY_TOO_LARGE);
        }
        rx.consume(line_bytes);
        Ok(Some(if size == 0 { Stage::Trailers } else { Stage::Data { left_bytes: size as usize } }))
    }

    fn read_data(&mut self, rx: &mut RecvBuf, left_bytes: usize, limits: &HttpLimits) -> Option<Stage> {
        let taken = left_bytes.min(rx.len());
        if taken == 0 {
            return None;
        }
        self.reserve(taken, limits.body_bytes_max);
        self.payload.extend_from_slice(&rx.data()[..taken]);
        rx.consume(taken);
        let left_bytes = left_bytes - taken;
        Some(if left_bytes == 0 { Stage::DataEnd } else { Stage::Data { left_bytes } })
    }

    fn read_trailer(&mut self, rx: &mut RecvBuf, limits: &HttpLimits) -> Result<Option<Stage>, Fault> {
        let Some(line_bytes) = find_line(rx, limits.head_bytes_max, TRAILERS_TOO_LARGE)? else { return Ok(None) };
        if line_bytes == 2 {
            rx.consume(line_bytes);
            return Ok(Some(Stage::Whole));
        }
        // One field without the blank line after it: well formed means "partial", never "complete".
        let line = &rx.data()[..line_bytes];
        httparse::parse_headers(line, &mut [httparse::EMPTY_HEADER; 1]).map_err(|_| TRAILER_MALFORMED)?;
        self.drop_bytes(line_bytes, limits)?;
        rx.consume(line_bytes);
        Ok(Some(Stage::Trailers))
    }

    fn drop_bytes(&mut self, count: usize, limits: &HttpLimits) -> Result<(), Fault> {
        self.dropped_bytes += count;
        if self.dropped_bytes > limits.head_bytes_max { Err(TRAILERS_TOO_LARGE) } else { Ok(()) }
    }

    /// Makes room by doubling, as `Vec` does, but never beyond the largest body there can be.
    fn reserve(&mut self, count: usize, body_bytes_max: usize) {
        let needed = self.payload.len() + count;
        if needed > self.payload.capacity() {
            let capacity = needed.max(self.payload.capacity() * 2).min(body_bytes_max);
            self.payload.reserve_exact(capacity - self.payload.len());
        }
    }
}

/// The two bytes after a chunk's data. Anything else there means that the size was a lie.
fn read_data_end(rx: &mut RecvBuf) -> Result<Option<Stage>, Fault> {
    match rx.data() {
        [] | [b'\r'] => Ok(None),
        [b'\r', b'\n', ..] => {
            rx.consume(2);
            Ok(Some(Stage::Size))
        }
        _ => Err(CHUNK_END_MISSING),
    }
}

/// The length of the next line with its CR LF, if it is there; `too_long` when it cannot fit any more.
fn find_line(rx: &mut RecvBuf, bytes_max: usize, too_long: Fault) -> Result<Option<usize>, Fault> {
    let data = rx.data();
    let searched = rx.scanned.min(data.len());
    let Some(newline) = memchr(b'\n', &data[searched..]).map(|at| at + searched) else {
        rx.scanned = data.len();
        return if rx.len() > bytes_max { Err(too_long) } else { Ok(None) };
    };
    match newline.checked_sub(1).map(|before| data[before]) {
        _ if newline >= bytes_max => Err(too_long),
        Some(b'\r') => Ok(Some(newline + 1)),
        _ => Err(BARE_LINE_FEED),
    }
}

/// A size line without its line end: the size, and how many bytes of extensions follow it.
fn parse_size(line: &[u8]) -> Result<(u64, usize), Fault> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if digits == 0 || digits > SIZE_DIGITS_MAX {
        return Err(SIZE_MALFORMED);
    }
    let (digits, extension) = line.split_at(digits);
    // Extensions begin with ";", blanks before it tolerated by the grammar. We know none: all are ignored.
    let first = extension.iter().find(|byte| !matches!(byte, b' ' | b'\t'));
    let clean = extension.iter().all(|&byte| byte == b'\t' || !byte.is_ascii_control());
    if !extension.is_empty() && (first != Some(&b';') || !clean) {
        return Err(SIZE_MALFORMED);
    }
    let size = digits.iter().fold(0, |size, &digit| size << 4 | u64::from(hex_value(digit)));
    Ok((size, extension.len()))
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// As many as a 64-bit number has; more, even leading zeros, is how sizes are made to overflow.
const SIZE_DIGITS_MAX: usize = 16;
/// A size with the longest extension seen in practice (a signature of 64 digits) takes a third of it.
/// A longer line is refused with 400.
const SIZE_LINE_BYTES_MAX: usize = 256;

const SIZE_MALFORMED: Fault = fault(400, "A chunk size is malformed.");
const SIZE_LINE_TOO_LONG: Fault = fault(400, "A chunk size line is too long.");
const CHUNK_END_MISSING: Fault = fault(400, "A chunk is longer than its size says.");
const TRAILER_MALFORMED: Fault = fault(400, "A trailer field is malformed.");
const TRAILERS_TOO_LARGE: Fault = fault(431, "Chunk extensions and trailers are larger than this server accepts.");

#[cfg(test)]
mod tests {
    use super::*;

    /// Size lines as the grammar has them, and the tricks by which two parsers come to differ.
    #[test]
    fn size_lines_are_hexadecimal_and_nothing_else() {
        let good: &[(&[u8], u64)] = &[
            (b"0", 0),
            (b"1a", 26),
            (b"FF", 255),
            (b"00005", 5),
            (b"5;name=value", 5),
            (b"5 ; name=\"a;b\"", 5),
            (b"ffffffffffffffff", u64::MAX),
        ];
        for (line, size) in good {
            assert_eq!(parse_size(line).map(|(size, _)| size), Ok(*size), "{}", line.escape_ascii());
        }
        let bad: &[&[u8]] = &[
            b"",
            b" 5",
            b"5 ",
            b"-5",
            b"+5",
            b"0x5",
            b"5g",
            b"g",
            b";5",
            b"5,5",
            b"5\r",
            b"5;a\x00",
            b"5;\x7f",
            b"5_0",
            b"10000000000000000",
            b"5 5",
        ];
        for line in bad {
            assert_eq!(parse_size(line), Err(SIZE_MALFORMED), "{}", line.escape_ascii());
        }
    }

    /// The payload's memory stays within the largest body, whatever the doubling would have taken.
    #[test]
    fn payload_memory_stops_at_the_body_limit() {
        let limits = HttpLimits { body_bytes_max: 1000, ..HttpLimits::default() };
        let (mut body, mut rx) = (ChunkedBody::default(), RecvBuf::new());
        for _ in 0..10 {
            rx.append(b"64\r\n");
            rx.append(&[b'x'; 100]);
            rx.append(b"\r\n");
            assert_eq!(body.read(&mut rx, &limits), Ok(false));
            assert!(rx.is_empty());
        }
        assert_eq!(body.bytes().len(), 1000);
        assert!(body.payload.capacity() <= 1000);
        rx.append(b"1\r\n");
        assert_eq!(body.read(&mut rx, &limits), Err(BODY_TOO_LARGE));
    }
}
