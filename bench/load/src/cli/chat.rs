//! Commands about chat over WebSocket.

use clap::Args;

use super::args::{Time, positive, rate};
use super::hub::HubArguments;
use super::show::{Show, processor_time};
use crate::drive::{Meter, Pacing};
use crate::error::LoadError;
use crate::join::ROOM;
use crate::progress::Progress;
use crate::report::count;
use crate::scenario::chat::{self, Rooms};
use crate::scenario::{greet, members};
use crate::token;

/// Rooms over WebSocket: in each one member speaks, every member hears it.
#[derive(Args)]
#[command(after_help = "\
Examples:
  mangahub-load chat --members 1000
  mangahub-load chat --rooms 20 --members 50 --in-flight 4
  mangahub-load chat --rooms 10 --members 100 --rate 200
Every member is a user of their own, and must hear every message of the room once and in order.")]
pub struct Chat {
    /// How many rooms.
    #[arg(long, default_value_t = 1, value_parser = positive)]
    rooms: usize,
    /// How many members each of them has.
    #[arg(long, default_value_t = 1000, value_parser = positive, alias = "clients")]
    members: usize,
    /// How many messages of each room may be on their way.
    #[arg(long, default_value_t = 1, value_parser = positive)]
    in_flight: usize,
    /// So many messages a second in all rooms together, whether everyone keeps up or not.
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    rate: Option<f64>,
    /// The length of what is said.
    #[arg(long, default_value_t = 64)]
    content_bytes: usize,
    #[command(flatten)]
    time: Time,
    #[command(flatten)]
    hub: HubArguments,
}

impl Chat {
    /// Runs it.
    pub fn run(self, show: &Show) -> Result<(), LoadError> {
        let hub = self.hub.open(&[])?;
        let people = self.rooms.saturating_mul(self.members);
        let tokens = token::forge_with_some_registered(hub.secret()?, hub.http()?, people, self.rooms)?;
        let names = match self.rooms {
            1 => vec![ROOM.to_owned()],
            rooms => (0..rooms).map(|room| format!("load-{room}")).collect(),
        };
        let (bytes, in_flight, pacing) = (self.content_bytes, self.in_flight, Pacing::at(self.rate));
        let (rooms, pace) = (Rooms { names, bytes, in_flight, pacing }, self.time.pace());
        let progress = Progress::new("chat", pace.whole());
        let outcome =
            chat::run_in(hub.http()?, &tokens, &rooms, pace, &Meter { progress: &progress, pid: hub.known_pid() })?;
        drop(progress);
        let (rate, bytes) = (count(outcome.said.deliveries_per_second), outcome.said.message_bytes);
        let (latency, joined) = (&outcome.said.latency, &outcome.joined);
        let cost = processor_time(outcome.said.server_cpu_us_per_delivery);
        let text = format!("{rate} deliveries/s of {bytes:.0} bytes; a message to all: {latency}{cost}; {joined}");
        show.print(&outcome, &text)
    }
}

/// What one more idle member of a room costs the server in memory.
#[derive(Args)]
#[command(after_help = "\
Example:
  mangahub-load members --from 5000 --to 15000")]
pub struct Members {
    /// The small crowd; large enough to have used up what the server's start has left free.
    #[arg(long, default_value_t = 5000)]
    from: usize,
    /// The large crowd.
    #[arg(long, default_value_t = 15_000)]
    to: usize,
    #[command(flatten)]
    hub: HubArguments,
}

impl Members {
    /// Runs it.
    pub fn run(self, show: &Show) -> Result<(), LoadError> {
        let hub = self.hub.open(&[])?;
        let tokens = token::forge_tokens(hub.secret()?, self.to)?;
        let outcome = members::run(hub.http()?, hub.pid()?, &tokens, self.from)?;
        let (bytes, joined) = (outcome.idle.bytes_per_connection, &outcome.joined);
        show.print(&outcome, &format!("{bytes:.1} bytes for each member more; {joined}"))
    }
}

/// WebSocket handshakes at a fixed rate, and how long until a newcomer hears from the room.
#[derive(Args)]
#[command(after_help = "\
Example:
  mangahub-load greet --rate 100")]
pub struct Greet {
    /// Newcomers a second.
    #[arg(long, default_value_t = 100.0, value_parser = rate, alias = "per-second")]
    rate: f64,
    #[command(flatten)]
    time: Time,
    #[command(flatten)]
    hub: HubArguments,
}

impl Greet {
    /// Runs it.
    pub fn run(self, show: &Show) -> Result<(), LoadError> {
        let hub = self.hub.open(&[])?;
        let tokens = token::forge_tokens(hub.secret()?, greet::GUESTS)?;
        let outcome = greet::run(hub.http()?, &tokens, self.rate, self.time.pace())?;
        show.print(&outcome, &format!("{} newcomers; to the first message: {}", outcome.wait.count, outcome.wait))
    }
}
