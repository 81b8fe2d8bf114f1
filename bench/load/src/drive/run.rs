//! The turn of the loop: send what is due, wait for events, hand what arrived to the clients.
//!
//! Connections are known by their index in the [`Swarm`], and each belongs to one [`Lane`].

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::Client;
use super::lane::{Lane, Pacing};
use super::meter::Meter;
use super::schedule::timeout;
use super::tally::Tally;
use crate::client::{Arrival, Swarm};
use crate::error::LoadError;
use crate::scenario::{Pace, STALL};

/// Connections with their clients, ready to be driven.
pub struct Drive<C> {
    swarm: Swarm,
    seats: Vec<Seat<C>>,
    lanes: Vec<Lane>,
    /// What is measured is between these.
    window: Range<Instant>,
    outgoing: Vec<u8>,
    /// Connections that owe something besides operations.
    owing: Vec<usize>,
    patience: Duration,
}

/// One connection.
struct Seat<C> {
    client: C,
    lane: usize,
    /// From when the operations on their way count, the oldest first.
    since: VecDeque<Instant>,
    open: bool,
}

impl<C: Client> Drive<C> {
    /// No lanes yet. The connections of `swarm` are made, and what they need before they work is done.
    pub fn new(swarm: Swarm) -> Self {
        let now = Instant::now();
        let (seats, lanes) = (Vec::new(), Vec::new());
        Self { swarm, seats, lanes, window: now..now, outgoing: Vec::new(), owing: Vec::new(), patience: STALL }
    }

    /// Gives the next connections of the swarm to `clients`, each with up to `in_flight` operations on their way.
    pub fn lane(mut self, name: &str, pacing: Pacing, in_flight: usize, clients: impl IntoIterator<Item = C>) -> Self {
        let mut lane = Lane::new(name, pacing);
        for client in clients {
            (0..in_flight.max(1)).for_each(|_| lane.free(self.seats.len()));
            self.seats.push(Seat { client, lane: self.lanes.len(), since: VecDeque::new(), open: true });
        }
        self.lanes.push(lane);
        self
    }

    /// For so long after the end, what is due may still be sent; and answers are waited for until none has come for
    /// so long.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Warms up, measures, and waits for what is on its way. Returns the tallies by lane, and the clients, who
    /// know what was acknowledged.
    pub fn measure(mut self, pace: Pace, meter: &Meter<'_>) -> Result<(Vec<Tally>, Vec<C>), LoadError> {
        let start = Instant::now();
        self.window = start + pace.warm_up..start + pace.warm_up + pace.duration;
        self.lanes.iter_mut().for_each(|lane| lane.open(start, start + pace.warm_up + pace.duration));
        let used = self.work(meter)?;
        self.listen_on()?;
        Ok(self.finish(pace, used))
    }

    /// Works until nothing is due and nothing is on its way. Returns the processor time that the server used in the
    /// time measured.
    fn work(&mut self, meter: &Meter<'_>) -> Result<Option<Duration>, LoadError> {
        let mut processor = meter.processor();
        let mut last_arrival = Instant::now();
        loop {
            let now = Instant::now();
            processor.look(now, &self.window)?;
            meter.progress.tick(now, || self.glimpse());
            self.send_due(now);
            let next = self.lanes.iter().filter_map(Lane::next).min();
            if now > self.window.end + self.patience {
                self.lanes.iter_mut().for_each(Lane::give_up);
            }
            let waited = now.saturating_duration_since(last_arrival.max(self.window.end));
            if now >= self.window.end && (self.is_quiet() || waited > self.patience) {
                return Ok(processor.used());
            }
            if self.receive(timeout(now, next))? {
                last_arrival = Instant::now();
            }
        }
    }

    /// What is there for the user to see: good answers and failures so far.
    fn glimpse(&self) -> (u64, u64) {
        let sum = |of: fn(&Tally) -> u64| self.lanes.iter().map(|lane| of(&lane.tally)).sum();
        (sum(Tally::operations), sum(|tally| tally.failures.values().sum()))
    }

    fn send_due(&mut self, now: Instant) {
        let Self { swarm, seats, lanes, outgoing, window, .. } = self;
        for lane in lanes {
            lane.arrive(now, window);
            // What one connection asks at once leaves in one write.
            let mut writer = None;
            while let Some((index, since)) = lane.take() {
                if let Some(writer) = writer.filter(|writer| *writer != index) {
                    swarm.send(writer, outgoing);
                    outgoing.clear();
                }
                writer = Some(index);
                seats[index].since.push_back(since);
                seats[index].client.ask(outgoing);
            }
            if let Some(writer) = writer {
                swarm.send(writer, outgoing);
                outgoing.clear();
            }
        }
    }

    /// Waits at most `timeout`. Whether anything arrived.
    fn receive(&mut self, timeout: Duration) -> Result<bool, LoadError> {
        let Self { swarm, seats, lanes, window, owing, .. } = self;
        let (mut wrong, mut something) = (None, false);
        swarm.turn(Some(timeout), |index, arrival| {
            something = true;
            let seat = &mut seats[index];
            match seat.take(index, arrival, &mut lanes[seat.lane], window) {
                Ok(()) => owing.push(index),
                Err(error) => drop(wrong.get_or_insert(error)),
            }
        })?;
        self.pay();
        wrong.map_or(Ok(something), |reason| Err(LoadError::Wrong(reason)))
    }

    fn pay(&mut self) {
        for index in self.owing.drain(..) {
            self.seats[index].client.owed(&mut self.outgoing);
            if !self.outgoing.is_empty() {
                self.swarm.send(index, &self.outgoing);
                self.outgoing.clear();
            }
        }
    }

    /// Nothing waits for its turn or its answer.
    fn is_quiet(&self) -> bool {
        self.lanes.iter().all(|lane| lane.waiting() == 0) && self.seats.iter().all(|seat| seat.since.is_empty())
    }

    /// Listens until nothing has come for a moment: what was told to others is on its way still, and a doubled
    /// message would come now.
    fn listen_on(&mut self) -> Result<(), LoadError> {
        let end = Instant::now() + STALL;
        while self.receive(QUIET)? && Instant::now() < end {}
        Ok(())
    }

    fn finish(mut self, pace: Pace, used: Option<Duration>) -> (Vec<Tally>, Vec<C>) {
        for seat in &self.seats {
            self.lanes[seat.lane].tally.fail("no answer at the end", seat.since.len() as u64);
        }
        let tallies = self.lanes.into_iter().map(|mut lane| {
            lane.give_up();
            let mut tally = lane.tally;
            (tally.seconds, tally.processor_seconds) =
                (pace.duration.as_secs_f64(), used.map(|used| used.as_secs_f64()));
            tally
        });
        (tallies.collect(), self.seats.into_iter().map(|seat| seat.client).collect())
    }
}

impl<C: Client> Seat<C> {
    fn take(
        &mut self,
        index: usize,
        arrival: Arrival<'_>,
        lane: &mut Lane,
        window: &Range<Instant>,
    ) -> Result<(), String> {
        let Self { client, since, open, .. } = self;
        let bytes = match arrival {
            Arrival::Bytes(bytes) if *open => bytes,
            Arrival::Bytes(_) => return Ok(()),
            Arrival::Closed(kind) => {
                *open = false;
                lane.remove(index);
                lane.tally.fail(&format!("closed: {kind}"), since.drain(..).count().max(1) as u64);
                return Ok(());
            }
        };
        let (now, mut unasked) = (Instant::now(), false);
        client.receive(bytes, &mut |verdict| match since.pop_front() {
            Some(since) => {
                lane.tally.add(since, now, verdict, window);
                lane.free(index);
            }
            None => unasked = true,
        })?;
        if unasked { Err(format!("connection {index} had an answer to nothing")) } else { Ok(()) }
    }
}

/// How long nothing must come before nothing is on its way.
const QUIET: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::Verdict;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};

    /// Asks with one byte, and takes any byte for the answer but `!`, which is wrong, and `?`, which is a failure.
    struct Byte;

    impl Client for Byte {
        fn ask(&mut self, out: &mut Vec<u8>) {
            out.push(b'a');
        }

        fn receive(&mut self, bytes: &[u8], answered: &mut dyn FnMut(Verdict)) -> Result<(), String> {
            for byte in bytes {
                match byte {
                    b'!' => return Err("!".to_owned()),
                    b'?' => answered(Err("?".to_owned())),
                    _ => answered(Ok(0)),
                }
            }
            Ok(())
        }
    }

    /// A peer that does with each byte what `answer` says, on a thread that ends with the connection.
    fn peer(answer: fn(&mut TcpStream, usize)) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut bytes = [0; 64];
            while let Ok(length @ 1..) = stream.read(&mut bytes) {
                answer(&mut stream, length);
            }
        });
        address
    }

    fn drive(peer: SocketAddr, pacing: Pacing) -> Result<Tally, LoadError> {
        let mut swarm = Swarm::new(peer)?;
        swarm.connect()?;
        let pace = Pace { warm_up: Duration::ZERO, duration: Duration::from_millis(300) };
        let (mut tallies, clients) = Drive::new(swarm).lane("x", pacing, 2, [Byte]).measure(pace, &Meter::HIDDEN)?;
        assert_eq!(clients.len(), 1);
        Ok(tallies.remove(0))
    }

    /// Shows that a closed loop gets an answer to everything it asks, two at a time.
    #[test]
    fn a_closed_loop_is_answered() {
        let echo = peer(|stream, length| drop(stream.write_all(&vec![b'a'; length])));
        let tally = drive(echo, Pacing::Closed).unwrap();
        // More than are on their way from the start: each answer lets the next question go.
        assert!(tally.operations() > 2 && tally.failures.is_empty(), "{:?}", tally.failures);
    }

    /// Shows that an open loop asks a slow peer as often as it should, and that the waiting counts: each answer
    /// takes 20 ms and one is due every 10, so that the last has waited for a good part of the run.
    #[test]
    fn an_open_loop_counts_the_waiting() {
        let slow = peer(|stream, length| {
            for _ in 0..length {
                std::thread::sleep(Duration::from_millis(20));
                let _ = stream.write_all(b"a");
            }
        });
        let tally = drive(slow, Pacing::Open(100.0)).unwrap();
        let latency = tally.answers[&0].latencies.summary();
        assert_eq!((tally.offered, latency.count, tally.failures.len()), (30, 30, 0));
        assert!(latency.max_ms > 200.0, "{latency}");
    }

    /// Shows that a failure is counted by kind and the run goes on, and that so is a close.
    #[test]
    fn failures_are_counted_by_kind() {
        let tally = drive(peer(|stream, length| drop(stream.write_all(&vec![b'?'; length]))), Pacing::Open(100.0));
        let tally = tally.unwrap();
        assert_eq!((tally.failures["?"], tally.operations()), (30, 0));
        let closing = peer(|stream, _| drop(stream.shutdown(std::net::Shutdown::Both)));
        let tally = drive(closing, Pacing::Closed).unwrap();
        assert_eq!(tally.failures.values().sum::<u64>(), 2, "{:?}", tally.failures);
    }

    /// Shows that what no correct peer sends ends the run, an answer too many too.
    #[test]
    fn what_is_wrong_ends_the_run() {
        let wrong = peer(|stream, _| drop(stream.write_all(b"!")));
        assert!(matches!(drive(wrong, Pacing::Closed), Err(LoadError::Wrong(_))));
        let doubled = peer(|stream, length| drop(stream.write_all(&vec![b'a'; 2 * length])));
        assert!(matches!(drive(doubled, Pacing::Closed), Err(LoadError::Wrong(_))));
    }
}
