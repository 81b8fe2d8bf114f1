//! Lines: one message to a line, `\n` at its end, a `\r` before it tolerated. The last may lack its end.
//!
//! This file finds the lines; what a line says is the families' concern (`v1.rs`, `v2.rs`). A line
//! that is too long is announced once, at the moment it is, and then skipped without being held.

use super::buffer::RecvBuf;

/// The state between two reads: where the next line begins is all there is to know.
#[derive(Debug, Default)]
pub struct LineCodec {
    /// The length of the line shown last, its end included: what [`consume`](Self::consume) drops.
    shown: u32,
    /// Inside a line that was too long, until its end.
    skipping: bool,
}

/// What the buffer holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// No whole line.
    NeedMore,
    /// A line, without its end. It is shown again until it is consumed.
    Whole(&'a [u8]),
    /// A line is longer than allowed and will be skipped; said once for each.
    TooLong,
}

impl LineCodec {
    /// Shows the next line of at most `bytes_max` bytes. `eof` says that no byte will follow: what is left
    /// is then a line too, as people and scripts send it. A message cut short can't be taken for a whole
    /// one, since an object ends with its brace.
    pub fn decode<'a>(&mut self, rx: &'a mut RecvBuf, eof: bool, bytes_max: usize) -> Line<'a> {
        if rx.is_empty() || self.skipping && !self.skip(rx) {
            return Line::NeedMore;
        }
        let found = memchr::memchr(b'\n', &rx.data()[rx.scanned..]).map(|place| place + rx.scanned);
        match found {
            Some(end) if end <= bytes_max => self.show(rx, end, 1),
            None if eof && (1..=bytes_max).contains(&rx.len()) => self.show(rx, rx.len(), 0),
            None if rx.len() <= bytes_max => {
                rx.scanned = rx.len();
                Line::NeedMore
            }
            _ => {
                self.skipping = true;
                self.skip(rx);
                Line::TooLong
            }
        }
    }

    /// Shows a line of `length` bytes, and notes what it takes up together with its end.
    fn show<'a>(&mut self, rx: &'a RecvBuf, length: usize, end: u32) -> Line<'a> {
        self.shown = length as u32 + end;
        let line = &rx.data()[..length];
        Line::Whole(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// Drops the line that was shown last.
    pub fn consume(&mut self, rx: &mut RecvBuf) {
        rx.consume(std::mem::take(&mut self.shown) as usize);
        rx.scanned = 0;
    }

    /// Drops bytes up to the end of an overlong line. Returns whether the end was there.
    fn skip(&mut self, rx: &mut RecvBuf) -> bool {
        let end = memchr::memchr(b'\n', rx.data());
        rx.consume(end.map_or(rx.len(), |place| place + 1));
        rx.scanned = 0;
        self.skipping = end.is_none();
        !self.skipping
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A line, or the news that one was too long.
    type Shown = Result<Vec<u8>, ()>;

    /// Feeds `input` in pieces of the given sizes, then perhaps its end, and tells what came out.
    fn feed(input: &[u8], sizes: &[usize], ends: bool, bytes_max: usize) -> Vec<Shown> {
        let (mut codec, mut rx, mut rest, mut out) = (LineCodec::default(), RecvBuf::new(), input, Vec::new());
        let mut sizes = sizes.iter().cycle();
        let mut eof = false;
        while !eof {
            let (piece, later) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
            rest = later;
            rx.append(piece);
            eof = rest.is_empty();
            loop {
                match codec.decode(&mut rx, eof && ends, bytes_max) {
                    Line::NeedMore => break,
                    Line::TooLong => out.push(Err(())),
                    Line::Whole(line) => {
                        out.push(Ok(line.to_vec()));
                        codec.consume(&mut rx);
                    }
                }
            }
            assert!(rx.len() <= bytes_max, "an unfinished line is held beyond its limit");
        }
        out
    }

    /// Each case whole, byte by byte, and with trailing bytes that stay.
    #[test]
    fn lines_are_found_in_every_chunking() {
        let cases: &[(&[u8], Vec<Shown>)] = &[
            (b"a\n", vec![Ok(b"a".to_vec())]),
            (b"a\r\nb\n", vec![Ok(b"a".to_vec()), Ok(b"b".to_vec())]),
            (b"\n\n", vec![Ok(vec![]), Ok(vec![])]),
            (b"12345678\nok\n", vec![Ok(b"12345678".to_vec()), Ok(b"ok".to_vec())]),
            (b"123456789\nok\n", vec![Err(()), Ok(b"ok".to_vec())]),
            (b"\xff\x00{\n", vec![Ok(b"\xff\x00{".to_vec())]),
        ];
        for (input, expected) in cases {
            for ends in [false, true] {
                assert_eq!(&feed(input, &[input.len()], ends, 8), expected, "whole {input:?}");
                assert_eq!(&feed(input, &[1], ends, 8), expected, "byte by byte {input:?}");
            }
            let trailing = [input, &b"tail"[..]].concat();
            assert_eq!(&feed(&trailing, &[trailing.len()], false, 8), expected, "trailing {input:?}");
        }
    }

    /// What is left at the end is a line as well, whole or byte by byte; without an end it is none, and of
    /// a line that was too long nothing is left.
    #[test]
    fn the_last_line_needs_no_end() {
        let cases: &[(&[u8], Vec<Shown>, usize)] = &[
            (b"a\nb", vec![Ok(b"a".to_vec()), Ok(b"b".to_vec())], 1),
            (b"b\r", vec![Ok(b"b".to_vec())], 0),
            (b"12345678", vec![Ok(b"12345678".to_vec())], 0),
            (b"123456789", vec![Err(())], 1),
            (b"123456789\nb", vec![Err(()), Ok(b"b".to_vec())], 1),
            (b"", vec![], 0),
        ];
        for (input, expected, before) in cases {
            for size in [input.len().max(1), 1] {
                assert_eq!(&feed(input, &[size], true, 8), expected, "{input:?} by {size}");
                assert_eq!(feed(input, &[size], false, 8), expected[..*before], "{input:?} by {size}, no end");
            }
        }
    }

    /// A line is shown until it is consumed.
    #[test]
    fn an_unconsumed_line_is_shown_again() {
        let (mut codec, mut rx) = (LineCodec::default(), RecvBuf::new());
        rx.append(b"one\ntwo\n");
        assert_eq!(codec.decode(&mut rx, false, 8), Line::Whole(b"one"));
        assert_eq!(codec.decode(&mut rx, false, 8), Line::Whole(b"one"));
        codec.consume(&mut rx);
        assert_eq!(codec.decode(&mut rx, false, 8), Line::Whole(b"two"));
    }

    proptest! {
        /// How the stream is cut never changes what it says.
        #[test]
        fn chunking_changes_nothing(
            input in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'x'), any::<u8>()], 0..200),
            sizes in prop::collection::vec(1usize..20, 1..10),
        ) {
            for ends in [false, true] {
                prop_assert_eq!(feed(&input, &sizes, ends, 16), feed(&input, &[1], ends, 16));
            }
        }
    }
}
