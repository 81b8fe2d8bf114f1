//! The numbers of a chart as a table, for who reads rather than looks.

use super::chart::{Chart, Kind, Line};
use super::count;

/// Cells as text, the first column names the row.
#[derive(Debug, PartialEq)]
pub struct Table {
    /// The names of the columns.
    pub heads: Vec<String>,
    /// As many cells each as there are heads.
    pub rows: Vec<Vec<String>>,
}

/// The table of a chart: of percentiles those that people quote, of anything else every number.
pub fn of(chart: &Chart) -> Table {
    match chart.kind {
        Kind::Percentiles => percentiles(chart),
        Kind::Lines | Kind::Bars | Kind::Dots => by_place(chart),
    }
}

fn percentiles(chart: &Chart) -> Table {
    let heads = [chart.y.as_str()].into_iter().chain(QUOTED.iter().map(|(_, name)| *name)).map(str::to_owned).collect();
    let row = |line: &Line| {
        let cells = QUOTED.iter().map(|(share, _)| at(line, *share).map_or_else(nothing, short));
        [line.name.clone()].into_iter().chain(cells).collect()
    };
    Table { heads, rows: chart.lines.iter().map(row).collect() }
}

/// A row for each place on the x axis, a column for each line.
fn by_place(chart: &Chart) -> Table {
    let mut places: Vec<f64> = chart.lines.iter().flat_map(|line| line.points.iter().map(|point| point[0])).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let heads = [chart.x.clone()].into_iter().chain(chart.lines.iter().map(|line| line.name.clone())).collect();
    let row = |place: &f64| {
        let name = chart.categories.get(*place as usize).cloned().unwrap_or_else(|| short(*place));
        let cells = chart.lines.iter().map(|line| {
            let point = line.points.iter().find(|point| point[0] == *place);
            point.map_or_else(nothing, |point| short(point[1]))
        });
        [name].into_iter().chain(cells).collect()
    };
    Table { heads, rows: places.iter().map(row).collect() }
}

/// The latency that this share of the samples did not exceed.
fn at(line: &Line, share: f64) -> Option<f64> {
    line.points.iter().find(|point| point[0] >= share).or(line.points.last()).map(|point| point[1])
}

/// Three digits or so, as people would write it.
pub fn short(number: f64) -> String {
    match number.abs() {
        size if size >= 100.0 || number.fract() == 0.0 => count(number),
        size if size >= 10.0 => format!("{number:.1}"),
        size if size >= 0.01 => format!("{number:.2}"),
        _ => format!("{number:.4}"),
    }
}

fn nothing() -> String {
    "–".to_owned()
}

/// The percentiles that people quote.
const QUOTED: [(f64, &str); 5] = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9"), (1.0, "max")];

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that a percentile is the first that is not exceeded, and a place without a number a dash.
    #[test]
    fn cells() {
        let mut chart = Chart::latency("t", "a");
        chart.add("x", vec![[0.5, 1.0], [0.99, 2.5], [1.0, 123.4]]);
        assert_eq!(of(&chart).rows, [["x", "1", "2.50", "2.50", "123", "123"].map(str::to_owned)]);
        let mut chart = Chart::lines("t", "a", "connections", "MiB");
        chart.add("x", vec![[1000.0, 1.0], [5000.0, 2.0]]);
        chart.add("y", vec![[5000.0, 0.005]]);
        let table = of(&chart);
        assert_eq!(table.heads, ["connections", "x", "y"]);
        assert_eq!(table.rows, [["1,000", "1", "–"], ["5,000", "2", "0.0050"]].map(|row| row.map(str::to_owned)));
    }
}
