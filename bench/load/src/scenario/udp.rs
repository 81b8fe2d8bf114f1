//! Notifications by UDP: many addresses register, each receives every notification once.
//!
//! A closed loop: a notification is triggered, read from every socket, and then the next one is triggered. The
//! time counts from the trigger until the last socket has it; in an open loop, where notifications are due at fixed
//! times, from then. The sockets are read in stretches, each from its last
//! socket to its first: a peer that sends in the order of registering is then waited for once in a stretch, and
//! waking this side costs it nothing that grows with the crowd. In whichever order it sends, every socket is read.
//! One datagram of a notification is looked into and the others must be the same bytes.
//!
//! A lost datagram is an error: one notification is on its way, and a socket's buffer holds many.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Pace, STALL};
use crate::drive::Pacing;
use crate::drive::schedule::Schedule;
use crate::error::{Doing, LoadError};
use crate::guard;
use crate::http::{Inbox, post};
use crate::message::padded;
use crate::stats::{Latencies, Summary};

/// What a run of notifications showed.
#[derive(Debug, Clone, Serialize)]
pub struct Notified {
    /// Datagrams received, all addresses together, per second.
    pub datagrams_per_second: f64,
    /// The mean length of a datagram, in bytes.
    pub datagram_bytes: f64,
    /// From the trigger until the last address had it.
    pub latency: Summary,
}

/// Who notifies, and how it is told to.
pub trait Notifier {
    /// Where addresses register.
    fn udp(&self) -> SocketAddr;
    /// How the answer to a registration begins.
    fn registered(&self) -> &'static [u8];
    /// Has it tell everyone notification number `sequence`.
    fn trigger(&mut self, sequence: u64) -> Result<(), LoadError>;
    /// Waits until it has agreed to what was triggered.
    fn agreed(&mut self) -> Result<(), LoadError>;
    /// Has it forget these addresses.
    fn forget(&mut self, sockets: &[UdpSocket]) -> Result<(), LoadError>;
}

/// `addresses` sockets register with `notifier` and are notified for `pace`.
pub fn run(notifier: &mut impl Notifier, addresses: usize, pace: Pace) -> Result<Notified, LoadError> {
    run_at(notifier, addresses, Pacing::Closed, pace)
}

/// The same at any pace.
pub fn run_at(
    notifier: &mut impl Notifier,
    addresses: usize,
    pacing: Pacing,
    pace: Pace,
) -> Result<Notified, LoadError> {
    guard::check(notifier.udp())?;
    let sockets = (0..addresses.max(1)).map(|index| open(index, notifier.udp())).collect::<Result<Vec<_>, _>>()?;
    register(&sockets, notifier.registered())?;
    let mut crowd = Crowd { sockets, pacing, sequence: 0, bytes: 0, latencies: Latencies::new() };
    let notified = crowd.measure(notifier, pace)?;
    crowd.must_be_quiet()?;
    notifier.forget(&crowd.sockets)?;
    Ok(notified)
}

fn open(index: usize, target: SocketAddr) -> Result<UdpSocket, LoadError> {
    let host = Ipv4Addr::new(127, 0, 0, 1 + (index % SOURCE_ADDRESSES) as u8);
    let socket = UdpSocket::bind((IpAddr::V4(host), 0)).doing("open a UDP socket")?;
    socket.connect(target).doing("aim a UDP socket")?;
    socket.set_read_timeout(Some(STALL)).doing("set a time limit")?;
    Ok(socket)
}

/// Registers a few at a time, for a datagram that finds no room is lost.
fn register(sockets: &[UdpSocket], answer: &[u8]) -> Result<(), LoadError> {
    for (at, some) in sockets.chunks(AT_ONCE).enumerate() {
        for (index, socket) in some.iter().enumerate() {
            let client = at * AT_ONCE + index;
            let registration = format!("{{\"type\":\"register\",\"data\":{{\"client_id\":\"bench-{client:05}\"}}}}");
            socket.send(registration.as_bytes()).doing("register an address")?;
        }
        for socket in some {
            expect(socket, answer)?;
        }
    }
    Ok(())
}

fn expect(socket: &UdpSocket, beginning: &[u8]) -> Result<(), LoadError> {
    let mut bytes = [0; DATAGRAM_BYTES_MAX];
    let length = receive(socket, &mut bytes, "an answer")?;
    match bytes[..length].starts_with(beginning) {
        true => Ok(()),
        false => Err(LoadError::Wrong(String::from_utf8_lossy(&bytes[..length]).into_owned())),
    }
}

fn receive(socket: &UdpSocket, bytes: &mut [u8], what: &str) -> Result<usize, LoadError> {
    loop {
        return match socket.recv(bytes) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let address = socket.local_addr().doing("look at a socket")?;
                Err(LoadError::TimedOut(format!("{address} did not receive {what}")))
            }
            received => received.doing("receive a datagram"),
        };
    }
}

struct Crowd {
    sockets: Vec<UdpSocket>,
    pacing: Pacing,
    /// How many notifications everyone has had.
    sequence: u64,
    /// Of their datagrams, of one address.
    bytes: u64,
    latencies: Latencies,
}

impl Crowd {
    fn measure(&mut self, notifier: &mut impl Notifier, pace: Pace) -> Result<Notified, LoadError> {
        self.notify_for(notifier, pace.warm_up)?;
        (self.bytes, self.latencies) = (0, Latencies::new());
        let first = self.sequence;
        let elapsed = self.notify_for(notifier, pace.duration)?;
        let rounds = (self.sequence - first) as f64;
        Ok(Notified {
            datagrams_per_second: rounds * self.sockets.len() as f64 / elapsed.as_secs_f64(),
            datagram_bytes: self.bytes as f64 / rounds,
            latency: self.latencies.summary(),
        })
    }

    /// Notifies at least once, and until `duration` is over. Returns how long the notifications were on their way.
    fn notify_for(&mut self, notifier: &mut impl Notifier, duration: Duration) -> Result<Duration, LoadError> {
        let begun = Instant::now();
        let (end, mut elapsed) = (begun + duration, Duration::ZERO);
        let mut schedule = match self.pacing {
            Pacing::Closed => None,
            Pacing::Open(per_second) => Some(Schedule::new(begun, end.max(begun + SHORTEST), per_second)),
        };
        // What is due is sent, however late: only a closed loop looks at the end itself.
        while schedule.is_some() || elapsed.is_zero() || Instant::now() < end {
            let Some(since) = due(&mut schedule) else { break };
            let start = Instant::now();
            if start > end.max(begun + SHORTEST) + STALL {
                return Err(LoadError::TimedOut("the rate was not kept: notifications were still due".to_owned()));
            }
            notifier.trigger(self.sequence)?;
            self.receive_one()?;
            self.latencies.record(since.elapsed());
            elapsed += start.elapsed();
            notifier.agreed()?;
            self.sequence += 1;
        }
        Ok(if schedule.is_some() { begun.elapsed() } else { elapsed })
    }

    /// Reads the next notification from every socket.
    fn receive_one(&mut self) -> Result<(), LoadError> {
        let (mut first, mut bytes) = (Vec::new(), [0; DATAGRAM_BYTES_MAX]);
        for stretch in self.sockets.chunks(STRETCH) {
            for socket in stretch.iter().rev() {
                let length = receive(socket, &mut bytes, "a notification")?;
                let datagram = &bytes[..length];
                if first.is_empty() {
                    must_be(self.sequence, datagram)?;
                    first.extend_from_slice(datagram);
                } else if datagram != first {
                    return Err(LoadError::Wrong(format!(
                        "one address received {}, another {}",
                        String::from_utf8_lossy(&first),
                        String::from_utf8_lossy(datagram)
                    )));
                }
            }
        }
        self.bytes += first.len() as u64;
        Ok(())
    }

    /// Nobody has received anything twice.
    fn must_be_quiet(&self) -> Result<(), LoadError> {
        std::thread::sleep(QUIET);
        for socket in &self.sockets {
            socket.set_nonblocking(true).doing("look at a socket")?;
            let left = socket.recv(&mut [0; DATAGRAM_BYTES_MAX]);
            socket.set_nonblocking(false).doing("look at a socket")?;
            if !left.is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
                return Err(LoadError::Wrong(format!("a datagram too many after {} notifications", self.sequence)));
            }
        }
        Ok(())
    }
}

/// From when the next notification counts, once it is due: now, without a schedule. `None` when no more are.
fn due(schedule: &mut Option<Schedule>) -> Option<Instant> {
    let Some(schedule) = schedule else { return Some(Instant::now()) };
    std::thread::sleep(schedule.next()?.saturating_duration_since(Instant::now()));
    schedule.take(Instant::now())
}

fn must_be(sequence: u64, datagram: &[u8]) -> Result<(), LoadError> {
    match memchr::memmem::find(datagram, padded(sequence, 0).as_bytes()) {
        Some(_) => Ok(()),
        None => {
            let shown = String::from_utf8_lossy(datagram);
            Err(LoadError::Wrong(format!("notification {sequence} was expected, this came: {shown}")))
        }
    }
}

/// MangaHub: its v1 dialect, and a new series told to its internal listener, whose title is the number.
pub struct Hub {
    udp: SocketAddr,
    internal: SocketAddr,
    stream: TcpStream,
    inbox: Inbox,
}

impl Hub {
    /// Connects to the internal listener.
    pub fn connect(udp: SocketAddr, internal: SocketAddr) -> Result<Self, LoadError> {
        guard::check(internal)?;
        guard::check(internal)?;
        let stream = TcpStream::connect(internal).doing("connect")?;
        stream.set_nodelay(true).doing("set up a connection")?;
        stream.set_read_timeout(Some(STALL)).doing("set a time limit")?;
        Ok(Self { udp, internal, stream, inbox: Inbox::default() })
    }
}

impl Notifier for Hub {
    fn udp(&self) -> SocketAddr {
        self.udp
    }

    fn registered(&self) -> &'static [u8] {
        b"{\"type\":\"register_success\""
    }

    fn trigger(&mut self, sequence: u64) -> Result<(), LoadError> {
        let body = format!("{{\"manga_id\":1,\"title\":\"{}\"}}", padded(sequence, TITLE_BYTES));
        let request = post(self.internal, "/notify/new-manga", &body);
        self.stream.write_all(&request).doing("send a request")
    }

    fn agreed(&mut self) -> Result<(), LoadError> {
        let mut piece = [0; DATAGRAM_BYTES_MAX];
        loop {
            if let Some(answer) = self.inbox.answer().map_err(LoadError::Wrong)? {
                let status = answer.status;
                self.inbox.clear();
                let refused = || LoadError::Wrong(format!("status {status} to a trigger"));
                return (200..300).contains(&status).then_some(()).ok_or_else(refused);
            }
            match self.stream.read(&mut piece).doing("read an answer")? {
                0 => return Err(LoadError::Wrong("the internal listener closed the connection".to_owned())),
                length => self.inbox.push(&piece[..length]),
            }
        }
    }

    /// There is no answer to `unregister`, so each stretch ends with a ping, which has one.
    fn forget(&mut self, sockets: &[UdpSocket]) -> Result<(), LoadError> {
        for some in sockets.chunks(AT_ONCE) {
            for socket in some {
                socket.send(b"{\"type\":\"unregister\",\"data\":{\"client_id\":\"bench\"}}").doing("leave")?;
            }
            let Some(last) = some.last() else { continue };
            last.send(b"{\"type\":\"ping\",\"data\":{}}").doing("ping")?;
            expect(last, b"{\"type\":\"pong\"")?;
        }
        Ok(())
    }
}

/// The bare loop.
pub struct Bare {
    udp: SocketAddr,
    control: UdpSocket,
    bytes: usize,
}

impl Bare {
    /// Its datagrams will be of `bytes`.
    pub fn connect(udp: SocketAddr, bytes: usize) -> Result<Self, LoadError> {
        guard::check(udp)?;
        Ok(Self { udp, control: open(0, udp)?, bytes })
    }
}

impl Notifier for Bare {
    fn udp(&self) -> SocketAddr {
        self.udp
    }

    fn registered(&self) -> &'static [u8] {
        b"ok"
    }

    fn trigger(&mut self, sequence: u64) -> Result<(), LoadError> {
        self.control.send(format!("send {sequence} 1 {}", self.bytes).as_bytes()).doing("send an order").map(drop)
    }

    fn agreed(&mut self) -> Result<(), LoadError> {
        Ok(())
    }

    fn forget(&mut self, _: &[UdpSocket]) -> Result<(), LoadError> {
        self.control.send(b"forget").doing("send an order").map(drop)
    }
}

/// Source addresses 127.0.0.1 to 127.0.0.16.
const SOURCE_ADDRESSES: usize = 16;

/// How many registrations may be on their way; the smallest receive buffer holds as many.
const AT_ONCE: usize = 64;

/// How many sockets are read once the last of them has its datagram.
const STRETCH: usize = 256;

/// A phase without a length still has one notification.
const SHORTEST: Duration = Duration::from_millis(1);

/// How long to wait for a datagram that should not be.
const QUIET: Duration = Duration::from_millis(20);

/// More than either peer sends.
const DATAGRAM_BYTES_MAX: usize = 4096;

/// As long as a title may well be.
const TITLE_BYTES: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    /// A notifier on this thread, which tells `told` whatever it is asked to.
    struct Fake {
        socket: UdpSocket,
        addresses: Vec<SocketAddr>,
        told: fn(u64) -> Vec<u64>,
    }

    impl Fake {
        fn learn(&mut self) {
            let (_, from) = self.socket.recv_from(&mut [0; 100]).unwrap();
            self.addresses.push(from);
            self.socket.send_to(b"ok", from).unwrap();
        }
    }

    impl Notifier for Fake {
        fn udp(&self) -> SocketAddr {
            self.socket.local_addr().unwrap()
        }
        fn registered(&self) -> &'static [u8] {
            b"ok"
        }
        fn trigger(&mut self, sequence: u64) -> Result<(), LoadError> {
            for number in (self.told)(sequence) {
                for address in &self.addresses {
                    self.socket.send_to(padded(number, 40).as_bytes(), address).unwrap();
                }
            }
            Ok(())
        }
        fn agreed(&mut self) -> Result<(), LoadError> {
            Ok(())
        }
        fn forget(&mut self, _: &[UdpSocket]) -> Result<(), LoadError> {
            Ok(())
        }
    }

    fn outcome(told: fn(u64) -> Vec<u64>) -> Result<Notified, LoadError> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut fake = Fake { socket, addresses: Vec::new(), told };
        let sockets: Vec<UdpSocket> = (0..300).map(|index| open(index, fake.udp()).unwrap()).collect();
        for some in sockets.chunks(AT_ONCE) {
            some.iter().for_each(|socket| assert_eq!(socket.send(b"here").unwrap(), 4));
            some.iter().for_each(|_| fake.learn());
            some.iter().for_each(|socket| expect(socket, b"ok").unwrap());
        }
        let mut crowd = Crowd { sockets, pacing: Pacing::Closed, sequence: 0, bytes: 0, latencies: Latencies::new() };
        let pace = Pace { warm_up: Duration::ZERO, duration: Duration::from_millis(20) };
        let notified = crowd.measure(&mut fake, pace)?;
        crowd.must_be_quiet().map(|()| notified)
    }

    /// Shows that every address is read once for a notification, and its length comes out.
    #[test]
    fn everyone_is_notified() {
        let notified = outcome(|sequence| vec![sequence]).unwrap();
        assert_eq!(notified.datagram_bytes, 40.0);
        assert!(notified.datagrams_per_second > 0.0 && notified.latency.count > 0);
    }

    /// Shows that a doubled notification, and another than was triggered, is an error.
    #[test]
    fn anything_else_is_an_error() {
        assert!(outcome(|sequence| vec![sequence, sequence]).is_err());
        assert!(outcome(|sequence| vec![sequence + 1]).is_err());
    }
}
