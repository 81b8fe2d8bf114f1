//! The one registry of datagram addresses, of both dialects: who they are, until when, what they may be sent.
//!
//! An address is found by where a datagram came from and through which socket, and by nothing that the
//! datagram says, so nobody can act on another's lease. Everything here is memory and arithmetic on the
//! turn's clock; what registering *does* is in `register`, what an address may be sent in `standing`.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};

use slab::Slab;
use smallvec::SmallVec;

use super::outbox::Outbox;
use super::standing::{Standing, credit_of, is_near};
use crate::handlers::key::{ConnKey, LeaseKey};
use crate::handlers::rate::{Buckets, Rate};
use crate::handlers::session::MemberId;
use crate::store::model::{NoticeId, UserId};

/// The words of a socket's clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Lower case, in envelopes: the clients of port 9091.
    V1,
    /// Upper case, flat: the clients of port 8082.
    V2,
}

/// Where a client is: the socket that it speaks to, and its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// The socket.
    pub socket: u8,
    /// What is spoken there.
    pub dialect: Dialect,
    /// The client's own address.
    pub address: SocketAddr,
}

impl Place {
    /// The machine, or whoever shares its address.
    fn host(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }
}

/// The bounds of leases.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How long a lease lives after the last datagram.
    pub lease_ms: u64,
    /// The same for a client of the first dialect that never pings, nearby.
    pub silent_lease_ms: u64,
    /// Leases of everybody together.
    pub leases_max: usize,
    /// Verified leases of one user.
    pub leases_per_user: usize,
    /// Leases of one IP address that are not verified.
    pub leases_per_address: usize,
    /// Datagrams that an address may send.
    pub rate: Rate,
}

/// Whose a verified lease is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The user.
    pub user: UserId,
    /// The same, among those who can be told something.
    pub member: MemberId,
    /// Whether this address hears of the user's own progress, too.
    pub progress: bool,
}

/// A registered address.
#[derive(Debug)]
pub struct Lease {
    /// Where it is.
    pub place: Place,
    /// Whose it is, if somebody vouches for that.
    pub holder: Option<Box<Holder>>,
    /// What waits to be sent or acknowledged. Most leases hear at once, and need none.
    pub outbox: Option<Box<Outbox>>,
    /// The last notification that came its way. Keys grow, so an older one has been looked up before it
    /// was told.
    pub last: NoticeId,
    /// What its place may be sent.
    pub standing: Standing,
    generation: u32,
    expires_ms: u64,
    /// It has pinged since it registered, so it is none of those that only listen.
    pinged: bool,
}

/// A datagram that came from a place, as far as its lease is concerned.
#[derive(Debug, Clone, Copy)]
pub struct Heard {
    /// How long it was.
    pub bytes: usize,
    /// It was a ping.
    pub ping: bool,
    /// What it says to prove where it came from.
    pub proof: Option<u64>,
}

/// Every lease, and what addresses without one may do.
#[derive(Debug, Default)]
pub struct Registry {
    slots: Slab<Lease>,
    by_place: HashMap<Place, u32>,
    by_user: HashMap<UserId, SmallVec<[u32; 2]>>,
    /// The unverified ones by the address they are at, whatever the port.
    by_address: HashMap<IpAddr, SmallVec<[u32; 2]>>,
    /// The unverified ones in the order in which they end.
    strangers: BTreeSet<(u64, u32)>,
    generation: u32,
    senders: Buckets<SocketAddr>,
    /// What was not sent because an address had sent too little.
    pub held_back: u64,
    /// Datagrams that were not looked at, because their address sent too many.
    pub ignored: u64,
}

impl Registry {
    /// Whether an address may be heard. Nearby every program is somebody of its own; of a host far away
    /// all are one.
    pub fn admit(&mut self, from: SocketAddr, rate: Rate, now_ms: u64) -> bool {
        let sender = if is_near(from.ip()) { from } else { SocketAddr::new(from.ip(), 0) };
        // Nobody can be answered at port 0.
        let admitted = from.port() != 0 && self.senders.take(sender, rate, now_ms).is_ok();
        self.ignored += u64::from(!admitted);
        admitted
    }

    /// Forgets the rates of those who send little.
    pub fn sweep_rates(&mut self, now_ms: u64) {
        self.senders.sweep(now_ms);
    }

    /// The lease of a place.
    pub fn find(&self, place: Place) -> Option<LeaseKey> {
        let index = *self.by_place.get(&place)?;
        Some(LeaseKey { index, generation: self.slots[index as usize].generation })
    }

    /// A lease, unless it has ended.
    pub fn get(&self, key: LeaseKey) -> Option<&Lease> {
        self.slots.get(key.index as usize).filter(|lease| lease.generation == key.generation)
    }

    /// A lease, unless it has ended.
    pub fn get_mut(&mut self, key: LeaseKey) -> Option<&mut Lease> {
        self.slots.get_mut(key.index as usize).filter(|lease| lease.generation == key.generation)
    }

    /// A datagram came from a place: its lease begins anew, if it has one.
    pub fn heard(&mut self, place: Place, heard: Heard, bounds: &Bounds, now_ms: u64) -> Option<LeaseKey> {
        let key = self.find(place)?;
        let lease = &mut self.slots[key.index as usize];
        lease.standing.hear(heard.bytes, heard.proof);
        lease.pinged |= heard.ping;
        let before_ms = lease.expires_ms;
        lease.renew(bounds, now_ms);
        if lease.holder.is_none() && lease.expires_ms != before_ms {
            self.strangers.remove(&(before_ms, key.index));
            self.strangers.insert((lease.expires_ms, key.index));
        }
        Some(key)
    }

    /// Adds a lease for a place that has none. Whether there is room is the caller's concern.
    pub fn add(
        &mut self,
        place: Place,
        holder: Option<Holder>,
        standing: Standing,
        bounds: &Bounds,
        now_ms: u64,
    ) -> LeaseKey {
        self.generation = self.generation % ConnKey::GENERATION_MAX + 1;
        let (generation, user) = (self.generation, holder.as_ref().map(|holder| holder.user.clone()));
        let holder = holder.map(Box::new);
        let mut lease =
            Lease { place, holder, outbox: None, last: 0, standing, generation, expires_ms: 0, pinged: false };
        lease.renew(bounds, now_ms);
        let expires_ms = lease.expires_ms;
        let index = self.slots.insert(lease) as u32;
        let before = self.by_place.insert(place, index);
        debug_assert!(before.is_none(), "a place has two leases");
        match user {
            Some(user) => self.by_user.entry(user).or_default().push(index),
            None => {
                self.by_address.entry(place.host()).or_default().push(index);
                self.strangers.insert((expires_ms, index));
            }
        }
        LeaseKey { index, generation }
    }

    /// Takes a lease out.
    pub fn remove(&mut self, key: LeaseKey) -> Option<Lease> {
        self.get(key)?;
        let lease = self.slots.remove(key.index as usize);
        self.by_place.remove(&lease.place);
        match &lease.holder {
            Some(holder) => take_out(&mut self.by_user, &holder.user, key.index),
            None => {
                take_out(&mut self.by_address, &lease.place.host(), key.index);
                self.strangers.remove(&(lease.expires_ms, key.index));
            }
        }
        if self.slots.is_empty() {
            // Memory goes with the last of a crowd.
            self.slots = Slab::new();
            (self.by_place, self.by_user, self.by_address) = Default::default();
        }
        Some(lease)
    }

    /// The verified leases of a user.
    pub fn of(&self, user: &UserId) -> SmallVec<[LeaseKey; 2]> {
        self.by_user.get(user).into_iter().flatten().map(|index| self.key(*index as usize)).collect()
    }

    /// Which lease must end so that a place gets one: `Ok(None)` when there is room. Of a user who has
    /// too many, or an address that nobody vouches for, it is the one that was silent for longest. When
    /// everybody together has, the verified displace the unverified, and nobody else anybody.
    pub fn in_the_way(&self, user: Option<&UserId>, place: Place, bounds: &Bounds) -> Result<Option<LeaseKey>, Full> {
        let (own, most) = match user {
            Some(user) => (self.by_user.get(user), bounds.leases_per_user),
            None => (self.by_address.get(&place.host()), bounds.leases_per_address),
        };
        if let Some(own) = own.filter(|own| own.len() >= most) {
            let oldest = own.iter().min_by_key(|index| self.slots[**index as usize].expires_ms);
            return Ok(oldest.map(|index| self.key(*index as usize)));
        }
        if self.slots.len() < bounds.leases_max {
            return Ok(None);
        }
        let stranger = self.strangers.first().filter(|_| user.is_some());
        stranger.map(|(_, index)| Some(self.key(*index as usize))).ok_or(Full)
    }

    /// Whether a place may be sent so many bytes, which then count as sent, after it has sent a datagram
    /// of so many.
    pub fn charge(&mut self, place: Place, received: usize, sending: usize) -> bool {
        let key = self.find(place);
        let paid = match key.and_then(|key| self.get_mut(key)) {
            Some(lease) => lease.standing.pay(sending),
            None => is_near(place.host()) || sending <= credit_of(received),
        };
        self.held_back += u64::from(!paid);
        paid
    }

    /// The leases that have ended by themselves, and those with something to send.
    pub fn due(&self, now_ms: u64) -> (Vec<LeaseKey>, Vec<LeaseKey>) {
        let (mut ended, mut busy) = (Vec::new(), Vec::new());
        for (index, lease) in &self.slots {
            if lease.expires_ms <= now_ms {
                ended.push(self.key(index));
            } else if lease.outbox.is_some() {
                busy.push(self.key(index));
            }
        }
        (ended, busy)
    }

    /// How many leases are verified, and how many are not.
    pub fn counts(&self) -> (usize, usize) {
        let verified = self.by_user.values().map(SmallVec::len).sum();
        (verified, self.slots.len() - verified)
    }

    fn key(&self, index: usize) -> LeaseKey {
        LeaseKey { index: index as u32, generation: self.slots[index].generation }
    }
}

impl Lease {
    fn renew(&mut self, bounds: &Bounds, now_ms: u64) {
        // The first dialect's listening client says nothing after it has registered.
        let listens = self.place.dialect == Dialect::V1 && !self.pinged && is_near(self.place.host());
        self.expires_ms = now_ms + if listens { bounds.silent_lease_ms } else { bounds.lease_ms };
    }
}

/// There is no room, and nobody who could make some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Takes a lease out of a list of them, which stays in the order in which they came, and the list when it
/// was the last. It is no longer than a user or an address may have leases.
fn take_out<K: Eq + Hash>(lists: &mut HashMap<K, SmallVec<[u32; 2]>>, of: &K, index: u32) {
    let Some(list) = lists.get_mut(of) else { return };
    if let Some(at) = list.iter().position(|other| *other == index) {
        list.remove(at);
    }
    if list.is_empty() {
        lists.remove(of);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::session::Members;
    use crate::store::model::Role;

    const BOUNDS: Bounds = Bounds {
        lease_ms: 300_000,
        silent_lease_ms: 86_400_000,
        leases_max: 4,
        leases_per_user: 2,
        leases_per_address: 3,
        rate: Rate { per_second: 20, burst: 40 },
    };

    fn place(address: &str, dialect: Dialect) -> Place {
        Place { socket: 0, dialect, address: address.parse().unwrap() }
    }

    fn near(port: u16) -> Place {
        place(&format!("127.0.0.1:{port}"), Dialect::V2)
    }

    fn far(port: u16) -> Place {
        place(&format!("203.0.113.9:{port}"), Dialect::V2)
    }

    fn heard(bytes: usize, ping: bool) -> Heard {
        Heard { bytes, ping, proof: None }
    }

    /// Adds a lease after a first datagram of 100 bytes.
    fn add(registry: &mut Registry, place: Place, holder: Option<Holder>, now_ms: u64) -> LeaseKey {
        registry.add(place, holder, Standing::new(place.host(), 100, 7), &BOUNDS, now_ms)
    }

    fn holder(name: &str) -> Holder {
        let user = UserId::parse(name).unwrap();
        let member = Members::default().enter(&user, name, Role::User, 0).unwrap();
        Holder { user, member, progress: false }
    }

    /// A lease is found by its place alone, lives for five minutes after each datagram, and its handle
    /// dies with it.
    #[test]
    fn a_lease_lives_by_its_own_datagrams() {
        let mut registry = Registry::default();
        let key = add(&mut registry, near(1), None, 0);
        assert_eq!((registry.find(near(1)), registry.find(near(2)), registry.find(far(1))), (Some(key), None, None));
        registry.heard(near(2), heard(40, true), &BOUNDS, 200_000);
        assert_eq!(registry.due(299_999), (vec![], vec![]));
        assert_eq!(registry.due(300_000), (vec![key], vec![]), "another's datagram renewed it");
        registry.heard(near(1), heard(40, false), &BOUNDS, 200_000);
        assert_eq!(registry.due(499_999), (vec![], vec![]));
        assert!(registry.remove(key).is_some() && registry.remove(key).is_none());
        let next = add(&mut registry, near(1), None, 0);
        assert_eq!(next.index, key.index);
        assert!(registry.get(key).is_none() && registry.get(next).is_some());
    }

    /// The first dialect's client that only listens keeps its lease for a day, nearby and until it pings.
    #[test]
    fn a_client_that_never_pings_keeps_its_lease_nearby() {
        let ends = |address: &str, dialect, ping| {
            let mut registry = Registry::default();
            add(&mut registry, place(address, dialect), None, 0);
            registry.heard(place(address, dialect), heard(40, ping), &BOUNDS, 0);
            !registry.due(BOUNDS.lease_ms).0.is_empty()
        };
        for near in ["127.0.0.1:5", "10.0.0.7:5", "192.168.1.7:5", "[::1]:5", "[fd00::1]:5", "[::ffff:127.0.0.1]:5"] {
            assert!(!ends(near, Dialect::V1, false), "{near}");
            assert!(ends(near, Dialect::V1, true) && ends(near, Dialect::V2, false), "{near}");
        }
        for far in ["203.0.113.9:5", "[2001:db8::1]:5", "[::ffff:203.0.113.9]:5"] {
            assert!(ends(far, Dialect::V1, false), "{far}");
        }
    }

    /// A user's own oldest lease makes room for a new one; when all places are taken the verified displace
    /// the unverified, and the unverified nobody.
    #[test]
    fn the_unverified_displace_nobody() {
        let mut registry = Registry::default();
        let ann = UserId::parse("ann").unwrap();
        let old = add(&mut registry, near(1), Some(holder("ann")), 0);
        let stranger = add(&mut registry, near(2), None, 0);
        assert_eq!(registry.in_the_way(Some(&ann), near(9), &BOUNDS), Ok(None));
        add(&mut registry, near(3), Some(holder("ann")), 10);
        assert_eq!(registry.in_the_way(Some(&ann), near(9), &BOUNDS), Ok(Some(old)));
        let bob = UserId::parse("bob").unwrap();
        add(&mut registry, near(4), Some(holder("bob")), 0);
        assert_eq!(registry.counts(), (3, 1));
        assert_eq!(registry.in_the_way(None, near(9), &BOUNDS), Err(Full));
        assert_eq!(registry.in_the_way(Some(&bob), near(9), &BOUNDS), Ok(Some(stranger)));
        registry.remove(stranger);
        add(&mut registry, near(5), Some(holder("cid")), 0);
        assert_eq!(registry.in_the_way(Some(&bob), near(9), &BOUNDS), Err(Full));
        assert_eq!(registry.of(&ann).len(), 2);
    }

    /// One host can't take every place: its own oldest lease makes room, and leaves those of others alone.
    /// Whoever is heard of is not the oldest any more.
    #[test]
    fn a_host_displaces_its_own() {
        let mut registry = Registry::default();
        let bounds = Bounds { leases_max: 100, ..BOUNDS };
        let other = add(&mut registry, near(1), None, 0);
        let first = add(&mut registry, far(1), None, 0);
        let second = add(&mut registry, far(2), None, 1);
        let verified = add(&mut registry, far(3), Some(holder("ann")), 0);
        assert_eq!(registry.in_the_way(None, far(9), &bounds), Ok(None), "the verified one counts");
        add(&mut registry, far(4), None, 2);
        assert_eq!(registry.in_the_way(None, far(9), &bounds), Ok(Some(first)));
        registry.heard(far(1), heard(10, true), &bounds, 3);
        assert_eq!(registry.in_the_way(None, far(9), &bounds), Ok(Some(second)));
        assert_eq!(registry.in_the_way(None, near(9), &bounds), Ok(None));
        let ann = UserId::parse("ann").unwrap();
        assert_eq!(registry.in_the_way(Some(&ann), far(9), &bounds), Ok(None));
        [other, first, second, verified].into_iter().for_each(|key| drop(registry.remove(key)));
        assert_eq!((registry.in_the_way(None, far(9), &bounds), registry.strangers.len()), (Ok(None), 1));
    }

    /// Who has no lease pays with the datagram that is answered; who has one, with all that it sent.
    #[test]
    fn far_away_everything_is_paid_for() {
        let mut registry = Registry::default();
        assert!(registry.charge(far(1), 10, 30) && !registry.charge(far(1), 10, 31));
        assert!(registry.charge(near(1), 1, 1000));
        add(&mut registry, far(1), None, 0);
        assert!(registry.charge(far(1), 100, 300) && !registry.charge(far(1), 100, 1));
        registry.heard(far(1), heard(10, true), &BOUNDS, 0);
        assert!(registry.charge(far(1), 10, 30) && !registry.charge(far(1), 10, 1), "a ping proves nothing");
        assert_eq!(registry.held_back, 3);
    }

    /// Too many datagrams are not looked at: of each program nearby, of each host far away.
    #[test]
    fn an_address_has_a_rate() {
        let mut registry = Registry::default();
        let mut heard =
            |address: &str| (0..100).filter(|_| registry.admit(address.parse().unwrap(), BOUNDS.rate, 0)).count();
        assert_eq!((heard("127.0.0.1:1"), heard("127.0.0.1:2")), (40, 40));
        assert_eq!((heard("203.0.113.9:1"), heard("203.0.113.9:2")), (40, 0));
        assert_eq!(heard("127.0.0.1:0"), 0);
    }
}
