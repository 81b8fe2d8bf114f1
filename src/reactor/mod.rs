//! The event loop: one thread, every socket, the same few phases each turn.
//!
//! Start at [`Reactor::turn`]: it is the whole design on one screen. What became ready is only
//! noted; work happens later, within budgets, so that no connection can starve another. Handlers
//! leave effects, effects are carried out in their order, events go out once a turn, and sockets
//! are written once a turn. What bytes *mean* is not known here: that is the [`Service`]'s.
//!
//! This file holds what the phases share, and their order. Each phase has a file of its own: `serve`,
//! `deadlines`, `publish`, `flush`, `reap`, `accept`; `udp` is what `serve` and `flush` are for datagrams;
//! `effects` carries out what handlers leave, and `drain` is the way out.
//!
//! Suggested reading: `service` (the seam), `conn` (one connection), this file, the phases in their
//! order, then what they stand on: `net`, `datagrams`, `listener`, `send`, `timers`, `inbox`, `pool`, `start`.
//!
//! `grpc` is the one other thread with sockets: HTTP/2 by a library, whose calls come in by the inbox.

mod accept;
pub mod conn;
pub mod conns;
pub mod datagrams;
mod deadlines;
mod drain;
mod effects;
mod flush;
pub mod grpc;
pub mod inbox;
pub mod limits;
pub mod listener;
pub mod net;
pub mod pool;
pub mod post;
mod publish;
mod reap;
pub mod send;
mod serve;
pub mod service;
pub mod start;
pub mod stats;
pub mod timers;
pub mod transport;
mod udp;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use conn::{Conn, Flags};
use conns::Conns;
use datagrams::Batch;
use inbox::Inbox;
use listener::Listener;
use net::{Net, Ready, Source};
use pool::{Lanes, Ticket};
use post::Post;
use service::{EventOf, JobOf, Now, Service, TopicOf};
use stats::Stats;
use timers::{TICK_MS, Timers};
use udp::DatagramSocket;

use crate::handlers::effect::Effect;
use crate::handlers::hub::Hub;
use crate::handlers::key::ConnKey;
use crate::proto::buffer::RecvBuf;

pub use limits::ReactorLimits;

/// The loop and all it owns.
pub struct Reactor<N: Net, S: Service> {
    net: N,
    service: S,
    limits: ReactorLimits,
    listeners: Vec<Option<Listener<N>>>,
    datagrams: Vec<DatagramSocket<N>>,
    conns: Conns<N, S>,
    hub: Hub<TopicOf<S>>,
    timers: Timers,
    inbox: Inbox<JobOf<S>>,
    lanes: Lanes<JobOf<S>>,
    now: Now,
    state: State,
    /// What became ready in this turn's wait.
    ready: Vec<Ready>,
    /// Connections with something to read or decode.
    run_queue: VecDeque<ConnKey>,
    /// Connections with something to write, or to do once all is written.
    dirty: Vec<ConnKey>,
    /// Connections to be dropped at the end of the turn.
    doomed: Vec<ConnKey>,
    /// Jobs that came back and have not been finished.
    finished: VecDeque<Ticket<JobOf<S>>>,
    /// Calls from other threads that have not been begun.
    calls: VecDeque<JobOf<S>>,
    /// Jobs that found no room in their lane and are answered when those before them are.
    refused: VecDeque<Ticket<JobOf<S>>>,
    /// What happened, in order, and has not been told.
    tellings: VecDeque<Telling<S>>,
    /// Connections that caused some of it.
    untold: Vec<ConnKey>,
    /// Events wait until then when a topic was told too often.
    publish_ms: u64,
    /// When the service's tick is due.
    tick_ms: u64,
    /// Jobs that were admitted and have not come back.
    jobs: usize,
    /// Bytes held in receive buffers and owed in send buffers, over all connections.
    held: (usize, usize),
    /// Bytes of answers that were queued since the last flush.
    unflushed: usize,
    /// What a handler left, to be carried out.
    effects: Vec<Effect<S::Words>>,
    /// One reply's bytes.
    out: Vec<u8>,
    /// Datagrams on their way to their sockets' queues.
    post: Post,
    /// What a socket of datagrams fills.
    batch: Batch,
    /// What a read fills.
    scratch: Box<[u8]>,
    /// The receive buffer of connections that have none of their own.
    work: RecvBuf,
    stats: Stats,
    open: Arc<AtomicUsize>,
}

/// Something to be told, in its place among the others.
enum Telling<S: Service> {
    /// To everyone in a topic.
    Event(TopicOf<S>, EventOf<S>),
    /// To one connection, which caused some of what comes before: its bytes.
    Reply(ConnKey, Box<[u8]>),
    /// From here on a connection is a member of the topic.
    Enter(ConnKey, TopicOf<S>),
    /// From here on it isn't.
    Leave(ConnKey, TopicOf<S>),
}

/// Where the loop is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    /// Until then at the latest.
    Draining(u64),
    Stopped,
}

impl<N: Net, S: Service> Reactor<N, S> {
    /// A loop over these listeners. Nothing happens before the first turn.
    pub fn new(
        mut net: N,
        service: S,
        limits: ReactorLimits,
        listeners: Vec<Listener<N>>,
        inbox: Inbox<JobOf<S>>,
        lanes: Lanes<JobOf<S>>,
    ) -> io::Result<Self> {
        let mut listeners: Vec<_> = listeners.into_iter().map(Some).collect();
        for (index, listener) in listeners.iter_mut().flatten().enumerate() {
            net.watch_listener(listener.socket(), index as u8)?;
        }
        let now = net.now();
        Ok(Self {
            net,
            service,
            scratch: vec![0; limits.read_budget_bytes].into_boxed_slice(),
            limits,
            listeners,
            datagrams: Vec::new(),
            post: Post::default(),
            batch: Batch::default(),
            conns: Conns::new(),
            hub: Hub::new(),
            timers: Timers::default(),
            inbox,
            lanes,
            now,
            state: State::Running,
            ready: Vec::new(),
            run_queue: VecDeque::new(),
            dirty: Vec::new(),
            doomed: Vec::new(),
            finished: VecDeque::new(),
            calls: VecDeque::new(),
            tellings: VecDeque::new(),
            untold: Vec::new(),
            refused: VecDeque::new(),
            publish_ms: 0,
            tick_ms: now.mono_ms,
            jobs: 0,
            held: (0, 0),
            unflushed: 0,
            effects: Vec::new(),
            out: Vec::new(),
            work: RecvBuf::new(),
            stats: Stats::new(),
            open: Arc::new(AtomicUsize::new(0)),
        })
    }

    /// Where to keep the number of open connections, for other threads to read.
    pub fn share(&mut self, open: Arc<AtomicUsize>) {
        self.open = open;
    }

    /// Whether it has stopped accepting and finishes what runs.
    pub fn is_draining(&self) -> bool {
        matches!(self.state, State::Draining(_))
    }

    /// Whether the last turn has been done.
    pub fn is_stopped(&self) -> bool {
        self.state == State::Stopped
    }

    /// The same loop with these sockets of datagrams as well.
    pub fn with_datagrams(mut self, sockets: Vec<N::Datagrams>) -> io::Result<Self> {
        for (index, mut socket) in sockets.into_iter().enumerate() {
            self.net.watch_datagrams(&mut socket, index as u8)?;
            self.datagrams.push(DatagramSocket::new(socket));
        }
        if !self.datagrams.is_empty() {
            self.batch = Batch::new();
        }
        Ok(self)
    }

    /// What was counted.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The service, for a test that wants to look inside.
    pub fn service(&self) -> &S {
        &self.service
    }

    /// How many connections are open, for a test that counts along.
    pub fn connections(&self) -> usize {
        self.conns.len()
    }

    /// How many jobs were admitted and have not come back.
    pub fn jobs(&self) -> usize {
        self.jobs
    }

    /// How many topics have members.
    pub fn topics(&self) -> usize {
        self.hub.len()
    }

    /// Bytes held in receive buffers and owed in send buffers, over all connections.
    pub fn held(&self) -> (usize, usize) {
        self.held
    }

    /// One turn of the loop. An error means that the kernel's selector itself failed.
    pub fn turn(&mut self) -> io::Result<()> {
        self.wait()?;
        self.note();
        let mut clock = self.stats.start_turn();
        self.finish();
        clock.lap(&mut self.stats, 0);
        self.serve();
        self.receive();
        clock.lap(&mut self.stats, 1);
        self.lanes.hand_over();
        self.expire();
        clock.lap(&mut self.stats, 2);
        self.publish();
        self.fill();
        clock.lap(&mut self.stats, 3);
        self.flush();
        self.send();
        self.service.hand_over();
        clock.lap(&mut self.stats, 4);
        self.reap();
        clock.lap(&mut self.stats, 5);
        self.accept();
        clock.lap(&mut self.stats, 6);
        self.tick();
        self.lanes.hand_over();
        self.service.hand_over();
        clock.lap(&mut self.stats, 7);
        self.check();
        Ok(())
    }

    // ---- wait: sleep until something is ready, or due; not at all if work is left over

    fn wait(&mut self) -> io::Result<()> {
        let timeout = self.timeout();
        self.ready.clear();
        self.net.wait(&mut self.ready, timeout)?;
        self.now = self.net.now();
        Ok(())
    }

    fn timeout(&self) -> Option<Duration> {
        let leftover = !(self.run_queue.is_empty() && self.dirty.is_empty() && self.finished.is_empty());
        if leftover || !self.calls.is_empty() || self.has_datagrams() || self.inbox.has_mail() {
            return Some(Duration::ZERO);
        }
        let accept =
            if self.may_accept() { self.listeners.iter().flatten().filter_map(Listener::wants_ms).min() } else { None };
        let publish = (!self.tellings.is_empty()).then_some(self.publish_ms);
        let drained = match self.state {
            State::Draining(until_ms) => Some(until_ms),
            _ => None,
        };
        let next = [self.timers.next_ms(), accept, publish, drained, Some(self.tick_ms)].into_iter().flatten().min();
        next.map(|due_ms| Duration::from_millis(due_ms.saturating_sub(self.now.mono_ms)))
    }

    // ---- note: set flags, queue keys; no I/O

    fn note(&mut self) {
        let mut noted = std::mem::take(&mut self.ready);
        for ready in noted.drain(..) {
            match ready.source {
                Source::Bell => {}
                Source::Listener(index) => {
                    if let Some(Some(listener)) = self.listeners.get_mut(index as usize) {
                        listener.note_ready();
                    }
                }
                Source::Conn(key) => self.note_conn(key, ready),
                Source::Datagrams(index) => {
                    if let Some(socket) = self.datagrams.get_mut(index as usize) {
                        socket.note(ready);
                    }
                }
            }
        }
        self.ready = noted;
    }

    fn note_conn(&mut self, key: ConnKey, ready: Ready) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        if ready.read_closed {
            conn.flags.set(Flags::READ_CLOSED);
        }
        if ready.readable || ready.read_closed {
            conn.flags.set(Flags::READABLE);
            enqueue(&mut self.run_queue, conn);
        }
        if ready.writable {
            conn.flags.set(Flags::WRITABLE);
            if !conn.tx.is_empty() || self.net.owes(&conn.stream) {
                mark_dirty(&mut self.dirty, conn);
            }
        }
    }

    // ---- tick: once a second

    fn tick(&mut self) {
        if self.now.mono_ms < self.tick_ms {
            return;
        }
        self.tick_ms = self.now.mono_ms + TICK_EVERY_MS;
        self.with_session(NOBODY, |service, _, io| service.tick(io));
        self.apply(NOBODY);
        self.fill();
    }

    /// What must hold between turns.
    fn check(&self) {
        if cfg!(debug_assertions) && self.conns.len() < 1000 {
            let held = self.conns.iter().map(Conn::held).fold((0, 0), |sum, held| (sum.0 + held.0, sum.1 + held.1));
            debug_assert_eq!(held, self.held, "the totals of memory are not what connections hold");
            for conn in self.conns.iter() {
                debug_assert!(!conn.flags.any(Flags::DOOMED), "a doomed connection outlived its turn");
                let idle_tail = conn.rx.as_ref().is_some_and(|rx| rx.is_empty());
                debug_assert!(!idle_tail, "an empty buffer is kept");
                let owed = !conn.tx.is_empty() && conn.flags.any(Flags::WRITABLE);
                debug_assert!(
                    !owed || conn.flags.any(Flags::DIRTY),
                    "bytes are owed, the socket takes them, and nobody writes"
                );
            }
        }
    }
}

/// Puts a connection into the run queue, once.
fn enqueue<N: Net, S: Service>(run_queue: &mut VecDeque<ConnKey>, conn: &mut Conn<N, S>) {
    if !conn.flags.any(Flags::QUEUED) {
        conn.flags.set(Flags::QUEUED);
        run_queue.push_back(conn.key);
    }
}

/// Puts a connection into the dirty list, once.
fn mark_dirty<N: Net, S: Service>(dirty: &mut Vec<ConnKey>, conn: &mut Conn<N, S>) {
    if !conn.flags.any(Flags::DIRTY) {
        conn.flags.set(Flags::DIRTY);
        dirty.push(conn.key);
    }
}

/// Goes on writing if a read has made it possible again: a TLS handshake is done.
fn write_on<N: Net, S: Service>(dirty: &mut Vec<ConnKey>, conn: &mut Conn<N, S>) {
    if conn.flags.any(Flags::WRITABLE) && !conn.tx.is_empty() {
        mark_dirty(dirty, conn);
    }
}

/// Makes sure that the timers look at a connection when its next deadline is due.
fn arm<N: Net, S: Service>(timers: &mut Timers, conn: &mut Conn<N, S>) {
    let due = conn.next_due();
    if due != 0 && (conn.hint == 0 || due < conn.hint) {
        conn.hint = due;
        timers.hint(due, conn.key);
    }
}

/// The stopwatch of one turn, running in one turn of [`Stats::SAMPLE`]: reading the clock between
/// all phases of every turn would cost more than some phases do.
struct Clock(Option<Instant>);

impl Stats {
    fn start_turn(&mut self) -> Clock {
        self.turns += 1;
        Clock(self.turns.is_multiple_of(Stats::SAMPLE).then(Instant::now))
    }
}

impl Clock {
    fn lap(&mut self, stats: &mut Stats, phase: usize) {
        if let Some(since) = &mut self.0 {
            let now = Instant::now();
            stats.phase_us[phase] += (now - *since).as_micros() as u64;
            *since = now;
        }
    }
}

/// A peer that is owed one part of so many of `send_bytes_max` is not read until it has taken all
/// of it: a slow reader of its own answers is slowed down, and only one that is told things by
/// others can reach the bound itself.
pub const PAUSE_SHARE: usize = 4;

/// The [`Patience`](service::Patience) kind of outstanding jobs. Services use kinds from 1 to 200.
pub const JOBS: u8 = 255;

/// The key of effects that belong to no connection.
const NOBODY: ConnKey = ConnKey::NOBODY;

/// How often the service's tick comes.
const TICK_EVERY_MS: u64 = 1000;

/// A tick of the reactor's clock as Unix milliseconds.
fn unix_ms(tick: timers::Tick, now: Now) -> i64 {
    now.unix_ms - (now.mono_ms as i64 - i64::from(tick) * TICK_MS as i64)
}
