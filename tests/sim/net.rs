//! A kernel in memory: sockets, readiness and time, all decided by a seed.
//!
//! It keeps every promise that `Net` names and no other. Readiness is edge-triggered to the letter:
//! an event comes when something changes (bytes arrive, room appears after `WouldBlock`, the peer
//! closes) and is never repeated. With [`Faults::chaos`] it does all that a kernel may do: it cuts
//! reads and writes, interrupts calls, announces what isn't so, remembers keys of sockets that are
//! gone, runs out of descriptors, refuses to watch, and sleeps too short or too long. What the loop
//! must never do (write after it said it would not, touch what it forgot) panics here.

mod calls;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mangahub::handlers::key::ConnKey;
use mangahub::reactor::inbox::Bell;
use mangahub::reactor::net::{Ready, Source};
use mangahub::reactor::service::Now;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The kernel, shared by the loop on one side and the clients on the other.
#[derive(Clone)]
pub struct SimNet(Rc<RefCell<Kernel>>);

/// What the kernel does to those who rely on it.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    /// Whether calls are cut, interrupted, refused and misannounced at random.
    pub chaos: bool,
    /// How many streams the process may have open; then accepting fails with EMFILE or ENFILE.
    pub streams_max: usize,
    /// How much a stream takes before the peer reads, in bytes.
    pub send_bytes_max: usize,
    /// The longest time one wait lets pass; a wait that would be longer returns early, with nothing.
    pub nap_ms_max: u64,
}

impl Faults {
    /// A kernel that does what it should. Time stands still unless the test moves it.
    pub const NONE: Faults = Faults { chaos: false, streams_max: usize::MAX, send_bytes_max: 1 << 16, nap_ms_max: 0 };
}

/// What the last wait was asked, and whether it had anything to tell.
#[derive(Debug, Clone, Copy, Default)]
pub struct Waited {
    pub timeout_ms: Option<u64>,
    pub quiet: bool,
}

/// The number of a client's socket, never used twice.
pub type SocketId = usize;

struct Kernel {
    random: ChaCha8Rng,
    faults: Faults,
    now: Now,
    sockets: Vec<Socket>,
    listeners: Vec<Backlog>,
    ports: Vec<Port>,
    old_keys: Vec<ConnKey>,
    open: usize,
    /// Calls that did something: what tells a busy turn from a spinning one.
    calls: u64,
    bell: Arc<SimBell>,
    waited: Waited,
}

/// One connection, both ends of it.
struct Socket {
    peer: SocketAddr,
    key: Option<ConnKey>,
    /// Sent by the client and still under way, then arrived and unread.
    under_way: VecDeque<u8>,
    arrived: VecDeque<u8>,
    end: End,
    /// Written by the server and not read by the client.
    written: VecDeque<u8>,
    reset: bool,
    blocked: bool,
    shut: bool,
    dropped: bool,
    edges: Edges,
    /// The kernel gave it up before the server could answer: not the server's fault.
    refused: bool,
}

/// The client's end of stream.
#[derive(PartialEq, Eq, Clone, Copy)]
enum End {
    Open,
    UnderWay,
    Arrived,
}

#[derive(Default, Clone, Copy)]
struct Edges {
    readable: bool,
    writable: bool,
    read_closed: bool,
}

struct Backlog {
    waiting: VecDeque<SocketId>,
    watched: bool,
    edge: bool,
    open: bool,
}

/// A socket of datagrams: what has arrived and was not received, what was sent and has not left, and
/// what has left.
#[derive(Default)]
struct Port {
    arrived: VecDeque<(SocketAddr, Vec<u8>)>,
    queued: VecDeque<(SocketAddr, Vec<u8>)>,
    sent: Vec<(SocketAddr, Vec<u8>)>,
    watched: bool,
    readable: bool,
    writable: bool,
    blocked: bool,
    broken: bool,
}

/// A socket of datagrams, as the loop holds it.
pub struct SimDatagrams(usize);

/// A listening socket, as the loop holds it.
pub struct SimListener {
    place: usize,
    net: SimNet,
}

/// An accepted connection, as the loop holds it. Dropping it closes it.
pub struct SimStream {
    id: SocketId,
    net: SimNet,
}

/// The flag that ends a wait.
#[derive(Default)]
pub struct SimBell(AtomicBool);

impl Bell for SimBell {
    fn ring(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

// ---- what clients and the simulation do

impl SimNet {
    /// A kernel without sockets.
    pub fn new(seed: u64, faults: Faults) -> Self {
        Self(Rc::new(RefCell::new(Kernel {
            random: ChaCha8Rng::seed_from_u64(seed),
            faults,
            now: Now { mono_ms: 1, unix_ms: START_UNIX_MS },
            sockets: Vec::new(),
            listeners: Vec::new(),
            ports: Vec::new(),
            old_keys: Vec::new(),
            open: 0,
            calls: 0,
            bell: Arc::default(),
            waited: Waited::default(),
        })))
    }

    /// What wakes this kernel's waits.
    pub fn bell(&self) -> Arc<SimBell> {
        self.0.borrow().bell.clone()
    }

    /// A socket to listen on.
    pub fn listen(&self) -> SimListener {
        let mut kernel = self.0.borrow_mut();
        kernel.listeners.push(Backlog { waiting: VecDeque::new(), watched: false, edge: false, open: true });
        SimListener { place: kernel.listeners.len() - 1, net: self.clone() }
    }

    /// A socket of datagrams.
    pub fn bind(&self) -> SimDatagrams {
        let mut kernel = self.0.borrow_mut();
        kernel.ports.push(Port::default());
        SimDatagrams(kernel.ports.len() - 1)
    }

    /// Sends a datagram to a socket of the server. With chaos it may be lost, come twice or overtake.
    pub fn send_datagram(&self, port: usize, from: SocketAddr, bytes: &[u8]) {
        let kernel = &mut *self.0.borrow_mut();
        let (lost, twice, overtakes) = (kernel.chance(5), kernel.chance(5), kernel.chance(20));
        let port = &mut kernel.ports[port];
        if lost {
            return;
        }
        let place = if overtakes { 0 } else { port.arrived.len() };
        port.arrived.insert(place, (from, bytes.to_vec()));
        if twice {
            port.arrived.push_back((from, bytes.to_vec()));
        }
        port.readable = true;
    }

    /// From now on a socket reports an error instead of what arrives, or works again.
    pub fn break_port(&self, port: usize, broken: bool) {
        self.0.borrow_mut().ports[port].broken = broken;
    }

    /// The datagrams that the server sent. Taking them makes room for more.
    pub fn take_datagrams(&self, port: usize) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut kernel = self.0.borrow_mut();
        let port = &mut kernel.ports[port];
        let queued = std::mem::take(&mut port.queued);
        port.sent.extend(queued);
        port.writable |= std::mem::take(&mut port.blocked);
        std::mem::take(&mut port.sent)
    }

    /// Changes what goes wrong from now on.
    pub fn set_faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.0.borrow_mut().faults);
    }

    /// Connects a client. A closed listener resets it at once.
    pub fn connect(&self, listener: usize) -> SocketId {
        let mut kernel = self.0.borrow_mut();
        let id = kernel.sockets.len();
        let open = kernel.listeners[listener].open;
        kernel.sockets.push(Socket {
            peer: SocketAddr::from(([127, 0, 0, 1], 1024 + (id % 60_000) as u16)),
            key: None,
            under_way: VecDeque::new(),
            arrived: VecDeque::new(),
            end: End::Open,
            written: VecDeque::new(),
            reset: !open,
            blocked: false,
            shut: false,
            dropped: false,
            edges: Edges::default(),
            refused: !open,
        });
        if open {
            kernel.listeners[listener].waiting.push_back(id);
            kernel.listeners[listener].edge = true;
        }
        id
    }

    /// Sends bytes; without chaos they arrive at once.
    pub fn send(&self, id: SocketId, bytes: &[u8]) {
        let mut kernel = self.0.borrow_mut();
        let at_once = !kernel.faults.chaos;
        let socket = &mut kernel.sockets[id];
        if socket.end != End::Open || socket.reset {
            return;
        }
        socket.under_way.extend(bytes);
        if at_once {
            socket.arrive(usize::MAX);
        }
    }

    /// Says that the client sends no more.
    pub fn half_close(&self, id: SocketId) {
        let mut kernel = self.0.borrow_mut();
        let at_once = !kernel.faults.chaos;
        let socket = &mut kernel.sockets[id];
        if socket.end == End::Open && !socket.reset {
            socket.end = End::UnderWay;
            if at_once {
                socket.arrive(usize::MAX);
            }
        }
    }

    /// Tears the connection down.
    pub fn abort(&self, id: SocketId) {
        let socket = &mut self.0.borrow_mut().sockets[id];
        socket.reset = true;
        socket.under_way.clear();
        socket.written.clear();
        socket.edges = Edges { readable: true, writable: true, read_closed: true };
    }

    /// Lets up to `most` of the bytes that a client sent arrive, and its end of stream behind them.
    pub fn arrive(&self, id: SocketId, most: usize) {
        self.0.borrow_mut().sockets[id].arrive(most);
    }

    /// Reads up to `most` bytes of what the server wrote.
    pub fn receive(&self, id: SocketId, most: usize) -> Vec<u8> {
        let mut kernel = self.0.borrow_mut();
        let most = most.min(kernel.sockets[id].written.len());
        let socket = &mut kernel.sockets[id];
        let bytes: Vec<u8> = socket.written.drain(..most).collect();
        if most > 0 && std::mem::take(&mut socket.blocked) {
            socket.edges.writable = true;
        }
        bytes
    }

    /// Whether the client has seen the end: everything is read, and the server closed or was lost.
    pub fn has_ended(&self, id: SocketId) -> bool {
        let kernel = self.0.borrow();
        let socket = &kernel.sockets[id];
        socket.reset || (socket.written.is_empty() && (socket.shut || socket.dropped))
    }

    /// A client's address.
    pub fn peer(&self, id: SocketId) -> SocketAddr {
        self.0.borrow().sockets[id].peer
    }

    /// Whether the kernel gave it up before the server could answer.
    pub fn was_refused(&self, id: SocketId) -> bool {
        self.0.borrow().sockets[id].refused
    }

    /// The client behind a connection of the loop.
    pub fn socket_of(&self, key: ConnKey) -> Option<SocketId> {
        self.0.borrow().sockets.iter().position(|socket| socket.key == Some(key))
    }

    /// Lets time pass.
    pub fn advance(&self, ms: u64) {
        self.0.borrow_mut().advance(ms);
    }

    /// Sets the clock on the wall, forwards or back.
    pub fn jump(&self, ms: i64) {
        self.0.borrow_mut().now.unix_ms += ms;
    }

    /// The time since the start, in milliseconds.
    pub fn mono_ms(&self) -> u64 {
        self.0.borrow().now.mono_ms
    }

    /// Streams that were accepted and not dropped.
    pub fn open(&self) -> usize {
        self.0.borrow().open
    }

    /// Calls that did something so far.
    pub fn calls(&self) -> u64 {
        self.0.borrow().calls
    }

    /// What the last wait was.
    pub fn waited(&self) -> Waited {
        self.0.borrow().waited
    }

    /// A number below `bound`, the same for the same seed.
    pub fn below(&self, bound: usize) -> usize {
        self.0.borrow_mut().below(bound as u64) as usize
    }

    fn close_stream(&self, id: SocketId) {
        let mut kernel = self.0.borrow_mut();
        kernel.open -= 1;
        let socket = &mut kernel.sockets[id];
        socket.dropped = true;
        let key = socket.key.take();
        // What was not read makes the kernel send a reset, which destroys what is under way.
        if !socket.arrived.is_empty() {
            socket.reset = true;
            socket.written.clear();
        }
        kernel.old_keys.extend(key);
    }
}

impl Socket {
    fn arrive(&mut self, most: usize) {
        if self.reset {
            return;
        }
        let count = most.min(self.under_way.len());
        if self.dropped && count > 0 {
            // Nobody is there any more: the answer is a reset.
            self.reset = true;
            self.written.clear();
            return;
        }
        self.arrived.extend(self.under_way.drain(..count));
        self.edges.readable |= count > 0;
        if self.end == End::UnderWay && self.under_way.is_empty() {
            self.end = End::Arrived;
            self.edges.readable = true;
            self.edges.read_closed = true;
        }
    }

    /// What is true now, changed or not.
    fn level(&self, room: usize) -> Edges {
        Edges {
            readable: self.reset || !self.arrived.is_empty() || self.end == End::Arrived,
            writable: self.reset || self.written.len() < room,
            read_closed: self.reset || self.end == End::Arrived,
        }
    }
}

impl Kernel {
    fn below(&mut self, bound: u64) -> u64 {
        self.random.next_u64() % bound.max(1)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.faults.chaos && self.below(100) < percent
    }

    fn advance(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.unix_ms += ms as i64;
    }

    /// Moves what changed into `ready`.
    fn collect(&mut self, ready: &mut Vec<Ready>) {
        for place in 0..self.listeners.len() {
            let backlog = &mut self.listeners[place];
            if backlog.watched && std::mem::take(&mut backlog.edge) {
                ready.push(event(Source::Listener(place as u8), Edges { readable: true, ..Edges::default() }));
            }
        }
        for place in 0..self.ports.len() {
            let port = &mut self.ports[place];
            let edges = Edges { readable: port.readable, writable: port.writable, read_closed: false };
            if port.watched && (edges.readable || edges.writable) {
                (port.readable, port.writable) = (false, false);
                ready.push(event(Source::Datagrams(place as u8), edges));
            }
        }
        for id in 0..self.sockets.len() {
            let Edges { readable, writable, read_closed } = self.sockets[id].edges;
            let Some(key) = self.sockets[id].key.filter(|_| readable || writable || read_closed) else { continue };
            if self.chance(5) {
                // It did not fit into this wait's list; it comes with the next.
                continue;
            }
            let mut edges = std::mem::take(&mut self.sockets[id].edges);
            if self.chance(50) {
                // Some kernels tell everything that is true whenever something changes.
                let level = self.sockets[id].level(self.faults.send_bytes_max);
                edges.readable |= level.readable;
                edges.writable |= level.writable;
                edges.read_closed |= level.read_closed;
            }
            if !edges.read_closed || !self.chance(30) {
                ready.push(event(Source::Conn(key), edges));
            } else {
                // The hint comes late, with an event of its own: until it does, a short read says
                // that nothing more is there.
                self.sockets[id].edges = Edges { readable: true, read_closed: true, writable: false };
                ready.push(event(Source::Conn(key), Edges { readable: true, read_closed: false, ..edges }));
            }
        }
        if self.chance(5) {
            self.mislead(ready);
        }
        for last in (1..ready.len()).rev() {
            if self.faults.chaos {
                let other = self.below(last as u64 + 1) as usize;
                ready.swap(last, other);
            }
        }
    }

    /// Announces what isn't so, about the living and the dead.
    fn mislead(&mut self, ready: &mut Vec<Ready>) {
        let mut keys: Vec<ConnKey> = self.sockets.iter().filter_map(|socket| socket.key).collect();
        keys.extend(self.old_keys.iter().rev().take(8));
        if keys.is_empty() {
            return;
        }
        let key = keys[self.below(keys.len() as u64) as usize];
        let bits = self.below(8);
        let edges = Edges { readable: bits & 1 > 0, writable: bits & 2 > 0, read_closed: bits & 4 > 0 };
        ready.push(event(Source::Conn(key), edges));
    }

    fn sleep_ms(&mut self, timeout_ms: u64) -> u64 {
        let nap = self.faults.nap_ms_max;
        if !self.faults.chaos {
            return timeout_ms.min(nap);
        }
        match self.below(100) {
            0 => timeout_ms.min(nap) + self.below(200),
            1..20 => timeout_ms.min(self.below(nap + 1)),
            _ => timeout_ms.min(nap),
        }
    }
}

// ---- what the loop does

fn event(source: Source, edges: Edges) -> Ready {
    Ready { source, readable: edges.readable, writable: edges.writable, read_closed: edges.read_closed }
}

/// What a datagram takes of the kernel's room.
const DATAGRAM_COST: usize = 300;

/// Some moment in 2027.
pub const START_UNIX_MS: i64 = 1_800_000_000_000;

const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
