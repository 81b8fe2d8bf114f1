//! Source addresses within 127.0.0.0/8, so that ports don't run out.
//!
//! A connection is known by both of its ends. From one address to one server there are some 28,000 ports; each
//! address more is as many again. Linux owns all of 127.0.0.0/8 without being told, so nothing has to be set up.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::error::LoadError;

/// Which addresses connections come from, in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    first: u32,
    count: u32,
}

impl Sources {
    /// The first `count` addresses, 127.0.0.1 and on.
    pub fn new(count: u32) -> Result<Self, LoadError> {
        match (1..=SOURCES_MAX).contains(&count) {
            true => Ok(Self { first: 0, count }),
            false => Err(LoadError::Missing(format!("--sources is between 1 and {SOURCES_MAX}"))),
        }
    }

    /// The address of connection number `index`.
    pub fn address(self, index: usize) -> Ipv4Addr {
        let at = (self.first + (index % self.count as usize) as u32) % SOURCES_MAX;
        // Neither .0 nor .255: some tools take them for networks.
        Ipv4Addr::new(127, 0, (at / HOSTS) as u8, (1 + at % HOSTS) as u8)
    }

    /// The addresses for process number `process`: as many, beginning elsewhere, so that processes do not try the
    /// same ports at the same time.
    pub fn of_process(self, process: usize) -> Self {
        Self { first: (self.first + process as u32 * self.count) % SOURCES_MAX, ..self }
    }
}

impl Default for Sources {
    /// 127.0.0.1 to 127.0.0.16: ten times the ports that 20,000 descriptors need, so that connections of earlier
    /// runs that still linger don't matter.
    fn default() -> Self {
        Self { first: 0, count: 16 }
    }
}

/// Hosts that are used of each 127.0.x.0/24.
const HOSTS: u32 = 254;

/// All of 127.0.0.0/16.
const SOURCES_MAX: u32 = HOSTS * 256;

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that addresses come in turn, that a second process begins behind the first, and that none ends in 0
    /// or 255 or leaves the loopback network.
    #[test]
    fn addresses_come_in_turn() {
        let sources = Sources::new(3).unwrap();
        let of = |sources: Sources| (0..4).map(|index| sources.address(index).octets()[3]).collect::<Vec<_>>();
        assert_eq!((of(sources), of(sources.of_process(1))), (vec![1, 2, 3, 1], vec![4, 5, 6, 4]));
        let all = Sources::new(SOURCES_MAX).unwrap();
        for index in 0..SOURCES_MAX as usize {
            let [network, _, _, host] = all.address(index).octets();
            assert!(network == 127 && (1..=254).contains(&host), "{index}");
        }
        assert!(Sources::new(0).is_err() && Sources::new(SOURCES_MAX + 1).is_err());
    }
}
