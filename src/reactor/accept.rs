//! The phase of beginnings: new connections, if there is room.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use super::Reactor;
use super::conn::{Conn, Flags};
use super::listener::Accepted;
use super::net::Net;
use super::service::{Io, ListenerIndex, Service};
use super::timers::tick_passed;
use crate::proto::Phase;

impl<N: Net, S: Service> Reactor<N, S> {
    pub(super) fn accept(&mut self) {
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
    pub(super) fn may_accept(&self) -> bool {
        self.conns.len() < self.limits.connections_max + REFUSALS_MAX
    }

    fn admit(&mut self, mut stream: N::Stream, peer: SocketAddr, listener: ListenerIndex) {
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
}

/// How many connections above the bound may be there to be refused. They come out of the reserve of
/// descriptors.
const REFUSALS_MAX: usize = 64;
