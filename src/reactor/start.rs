//! From a plan to a running loop on a thread of its own, and the handle that the rest of the
//! program holds.
//!
//! Everything that can fail fails before the thread starts, in the caller's hands: all sockets are
//! bound before any of them accepts. The service is made on the loop's thread, so it may hold what
//! must not leave it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use super::datagrams::MioDatagrams;
use super::inbox::{Door, Wakeup, inbox};
use super::listener::Listener;
use super::net::{MioListener, MioNet};
use super::pool::{LaneBounds, Queues, lanes};
use super::service::{JobOf, Service};
use super::{Reactor, ReactorLimits};

/// Starts the worker threads of a service and gives the handles of those that the server's end
/// waits for, however long their jobs take: a writer, which must finish what it was given. A thread
/// whose handle is kept back ends after its job, or with the process.
pub type StartWorkers<J> = Box<dyn FnOnce(Queues<J>, Door<J>) -> io::Result<Vec<JoinHandle<()>>>>;

/// All that a loop needs.
pub struct Plan<S: Service> {
    /// The bound sockets, in the order of their indexes, and whether each outlives a drain.
    pub listeners: Vec<(MioListener, bool)>,
    /// The bound sockets of datagrams, in the order of theirs.
    pub datagrams: Vec<MioDatagrams>,
    /// The loop's bounds.
    pub limits: ReactorLimits,
    /// The lanes' bounds.
    pub lanes: LaneBounds,
    /// Makes the service, on the loop's thread.
    pub service: Box<dyn FnOnce() -> S + Send>,
    /// Starts the workers. A service without jobs starts none.
    pub workers: StartWorkers<JobOf<S>>,
}

/// Where a server is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum LifeState {
    /// Bound; nothing is accepted.
    Created,
    /// Accepting.
    Running,
    /// Not accepting; finishing what runs.
    Draining,
    /// Ended; every socket is released.
    Stopped,
}

/// A server that is bound and has not started.
pub struct Server<S: Service> {
    plan: Plan<S>,
    status: Arc<Status>,
    addresses: Vec<SocketAddr>,
    datagram_addresses: Vec<SocketAddr>,
}

/// The rest of the program's hold on a running server. Dropping it drains the server and waits.
pub struct Handle {
    status: Arc<Status>,
    addresses: Vec<SocketAddr>,
    remote: Remote,
    thread: Option<JoinHandle<io::Result<()>>>,
}

/// Tells a running server to end, from any thread.
#[derive(Clone)]
pub struct Remote(Arc<dyn Fn(Order) + Send + Sync>);

enum Order {
    Drain,
    Stop,
}

struct Status {
    state: AtomicU8,
    open: Arc<AtomicUsize>,
}

impl<S: Service + 'static> Server<S> {
    /// A server on these sockets.
    pub fn new(plan: Plan<S>) -> io::Result<Self> {
        let addresses = plan.listeners.iter().map(|(listener, _)| listener.address()).collect::<Result<_, _>>()?;
        let datagram_addresses = plan.datagrams.iter().map(MioDatagrams::address).collect::<Result<_, _>>()?;
        let status = Status { state: AtomicU8::new(LifeState::Created as u8), open: Arc::default() };
        Ok(Self { plan, status: Arc::new(status), addresses, datagram_addresses })
    }

    /// Where it is in its life: [`LifeState::Created`].
    pub fn state(&self) -> LifeState {
        self.status.get()
    }

    /// Where it will listen.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where it will receive datagrams.
    pub fn datagram_addresses(&self) -> &[SocketAddr] {
        &self.datagram_addresses
    }

    /// Starts the loop on a thread of its own.
    pub fn start(self) -> io::Result<Handle> {
        let Self { plan, status, addresses, .. } = self;
        let (net, bell) = MioNet::new()?;
        let (door, inbox) = inbox(bell);
        let (lanes, queues) = lanes(plan.lanes);
        let workers = (plan.workers)(queues, door.clone())?;
        let Plan { listeners, datagrams, limits, service, .. } = plan;
        let shared = status.clone();
        status.set(LifeState::Running);
        let thread = std::thread::Builder::new().name("reactor".into()).spawn(move || {
            // Whatever happens to this thread, the handle must not claim that it runs.
            let ended = Ended(shared.clone());
            let listeners = listeners.into_iter().map(|(socket, outlives)| Listener::new(socket, outlives)).collect();
            let reactor = Reactor::new(net, service(), limits, listeners, inbox, lanes)?;
            let mut reactor = reactor.with_datagrams(datagrams)?;
            reactor.share(shared.open.clone());
            while !reactor.is_stopped() {
                reactor.turn()?;
                if reactor.is_draining() {
                    shared.set(LifeState::Draining);
                }
            }
            // Dropping the loop closes every socket and the lanes' near ends, so the workers
            // finish what is queued and end: what was accepted is committed.
            drop(reactor);
            for worker in workers {
                let _ = worker.join();
            }
            drop(ended);
            Ok(())
        })?;
        let remote = Remote(Arc::new(move |order| {
            door.send(match order {
                Order::Drain => Wakeup::Drain,
                Order::Stop => Wakeup::Stop,
            });
        }));
        Ok(Handle { status, addresses, remote, thread: Some(thread) })
    }
}

impl Handle {
    /// Where it is in its life.
    pub fn state(&self) -> LifeState {
        self.status.get()
    }

    /// Whether it accepts connections.
    pub fn is_running(&self) -> bool {
        self.state() == LifeState::Running
    }

    /// Whether it has begun to end, or has ended.
    pub fn is_gone(&self) -> bool {
        matches!(self.state(), LifeState::Draining | LifeState::Stopped)
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        self.status.open.load(Ordering::Relaxed)
    }

    /// Where it listens, in the order of the plan.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What tells it to end, for a signal handler or another thread.
    pub fn remote(&self) -> Remote {
        self.remote.clone()
    }

    /// Stops accepting, finishes what runs, and ends. Returns at once; see [`wait`](Self::wait).
    /// A second call ends it at once.
    pub fn drain(&self) {
        self.remote.drain();
    }

    /// Waits for its end.
    pub fn wait(mut self) -> io::Result<()> {
        self.join()
    }

    fn join(&mut self) -> io::Result<()> {
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the loop's thread panicked")),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.remote.drain();
            let _ = self.join();
        }
    }
}

impl Remote {
    /// Stops accepting, finishes what runs, and ends; a second call ends at once.
    pub fn drain(&self) {
        (self.0)(Order::Drain);
    }

    /// Ends at once. What was answered is kept; what was not may be lost.
    pub fn stop(&self) {
        (self.0)(Order::Stop);
    }
}

impl Status {
    fn set(&self, state: LifeState) {
        self.state.store(state as u8, Ordering::Release);
    }

    fn get(&self) -> LifeState {
        match self.state.load(Ordering::Acquire) {
            0 => LifeState::Created,
            1 => LifeState::Running,
            2 => LifeState::Draining,
            _ => LifeState::Stopped,
        }
    }
}

/// Marks the server as stopped when the loop's thread leaves, by whichever way.
struct Ended(Arc<Status>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.open.store(0, Ordering::Relaxed);
        self.0.set(LifeState::Stopped);
    }
}
