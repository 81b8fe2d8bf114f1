//! The claims about sync over TCP: fan-out, ingest, idle connections and the storm.

use super::{STORED_SERIES, Samples, Suite, UNKNOWN_SERIES, WAITS};
use crate::error::LoadError;
use crate::message::Message;
use crate::report::chart::{CEILING, SERVER};
use crate::report::{FanOutRow, Row, Verdict, count, ratio, verdict};
use crate::scenario::{Pace, connect, fanout, fanout_redis, idle, ingest};
use crate::server::{Ceiling, MangaHub, Redis};
use crate::stats::median;
use crate::token::{forge, forge_many, register};

/// One kind of fan-out.
struct FanOutWork {
    stored: bool,
    in_flight: usize,
    floor: f64,
}

/// Whose the idle connections are.
pub enum IdleUsers {
    /// One user's.
    One,
    /// A different user's each.
    Many,
}

impl Suite<'_> {
    /// Fan-out by the three peers in turn.
    pub fn fan_out(&mut self) {
        let hub = self.start_server(&[("MANGAHUB_TCP_BROADCAST_SCOPE", "all")]);
        let token = hub.as_ref().and_then(|hub| self.keep(token_of_a_new_user(hub), "registering a publisher"));
        let hub = hub.zip(token);
        let ceiling = self.keep(Ceiling::start(&self.places.ceiling, self.core), "the bare loop");
        let redis = self.keep(Redis::start(self.core), "Redis");
        let mut taken: Vec<[Samples; 3]> = FAN_OUTS.iter().map(|_| Default::default()).collect();
        let lengths: Vec<usize> = FAN_OUTS.iter().map(|work| self.line_length(hub.as_ref(), work)).collect();
        let (clients, pace) = (self.scale.fan_out_clients, Pace::seconds(self.scale.seconds));
        for _ in 0..self.scale.rounds {
            for ((work, samples), &bytes) in FAN_OUTS.iter().zip(&mut taken).zip(&lengths) {
                let [of_ceiling, of_redis, of_hub] = samples;
                let per_second = |outcome: fanout::FanOut| (outcome.deliveries_per_second, outcome.latency);
                if let Some(peer) = &ceiling {
                    let run = || fanout::run_raw(peer.address, bytes, clients, work.in_flight, pace);
                    of_ceiling.take(|| run().map(per_second));
                }
                if let Some(peer) = &redis {
                    let run = || fanout_redis::run(peer.address, bytes, clients, work.in_flight, pace);
                    of_redis.take(|| run().map(per_second));
                }
                if let Some((hub, token)) = &hub {
                    let tokens = std::slice::from_ref(token);
                    let run = || fanout::run(hub.tcp()?, tokens, clients, work.in_flight, work.message(), pace);
                    of_hub.take(|| run().map(per_second));
                }
            }
        }
        for ((work, samples), bytes) in FAN_OUTS.iter().zip(taken).zip(lengths) {
            self.report_fan_out(work, samples, bytes);
        }
    }

    /// The length of the server's broadcast, which the other peers then carry too.
    fn line_length(&mut self, hub: Option<&(MangaHub, String)>, work: &FanOutWork) -> usize {
        let Some((hub, token)) = hub else { return FALLBACK_BYTES };
        let tokens = std::slice::from_ref(token);
        let measured = hub.tcp().and_then(|tcp| fanout::line_length(tcp, tokens, work.message()));
        self.keep(measured, "measuring a broadcast's length").unwrap_or(FALLBACK_BYTES)
    }

    fn report_fan_out(&mut self, work: &FanOutWork, samples: [Samples; 3], message_bytes: usize) {
        let kind = if work.stored { "stored" } else { "not stored" };
        let clients = count(self.scale.fan_out_clients as f64);
        let name = format!("fan-out to {clients} TCP clients, series {kind}, {} in flight", work.in_flight);
        for (peer, samples) in [CEILING, "Redis", SERVER].into_iter().zip(&samples).rev() {
            self.plot_latency(&format!("Latency: {name}"), peer, &samples.latencies);
        }
        let [ceiling, redis, server] = samples.map(|samples| self.settle(samples));
        let row = FanOutRow { work: name, message_bytes, server, ceiling, redis };
        self.report.rows.push(row.claim(work.floor));
        self.report.fan_outs.push(row);
    }

    /// Durable updates, and SQLite alone.
    pub fn ingest(&mut self) {
        let users = self.scale.ingest_users;
        let hub = self.start_server(&[("MANGAHUB_TCP_BROADCAST_SCOPE", "user")]);
        let identities = hub
            .as_ref()
            .and_then(|hub| self.keep(hub.http().and_then(|http| register(http, users)), "registering the readers"));
        let hub = hub.zip(identities);
        let (mut of_sqlite, mut of_hub, mut p99_ms) = (Samples::default(), Samples::default(), Vec::new());
        for _ in 0..self.scale.rounds {
            let places = self.places;
            of_sqlite.take(|| Ceiling::sqlite(&places.ceiling, self.core, &places.data, self.scale.sqlite_updates));
            if let Some((hub, identities)) = &hub {
                let pace = Pace::seconds(self.scale.seconds * 2.0);
                of_hub.take(|| {
                    let outcome = ingest::run(hub.tcp()?, identities, STORED_SERIES, INGEST_IN_FLIGHT, pace)?;
                    p99_ms.push(outcome.latency.p99_ms);
                    Ok((outcome.updates_per_second, outcome.latency))
                });
            }
        }
        self.plot_latency(WAITS, "a durable update, to its broadcast", &of_hub.latencies);
        let (sqlite, server) = (self.settle(of_sqlite), self.settle(of_hub));
        if let Some(sqlite) = sqlite {
            self.note(format!("SQLite alone, in groups of 1,000: {} durable updates a second.", count(sqlite)));
        }
        self.report.rows.push(ingest_row(users, server, sqlite, median(&p99_ms)));
    }

    /// What an idle connection costs in memory.
    pub fn idle(&mut self, whose: &str, users: IdleUsers, bytes_max: f64) {
        let (from, to) = self.scale.idle;
        let hub = self.start_server(&[]);
        let measured = hub.as_ref().map(|hub| {
            let identities = match users {
                IdleUsers::One => forge_many(&hub.secret, 1)?,
                IdleUsers::Many => forge_many(&hub.secret, to)?,
            };
            let tokens: Vec<String> = identities.into_iter().map(|identity| identity.token).collect();
            idle::run(hub.tcp()?, hub.pid(), &tokens, from, to)
        });
        let bytes = measured.and_then(|measured| self.keep(measured, "idle connections"));
        let bytes = bytes.map(|idle| idle.bytes_per_connection);
        self.report.rows.push(Row {
            work: format!(
                "one more idle authenticated TCP connection, {} to {}, {whose}",
                count(from as f64),
                count(to as f64)
            ),
            number: bytes.map_or("not measured".to_owned(), |bytes| format!("{bytes:.0} bytes")),
            ratio: None,
            floor: format!("at most {bytes_max} bytes of user space"),
            verdict: bytes.map_or(Verdict::NotMeasured, |bytes| verdict(bytes <= bytes_max)),
        });
    }

    /// Everyone connects at once: the storm whose slowest client waited longest, of several.
    pub fn storm(&mut self) {
        let clients = self.scale.storm_clients;
        let hub = self.start_server(&[]);
        let measured = hub.as_ref().map(|hub| {
            let token = forge(&hub.secret, "storm", "storm")?.token;
            let storms =
                (0..STORMS).map(|_| connect::run(hub.tcp()?, std::slice::from_ref(&token), clients, usize::MAX));
            let mut storms = storms.collect::<Result<Vec<_>, _>>()?;
            storms.sort_by(|a, b| a.wait.max_ms.total_cmp(&b.wait.max_ms));
            Ok(storms.swap_remove(STORMS - 1))
        });
        let storm = measured.and_then(|measured| self.keep(measured, "the storm"));
        if let Some((reason, times)) = storm.as_ref().and_then(|storm| storm.failures.first_key_value()) {
            self.note(format!("In the storm, {times} clients failed: {reason}"));
        }
        if let Some(storm) = &storm {
            self.plot_latency(WAITS, "connect and authenticate, in the storm", &storm.wait.percentiles);
        }
        let shown = |storm: &connect::Storm| {
            let wait = &storm.wait;
            let rate = count(storm.logins_per_second);
            format!("max {:.0} ms, p99 {:.0} ms, {rate} logins/s", wait.max_ms, wait.p99_ms)
        };
        let met = |storm: &connect::Storm| {
            let everyone = storm.failures.is_empty() && storm.wait.count == clients as u64;
            verdict(everyone && storm.wait.max_ms <= 1000.0)
        };
        self.report.rows.push(Row {
            work: format!("{} TCP clients connect and authenticate at once", count(clients as f64)),
            number: storm.as_ref().map_or("not measured".to_owned(), shown),
            ratio: None,
            floor: "all of them, none waits over 1 s".to_owned(),
            verdict: storm.as_ref().map_or(Verdict::NotMeasured, met),
        });
    }
}

impl FanOutWork {
    fn message(&self) -> Message {
        let manga = if self.stored { STORED_SERIES } else { UNKNOWN_SERIES };
        Message::Progress { manga: manga.to_owned(), stored: self.stored }
    }
}

fn ingest_row(users: usize, server: Option<f64>, sqlite: Option<f64>, p99_ms: Option<f64>) -> Row {
    let ratio = ratio(server, sqlite);
    let number = server.map_or("not measured".to_owned(), |server| {
        format!("{} updates/s, p99 {:.0} ms", count(server), p99_ms.unwrap_or_default())
    });
    let met = server.zip(ratio).map(|(server, ratio)| verdict(server >= INGEST_FLOOR && ratio >= INGEST_RATIO_FLOOR));
    Row {
        work: format!("durable progress updates, {} users, {INGEST_IN_FLIGHT} in flight each", count(users as f64)),
        number,
        ratio,
        floor: format!("{} a second and {INGEST_RATIO_FLOOR} of SQLite alone", count(INGEST_FLOOR)),
        verdict: met.unwrap_or(Verdict::NotMeasured),
    }
}

/// Somebody who may publish.
pub fn token_of_a_new_user(hub: &MangaHub) -> Result<String, LoadError> {
    let mut identities = register(hub.http()?, 1)?;
    identities.pop().map(|identity| identity.token).ok_or_else(|| LoadError::Missing("no user".to_owned()))
}

/// Unknown series at three depths, and a stored one at the greatest.
const FAN_OUTS: &[FanOutWork] = &[
    FanOutWork { stored: false, in_flight: 1, floor: 0.85 },
    FanOutWork { stored: false, in_flight: 16, floor: 0.85 },
    FanOutWork { stored: false, in_flight: 64, floor: 0.85 },
    FanOutWork { stored: true, in_flight: 64, floor: 0.75 },
];

/// Two, so that a reader's next update waits at the server while the group with the last one commits.
const INGEST_IN_FLIGHT: usize = 2;

const INGEST_FLOOR: f64 = 30_000.0;
const INGEST_RATIO_FLOOR: f64 = 0.2;

/// About a broadcast's length, for a run without the server.
const FALLBACK_BYTES: usize = 250;

/// A wait of a second is rare: one storm would seldom show it. The worst of these counts.
const STORMS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that ingest must reach both of its floors.
    #[test]
    fn ingest_needs_both_floors() {
        let verdict = |server, sqlite| ingest_row(1000, server, sqlite, Some(50.0)).verdict;
        assert_eq!(verdict(Some(31_000.0), Some(150_000.0)), Verdict::Met);
        assert_eq!(verdict(Some(29_000.0), Some(100_000.0)), Verdict::Missed);
        assert_eq!(verdict(Some(31_000.0), Some(200_000.0)), Verdict::Missed);
        assert_eq!(verdict(Some(31_000.0), None), Verdict::NotMeasured);
    }
}
