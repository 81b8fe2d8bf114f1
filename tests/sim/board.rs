//! A small service that does on command what a service may do, and a desk to drive it from.
//!
//! Its lines name the effects themselves, so a test says exactly what shall happen in which order.
//! One message may hold several commands, split by `;`: they become the effects of one call.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use mangahub::handlers::effect::{CloseReason, Datagram, Effect, Lane, Now, Vocabulary};
use mangahub::handlers::key::{Audience, LeaseKey};
use mangahub::proto::line_json::LineCodec;
use mangahub::proto::{Incoming, Phase, ProtoError, Wire, websocket};
use mangahub::reactor::inbox::{Door, Wakeup, inbox};
use mangahub::reactor::listener::Listener;
use mangahub::reactor::pool::{LaneBounds, Queues, Ticket, lanes};
use mangahub::reactor::post::Post;
use mangahub::reactor::service::{Expired, Farewell, Flow, Io, Patience, Service, Written};
use mangahub::reactor::stats::View;
use mangahub::reactor::{JOBS, Reactor, ReactorLimits};
use smallvec::SmallVec;

use super::net::{Faults, SimNet, SocketId};

/// Lines and commands are all there is.
pub struct Words;

impl Vocabulary for Words {
    type Reply = String;
    type Topic = String;
    type Event = String;
    type Job = String;
    type Question = String;
}

/// The service. While `shut_until_ms` lies ahead, nothing may be published.
#[derive(Default)]
pub struct Board {
    pub shut_until_ms: Rc<Cell<u64>>,
}

/// A connection's topics.
#[derive(Default)]
pub struct Reader {
    topics: SmallVec<[String; 2]>,
    /// It speaks WebSocket.
    frames: bool,
}

impl Board {
    fn write_line(reply: &str, out: &mut Vec<u8>) -> Written<String> {
        // An empty reply is none, as when a change is answered by its broadcast.
        if !reply.is_empty() {
            out.extend_from_slice(reply.as_bytes());
            out.push(b'\n');
        }
        Written::Open
    }

    fn obey(command: &str, session: Option<&mut Reader>, io: &mut Io<'_, Self>) {
        let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
        let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
        let effect = match verb {
            "say" => Effect::Reply(rest.to_owned()),
            "hush" => Effect::Reply(String::new()),
            "fill" => Effect::Reply("x".repeat(rest.parse().expect("a number"))),
            "write" => Effect::Submit(Lane::Write, rest.to_owned()),
            "read" => Effect::Submit(Lane::Read, rest.to_owned()),
            "join" => {
                session.expect("only the living join").topics = rest.split(' ').map(str::to_owned).collect();
                Effect::Join
            }
            "enter" => {
                session.expect("only the living enter").topics.push(rest.to_owned());
                Effect::Enter(rest.to_owned())
            }
            "leave" => {
                session.expect("only the living leave").topics.retain(|topic| topic != rest);
                Effect::Leave(rest.to_owned())
            }
            "tell" => Effect::Publish(first.to_owned(), second.to_owned()),
            "evict" => Effect::Evict(rest.to_owned(), CloseReason::Revoked),
            "ask" => Effect::Inspect(rest.to_owned()),
            "upgrade" => {
                session.expect("only the living change").frames = true;
                Effect::Reply(UPGRADE.to_owned())
            }
            "bye" => Effect::Close(CloseReason::Goodbye),
            "panic" => panic!("as it was told"),
            _ => Effect::Reply(format!("what is {verb}?")),
        };
        io.effects.push(effect);
    }
}

impl Service for Board {
    type Words = Words;
    type Session = Reader;

    fn open(&mut self, io: &mut Io<'_, Self>) -> (Wire, Reader) {
        if io.full {
            io.effects.push(Effect::Reply("full".into()));
            io.effects.push(Effect::Close(CloseReason::TooMany));
        }
        (Wire::Line(LineCodec::default()), Reader::default())
    }

    fn handle(&mut self, message: Incoming<'_>, session: &mut Reader, io: &mut Io<'_, Self>) -> Flow {
        let line = match message {
            Incoming::Line(line) => String::from_utf8_lossy(line),
            Incoming::Text(text) => text.into(),
            _ => return Flow::Handled,
        };
        if io.jobs > 0 && !line.starts_with("write ") {
            return Flow::Wait;
        }
        match line.split_once(' ') {
            // What a job is told to do when it comes back may hold several commands.
            Some(("write" | "read", _)) => Self::obey(&line, Some(session), io),
            _ => line.split(';').for_each(|command| Self::obey(command, Some(session), io)),
        }
        Flow::Handled
    }

    fn finish(&mut self, job: String, mut session: Option<&mut Reader>, io: &mut Io<'_, Self>) {
        job.split(';').for_each(|command| Self::obey(command, session.as_deref_mut(), io));
    }

    fn busy(&mut self, job: String, session: Option<&mut Reader>, io: &mut Io<'_, Self>) {
        if session.is_none() {
            return self.finish(job, None, io);
        }
        assert_ne!(job, "panic", "as it was told");
        io.effects.push(Effect::Reply("busy".into()));
    }

    fn broken(&mut self, _: &ProtoError, _: &mut Reader, _: &mut Io<'_, Self>) {}

    fn panicked(&mut self, _: Option<&mut Reader>, io: &mut Io<'_, Self>) {
        io.effects.push(Effect::Reply("our fault".into()));
    }

    fn expired(&mut self, kind: u8, _: &mut Reader, io: &mut Io<'_, Self>) -> Expired {
        if kind == SILENT {
            io.effects.push(Effect::Reply(PING.into()));
            return Expired::GoOn;
        }
        io.effects.push(Effect::Reply("too late".into()));
        Expired::Close(if kind == JOBS { CloseReason::JobTimeout } else { CloseReason::IdleTimeout })
    }

    fn drain(&mut self, _: &mut Io<'_, Self>) {}

    fn farewell(&mut self, _: &mut Reader, _: bool, io: &mut Io<'_, Self>) -> Farewell {
        io.effects.push(Effect::Reply("farewell".into()));
        Farewell::Close
    }

    fn closed(&mut self, _: &mut Reader, _: &mut Io<'_, Self>) {}

    fn tick(&mut self, _: &mut Io<'_, Self>) {}

    fn patience(&self, wire: &Wire, _: Phase, _: &Reader) -> Patience {
        if let Wire::Ws(codec) = wire {
            return match codec.awaits_pong() {
                true => Patience { kind: DEAF, ms: 6_000, renewed_by_bytes: true },
                false => Patience { kind: SILENT, ms: 54_000, renewed_by_bytes: true },
            };
        }
        Patience { kind: 1, ms: IDLE_MS, renewed_by_bytes: false }
    }

    fn message_bytes_max(&self, _: &Reader) -> usize {
        1 << 20
    }

    fn topics(&self, session: &Reader) -> SmallVec<[String; 2]> {
        session.topics.clone()
    }

    fn may_publish(&mut self, _: &String, now: Now) -> Result<(), u32> {
        match self.shut_until_ms.get().saturating_sub(now.mono_ms) {
            0 => Ok(()),
            wait_ms => Err(wait_ms as u32),
        }
    }

    fn write_reply(
        &mut self,
        reply: String,
        wire: &mut Wire,
        _: &Reader,
        _: Now,
        out: &mut Vec<u8>,
    ) -> Written<String> {
        match wire {
            Wire::Ws(codec) if reply == PING => codec.ping(out),
            Wire::Ws(_) => websocket::write_text(out, |out| out.extend_from_slice(reply.as_bytes())),
            _ if reply == UPGRADE => return Written::Upgrade(Wire::Ws(Box::default())),
            _ => return Self::write_line(&reply, out),
        }
        Written::Open
    }

    fn kind(&self, session: &Reader) -> usize {
        usize::from(session.frames)
    }

    fn joins(&self, _: usize) -> bool {
        true
    }

    fn write_event(&mut self, event: &String, kind: usize, out: &mut Vec<u8>) {
        match kind {
            0 => drop(Self::write_line(event, out)),
            _ => websocket::push_text(event.as_bytes(), out),
        }
    }

    fn datagram(&mut self, socket: u8, bytes: &[u8], io: &mut Io<'_, Self>) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (verb, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let say = |text: String| Effect::Datagram(Datagram { socket, to: io.peer, bytes: Rc::from(text.as_bytes()) });
        match verb {
            "count" => {
                io.effects.extend((1..=rest.parse().expect("a number")).map(|number: u32| say(number.to_string())))
            }
            "long" => io.effects.push(say(bytes.len().to_string())),
            "hear" => {
                let lease = LeaseKey { index: io.peer.port().into(), generation: 1 };
                io.effects.push(Effect::Enlist(rest.to_owned(), lease.into()));
            }
            _ => panic!("as it was told"),
        }
    }

    fn deliver(&mut self, to: &mut dyn Iterator<Item = Audience>, event: &String, _: Now, post: &mut Post) {
        let bytes: Rc<[u8]> = Rc::from(event.as_bytes());
        for audience in to {
            let Audience::Lease(key) = audience else { panic!("a connection is told otherwise") };
            let to = SocketAddr::from(([127, 0, 0, 1], key.index as u16));
            post.push(Datagram { socket: 0, to, bytes: bytes.clone() });
        }
    }

    fn inspect(&self, question: String, view: &View<'_>) -> String {
        assert_ne!(question, "panic", "as it was told");
        match question.as_str() {
            "owed" => view.held.1.to_string(),
            _ => format!("{} open", view.connections),
        }
    }

    fn describe(&self, _: &Reader) -> (&'static str, Option<String>) {
        ("board", None)
    }
}

/// The loop over the board, and everything that surrounds it.
pub struct Desk {
    pub net: SimNet,
    pub reactor: Reactor<SimNet, Board>,
    pub queues: Queues<String>,
    pub door: Door<String>,
    pub shut_until_ms: Rc<Cell<u64>>,
}

impl Desk {
    /// A desk with these bounds, over a kernel that does what it should.
    pub fn new(limits: ReactorLimits, bounds: LaneBounds) -> Self {
        let net = SimNet::new(0, Faults::NONE);
        let (door, inbox) = inbox(net.bell());
        let (lanes, queues) = lanes(bounds);
        let listeners = vec![Listener::new(net.listen(), false)];
        let board = Board::default();
        let shut_until_ms = board.shut_until_ms.clone();
        let reactor = Reactor::new(net.clone(), board, limits, listeners, inbox, lanes).expect("nothing can fail here");
        let reactor = reactor.with_datagrams(vec![net.bind()]).expect("nothing can fail here");
        Self { net, reactor, queues, door, shut_until_ms }
    }

    /// A client that has connected and been accepted.
    pub fn client(&mut self) -> SocketId {
        let id = self.net.connect(0);
        self.settle();
        id
    }

    /// Sends lines, and lets the loop do what it can.
    pub fn send(&mut self, id: SocketId, lines: &str) {
        self.net.send(id, format!("{lines}\n").as_bytes());
        self.settle();
    }

    /// Sends a datagram from a port, and lets the loop do what it can.
    pub fn post(&mut self, port: u16, text: &str) {
        self.net.send_datagram(0, SocketAddr::from(([127, 0, 0, 1], port)), text.as_bytes());
        self.settle();
    }

    /// The datagrams sent since the last look, with their ports, after the loop has settled.
    pub fn posted(&mut self) -> Vec<(u16, String)> {
        let mut all = Vec::new();
        loop {
            let some = self.net.take_datagrams(0);
            if some.is_empty() {
                return all;
            }
            let readable =
                |(to, bytes): (SocketAddr, Vec<u8>)| (to.port(), String::from_utf8_lossy(&bytes).into_owned());
            all.extend(some.into_iter().map(readable));
            self.settle();
        }
    }

    /// Turns until the loop wants to sleep, and holds that it gets there.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            self.reactor.turn().expect("the kernel does what it should");
            let waited = self.net.waited();
            if waited.quiet && waited.timeout_ms != Some(0) || self.reactor.is_stopped() {
                return;
            }
        }
        panic!("the loop does not come to rest");
    }

    /// Lets time pass, and the loop notice it.
    pub fn pass(&mut self, ms: u64) {
        self.net.advance(ms);
        self.settle();
    }

    /// Takes every waiting job out of its lane, in order.
    pub fn take_jobs(&mut self) -> Vec<Ticket<String>> {
        let written = self.queues.write.try_next_group(usize::MAX).unwrap_or_default();
        written.into_iter().chain(self.queues.read.try_iter()).chain(self.queues.slow.try_iter()).collect()
    }

    /// Hands jobs back as done.
    pub fn done(&mut self, tickets: Vec<Ticket<String>>) {
        self.door.send(Wakeup::Done(tickets));
        self.settle();
    }

    /// Does every waiting job.
    pub fn work(&mut self) {
        let tickets = self.take_jobs();
        self.done(tickets);
    }

    /// What a client has been sent since the last look, line by line, after the loop has settled.
    pub fn lines(&mut self, id: SocketId) -> Vec<String> {
        let mut text = String::new();
        loop {
            let bytes = self.net.receive(id, usize::MAX);
            if bytes.is_empty() {
                return text.lines().map(str::to_owned).collect();
            }
            text.push_str(&String::from_utf8_lossy(&bytes));
            self.settle();
        }
    }

    /// Sends text messages, masked with zeros.
    pub fn send_text(&mut self, id: SocketId, text: &str) {
        self.net.send(id, &[&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0], text.as_bytes()].concat());
        self.settle();
    }

    /// What a client has been sent since the last look, after the loop has settled.
    pub fn bytes(&mut self, id: SocketId) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let bytes = self.net.receive(id, usize::MAX);
            if bytes.is_empty() {
                return all;
            }
            all.extend(bytes);
            self.settle();
        }
    }

    /// How many connections ended for this reason.
    pub fn closes(&self, reason: CloseReason) -> u64 {
        self.reactor.stats().closes().find(|(other, _)| *other == reason).map_or(0, |(_, count)| count)
    }
}

/// The reply that changes the wire, and the one that asks a silent client.
const UPGRADE: &str = "upgrade";
const PING: &str = "ping";
/// Kinds of patience with those who speak WebSocket.
const SILENT: u8 = 2;
const DEAF: u8 = 3;

/// How long a silent reader is kept.
pub const IDLE_MS: u32 = 600_000;
