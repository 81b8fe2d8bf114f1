//! The one registry of datagram addresses, of both dialects: who they are, until when, what they may be sent.
//!
//! An address is found by where a datagram came from and through which socket, and by nothing that the
//! datagram says, so nobody can act on another's lease. Everything here is memory and arithmetic on the
//! turn's clock; what registering *does* is the module above.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use slab::Slab;
use smallvec::SmallVec;

use super::outbox::Outbox;
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
    generation: u32,
    expires_ms: u64,
    /// It has pinged since it registered: it gets what it is sent.
    pinged: bool,
    /// What it sent and was sent since it registered, in bytes.
    bytes: (u64, u64),
}

/// Every lease, and what addresses without one may do.
#[derive(Debug, Default)]
pub struct Registry {
    slots: Slab<Lease>,
    by_place: HashMap<Place, u32>,
    by_user: HashMap<UserId, SmallVec<[u32; 2]>>,
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

    /// A datagram of so many bytes came from a place: its lease begins anew, if it has one.
    pub fn heard(&mut self, place: Place, bytes: usize, ping: bool, bounds: &Bounds, now_ms: u64) {
        let Some(lease) = self.find(place).and_then(|key| self.get_mut(key)) else { return };
        lease.bytes.0 += bytes as u64;
        lease.pinged |= ping;
        lease.renew(bounds, now_ms);
    }

    /// Adds a lease for a place that has none, after a datagram of so many bytes. Whether there is room is
    /// the caller's concern.
    pub fn add(
        &mut self,
        place: Place,
        holder: Option<Holder>,
        bytes: usize,
        bounds: &Bounds,
        now_ms: u64,
    ) -> LeaseKey {
        self.generation = self.generation % ConnKey::GENERATION_MAX + 1;
        let (generation, user) = (self.generation, holder.as_ref().map(|holder| holder.user.clone()));
        let bytes = (bytes as u64, 0);
        let holder = holder.map(Box::new);
        let mut lease = Lease { place, holder, outbox: None, last: 0, generation, expires_ms: 0, pinged: false, bytes };
        lease.renew(bounds, now_ms);
        let index = self.slots.insert(lease) as u32;
        let before = self.by_place.insert(place, index);
        debug_assert!(before.is_none(), "a place has two leases");
        if let Some(user) = user {
            self.by_user.entry(user).or_default().push(index);
        }
        LeaseKey { index, generation }
    }

    /// Takes a lease out.
    pub fn remove(&mut self, key: LeaseKey) -> Option<Lease> {
        self.get(key)?;
        let lease = self.slots.remove(key.index as usize);
        self.by_place.remove(&lease.place);
        if let Some(user) = lease.holder.as_ref().map(|holder| &holder.user)
            && let Some(places) = self.by_user.get_mut(user)
        {
            places.retain(|index| *index != key.index);
            if places.is_empty() {
                self.by_user.remove(user);
            }
        }
        if self.slots.is_empty() {
            // Memory goes with the last of a crowd.
            (self.slots, self.by_place, self.by_user) = Default::default();
        }
        Some(lease)
    }

    /// The verified leases of a user.
    pub fn of(&self, user: &UserId) -> SmallVec<[LeaseKey; 2]> {
        self.by_user.get(user).into_iter().flatten().map(|index| self.key(*index as usize)).collect()
    }

    /// Which lease must end so that there is room for one more: `Ok(None)` when there is. Of a user who has
    /// too many it is the one that was silent for longest. When everybody together has, the verified
    /// displace the unverified, and nobody else anybody.
    pub fn in_the_way(&self, user: Option<&UserId>, bounds: &Bounds) -> Result<Option<LeaseKey>, Full> {
        let own = user.map(|user| self.of(user)).unwrap_or_default();
        if !own.is_empty() && own.len() >= bounds.leases_per_user {
            return Ok(own.into_iter().min_by_key(|key| self.get(*key).map(|lease| lease.expires_ms)));
        }
        if self.slots.len() < bounds.leases_max {
            return Ok(None);
        }
        let strangers = self.slots.iter().filter(|(_, lease)| user.is_some() && lease.holder.is_none());
        strangers.min_by_key(|(_, lease)| lease.expires_ms).map(|(index, _)| Some(self.key(index))).ok_or(Full)
    }

    /// Whether a place may be sent so many bytes, which then count as sent. Somebody far away who has not
    /// shown that they are there gets at most three times what they sent: whoever writes another's address
    /// on a datagram gains nothing.
    pub fn charge(&mut self, place: Place, received: usize, sending: usize) -> bool {
        if is_near(place.address.ip()) {
            return true;
        }
        let lease = self.find(place).and_then(|key| self.get_mut(key));
        let paid = match lease {
            None => sending <= AMPLIFICATION_MAX * received,
            Some(lease) => {
                let sent = lease.bytes.1 + sending as u64;
                let paid = lease.pinged || sent <= AMPLIFICATION_MAX as u64 * lease.bytes.0;
                lease.bytes.1 += if paid { sending as u64 } else { 0 };
                paid
            }
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
        let listens = self.place.dialect == Dialect::V1 && !self.pinged && is_near(self.place.address.ip());
        self.expires_ms = now_ms + if listens { bounds.silent_lease_ms } else { bounds.lease_ms };
    }
}

/// There is no room, and nobody who could make some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Whether an address is on this machine or a private network, where nobody writes another's address on
/// a datagram from far away.
fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// As QUIC has it: enough for an answer, too little for an attack.
const AMPLIFICATION_MAX: usize = 3;

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
        let key = registry.add(near(1), None, 40, &BOUNDS, 0);
        assert_eq!((registry.find(near(1)), registry.find(near(2)), registry.find(far(1))), (Some(key), None, None));
        registry.heard(near(2), 40, true, &BOUNDS, 200_000);
        assert_eq!(registry.due(299_999), (vec![], vec![]));
        assert_eq!(registry.due(300_000), (vec![key], vec![]), "another's datagram renewed it");
        registry.heard(near(1), 40, false, &BOUNDS, 200_000);
        assert_eq!(registry.due(499_999), (vec![], vec![]));
        assert!(registry.remove(key).is_some() && registry.remove(key).is_none());
        let next = registry.add(near(1), None, 40, &BOUNDS, 0);
        assert_eq!(next.index, key.index);
        assert!(registry.get(key).is_none() && registry.get(next).is_some());
    }

    /// The first dialect's client that only listens keeps its lease for a day, nearby and until it pings.
    #[test]
    fn a_client_that_never_pings_keeps_its_lease_nearby() {
        let ends = |address: &str, dialect, ping| {
            let mut registry = Registry::default();
            registry.add(place(address, dialect), None, 40, &BOUNDS, 0);
            registry.heard(place(address, dialect), 40, ping, &BOUNDS, 0);
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
        let old = registry.add(near(1), Some(holder("ann")), 40, &BOUNDS, 0);
        let stranger = registry.add(near(2), None, 40, &BOUNDS, 0);
        assert_eq!(registry.in_the_way(Some(&ann), &BOUNDS), Ok(None));
        registry.add(near(3), Some(holder("ann")), 40, &BOUNDS, 10);
        assert_eq!(registry.in_the_way(Some(&ann), &BOUNDS), Ok(Some(old)));
        let bob = UserId::parse("bob").unwrap();
        registry.add(near(4), Some(holder("bob")), 40, &BOUNDS, 0);
        assert_eq!(registry.counts(), (3, 1));
        assert_eq!(registry.in_the_way(None, &BOUNDS), Err(Full));
        assert_eq!(registry.in_the_way(Some(&bob), &BOUNDS), Ok(Some(stranger)));
        registry.remove(stranger);
        registry.add(near(5), Some(holder("cid")), 40, &BOUNDS, 0);
        assert_eq!(registry.in_the_way(Some(&bob), &BOUNDS), Err(Full));
        assert_eq!(registry.of(&ann).len(), 2);
    }

    /// Far away, nobody is sent more than three times what they sent, until they have pinged.
    #[test]
    fn nothing_is_amplified() {
        let mut registry = Registry::default();
        assert!(registry.charge(far(1), 10, 30) && !registry.charge(far(1), 10, 31));
        assert!(registry.charge(near(1), 1, 1000));
        registry.add(far(1), None, 100, &BOUNDS, 0);
        assert!(registry.charge(far(1), 100, 200) && registry.charge(far(1), 0, 100) && !registry.charge(far(1), 0, 1));
        registry.heard(far(1), 10, false, &BOUNDS, 0);
        assert!(registry.charge(far(1), 10, 30) && !registry.charge(far(1), 10, 1));
        registry.heard(far(1), 10, true, &BOUNDS, 0);
        assert!(registry.charge(far(1), 10, 5000));
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
