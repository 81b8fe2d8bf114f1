//! The report as a Markdown page: the tables, and the numbers of what grows. Plots are the HTML page's.

use std::fmt::Write;

use super::chart::{Chart, Kind};
use super::{FanOutRow, Report, Rival, Verdict, count, decimal, ratio, table};

/// The whole page.
pub fn write(report: &Report) -> String {
    let mut page = format!("# {}\n\n{}\n", report.title, report.about);
    // Writing to a String can't fail.
    let _ = writeln!(page, "\n```\n{}\n```\n\n## Machine and versions\n", report.command);
    for (name, value) in &report.machine {
        let _ = writeln!(page, "- {name}: {value}");
    }
    let _ = writeln!(page, "\n## Numbers\n\n| work | number | ratio | floor | met? |\n|---|---:|---:|---|---|");
    for row in &report.rows {
        let (ratio, met) = (decimal(row.ratio), row.verdict.words());
        let met = if row.verdict == Verdict::Missed { format!("**{met}**") } else { met.to_owned() };
        let _ = writeln!(page, "| {} | {} | {ratio} | {} | {met} |", row.work, row.number, row.floor);
    }
    write_fan_outs(report, &mut page);
    report.charts.iter().filter(|chart| chart.kind == Kind::Lines).for_each(|chart| write_chart(chart, &mut page));
    if !report.notes.is_empty() {
        let _ = writeln!(page, "\n## Notes\n");
    }
    for note in &report.notes {
        let _ = writeln!(page, "- {note}");
    }
    page
}

fn write_fan_outs(report: &Report, page: &mut String) {
    if report.fan_outs.is_empty() {
        return;
    }
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in report.fan_outs.iter().flat_map(FanOutRow::peers) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let head = "| work | message | MangaHub | bare loop |";
    let _ = write!(page, "\n## Fan-out, deliveries per second\n\n{head}");
    names.iter().for_each(|name| page.push_str(&format!(" {name} |")));
    let columns = "---:|".repeat(5 + names.len());
    let _ = writeln!(page, " MangaHub / best peer | bare loop / best peer |\n|---|{columns}");
    for row in &report.fan_outs {
        let shown = |number: Option<f64>| number.map_or("not measured".to_owned(), count);
        let rate = |rival: Option<Rival>| shown(rival.map(|rival| rival.rate));
        let (server, ceiling) = (shown(row.server), rate(row.ceiling));
        let _ = write!(page, "| {} | {} B | {server} | {ceiling} |", row.work, row.message_bytes);
        for name in &names {
            let peer = row.peers().find(|(peer, _)| peer == name);
            let _ = write!(page, " {} |", peer.map_or("–".to_owned(), |(_, rival)| rate(rival)));
        }
        let best = row.to_best_peer();
        let ceiling = ratio(best, row.ceiling.map(|ceiling| ceiling.ratio));
        let _ = writeln!(page, " {} | {} |", decimal(best), decimal(ceiling));
    }
}

fn write_chart(chart: &Chart, page: &mut String) {
    let table = table::of(chart);
    let _ = writeln!(page, "\n## {}\n\n{} In {}.\n", chart.title, chart.about, chart.y);
    let _ = writeln!(page, "| {} |\n|{}", table.heads.join(" | "), "---:|".repeat(table.heads.len()));
    for row in &table.rows {
        let _ = writeln!(page, "| {} |", row.join(" | "));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::eventful;
    use super::*;

    /// Shows that the page names what was measured, what was not, and the command that repeats it.
    #[test]
    fn the_page_says_it_all() {
        let page = write(&eventful());
        for expected in [
            "| a <small> fan-out | 900,000 deliveries/s | 0.90 | 0.85 of the bare loop and ahead of every peer | does",
            "| a <small> fan-out | 250 B | 900,000 | 1,000,000 | not measured | – | – |",
            "# Benchmarks\n\nWritten by `bench/run`.",
            "| connections | MangaHub |\n|---:|---:|\n| 1,000 | 5 |\n",
            "- cores: 2",
            "- Redis is not installed.",
        ] {
            assert!(page.contains(expected), "{expected} in {page}");
        }
    }
}
