//! One connection: looked at, kept alive, and let go.
//!
//! What the library does about the known attacks is switched on here: a bound on open streams, on heads,
//! on streams that are reset before they were looked at, on those that we reset for an error. What it does
//! not count is counted on the way to it ([`Watched`]).

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::server::{Builder, Connection};
use h2::{Ping, Reason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::board::Line;
use super::counts::Closed;
use super::head::ABOUT;
use super::memory::Share;
use super::outbox::Life;
use super::watched::{FLOOD, Watched};
use super::{Shared, call};

/// What the calls of a connection share.
pub struct Peer {
    /// Where it is, and what an operator is shown of it.
    pub line: Arc<Line>,
    /// What its calls are counted by.
    pub memory: Share,
}

/// Serves one connection, whichever HTTP it speaks, and says why it ended.
pub async fn serve(socket: TcpStream, line: &Arc<Line>, shared: &Arc<Shared>) -> Closed {
    let greeted = tokio::select! {
        greeted = timeout(GREETING, greet(socket, line, shared)) => greeted,
        // It has asked nothing yet.
        () = shared.outbox.reached(Life::Draining) => return Closed::Shutdown,
    };
    match greeted {
        Err(_) => Closed::Greeting,
        Ok(Err(why)) => why,
        Ok(Ok(conn)) => {
            let peer = Arc::new(Peer { line: line.clone(), memory: Share::new(shared.memory.clone()) });
            streams(conn, peer, shared).await.unwrap_or_else(|error| reason(&error))
        }
    }
}

/// Sees what the peer speaks, and agrees with it on HTTP/2.
async fn greet(mut socket: TcpStream, line: &Arc<Line>, shared: &Shared) -> Result<Connection<Watched, Bytes>, Closed> {
    let mut first = BytesMut::with_capacity(FIRST_BYTES);
    // Without it an answer may wait for the one before to be acknowledged; it works, but slowly.
    let _ = socket.set_nodelay(true);
    while first.len() < PREFACE.len() {
        match socket.read_buf(&mut first).await {
            Ok(0) => break,
            Ok(read) => line.read(read),
            Err(_) => return Err(Closed::Lost),
        }
    }
    if first.is_empty() {
        return Err(Closed::Peer);
    }
    if !first.starts_with(PREFACE) {
        let explained = explain(socket, &first).await;
        return Err(explained.map_or(Closed::Lost, |()| Closed::Explained));
    }
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(shared.limits.streams_max)
        .max_header_list_size(HEAD_BYTES_MAX)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONN_WINDOW_BYTES)
        .max_concurrent_reset_streams(RESETS_REMEMBERED)
        .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
        .max_local_error_reset_streams(Some(ERRORS_MAX));
    builder.handshake(Watched::new(socket, first.freeze(), line.clone())).await.map_err(|error| reason(&error))
}

/// Tells a person with a browser or curl what this port is.
async fn explain(mut socket: TcpStream, first: &[u8]) -> io::Result<()> {
    let status = if first.starts_with(b"GET") { "200 OK" } else { "505 HTTP Version Not Supported" };
    let length = ABOUT.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{ABOUT}"
    );
    socket.write_all(answer.as_bytes()).await?;
    socket.shutdown().await?;
    // What the peer still sends is taken, or the kernel would throw our answer away with it.
    let mut rest = [0; 1024];
    while socket.read(&mut rest).await? > 0 {}
    Ok(())
}

/// Makes calls of streams until the connection ends.
async fn streams(
    mut conn: Connection<Watched, Bytes>,
    peer: Arc<Peer>,
    shared: &Arc<Shared>,
) -> Result<Closed, h2::Error> {
    let Some(mut pings) = conn.ping_pong() else { return Ok(Closed::Lost) };
    let (mut asked, mut draining) = (false, false);
    let mut drained = pin!(shared.outbox.reached(Life::Draining));
    let mut due = pin!(sleep(shared.limits.keepalive));
    loop {
        tokio::select! {
            accepted = conn.accept() => match accepted {
                Some(stream) => {
                    let (request, respond) = stream?;
                    tokio::spawn(call::serve(request, respond, peer.clone(), shared.clone()));
                }
                None => return Ok(if draining { Closed::Shutdown } else { Closed::Peer }),
            },
            pong = poll_fn(|cx| pings.poll_pong(cx)), if asked => {
                pong?;
                asked = false;
                due.as_mut().reset(Instant::now() + shared.limits.keepalive);
            }
            () = &mut due => match (draining, asked) {
                // What is still to be answered is waited for; one that merely does not close is not.
                (true, _) if Arc::strong_count(&peer) == 1 => return Ok(Closed::Shutdown),
                (true, _) => due.as_mut().reset(Instant::now() + LAST_WORDS),
                (false, true) => return Ok(Closed::Silent),
                (false, false) => {
                    pings.send_ping(Ping::opaque())?;
                    asked = true;
                    due.as_mut().reset(Instant::now() + shared.limits.keepalive / 3);
                }
            },
            () = &mut drained, if !draining => {
                draining = true;
                conn.graceful_shutdown();
                due.as_mut().reset(Instant::now() + LAST_WORDS);
            }
        }
    }
}

/// Why a connection ended that ended badly.
fn reason(error: &h2::Error) -> Closed {
    let calm = !error.is_remote() && error.reason() == Some(Reason::ENHANCE_YOUR_CALM);
    match error.get_io().map(io::Error::kind) {
        Some(FLOOD) => Closed::Flood,
        Some(_) => Closed::Lost,
        None if calm => Closed::Flood,
        None if error.is_remote() => Closed::Peer,
        None => Closed::Protocol,
    }
}

/// How HTTP/2 begins, as far as it must be read to know.
const PREFACE: &[u8] = b"PRI";
const FIRST_BYTES: usize = 1024;

/// A peer says what it speaks, and agrees on how, within this.
const GREETING: Duration = Duration::from_secs(10);

/// While the server drains, a connection without calls has so long to close.
const LAST_WORDS: Duration = Duration::from_secs(1);

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
