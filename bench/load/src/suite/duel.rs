//! Two who take turns at the same fan-out in short slices, both connected all the while.
//!
//! Connecting thousands takes seconds, in which a neighbour on the machine comes or goes. Here only a fraction of a
//! second lies between what is compared.

use super::samples::Pairs;
use crate::drive::Meter;
use crate::error::LoadError;
use crate::progress::Progress;
use crate::scenario::Pace;
use crate::scenario::fanout::Loop;

/// One of the two: connections that are ready, and the process at their other end.
pub struct Side {
    /// The clients.
    pub clients: Loop,
    /// Who sends them what they receive.
    pub pid: u32,
}

/// What the two did.
#[derive(Default)]
pub struct Duel {
    /// Deliveries per second, slice by slice, and how long messages took.
    pub rates: Pairs,
    /// What a delivery cost the server, in nanoseconds of processor time.
    pub server_ns: Vec<f64>,
    /// The same of the other.
    pub other_ns: Vec<f64>,
}

/// So many slices of each. What the server's clients measured before counts among its latencies.
pub fn duel(server: &mut Side, other: &mut Side, slices: usize, pace: Pace) -> Duel {
    let mut duel = Duel::default();
    for _ in 0..slices {
        duel.rates.other.take(|| other.slice(pace, &mut duel.other_ns));
        duel.rates.server.take(|| server.slice(pace, &mut duel.server_ns));
    }
    duel.rates.other.latencies = other.clients.latencies();
    duel.rates.server.latencies = server.clients.latencies();
    duel
}

impl Side {
    fn slice(&mut self, pace: Pace, ns: &mut Vec<f64>) -> Result<f64, LoadError> {
        let meter = Meter { progress: &Progress::HIDDEN, pid: Some(self.pid) };
        let slice = self.clients.slice(pace, &meter)?;
        ns.extend(slice.server_cpu_us_per_delivery.map(|us| us * 1000.0));
        Ok(slice.deliveries_per_second)
    }
}
