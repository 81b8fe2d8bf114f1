//! Commands about echo servers.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::args::{Scale, Time, positive, rate};
use super::show::Show;
use crate::error::{Doing, LoadError};
use crate::progress::Progress;
use crate::scenario::echo::table::{CONNECTIONS, IN_FLIGHT, SIZES, Table};
use crate::scenario::echo::{BYTES_MIN, Echoes};
use crate::scenario::task::{Setup, Work};
use crate::server;
use crate::sources::Sources;

/// Raw bytes to a server that sends them back, and whether they come back as they were.
#[derive(Args)]
#[command(after_help = "\
Examples:
  mangahub-load echo --bytes 34 --connections 100
  mangahub-load echo --bytes 32768 --connections 10 --rate 1000 --tcp 127.0.0.1:7007
  mangahub-load echo --table --seconds 1
Without --tcp it starts `examples/echo` beside this program (`cargo build --release --example echo`). --table does
all sizes, crowds and depths, with the time to start and to shut down, beside the bare loop (`ceiling echo`).")]
pub struct Echo {
    /// All sizes, crowds and depths as one table; --bytes, --connections and --in-flight may be lists then.
    #[arg(long, conflicts_with_all = ["tcp", "rate", "processes"])]
    table: bool,
    /// The length of a message.
    #[arg(long, value_delimiter = ',', value_parser = length)]
    bytes: Vec<usize>,
    /// On how many connections.
    #[arg(long, value_delimiter = ',', value_parser = positive)]
    connections: Vec<usize>,
    /// How many messages of each connection may be on their way.
    #[arg(long, value_delimiter = ',', value_parser = positive)]
    in_flight: Vec<usize>,
    /// So many messages a second over all connections, whether the server keeps up or not.
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    rate: Option<f64>,
    /// The address of a running echo server.
    #[arg(long, value_name = "ADDR")]
    tcp: Option<SocketAddr>,
    /// Its process id, to see what a message costs it.
    #[arg(long)]
    pid: Option<u32>,
    /// The echo server to start when no address is given.
    #[arg(long, value_name = "FILE", conflicts_with = "tcp")]
    server: Option<PathBuf>,
    /// The bare loop to put beside it in the table; `ceiling` beside this program, where it is there.
    #[arg(long, value_name = "FILE")]
    ceiling: Option<PathBuf>,
    /// The core of whatever is measured.
    #[arg(long)]
    server_core: Option<usize>,
    #[command(flatten)]
    time: Time,
    #[command(flatten)]
    scale: Scale,
}

impl Echo {
    /// Runs it.
    pub fn run(self, show: &Show) -> Result<(), LoadError> {
        let own = std::env::current_exe().doing("find this binary")?;
        let server = self.server.clone().unwrap_or_else(|| own.with_file_name("examples").join("echo"));
        if self.table {
            let ceiling =
                self.ceiling.clone().or_else(|| Some(own.with_file_name("ceiling")).filter(|it| it.is_file()));
            return self.run_table(server, ceiling, show);
        }
        let program = match self.tcp {
            Some(_) => None,
            None => Some(server::Echo::start(&server, self.server_core)?),
        };
        let tcp = program.as_ref().map(|program| program.address).or(self.tcp);
        let tcp = tcp.ok_or_else(|| LoadError::Missing("--tcp is needed".to_owned()))?;
        let pid = program.as_ref().map(server::Echo::pid).or(self.pid);
        let first = |numbers: &[usize], usual| numbers.first().copied().unwrap_or(usual);
        let work = Work::Echo(Echoes {
            tcp,
            connections: first(&self.connections, 100),
            bytes: first(&self.bytes, 34),
            in_flight: first(&self.in_flight, 1),
            rate: self.rate,
        });
        show.outcome(&self.scale.run("echo", work, self.time.pace(), pid)?)
    }

    fn run_table(self, program: PathBuf, ceiling: Option<PathBuf>, show: &Show) -> Result<(), LoadError> {
        let given = |numbers: Vec<usize>, usual: &[usize]| if numbers.is_empty() { usual.to_vec() } else { numbers };
        let table = Table {
            program,
            ceiling,
            sizes: given(self.bytes, &SIZES),
            connections: given(self.connections, &CONNECTIONS),
            in_flight: given(self.in_flight, &IN_FLIGHT),
            core: self.server_core,
        };
        let pace = self.time.pace();
        let peers = 1 + u32::from(table.ceiling.is_some());
        let progress =
            Progress::new("echo", pace.whole() * peers * u32::try_from(table.combinations().len()).unwrap_or(u32::MAX));
        let setup = Setup { sources: Sources::new(self.scale.sources)?, pace, pid: None };
        let measured = table.run(&setup, &progress)?;
        drop(progress);
        show.print(&measured, &measured.to_string())
    }
}

/// A length that has room for a message's number, and that a server takes.
fn length(text: &str) -> Result<usize, String> {
    let length = text.parse().ok().filter(|length| (BYTES_MIN..=BYTES_MAX).contains(length));
    length.ok_or_else(|| format!("between {BYTES_MIN} and {BYTES_MAX} bytes"))
}

/// What `examples/echo` owes at most before it reads no more.
const BYTES_MAX: usize = 1024 * 1024;
