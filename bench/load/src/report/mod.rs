//! The report: numbers, what they are measured against, and whether the floor is met.
//!
//! Nothing is measured here and nothing written: [`Report`] is what a run found out, and [`markdown`], [`json`] and
//! [`html`] each write all of it. What must hold: a number that was not measured, or a ratio whose ceiling was not
//! ahead of every peer in the same run, is never called met.

pub mod chart;
pub mod html;
pub mod json;
pub mod markdown;
mod outcome;
mod plot;
mod table;

use serde::Serialize;

pub use chart::Chart;

/// Everything one run found out: of the suite, or of a single scenario.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// What the run is called.
    pub title: String,
    /// How it was measured, in paragraphs.
    pub about: String,
    /// What the machine is, line by line: name and value.
    pub machine: Vec<(String, String)>,
    /// The line that repeats the run.
    pub command: String,
    /// The claims, one row each.
    pub rows: Vec<Row>,
    /// The fan-out of every peer, median of the rounds.
    pub fan_outs: Vec<FanOutRow>,
    /// What is plotted beside what follows from the rows: latencies, memory, growth.
    pub charts: Vec<Chart>,
    /// What else a reader must know.
    pub notes: Vec<String>,
}

/// One claim.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What was done.
    pub work: String,
    /// The number with its unit, or why there is none.
    pub number: String,
    /// To the ceiling.
    pub ratio: Option<f64>,
    /// What is asked for, in words.
    pub floor: String,
    /// Whether it is reached.
    pub verdict: Verdict,
}

/// Whether a floor is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is.
    Met,
    /// It is not.
    Missed,
    /// There is no number.
    NotMeasured,
    /// Nothing is asked for.
    NoFloor,
    /// A peer was not measured, so nobody knows whether the server and the bare loop were ahead of it.
    NoPeer,
    /// The bare loop was not ahead of every peer in this run, so the ratio means nothing.
    DoesNotCount,
}

/// Deliveries per second, by everybody who takes part in one kind of fan-out.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FanOutRow {
    /// What was done.
    pub work: String,
    /// The length of a message in bytes.
    pub message_bytes: usize,
    /// The server, or `None` when not measured.
    pub server: Option<f64>,
    /// The bare loop.
    pub ceiling: Option<Rival>,
    /// The peers by name; `None` when not measured.
    pub peers: Vec<(&'static str, Option<Rival>)>,
}

/// Somebody whom the server was measured with.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Rival {
    /// Deliveries per second.
    pub rate: f64,
    /// The server's rate in relation to that, measured side by side: above 1 the server is ahead.
    pub ratio: f64,
}

impl FanOutRow {
    /// Everyone but the server and the bare loop: their names, and how they did.
    pub fn peers(&self) -> impl Iterator<Item = (&'static str, Option<Rival>)> {
        self.peers.iter().copied()
    }

    /// The claim this row makes: `floor` times the bare loop, and ahead of every peer.
    pub fn claim(&self, floor: f64) -> Row {
        let number = self.server.map_or("not measured".to_owned(), |number| format!("{} deliveries/s", count(number)));
        let ratio = self.ceiling.map(|ceiling| ceiling.ratio);
        let verdict = claim(self.server, ratio, self.peer_ratios(), floor);
        let floor = format!("{floor} of the bare loop and ahead of every peer");
        Row { work: self.work.clone(), number, ratio, floor, verdict }
    }

    /// The server in relation to the fastest of the peers, if all of them were measured.
    pub fn to_best_peer(&self) -> Option<f64> {
        least(self.peer_ratios())
    }

    fn peer_ratios(&self) -> impl Iterator<Item = Option<f64>> {
        self.peers().map(|(_, rival)| rival.map(|rival| rival.ratio))
    }
}

/// Whether the server reaches `floor` times the bare loop and is ahead of every peer, by its ratios to them. It
/// counts only when the bare loop is ahead of every peer too.
pub fn claim(
    server: Option<f64>,
    to_ceiling: Option<f64>,
    to_peers: impl Iterator<Item = Option<f64>>,
    floor: f64,
) -> Verdict {
    match (server.and(to_ceiling), least(to_peers)) {
        (None, _) => Verdict::NotMeasured,
        (Some(_), None) => Verdict::NoPeer,
        (Some(to_ceiling), Some(to_peer)) if to_peer <= to_ceiling => Verdict::DoesNotCount,
        (Some(to_ceiling), Some(to_peer)) => verdict(to_ceiling >= floor && to_peer > 1.0),
    }
}

/// The least, if all were measured and there is one.
fn least(mut ratios: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let first = ratios.next()??;
    ratios.try_fold(first, |least, ratio| Some(least.min(ratio?)))
}

impl Verdict {
    /// The answer to "met?".
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Met => "yes",
            Verdict::Missed => "no",
            Verdict::NoFloor => "–",
            Verdict::NotMeasured => "not measured",
            Verdict::NoPeer => "does not count: a peer was not measured",
            Verdict::DoesNotCount => "does not count: the bare loop was behind a peer",
        }
    }
}

impl Report {
    /// The chart with this title, made by `empty` if there is none yet.
    pub fn chart(&mut self, title: &str, empty: impl FnOnce() -> Chart) -> &mut Chart {
        let at = self.charts.iter().position(|chart| chart.title == title).unwrap_or_else(|| {
            self.charts.push(empty());
            self.charts.len() - 1
        });
        &mut self.charts[at]
    }

    /// Every chart with something in it: what follows from the rows, and what was collected.
    pub fn all_charts(&self) -> Vec<Chart> {
        let (rows, fan_outs) = (&self.rows, &self.fan_outs);
        let derived = [chart::ceiling_ratios(rows), chart::peer_ratios(fan_outs), chart::throughput(fan_outs)];
        let collected = self.charts.iter().cloned();
        derived.into_iter().chain(collected).filter(|chart| !chart.lines.is_empty()).collect()
    }
}

/// `part / whole`, when both were measured.
pub fn ratio(part: Option<f64>, whole: Option<f64>) -> Option<f64> {
    let whole = whole.filter(|whole| *whole > 0.0)?;
    Some(part? / whole)
}

/// Met or missed.
pub fn verdict(met: bool) -> Verdict {
    if met { Verdict::Met } else { Verdict::Missed }
}

/// A whole number with commas: `1,234,567`.
pub fn count(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digit.is_ascii_digit() && (digits.len() - at).is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Two decimals, or a dash.
fn decimal(number: Option<f64>) -> String {
    number.map_or("–".to_owned(), |number| format!("{number:.2}"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Somebody with this rate, beside a server with that one.
    pub fn rival(server: Option<f64>, rate: Option<f64>) -> Option<Rival> {
        let (rate, ratio) = (rate?, ratio(server, rate)?);
        Some(Rival { rate, ratio })
    }

    /// A row of `work`, measured by these.
    pub fn fan_out(work: &str, server: Option<f64>, ceiling: Option<f64>, redis: Option<f64>) -> FanOutRow {
        let (ceiling, redis) = (rival(server, ceiling), rival(server, redis));
        FanOutRow { work: work.to_owned(), message_bytes: 250, server, ceiling, peers: vec![("Redis", redis)] }
    }

    /// A report in which everything happened that a writer has to show.
    pub fn eventful() -> Report {
        let row = fan_out("a <small> fan-out", Some(900_000.0), Some(1_000_000.0), None);
        let mut report = Report {
            title: "Benchmarks".into(),
            about: "Written by `bench/run`.".into(),
            machine: vec![("cores".into(), "2".into())],
            command: "bench/run".into(),
            rows: vec![row.claim(0.85)],
            fan_outs: vec![row],
            notes: vec!["Redis is not installed.".into()],
            charts: Vec::new(),
        };
        let latency = report.chart("Latency", || Chart::latency("Latency", "Lower is better."));
        latency.add("MangaHub", vec![[0.5, 1.0], [0.9, 2.0], [0.99, 4.0], [1.0, 8.0]]);
        let memory = report.chart("Memory", || Chart::lines("Memory", "Straight is good.", "connections", "MiB"));
        memory.add("MangaHub", vec![[1000.0, 5.0], [5000.0, 6.0]]);
        memory.add("nobody", Vec::new());
        report
    }

    /// Shows each verdict a fan-out can get, the ceiling behind a peer and the missing peers included.
    #[test]
    fn a_claim_needs_its_ceiling_and_its_peers() {
        let row = |server, ceiling, peers: &[Option<f64>]| {
            let peers = peers.iter().map(|rate| rival(server, *rate));
            let peers = ["Redis", "NATS"].into_iter().zip(peers).collect();
            FanOutRow { peers, ..fan_out("w", server, ceiling, None) }
        };
        let verdict = |server, ceiling, peers: [f64; 2]| row(server, ceiling, &peers.map(Some)).claim(0.85).verdict;
        assert_eq!(verdict(Some(90.0), Some(100.0), [50.0, 60.0]), Verdict::Met);
        assert_eq!(verdict(Some(80.0), Some(100.0), [50.0, 60.0]), Verdict::Missed);
        assert_eq!(verdict(Some(90.0), Some(100.0), [50.0, 95.0]), Verdict::Missed);
        assert_eq!(verdict(Some(90.0), Some(100.0), [50.0, 110.0]), Verdict::DoesNotCount);
        assert_eq!(verdict(None, Some(100.0), [50.0, 60.0]), Verdict::NotMeasured);
        assert_eq!(verdict(Some(90.0), None, [50.0, 60.0]), Verdict::NotMeasured);
        let missing = row(Some(90.0), Some(100.0), &[Some(50.0), None]);
        assert_eq!((missing.claim(0.85).verdict, missing.to_best_peer()), (Verdict::NoPeer, None));
        assert_eq!(row(Some(90.0), Some(100.0), &[]).claim(0.85).verdict, Verdict::NoPeer);
    }

    /// Shows where the commas of a whole number go.
    #[test]
    fn commas() {
        assert_eq!([count(0.0), count(999.4), count(1000.0), count(1_234_567.0)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(count(-1234.0), "-1,234");
        assert_eq!(count(-123.0), "-123");
    }
}
