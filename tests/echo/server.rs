//! The echo under test, with a few words that make it misbehave, and the clients' helpers.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mangahub::handlers::effect::{CloseReason, Effect, Lane, Now, Vocabulary};
use mangahub::proto::{Incoming, Phase, Wire};
use mangahub::reactor::ReactorLimits;
use mangahub::reactor::net::{ListenOptions, MioListener};
use mangahub::reactor::pool::{LaneBounds, WorkerOptions, worker};
use mangahub::reactor::service::{Flow, Io, Patience, ReplyOf, Service, Written};
use mangahub::reactor::start::{Handle, LifeState, Plan, Server};
use mangahub::reactor::stats::View;

/// Longer than anything here takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// What a server is to be like.
pub struct Options {
    pub limits: ReactorLimits,
    /// 0 is for ever.
    pub idle_ms: u32,
    /// One listener for each: plain or with TLS.
    pub listeners: Vec<Option<Arc<rustls::ServerConfig>>>,
    /// Whether the server's end waits for jobs that still run.
    pub waits_for_jobs: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { limits: ReactorLimits::default(), idle_ms: 0, listeners: vec![None], waits_for_jobs: true }
    }
}

/// What the service saw, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    Opened(u8, SocketAddr),
    Closed(u8, SocketAddr),
}

/// An echo that runs in this process.
pub struct Echo {
    pub handle: Handle,
    pub seen: Arc<Mutex<Vec<Seen>>>,
    /// Dropping it ends jobs that are under way.
    pub gate: Option<Sender<()>>,
}

impl Echo {
    pub fn start(options: Options) -> Echo {
        let (server, seen, gate) = plan(options);
        Echo { handle: server.start().unwrap(), seen, gate: Some(gate) }
    }

    pub fn address(&self) -> SocketAddr {
        self.handle.addresses()[0]
    }

    pub fn connect(&self) -> TcpStream {
        connect(self.address())
    }

    /// Waits until so many connections are open.
    #[track_caller]
    pub fn await_open(&self, count: usize) {
        until(&format!("{count} open connections"), DEADLINE, || self.handle.open_connections() == count);
    }

    /// Drains, and says how long it took until everything was released.
    pub fn stop(self) -> Duration {
        let began = Instant::now();
        self.handle.drain();
        until("a stopped server", DEADLINE, || self.handle.state() == LifeState::Stopped);
        self.handle.wait().unwrap();
        began.elapsed()
    }
}

/// A server that is bound and has not started.
pub fn plan(options: Options) -> (Server<Probe>, Arc<Mutex<Vec<Seen>>>, Sender<()>) {
    let listen = |tls| {
        let options = ListenOptions { tls, ..ListenOptions::default() };
        (MioListener::bind("127.0.0.1:0".parse().unwrap(), options).unwrap(), false)
    };
    let (gate, gated) = channel();
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let probe = Probe { idle_ms: options.idle_ms, seen: seen.clone() };
    let waits_for_jobs = options.waits_for_jobs;
    let plan = Plan {
        listeners: options.listeners.into_iter().map(listen).collect(),
        datagrams: Vec::new(),
        limits: options.limits,
        lanes: LaneBounds { slow: 2, ..LaneBounds::SMALL },
        service: Box::new(|| probe),
        workers: Box::new(move |queues, door| {
            let worker_options = WorkerOptions { name: "slow", nice: 0 };
            let thread = worker(worker_options, queues.slow, door, move |job| run(job, &gated))?;
            Ok(if waits_for_jobs { vec![thread] } else { Vec::new() })
        }),
    };
    (Server::new(plan).unwrap(), seen, gate)
}

/// A slow job: it takes its time, or until nobody keeps the gate.
fn run(job: &mut u64, gate: &Receiver<()>) {
    let _ = gate.recv_timeout(Duration::from_millis(*job));
}

/// The echo, as a service.
pub struct Probe {
    idle_ms: u32,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Vocabulary for Probe {
    type Reply = Vec<u8>;
    type Topic = ();
    type Event = ();
    /// Milliseconds to spend.
    type Job = u64;
    type Question = ();
}

impl Service for Probe {
    type Words = Probe;
    /// How many messages came.
    type Session = usize;

    fn open(&mut self, io: &mut Io<'_, Self>) -> (Wire, usize) {
        self.seen.lock().unwrap().push(Seen::Opened(io.listener, io.peer));
        assert_ne!(io.listener, PANICS, "nobody may come in here");
        if io.full {
            io.effects.push(Effect::Reply(b"full".to_vec()));
            io.effects.push(Effect::Close(CloseReason::TooMany));
        }
        (Wire::Raw, 0)
    }

    fn handle(&mut self, message: Incoming<'_>, session: &mut usize, io: &mut Io<'_, Self>) -> Flow {
        let Incoming::Bytes(bytes) = message else { unreachable!("all listeners are raw") };
        *session += 1;
        match bytes {
            b"panic!" => panic!("as the client wished"),
            b"panic later!" => {
                *session = usize::MAX;
                io.effects.push(Effect::Close(CloseReason::Goodbye));
            }
            b"work 100" => io.effects.push(Effect::Submit(Lane::Slow, 100)),
            b"work 5000" => io.effects.push(Effect::Submit(Lane::Slow, 5000)),
            b"count?" => io.effects.push(Effect::Reply(format!("{session:9}").into())),
            b"owed?" => io.effects.push(Effect::Inspect(())),
            b"flood!" => {
                io.effects.push(Effect::Reply(pattern(FLOOD_BYTES)));
                io.effects.push(Effect::Close(CloseReason::Finished));
            }
            echo => io.effects.push(Effect::Reply(echo.to_vec())),
        }
        Flow::Handled
    }

    fn finish(&mut self, _: u64, session: Option<&mut usize>, io: &mut Io<'_, Self>) {
        if session.is_some() {
            io.effects.push(Effect::Reply(b"done".to_vec()));
        }
    }

    fn write_reply(&mut self, reply: Vec<u8>, _: &mut Wire, _: &usize, _: Now, out: &mut Vec<u8>) -> Written<u64> {
        out.extend_from_slice(&reply);
        Written::Open
    }

    fn patience(&self, _: &Wire, _: Phase, _: &usize) -> Patience {
        match self.idle_ms {
            0 => Patience::ENDLESS,
            ms => Patience { kind: 1, ms, renewed_by_bytes: true },
        }
    }

    fn closed(&mut self, session: &mut usize, io: &mut Io<'_, Self>) {
        self.seen.lock().unwrap().push(Seen::Closed(io.listener, io.peer));
        assert_ne!(*session, usize::MAX, "as the client wished");
    }

    fn inspect(&self, _: (), view: &View<'_>) -> ReplyOf<Self> {
        format!("{:9}", view.held.1).into()
    }
}

/// The listener whose connections make `open` panic.
pub const PANICS: u8 = 2;

/// What "flood!" is answered with, before the connection is closed.
pub const FLOOD_BYTES: usize = 3 << 20;

/// Bytes in which a gap, a repetition or a swap shows.
pub fn pattern(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// A client that gives up at the deadline.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, DEADLINE).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// A client whose kernel takes little at a time.
pub fn connect_narrow(address: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Sends a message and expects as many bytes.
pub fn ask(stream: &mut (impl Read + Write), message: &[u8], answer_bytes: usize) -> Vec<u8> {
    stream.write_all(message).unwrap();
    stream.flush().unwrap();
    let mut answer = vec![0; answer_bytes];
    stream.read_exact(&mut answer).unwrap();
    answer
}

/// Sends a message and expects it back.
#[track_caller]
pub fn echoes(stream: &mut (impl Read + Write), message: &[u8]) {
    assert!(ask(stream, message, message.len()) == message, "the echo differs");
}

/// What the server owes to all its clients together.
pub fn owed(operator: &mut TcpStream) -> usize {
    String::from_utf8(ask(operator, b"owed?", 9)).unwrap().trim().parse().unwrap()
}

/// Reads to the end, whichever way the server ended it; a deadline that passes is a failure.
pub fn read_to_end(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            panic!("the server did not end the connection")
        }
        _ => bytes,
    }
}

/// Waits until something is so.
#[track_caller]
pub fn until(what: &str, within: Duration, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !is_so() {
        assert!(Instant::now() < deadline, "no {what} within {within:?}");
        std::thread::yield_now();
    }
}
