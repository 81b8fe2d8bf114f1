//! Who a connection is, and what a user's connections share.
//!
//! A session is held for every connection, so it is a few words. A user's name, role and rate
//! bucket are held once for all of their connections, in [`Members`].

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use hashbrown::HashTable;
use slab::Slab;

use super::Caller;
use super::greet::Greeting;
use super::notices::subscribe::Heard;
use super::rate::{Bucket, Rate};
use crate::store::model::{Role, UserId};

/// Who a connection is.
#[derive(Debug)]
pub struct Session {
    /// What it came for.
    pub service: ServiceKind,
    /// Counted towards the connections of its address.
    pub counted: bool,
    /// Which listed origin the last request's page was from, counted from 1; 0 for none. While it
    /// is [`ENDING`](Self::ENDING), the next answer is the last, says so, and is for no page: a
    /// member of its own would make every connection eight bytes larger.
    pub cors: u8,
    /// A line's job is outstanding in a lane without an order: no answer may overtake it.
    pub reads: bool,
    /// Whoever comes to chat through its listener may do so under a name that nobody vouches for.
    pub anonymous_chat: bool,
    /// What it asked to hear. This and the next stand here because each broadcast looks at them.
    pub heard: Heard,
    /// Its client shows every message of chat as a line that somebody said, whatever its type: the first family's
    /// does, and nobody who says more than that does is taken for it.
    pub plain: bool,
    /// Whose it is, once that is known.
    pub member: Option<MemberId>,
    /// What few connections have. Behind a pointer, because every one pays for the room.
    pub extra: Option<Box<Extra>>,
}

/// What few connections have: [`Session::extra_mut`] makes room for it.
#[derive(Debug, Default)]
pub struct Extra {
    /// The device that it runs on, as it named itself.
    pub device: Option<Box<str>>,
    /// How whoever came to chat introduced themselves.
    pub greeting: Option<Greeting>,
    /// Where it sits in chat.
    pub seat: Option<super::chat::Seat>,
}

/// What a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServiceKind {
    /// REST.
    Http,
    /// Sync as the clients on port 9090 speak it.
    SyncV1,
    /// Sync as the clients on port 8081 speak it.
    SyncV2,
    /// Chat and news over a WebSocket: what an HTTP connection becomes.
    Ws,
    /// Metrics and monitoring.
    Internal,
    /// Calls from the thread of gRPC: no listener of the loop.
    Grpc,
}

impl ServiceKind {
    /// Its name in metrics, tables and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::SyncV1 => "tcp_v1",
            Self::SyncV2 => "tcp_v2",
            Self::Ws => "ws",
            Self::Internal => "internal",
            Self::Grpc => "grpc",
        }
    }

    /// Whether it is a sync service.
    pub const fn is_sync(self) -> bool {
        matches!(self, Self::SyncV1 | Self::SyncV2)
    }
}

impl Session {
    /// See [`Session::cors`].
    pub const ENDING: u8 = u8::MAX;

    /// Whether the next answer is the last.
    pub const fn is_ending(&self) -> bool {
        self.cors == Self::ENDING
    }

    /// A session that has not said who it is.
    pub const fn new(service: ServiceKind) -> Self {
        Self {
            service,
            counted: false,
            cors: 0,
            reads: false,
            anonymous_chat: false,
            heard: Heard::NOTHING,
            plain: false,
            member: None,
            extra: None,
        }
    }

    /// What few connections have, to be written to.
    pub fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// The name of its device.
    pub fn device_name(&self) -> Option<String> {
        self.extra.as_ref()?.device.as_deref().map(str::to_owned)
    }

    /// How it introduced itself, if it came to chat.
    pub fn greeting(&self) -> Option<&Greeting> {
        self.extra.as_ref()?.greeting.as_ref()
    }

    /// Stands in for a connection that has ended while its job ran.
    pub const fn detached() -> Self {
        Self::new(ServiceKind::Internal)
    }
}

/// A user with at least one authenticated connection, or with a rate bucket that is not full yet.
/// A place in [`Members`] is used again, this is not: what waits to be told to a user who has gone
/// is told to nobody, rather than to whoever came next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId {
    slot: u32,
    /// Which use of the slot; it starts again at 1 after four billion users have come.
    generation: NonZeroU32,
}

/// What a user's connections share.
#[derive(Debug)]
pub struct Member {
    /// Their id.
    pub id: UserId,
    /// Their name.
    pub username: Arc<str>,
    /// What they may do.
    pub role: Role,
    generation: NonZeroU32,
    connections: u32,
    /// How many of them are sync connections.
    syncs: u32,
    /// Datagram addresses that are known to be theirs.
    leases: u32,
    bucket: Bucket,
}

impl Member {
    /// Nothing of theirs is here any more.
    fn is_gone(&self) -> bool {
        self.connections == 0 && self.leases == 0
    }

    fn rename(&mut self, username: &str, role: Role) {
        if *self.username != *username {
            self.username = username.into();
        }
        self.role = role;
    }
}

/// The users that are connected. They are looked up by id in a table of slot numbers: the id itself
/// is held once, in its slot.
#[derive(Debug, Default)]
pub struct Members {
    slots: Slab<Member>,
    by_user: HashTable<u32>,
    hasher: RandomState,
    /// Sync connections, and the distinct users among them.
    syncs: (usize, usize),
    generation: u32,
}

impl Members {
    /// Adds a connection of a user. `None` when the user has `most` already (0: no bound).
    pub fn enter(&mut self, id: &UserId, username: &str, role: Role, most: u32) -> Option<MemberId> {
        let known = self.known(id).unwrap_or_else(|| self.add(id, username, role));
        let member = &mut self.slots[known.slot as usize];
        if most != 0 && member.connections >= most {
            return None;
        }
        member.rename(username, role);
        member.connections += 1;
        Some(known)
    }

    /// The connection that was added is a sync connection.
    pub fn begin_sync(&mut self, member: MemberId) {
        let Some(found) = self.get_mut(member) else { return };
        found.syncs += 1;
        let first = found.syncs == 1;
        self.syncs.0 += 1;
        self.syncs.1 += usize::from(first);
    }

    /// A sync connection ends: it is about to be taken away.
    pub fn end_sync(&mut self, member: MemberId) {
        let Some(found) = self.get_mut(member).filter(|found| found.syncs > 0) else { return };
        found.syncs -= 1;
        let last = found.syncs == 0;
        self.syncs.0 -= 1;
        self.syncs.1 -= usize::from(last);
    }

    /// Adds a datagram address of a user, which counts as no connection.
    pub fn hold(&mut self, id: &UserId, username: &str, role: Role) -> MemberId {
        let known = self.known(id).unwrap_or_else(|| self.add(id, username, role));
        let member = &mut self.slots[known.slot as usize];
        member.rename(username, role);
        member.leases += 1;
        known
    }

    fn add(&mut self, id: &UserId, username: &str, role: Role) -> MemberId {
        self.generation = self.generation.wrapping_add(1);
        let generation = NonZeroU32::new(self.generation).unwrap_or(NonZeroU32::MIN);
        let (id, username, bucket) = (id.clone(), username.into(), Bucket::default());
        let hash = self.hasher.hash_one(&id);
        let member = Member { id, username, role, generation, connections: 0, syncs: 0, leases: 0, bucket };
        let slot = self.slots.insert(member) as u32;
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.by_user.insert_unique(hash, slot, |slot| hasher.hash_one(&slots[*slot as usize].id));
        MemberId { slot, generation }
    }

    fn known(&self, id: &UserId) -> Option<MemberId> {
        let same = |slot: &u32| self.slots[*slot as usize].id == *id;
        let slot = *self.by_user.find(self.hasher.hash_one(id), same)?;
        Some(MemberId { slot, generation: self.slots[slot as usize].generation })
    }

    fn remove(&mut self, slot: u32) {
        let hash = self.hasher.hash_one(&self.slots[slot as usize].id);
        if let Ok(entry) = self.by_user.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
        self.slots.remove(slot as usize);
    }

    /// Takes a connection away. The user is forgotten when it was the last and their bucket is
    /// full; else a sweep forgets them later, so that reconnecting does not refill it.
    pub fn leave(&mut self, member: MemberId, now_ms: u64) {
        let Some(found) = self.get_mut(member) else { return };
        found.connections = found.connections.saturating_sub(1);
        if found.is_gone() && found.bucket.is_full(now_ms) {
            self.remove(member.slot);
        }
    }

    /// Takes a datagram address away.
    pub fn release(&mut self, member: MemberId, now_ms: u64) {
        let Some(found) = self.get_mut(member) else { return };
        found.leases = found.leases.saturating_sub(1);
        if found.is_gone() && found.bucket.is_full(now_ms) {
            self.remove(member.slot);
        }
    }

    /// Forgets users who have gone and whose buckets are full by now.
    pub fn sweep(&mut self, now_ms: u64) {
        let gone = |(slot, member): (usize, &Member)| {
            (member.is_gone() && member.bucket.is_full(now_ms)).then_some(slot as u32)
        };
        let gone: Vec<u32> = self.slots.iter().filter_map(gone).collect();
        gone.into_iter().for_each(|slot| self.remove(slot));
        if self.slots.is_empty() && self.slots.capacity() > 0 {
            self.slots.shrink_to_fit();
            self.by_user = HashTable::new();
        }
    }

    /// What is known of a member.
    pub fn get(&self, member: MemberId) -> Option<&Member> {
        self.slots.get(member.slot as usize).filter(|found| found.generation == member.generation)
    }

    fn get_mut(&mut self, member: MemberId) -> Option<&mut Member> {
        self.slots.get_mut(member.slot as usize).filter(|found| found.generation == member.generation)
    }

    /// The member that a user is, if they can be told something.
    pub fn find(&self, user: &UserId) -> Option<MemberId> {
        let member = self.known(user)?;
        (!self.get(member)?.is_gone()).then_some(member)
    }

    /// Takes a token from a user's bucket, or says in how many milliseconds there is one.
    pub fn spend(&mut self, member: MemberId, rate: Rate, now_ms: u64) -> Result<(), u32> {
        self.get_mut(member).map_or(Ok(()), |found| found.bucket.take(rate, now_ms))
    }

    /// The same for whoever may have no connection that is known as theirs. Once their bucket is full, a sweep
    /// forgets them.
    pub fn spend_of(&mut self, caller: &Caller, rate: Rate, now_ms: u64) -> Result<(), u32> {
        if rate.per_second == 0 {
            return Ok(());
        }
        let known = self.known(&caller.id).unwrap_or_else(|| self.add(&caller.id, &caller.username, caller.role));
        self.spend(known, rate, now_ms)
    }

    /// Gives the last token back.
    pub fn refund(&mut self, member: MemberId, rate: Rate) {
        if let Some(found) = self.get_mut(member) {
            found.bucket.put_back(rate);
        }
    }

    /// Authenticated sync connections, and the distinct users among them.
    pub const fn sync_counts(&self) -> (usize, usize) {
        self.syncs
    }
}

/// Connections by address, where a bound on them is set.
#[derive(Debug, Default)]
pub struct Addresses {
    connections: HashMap<IpAddr, u32>,
}

impl Addresses {
    /// Adds a connection; `false` when the address has `most` already.
    pub fn enter(&mut self, address: IpAddr, most: u32) -> bool {
        let count = self.connections.entry(address).or_insert(0);
        let room = *count < most;
        *count += u32::from(room);
        room
    }

    /// Takes a connection away.
    pub fn leave(&mut self, address: IpAddr) {
        if let Some(count) = self.connections.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.connections.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::parse(name).unwrap()
    }

    /// A user's connections share one member, up to the bound, and the last one takes it along.
    #[test]
    fn connections_of_a_user_share_a_member() {
        let mut members = Members::default();
        let first = members.enter(&user("a"), "alice", Role::User, 2).unwrap();
        assert_eq!(members.enter(&user("a"), "alice", Role::User, 2), Some(first));
        assert_eq!(members.enter(&user("a"), "alice", Role::User, 2), None);
        members.leave(first, 0);
        assert_eq!(members.find(&user("a")), Some(first));
        members.leave(first, 0);
        assert_eq!(members.find(&user("a")), None);
        assert!(members.get(first).is_none());
    }

    /// An address that datagrams go to keeps a user known, and counts as no connection.
    #[test]
    fn an_address_is_no_connection() {
        let mut members = Members::default();
        let held = members.hold(&user("a"), "alice", Role::User);
        assert_eq!(members.find(&user("a")), Some(held));
        assert_eq!(members.enter(&user("a"), "alice", Role::User, 1), Some(held));
        members.leave(held, 0);
        assert_eq!(members.find(&user("a")), Some(held));
        members.release(held, 0);
        assert!(members.get(held).is_none());
    }

    /// The next user in a slot is not the one before: what was meant for that one finds nobody.
    #[test]
    fn a_member_who_has_gone_is_nobody_else() {
        assert_eq!(size_of::<Option<MemberId>>(), 8);
        let mut members = Members::default();
        let gone = members.enter(&user("a"), "alice", Role::User, 0).unwrap();
        members.leave(gone, 0);
        let next = members.enter(&user("b"), "bob", Role::User, 0).unwrap();
        assert_ne!(gone, next);
        assert!(members.get(gone).is_none());
        members.leave(gone, 0);
        assert_eq!(members.find(&user("b")), Some(next));
    }

    /// Sync connections and their users are counted among all that a user may have, and nothing else is.
    #[test]
    fn sync_connections_are_counted_apart() {
        let mut members = Members::default();
        let enter = |members: &mut Members, name: &str| members.enter(&user(name), name, Role::User, 0).unwrap();
        let (alice, bob) = (enter(&mut members, "a"), enter(&mut members, "b"));
        enter(&mut members, "a");
        members.hold(&user("c"), "c", Role::User);
        assert_eq!(members.sync_counts(), (0, 0));
        for member in [alice, alice, bob] {
            members.begin_sync(member);
        }
        assert_eq!(members.sync_counts(), (3, 2));
        members.end_sync(alice);
        members.end_sync(bob);
        members.end_sync(bob);
        assert_eq!(members.sync_counts(), (1, 1));
    }

    /// Whoever has no connection has a bucket all the same, the one that their connections will share, and is
    /// told nothing and forgotten in time.
    #[test]
    fn whoever_has_no_connection_has_a_bucket() {
        let rate = Rate { per_second: 1, burst: 1 };
        let caller = Caller { id: user("a"), username: "alice".into(), role: Role::User };
        let mut members = Members::default();
        members.spend_of(&caller, Rate { per_second: 0, burst: 0 }, 0).unwrap();
        assert!(members.slots.is_empty(), "nothing is kept where nothing is limited");
        members.spend_of(&caller, rate, 0).unwrap();
        assert_eq!((members.find(&user("a")), members.sync_counts()), (None, (0, 0)));
        let member = members.enter(&user("a"), "alice", Role::User, 0).unwrap();
        assert!(members.spend(member, rate, 500).is_err() && members.spend_of(&caller, rate, 500).is_err());
        members.leave(member, 500);
        members.sweep(5000);
        assert!(members.slots.is_empty());
    }

    /// Reconnecting does not refill a bucket: an empty one outlives its connections until it is full.
    #[test]
    fn an_empty_bucket_outlives_its_connections() {
        let rate = Rate { per_second: 1, burst: 1 };
        let mut members = Members::default();
        let member = members.enter(&user("a"), "alice", Role::User, 0).unwrap();
        members.spend(member, rate, 0).unwrap();
        members.leave(member, 0);
        members.sweep(500);
        let again = members.enter(&user("a"), "alice", Role::User, 0).unwrap();
        assert!(members.spend(again, rate, 500).is_err());
        members.leave(again, 500);
        members.sweep(5000);
        assert!(members.get(again).is_none());
    }
}
