//! gRPC's own thread: HTTP/2 by a library that is written for an async runtime.
//!
//! The loop stays what it is. Here connections are accepted, streams become calls, and each call goes
//! into the loop's inbox like everything from another thread; what the loop says comes back together,
//! once a turn. What messages mean is not known here: paths, messages and codes are
//! `proto/grpc`'s, the calls themselves the service's.
//!
//! Suggested reading: this file, `conn` (one connection), `call` (one stream), `outbox` (the way back).

mod call;
mod conn;
mod outbox;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::inbox::{Door, Wakeup};
use crate::handlers::api::{ApiError, Via};
use crate::handlers::remote::Remote;
use outbox::{Life, Outbox, Slot};

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
}

/// Makes a job of a call, or refuses it at once.
pub type Ask<J> = fn(Asked) -> Result<J, ApiError>;

/// What peers may take.
#[derive(Debug, Clone, Copy)]
pub struct RpcLimits {
    /// Connections; one more is closed at once.
    pub connections_max: usize,
    /// Calls open on one connection; HTTP/2 makes a client wait with the next.
    pub streams_max: u32,
    /// Calls open on all of them: what may be in the loop's inbox at a time. One more is refused.
    pub calls_max: usize,
}

/// What the tasks of this thread share.
struct Shared {
    limits: RpcLimits,
    outbox: Arc<Outbox>,
    /// Hands a call to the loop.
    ask: Box<dyn Fn(Asked) -> Result<(), ApiError> + Send + Sync>,
    connections: Arc<Semaphore>,
    calls: Arc<Semaphore>,
    /// Bytes of messages that are being received.
    held: AtomicUsize,
}

/// Starts the thread on these sockets. It ends when the loop has ended, or has drained and every call
/// is answered.
pub fn start<J: Send + 'static>(
    listeners: Vec<TcpListener>,
    limits: RpcLimits,
    outbox: Arc<Outbox>,
    door: Door<J>,
    ask: Ask<J>,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ask = move |asked: Asked| {
        door.send(Wakeup::Call(ask(asked)?));
        Ok(())
    };
    let shared = Arc::new(Shared {
        limits,
        outbox,
        ask: Box::new(ask),
        connections: Arc::new(Semaphore::new(limits.connections_max)),
        calls: Arc::new(Semaphore::new(limits.calls_max)),
        held: AtomicUsize::new(0),
    });
    let listeners = {
        let _entered = runtime.enter();
        listeners.into_iter().map(tokio::net::TcpListener::from_std).collect::<io::Result<Vec<_>>>()?
    };
    std::thread::Builder::new().name("grpc".into()).spawn(move || runtime.block_on(run(listeners, shared)))
}

async fn run(listeners: Vec<tokio::net::TcpListener>, shared: Arc<Shared>) {
    tokio::spawn(outbox::hand_out(shared.outbox.clone()));
    for listener in listeners {
        tokio::spawn(conn::accept(listener, shared.clone()));
    }
    shared.outbox.reached(Life::Draining).await;
    // Every connection gives its permit back when its last call is answered.
    let most = u32::try_from(shared.limits.connections_max).unwrap_or(u32::MAX);
    let stopped = async {
        shared.outbox.reached(Life::Stopped).await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        _ = shared.connections.acquire_many(most) => {}
        () = stopped => {}
    }
}

impl Shared {
    /// Puts a call into the loop's inbox.
    fn ask(&self, via: Via, head: &call::Head, message: Bytes, slot: Slot) -> Result<(), ApiError> {
        let remote = Remote(Arc::new(slot));
        let (authorization, device) = (head.authorization.clone(), head.device.clone());
        (self.ask)(Asked { via, message, authorization, device, remote })
    }

    /// Notes bytes that a call holds, if there is room for them.
    fn hold(&self, bytes: usize) -> bool {
        if self.held.fetch_add(bytes, Ordering::Relaxed) + bytes <= HELD_BYTES_MAX {
            return true;
        }
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        false
    }

    fn let_go(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Bytes of unfinished messages over all calls: sixteen of the longest there may be. Beyond it a call is
/// refused.
const HELD_BYTES_MAX: usize = 64 << 20;

/// What the loop said last is sent within this, or not at all.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where a listener is bound, before there is a runtime: a socket that this thread can use.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Connections that the kernel holds until they are accepted, as for the loop's listeners.
const BACKLOG: i32 = 1024;
