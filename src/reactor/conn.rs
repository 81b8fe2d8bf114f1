//! One connection: a socket, what the kernel said about it, its buffers and its deadlines.
//!
//! Protocol lives in [`Wire`], identity in the service's session, membership in the hub; a
//! connection only moves bytes. It is read in one function and written in one function. Its size is
//! what an idle client costs, so every field is counted, and buffers exist only while they hold
//! something.

use std::io::{ErrorKind, IoSlice};
use std::net::SocketAddr;

use super::net::Net;
use super::send::SendBuf;
use super::service::{Io, ListenerIndex, Now, Service};
use super::timers::Tick;
use crate::handlers::effect::{CloseReason, Effect};
use crate::handlers::key::ConnKey;
use crate::proto::Wire;
use crate::proto::buffer::RecvBuf;

/// An open connection.
///
/// The order of its fields is theirs in memory: what each broadcast touches stands together at the front, so in few
/// lines of the processor's cache. With a thousand connections and the kernel's work for each between, every line
/// has to be fetched anew each time. It need not begin a line: a table of aligned entries can't grow where it is.
#[repr(C)]
pub struct Conn<N: Net, S: Service> {
    pub(super) key: ConnKey,
    pub(super) tx: SendBuf,
    pub(super) stream: N::Stream,
    pub(super) flags: Flags,
    /// Jobs that have not come back.
    pub(super) jobs: u16,
    pub(super) listener: ListenerIndex,
    /// The kind of patience that `step_due` belongs to.
    pub(super) patience: u8,
    /// Why it is being closed, once it is.
    pub(super) reason: Option<CloseReason>,
    /// Bytes to be written before it joins its topics.
    pub(super) join_owed: u32,
    /// When the peer must have taken some of what it is owed; 0 is never.
    pub(super) write_due: Tick,

    pub(super) session: S::Session,
    pub(super) wire: Wire,
    /// The unfinished tail of what arrived; `None` while there is none.
    pub(super) rx: Option<Box<RecvBuf>>,
    pub(super) bytes_out: u64,
    pub(super) messages_out: u32,
    /// When the peer's next step is due (see [`super::service::Patience`]); 0 is never.
    pub(super) step_due: Tick,

    pub(super) peer: SocketAddr,
    pub(super) bytes_in: u64,
    pub(super) messages_in: u32,
    /// When its outstanding jobs are due.
    pub(super) jobs_due: Tick,
    /// When the timers will look at it; 0 when they won't.
    pub(super) hint: Tick,
    pub(super) opened: Tick,
    pub(super) active: Tick,
}

/// What is true of a connection, one bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags(u16);

#[rustfmt::skip]
impl Flags {
    /// Reading is worth a try.
    pub const READABLE: u16 = 1 << 0;
    /// Writing is worth a try.
    pub const WRITABLE: u16 = 1 << 1;
    /// The kernel hinted that the peer closed its side: a short read proves nothing then.
    pub const READ_CLOSED: u16 = 1 << 2;
    /// A read returned 0: no byte will follow.
    pub const EOF: u16 = 1 << 3;
    /// In the run queue.
    pub const QUEUED: u16 = 1 << 4;
    /// In the list of those with bytes to write.
    pub const DIRTY: u16 = 1 << 5;
    /// Its next message waits for outstanding jobs.
    pub const WAITING: u16 = 1 << 6;
    /// Nothing more is decoded; it closes when all is written.
    pub const CLOSING: u16 = 1 << 7;
    /// All is written and said so; what still arrives is thrown away for a moment.
    pub const LINGERING: u16 = 1 << 8;
    /// In the list of those to be dropped.
    pub const DOOMED: u16 = 1 << 9;
    /// Joins its topics when what is owed before is written.
    pub const JOINING: u16 = 1 << 10;
    /// A member of its topics.
    pub const JOINED: u16 = 1 << 11;
    /// Takes no new message; it closes when its jobs are answered.
    pub const DRAINING: u16 = 1 << 12;
    /// Something that it caused waits to be told, and what it is answered next comes after that.
    pub const UNTOLD: u16 = 1 << 13;

    /// Whether any of these bits is set.
    pub fn any(self, bits: u16) -> bool { self.0 & bits != 0 }
    /// Sets bits.
    pub fn set(&mut self, bits: u16) { self.0 |= bits }
    /// Clears bits.
    pub fn clear(&mut self, bits: u16) { self.0 &= !bits }
}

/// What a fill brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// So many bytes.
    Some(usize),
    /// Nothing; while the connection stays readable, not yet.
    Nothing,
    /// The connection broke.
    Lost,
}

/// What a flush left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flushed {
    /// Nothing is owed.
    All,
    /// The kernel takes no more now; it will say when it does.
    Blocked,
    /// The budget is spent.
    Budget,
    /// The connection broke.
    Lost,
}

impl<N: Net, S: Service> Conn<N, S> {
    /// Reads once into `scratch` and appends to `rx`. The only place where a socket is read.
    pub fn fill(&mut self, net: &mut N, scratch: &mut [u8], rx: &mut RecvBuf) -> Filled {
        loop {
            let read = net.read(&mut self.stream, scratch);
            if net.unblocked(&mut self.stream) {
                self.flags.set(Flags::WRITABLE);
            }
            match read {
                Ok(0) => {
                    self.flags.set(Flags::EOF);
                    self.flags.clear(Flags::READABLE);
                    return Filled::Nothing;
                }
                Ok(count) => {
                    rx.append(&scratch[..count]);
                    self.bytes_in += count as u64;
                    // A short read has drained the socket, unless the peer's end of stream is behind it.
                    if count < scratch.len() && !self.flags.any(Flags::READ_CLOSED) && !net.reads_on(&self.stream) {
                        self.flags.clear(Flags::READABLE);
                    }
                    return Filled::Some(count);
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => {
                        if !net.reads_on(&self.stream) {
                            self.flags.clear(Flags::READABLE);
                        }
                        return Filled::Nothing;
                    }
                    // Resets, aborts and broken pipes are how peers leave, not errors of ours.
                    _ => return Filled::Lost,
                },
            }
        }
    }

    /// Writes what is owed, up to `budget` bytes. The only place where a socket is written.
    /// `join` lets several messages share a write.
    pub fn flush(&mut self, net: &mut N, join: bool, budget: usize) -> Flushed {
        let mut written = 0;
        while !self.tx.is_empty() {
            if written >= budget {
                return Flushed::Budget;
            }
            let mut slices = [IoSlice::new(&[]); SendBuf::SLICES_MAX];
            let filled = self.tx.slices(join, &mut slices);
            match net.write(&mut self.stream, &slices[..filled]) {
                Ok(0) => return Flushed::Lost,
                Ok(count) => {
                    self.tx.advance(count);
                    self.bytes_out += count as u64;
                    written += count;
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => {
                        self.flags.clear(Flags::WRITABLE);
                        return Flushed::Blocked;
                    }
                    _ => return Flushed::Lost,
                },
            }
        }
        Flushed::All
    }

    /// What a service method on its behalf may see and say.
    pub fn io<'a>(&self, now: Now, effects: &'a mut Vec<Effect<S::Words>>) -> Io<'a, S> {
        Io { now, key: self.key, peer: self.peer, listener: self.listener, jobs: self.jobs, full: false, effects }
    }

    /// The earliest of its deadlines, or 0.
    pub fn next_due(&self) -> Tick {
        let earliest = [self.step_due, self.jobs_due, self.write_due].into_iter().filter(|tick| *tick != 0).min();
        earliest.unwrap_or(0)
    }

    /// Bytes held for it: received and not consumed, and owed.
    pub fn held(&self) -> (usize, usize) {
        (self.rx.as_ref().map_or(0, |rx| rx.capacity()) + self.wire.held(), self.tx.len())
    }

    /// Whether it is told what happens in its topics. One that closes hears only what it caused.
    pub fn hears(&self) -> bool {
        let closing = self.flags.any(Flags::CLOSING) && !self.flags.any(Flags::UNTOLD);
        !closing && !self.flags.any(Flags::LINGERING | Flags::DOOMED)
    }

    /// Whether it may be given the next message.
    ///
    /// One that joins first hears that it may: what it sends behind that can cause events, and it must
    /// be there to hear them.
    pub fn can_decode(&self) -> bool {
        !self
            .flags
            .any(Flags::JOINING | Flags::WAITING | Flags::CLOSING | Flags::LINGERING | Flags::DOOMED | Flags::DRAINING)
    }
}
