//! Datagrams and the kernel: one call for many of them where the system has one, one call each elsewhere.
//!
//! A call costs about as much as what it sends, so telling ten thousand addresses the same is mostly a
//! matter of how many fit into one. Queues, budgets and what bytes mean are not here: see `udp`.

use std::io;
use std::net::SocketAddr;

use mio::net::UdpSocket;

use crate::handlers::effect::Datagram;

/// The longest datagram that is taken whole. The protocols here need no longer one, and a network that
/// does not break a datagram into pieces carries 1,500 bytes.
pub const DATAGRAM_BYTES_MAX: usize = 4096;

/// How many datagrams one call moves: beyond this the cost of the call itself has vanished.
pub const BATCH_MAX: usize = 64;

/// One byte more than is taken, so that a cut datagram shows.
const PLACE_BYTES: usize = DATAGRAM_BYTES_MAX + 1;

/// The kernel's buffers for a socket: a burst to thousands of addresses, and their answers. The kernel
/// lowers it to its own cap.
const KERNEL_BUFFER_BYTES: usize = 4 << 20;

/// Received datagrams, each in a place of its own, filled again and again.
#[derive(Default)]
pub struct Batch {
    bytes: Box<[u8]>,
    arrived: Vec<(SocketAddr, usize)>,
}

impl Batch {
    /// Room for [`BATCH_MAX`].
    pub fn new() -> Self {
        Self { bytes: vec![0; BATCH_MAX * PLACE_BYTES].into_boxed_slice(), arrived: Vec::with_capacity(BATCH_MAX) }
    }

    /// Forgets what it holds.
    pub fn clear(&mut self) {
        self.arrived.clear();
    }

    /// Adds a datagram and cuts it to its place; `false` when there is none left.
    pub fn push(&mut self, from: SocketAddr, datagram: &[u8]) -> bool {
        let Some(place) = self.bytes.chunks_exact_mut(PLACE_BYTES).nth(self.arrived.len()) else { return false };
        let length = datagram.len().min(PLACE_BYTES);
        place[..length].copy_from_slice(&datagram[..length]);
        self.arrived.push((from, length));
        true
    }

    /// What has arrived, in its order.
    pub fn arrived(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let places = self.bytes.chunks_exact(PLACE_BYTES);
        self.arrived.iter().zip(places).map(|((from, length), place)| (*from, &place[..*length]))
    }
}

/// A bound socket of datagrams.
pub struct MioDatagrams(UdpSocket);

impl MioDatagrams {
    /// Binds. Nothing is received before the reactor watches it.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(address),
            socket2::Type::DGRAM.nonblocking(),
            Some(socket2::Protocol::UDP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // A courtesy: with less the kernel drops earlier, which the protocols live with.
        let _ = socket.set_recv_buffer_size(KERNEL_BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(KERNEL_BUFFER_BYTES);
        socket.bind(&address.into())?;
        Ok(Self(UdpSocket::from_std(socket.into())))
    }

    /// Where it receives; the port is the real one when 0 was asked for.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    pub(super) fn socket(&mut self) -> &mut UdpSocket {
        &mut self.0
    }
}

#[cfg(target_os = "linux")]
mod batched {
    use std::io::{IoSlice, IoSliceMut};
    use std::os::fd::AsRawFd;

    use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

    use super::*;

    impl MioDatagrams {
        /// Replaces what the batch holds by what has arrived.
        pub fn receive(&self, batch: &mut Batch) -> io::Result<()> {
            let Batch { bytes, arrived } = batch;
            arrived.clear();
            let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH_MAX, None);
            let mut places: Vec<_> =
                bytes.chunks_exact_mut(PLACE_BYTES).map(|place| [IoSliceMut::new(place)]).collect();
            let flags = MsgFlags::MSG_DONTWAIT;
            self.0.try_io(|| {
                let received = recvmmsg(self.0.as_raw_fd(), &mut headers, &mut places, flags, None)?;
                arrived.extend(received.map(|message| (source(message.address), message.bytes)));
                Ok(())
            })
        }

        /// Sends some of these, and tells how many.
        pub fn send(&self, datagrams: &[Datagram]) -> io::Result<usize> {
            let datagrams = &datagrams[..datagrams.len().min(BATCH_MAX)];
            let mut headers = MultiHeaders::preallocate(datagrams.len(), None);
            let slices: Vec<_> = datagrams.iter().map(|datagram| [IoSlice::new(&datagram.bytes)]).collect();
            let to: Vec<_> = datagrams.iter().map(|datagram| Some(SockaddrStorage::from(datagram.to))).collect();
            let flags = MsgFlags::MSG_DONTWAIT;
            self.0.try_io(|| Ok(sendmmsg(self.0.as_raw_fd(), &mut headers, &slices, &to, [], flags)?.count()))
        }
    }

    /// Where a datagram came from. One without an address can't be answered: port 0 is nobody's.
    fn source(address: Option<SockaddrStorage>) -> SocketAddr {
        let v4 = || Some(SocketAddr::V4((*address.as_ref()?.as_sockaddr_in()?).into()));
        let v6 = || Some(SocketAddr::V6((*address.as_ref()?.as_sockaddr_in6()?).into()));
        v4().or_else(v6).unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }
}

#[cfg(not(target_os = "linux"))]
impl MioDatagrams {
    /// Replaces what the batch holds by what has arrived: one datagram.
    pub fn receive(&self, batch: &mut Batch) -> io::Result<()> {
        batch.clear();
        let (length, from) = self.0.recv_from(&mut batch.bytes[..PLACE_BYTES])?;
        batch.arrived.push((from, length));
        Ok(())
    }

    /// Sends the first of these.
    pub fn send(&self, datagrams: &[Datagram]) -> io::Result<usize> {
        let Some(first) = datagrams.first() else { return Ok(0) };
        self.0.send_to(&first.bytes, first.to).map(|_| 1)
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    fn socket() -> MioDatagrams {
        MioDatagrams::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap()
    }

    /// Many datagrams go out by few calls, and come in with their sources and in their order; a socket
    /// that has nothing more says so.
    #[test]
    fn a_batch_arrives_as_it_was_sent() {
        let (here, there) = (socket(), socket());
        let to = there.address().unwrap();
        let all: Vec<_> = (0..100u8).map(|number| Datagram { socket: 0, to, bytes: Rc::from([number; 3]) }).collect();
        let mut sent = 0;
        while sent < all.len() {
            sent += here.send(&all[sent..]).unwrap();
        }
        let (mut batch, mut heard) = (Batch::new(), Vec::new());
        while heard.len() < all.len() {
            if there.receive(&mut batch).is_ok() {
                heard.extend(batch.arrived().map(|(from, bytes)| (from, bytes.to_vec())));
            }
        }
        let from = here.address().unwrap();
        let expected: Vec<_> = all.iter().map(|datagram| (from, datagram.bytes.to_vec())).collect();
        assert_eq!(heard, expected);
        assert_eq!(there.receive(&mut batch).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(batch.arrived().count(), 0);
    }

    /// A datagram that is too long is cut, and shows it by one byte too many.
    #[test]
    fn a_long_datagram_shows_that_it_was_cut() {
        let (here, there) = (socket(), socket());
        let bytes = Rc::from(vec![7; 2 * DATAGRAM_BYTES_MAX]);
        here.send(&[Datagram { socket: 0, to: there.address().unwrap(), bytes }]).unwrap();
        let mut batch = Batch::new();
        while there.receive(&mut batch).is_err() {}
        assert_eq!(batch.arrived().map(|(_, bytes)| bytes.len()).collect::<Vec<_>>(), [DATAGRAM_BYTES_MAX + 1]);
    }

    /// A batch in memory takes as many as it has places.
    #[test]
    fn a_batch_has_a_bound() {
        let mut batch = Batch::new();
        let from = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!((0..1000).filter(|_| batch.push(from, b"x")).count(), BATCH_MAX);
        assert!(!Batch::default().push(from, b"x"));
    }
}
