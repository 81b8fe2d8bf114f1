//! The suite: every number of `docs/benchmarks.md` in one run, side by side.
//!
//! It starts the server, the bare loop and Redis on one core, takes the other for itself, and lets the peers
//! take turns, round by round, so that whatever slows the machine for a while slows all of them. A
//! measurement that fails is named in the notes and its number is not made; the others go on.

use std::path::{Path, PathBuf};

use crate::error::{Doing, LoadError};
use crate::message::Message;
use crate::report::{FanOutRow, Report, Row, Verdict, count, ratio, verdict};
use crate::scenario::{Pace, connect, fanout, fanout_redis, idle, ingest};
use crate::server::{Ceiling, MangaHub, Redis, pin_self, version_of};
use crate::stats::median;
use crate::token::{forge, forge_many, register};

/// Where the programs and files are.
pub struct Places {
    /// The server's binary.
    pub server: PathBuf,
    /// The bare loop's binary.
    pub ceiling: PathBuf,
    /// A folder on a real disk, for data whose durability is measured.
    pub data: PathBuf,
}

/// How much is done.
pub struct Scale {
    rounds: usize,
    seconds: f64,
    fan_out_clients: usize,
    storm_clients: usize,
    idle: (usize, usize),
    ingest_users: usize,
    sqlite_updates: usize,
}

impl Scale {
    /// What the documentation is written from: five to ten minutes. Seven rounds, because neighbours
    /// on this kind of machine make a single one wrong by a fifth.
    pub const FULL: Scale = Scale {
        rounds: 7,
        seconds: 1.5,
        fan_out_clients: 1000,
        storm_clients: 19_000,
        idle: (1000, 15_000),
        ingest_users: 1000,
        sqlite_updates: 100_000,
    };

    /// Whether everything still works: under a minute, and no numbers to quote.
    pub const QUICK: Scale = Scale {
        rounds: 1,
        seconds: 0.4,
        fan_out_clients: 1000,
        storm_clients: 3000,
        idle: (1000, 4000),
        ingest_users: 200,
        sqlite_updates: 20_000,
    };
}

/// Runs everything at `scale`. `command` is what the report tells the reader to type.
pub fn run(places: &Places, scale: &Scale, command: &str) -> Result<Report, LoadError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut suite = Suite { places, scale, core: None, report: Report::default() };
    suite.report.command = command.to_owned();
    if cores > 1 {
        suite.core = Some(PEERS_CORE);
        pin_self(LOAD_CORE)?;
    } else {
        suite.note("One core only: nothing was pinned, and the load slowed what it measured.".to_owned());
    }
    std::fs::create_dir_all(&places.data).doing("make the data folder")?;
    suite.report.machine = machine(places, cores);
    suite.fan_out();
    suite.ingest();
    suite.idle("one user's connections", IdleUsers::One, 256.0);
    suite.idle("a different user each", IdleUsers::Many, 512.0);
    suite.storm();
    Ok(suite.report)
}

struct Suite<'a> {
    places: &'a Places,
    scale: &'a Scale,
    core: Option<usize>,
    report: Report,
}

/// One kind of fan-out.
struct FanOutWork {
    stored: bool,
    in_flight: usize,
    floor: f64,
}

enum IdleUsers {
    One,
    Many,
}

impl Suite<'_> {
    fn fan_out(&mut self) {
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
                let per_second = |outcome: fanout::FanOut| outcome.deliveries_per_second;
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
        let [ceiling, redis, server] = samples.map(|samples| self.settle(samples));
        let kind = if work.stored { "stored" } else { "not stored" };
        let clients = count(self.scale.fan_out_clients as f64);
        let name = format!("fan-out to {clients} TCP clients, series {kind}, {} in flight", work.in_flight);
        let row = FanOutRow { work: name, message_bytes, server, ceiling, redis };
        self.report.rows.push(row.claim(work.floor));
        self.report.fan_outs.push(row);
    }

    fn ingest(&mut self) {
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
                    Ok(outcome.updates_per_second)
                });
            }
        }
        let (sqlite, server) = (self.settle(of_sqlite), self.settle(of_hub));
        if let Some(sqlite) = sqlite {
            self.note(format!("SQLite alone, in groups of 1,000: {} durable updates a second.", count(sqlite)));
        }
        self.report.rows.push(ingest_row(users, server, sqlite, median(&p99_ms)));
    }

    fn idle(&mut self, whose: &str, users: IdleUsers, bytes_max: f64) {
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

    fn storm(&mut self) {
        let clients = self.scale.storm_clients;
        let hub = self.start_server(&[]);
        let measured = hub.as_ref().map(|hub| {
            let token = forge(&hub.secret, "storm", "storm")?.token;
            connect::run(hub.tcp()?, &[token], clients, usize::MAX)
        });
        let storm = measured.and_then(|measured| self.keep(measured, "the storm"));
        if let Some((reason, times)) = storm.as_ref().and_then(|storm| storm.failures.first_key_value()) {
            self.note(format!("In the storm, {times} clients failed: {reason}"));
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

    fn start_server(&mut self, settings: &[(&str, &str)]) -> Option<MangaHub> {
        self.keep(MangaHub::start(&self.places.server, self.core, &self.places.data, settings), "the server")
    }

    /// The value, or a note of why there is none.
    fn keep<T>(&mut self, result: Result<T, LoadError>, what: &str) -> Option<T> {
        result.map_err(|error| self.note(format!("Not measured: {what}: {error}"))).ok()
    }

    /// The median of the rounds; none when any of them failed, for a median of the lucky ones would flatter.
    fn settle(&mut self, samples: Samples) -> Option<f64> {
        match samples.failure {
            None => median(&samples.numbers),
            Some(error) => {
                self.note(format!("A run failed: {error}"));
                None
            }
        }
    }

    fn note(&mut self, note: String) {
        if !self.report.notes.contains(&note) {
            self.report.notes.push(note);
        }
    }
}

impl FanOutWork {
    fn message(&self) -> Message {
        let manga = if self.stored { STORED_SERIES } else { UNKNOWN_SERIES };
        Message::Progress { manga: manga.to_owned(), stored: self.stored }
    }
}

/// What one peer did in the rounds so far.
#[derive(Default)]
struct Samples {
    numbers: Vec<f64>,
    failure: Option<LoadError>,
}

impl Samples {
    /// Measures once more, unless an earlier round failed.
    fn take(&mut self, measure: impl FnOnce() -> Result<f64, LoadError>) {
        if self.failure.is_none() {
            match measure() {
                Ok(number) => self.numbers.push(number),
                Err(error) => self.failure = Some(error),
            }
        }
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

fn token_of_a_new_user(hub: &MangaHub) -> Result<String, LoadError> {
    let mut identities = register(hub.http()?, 1)?;
    identities.pop().map(|identity| identity.token).ok_or_else(|| LoadError::Missing("no user".to_owned()))
}

fn machine(places: &Places, cores: usize) -> Vec<(String, String)> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model =
        cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
    let release = read("/proc/sys/kernel/osrelease");
    let kernel = release.trim().split(['.', '-']).take(2).collect::<Vec<_>>().join(".");
    let version = |program: &Path| version_of(program).unwrap_or_else(|| "not there".to_owned());
    let pinning = format!("{cores}; the peers on core {PEERS_CORE}, the load on core {LOAD_CORE}");
    [
        ("processor", model.unwrap_or("unknown").to_owned()),
        ("cores", if cores > 1 { pinning } else { cores.to_string() }),
        ("system", format!("{} {kernel}, everything on 127.0.0.0/8", std::env::consts::OS)),
        ("server", version(&places.server)),
        ("Redis", version(Path::new("redis-server"))),
        ("compiler", version(Path::new("rustc"))),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// Unknown series at three depths, and a stored one at the greatest.
const FAN_OUTS: &[FanOutWork] = &[
    FanOutWork { stored: false, in_flight: 1, floor: 0.85 },
    FanOutWork { stored: false, in_flight: 16, floor: 0.85 },
    FanOutWork { stored: false, in_flight: 64, floor: 0.85 },
    FanOutWork { stored: true, in_flight: 64, floor: 0.75 },
];

/// Whatever is measured.
const PEERS_CORE: usize = 0;

/// This process.
const LOAD_CORE: usize = 1;

/// Outside every catalogue.
pub const UNKNOWN_SERIES: &str = "bench-series";

/// In the catalogue that comes with the server, and still running, so that any chapter is accepted.
pub const STORED_SERIES: &str = "one-piece";

/// Two, so that a reader's next update waits at the server while the group with the last one commits.
const INGEST_IN_FLIGHT: usize = 2;

const INGEST_FLOOR: f64 = 30_000.0;
const INGEST_RATIO_FLOOR: f64 = 0.2;

/// About a broadcast's length, for a run without the server.
const FALLBACK_BYTES: usize = 250;

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that a peer that failed once has no number, whatever its other rounds said.
    #[test]
    fn a_failed_round_spoils_the_median() {
        let mut samples = Samples::default();
        samples.take(|| Ok(1.0));
        samples.take(|| Err(LoadError::Closed(3)));
        samples.take(|| Ok(3.0));
        let places = Places { server: "".into(), ceiling: "".into(), data: "".into() };
        let mut suite = Suite { places: &places, scale: &Scale::QUICK, core: None, report: Report::default() };
        assert_eq!(suite.settle(samples), None);
        assert_eq!(suite.report.notes.len(), 1);
    }

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
