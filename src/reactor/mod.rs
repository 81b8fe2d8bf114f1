//! The event loop: one thread, every socket, the same few phases each turn.
//!
//! Start at [`Reactor::turn`]: it is the whole design on one screen. What became ready is only
//! noted; work happens later, within budgets, so that no connection can starve another. Handlers
//! leave effects, effects are carried out in their order, events go out once a turn, and sockets
//! are written once a turn. What bytes *mean* is not known here: that is the [`Service`]'s.
//!
//! Suggested reading: `service` (the seam), `conn` (one connection), this file, then `net`,
//! `listener`, `send`, `timers`, `inbox`, `pool`, `start`.

pub mod conn;
pub mod conns;
pub mod inbox;
pub mod listener;
pub mod net;
pub mod pool;
mod publish;
pub mod send;
pub mod service;
pub mod start;
pub mod stats;
pub mod timers;
pub mod transport;

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use conn::{Conn, Filled, Flags, Flushed};
use conns::Conns;
use inbox::{Inbox, Wakeup};
use listener::{Accepted, Listener};
use net::{Net, Ready, Source};
use pool::{Lanes, Ticket};
use service::{
    EventOf, Farewell, Io, JobOf, Last, ListenerIndex, Now, Patience, QuestionOf, ReplyOf, Service, TopicOf,
};
use stats::{Closed, Open, Stats, View, Wanted};
use timers::{TICK_MS, Timers, tick_after, tick_passed};

use crate::handlers::effect::{CloseReason, Effect, Lane};
use crate::handlers::hub::Hub;
use crate::handlers::key::ConnKey;
use crate::proto::buffer::RecvBuf;
use crate::proto::{Decoded, Phase};

/// The loop and all it owns.
pub struct Reactor<N: Net, S: Service> {
    net: N,
    service: S,
    limits: ReactorLimits,
    listeners: Vec<Option<Listener<N>>>,
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
    /// What a handler left, to be carried out.
    effects: Vec<Effect<S::Words>>,
    /// One reply's bytes.
    out: Vec<u8>,
    /// What a read fills.
    scratch: Box<[u8]>,
    /// The receive buffer of connections that have none of their own.
    work: RecvBuf,
    stats: Stats,
    open: Arc<AtomicUsize>,
}

/// The bounds of the loop. `config::Limits` says the reasons.
#[derive(Debug, Clone)]
pub struct ReactorLimits {
    /// Open connections; whoever comes then is told and closed.
    pub connections_max: usize,
    /// Bytes in all receive buffers; beyond it the connection that holds the most is closed.
    pub recv_bytes_total: usize,
    /// Bytes owed to all peers; beyond it the connection that is owed the most is closed.
    pub send_bytes_total: usize,
    /// Bytes owed to one peer; beyond it it is closed as a slow consumer.
    pub send_bytes_max: usize,
    /// Jobs that a pipelining connection may have outstanding; then it is not read.
    pub pipeline_jobs: u16,
    /// Bytes read from one connection in one turn.
    pub read_budget_bytes: usize,
    /// Bytes written to one connection in one turn.
    pub write_budget_bytes: usize,
    /// Messages handled for one connection in one turn.
    pub calls_per_turn: usize,
    /// Connections accepted in one turn.
    pub accepts_per_turn: usize,
    /// Jobs finished in one turn.
    pub completions_per_turn: usize,
    /// How long a job may take before its connection is told and closed.
    pub job_timeout_ms: u64,
    /// How long a peer may take nothing of what it is owed.
    pub write_timeout_ms: u64,
    /// How long draining may take.
    pub drain_ms: u64,
}

impl Default for ReactorLimits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            recv_bytes_total: 256 << 20,
            send_bytes_total: 512 << 20,
            send_bytes_max: 1 << 20,
            pipeline_jobs: 64,
            read_budget_bytes: 64 << 10,
            write_budget_bytes: 64 << 10,
            calls_per_turn: 256,
            accepts_per_turn: 64,
            completions_per_turn: 256,
            job_timeout_ms: 30_000,
            write_timeout_ms: 30_000,
            drain_ms: 10_000,
        }
    }
}

/// Something to be told, in its place among the others.
enum Telling<S: Service> {
    /// To everyone in a topic.
    Event(TopicOf<S>, EventOf<S>),
    /// To one connection, which caused some of what comes before: its bytes.
    Reply(ConnKey, Box<[u8]>),
}

/// Where the loop is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    /// Until then at the latest.
    Draining(u64),
    Stopped,
}

/// What the attempt to decode one message came to.
enum Step {
    /// It was handled; there may be another.
    Next,
    /// The buffer holds no whole message.
    NeedMore,
    /// The connection takes no message now.
    Stop,
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
            tellings: VecDeque::new(),
            untold: Vec::new(),
            refused: VecDeque::new(),
            publish_ms: 0,
            tick_ms: now.mono_ms,
            jobs: 0,
            held: (0, 0),
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
        clock.lap(&mut self.stats, 1);
        self.lanes.hand_over();
        self.expire();
        clock.lap(&mut self.stats, 2);
        self.publish();
        clock.lap(&mut self.stats, 3);
        self.flush();
        clock.lap(&mut self.stats, 4);
        self.reap();
        clock.lap(&mut self.stats, 5);
        self.accept();
        clock.lap(&mut self.stats, 6);
        self.tick();
        self.lanes.hand_over();
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
        if leftover || self.inbox.has_mail() {
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

    // ---- finish: jobs that came back

    fn finish(&mut self) {
        self.inbox.silence();
        while let Some(wakeup) = self.inbox.next() {
            match wakeup {
                Wakeup::Done(tickets) => self.finished.extend(tickets),
                Wakeup::Drain if self.state == State::Running => self.begin_drain(),
                Wakeup::Drain | Wakeup::Stop => self.state = State::Stopped,
            }
        }
        for _ in 0..self.limits.completions_per_turn {
            let Some(ticket) = self.finished.pop_front() else { break };
            self.finish_job(ticket);
        }
    }

    fn finish_job(&mut self, ticket: Ticket<JobOf<S>>) {
        self.jobs -= 1;
        let (key, job) = (ticket.key, ticket.job);
        if let Some(conn) = self.conns.get_mut(key) {
            conn.jobs -= 1;
            if conn.jobs == 0 {
                conn.jobs_due = 0;
            } else if conn.jobs_due != 0 {
                // The lanes answer, so the others get their full time from here.
                conn.jobs_due = tick_after(self.now.mono_ms + self.limits.job_timeout_ms);
            }
        }
        self.with_session(key, |service, session, io| service.finish(job, session, io));
        self.apply(key);
        if self.conns.get(key).is_some_and(|conn| conn.jobs == 0) {
            self.answer_refused(key);
        }
        self.resume(key);
    }

    /// Every job of a connection has been answered: now come the answers of those that found no
    /// room, and then the next message.
    fn answer_refused(&mut self, key: ConnKey) {
        while let Some(place) = self.refused.iter().position(|ticket| ticket.key == key) {
            let Some(ticket) = self.refused.remove(place) else { break };
            self.refuse(key, ticket.job);
            self.apply(key);
        }
        if let Some(conn) = self.conns.get_mut(key) {
            conn.flags.clear(Flags::WAITING);
        }
    }

    /// Goes on with a connection that may have been waiting for a job or for room: no event will
    /// come for what has already been read.
    fn resume(&mut self, key: ConnKey) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        if conn.flags.any(Flags::DRAINING) && conn.jobs == 0 {
            self.close(key, CloseReason::Shutdown);
        } else if conn.can_decode() && (conn.rx.is_some() || conn.flags.any(Flags::READABLE | Flags::EOF)) {
            enqueue(&mut self.run_queue, conn);
        } else if conn.jobs == 0 && conn.rx.is_none() {
            // Nothing begun, nothing outstanding: from now on it is the peer's turn.
            self.mind(key, Phase::Idle, true, false);
        }
    }

    // ---- serve: fill, decode, handle, for each connection in the run queue, within budgets

    fn serve(&mut self) {
        for _ in 0..self.run_queue.len() {
            let Some(key) = self.run_queue.pop_front() else { break };
            let Some(conn) = self.conns.get_mut(key) else { continue };
            conn.flags.clear(Flags::QUEUED);
            let handshake = conn.flags.any(Flags::CLOSING) && self.net.owes(&conn.stream);
            if conn.flags.any(Flags::LINGERING) || handshake {
                self.discard(key);
            } else if conn.can_decode() {
                self.serve_conn(key);
            }
        }
    }

    fn serve_conn(&mut self, key: ConnKey) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        let own = conn.rx.take();
        let mut rx = match own {
            Some(own) => {
                self.held.0 -= own.capacity();
                *own
            }
            None => std::mem::take(&mut self.work),
        };
        let (messages_before, bytes_before) = (conn.messages_in, conn.bytes_in);
        let leftover = self.pump(key, &mut rx);
        let Some(conn) = self.conns.get_mut(key) else { return };
        let progress = conn.bytes_in > bytes_before || conn.messages_in > messages_before;
        self.stats.bytes_in += conn.bytes_in - bytes_before;
        if progress {
            conn.active = tick_passed(self.now.mono_ms);
        }
        let new_message = conn.messages_in > messages_before;
        write_on(&mut self.dirty, conn);
        let phase = conn.wire.phase(&rx);
        if leftover {
            enqueue(&mut self.run_queue, conn);
        }
        self.put_back(key, rx);
        self.mind(key, phase, new_message, progress);
    }

    /// Reads and decodes until nothing is left, the connection has to wait, or its share of the
    /// turn is used up. Returns whether it was the last.
    fn pump(&mut self, key: ConnKey, rx: &mut RecvBuf) -> bool {
        let mut calls = 0;
        let mut bytes = 0;
        loop {
            match self.decode_one(key, rx) {
                Step::Stop => return false,
                Step::Next => {
                    calls += 1;
                    if calls >= self.limits.calls_per_turn {
                        return true;
                    }
                    continue;
                }
                Step::NeedMore => {}
            }
            let Some(conn) = self.conns.get_mut(key) else { return false };
            if !conn.flags.any(Flags::READABLE) {
                return false;
            }
            if bytes >= self.limits.read_budget_bytes {
                return true;
            }
            match conn.fill(&mut self.net, &mut self.scratch, rx) {
                Filled::Some(count) => bytes += count,
                Filled::Nothing if conn.flags.any(Flags::EOF) => {}
                Filled::Nothing => return conn.flags.any(Flags::READABLE),
                Filled::Lost => {
                    self.doom(key, CloseReason::PeerLost);
                    return false;
                }
            }
        }
    }

    /// Decodes and handles one message.
    fn decode_one(&mut self, key: ConnKey, rx: &mut RecvBuf) -> Step {
        let Some(conn) = self.conns.get_mut(key) else { return Step::Stop };
        let jobs_max = if conn.wire.pipelines() { self.limits.pipeline_jobs } else { 1 };
        // A peer that does not take its answers gets no more of them until it does.
        let owes_much = conn.tx.len() >= self.limits.send_bytes_max / PAUSE_SHARE;
        if !conn.can_decode() || conn.jobs >= jobs_max || owes_much {
            return Step::Stop;
        }
        let eof = conn.flags.any(Flags::EOF);
        let bytes_max = self.service.message_bytes_max(&conn.session);
        let mut io = Io {
            now: self.now,
            key,
            peer: conn.peer,
            listener: conn.listener,
            jobs: conn.jobs,
            full: false,
            effects: &mut self.effects,
        };
        match conn.wire.decode(rx, eof, bytes_max) {
            Ok(Decoded::NeedMore) => Step::NeedMore,
            Ok(Decoded::Closed) => {
                if conn.jobs == 0 {
                    self.close(key, CloseReason::PeerClosed);
                }
                Step::Stop
            }
            Ok(Decoded::Interim(bytes)) => {
                self.held.1 += bytes.len();
                conn.tx.push_owned(bytes, true);
                mark_dirty(&mut self.dirty, conn);
                Step::Next
            }
            Ok(Decoded::Message(message)) => {
                let (service, session) = (&mut self.service, &mut conn.session);
                let handled = catch_unwind(AssertUnwindSafe(|| service.handle(message, session, &mut io)));
                match handled {
                    Ok(service::Flow::Wait) => {
                        debug_assert!(conn.jobs > 0, "nothing to wait for");
                        conn.flags.set(Flags::WAITING);
                        return Step::Stop;
                    }
                    Ok(service::Flow::Handled) => {
                        conn.wire.consume(rx);
                        conn.messages_in = conn.messages_in.wrapping_add(1);
                        self.stats.messages_in += 1;
                        self.apply(key);
                    }
                    Err(_) => {
                        self.effects.clear();
                        self.recover(key);
                    }
                }
                Step::Next
            }
            Err(error) => {
                self.with_session(key, |service, session, io| {
                    if let Some(session) = session {
                        service.broken(&error, session, io);
                    }
                });
                self.apply(key);
                self.close(key, CloseReason::ProtocolError);
                Step::Stop
            }
        }
    }

    /// Keeps the unfinished tail of what arrived with its connection, or the emptied buffer for the
    /// next one.
    fn put_back(&mut self, key: ConnKey, mut rx: RecvBuf) {
        let keep = |conn: &&mut Conn<N, S>| !conn.flags.any(Flags::CLOSING | Flags::DOOMED);
        if let Some(conn) = self.conns.get_mut(key).filter(keep).filter(|_| !rx.is_empty()) {
            let tail = rx.split_tail();
            self.held.0 += tail.capacity();
            conn.rx = Some(Box::new(tail));
        }
        if rx.capacity() <= self.limits.read_budget_bytes * 2 && rx.capacity() > self.work.capacity() {
            rx.clear();
            self.work = rx;
        }
    }

    /// Throws away what a peer still sends after its last answer, so that closing does not reset
    /// the connection and destroy that answer on its way. Before it, too, when the answer can't
    /// leave without a handshake.
    fn discard(&mut self, key: ConnKey) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        let mut thrown = RecvBuf::new();
        let filled = conn.fill(&mut self.net, &mut self.scratch, &mut thrown);
        self.stats.bytes_in += thrown.len() as u64;
        write_on(&mut self.dirty, conn);
        match filled {
            Filled::Some(_) | Filled::Nothing if conn.flags.any(Flags::READABLE) => enqueue(&mut self.run_queue, conn),
            Filled::Nothing if conn.flags.any(Flags::EOF) => self.doom(key, CloseReason::Finished),
            Filled::Lost => self.doom(key, CloseReason::PeerLost),
            Filled::Some(_) | Filled::Nothing => {}
        }
    }

    // ---- effects: what handlers want done

    /// Calls the service with a connection's session, or with none when it has ended. A panic is
    /// answered for.
    fn with_session(&mut self, key: ConnKey, call: impl FnOnce(&mut S, Option<&mut S::Session>, &mut Io<'_, S>)) {
        let conn = self.conns.get_mut(key);
        let mut io = Io {
            now: self.now,
            key,
            peer: conn.as_ref().map_or(NOWHERE, |conn| conn.peer),
            listener: conn.as_ref().map_or(0, |conn| conn.listener),
            jobs: conn.as_ref().map_or(0, |conn| conn.jobs),
            full: false,
            effects: &mut self.effects,
        };
        let session = conn.map(|conn| &mut conn.session);
        let service = &mut self.service;
        if catch_unwind(AssertUnwindSafe(|| call(service, session, &mut io))).is_err() {
            self.effects.clear();
            self.recover(key);
        }
    }

    /// A handler panicked: the request ends, the server does not.
    fn recover(&mut self, key: ConnKey) {
        self.stats.panics += 1;
        let Some(conn) = self.conns.get_mut(key) else { return };
        let mut io = Io {
            now: self.now,
            key,
            peer: conn.peer,
            listener: conn.listener,
            jobs: conn.jobs,
            full: false,
            effects: &mut self.effects,
        };
        self.service.panicked(Some(&mut conn.session), &mut io);
        self.apply(key);
        self.close(key, CloseReason::Internal);
    }

    /// Carries out what was left in `effects`, in order.
    fn apply(&mut self, key: ConnKey) {
        while !self.effects.is_empty() {
            let mut effects = std::mem::take(&mut self.effects);
            for effect in effects.drain(..) {
                self.carry_out(key, effect);
            }
            if self.effects.is_empty() {
                self.effects = effects;
            }
        }
    }

    fn carry_out(&mut self, key: ConnKey, effect: Effect<S::Words>) {
        match effect {
            Effect::Reply(reply) => self.reply(key, reply),
            Effect::Submit(lane, job) => self.submit(key, lane, job),
            Effect::Publish(topic, event) => self.queue_event(key, topic, event),
            Effect::Join => {
                if let Some(conn) = self.conns.get_mut(key) {
                    conn.flags.set(Flags::JOINING);
                    conn.join_owed = conn.tx.len().min(u32::MAX as usize) as u32;
                    mark_dirty(&mut self.dirty, conn);
                }
            }
            Effect::Evict(topic, reason) => self.evict(&topic, reason),
            Effect::Inspect(question) => self.inspect(key, question),
            Effect::Close(reason) => self.close(key, reason),
        }
    }

    fn reply(&mut self, key: ConnKey, reply: ReplyOf<S>) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        if conn.flags.any(Flags::CLOSING | Flags::DOOMED) {
            return;
        }
        self.out.clear();
        let last = self.service.write_reply(reply, &mut conn.wire, &conn.session, self.now, &mut self.out);
        conn.messages_out = conn.messages_out.wrapping_add(1);
        if conn.flags.any(Flags::UNTOLD) {
            self.tellings.push_back(Telling::Reply(key, self.out.as_slice().into()));
        } else {
            let join = self.service.joins(self.service.kind(&conn.session));
            self.held.1 += self.out.len();
            conn.tx.push_owned(&self.out, join);
            mark_dirty(&mut self.dirty, conn);
        }
        if self.out.capacity() > OUT_BYTES_KEPT {
            self.out = Vec::new();
        }
        if last == Last::Yes {
            self.close(key, CloseReason::Finished);
        }
    }

    fn submit(&mut self, key: ConnKey, lane: Lane, job: JobOf<S>) {
        match self.lanes.submit(lane, Ticket { key, job }) {
            Ok(()) => {
                self.jobs += 1;
                self.stats.jobs += 1;
                let Some(conn) = self.conns.get_mut(key) else { return };
                conn.jobs += 1;
                if conn.jobs_due == 0 {
                    conn.jobs_due = tick_after(self.now.mono_ms + self.limits.job_timeout_ms);
                    arm(&mut self.timers, conn);
                }
            }
            Err(ticket) => {
                self.stats.jobs_refused += 1;
                self.refuse(key, ticket.job);
            }
        }
    }

    /// Answers that a lane has no room. That answer must not overtake those that are outstanding: it
    /// waits for them, and the connection takes no message meanwhile.
    fn refuse(&mut self, key: ConnKey, job: JobOf<S>) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        if conn.jobs > 0 {
            conn.flags.set(Flags::WAITING);
            self.refused.push_back(Ticket { key, job });
            return;
        }
        self.with_session(key, |service, session, io| {
            if let Some(session) = session {
                service.busy(job, session, io);
            }
        });
    }

    /// Ends every connection whose session belongs to a topic. It looks at all of them: this is
    /// rare, and one that is about to join must not slip through.
    fn evict(&mut self, topic: &TopicOf<S>, reason: CloseReason) {
        let belongs = |conn: &&Conn<N, S>| self.service.topics(&conn.session).contains(topic);
        let keys: Vec<ConnKey> = self.conns.iter().filter(belongs).map(|conn| conn.key).collect();
        for key in keys {
            self.close(key, reason);
        }
    }

    fn inspect(&mut self, key: ConnKey, question: QuestionOf<S>) {
        let (conns, service, now) = (&self.conns, &self.service, self.now);
        let describe = |conn: &Conn<N, S>| describe(conn, service, now);
        let open = |wanted: Wanted<'_>, skip, limit| {
            conns.iter().map(describe).filter(wanted).skip(skip).take(limit).collect()
        };
        let view = View {
            now,
            stats: &self.stats,
            connections: conns.len(),
            connections_max: self.limits.connections_max,
            topics: self.hub.len(),
            lanes: self.lanes.depths(),
            events_waiting: self.tellings.len(),
            held: self.held,
            draining: self.state != State::Running,
            open: &open,
        };
        let reply = service.inspect(question, &view);
        self.reply(key, reply);
    }

    /// Takes no more messages, and closes once everything owed is written.
    fn close(&mut self, key: ConnKey, reason: CloseReason) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        if conn.flags.any(Flags::CLOSING | Flags::DOOMED) {
            // That the answer was the last is how it ends; why is what its sender says next.
            if conn.reason == Some(CloseReason::Finished) && !conn.flags.any(Flags::LINGERING) {
                conn.reason = Some(reason);
            }
            return;
        }
        conn.reason = Some(reason);
        conn.flags.set(Flags::CLOSING);
        (conn.step_due, conn.jobs_due) = (0, 0);
        if let Some(rx) = conn.rx.take() {
            self.held.0 -= rx.capacity();
        }
        mark_dirty(&mut self.dirty, conn);
    }

    /// Drops a connection at the end of the turn, written or not.
    fn doom(&mut self, key: ConnKey, reason: CloseReason) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        if !conn.flags.any(Flags::DOOMED) {
            conn.reason.get_or_insert(reason);
            conn.flags.set(Flags::DOOMED);
            self.doomed.push(key);
        }
    }

    // ---- expire: deadlines

    /// Sets the deadline of the peer's next step: anew when the step is a new one, or when bytes
    /// arrived and those renew it.
    fn mind(&mut self, key: ConnKey, phase: Phase, new_step: bool, bytes: bool) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        if conn.flags.any(Flags::CLOSING | Flags::LINGERING | Flags::DOOMED) {
            return;
        }
        let ours = conn.jobs > 0 && !conn.wire.pipelines();
        let patience = if ours { Patience::ENDLESS } else { self.service.patience(&conn.wire, phase, &conn.session) };
        let renewed = new_step || (bytes && patience.renewed_by_bytes);
        if patience.kind == conn.patience && !renewed {
            return;
        }
        conn.patience = patience.kind;
        conn.step_due = match patience.kind {
            0 => 0,
            _ => tick_after(self.now.mono_ms + u64::from(patience.ms)),
        };
        arm(&mut self.timers, conn);
    }

    fn expire(&mut self) {
        let now = tick_passed(self.now.mono_ms);
        while let Some((tick, key)) = self.timers.next_due(now) {
            let Some(conn) = self.conns.get_mut(key) else { continue };
            if conn.hint != tick {
                continue;
            }
            conn.hint = 0;
            self.expire_conn(key, now);
            if let Some(conn) = self.conns.get_mut(key) {
                arm(&mut self.timers, conn);
            }
        }
        let conns = &self.conns;
        self.timers.sweep(conns.len(), |tick, key| conns.get(key).is_some_and(|conn| conn.hint == tick));
    }

    fn expire_conn(&mut self, key: ConnKey, now: timers::Tick) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        let passed = |due: timers::Tick| due != 0 && due <= now;
        if passed(conn.write_due) {
            conn.write_due = 0;
            self.doom(key, CloseReason::WriteTimeout);
        } else if passed(conn.step_due) && conn.flags.any(Flags::LINGERING) {
            conn.step_due = 0;
            self.doom(key, CloseReason::Finished);
        } else if passed(conn.step_due) {
            conn.step_due = 0;
            if !self.taking(key) {
                self.overdue(key, conn_patience);
            }
        } else if passed(conn.jobs_due) {
            conn.jobs_due = 0;
            self.overdue(key, |_| JOBS);
        }
    }

    /// Whether a silent peer is still taking what it is owed, slowly: that is its step then, which
    /// `write_due` minds. The wait for its bytes starts anew.
    fn taking(&mut self, key: ConnKey) -> bool {
        let Some(conn) = self.conns.get_mut(key).filter(|conn| conn.write_due != 0) else { return false };
        let phase = conn.wire.phase(conn.rx.as_deref().unwrap_or(&RecvBuf::new()));
        let patience = self.service.patience(&conn.wire, phase, &conn.session);
        if patience.renewed_by_bytes {
            conn.step_due = tick_after(self.now.mono_ms + u64::from(patience.ms));
        }
        patience.renewed_by_bytes
    }

    /// Lets the service say what was waited for in vain, and closes.
    fn overdue(&mut self, key: ConnKey, kind: fn(&Conn<N, S>) -> u8) {
        let Some(kind) = self.conns.get(key).map(kind) else { return };
        let mut reason = CloseReason::Internal;
        self.with_session(key, |service, session, io| {
            if let Some(session) = session {
                reason = service.expired(kind, session, io);
            }
        });
        self.apply(key);
        self.close(key, reason);
    }

    // ---- flush: each connection that owes something, once

    fn flush(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for key in dirty.drain(..) {
            let Some(conn) = self.conns.get_mut(key) else { continue };
            conn.flags.clear(Flags::DIRTY);
            if conn.flags.any(Flags::DOOMED) {
                continue;
            }
            if conn.flags.any(Flags::WRITABLE) {
                self.flush_conn(key);
            } else {
                self.await_writable(key, false);
            }
        }
        // Those with more to write go on in the next turn, in the memory that is there already.
        dirty.append(&mut self.dirty);
        self.dirty = dirty;
    }

    fn flush_conn(&mut self, key: ConnKey) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        if self.net.owes(&conn.stream) && self.net.settle(&mut conn.stream).is_err() {
            return self.doom(key, CloseReason::PeerLost);
        }
        let owed = conn.tx.len();
        let join = self.service.joins(self.service.kind(&conn.session));
        let flushed = conn.flush(&mut self.net, join, self.limits.write_budget_bytes);
        let written = owed - conn.tx.len();
        self.held.1 -= written;
        self.stats.bytes_out += written as u64;
        conn.join_owed = conn.join_owed.saturating_sub(written.min(u32::MAX as usize) as u32);
        self.join(key);
        let Some(conn) = self.conns.get_mut(key) else { return };
        match flushed {
            // What TLS has taken has not left yet.
            Flushed::All if self.net.owes(&conn.stream) => {
                conn.flags.clear(Flags::WRITABLE);
                self.await_writable(key, written > 0);
            }
            Flushed::All => self.flushed(key),
            Flushed::Blocked => {
                // The handshake's next message may have arrived before anybody wanted to write.
                if conn.flags.any(Flags::READABLE) && self.net.owes(&conn.stream) {
                    enqueue(&mut self.run_queue, conn);
                }
                self.await_writable(key, written > 0);
            }
            Flushed::Budget => mark_dirty(&mut self.dirty, conn),
            Flushed::Lost => self.doom(key, CloseReason::PeerLost),
        }
    }

    /// Makes a connection a member once what was owed when it asked is written. Whatever it asked
    /// for since may still be owed: events queue up behind that.
    fn join(&mut self, key: ConnKey) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        if conn.join_owed > 0 || !conn.flags.any(Flags::JOINING) || conn.flags.any(Flags::CLOSING) {
            return;
        }
        conn.flags.clear(Flags::JOINING);
        conn.flags.set(Flags::JOINED);
        for topic in self.service.topics(&conn.session) {
            self.hub.join(topic, key.into());
        }
    }

    /// The peer must take something before long.
    fn await_writable(&mut self, key: ConnKey, progress: bool) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        if conn.write_due == 0 || progress {
            conn.write_due = tick_after(self.now.mono_ms + self.limits.write_timeout_ms);
            arm(&mut self.timers, conn);
        }
    }

    /// Everything owed is written: now come the things that waited for it.
    fn flushed(&mut self, key: ConnKey) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        conn.write_due = 0;
        if conn.flags.any(Flags::CLOSING) && !conn.flags.any(Flags::LINGERING | Flags::UNTOLD) {
            self.linger(key);
        } else if conn.can_decode() && (conn.rx.is_some() || conn.flags.any(Flags::READABLE | Flags::EOF)) {
            // It may have stopped reading because it was owed too much; no event will say that it
            // isn't any more.
            enqueue(&mut self.run_queue, conn);
        }
    }

    /// Says that nothing more will come, and waits a moment for the peer to agree.
    fn linger(&mut self, key: ConnKey) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        if conn.flags.any(Flags::EOF) {
            return self.doom(key, CloseReason::Finished);
        }
        self.net.shutdown_write(&mut conn.stream);
        conn.flags.set(Flags::LINGERING);
        conn.step_due = tick_after(self.now.mono_ms + LINGER_MS);
        arm(&mut self.timers, conn);
        if conn.flags.any(Flags::READABLE) {
            enqueue(&mut self.run_queue, conn);
        }
    }

    // ---- reap: drop the doomed

    fn reap(&mut self) {
        self.bury();
        for _ in 0..RELIEF_PER_TURN {
            if !self.relieve() {
                break;
            }
            self.bury();
        }
        self.open.store(self.conns.len(), Ordering::Relaxed);
        if let State::Draining(until_ms) = self.state {
            self.end_drain(until_ms);
        }
    }

    /// Takes the doomed out of every book.
    fn bury(&mut self) {
        for key in std::mem::take(&mut self.doomed) {
            let Some(mut conn) = self.conns.remove(key) else { continue };
            self.net.forget(&mut conn.stream);
            debug_assert!(conn.reason.is_some(), "a connection ends without a reason");
            if !self.refused.is_empty() {
                self.refused.retain(|ticket| ticket.key != key);
            }
            let held = conn.held();
            self.held.0 -= held.0;
            self.held.1 -= held.1;
            if conn.flags.any(Flags::JOINED) {
                let conns = &self.conns;
                let alive = |member: crate::handlers::key::Subscriber| match member.audience() {
                    crate::handlers::key::Audience::Conn(key) => conns.get(key).is_some(),
                    _ => true,
                };
                for topic in self.service.topics(&conn.session) {
                    self.hub.forget(&topic, alive);
                }
            }
            self.stats.close(obituary(&conn, &self.service, self.now));
            let mut io = Io {
                now: self.now,
                key,
                peer: conn.peer,
                listener: conn.listener,
                jobs: conn.jobs,
                full: false,
                effects: &mut self.effects,
            };
            if catch_unwind(AssertUnwindSafe(|| self.service.closed(&mut conn.session, &mut io))).is_err() {
                self.stats.panics += 1;
                self.effects.clear();
            }
            self.apply(key);
        }
    }

    /// When all connections together hold too much, the largest holder goes. The search is linear
    /// and rare; a few a turn keep up with what one turn can read. Returns whether one had to go.
    fn relieve(&mut self) -> bool {
        let size: fn((usize, usize)) -> usize = if self.held.0 > self.limits.recv_bytes_total {
            |held| held.0
        } else if self.held.1 > self.limits.send_bytes_total {
            |held| held.1
        } else {
            return false;
        };
        let alive = |conn: &&Conn<N, S>| !conn.flags.any(Flags::DOOMED);
        let largest = self.conns.iter().filter(alive).max_by_key(|conn| size(conn.held())).map(|conn| conn.key);
        if let Some(key) = largest {
            self.doom(key, CloseReason::MemoryPressure);
        }
        largest.is_some()
    }

    // ---- accept: only if there is room

    fn accept(&mut self) {
        for index in 0..self.listeners.len() {
            for _ in 0..self.limits.accepts_per_turn {
                if !self.may_accept() {
                    break;
                }
                let Some(listener) = &mut self.listeners[index] else { break };
                match listener.accept(&mut self.net, self.now.mono_ms) {
                    Accepted::One(stream, peer) => self.admit(stream, peer, index as ListenerIndex),
                    Accepted::Nothing => break,
                    Accepted::Failed(error) => {
                        self.stats.accept_errors += 1;
                        tracing::warn!(%error, listener = index, "accept failed; trying again shortly");
                        break;
                    }
                }
            }
        }
        self.open.store(self.conns.len(), Ordering::Relaxed);
    }

    /// A little above the bound, so that whoever comes when the server is full can be told. Beyond
    /// that they wait in the backlog.
    fn may_accept(&self) -> bool {
        self.conns.len() < self.limits.connections_max + REFUSALS_MAX
    }

    fn admit(&mut self, mut stream: N::Stream, peer: std::net::SocketAddr, listener: ListenerIndex) {
        let full = self.conns.len() >= self.limits.connections_max;
        let key = self.conns.next_key();
        if let Err(error) = self.net.watch(&mut stream, key) {
            self.stats.accept_errors += 1;
            tracing::warn!(%error, %peer, "a connection could not be watched");
            return;
        }
        let mut io = Io { now: self.now, key, peer, listener, jobs: 0, full, effects: &mut self.effects };
        let opened = catch_unwind(AssertUnwindSafe(|| self.service.open(&mut io)));
        let Ok((wire, session)) = opened else {
            self.stats.panics += 1;
            self.effects.clear();
            return self.net.forget(&mut stream);
        };
        let tick = tick_passed(self.now.mono_ms);
        let mut flags = Flags::default();
        flags.set(Flags::WRITABLE);
        self.conns.insert(Conn {
            stream,
            peer,
            wire,
            session,
            tx: Default::default(),
            rx: None,
            bytes_in: 0,
            bytes_out: 0,
            key,
            step_due: 0,
            jobs_due: 0,
            write_due: 0,
            hint: 0,
            opened: tick,
            active: tick,
            join_owed: 0,
            messages_in: 0,
            messages_out: 0,
            jobs: 0,
            flags,
            listener,
            patience: 0,
            reason: None,
        });
        self.stats.accepted += 1;
        self.stats.refused += u64::from(full);
        self.apply(key);
        self.mind(key, Phase::Idle, true, false);
    }

    // ---- tick: once a second

    fn tick(&mut self) {
        if self.now.mono_ms < self.tick_ms {
            return;
        }
        self.tick_ms = self.now.mono_ms + TICK_EVERY_MS;
        self.with_session(NOBODY, |service, _, io| service.tick(io));
        self.apply(NOBODY);
    }

    // ---- drain: the same loop, on its way out

    fn begin_drain(&mut self) {
        self.state = State::Draining(self.now.mono_ms + self.limits.drain_ms);
        for listener in &mut self.listeners {
            if listener.as_ref().is_some_and(|listener| !listener.outlives_drain) {
                *listener = None;
            }
        }
        self.service.drain();
        let keys: Vec<ConnKey> = self.conns.iter().map(|conn| conn.key).collect();
        keys.into_iter().for_each(|key| self.farewell(key));
    }

    fn farewell(&mut self, key: ConnKey) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        let idle = conn.jobs == 0 && conn.rx.is_none() && !conn.flags.any(Flags::READABLE | Flags::QUEUED);
        let mut farewell = Farewell::Close;
        self.with_session(key, |service, session, io| {
            if let Some(session) = session {
                farewell = service.farewell(session, idle, io);
            }
        });
        self.apply(key);
        let Some(conn) = self.conns.get_mut(key) else { return };
        if farewell == Farewell::Close {
            conn.flags.set(Flags::DRAINING);
            if conn.jobs == 0 {
                self.close(key, CloseReason::Shutdown);
            }
        }
    }

    fn end_drain(&mut self, until_ms: u64) {
        let watcher = |conn: &Conn<N, S>| self.listeners[conn.listener as usize].is_some();
        let done = self.jobs == 0 && self.tellings.is_empty() && self.conns.iter().all(watcher);
        if done || self.now.mono_ms >= until_ms {
            self.state = State::Stopped;
        }
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

fn conn_patience<N: Net, S: Service>(conn: &Conn<N, S>) -> u8 {
    conn.patience
}

/// A tick of the reactor's clock as Unix milliseconds.
fn unix_ms(tick: timers::Tick, now: Now) -> i64 {
    now.unix_ms - (now.mono_ms as i64 - i64::from(tick) * TICK_MS as i64)
}

fn describe<N: Net, S: Service>(conn: &Conn<N, S>, service: &S, now: Now) -> Open {
    let (protocol, user) = service.describe(&conn.session);
    Open {
        key: conn.key,
        peer: conn.peer,
        listener: conn.listener,
        protocol,
        user,
        opened_ms: unix_ms(conn.opened, now),
        active_ms: unix_ms(conn.active, now),
        bytes: (conn.bytes_in, conn.bytes_out),
        messages: (conn.messages_in, conn.messages_out),
        held: conn.held(),
        jobs: conn.jobs,
    }
}

fn obituary<N: Net, S: Service>(conn: &Conn<N, S>, service: &S, now: Now) -> Closed {
    let (protocol, user) = service.describe(&conn.session);
    let reason = conn.reason.unwrap_or(CloseReason::PeerClosed);
    tracing::debug!(conn = conn.key.pack(), peer = %conn.peer, protocol, user = user.as_deref(),
        reason = reason.as_str(), bytes_in = conn.bytes_in, bytes_out = conn.bytes_out, "closed");
    Closed {
        key: conn.key,
        peer: conn.peer,
        protocol,
        user,
        opened_ms: unix_ms(conn.opened, now),
        closed_ms: now.unix_ms,
        bytes: (conn.bytes_in, conn.bytes_out),
        messages: (conn.messages_in, conn.messages_out),
        reason,
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

/// The [`Patience`] kind of outstanding jobs. Services use kinds from 1 to 200.
pub const JOBS: u8 = 255;

/// A peer that is owed one part of so many of `send_bytes_max` is not read until it has taken all
/// of it: a slow reader of its own answers is slowed down, and only one that is told things by
/// others can reach the bound itself.
pub const PAUSE_SHARE: usize = 4;

/// The key of effects that belong to no connection.
const NOBODY: ConnKey = ConnKey { index: 0, generation: 0 };

const NOWHERE: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

/// How long a closing connection waits for the peer's end of stream before it is dropped.
const LINGER_MS: u64 = 1000;

/// How often the service's tick comes.
const TICK_EVERY_MS: u64 = 1000;

/// How many connections above the bound may be there to be refused. They come out of the reserve of
/// descriptors.
const REFUSALS_MAX: usize = 64;

/// How many holders of too much memory go in one turn.
const RELIEF_PER_TURN: usize = 16;

/// A reply buffer that grew beyond this is not kept.
const OUT_BYTES_KEPT: usize = 256 << 10;
