//! Bytes to messages and back, pure: no socket, no clock, no thread.
//!
//! [`Wire`] is the one list of protocols. A codec finds messages in bytes and keeps only what lies
//! between two reads; what a message means is decided further down, by the tables of routes.

pub mod buffer;
pub mod chat;
pub mod datagram;
mod facts;
pub mod grpc;
pub mod handshake;
pub mod http1;
pub mod http_date;
pub mod internal;
pub mod json;
pub mod line_json;
pub mod notices;
pub mod openapi;
pub mod routes;
pub mod sync;
pub mod time;
mod triggers;
pub mod v1;
pub mod v2;
pub mod websocket;
pub mod ws_text;

use buffer::RecvBuf;
use http1::{Http1, HttpError, Request};
use line_json::{Line, LineCodec};
use websocket::WebSocket;

use crate::handlers::effect::CloseReason;

/// What a connection speaks. Swapped in place when it upgrades.
pub enum Wire {
    /// One JSON object to a line.
    Line(LineCodec),
    /// HTTP/1.1. Boxed: most connections of a large server are lines.
    Http(Box<Http1>),
    /// WebSocket messages. Boxed as well.
    Ws(Box<WebSocket>),
    /// Bytes as they come.
    Raw,
}

/// What the buffer holds next.
pub enum Decoded<'a> {
    /// Nothing whole.
    NeedMore,
    /// A message. It is shown again until it is consumed.
    Message(Incoming<'a>),
    /// These bytes are owed to the peer at once: it waits for them, or asked whether we are there.
    Interim(&'a [u8]),
    /// The peer has closed its side, and nothing is left.
    Closed,
    /// The peer has said goodbye, by the rules of its protocol.
    Goodbye,
}

/// A message, borrowed from the buffer it arrived in.
pub enum Incoming<'a> {
    /// A line without its end.
    Line(&'a [u8]),
    /// A line was longer than allowed and is skipped.
    LineTooLong,
    /// A request with its whole body.
    Request(Request<'a>),
    /// A text message, without the frames around it.
    Text(&'a str),
    /// A binary message, without the frames around it.
    Binary(&'a [u8]),
    /// Whatever arrived.
    Bytes(&'a [u8]),
}

/// What a wire is in the middle of: it tells how long to wait for the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Between messages.
    Idle,
    /// A message has begun; for HTTP, its head.
    Head,
    /// The head is there, the body is not.
    Body,
}

/// The bytes were not the protocol. It ends the connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtoError {
    /// Not HTTP/1.1, or beyond its limits.
    #[error("{0}")]
    Http(#[from] HttpError),
    /// Not WebSocket, or beyond its limits.
    #[error("{0}")]
    WebSocket(#[from] websocket::Fault),
}

impl Wire {
    /// Shows the next message. `eof` says that no byte will follow those in the buffer;
    /// `bytes_max` bounds a line or a WebSocket's message.
    pub fn decode<'a>(
        &'a mut self,
        rx: &'a mut RecvBuf,
        eof: bool,
        bytes_max: usize,
    ) -> Result<Decoded<'a>, ProtoError> {
        let ended = if eof { Decoded::Closed } else { Decoded::NeedMore };
        Ok(match self {
            Wire::Line(codec) => match codec.decode(rx, eof, bytes_max) {
                Line::NeedMore => ended,
                Line::Whole(line) => Decoded::Message(Incoming::Line(line)),
                Line::TooLong => Decoded::Message(Incoming::LineTooLong),
            },
            Wire::Http(codec) => match codec.decode(rx, eof)? {
                http1::Decoded::NeedMore => Decoded::NeedMore,
                http1::Decoded::Continue => Decoded::Interim(Http1::continue_line()),
                http1::Decoded::Request(request) => Decoded::Message(Incoming::Request(request)),
                http1::Decoded::Closed => Decoded::Closed,
            },
            Wire::Ws(codec) => match codec.decode(rx, bytes_max)? {
                websocket::Decoded::NeedMore => ended,
                websocket::Decoded::Text(text) => Decoded::Message(Incoming::Text(text)),
                websocket::Decoded::Binary(bytes) => Decoded::Message(Incoming::Binary(bytes)),
                websocket::Decoded::Pong(frame) => Decoded::Interim(frame),
                websocket::Decoded::Ended => Decoded::Goodbye,
            },
            Wire::Raw if rx.is_empty() => ended,
            Wire::Raw => Decoded::Message(Incoming::Bytes(rx.data())),
        })
    }

    /// Drops the message that was shown last.
    pub fn consume(&mut self, rx: &mut RecvBuf) {
        match self {
            Wire::Line(codec) => codec.consume(rx),
            Wire::Http(codec) => codec.finish(rx),
            Wire::Ws(codec) => codec.consume(rx),
            Wire::Raw => rx.consume(rx.len()),
        }
    }

    /// What it is in the middle of.
    pub fn phase(&self, rx: &RecvBuf) -> Phase {
        match self {
            Wire::Http(codec) => codec.phase(rx),
            Wire::Ws(codec) if codec.is_idle(rx) => Phase::Idle,
            Wire::Ws(_) => Phase::Head,
            Wire::Line(_) | Wire::Raw if rx.is_empty() => Phase::Idle,
            Wire::Line(_) | Wire::Raw => Phase::Head,
        }
    }

    /// How many bytes it holds of a message that has begun, beside those in the buffer.
    pub fn held(&self) -> usize {
        match self {
            Wire::Ws(codec) => codec.held(),
            Wire::Line(_) | Wire::Http(_) | Wire::Raw => 0,
        }
    }

    /// How many jobs a connection may have outstanding: HTTP answers one request at a time, a line
    /// connection may run ahead within the writer's lane.
    pub const fn pipelines(&self) -> bool {
        matches!(self, Wire::Line(_) | Wire::Ws(_))
    }

    /// Appends the last that is said before the connection ends, where its protocol has such a thing
    /// and it has not been said yet.
    pub fn last_word(&mut self, reason: CloseReason, out: &mut Vec<u8>) {
        if let Wire::Ws(codec) = self {
            codec.last_word(reason, out);
        }
    }

    /// Notes why the bytes were not the protocol: the last word may say so.
    pub fn fail(&mut self, error: &ProtoError) {
        if let (Wire::Ws(codec), ProtoError::WebSocket(fault)) = (self, error) {
            codec.end_with(*fault);
        }
    }

    /// How many messages may be owed to a peer that takes none.
    pub const fn messages_owed_max(&self) -> usize {
        match self {
            Wire::Ws(_) => WebSocket::MESSAGES_OWED_MAX,
            Wire::Line(_) | Wire::Http(_) | Wire::Raw => usize::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection's protocol state is two words, however large a codec grows.
    #[test]
    fn a_wire_is_sixteen_bytes() {
        assert!(size_of::<Wire>() <= 16);
    }
}
