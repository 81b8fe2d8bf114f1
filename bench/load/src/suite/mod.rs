//! The suite: every number of `docs/benchmarks.md` in one run, side by side.
//!
//! It starts the server, the bare loop and the peers on one core, takes the other for itself, and lets the peers
//! take turns, round by round, so that whatever slows the machine for a while slows all of them. A
//! measurement that fails is named in the notes and its number is not made; the others go on.

mod connections;
mod duel;
mod fan_out;
mod field;
mod growth;
mod grpc;
mod http;
mod realtime;
mod samples;
mod sync;

use std::path::{Path, PathBuf};

use duel::Side;
use samples::{Pairs, Samples};

use crate::error::{Doing, LoadError};
use crate::report::{Chart, Report};
use crate::scenario::Pace;
use crate::scenario::fanout::Loop;
use crate::server::{MangaHub, mosquitto, nats, nginx, pin_self, redis, twin, version_of};
use crate::stats::{Latencies, median};

/// Where the programs and files are.
pub struct Places {
    /// The server's binary.
    pub server: PathBuf,
    /// The bare loop's binary.
    pub ceiling: PathBuf,
    /// The Go twin's binary, which is there when `bench/run` could build it.
    pub twin: PathBuf,
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
    /// The other size of a fan-out: with as many on the load's side, near what a process may open.
    many_clients: usize,
    /// How long the server and another measure before the other's turn comes, in a fan-out and in chat.
    slice_seconds: f64,
    /// How often it comes, with the bare loop and with a peer.
    slices: usize,
    peer_slices: usize,
    /// The crowds between which the peers' idle connections are measured.
    idle_field: (usize, usize),
    storm_clients: usize,
    /// The crowds at which idle connections are looked at, in rising order.
    idle: &'static [usize],
    ping_connections: usize,
    ingest_users: usize,
    sqlite_updates: usize,
    search_titles: usize,
    search_seconds: f64,
    login_seconds: f64,
    /// The small crowd is past the memory that the start has left free, which would hide what a member costs.
    members: (usize, usize),
    udp_addresses: usize,
    /// How many connections growth is looked at with, in rising order.
    growth: &'static [usize],
}

impl Scale {
    /// What the documentation is written from: about fifteen minutes. Five rounds, and more where a ratio is close
    /// to its floor, because neighbours on this kind of machine make a single one wrong by a fifth.
    pub const FULL: Scale = Scale {
        rounds: 5,
        seconds: 1.5,
        fan_out_clients: 1000,
        many_clients: 9000,
        slice_seconds: 0.4,
        slices: 15,
        peer_slices: 3,
        idle_field: (1000, 9000),
        storm_clients: 19_000,
        idle: &[1000, 5000, 10_000, 15_000, 19_000],
        ping_connections: 1000,
        ingest_users: 1000,
        sqlite_updates: 100_000,
        search_titles: 100_000,
        search_seconds: 3.0,
        login_seconds: 5.0,
        members: (5000, 15_000),
        udp_addresses: 10_000,
        growth: &[1000, 5000, 10_000, 19_000],
    };

    /// Whether everything still works: under a minute, and no numbers to quote.
    pub const QUICK: Scale = Scale {
        rounds: 1,
        seconds: 0.4,
        fan_out_clients: 1000,
        many_clients: 3000,
        slice_seconds: 0.2,
        slices: 2,
        peer_slices: 1,
        idle_field: (1000, 3000),
        storm_clients: 3000,
        idle: &[1000, 2000, 4000],
        ping_connections: 1000,
        ingest_users: 200,
        sqlite_updates: 20_000,
        search_titles: 5000,
        search_seconds: 1.0,
        login_seconds: 2.5,
        members: (5000, 8000),
        udp_addresses: 2000,
        growth: &[500, 1000, 2000],
    };
}

/// A part of the suite: what it is called, and what it does.
type Section = (&'static str, fn(&mut Suite<'_>));

/// Everything, in the order of the page.
const SECTIONS: [Section; 15] = [
    ("fan-out", |suite| suite.fan_out()),
    ("ingest", |suite| suite.ingest()),
    ("ping", |suite| suite.ping()),
    ("idle", |suite| suite.idle()),
    ("idle-field", |suite| suite.idle_field()),
    ("storm", |suite| suite.storm()),
    ("growth", |suite| suite.growth()),
    ("gets", |suite| suite.gets()),
    ("search", |suite| suite.search()),
    ("logins", |suite| suite.logins()),
    ("chat", |suite| suite.chat()),
    ("members", |suite| suite.members()),
    ("greet", |suite| suite.greet()),
    ("udp", |suite| suite.notify()),
    ("grpc", |suite| suite.grpc()),
];

/// The names of the parts.
pub fn sections() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().map(|(name, _)| *name)
}

/// Runs everything at `scale`, or the parts that `only` names. `command` is what the report tells the reader to type.
pub fn run(places: &Places, scale: &Scale, only: &[String], command: &str) -> Result<Report, LoadError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut suite = Suite { places, scale, core: None, report: Report::default() };
    suite.report.title = "Benchmarks".to_owned();
    suite.report.about = ABOUT.to_owned();
    suite.report.command = command.to_owned();
    if cores > 1 {
        suite.core = Some(PEERS_CORE);
        pin_self(LOAD_CORE)?;
    } else {
        suite.note("One core only: nothing was pinned, and the load slowed what it measured.".to_owned());
    }
    std::fs::create_dir_all(&places.data).doing("make the data folder")?;
    suite.report.machine = machine(places, cores);
    let wanted = |name: &str| only.is_empty() || only.iter().any(|some| some == name);
    SECTIONS.iter().filter(|(name, _)| wanted(name)).for_each(|(_, measure)| measure(&mut suite));
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

    /// One of two who are compared closely: clients that stay awake, if they have a core of their own.
    fn side(&self, mut clients: Loop, pid: u32) -> Side {
        if self.core.is_some() {
            clients.stay_awake();
        }
        Side { clients, pid }
    }

    /// One turn of two who are compared closely.
    fn slice(&self) -> Pace {
        Pace::seconds(self.scale.slice_seconds)
    }

    /// The value, or a note of why there is none.
    fn keep<T>(&mut self, result: Result<T, LoadError>, what: &str) -> Option<T> {
        result.map_err(|error| self.note(format!("Not measured: {what}: {error}"))).ok()
    }

    /// The median of the rounds; none when any of them failed, for a median of the lucky ones would flatter.
    fn settle(&mut self, samples: Samples) -> Option<f64> {
        self.settle_as("A run failed", samples)
    }

    /// The same, where several took turns: a note says whose run failed, and at what.
    fn settle_of(&mut self, who: &str, work: &str, samples: Samples) -> Option<f64> {
        self.settle_as(&format!("Not measured: {who}, {work}"), samples)
    }

    fn settle_as(&mut self, failed: &str, samples: Samples) -> Option<f64> {
        let Some(error) = samples.failure else { return median(&samples.numbers) };
        self.note(format!("{failed}: {error}"));
        None
    }

    /// The medians of the server and of the other, and the median of their ratios.
    fn settle_pairs(&mut self, pairs: Pairs) -> [Option<f64>; 3] {
        let ratio = pairs.ratio();
        [self.settle(pairs.server), self.settle(pairs.other), ratio]
    }

    /// Adds the samples of all rounds to a plot of latencies.
    fn plot_latency(&mut self, title: &str, name: &str, samples: &Latencies) {
        let about = "All rounds together. The further right, the rarer; both axes grow by factors.";
        self.report.chart(title, || Chart::latency(title, about)).add(name, samples.curve());
    }

    fn note(&mut self, note: String) {
        if !self.report.notes.contains(&note) {
            self.report.notes.push(note);
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
    let shown = |version: Option<String>| version.unwrap_or_else(|| "not there".to_owned());
    let version = |program: &Path| shown(version_of(program, "--version"));
    let pinning = format!("{cores}; the peers on core {PEERS_CORE}, the load on core {LOAD_CORE}");
    [
        ("processor", model.unwrap_or("unknown").to_owned()),
        ("cores", if cores > 1 { pinning } else { cores.to_string() }),
        ("system", format!("{} {kernel}, everything on 127.0.0.0/8", std::env::consts::OS)),
        ("server", version(&places.server)),
        ("Go twin", shown(twin::version(&places.twin))),
        ("Redis", shown(redis::version())),
        ("NATS", shown(nats::version())),
        ("Mosquitto", shown(mosquitto::version())),
        ("nginx", shown(nginx::version())),
        ("wrk", version(Path::new("wrk"))),
        ("h2load", version(Path::new("h2load"))),
        ("compiler", version(Path::new("rustc"))),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// How everything is measured, for whoever reads the numbers.
const ABOUT: &str =
    "Written by `bench/run`; run it to repeat them. Everything is measured side by side in one run: the server, the
bare loop (`bench/ceiling`: epoll, read, send and nothing else) and the peers take turns on one core, the load has
the other. The peers of a fan-out are Redis, NATS, Mosquitto, and the same protocol written with goroutines
(`bench/twin-go`); that of a GET is nginx, with the same bytes in a file. Each number is the median of the rounds.
A ratio in a fan-out, in chat, of pings, updates and notifications is the median of ratios: the server and the other
measure one right after the other, in short slices, so that a neighbour on this machine slows both; in a fan-out and
in chat the load does not sleep meanwhile, for the server would pay for waking it, as it does not for clients elsewhere.
Every message is verified: all clients received each one
once and in order, every acknowledged update was the user's own next one. Over HTTP, `wrk` asks for one series as
often as it gets answers, which the bare loop gives byte by byte as the server does; searches and logins come at a
fixed rate, and their latency counts from the time at which they should have been sent, as that of the pings on a
TCP connection beside them; how long the same pings take alone, just before, is what the machine makes them wait. In chat, each member of a room is a user with a WebSocket of their own, and the bare
loop sends as many of the same frames to as many; a message is stored before anyone hears it, which one in flight waits for. A
UDP notification counts from its trigger (an HTTP request, which is stored first; for the bare loop of `sendmmsg`
a datagram) until the last address has it, and none may be lost. Ratios travel between machines better than
numbers; a ratio to the bare loop counts only when the bare loop was ahead of every peer in the same run.";

/// Whatever is measured.
const PEERS_CORE: usize = 0;

/// This process.
const LOAD_CORE: usize = 1;

/// The plot of how long a single client waits for one thing.
const WAITS: &str = "Latency: one client's waits";

/// Outside every catalogue.
pub const UNKNOWN_SERIES: &str = "bench-series";

/// In the catalogue that comes with the server, and still running, so that any chapter is accepted.
pub const STORED_SERIES: &str = "one-piece";

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    /// Shows that a peer that failed once has no number, whatever its other rounds said.
    #[test]
    fn a_failed_round_spoils_the_median() {
        let mut samples = Samples::default();
        samples.take(|| Ok((1.0, Latencies::new().summary())));
        samples.take(|| Err::<f64, _>(LoadError::Closed(3, ErrorKind::ConnectionReset)));
        samples.take(|| Ok(3.0));
        let [server, ceiling, twin, data, catalogue_script] = [(); 5].map(|()| PathBuf::new());
        let places = Places { server, ceiling, twin, data, catalogue_script };
        let mut suite = Suite { places: &places, scale: &Scale::QUICK, core: None, report: Report::default() };
        assert_eq!(suite.settle(samples), None);
        assert_eq!(suite.report.notes.len(), 1);
    }
}
