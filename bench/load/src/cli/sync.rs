//! Commands about the v1 TCP port: connecting, keeping still, pinging, publishing, reading.

use std::net::SocketAddr;

use clap::{Args, ValueEnum};

use super::args::{Scale, Time, positive, rate};
use super::hub::{Hub, HubArguments};
use super::show::{Show, none_failed, processor_time};
use crate::broker::Broker;
use crate::drive::{Meter, Pacing};
use crate::error::LoadError;
use crate::message::Message;
use crate::progress::Progress;
use crate::report::count;
use crate::scenario::arrive::Arrivals;
use crate::scenario::connect::Storms;
use crate::scenario::ingest::Ingests;
use crate::scenario::ping::Pings;
use crate::scenario::task::Work;
use crate::scenario::{fanout, fanout_broker, idle, stored};
use crate::suite::{STORED_SERIES, UNKNOWN_SERIES};
use crate::token;

/// Everyone connects and authenticates at once; with --rate, newcomers come and go steadily.
#[derive(Args)]
#[command(after_help = "\
Examples:
  mangahub-load connect --clients 19000
  mangahub-load connect --rate 500 --seconds 10
The time counts from connect(), with --rate from when the newcomer was due, to auth_success.")]
pub struct Connect {
    /// How many clients in the storm; a process may open about 20,000 sockets on many systems.
    #[arg(long, default_value_t = 19_000, value_parser = positive)]
    clients: usize,
    /// How many may wait for an answer at once in the storm; everyone, if not given.
    #[arg(long, value_parser = positive)]
    pending_max: Option<usize>,
    /// Instead of a storm, so many newcomers a second, who leave when they are in.
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    rate: Option<f64>,
    #[command(flatten)]
    time: Time,
    #[command(flatten)]
    scale: Scale,
    #[command(flatten)]
    hub: HubArguments,
}

impl Connect {
    /// Runs it.
    pub fn run(self, show: &Show) -> Result<(), LoadError> {
        let hub = self.hub.open(&[])?;
        let (tcp, tokens) = (hub.tcp()?, vec![hub.token()?]);
        let work = match self.rate {
            Some(rate) => Work::Arrive(Arrivals { tcp, tokens, rate }),
            None => {
                let pending_max = self.pending_max.unwrap_or(self.clients);
                Work::Storm(Storms { tcp, tokens, clients: self.clients, pending_max })
            }
        };
        show.outcome(&self.scale.run("connect", work, self.time.pace(), hub.known_pid())?)
    }
}

/// What one more idle connection costs the server in memory, over crowds of several sizes.
#[derive(Args)]
#[command(after_help = "\
Examples:
  mangahub-load idle
  mangahub-load idle --sizes 1000,5000,10000,15000,19000 --users many
  mangahub-load idle --sizes 10000,50000 --processes 4 --sources 64 --tcp 127.0.0.1:9090 --pid 1234
The cost is the slope of RssAnon over the sizes; each step is shown, so that one that is dearer stands out.")]
pub struct Idle {
    /// How many connections there are at each look; from the second size on they are all kept.
    #[arg(long, value_delimiter = ',', default_value = "1000,5000,10000,15000", value_parser = positive)]
    sizes: Vec<usize>,
    /// Whose connections they are.
    #[arg(long, value_enum, default_value_t = Users::One)]
    users: Users,
    #[command(flatten)]
    scale: Scale,
    #[command(flatten)]
    hub: HubArguments,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Users {
    /// One user's connections.
    One,
    /// A different user each.
    Many,
}

impl Idle {
    /// Runs it.
    pub fn run(self, show: &Show) -> Result<(), LoadError> {
        let hub = self.hub.open(&[])?;
        let largest = self.sizes.iter().copied().max().unwrap_or_default();
        let tokens = match self.users {
            Users::One => vec![hub.token()?],
            Users::Many => token::forge_tokens(hub.secret()?, largest)?,
        };
        let (sources, progress) = (self.scale.sources()?, Progress::new("idle", std::time::Duration::ZERO));
        let processes = self.scale.processes;
        let growth = idle::grow(hub.tcp()?, hub.pid()?, &tokens, &self.sizes, sources, processes, &progress)?;
        drop(progress);
        show.print(&growth, &growth.to_string())
    }
}

/// Pings on authenticated connections, as many as are answered or at a rate.
#[derive(Args)]
#[command(after_help = "\
Examples:
  mangahub-load ping --connections 1000
  mangahub-load ping --connections 100 --in-flight 16 --seconds 10
  mangahub-load ping --connections 1000 --rate 20000 --processes 2
Every pong must bring back the number of its ping, in order.")]
pub struct Ping {
    /// On how many connections.
    #[arg(long, default_value_t = 1000, value_parser = positive)]
    connections: usize,
    /// How many pings on each may be unanswered.
    #[arg(long, default_value_t = 1, value_parser = positive)]
    in_flight: usize,
    /// So many pings a second over all connections, whether the server keeps up or not.
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    rate: Option<f64>,
    #[command(flatten)]
    time: Time,
    #[command(flatten)]
    scale: Scale,
    #[command(flatten)]
    hub: HubArguments,
}

impl Ping {
    /// Runs it.
    pub fn run(self, show: &Show) -> Result<(), LoadError> {
        let hub = self.hub.open(&[])?;
        let Self { connections, in_flight, rate, .. } = self;
        let work = Work::Ping(Pings { tcp: hub.tcp()?, tokens: vec![hub.token()?], connections, in_flight, rate });
        show.outcome(&self.scale.run("ping", work, self.time.pace(), hub.known_pid())?)
    }
}

/// One publisher, every client receives every message.
#[derive(Args)]
#[command(after_help = "\
Examples:
  mangahub-load fanout --clients 1000 --in-flight 16
  mangahub-load fanout --clients 1000 --stored --manga one-piece --rate 100
  mangahub-load fanout --raw --tcp 127.0.0.1:7007 --message-bytes 318
The last one loads the bare loop, `ceiling fanout`. Every client must get every message once and in order.")]
pub struct FanOut {
    #[command(flatten)]
    load: Load,
    /// The slug of the series read; one outside the catalogue, if not given.
    #[arg(long)]
    manga: Option<String>,
    /// The series is in the server's catalogue, so that every update must have been stored.
    #[arg(long)]
    stored: bool,
    /// The peer is the bare loop: no authentication, it sends on what it gets.
    #[arg(long, requires = "message_bytes", requires = "tcp")]
    raw: bool,
    /// The length of a raw line; a run against the server prints its own.
    #[arg(long)]
    message_bytes: Option<usize>,
    #[command(flatten)]
    hub: HubArguments,
}

/// How much is published, and to how many.
#[derive(Args)]
pub struct Load {
    /// How many clients receive.
    #[arg(long, default_value_t = 1000, value_parser = positive)]
    pub clients: usize,
    /// How many messages may be on their way.
    #[arg(long, default_value_t = 1, value_parser = positive)]
    pub in_flight: usize,
    /// So many messages a second, whether everyone keeps up or not.
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    pub rate: Option<f64>,
    #[command(flatten)]
    pub time: Time,
}

impl FanOut {
    /// Runs it.
    pub fn run(self, show: &Show) -> Result<(), LoadError> {
        let hub = self.hub.clone().open(&[("MANGAHUB_TCP_BROADCAST_SCOPE", "all")])?;
        let progress = Progress::new("fanout", self.load.time.pace().whole());
        let outcome = match self.message_bytes {
            Some(bytes) if self.raw => {
                let Load { clients, in_flight, time, .. } = &self.load;
                fanout::run_raw(hub.tcp()?, bytes, *clients, *in_flight, time.pace())?
            }
            _ => self.through(&hub, &Meter { progress: &progress, pid: hub.known_pid() })?,
        };
        drop(progress);
        show_fan_out(&outcome, show)
    }

    /// Through the server. What it has stored is asked for at the end, where it is known whom to ask.
    fn through(&self, hub: &Hub, meter: &Meter<'_>) -> Result<fanout::FanOut, LoadError> {
        let Load { clients, in_flight, rate, time } = &self.load;
        let series = if self.stored { STORED_SERIES } else { UNKNOWN_SERIES };
        let manga = self.manga.as_deref().unwrap_or(series);
        let message = Message::Progress { manga: manga.to_owned(), stored: self.stored };
        // Only a user who exists can have something stored.
        let token = if self.stored { hub.token_of_a_user()? } else { hub.token()? };
        let (tcp, tokens, pacing) = (hub.tcp()?, std::slice::from_ref(&token), Pacing::at(*rate));
        let outcome = fanout::run_at(tcp, tokens, *clients, *in_flight, pacing, message.clone(), time.pace(), meter)?;
        let last = outcome.messages.iter().sum::<u64>().checked_sub(1);
        if let (true, Some(http), Some(last)) = (self.stored, hub.known_http(), last) {
            let chapter = stored::chapter(http, manga, &token)?;
            if !message.leaves(last, chapter) {
                return Err(LoadError::Wrong(format!("update {last} was told last, but stored is chapter {chapter}")));
            }
        }
        Ok(outcome)
    }
}

/// The same through a broker: Redis, NATS or Mosquitto.
#[derive(Args)]
#[command(after_help = "\
Examples, with `redis-server --port 6399 --protected-mode no` or `nats-server --port 4299` running:
  mangahub-load fanout-broker --broker redis --addr 127.0.0.1:6399 --message-bytes 318 --in-flight 16
  mangahub-load fanout-broker --broker nats --addr 127.0.0.1:4299 --message-bytes 318")]
pub struct FanOutBroker {
    /// What it is.
    #[arg(long, value_enum)]
    broker: Broker,
    /// Its address.
    #[arg(long)]
    addr: SocketAddr,
    /// The length of a payload.
    #[arg(long)]
    message_bytes: usize,
    /// How many clients receive.
    #[arg(long, default_value_t = 1000, value_parser = positive)]
    clients: usize,
    /// How many messages may be on their way.
    #[arg(long, default_value_t = 1, value_parser = positive)]
    in_flight: usize,
    #[command(flatten)]
    time: Time,
}

impl FanOutBroker {
    /// Runs it.
    pub fn run(self, show: &Show) -> Result<(), LoadError> {
        let Self { broker, addr, message_bytes, clients, in_flight, time } = self;
        show_fan_out(&fanout_broker::run(broker, addr, message_bytes, clients, in_flight, time.pace())?, show)
    }
}

fn show_fan_out(outcome: &fanout::FanOut, show: &Show) -> Result<(), LoadError> {
    let (rate, bytes) = (count(outcome.deliveries_per_second), outcome.message_bytes);
    let (latency, cost) = (&outcome.latency, processor_time(outcome.server_cpu_us_per_delivery));
    show.print(outcome, &format!("{rate} deliveries/s of {bytes:.0} bytes; a message to all: {latency}{cost}"))
}

/// Durable progress updates, every user on a connection of their own.
#[derive(Args)]
#[command(after_help = "\
Examples:
  mangahub-load ingest --users 1000
  mangahub-load ingest --users 200 --rate 5000
At the end the server is asked over HTTP whether every user's last acknowledged chapter is stored.")]
pub struct Ingest {
    /// How many users; they are registered first.
    #[arg(long, default_value_t = 1000, value_parser = positive)]
    users: usize,
    /// Updates in flight for each of them.
    #[arg(long, default_value_t = 2, value_parser = positive)]
    in_flight: usize,
    /// So many updates a second over all users, whether the server keeps up or not.
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    rate: Option<f64>,
    /// The slug of a series in the catalogue.
    #[arg(long, default_value = STORED_SERIES)]
    manga: String,
    #[command(flatten)]
    time: Time,
    #[command(flatten)]
    scale: Scale,
    #[command(flatten)]
    hub: HubArguments,
}

impl Ingest {
    /// Runs it.
    pub fn run(self, show: &Show) -> Result<(), LoadError> {
        let hub = self.hub.open(&[("MANGAHUB_TCP_BROADCAST_SCOPE", "user")])?;
        let (tcp, http) = (hub.tcp()?, hub.http()?);
        let identities = token::register(http, self.users)?;
        let Self { manga, in_flight, rate, .. } = self;
        let work = Work::Ingest(Ingests { tcp, http: Some(http), identities, manga, in_flight, rate });
        let outcome = self.scale.run("ingest", work, self.time.pace(), hub.known_pid())?;
        show.print(&outcome, &format!("{outcome}\nstored, as asked over HTTP: all"))?;
        none_failed(&outcome)
    }
}
