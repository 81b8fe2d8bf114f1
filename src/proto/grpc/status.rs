//! How a call ends: a code, a sentence, and the headers that say so. And how long its caller waits.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use crate::handlers::api::{ApiError, ErrorKind};

/// The codes of gRPC that this server gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// It was done.
    Ok = 0,
    /// A member of the message is wrong.
    InvalidArgument = 3,
    /// It was not done in the time that its caller had.
    DeadlineExceeded = 4,
    /// There is no such thing.
    NotFound = 5,
    /// It exists already.
    AlreadyExists = 6,
    /// Somebody else may.
    PermissionDenied = 7,
    /// Too much, too often, or too slowly read.
    ResourceExhausted = 8,
    /// Another device was there before.
    Aborted = 10,
    /// There is no such method.
    Unimplemented = 12,
    /// Our fault.
    Internal = 13,
    /// Try again.
    Unavailable = 14,
    /// Log in.
    Unauthenticated = 16,
}

/// How a call ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// In a number.
    pub code: Code,
    /// In a sentence.
    pub message: Cow<'static, str>,
}

impl Status {
    /// An end with a reason.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    /// The code as `grpc-status` says it.
    pub fn code_text(&self) -> &'static str {
        match self.code {
            Code::Ok => "0",
            Code::InvalidArgument => "3",
            Code::DeadlineExceeded => "4",
            Code::NotFound => "5",
            Code::AlreadyExists => "6",
            Code::PermissionDenied => "7",
            Code::ResourceExhausted => "8",
            Code::Aborted => "10",
            Code::Unimplemented => "12",
            Code::Internal => "13",
            Code::Unavailable => "14",
            Code::Unauthenticated => "16",
        }
    }

    /// The sentence as `grpc-message` says it: everything but printable ASCII as `%` and two digits.
    pub fn message_text(&self) -> String {
        let mut text = String::with_capacity(self.message.len());
        for byte in self.message.bytes() {
            match byte {
                b'%' | 0..=0x1f | 0x7f.. => drop(write!(text, "%{byte:02X}")),
                printable => text.push(char::from(printable)),
            }
        }
        text
    }
}

/// The one table from refusals to codes.
impl From<&ApiError> for Status {
    fn from(error: &ApiError) -> Self {
        let code = match error.kind {
            ErrorKind::InvalidJson | ErrorKind::InvalidMessage | ErrorKind::Invalid => Code::InvalidArgument,
            ErrorKind::Misdirected | ErrorKind::MediaType | ErrorKind::Framing(_) => Code::InvalidArgument,
            ErrorKind::UnknownType | ErrorKind::MethodNotAllowed | ErrorKind::UpgradeRequired => Code::Unimplemented,
            ErrorKind::Unauthorized => Code::Unauthenticated,
            ErrorKind::Forbidden => Code::PermissionDenied,
            ErrorKind::NotFound => Code::NotFound,
            ErrorKind::Conflict if error.conflict.is_some() => Code::Aborted,
            ErrorKind::Conflict => Code::AlreadyExists,
            ErrorKind::TooLarge | ErrorKind::RateLimited => Code::ResourceExhausted,
            ErrorKind::Timeout => Code::DeadlineExceeded,
            ErrorKind::Unavailable => Code::Unavailable,
            ErrorKind::Internal => Code::Internal,
        };
        Self { code, message: error.message.clone() }
    }
}

/// How long a caller waits, as `grpc-timeout` says it: up to eight digits and a unit.
pub fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message survives being a header: what could not stand there is written in digits.
    #[test]
    fn messages_are_percent_encoded() {
        let text = |message: &'static str| Status::new(Code::Internal, message).message_text();
        assert_eq!(text("manga not found"), "manga not found");
        assert_eq!(text("100%\r\n\u{7f}é"), "100%25%0D%0A%7F%C3%A9");
    }

    /// A code is said by its number.
    #[test]
    fn codes_are_their_numbers() {
        for code in [Code::Ok, Code::InvalidArgument, Code::Aborted, Code::Unavailable, Code::Unauthenticated] {
            assert_eq!(Status::new(code, "").code_text(), (code as u8).to_string());
        }
    }

    /// Units are told apart by case, and what is no timeout is none.
    #[test]
    fn timeouts() {
        assert_eq!(parse_timeout("5M"), Some(Duration::from_secs(300)));
        assert_eq!(parse_timeout("5m"), Some(Duration::from_millis(5)));
        assert_eq!(parse_timeout("0n"), Some(Duration::ZERO));
        assert_eq!(parse_timeout("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for wrong in ["", "S", "5", "-5S", "+5S", "123456789S", "5s", "5.5S", "5é", "é"] {
            assert_eq!(parse_timeout(wrong), None, "{wrong}");
        }
    }
}
