//! A socket whose frames are counted on their way to the library that answers them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::board::Line;
use crate::proto::grpc::flood::Gauge;

/// See above.
pub struct Watched {
    socket: TcpStream,
    /// What was read to see what the peer speaks.
    ahead: Bytes,
    gauge: Gauge,
    line: Arc<Line>,
    since: Instant,
}

impl Watched {
    /// Watches a socket of which so much was read to see what its peer speaks.
    pub fn new(socket: TcpStream, ahead: Bytes, line: Arc<Line>) -> Self {
        Self { socket, ahead, gauge: Gauge::new(), line, since: Instant::now() }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        if self.ahead.has_remaining() {
            let some = self.ahead.len().min(into.remaining());
            into.put_slice(&self.ahead.split_to(some));
        } else {
            ready!(Pin::new(&mut self.socket).poll_read(cx, into))?;
            self.line.read(into.filled().len() - before);
        }
        let second = self.since.elapsed().as_secs();
        let counted = self.gauge.read(&into.filled()[before..], second);
        Poll::Ready(counted.map_err(|_| io::Error::new(FLOOD, "the peer floods us with frames that carry nothing")))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write(cx, bytes))?;
        self.gauge.wrote(written);
        self.line.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write_vectored(cx, pieces))?;
        self.gauge.wrote(written);
        self.line.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// How a flood shows as an error: no socket says this.
pub const FLOOD: io::ErrorKind = io::ErrorKind::QuotaExceeded;
