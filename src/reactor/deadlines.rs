//! The phase of deadlines: how long is waited, and what happens when it was too long.
//!
//! Three things are waited for: the peer's next step, a job, and the peer taking what it is owed. Each
//! connection keeps the three moments; the timers only say when to look.

use super::conn::{Conn, Flags};
use super::net::Net;
use super::service::{Expired, Patience, Service};
use super::timers::{Tick, tick_after, tick_passed};
use super::{JOBS, PAUSE_SHARE, Reactor, arm};
use crate::handlers::effect::CloseReason;
use crate::handlers::key::ConnKey;
use crate::proto::Phase;
use crate::proto::buffer::RecvBuf;

impl<N: Net, S: Service> Reactor<N, S> {
    /// Sets the deadline of the peer's next step: anew when the step is a new one, or when bytes
    /// arrived and those renew it.
    pub(super) fn mind(&mut self, key: ConnKey, phase: Phase, new_step: bool, bytes: bool) {
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

    pub(super) fn expire(&mut self) {
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

    fn expire_conn(&mut self, key: ConnKey, now: Tick) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        let passed = |due: Tick| due != 0 && due <= now;
        if passed(conn.write_due) {
            conn.write_due = 0;
            self.doom(key, CloseReason::WriteTimeout);
        } else if passed(conn.step_due) && conn.flags.any(Flags::LINGERING) {
            conn.step_due = 0;
            self.doom(key, CloseReason::Finished);
        } else if passed(conn.step_due) && conn.jobs > 0 {
            // It has taken its step and waits for us; the jobs have a deadline of their own.
            conn.step_due = now + tick_after(1000);
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
    /// `write_due` minds. The wait for its bytes starts anew; for a message that has begun only when
    /// it is we who don't read on, because so much is owed.
    fn taking(&mut self, key: ConnKey) -> bool {
        let paused_from = self.limits.send_bytes_max / PAUSE_SHARE;
        let Some(conn) = self.conns.get_mut(key).filter(|conn| conn.write_due != 0) else { return false };
        let phase = conn.wire.phase(conn.rx.as_deref().unwrap_or(&RecvBuf::new()));
        let patience = self.service.patience(&conn.wire, phase, &conn.session);
        let taking = patience.renewed_by_bytes || conn.tx.len() >= paused_from;
        if taking {
            conn.step_due = tick_after(self.now.mono_ms + u64::from(patience.ms));
        }
        taking
    }

    /// Lets the service say what was waited for in vain, and closes.
    fn overdue(&mut self, key: ConnKey, kind: fn(&Conn<N, S>) -> u8) {
        let Some(kind) = self.conns.get(key).map(kind) else { return };
        let mut expired = Expired::Close(CloseReason::Internal);
        self.with_session(key, |service, session, io| {
            if let Some(session) = session {
                expired = service.expired(kind, session, io);
            }
        });
        self.apply(key);
        match expired {
            Expired::Close(reason) => self.close(key, reason),
            Expired::GoOn => {
                let Some(conn) = self.conns.get(key) else { return };
                let phase = conn.wire.phase(conn.rx.as_deref().unwrap_or(&RecvBuf::new()));
                self.mind(key, phase, true, false);
            }
        }
    }
}

fn conn_patience<N: Net, S: Service>(conn: &Conn<N, S>) -> u8 {
    conn.patience
}
