//! The claims about HTTP: one series over and over, searches in a large catalogue, more logins than bcrypt allows.
//!
//! The last two keep a fixed rate, with a ping beside them. A round of theirs that has failures is the last one
//! and the one that is reported: it is a number, and a missed floor.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use tempfile::TempDir;

use super::{STORED_SERIES, Samples, Suite};
use crate::error::{Doing, LoadError};
use crate::http::{exchange, get};
use crate::report::{Row, Verdict, claim, count, ratio, verdict};
use crate::scenario::open_loop::{self, OpenLoop};
use crate::scenario::{Pace, http, logins, search};
use crate::server::{Ceiling, MangaHub, Peer, nginx, processor_time};
use crate::stats::{Latencies, Summary, median};
use crate::token::{forge, register};

impl Suite<'_> {
    /// One series over and over: from the server, from the bare loop, which answers the very same bytes, and from
    /// nginx, which has the same body in a file.
    pub fn gets(&mut self) {
        let hub = self.start_server(&[]);
        let peers = hub
            .and_then(|hub| self.keep(bare_loop_like(&hub, self.places, self.core).map(|bare| (hub, bare)), "a GET"));
        let nginx = peers.as_ref().and_then(|(hub, _)| self.keep(nginx_like(hub, self.core), "nginx"));
        let mut taken: [[Gets; 3]; 2] = Default::default();
        for _ in 0..self.scale.rounds {
            let Some((hub, bare)) = &peers else { break };
            for (connections, [of_bare, of_nginx, of_hub]) in GET_CONNECTIONS.into_iter().zip(&mut taken) {
                let run = |host| http::run(host, &path(), connections, self.scale.seconds);
                of_bare.take(bare.pid(), || run(bare.address));
                if let Some(nginx) = &nginx {
                    of_nginx.take(nginx.pid(), || run(nginx.address));
                }
                of_hub.take(hub.pid(), || run(hub.http()?));
            }
        }
        for (connections, samples) in GET_CONNECTIONS.into_iter().zip(taken) {
            self.report_gets(connections, samples);
        }
    }

    fn report_gets(&mut self, connections: usize, samples: [Gets; 3]) {
        let work = format!("GET /api/v1/manga/{{id}}, {} connections", count(connections as f64));
        let mut shown = Vec::new();
        let mut rate_of = |name: &str, gets: Gets| {
            let rate = self.settle_of(name, &work, gets.rates);
            if let Some((rate, busy)) = rate.zip(median(&gets.busy)) {
                shown.push(format!("{name} {:.1} µs, busy for {:.0} %", busy / rate * 1e6, busy * 100.0));
            }
            rate
        };
        let [of_bare, of_nginx, of_hub] = samples;
        let server = rate_of("MangaHub", of_hub);
        let (bare, nginx) = (rate_of("the bare loop", of_bare), rate_of("nginx", of_nginx));
        self.note(format!(
            "{work}, processor time of a request: {}. Far from 100 %, wrk or a neighbour was the limit.",
            shown.join("; ")
        ));
        self.report.rows.push(gets_row(work, server, bare, nginx));
    }

    /// Searches in a synthetic catalogue, which is made here and loaded at the server's start.
    pub fn search(&mut self) {
        let made = make_catalogue(&self.places.catalogue_script, &self.places.data, self.scale.search_titles)
            .and_then(|(folder, file)| Ok((folder, search::queries(&file)?, file)));
        let made = self.keep(made, "a synthetic catalogue");
        let started = made.and_then(|(folder, queries, file)| {
            let hub = self.start_server(&[("MANGAHUB_STORE_CATALOGUE", &file.to_string_lossy())])?;
            Some((folder, queries, hub))
        });
        let rounds = started.map_or_else(Vec::new, |(_folder, queries, hub)| {
            let pace = Pace::seconds(self.scale.search_seconds);
            self.rounds("searches", || {
                let token = forge(&hub.secret, "probe", "probe")?.token;
                let (http, tcp) = (hub.http()?, hub.tcp()?);
                Round::of(tcp, &token, pace, || search::run(http, tcp, &token, &queries, SEARCHES_PER_SECOND, pace))
            })
        });
        self.plot_answers("searches", &rounds);
        self.report.rows.push(search_row(self.scale.search_titles, &rounds));
    }

    /// More logins than bcrypt allows, and bcrypt alone.
    pub fn logins(&mut self) {
        let hub = self.start_server(&[("MANGAHUB_AUTH_BCRYPT_COST", &BCRYPT_COST.to_string())]);
        let users = hub.as_ref().map(|hub| register(hub.http()?, LOGIN_USERS));
        let users = users.and_then(|users| self.keep(users, "registering those who log in"));
        let mut alone = Samples::default();
        let rounds = hub.zip(users).map_or_else(Vec::new, |(hub, users)| {
            let pace = Pace::seconds(self.scale.login_seconds);
            let (ceiling, core) = (&self.places.ceiling, self.core);
            self.rounds("logins", || {
                alone.take(|| Ceiling::bcrypt(ceiling, core, BCRYPT_COST, BCRYPT_SECONDS));
                let token = users.first().map(|user| user.token.as_str()).unwrap_or_default();
                let (http, tcp) = (hub.http()?, hub.tcp()?);
                Round::of(tcp, token, pace, || logins::run(http, tcp, &users, LOGINS_PER_SECOND, pace))
            })
        });
        let alone = self.settle(alone);
        if let Some(alone) = alone {
            self.note(format!("bcrypt alone, cost {BCRYPT_COST}, on one core: {alone:.1} passwords checked a second."));
        }
        self.plot_answers("logins", &rounds);
        self.report.rows.push(logins_row(&rounds, alone));
    }

    /// How long answers took by their status, and the pings beside them.
    fn plot_answers(&mut self, what: &str, rounds: &[Round]) {
        let title = format!("Latency: {what} at a fixed rate");
        let mut of: BTreeMap<String, Latencies> = BTreeMap::new();
        for round in rounds {
            let answers =
                round.busy.answers.iter().map(|(status, answered)| (format!("{what}, {status}"), &answered.latency));
            let pings = [("pings meanwhile", &round.busy.ping), ("pings with nothing beside them", &round.quiet)];
            for (name, summary) in answers.chain(pings.map(|(name, pings)| (name.to_owned(), pings))) {
                of.entry(name).or_default().merge(&summary.percentiles);
            }
        }
        of.iter().for_each(|(name, samples)| self.plot_latency(&title, name, samples));
    }

    /// The rounds of an open loop. One with failures is the last, and then the only one.
    fn rounds(&mut self, what: &str, mut run: impl FnMut() -> Result<Round, LoadError>) -> Vec<Round> {
        let mut rounds = Vec::new();
        for _ in 0..self.scale.rounds {
            let Some(round) = self.keep(run(), what) else { return Vec::new() };
            if round.busy.failed() > 0 {
                for (reason, times) in &round.busy.failures {
                    self.note(format!("Of the {what}, {} failed: {reason}.", count(*times as f64)));
                }
                return vec![round];
            }
            rounds.push(round);
        }
        let late_ms = middle(&rounds, |round| round.busy.lateness.p99_ms);
        if let Some(late_ms) = late_ms.filter(|late_ms| *late_ms > LATE_MS) {
            self.note(format!(
                "Of the {what}, one in 100 was sent {late_ms:.1} ms late or more: the load was disturbed."
            ));
        }
        rounds
    }
}

/// One round of an open loop.
struct Round {
    /// How long pings took before it began.
    quiet: Summary,
    /// What came of it.
    busy: OpenLoop,
}

impl Round {
    fn of(
        tcp: SocketAddr,
        token: &str,
        pace: Pace,
        run: impl FnOnce() -> Result<OpenLoop, LoadError>,
    ) -> Result<Self, LoadError> {
        Ok(Self { quiet: open_loop::pings_alone(tcp, token, pace)?, busy: run()? })
    }
}

/// What one peer did in the rounds so far.
#[derive(Default)]
struct Gets {
    /// Requests per second.
    rates: Samples,
    /// The part of the time in which the peer had the processor.
    busy: Vec<f64>,
}

impl Gets {
    fn take(&mut self, pid: u32, run: impl FnOnce() -> Result<http::Http, LoadError>) {
        let busy = &mut self.busy;
        self.rates.take(|| {
            let (before, start) = (processor_time(pid)?, Instant::now());
            let rate = run()?.requests_per_second;
            let used = processor_time(pid)?.saturating_sub(before);
            busy.push(used.as_secs_f64() / start.elapsed().as_secs_f64());
            Ok(rate)
        });
    }
}

fn gets_row(work: String, server: Option<f64>, bare: Option<f64>, nginx: Option<f64>) -> Row {
    let to_bare = ratio(server, bare);
    let verdict = claim(server, to_bare, [ratio(server, nginx)].into_iter(), GET_FLOOR);
    let peer = nginx.map_or("not measured".to_owned(), count);
    Row {
        work,
        number: server.map_or("not measured".to_owned(), |rate| format!("{} requests/s, nginx {peer}", count(rate))),
        ratio: to_bare,
        floor: format!("{GET_FLOOR} of the bare loop and ahead of nginx"),
        verdict,
    }
}

fn path() -> String {
    format!("/api/v1/manga/{STORED_SERIES}")
}

/// The bare loop, with the answer that the server gives.
fn bare_loop_like(hub: &MangaHub, places: &super::Places, core: Option<usize>) -> Result<Ceiling, LoadError> {
    let host = hub.http()?;
    Ceiling::start_http(&places.ceiling, core, &exchange(host, &get(host, &path()))?)
}

/// nginx, with the body of the answer that the server gives.
fn nginx_like(hub: &MangaHub, core: Option<usize>) -> Result<Peer, LoadError> {
    let host = hub.http()?;
    let answer = exchange(host, &get(host, &path()))?;
    let body = memchr::memmem::find(&answer, HEAD_END).map(|end| &answer[end + HEAD_END.len()..]);
    nginx::start(core, &path(), body.ok_or_else(|| LoadError::Wrong("an answer without a head".to_owned()))?)
}

/// A catalogue of so many titles, in a folder that goes with its value.
fn make_catalogue(script: &Path, data: &Path, titles: usize) -> Result<(TempDir, PathBuf), LoadError> {
    let folder = tempfile::tempdir_in(data).doing("make a data folder")?;
    let file = folder.path().join("catalogue.json");
    let mut command = Command::new(script);
    command.args(["--titles", &titles.to_string()]).arg("--output").arg(&file);
    let output = command.output().doing(&format!("run {}", script.display()))?;
    match output.status.success() {
        true => Ok((folder, file)),
        false => Err(LoadError::Wrong(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}

fn search_row(titles: usize, rounds: &[Round]) -> Row {
    let found =
        |round: &Round| round.busy.answers.get(&200).map(|found| found.latency.clone()).filter(|it| it.count > 0);
    let found: Vec<Summary> = rounds.iter().filter_map(found).collect();
    let at = |of: fn(&Summary) -> f64| median(&found.iter().map(of).collect::<Vec<_>>());
    let p99 = at(|found| found.p99_ms);
    let ping = middle(rounds, |round| round.busy.ping.p99_ms);
    let number = ping.map(|_| {
        let found = at(|found| found.p50_ms).zip(p99).zip(at(|found| found.max_ms));
        let found = found.map(|((p50, p99), max)| format!("p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms"));
        format!("{}; {}{}", found.unwrap_or("none answered".to_owned()), pings(rounds), failed(rounds))
    });
    let met = ping.map(|ping| {
        let all_answered = rounds.iter().all(|round| round.busy.failed() == 0);
        verdict(all_answered && p99.is_some_and(|p99| p99 < SEARCH_P99_MS) && ping < PING_P99_MS)
    });
    Row {
        work: format!(
            "{SEARCHES_PER_SECOND} title searches a second in {} series, total counted",
            count(titles as f64)
        ),
        number: number.unwrap_or("not measured".to_owned()),
        ratio: None,
        floor: format!("all answered, p99 under {SEARCH_P99_MS} ms, ping p99 under {PING_P99_MS} ms"),
        verdict: met.unwrap_or(Verdict::NotMeasured),
    }
}

fn logins_row(rounds: &[Round], alone: Option<f64>) -> Row {
    let all = |of: &dyn Fn(&OpenLoop) -> u64| count(rounds.iter().map(|round| of(&round.busy)).sum::<u64>() as f64);
    let served = all(&|round| round.answers.get(&200).map_or(0, |served| served.latency.count));
    let offered = all(&|round| round.offered);
    let refused = rounds.iter().filter_map(|round| Some(round.busy.answers.get(&503)?.latency.max_ms));
    let slowest = refused.reduce(f64::max);
    let ping = middle(rounds, |round| round.busy.ping.p99_ms);
    let rate = middle(rounds, |round| round.busy.answers.get(&200).map_or(0.0, |served| served.per_second));
    let ratio = ratio(rate, alone);
    let number = rate.zip(ping).map(|(rate, _)| {
        let rest = slowest.map_or("none 503".to_owned(), |ms| format!("rest 503 within {ms:.0} ms"));
        let (pings, failed) = (pings(rounds), failed(rounds));
        format!("{served} served of {offered}, {rate:.1} a second, {rest}; {pings}{failed}")
    });
    let met = ratio.zip(ping).map(|(ratio, ping)| {
        let all_answered = rounds.iter().all(|round| round.busy.failed() == 0);
        verdict(all_answered && ratio >= LOGIN_FLOOR && slowest.is_none_or(|ms| ms < REFUSAL_MS) && ping < PING_P99_MS)
    });
    Row {
        work: format!("{LOGINS_PER_SECOND} logins a second, bcrypt cost {BCRYPT_COST}"),
        number: number.unwrap_or("not measured".to_owned()),
        ratio,
        floor: format!("{LOGIN_FLOOR} of bcrypt alone, 503 within {REFUSAL_MS} ms, ping p99 under {PING_P99_MS} ms"),
        verdict: met.unwrap_or(Verdict::NotMeasured),
    }
}

/// How long pings took, and how long without what was beside them.
fn pings(rounds: &[Round]) -> String {
    let [busy, quiet] = [|round: &Round| round.busy.ping.p99_ms, |round: &Round| round.quiet.p99_ms]
        .map(|of| middle(rounds, of).unwrap_or_default());
    format!("ping p99 {busy:.1} ms, alone {quiet:.1} ms")
}

/// The median over the rounds.
fn middle(rounds: &[Round], of: impl Fn(&Round) -> f64) -> Option<f64> {
    median(&rounds.iter().map(of).collect::<Vec<_>>())
}

/// How many requests failed, to go behind a number; nothing when none did.
fn failed(rounds: &[Round]) -> String {
    match rounds.iter().map(|round| round.busy.failed()).sum::<u64>() {
        0 => String::new(),
        failed => format!("; {} failed", count(failed as f64)),
    }
}

/// A few that keep the loop busy, and as many as the fan-out has.
const GET_CONNECTIONS: [usize; 2] = [64, 1000];

/// The empty line after an answer's head, with the end of the line before it.
const HEAD_END: &[u8] = b"\r\n\r\n";

const GET_FLOOR: f64 = 0.8;

const SEARCHES_PER_SECOND: f64 = 500.0;
const SEARCH_P99_MS: f64 = 10.0;

/// About twice what one core can check.
const LOGINS_PER_SECOND: f64 = 50.0;

/// What the server has when nobody chooses.
const BCRYPT_COST: u32 = 10;

/// Some twenty checks in each round.
const BCRYPT_SECONDS: f64 = 1.0;

/// They log in from 16 addresses in turn, a number without a factor in common with this one: the same user comes
/// from the same address every six seconds or so, and the server's care about guessed passwords stays out of it.
const LOGIN_USERS: usize = 21;

/// The rest is what the loop, the store and the refusals take of the core they share.
const LOGIN_FLOOR: f64 = 0.8;

/// No one waits longer to hear that there is no room.
const REFUSAL_MS: f64 = 1000.0;

const PING_P99_MS: f64 = 2.0;

/// Half of what a ping may take: beyond it the load would be measuring itself.
const LATE_MS: f64 = 1.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::open_loop::Answered;
    use std::time::Duration;

    fn summary(ms: u64) -> Summary {
        let mut latencies = Latencies::new();
        latencies.record(Duration::from_millis(ms));
        latencies.summary()
    }

    /// A round: the latency of its 200s and 503s and of its pings, and how many requests failed.
    fn round(served_ms: u64, refused_ms: u64, ping_ms: u64, failed: u64) -> Round {
        let answered = |ms| Answered { per_second: 18.0, latency: summary(ms) };
        let busy = OpenLoop {
            offered: 2,
            answers: [(200, answered(served_ms)), (503, answered(refused_ms))].into(),
            failures: if failed > 0 { [("closed".to_owned(), failed)].into() } else { Default::default() },
            ping: summary(ping_ms),
            lateness: summary(0),
        };
        Round { quiet: summary(1), busy }
    }

    /// Shows that a GET must be ahead of nginx, and that the bare loop must be, too, for the ratio to count.
    #[test]
    fn gets_need_nginx_behind_them() {
        let verdict = |server, bare, nginx| gets_row("GET".to_owned(), Some(server), Some(bare), nginx).verdict;
        assert_eq!(verdict(90.0, 100.0, Some(80.0)), Verdict::Met);
        assert_eq!(verdict(70.0, 100.0, Some(60.0)), Verdict::Missed);
        assert_eq!(verdict(90.0, 100.0, Some(95.0)), Verdict::Missed);
        assert_eq!(verdict(90.0, 100.0, Some(101.0)), Verdict::DoesNotCount);
        assert_eq!(verdict(90.0, 100.0, None), Verdict::NoPeer);
    }

    /// Shows that searches must all be answered, and they and the pings soon; a failure is shown with the number.
    #[test]
    fn searches_need_all_floors() {
        let row = |round: Round| search_row(5000, &[round]);
        assert_eq!(row(round(9, 0, 1, 0)).verdict, Verdict::Met);
        assert_eq!(row(round(11, 0, 1, 0)).verdict, Verdict::Missed);
        assert_eq!(row(round(9, 0, 3, 0)).verdict, Verdict::Missed);
        let mut nothing = round(0, 0, 2, 7);
        nothing.busy.answers.clear();
        assert_eq!(row(nothing).number, "none answered; ping p99 2.0 ms, alone 1.0 ms; 7 failed");
        let failed = row(round(9, 0, 1, 7));
        assert_eq!((failed.verdict, failed.number.ends_with("; 7 failed")), (Verdict::Missed, true));
        assert_eq!(search_row(5000, &[]).verdict, Verdict::NotMeasured);
    }

    /// Shows that logins must be as many as bcrypt allows, the refusals and the pings soon.
    #[test]
    fn logins_need_all_floors() {
        let verdict = |round: Round, alone| logins_row(&[round], alone).verdict;
        assert_eq!(verdict(round(3000, 900, 1, 0), Some(20.0)), Verdict::Met);
        assert_eq!(verdict(round(3000, 900, 1, 0), Some(25.0)), Verdict::Missed);
        assert_eq!(verdict(round(3000, 1100, 1, 0), Some(20.0)), Verdict::Missed);
        assert_eq!(verdict(round(3000, 900, 3, 0), Some(20.0)), Verdict::Missed);
        assert_eq!(verdict(round(3000, 900, 1, 1), Some(20.0)), Verdict::Missed);
        assert_eq!(verdict(round(3000, 900, 1, 0), None), Verdict::NotMeasured);
    }
}
