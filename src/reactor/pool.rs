//! Worker lanes: where everything runs that may block.
//!
//! Each lane is a bounded queue and the threads that empty it. What a job *does* is the caller's
//! closure; this file sees to it that every admitted job comes back through the inbox exactly once,
//! after a panic too, because a connection waits for it.
//!
//! Jobs for the writer are handed over once a turn, all together. One by one, the first would wake
//! the writer, which would commit it alone while its companions still wait, and the rest would be
//! told to everybody a second time: two rounds of a thousand writes where one does.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, unbounded};

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
    slow: Sender<Ticket<J>>,
    outbound: Sender<Ticket<J>>,
    write: Sender<Vec<Ticket<J>>>,
    /// This turn's jobs for the writer.
    batch: Vec<Ticket<J>>,
    /// How many jobs the writer has not begun, this turn's among them.
    unwritten: Arc<AtomicUsize>,
    write_max: usize,
}

/// The workers' end of every lane.
pub struct Queues<J> {
    /// Jobs of [`Lane::Read`].
    pub read: Receiver<Ticket<J>>,
    /// Jobs of [`Lane::Slow`].
    pub slow: Receiver<Ticket<J>>,
    /// Jobs of [`Lane::Outbound`].
    pub outbound: Receiver<Ticket<J>>,
    /// Jobs of [`Lane::Write`], a turn's together.
    pub write: WriteQueue<J>,
}

/// The writer's end of its lane.
pub struct WriteQueue<J> {
    batches: Receiver<Vec<Ticket<J>>>,
    unwritten: Arc<AtomicUsize>,
    /// What was received beyond the last group.
    left: VecDeque<Ticket<J>>,
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
    /// For requests to other servers.
    pub outbound: usize,
}

impl LaneBounds {
    /// Enough for tests and examples.
    pub const SMALL: LaneBounds = LaneBounds { read: 1024, write: 1024, slow: 64, outbound: 64 };
}

/// Makes both ends of all lanes.
pub fn lanes<J>(bounds: LaneBounds) -> (Lanes<J>, Queues<J>) {
    let (read, read_jobs) = bounded(bounds.read);
    let (slow, slow_jobs) = bounded(bounds.slow);
    let (outbound, outbound_jobs) = bounded(bounds.outbound);
    // Bounded by the jobs in it, which are counted beside it.
    let (write, batches) = unbounded();
    let unwritten = Arc::new(AtomicUsize::new(0));
    let queue = WriteQueue { batches, unwritten: unwritten.clone(), left: VecDeque::new() };
    let lanes = Lanes { read, slow, outbound, write, batch: Vec::new(), unwritten, write_max: bounds.write };
    (lanes, Queues { read: read_jobs, slow: slow_jobs, outbound: outbound_jobs, write: queue })
}

impl<J> Lanes<J> {
    /// Puts a job into its lane, or gives it back when there is no room. One for the writer goes
    /// out with the next [`hand_over`](Self::hand_over).
    pub fn submit(&mut self, lane: Lane, ticket: Ticket<J>) -> Result<(), Ticket<J>> {
        let queue = match lane {
            Lane::Write => return self.submit_write(ticket),
            Lane::Slow => &self.slow,
            Lane::Outbound => &self.outbound,
            Lane::Read | Lane::Reactor => &self.read,
        };
        queue.try_send(ticket).map_err(|error| match error {
            TrySendError::Full(ticket) | TrySendError::Disconnected(ticket) => ticket,
        })
    }

    fn submit_write(&mut self, ticket: Ticket<J>) -> Result<(), Ticket<J>> {
        if self.unwritten.load(Ordering::Relaxed) >= self.write_max {
            return Err(ticket);
        }
        self.unwritten.fetch_add(1, Ordering::Relaxed);
        self.batch.push(ticket);
        Ok(())
    }

    /// Gives the writer what the turn has brought.
    pub fn hand_over(&mut self) {
        if !self.batch.is_empty() {
            // A writer that has ended has been told to: nobody waits for these any more.
            let _ = self.write.send(std::mem::take(&mut self.batch));
        }
    }

    /// How many jobs wait: for readers, the writer, slow work and other servers.
    pub fn depths(&self) -> [(&'static str, usize); 4] {
        let unwritten = self.unwritten.load(Ordering::Relaxed);
        [("read", self.read.len()), ("write", unwritten), ("slow", self.slow.len()), ("outbound", self.outbound.len())]
    }
}

impl<J> WriteQueue<J> {
    /// Waits for jobs, and takes up to `most` of those that are there, in order. `None` when no more
    /// will come.
    pub fn next_group(&mut self, most: usize) -> Option<Vec<Ticket<J>>> {
        if self.left.is_empty() {
            self.left.extend(self.batches.recv().ok()?);
        }
        self.collect(most)
    }

    /// The same, without waiting: for one who drives the lane by hand.
    pub fn try_next_group(&mut self, most: usize) -> Option<Vec<Ticket<J>>> {
        self.collect(most)
    }

    /// How many jobs wait.
    pub fn len(&self) -> usize {
        self.unwritten.load(Ordering::Relaxed)
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn collect(&mut self, most: usize) -> Option<Vec<Ticket<J>>> {
        while self.left.len() < most {
            let Ok(batch) = self.batches.try_recv() else { break };
            self.left.extend(batch);
        }
        let group: Vec<_> = self.left.drain(..most.min(self.left.len())).collect();
        self.unwritten.fetch_sub(group.len(), Ordering::Relaxed);
        (!group.is_empty()).then_some(group)
    }
}

/// How a worker thread runs.
#[derive(Debug, Clone, Copy)]
pub struct WorkerOptions {
    /// The thread's name.
    pub name: &'static str,
    /// Added to the thread's nice value, so that the loop goes first where both want a core.
    pub nice: i32,
}

/// Starts a thread that takes jobs one by one, runs them, and sends them back. It ends when the
/// lane's other end is gone and the queue is empty.
pub fn worker<J: Send + 'static>(
    options: WorkerOptions,
    jobs: Receiver<Ticket<J>>,
    door: Door<J>,
    mut run: impl FnMut(&mut J) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    spawn(options, move || {
        while let Ok(ticket) = jobs.recv() {
            let mut group = vec![ticket];
            guarded(options.name, || run(&mut group[0].job));
            door.send(Wakeup::Done(group));
        }
    })
}

/// Starts the thread that takes up to `group_max` waiting jobs, runs them together, and sends them
/// back together. It ends when the lane's other end is gone and the queue is empty.
pub fn writer<J: Send + 'static>(
    options: WorkerOptions,
    group_max: usize,
    mut jobs: WriteQueue<J>,
    door: Door<J>,
    mut run: impl FnMut(&mut [Ticket<J>]) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    spawn(options, move || {
        while let Some(mut group) = jobs.next_group(group_max) {
            guarded(options.name, || run(&mut group));
            door.send(Wakeup::Done(group));
        }
    })
}

fn spawn(options: WorkerOptions, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(options.name.into()).spawn(move || {
        be_nice(options.nice);
        body();
    })
}

/// A job turns its own panic into a result; this is the net below it.
fn guarded(worker: &str, run: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(run)).is_err() {
        tracing::error!(worker, "a worker panicked outside of any job");
    }
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

    struct Silent;

    impl Bell for Silent {
        fn ring(&self) {}
    }

    const KEY: ConnKey = ConnKey { index: 0, generation: 1 };

    /// A full lane gives the job back at once, the writer's too.
    #[test]
    fn a_full_lane_refuses() {
        let (mut lanes, mut queues) = lanes(LaneBounds { read: 1, write: 1, slow: 1, outbound: 1 });
        for lane in [Lane::Read, Lane::Write, Lane::Slow, Lane::Outbound] {
            assert!(lanes.submit(lane, Ticket { key: KEY, job: 1 }).is_ok());
            assert_eq!(lanes.submit(lane, Ticket { key: KEY, job: 2 }).unwrap_err().job, 2);
        }
        lanes.hand_over();
        assert!(lanes.submit(Lane::Write, Ticket { key: KEY, job: 3 }).is_err(), "handed over is not yet written");
        assert_eq!(queues.write.try_next_group(9).unwrap().len(), 1);
        assert!(lanes.submit(Lane::Write, Ticket { key: KEY, job: 4 }).is_ok());
    }

    /// The writer gets a turn's jobs together, in order, and never more at once than it wants.
    #[test]
    fn the_writer_gets_whole_turns_in_order() {
        let (mut lanes, mut queues) = lanes(LaneBounds::SMALL);
        for turn in [0..3, 3..7] {
            for job in turn {
                lanes.submit(Lane::Write, Ticket { key: KEY, job }).unwrap();
            }
            lanes.hand_over();
        }
        let mut group = |most| -> Option<Vec<i32>> {
            Some(queues.write.try_next_group(most)?.into_iter().map(|ticket| ticket.job).collect())
        };
        assert_eq!(group(5), Some(vec![0, 1, 2, 3, 4]));
        assert_eq!(group(5), Some(vec![5, 6]));
        assert_eq!(group(5), None);
    }

    /// Jobs come back even when the worker's closure panics, and the thread lives on.
    #[test]
    fn every_job_comes_back() {
        let (door, inbox) = inbox(Arc::new(Silent));
        let (mut lanes, queues) = lanes(LaneBounds::SMALL);
        let options = WorkerOptions { name: "test", nice: 0 };
        let thread = worker(options, queues.read, door, |job: &mut u32| {
            assert_ne!(*job, 13, "unlucky");
            *job *= 2;
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
