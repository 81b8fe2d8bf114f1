//! The phase of ends: connections are dropped here and nowhere else, when nobody looks at them any more.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use super::conn::{Conn, Flags};
use super::effects::is_alive;
use super::net::Net;
use super::service::{Now, Service};
use super::stats::Closed;
use super::{Reactor, State, unix_ms};
use crate::handlers::effect::CloseReason;

impl<N: Net, S: Service> Reactor<N, S> {
    pub(super) fn reap(&mut self) {
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
                let (conns, service) = (&self.conns, &self.service);
                let alive = |member| is_alive(member, conns, service);
                for topic in self.service.topics(&conn.session) {
                    self.hub.forget(&topic, alive);
                }
            }
            self.stats.close(obituary(&conn, &self.service, self.now));
            let mut io = conn.io(self.now, &mut self.effects);
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
            self.give_up(key, CloseReason::MemoryPressure);
        }
        largest.is_some()
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

/// How many holders of too much memory go in one turn.
const RELIEF_PER_TURN: usize = 16;
