//! The phases that bring work in: jobs that came back, and bytes that arrived.
//!
//! One connection after the other gets its share of the turn: so many bytes, so many messages. Whoever
//! has more waits in the queue like everybody else. A connection that must wait for a job is neither
//! decoded nor read, so the kernel's window holds its peer back; it is resumed explicitly, because no
//! event will come for what has already been read.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::conn::{Conn, Filled, Flags};
use super::inbox::Wakeup;
use super::net::Net;
use super::pool::Ticket;
use super::service::{Flow, JobOf, Service};
use super::timers::{tick_after, tick_passed};
use super::{NOBODY, PAUSE_SHARE, Reactor, State, enqueue, mark_dirty, write_on};
use crate::handlers::effect::CloseReason;
use crate::handlers::key::ConnKey;
use crate::proto::buffer::RecvBuf;
use crate::proto::{Decoded, Phase};

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
    pub(super) fn finish(&mut self) {
        self.inbox.silence();
        while let Some(wakeup) = self.inbox.next() {
            match wakeup {
                Wakeup::Done(tickets) => self.finished.extend(tickets),
                Wakeup::Call(job) => self.calls.push_back(job),
                Wakeup::Left => {}
                Wakeup::Drain if self.state == State::Running => self.begin_drain(),
                Wakeup::Drain | Wakeup::Stop => self.state = State::Stopped,
            }
        }
        for _ in 0..self.limits.completions_per_turn {
            let Some(ticket) = self.finished.pop_front() else { break };
            self.finish_job(ticket);
            self.flush_early();
        }
        for _ in 0..self.limits.completions_per_turn {
            let Some(job) = self.calls.pop_front() else { break };
            self.with_session(NOBODY, |service, _, io| service.begin(job, io));
            self.apply(NOBODY);
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

    pub(super) fn serve(&mut self) {
        let storm = self.listeners.iter().flatten().any(|listener| listener.wants_ms() == Some(0));
        let most = if storm { SERVED_BEFORE_ACCEPTING } else { usize::MAX };
        for _ in 0..self.run_queue.len().min(most) {
            let Some(key) = self.run_queue.pop_front() else { break };
            let Some(conn) = self.conns.get_mut(key) else { continue };
            conn.flags.clear(Flags::QUEUED);
            let handshake = conn.flags.any(Flags::CLOSING) && self.net.owes(&conn.stream);
            if conn.flags.any(Flags::LINGERING) || handshake {
                self.discard(key);
            } else if conn.can_decode() {
                self.serve_conn(key);
                self.flush_early();
            }
        }
    }

    fn serve_conn(&mut self, key: ConnKey) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        self.held.0 -= conn.held().0;
        let own = conn.rx.take();
        let mut rx = own.map_or_else(|| std::mem::take(&mut self.work), |own| *own);
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
        let mut io = conn.io(self.now, &mut self.effects);
        match conn.wire.decode(rx, eof, bytes_max) {
            Ok(Decoded::NeedMore) => Step::NeedMore,
            Ok(Decoded::Closed) => {
                if conn.jobs == 0 {
                    self.close(key, CloseReason::PeerClosed);
                }
                Step::Stop
            }
            Ok(Decoded::Goodbye) => {
                // What it asked for before is answered first.
                if conn.jobs == 0 {
                    self.close(key, CloseReason::Goodbye);
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
                    Ok(Flow::Wait) => {
                        debug_assert!(conn.jobs > 0, "nothing to wait for");
                        conn.flags.set(Flags::WAITING);
                        return Step::Stop;
                    }
                    Ok(Flow::Handled) => {
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
                conn.wire.fail(&error);
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
            conn.rx = Some(Box::new(rx.split_tail()));
        }
        self.held.0 += self.conns.get_mut(key).map_or(0, |conn| conn.held().0);
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
}

/// How many connections are served before the next are accepted, while somebody waits for that.
///
/// The kernel keeps those who wait in a queue of a few thousand. Whoever comes when it is full is
/// dropped without a word and tries again after a whole second, so the turn stays short: accepting
/// costs a third of serving, and the rest of the work waits here, where nothing is dropped.
const SERVED_BEFORE_ACCEPTING: usize = 64;
