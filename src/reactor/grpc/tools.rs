//! The calls of tools that last: how a service is, again and again, and what is spoken here.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::call::{Call, leaving};
use super::head::too_late;
use super::outbox::Life;
use super::receive::Messages;
use super::send::{Unanswered, Unsent, slow};
use crate::handlers::api::Via;
use crate::proto::grpc::frame::encode;
use crate::proto::grpc::status::{Code, Status};
use crate::proto::grpc::{health, reflect};

/// How a service is: asked again every second, told when it has changed.
pub async fn watch_health(via: Via, call: &Call, mut messages: Messages, mut reply: Unanswered) {
    let first = tokio::select! {
        () = reply.left() => return,
        first = timeout_at(call.head.soon(), messages.only()) => first.unwrap_or_else(|_| Err(too_late())),
    };
    let message = match first {
        Ok(message) => message,
        Err(status) => return reply.refuse(&status),
    };
    let Some(mut answer) = reply.begin(false) else { return };
    let mut drained = pin!(call.shared.outbox.reached(Life::Draining));
    let mut told = None;
    let mut ending = None;
    loop {
        let now = match (&ending, health::is_known(&message)) {
            (_, false) => health::unknown(),
            (Some(_), _) => health::leaving(),
            (None, true) => call.ask(via, message.clone()).await.unwrap_or_else(|_| health::leaving()),
        };
        if told.as_ref() != Some(&now) {
            match answer.tell(encode(&now, false)).await {
                Ok(()) => {}
                Err(Unsent::Left) => return,
                Err(Unsent::Stuck) => return answer.end(&slow()),
            }
            told = Some(now);
        }
        if let Some(status) = ending {
            return answer.end(&status);
        }
        tokio::select! {
            () = answer.left() => return,
            () = &mut drained => ending = Some(leaving()),
            () = sleep_until(call.head.deadline) => return answer.end(&call.head.over()),
            () = sleep(HEALTH_EVERY) => {}
        }
    }
}

/// What is spoken here: each message is answered by one.
pub async fn reflection(call: &Call, mut messages: Messages, reply: Unanswered) {
    let Some(mut answer) = reply.begin(call.head.gzip) else { return };
    let mut drained = pin!(call.shared.outbox.reached(Life::Draining));
    loop {
        let until = call.head.deadline.min(Instant::now() + SILENCE_MAX);
        let next = tokio::select! {
            () = answer.left() => return,
            () = &mut drained => return answer.end(&leaving()),
            next = timeout_at(until, messages.next()) => next,
        };
        let shown = match next {
            Ok(Ok(None)) => return answer.finish(),
            Ok(Ok(Some(message))) => reflect::answer(&message),
            Ok(Err(status)) => Err(status),
            Err(_) if until == call.head.deadline => Err(call.head.over()),
            Err(_) => Err(Status::new(Code::Unavailable, "Nothing was asked for a minute")),
        };
        let shown = match shown {
            Ok(shown) => encode(&shown, call.head.gzip),
            Err(status) => return answer.end(&status),
        };
        match answer.tell(shown).await {
            Ok(()) => {}
            Err(Unsent::Left) => return,
            Err(Unsent::Stuck) => return answer.end(&slow()),
        }
    }
}

/// How often a watcher's service is looked at.
const HEALTH_EVERY: Duration = Duration::from_secs(1);

/// Anybody may ask what is spoken here, so nobody keeps a place without asking.
const SILENCE_MAX: Duration = Duration::from_secs(60);
