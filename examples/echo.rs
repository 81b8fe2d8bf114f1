//! A tutorial: your own protocol on the reactor, in one file. It serves three, an echo of raw TCP
//! bytes, an echo of HTTP bodies, and at `/ws` an echo of WebSocket messages. Try it:
//!
//! ```text
//! cargo run --example echo -- --tcp 127.0.0.1:7007 --http 127.0.0.1:7008
//! curl --data hello http://127.0.0.1:7008/anything
//! ```
//!
//! `--h2 ADDR` serves HTTP/2 beside it, which is none of the reactor's work: it is what the library that
//! gRPC stands on does alone, to measure gRPC against.
//!
//! HTTP answers any path and any method with the body it was sent, but for CONNECT, which asks a proxy
//! for a tunnel and has none: 501.
//!
//! The reactor owns sockets, buffers, time and threads. What bytes mean is yours, in three steps:
//! name your nouns, implement the service, make a plan. Read on from top to bottom.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use clap::Parser;
use mangahub::cli::serve::on_signals;
use mangahub::handlers::effect::{CloseReason, Effect, Vocabulary};
use mangahub::proto::http_date::HttpDate;
use mangahub::proto::http1::{Http1, HttpLimits, Response};
use mangahub::proto::{Incoming, Phase, ProtoError, Wire, handshake, websocket};
use mangahub::reactor::net::{ListenOptions, MioListener};
use mangahub::reactor::pool::LaneBounds;
use mangahub::reactor::service::{Flow, Io, Now, Patience, Service, Written};
use mangahub::reactor::start::{Plan, Server};
use mangahub::reactor::{PAUSE_SHARE, ReactorLimits};

/// Sends back what it is sent.
#[derive(Parser)]
#[group(required = true, multiple = true, args = ["tcp", "http", "h2"])]
struct Options {
    /// Where to echo raw bytes; port 0 lets the system choose.
    #[arg(long, value_name = "ADDR")]
    tcp: Option<SocketAddr>,
    /// Where to echo the bodies of HTTP requests.
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// Where to answer HTTP/2 with 200 and nothing else, on any path.
    #[arg(long, value_name = "ADDR")]
    h2: Option<SocketAddr>,
    /// Close a connection after this long without a byte from it; 0 never does.
    #[arg(long, value_name = "N", default_value_t = 60_000)]
    idle_ms: u32,
    /// The largest HTTP body and WebSocket message; and of raw bytes, how many may be owed before no more are read.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1 << 30))]
    max_message: usize,
}

/// Step 1, the nouns. Handlers don't write to sockets: they leave *effects* (`Effect::Reply`,
/// `Effect::Close`, ...), which the reactor carries out in order. What a reply is, you say here. An
/// echo needs no topics, events, jobs or questions, so those are types that have no values.
struct Words;

impl Vocabulary for Words {
    type Reply = Answer;
    type Topic = Infallible;
    type Event = Infallible;
    type Job = Infallible;
    type Question = Infallible;
}

enum Answer {
    Bytes(Vec<u8>),
    Text(String),
    Http(Response),
    /// What used to speak HTTP speaks WebSocket from here on.
    Upgrade(String),
}

/// Step 2, the service: one value, on the loop's own thread, so its state needs no lock.
struct Echo {
    /// What each listener speaks, in the order of the plan's listeners.
    speaks_http: Vec<bool>,
    http_limits: Arc<HttpLimits>,
    date: HttpDate,
    idle_ms: u32,
}

impl Service for Echo {
    type Words = Words;
    /// What you remember about each connection: who logged in, say. An echo forgets.
    type Session = ();

    /// Someone connected. Choose the codec that cuts their bytes into messages.
    fn open(&mut self, io: &mut Io<'_, Self>) -> (Wire, ()) {
        if io.full {
            io.effects.push(Effect::Close(CloseReason::TooMany));
        }
        match self.speaks_http[usize::from(io.listener)] {
            true => (Wire::Http(Box::new(Http1::new(self.http_limits.clone()))), ()),
            false => (Wire::Raw, ()),
        }
    }

    /// A message is there, borrowed from the buffer it arrived in. Decide, push effects, return:
    /// every connection waits while you think. What takes long becomes a job (`Effect::Submit`) and
    /// comes back to `Service::finish`.
    fn handle(&mut self, message: Incoming<'_>, _: &mut (), io: &mut Io<'_, Self>) -> Flow {
        let answer = match message {
            Incoming::Bytes(bytes) => Answer::Bytes(bytes.to_vec()),
            Incoming::Request(request) if request.path == "/ws" => match handshake::accept(&request) {
                Ok(accept) => Answer::Upgrade(accept),
                Err(error) => Answer::Http(Response::text(error.kind.codes().0, error.message.into_owned())),
            },
            Incoming::Request(request) => {
                Answer::Http(Response::new(200, "application/octet-stream", request.body.to_vec()))
            }
            Incoming::Text(text) => Answer::Text(text.to_owned()),
            Incoming::Binary(bytes) => Answer::Bytes(bytes.to_vec()),
            // Only `Wire::Line` has lines.
            Incoming::Line(_) | Incoming::LineTooLong => return Flow::Handled,
        };
        io.effects.push(Effect::Reply(answer));
        Flow::Handled
    }

    /// An answer becomes bytes. The HTTP codec remembers what it answers: a HEAD gets no body, a
    /// client that wants to keep its connection keeps it.
    fn write_reply(
        &mut self,
        answer: Answer,
        wire: &mut Wire,
        _: &(),
        now: Now,
        out: &mut Vec<u8>,
    ) -> Written<Infallible> {
        match (answer, wire) {
            (Answer::Http(response), Wire::Http(codec)) => {
                let date = self.date.at(now.unix_ms.max(0) as u64 / 1000);
                return if codec.encode(&response, date, out) { Written::Open } else { Written::Last };
            }
            (Answer::Upgrade(accept), Wire::Http(codec)) => {
                let date = self.date.at(now.unix_ms.max(0) as u64 / 1000);
                codec.encode(&handshake::switch(accept), date, out);
                return Written::Upgrade(Wire::Ws(Box::default()));
            }
            (Answer::Text(text), _) => websocket::push_text(text.as_bytes(), out),
            (Answer::Bytes(bytes), Wire::Ws(_)) => websocket::push_binary(&bytes, out),
            (Answer::Bytes(bytes), _) => out.extend_from_slice(&bytes),
            (Answer::Http(_) | Answer::Upgrade(_), _) => {}
        }
        Written::Open
    }

    // The rest of `Service` has defaults; these three are worth replacing.

    /// The longest WebSocket message.
    fn message_bytes_max(&self, _: &()) -> usize {
        self.http_limits.body_bytes_max
    }

    /// How long to wait for the peer's next step. You number the kinds of waits from 1.
    fn patience(&self, _: &Wire, _: Phase, _: &()) -> Patience {
        match self.idle_ms {
            0 => Patience::ENDLESS,
            ms => Patience { kind: 1, ms, renewed_by_bytes: true },
        }
    }

    /// Those bytes were no HTTP, or too many of them (413): say so before the connection closes.
    fn broken(&mut self, error: &ProtoError, _: &mut (), io: &mut Io<'_, Self>) {
        // A WebSocket's close frame says what was wrong; the codec writes it.
        let ProtoError::Http(error) = error else { return };
        if !error.truncated {
            io.effects.push(Effect::Reply(Answer::Http(Response::text(error.status, error.what).closing())));
        }
    }
}

/// Step 3, the plan: bound sockets, bounds for everything, and the service. Then start, and wait.
fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let (mut names, mut listeners) = (Vec::new(), Vec::new());
    for (name, address) in [("tcp", options.tcp), ("http", options.http)] {
        let Some(address) = address else { continue };
        let socket = MioListener::bind(address, ListenOptions::default())
            .map_err(|error| format!("cannot listen on {address}: {error}"))?;
        names.push(name);
        listeners.push((socket, false)); // `true` would keep it open while the server drains
    }
    let echo = Echo {
        speaks_http: names.iter().map(|name| *name == "http").collect(),
        http_limits: Arc::new(HttpLimits { body_bytes_max: options.max_message, ..HttpLimits::default() }),
        date: HttpDate::default(),
        idle_ms: options.idle_ms,
    };
    // A peer that sends and does not read is not read either, from this much owed on: that is
    // backpressure. Memory stays bounded, and a slow reader gets every byte in the end.
    let limits = ReactorLimits { send_bytes_max: options.max_message * PAUSE_SHARE, ..ReactorLimits::default() };
    let workers = Box::new(|_, _| Ok(Vec::new())); // no jobs, no threads to run them
    let plan = Plan {
        listeners,
        datagrams: Vec::new(),
        limits,
        lanes: LaneBounds::SMALL,
        service: Box::new(|| echo),
        workers,
    };
    let server = Server::new(plan)?.start()?;
    on_signals(server.remote(), || {})?; // SIGTERM and SIGINT: accept nobody, finish, end
    for (name, address) in names.iter().zip(server.addresses()) {
        println!("{name} {address}");
    }
    if let Some(address) = options.h2 {
        println!("h2 {}", serve_h2(address).map_err(|error| format!("cannot listen on {address}: {error}"))?);
    }
    Ok(server.wait()?)
}

/// HTTP/2 on a thread and a runtime of its own. It ends with the process.
fn serve_h2(address: SocketAddr) -> io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let bound = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _entered = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    let serve = async move {
        loop {
            // What fails here, for want of descriptors say, fails for one connection.
            match listener.accept().await {
                Ok((socket, _)) => drop(tokio::spawn(answer_h2(socket))),
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        }
    };
    std::thread::Builder::new().name("h2".into()).spawn(move || runtime.block_on(serve))?;
    Ok(bound)
}

async fn answer_h2(socket: tokio::net::TcpStream) -> Result<(), h2::Error> {
    // Without it answers are slower, and right.
    let _ = socket.set_nodelay(true);
    let mut conn = h2::server::handshake(socket).await?;
    while let Some(request) = conn.accept().await {
        let (_, mut respond) = request?;
        respond.send_response(http::Response::new(()), true)?;
    }
    Ok(())
}
