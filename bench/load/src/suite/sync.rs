//! The claims about sync over TCP: ingest and the storm.

use super::{Pairs, STORED_SERIES, Samples, Suite, WAITS};
use crate::error::LoadError;
use crate::report::{Row, Verdict, count, ratio, verdict};
use crate::scenario::{Pace, accepts, connect, ingest};
use crate::server::{Ceiling, MangaHub};
use crate::stats::median;
use crate::token::{forge, register};

impl Suite<'_> {
    /// Durable updates, and SQLite alone.
    pub fn ingest(&mut self) {
        let users = self.scale.ingest_users;
        let hub = self.start_server(&[("MANGAHUB_TCP_BROADCAST_SCOPE", "user")]);
        let identities = hub
            .as_ref()
            .and_then(|hub| self.keep(hub.http().and_then(|http| register(http, users)), "registering the readers"));
        let hub = hub.zip(identities);
        let (mut rates, mut p99_ms) = (Pairs::default(), Vec::new());
        for _ in 0..self.scale.rounds {
            let places = self.places;
            rates.other.take(|| Ceiling::sqlite(&places.ceiling, self.core, &places.data, self.scale.sqlite_updates));
            if let Some((hub, identities)) = &hub {
                let pace = Pace::seconds(self.scale.seconds * 2.0);
                rates.server.take(|| {
                    let outcome = ingest::run(hub.tcp()?, identities, STORED_SERIES, INGEST_IN_FLIGHT, pace)?;
                    p99_ms.push(outcome.latency.p99_ms);
                    Ok((outcome.updates_per_second, outcome.latency))
                });
            }
        }
        self.plot_latency(WAITS, "a durable update, to its broadcast", &rates.server.latencies);
        let [server, sqlite, ratio] = self.settle_pairs(rates);
        if let Some(sqlite) = sqlite {
            self.note(format!("SQLite alone, in groups of 1,000: {} durable updates a second.", count(sqlite)));
        }
        self.report.rows.push(ingest_row(users, server, ratio, median(&p99_ms)));
    }

    /// Everyone connects at once, to the server and to the bare loop: of several storms on the server, the one whose
    /// slowest client waited longest.
    pub fn storm(&mut self) {
        let clients = self.scale.storm_clients;
        let hub = self.start_server(&[]);
        let bare = self.keep(Ceiling::start_accepts(&self.places.ceiling, self.core), "the bare loop that accepts");
        let (mut storms, mut of_bare, mut failure) = (Vec::new(), Samples::default(), None);
        for _ in 0..STORMS {
            if let Some(bare) = &bare {
                of_bare.take(|| accepts::run(bare.address, clients));
            }
            let storm = hub.as_ref().map(|hub| {
                let token = forge(&hub.secret, "storm", "storm")?.token;
                connect::run(hub.tcp()?, std::slice::from_ref(&token), clients, usize::MAX)
            });
            match storm {
                Some(Ok(storm)) => storms.push(storm),
                Some(Err(error)) => failure = Some(error),
                None => {}
            }
        }
        if let Some(error) = failure {
            self.note(format!("Not measured: the storm: {error}"));
            storms.clear();
        }
        if let Some(slowest) = slowest_of(&storms) {
            self.plot_latency(WAITS, "connect and authenticate, in the storm", &slowest.wait.percentiles);
        }
        let accepts = self.settle(of_bare);
        for (reason, times) in storms.iter().flat_map(|storm| &storm.failures).take(1) {
            self.note(format!("In a storm, {times} clients failed: {reason}"));
        }
        if let Some(accepts) = accepts {
            self.note(format!("The bare loop accepts {} of {} a second.", count(accepts), count(clients as f64)));
        }
        self.report.rows.push(storm_row(clients, &storms, accepts));
    }
}

/// The storm whose slowest client waited longest.
fn slowest_of(storms: &[connect::Storm]) -> Option<&connect::Storm> {
    storms.iter().max_by(|a, b| a.wait.max_ms.total_cmp(&b.wait.max_ms))
}

/// The slowest storm's latencies, and the middle one's rate against bare accepts.
fn storm_row(clients: usize, storms: &[connect::Storm], accepts: Option<f64>) -> Row {
    let slowest = slowest_of(storms);
    let rate = median(&storms.iter().map(|storm| storm.logins_per_second).collect::<Vec<_>>());
    let number = slowest.zip(rate).map(|(storm, rate)| {
        format!("max {:.0} ms, p99 {:.0} ms, {} logins/s", storm.wait.max_ms, storm.wait.p99_ms, count(rate))
    });
    let ratio = ratio(rate, accepts);
    let everyone = |storm: &connect::Storm| storm.failures.is_empty() && storm.wait.count == clients as u64;
    let met = slowest.zip(ratio).map(|(slowest, ratio)| {
        verdict(storms.iter().all(everyone) && slowest.wait.max_ms <= STORM_WAIT_MS && ratio >= STORM_FLOOR)
    });
    Row {
        work: format!("{} TCP clients connect and authenticate at once", count(clients as f64)),
        number: number.unwrap_or("not measured".to_owned()),
        ratio,
        floor: format!("{STORM_FLOOR} of bare accepts, all of them, none waits over 1 s"),
        verdict: met.unwrap_or(Verdict::NotMeasured),
    }
}

fn ingest_row(users: usize, server: Option<f64>, ratio: Option<f64>, p99_ms: Option<f64>) -> Row {
    let number = server.map_or("not measured".to_owned(), |server| {
        format!("{} updates/s, p99 {:.0} ms", count(server), p99_ms.unwrap_or_default())
    });
    let met = server.zip(ratio).zip(p99_ms).map(|((server, ratio), p99_ms)| {
        verdict(server >= INGEST_FLOOR && ratio >= INGEST_RATIO_FLOOR && p99_ms < INGEST_P99_MS)
    });
    Row {
        work: format!("durable progress updates, {} users, {INGEST_IN_FLIGHT} in flight each", count(users as f64)),
        number,
        ratio,
        floor: format!(
            "{} a second and {INGEST_RATIO_FLOOR} of SQLite alone, p99 under {INGEST_P99_MS} ms",
            count(INGEST_FLOOR)
        ),
        verdict: met.unwrap_or(Verdict::NotMeasured),
    }
}

/// Somebody who may publish.
pub fn token_of_a_new_user(hub: &MangaHub) -> Result<String, LoadError> {
    let mut identities = register(hub.http()?, 1)?;
    identities.pop().map(|identity| identity.token).ok_or_else(|| LoadError::Missing("no user".to_owned()))
}

/// Two, so that a reader's next update waits at the server while the group with the last one commits.
const INGEST_IN_FLIGHT: usize = 2;

const INGEST_FLOOR: f64 = 40_000.0;
const INGEST_RATIO_FLOOR: f64 = 0.28;
const INGEST_P99_MS: f64 = 100.0;

/// A wait of a second is rare: one storm would seldom show it. The worst of these counts.
const STORMS: usize = 3;

/// A client that waits longer has lost its first packet, and sent it again.
const STORM_WAIT_MS: f64 = 1000.0;

/// Authenticating is a second message, a signature to check and an answer.
const STORM_FLOOR: f64 = 0.5;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stats::Latencies;

    /// Shows that ingest must reach each of its floors.
    #[test]
    fn ingest_needs_all_floors() {
        let verdict = |server, ratio, p99_ms| ingest_row(1000, server, ratio, Some(p99_ms)).verdict;
        assert_eq!(verdict(Some(41_000.0), Some(0.29), 50.0), Verdict::Met);
        assert_eq!(verdict(Some(39_000.0), Some(0.39), 50.0), Verdict::Missed);
        assert_eq!(verdict(Some(41_000.0), Some(0.27), 50.0), Verdict::Missed);
        assert_eq!(verdict(Some(41_000.0), Some(0.29), 101.0), Verdict::Missed);
        assert_eq!(verdict(Some(41_000.0), None, 50.0), Verdict::NotMeasured);
    }

    /// Shows that in a storm nobody may fail or wait long, and that its rate needs the bare loop's beside it.
    #[test]
    fn a_storm_needs_all_floors() {
        let storm = |ms: u64, clients: u64| {
            let mut wait = Latencies::new();
            (0..clients).for_each(|_| wait.record(Duration::from_millis(ms)));
            connect::Storm { wait: wait.summary(), logins_per_second: 100.0, failures: Default::default() }
        };
        let verdict = |storms: &[connect::Storm], accepts| storm_row(3, storms, accepts).verdict;
        assert_eq!(verdict(&[storm(9, 3), storm(90, 3)], Some(200.0)), Verdict::Met);
        assert_eq!(verdict(&[storm(9, 3), storm(9, 3)], Some(201.0)), Verdict::Missed);
        assert_eq!(verdict(&[storm(9, 3), storm(1100, 3)], Some(200.0)), Verdict::Missed);
        assert_eq!(verdict(&[storm(9, 3), storm(9, 2)], Some(200.0)), Verdict::Missed);
        assert_eq!(verdict(&[storm(9, 3)], None), Verdict::NotMeasured);
        assert_eq!(verdict(&[], Some(200.0)), Verdict::NotMeasured);
    }
}
