//! A kernel that costs next to nothing, so that what is measured is the loop: sockets are rows of a table, reading
//! copies from memory, and what is written is counted and gone.
//!
//! It has no faults and no surprises; those are the simulation's, in `tests/sim/`.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use mangahub::handlers::effect::Datagram;
use mangahub::handlers::key::ConnKey;
use mangahub::reactor::datagrams::Batch;
use mangahub::reactor::inbox::Bell;
use mangahub::reactor::net::{Net, Ready, Source};
use mangahub::reactor::service::Now;

/// The kernel, shared by the loop and by whoever plays its clients.
#[derive(Clone, Default)]
pub struct QuietNet(Rc<RefCell<Table>>);

#[derive(Default)]
struct Table {
    conns: Vec<Conn>,
    /// How many of the table's rows have been accepted.
    accepted: usize,
    ready: Vec<Ready>,
    written_bytes: u64,
}

#[derive(Default)]
struct Conn {
    key: Option<ConnKey>,
    unread: Vec<u8>,
}

impl QuietNet {
    /// So many clients connect.
    pub fn connect(&self, count: usize) {
        let table = &mut *self.0.borrow_mut();
        table.conns.extend((0..count).map(|_| Conn::default()));
        table.ready.push(told(Source::Listener(0)));
    }

    /// A client sends. It must have been accepted.
    pub fn send(&self, client: usize, bytes: &[u8]) {
        let table = &mut *self.0.borrow_mut();
        let conn = &mut table.conns[client];
        conn.unread.extend_from_slice(bytes);
        let key = conn.key.expect("only the accepted send");
        table.ready.push(told(Source::Conn(key)));
    }

    /// How many bytes the loop has written so far.
    pub fn written_bytes(&self) -> u64 {
        self.0.borrow().written_bytes
    }
}

impl Net for QuietNet {
    type Listener = ();
    /// A row of the table.
    type Stream = usize;
    type Datagrams = ();

    fn wait(&mut self, ready: &mut Vec<Ready>, _: Option<Duration>) -> io::Result<()> {
        ready.append(&mut self.0.borrow_mut().ready);
        Ok(())
    }

    fn now(&mut self) -> Now {
        Now { mono_ms: 0, unix_ms: 0 }
    }

    fn watch_listener(&mut self, _: &mut (), _: u8) -> io::Result<()> {
        Ok(())
    }

    fn accept(&mut self, _: &mut ()) -> io::Result<(usize, SocketAddr)> {
        let table = &mut *self.0.borrow_mut();
        if table.accepted == table.conns.len() {
            return Err(ErrorKind::WouldBlock.into());
        }
        table.accepted += 1;
        Ok((table.accepted - 1, SocketAddr::from(([127, 0, 0, 1], 1))))
    }

    fn watch(&mut self, stream: &mut usize, key: ConnKey) -> io::Result<()> {
        self.0.borrow_mut().conns[*stream].key = Some(key);
        Ok(())
    }

    fn forget(&mut self, stream: &mut usize) {
        self.0.borrow_mut().conns[*stream].key = None;
    }

    fn read(&mut self, stream: &mut usize, buffer: &mut [u8]) -> io::Result<usize> {
        let unread = &mut self.0.borrow_mut().conns[*stream].unread;
        if unread.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = unread.len().min(buffer.len());
        buffer[..count].copy_from_slice(&unread[..count]);
        unread.drain(..count);
        Ok(count)
    }

    fn write(&mut self, _: &mut usize, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let count = slices.iter().map(|slice| slice.len()).sum();
        self.0.borrow_mut().written_bytes += count as u64;
        Ok(count)
    }

    fn owes(&self, _: &usize) -> bool {
        false
    }

    fn settle(&mut self, _: &mut usize) -> io::Result<()> {
        Ok(())
    }

    fn shutdown_write(&mut self, _: &mut usize) {}

    fn watch_datagrams(&mut self, (): &mut (), _: u8) -> io::Result<()> {
        Ok(())
    }

    fn receive(&mut self, (): &mut (), _: &mut Batch) -> io::Result<()> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn send(&mut self, (): &mut (), datagrams: &[Datagram]) -> io::Result<usize> {
        Ok(datagrams.len())
    }
}

/// Nobody sleeps, so nobody has to be woken.
pub struct NoBell;

impl Bell for NoBell {
    fn ring(&self) {}
}

fn told(source: Source) -> Ready {
    Ready { source, readable: true, writable: true, read_closed: false }
}
