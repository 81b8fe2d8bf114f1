//! A stream of bytes, plain or encrypted: one small enum, so that nothing above needs to know.
//!
//! With edge-triggered events a stream must say when only the kernel can help, and TLS has more
//! ways to stand still than a socket. Its promises:
//!
//! - A short read or `WouldBlock` has drained socket and session, else [`Transport::reads_on`].
//! - `WouldBlock` from a write ends with an event for the socket, or a read of the handshake's last
//!   message: then [`Transport::unblocked`].
//! - What was taken for writing and has not left is told by [`Transport::owes`].
//!
//! Plain bytes are read and sent by the bare system calls. Those of the C library are places where a thread may
//! be cancelled; to say so before and after costs more than one per cent of a broadcast.
//!
//! A peer that ends its stream without TLS's own goodbye is taken to have ended it: every protocol
//! here says itself where its messages end, so a cut is seen there.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use mio::net::TcpStream;
use rustix::net::{self, RecvFlags, SendFlags};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};

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
    /// What ended it, when bytes before that end had to be given first.
    failed: Option<io::Error>,
    reads_on: bool,
    /// A write was refused because the handshake is not done.
    waits: bool,
    /// The socket is shut down once everything has left.
    finishing: bool,
}

/// Why there is no TLS. One line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not PEM, or no certificate in it.
    #[error("the certificate is not usable: {0}")]
    Certificate(String),
    /// Not PEM, or no private key in it.
    #[error("the private key is not usable: {0}")]
    Key(String),
    /// Each is well-formed, and they do not belong together or can't serve.
    #[error("certificate and private key do not fit together: {0}")]
    Pair(#[from] rustls::Error),
    /// The authority that clients' certificates must come from.
    #[error("the clients' certificate authority is not usable: {0}")]
    ClientAuthority(String),
}

/// TLS 1.2 and 1.3 with this certificate chain and its private key, both in PEM.
///
/// # Errors
/// When either is missing or malformed, or they don't belong together.
pub fn tls_config(cert_pem: &[u8], key_pem: &[u8]) -> Result<Arc<ServerConfig>, TlsError> {
    configure(cert_pem, key_pem, None)
}

/// The same, for clients that show a certificate issued by one of these authorities (mutual TLS).
///
/// # Errors
/// As [`tls_config`], and when there is no authority.
pub fn mutual_tls_config(cert_pem: &[u8], key_pem: &[u8], client_ca_pem: &[u8]) -> Result<Arc<ServerConfig>, TlsError> {
    configure(cert_pem, key_pem, Some(client_ca_pem))
}

fn configure(cert_pem: &[u8], key_pem: &[u8], client_ca_pem: Option<&[u8]>) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(cert_pem).map_err(TlsError::Certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|error| TlsError::Key(error.to_string()))?;
    // Named rather than taken from the process: no other library can change it under us.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = match client_ca_pem {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(pem).map_err(TlsError::ClientAuthority)? {
                roots.add(authority).map_err(|error| TlsError::ClientAuthority(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| TlsError::ClientAuthority(error.to_string()))?)
        }
    };
    Ok(Arc::new(builder.with_single_cert(chain, key)?))
}

/// All certificates of a PEM text, of which there must be one.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err("it holds no PEM certificate".into()),
        Ok(chain) => Ok(chain),
        Err(error) => Err(error.to_string()),
    }
}

impl Transport {
    /// A stream that will speak TLS. The handshake happens as the peer's bytes arrive.
    pub fn tls(socket: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let mut session = ServerConnection::new(config).map_err(io::Error::other)?;
        // What does not fit is refused by a short write, and waits in the send buffer instead.
        session.set_buffer_limit(Some(TLS_BUFFER_BYTES));
        let tls = Tls { socket, session, failed: None, reads_on: false, waits: false, finishing: false };
        Ok(Transport::Tls(Box::new(tls)))
    }

    /// The socket below, for registration.
    pub fn socket(&mut self) -> &mut TcpStream {
        match self {
            Transport::Plain(socket) => socket,
            Transport::Tls(tls) => &mut tls.socket,
        }
    }

    /// Whether to read again although the last read was short or `WouldBlock`.
    pub fn reads_on(&self) -> bool {
        matches!(self, Transport::Tls(tls) if tls.reads_on)
    }

    /// Whether the handshake is done that a write was refused for. Says so once.
    pub fn unblocked(&mut self) -> bool {
        let Transport::Tls(tls) = self else { return false };
        let unblocked = tls.waits && !tls.session.is_handshaking();
        tls.waits &= !unblocked;
        unblocked
    }

    /// Whether something has still to happen before all that was written, and what TLS adds to it,
    /// has left.
    pub fn owes(&self) -> bool {
        matches!(self, Transport::Tls(tls) if tls.session.wants_write() || tls.waits)
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
        // A peer that has gone makes these fail, and then there is nobody to tell.
        match self {
            Transport::Plain(socket) => drop(socket.shutdown(Shutdown::Write)),
            Transport::Tls(tls) => {
                tls.session.send_close_notify();
                tls.finishing = true;
                drop(tls.settle());
            }
        }
    }

    /// Says goodbye as TLS does, if it has not been said, before the stream is dropped.
    pub fn part(&mut self) {
        if let Transport::Tls(tls) = self {
            tls.session.send_close_notify();
            drop(tls.settle());
        }
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Transport::Plain(socket) => Ok(net::recv(socket, buffer, RecvFlags::empty())?.0),
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
                [one] => Ok(net::send(socket, one, SendFlags::NOSIGNAL)?),
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
        self.reads_on = false;
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut filled = 0;
        for _ in 0..RECEIVES_PER_READ {
            match self.session.reader().read(&mut buffer[filled..]) {
                Ok(0) => return self.end(filled, None),
                Ok(count) => filled += count,
                Err(error) if error.kind() != ErrorKind::WouldBlock => return self.end(filled, Some(error)),
                Err(_) => match self.receive() {
                    Ok(true) => {}
                    Ok(false) => return self.end(filled, None),
                    Err(error) if error.kind() == ErrorKind::WouldBlock && filled > 0 => return Ok(filled),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(error),
                    Err(error) => {
                        // What was good before it, in the same packet.
                        filled += self.session.reader().read(&mut buffer[filled..]).unwrap_or(0);
                        return self.end(filled, Some(error));
                    }
                },
            }
            if filled == buffer.len() {
                return Ok(filled);
            }
        }
        self.reads_on = true;
        if filled > 0 { Ok(filled) } else { Err(ErrorKind::WouldBlock.into()) }
    }

    /// The stream ended, by itself or by an error. Bytes that came before are given first, and the
    /// end at the next read.
    fn end(&mut self, filled: usize, error: Option<io::Error>) -> io::Result<usize> {
        self.reads_on = filled > 0;
        match error {
            Some(error) if filled == 0 => Err(error),
            error => {
                self.failed = error;
                Ok(filled)
            }
        }
    }

    /// Takes bytes from the socket through TLS. `false` at the end of the stream.
    fn receive(&mut self) -> io::Result<bool> {
        if self.session.read_tls(&mut self.socket)? == 0 {
            return Ok(false);
        }
        let processed = self.session.process_new_packets();
        // The handshake's answer, or the alert that says what was wrong. A socket that can't be
        // written any more may still hold what the peer said before: writing will find out.
        let _ = self.settle();
        processed.map(|_| true).map_err(|error| io::Error::new(ErrorKind::ConnectionAborted, error))
    }

    /// Encrypts as much as the session's buffer takes, and sends what the socket takes. Nothing is
    /// taken before the handshake is done: it waits where it is counted.
    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.session.is_handshaking() {
            self.waits = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        self.settle()?;
        let taken = self.session.writer().write_vectored(slices)?;
        self.settle()?;
        match taken {
            0 => Err(ErrorKind::WouldBlock.into()),
            taken => Ok(taken),
        }
    }

    /// Sends what was encrypted, until there is no more or the socket is full.
    fn settle(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if std::mem::take(&mut self.finishing) {
            let _ = self.socket.shutdown(Shutdown::Write);
        }
        Ok(())
    }
}

/// How often one read takes from the socket. Records without content (a handshake, empty ones) fill
/// no buffer, and must not keep the loop: the read ends, and is tried again in the next turn.
const RECEIVES_PER_READ: usize = 64;

/// How much encrypted data TLS may hold back: one full record and a little.
const TLS_BUFFER_BYTES: usize = 32 * 1024;
