//! The report: numbers, what they are measured against, and whether the floor is met.
//!
//! Rendering only: nothing is measured here. What must hold: a number that was not measured, or a ratio
//! whose ceiling was not ahead of every peer in the same run, is never called met.

use std::fmt::Write;

/// Everything one run of the suite found out.
#[derive(Debug, Default)]
pub struct Report {
    /// What the machine is, line by line: name and value.
    pub machine: Vec<(String, String)>,
    /// The line that repeats the run.
    pub command: String,
    /// The claims, one row each.
    pub rows: Vec<Row>,
    /// The fan-out of every peer, median of the rounds.
    pub fan_outs: Vec<FanOutRow>,
    /// What else a reader must know.
    pub notes: Vec<String>,
}

/// One claim.
#[derive(Debug, Clone)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Met,
    /// It is not.
    Missed,
    /// There is no number.
    NotMeasured,
    /// A peer was not measured, so nobody knows whether the server and the bare loop were ahead of it.
    NoPeer,
    /// The bare loop was not ahead of every peer in this run, so the ratio means nothing.
    DoesNotCount,
}

/// Deliveries per second, by everybody who takes part in one kind of fan-out.
#[derive(Debug, Clone, Default)]
pub struct FanOutRow {
    /// What was done.
    pub work: String,
    /// The length of a message in bytes.
    pub message_bytes: usize,
    /// The server, or `None` when not measured.
    pub server: Option<f64>,
    /// The bare loop.
    pub ceiling: Option<f64>,
    /// The peers by name; `None` when not measured.
    pub peers: Vec<(&'static str, Option<f64>)>,
}

impl FanOutRow {
    /// Everyone but the server and the bare loop: their names and rates.
    pub fn peers(&self) -> impl Iterator<Item = (&'static str, Option<f64>)> {
        self.peers.iter().copied()
    }

    /// The claim this row makes: `floor` times the bare loop, and ahead of every peer.
    pub fn claim(&self, floor: f64) -> Row {
        let number = self.server.map_or("not measured".to_owned(), |number| format!("{} deliveries/s", count(number)));
        let (ratio, verdict) = claim(self.server, self.ceiling, self.peers().map(|(_, rate)| rate), floor);
        let floor = format!("{floor} of the bare loop and ahead of every peer");
        Row { work: self.work.clone(), number, ratio, floor, verdict }
    }

    /// The fastest of the peers, if all of them were measured.
    pub fn best_peer(&self) -> Option<f64> {
        best(self.peers().map(|(_, rate)| rate))
    }
}

/// Whether `server` reaches `floor` times the bare loop and is ahead of every peer, and the ratio to the bare loop.
/// It counts only when the bare loop is ahead of every peer too.
pub fn claim(
    server: Option<f64>,
    ceiling: Option<f64>,
    peers: impl Iterator<Item = Option<f64>>,
    floor: f64,
) -> (Option<f64>, Verdict) {
    let ratio = ratio(server, ceiling);
    let verdict = match (server.zip(ceiling).zip(ratio), best(peers)) {
        (None, _) => Verdict::NotMeasured,
        (Some(_), None) => Verdict::NoPeer,
        (Some(((_, ceiling), _)), Some(peer)) if ceiling <= peer => Verdict::DoesNotCount,
        (Some(((server, _), ratio)), Some(peer)) => verdict(ratio >= floor && server > peer),
    };
    (ratio, verdict)
}

/// The greatest, if all were measured and there is one.
fn best(mut peers: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let first = peers.next()??;
    peers.try_fold(first, |best, peer| Some(best.max(peer?)))
}

impl Verdict {
    fn words(self) -> &'static str {
        match self {
            Verdict::Met => "yes",
            Verdict::Missed => "**no**",
            Verdict::NotMeasured => "not measured",
            Verdict::NoPeer => "does not count: a peer was not measured",
            Verdict::DoesNotCount => "does not count: the bare loop was behind a peer",
        }
    }
}

impl Report {
    /// The report as a Markdown page.
    pub fn markdown(&self) -> String {
        let mut page = String::from(HEAD);
        // Writing to a String can't fail.
        let _ = writeln!(page, "\n```\n{}\n```\n\n## Machine and versions\n", self.command);
        for (name, value) in &self.machine {
            let _ = writeln!(page, "- {name}: {value}");
        }
        let _ = writeln!(page, "\n## Numbers\n\n| work | number | ratio | floor | met? |\n|---|---:|---:|---|---|");
        for row in &self.rows {
            let (ratio, met) = (decimal(row.ratio), row.verdict.words());
            let _ = writeln!(page, "| {} | {} | {ratio} | {} | {met} |", row.work, row.number, row.floor);
        }
        self.write_fan_outs(&mut page);
        if !self.notes.is_empty() {
            let _ = writeln!(page, "\n## Notes\n");
        }
        for note in &self.notes {
            let _ = writeln!(page, "- {note}");
        }
        page
    }

    fn write_fan_outs(&self, page: &mut String) {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.fan_outs.iter().flat_map(FanOutRow::peers) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let head = "| work | message | MangaHub | bare loop |";
        let _ = write!(page, "\n## Fan-out, deliveries per second\n\n{head}");
        names.iter().for_each(|name| page.push_str(&format!(" {name} |")));
        let columns = "---:|".repeat(5 + names.len());
        let _ = writeln!(page, " MangaHub / best peer | bare loop / best peer |\n|---|{columns}");
        for row in &self.fan_outs {
            let shown = |number: Option<f64>| number.map_or("not measured".to_owned(), count);
            let (server, ceiling) = (shown(row.server), shown(row.ceiling));
            let _ = write!(page, "| {} | {} B | {server} | {ceiling} |", row.work, row.message_bytes);
            for name in &names {
                let peer = row.peers().find(|(peer, _)| peer == name);
                let _ = write!(page, " {} |", peer.map_or("–".to_owned(), |(_, rate)| shown(rate)));
            }
            let best = row.best_peer();
            let _ = writeln!(page, " {} | {} |", decimal(ratio(row.server, best)), decimal(ratio(row.ceiling, best)));
        }
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

fn decimal(number: Option<f64>) -> String {
    number.map_or("–".to_owned(), |number| format!("{number:.2}"))
}

const HEAD: &str = "# Benchmarks

Written by `bench/run`; run it to repeat them. Everything is measured side by side in one run: the server, the
bare loop (`bench/ceiling`: epoll, read, send and nothing else) and the peers take turns on one core, the load has
the other. The peers of a fan-out are Redis, NATS, Mosquitto, and the same protocol written with goroutines
(`bench/twin-go`); that of a GET is nginx, with the same bytes in a file. Each number is the median of the rounds. Every message is verified: all clients received each one
once and in order, every acknowledged update was the user's own next one. Over HTTP, `wrk` asks for one series as
often as it gets answers, which the bare loop gives byte by byte as the server does; searches and logins come at a
fixed rate, and their latency counts from the time at which they should have been sent, as that of the pings on a
TCP connection beside them. In chat, each member of a room is a user with a WebSocket of their own, and the bare
loop sends as many bytes to as many; a message is stored before anyone hears it, which one in flight waits for. A
UDP notification counts from its trigger (an HTTP request, which is stored first; for the bare loop of `sendmmsg`
a datagram) until the last address has it, and none may be lost. Ratios travel between machines better than
numbers; a ratio to the bare loop counts only when the bare loop was ahead of every peer in the same run.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn row(server: Option<f64>, ceiling: Option<f64>, peers: &[Option<f64>]) -> FanOutRow {
        let peers = ["Redis", "NATS"].into_iter().zip(peers.iter().copied()).collect();
        FanOutRow { work: "fan-out".into(), message_bytes: 250, server, ceiling, peers }
    }

    /// Shows each verdict a fan-out can get, the ceiling behind a peer and the missing peers included.
    #[test]
    fn a_claim_needs_its_ceiling_and_its_peers() {
        let verdict = |server, ceiling, peers: [f64; 2]| row(server, ceiling, &peers.map(Some)).claim(0.85).verdict;
        assert_eq!(verdict(Some(90.0), Some(100.0), [50.0, 60.0]), Verdict::Met);
        assert_eq!(verdict(Some(80.0), Some(100.0), [50.0, 60.0]), Verdict::Missed);
        assert_eq!(verdict(Some(90.0), Some(100.0), [50.0, 95.0]), Verdict::Missed);
        assert_eq!(verdict(Some(90.0), Some(100.0), [50.0, 110.0]), Verdict::DoesNotCount);
        assert_eq!(verdict(None, Some(100.0), [50.0, 60.0]), Verdict::NotMeasured);
        assert_eq!(verdict(Some(90.0), None, [50.0, 60.0]), Verdict::NotMeasured);
        let missing = row(Some(90.0), Some(100.0), &[Some(50.0), None]);
        assert_eq!((missing.claim(0.85).verdict, missing.best_peer()), (Verdict::NoPeer, None));
        assert_eq!(row(Some(90.0), Some(100.0), &[]).claim(0.85).verdict, Verdict::NoPeer);
    }

    /// Shows that the page names what was measured, what was not, and the command that repeats it.
    #[test]
    fn the_page_says_it_all() {
        let fan_out = row(Some(900_000.0), Some(1_000_000.0), &[None, Some(9.0)]);
        let report = Report {
            machine: vec![("cores".into(), "2".into())],
            command: "bench/run".into(),
            rows: vec![fan_out.claim(0.85)],
            fan_outs: vec![fan_out],
            notes: vec!["Redis is not installed.".into()],
        };
        let page = report.markdown();
        assert!(
            page.contains(
                "| fan-out | 900,000 deliveries/s | 0.90 | 0.85 of the bare loop and ahead of every peer | does not count: a"
            ),
            "{page}"
        );
        assert!(page.contains("| fan-out | 250 B | 900,000 | 1,000,000 | not measured | 9 | – | – |"), "{page}");
        assert!(page.contains("- cores: 2") && page.contains("bench/run") && page.contains("Redis is not installed."));
    }

    /// Shows where the commas of a whole number go.
    #[test]
    fn commas() {
        assert_eq!([count(0.0), count(999.4), count(1000.0), count(1_234_567.0)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(count(-1234.0), "-1,234");
        assert_eq!(count(-123.0), "-123");
    }
}
