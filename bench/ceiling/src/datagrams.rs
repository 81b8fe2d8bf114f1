//! The bare loop of datagrams: learn addresses, and send a message to all of them when told to.
//!
//! It owns one UDP socket and the addresses. Whatever arrives is from an address to be learnt, and answered with
//! [`ANSWER`], unless it is one of two orders: `send FIRST COUNT BYTES` sends messages number `FIRST` and on, each
//! of so many bytes, to every address, in batches as large as the kernel takes; `forget` forgets the addresses.
//! There is deliberately no queue: the socket blocks, and nothing else is done meanwhile. On loopback a datagram
//! is in the receiver's buffer when it has been sent, so sending never waits for long.
//!
//! What must hold: one message after the other, each to all addresses in the order in which they were learnt.

use std::io::{self, ErrorKind, IoSlice};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};
use socket2::SockRef;

use crate::bare::{STDIN, stdin_is_open, watch_stdin};

/// The server: one socket, the addresses, one epoll descriptor.
pub struct Datagrams {
    epoll: OwnedFd,
    socket: UdpSocket,
    addresses: Vec<SocketAddrAny>,
    events: Vec<Event>,
}

/// What a datagram wants.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    /// Messages to everyone.
    Send { first: u64, count: u64, bytes: usize },
    /// That nobody is left.
    Forget,
    /// To be one of those who are sent messages.
    Learn,
}

impl Datagrams {
    /// Listens on `address`.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        // As much as the system allows: a crowd registers at once.
        SockRef::from(&socket).set_recv_buffer_size(BUFFER_BYTES)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &socket, EventData::new_u64(SOCKET), EventFlags::IN)?;
        Ok(Self { epoll, socket, addresses: Vec::new(), events: Vec::with_capacity(EVENTS_PER_WAIT) })
    }

    /// The address in use, with the port that the system chose.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Ends [`Datagrams::turn`]'s work when standard input closes.
    pub fn watch_stdin(&self) -> io::Result<()> {
        watch_stdin(&self.epoll)
    }

    /// Waits for a datagram and handles it. `false` once standard input is closed.
    pub fn turn(&mut self) -> io::Result<bool> {
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let happened = |what| self.events.iter().any(|event| event.data.u64() == what);
        let (readable, open) = (happened(SOCKET), !happened(STDIN) || stdin_is_open());
        if readable {
            self.receive()?;
        }
        Ok(open)
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut bytes = [0; DATAGRAM_BYTES_MAX];
        let (length, from) = match self.socket.recv_from(&mut bytes) {
            Ok(received) => received,
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionRefused) => {
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        match Wish::read(&bytes[..length]) {
            Wish::Forget => self.addresses.clear(),
            Wish::Send { first, count, bytes } => {
                for number in first..first.saturating_add(count) {
                    self.send_to_all(&message(number, bytes))?;
                }
            }
            Wish::Learn => {
                self.addresses.push(from.into());
                self.socket.send_to(ANSWER, from)?;
            }
        }
        Ok(())
    }

    fn send_to_all(&self, message: &[u8]) -> io::Result<()> {
        let slices = [IoSlice::new(message)];
        for batch in self.addresses.chunks(BATCH) {
            let mut controls: Vec<_> = batch.iter().map(|_| SendAncillaryBuffer::default()).collect();
            let messages = batch.iter().zip(&mut controls);
            let mut messages: Vec<_> =
                messages.map(|(address, control)| MMsgHdr::new_with_addr(address, &slices, control)).collect();
            let mut rest = messages.as_mut_slice();
            while !rest.is_empty() {
                let sent = sendmmsg(&self.socket, rest, SendFlags::empty())?;
                rest = &mut rest[sent..];
            }
        }
        Ok(())
    }
}

impl Wish {
    fn read(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let words: Vec<&str> = text.split(' ').collect();
        let send = |first: &str, count: &str, bytes: &str| {
            let bytes = bytes.parse().ok().filter(|bytes| *bytes <= DATAGRAM_BYTES_MAX)?;
            Some(Wish::Send { first: first.parse().ok()?, count: count.parse().ok()?, bytes })
        };
        match words.as_slice() {
            ["forget"] => Wish::Forget,
            ["send", first, count, bytes] => send(first, count, bytes).unwrap_or(Wish::Learn),
            _ => Wish::Learn,
        }
    }
}

/// `P`, the number and dots up to `bytes`; at least the first two.
fn message(number: u64, bytes: usize) -> Vec<u8> {
    format!("{:.<bytes$}", format!("P{number:012}")).into_bytes()
}

/// What an address is told that has been learnt.
const ANSWER: &[u8] = b"ok";

/// The token of the socket.
const SOCKET: u64 = 0;

/// A socket and standard input.
const EVENTS_PER_WAIT: usize = 2;

/// Messages for one call; the kernel looks at no more.
const BATCH: usize = 1024;

/// What a datagram has at most, either way.
const DATAGRAM_BYTES_MAX: usize = 4096;

/// The system may give less.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn client(target: SocketAddr) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(target).unwrap();
        socket.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        socket
    }

    fn received(socket: &UdpSocket) -> Vec<u8> {
        let mut bytes = [0; 100];
        let length = socket.recv(&mut bytes).unwrap();
        bytes[..length].to_vec()
    }

    /// Shows that orders are known, and that what only looks like one is from somebody to be learnt.
    #[test]
    fn orders_are_known() {
        assert_eq!(Wish::read(b"send 7 2 300"), Wish::Send { first: 7, count: 2, bytes: 300 });
        assert_eq!(Wish::read(b"forget"), Wish::Forget);
        for other in [b"send 7 2 x".as_slice(), b"send 7 2", b"send 7 2 100000", b"{}", b"\xff", b""] {
            assert_eq!(Wish::read(other), Wish::Learn);
        }
    }

    /// Shows that everyone learnt receives every message in order and with its length, and nobody once forgotten.
    #[test]
    fn messages_reach_everyone() {
        let mut loop_ = Datagrams::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let target = loop_.address().unwrap();
        let (clients, control) = ([client(target), client(target), client(target)], client(target));
        for client in &clients {
            client.send(b"here").unwrap();
            loop_.turn().unwrap();
            assert_eq!(received(client), ANSWER);
        }
        control.send(b"send 5 2 20").unwrap();
        loop_.turn().unwrap();
        for client in &clients {
            assert_eq!([received(client), received(client)], [message(5, 20), message(6, 20)]);
        }
        control.send(b"forget").unwrap();
        loop_.turn().unwrap();
        assert!(loop_.addresses.is_empty());
        assert_eq!(message(5, 20), b"P000000000005.......");
    }
}
