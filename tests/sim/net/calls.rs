//! What the reactor asks of the kernel in memory: each call as a real one answers it, faults included.

use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::time::Duration;

use mangahub::handlers::effect::Datagram;
use mangahub::handlers::key::ConnKey;
use mangahub::reactor::datagrams::Batch;
use mangahub::reactor::net::{Net, Ready};
use mangahub::reactor::service::Now;

use super::*;

impl Net for SimNet {
    type Listener = SimListener;
    type Stream = SimStream;
    type Datagrams = SimDatagrams;

    fn wait(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        let kernel = &mut *self.0.borrow_mut();
        kernel.collect(ready);
        if kernel.bell.0.swap(false, Ordering::Relaxed) {
            ready.push(event(Source::Bell, Edges { readable: true, ..Edges::default() }));
        }
        let timeout_ms = timeout.map(|timeout| timeout.as_millis() as u64);
        kernel.waited = Waited { timeout_ms, quiet: ready.is_empty() };
        let slept = match (ready.is_empty(), timeout_ms) {
            (true, None) => panic!("the loop sleeps for ever"),
            (true, Some(timeout_ms)) if timeout_ms > 0 => kernel.sleep_ms(timeout_ms),
            _ if kernel.faults.chaos => kernel.below(3),
            _ => 0,
        };
        kernel.advance(slept);
        Ok(())
    }

    fn now(&mut self) -> Now {
        self.0.borrow().now
    }

    fn watch_listener(&mut self, listener: &mut SimListener, index: u8) -> io::Result<()> {
        assert_eq!(listener.place, usize::from(index));
        self.0.borrow_mut().listeners[listener.place].watched = true;
        Ok(())
    }

    fn accept(&mut self, listener: &mut SimListener) -> io::Result<(SimStream, SocketAddr)> {
        let kernel = &mut *self.0.borrow_mut();
        if kernel.listeners[listener.place].waiting.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        kernel.calls += 1;
        if kernel.chance(3) {
            return Err(ErrorKind::Interrupted.into());
        }
        if kernel.open >= kernel.faults.streams_max || kernel.chance(2) {
            return Err(io::Error::from_raw_os_error(if kernel.chance(50) { ENFILE } else { EMFILE }));
        }
        let aborted = kernel.chance(2);
        let Some(id) = kernel.listeners[listener.place].waiting.pop_front() else { unreachable!("it was not empty") };
        if aborted || kernel.sockets[id].reset {
            (kernel.sockets[id].reset, kernel.sockets[id].refused) = (true, true);
            return Err(ErrorKind::ConnectionAborted.into());
        }
        kernel.open += 1;
        let peer = kernel.sockets[id].peer;
        Ok((SimStream { id, net: self.clone() }, peer))
    }

    fn watch(&mut self, stream: &mut SimStream, key: ConnKey) -> io::Result<()> {
        let kernel = &mut *self.0.borrow_mut();
        if kernel.chance(2) {
            kernel.sockets[stream.id].refused = true;
            return Err(ErrorKind::OutOfMemory.into());
        }
        let taken = kernel.sockets.iter().any(|socket| socket.key == Some(key));
        assert!(!taken && kernel.sockets[stream.id].key.is_none(), "{key:?} is watched twice");
        let level = kernel.sockets[stream.id].level(kernel.faults.send_bytes_max);
        kernel.sockets[stream.id].key = Some(key);
        kernel.sockets[stream.id].edges = level;
        Ok(())
    }

    fn forget(&mut self, stream: &mut SimStream) {
        let kernel = &mut *self.0.borrow_mut();
        let key = kernel.sockets[stream.id].key.take();
        kernel.old_keys.push(key.expect("only what is watched can be forgotten"));
    }

    fn read(&mut self, stream: &mut SimStream, buffer: &mut [u8]) -> io::Result<usize> {
        let kernel = &mut *self.0.borrow_mut();
        kernel.calls += 1;
        let interrupted = kernel.chance(5);
        let cut = kernel.chance(30);
        let random = kernel.below(1 << 20) as usize;
        let socket = &mut kernel.sockets[stream.id];
        assert!(socket.key.is_some() && !buffer.is_empty());
        match (interrupted, socket.reset, socket.arrived.len()) {
            (true, ..) => return Err(ErrorKind::Interrupted.into()),
            (_, true, _) => return Err(ErrorKind::ConnectionReset.into()),
            (_, _, 0) if socket.end == End::Arrived => return Ok(0),
            (_, _, 0) => return Err(ErrorKind::WouldBlock.into()),
            (_, _, 1) => {}
            (_, _, there) if cut => {
                // Only so much had arrived after all: the rest comes later and is announced then.
                let late = random % there;
                for _ in 0..late {
                    let byte = socket.arrived.pop_back().expect("counted");
                    socket.under_way.push_front(byte);
                }
                if late > 0 && socket.end == End::Arrived {
                    socket.end = End::UnderWay;
                }
            }
            _ => {}
        }
        let count = buffer.len().min(socket.arrived.len());
        buffer.iter_mut().zip(socket.arrived.drain(..count)).for_each(|(place, byte)| *place = byte);
        Ok(count)
    }

    fn write(&mut self, stream: &mut SimStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let kernel = &mut *self.0.borrow_mut();
        kernel.calls += 1;
        let all: usize = slices.iter().map(|slice| slice.len()).sum();
        assert!(all > 0, "a write of nothing");
        let (interrupted, pressed, cut) = (kernel.chance(5), kernel.chance(3), kernel.chance(30));
        let random = kernel.below(1 << 20) as usize;
        let room = kernel.faults.send_bytes_max.saturating_sub(kernel.sockets[stream.id].written.len());
        let socket = &mut kernel.sockets[stream.id];
        assert!(socket.key.is_some() && !socket.shut, "a write after the last");
        if interrupted {
            return Err(ErrorKind::Interrupted.into());
        }
        if socket.reset {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if room == 0 || pressed {
            // Short of memory for a moment: room is announced as soon as there is some.
            socket.blocked = room == 0;
            socket.edges.writable |= room > 0;
            return Err(ErrorKind::WouldBlock.into());
        }
        let most = all.min(room);
        let count = if cut { 1 + random % most } else { most };
        socket.written.extend(slices.iter().flat_map(|slice| slice.iter()).take(count));
        Ok(count)
    }

    fn owes(&self, _: &SimStream) -> bool {
        false
    }

    fn settle(&mut self, _: &mut SimStream) -> io::Result<()> {
        Ok(())
    }

    fn shutdown_write(&mut self, stream: &mut SimStream) {
        let kernel = &mut *self.0.borrow_mut();
        kernel.calls += 1;
        assert!(!kernel.sockets[stream.id].shut, "the end is said once");
        kernel.sockets[stream.id].shut = true;
    }

    fn watch_datagrams(&mut self, socket: &mut SimDatagrams, index: u8) -> io::Result<()> {
        assert_eq!(socket.0, usize::from(index));
        self.0.borrow_mut().ports[socket.0].watched = true;
        Ok(())
    }

    fn receive(&mut self, socket: &mut SimDatagrams, batch: &mut Batch) -> io::Result<()> {
        let kernel = &mut *self.0.borrow_mut();
        let (interrupted, refused, cut) = (kernel.chance(5), kernel.chance(3), kernel.chance(30));
        batch.clear();
        if interrupted {
            kernel.calls += 1;
            return Err(ErrorKind::Interrupted.into());
        }
        if refused {
            // What was sent to somebody who is not there came back.
            kernel.calls += 1;
            return Err(ErrorKind::ConnectionRefused.into());
        }
        let port = &mut kernel.ports[socket.0];
        if port.broken {
            kernel.calls += 1;
            return Err(ErrorKind::Other.into());
        }
        if port.arrived.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        kernel.calls += 1;
        while let Some((from, bytes)) = port.arrived.front() {
            if !batch.push(*from, bytes) {
                break;
            }
            port.arrived.pop_front();
            if cut {
                break;
            }
        }
        Ok(())
    }

    fn send(&mut self, socket: &mut SimDatagrams, datagrams: &[Datagram]) -> io::Result<usize> {
        let kernel = &mut *self.0.borrow_mut();
        assert!(!datagrams.is_empty(), "a send of nothing");
        kernel.calls += 1;
        let (interrupted, unreachable, cut) = (kernel.chance(5), kernel.chance(3), kernel.chance(30));
        let room = (kernel.faults.send_bytes_max / DATAGRAM_COST).max(1);
        let port = &mut kernel.ports[socket.0];
        if interrupted {
            return Err(ErrorKind::Interrupted.into());
        }
        if unreachable {
            return Err(ErrorKind::NetworkUnreachable.into());
        }
        let room = room.saturating_sub(port.queued.len());
        if room == 0 {
            port.blocked = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = if cut { 1 } else { datagrams.len().min(room) };
        port.queued.extend(datagrams[..count].iter().map(|datagram| (datagram.to, datagram.bytes.to_vec())));
        Ok(count)
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.net.close_stream(self.id);
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        let kernel = &mut *self.net.0.borrow_mut();
        kernel.listeners[self.place].open = false;
        for id in std::mem::take(&mut kernel.listeners[self.place].waiting) {
            kernel.sockets[id].reset = true;
        }
    }
}
