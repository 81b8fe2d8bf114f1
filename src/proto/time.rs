//! Times on the wire: RFC 3339, UTC.

use jiff::Timestamp;

use crate::store::model::UnixMillis;

/// A time as every JSON shape shows it, such as `2026-01-31T09:05:00.25Z`.
pub fn rfc3339(at: UnixMillis) -> String {
    Timestamp::from_millisecond(at).unwrap_or_default().to_string()
}

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
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        for at in [0, 1_800_000_000_123, -1] {
            assert_eq!(parse_rfc3339(&rfc3339(at)), Some(at));
        }
        assert_eq!(parse_rfc3339("2026-01-31T10:05:00+01:00"), parse_rfc3339("2026-01-31T09:05:00Z"));
        assert_eq!(parse_rfc3339("yesterday"), None);
    }
}
