//! gRPC on its own thread: HTTP/2 by a library that is written for an async runtime.
//!
//! The loop stays what it is. Here connections are accepted, streams become calls, and each call goes
//! into the loop's inbox like everything from another thread; what the loop says comes back together,
//! once a turn. What messages mean is not known here: paths, messages and codes are
//! `proto/grpc`'s, the calls themselves the service's.
//!
//! Suggested reading: this file, `accept` and `conn` (one connection, with `watched`), `call` (one stream,
//! with `head`, `receive` and `send`), `feed` and `tools` (calls that last), `outbox` (the way back),
//! `memory` (what all of them may hold), `counts`, `board` (who is connected).

mod accept;
mod board;
mod call;
mod conn;
mod counts;
mod feed;
mod head;
mod memory;
mod outbox;
mod receive;
mod send;
mod tools;
mod watched;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::inbox::{Door, Wakeup};
use crate::handlers::api::{ApiError, Via};
use crate::handlers::remote::Remote;
use crate::proto::grpc::Method;
use crate::proto::grpc::status::{Code, Status};
use accept::Admission;
use memory::Memory;
use outbox::{Life, Outbox};

pub use accept::bind;
pub use board::{Board, Ended};
pub use counts::Counts;
pub use outbox::{Answers, answers};

/// A call as this thread read it.
pub struct Asked {
    /// Its method.
    pub via: Via,
    /// Its message.
    pub message: Bytes,
    /// The metadata that says who calls.
    pub authorization: Option<String>,
    /// The metadata that says from which device.
    pub device: Option<String>,
    /// Who waits for the answer.
    pub remote: Remote,
    /// Its place among the calls that may be open. To be held until the call is begun: what waits in the
    /// loop's inbox is bounded by it, whoever has given up meanwhile.
    pub place: Place,
}

/// One of as many places as there may be calls open.
#[derive(Clone)]
pub struct Place(#[expect(dead_code, reason = "it is there to be dropped")] Arc<OwnedSemaphorePermit>);

/// Makes a job of a call, or refuses it at once.
pub type Ask<J> = fn(Asked) -> Result<J, ApiError>;

/// What peers may take.
#[derive(Debug, Clone, Copy)]
pub struct RpcLimits {
    /// Connections; one more is told so.
    pub connections_max: usize,
    /// Connections from one address; 0 is any number.
    pub address_max: u32,
    /// Calls open on one connection; HTTP/2 makes a client wait with the next.
    pub streams_max: u32,
    /// Calls open on all of them: what may be in the loop's inbox at a time. One more is refused.
    pub calls_max: usize,
    /// A peer that says nothing for so long is asked, and has a third of it to answer.
    pub keepalive: Duration,
}

/// What the tasks of this thread share.
struct Shared {
    limits: RpcLimits,
    outbox: Arc<Outbox>,
    /// Hands a call to the loop.
    ask: Box<dyn Fn(Asked) -> Result<(), ApiError> + Send + Sync>,
    admission: Admission,
    calls: Arc<Semaphore>,
    /// Those of tools: whoever watches over the server is heard when it is full, and can't fill it.
    tools: Arc<Semaphore>,
    memory: Arc<Memory>,
}

/// Starts the thread on these sockets. It ends when the server has drained and every connection has ended,
/// or soon after the loop.
pub fn start<J: Send + 'static>(
    listeners: Vec<TcpListener>,
    limits: RpcLimits,
    outbox: Arc<Outbox>,
    door: Door<J>,
    ask: Ask<J>,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let inbox = door.clone();
    let ask = move |asked: Asked| {
        inbox.send(Wakeup::Call(ask(asked)?));
        Ok(())
    };
    let shared = Arc::new(Shared {
        limits,
        outbox: outbox.clone(),
        ask: Box::new(ask),
        admission: Admission::new(limits.connections_max, limits.address_max),
        calls: Arc::new(Semaphore::new(limits.calls_max)),
        tools: Arc::new(Semaphore::new(TOOL_CALLS_MAX)),
        memory: Arc::new(Memory::of_everybody()),
    });
    let listeners = {
        let _entered = runtime.enter();
        listeners.into_iter().map(tokio::net::TcpListener::from_std).collect::<io::Result<Vec<_>>>()?
    };
    let serving = outbox.serve(move || door.send(Wakeup::Left));
    std::thread::Builder::new().name("grpc".into()).spawn(move || {
        runtime.block_on(run(listeners, shared));
        drop(serving);
    })
}

async fn run(listeners: Vec<tokio::net::TcpListener>, shared: Arc<Shared>) {
    tokio::spawn(outbox::hand_out(shared.outbox.clone()));
    for listener in listeners {
        tokio::spawn(accept::accept(listener, shared.clone()));
    }
    shared.outbox.reached(Life::Draining).await;
    // The loop waits for this thread as long as it may; when it has ended nevertheless, time is over.
    let stopped = async {
        shared.outbox.reached(Life::Stopped).await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        () = shared.admission.emptied(shared.limits.connections_max) => {}
        () = stopped => {}
    }
}

impl Shared {
    /// A place for a call of this method. Nothing is read or asked without one.
    fn place(&self, method: Method) -> Result<Place, Status> {
        let places = if method.is_of_tools() { &self.tools } else { &self.calls };
        let place = places.clone().try_acquire_owned();
        let place = place.map_err(|_| Status::new(Code::ResourceExhausted, "Too many calls, please try again"))?;
        Ok(Place(Arc::new(place)))
    }
}

/// What the loop said last is sent within this, or not at all.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Calls of tools that are open at a time: a handful watch over a server. One more is refused.
const TOOL_CALLS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::call::Call;
    use super::conn::Peer;
    use super::head::Head;
    use super::memory::Share;
    use super::outbox::Slot;
    use super::*;

    /// A call that was given up keeps its place as long as it waits in the loop's inbox; tools have places of
    /// their own.
    #[test]
    fn a_place_is_held_until_the_call_is_begun() {
        let inbox: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let into = inbox.clone();
        let limits = RpcLimits {
            connections_max: 1,
            address_max: 0,
            streams_max: 1,
            calls_max: 1,
            keepalive: Duration::from_secs(1),
        };
        let shared = Arc::new(Shared {
            limits,
            outbox: answers().1,
            ask: Box::new(move |asked| {
                into.lock().unwrap().push(asked);
                Ok(())
            }),
            admission: Admission::new(1, 0),
            calls: Arc::new(Semaphore::new(1)),
            tools: Arc::new(Semaphore::new(1)),
            memory: Arc::new(Memory::of_everybody()),
        });
        let entry = shared.outbox.board().enter(([127, 0, 0, 1], 1).into());
        let line = entry.line().clone();
        let peer = Arc::new(Peer { line: line.clone(), memory: Share::new(shared.memory.clone()) });
        let head = Head::read(&http::HeaderMap::new()).ok().unwrap();
        let (via, method) = (Via(0), Method::Feed(Via(0)));
        let call = Call::new(head, peer, shared.clone(), shared.place(method).unwrap());
        call.post(via, Bytes::new(), Slot::unary(line, shared.outbox.clone()).0).unwrap();
        drop(call);
        assert_eq!(shared.place(method).err().map(|status| status.code), Some(Code::ResourceExhausted));
        assert!(shared.place(Method::Reflection).is_ok());
        inbox.lock().unwrap().clear();
        assert!(shared.place(method).is_ok());
    }
}
