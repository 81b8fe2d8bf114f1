//! The bare epoll loop: wait, accept, read, send.
//!
//! It owns its sockets and one scratch buffer. What is read at once from a connection goes out with one
//! `send` for each receiver, so messages that arrived together leave together. Nothing is allocated for a
//! message unless a receiver's socket is full. There is deliberately no framing: bytes are bytes. Only
//! [`Mode::Answer`] looks at them, for the empty line that ends a request's head; a body would be taken for more.
//!
//! What must hold: a read shorter than the scratch buffer has drained the socket (epoll is edge-triggered),
//! unless the peer has closed its side, which `RDHUP` tells; and bytes behind a partial send keep their order.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send, sockopt};
use slab::Slab;
use socket2::{Domain, Socket, Type};

use crate::journal::Journal;

/// Who receives what, when a connection sends.
#[derive(Debug)]
pub enum Mode {
    /// Every connection, the sender included, receives what was sent, once the journal has it if there is one.
    FanOut(Option<Journal>),
    /// The sender alone does.
    Echo,
    /// The sender receives these bytes for each head of a request.
    Answer(Vec<u8>),
    /// The sender receives how many connections have been accepted so far, in a line.
    Count,
}

/// The server: one listener, its connections, one epoll descriptor.
pub struct Bare {
    epoll: OwnedFd,
    listener: Socket,
    mode: Mode,
    conns: Slab<Conn>,
    /// Connections accepted, those that are gone included.
    accepted: u64,
    scratch: Vec<u8>,
    events: Vec<Event>,
    /// Connections to drop at the end of the turn, so that no loop removes what it walks over.
    doomed: Vec<usize>,
}

struct Conn {
    socket: OwnedFd,
    /// Bytes the socket did not take; empty, and without memory, nearly always.
    pending: Vec<u8>,
    /// How much of [`HEAD_END`] the last bytes read were: a head may end in the next read.
    matched: usize,
}

impl Bare {
    /// Listens on `address` with a backlog deep enough for a storm of connects.
    pub fn bind(address: SocketAddr, mode: Mode) -> io::Result<Self> {
        let listener = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None)?;
        listener.set_reuse_address(true)?;
        listener.bind(&address.into())?;
        listener.listen(BACKLOG)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        let (scratch, events) = (vec![0; SCRATCH_BYTES], Vec::with_capacity(EVENTS_PER_WAIT));
        Ok(Self { epoll, listener, mode, conns: Slab::new(), accepted: 0, scratch, events, doomed: Vec::new() })
    }

    /// The address in use, with the port that the system chose.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()?.as_socket().ok_or_else(|| io::Error::other("not an internet address"))
    }

    /// Ends [`Bare::turn`]'s work when standard input closes.
    pub fn watch_stdin(&self) -> io::Result<()> {
        watch_stdin(&self.epoll)
    }

    /// Waits for events and handles them. `false` once standard input is closed.
    pub fn turn(&mut self) -> io::Result<bool> {
        let mut events = std::mem::take(&mut self.events);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut open = true;
        for event in events.drain(..) {
            match event.data.u64() {
                LISTENER => self.accept()?,
                STDIN => open = stdin_is_open(),
                index => self.handle(index as usize, event.flags)?,
            }
        }
        self.events = events;
        self.reap();
        Ok(open)
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let socket = match accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNABORTED | Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            sockopt::set_tcp_nodelay(&socket, true)?;
            let entry = self.conns.vacant_entry();
            let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            epoll::add(&self.epoll, &socket, EventData::new_u64(entry.key() as u64), interest)?;
            self.accepted += 1;
            entry.insert(Conn { socket, pending: Vec::new(), matched: 0 });
        }
    }

    fn handle(&mut self, index: usize, flags: EventFlags) -> io::Result<()> {
        if flags.contains(EventFlags::OUT) && !self.flush(index) {
            self.doomed.push(index);
        }
        if flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) {
            self.read(index, flags.contains(EventFlags::RDHUP))?;
        }
        Ok(())
    }

    fn read(&mut self, index: usize, peer_closed: bool) -> io::Result<()> {
        loop {
            let Some(conn) = self.conns.get(index) else { return Ok(()) };
            let length = match recv(&conn.socket, &mut self.scratch[..], RecvFlags::empty()) {
                Ok((length @ 1.., _)) => length,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => continue,
                Ok(_) | Err(_) => {
                    self.doomed.push(index);
                    return Ok(());
                }
            };
            self.pass_on(index, length)?;
            if length < self.scratch.len() && !peer_closed {
                return Ok(());
            }
        }
    }

    fn pass_on(&mut self, sender: usize, length: usize) -> io::Result<()> {
        let bytes = &self.scratch[..length];
        match &mut self.mode {
            Mode::FanOut(journal) => {
                if let Some(journal) = journal {
                    journal.keep(bytes)?;
                }
                for (index, conn) in &mut self.conns {
                    if !conn.send(bytes) {
                        self.doomed.push(index);
                    }
                }
            }
            Mode::Echo => {
                if self.conns.get_mut(sender).is_some_and(|conn| !conn.send(bytes)) {
                    self.doomed.push(sender);
                }
            }
            Mode::Count => {
                let line = format!("{}\n", self.accepted);
                if self.conns.get_mut(sender).is_some_and(|conn| !conn.send(line.as_bytes())) {
                    self.doomed.push(sender);
                }
            }
            Mode::Answer(response) => {
                if self.conns.get_mut(sender).is_some_and(|conn| !conn.answer(bytes, response)) {
                    self.doomed.push(sender);
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self, index: usize) -> bool {
        let Some(conn) = self.conns.get_mut(index) else { return true };
        if conn.pending.is_empty() {
            return true;
        }
        let pending = std::mem::take(&mut conn.pending);
        conn.send(&pending)
    }

    fn reap(&mut self) {
        for index in self.doomed.drain(..) {
            // Closing the descriptor takes it out of epoll; an index may be noted twice.
            self.conns.try_remove(index);
        }
    }
}

impl Conn {
    /// Sends `bytes`, or keeps what the socket does not take. `false` when the connection is of no more use.
    fn send(&mut self, bytes: &[u8]) -> bool {
        if !self.pending.is_empty() {
            return self.keep(bytes);
        }
        match send(&self.socket, bytes, SendFlags::NOSIGNAL) {
            Ok(sent) if sent == bytes.len() => true,
            Ok(sent) => self.keep(&bytes[sent..]),
            Err(Errno::AGAIN | Errno::INTR) => self.keep(bytes),
            Err(_) => false,
        }
    }

    /// Sends `response` once for each head that ends in `bytes`. `false` when the connection is of no more use.
    fn answer(&mut self, bytes: &[u8], response: &[u8]) -> bool {
        (0..heads_ended(&mut self.matched, bytes)).all(|_| self.send(response))
    }

    fn keep(&mut self, bytes: &[u8]) -> bool {
        self.pending.extend_from_slice(bytes);
        self.pending.len() <= PENDING_BYTES_MAX
    }
}

/// How many heads end in `bytes`, with `matched` bytes of an end in front of them.
fn heads_ended(matched: &mut usize, bytes: &[u8]) -> usize {
    let mut ended = 0;
    for byte in bytes {
        *matched = match byte {
            byte if *byte == HEAD_END[*matched] => *matched + 1,
            // What did not go on with an end may begin one.
            b'\r' => 1,
            _ => 0,
        };
        if *matched == HEAD_END.len() {
            (*matched, ended) = (0, ended + 1);
        }
    }
    ended
}

/// Has `epoll` tell, with the token [`STDIN`], that standard input closes. A file or `/dev/null` can't be watched
/// and is let be.
pub fn watch_stdin(epoll: &OwnedFd) -> io::Result<()> {
    match epoll::add(epoll, rustix::stdio::stdin(), EventData::new_u64(STDIN), EventFlags::IN) {
        Ok(()) | Err(Errno::PERM) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Standard input is readable: it is open when it has bytes, and closed when it has none.
pub fn stdin_is_open() -> bool {
    let mut bytes = [0; 256];
    matches!(rustix::io::read(rustix::stdio::stdin(), &mut bytes), Ok(1..) | Err(Errno::AGAIN | Errno::INTR))
}

/// The token of the listener, which no slab index reaches.
const LISTENER: u64 = u64::MAX;

/// The token of standard input.
pub const STDIN: u64 = u64::MAX - 1;

/// The empty line after a request's head, with the end of the line before it.
const HEAD_END: &[u8; 4] = b"\r\n\r\n";

/// What one read takes at most. A fuller socket is read again: the fan-out's largest turn (64 messages of
/// some 300 bytes) fits three times.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Events taken at once; the rest stay with the kernel until the next turn.
const EVENTS_PER_WAIT: usize = 1024;

/// The system caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// A receiver that is further behind than this is dropped. Far beyond any closed loop, so it only bounds memory.
const PENDING_BYTES_MAX: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    /// Runs `clients` on a thread of its own and serves until every connection it was given is gone again.
    fn serve_while(mode: Mode, count: usize, clients: impl FnOnce(Vec<TcpStream>) + Send + 'static) {
        let mut bare = Bare::bind("127.0.0.1:0".parse().unwrap(), mode).unwrap();
        let address = bare.address().unwrap();
        let streams: Vec<TcpStream> = (0..count).map(|_| TcpStream::connect(address).unwrap()).collect();
        while bare.conns.len() < count {
            bare.turn().unwrap();
        }
        let running = std::thread::spawn(move || clients(streams));
        while !bare.conns.is_empty() {
            bare.turn().unwrap();
        }
        running.join().unwrap();
    }

    /// Shows that every connection, the sender included, receives the bytes, by reading them from both.
    #[test]
    fn fan_out_reaches_everyone() {
        serve_while(Mode::FanOut(None), 2, |mut clients| {
            clients[0].write_all(b"one\ntwo\n").unwrap();
            for client in &mut clients {
                let mut received = [0; 8];
                client.read_exact(&mut received).unwrap();
                assert_eq!(&received, b"one\ntwo\n");
            }
        });
    }

    /// Shows that bytes beyond a full socket are kept and arrive in order, by echoing 8 MiB before reading any.
    #[test]
    fn partial_sends_keep_their_order() {
        serve_while(Mode::Echo, 1, |mut clients| {
            let sent: Vec<u8> = (0..8 * 1024 * 1024u32).map(|at| (at / 7) as u8).collect();
            clients[0].write_all(&sent).unwrap();
            let mut received = vec![0; sent.len()];
            clients[0].read_exact(&mut received).unwrap();
            assert!(received == sent);
        });
    }

    /// Shows that whoever asks hears how many connections there have been.
    #[test]
    fn accepts_are_counted() {
        serve_while(Mode::Count, 3, |mut clients| {
            // The last in the listener's queue: whoever hears it has been accepted behind the others.
            clients[2].write_all(b"?").unwrap();
            let mut received = [0; 2];
            clients[2].read_exact(&mut received).unwrap();
            assert_eq!(&received, b"3\n");
        });
    }

    /// Shows that a head is answered once, when its last byte is there, however it is cut into reads.
    #[test]
    fn a_head_in_pieces_is_one_head() {
        let requests = b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /\r\r\n\r\r\n\r\n";
        for size in 1..=requests.len() {
            let mut matched = 0;
            let ended: Vec<usize> = requests.chunks(size).map(|piece| heads_ended(&mut matched, piece)).collect();
            assert_eq!((ended.iter().sum::<usize>(), matched), (2, 0), "in pieces of {size}");
        }
        let mut matched = 0;
        assert_eq!(heads_ended(&mut matched, &requests[..26]), 0);
        assert_eq!(heads_ended(&mut matched, &requests[26..27]), 1);
    }

    /// Shows that each request is answered with the whole response: one in two segments, then three in one.
    #[test]
    fn every_request_is_answered() {
        serve_while(Mode::Answer(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()), 1, |mut clients| {
            let mut expect = |sent: &[&[u8]], answers: usize| {
                sent.iter().for_each(|segment| clients[0].write_all(segment).unwrap());
                let mut received = vec![0; answers * 19];
                clients[0].read_exact(&mut received).unwrap();
                assert_eq!(received, b"HTTP/1.1 200 OK\r\n\r\n".repeat(answers));
            };
            expect(&[b"GET / HTTP/1.1\r\nHost: x\r", b"\n\r\n"], 1);
            expect(&[&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3)], 3);
        });
    }
}
