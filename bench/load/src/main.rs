//! `mangahub-load`: puts load on a MangaHub server and says what it did.
//!
//! Read on in [`cli`] for what can be typed, in [`scenario`] for what is then done, in [`drive`] for the loop that
//! most of it stands on. [`suite`] runs all of it against the peers. One thread holds every connection of a process;
//! [`crew`] shares the work among several. Load goes to loopback addresses only, unless [`guard`] is told otherwise.

mod broker;
mod cli;
mod client;
mod crew;
mod drive;
mod error;
mod grpc;
mod guard;
mod http;
mod join;
mod login;
mod message;
mod progress;
mod report;
mod scenario;
mod server;
mod sources;
mod stats;
mod suite;
mod token;
mod websocket;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::run(cli::Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mangahub-load: {error}");
            ExitCode::FAILURE
        }
    }
}
