//! How soon a change is heard on a gRPC stream, beside a TCP subscriber of the same change.
//!
//! One device reads on over TCP at a fixed rate, another hears it over TCP, a third over `WatchProgress`. Every
//! change must arrive on both once and in order.

use std::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::{sleep_until, timeout};

use super::runtime;
use crate::error::{Doing, LoadError};
use crate::grpc::{Call, Channel, Stream};
use crate::guard;
use crate::login::auth_line;
use crate::message::{Broadcast, progress_line};
use crate::scenario::STALL;
use crate::stats::{Latencies, Summary};

/// What the subscribers showed.
#[derive(Debug, Clone, Serialize)]
pub struct Delay {
    /// From sending a change to its line on TCP.
    pub tcp: Summary,
    /// From sending a change to its message on the stream.
    pub stream: Summary,
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "on the stream: {}; on TCP: {}", self.stream, self.tcp)
    }
}

/// Sends `count` changes of `manga`, `per_second` of them, as the user of `token`.
pub fn run(
    tcp: SocketAddr,
    grpc: SocketAddr,
    token: &str,
    manga: &str,
    per_second: f64,
    count: u64,
) -> Result<Delay, LoadError> {
    guard::check(tcp)?;
    runtime()?.block_on(async {
        let mut publisher = Lines::log_in(tcp, token).await?.publisher();
        let mut listener = Lines::log_in(tcp, token).await?;
        let watch = Call::new("mangahub.v1.ProgressService/WatchProgress", &Watch { own: true }, Some(token));
        let mut stream = Channel::connect(grpc).await?.stream(&watch).await?;
        let (mut on_tcp, mut on_stream) = (Latencies::new(), Latencies::new());
        let interval = Duration::from_secs_f64(1.0 / per_second.clamp(0.1, 10_000.0));
        let start = tokio::time::Instant::now();
        for chapter in 1..=count {
            sleep_until(start + interval * chapter as u32).await;
            let sent = Instant::now();
            read_on(&mut publisher, manga, chapter).await?;
            let by_tcp = async { listener.hear(chapter).await.map(|()| sent.elapsed()) };
            let by_stream = async { hear(&mut stream, chapter).await.map(|()| sent.elapsed()) };
            let both = async { tokio::join!(by_tcp, by_stream) };
            let (by_tcp, by_stream) = timeout(STALL, both)
                .await
                .map_err(|_| LoadError::TimedOut(format!("chapter {chapter} is not heard")))?;
            on_tcp.record(by_tcp?);
            on_stream.record(by_stream?);
        }
        Ok(Delay { tcp: on_tcp.summary(), stream: on_stream.summary() })
    })
}

/// A v1 TCP connection, line by line.
struct Lines(BufReader<TcpStream>);

impl Lines {
    async fn log_in(tcp: SocketAddr, token: &str) -> Result<Self, LoadError> {
        let socket = TcpStream::connect(tcp).await.doing("connect")?;
        socket.set_nodelay(true).doing("set a socket option")?;
        let mut lines = Self(BufReader::new(socket));
        lines.0.write_all(auth_line(token).as_bytes()).await.doing("send")?;
        let answer =
            timeout(STALL, lines.next()).await.map_err(|_| LoadError::TimedOut("no answer to auth".to_owned()))??;
        match answer.contains("auth_success") {
            true => Ok(lines),
            false => Err(LoadError::Wrong(answer)),
        }
    }

    /// Only sends from now on; what is received is thrown away.
    fn publisher(self) -> OwnedWriteHalf {
        let (mut received, sending) = self.0.into_inner().into_split();
        tokio::spawn(async move { tokio::io::copy(&mut received, &mut tokio::io::sink()).await });
        sending
    }

    /// Waits for the broadcast of `chapter`; another chapter's is an error, other lines are passed over.
    async fn hear(&mut self, chapter: u64) -> Result<(), LoadError> {
        loop {
            let line = self.next().await?;
            match Broadcast::parse(line.as_bytes()) {
                Some(heard) if heard.data.current_chapter == chapter => return Ok(()),
                Some(_) => return Err(LoadError::Wrong(format!("chapter {chapter} was expected: {line}"))),
                None => {}
            }
        }
    }

    async fn next(&mut self) -> Result<String, LoadError> {
        let mut line = String::new();
        match self.0.read_line(&mut line).await.doing("receive")? {
            0 => Err(LoadError::Closed(0, ErrorKind::UnexpectedEof)),
            _ => Ok(line),
        }
    }
}

async fn read_on(publisher: &mut OwnedWriteHalf, manga: &str, chapter: u64) -> Result<(), LoadError> {
    let mut line = Vec::new();
    progress_line(manga, chapter, &mut line).doing("write a line")?;
    publisher.write_all(&line).await.doing("send")
}

async fn hear(stream: &mut Stream, chapter: u64) -> Result<(), LoadError> {
    match stream.next::<Progress>().await? {
        Some(heard) if heard.chapter == chapter as f64 => Ok(()),
        Some(heard) => Err(LoadError::Wrong(format!("chapter {chapter} was expected, not {}", heard.chapter))),
        None => Err(LoadError::Wrong("the stream ended".to_owned())),
    }
}

/// `mangahub.v1.WatchProgressRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct Watch {
    #[prost(bool, tag = "1")]
    own: bool,
}

/// `mangahub.v1.ProgressEvent`, as far as it is looked at.
#[derive(Clone, PartialEq, prost::Message)]
struct Progress {
    #[prost(double, tag = "7")]
    chapter: f64,
}
