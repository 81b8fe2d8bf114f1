//! Carrying out what handlers decided, in their order.
//!
//! Handlers are called with a net below them: one that panics ends its request, never the server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::conn::{Conn, Flags};
use super::conns::Conns;
use super::net::Net;
use super::pool::Ticket;
use super::service::{Io, JobOf, Now, QuestionOf, ReplyOf, Service, TopicOf, Written};
use super::stats::{Open, View, Wanted};
use super::timers::tick_after;
use super::udp::DatagramSocket;
use super::{NOBODY, Reactor, State, Telling, arm, mark_dirty, unix_ms};
use crate::handlers::effect::{CloseReason, Effect, Lane};
use crate::handlers::key::{Audience, ConnKey, Subscriber};
use crate::proto::Wire;

impl<N: Net, S: Service> Reactor<N, S> {
    /// Calls the service with a connection's session, or with none when it has ended. A panic is
    /// answered for.
    pub(super) fn with_session(
        &mut self,
        key: ConnKey,
        call: impl FnOnce(&mut S, Option<&mut S::Session>, &mut Io<'_, S>),
    ) {
        let conn = self.conns.get_mut(key);
        let mut io = match &conn {
            Some(conn) => conn.io(self.now, &mut self.effects),
            None => {
                Io { now: self.now, key, peer: NOWHERE, listener: 0, jobs: 0, full: false, effects: &mut self.effects }
            }
        };
        let session = conn.map(|conn| &mut conn.session);
        let service = &mut self.service;
        if catch_unwind(AssertUnwindSafe(|| call(service, session, &mut io))).is_err() {
            self.effects.clear();
            self.recover(key);
        }
    }

    /// A handler panicked: the request ends, the server does not.
    pub(super) fn recover(&mut self, key: ConnKey) {
        self.stats.panics += 1;
        let Some(conn) = self.conns.get_mut(key) else { return };
        let mut io = conn.io(self.now, &mut self.effects);
        self.service.panicked(Some(&mut conn.session), &mut io);
        self.apply(key);
        self.close(key, CloseReason::Internal);
    }

    /// Carries out what was left in `effects`, in order.
    pub(super) fn apply(&mut self, key: ConnKey) {
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
            Effect::SubmitApart(lane, job) => self.submit(NOBODY, lane, job),
            Effect::Publish(topic, event) => self.queue_event(key, topic, event),
            Effect::Join => {
                if let Some(conn) = self.conns.get_mut(key) {
                    conn.flags.set(Flags::JOINING);
                    conn.join_owed = conn.tx.len().min(u32::MAX as usize) as u32;
                    mark_dirty(&mut self.dirty, conn);
                }
            }
            Effect::Datagram(datagram) => self.post(datagram),
            Effect::Enlist(topic, member) => self.hub.join(topic, member),
            Effect::Delist(topic) => self.delist(&topic),
            Effect::Enter(topic) => self.in_line(Telling::Enter(key, topic)),
            Effect::Leave(topic) => self.in_line(Telling::Leave(key, topic)),
            Effect::Dismiss(topic, member) => self.hub.leave(&topic, member),
            Effect::Evict(topic, reason) => self.evict(&topic, reason),
            Effect::Inspect(question) => self.inspect(key, question),
            Effect::Close(reason) => self.close(key, reason),
        }
    }

    fn reply(&mut self, key: ConnKey, reply: ReplyOf<S>) {
        let Some(conn) = self.conns.get_mut(key) else { return self.service.answer(reply, self.now) };
        if conn.flags.any(Flags::CLOSING | Flags::DOOMED) {
            return;
        }
        self.out.clear();
        let (service, session, now, out) = (&mut self.service, &conn.session, self.now, &mut self.out);
        let write = || service.write_reply(reply, &mut conn.wire, session, now, out);
        let Ok(written) = catch_unwind(AssertUnwindSafe(write)) else {
            // What it has written so far is half an answer, and there is no other.
            self.stats.panics += 1;
            return self.doom(key, CloseReason::Internal);
        };
        let (last, upgrade) = match written {
            Written::Later(lane, job) => return self.submit(key, lane, job),
            Written::Open => (false, None),
            Written::Last => (true, None),
            Written::Upgrade(wire) => (false, Some(wire)),
        };
        if self.out.is_empty() {
            // A change is answered by its broadcast. Nothing must not stand in line between two
            // events, which would then not be joined.
        } else if conn.flags.any(Flags::UNTOLD) {
            conn.messages_out = conn.messages_out.wrapping_add(1);
            self.tellings.push_back(Telling::Reply(key, self.out.as_slice().into()));
        } else {
            conn.messages_out = conn.messages_out.wrapping_add(1);
            let join = self.service.joins(self.service.kind(&conn.session));
            self.held.1 += self.out.len();
            self.unflushed += self.out.len();
            conn.tx.push_owned(&self.out, join);
            mark_dirty(&mut self.dirty, conn);
        }
        if self.out.capacity() > OUT_BYTES_KEPT {
            self.out = Vec::new();
        }
        if last {
            self.close(key, CloseReason::Finished);
        }
        if let Some(wire) = upgrade {
            self.upgrade(key, wire);
        }
    }

    /// Another protocol from here on. What it leaves is carried out behind what is being carried out.
    fn upgrade(&mut self, key: ConnKey, wire: Wire) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        conn.wire = wire;
        self.with_session(key, |service, session, io| {
            if let Some(session) = session {
                service.upgraded(session, io);
            }
        });
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
    pub(super) fn refuse(&mut self, key: ConnKey, job: JobOf<S>) {
        if let Some(conn) = self.conns.get_mut(key).filter(|conn| conn.jobs > 0) {
            conn.flags.set(Flags::WAITING);
            self.refused.push_back(Ticket { key, job });
            return;
        }
        self.with_session(key, |service, session, io| service.busy(job, session, io));
    }

    /// Notes that a member who was no connection has gone.
    fn delist(&mut self, topic: &TopicOf<S>) {
        let Self { hub, conns, service, .. } = self;
        hub.forget(topic, |member| is_alive(member, conns, service));
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
            datagrams_waiting: self.datagrams.iter().map(DatagramSocket::waiting).sum(),
            draining: self.state != State::Running,
            open: &open,
        };
        match catch_unwind(AssertUnwindSafe(|| service.inspect(question, &view))) {
            Ok(reply) => self.reply(key, reply),
            Err(_) => self.recover(key),
        }
    }

    /// Takes no more messages, and closes once everything owed is written.
    pub(super) fn close(&mut self, key: ConnKey, reason: CloseReason) {
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
    pub(super) fn doom(&mut self, key: ConnKey, reason: CloseReason) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        if !conn.flags.any(Flags::DOOMED) {
            conn.reason.get_or_insert(reason);
            conn.flags.set(Flags::DOOMED);
            self.doomed.push(key);
        }
    }
}

/// Whether a member of a topic is still there.
pub(super) fn is_alive<N: Net, S: Service>(member: Subscriber, conns: &Conns<N, S>, service: &S) -> bool {
    match member.audience() {
        Audience::Conn(key) => conns.get(key).is_some(),
        elsewhere => service.is_member(elsewhere),
    }
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

const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// A reply buffer that grew beyond this is not kept.
const OUT_BYTES_KEPT: usize = 256 << 10;
