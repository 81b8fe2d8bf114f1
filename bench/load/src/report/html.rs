//! The report as one page that needs nothing else: no script, no style and no picture from anywhere.
//!
//! Every plot has its numbers below it as a table, for whoever can't see it or wants to know exactly. Whatever comes
//! from outside (names of processors, messages of programs) is escaped.

use std::fmt::Write;

use super::chart::Chart;
use super::plot::{self, Drawn};
use super::table::{self, Table};
use super::{Report, Verdict, decimal};

/// The whole page.
pub fn write(report: &Report) -> Drawn<String> {
    let mut page = format!("{}<style>{STYLE}</style>\n", PROLOGUE.replace("{title}", &escape(&report.title)));
    // Writing to a String can't fail.
    let _ = writeln!(page, "<main>\n<h1>{}</h1>", escape(&report.title));
    report.about.split("\n\n").for_each(|text| page.push_str(&format!("<p>{}</p>\n", with_code(text))));
    let _ = writeln!(page, "<pre>{}</pre>", escape(&report.command));
    write_machine(report, &mut page);
    write_rows(report, &mut page);
    for (at, chart) in report.all_charts().iter().enumerate() {
        write_chart(chart, at, &mut page)?;
    }
    if !report.notes.is_empty() {
        page.push_str("<h2>Notes</h2>\n<ul>\n");
        report.notes.iter().for_each(|note| page.push_str(&format!("<li>{}</li>\n", with_code(note))));
        page.push_str("</ul>\n");
    }
    page.push_str("</main>\n</html>\n");
    Ok(page)
}

fn write_machine(report: &Report, page: &mut String) {
    if report.machine.is_empty() {
        return;
    }
    page.push_str("<h2>Machine and versions</h2>\n<dl>\n");
    for (name, value) in &report.machine {
        let _ = writeln!(page, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
    }
    page.push_str("</dl>\n");
}

fn write_rows(report: &Report, page: &mut String) {
    page.push_str("<h2>Numbers</h2>\n<div class=\"wide\"><table>\n");
    let asked = report.rows.iter().any(|row| row.verdict != Verdict::NoFloor);
    page.push_str("<tr><th>work</th><th>number</th>");
    page.push_str(if asked { "<th>ratio</th><th>floor</th><th>met?</th></tr>\n" } else { "</tr>\n" });
    for row in &report.rows {
        let _ = write!(page, "<tr><th scope=\"row\">{}</th><td>{}</td>", escape(&row.work), escape(&row.number));
        if asked {
            let (ratio, floor, verdict) = (decimal(row.ratio), escape(&row.floor), row.verdict);
            let _ = write!(page, "<td>{ratio}</td><td>{floor}</td><td{}>{}</td>", class(verdict), verdict.words());
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table></div>\n");
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Met => " class=\"met\"",
        Verdict::Missed => " class=\"missed\"",
        _ => "",
    }
}

/// The picture with its legend, and its numbers.
fn write_chart(chart: &Chart, at: usize, page: &mut String) -> Drawn<()> {
    let (title, about) = (escape(&chart.title), with_code(&chart.about));
    let _ = writeln!(page, "<section>\n<h2 id=\"chart-{at}\">{title}</h2>\n<p>{about}</p>\n<p class=\"legend\">");
    for (line, at) in chart.lines.iter().zip(chart.colours()) {
        let colour = at.min(plot::COLOURS);
        let _ = writeln!(page, "<span><i style=\"background:var(--c{colour})\"></i>{}</span>", escape(&line.name));
    }
    let says = format!("{}: {} by {}. The numbers are in the table below.", chart.title, chart.y, chart.x);
    let named = format!("<svg role=\"img\" aria-label=\"{}\" ", escape(&says));
    let picture = plot::svg(chart)?.replacen("<svg ", &named, 1);
    let _ = writeln!(page, "</p>\n<div class=\"wide plot\">{picture}</div>\n<details><summary>The numbers</summary>");
    write_table(&table::of(chart), page);
    page.push_str("</details>\n</section>\n");
    Ok(())
}

fn write_table(table: &Table, page: &mut String) {
    page.push_str("<div class=\"wide\"><table>\n<tr>");
    table.heads.iter().for_each(|head| page.push_str(&format!("<th>{}</th>", escape(head))));
    page.push_str("</tr>\n");
    for row in &table.rows {
        page.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            let (open, close) = if at == 0 { ("<th scope=\"row\">", "</th>") } else { ("<td>", "</td>") };
            let _ = write!(page, "{open}{}{close}", escape(cell));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table></div>\n");
}

/// Text as it may stand in the page, in an attribute as well.
fn escape(text: &str) -> String {
    let replaced = |letter: char| match letter {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        _ => None,
    };
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match replaced(letter) {
            Some(entity) => escaped.push_str(entity),
            None => escaped.push(letter),
        }
    }
    escaped
}

/// The same, with what stands between backticks as code.
fn with_code(text: &str) -> String {
    let mut page = String::new();
    for (at, part) in text.split('`').enumerate() {
        match at % 2 {
            0 => page.push_str(&escape(part)),
            _ => page.push_str(&format!("<code>{}</code>", escape(part))),
        }
    }
    page
}

const PROLOGUE: &str = "<!DOCTYPE html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<meta name=\"color-scheme\" content=\"light dark\">
<title>{title}</title>
";

/// The colours keep apart for most who see colours differently; the first two are the server and the ceiling.
const STYLE: &str = include_str!("page.css");

#[cfg(test)]
mod tests {
    use super::super::tests::eventful;
    use super::*;

    /// Shows that the page has every part, with what came from outside escaped.
    #[test]
    fn the_page_says_it_all() {
        let page = write(&eventful()).unwrap();
        for expected in [
            "<title>Benchmarks</title>",
            "<p>Written by <code>bench/run</code>.</p>",
            "<dt>cores</dt><dd>2</dd>",
            "a &lt;small&gt; fan-out",
            "<td>does not count: a peer was not measured</td>",
            "<summary>The numbers</summary>",
            "<li>Redis is not installed.</li>",
        ] {
            assert!(page.contains(expected), "{expected} in {page}");
        }
        assert_eq!(page.matches("<svg role=\"img\" aria-label=").count(), 4);
        assert!(!page.contains("<small>"));
    }

    /// Shows that nothing is loaded from anywhere and nothing runs.
    #[test]
    fn the_page_stands_alone() {
        let page = write(&eventful()).unwrap().replace("http://www.w3.org/2000/svg", "");
        for foreign in ["<script", "<link", "<img", "src=", "http:", "https:", "@import", "url("] {
            assert!(!page.contains(foreign), "{foreign}");
        }
    }
}
