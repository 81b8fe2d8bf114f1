//! What a call is answered: a head, messages as fast as they are read, and how it ended.
//!
//! A message is never cut by the end of its call: trailers behind half a message would be read as part of
//! it. Short messages of a stream begin to leave when there is room for the whole; a call that has to end
//! within a longer one is reset, with the reason that clients read as the code.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::{HeaderMap, HeaderValue, Response};
use tokio::time::{Instant, timeout_at};

use super::counts::Counts;
use crate::proto::grpc::status::{Code, Status};

/// A call that has no answer yet.
pub struct Unanswered {
    respond: SendResponse<Bytes>,
    ending: Ending,
}

/// An answer that has begun.
pub struct Answer {
    stream: SendStream<Bytes>,
    /// A message has begun to leave and not ended.
    torn: bool,
    ending: Ending,
}

/// Why a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsent {
    /// Its reader has left.
    Left,
    /// Its reader did not take it in time.
    Stuck,
}

/// Counts how a call ends, once. Without a word it was given up.
struct Ending {
    counts: Arc<Counts>,
    told: bool,
}

impl Unanswered {
    /// To be answered by this.
    pub fn new(respond: SendResponse<Bytes>, counts: Arc<Counts>) -> Self {
        Self { respond, ending: Ending { counts, told: false } }
    }

    /// Pends until the caller has given up.
    pub async fn left(&mut self) {
        let _ = poll_fn(|cx| self.respond.poll_reset(cx)).await;
    }

    /// Ends the call: its head is its end.
    pub fn refuse(mut self, status: &Status) {
        let mut response = Response::new(());
        *response.headers_mut() = said(status);
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        response.headers_mut().insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip"));
        self.ending.tell(status.code);
        // The peer may have gone; then nobody needs to be told.
        let _ = self.respond.send_response(response, true);
    }

    /// Sends the head of an answer that has messages.
    pub fn begin(mut self, gzip: bool) -> Option<Answer> {
        let mut response = Response::new(());
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip"));
        if gzip {
            headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
        }
        let stream = self.respond.send_response(response, false).ok()?;
        Some(Answer { stream, torn: false, ending: self.ending })
    }
}

impl Answer {
    /// Pends until the caller has given up.
    pub async fn left(&mut self) {
        let _ = poll_fn(|cx| self.stream.poll_reset(cx)).await;
    }

    /// Sends a message as fast as its reader takes it, so that nothing piles up within the library.
    pub async fn send(&mut self, frame: Bytes, until: Instant) -> Result<(), Unsent> {
        self.send_from(frame, 1, until).await
    }

    /// The same for one of many messages: a short one leaves as a whole, or not at all.
    pub async fn tell(&mut self, frame: Bytes) -> Result<(), Unsent> {
        let room = if frame.len() <= WHOLE_BYTES_MAX { frame.len() } else { 1 };
        self.send_from(frame, room, Instant::now() + TELL_TIME_MAX).await
    }

    /// Begins when the peer has room for so much.
    async fn send_from(&mut self, mut frame: Bytes, room: usize, until: Instant) -> Result<(), Unsent> {
        while !frame.is_empty() {
            self.stream.reserve_capacity(frame.len());
            let wanted = room.min(frame.len());
            let room = timeout_at(until, self.room(wanted)).await.map_err(|_| Unsent::Stuck)?.ok_or(Unsent::Left)?;
            let piece = frame.split_to(room.min(frame.len()));
            self.torn = !frame.is_empty();
            self.stream.send_data(piece, false).map_err(|_| Unsent::Left)?;
        }
        Ok(())
    }

    /// Waits until so much may be sent.
    async fn room(&mut self, wanted: usize) -> Option<usize> {
        while self.stream.capacity() < wanted {
            poll_fn(|cx| self.stream.poll_capacity(cx)).await?.ok()?;
        }
        Some(self.stream.capacity())
    }

    /// Ends the call well.
    pub fn finish(self) {
        self.end(&Status::new(Code::Ok, ""));
    }

    /// Ends the call.
    pub fn end(mut self, status: &Status) {
        self.ending.tell(status.code);
        match self.torn {
            true => self.stream.send_reset(reset(status.code)),
            // The peer may have gone; then nobody needs to be told.
            false => drop(self.stream.send_trailers(said(status))),
        }
    }
}

impl Ending {
    fn tell(&mut self, code: Code) {
        self.told = true;
        self.counts.call_ended(code as usize);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if !self.told {
            self.counts.call_ended(CANCELLED);
        }
    }
}

/// How a call ends that is read too slowly.
pub fn slow() -> Status {
    Status::new(Code::ResourceExhausted, "The answer was read too slowly; what it missed is lost")
}

/// The reason that gRPC's clients read as this code.
fn reset(code: Code) -> Reason {
    match code {
        Code::ResourceExhausted => Reason::ENHANCE_YOUR_CALM,
        Code::Unavailable => Reason::REFUSED_STREAM,
        Code::PermissionDenied | Code::Unauthenticated => Reason::INADEQUATE_SECURITY,
        Code::DeadlineExceeded => Reason::CANCEL,
        _ => Reason::INTERNAL_ERROR,
    }
}

fn said(status: &Status) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("grpc-status", HeaderValue::from_static(status.code_text()));
    if !status.message.is_empty()
        && let Ok(message) = HeaderValue::try_from(status.message_text())
    {
        headers.insert("grpc-message", message);
    }
    headers
}

/// The number of the code that a client makes up for a call that it has given up.
const CANCELLED: usize = 1;

/// A message up to this leaves as a whole: every event. A peer whose window never has room for so much
/// reads nothing at all; the usual windows have room for four.
const WHOLE_BYTES_MAX: usize = 16 << 10;

/// Who takes no message of a stream within this is too slow for it.
const TELL_TIME_MAX: Duration = Duration::from_secs(30);
