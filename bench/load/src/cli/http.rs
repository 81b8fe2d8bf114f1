//! Commands about HTTP.

use std::path::PathBuf;

use clap::Args;

use super::args::{Scale, Time, positive, rate};
use super::hub::HubArguments;
use super::show::Show;
use crate::error::LoadError;
use crate::report::count;
use crate::scenario::asks::Asks;
use crate::scenario::open_loop::OpenLoop;
use crate::scenario::task::Work;
use crate::scenario::{asks, http as wrk, logins, search};
use crate::suite::STORED_SERIES;
use crate::token;

/// One GET over and over, or a mix of requests; with wrk where it can do it.
#[derive(Args)]
#[command(after_help = "\
Examples:
  mangahub-load http --connections 64
  mangahub-load http --connections 1000 --path /api/v1/manga?limit=20
  mangahub-load http --rate 5000 --seconds 10
  mangahub-load http --mix --catalogue data/manga.json --rate 500
A GET in a closed loop is wrk's work, as others measure it: every connection has one request on its way. With --rate,
with --mix (of twenty requests fourteen for a series, five searches, one login) or where there are several
processes, it is this program's own. An answer that is no success spoils the number.")]
pub struct Http {
    /// What to ask for.
    #[arg(long, default_value = "/api/v1/manga/one-piece")]
    path: String,
    /// How many connections.
    #[arg(long, default_value_t = 64, value_parser = positive)]
    connections: usize,
    /// So many requests a second over all connections, whether the server keeps up or not.
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    rate: Option<f64>,
    /// What people do: series, searches, logins.
    #[arg(long, conflicts_with = "path", requires = "catalogue")]
    mix: bool,
    /// The catalogue that the server has loaded, a JSON file: searches are drawn from its titles.
    #[arg(long, value_name = "FILE", requires = "mix")]
    catalogue: Option<PathBuf>,
    #[command(flatten)]
    time: Time,
    #[command(flatten)]
    scale: Scale,
    #[command(flatten)]
    hub: HubArguments,
}

impl Http {
    /// Runs it.
    pub fn run(self, show: &Show) -> Result<(), LoadError> {
        let words = self.catalogue.as_deref().map(search::queries).transpose()?;
        let catalogue = self.catalogue.as_ref().map(|file| file.to_string_lossy());
        let settings: Vec<_> = catalogue.iter().map(|file| ("MANGAHUB_STORE_CATALOGUE", file.as_ref())).collect();
        let hub = self.hub.open(&settings)?;
        let http = hub.http()?;
        if words.is_none() && self.rate.is_none() && self.scale.processes <= 1 {
            let outcome = wrk::run(http, &self.path, self.connections, self.time.seconds)?;
            return show.print(&outcome, &format!("{} requests/s", count(outcome.requests_per_second)));
        }
        let requests = match words {
            Some(words) => asks::mix(http, STORED_SERIES, &words, &token::register(http, LOGIN_USERS)?),
            None => asks::one(http, &self.path),
        };
        let work = Work::Ask(Asks { http, requests, connections: self.connections, rate: self.rate });
        show.outcome(&self.scale.run("http", work, self.time.pace(), hub.known_pid())?)
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

/// Who logs in within a mix, in turn. They come from 16 addresses, a number without a factor in common with this
/// one, so that the server's care about guessed passwords stays out of it.
const LOGIN_USERS: usize = 21;
