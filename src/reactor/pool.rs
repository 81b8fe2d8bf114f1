//! Worker lanes: where everything runs that may block.
//!
//! Each lane is a bounded queue and the threads that empty it. What a job *does* is the caller's
//! closure; this file sees to it that every admitted job comes back through the inbox exactly once,
//! after a panic too, because a connection waits for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::inbox::{Door, Wakeup};
use crate::handlers::effect::Lane;
use crate::handlers::key::ConnKey;

/// A job with the name of the connection it is for.
#[derive(Debug)]
pub struct Ticket<J> {
    /// Who waits for it.
    pub key: ConnKey,
    /// The work, and later its result.
    pub job: J,
}

/// The loop's end of every lane.
pub struct Lanes<J> {
    read: Sender<Ticket<J>>,
    write: Sender<Ticket<J>>,
    slow: Sender<Ticket<J>>,
}

/// The workers' end of every lane.
pub struct Queues<J> {
    /// Jobs of [`Lane::Read`].
    pub read: Receiver<Ticket<J>>,
    /// Jobs of [`Lane::Write`].
    pub write: Receiver<Ticket<J>>,
    /// Jobs of [`Lane::Slow`].
    pub slow: Receiver<Ticket<J>>,
}

/// How many jobs may wait in each lane. A full lane refuses at once: the client is told that the
/// server is busy, and the loop never blocks.
#[derive(Debug, Clone, Copy)]
pub struct LaneBounds {
    /// For readers.
    pub read: usize,
    /// For the writer.
    pub write: usize,
    /// For slow work.
    pub slow: usize,
}

impl LaneBounds {
    /// Enough for tests and examples.
    pub const SMALL: LaneBounds = LaneBounds { read: 1024, write: 1024, slow: 64 };
}

/// Makes both ends of all lanes.
pub fn lanes<J>(bounds: LaneBounds) -> (Lanes<J>, Queues<J>) {
    let (read, read_jobs) = bounded(bounds.read);
    let (write, write_jobs) = bounded(bounds.write);
    let (slow, slow_jobs) = bounded(bounds.slow);
    (Lanes { read, write, slow }, Queues { read: read_jobs, write: write_jobs, slow: slow_jobs })
}

impl<J> Lanes<J> {
    /// Puts a job into its lane, or gives it back when there is no room.
    pub fn submit(&self, lane: Lane, ticket: Ticket<J>) -> Result<(), Ticket<J>> {
        let queue = match lane {
            Lane::Write => &self.write,
            Lane::Slow => &self.slow,
            Lane::Read | Lane::Reactor => &self.read,
        };
        queue.try_send(ticket).map_err(|error| match error {
            TrySendError::Full(ticket) | TrySendError::Disconnected(ticket) => ticket,
        })
    }

    /// How many jobs wait: for readers, the writer and slow work.
    pub fn depths(&self) -> [(&'static str, usize); 3] {
        [("read", self.read.len()), ("write", self.write.len()), ("slow", self.slow.len())]
    }
}

/// How a worker thread runs.
#[derive(Debug, Clone, Copy)]
pub struct WorkerOptions {
    /// The thread's name.
    pub name: &'static str,
    /// Added to the thread's nice value, so that the loop goes first where both want a core.
    pub nice: i32,
    /// How many waiting jobs are taken at once.
    pub group_max: usize,
}

/// Starts a thread that takes up to `group_max` waiting jobs, runs them, and sends them back.
/// It ends when the lane's other end is gone and the queue is empty.
pub fn worker<J: Send + 'static>(
    options: WorkerOptions,
    jobs: Receiver<Ticket<J>>,
    door: Door<J>,
    mut run: impl FnMut(&mut [Ticket<J>]) + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(options.name.into()).spawn(move || {
        be_nice(options.nice);
        while let Ok(first) = jobs.recv() {
            let mut group = vec![first];
            group.extend(jobs.try_iter().take(options.group_max.saturating_sub(1)));
            // The job itself turns its own panic into a result; this is the net below it.
            if catch_unwind(AssertUnwindSafe(|| run(&mut group))).is_err() {
                tracing::error!(worker = options.name, jobs = group.len(), "a worker panicked outside of any job");
            }
            door.send(Wakeup::Done(group));
        }
    })
}

/// Lowers this thread's priority, on systems where a thread has one of its own.
fn be_nice(by: i32) {
    #[cfg(target_os = "linux")]
    if by != 0 {
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), by);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = by;
}

#[cfg(test)]
mod tests {
    use super::super::inbox::{Bell, inbox};
    use super::*;
    use std::sync::Arc;

    struct Silent;

    impl Bell for Silent {
        fn ring(&self) {}
    }

    const KEY: ConnKey = ConnKey { index: 0, generation: 1 };

    /// A full lane gives the job back at once.
    #[test]
    fn a_full_lane_refuses() {
        let (lanes, _queues) = lanes(LaneBounds { read: 1, write: 1, slow: 1 });
        assert!(lanes.submit(Lane::Slow, Ticket { key: KEY, job: 1 }).is_ok());
        assert_eq!(lanes.submit(Lane::Slow, Ticket { key: KEY, job: 2 }).unwrap_err().job, 2);
    }

    /// Jobs come back even when the worker's closure panics, and the thread lives on.
    #[test]
    fn every_job_comes_back() {
        let (door, inbox) = inbox(Arc::new(Silent));
        let (lanes, queues) = lanes(LaneBounds::SMALL);
        let options = WorkerOptions { name: "test", nice: 0, group_max: 1 };
        let thread = worker(options, queues.read, door, |group: &mut [Ticket<u32>]| {
            assert_ne!(group[0].job, 13, "unlucky");
            group[0].job *= 2;
        })
        .unwrap();
        for job in [1, 13, 2] {
            lanes.submit(Lane::Read, Ticket { key: KEY, job }).unwrap();
        }
        drop(lanes);
        thread.join().unwrap();
        let jobs: Vec<u32> = std::iter::from_fn(|| inbox.next())
            .flat_map(|wakeup| match wakeup {
                Wakeup::Done(tickets) => tickets,
                _ => Vec::new(),
            })
            .map(|ticket| ticket.job)
            .collect();
        assert_eq!(jobs, [2, 13, 4]);
    }
}
