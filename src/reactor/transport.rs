//! A stream of bytes, plain or encrypted: one small enum, so that nothing above needs to know.
//!
//! TLS keeps the promises of a plain socket: a read that returns fewer bytes than asked for has
//! drained the socket, and `WouldBlock` means that only the kernel can help. Bytes that TLS itself
//! has to send (a handshake, an alert) are told by [`Transport::owes`].

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::{ServerConfig, ServerConnection};

/// A connected stream.
pub enum Transport {
    /// Bytes as they are.
    Plain(TcpStream),
    /// Bytes through TLS. Boxed: the state is large and most listeners are plain.
    Tls(Box<Tls>),
}

/// A socket and the TLS session on it.
pub struct Tls {
    socket: TcpStream,
    session: ServerConnection,
}

impl Transport {
    /// A stream that will speak TLS. The handshake happens as the peer's bytes arrive.
    pub fn tls(socket: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let mut session = ServerConnection::new(config).map_err(io::Error::other)?;
        // What does not fit is refused by a short write, and waits in the send buffer instead.
        session.set_buffer_limit(Some(TLS_BUFFER_BYTES));
        Ok(Transport::Tls(Box::new(Tls { socket, session })))
    }

    /// The socket below, for registration.
    pub fn socket(&mut self) -> &mut TcpStream {
        match self {
            Transport::Plain(socket) => socket,
            Transport::Tls(tls) => &mut tls.socket,
        }
    }

    /// Whether TLS has bytes of its own to send.
    pub fn owes(&self) -> bool {
        matches!(self, Transport::Tls(tls) if tls.session.wants_write())
    }

    /// Sends what TLS owes, as far as the kernel takes it.
    pub fn settle(&mut self) -> io::Result<()> {
        match self {
            Transport::Plain(_) => Ok(()),
            Transport::Tls(tls) => tls.settle(),
        }
    }

    /// Says that nothing more will be written.
    pub fn shutdown_write(&mut self) {
        if let Transport::Tls(tls) = self {
            tls.session.send_close_notify();
            let _ = tls.settle();
        }
        // A peer that has gone makes this fail, and then there is nobody to tell.
        let _ = self.socket().shutdown(Shutdown::Write);
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Transport::Plain(socket) => socket.read(buffer),
            Transport::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Transport::Plain(socket) => match slices {
                [one] => socket.write(one),
                several => socket.write_vectored(several),
            },
            Transport::Tls(tls) => tls.write(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.settle()
    }
}

impl Tls {
    /// Fills the buffer from the session, and the session from the socket, until one has no more.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        loop {
            match self.session.reader().read(&mut buffer[filled..]) {
                Ok(0) => return Ok(filled),
                Ok(count) => filled += count,
                Err(error) if error.kind() != ErrorKind::WouldBlock => return end(filled, error),
                Err(_) => match self.receive() {
                    Ok(true) => {}
                    Ok(false) => return Ok(filled),
                    Err(error) => return end(filled, error),
                },
            }
            if filled == buffer.len() {
                return Ok(filled);
            }
        }
    }

    /// Takes bytes from the socket through TLS. `false` at the end of the stream.
    fn receive(&mut self) -> io::Result<bool> {
        if self.session.read_tls(&mut self.socket)? == 0 {
            return Ok(false);
        }
        let processed = self.session.process_new_packets();
        // The handshake's answer, or the alert that says what was wrong.
        self.settle()?;
        processed.map(|_| true).map_err(|error| io::Error::new(ErrorKind::ConnectionAborted, error))
    }

    /// Encrypts as much as the session's buffer takes, and sends what the socket takes.
    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.settle()?;
        let taken = self.session.writer().write_vectored(slices)?;
        self.settle()?;
        match taken {
            0 => Err(ErrorKind::WouldBlock.into()),
            taken => Ok(taken),
        }
    }

    fn settle(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Bytes that were read come first; the error shows again at the next read.
fn end(filled: usize, error: io::Error) -> io::Result<usize> {
    if filled > 0 { Ok(filled) } else { Err(error) }
}

/// How much encrypted data TLS may hold back: one full record and a little.
const TLS_BUFFER_BYTES: usize = 32 * 1024;
