//! Names for those who can be spoken to: handles that may outlive what they name.
//!
//! A slot in a table is used again, so an index alone could name a stranger. Every handle here
//! carries a generation; a stale one resolves to nothing and is harmless wherever it was kept: in a
//! topic, a timer or a job on another thread.

/// A connection: the only handle to one that crosses a phase of the turn or a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnKey {
    /// The slot.
    pub index: u32,
    /// Which use of the slot, from 1 to [`ConnKey::GENERATION_MAX`].
    pub generation: u32,
}

impl ConnKey {
    /// No connection: of what belongs to none.
    pub const NOBODY: ConnKey = ConnKey { index: 0, generation: 0 };

    /// The highest generation: two bits are left for the kind of a [`Subscriber`]. After a billion
    /// connections the count starts again at 1; a handle that old has long been forgotten.
    pub const GENERATION_MAX: u32 = (1 << 30) - 1;

    /// The key as one number, never below 2³²: smaller ones are free for other uses of a poll token.
    pub const fn pack(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// The key that [`pack`](Self::pack) made, or `None` for a number that is no connection's.
    pub const fn unpack(packed: u64) -> Option<Self> {
        match (packed >> 32) as u32 {
            0 => None,
            generation => Some(Self { index: packed as u32, generation }),
        }
    }
}

/// A registered datagram address: a place among the leases, and which use of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseKey {
    /// The slot.
    pub index: u32,
    /// Which use of the slot, from 1 to [`ConnKey::GENERATION_MAX`].
    pub generation: u32,
}

/// Who can be a member of a topic, in eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subscriber {
    index: u32,
    kind_and_generation: u32,
}

/// What a [`Subscriber`] stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Audience {
    /// A connection of the reactor.
    Conn(ConnKey),
    /// A datagram address that registered: the service knows where it is.
    Lease(LeaseKey),
    /// A stream or queue that another thread reads: the service knows its end.
    Stream(u32),
}

impl Subscriber {
    /// The member in eight bytes.
    pub const fn new(audience: Audience) -> Self {
        let (index, kind, generation) = match audience {
            Audience::Conn(key) => (key.index, 0, key.generation),
            Audience::Lease(key) => (key.index, 1, key.generation),
            Audience::Stream(index) => (index, 2, 0),
        };
        Self { index, kind_and_generation: kind << 30 | generation }
    }

    /// Who it is.
    pub const fn audience(self) -> Audience {
        let (index, generation) = (self.index, self.kind_and_generation & ConnKey::GENERATION_MAX);
        match self.kind_and_generation >> 30 {
            0 => Audience::Conn(ConnKey { index, generation }),
            1 => Audience::Lease(LeaseKey { index, generation }),
            _ => Audience::Stream(index),
        }
    }
}

impl From<LeaseKey> for Subscriber {
    fn from(key: LeaseKey) -> Self {
        Self::new(Audience::Lease(key))
    }
}

impl From<ConnKey> for Subscriber {
    fn from(key: ConnKey) -> Self {
        Self::new(Audience::Conn(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key survives being a poll token, and small tokens are nobody's.
    #[test]
    fn a_key_survives_packing() {
        let key = ConnKey { index: u32::MAX, generation: ConnKey::GENERATION_MAX };
        assert_eq!(ConnKey::unpack(key.pack()), Some(key));
        assert_eq!(ConnKey::unpack(u32::MAX as u64), None);
    }

    /// The three kinds of subscriber stay apart in eight bytes.
    #[test]
    fn subscribers_are_eight_bytes_and_keep_their_kind() {
        assert_eq!(size_of::<Subscriber>(), 8);
        let key = ConnKey { index: 7, generation: ConnKey::GENERATION_MAX };
        let lease = LeaseKey { index: 7, generation: ConnKey::GENERATION_MAX };
        for audience in [Audience::Conn(key), Audience::Lease(lease), Audience::Stream(7)] {
            assert_eq!(Subscriber::new(audience).audience(), audience);
        }
    }
}
