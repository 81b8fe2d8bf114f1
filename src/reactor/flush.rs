//! The phase that writes: each connection that owes something, once a turn.
//!
//! Writing is tried first and an event waited for only after the kernel refused. Some things wait until
//! everything owed is written: joining topics, closing.

use super::conn::{Flags, Flushed};
use super::net::Net;
use super::service::Service;
use super::timers::tick_after;
use super::{Reactor, arm, enqueue, mark_dirty};
use crate::handlers::effect::CloseReason;
use crate::handlers::key::ConnKey;

impl<N: Net, S: Service> Reactor<N, S> {
    /// Writes before the turn ends when many bytes of answers have come together. A thousand connections that are
    /// sent 16 KiB each would otherwise have them all in memory at once; written early, the buffer of one becomes that
    /// of the next while the processor still has it in its cache.
    pub(super) fn flush_early(&mut self) {
        if self.unflushed >= FLUSH_EARLY_BYTES {
            self.flush();
        }
    }

    pub(super) fn flush(&mut self) {
        self.unflushed = 0;
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
        // Nobody needs to know for one chunk, which is what a broadcast leaves.
        let join = conn.tx.is_several() && self.service.joins(self.service.kind(&conn.session));
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
        if conn.rx.is_some() || conn.flags.any(Flags::READABLE | Flags::EOF) {
            enqueue(&mut self.run_queue, conn);
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
            if !self.say_last_word(key) {
                self.linger(key);
            }
        } else if conn.can_decode() && (conn.rx.is_some() || conn.flags.any(Flags::READABLE | Flags::EOF)) {
            // It may have stopped reading because it was owed too much; no event will say that it
            // isn't any more.
            enqueue(&mut self.run_queue, conn);
        }
    }

    /// Queues what the protocol says at the very end. Returns whether there was something to say.
    fn say_last_word(&mut self, key: ConnKey) -> bool {
        let Some(conn) = self.conns.get_mut(key) else { return false };
        self.out.clear();
        conn.wire.last_word(conn.reason.unwrap_or(CloseReason::Finished), &mut self.out);
        self.held.1 += self.out.len();
        conn.tx.push_owned(&self.out, true);
        if !self.out.is_empty() {
            mark_dirty(&mut self.dirty, conn);
        }
        !self.out.is_empty()
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
}

/// Answers of one turn are written early from so many bytes on: about what a core has of second-level cache, and far
/// more than answers that gain from sharing a write.
const FLUSH_EARLY_BYTES: usize = 256 << 10;

/// How long a closing connection waits for the peer's end of stream before it is dropped.
const LINGER_MS: u64 = 1000;
