//! The suite: every number of `docs/benchmarks.md` in one run, side by side.
//!
//! It starts the server, the bare loop and Redis on one core, takes the other for itself, and lets the peers
//! take turns, round by round, so that whatever slows the machine for a while slows all of them. A
//! measurement that fails is named in the notes and its number is not made; the others go on.

mod grpc;
mod http;
mod realtime;
mod sync;

use std::path::{Path, PathBuf};

use crate::error::{Doing, LoadError};
use crate::report::Report;
use crate::server::{MangaHub, pin_self, version_of};
use crate::stats::median;
use sync::IdleUsers;

/// Where the programs and files are.
pub struct Places {
    /// The server's binary.
    pub server: PathBuf,
    /// The bare loop's binary.
    pub ceiling: PathBuf,
    /// A folder on a real disk, for data whose durability is measured.
    pub data: PathBuf,
    /// The script that writes synthetic catalogues.
    pub catalogue_script: PathBuf,
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
    search_titles: usize,
    search_seconds: f64,
    login_seconds: f64,
    /// The small crowd is past the memory that the start has left free, which would hide what a member costs.
    members: (usize, usize),
    udp_addresses: usize,
}

impl Scale {
    /// What the documentation is written from: ten to fifteen minutes. Seven rounds, because neighbours
    /// on this kind of machine make a single one wrong by a fifth.
    pub const FULL: Scale = Scale {
        rounds: 7,
        seconds: 1.5,
        fan_out_clients: 1000,
        storm_clients: 19_000,
        idle: (1000, 15_000),
        ingest_users: 1000,
        sqlite_updates: 100_000,
        search_titles: 100_000,
        search_seconds: 3.0,
        login_seconds: 5.0,
        members: (5000, 15_000),
        udp_addresses: 10_000,
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
        search_titles: 5000,
        search_seconds: 1.0,
        login_seconds: 2.5,
        members: (5000, 8000),
        udp_addresses: 2000,
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
    suite.gets();
    suite.search();
    suite.logins();
    suite.chat();
    suite.members();
    suite.greet();
    suite.notify();
    suite.grpc();
    Ok(suite.report)
}

struct Suite<'a> {
    places: &'a Places,
    scale: &'a Scale,
    core: Option<usize>,
    report: Report,
}

impl Suite<'_> {
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
        ("wrk", version(Path::new("wrk"))),
        ("h2load", version(Path::new("h2load"))),
        ("compiler", version(Path::new("rustc"))),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// Whatever is measured.
const PEERS_CORE: usize = 0;

/// This process.
const LOAD_CORE: usize = 1;

/// Outside every catalogue.
pub const UNKNOWN_SERIES: &str = "bench-series";

/// In the catalogue that comes with the server, and still running, so that any chapter is accepted.
pub const STORED_SERIES: &str = "one-piece";

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
        let places = Places { server: "".into(), ceiling: "".into(), data: "".into(), catalogue_script: "".into() };
        let mut suite = Suite { places: &places, scale: &Scale::QUICK, core: None, report: Report::default() };
        assert_eq!(suite.settle(samples), None);
        assert_eq!(suite.report.notes.len(), 1);
    }
}
