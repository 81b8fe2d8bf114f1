//! A report of one scenario, made of whatever numbers it returns.
//!
//! Scenarios differ in what they count, and each writes its numbers as JSON already. So a report is made of that:
//! every number is a row named by its path, and every set of percentiles is a line in a plot.

use serde::Serialize;
use serde_json::Value;

use super::table::short;
use super::{Chart, Report, Row, Verdict};

impl Report {
    /// The report of a single scenario that was started with `command`.
    pub fn of_outcome(title: &str, command: &str, outcome: &impl Serialize) -> Result<Self, serde_json::Error> {
        let mut report = Self { title: title.to_owned(), command: command.to_owned(), ..Self::default() };
        report.about = "One scenario, as `mangahub-load` ran it; the line below repeats it.".to_owned();
        report.take(&[], &serde_json::to_value(outcome)?);
        Ok(report)
    }

    /// Takes every number at and below `value`, which was found at `path`.
    fn take(&mut self, path: &[&str], value: &Value) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    match (name.as_str(), value) {
                        (PERCENTILES, Value::Array(points)) => self.take_percentiles(path, points),
                        (POINTS, Value::Array(points)) => self.take_points(points),
                        _ => self.take(&[path, &[name.as_str()]].concat(), value),
                    }
                }
            }
            Value::Number(number) => self.take_row(path, short(number.as_f64().unwrap_or_default())),
            Value::String(text) => self.take_row(path, text.clone()),
            Value::Bool(said) => self.take_row(path, if *said { "yes" } else { "no" }.to_owned()),
            Value::Array(_) | Value::Null => {}
        }
    }

    fn take_row(&mut self, path: &[&str], number: String) {
        let work = in_words(path);
        self.rows.push(Row { work, number, ratio: None, floor: "–".to_owned(), verdict: Verdict::NoFloor });
    }

    /// Memory at several sizes.
    fn take_points(&mut self, points: &[Value]) {
        let about = "The server's anonymous memory. A straight line means that each connection costs the same.";
        let empty = || Chart::lines(MEMORY, about, "connections", "user-space memory in bytes");
        self.chart(MEMORY, empty).add("server", pairs(points));
    }

    fn take_percentiles(&mut self, path: &[&str], points: &[Value]) {
        let about = "The further right, the rarer: a line that stays low has no stalls.";
        let chart = self.chart("Latency", || Chart::latency("Latency", about));
        chart.add(&in_words(path), pairs(points));
    }
}

fn pairs(points: &[Value]) -> Vec<[f64; 2]> {
    points.iter().filter_map(|point| Some([point.get(0)?.as_f64()?, point.get(1)?.as_f64()?])).collect()
}

fn in_words(path: &[&str]) -> String {
    path.iter().map(|name| name.replace('_', " ")).collect::<Vec<_>>().join(", ")
}

/// What a summary calls its points.
const PERCENTILES: &str = "percentiles";

/// What a growing crowd calls its sizes and their memory.
const POINTS: &str = "points";

const MEMORY: &str = "Memory against connections";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Latencies;
    use serde_json::json;
    use std::time::Duration;

    /// Shows that numbers become rows, wherever they stand, and a summary a line.
    #[test]
    fn any_outcome_is_a_report() {
        let mut latencies = Latencies::new();
        (1..=100).for_each(|ms| latencies.record(Duration::from_millis(ms)));
        let outcome = json!({"offered": 1234, "answers": {"200": {"latency": latencies.summary()}}});
        let report = Report::of_outcome("Searches", "mangahub-load search", &outcome).unwrap();
        let rows: Vec<(&str, &str)> = report.rows.iter().map(|row| (row.work.as_str(), row.number.as_str())).collect();
        assert!(rows.contains(&("offered", "1,234")), "{rows:?}");
        assert!(rows.contains(&("answers, 200, latency, count", "100")), "{rows:?}");
        let line = &report.charts[0].lines[0];
        assert_eq!(line.name, "answers, 200, latency");
        assert!(line.points.last().is_some_and(|last| last[0] == 1.0 && (last[1] - 100.0).abs() < 0.2), "{line:?}");
    }
    /// Shows that the memory of a growing crowd is plotted against its size.
    #[test]
    fn growth_is_a_line() {
        let grown = json!({"points": [[1000, 5_000_000], [2000, 5_200_000]], "steps": [200.0]});
        let report = Report::of_outcome("Idle", "mangahub-load idle", &grown).unwrap();
        assert_eq!(report.charts[0].lines[0].points, [[1000.0, 5e6], [2000.0, 5.2e6]]);
    }
}
