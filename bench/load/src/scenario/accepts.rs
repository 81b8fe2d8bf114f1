//! The storm without a server behind it: how many connections a second the bare loop accepts.
//!
//! Connects go out as in [`connect`](super::connect), but nobody says anything. One connection, the first, asks the
//! bare loop how many it has accepted, again and again, until it has accepted everybody.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::client::{Arrival, LineBuffer, Swarm};
use crate::error::LoadError;

/// Accepted connections per second, of `clients` that connect at once.
pub fn run(bare: SocketAddr, clients: usize) -> Result<f64, LoadError> {
    let mut swarm = Swarm::new(bare)?;
    let mut asker = Asker { lines: LineBuffer::default(), accepted: 0, heard: true, failure: None };
    let index = swarm.connect()?;
    let start = Instant::now();
    while asker.accepted <= clients {
        let more = CONNECTS_PER_TURN.min(1 + clients - swarm.len());
        for _ in 0..more {
            swarm.connect()?;
        }
        if more == 0 && std::mem::take(&mut asker.heard) {
            swarm.send(index, b"how many?\n");
        }
        let timeout = if more > 0 { Duration::ZERO } else { Duration::from_millis(100) };
        swarm.turn(Some(timeout), |from, arrival| asker.on(from, arrival))?;
        if let Some(error) = asker.failure.take() {
            return Err(error);
        }
        if start.elapsed() > DEADLINE {
            return Err(LoadError::TimedOut(format!("{} of {clients} were accepted", asker.accepted)));
        }
    }
    Ok(clients as f64 / start.elapsed().as_secs_f64())
}

struct Asker {
    lines: LineBuffer,
    accepted: usize,
    /// Whether the last question was answered.
    heard: bool,
    failure: Option<LoadError>,
}

impl Asker {
    fn on(&mut self, index: usize, arrival: Arrival<'_>) {
        let Self { lines, accepted, heard, failure } = self;
        match arrival {
            Arrival::Closed(kind) => drop(failure.get_or_insert(LoadError::Closed(index, kind))),
            Arrival::Bytes(bytes) => lines.feed(bytes, |line| {
                let number = std::str::from_utf8(line).ok().and_then(|line| line.parse().ok());
                match number {
                    Some(number) => (*accepted, *heard) = (number, true),
                    None => {
                        let said = String::from_utf8_lossy(line).into_owned();
                        failure.get_or_insert(LoadError::Wrong(format!("a number was expected, this came: {said}")));
                    }
                }
            }),
        }
    }
}

/// As many as the storm begins before it looks around.
const CONNECTS_PER_TURN: usize = 32;

/// A storm that takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(60);
