//! New connections: so many in all, so many from one address, and a word to who finds no room.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::counts::Closed;
use super::outbox::Life;
use super::{Shared, conn};
use crate::handlers::session::Addresses;
use crate::reactor::net::BACKLOG;

/// Who has connections.
pub struct Admission {
    room: Arc<Semaphore>,
    /// How many each address has, and may have; 0 is any number.
    addresses: Mutex<Addresses>,
    address_max: u32,
    /// Those who are told that there is no room.
    refusals: Arc<Semaphore>,
}

/// A connection's place. It is free when this is dropped.
struct Admitted {
    _room: OwnedSemaphorePermit,
    shared: Arc<Shared>,
    address: IpAddr,
}

impl Admission {
    /// With room for so many.
    pub fn new(connections_max: usize, address_max: u32) -> Self {
        Self {
            room: Arc::new(Semaphore::new(connections_max)),
            addresses: Mutex::default(),
            address_max,
            refusals: Arc::new(Semaphore::new(REFUSALS_MAX)),
        }
    }

    /// Waits until there is no connection left of as many as there may be.
    pub async fn emptied(&self, connections_max: usize) {
        let most = u32::try_from(connections_max).unwrap_or(u32::MAX);
        // It fails only when nobody is let in any more, and then there is nobody to wait for.
        drop(self.room.acquire_many(most).await);
    }

    fn enter(&self, address: IpAddr) -> bool {
        self.address_max == 0 || self.addresses().enter(address, self.address_max)
    }

    fn leave(&self, address: IpAddr) {
        if self.address_max > 0 {
            self.addresses().leave(address);
        }
    }

    fn addresses(&self) -> std::sync::MutexGuard<'_, Addresses> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.shared.admission.leave(self.address);
    }
}

/// Accepts until the server drains.
pub async fn accept(listener: tokio::net::TcpListener, shared: Arc<Shared>) {
    let mut pause = PAUSE_MIN;
    let mut drained = pin!(shared.outbox.reached(Life::Draining));
    loop {
        let accepted = tokio::select! {
            () = &mut drained => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                pause = PAUSE_MIN;
                begin(socket, peer, &shared);
            }
            // The client gave up while it waited, or a signal came: try the next.
            Err(error) if GONE.contains(&error.kind()) => {}
            Err(error) => {
                shared.outbox.counts().accept_failed();
                tracing::warn!(%error, "gRPC cannot accept; trying again shortly");
                tokio::select! {
                    () = &mut drained => return,
                    () = sleep(pause) => {}
                }
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

/// Serves a connection, or says that there is no room for it.
fn begin(socket: TcpStream, peer: SocketAddr, shared: &Arc<Shared>) {
    let counts = shared.outbox.counts();
    counts.opened();
    let entry = shared.outbox.board().enter(peer);
    let Some(admitted) = admit(peer.ip(), shared) else {
        tracing::debug!(%peer, "there is no room for another gRPC connection");
        counts.closed(Closed::TooMany);
        entry.end(Closed::TooMany.as_str());
        // There may be many of them, and then they hear nothing.
        if let Ok(place) = shared.admission.refusals.clone().try_acquire_owned() {
            tokio::spawn(refuse(socket, place));
        }
        return;
    };
    tokio::spawn(async move {
        let why = conn::serve(socket, entry.line(), &admitted.shared).await;
        admitted.shared.outbox.counts().closed(why);
        entry.end(why.as_str());
        tracing::debug!(%peer, reason = why.as_str(), "a gRPC connection ended");
    });
}

fn admit(address: IpAddr, shared: &Arc<Shared>) -> Option<Admitted> {
    let room = shared.admission.room.clone().try_acquire_owned().ok()?;
    shared.admission.enter(address).then(|| Admitted { _room: room, shared: shared.clone(), address })
}

/// HTTP/2's word for it, and a moment to read it in: whoever closes at once takes it back.
async fn refuse(mut socket: TcpStream, place: OwnedSemaphorePermit) {
    let told = async {
        socket.write_all(GOODBYE).await?;
        socket.shutdown().await?;
        let mut rest = [0; 1024];
        while socket.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    // Nobody is waited for who has been told, and nobody needs to know that one has left first.
    let _ = timeout(GOODBYE_TIME, told).await;
    drop(place);
}

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

/// Empty settings, and GOAWAY before any stream: "enhance your calm", and why.
const GOODBYE: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x1c\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0btoo many connections";

/// How long one who is told that there is no room has to read it.
const GOODBYE_TIME: Duration = Duration::from_secs(2);

/// How many may be told at a time. They come out of the reserve of descriptors.
const REFUSALS_MAX: usize = 64;

/// What an accept fails with that says nothing about the next.
const GONE: [ErrorKind; 3] = [ErrorKind::Interrupted, ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset];

/// Pauses after an accept that failed, for want of descriptors.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
