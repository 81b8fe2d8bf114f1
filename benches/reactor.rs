//! The loop alone: the reactor's turn over a kernel in memory, so that no system call is measured.
//!
//! ```sh
//! cargo bench --bench reactor              # everything, about a minute
//! cargo bench --bench reactor -- fan-out   # what has "fan-out" in its name
//! ```
//!
//! - `turn/nothing`: a turn in which nothing happened, with 1,000 and with 100,000 connections open. Both must take the
//!   same: a turn costs what is ready, never what is open.
//! - `turn/one of`: one message on one connection, and its answer, with as many others idle. Likewise.
//! - `turn/all of`: a message on each of 1,000 connections, and its answer: noted, read, decoded, handled, written.
//! - `fan-out`: 1, 16 and 64 messages of 318 bytes to everybody in one turn. The elements per second are deliveries.
//!   Those of one turn share one write, so a delivery must become cheaper the more there are; and it may cost
//!   a little more with 10,000 members than with 1,000, because their state no longer fits the processor's cache.
//!
//! What the server adds to this is the kernel; `bench/run` measures both together.

mod quiet;

use std::convert::Infallible;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mangahub::handlers::effect::{Effect, Now, Vocabulary};
use mangahub::proto::line_json::LineCodec;
use mangahub::proto::{Incoming, Wire};
use mangahub::reactor::inbox::{Door, inbox};
use mangahub::reactor::listener::Listener;
use mangahub::reactor::pool::{LaneBounds, Queues, lanes};
use mangahub::reactor::service::{Flow, Io, Service, Written};
use mangahub::reactor::{Reactor, ReactorLimits};
use quiet::{NoBell, QuietNet};
use smallvec::{SmallVec, smallvec};

criterion_group!(reactor, turns, fan_outs);
criterion_main!(reactor);

fn turns(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("turn");
    for open in [1000, 100_000] {
        let mut desk = Desk::with(open);
        group.bench_function(BenchmarkId::new("nothing", open), |bencher| bencher.iter(|| desk.turn()));
        group.bench_function(BenchmarkId::new("one of", open), |bencher| {
            bencher.iter(|| {
                desk.net.send(open / 2, PING);
                desk.turn();
            });
        });
    }
    let mut desk = Desk::with(1000);
    group.throughput(Throughput::Elements(1000));
    group.bench_function(BenchmarkId::new("all of", 1000), |bencher| {
        bencher.iter(|| {
            (0..1000).for_each(|client| desk.net.send(client, PING));
            desk.turn();
        });
    });
    group.finish();
}

fn fan_outs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fan-out");
    for members in [1000, 10_000] {
        for messages in [1, 16, 64] {
            let mut desk = Desk::with(members);
            (0..members).for_each(|client| desk.net.send(client, JOIN));
            desk.turn();
            let told = TELL.repeat(messages);
            desk.tell(&told, members * messages);
            group.throughput(Throughput::Elements((members * messages) as u64));
            group.bench_function(BenchmarkId::new(format!("{messages} to"), members), |bencher| {
                bencher.iter(|| {
                    desk.net.send(0, &told);
                    desk.turn();
                });
            });
        }
    }
    group.finish();
}

/// The loop, and what must live as long as it.
struct Desk {
    net: QuietNet,
    reactor: Reactor<QuietNet, Board>,
    _door: Door<Infallible>,
    _queues: Queues<Infallible>,
}

impl Desk {
    /// So many clients, all accepted.
    fn with(clients: usize) -> Self {
        let net = QuietNet::default();
        let (door, inbox) = inbox(Arc::new(NoBell));
        let (lanes, queues) = lanes(LaneBounds::SMALL);
        let limits = ReactorLimits { connections_max: clients, ..ReactorLimits::default() };
        let reactor = Reactor::new(net.clone(), Board, limits, vec![Listener::new((), false)], inbox, lanes);
        let reactor = reactor.expect("this kernel never refuses");
        let mut desk = Self { net, reactor, _door: door, _queues: queues };
        desk.net.connect(clients);
        // As many turns as accepting takes, a thousand clients in each.
        (0..=clients / 1000).for_each(|_| desk.turn());
        desk
    }

    fn turn(&mut self) {
        self.reactor.turn().expect("this kernel never fails");
    }

    /// One fan-out whose bytes are counted: what is measured afterwards really reaches everybody.
    fn tell(&mut self, told: &[u8], deliveries: usize) {
        let before = self.net.written_bytes();
        self.net.send(0, told);
        self.turn();
        assert_eq!(self.net.written_bytes() - before, (deliveries * EVENT_BYTES) as u64);
    }
}

/// A service of three words: `ping` is answered, `join` makes a member, `tell` tells all members.
struct Board;

struct Words;

impl Vocabulary for Words {
    type Reply = ();
    type Topic = u8;
    type Event = ();
    type Job = Infallible;
    type Question = Infallible;
}

impl Service for Board {
    type Words = Words;
    type Session = ();

    fn open(&mut self, _: &mut Io<'_, Self>) -> (Wire, ()) {
        (Wire::Line(LineCodec::default()), ())
    }

    fn handle(&mut self, message: Incoming<'_>, _: &mut (), io: &mut Io<'_, Self>) -> Flow {
        io.effects.push(match message {
            Incoming::Line(b"join") => Effect::Join,
            Incoming::Line(b"tell") => Effect::Publish(TOPIC, ()),
            _ => Effect::Reply(()),
        });
        Flow::Handled
    }

    fn write_reply(&mut self, (): (), _: &mut Wire, (): &(), _: Now, out: &mut Vec<u8>) -> Written<Infallible> {
        out.extend_from_slice(b"pong\n");
        Written::Open
    }

    fn topics(&self, (): &()) -> SmallVec<[u8; 2]> {
        smallvec![TOPIC]
    }

    fn write_event(&mut self, (): &(), _: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&[b'x'; EVENT_BYTES]);
    }
}

/// The one topic.
const TOPIC: u8 = 0;

/// As long as a broadcast of somebody's progress.
const EVENT_BYTES: usize = 318;

const PING: &[u8] = b"ping\n";
const JOIN: &[u8] = b"join\n";
const TELL: &[u8] = b"tell\n";
