//! Greetings: newcomers at a fixed rate, each with a WebSocket handshake and a join, and how long each waits for
//! the first message of the room.
//!
//! Nobody waits for anybody: a newcomer is due at its time, whatever the others do, and leaves when it has been
//! greeted, so that the room stays as empty as it was. The time counts from `connect()`.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Pace, STALL};
use crate::client::{Arrival, Swarm};
use crate::drive::schedule::Schedule;
use crate::error::LoadError;
use crate::join::{Newcomer, ROOM, Step, join_frame};
use crate::stats::{Latencies, Summary};
use crate::websocket;

/// What the newcomers saw.
#[derive(Debug, Clone, Serialize)]
pub struct Greet {
    /// From `connect()` to the first message, the warm-up left out.
    pub wait: Summary,
}

/// `per_second` newcomers a second, with `tokens` in turn. Each must be greeted.
pub fn run(http: SocketAddr, tokens: &[String], per_second: f64, pace: Pace) -> Result<Greet, LoadError> {
    let start = Instant::now();
    let window = start + pace.warm_up..start + pace.warm_up + pace.duration;
    let schedule = Schedule::new(start, window.end, per_second);
    let (guests, waits) = (Vec::new(), Latencies::new());
    let mut hall = Hall { guests, waiting: 0, window, waits, upgraded: Vec::new(), greeted: Vec::new(), failure: None };
    hall.receive(Swarm::new(http)?, schedule, |index| websocket::upgrade(http, &tokens[index % tokens.len()]))?;
    Ok(Greet { wait: hall.waits.summary() })
}

/// Everyone who came.
struct Hall {
    /// In the order in which they came; `None` once greeted.
    guests: Vec<Option<Guest>>,
    /// How many are not.
    waiting: usize,
    window: Range<Instant>,
    waits: Latencies,
    upgraded: Vec<usize>,
    greeted: Vec<usize>,
    failure: Option<LoadError>,
}

struct Guest {
    since: Instant,
    newcomer: Newcomer,
}

impl Hall {
    fn receive(
        &mut self,
        mut swarm: Swarm,
        mut schedule: Schedule,
        upgrade: impl Fn(usize) -> Vec<u8>,
    ) -> Result<(), LoadError> {
        let join = join_frame(ROOM);
        while schedule.next().is_some() || self.waiting > 0 {
            while schedule.take(Instant::now()).is_some() {
                self.guests.push(Some(Guest { since: Instant::now(), newcomer: Newcomer::default() }));
                self.waiting += 1;
                let index = swarm.connect()?;
                swarm.send(index, &upgrade(index));
            }
            let timeout = schedule.next().map_or(STALL, |next| next.saturating_duration_since(Instant::now()));
            swarm.turn(Some(timeout), |index, arrival| self.on(index, arrival))?;
            self.failure.take().map_or(Ok(()), Err)?;
            self.upgraded.drain(..).for_each(|index| swarm.send(index, &join));
            self.greeted.drain(..).for_each(|index| swarm.close(index));
            if Instant::now() > self.window.end + PATIENCE {
                return Err(LoadError::TimedOut(format!("{} were not greeted", self.waiting)));
            }
        }
        Ok(())
    }

    fn on(&mut self, index: usize, arrival: Arrival<'_>) {
        let Some(guest) = &mut self.guests[index] else { return };
        let step = match arrival {
            Arrival::Bytes(bytes) => guest.newcomer.receive(bytes).map_err(LoadError::Wrong),
            Arrival::Closed(_) => Err(LoadError::Closed(index)),
        };
        match step {
            Ok(Step::Waiting) => {}
            Ok(Step::Upgraded) => self.upgraded.push(index),
            Ok(Step::Greeted | Step::Present) => {
                if self.window.contains(&guest.since) {
                    self.waits.record(guest.since.elapsed());
                }
                self.guests[index] = None;
                self.waiting -= 1;
                self.greeted.push(index);
            }
            Err(error) => drop(self.failure.get_or_insert(error)),
        }
    }
}

/// How many users take turns: more than are ever there at once.
pub const GUESTS: usize = 100;

/// How long the last one may wait.
const PATIENCE: Duration = STALL;
