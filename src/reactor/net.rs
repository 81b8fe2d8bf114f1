//! The kernel, as the reactor sees it: sockets that never block, readiness, and the time.
//!
//! [`Net`] is small so that a simulation can stand in for the kernel and break every promise that
//! the real one may break: partial reads and writes, spurious events, no descriptors left, a clock
//! that jumps. [`MioNet`] is the real one.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::datagrams::{Batch, MioDatagrams};
use super::service::Now;
use super::transport::Transport;
use crate::handlers::effect::Datagram;
use crate::handlers::key::ConnKey;

/// One thing that became ready. Only a hint: reading or writing tells the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// What it is about.
    pub source: Source,
    /// Reading is worth a try.
    pub readable: bool,
    /// Writing is worth a try.
    pub writable: bool,
    /// The peer may have closed its side: keep reading until a read says so.
    pub read_closed: bool,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A listener, by its place in the list.
    Listener(u8),
    /// A connection.
    Conn(ConnKey),
    /// A socket of datagrams, by its place in the list.
    Datagrams(u8),
    /// The inbox rang.
    Bell,
}

/// What the reactor asks of a kernel. Reading, writing and accepting answer `WouldBlock` when there
/// is nothing to do; readiness is edge-triggered and each socket is registered once for everything.
pub trait Net {
    /// A bound socket that accepts.
    type Listener;
    /// A connected socket.
    type Stream;
    /// A bound socket of datagrams.
    type Datagrams;

    /// Sleeps until something is ready or `timeout` has passed (`None`: for ever).
    fn wait(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()>;
    /// The time: since the start, and of day.
    fn now(&mut self) -> Now;
    /// Starts telling about a listener.
    fn watch_listener(&mut self, listener: &mut Self::Listener, index: u8) -> io::Result<()>;
    /// Takes the next connection off the queue.
    fn accept(&mut self, listener: &mut Self::Listener) -> io::Result<(Self::Stream, SocketAddr)>;
    /// Starts telling about a connection, reading and writing alike.
    fn watch(&mut self, stream: &mut Self::Stream, key: ConnKey) -> io::Result<()>;
    /// Stops telling about a connection, before it is dropped.
    fn forget(&mut self, stream: &mut Self::Stream);
    /// Reads into `buffer`. 0 is the peer's end of stream. Fewer bytes than asked for means that
    /// nothing more is there now, unless [`reads_on`](Self::reads_on).
    fn read(&mut self, stream: &mut Self::Stream, buffer: &mut [u8]) -> io::Result<usize>;
    /// Writes from `slices`, which are not empty.
    fn write(&mut self, stream: &mut Self::Stream, slices: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Whether more is to be read although the last read was short, or `WouldBlock`: no event will
    /// tell of what a TLS session has already taken from its socket.
    fn reads_on(&self, _stream: &Self::Stream) -> bool {
        false
    }
    /// Whether reading has just ended what kept the stream from being written: a TLS handshake. No
    /// event will tell.
    fn unblocked(&mut self, _stream: &mut Self::Stream) -> bool {
        false
    }
    /// Whether the stream has business of its own before all that was written has left, such as a
    /// TLS handshake.
    fn owes(&self, stream: &Self::Stream) -> bool;
    /// Does what it can of that.
    fn settle(&mut self, stream: &mut Self::Stream) -> io::Result<()>;
    /// Says that no more will be written, and leaves reading open.
    fn shutdown_write(&mut self, stream: &mut Self::Stream);
    /// Starts telling about a socket of datagrams, reading and writing alike.
    fn watch_datagrams(&mut self, socket: &mut Self::Datagrams, index: u8) -> io::Result<()>;
    /// Replaces what the batch holds by what has arrived: at least one datagram.
    fn receive(&mut self, socket: &mut Self::Datagrams, batch: &mut Batch) -> io::Result<()>;
    /// Sends some of these, from the first on, and tells how many. An error is about the first alone.
    fn send(&mut self, socket: &mut Self::Datagrams, datagrams: &[Datagram]) -> io::Result<usize>;
}

/// The operating system's network, through mio.
pub struct MioNet {
    poll: Poll,
    events: Events,
    start: Instant,
}

/// A bound socket, and what the connections it accepts are dressed in.
pub struct MioListener {
    socket: TcpListener,
    options: ListenOptions,
}

/// How a listener treats what it accepts.
#[derive(Debug, Clone, Default)]
pub struct ListenOptions {
    /// TCP keepalive: after this much silence the kernel asks whether the peer still lives.
    pub keepalive: Option<Duration>,
    /// TLS, when its connections are encrypted.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

const BELL: Token = Token(u32::MAX as usize);

/// The token of the first socket of datagrams: listeners have those below.
const DATAGRAMS: usize = 256;

/// How many events one wait takes: the rest stay with the kernel for the next.
const EVENTS_MAX: usize = 1024;

/// How many connections may wait to be accepted. The kernel lowers it to its own cap
/// (`net.core.somaxconn`). With mio's own 128, a storm of clients stalls in steps of a second.
pub const BACKLOG: i32 = 4096;

impl MioNet {
    /// A poll of its own, and the bell that wakes it.
    pub fn new() -> io::Result<(Self, Arc<mio::Waker>)> {
        let poll = Poll::new()?;
        let bell = Arc::new(mio::Waker::new(poll.registry(), BELL)?);
        Ok((Self { poll, events: Events::with_capacity(EVENTS_MAX), start: Instant::now() }, bell))
    }
}

impl MioListener {
    /// Binds and listens. Nothing is accepted before the reactor watches it.
    pub fn bind(address: SocketAddr, options: ListenOptions) -> io::Result<Self> {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(address),
            socket2::Type::STREAM.nonblocking(),
            Some(socket2::Protocol::TCP),
        )?;
        // Without it a restart after a crash fails for as long as old connections linger.
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // What is accepted inherits these from the listener, which saves four calls a connection.
        // Small messages that matter now: never wait for more to send.
        socket.set_tcp_nodelay(true)?;
        if let Some(silence) = options.keepalive {
            let keepalive = socket2::TcpKeepalive::new().with_time(silence).with_interval(silence / 4);
            socket.set_tcp_keepalive(&keepalive)?;
        }
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(Self { socket: TcpListener::from_std(socket.into()), options })
    }

    /// Where it listens; the port is the real one when 0 was asked for.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn dress(&self, stream: TcpStream) -> io::Result<Transport> {
        match &self.options.tls {
            None => Ok(Transport::Plain(stream)),
            Some(config) => Transport::tls(stream, config.clone()),
        }
    }
}

impl Net for MioNet {
    type Listener = MioListener;
    type Stream = Transport;
    type Datagrams = MioDatagrams;

    fn wait(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        ready.extend(self.events.iter().map(|event| Ready {
            source: match ConnKey::unpack(event.token().0 as u64) {
                Some(key) => Source::Conn(key),
                None if event.token() == BELL => Source::Bell,
                None if event.token().0 >= DATAGRAMS => Source::Datagrams((event.token().0 - DATAGRAMS) as u8),
                None => Source::Listener(event.token().0 as u8),
            },
            readable: event.is_readable() || event.is_error(),
            writable: event.is_writable() || event.is_error(),
            read_closed: event.is_read_closed(),
        }));
        Ok(())
    }

    fn now(&mut self) -> Now {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono_ms: self.start.elapsed().as_millis() as u64, unix_ms: since_1970.as_millis() as i64 }
    }

    fn watch_listener(&mut self, listener: &mut MioListener, index: u8) -> io::Result<()> {
        self.poll.registry().register(&mut listener.socket, Token(index.into()), Interest::READABLE)
    }

    fn accept(&mut self, listener: &mut MioListener) -> io::Result<(Transport, SocketAddr)> {
        let (stream, peer) = listener.socket.accept()?;
        Ok((listener.dress(stream)?, peer))
    }

    fn watch(&mut self, stream: &mut Transport, key: ConnKey) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(stream.socket(), Token(key.pack() as usize), interest)
    }

    fn forget(&mut self, stream: &mut Transport) {
        stream.part();
        // The kernel forgets a closed descriptor by itself; this keeps mio's own books right.
        let _ = self.poll.registry().deregister(stream.socket());
    }

    fn read(&mut self, stream: &mut Transport, buffer: &mut [u8]) -> io::Result<usize> {
        stream.read(buffer)
    }

    fn write(&mut self, stream: &mut Transport, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [one] => stream.write(one),
            several => stream.write_vectored(several),
        }
    }

    fn reads_on(&self, stream: &Transport) -> bool {
        stream.reads_on()
    }

    fn unblocked(&mut self, stream: &mut Transport) -> bool {
        stream.unblocked()
    }

    fn owes(&self, stream: &Transport) -> bool {
        stream.owes()
    }

    fn settle(&mut self, stream: &mut Transport) -> io::Result<()> {
        stream.settle()
    }

    fn shutdown_write(&mut self, stream: &mut Transport) {
        stream.shutdown_write();
    }

    fn watch_datagrams(&mut self, socket: &mut MioDatagrams, index: u8) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(socket.socket(), Token(DATAGRAMS + usize::from(index)), interest)
    }

    fn receive(&mut self, socket: &mut MioDatagrams, batch: &mut Batch) -> io::Result<()> {
        socket.receive(batch)
    }

    fn send(&mut self, socket: &mut MioDatagrams, datagrams: &[Datagram]) -> io::Result<usize> {
        socket.send(datagrams)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream as Client;

    use super::*;

    #[test]
    fn what_is_accepted_inherits_the_options_of_its_listener() {
        let options = ListenOptions { keepalive: Some(Duration::from_secs(40)), tls: None };
        let listener = MioListener::bind("127.0.0.1:0".parse().unwrap(), options).unwrap();
        let _client = Client::connect(listener.address().unwrap()).unwrap();
        let (accepted, _) = listener.socket.accept().unwrap();
        let accepted = socket2::SockRef::from(&accepted);
        assert!(accepted.tcp_nodelay().unwrap());
        assert!(accepted.keepalive().unwrap());
        assert_eq!(accepted.tcp_keepalive_time().unwrap(), Duration::from_secs(40));
        assert_eq!(accepted.tcp_keepalive_interval().unwrap(), Duration::from_secs(10));
    }
}
