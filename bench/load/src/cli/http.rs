//! Commands about HTTP.

use std::path::PathBuf;

use clap::Args;

use super::args::{Time, positive, rate};
use super::hub::HubArguments;
use super::show::Show;
use crate::error::LoadError;
use crate::report::count;
use crate::scenario::open_loop::OpenLoop;
use crate::scenario::{http, logins, search};
use crate::token;

/// One GET over and over, with wrk.
#[derive(Args)]
#[command(after_help = "\
Examples:
  mangahub-load http --connections 64
  mangahub-load http --connections 1000 --path /api/v1/manga?limit=20
A closed loop: every connection has one request on its way. An answer that is no success spoils the number.")]
pub struct Http {
    /// What to ask for.
    #[arg(long, default_value = "/api/v1/manga/one-piece")]
    path: String,
    /// How many connections.
    #[arg(long, default_value_t = 64, value_parser = positive)]
    connections: usize,
    #[command(flatten)]
    time: Time,
    #[command(flatten)]
    hub: HubArguments,
}

impl Http {
    /// Runs it.
    pub fn run(self, show: &Show) -> Result<(), LoadError> {
        let hub = self.hub.open(&[])?;
        let outcome = http::run(hub.http()?, &self.path, self.connections, self.time.seconds)?;
        show.print(&outcome, &format!("{} requests/s", count(outcome.requests_per_second)))
    }
}

/// Searches by title at a fixed rate, with a ping beside them.
#[derive(Args)]
#[command(after_help = "\
Example:
  mangahub-load search --catalogue data/manga.json --rate 100
What is searched for is drawn from the catalogue's titles, so every search must find something.")]
pub struct Search {
    /// The catalogue that the server has loaded, a JSON file; a server that is started loads it.
    #[arg(long, value_name = "FILE")]
    catalogue: PathBuf,
    /// Searches a second.
    #[arg(long, default_value_t = 500.0, value_parser = rate, alias = "per-second")]
    rate: f64,
    #[command(flatten)]
    time: Time,
    #[command(flatten)]
    hub: HubArguments,
}

impl Search {
    /// Runs it.
    pub fn run(self, show: &Show) -> Result<(), LoadError> {
        let queries = search::queries(&self.catalogue)?;
        let hub = self.hub.open(&[("MANGAHUB_STORE_CATALOGUE", &self.catalogue.to_string_lossy())])?;
        let (http, tcp, token) = (hub.http()?, hub.tcp()?, hub.token()?);
        show_open_loop(&search::run(http, tcp, &token, &queries, self.rate, self.time.pace())?, show)
    }
}

/// Logins at a fixed rate, with a ping beside them.
#[derive(Args)]
#[command(after_help = "\
Example:
  mangahub-load logins --rate 50
More than bcrypt allows is answered 503, soon; a ping must not wait for any of it. A server that is started has the
bcrypt cost that the documentation recommends.")]
pub struct Logins {
    /// How many users log in, in turn; they are registered first.
    #[arg(long, default_value_t = 21, value_parser = positive)]
    users: usize,
    /// Logins a second.
    #[arg(long, default_value_t = 50.0, value_parser = rate, alias = "per-second")]
    rate: f64,
    #[command(flatten)]
    time: Time,
    #[command(flatten)]
    hub: HubArguments,
}

impl Logins {
    /// Runs it.
    pub fn run(self, show: &Show) -> Result<(), LoadError> {
        let hub = self.hub.open(&[("MANGAHUB_AUTH_BCRYPT_COST", "10")])?;
        let users = token::register(hub.http()?, self.users)?;
        show_open_loop(&logins::run(hub.http()?, hub.tcp()?, &users, self.rate, self.time.pace())?, show)
    }
}

fn show_open_loop(outcome: &OpenLoop, show: &Show) -> Result<(), LoadError> {
    show.print(outcome, &outcome.to_string())
}
