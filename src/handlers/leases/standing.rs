//! What an address may be sent: everything, once it is known that it wants it; until then what it paid for.
//!
//! Whoever writes another's address on a datagram must gain nothing by it. A token proves who somebody is
//! and not where; a ping can be forged as well as a registration. What can't be forged is a number that was
//! sent to the address and comes back from it. Nearby nobody writes another's address from far away.

use std::net::IpAddr;

/// What is known of whether an address wants what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is nearby, or has said what only it was told.
    Proven,
    /// Anybody may have written its address.
    Unproven {
        /// How many bytes it may still be sent.
        credit: usize,
        /// What it is told, and proves itself by saying.
        secret: u64,
    },
}

impl Standing {
    /// That of an address from which a first datagram of so many bytes came.
    pub fn new(address: IpAddr, bytes: usize, secret: u64) -> Self {
        match is_near(address) {
            true => Self::Proven,
            false => Self::Unproven { credit: credit_of(bytes), secret },
        }
    }

    /// A datagram of so many bytes came from it, with a proof or without.
    pub fn hear(&mut self, bytes: usize, proof: Option<u64>) {
        let Self::Unproven { credit, secret } = self else { return };
        *credit = (*credit + credit_of(bytes)).min(CREDIT_MAX);
        if proof == Some(*secret) {
            *self = Self::Proven;
        }
    }

    /// Whether it may be sent so many bytes, which it then has been.
    pub fn pay(&mut self, bytes: usize) -> bool {
        let Self::Unproven { credit, .. } = self else { return true };
        let left = credit.checked_sub(bytes);
        *credit = left.unwrap_or(*credit);
        left.is_some()
    }

    /// What it has to say to be proven.
    pub fn secret(&self) -> Option<u64> {
        match self {
            Self::Proven => None,
            Self::Unproven { secret, .. } => Some(*secret),
        }
    }
}

/// What an address may be sent for a datagram of so many bytes.
pub fn credit_of(bytes: usize) -> usize {
    AMPLIFICATION_MAX * bytes
}

/// Whether an address is on this machine or a private network, where nobody writes another's address on
/// a datagram from far away.
pub fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// As QUIC has it: enough for an answer, too little for an attack.
const AMPLIFICATION_MAX: usize = 3;

/// How much may be saved up: some sixty notifications, for a client that only pings.
const CREDIT_MAX: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn far(bytes: usize) -> Standing {
        Standing::new("203.0.113.9".parse().unwrap(), bytes, 7)
    }

    /// Far away, nobody is sent more than three times what they sent, however often they ping.
    #[test]
    fn nothing_is_amplified() {
        let mut standing = far(100);
        assert!(standing.pay(200) && !standing.pay(101) && standing.pay(100) && !standing.pay(1));
        standing.hear(10, None);
        assert!(!standing.pay(31) && standing.pay(30) && !standing.pay(1));
    }

    /// Only what was sent to the address proves it.
    #[test]
    fn a_guess_is_no_proof() {
        let mut standing = far(1);
        standing.hear(1, Some(8));
        assert_eq!((standing.secret(), standing.pay(7)), (Some(7), false));
        standing.hear(1, Some(7));
        assert!(standing.secret().is_none() && standing.pay(1 << 20));
    }

    /// What is saved up has a bound.
    #[test]
    fn credit_has_a_bound() {
        let mut standing = far(1);
        (0..1000).for_each(|_| standing.hear(1000, None));
        assert!(!standing.pay(CREDIT_MAX + 1) && standing.pay(CREDIT_MAX));
    }

    /// Loopback and private networks are near, also when written as IPv6.
    #[test]
    fn what_is_near() {
        let near = |address: &str| is_near(address.parse().unwrap());
        assert!(["127.0.0.1", "10.0.0.7", "192.168.1.7", "::1", "fd00::1", "::ffff:127.0.0.1"].into_iter().all(near));
        assert!(!["203.0.113.9", "2001:db8::1", "::ffff:203.0.113.9"].into_iter().any(near));
    }
}
