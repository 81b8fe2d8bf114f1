//! Who hears what: topics and their members.
//!
//! Joining is cheap and leaving is free. A member that has gone stays listed until enough have: its
//! handle is stale, resolves to nothing, and costs one look-up at a publish. When half of a topic
//! is gone it is swept in one pass, so the work of leaving is constant on average, even when ten
//! thousand connections end at once. What a topic *means* is not known here.

use std::collections::HashMap;
use std::hash::Hash;

use smallvec::SmallVec;

use super::key::Subscriber;

/// Topics and their members.
#[derive(Debug)]
pub struct Hub<T> {
    topics: HashMap<T, Topic>,
}

/// Two members fit inline: one user's phone and desktop need no allocation.
type Members = SmallVec<[Subscriber; 2]>;

#[derive(Debug, Default)]
struct Topic {
    members: Members,
    gone: u32,
}

impl<T: Clone + Eq + Hash> Hub<T> {
    /// No topics.
    pub fn new() -> Self {
        Self { topics: HashMap::new() }
    }

    /// Adds a member. The caller sees to it that nobody joins a topic twice.
    pub fn join(&mut self, topic: T, member: Subscriber) {
        let topic = self.topics.entry(topic).or_default();
        debug_assert!(topic.members.len() > 64 || !topic.members.contains(&member), "joined twice");
        topic.members.push(member);
    }

    /// Takes a member out at once: for one that lives on and must hear no more.
    pub fn leave(&mut self, topic: &T, member: Subscriber) {
        let Some(found) = self.topics.get_mut(topic) else { return };
        if let Some(place) = found.members.iter().position(|other| *other == member) {
            found.members.swap_remove(place);
        }
        if found.members.is_empty() {
            self.topics.remove(topic);
        }
    }

    /// Notes that a member's handle went stale. `alive` tells who still is; it is asked about every
    /// member when half of them have gone.
    pub fn forget(&mut self, topic: &T, alive: impl Fn(Subscriber) -> bool) {
        let Some(found) = self.topics.get_mut(topic) else { return };
        found.gone += 1;
        if (found.gone as usize) * 2 < found.members.len() {
            return;
        }
        found.members.retain(|member| alive(*member));
        found.gone = 0;
        if found.members.is_empty() {
            self.topics.remove(topic);
            // The table gives memory back after a crowd has left; the factor keeps it from doing
            // so again and again at the edge.
            if self.topics.capacity() > 64 && self.topics.len() < self.topics.capacity() / 8 {
                self.topics.shrink_to(self.topics.len() * 2);
            }
        } else if found.members.len() < found.members.capacity() / 4 {
            found.members.shrink_to_fit();
        }
    }

    /// The members of a topic, some of which may have gone.
    pub fn members(&self, topic: &T) -> &[Subscriber] {
        self.topics.get(topic).map_or(&[], |found| &found.members)
    }

    /// How many topics have members.
    pub fn len(&self) -> usize {
        self.topics.len()
    }

    /// Whether no topic has members.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
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
