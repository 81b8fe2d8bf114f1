//! The ceiling: the least code that does the work, so that a ratio to it tells how much a server's own
//! work costs on this machine.
//!
//! [`bare`] is an epoll loop that reads and sends, with a [`journal`] if it is to sync first; [`datagrams`] is the
//! same for UDP, [`http2`] the HTTP/2 library alone, [`sqlite`] the database alone, [`passwords`] bcrypt alone.
//! There is deliberately no protocol, no authentication and no limit worth the name: whatever is not here is what a
//! real server is allowed to cost. What must hold: the ceiling does the same number of bytes, sends, commits and
//! checks as the server it is compared with, else the ratio means nothing.

mod bare;
mod datagrams;
mod http2;
mod journal;
mod passwords;
mod sqlite;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use bare::{Bare, Mode};
use datagrams::Datagrams;
use journal::Journal;

/// What this machine can do at most.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    work: Work,
}

#[derive(Subcommand)]
enum Work {
    /// Send whatever one connection sends to every connection, the sender included.
    Fanout {
        /// Where to listen; port 0 lets the system choose.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// Write it to this file and sync that first, as a server must that promises to keep it; it must not
        /// be there yet.
        #[arg(long)]
        journal: Option<PathBuf>,
    },
    /// Send whatever a connection sends back to it.
    Echo {
        /// Where to listen; port 0 lets the system choose.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
    /// Accept connections, and tell whoever sends something how many there have been.
    Accepts {
        /// Where to listen; port 0 lets the system choose.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
    /// Answer every request's head with the bytes of a file. Requests with a body are not understood.
    Http {
        /// Where to listen; port 0 lets the system choose.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// A whole response: status line, fields, empty line, body.
        #[arg(long)]
        response: PathBuf,
    },
    /// Send datagrams to every address that has sent one, when a datagram says so.
    Udp {
        /// Where to listen; port 0 lets the system choose.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
    /// Answer every HTTP/2 request with one gRPC message.
    H2 {
        /// Where to listen; port 0 lets the system choose.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// The message as gRPC frames it: one byte, its length in four, itself.
        #[arg(long)]
        message: PathBuf,
    },
    /// Check one password over and over.
    Bcrypt {
        /// The work in a check; each step doubles it.
        #[arg(long, default_value_t = 10)]
        cost: u32,
        /// How long.
        #[arg(long, default_value_t = 2.0)]
        seconds: f64,
    },
    /// Durable progress updates with SQLite alone, in groups.
    Sqlite {
        /// The folder for the database; it must not hold one yet.
        #[arg(long)]
        dir: PathBuf,
        /// How many updates share one commit.
        #[arg(long, default_value_t = 1000)]
        groups_of: usize,
        /// How many updates in all.
        #[arg(long, default_value_t = 100_000)]
        count: usize,
        /// Keep the indexes that a server reads by, too.
        #[arg(long)]
        indexes: bool,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().work {
        Work::Fanout { listen, journal } => serve_fan_out(listen, journal.as_deref()),
        Work::Echo { listen } => serve(listen, Mode::Echo),
        Work::Accepts { listen } => serve(listen, Mode::Count),
        Work::Http { listen, response } => serve_file(listen, &response),
        Work::Udp { listen } => serve_datagrams(listen),
        Work::H2 { listen, message } => serve_h2(listen, &message),
        Work::Bcrypt { cost, seconds } => measure_bcrypt(cost, seconds),
        Work::Sqlite { dir, groups_of, count, indexes } => measure_sqlite(&dir, groups_of, count, indexes),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ceiling: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Announces the address on standard output, then serves until standard input closes or SIGTERM ends us.
fn serve(listen: SocketAddr, mode: Mode) -> Result<(), Box<dyn std::error::Error>> {
    let mut bare = Bare::bind(listen, mode)?;
    announce(bare.address()?)?;
    bare.watch_stdin()?;
    while bare.turn()? {}
    Ok(())
}

fn serve_fan_out(listen: SocketAddr, journal: Option<&Path>) -> Result<(), Box<dyn std::error::Error>> {
    serve(listen, Mode::FanOut(journal.map(Journal::create).transpose()?))
}

fn serve_datagrams(listen: SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
    let mut datagrams = Datagrams::bind(listen)?;
    announce(datagrams.address()?)?;
    datagrams.watch_stdin()?;
    while datagrams.turn()? {}
    Ok(())
}

fn announce(address: SocketAddr) -> std::io::Result<()> {
    println!("listening {address}");
    std::io::stdout().flush()
}

fn serve_file(listen: SocketAddr, response: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let bytes = std::fs::read(response).map_err(|error| format!("{}: {error}", response.display()))?;
    serve(listen, Mode::Answer(bytes))
}

fn serve_h2(listen: SocketAddr, message: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let bytes = std::fs::read(message).map_err(|error| format!("{}: {error}", message.display()))?;
    Ok(http2::serve(listen, bytes.into())?)
}

fn measure_bcrypt(cost: u32, seconds: f64) -> Result<(), Box<dyn std::error::Error>> {
    let duration = Duration::from_secs_f64(seconds.clamp(0.1, 60.0));
    println!("checks_per_second {:.2}", passwords::run(cost, duration)?);
    Ok(())
}

fn measure_sqlite(dir: &Path, groups_of: usize, count: usize, indexes: bool) -> Result<(), Box<dyn std::error::Error>> {
    let elapsed = sqlite::run(dir, groups_of, count, indexes)?;
    println!("updates_per_second {:.0}", count as f64 / elapsed.as_secs_f64());
    Ok(())
}
