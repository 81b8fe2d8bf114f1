//! The loop of a fan-out: sends what is due, takes what arrives, and verifies.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::FanOut;
use super::receiver::{Receiver, Watch};
use super::window::Window;
use crate::client::{Arrival, Swarm};
use crate::drive::lane::Lane;
use crate::drive::schedule::timeout;
use crate::drive::{Meter, Pacing};
use crate::error::LoadError;
use crate::message::Message;
use crate::scenario::task::share;
use crate::scenario::{Pace, STALL};
use crate::stats::Latencies;

/// The loop, over connections that are ready to receive.
pub struct Loop {
    swarm: Swarm,
    message: Message,
    rooms: Vec<Room>,
    receivers: Vec<Receiver>,
    outgoing: Vec<u8>,
    /// Answers to pings that arrived, and on which connection.
    pongs: Vec<(usize, Vec<u8>)>,
    /// The first thing that went wrong.
    failure: Option<LoadError>,
    /// Whether it looks for more without sleeping while something is on its way.
    awake: bool,
}

/// What one measurement showed.
pub struct Slice {
    /// Messages received, all clients together, per second.
    pub deliveries_per_second: f64,
    /// The mean length of a message in bytes.
    pub message_bytes: f64,
    /// The server's processor time for one delivery, in microseconds, if it was looked at.
    pub server_cpu_us_per_delivery: Option<f64>,
}

/// How many deliveries there were when the measurement began, and when it ended.
#[derive(Default)]
struct Gauge {
    begun: Option<(Instant, u64)>,
    ended: Option<(Instant, u64)>,
}

impl Gauge {
    fn look(&mut self, now: Instant, measured: &Range<Instant>, deliveries: impl Fn() -> u64) {
        if now >= measured.start {
            self.begun.get_or_insert_with(|| (now, deliveries()));
        }
        if now >= measured.end {
            self.ended.get_or_insert_with(|| (now, deliveries()));
        }
    }

    fn measured(&self) -> u64 {
        self.begun.zip(self.ended).map_or(0, |((_, before), (_, after))| after - before)
    }

    fn per_second(&self) -> f64 {
        let (Some((start, before)), Some((end, after))) = (self.begun, self.ended) else { return 0.0 };
        (after - before) as f64 / (end - start).as_secs_f64().max(f64::EPSILON)
    }
}

/// Those who hear one publisher.
struct Room {
    publisher: usize,
    /// When the next message is due, and what came of the others.
    lane: Lane,
    window: Window,
    watch: Watch,
}

impl Loop {
    /// Connections `0..receivers` receive; `publisher` sends, and may be one of them.
    pub fn new(swarm: Swarm, receivers: usize, publisher: usize, in_flight: usize, message: Message) -> Self {
        Self::rooms(swarm, receivers, &[publisher], in_flight, Pacing::Closed, message)
    }

    /// As many rooms as `publishers`, with the connections `0..receivers` in them in turn. At an open pace all rooms
    /// together send so many messages.
    pub fn rooms(
        swarm: Swarm,
        receivers: usize,
        publishers: &[usize],
        in_flight: usize,
        pacing: Pacing,
        message: Message,
    ) -> Self {
        let count = publishers.len().max(1);
        let pacing = match pacing {
            Pacing::Closed => Pacing::Closed,
            Pacing::Open(rate) => Pacing::Open(rate / count as f64),
        };
        let room = |(at, publisher): (usize, &usize)| {
            let mut lane = Lane::new("message", pacing);
            (0..in_flight.max(1)).for_each(|_| lane.free(at));
            let window = Window::new(share(receivers, at, count), in_flight);
            let watch = Watch { message: message.clone(), tail: Vec::new(), next: 0 };
            Room { publisher: *publisher, lane, window, watch }
        };
        let rooms = publishers.iter().enumerate().map(room).collect();
        let receivers = vec![Receiver::new(message.framing()); receivers];
        Self { swarm, message, rooms, receivers, outgoing: Vec::new(), pongs: Vec::new(), failure: None, awake: false }
    }

    /// Never sleeps while something is on its way, for which it needs a core of its own. To wake a sleeper on the
    /// same machine costs the server about as much as to send, which clients elsewhere would not; and the slower
    /// server pays it more often, since only before it do clients find the time to sleep.
    pub fn stay_awake(&mut self) {
        self.awake = true;
    }

    /// Warms up, measures, waits for what is in flight and verifies.
    pub fn measure(self, pace: Pace) -> Result<FanOut, LoadError> {
        self.measure_watched(pace, &Meter::HIDDEN)
    }

    /// The same, with somebody who watches.
    pub fn measure_watched(mut self, pace: Pace, meter: &Meter<'_>) -> Result<FanOut, LoadError> {
        let slice = self.slice(pace, meter)?;
        let (messages, deliveries, latency) = (self.messages(), self.deliveries(), self.latencies().summary());
        let Slice { deliveries_per_second, message_bytes, server_cpu_us_per_delivery } = slice;
        Ok(FanOut { deliveries_per_second, deliveries, messages, message_bytes, latency, server_cpu_us_per_delivery })
    }

    /// The same once, of as many times as one likes: everybody stays connected.
    pub fn slice(&mut self, pace: Pace, meter: &Meter<'_>) -> Result<Slice, LoadError> {
        let start = Instant::now();
        let window = start + pace.warm_up..start + pace.whole();
        self.rooms.iter_mut().for_each(|room| room.lane.open(start, window.end));
        let (mut last_arrival, mut gauge) = (start, Gauge::default());
        let mut processor = meter.processor();
        while Instant::now() < window.end || !self.is_quiet() {
            let now = Instant::now();
            gauge.look(now, &window, || self.deliveries());
            processor.look(now, &window)?;
            meter.progress.tick(now, || (self.rooms.iter().map(|room| room.window.done).sum(), 0));
            self.publish(now, &window);
            let next = self.rooms.iter().filter_map(|room| room.lane.next()).min();
            let patience = if self.awake && !self.is_quiet() { Duration::ZERO } else { timeout(now, next) };
            if self.receive(patience, &window)? {
                last_arrival = Instant::now();
            } else if !self.is_quiet() && last_arrival.elapsed() > STALL {
                return Err(self.stalled());
            }
            let waiting: usize = self.rooms.iter().map(|room| room.lane.waiting()).sum();
            if now > window.end + STALL && waiting > 0 {
                return Err(LoadError::TimedOut(format!("the rate was not kept: {waiting} messages were never sent")));
            }
        }
        let now = Instant::now();
        gauge.look(now, &window, || self.deliveries());
        processor.look(now, &window)?;
        // A doubled message would come now.
        self.receive(QUIET, &window)?;
        Ok(Slice {
            deliveries_per_second: gauge.per_second(),
            message_bytes: self.verify()?,
            server_cpu_us_per_delivery: processor.us_for_each(gauge.measured()),
        })
    }

    /// How many messages were sent in each room so far.
    pub fn messages(&self) -> Vec<u64> {
        self.rooms.iter().map(|room| room.window.sent).collect()
    }

    /// How long each message took that was measured so far.
    pub fn latencies(&self) -> Latencies {
        let mut latencies = Latencies::new();
        for room in &self.rooms {
            room.lane.tally.answers.values().for_each(|answers| latencies.merge(&answers.latencies));
        }
        latencies
    }

    /// What everybody has received so far: of a slow peer, only some may have a message that others wait for.
    fn deliveries(&self) -> u64 {
        self.receivers.iter().map(|receiver| receiver.messages).sum()
    }

    /// Every message that was due has reached everyone.
    fn is_quiet(&self) -> bool {
        self.rooms.iter().all(|room| room.window.done == room.window.sent && room.lane.waiting() == 0)
    }

    fn stalled(&self) -> LoadError {
        let sum = |of: fn(&Window) -> u64| self.rooms.iter().map(|room| of(&room.window)).sum::<u64>();
        let (sent, done) = (sum(|window| window.sent), sum(|window| window.done));
        LoadError::TimedOut(format!("{done} of {sent} messages reached every client, then nothing came"))
    }

    /// Sends what is due and has room in the windows, each room's in one write.
    fn publish(&mut self, now: Instant, measured: &Range<Instant>) {
        for room in &mut self.rooms {
            room.lane.arrive(now, measured);
            self.outgoing.clear();
            while let Some((_, since)) = room.lane.take() {
                self.message.publish(room.window.send(since), &mut self.outgoing);
            }
            if !self.outgoing.is_empty() {
                self.swarm.send(room.publisher, &self.outgoing);
            }
        }
    }

    fn receive(&mut self, timeout: Duration, measured: &Range<Instant>) -> Result<bool, LoadError> {
        let Self { swarm, rooms, receivers, pongs, failure, .. } = self;
        let (count, mut something) = (rooms.len(), false);
        swarm.turn(Some(timeout), |index, arrival| {
            something = true;
            let result = match (arrival, receivers.get_mut(index)) {
                (Arrival::Closed(kind), _) => Err(LoadError::Closed(index, kind)),
                // A publisher that is no receiver: Redis tells it how many it reached.
                (Arrival::Bytes(_), None) => Ok(()),
                (Arrival::Bytes(bytes), Some(receiver)) => {
                    let before = receiver.messages;
                    let result = rooms[index % count].receive(index, index < count, before, receiver, bytes, measured);
                    pongs.extend(receiver.take_pongs().map(|pong| (index, pong)));
                    result
                }
            };
            if let Err(error) = result {
                failure.get_or_insert(error);
            }
        })?;
        self.answer_pings();
        self.failure.take().map_or(Ok(something), Err)
    }

    fn answer_pings(&mut self) {
        for (index, pong) in self.pongs.drain(..) {
            self.swarm.send(index, &pong);
        }
    }

    /// Every client has every message of its room and the same bytes. Returns the mean length of a message.
    fn verify(&self) -> Result<f64, LoadError> {
        let (mut bytes, mut messages) = (0, 0);
        for (at, room) in self.rooms.iter().enumerate() {
            let (sent, seen) = (room.window.sent, room.watch.next);
            let mut members = self.receivers.iter().enumerate().skip(at).step_by(self.rooms.len());
            let Some((_, first)) = members.next() else { continue };
            if seen != sent || !room.watch.tail.is_empty() {
                return Err(LoadError::Wrong(format!("the watched client saw {seen} of {sent} messages")));
            }
            if let Some((index, other)) =
                members.find(|(_, other)| (other.messages, other.bytes) != (sent, first.bytes))
            {
                return Err(LoadError::Wrong(format!(
                    "client {index} received {} messages in {} bytes, client {at} {} in {}",
                    other.messages, other.bytes, first.messages, first.bytes
                )));
            }
            (bytes, messages) = (bytes + first.bytes, messages + sent);
        }
        Ok(bytes as f64 / messages.max(1) as f64)
    }
}

impl Room {
    /// One of its clients, which had `before` messages, has received more. The first one's are looked into.
    fn receive(
        &mut self,
        index: usize,
        watched: bool,
        before: u64,
        receiver: &mut Receiver,
        bytes: &[u8],
        measured: &Range<Instant>,
    ) -> Result<(), LoadError> {
        let Self { lane, window, watch, .. } = self;
        let count = receiver.count(bytes)?;
        window.receive(index, before, count, |since| {
            lane.tally.add(since, Instant::now(), Ok(0), measured);
            lane.free(0);
        })?;
        if watched { watch.look(bytes) } else { Ok(()) }
    }
}

/// How long to listen for a doubled message after the last one has arrived everywhere.
const QUIET: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};

    use super::super::ready_raw;
    use super::*;

    /// Sends what either of two connections says to both, what the second says in so many copies.
    fn two_listeners(copies: usize) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let streams = [listener.accept().unwrap().0, listener.accept().unwrap().0];
            let said = |from: usize, copies: usize| {
                let (mut from, to) = (&streams[from], [&streams[0], &streams[1]]);
                let mut bytes = [0; 1024];
                while let Ok(count @ 1..) = from.read(&mut bytes) {
                    let sent = bytes[..count].repeat(copies);
                    to.into_iter().for_each(|mut stream| drop(stream.write_all(&sent)));
                }
            };
            std::thread::scope(|scope| {
                scope.spawn(|| said(0, 1));
                scope.spawn(|| said(1, copies));
            });
        });
        address
    }

    /// Shows that slices follow each other on the same connections, each measured by itself, all verified together.
    #[test]
    fn slices_follow_each_other() {
        let mut clients = ready_raw(two_listeners(1), 40, 2, 3).unwrap();
        let mut sent = 0;
        for _ in 0..3 {
            let slice = clients.slice(Pace::seconds(0.1), &Meter::HIDDEN).unwrap();
            assert!(slice.deliveries_per_second > 0.0 && slice.message_bytes == 40.0);
            let messages = clients.messages()[0];
            assert!(messages > sent);
            sent = messages;
        }
        assert!(clients.latencies().summary().count > 0);
    }

    /// Shows that a message that comes twice fails the slice.
    #[test]
    fn a_doubled_message_fails() {
        let mut clients = ready_raw(two_listeners(2), 40, 2, 1).unwrap();
        assert!(clients.slice(Pace::seconds(0.1), &Meter::HIDDEN).is_err());
    }
}
