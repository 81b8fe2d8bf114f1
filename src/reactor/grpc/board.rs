//! The connections of this thread, as the loop shows them to an operator: who is there, who left lately and
//! why.
//!
//! What changes with every byte is counted in atomics; the list is behind a lock that is taken when a
//! connection comes or goes, and when somebody looks.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI64, AtomicU16, AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::UNIX_EPOCH;

use slab::Slab;

use crate::handlers::key::ConnKey;
use crate::handlers::session::ServiceKind;
use crate::reactor::stats::{CLOSED_MAX, Open};

/// Who is connected, and who was.
#[derive(Default)]
pub struct Board(Mutex<Lists>);

#[derive(Default)]
struct Lists {
    open: Slab<Arc<Line>>,
    ended: VecDeque<Ended>,
    generation: u32,
}

/// A connection that ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// As it was at its end.
    pub last: Open,
    /// When it ended, in Unix milliseconds.
    pub closed_ms: i64,
    /// Why, in a word.
    pub reason: &'static str,
}

/// One connection, as it counts itself.
#[derive(Debug)]
pub struct Line {
    /// Its remote address.
    pub peer: SocketAddr,
    key: ConnKey,
    opened_ms: i64,
    active_ms: AtomicI64,
    bytes: (AtomicU64, AtomicU64),
    messages: (AtomicU32, AtomicU32),
    /// Calls that the loop has and has not answered.
    calls: AtomicU16,
    /// The first user who made a call.
    user: OnceLock<Arc<str>>,
}

/// A connection on the board, as long as it lasts.
pub struct Entry {
    board: Arc<Board>,
    line: Arc<Line>,
    reason: &'static str,
}

impl Board {
    /// Puts a connection on the board.
    pub fn enter(self: &Arc<Self>, peer: SocketAddr) -> Entry {
        let mut lists = self.lists();
        lists.generation = lists.generation % ConnKey::GENERATION_MAX + 1;
        let generation = lists.generation;
        let slot = lists.open.vacant_entry();
        // Places are counted from the end, where no connection of the loop is: a key names one of either.
        let key = ConnKey { index: u32::MAX - slot.key() as u32, generation };
        let line = Arc::new(Line::new(peer, key));
        slot.insert(line.clone());
        // A task that is dropped with the thread has no time to say why.
        Entry { board: self.clone(), line, reason: "shutdown" }
    }

    /// The open connections that are wanted, after `skip` at most `limit`.
    pub fn open(&self, wanted: impl Fn(&Open) -> bool, skip: usize, limit: usize) -> Vec<Open> {
        let lists = self.lists();
        lists.open.iter().map(|(_, line)| line.look()).filter(wanted).skip(skip).take(limit).collect()
    }

    /// How many are open.
    pub fn open_count(&self) -> usize {
        self.lists().open.len()
    }

    /// Who left lately, the last first.
    pub fn ended(&self) -> Vec<Ended> {
        self.lists().ended.iter().rev().cloned().collect()
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Counts nothing so far.
    pub fn new(peer: SocketAddr, key: ConnKey) -> Self {
        let now = unix_ms();
        Self {
            peer,
            key,
            opened_ms: now,
            active_ms: AtomicI64::new(now),
            bytes: Default::default(),
            messages: Default::default(),
            calls: AtomicU16::new(0),
            user: OnceLock::new(),
        }
    }

    /// Counts bytes that were read.
    pub fn read(&self, bytes: usize) {
        self.bytes.0.fetch_add(bytes as u64, Relaxed);
        self.active_ms.store(unix_ms(), Relaxed);
    }

    /// Counts bytes that were written.
    pub fn wrote(&self, bytes: usize) {
        self.bytes.1.fetch_add(bytes as u64, Relaxed);
        self.active_ms.store(unix_ms(), Relaxed);
    }

    /// Counts a message that goes to the loop, and a call that it has.
    pub fn asked(&self) {
        self.messages.0.fetch_add(1, Relaxed);
        self.calls.fetch_add(1, Relaxed);
    }

    /// Counts a message that the loop has for the peer.
    pub fn told(&self) {
        self.messages.1.fetch_add(1, Relaxed);
    }

    /// The loop has let go of a call.
    pub fn done(&self) {
        self.calls.fetch_sub(1, Relaxed);
    }

    /// Notes who calls.
    pub fn is_of(&self, username: &Arc<str>) {
        self.user.get_or_init(|| username.clone());
    }

    fn user(&self) -> Option<String> {
        self.user.get().map(|user| user.to_string())
    }

    fn look(&self) -> Open {
        Open {
            key: self.key,
            peer: self.peer,
            listener: 0,
            protocol: ServiceKind::Grpc.as_str(),
            user: self.user(),
            opened_ms: self.opened_ms,
            active_ms: self.active_ms.load(Relaxed),
            bytes: (self.bytes.0.load(Relaxed), self.bytes.1.load(Relaxed)),
            messages: (self.messages.0.load(Relaxed), self.messages.1.load(Relaxed)),
            held: (0, 0),
            jobs: self.calls.load(Relaxed),
        }
    }
}

impl Entry {
    /// The connection.
    pub fn line(&self) -> &Arc<Line> {
        &self.line
    }

    /// Takes it off the board.
    pub fn end(mut self, reason: &'static str) {
        self.reason = reason;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let ended = Ended { last: self.line.look(), closed_ms: unix_ms(), reason: self.reason };
        let mut lists = self.board.lists();
        lists.open.try_remove((u32::MAX - self.line.key.index) as usize);
        if lists.ended.len() == CLOSED_MAX {
            lists.ended.pop_front();
        }
        lists.ended.push_back(ended);
    }
}

fn unix_ms() -> i64 {
    UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis().try_into().unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    /// Who comes is listed, who goes is remembered with the reason, and a place is used again under another
    /// name.
    #[test]
    fn connections_come_and_go() {
        let board = Arc::new(Board::default());
        let (first, second) = (board.enter(peer(1)), board.enter(peer(2)));
        first.line().is_of(&"ann".into());
        first.line().is_of(&"bob".into());
        first.line().read(10);
        let named = |open: &Open| open.user.as_deref() == Some("ann");
        let shown = board.open(named, 0, 10);
        assert_eq!((shown.len(), shown[0].peer, shown[0].bytes), (1, peer(1), (10, 0)));
        assert_eq!(board.open(|_| true, 1, 10).len(), 1);
        first.end("flood");
        let third = board.enter(peer(3));
        assert_ne!(third.line().key, shown[0].key);
        assert_eq!(third.line().key.index, shown[0].key.index);
        drop(second);
        let ends: Vec<_> = board.ended().iter().map(|ended| (ended.last.peer, ended.reason)).collect();
        assert_eq!(ends, [(peer(2), "shutdown"), (peer(1), "flood")]);
        assert_eq!(board.open(|_| true, 0, 10).len(), 1);
    }

    /// Only the last are remembered.
    #[test]
    fn memory_is_short() {
        let board = Arc::new(Board::default());
        (0..CLOSED_MAX as u16 + 5).for_each(|port| drop(board.enter(peer(port))));
        let ended = board.ended();
        assert_eq!((ended.len(), ended[0].last.peer.port()), (CLOSED_MAX, CLOSED_MAX as u16 + 4));
    }
}
