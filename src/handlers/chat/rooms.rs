//! Who is in which room: in memory, and only as long as somebody is there.
//!
//! Somebody who is in a room with several connections counts once: users by who they are, guests by their
//! name. What a room's number names is never another room later on.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use slab::Slab;

use super::Room;
use crate::handlers::session::MemberId;
use crate::store::model::RoomKey;

/// A room that somebody is in. A place in [`Rooms`] is used again, this is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RoomId {
    slot: u32,
    /// Which use of the slot; it starts again at 1 after four billion rooms.
    generation: NonZeroU32,
}

/// Somebody in a room.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Person {
    /// A user.
    Member(MemberId),
    /// Whoever goes by this name without an account.
    Guest(Arc<str>),
}

/// A room that somebody is in.
#[derive(Debug)]
pub struct Open {
    /// Which room.
    pub name: Room,
    generation: NonZeroU32,
    /// With how many connections each is in it.
    people: HashMap<Person, u32>,
    /// Something was said there.
    said: bool,
}

/// The rooms that somebody is in.
#[derive(Debug, Default)]
pub struct Rooms {
    slots: Slab<Open>,
    by_key: HashMap<RoomKey, u32>,
    generation: u32,
}

/// What became of coming to a room.
#[derive(Debug, PartialEq, Eq)]
pub struct Entered {
    /// The room.
    pub id: RoomId,
    /// The person was not in it before.
    pub is_new: bool,
}

impl Rooms {
    /// Notes that a connection of a person is in a room. `None` when there are too many rooms.
    pub fn enter(&mut self, name: &Room, person: Person) -> Option<Entered> {
        let most = if matches!(person, Person::Guest(_)) { GUEST_ROOMS_MAX } else { ROOMS_MAX };
        let slot = match self.by_key.get(&name.key) {
            Some(slot) => *slot as usize,
            None if self.slots.len() >= most => return None,
            None => self.open(name),
        };
        let open = &mut self.slots[slot];
        let connections = open.people.entry(person).or_insert(0);
        *connections += 1;
        let is_new = *connections == 1;
        Some(Entered { id: RoomId { slot: slot as u32, generation: open.generation }, is_new })
    }

    fn open(&mut self, name: &Room) -> usize {
        self.generation = self.generation.wrapping_add(1);
        let generation = NonZeroU32::new(self.generation).unwrap_or(NonZeroU32::MIN);
        let slot = self.slots.insert(Open { name: name.clone(), generation, people: HashMap::new(), said: false });
        self.by_key.insert(name.key.clone(), slot as u32);
        slot
    }

    /// Notes that a connection has left. Returns whether it was the person's last one there.
    pub fn leave(&mut self, id: RoomId, person: &Person) -> bool {
        let Some(open) = self.slots.get_mut(id.slot as usize).filter(|open| open.generation == id.generation) else {
            return false;
        };
        let Some(connections) = open.people.get_mut(person) else { return false };
        *connections -= 1;
        let gone = *connections == 0;
        if gone {
            open.people.remove(person);
        }
        if open.people.is_empty() {
            let key = open.name.key.clone();
            self.by_key.remove(&key);
            self.slots.remove(id.slot as usize);
        }
        gone
    }

    /// A room that somebody is in.
    pub fn get(&self, id: RoomId) -> Option<&Open> {
        self.slots.get(id.slot as usize).filter(|open| open.generation == id.generation)
    }

    /// The room with this key, if somebody is in it.
    pub fn find(&self, key: &RoomKey) -> Option<RoomId> {
        let slot = *self.by_key.get(key)?;
        Some(RoomId { slot, generation: self.slots.get(slot as usize)?.generation })
    }

    /// How many people are in the room with this key.
    pub fn online(&self, key: &RoomKey) -> usize {
        self.find(key).and_then(|id| self.get(id)).map_or(0, Open::online)
    }

    /// Notes that something was said in a room.
    pub fn note_said(&mut self, id: RoomId) {
        if let Some(open) = self.slots.get_mut(id.slot as usize).filter(|open| open.generation == id.generation) {
            open.said = true;
        }
    }

    /// The keys of those in which nothing was said since somebody came: nobody else can know of them.
    pub fn silent(&self) -> impl Iterator<Item = &RoomKey> {
        self.slots.iter().filter(|(_, open)| !open.said).map(|(_, open)| &open.name.key)
    }

    /// All of them.
    pub fn ids(&self) -> impl Iterator<Item = RoomId> {
        self.slots.iter().map(|(slot, open)| RoomId { slot: slot as u32, generation: open.generation })
    }
}

impl Open {
    /// How many people are in it.
    pub fn online(&self) -> usize {
        self.people.len()
    }

    /// Whether somebody is in it.
    pub fn holds(&self, person: &Person) -> bool {
        self.people.contains_key(person)
    }

    /// Who is in it, in no order.
    pub fn people(&self) -> impl Iterator<Item = &Person> {
        self.people.keys()
    }
}

/// How many rooms somebody can be in at a time, all together: a few megabytes.
const ROOMS_MAX: usize = 10_000;

/// How many there may be when somebody without an account opens another, who can be in as many as they have
/// connections: the rest is left to users.
const GUEST_ROOMS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str) -> Room {
        Room { key: RoomKey::named(name).unwrap(), label: name.into() }
    }

    fn guest(name: &str) -> Person {
        Person::Guest(name.into())
    }

    /// A person with two connections is one person, and leaves with the last of them.
    #[test]
    fn a_person_counts_once() {
        let mut rooms = Rooms::default();
        let first = rooms.enter(&room("a"), guest("x")).unwrap();
        let second = rooms.enter(&room("a"), guest("x")).unwrap();
        assert_eq!((first.is_new, second.is_new, first.id), (true, false, second.id));
        rooms.enter(&room("a"), guest("y")).unwrap();
        assert_eq!(rooms.online(&room("a").key), 2);
        assert!(!rooms.leave(first.id, &guest("x")) && rooms.leave(first.id, &guest("x")));
        assert!(!rooms.leave(first.id, &guest("x")), "nobody leaves twice");
        assert_eq!(rooms.online(&room("a").key), 1);
    }

    /// A room ends with the last to leave, and its number names no other room.
    #[test]
    fn an_empty_room_is_forgotten() {
        let mut rooms = Rooms::default();
        let gone = rooms.enter(&room("a"), guest("x")).unwrap().id;
        rooms.leave(gone, &guest("x"));
        assert_eq!((rooms.find(&room("a").key), rooms.silent().count()), (None, 0));
        let next = rooms.enter(&room("b"), guest("x")).unwrap().id;
        assert!(next != gone && rooms.get(gone).is_none());
        assert!(!rooms.leave(gone, &guest("x")) && rooms.get(next).is_some());
    }

    /// The number of rooms is bounded, and more so for those without an account; one that is open can always be
    /// entered.
    #[test]
    fn rooms_are_bounded() {
        let mut members = crate::handlers::session::Members::default();
        let ann = crate::store::model::UserId::parse("a").unwrap();
        let user = Person::Member(members.enter(&ann, "ann", crate::store::model::Role::User, 0).unwrap());
        let mut rooms = Rooms::default();
        let mut enter = |n: usize, person: Person| rooms.enter(&room(&format!("r{n}")), person).is_some();
        assert!((0..GUEST_ROOMS_MAX).all(|n| enter(n, guest("x"))));
        assert!(!enter(GUEST_ROOMS_MAX, guest("x")) && enter(0, guest("y")));
        assert!((0..ROOMS_MAX).all(|n| enter(n, user.clone())));
        assert!(!enter(ROOMS_MAX, user.clone()) && enter(ROOMS_MAX - 1, guest("x")));
    }

    /// Only rooms in which nothing was said are unknown to the store.
    #[test]
    fn a_room_is_silent_until_something_is_said() {
        let mut rooms = Rooms::default();
        let [one, two] = ["a", "b"].map(|name| rooms.enter(&room(name), guest("x")).unwrap().id);
        assert_eq!(rooms.silent().count(), 2);
        rooms.note_said(one);
        assert_eq!(rooms.silent().collect::<Vec<_>>(), [&room("b").key]);
        rooms.leave(two, &guest("x"));
        rooms.note_said(two);
        assert_eq!(rooms.silent().count(), 0);
    }
}
