//! `mangahub-load`: puts load on a MangaHub server and says what it did.
//!
//! Arguments in, one scenario run, numbers out; the work is in [`scenario`], and [`suite`] runs all of it
//! against the peers. One thread holds every connection. Load goes to loopback addresses only.

mod client;
mod error;
mod grpc;
mod http;
mod join;
mod login;
mod message;
mod report;
mod scenario;
mod server;
mod stats;
mod suite;
mod token;
mod websocket;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;

use error::{Doing, LoadError};
use message::Message;
use scenario::open_loop::OpenLoop;
use scenario::{Pace, chat, connect, fanout, fanout_redis, greet, idle, ingest, logins, members, search, udp};
use suite::{Places, STORED_SERIES, Scale, UNKNOWN_SERIES};

/// Puts load on a MangaHub server, and says what it did.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Print the numbers as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// One publisher, every client receives every message.
    Fanout(FanOutArguments),
    /// The same through Redis pub/sub.
    FanoutRedis {
        /// Redis's address.
        #[arg(long)]
        addr: SocketAddr,
        /// The length of a payload.
        #[arg(long)]
        message_bytes: usize,
        #[command(flatten)]
        load: Load,
    },
    /// Everyone connects and authenticates at once.
    Connect {
        /// The server's v1 TCP address.
        #[arg(long)]
        tcp: SocketAddr,
        #[command(flatten)]
        identity: IdentityArguments,
        /// How many clients; a process may open about 20,000 sockets on many systems.
        #[arg(long, default_value_t = 19_000)]
        clients: usize,
        /// How many may wait for an answer at once; everyone, if not given.
        #[arg(long)]
        pending_max: Option<usize>,
    },
    /// What one more idle connection costs the server in memory.
    Idle {
        /// The server's v1 TCP address.
        #[arg(long)]
        tcp: SocketAddr,
        /// The server's process id.
        #[arg(long)]
        pid: u32,
        /// The server's token secret.
        #[arg(long, env = "MANGAHUB_AUTH_SECRET", hide_env_values = true)]
        secret: String,
        /// The small crowd.
        #[arg(long, default_value_t = 1000)]
        from: usize,
        /// The large crowd.
        #[arg(long, default_value_t = 15_000)]
        to: usize,
        /// Whose connections they are.
        #[arg(long, value_enum, default_value_t = Users::One)]
        users: Users,
    },
    /// Durable progress updates, every user on a connection of their own.
    Ingest {
        /// The server's v1 TCP address.
        #[arg(long)]
        tcp: SocketAddr,
        /// The server's HTTP address, where the users are registered.
        #[arg(long)]
        http: SocketAddr,
        /// How many users.
        #[arg(long, default_value_t = 1000)]
        users: usize,
        /// Updates in flight for each of them.
        #[arg(long, default_value_t = 2)]
        in_flight: usize,
        /// How long to measure.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
        /// The slug of a series in the catalogue.
        #[arg(long, default_value = STORED_SERIES)]
        manga: String,
    },
    /// One GET over and over, with wrk.
    Http {
        /// The server's HTTP address, or the bare loop's.
        #[arg(long)]
        http: SocketAddr,
        /// What to ask for.
        #[arg(long, default_value = "/api/v1/manga/one-piece")]
        path: String,
        /// How many connections.
        #[arg(long, default_value_t = 64)]
        connections: usize,
        /// How long, in whole seconds.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
    },
    /// Searches by title at a fixed rate, with a ping beside them.
    Search {
        #[command(flatten)]
        peer: PeerArguments,
        #[command(flatten)]
        identity: IdentityArguments,
        /// The catalogue that the server has loaded, a JSON file: what is searched for is drawn from its titles.
        #[arg(long)]
        catalogue: PathBuf,
        /// Searches a second.
        #[arg(long, default_value_t = 500.0)]
        per_second: f64,
        /// How long to measure.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
    },
    /// Logins at a fixed rate, with a ping beside them.
    Logins {
        #[command(flatten)]
        peer: PeerArguments,
        /// How many users log in, in turn; they are registered first.
        #[arg(long, default_value_t = 21)]
        users: usize,
        /// Logins a second.
        #[arg(long, default_value_t = 50.0)]
        per_second: f64,
        /// How long to measure.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
    },
    /// A room over WebSocket: one member speaks, every member hears it.
    Chat {
        #[command(flatten)]
        room: RoomArguments,
        #[command(flatten)]
        load: Load,
        /// The length of what is said.
        #[arg(long, default_value_t = 64)]
        content_bytes: usize,
    },
    /// What one more idle member of a room costs the server in memory.
    Members {
        #[command(flatten)]
        room: RoomArguments,
        /// The server's process id.
        #[arg(long)]
        pid: u32,
        /// The small crowd; large enough to have used up what the server's start has left free.
        #[arg(long, default_value_t = 5000)]
        from: usize,
        /// The large crowd.
        #[arg(long, default_value_t = 15_000)]
        to: usize,
    },
    /// WebSocket handshakes at a fixed rate, and how long until a newcomer hears from the room.
    Greet {
        #[command(flatten)]
        room: RoomArguments,
        /// Newcomers a second.
        #[arg(long, default_value_t = 100.0)]
        per_second: f64,
        /// How long to measure.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
    },
    /// Notifications by UDP: every address receives each.
    Udp {
        /// The server's v1 UDP address, or the bare loop's with `--raw`.
        #[arg(long)]
        udp: SocketAddr,
        /// The server's internal address, where notifications are triggered.
        #[arg(long, required_unless_present = "raw")]
        internal: Option<SocketAddr>,
        /// How many addresses; each takes a descriptor of this process.
        #[arg(long, default_value_t = 10_000)]
        addresses: usize,
        /// How long to measure.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
        /// The peer is the bare loop, and a datagram as long as this; a run against the server prints its own.
        #[arg(long)]
        raw: Option<usize>,
    },
    /// Everything, against the bare loop and Redis, written as a Markdown page.
    Suite {
        /// Under a minute, to see that it works; the numbers mean little.
        #[arg(long)]
        quick: bool,
        /// Where the page is written; printed when not given.
        #[arg(long)]
        output: Option<PathBuf>,
        /// The server's binary; beside this one, if not given.
        #[arg(long)]
        server: Option<PathBuf>,
        /// A folder on a real disk for the servers' data; beside this binary, if not given.
        #[arg(long)]
        data: Option<PathBuf>,
        /// The script that writes the catalogue to search in.
        #[arg(long, default_value = "scripts/synthetic-catalogue")]
        catalogue_script: PathBuf,
    },
}

#[derive(Args)]
struct PeerArguments {
    /// The server's HTTP address.
    #[arg(long)]
    http: SocketAddr,
    /// The server's v1 TCP address, for the ping.
    #[arg(long)]
    tcp: SocketAddr,
}

#[derive(Args)]
struct RoomArguments {
    /// The server's HTTP address.
    #[arg(long)]
    http: SocketAddr,
    /// The server's token secret: every member is a user of their own.
    #[arg(long, env = "MANGAHUB_AUTH_SECRET", hide_env_values = true)]
    secret: String,
}

#[derive(Args)]
struct FanOutArguments {
    /// The server's v1 TCP address, or the bare loop's with `--raw`.
    #[arg(long)]
    tcp: SocketAddr,
    #[command(flatten)]
    identity: IdentityArguments,
    #[command(flatten)]
    load: Load,
    /// The slug of the series read.
    #[arg(long, default_value = UNKNOWN_SERIES)]
    manga: String,
    /// The series is in the server's catalogue, so that every update must have been stored.
    #[arg(long)]
    stored: bool,
    /// The peer is the bare loop: no authentication, it sends on what it gets.
    #[arg(long, requires = "message_bytes")]
    raw: bool,
    /// The length of a raw line; a run against the server prints its own.
    #[arg(long)]
    message_bytes: Option<usize>,
}

#[derive(Args)]
struct Load {
    /// How many clients receive.
    #[arg(long, default_value_t = 1000)]
    clients: usize,
    /// How many messages may be on their way.
    #[arg(long, default_value_t = 1)]
    in_flight: usize,
    /// How long to measure.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

#[derive(Args)]
struct IdentityArguments {
    /// The token every client authenticates with.
    #[arg(long)]
    token: Option<String>,
    /// The server's token secret, to make a token from.
    #[arg(long, env = "MANGAHUB_AUTH_SECRET", hide_env_values = true)]
    secret: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Users {
    /// One user's connections.
    One,
    /// A different user each.
    Many,
}

impl IdentityArguments {
    fn tokens(&self) -> Result<Vec<String>, LoadError> {
        match (&self.token, &self.secret) {
            (Some(token), _) => Ok(vec![token.clone()]),
            (None, Some(secret)) => Ok(vec![token::forge(secret, "load", "load")?.token]),
            (None, None) => Err(LoadError::Missing("--token or --secret is needed".to_owned())),
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.scenario, arguments.json) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mangahub-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(scenario: Scenario, json: bool) -> Result<(), LoadError> {
    server::raise_descriptor_limit()?;
    match scenario {
        Scenario::Fanout(arguments) => show_fan_out(&fan_out(&arguments)?, json),
        Scenario::FanoutRedis { addr, message_bytes, load } => {
            let pace = Pace::seconds(load.seconds);
            show_fan_out(&fanout_redis::run(addr, message_bytes, load.clients.max(1), load.in_flight, pace)?, json)
        }
        Scenario::Connect { tcp, identity, clients, pending_max } => {
            let storm = connect::run(tcp, &identity.tokens()?, clients, pending_max.unwrap_or(usize::MAX).max(1))?;
            let failed: u64 = storm.failures.values().sum();
            let text = format!("{:.0} logins/s, {failed} failed; wait: {}", storm.logins_per_second, storm.wait);
            show(&storm, text, json)
        }
        Scenario::Idle { tcp, pid, secret, from, to, users } => {
            let count = if users == Users::One { 1 } else { to };
            let identities = token::forge_many(&secret, count)?;
            let tokens: Vec<String> = identities.into_iter().map(|identity| identity.token).collect();
            let idle = idle::run(tcp, pid, &tokens, from, to)?;
            show(&idle, format!("{:.1} bytes for each connection more", idle.bytes_per_connection), json)
        }
        Scenario::Ingest { tcp, http, users, in_flight, seconds, manga } => {
            let identities = token::register(http, users)?;
            let ingest = ingest::run(tcp, &identities, &manga, in_flight, Pace::seconds(seconds))?;
            show(&ingest, format!("{:.0} updates/s; {}", ingest.updates_per_second, ingest.latency), json)
        }
        Scenario::Http { http, path, connections, seconds } => {
            let outcome = scenario::http::run(http, &path, connections, seconds)?;
            show(&outcome, format!("{} requests/s", report::count(outcome.requests_per_second)), json)
        }
        Scenario::Search { peer, identity, catalogue, per_second, seconds } => {
            let (tokens, queries) = (identity.tokens()?, search::queries(&catalogue)?);
            let pace = Pace::seconds(seconds);
            show_open_loop(&search::run(peer.http, peer.tcp, &tokens[0], &queries, per_second, pace)?, json)
        }
        Scenario::Logins { peer, users, per_second, seconds } => {
            let users = token::register(peer.http, users.max(1))?;
            show_open_loop(&logins::run(peer.http, peer.tcp, &users, per_second, Pace::seconds(seconds))?, json)
        }
        Scenario::Chat { room, load, content_bytes } => {
            let tokens = token::forge_with_one_registered(&room.secret, room.http, load.clients.max(1))?;
            let pace = Pace::seconds(load.seconds);
            show_chat(&chat::run(room.http, &tokens, content_bytes, load.in_flight, pace)?, json)
        }
        Scenario::Members { room, pid, from, to } => {
            let tokens = token::forge_tokens(&room.secret, to)?;
            let outcome = members::run(room.http, pid, &tokens, from)?;
            let (bytes, joined) = (outcome.idle.bytes_per_connection, &outcome.joined);
            show(&outcome, format!("{bytes:.1} bytes for each member more; {joined}"), json)
        }
        Scenario::Greet { room, per_second, seconds } => {
            let tokens = token::forge_tokens(&room.secret, greet::GUESTS)?;
            let outcome = greet::run(room.http, &tokens, per_second, Pace::seconds(seconds))?;
            show(&outcome, format!("{} newcomers; to the first message: {}", outcome.wait.count, outcome.wait), json)
        }
        Scenario::Udp { udp, internal, addresses, seconds, raw } => {
            let pace = Pace::seconds(seconds);
            let outcome = match (raw, internal) {
                (Some(bytes), _) => udp::run(&mut udp::Bare::connect(udp, bytes)?, addresses, pace)?,
                (None, Some(internal)) => udp::run(&mut udp::Hub::connect(udp, internal)?, addresses, pace)?,
                (None, None) => return Err(LoadError::Missing("--internal is needed".to_owned())),
            };
            let (rate, bytes) = (report::count(outcome.datagrams_per_second), outcome.datagram_bytes);
            show(&outcome, format!("{rate} datagrams/s of {bytes:.0} bytes; one to all: {}", outcome.latency), json)
        }
        Scenario::Suite { quick, output, server, data, catalogue_script } => {
            run_suite(quick, output, server, data, catalogue_script)
        }
    }
}

fn fan_out(arguments: &FanOutArguments) -> Result<fanout::FanOut, LoadError> {
    let FanOutArguments { tcp, load, .. } = arguments;
    let (clients, pace) = (load.clients.max(1), Pace::seconds(load.seconds));
    match arguments.message_bytes {
        Some(bytes) if arguments.raw => fanout::run_raw(*tcp, bytes, clients, load.in_flight, pace),
        _ => {
            let message = Message::Progress { manga: arguments.manga.clone(), stored: arguments.stored };
            fanout::run(*tcp, &arguments.identity.tokens()?, clients, load.in_flight, message, pace)
        }
    }
}

fn run_suite(
    quick: bool,
    output: Option<PathBuf>,
    server: Option<PathBuf>,
    data: Option<PathBuf>,
    catalogue_script: PathBuf,
) -> Result<(), LoadError> {
    let own = std::env::current_exe().doing("find this binary")?;
    let places = Places {
        server: server.unwrap_or_else(|| own.with_file_name("mangahub")),
        ceiling: own.with_file_name("ceiling"),
        data: data.unwrap_or_else(|| own.with_file_name("bench-data")),
        catalogue_script,
    };
    let (scale, command) = if quick { (Scale::QUICK, "bench/run --quick") } else { (Scale::FULL, "bench/run") };
    let page = suite::run(&places, &scale, command)?.markdown();
    match output {
        None => print!("{page}"),
        Some(path) => {
            std::fs::write(&path, page).doing("write the report")?;
            println!("wrote {}", path.display());
        }
    }
    Ok(())
}

fn show_fan_out(outcome: &fanout::FanOut, json: bool) -> Result<(), LoadError> {
    let (rate, bytes) = (report::count(outcome.deliveries_per_second), outcome.message_bytes);
    show(outcome, format!("{rate} deliveries/s of {bytes:.0} bytes; a message to all: {}", outcome.latency), json)
}

fn show_chat(outcome: &chat::Chat, json: bool) -> Result<(), LoadError> {
    let (rate, bytes) = (report::count(outcome.said.deliveries_per_second), outcome.said.message_bytes);
    let (latency, joined) = (&outcome.said.latency, &outcome.joined);
    show(outcome, format!("{rate} deliveries/s of {bytes:.0} bytes; a message to all: {latency}; {joined}"), json)
}

fn show_open_loop(outcome: &OpenLoop, json: bool) -> Result<(), LoadError> {
    show(outcome, outcome.to_string(), json)
}

fn show(outcome: &impl Serialize, text: String, json: bool) -> Result<(), LoadError> {
    match json {
        false => println!("{text}"),
        true => {
            let text = serde_json::to_string(outcome)
                .map_err(|error| LoadError::Wrong(format!("could not write the numbers as JSON: {error}")))?;
            println!("{text}");
        }
    }
    Ok(())
}
