//! Many client connections on one thread.
//!
//! A [`Swarm`] owns the sockets, what could not be written yet, and one buffer to read into. It knows no
//! protocol: a scenario is told which connection received which bytes. What must hold: the target is one that
//! [`guard`](crate::guard) lets pass; and a connection's bytes are handed over once, in order, without being kept.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use crate::error::{Doing, LoadError};
use crate::guard;
use crate::sources::Sources;

/// What happened to a connection.
#[derive(Debug)]
pub enum Arrival<'a> {
    /// It received these bytes; at least one.
    Bytes(&'a [u8]),
    /// It is over: closed by the peer, refused or broken. Nothing more will come.
    Closed(ErrorKind),
}

/// Connections to one target at a time, known by the order in which they were made.
pub struct Swarm {
    poll: Poll,
    events: Events,
    target: SocketAddr,
    sources: Sources,
    conns: Vec<Conn>,
    scratch: Vec<u8>,
}

struct Conn {
    /// `None` once it is over.
    stream: Option<TcpStream>,
    /// Bytes the socket did not take yet.
    tx: Vec<u8>,
    connected: bool,
    /// Why the first write failed; a socket tells its error once, and the read that reports it comes later.
    broken: Option<ErrorKind>,
}

impl Swarm {
    /// No connections yet, and the usual source addresses. Refuses a target that may not be loaded.
    pub fn new(target: SocketAddr) -> Result<Self, LoadError> {
        Self::from_sources(target, Sources::default())
    }

    /// No connections yet; they will come from `sources` in turn. Refuses a target that may not be loaded.
    pub fn from_sources(target: SocketAddr, sources: Sources) -> Result<Self, LoadError> {
        guard::check(target)?;
        let poll = Poll::new().doing("make a selector")?;
        let (events, scratch) = (Events::with_capacity(EVENTS_PER_TURN), vec![0; SCRATCH_BYTES]);
        Ok(Self { poll, events, target, sources, conns: Vec::new(), scratch })
    }

    /// How many connections were made, the ended ones included.
    pub fn len(&self) -> usize {
        self.conns.len()
    }

    /// How many of them the system has reported as connected.
    pub fn connected(&self) -> usize {
        self.conns.iter().filter(|conn| conn.connected).count()
    }

    /// Begins to connect, from the next source address, and returns the
    /// connection's index. A refusal arrives later, as [`Arrival::Closed`].
    pub fn connect(&mut self) -> Result<usize, LoadError> {
        let index = self.conns.len();
        let mut stream = begin_connect(self.target, self.sources, index).map_err(|error| refused(error, index))?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(index), interest).doing("watch a socket")?;
        self.conns.push(Conn { stream: Some(stream), tx: Vec::new(), connected: false, broken: None });
        Ok(index)
    }

    /// From now on [`Swarm::connect`] goes to `target`, which must be one that may be loaded, too.
    pub fn aim_at(&mut self, target: SocketAddr) -> Result<(), LoadError> {
        guard::check(target)?;
        self.target = target;
        Ok(())
    }

    /// Sends `bytes` in one write, and keeps for later turns what the socket does not take.
    /// A broken connection is reported by the next turn instead.
    pub fn send(&mut self, index: usize, bytes: &[u8]) {
        let conn = &mut self.conns[index];
        if !conn.tx.is_empty() {
            return conn.tx.extend_from_slice(bytes);
        }
        let sent = conn.write(bytes);
        conn.tx.extend_from_slice(&bytes[sent..]);
    }

    /// Ends a connection; nothing more is told of it.
    pub fn close(&mut self, index: usize) {
        self.conns[index].stream = None;
    }

    /// Waits at most `timeout` and tells `on` what arrived. `false` when nothing happened at all.
    pub fn turn(
        &mut self,
        timeout: Option<Duration>,
        mut on: impl FnMut(usize, Arrival<'_>),
    ) -> Result<bool, LoadError> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(true),
            result => result.doing("wait for events")?,
        }
        for event in &self.events {
            let index = event.token().0;
            let conn = &mut self.conns[index];
            if event.is_writable() && !event.is_error() {
                conn.connected = true;
                conn.flush();
            }
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                conn.read(&mut self.scratch, event.is_read_closed(), |arrival| on(index, arrival));
            }
        }
        Ok(!self.events.is_empty())
    }
}

impl Conn {
    /// Writes once and returns how many bytes were taken. Errors wait for the read that reports them.
    fn write(&mut self, bytes: &[u8]) -> usize {
        let Some(stream) = &mut self.stream else { return bytes.len() };
        stream.write(bytes).unwrap_or_else(|error| {
            if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) {
                self.broken.get_or_insert(error.kind());
            }
            0
        })
    }

    fn flush(&mut self) {
        if !self.tx.is_empty() {
            let bytes = std::mem::take(&mut self.tx);
            let sent = self.write(&bytes);
            self.tx.extend_from_slice(&bytes[sent..]);
        }
    }

    /// Reads until the socket is drained, which a short read tells unless the peer has closed.
    fn read(&mut self, scratch: &mut [u8], peer_closed: bool, mut on: impl FnMut(Arrival<'_>)) {
        while let Some(stream) = &mut self.stream {
            let ended = match stream.read(scratch) {
                Ok(0) => self.broken.unwrap_or(ErrorKind::UnexpectedEof),
                Ok(length) => {
                    on(Arrival::Bytes(&scratch[..length]));
                    if length < scratch.len() && !peer_closed {
                        return;
                    }
                    continue;
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock) => return,
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted) => continue,
                Err(error) => error.kind(),
            };
            self.stream = None;
            on(Arrival::Closed(ended));
        }
    }
}

/// Names the bounds that a large crowd meets, and the ways past them.
fn refused(error: io::Error, index: usize) -> LoadError {
    let way_out = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE) => "this process may open no more; share them with --processes",
        Some(Errno::ADDRNOTAVAIL | Errno::ADDRINUSE) => "no port is left; connect from more addresses with --sources",
        _ => return LoadError::Io { doing: "connect".to_owned(), source: error },
    };
    LoadError::Missing(format!("{index} connections are made, and {way_out}"))
}

fn begin_connect(target: SocketAddr, sources: Sources, index: usize) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(target), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    // A loopback address could not reach another machine; to one of those the system chooses where from.
    if target.is_ipv4() && target.ip().is_loopback() {
        socket.bind(&SocketAddr::new(IpAddr::V4(sources.address(index)), 0).into())?;
    }
    match socket.connect(&target.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

/// Lines that arrive in pieces.
#[derive(Default)]
pub struct LineBuffer {
    /// The beginning of a line whose end has not come yet.
    tail: Vec<u8>,
}

impl LineBuffer {
    /// Hands every line that `bytes` completes to `on`, without its newline, and keeps the rest.
    pub fn feed(&mut self, bytes: &[u8], mut on: impl FnMut(&[u8])) {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            if self.tail.is_empty() {
                on(&rest[..end]);
            } else {
                self.tail.extend_from_slice(&rest[..end]);
                on(&self.tail);
                self.tail.clear();
            }
            rest = &rest[end + 1..];
        }
        self.tail.extend_from_slice(rest);
    }
}

/// Events handled in a turn; between turns a publisher sends its next messages.
const EVENTS_PER_TURN: usize = 256;

/// What one read takes at most; a turn's largest join fits three times.
const SCRATCH_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, bool) {
        let (mut buffer, mut lines) = (LineBuffer::default(), Vec::new());
        pieces.iter().for_each(|piece| buffer.feed(piece, |line| lines.push(line.to_vec())));
        (lines, buffer.tail.is_empty())
    }

    /// Shows that lines come out the same whole, byte by byte and with a trailing beginning.
    #[test]
    fn lines_in_any_chunking() {
        let expected = vec![b"one".to_vec(), b"".to_vec(), b"three".to_vec()];
        let whole = b"one\n\nthree\n";
        assert_eq!(lines_of(&[whole]), (expected.clone(), true));
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(lines_of(&bytes), (expected.clone(), true));
        assert_eq!(lines_of(&[whole, b"fo"]), (expected, false));
    }

    /// Shows that a target off the machine is refused before any socket exists.
    #[test]
    fn only_loopback_is_loaded() {
        assert!(Swarm::new("192.0.2.1:9090".parse().unwrap()).is_err());
        let mut swarm = Swarm::new("127.0.0.1:9090".parse().unwrap()).unwrap();
        assert!(swarm.aim_at("192.0.2.1:8080".parse().unwrap()).is_err());
        assert!(swarm.aim_at("127.0.0.1:8080".parse().unwrap()).is_ok());
    }

    /// Shows that the two bounds of a crowd are told with the way past them, and that anything else is what it is.
    #[test]
    fn bounds_name_the_way_past_them() {
        let said = |errno: Errno| refused(io::Error::from_raw_os_error(errno.raw_os_error()), 7).to_string();
        assert!(said(Errno::MFILE).contains("7 connections") && said(Errno::MFILE).contains("--processes"));
        assert!(said(Errno::ADDRNOTAVAIL).contains("--sources"));
        assert!(said(Errno::CONNREFUSED).starts_with("connect: "));
    }

    /// Shows that bytes reach a server and its answer comes back through a turn, and that its close is told.
    #[test]
    fn bytes_go_both_ways() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut swarm = Swarm::new(listener.local_addr().unwrap()).unwrap();
        let index = swarm.connect().unwrap();
        swarm.send(index, b"hello");
        let (mut accepted, _) = listener.accept().unwrap();
        let mut received = [0; 5];
        accepted.read_exact(&mut received).unwrap();
        accepted.write_all(&received).unwrap();
        drop(accepted);
        let (mut bytes, mut closed) = (Vec::new(), false);
        while !closed {
            let on = |_, arrival: Arrival<'_>| match arrival {
                Arrival::Bytes(more) => bytes.extend_from_slice(more),
                Arrival::Closed(_) => closed = true,
            };
            swarm.turn(Some(Duration::from_secs(5)), on).unwrap();
        }
        assert_eq!((bytes.as_slice(), swarm.connected()), (b"hello".as_slice(), 1));
    }

    /// Shows that a refused connection says so, although the write of its first bytes has eaten the error.
    #[test]
    fn a_refusal_is_told() {
        let target = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut swarm = Swarm::new(target).unwrap();
        let index = swarm.connect().unwrap();
        swarm.send(index, b"hello");
        let mut closed = None;
        while closed.is_none() {
            let on = |_, arrival: Arrival<'_>| match arrival {
                Arrival::Bytes(_) => panic!("nobody is there"),
                Arrival::Closed(kind) => closed = Some(kind),
            };
            swarm.turn(Some(Duration::from_secs(5)), on).unwrap();
        }
        assert_eq!(closed, Some(ErrorKind::ConnectionRefused));
    }
}
