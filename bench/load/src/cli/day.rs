//! Commands that do everything at once: a day in the life, and many minutes of it.

use std::time::Duration;

use clap::Args;

use super::args::{Scale, Time, rate};
use super::hub::{Hub, HubArguments};
use super::show::{Show, none_failed};
use crate::error::LoadError;
use crate::progress::Progress;
use crate::scenario::mixed::Days;
use crate::scenario::task::Work;
use crate::scenario::{Pace, soak};
use crate::suite::STORED_SERIES;
use crate::token;

/// Who lives the day.
#[derive(Args)]
pub struct People {
    /// Readers who update, each with a TCP connection; they are registered first.
    #[arg(long, default_value_t = 100)]
    readers: usize,
    /// Chatters who talk in one room, each with a WebSocket; they are registered first.
    #[arg(long, default_value_t = 30)]
    chatters: usize,
    /// Connections that ask over HTTP.
    #[arg(long, default_value_t = 30)]
    pollers: usize,
    /// So many operations a second of all kinds together (40 % updates, 10 % messages, 50 % questions), whether the
    /// server keeps up or not; one after the other for each connection, if not given.
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    rate: Option<f64>,
    /// The slug of the series that everyone reads.
    #[arg(long, default_value = STORED_SERIES)]
    manga: String,
}

impl People {
    fn days(self, hub: &Hub) -> Result<Work, LoadError> {
        let (tcp, http) = (hub.tcp()?, hub.http()?);
        let mut readers = token::register(http, self.readers.saturating_add(self.chatters))?;
        let chatters = readers.split_off(self.readers);
        let Self { pollers, rate, manga, .. } = self;
        Ok(Work::Mixed(Days { tcp, http, readers, chatters, pollers, manga, rate, room: Days::new_room() }))
    }
}

/// A day in the life: readers update, chatters talk, pollers ask over HTTP, and all of it is verified.
#[derive(Args)]
#[command(after_help = "\
Examples:
  mangahub-load mixed
  mangahub-load mixed --readers 500 --chatters 50 --pollers 50 --rate 2000 --seconds 30
Every update comes back once and in order, every chatter hears everyone once and in order, and what was acknowledged
is asked for over HTTP at the end. Anything else fails the run.")]
pub struct Mixed {
    #[command(flatten)]
    people: People,
    #[command(flatten)]
    time: Time,
    #[command(flatten)]
    scale: Scale,
    #[command(flatten)]
    hub: HubArguments,
}

impl Mixed {
    /// Runs it.
    pub fn run(self, show: &Show) -> Result<(), LoadError> {
        let hub = self.hub.open(SETTINGS)?;
        let days = self.people.days(&hub)?;
        show.outcome(&self.scale.run("mixed", days, self.time.pace(), hub.known_pid())?)
    }
}

/// The mixed day for many minutes, with the server's memory looked at: fails when it grows or anything was lost.
#[derive(Args)]
#[command(after_help = "\
Examples:
  mangahub-load soak --minutes 10
  mangahub-load soak --minutes 720 --rate 500 --growth-max-mib 16
Memory (RssAnon) may grow while caches fill, in the first third. After that, more than --growth-max-mib or a tenth
of what it was fails the run.")]
pub struct Soak {
    /// How many minutes.
    #[arg(long, default_value_t = 10.0, value_parser = minutes)]
    minutes: f64,
    /// By how many MiB memory may grow in the last two thirds.
    #[arg(long, default_value_t = 8, value_name = "MIB")]
    growth_max_mib: u64,
    #[command(flatten)]
    people: People,
    #[command(flatten)]
    scale: Scale,
    #[command(flatten)]
    hub: HubArguments,
}

impl Soak {
    /// Runs it.
    pub fn run(self, show: &Show) -> Result<(), LoadError> {
        let hub = self.hub.open(SETTINGS)?;
        let pid = hub.pid()?;
        let people = People { rate: self.people.rate.or(Some(SOAK_RATE)), ..self.people };
        let days = people.days(&hub)?;
        let pace = Pace { warm_up: Duration::ZERO, duration: Duration::from_secs_f64(self.minutes * 60.0) };
        let progress = Progress::new("soak", pace.whole());
        let mut crew = self.scale.crew(days, pace, Some(pid), &progress)?;
        let soak = soak::run(&mut crew, pid, pace.whole(), &progress)?;
        drop(progress);
        show.print(&soak, &soak.to_string())?;
        none_failed(&soak.outcome)?;
        match soak.memory.has_grown(self.growth_max_mib * 1024 * 1024) {
            true => Err(LoadError::Wrong("the server's memory grows".to_owned())),
            false => Ok(()),
        }
    }
}

/// Minutes, a day of them at most.
fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(minutes) if (0.01..=MINUTES_MAX).contains(&minutes) => Ok(minutes),
        _ => Err(format!("a number between 0.01 and {MINUTES_MAX}")),
    }
}

/// Readers hear their own updates only, so that a day has as much to tell with many people as with few.
const SETTINGS: &[(&str, &str)] = &[("MANGAHUB_TCP_BROADCAST_SCOPE", "user")];

/// A steady day that leaves room: a soak looks for what adds up, not for the limit.
const SOAK_RATE: f64 = 200.0;

const MINUTES_MAX: f64 = 1440.0;
