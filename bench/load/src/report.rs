//! The report: numbers, what they are measured against, and whether the floor is met.
//!
//! Rendering only: nothing is measured here. What must hold: a number that was not measured, or a ratio
//! whose ceiling was not ahead of Redis in the same run, is never called met.

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
    /// Redis was not measured, so nobody knows whether the bare loop was ahead of it.
    NoPeer,
    /// The bare loop was not ahead of Redis in this run, so the ratio means nothing.
    DoesNotCount,
}

/// Deliveries per second of the three peers for one kind of fan-out.
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
    /// Redis pub/sub.
    pub redis: Option<f64>,
}

impl FanOutRow {
    /// The claim this row makes against a floor of `floor` times the bare loop.
    pub fn claim(&self, floor: f64) -> Row {
        let ratio = ratio(self.server, self.ceiling);
        let verdict = match (ratio, ratio_of_ceiling_to_redis(self)) {
            (None, _) => Verdict::NotMeasured,
            (Some(_), None) => Verdict::NoPeer,
            (Some(_), Some(lead)) if lead <= 1.0 => Verdict::DoesNotCount,
            (Some(ratio), Some(_)) => verdict(ratio >= floor),
        };
        let number = self.server.map_or("not measured".to_owned(), |number| format!("{} deliveries/s", count(number)));
        Row { work: self.work.clone(), number, ratio, floor: format!("{floor} of the bare loop"), verdict }
    }
}

impl Verdict {
    fn words(self) -> &'static str {
        match self {
            Verdict::Met => "yes",
            Verdict::Missed => "**no**",
            Verdict::NotMeasured => "not measured",
            Verdict::NoPeer => "does not count: Redis was not measured",
            Verdict::DoesNotCount => "does not count: the bare loop was behind Redis",
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
        let head = "| work | message | MangaHub | bare loop | Redis | MangaHub / Redis | bare loop / Redis |";
        let _ = writeln!(page, "\n## Fan-out, deliveries per second\n\n{head}\n|---|---:|---:|---:|---:|---:|---:|");
        for row in &self.fan_outs {
            let shown = |number: Option<f64>| number.map_or("not measured".to_owned(), count);
            let _ = writeln!(
                page,
                "| {} | {} B | {} | {} | {} | {} | {} |",
                row.work,
                row.message_bytes,
                shown(row.server),
                shown(row.ceiling),
                shown(row.redis),
                decimal(ratio(row.server, row.redis)),
                decimal(ratio_of_ceiling_to_redis(row)),
            );
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

fn ratio_of_ceiling_to_redis(row: &FanOutRow) -> Option<f64> {
    ratio(row.ceiling, row.redis)
}

fn decimal(number: Option<f64>) -> String {
    number.map_or("–".to_owned(), |number| format!("{number:.2}"))
}

const HEAD: &str = "# Benchmarks

Written by `bench/run`; run it to repeat them. Everything is measured side by side in one run: the server, the
bare loop (`bench/ceiling`: epoll, read, send and nothing else) and Redis take turns on one core, the load has
the other. Each number is the median of the rounds. Every message is verified: all clients received each one
once and in order, every acknowledged update was the user's own next one. Over HTTP, `wrk` asks for one series as
often as it gets answers, which the bare loop gives byte by byte as the server does; searches and logins come at a
fixed rate, and their latency counts from the time at which they should have been sent, as that of the pings on a
TCP connection beside them. In chat, each member of a room is a user with a WebSocket of their own, and the bare
loop sends as many bytes to as many; a message is stored before anyone hears it, which one in flight waits for. A
UDP notification counts from its trigger (an HTTP request, which is stored first; for the bare loop of `sendmmsg`
a datagram) until the last address has it, and none may be lost. Ratios travel between machines better than
numbers; a ratio of a fan-out to the bare loop counts only when the bare loop was ahead of Redis in the same run.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn row(server: Option<f64>, ceiling: Option<f64>, redis: Option<f64>) -> FanOutRow {
        FanOutRow { work: "fan-out".into(), message_bytes: 250, server, ceiling, redis }
    }

    /// Shows each verdict a fan-out can get, the ceiling behind Redis and the missing peers included.
    #[test]
    fn a_claim_needs_its_ceiling() {
        let verdict = |server, ceiling, redis| row(server, ceiling, redis).claim(0.85).verdict;
        assert_eq!(verdict(Some(90.0), Some(100.0), Some(50.0)), Verdict::Met);
        assert_eq!(verdict(Some(80.0), Some(100.0), Some(50.0)), Verdict::Missed);
        assert_eq!(verdict(Some(90.0), Some(100.0), Some(110.0)), Verdict::DoesNotCount);
        assert_eq!(verdict(None, Some(100.0), Some(50.0)), Verdict::NotMeasured);
        assert_eq!(verdict(Some(90.0), None, Some(50.0)), Verdict::NotMeasured);
        assert_eq!(verdict(Some(90.0), Some(100.0), None), Verdict::NoPeer);
    }

    /// Shows that the page names what was measured, what was not, and the command that repeats it.
    #[test]
    fn the_page_says_it_all() {
        let fan_out = row(Some(900_000.0), Some(1_000_000.0), None);
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
                "| fan-out | 900,000 deliveries/s | 0.90 | 0.85 of the bare loop | does not count: Redis was not"
            ),
            "{page}"
        );
        assert!(page.contains("| fan-out | 250 B | 900,000 | 1,000,000 | not measured | – | – |"), "{page}");
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
