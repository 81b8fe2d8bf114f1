//! Requests at a fixed rate, whether the server keeps up or not, and a [`Probe`] on the loop beside them.
//!
//! A closed loop waits for a slow server and so asks it less: its stalls go uncounted. Here every request has
//! the time at which it should be sent, and its latency counts from then, also while it waits for a connection.
//! An answer is judged by the scenario; what it does not like is a failure, counted by kind, as is a request
//! that found too many waiting, or had no answer at the end. The run goes on: what collapses is measured too.
//!
//! What must hold: a request is sent at most once, and ends as one answer or one failure.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Pace;
use super::probe::Probe;
use crate::client::{Arrival, Swarm};
use crate::drive::schedule::{Schedule, timeout};
use crate::error::LoadError;
use crate::http::{Answer, Inbox};
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
    /// How long answers are waited for after the last request.
    pub drain: Duration,
    /// Whether an answer is what it should be, or else what is wrong.
    pub judge: Judge,
}

/// Says what is wrong with an answer, in one of few ways.
pub type Judge = fn(&Answer<'_>) -> Result<(), String>;

/// The status of an answer that is as it should be, or what is wrong.
type Verdict = Result<u16, String>;

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
    for _ in 0..offer.connections.max(1) {
        swarm.connect()?;
    }
    Run::new(swarm, offer, pace).measure()
}

struct Run<'a> {
    swarm: Swarm,
    offer: &'a Offer<'a>,
    arrivals: Schedule,
    probe: Probe,
    /// How many requests were sent.
    sent: usize,
    /// When those should have been sent that wait for a connection.
    waiting: VecDeque<Instant>,
    /// Connections without a request. Whoever has waited longest is next, so that all of them take part.
    idle: VecDeque<usize>,
    /// The connections, from [`FIRST`] on.
    lines: Vec<Line>,
    /// What is measured is between these.
    window: std::ops::Range<Instant>,
    offered: u64,
    answers: BTreeMap<u16, Tally>,
    failures: BTreeMap<String, u64>,
    lateness: Latencies,
}

/// One connection.
#[derive(Default)]
struct Line {
    inbox: Inbox,
    /// When the request on its way should have been sent.
    since: Option<Instant>,
}

struct Tally {
    in_window: u64,
    latencies: Latencies,
}

impl<'a> Run<'a> {
    fn new(swarm: Swarm, offer: &'a Offer<'a>, pace: Pace) -> Self {
        let start = Instant::now();
        let window = start + pace.warm_up..start + pace.warm_up + pace.duration;
        let connections = swarm.len() - FIRST;
        Self {
            swarm,
            offer,
            arrivals: Schedule::new(start, window.end, offer.per_second),
            probe: Probe::new(PROBE, start, window.clone()),
            sent: 0,
            waiting: VecDeque::new(),
            idle: (FIRST..FIRST + connections).collect(),
            lines: (0..connections).map(|_| Line::default()).collect(),
            window,
            offered: 0,
            answers: BTreeMap::new(),
            failures: BTreeMap::new(),
            lateness: Latencies::new(),
        }
    }

    fn measure(mut self) -> Result<OpenLoop, LoadError> {
        let last = self.window.end + self.offer.drain;
        loop {
            let now = Instant::now();
            self.arrive(now);
            self.probe.send_due(now, &mut self.swarm);
            self.send_waiting();
            let next = [self.arrivals.next(), self.probe.next()].into_iter().flatten().min();
            if now > last || (next.is_none() && self.is_quiet()) {
                break;
            }
            self.receive(timeout(now, next))?;
        }
        self.finish()
    }

    /// Takes up the requests that are due.
    fn arrive(&mut self, now: Instant) {
        while let Some(intended) = self.arrivals.take(now) {
            if self.window.contains(&intended) {
                self.offered += 1;
                self.lateness.record(now - intended);
            }
            match self.waiting.len() < WAITING_MAX {
                true => self.waiting.push_back(intended),
                false => fail(&mut self.failures, "not sent: too many were waiting", 1),
            }
        }
    }

    fn send_waiting(&mut self) {
        for _ in 0..self.idle.len().min(self.waiting.len()) {
            let (Some(index), Some(intended)) = (self.idle.pop_front(), self.waiting.pop_front()) else { return };
            self.lines[index - FIRST].since = Some(intended);
            self.swarm.send(index, &self.offer.requests[self.sent % self.offer.requests.len()]);
            self.sent += 1;
        }
    }

    fn receive(&mut self, timeout: Duration) -> Result<(), LoadError> {
        let Self { swarm, offer, probe, idle, lines, window, answers, failures, .. } = self;
        let mut failure = None;
        swarm.turn(Some(timeout), |index, arrival| {
            if index == PROBE {
                failure = failure.take().or(probe.receive(arrival).err());
                return;
            }
            let line = &mut lines[index - FIRST];
            match line.receive(arrival, offer.judge) {
                Ok(None) => {}
                Ok(Some((since, verdict))) => {
                    idle.push_back(index);
                    match verdict {
                        Ok(status) => answers.entry(status).or_insert_with(Tally::new).add(since, window),
                        Err(reason) => fail(failures, &reason, 1),
                    }
                }
                Err(reason) => {
                    // The connection is of no more use: what it receives now would be taken for another answer.
                    line.inbox.clear();
                    idle.retain(|other| *other != index);
                    fail(failures, &reason, u64::from(line.since.take().is_some()));
                }
            }
        })?;
        failure.map_or(Ok(()), Err)
    }

    /// Nothing is on its way.
    fn is_quiet(&self) -> bool {
        self.waiting.is_empty() && self.probe.unanswered() == 0 && self.lines.iter().all(|line| line.since.is_none())
    }

    fn finish(mut self) -> Result<OpenLoop, LoadError> {
        let unanswered = self.lines.iter().filter(|line| line.since.is_some()).count();
        fail(&mut self.failures, "no answer at the end", unanswered as u64);
        fail(&mut self.failures, "not sent at the end", self.waiting.len() as u64);
        fail(&mut self.failures, "no pong at the end", self.probe.unanswered() as u64);
        let seconds = (self.window.end - self.window.start).as_secs_f64();
        let answered = |tally: Tally| Answered {
            per_second: tally.in_window as f64 / seconds,
            latency: tally.latencies.summary(),
        };
        Ok(OpenLoop {
            offered: self.offered,
            answers: self.answers.into_iter().map(|(status, tally)| (status, answered(tally))).collect(),
            failures: self.failures,
            ping: self.probe.summary(),
            lateness: self.lateness.summary(),
        })
    }
}

impl Line {
    /// Takes bytes. Once an answer is whole: from when its latency counts, and its status or what is wrong with it.
    fn receive(&mut self, arrival: Arrival<'_>, judge: Judge) -> Result<Option<(Instant, Verdict)>, String> {
        match arrival {
            Arrival::Closed(kind) => return Err(format!("closed: {kind}")),
            Arrival::Bytes(bytes) => self.inbox.push(bytes),
        }
        let Some(answer) = self.inbox.answer()? else { return Ok(None) };
        let since = self.since.ok_or("an answer to nothing")?;
        let verdict = judge(&answer).map(|()| answer.status);
        self.since = None;
        self.inbox.clear();
        Ok(Some((since, verdict)))
    }
}

impl Tally {
    fn new() -> Self {
        Self { in_window: 0, latencies: Latencies::new() }
    }

    fn add(&mut self, since: Instant, window: &std::ops::Range<Instant>) {
        let now = Instant::now();
        if window.contains(&now) {
            self.in_window += 1;
        }
        if window.contains(&since) {
            self.latencies.record(now - since);
        }
    }
}

fn fail(failures: &mut BTreeMap<String, u64>, reason: &str, times: u64) {
    if times > 0 {
        *failures.entry(reason.to_owned()).or_default() += times;
    }
}

/// The probe's connection: it is made first.
const PROBE: usize = 0;

/// The first connection for requests.
const FIRST: usize = 1;

/// Requests that wait for a connection: two seconds of the fastest scenario, so that it only bounds a collapse.
const WAITING_MAX: usize = 1000;

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
        let outcome = offer_to(peer, Duration::from_secs(5));
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
        let outcome = offer_to(peer, Duration::from_millis(50));
        assert_eq!(outcome.failures["not ok"], 1);
        assert_eq!(outcome.failures["not sent at the end"], 48);
        assert_eq!((outcome.failed(), outcome.answers.len()), (50, 0));
    }
}
