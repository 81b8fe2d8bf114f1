//! The command line: one file for each group of commands, arguments in, one scenario run, numbers out.
//!
//! Nothing is measured here. [`args`] has what several commands share, [`hub`] finds or starts the server that is
//! loaded, [`show`] prints. Every command says in its `--help` what it does, with a line that can be typed as it is.

pub mod args;
mod chat;
mod day;
mod echo;
mod grpc;
mod http;
mod hub;
mod show;
mod suite;
mod sync;
mod udp;

use clap::{Parser, Subcommand};

use crate::crew;
use crate::error::LoadError;
use crate::guard;
use crate::server;
use show::Show;

/// Puts load on a MangaHub server, and says what it did.
#[derive(Parser)]
#[command(version, after_help = GUIDE)]
pub struct Arguments {
    #[command(flatten)]
    show: Show,
    /// Load other machines too. Without it only loopback addresses are loaded; with it you answer for having asked
    /// the owner of the other machine.
    #[arg(long, global = true)]
    allow_remote_target: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Connect(sync::Connect),
    Idle(sync::Idle),
    Ping(sync::Ping),
    Echo(echo::Echo),
    Fanout(sync::FanOut),
    FanoutBroker(sync::FanOutBroker),
    Ingest(sync::Ingest),
    Http(http::Http),
    Search(http::Search),
    Logins(http::Logins),
    Chat(chat::Chat),
    Members(chat::Members),
    Greet(chat::Greet),
    Udp(udp::Udp),
    Grpc(grpc::Grpc),
    Watch(grpc::Watch),
    Mixed(day::Mixed),
    Soak(day::Soak),
    Suite(suite::Suite),
    /// What this program starts of itself for --processes.
    #[command(name = crew::COMMAND, hide = true)]
    Process,
}

/// Does what the arguments say.
pub fn run(arguments: Arguments) -> Result<(), LoadError> {
    server::raise_descriptor_limit()?;
    if arguments.allow_remote_target {
        guard::allow_remote_target();
    }
    let show = &arguments.show;
    match arguments.command {
        Command::Connect(command) => command.run(show),
        Command::Idle(command) => command.run(show),
        Command::Ping(command) => command.run(show),
        Command::Echo(command) => command.run(show),
        Command::Fanout(command) => command.run(show),
        Command::FanoutBroker(command) => command.run(show),
        Command::Ingest(command) => command.run(show),
        Command::Http(command) => command.run(show),
        Command::Search(command) => command.run(show),
        Command::Logins(command) => command.run(show),
        Command::Chat(command) => command.run(show),
        Command::Members(command) => command.run(show),
        Command::Greet(command) => command.run(show),
        Command::Udp(command) => command.run(show),
        Command::Grpc(command) => command.run(show),
        Command::Watch(command) => command.run(show),
        Command::Mixed(command) => command.run(show),
        Command::Soak(command) => command.run(show),
        Command::Suite(command) => command.run(show),
        Command::Process => crew::serve(),
    }
}

const GUIDE: &str = "\
Without an address a command starts the server that lies beside this program, with a new store and its limits on \
rates switched off, and stops it afterwards. With --tcp and --http it loads a server of yours; give its token secret \
in MANGAHUB_AUTH_SECRET, and its process id with --pid to see what an operation costs it.

A closed loop (the usual) keeps so many operations in flight and asks a slow server less. An open loop (--rate) asks \
at fixed times, and latency counts from those times, so that a stall is not hidden.

  mangahub-load ping --connections 1000
  mangahub-load ping --connections 1000 --rate 20000 --seconds 10
  mangahub-load fanout --clients 1000 --in-flight 16
  mangahub-load idle --sizes 1000,5000,10000,15000
  mangahub-load soak --minutes 10";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// Shows that the arguments hang together, and that the help of every command has an example that it takes.
    #[test]
    fn every_help_has_an_example_that_works() {
        let command = Arguments::command();
        command.clone().debug_assert();
        for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
            let name = subcommand.get_name();
            let help = subcommand.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples: Vec<&str> = help.lines().filter_map(|line| line.strip_prefix("  mangahub-load ")).collect();
            assert!(!examples.is_empty(), "{name} has no example");
            for example in examples {
                let words = std::iter::once("mangahub-load").chain(example.split_ascii_whitespace());
                assert!(Arguments::try_parse_from(words).is_ok(), "{name}: {example}");
                assert!(example.starts_with(name), "{name}: {example}");
            }
        }
    }
}
