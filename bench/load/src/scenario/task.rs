//! What one process does of a run, whether there is one or several.
//!
//! A [`Job`] is the order, small enough to be written on a line; a [`Task`] is the same with its connections made.
//! One step later there are numbers. [`crew`](crate::crew) hands jobs out and takes the steps everywhere at once.

use serde::{Deserialize, Serialize};

use super::Pace;
use super::arrive::Arrivals;
use super::asks::Asks;
use super::connect::Storms;
use super::echo::Echoes;
use super::idle::Holds;
use super::ingest::Ingests;
use super::mixed::Days;
use super::ping::Pings;
use crate::drive::{Client, Drive, Meter, Outcome, Tally};
use crate::error::LoadError;
use crate::progress::Progress;
use crate::sources::Sources;

/// What a process is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// How to go about it.
    pub setup: Setup,
    /// What.
    pub work: Work,
}

/// What every kind of work has to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setup {
    /// Where its connections come from.
    pub sources: Sources,
    /// How long.
    pub pace: Pace,
    /// The server's process, to see what an operation costs it.
    pub pid: Option<u32>,
}

/// Kinds of work that several processes can share.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Work {
    /// Pings.
    Ping(Pings),
    /// Echoes of raw bytes.
    Echo(Echoes),
    /// Durable updates.
    Ingest(Ingests),
    /// A storm of logins.
    Storm(Storms),
    /// Logins at a rate.
    Arrive(Arrivals),
    /// Idle connections.
    Hold(Holds),
    /// Requests over HTTP.
    Ask(Asks),
    /// A day in the life.
    Mixed(Days),
}

impl Job {
    /// The part of process number `process` of `of`.
    pub fn part(&self, process: usize, of: usize) -> Self {
        let work = match &self.work {
            Work::Ping(work) => Work::Ping(work.part(process, of)),
            Work::Echo(work) => Work::Echo(work.part(process, of)),
            Work::Ingest(work) => Work::Ingest(work.part(process, of)),
            Work::Storm(work) => Work::Storm(work.part(process, of)),
            Work::Arrive(work) => Work::Arrive(work.part(of)),
            Work::Hold(work) => Work::Hold(work.part(process, of)),
            Work::Ask(work) => Work::Ask(work.part(process, of)),
            Work::Mixed(work) => Work::Mixed(work.part(process, of)),
        };
        Self { setup: Setup { sources: self.setup.sources.of_process(process), ..self.setup.clone() }, work }
    }

    /// Makes the connections.
    pub fn prepare(self) -> Result<Box<dyn Task>, LoadError> {
        let setup = &self.setup;
        match self.work {
            Work::Ping(work) => work.prepare(setup),
            Work::Echo(work) => work.prepare(setup),
            Work::Ingest(work) => work.prepare(setup),
            Work::Storm(work) => work.prepare(setup),
            Work::Arrive(work) => work.prepare(setup),
            Work::Hold(work) => work.prepare(setup),
            Work::Ask(work) => work.prepare(setup),
            Work::Mixed(work) => work.prepare(setup),
        }
    }
}

/// Work that is ready to begin.
pub trait Task {
    /// Does the next step of it; most work has one.
    fn step(&mut self, progress: &Progress) -> Result<Vec<Tally>, LoadError>;
}

/// A drive that is ready, and what must hold of its clients when it is over.
pub struct Ready<C> {
    drive: Option<Drive<C>>,
    setup: Setup,
    verify: Verify<C>,
}

/// What must hold of the clients at the end: what each of them was told is so.
type Verify<C> = Box<dyn Fn(&[C]) -> Result<(), LoadError>>;

impl<C: Client + 'static> Ready<C> {
    /// Nothing is left to verify at the end: the clients have seen it all.
    pub fn boxed(drive: Drive<C>, setup: &Setup) -> Box<dyn Task> {
        Self::verified(drive, setup, |_| Ok(()))
    }

    /// At the end `verify` looks at the clients.
    pub fn verified(
        drive: Drive<C>,
        setup: &Setup,
        verify: impl Fn(&[C]) -> Result<(), LoadError> + 'static,
    ) -> Box<dyn Task> {
        Box::new(Self { drive: Some(drive), setup: setup.clone(), verify: Box::new(verify) })
    }
}

impl<C: Client> Task for Ready<C> {
    fn step(&mut self, progress: &Progress) -> Result<Vec<Tally>, LoadError> {
        let drive = self.drive.take().ok_or_else(|| LoadError::Missing("a run has one step".to_owned()))?;
        let meter = Meter { progress, pid: self.setup.pid };
        let (tallies, clients) = drive.measure(self.setup.pace, &meter)?;
        match (self.verify)(&clients) {
            Ok(()) => Ok(tallies),
            // What went wrong before often says why.
            Err(error) => Err(LoadError::Wrong(format!("{error}\n{}", Outcome::of(tallies)))),
        }
    }
}

/// The part of `count` that process number `process` of `of` takes: all parts together are `count`.
pub fn share(count: usize, process: usize, of: usize) -> usize {
    let of = of.max(1);
    count / of + usize::from(process < count % of)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that the parts add up to the whole and differ by one at most.
    #[test]
    fn parts_make_a_whole() {
        for (count, of) in [(10, 3), (2, 4), (9, 9), (0, 2)] {
            let parts: Vec<usize> = (0..of).map(|process| share(count, process, of)).collect();
            assert_eq!(parts.iter().sum::<usize>(), count);
            assert!(parts[0] - parts[of - 1] <= 1, "{parts:?}");
        }
    }
}
