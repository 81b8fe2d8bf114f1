//! Fan-out: one publisher, every client receives every message.
//!
//! A closed loop: a message is delivered when *all* clients have received it, and only then is the next one
//! sent, up to `in_flight` at once. Every client's messages are counted and its bytes compared with the
//! others'; one client's messages are looked into, each must be the next one.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Pace, STALL};
use crate::broker;
use crate::client::{Arrival, Swarm};
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
    /// The mean length of a received message, in bytes.
    pub message_bytes: f64,
    /// From sending a message until the last client has it.
    pub latency: Summary,
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
    ready(tcp, tokens, clients, in_flight, message)?.measure(pace)
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

/// Connects `count` more to a peer that does not ask who they are.
pub fn connect_all(swarm: &mut Swarm, count: usize) -> Result<(), LoadError> {
    let target = swarm.len() + count;
    while swarm.len() < target {
        swarm.connect()?;
    }
    let deadline = Instant::now() + STALL;
    let mut closed = None;
    while swarm.connected() < target {
        swarm.turn(Some(STALL), |index, arrival| {
            if matches!(arrival, Arrival::Closed(_)) {
                closed = Some(index);
            }
        })?;
        if let Some(index) = closed {
            return Err(LoadError::Closed(index));
        }
        if Instant::now() > deadline {
            return Err(LoadError::TimedOut(format!("{} of {target} connected", swarm.connected())));
        }
    }
    Ok(())
}

/// The closed loop, over connections that are ready to receive.
pub struct Loop {
    swarm: Swarm,
    publisher: usize,
    message: Message,
    window: Window,
    receivers: Vec<Receiver>,
    watch: Watch,
    outgoing: Vec<u8>,
    /// Answers to pings that arrived, and on which connection.
    pongs: Vec<(usize, Vec<u8>)>,
    /// The first thing that went wrong.
    failure: Option<LoadError>,
}

impl Loop {
    /// Connections `0..receivers` receive; `publisher` sends, and may be one of them.
    pub fn new(swarm: Swarm, receivers: usize, publisher: usize, in_flight: usize, message: Message) -> Self {
        let framing = message.framing();
        Self {
            swarm,
            publisher,
            watch: Watch { message: message.clone(), tail: Vec::new(), next: 0 },
            message,
            window: Window::new(receivers, in_flight),
            receivers: vec![Receiver::new(framing); receivers],
            outgoing: Vec::new(),
            pongs: Vec::new(),
            failure: None,
        }
    }

    /// Warms up, measures, waits for what is in flight and verifies.
    pub fn measure(mut self, pace: Pace) -> Result<FanOut, LoadError> {
        self.drive_until(Instant::now() + pace.warm_up)?;
        self.window.latencies = Latencies::new();
        let (start, before) = (Instant::now(), self.deliveries());
        self.drive_until(start + pace.duration)?;
        let measured = (self.deliveries() - before) as f64;
        let elapsed = start.elapsed().as_secs_f64();
        let latency = self.window.latencies.summary();
        self.drain()?;
        let message_bytes = self.verify()?;
        let deliveries = self.deliveries();
        Ok(FanOut { deliveries_per_second: measured / elapsed, message_bytes, latency, deliveries })
    }

    /// What everybody has received so far: of a peer that is slow, only some may have a message.
    fn deliveries(&self) -> u64 {
        self.receivers.iter().map(|receiver| receiver.messages).sum()
    }

    fn drive_until(&mut self, end: Instant) -> Result<(), LoadError> {
        while Instant::now() < end {
            self.publish();
            self.turn()?;
        }
        Ok(())
    }

    /// Receives what is in flight, and then listens a moment longer for messages that should not be.
    fn drain(&mut self) -> Result<(), LoadError> {
        while self.window.done < self.window.sent {
            self.turn()?;
        }
        self.receive(QUIET).map(drop)
    }

    /// Sends as many messages as the window has room for, in one write.
    fn publish(&mut self) {
        self.outgoing.clear();
        while let Some(sequence) = self.window.send() {
            self.message.publish(sequence, &mut self.outgoing);
        }
        if !self.outgoing.is_empty() {
            self.swarm.send(self.publisher, &self.outgoing);
        }
    }

    fn turn(&mut self) -> Result<(), LoadError> {
        if self.receive(STALL)? {
            return Ok(());
        }
        let (sent, done) = (self.window.sent, self.window.done);
        Err(LoadError::TimedOut(format!("{done} of {sent} messages reached every client, then nothing came")))
    }

    fn receive(&mut self, timeout: Duration) -> Result<bool, LoadError> {
        let Self { swarm, window, receivers, watch, pongs, failure, .. } = self;
        let something = swarm.turn(Some(timeout), |index, arrival| {
            let result = match (arrival, receivers.get_mut(index)) {
                (Arrival::Closed(_), _) => Err(LoadError::Closed(index)),
                // A publisher that is no receiver: Redis tells it how many it reached.
                (Arrival::Bytes(_), None) => Ok(()),
                (Arrival::Bytes(bytes), Some(receiver)) => {
                    let before = receiver.messages;
                    let counted = receiver.count(bytes).and_then(|count| window.receive(index, before, count));
                    pongs.extend(receiver.take_pongs().map(|pong| (index, pong)));
                    counted.and_then(|()| if index == WATCHED { watch.look(bytes) } else { Ok(()) })
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

    /// Every client has every message and the same bytes. Returns the mean length of a message.
    fn verify(&self) -> Result<f64, LoadError> {
        let sent = self.window.sent;
        let first = &self.receivers[WATCHED];
        if self.watch.next != sent || !self.watch.tail.is_empty() {
            return Err(LoadError::Wrong(format!("the watched client saw {} of {sent} messages", self.watch.next)));
        }
        match self.receivers.iter().position(|other| (other.messages, other.bytes) != (sent, first.bytes)) {
            None => Ok(first.bytes as f64 / sent.max(1) as f64),
            Some(index) => Err(LoadError::Wrong(format!(
                "client {index} received {} messages in {} bytes, client {WATCHED} {} in {}",
                self.receivers[index].messages, self.receivers[index].bytes, first.messages, first.bytes
            ))),
        }
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
    latencies: Latencies,
}

#[derive(Clone)]
struct Slot {
    missing: usize,
    since: Instant,
}

impl Window {
    fn new(receivers: usize, in_flight: usize) -> Self {
        let slots = vec![Slot { missing: 0, since: Instant::now() }; in_flight.max(1)];
        Self { receivers, slots, sent: 0, done: 0, latencies: Latencies::new() }
    }

    /// The next message to send, if there is room for it.
    fn send(&mut self) -> Option<u64> {
        let sequence = self.sent;
        if sequence - self.done >= self.slots.len() as u64 {
            return None;
        }
        *self.slot(sequence) = Slot { missing: self.receivers, since: Instant::now() };
        self.sent += 1;
        Some(sequence)
    }

    /// A client that had messages up to `before` has received `count` more.
    fn receive(&mut self, index: usize, before: u64, count: u64) -> Result<(), LoadError> {
        if before + count > self.sent {
            return Err(LoadError::Wrong(format!("client {index} received a message that was not sent")));
        }
        for sequence in before..before + count {
            self.slot(sequence).missing -= 1;
        }
        while self.done < self.sent && self.slot(self.done).missing == 0 {
            let since = self.slot(self.done).since;
            self.latencies.record(since.elapsed());
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

/// The client whose messages are looked into.
const WATCHED: usize = 0;

/// How long to listen for a doubled message after the last one has arrived everywhere.
const QUIET: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::padded;

    /// Shows that a message is done only when the last client has it, and that the window then moves on.
    #[test]
    fn the_slowest_client_moves_the_window() {
        let mut window = Window::new(2, 2);
        assert_eq!((window.send(), window.send(), window.send()), (Some(0), Some(1), None));
        window.receive(0, 0, 2).unwrap();
        assert_eq!((window.done, window.send()), (0, None));
        window.receive(1, 0, 1).unwrap();
        assert_eq!((window.done, window.send()), (1, Some(2)));
    }

    /// Shows that a message too many is an error, for it was doubled or invented.
    #[test]
    fn a_message_too_many_is_an_error() {
        let mut window = Window::new(1, 4);
        window.send();
        assert!(window.receive(0, 0, 2).is_err());
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
