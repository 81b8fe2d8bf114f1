//! Times on the wire: RFC 3339, UTC.

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;

use jiff::Timestamp;
use jiff::fmt::StdIoWrite;
use jiff::fmt::temporal::DateTimePrinter;
use serde::{Serialize, Serializer};

use crate::store::model::UnixMillis;

/// A time as text. It needs no allocation: nearly every message has one.
#[derive(Clone, Copy)]
pub struct Rfc3339 {
    text: [u8; BYTES_MAX],
    length: u8,
}

/// A time as every JSON shape shows it, such as `2026-01-31T09:05:00.25Z`.
///
/// What is written in one turn of the loop has the same time, so the last one is kept for the next that asks.
pub fn rfc3339(at: UnixMillis) -> Rfc3339 {
    thread_local!(static LAST: Cell<(UnixMillis, Rfc3339)> = Cell::new((0, print(0))));
    let (last, text) = LAST.get();
    if last == at {
        return text;
    }
    let text = print(at);
    LAST.set((at, text));
    text
}

fn print(at: UnixMillis) -> Rfc3339 {
    let at = Timestamp::from_millisecond(at).unwrap_or_default();
    let mut text = [0; BYTES_MAX];
    let mut left = &mut text[..];
    // There is room for any time.
    let _ = DateTimePrinter::new().print_timestamp(&at, StdIoWrite(&mut left));
    let length = (BYTES_MAX - left.len()) as u8;
    Rfc3339 { text, length }
}

impl Deref for Rfc3339 {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.text[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

/// The longest time there is, `-009999-01-02T01:59:59.999Z`, fits.
const BYTES_MAX: usize = 28;

/// A time that a client wrote, if it is one.
pub fn parse_rfc3339(text: &str) -> Option<UnixMillis> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written can be read again, to the millisecond.
    #[test]
    fn times_survive_the_wire() {
        assert_eq!(&*rfc3339(0), "1970-01-01T00:00:00Z");
        for at in [Timestamp::MIN.as_millisecond() + 1001, Timestamp::MAX.as_millisecond() - 1001] {
            assert_eq!(parse_rfc3339(&rfc3339(at)), Some(at), "{}", rfc3339(at));
        }
        for at in [0, 1_800_000_000_123, -1] {
            assert_eq!(parse_rfc3339(&rfc3339(at)), Some(at));
        }
        assert_eq!(parse_rfc3339("2026-01-31T10:05:00+01:00"), parse_rfc3339("2026-01-31T09:05:00Z"));
        assert_eq!(parse_rfc3339("yesterday"), None);
    }
}
