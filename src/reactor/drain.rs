//! The way out: nobody is accepted, everybody is told, what runs is finished.

use super::conn::{Conn, Flags};
use super::net::Net;
use super::service::{Farewell, Service};
use super::{NOBODY, Reactor, State};
use crate::handlers::effect::CloseReason;
use crate::handlers::key::ConnKey;

impl<N: Net, S: Service> Reactor<N, S> {
    pub(super) fn begin_drain(&mut self) {
        self.state = State::Draining(self.now.mono_ms + self.limits.drain_ms);
        for listener in &mut self.listeners {
            if listener.as_ref().is_some_and(|listener| !listener.outlives_drain) {
                *listener = None;
            }
        }
        self.with_session(NOBODY, |service, _, io| service.drain(io));
        self.apply(NOBODY);
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

    pub(super) fn end_drain(&mut self, until_ms: u64) {
        let watcher = |conn: &Conn<N, S>| self.listeners[conn.listener as usize].is_some();
        let done = self.jobs == 0
            && self.calls.is_empty()
            && self.tellings.is_empty()
            && !self.owes_datagrams()
            && self.conns.iter().all(watcher)
            && !self.service.serves_elsewhere();
        if done || self.now.mono_ms >= until_ms {
            self.state = State::Stopped;
        }
    }
}
