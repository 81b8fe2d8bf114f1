//! One stream: its head is checked, its message read, the loop asked, and the answer sent.
//!
//! A call ends when it is answered, when its time is over, or when its client gives it up; each of them
//! drops everything that belongs to it, and what the loop has not begun is then not begun.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use tokio::time::{Instant, timeout, timeout_at};

use super::Shared;
use super::outbox::{Life, Slot};
use crate::handlers::api::Via;
use crate::proto::grpc::frame::{Decoder, encode, repack};
use crate::proto::grpc::status::{Code, Status, parse_timeout};
use crate::proto::grpc::{self, Method, health, reflect};

/// What this port is, for a person.
pub const ABOUT: &str = "MangaHub gRPC (HTTP/2 without TLS). Ask grpc.reflection.v1.ServerReflection what is served.\n";

/// What a call's head says.
pub struct Head {
    /// Who calls.
    pub authorization: Option<String>,
    /// From which device.
    pub device: Option<String>,
    /// Messages are compressed: those that come may be, and those that go are.
    gzip: bool,
    /// When the caller gives up.
    deadline: Instant,
    peer: SocketAddr,
}

/// A call's messages, as they come.
struct Messages {
    body: RecvStream,
    decoder: Decoder,
    shared: Arc<Shared>,
    /// Bytes that are noted as held.
    held: usize,
}

/// Why a call is over before it is answered: its client has left.
struct Left;

/// Serves one stream.
pub async fn serve(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    peer: SocketAddr,
    shared: Arc<Shared>,
) {
    if let Some(answer) = plain(&request) {
        let end = answer.body().is_empty();
        let (parts, body) = answer.into_parts();
        if let Ok(mut stream) = respond.send_response(Response::from_parts(parts, ()), end)
            && !end
        {
            let _ = stream.send_data(body, true);
        }
        return;
    }
    let (request, body) = request.into_parts();
    let begun = open(&request.headers, peer).and_then(|head| match grpc::find(request.uri.path()) {
        Some(method) => Ok((head, method)),
        None => Err(Status::new(Code::Unimplemented, "There is no such method")),
    });
    let (head, method) = match begun {
        Ok(begun) => begun,
        Err(status) => return refuse(&mut respond, &status),
    };
    // As many as may be in the loop's inbox: nothing is asked without room for it.
    let Ok(_permit) = shared.calls.clone().try_acquire_owned() else {
        return refuse(&mut respond, &Status::new(Code::ResourceExhausted, "Too many calls, please try again"));
    };
    let mut messages = Messages { body, decoder: Decoder::new(head.gzip), shared: shared.clone(), held: 0 };
    match method {
        Method::Unary(via) => unary(via, &head, &mut messages, respond, &shared).await,
        Method::Feed(via) => feed(via, &head, &mut messages, respond, &shared).await,
        Method::HealthWatch(via) => watch_health(via, &head, &mut messages, respond, &shared).await,
        Method::Reflection => reflection(&head, &mut messages, respond).await,
    }
}

/// The answer to a request that is no call.
fn plain(request: &Request<RecvStream>) -> Option<Response<Bytes>> {
    let (status, body) = match (request.method().as_str(), request.uri().path()) {
        ("POST", _) if is_grpc(request.headers()) => return None,
        ("POST", _) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, ""),
        ("GET", "/") => (StatusCode::OK, ABOUT),
        ("GET", _) => (StatusCode::NOT_FOUND, ""),
        _ => (StatusCode::METHOD_NOT_ALLOWED, ""),
    };
    let mut response = Response::new(Bytes::from_static(body.as_bytes()));
    *response.status_mut() = status;
    if !body.is_empty() {
        response.headers_mut().insert("content-type", HeaderValue::from_static("text/plain"));
    }
    Some(response)
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let Some(kind) = text(headers, "content-type") else { return false };
    let kind = kind.split(';').next().unwrap_or("").trim();
    kind.eq_ignore_ascii_case("application/grpc") || kind.eq_ignore_ascii_case("application/grpc+proto")
}

/// Reads a call's head.
fn open(headers: &HeaderMap, peer: SocketAddr) -> Result<Head, Status> {
    let gzip = match text(headers, "grpc-encoding").unwrap_or("identity") {
        "identity" => false,
        "gzip" => true,
        _ => return Err(Status::new(Code::Unimplemented, "grpc-encoding: expected identity or gzip")),
    };
    let time = match text(headers, "grpc-timeout").map(parse_timeout) {
        None => STREAM_TIME_MAX,
        Some(Some(time)) => time,
        Some(None) => return Err(Status::new(Code::InvalidArgument, "grpc-timeout: not a time")),
    };
    Ok(Head {
        authorization: text(headers, "authorization").map(str::to_owned),
        device: text(headers, "x-device").map(str::to_owned),
        gzip,
        deadline: Instant::now() + time.min(STREAM_TIME_MAX),
        peer,
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

// ---- the kinds of calls

/// One message, one answer.
async fn unary(via: Via, head: &Head, messages: &mut Messages, mut respond: SendResponse<Bytes>, shared: &Arc<Shared>) {
    let answered = async {
        let message = messages.only().await?;
        ask(via, head, message, shared).await
    };
    let outcome = tokio::select! {
        _ = poll_fn(|cx| respond.poll_reset(cx)) => return,
        outcome = timeout_at(head.deadline.min(Instant::now() + CALL_TIME_MAX), answered) => outcome,
    };
    match outcome.unwrap_or_else(|_| Err(too_late())) {
        Ok(message) => {
            let Ok(mut stream) = respond.send_response(accepted(head), false) else { return };
            if send(&mut stream, encode(&message, head.gzip)).await.is_ok() {
                finish(&mut stream, None);
            }
        }
        Err(status) => refuse(&mut respond, &status),
    }
}

/// Asks the loop, and waits for what it says.
async fn ask(via: Via, head: &Head, message: Bytes, shared: &Arc<Shared>) -> Result<Vec<u8>, Status> {
    let (slot, answer) = Slot::unary(head.peer, shared.outbox.clone());
    shared.ask(via, head, message, slot).map_err(|error| Status::from(&error))?;
    let outcome = answer.await.map_err(|_| Status::new(Code::Unavailable, "The server is shutting down"))?;
    grpc::show(via, outcome)
}

/// One message, then whatever happens, until somebody ends it.
async fn feed(via: Via, head: &Head, messages: &mut Messages, mut respond: SendResponse<Bytes>, shared: &Arc<Shared>) {
    let first = tokio::select! {
        _ = poll_fn(|cx| respond.poll_reset(cx)) => return,
        first = timeout(CALL_TIME_MAX, messages.only()) => first.unwrap_or_else(|_| Err(too_late())),
    };
    let (slot, mut end, mut feed) = Slot::feed(head.peer, shared.outbox.clone());
    let asked = first.and_then(|message| shared.ask(via, head, message, slot).map_err(|error| Status::from(&error)));
    if let Err(status) = asked {
        return refuse(&mut respond, &status);
    }
    // Whether it was refused is known once the loop has looked at it; the headers need not wait for that.
    let Ok(mut stream) = respond.send_response(accepted(head), false) else { return };
    let mut drained = pin!(shared.outbox.reached(Life::Draining));
    let mut over = pin!(tokio::time::sleep_until(head.deadline));
    loop {
        let frame = tokio::select! {
            biased;
            ended = &mut end => {
                let left = Status::new(Code::Unavailable, "The server is shutting down");
                let status = ended.map_or(Some(left), |outcome| outcome.err().map(|error| Status::from(&error)));
                return finish(&mut stream, status.as_ref());
            }
            () = &mut drained => {
                return finish(&mut stream, Some(&Status::new(Code::Unavailable, "The server is shutting down")));
            }
            _ = poll_fn(|cx| stream.poll_reset(cx)) => return,
            () = &mut over => return finish(&mut stream, Some(&too_late())),
            frame = feed.next() => repack(frame, head.gzip),
        };
        // One that reads nothing is ended from behind, however long this would take.
        let sent = tokio::select! {
            sent = send(&mut stream, frame) => sent,
            ended = &mut end => {
                let status = ended.ok().and_then(Result::err).map(|error| Status::from(&error));
                return finish(&mut stream, status.as_ref());
            }
        };
        if sent.is_err() {
            return;
        }
        feed.sent();
    }
}

/// How a service is: asked again every second, told when it has changed.
async fn watch_health(
    via: Via,
    head: &Head,
    messages: &mut Messages,
    mut respond: SendResponse<Bytes>,
    shared: &Arc<Shared>,
) {
    let message = match timeout(CALL_TIME_MAX, messages.only()).await.unwrap_or_else(|_| Err(too_late())) {
        Ok(message) => message,
        Err(status) => return refuse(&mut respond, &status),
    };
    let Ok(mut stream) = respond.send_response(accepted(head), false) else { return };
    let mut told = None;
    loop {
        let now = match health::is_known(&message) {
            false => health::unknown(),
            true => ask(via, head, message.clone(), shared).await.unwrap_or_else(|_| health::leaving()),
        };
        if told.as_ref() != Some(&now) {
            if send(&mut stream, encode(&now, false)).await.is_err() {
                return;
            }
            told = Some(now);
        }
        tokio::select! {
            _ = poll_fn(|cx| stream.poll_reset(cx)) => return,
            () = tokio::time::sleep(HEALTH_EVERY) => {}
            () = tokio::time::sleep_until(head.deadline) => return finish(&mut stream, Some(&too_late())),
            () = shared.outbox.reached(Life::Draining) => {
                let _ = send(&mut stream, encode(&health::leaving(), false)).await;
                return finish(&mut stream, Some(&Status::new(Code::Unavailable, "The server is shutting down")));
            }
        }
    }
}

/// What is spoken here: each message is answered by one.
async fn reflection(head: &Head, messages: &mut Messages, mut respond: SendResponse<Bytes>) {
    let Ok(mut stream) = respond.send_response(accepted(head), false) else { return };
    loop {
        let next = tokio::select! {
            _ = poll_fn(|cx| stream.poll_reset(cx)) => return,
            next = timeout_at(head.deadline, messages.next()) => next.unwrap_or_else(|_| Err(too_late())),
        };
        let answer = match next {
            Ok(None) => return finish(&mut stream, None),
            Ok(Some(message)) => reflect::answer(&message),
            Err(status) => Err(status),
        };
        match answer {
            Ok(answer) => {
                if send(&mut stream, encode(&answer, head.gzip)).await.is_err() {
                    return;
                }
            }
            Err(status) => return finish(&mut stream, Some(&status)),
        }
    }
}

// ---- what is received

impl Messages {
    /// The next message; `None` when there are no more.
    async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            if let Some(message) = self.decoder.next_message()? {
                self.shared.let_go(std::mem::take(&mut self.held));
                return Ok(Some(message));
            }
            let Some(data) = self.body.data().await else { break };
            let data = data.map_err(|_| Status::new(Code::Internal, "The stream broke"))?;
            if !self.shared.hold(data.len()) {
                return Err(Status::new(Code::ResourceExhausted, "Too many long messages, please try again"));
            }
            self.held += data.len();
            self.decoder.feed(&data);
            // What was taken over may be sent anew.
            let _ = self.body.flow_control().release_capacity(data.len());
        }
        match self.decoder.is_empty() {
            true => Ok(None),
            false => Err(Status::new(Code::InvalidArgument, "The stream ends within a message")),
        }
    }

    /// The one message of a call that has one.
    async fn only(&mut self) -> Result<Bytes, Status> {
        let wrong = |what| Status::new(Code::InvalidArgument, what);
        let message = self.next().await?.ok_or_else(|| wrong("The call has no message"))?;
        match self.next().await? {
            None => Ok(message),
            Some(_) => Err(wrong("The call has more than one message")),
        }
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        self.shared.let_go(self.held);
    }
}

// ---- what is sent

/// The head of an answer that has messages.
fn accepted(head: &Head) -> Response<()> {
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip"));
    if head.gzip {
        headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
    }
    response
}

/// Sends a message as fast as its reader takes it, so that nothing piles up within the library.
async fn send(stream: &mut SendStream<Bytes>, mut frame: Bytes) -> Result<(), Left> {
    while !frame.is_empty() {
        stream.reserve_capacity(frame.len());
        let room = timeout(WRITE_TIME_MAX, poll_fn(|cx| stream.poll_capacity(cx))).await;
        let room = match room {
            Ok(Some(Ok(room))) => room,
            Ok(_) => return Err(Left),
            Err(_) => {
                stream.send_reset(h2::Reason::CANCEL);
                return Err(Left);
            }
        };
        stream.send_data(frame.split_to(room.min(frame.len())), false).map_err(|_| Left)?;
    }
    Ok(())
}

/// Ends an answer that has begun.
fn finish(stream: &mut SendStream<Bytes>, status: Option<&Status>) {
    let done = Status::new(Code::Ok, "");
    // The peer may have gone; then nobody needs to be told.
    let _ = stream.send_trailers(said(status.unwrap_or(&done)));
}

/// Ends a call that has no answer: its head is its end.
fn refuse(respond: &mut SendResponse<Bytes>, status: &Status) {
    let mut response = Response::new(());
    *response.headers_mut() = said(status);
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response.headers_mut().insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip"));
    let _ = respond.send_response(response, true);
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

fn too_late() -> Status {
    Status::new(Code::DeadlineExceeded, "The call was not answered in time")
}

/// A call that is answered once takes no longer, whatever its caller says: its message has to arrive, and
/// no job takes this long.
const CALL_TIME_MAX: Duration = Duration::from_secs(60);

/// A stream lasts no longer than its caller says, or a day: whoever listens for ever comes back.
const STREAM_TIME_MAX: Duration = Duration::from_secs(86_400);

/// A reader that takes nothing of an answer for so long has gone.
const WRITE_TIME_MAX: Duration = Duration::from_secs(30);

/// How often a watcher's service is looked at.
const HEALTH_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// A call that says nothing of its time has a stream's time; one that says more than a day has a day.
    #[test]
    fn a_stream_lasts_unless_its_caller_says_otherwise() {
        let lasts = |said: Option<&'static str>| {
            let fields = said.map(|time| ("grpc-timeout".parse().unwrap(), HeaderValue::from_static(time)));
            let headers = fields.into_iter().collect();
            let head = open(&headers, ([127, 0, 0, 1], 1).into()).unwrap_or_else(|status| panic!("{status:?}"));
            head.deadline.duration_since(Instant::now()).as_secs_f64()
        };
        assert!(lasts(None) > 86_000.0 && lasts(Some("99999999H")) > 86_000.0);
        assert!(lasts(Some("99999999H")) <= 86_400.0 && lasts(Some("5S")) <= 5.0);
    }
}
