//! Commands about gRPC.

use clap::{Args, ValueEnum};

use super::args::{Time, positive, rate};
use super::hub::{Hub, HubArguments};
use super::show::Show;
use crate::error::LoadError;
use crate::grpc::Call;
use crate::report::count;
use crate::scenario::grpc::delay;
use crate::scenario::grpc::steady;
use crate::scenario::grpc::{answer, flood, get_manga, search_manga, update_progress};
use crate::suite::STORED_SERIES;

/// One unary call over and over: with h2load as fast as it is answered, or at a fixed rate.
#[derive(Args)]
#[command(after_help = "\
Examples:
  mangahub-load grpc --connections 64 --streams 10
  mangahub-load grpc --method update
  mangahub-load grpc --rate 10000 --seconds 10
Without --rate h2load asks, and the bytes it received are held against what right answers have. With --rate every
answer is compared with the first one.")]
pub struct Grpc {
    /// What to call.
    #[arg(long, value_enum, default_value_t)]
    method: Method,
    /// How many connections.
    #[arg(long, default_value_t = 64, value_parser = positive)]
    connections: usize,
    /// How many calls are on their way on each, without --rate.
    #[arg(long, default_value_t = 1, value_parser = positive)]
    streams: usize,
    /// Calls a second: an open loop.
    #[arg(long, value_parser = rate)]
    rate: Option<f64>,
    #[command(flatten)]
    time: Time,
    #[command(flatten)]
    hub: HubArguments,
}

/// A unary method of `manga.MangaService`.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Method {
    /// One series.
    #[default]
    Get,
    /// Up to twenty series by a word of the title.
    Search,
    /// Reading a chapter, stored before it is answered.
    Update,
}

impl Grpc {
    /// Runs it.
    pub fn run(self, show: &Show) -> Result<(), LoadError> {
        let hub = self.hub.open(&[])?;
        let (address, call) = (hub.grpc()?, self.method.call(&hub)?);
        // The first update begins the series, and its answer may be of another length.
        let (_, second) = (answer(address, &call)?, answer(address, &call)?);
        if let Some(rate) = self.rate {
            let seen = steady::run(address, &call, self.connections, rate, self.time.pace())?;
            show.print(&seen, &seen.to_string())?;
            return seen.none_failed();
        }
        let seen = flood::run(address, &call, second.len(), self.connections, self.streams, self.time.seconds)?;
        show.print(&seen, &format!("{} calls/s", count(seen.calls_per_second)))
    }
}

impl Method {
    fn call(self, hub: &Hub) -> Result<Call, LoadError> {
        Ok(match self {
            Self::Get => get_manga(STORED_SERIES),
            Self::Search => search_manga("the"),
            Self::Update => update_progress(STORED_SERIES, 1, &hub.token_of_a_user()?),
        })
    }
}

/// How soon a change is heard on a gRPC stream, beside a TCP subscriber.
#[derive(Args)]
#[command(after_help = "\
Example:
  mangahub-load watch --changes 200 --rate 100
Every change must arrive on both, once and in order.")]
pub struct Watch {
    /// How many changes.
    #[arg(long, default_value_t = 500, value_parser = positive)]
    changes: usize,
    /// Changes a second.
    #[arg(long, default_value_t = 100.0, value_parser = rate)]
    rate: f64,
    #[command(flatten)]
    hub: HubArguments,
}

impl Watch {
    /// Runs it.
    pub fn run(self, show: &Show) -> Result<(), LoadError> {
        let hub = self.hub.open(&[])?;
        let (tcp, grpc, token) = (hub.tcp()?, hub.grpc()?, hub.token_of_a_user()?);
        let seen = delay::run(tcp, grpc, &token, STORED_SERIES, self.rate, self.changes as u64)?;
        show.print(&seen, &seen.to_string())
    }
}
