//! Fan-out: one publisher, every client receives every message.
//!
//! A closed loop: a message is delivered when *all* clients have received it, and only then is the next one
//! sent, up to `in_flight` at once. An open loop: messages are due at fixed times, and count from then. Every
//! client's messages are counted and its bytes compared with the others'; one client's messages are looked into,
//! each must be the next one. Several rooms are as many fan-outs side by side, each verified on its own.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::echo::connect_all;
use super::task::share;
use super::{Pace, STALL};
use crate::broker;
use crate::client::{Arrival, Swarm};
use crate::drive::lane::Lane;
use crate::drive::meter::Processor;
use crate::drive::schedule::timeout;
use crate::drive::{Meter, Pacing};
use crate::error::LoadError;
use crate::login::log_in_all;
use crate::message::{CHAT, Framing, Message};
use crate::stats::{Latencies, Summary};
use crate::websocket::{self, Counter};

/// What a fan-out run showed.
#[derive(Debug, Clone, Serialize)]
pub struct FanOut {
    /// Messages received, all clients together, per second.
    pub deliveries_per_second: f64,
    /// Messages received, all clients together, the warm-up's too.
    pub deliveries: u64,
    /// Messages sent in each room, the warm-up's too.
    pub messages: Vec<u64>,
    /// The mean length of a received message, in bytes.
    pub message_bytes: f64,
    /// From sending a message until the last client has it.
    pub latency: Summary,
    /// The server's processor time for one delivery, in microseconds, if it was looked at.
    pub server_cpu_us_per_delivery: Option<f64>,
}

/// Fan-out through MangaHub: `clients` authenticate with `tokens` in turn, the last one publishes.
pub fn run(
    tcp: SocketAddr,
    tokens: &[String],
    clients: usize,
    in_flight: usize,
    message: Message,
    pace: Pace,
) -> Result<FanOut, LoadError> {
    run_at(tcp, tokens, clients, in_flight, Pacing::Closed, message, pace, &Meter::HIDDEN)
}

/// The same at any pace, with somebody who watches.
#[expect(clippy::too_many_arguments, reason = "what a fan-out is made of; one call reads as a list of it")]
pub fn run_at(
    tcp: SocketAddr,
    tokens: &[String],
    clients: usize,
    in_flight: usize,
    pacing: Pacing,
    message: Message,
    pace: Pace,
    meter: &Meter<'_>,
) -> Result<FanOut, LoadError> {
    let mut swarm = Swarm::new(tcp)?;
    log_in_all(&mut swarm, clients, tokens)?;
    Loop::rooms(swarm, clients, &[clients - 1], in_flight, pacing, message).measure_watched(pace, meter)
}

/// The same up to the first message: everybody is connected and authenticated.
pub fn ready(
    tcp: SocketAddr,
    tokens: &[String],
    clients: usize,
    in_flight: usize,
    message: Message,
) -> Result<Loop, LoadError> {
    let mut swarm = Swarm::new(tcp)?;
    log_in_all(&mut swarm, clients, tokens)?;
    Ok(Loop::new(swarm, clients, clients - 1, in_flight, message))
}

/// Fan-out through the bare loop: lines of `message_bytes` and no authentication.
pub fn run_raw(
    tcp: SocketAddr,
    message_bytes: usize,
    clients: usize,
    in_flight: usize,
    pace: Pace,
) -> Result<FanOut, LoadError> {
    ready_raw(tcp, message_bytes, clients, in_flight)?.measure(pace)
}

/// The same up to the first message.
pub fn ready_raw(tcp: SocketAddr, message_bytes: usize, clients: usize, in_flight: usize) -> Result<Loop, LoadError> {
    let mut swarm = Swarm::new(tcp)?;
    connect_all(&mut swarm, clients - 1)?;
    // The publisher connects last: the listener's queue is in order, so whoever reads it has accepted the others.
    connect_all(&mut swarm, 1)?;
    Ok(Loop::new(swarm, clients, clients - 1, in_flight, Message::Raw { bytes: message_bytes }))
}

/// The length of one broadcast line with its newline, in bytes: what the bare loop and the brokers have to carry.
pub fn line_length(tcp: SocketAddr, tokens: &[String], message: Message) -> Result<usize, LoadError> {
    let pace = Pace { warm_up: Duration::ZERO, duration: Duration::from_millis(20) };
    let outcome = run(tcp, tokens, 1, 1, message, pace)?;
    Ok(outcome.message_bytes.round() as usize)
}

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
        Self { swarm, message, rooms, receivers, outgoing: Vec::new(), pongs: Vec::new(), failure: None }
    }

    /// Warms up, measures, waits for what is in flight and verifies.
    pub fn measure(self, pace: Pace) -> Result<FanOut, LoadError> {
        self.measure_watched(pace, &Meter::HIDDEN)
    }

    /// The same, with somebody who watches.
    pub fn measure_watched(mut self, pace: Pace, meter: &Meter<'_>) -> Result<FanOut, LoadError> {
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
            if self.receive(timeout(now, next), &window)? {
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
        let message_bytes = self.verify()?;
        Ok(self.outcome(&gauge, &processor, message_bytes))
    }

    fn outcome(&self, gauge: &Gauge, processor: &Processor, message_bytes: f64) -> FanOut {
        let mut latencies = Latencies::new();
        for room in &self.rooms {
            room.lane.tally.answers.values().for_each(|answers| latencies.merge(&answers.latencies));
        }
        let (deliveries, latency) = (self.deliveries(), latencies.summary());
        let server_cpu_us_per_delivery = processor.us_for_each(gauge.measured());
        let deliveries_per_second = gauge.per_second();
        let messages = self.rooms.iter().map(|room| room.window.sent).collect();
        FanOut { deliveries_per_second, deliveries, messages, message_bytes, latency, server_cpu_us_per_delivery }
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
                (Arrival::Closed(_), _) => Err(LoadError::Closed(index)),
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

/// Which messages are in flight, and how many clients still lack each.
struct Window {
    receivers: usize,
    /// A ring: message `n` is at `n % slots.len()`.
    slots: Vec<Slot>,
    sent: u64,
    /// Messages that every client has.
    done: u64,
}

#[derive(Clone)]
struct Slot {
    missing: usize,
    since: Instant,
}

impl Window {
    fn new(receivers: usize, in_flight: usize) -> Self {
        let slots = vec![Slot { missing: 0, since: Instant::now() }; in_flight.max(1)];
        Self { receivers, slots, sent: 0, done: 0 }
    }

    /// The number of the next message, which counts from `since`. Its lane has made sure that there is room.
    fn send(&mut self, since: Instant) -> u64 {
        let sequence = self.sent;
        debug_assert!(sequence - self.done < self.slots.len() as u64, "more in flight than places");
        *self.slot(sequence) = Slot { missing: self.receivers, since };
        self.sent += 1;
        sequence
    }

    /// A client that had messages up to `before` has received `count` more. Tells `done` from when each message
    /// counts that everyone has now.
    fn receive(
        &mut self,
        index: usize,
        before: u64,
        count: u64,
        mut done: impl FnMut(Instant),
    ) -> Result<(), LoadError> {
        if before + count > self.sent {
            return Err(LoadError::Wrong(format!("client {index} received a message that was not sent")));
        }
        for sequence in before..before + count {
            self.slot(sequence).missing -= 1;
        }
        while self.done < self.sent && self.slot(self.done).missing == 0 {
            done(self.slot(self.done).since);
            self.done += 1;
        }
        Ok(())
    }

    fn slot(&mut self, sequence: u64) -> &mut Slot {
        let at = (sequence % self.slots.len() as u64) as usize;
        &mut self.slots[at]
    }
}

/// What one client has received.
#[derive(Clone)]
struct Receiver {
    framing: Framing,
    /// Where it is within a frame, if its messages are frames.
    frames: Counter,
    /// The same among NATS's deliveries.
    pushes: broker::Counter,
    bytes: u64,
    messages: u64,
}

impl Receiver {
    fn new(framing: Framing) -> Self {
        Self { framing, frames: Counter::default(), pushes: broker::Counter::default(), bytes: 0, messages: 0 }
    }

    /// Counts the messages that `bytes` completes.
    fn count(&mut self, bytes: &[u8]) -> Result<u64, LoadError> {
        let before = self.messages;
        self.bytes += bytes.len() as u64;
        self.messages = match self.framing {
            Framing::Lines => before + memchr::memchr_iter(b'\n', bytes).count() as u64,
            Framing::Fixed(length) => self.bytes / length as u64,
            Framing::Pushes(length) => before + self.pushes.feed(bytes, length).map_err(LoadError::Wrong)?,
            Framing::Frames => before + self.frames.feed(bytes, CHAT)?,
        };
        match self.framing {
            Framing::Pushes(_) => self.bytes = self.pushes.counted_bytes,
            Framing::Frames => self.bytes = self.frames.counted_bytes,
            Framing::Lines | Framing::Fixed(_) => {}
        }
        Ok(self.messages - before)
    }

    /// What answers the pings that came.
    fn take_pongs(&mut self) -> Option<Vec<u8>> {
        match self.framing {
            Framing::Pushes(_) => self.pushes.take_pongs(),
            _ => self.frames.take_ping().map(|ping| {
                let mut pong = Vec::new();
                websocket::pong(&ping, &mut pong);
                pong
            }),
        }
    }
}

/// Looks into every message of one client.
struct Watch {
    message: Message,
    /// The beginning of a message whose end has not come yet.
    tail: Vec<u8>,
    /// The sequence number that must come next.
    next: u64,
}

impl Watch {
    fn look(&mut self, bytes: &[u8]) -> Result<(), LoadError> {
        self.tail.extend_from_slice(bytes);
        let mut from = 0;
        while let Some(cut) = self.message.framing().first(&self.tail[from..])? {
            let received = &self.tail[from..][cut.content];
            if cut.counts && !self.message.is(self.next, received) {
                let shown = String::from_utf8_lossy(&received[..received.len().min(300)]).into_owned();
                return Err(LoadError::Wrong(format!("message {} was expected, this came: {shown}", self.next)));
            }
            self.next += u64::from(cut.counts);
            from += cut.end;
        }
        self.tail.drain(..from);
        Ok(())
    }
}

/// How long to listen for a doubled message after the last one has arrived everywhere.
const QUIET: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::padded;

    /// Shows that a message is done only when the last client has it, and that the window then moves on.
    #[test]
    fn the_slowest_client_moves_the_window() {
        let (mut window, now, mut done) = (Window::new(2, 2), Instant::now(), 0);
        assert_eq!((window.send(now), window.send(now)), (0, 1));
        window.receive(0, 0, 2, |_| done += 1).unwrap();
        window.receive(1, 0, 1, |_| done += 1).unwrap();
        assert_eq!((window.done, done, window.send(now)), (1, 1, 2));
    }

    /// Shows that a message too many is an error, for it was doubled or invented.
    #[test]
    fn a_message_too_many_is_an_error() {
        let mut window = Window::new(1, 4);
        window.send(Instant::now());
        assert!(window.receive(0, 0, 2, |_| {}).is_err());
    }

    /// Shows that both framings count the same stream of messages alike in every chunking.
    #[test]
    fn counting_in_any_chunking() {
        let stream = b"aaa\nbbb\nccc\n";
        for framing in [Framing::Lines, Framing::Fixed(4)] {
            for size in 1..=stream.len() {
                let mut receiver = Receiver::new(framing);
                let counted: u64 = stream.chunks(size).map(|chunk| receiver.count(chunk).unwrap()).sum();
                assert_eq!((counted, receiver.bytes), (3, 12), "{framing:?} in chunks of {size}");
            }
        }
    }

    /// Shows that of WebSocket frames the chat's count, and their bytes alone, with a presence in between, and
    /// that the watch sees the same messages.
    #[test]
    fn chat_is_counted_among_frames() {
        let message = Message::Chat { bytes: 20 };
        let frame = |payload: String| [&[0x81, payload.len() as u8], payload.as_bytes()].concat();
        let said = |sequence: u64| frame(format!(r#"{{"type":"chat","content":"{}"}}"#, padded(sequence, 20)));
        let presence = frame(r#"{"type":"presence","room":"general","online":2}"#.to_owned());
        let stream = [said(0), presence.clone(), said(1), presence].concat();
        for size in 1..=stream.len() {
            let mut receiver = Receiver::new(Framing::Frames);
            let mut watch = Watch { message: message.clone(), tail: Vec::new(), next: 0 };
            let counted: u64 = stream.chunks(size).map(|chunk| receiver.count(chunk).unwrap()).sum();
            stream.chunks(size).for_each(|chunk| watch.look(chunk).unwrap());
            assert_eq!((counted, receiver.bytes), (2, 2 * said(0).len() as u64), "in chunks of {size}");
            assert_eq!((watch.next, watch.tail.len()), (2, 0));
        }
    }

    /// Shows that the watch takes messages in order in every chunking and stops at one that was swapped.
    #[test]
    fn the_watch_sees_a_swap() {
        let message = Message::Raw { bytes: 40 };
        let (mut stream, mut swapped) = (Vec::new(), Vec::new());
        (0..3).for_each(|sequence| message.publish(sequence, &mut stream));
        [0, 2, 1].iter().for_each(|&sequence| message.publish(sequence, &mut swapped));
        let watch = || Watch { message: message.clone(), tail: Vec::new(), next: 0 };
        for size in 1..=stream.len() {
            let mut watch = watch();
            stream.chunks(size).for_each(|chunk| watch.look(chunk).unwrap());
            assert_eq!((watch.next, watch.tail.len()), (3, 0));
        }
        assert!(watch().look(&swapped).is_err());
    }
}
