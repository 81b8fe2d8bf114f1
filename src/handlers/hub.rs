//! Who hears what: topics and their members.
//!
//! Joining is cheap and leaving is free. A member that has gone stays listed until enough have: its
//! handle is stale, resolves to nothing, and costs one look-up at a publish. When half of a topic
//! is gone it is swept in one pass, so the work of leaving is constant on average, even when ten
//! thousand connections end at once. What a topic *means* is not known here.

use std::hash::{BuildHasher, Hash, RandomState};

use hashbrown::HashTable;
use slab::Slab;
use smallvec::SmallVec;

use super::key::Subscriber;

/// Topics and their members. Topics are looked up in a table of slot numbers, because there can be
/// one for every user and a table keeps room for many more entries than it has.
#[derive(Debug)]
pub struct Hub<T> {
    slots: Slab<Topic<T>>,
    by_name: HashTable<u32>,
    hasher: RandomState,
}

/// Two members fit inline: one user's phone and desktop need no allocation.
type Members = SmallVec<[Subscriber; 2]>;

#[derive(Debug)]
struct Topic<T> {
    name: T,
    members: Members,
    gone: u32,
}

impl<T: Clone + Eq + Hash> Hub<T> {
    /// No topics.
    pub fn new() -> Self {
        Self { slots: Slab::new(), by_name: HashTable::new(), hasher: RandomState::new() }
    }

    /// Adds a member. The caller sees to it that nobody joins a topic twice.
    pub fn join(&mut self, topic: T, member: Subscriber) {
        let slot = self.slot(&topic).unwrap_or_else(|| self.add(topic));
        let found = &mut self.slots[slot];
        debug_assert!(found.members.len() > 64 || !found.members.contains(&member), "joined twice");
        found.members.push(member);
    }

    fn add(&mut self, name: T) -> usize {
        let hash = self.hasher.hash_one(&name);
        let slot = self.slots.insert(Topic { name, members: Members::new(), gone: 0 });
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.by_name.insert_unique(hash, slot as u32, |slot| hasher.hash_one(&slots[*slot as usize].name));
        slot
    }

    fn slot(&self, topic: &T) -> Option<usize> {
        let same = |slot: &u32| self.slots[*slot as usize].name == *topic;
        self.by_name.find(self.hasher.hash_one(topic), same).map(|slot| *slot as usize)
    }

    fn remove(&mut self, slot: usize) {
        let hash = self.hasher.hash_one(&self.slots[slot].name);
        if let Ok(entry) = self.by_name.find_entry(hash, |other| *other as usize == slot) {
            entry.remove();
        }
        self.slots.remove(slot);
        if self.slots.is_empty() {
            // Memory goes with the last of a crowd.
            self.slots.shrink_to_fit();
            self.by_name = HashTable::new();
        }
    }

    /// Takes a member out at once: for one that lives on and must hear no more.
    pub fn leave(&mut self, topic: &T, member: Subscriber) {
        let Some(slot) = self.slot(topic) else { return };
        let found = &mut self.slots[slot];
        if let Some(place) = found.members.iter().position(|other| *other == member) {
            found.members.swap_remove(place);
        }
        if found.members.is_empty() {
            self.remove(slot);
        }
    }

    /// Notes that a member's handle went stale. `alive` tells who still is; it is asked about every
    /// member when half of them have gone.
    pub fn forget(&mut self, topic: &T, alive: impl Fn(Subscriber) -> bool) {
        let Some(slot) = self.slot(topic) else { return };
        let found = &mut self.slots[slot];
        found.gone += 1;
        if (found.gone as usize) * 2 < found.members.len() {
            return;
        }
        found.members.retain(|member| alive(*member));
        found.gone = 0;
        if found.members.is_empty() {
            self.remove(slot);
        } else if found.members.len() < found.members.capacity() / 4 {
            found.members.shrink_to_fit();
        }
    }

    /// The members of a topic, some of which may have gone.
    pub fn members(&self, topic: &T) -> &[Subscriber] {
        self.slot(topic).map_or(&[], |slot| &self.slots[slot].members)
    }

    /// How many topics have members.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether no topic has members.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

impl<T: Clone + Eq + Hash> Default for Hub<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::ConnKey;
    use super::*;

    fn member(index: u32) -> Subscriber {
        ConnKey { index, generation: 1 }.into()
    }

    /// Half a topic may be stale; then one sweep leaves exactly the living.
    #[test]
    fn a_topic_is_swept_when_half_has_gone() {
        let mut hub = Hub::new();
        (0..100).for_each(|index| hub.join("all", member(index)));
        for gone in 0..50 {
            hub.forget(&"all", |other| other >= member(gone + 1));
        }
        assert_eq!(hub.members(&"all"), (50..100).map(member).collect::<Vec<_>>());
    }

    /// The last to leave takes the topic along.
    #[test]
    fn an_empty_topic_is_dropped() {
        let mut hub = Hub::new();
        hub.join("a", member(1));
        hub.join("b", member(1));
        hub.forget(&"a", |_| false);
        hub.leave(&"b", member(1));
        assert!(hub.is_empty());
    }
}
