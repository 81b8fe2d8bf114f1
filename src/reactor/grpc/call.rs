//! One stream becomes a call: its head is checked, its message read, the loop asked, and the answer sent.
//!
//! A call ends when it is answered, when its time is over, or when its client gives it up; each of them
//! drops everything that belongs to it, and what the loop has not begun is then not begun.

use std::sync::Arc;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Request, Response};
use tokio::time::{Instant, timeout_at};

use super::conn::Peer;
use super::head::{Head, plain, too_late};
use super::memory::Held;
use super::outbox::Slot;
use super::receive::Messages;
use super::send::{Unanswered, Unsent, slow};
use super::{Asked, Place, Shared, feed, tools};
use crate::handlers::api::Via;
use crate::handlers::remote::Remote;
use crate::proto::grpc::frame::encode;
use crate::proto::grpc::status::{Code, Status};
use crate::proto::grpc::{self, Method};

/// What the steps of a call need to know of it.
pub struct Call {
    pub head: Head,
    pub peer: Arc<Peer>,
    pub shared: Arc<Shared>,
    /// Its place among those that may be open at a time.
    place: Place,
}

/// Serves one stream.
pub async fn serve(request: Request<RecvStream>, respond: SendResponse<Bytes>, peer: Arc<Peer>, shared: Arc<Shared>) {
    if let Some(answer) = plain(&request) {
        return explain(answer, respond);
    }
    let (request, body) = request.into_parts();
    let reply = Unanswered::new(respond, shared.outbox.counts());
    let method = grpc::find(request.uri.path());
    let begun = Head::read(&request.headers).and_then(|head| {
        let method = method.ok_or_else(|| Status::new(Code::Unimplemented, "There is no such method"))?;
        Ok((head, method, shared.place(method)?))
    });
    let (head, method, place) = match begun {
        Ok(begun) => begun,
        Err(status) => return reply.refuse(&status),
    };
    let messages = Messages::new(body, head.packed, peer.memory.receiving());
    let call = Call::new(head, peer, shared, place);
    match method {
        Method::Unary(via) => unary(via, call, messages, reply).await,
        Method::Feed(via) => feed::serve(via, &call, messages, reply).await,
        Method::HealthWatch(via) => tools::watch_health(via, &call, messages, reply).await,
        Method::Reflection => tools::reflection(&call, messages, reply).await,
    }
}

/// Answers a request that is no call.
fn explain(answer: Response<Bytes>, mut respond: SendResponse<Bytes>) {
    let end = answer.body().is_empty();
    let (parts, body) = answer.into_parts();
    let begun = respond.send_response(Response::from_parts(parts, ()), end);
    if let (Ok(mut stream), false) = (begun, end) {
        // The peer may have gone; then nobody needs to be told.
        let _ = stream.send_data(body, true);
    }
}

/// One message, one answer.
async fn unary(via: Via, call: Call, messages: Messages, mut reply: Unanswered) {
    let until = call.head.soon();
    let outcome = tokio::select! {
        () = reply.left() => return,
        outcome = timeout_at(until, answered(via, &call, messages)) => outcome,
    };
    let (frame, held) = match outcome.unwrap_or_else(|_| Err(too_late())) {
        Ok(answered) => answered,
        Err(status) => return reply.refuse(&status),
    };
    // The loop has nothing of it any more; what is left is its reader's affair.
    drop(call.place);
    let Some(mut answer) = reply.begin(call.head.gzip) else { return };
    match answer.send(frame, until).await {
        Ok(()) => answer.finish(),
        Err(Unsent::Left) => {}
        Err(Unsent::Stuck) if Instant::now() >= call.head.deadline => answer.end(&too_late()),
        Err(Unsent::Stuck) => answer.end(&slow()),
    }
    drop(held);
}

/// The answer to a call's one message, and the room that it takes until it is sent.
async fn answered(via: Via, call: &Call, mut messages: Messages) -> Result<(Bytes, Held), Status> {
    let message = messages.only().await?;
    let answer = call.ask(via, message).await?;
    let frame = encode(&answer, call.head.gzip);
    let mut held = call.peer.memory.sending();
    match held.set(frame.len()) {
        true => Ok((frame, held)),
        false => Err(Status::new(Code::ResourceExhausted, "Too many answers are not read, please try again")),
    }
}

impl Call {
    pub fn new(head: Head, peer: Arc<Peer>, shared: Arc<Shared>, place: Place) -> Self {
        Self { head, peer, shared, place }
    }

    /// Asks the loop, and waits for what it says.
    pub async fn ask(&self, via: Via, message: Bytes) -> Result<Vec<u8>, Status> {
        let (slot, answer) = Slot::unary(self.peer.line.clone(), self.shared.outbox.clone());
        self.post(via, message, slot)?;
        grpc::show(via, answer.await.map_err(|_| leaving())?)
    }

    /// Puts the call into the loop's inbox, unless its time is over: timers tell that to the millisecond only.
    pub fn post(&self, via: Via, message: Bytes, slot: Slot) -> Result<(), Status> {
        if Instant::now() >= self.head.deadline {
            return Err(self.head.over());
        }
        let asked = Asked {
            via,
            message,
            authorization: self.head.authorization.clone(),
            device: self.head.device.clone(),
            remote: Remote(Arc::new(slot)),
            place: self.place.clone(),
        };
        (self.shared.ask)(asked).map_err(|error| Status::from(&error))
    }
}

/// How a call ends that the server's end leaves behind.
pub fn leaving() -> Status {
    Status::new(Code::Unavailable, "The server is shutting down")
}
