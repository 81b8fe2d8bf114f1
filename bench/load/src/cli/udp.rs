//! The command about notifications by UDP.

use std::net::SocketAddr;

use clap::Args;

use super::args::{Time, positive, rate};
use super::hub::HubArguments;
use super::show::Show;
use crate::drive::Pacing;
use crate::error::LoadError;
use crate::report::count;
use crate::scenario::udp;

/// Notifications by UDP: every address receives each.
#[derive(Args)]
#[command(after_help = "\
Examples:
  mangahub-load udp --addresses 10000
  mangahub-load udp --addresses 1000 --rate 20
  mangahub-load udp --udp 127.0.0.1:7011 --raw 298
The last one loads the bare loop, `ceiling udp`. A lost datagram is an error.")]
pub struct Udp {
    /// The server's v1 UDP address, or the bare loop's with `--raw`.
    #[arg(long, value_name = "ADDR")]
    udp: Option<SocketAddr>,
    /// The server's internal address, where notifications are triggered.
    #[arg(long, value_name = "ADDR", requires = "udp")]
    internal: Option<SocketAddr>,
    /// How many addresses; each takes a descriptor of this process.
    #[arg(long, default_value_t = 10_000, value_parser = positive)]
    addresses: usize,
    /// So many notifications a second, whether everybody has had the one before or not.
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    rate: Option<f64>,
    /// The peer is the bare loop, and a datagram as long as this; a run against the server prints its own.
    #[arg(long, requires = "udp", value_name = "BYTES")]
    raw: Option<usize>,
    #[command(flatten)]
    time: Time,
    #[command(flatten)]
    hub: HubArguments,
}

impl Udp {
    /// Runs it.
    pub fn run(self, show: &Show) -> Result<(), LoadError> {
        let (addresses, pacing, pace) = (self.addresses, Pacing::at(self.rate), self.time.pace());
        let outcome = match (self.udp, self.raw, self.internal) {
            (Some(udp), Some(bytes), _) => udp::run_at(&mut udp::Bare::connect(udp, bytes)?, addresses, pacing, pace)?,
            (Some(udp), None, Some(internal)) => {
                udp::run_at(&mut udp::Hub::connect(udp, internal)?, addresses, pacing, pace)?
            }
            (Some(_), None, None) => return Err(LoadError::Missing("--internal is needed as well".to_owned())),
            (None, ..) => {
                let hub = self.hub.open(&[])?;
                let started = hub.started().ok_or_else(|| LoadError::Missing("--udp is needed".to_owned()))?;
                udp::run_at(&mut udp::Hub::connect(started.udp()?, started.internal()?)?, addresses, pacing, pace)?
            }
        };
        let (rate, bytes) = (count(outcome.datagrams_per_second), outcome.datagram_bytes);
        show.print(&outcome, &format!("{rate} datagrams/s of {bytes:.0} bytes; one to all: {}", outcome.latency))
    }
}
