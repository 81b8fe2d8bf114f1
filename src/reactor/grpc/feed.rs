//! A call that is told things: one message, then whatever happens, until somebody ends it.

use std::pin::pin;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::{sleep_until, timeout_at};

use super::call::{Call, leaving};
use super::head::too_late;
use super::outbox::{Feed, Life, Outcome, Slot};
use super::receive::Messages;
use super::send::{Answer, Unanswered, Unsent, slow};
use crate::handlers::api::Via;
use crate::proto::grpc::frame::repack;
use crate::proto::grpc::status::Status;

/// Serves one.
pub async fn serve(via: Via, call: &Call, mut messages: Messages, mut reply: Unanswered) {
    let first = tokio::select! {
        () = reply.left() => return,
        first = timeout_at(call.head.soon(), messages.only()) => first.unwrap_or_else(|_| Err(too_late())),
    };
    let (slot, end, mut feed) = Slot::feed(call.peer.line.clone(), call.shared.outbox.clone());
    if let Err(status) = first.and_then(|message| call.post(via, message, slot)) {
        return reply.refuse(&status);
    }
    drop(messages);
    let mut ended = pin!(ended(call, end));
    // Whoever is refused hears that in the head, so it waits until the loop has looked.
    let first = tokio::select! {
        biased;
        status = &mut ended => return reply.refuse(&status.unwrap_or_else(leaving)),
        () = reply.left() => return,
        first = feed.next() => first,
    };
    let Some(mut answer) = reply.begin(call.head.gzip) else { return };
    let mut next = Some(first);
    loop {
        let frame = match next.take() {
            Some(first) => first,
            None => tokio::select! {
                biased;
                status = &mut ended => return end_with(answer, status),
                () = answer.left() => return,
                frame = feed.next() => frame,
            },
        };
        // One that reads nothing is ended from behind, however long this would take.
        let told = tokio::select! {
            told = tell(&mut answer, frame, call, &feed) => told,
            status = &mut ended => return end_with(answer, status),
        };
        match told {
            Ok(()) => {}
            Err(Unsent::Left) => return,
            Err(Unsent::Stuck) => return answer.end(&slow()),
        }
    }
}

async fn tell(answer: &mut Answer, frame: Bytes, call: &Call, feed: &Feed) -> Result<(), Unsent> {
    answer.tell(repack(frame, call.head.gzip)).await?;
    feed.sent();
    Ok(())
}

/// Pends until the loop, the server's end, or time ends the stream. `None` when it has ended well.
async fn ended(call: &Call, end: oneshot::Receiver<Outcome>) -> Option<Status> {
    tokio::select! {
        biased;
        outcome = end => match outcome {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(Status::from(&error)),
            Err(_) => Some(leaving()),
        },
        () = call.shared.outbox.reached(Life::Draining) => Some(leaving()),
        () = sleep_until(call.head.deadline) => Some(call.head.over()),
    }
}

fn end_with(answer: Answer, status: Option<Status>) {
    match status {
        Some(status) => answer.end(&status),
        None => answer.finish(),
    }
}
