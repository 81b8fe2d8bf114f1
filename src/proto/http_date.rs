//! The `Date` field's text, formatted once a second.
//!
//! Every reply carries the date (RFC 9110 §6.6.1), and formatting it costs more than the rest of a
//! small reply's head. The owner passes the time in: no clock is read here.

use std::time::{Duration, UNIX_EPOCH};

/// The last formatted date; one for all connections of a loop.
#[derive(Debug, Default)]
pub struct HttpDate {
    unix_seconds: u64,
    text: String,
}

impl HttpDate {
    /// The date as RFC 9110 §5.6.7 writes it (`Sun, 06 Nov 1994 08:49:37 GMT`), for a time in
    /// seconds since 1970. Times past the year 9999, which the format cannot hold, stay at its end.
    pub fn at(&mut self, unix_seconds: u64) -> &str {
        let unix_seconds = unix_seconds.min(LAST_SECOND);
        if self.text.is_empty() || self.unix_seconds != unix_seconds {
            self.unix_seconds = unix_seconds;
            self.text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(unix_seconds));
        }
        &self.text
    }
}

/// 31 December 9999, 23:59:59 UTC: years have four digits in this format.
const LAST_SECOND: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    /// The RFC's own example, then another second, then the first again: the cache never answers stale.
    #[test]
    fn the_date_follows_the_second() {
        let mut date = HttpDate::default();
        assert_eq!(date.at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date.at(784_111_778), "Sun, 06 Nov 1994 08:49:38 GMT");
        assert_eq!(date.at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date.at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    /// A clock that runs wild yields the last date there is, not a panic.
    #[test]
    fn the_end_of_time_is_not_a_panic() {
        assert_eq!(HttpDate::default().at(u64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
