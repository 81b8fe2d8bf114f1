//! One connection: accepted, looked at, kept alive, and let go.
//!
//! What the library does about the known attacks is switched on here: a bound on open streams, on heads,
//! on streams that are reset before they were looked at, on those that we reset for an error. What it does
//! not count is counted on the way to it ([`Gauge`]).

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use h2::Ping;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use super::Shared;
use super::call;
use super::outbox::Life;
use crate::proto::grpc::flood::Gauge;

/// Accepts until the server drains.
pub async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut pause = PAUSE_MIN;
    let mut drained = pin!(shared.outbox.reached(Life::Draining));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut drained => return,
        };
        match accepted {
            Ok((socket, peer)) => {
                pause = PAUSE_MIN;
                // Beyond the bound it is closed: there is no word for it before HTTP/2 has begun.
                let Ok(permit) = shared.connections.clone().try_acquire_owned() else { continue };
                let shared = shared.clone();
                tokio::spawn(async move {
                    if let Err(error) = serve(socket, peer, &shared).await {
                        tracing::debug!(%peer, %error, "a gRPC connection ended");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "gRPC cannot accept");
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

/// Serves one connection, whichever HTTP it speaks.
async fn serve(mut socket: TcpStream, peer: SocketAddr, shared: &Arc<Shared>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut first = BytesMut::with_capacity(FIRST_BYTES);
    let greeting = async {
        while first.len() < PREFACE.len() && socket.read_buf(&mut first).await? > 0 {}
        io::Result::Ok(())
    };
    timeout(GREETING, greeting).await??;
    if !first.starts_with(PREFACE) {
        return explain(socket, &first).await;
    }
    let socket = Watched { socket, ahead: first.freeze(), gauge: Gauge::new(), since: Instant::now() };
    streams(socket, peer, shared).await.map_err(io::Error::other)
}

/// Tells a person with a browser or curl what this port is.
async fn explain(mut socket: TcpStream, first: &[u8]) -> io::Result<()> {
    let status = if first.starts_with(b"GET") { "200 OK" } else { "505 HTTP Version Not Supported" };
    let length = call::ABOUT.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{}",
        call::ABOUT
    );
    socket.write_all(answer.as_bytes()).await?;
    socket.shutdown().await?;
    // What the peer still sends is taken, or the kernel would throw our answer away with it.
    let mut rest = [0; 1024];
    let drain = async {
        while socket.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    timeout(GREETING, drain).await?
}

async fn streams(socket: Watched, peer: SocketAddr, shared: &Arc<Shared>) -> Result<(), h2::Error> {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(shared.limits.streams_max)
        .max_header_list_size(HEAD_BYTES_MAX)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONN_WINDOW_BYTES)
        .max_concurrent_reset_streams(RESETS_REMEMBERED)
        .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
        .max_local_error_reset_streams(Some(ERRORS_MAX));
    let Ok(handshake) = timeout(GREETING, builder.handshake::<_, Bytes>(socket)).await else { return Ok(()) };
    let mut conn = handshake?;
    let Some(mut pings) = conn.ping_pong() else { return Ok(()) };
    let (mut asked, mut draining) = (false, false);
    let mut drained = pin!(shared.outbox.reached(Life::Draining));
    let mut due = pin!(sleep(KEEPALIVE));
    loop {
        tokio::select! {
            accepted = conn.accept() => match accepted {
                Some(stream) => {
                    let (request, respond) = stream?;
                    tokio::spawn(call::serve(request, respond, peer, shared.clone()));
                }
                None => return Ok(()),
            },
            pong = poll_fn(|cx| pings.poll_pong(cx)), if asked => {
                pong?;
                asked = false;
                due.as_mut().reset(Instant::now() + KEEPALIVE);
            }
            () = &mut due => {
                if asked {
                    return Ok(());
                }
                pings.send_ping(Ping::opaque())?;
                asked = true;
                due.as_mut().reset(Instant::now() + PONG);
            }
            () = &mut drained, if !draining => {
                draining = true;
                conn.graceful_shutdown();
            }
        }
    }
}

/// A socket whose frames are counted on their way in.
struct Watched {
    socket: TcpStream,
    /// What was read to see what the peer speaks.
    ahead: Bytes,
    gauge: Gauge,
    since: Instant,
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        if self.ahead.has_remaining() {
            let some = self.ahead.len().min(into.remaining());
            into.put_slice(&self.ahead.split_to(some));
        } else {
            ready!(Pin::new(&mut self.socket).poll_read(cx, into))?;
        }
        let second = self.since.elapsed().as_secs();
        let counted = self.gauge.read(&into.filled()[before..], second);
        Poll::Ready(counted.map_err(|_| io::Error::other("the peer floods us with frames that carry nothing")))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, pieces)
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

/// How HTTP/2 begins, as far as it must be read to know.
const PREFACE: &[u8] = b"PRI";
const FIRST_BYTES: usize = 1024;

/// A peer says what it speaks, and agrees on how, within this.
const GREETING: Duration = Duration::from_secs(10);

/// After so long without a pong the peer is asked for one, and closed if it sends none: a machine that
/// was switched off says no goodbye.
const KEEPALIVE: Duration = Duration::from_secs(60);
const PONG: Duration = Duration::from_secs(20);

/// Fields of one head: as much as over HTTP/1.1. The library refuses more.
const HEAD_BYTES_MAX: u32 = 16 << 10;

/// What a peer may send unread: the usual window for a stream, four of them for the connection.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
const CONN_WINDOW_BYTES: u32 = 256 << 10;

/// Streams that we reset and whose late frames are still known.
const RESETS_REMEMBERED: usize = 50;

/// Streams that a peer may open and reset before they are looked at: the attack called rapid reset.
const RESETS_PENDING_MAX: usize = 20;

/// Streams that we reset because of a peer's errors, over its whole life.
const ERRORS_MAX: usize = 1024;

/// Pauses after an accept that failed, for want of descriptors.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
