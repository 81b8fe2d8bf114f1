//! The phases for datagrams: receiving within a budget, queues with a bound, sending in batches.
//!
//! A socket of datagrams serves everybody at once and nobody can be slowed down by it, so what does not
//! fit is dropped: the newest, and counted. Datagrams may be lost on any network; who needs to know asks
//! for acknowledgements, which is the service's concern.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::datagrams::BATCH_MAX;
use super::net::{Net, Ready};
use super::service::{Io, Service};
use super::{NOBODY, Reactor, ReactorLimits, State};
use crate::handlers::effect::Datagram;

/// A socket of datagrams, what it knows of its readiness, and what it owes.
pub(super) struct DatagramSocket<N: Net> {
    socket: N::Datagrams,
    queue: VecDeque<Datagram>,
    readable: bool,
    writable: bool,
    /// Errors in a row when receiving, and until when it is left alone after too many.
    errors: u32,
    rests_until_ms: u64,
}

impl<N: Net> DatagramSocket<N> {
    /// A socket that is tried before an event comes.
    pub(super) fn new(socket: N::Datagrams) -> Self {
        Self { socket, queue: VecDeque::new(), readable: true, writable: true, errors: 0, rests_until_ms: 0 }
    }

    pub(super) fn note(&mut self, ready: Ready) {
        self.readable |= ready.readable;
        self.writable |= ready.writable;
    }

    /// How many datagrams wait to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    fn can_receive(&self, now_ms: u64) -> bool {
        self.readable && now_ms >= self.rests_until_ms
    }

    /// Notes that it could not receive. One that never can is tried again with the ticks.
    fn fail(&mut self, now_ms: u64) {
        self.errors += 1;
        if self.errors >= ERRORS_IN_A_ROW {
            (self.errors, self.rests_until_ms) = (0, now_ms + REST_MS);
        }
    }

    fn can_send(&self) -> bool {
        self.writable && !self.queue.is_empty()
    }
}

impl<N: Net, S: Service> Reactor<N, S> {
    /// Whether something is left to be received or sent that no event will tell of.
    pub(super) fn has_datagrams(&self) -> bool {
        let (receives, now_ms) = (self.state == State::Running, self.now.mono_ms);
        self.datagrams.iter().any(|socket| (receives && socket.can_receive(now_ms)) || socket.can_send())
    }

    /// Whether something waits to be sent.
    pub(super) fn owes_datagrams(&self) -> bool {
        self.datagrams.iter().any(|socket| !socket.queue.is_empty())
    }

    /// Hands what has arrived to the service. A server that drains hears nothing more.
    pub(super) fn receive(&mut self) {
        if self.state != State::Running {
            return;
        }
        for index in 0..self.datagrams.len() {
            let mut received = 0;
            while received < self.limits.datagrams_per_turn && self.datagrams[index].can_receive(self.now.mono_ms) {
                received += self.receive_batch(index);
            }
        }
    }

    /// Receives and handles one batch; tells how much of the turn's share that used up.
    fn receive_batch(&mut self, index: usize) -> usize {
        let socket = &mut self.datagrams[index];
        if let Err(error) = self.net.receive(&mut socket.socket, &mut self.batch) {
            match error.kind() {
                ErrorKind::WouldBlock => (socket.readable, socket.errors) = (false, 0),
                ErrorKind::Interrupted => {}
                // An address told that nobody is there: it says nothing about the socket.
                _ => {
                    self.stats.datagram_errors += 1;
                    socket.fail(self.now.mono_ms);
                }
            }
            return 1;
        }
        socket.errors = 0;
        let batch = std::mem::take(&mut self.batch);
        let mut received = 0;
        for (from, bytes) in batch.arrived() {
            received += 1;
            self.stats.datagrams.0 += 1;
            self.stats.datagram_bytes.0 += bytes.len() as u64;
            let socket = index as u8;
            let effects = &mut self.effects;
            let mut io = Io { now: self.now, key: NOBODY, peer: from, listener: socket, jobs: 0, full: false, effects };
            let handled = catch_unwind(AssertUnwindSafe(|| self.service.datagram(socket, bytes, &mut io)));
            if handled.is_err() {
                self.stats.panics += 1;
                self.effects.clear();
            }
            self.apply(NOBODY);
        }
        self.batch = batch;
        received.max(1)
    }

    /// Queues a datagram, or drops it when too many wait.
    pub(super) fn post(&mut self, datagram: Datagram) {
        let Some(socket) = self.datagrams.get_mut(usize::from(datagram.socket)) else { return };
        if socket.queue.len() >= self.limits.datagrams_queued {
            self.stats.datagrams_dropped += 1;
        } else {
            socket.queue.push_back(datagram);
        }
    }

    /// Queues what the service has to send by itself, as far as there is room.
    pub(super) fn fill(&mut self) {
        if self.datagrams.is_empty() {
            return;
        }
        let mut post = std::mem::take(&mut self.post);
        post.open(room(&self.datagrams, &self.limits));
        self.with_session(NOBODY, |service, _, io| service.fill(&mut post, io));
        self.post = post;
        self.apply(NOBODY);
        self.post_all();
    }

    /// Queues what an event left.
    pub(super) fn post_all(&mut self) {
        let (mut datagrams, dropped) = self.post.take();
        self.stats.datagrams_dropped += dropped;
        datagrams.drain(..).for_each(|datagram| self.post(datagram));
        self.post.give_back(datagrams);
    }

    /// Sends what is owed, within the turn's budget, until the kernel takes no more.
    pub(super) fn send(&mut self) {
        for index in 0..self.datagrams.len() {
            let mut sent = 0;
            while sent < self.limits.datagrams_per_turn && self.datagrams[index].can_send() {
                sent += self.send_batch(index);
            }
        }
    }

    fn send_batch(&mut self, index: usize) -> usize {
        let socket = &mut self.datagrams[index];
        let (first, _) = socket.queue.as_slices();
        let first = &first[..first.len().min(BATCH_MAX)];
        let sent = match self.net.send(&mut socket.socket, first) {
            Ok(sent) => {
                self.stats.datagrams.1 += sent as u64;
                self.stats.datagram_bytes.1 += first[..sent].iter().map(|one| one.bytes.len() as u64).sum::<u64>();
                sent
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => {
                    socket.writable = false;
                    0
                }
                ErrorKind::Interrupted => 0,
                // That address can't be reached: the others can.
                _ => {
                    self.stats.datagram_errors += 1;
                    1
                }
            },
        };
        socket.queue.drain(..sent);
        if socket.queue.is_empty() && socket.queue.capacity() > QUEUE_KEPT {
            socket.queue = VecDeque::new();
        }
        sent
    }
}

/// How many datagrams each socket's queue still takes.
pub(super) fn room<N: Net>(sockets: &[DatagramSocket<N>], limits: &ReactorLimits) -> impl Iterator<Item = usize> {
    sockets.iter().map(|socket| limits.datagrams_queued.saturating_sub(socket.queue.len()))
}

/// More errors in a row than addresses tell that nobody is there: it is the socket that does not work.
const ERRORS_IN_A_ROW: u32 = 64;
const REST_MS: u64 = 1000;

/// Room for so many datagrams is kept when nothing waits.
const QUEUE_KEPT: usize = 1024;
