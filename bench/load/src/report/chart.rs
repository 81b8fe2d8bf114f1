//! What is plotted: names, units and numbers, and nothing about how a plot looks.
//!
//! A chart is the same for every writer. The page draws it, and shows its numbers as a table as well; the JSON
//! has them as they are.

use serde::Serialize;

use super::{FanOutRow, Row};

/// One plot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chart {
    /// What it shows. Charts of one report differ in it.
    pub title: String,
    /// How to read it, in a sentence or two.
    pub about: String,
    /// How it is drawn.
    pub kind: Kind,
    /// The axis along which things are compared, with its unit.
    pub x: String,
    /// The axis of the numbers, with its unit.
    pub y: String,
    /// What the places on the x axis are called, for [`Kind::Bars`] and [`Kind::Dots`]; else nothing.
    pub categories: Vec<String>,
    /// One colour each.
    pub lines: Vec<Line>,
}

/// How a chart is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Points joined by a line, both axes from nought.
    Lines,
    /// Latency by percentile: the further right, the rarer. Both axes grow by factors.
    Percentiles,
    /// Bars from nought, with a mark at 1.
    Bars,
    /// Dots on an axis that grows by factors, for numbers that lie far apart.
    Dots,
}

/// What one peer, or one work, did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Whose numbers these are.
    pub name: String,
    /// Pairs of x and y. On a chart with categories x is the index of one; on one of percentiles, a share below 1.
    pub points: Vec<[f64; 2]>,
}

impl Chart {
    /// An empty chart of points joined by lines.
    pub fn lines(title: &str, about: &str, x: &str, y: &str) -> Self {
        let [title, about, x, y] = [title, about, x, y].map(str::to_owned);
        Self { title, about, kind: Kind::Lines, x, y, categories: Vec::new(), lines: Vec::new() }
    }

    /// An empty chart of latencies.
    pub fn latency(title: &str, about: &str) -> Self {
        Self { kind: Kind::Percentiles, ..Self::lines(title, about, "part of all samples", "latency in ms") }
    }

    /// An empty chart of dots, for numbers that lie far apart.
    pub fn dots(title: &str, about: &str, unit: &str) -> Self {
        Self { kind: Kind::Dots, ..Self::lines(title, about, "work", unit) }
    }

    /// Adds a line, unless it has no points.
    pub fn add(&mut self, name: &str, points: Vec<[f64; 2]>) {
        if !points.is_empty() {
            self.lines.push(Line { name: name.to_owned(), points });
        }
    }

    /// The colour of each line, by its place in the palette: whoever is known keeps the same in every chart, the
    /// others take what is left.
    pub fn colours(&self) -> Vec<usize> {
        let known = |line: &Line| KNOWN.iter().position(|names| names.iter().any(|name| line.name.contains(name)));
        let mut taken: Vec<Option<usize>> = Vec::new();
        for line in &self.lines {
            let own = known(line).filter(|own| !taken.contains(&Some(*own)));
            taken.push(own);
        }
        let mut left = (0..).filter(|colour| !taken.contains(&Some(*colour)));
        taken.iter().map(|own| own.or_else(|| left.next()).unwrap_or_default()).collect()
    }

    /// Adds a number in a category of a chart that has them, both of them new or not.
    pub fn place(&mut self, name: &str, category: &str, number: f64) {
        let known = self.categories.iter().position(|known| known == category);
        let at = known.unwrap_or_else(|| {
            self.categories.push(category.to_owned());
            self.categories.len() - 1
        });
        let point = [at as f64, number];
        match self.lines.iter_mut().find(|line| line.name == name) {
            Some(line) => line.points.push(point),
            None => self.add(name, vec![point]),
        }
    }
}

/// How much of the ceiling the server reaches.
pub fn ceiling_ratios(rows: &[Row]) -> Chart {
    let about = "Which part of the ceiling, the bare loop or library, the server reached. At 1 they were equal; \
                 longer is better.";
    let empty = Chart::lines("The server and the ceiling", about, "work", "the server in relation to the ceiling");
    let mut chart = Chart { kind: Kind::Bars, ..empty };
    for row in rows {
        row.ratio.into_iter().for_each(|ratio| chart.place("to the ceiling", &row.work, ratio));
    }
    chart
}

/// How many times as fast as each peer the server is. Some are tens of times slower, hence dots.
pub fn peer_ratios(fan_outs: &[FanOutRow]) -> Chart {
    let about = "How many times as fast as each peer the server was. At 1 they were equal; further right is better.";
    let mut chart = Chart::dots("The server and its peers", about, "the server is so many times as fast");
    for row in fan_outs {
        for (peer, rival) in row.peers() {
            rival.into_iter().for_each(|rival| chart.place(&format!("to {peer}"), &row.work, rival.ratio));
        }
    }
    chart
}

/// What everyone delivered in a second.
pub fn throughput(fan_outs: &[FanOutRow]) -> Chart {
    let about = "Deliveries per second of each peer. The axis grows by factors of ten; further right is better.";
    let mut chart = Chart::dots("Throughput of the fan-outs", about, "deliveries per second");
    for row in fan_outs {
        row.server.into_iter().for_each(|rate| chart.place(SERVER, &row.work, rate));
        for (name, rival) in [(CEILING, row.ceiling)].into_iter().chain(row.peers()) {
            rival.into_iter().for_each(|rival| chart.place(name, &row.work, rival.rate));
        }
    }
    chart
}

/// Who is known, in the order of the palette; some go by several names.
const KNOWN: [&[&str]; 7] =
    [&[SERVER], &[CEILING, "ceiling"], &["Redis"], &["NATS"], &["Mosquitto"], &["Go"], &["nginx"]];

/// What the server is called in every chart.
pub const SERVER: &str = "MangaHub";

/// What the bare loop is called in every chart.
pub const CEILING: &str = "bare loop";

#[cfg(test)]
mod tests {
    use super::super::tests::fan_out;
    use super::*;

    /// Shows that what was not measured has no bar and no dot, and that the rest stands in its category.
    #[test]
    fn only_what_was_measured() {
        let fan_outs = [fan_out("one", Some(90.0), Some(100.0), None), fan_out("two", Some(90.0), None, Some(30.0))];
        let rows: Vec<Row> = fan_outs.iter().map(|row| row.claim(0.8)).collect();
        let (bars, peers) = (ceiling_ratios(&rows), peer_ratios(&fan_outs));
        assert_eq!((bars.categories, peers.categories), (vec!["one".to_owned()], vec!["two".to_owned()]));
        assert_eq!(bars.lines, [Line { name: "to the ceiling".into(), points: vec![[0.0, 0.9]] }]);
        assert_eq!(peers.lines, [Line { name: "to Redis".into(), points: vec![[0.0, 3.0]] }]);
        let dots = throughput(&fan_outs);
        let names: Vec<&str> = dots.lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names, [SERVER, CEILING, "Redis"]);
        assert_eq!(dots.lines[0].points, [[0.0, 90.0], [1.0, 90.0]]);
    }

    /// Shows that a peer keeps its colour from chart to chart, and that no two lines of one chart share theirs.
    #[test]
    fn colours_stay() {
        let of = |names: &[&str]| {
            let mut chart = Chart::latency("t", "a");
            names.iter().for_each(|name| chart.add(name, vec![[0.5, 1.0]]));
            chart.colours()
        };
        assert_eq!(of(&["bare loop", "Redis", "MangaHub"]), [1, 2, 0]);
        assert_eq!(of(&["to the ceiling", "to Redis"]), [1, 2]);
        assert_eq!(of(&["MangaHub, 1 in flight", "MangaHub, 16 in flight", "searches"]), [0, 1, 2]);
    }
}
