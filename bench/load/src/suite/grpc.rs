//! The claims about gRPC: calls against the `h2` crate alone, calls at a fixed rate, and how soon a stream hears.

use super::{STORED_SERIES, Samples, Suite};
use crate::error::LoadError;
use crate::grpc::Call;
use crate::report::{Row, Verdict, count, ratio, verdict};
use crate::scenario::Pace;
use crate::scenario::grpc::{answer, delay, flood, get_manga, search_manga, steady, update_progress};
use crate::server::{Ceiling, MangaHub};
use crate::stats::median;
use crate::token::register;

/// The server, the library alone, and what is asked of them.
struct Peers {
    hub: MangaHub,
    bare: Ceiling,
    get: Asked,
    search: Asked,
    update: Asked,
}

/// A call, and how long a right answer to it is.
struct Asked {
    call: Call,
    answer_bytes: usize,
}

impl Suite<'_> {
    /// Everything about gRPC, on one server.
    pub fn grpc(&mut self) {
        let hub = self.start_server(&[]);
        let peers = hub.map(|hub| prepare(hub, self.places, self.core));
        let peers = peers.and_then(|peers| self.keep(peers, "gRPC"));
        self.unary(peers.as_ref());
        self.other_calls(peers.as_ref());
        self.steady_calls(peers.as_ref());
        self.stream_delay(peers.as_ref());
    }

    /// One series over and over, from the server and from the library alone, which answers the very same bytes.
    fn unary(&mut self, peers: Option<&Peers>) {
        for streams in STREAMS {
            let (mut of_hub, mut of_bare) = (Samples::default(), Samples::default());
            for _ in 0..self.scale.rounds {
                let Some(peers) = peers else { break };
                let run = |address, asked: &Asked| self.flood(address, asked, streams);
                of_bare.take(|| run(Ok(peers.bare.address), &peers.get));
                of_hub.take(|| run(peers.hub.grpc(), &peers.get));
            }
            let (bare, server) = (self.settle(of_bare), self.settle(of_hub));
            let ratio = ratio(server, bare);
            self.report.rows.push(Row {
                work: format!("gRPC GetManga, {FLOOD_CONNECTIONS} connections, {} each", flights(streams)),
                number: calls(server),
                ratio,
                floor: format!("{UNARY_FLOOR} of h2 alone"),
                verdict: ratio.map_or(Verdict::NotMeasured, |ratio| verdict(ratio >= UNARY_FLOOR)),
            });
        }
    }

    /// What has no floor, printed beside it.
    fn other_calls(&mut self, peers: Option<&Peers>) {
        let Some(peers) = peers else { return };
        for (name, asked) in [("SearchManga", &peers.search), ("UpdateProgress", &peers.update)] {
            for streams in STREAMS {
                let mut taken = Samples::default();
                taken.take(|| self.flood(peers.hub.grpc(), asked, streams));
                let number = calls(self.settle(taken));
                let work = format!("gRPC {name}, {FLOOD_CONNECTIONS} connections, {} each", flights(streams));
                let floor = "–".to_owned();
                self.report.rows.push(Row { work, number, ratio: None, floor, verdict: Verdict::NoFloor });
            }
        }
    }

    fn flood(
        &self,
        address: Result<std::net::SocketAddr, LoadError>,
        asked: &Asked,
        streams: usize,
    ) -> Result<f64, LoadError> {
        let (connections, seconds) = (FLOOD_CONNECTIONS, self.scale.seconds);
        flood::run(address?, &asked.call, asked.answer_bytes, connections, streams, seconds)
            .map(|seen| seen.calls_per_second)
    }

    fn steady_calls(&mut self, peers: Option<&Peers>) {
        let (mut p50s, mut p99s, mut failed) = (Samples::default(), Vec::new(), 0);
        for _ in 0..self.scale.rounds {
            let Some(peers) = peers else { break };
            let pace = Pace::seconds(self.scale.seconds);
            let mut failures = Vec::new();
            p50s.take(|| {
                let seen = steady::run(peers.hub.grpc()?, &peers.get.call, FLOOD_CONNECTIONS, STEADY_PER_SECOND, pace)?;
                p99s.push(seen.latency.p99_ms);
                failures = seen.failures.into_iter().collect();
                Ok(seen.latency.p50_ms)
            });
            for (reason, times) in failures {
                failed += times;
                self.note(format!("Of the gRPC calls at a fixed rate, {} failed: {reason}.", count(times as f64)));
            }
        }
        let p99 = median(&p99s);
        let both = self.settle(p50s).zip(p99);
        self.report.rows.push(Row {
            work: format!("{} gRPC GetManga a second, {FLOOD_CONNECTIONS} connections", count(STEADY_PER_SECOND)),
            number: both.map_or("not measured".to_owned(), |(p50, p99)| format!("p50 {p50:.2} ms, p99 {p99:.2} ms")),
            ratio: None,
            floor: format!("all answered, p99 under {STEADY_P99_MS} ms"),
            verdict: both.map_or(Verdict::NotMeasured, |(_, p99)| verdict(failed == 0 && p99 < STEADY_P99_MS)),
        });
    }

    fn stream_delay(&mut self, peers: Option<&Peers>) {
        let (mut on_tcp, mut on_stream) = (Samples::default(), Vec::new());
        for _ in 0..self.scale.rounds {
            let Some(peers) = peers else { break };
            on_tcp.take(|| {
                // A user of its own each round, so that every round begins with the first chapter.
                let reader = register(peers.hub.http()?, 1)?.remove(0);
                let (tcp, grpc) = (peers.hub.tcp()?, peers.hub.grpc()?);
                let seen = delay::run(tcp, grpc, &reader.token, STORED_SERIES, CHANGES_PER_SECOND, CHANGES)?;
                on_stream.push(seen.stream.p50_ms);
                Ok(seen.tcp.p50_ms)
            });
        }
        let tcp = self.settle(on_tcp);
        let stream = tcp.and(median(&on_stream));
        // How much later; the other ratios say how much is reached.
        let times = ratio(stream, tcp);
        let number = stream.zip(tcp).map(|(stream, tcp)| format!("{stream:.2} ms, TCP {tcp:.2} ms"));
        self.report.rows.push(Row {
            work: "a change, until a WatchProgress stream has it".to_owned(),
            number: number.unwrap_or("not measured".to_owned()),
            ratio: times,
            floor: format!("at most {STREAM_TIMES} times a TCP subscriber's"),
            verdict: times.map_or(Verdict::NotMeasured, |times| verdict(times <= STREAM_TIMES)),
        });
    }
}

fn prepare(hub: MangaHub, places: &super::Places, core: Option<usize>) -> Result<Peers, LoadError> {
    let address = hub.grpc()?;
    let reader = register(hub.http()?, 1)?.remove(0);
    let asked =
        |call: Call| answer(address, &call).map(|message| (Asked { answer_bytes: message.len(), call }, message));
    let (get, message) = asked(get_manga(STORED_SERIES))?;
    let (search, _) = asked(search_manga("the"))?;
    let update = update_progress(STORED_SERIES, 1, &reader.token);
    // The first one begins the series, and its answer may be of another length.
    answer(address, &update)?;
    let (update, _) = asked(update)?;
    Ok(Peers { bare: Ceiling::start_h2(&places.ceiling, core, &message)?, hub, get, search, update })
}

fn calls(rate: Option<f64>) -> String {
    rate.map_or("not measured".to_owned(), |rate| format!("{} calls/s", count(rate)))
}

fn flights(streams: usize) -> String {
    if streams == 1 { "one stream".to_owned() } else { format!("{streams} streams") }
}

const FLOOD_CONNECTIONS: usize = 64;

/// One call at a time on each connection, and enough to fill them.
const STREAMS: [usize; 2] = [1, 10];

const UNARY_FLOOR: f64 = 0.5;

const STEADY_PER_SECOND: f64 = 10_000.0;

const STEADY_P99_MS: f64 = 5.0;

const STREAM_TIMES: f64 = 2.0;

const CHANGES_PER_SECOND: f64 = 200.0;

/// A second's worth in each round.
const CHANGES: u64 = 200;
