//! The table of connections, and the only way to reach one.
//!
//! A slot is used again; a key is not. Looking up a stale key finds nothing, which is what makes it
//! safe to keep keys in queues, topics, timers and jobs.

use slab::Slab;

use super::conn::Conn;
use super::net::Net;
use super::service::Service;
use crate::handlers::key::ConnKey;

/// Every open connection.
pub struct Conns<N: Net, S: Service> {
    slots: Slab<Conn<N, S>>,
    generation: u32,
}

impl<N: Net, S: Service> Conns<N, S> {
    /// No connections.
    pub fn new() -> Self {
        Self { slots: Slab::new(), generation: 0 }
    }

    /// The key that the next connection will have.
    pub fn next_key(&mut self) -> ConnKey {
        self.generation = self.generation % ConnKey::GENERATION_MAX + 1;
        ConnKey { index: self.slots.vacant_key() as u32, generation: self.generation }
    }

    /// Adds a connection under the key that [`next_key`](Self::next_key) gave.
    pub fn insert(&mut self, conn: Conn<N, S>) {
        let key = conn.key;
        let index = self.slots.insert(conn);
        debug_assert_eq!(index, key.index as usize);
    }

    /// The connection, unless it has ended.
    pub fn get(&self, key: ConnKey) -> Option<&Conn<N, S>> {
        self.slots.get(key.index as usize).filter(|conn| conn.key == key)
    }

    /// The connection, unless it has ended.
    pub fn get_mut(&mut self, key: ConnKey) -> Option<&mut Conn<N, S>> {
        self.slots.get_mut(key.index as usize).filter(|conn| conn.key == key)
    }

    /// Takes a connection out.
    pub fn remove(&mut self, key: ConnKey) -> Option<Conn<N, S>> {
        self.get(key)?;
        let removed = self.slots.remove(key.index as usize);
        if self.slots.is_empty() {
            self.slots.shrink_to_fit();
        }
        Some(removed)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Conn<N, S>> {
        self.slots.iter().map(|(_, conn)| conn)
    }
}

impl<N: Net, S: Service> Default for Conns<N, S> {
    fn default() -> Self {
        Self::new()
    }
}
