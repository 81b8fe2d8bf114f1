//! All sizes and crowds of an echo server as one table, with the time that it takes to begin and to end.
//!
//! Each row is a run of its own against one server that goes on; the bare loop, where it is there, does the same
//! beside it, so that a row is also a share of what the machine can do.

use std::fmt;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Echoes, connect_all};
use crate::client::Swarm;
use crate::drive::Outcome;
use crate::error::{Doing, LoadError};
use crate::progress::Progress;
use crate::report::count;
use crate::scenario::task::{Job, Setup, Work};
use crate::server::Echo;
use crate::stats::{Latencies, Summary, median};

/// What goes into a table.
pub struct Table {
    /// The echo server.
    pub program: PathBuf,
    /// The bare loop, to compare with.
    pub ceiling: Option<PathBuf>,
    /// Lengths of messages.
    pub sizes: Vec<usize>,
    /// Numbers of connections.
    pub connections: Vec<usize>,
    /// Messages of a connection that may be on their way.
    pub in_flight: Vec<usize>,
    /// The core of whatever is measured.
    pub core: Option<usize>,
}

/// What a table showed.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// From starting the process until it took a connection, the median of some.
    pub start_up_ms: f64,
    /// From SIGTERM until the process was gone, the largest crowd connected; the median of some.
    pub shutdown_ms: f64,
    /// From `connect()` until the server's echo of one byte, one after the other.
    pub connect: Summary,
    /// One for each combination.
    pub rows: Vec<Row>,
}

/// One combination.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The length of a message.
    pub bytes: usize,
    /// On how many connections.
    pub connections: usize,
    /// How many of each were on their way.
    pub in_flight: usize,
    /// Messages that came back in a second.
    pub echoes_per_second: f64,
    /// From sending a message until all of it was back.
    pub latency: Summary,
    /// The server's processor time for a message, in microseconds.
    pub cpu_us: Option<f64>,
    /// Of what the bare loop did, if it was there.
    pub of_bare_loop: Option<f64>,
}

impl Table {
    /// Every combination of a length, a crowd and a depth that is not too much at once.
    pub fn combinations(&self) -> Vec<[usize; 3]> {
        let mut all = Vec::new();
        for &bytes in &self.sizes {
            for &connections in &self.connections {
                all.extend(self.in_flight.iter().map(|&in_flight| [bytes, connections, in_flight]));
            }
        }
        all.retain(|combination| combination.iter().product::<usize>() <= IN_FLIGHT_BYTES_MAX);
        all
    }

    /// Measures everything.
    pub fn run(&self, setup: &Setup, progress: &Progress) -> Result<Measured, LoadError> {
        let crowd = self.connections.iter().copied().max().unwrap_or(1);
        let (start_up_ms, shutdown_ms) = self.begin_and_end(setup, crowd)?;
        let server = Echo::start(&self.program, self.core)?;
        let bare = self.ceiling.as_ref().map(|ceiling| Echo::start_bare(ceiling, self.core)).transpose()?;
        let connect = connect_times(&server)?;
        let measure = |[bytes, connections, in_flight]: [usize; 3]| {
            let of = |peer: &Echo| echo(peer, connections, bytes, in_flight, setup, progress);
            let bare = bare.as_ref().map(of).transpose()?;
            Ok(row(bytes, connections, in_flight, &of(&server)?, bare.as_ref()))
        };
        let rows = self.combinations().into_iter().map(measure).collect::<Result<_, LoadError>>()?;
        Ok(Measured { start_up_ms, shutdown_ms, connect, rows })
    }

    /// How long the server takes to begin, and to end with `crowd` connected.
    fn begin_and_end(&self, setup: &Setup, crowd: usize) -> Result<(f64, f64), LoadError> {
        let (mut begun, mut ended) = (Vec::new(), Vec::new());
        for _ in 0..TIMES {
            let server = Echo::start(&self.program, self.core)?;
            begun.push(server.start_up.as_secs_f64() * 1000.0);
            let mut swarm = Swarm::from_sources(server.address, setup.sources)?;
            connect_all(&mut swarm, crowd)?;
            ended.push(server.shut_down(&mut swarm)?.as_secs_f64() * 1000.0);
        }
        Ok((median(&begun).unwrap_or_default(), median(&ended).unwrap_or_default()))
    }
}

fn echo(
    peer: &Echo,
    connections: usize,
    bytes: usize,
    in_flight: usize,
    setup: &Setup,
    progress: &Progress,
) -> Result<Outcome, LoadError> {
    let work = Work::Echo(Echoes { tcp: peer.address, connections, bytes, in_flight, rate: None });
    let job = Job { setup: Setup { pid: Some(peer.pid()), ..setup.clone() }, work };
    let outcome = Outcome::of(job.prepare()?.step(progress)?);
    match outcome.failed() {
        0 => Ok(outcome),
        _ => Err(LoadError::Wrong(outcome.to_string())),
    }
}

/// One connection after the other, each with one byte there and back: accepting it is part of the time.
fn connect_times(server: &Echo) -> Result<Summary, LoadError> {
    let mut times = Latencies::new();
    for _ in 0..CONNECTS {
        let begun = Instant::now();
        let mut stream = TcpStream::connect(server.address).doing("connect")?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).doing("set a time limit")?;
        stream.write_all(b".").doing("send a byte")?;
        stream.read_exact(&mut [0]).doing("read a byte")?;
        times.record(begun.elapsed());
    }
    Ok(times.summary())
}

fn row(bytes: usize, connections: usize, in_flight: usize, outcome: &Outcome, bare: Option<&Outcome>) -> Row {
    let echoes_per_second = outcome.operations_per_second();
    Row {
        bytes,
        connections,
        in_flight,
        echoes_per_second,
        latency: outcome.work.first().map_or_else(|| Latencies::new().summary(), |work| work.latency.clone()),
        cpu_us: outcome.server_cpu_us_per_operation,
        of_bare_loop: bare.map(|bare| echoes_per_second / bare.operations_per_second().max(f64::MIN_POSITIVE)),
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "start-up {:.1} ms, shutdown {:.1} ms, connect {}",
            self.start_up_ms, self.shutdown_ms, self.connect
        )?;
        writeln!(
            f,
            "\n| bytes | connections | in flight | echoes/s | MB/s | p50 ms | p99 ms | p99.9 ms | max ms | CPU µs | of bare |"
        )?;
        write!(f, "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")?;
        self.rows.iter().try_for_each(|row| write!(f, "\n{row}"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, connections, in_flight, echoes_per_second, latency, cpu_us, of_bare_loop } = self;
        let decimal = |number: &Option<f64>| number.map_or("–".to_owned(), |number| format!("{number:.2}"));
        let (rate, megabytes) = (count(*echoes_per_second), echoes_per_second * *bytes as f64 / 1e6);
        let times = [latency.p50_ms, latency.p99_ms, latency.p999_ms, latency.max_ms].map(|ms| format!("{ms:.2}"));
        let (times, cpu, share) = (times.join(" | "), decimal(cpu_us), decimal(of_bare_loop));
        write!(f, "| {bytes} | {connections} | {in_flight} | {rate} | {megabytes:.0} | {times} | {cpu} | {share} |")
    }
}

/// From a short line to what no socket takes in one piece.
pub const SIZES: [usize; 4] = [34, 1024, 4096, 32 * 1024];
/// From one client to what a thread for each would feel.
pub const CONNECTIONS: [usize; 4] = [1, 10, 100, 1000];
/// Waiting for each, and not.
pub const IN_FLIGHT: [usize; 2] = [1, 16];

/// More than this on its way measures the buffers of the machine: such a row is left out.
const IN_FLIGHT_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Starts and shutdowns; the median of so many counts.
const TIMES: usize = 5;

/// Connections of which the time is taken.
const CONNECTS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that the usual table has every combination but the one that would be half a gigabyte on its way.
    #[test]
    fn too_much_at_once_is_left_out() {
        let [sizes, connections, in_flight] = [SIZES.to_vec(), CONNECTIONS.to_vec(), IN_FLIGHT.to_vec()];
        let (program, ceiling, core) = (PathBuf::new(), None, None);
        let combinations = Table { program, ceiling, sizes, connections, in_flight, core }.combinations();
        assert_eq!((combinations.len(), combinations[0]), (31, [34, 1, 1]));
        assert!(!combinations.contains(&[32 * 1024, 1000, 16]));
    }

    /// Shows a row as the table has it, with a number that was not measured.
    #[test]
    fn a_row_is_a_line() {
        let mut latencies = Latencies::new();
        latencies.record(Duration::from_millis(2));
        let row = Row {
            bytes: 1000,
            connections: 10,
            in_flight: 16,
            echoes_per_second: 50_000.0,
            latency: latencies.summary(),
            cpu_us: Some(1.5),
            of_bare_loop: None,
        };
        assert_eq!(row.to_string(), "| 1000 | 10 | 16 | 50,000 | 50 | 2.00 | 2.00 | 2.00 | 2.00 | 1.50 | – |");
    }
}
