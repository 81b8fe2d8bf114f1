//! Requests at a fixed rate, whether the server keeps up or not, and pings on the loop beside them.
//!
//! A closed loop waits for a slow server and so asks it less: its stalls go uncounted. Here every request has
//! the time at which it should be sent, and its latency counts from then, also while it waits for a connection.
//! An answer is judged by the scenario; what it does not like is a failure, counted by kind, as is a request
//! that found too many waiting, or had no answer at the end. The run goes on: what collapses is measured too.
//!
//! The pings tell how long the server's loop keeps others waiting: a ping needs no worker and no store, so whatever
//! it waits for is the loop, or the core that the loop shares.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use super::Pace;
use super::asker::{Asker, Judge, Questions};
use super::ping::Pinger;
use crate::client::Swarm;
use crate::drive::tally::Answers;
use crate::drive::{Client, Drive, Meter, Pacing, Tally, Verdict};
use crate::error::LoadError;
use crate::login::log_in_all;
use crate::stats::{Latencies, Summary};

/// What is asked, and how often.
pub struct Offer<'a> {
    /// Sent in turn, round and round.
    pub requests: &'a [Vec<u8>],
    /// How many should be sent in a second.
    pub per_second: f64,
    /// On how many connections, each with one request at a time.
    pub connections: usize,
    /// For how long there may be no answer after the last request, until no more are waited for.
    pub drain: Duration,
    /// Whether an answer is what it should be, or else what is wrong.
    pub judge: Judge,
}

/// What an open loop showed, the warm-up left out.
#[derive(Debug, Clone, Serialize)]
pub struct OpenLoop {
    /// How many requests there should be.
    pub offered: u64,
    /// Those with a good answer, by its status.
    pub answers: BTreeMap<u16, Answered>,
    /// The others, by what went wrong; the warm-up's too.
    pub failures: BTreeMap<String, u64>,
    /// From the time a ping should be sent to its pong.
    pub ping: Summary,
    /// How late this side was itself; what the server can't help.
    pub lateness: Summary,
}

/// Answers of one status.
#[derive(Debug, Clone, Serialize)]
pub struct Answered {
    /// How many came in a second, whenever they were asked for.
    pub per_second: f64,
    /// From the time a request should be sent to its answer.
    pub latency: Summary,
}

impl OpenLoop {
    /// How many requests failed.
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }
}

impl fmt::Display for OpenLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} offered", self.offered)?;
        for (status, Answered { per_second, latency }) in &self.answers {
            write!(f, "; {status}: {} ({per_second:.1}/s), {latency}", latency.count)?;
        }
        for (reason, times) in &self.failures {
            write!(f, "; {reason}: {times}")?;
        }
        write!(f, "; ping: {}", self.ping)
    }
}

/// Offers requests to `http` for `pace`, and pings `tcp` with `token` meanwhile.
pub fn run(
    http: SocketAddr,
    tcp: SocketAddr,
    token: &str,
    offer: &Offer<'_>,
    pace: Pace,
) -> Result<OpenLoop, LoadError> {
    if offer.requests.is_empty() {
        return Err(LoadError::Missing("a request to send is needed".to_owned()));
    }
    let mut swarm = Swarm::new(tcp)?;
    log_in_all(&mut swarm, 1, &[token.to_owned()])?;
    swarm.aim_at(http)?;
    let questions = Questions::new(offer.requests.to_vec(), offer.judge);
    let mut askers = Vec::new();
    for _ in 0..offer.connections.max(1) {
        swarm.connect()?;
        askers.push(Person::Asker(Asker::new(&questions)));
    }
    let drive = Drive::new(swarm)
        .lane("ping", Pacing::Open(PINGS_PER_SECOND), PINGS_IN_FLIGHT, [Person::Pinger(Pinger::default())])
        .lane("request", Pacing::Open(offer.per_second), 1, askers)
        .patience(offer.drain);
    let (tallies, _) = drive.measure(pace, &Meter::HIDDEN)?;
    match <[Tally; 2]>::try_from(tallies) {
        Ok([ping, request]) => Ok(sum_up(&ping, &request)),
        Err(_) => Err(LoadError::Wrong("a run of two lanes has two tallies".to_owned())),
    }
}

/// The same pings with nothing beside them: what they wait for when the loop is free, because the machine is what it is.
pub fn pings_alone(tcp: SocketAddr, token: &str, pace: Pace) -> Result<Summary, LoadError> {
    let mut swarm = Swarm::new(tcp)?;
    log_in_all(&mut swarm, 1, &[token.to_owned()])?;
    let pinger = [Pinger::default()];
    let drive = Drive::new(swarm).lane("ping", Pacing::Open(PINGS_PER_SECOND), PINGS_IN_FLIGHT, pinger);
    let (tallies, _) = drive.measure(pace, &Meter::HIDDEN)?;
    Ok(pings_of(&tallies))
}

fn pings_of<'a>(tallies: impl IntoIterator<Item = &'a Tally>) -> Summary {
    let mut pings = Latencies::new();
    let answers = tallies.into_iter().flat_map(|tally| tally.answers.values());
    answers.for_each(|answers| pings.merge(&answers.latencies));
    pings.summary()
}

fn sum_up(ping: &Tally, request: &Tally) -> OpenLoop {
    let answered = |answers: &Answers| Answered {
        per_second: answers.in_window as f64 / request.seconds.max(f64::MIN_POSITIVE),
        latency: answers.latencies.summary(),
    };
    let mut failures = request.failures.clone();
    failures.extend(ping.failures.iter().map(|(reason, times)| (format!("a ping: {reason}"), *times)));
    OpenLoop {
        offered: request.offered,
        answers: request.answers.iter().map(|(status, answers)| (*status, answered(answers))).collect(),
        failures,
        ping: pings_of([ping]),
        lateness: request.lateness.summary(),
    }
}

/// Either side of the run.
enum Person {
    Pinger(Pinger),
    Asker(Asker),
}

impl Client for Person {
    fn ask(&mut self, out: &mut Vec<u8>) {
        match self {
            Person::Pinger(pinger) => pinger.ask(out),
            Person::Asker(asker) => asker.ask(out),
        }
    }

    fn receive(&mut self, bytes: &[u8], answered: &mut dyn FnMut(Verdict)) -> Result<(), String> {
        match self {
            Person::Pinger(pinger) => pinger.receive(bytes, answered),
            Person::Asker(asker) => asker.receive(bytes, answered),
        }
    }
}

/// Often enough for a 99th percentile in a few seconds, and no load.
const PINGS_PER_SECOND: f64 = 200.0;

/// Five seconds of pings: a longer stall has them wait here, and counts all the same.
const PINGS_IN_FLIGHT: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};

    /// Serves the first connection to a port of its own on a thread that ends with it.
    fn peer(serve: fn(TcpStream)) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || serve(listener.accept().unwrap().0));
        address
    }

    /// Lets everyone in, and answers their pings.
    fn sync_peer() -> SocketAddr {
        peer(|mut stream| {
            for line in BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok) {
                let answer = match line.contains("\"auth\"") {
                    true => r#"{"type":"auth_success","data":{}}"#.to_owned(),
                    false => line.replace("ping", "pong"),
                };
                if writeln!(stream, "{answer}").is_err() {
                    return;
                }
            }
        })
    }

    /// One request every 10 ms for half a second, on one connection.
    fn offer_to(http: SocketAddr, drain: Duration) -> OpenLoop {
        let offer = Offer {
            requests: &[crate::http::get(http, "/")],
            per_second: 100.0,
            connections: 1,
            drain,
            judge: |answer| if answer.body == b"ok" { Ok(()) } else { Err("not ok".to_owned()) },
        };
        let pace = Pace { warm_up: Duration::ZERO, duration: Duration::from_millis(500) };
        run(http, sync_peer(), "token", &offer, pace).unwrap()
    }

    /// Shows that waiting for a slow server counts, by a peer that needs twice the time there is: each request
    /// takes it 20 ms, but the last ones have waited for half a second.
    #[test]
    fn a_slow_server_is_not_asked_less() {
        let peer = peer(|mut stream| {
            while matches!(stream.read(&mut [0; 512]), Ok(1..)) {
                std::thread::sleep(Duration::from_millis(20));
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        });
        let outcome = offer_to(peer, Duration::from_secs(60));
        let answered = &outcome.answers[&200];
        assert_eq!((outcome.offered, answered.latency.count, outcome.failed()), (50, 50, 0));
        assert!(answered.latency.max_ms > 400.0 && answered.per_second <= 50.0, "{outcome:?}");
        assert!(outcome.ping.count == 100, "{outcome:?}");
    }

    /// Shows that what goes wrong is counted by kind: a wrong answer, then a close, then nobody to ask.
    #[test]
    fn failures_are_counted_by_kind() {
        let peer = peer(|mut stream| {
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
            let _ = stream.read(&mut [0; 512]);
        });
        let outcome = offer_to(peer, Duration::from_secs(1));
        assert_eq!(outcome.failures["not ok"], 1);
        assert_eq!(outcome.failures["not sent at the end"], 48);
        assert_eq!((outcome.failed(), outcome.answers.len()), (50, 0));
    }
}
