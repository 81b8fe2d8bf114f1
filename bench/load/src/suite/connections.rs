//! The claims about single connections: a ping on each of a thousand, and what one costs that keeps still.

use super::realtime::ratio_row;
use super::{Pairs, Suite};
use crate::drive::Outcome;
use crate::error::LoadError;
use crate::progress::Progress;
use crate::report::chart::{CEILING, SERVER};
use crate::report::{Row, Verdict, count, verdict};
use crate::scenario::echo::Echoes;
use crate::scenario::idle::{self, Growth};
use crate::scenario::ping::{Pings, pong_length};
use crate::scenario::task::{Job, Setup, Work};
use crate::server::{Echo, MangaHub};
use crate::sources::Sources;
use crate::stats::Summary;
use crate::token::{forge, forge_tokens};

impl Suite<'_> {
    /// Pings on many connections, one in flight on each, and the bare loop's echo of lines as long as a pong.
    pub fn ping(&mut self) {
        let connections = self.scale.ping_connections;
        let hub = self.start_server(&[]);
        let pings = hub.as_ref().and_then(|hub| self.keep(pings(hub, connections), "pings"));
        let bare = self.keep(Echo::start_bare(&self.places.ceiling, self.core), "the bare echo");
        let bytes = pings.as_ref().and_then(|pings| self.keep(pong_length(pings), "the length of a pong"));
        let mut rates = Pairs::default();
        let mut costs = [None, None];
        if let (Some(hub), Some(pings), Some(bare), Some(bytes)) = (&hub, pings, &bare, bytes) {
            let echoes = Echoes { tcp: bare.address, connections, bytes, in_flight: 1, rate: None };
            for _ in 0..self.scale.slices {
                rates.other.take(|| self.drive(Work::Echo(echoes.clone()), bare.pid(), &mut costs[0]));
                rates.server.take(|| self.drive(Work::Ping(pings.clone()), hub.pid(), &mut costs[1]));
            }
        }
        if let [Some(bare_us), Some(hub_us)] = costs {
            self.note(format!(
                "A ping costs {hub_us:.2} µs of processor time, the bare loop's echo of as many bytes {bare_us:.2} µs \
                 (the last round of each)."
            ));
        }
        for (peer, samples) in [(CEILING, &rates.other), (SERVER, &rates.server)] {
            self.plot_latency("Latency: a ping on each connection", peer, &samples.latencies);
        }
        let settled = self.settle_pairs(rates);
        let work = format!("ping over {} connections, one in flight each", count(connections as f64));
        self.report.rows.push(ratio_row(work, settled, "pings/s", Some(PING_FLOOR)));
    }

    /// How many in a second, how long each took, and what one cost the process `pid`.
    fn drive(&self, work: Work, pid: u32, cost: &mut Option<f64>) -> Result<(f64, Summary), LoadError> {
        let setup = Setup { sources: Sources::default(), pace: self.slice(), pid: Some(pid) };
        let outcome = Outcome::of(Job { setup, work }.prepare()?.step(&Progress::HIDDEN)?);
        *cost = outcome.server_cpu_us_per_operation;
        match outcome.work.first() {
            Some(work) if outcome.failed() == 0 => Ok((work.operations_per_second, work.latency.clone())),
            _ => Err(LoadError::Wrong(outcome.to_string())),
        }
    }

    /// What an idle connection costs in memory, and whether one more costs the same at every size.
    pub fn idle(&mut self) {
        self.idle_of("one user's connections", 1, 256.0);
        self.idle_of("a different user each", usize::MAX, 512.0);
    }

    fn idle_of(&mut self, whose: &str, users: usize, bytes_max: f64) {
        let sizes = self.scale.idle;
        let hub = self.start_server(&[]);
        let measured = hub.as_ref().map(|hub| {
            let largest = sizes.last().copied().unwrap_or_default();
            let tokens = forge_tokens(&hub.secret, users.min(largest))?;
            idle::grow(hub.tcp()?, hub.pid(), &tokens, sizes, Sources::default(), 1, &Progress::HIDDEN)
        });
        let growth = measured.and_then(|measured| self.keep(measured, "idle connections"));
        self.report.rows.push(idle_row(whose, sizes, growth.as_ref(), bytes_max));
    }
}

fn pings(hub: &MangaHub, connections: usize) -> Result<Pings, LoadError> {
    let tokens = vec![forge(&hub.secret, "pinger", "pinger")?.token];
    Ok(Pings { tcp: hub.tcp()?, tokens, connections, in_flight: 1, rate: None })
}

/// A claim about the slope, and about the dearest step from one size to the next.
fn idle_row(whose: &str, sizes: &[usize], growth: Option<&Growth>, bytes_max: f64) -> Row {
    let [from, to] = [sizes.first(), sizes.last()].map(|size| count(size.copied().unwrap_or_default() as f64));
    let shown = |growth: &Growth| {
        let steps: Vec<String> = growth.steps.iter().map(|step| format!("{step:.0}")).collect();
        format!("{:.0} bytes; from size to size {}", growth.bytes_per_connection, steps.join(", "))
    };
    let met = |growth: &Growth| verdict(growth.bytes_per_connection.max(growth.dearest_step()) <= bytes_max);
    Row {
        work: format!("one more idle authenticated TCP connection, {from} to {to}, {whose}"),
        number: growth.map_or("not measured".to_owned(), shown),
        ratio: None,
        floor: format!("at most {bytes_max} bytes of user space at every size"),
        verdict: growth.map_or(Verdict::NotMeasured, met),
    }
}

const PING_FLOOR: f64 = 0.85;

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that one dear step spoils a cheap slope, and that nothing measured is nothing claimed.
    #[test]
    fn every_step_must_be_cheap() {
        let row = |steps: &[f64]| {
            let growth = Growth { points: Vec::new(), bytes_per_connection: 200.0, steps: steps.to_vec() };
            idle_row("one user's", &[1000, 19_000], Some(&growth), 256.0)
        };
        assert_eq!(row(&[190.0, 256.0]).verdict, Verdict::Met);
        assert_eq!(row(&[190.0, 257.0]).verdict, Verdict::Missed);
        assert_eq!(row(&[190.2, 240.0]).number, "200 bytes; from size to size 190, 240");
        assert_eq!(idle_row("w", &[1, 2], None, 256.0).verdict, Verdict::NotMeasured);
    }
}
