//! Where the numbers of a run go: a line of text, JSON, or a page with plots.
//!
//! The same flags for every scenario and for the suite. What they contain is decided in [`report`](crate::report).

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::drive::Outcome;
use crate::error::{Doing, LoadError};
use crate::report::{Report, html, json, markdown};

/// What the user asked for.
#[derive(Debug, Default, Args)]
pub struct Show {
    /// Print the numbers as JSON instead of text; with `--json=FILE`, write them to a file.
    #[arg(long, global = true, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    json: Option<PathBuf>,
    /// Write the numbers and their plots as one HTML page.
    #[arg(long, global = true, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl Show {
    /// Shows what was measured; `text` says it to people.
    pub fn print(&self, outcome: &impl Serialize, text: &str) -> Result<(), LoadError> {
        match &self.json {
            Some(file) if prints(file) => println!("{}", serde_json::to_string(outcome).map_err(unreadable)?),
            Some(file) => write(file, &serde_json::to_string_pretty(outcome).map_err(unreadable)?)?,
            None => println!("{text}"),
        }
        self.page(&Report::of_outcome("One scenario", &command(), outcome).map_err(unreadable)?)
    }

    /// Shows an outcome, which is an error if anything of it failed: numbers of what was lost are for looking at.
    pub fn outcome(&self, outcome: &Outcome) -> Result<(), LoadError> {
        self.print(outcome, &outcome.to_string())?;
        none_failed(outcome)
    }

    /// Shows what the suite found: as Markdown in `output` or printed, unless JSON is to be printed.
    pub fn suite(&self, report: &Report, output: Option<&Path>) -> Result<(), LoadError> {
        match &self.json {
            Some(file) if prints(file) => print!("{}", json::write(report).map_err(unreadable)?),
            Some(file) => write(file, &json::write(report).map_err(unreadable)?)?,
            None if output.is_none() => print!("{}", markdown::write(report)),
            None => {}
        }
        if let Some(file) = output {
            write(file, &markdown::write(report))?;
        }
        self.page(report)
    }

    fn page(&self, report: &Report) -> Result<(), LoadError> {
        let Some(file) = &self.html else { return Ok(()) };
        let drawn = html::write(report);
        write(file, &drawn.map_err(|error| LoadError::Wrong(format!("could not draw a plot: {error}")))?)
    }
}

/// The processor time of a delivery, to go behind a number, where it is known.
pub fn processor_time(us: Option<f64>) -> String {
    us.map_or_else(String::new, |us| format!("; server: {us:.3} µs of processor time for a delivery"))
}

/// Whether everything was answered as it should be.
pub fn none_failed(outcome: &Outcome) -> Result<(), LoadError> {
    match outcome.failed() {
        0 => Ok(()),
        failed => Err(LoadError::Wrong(format!("{failed} operations failed"))),
    }
}

fn write(file: &Path, text: &str) -> Result<(), LoadError> {
    std::fs::write(file, text).doing(&format!("write {}", file.display()))?;
    // Standard output may be somebody's JSON.
    eprintln!("wrote {}", file.display());
    Ok(())
}

fn prints(file: &Path) -> bool {
    file == Path::new("-")
}

/// What was typed, but for secrets and tokens.
fn command() -> String {
    let mut words: Vec<String> = vec!["mangahub-load".to_owned()];
    let mut hidden = false;
    for word in std::env::args().skip(1) {
        let secret = ["--secret", "--token"].iter().find(|name| word.starts_with(**name));
        words.push(match secret {
            _ if hidden => "…".to_owned(),
            Some(name) if word.contains('=') => format!("{name}=…"),
            _ => word.clone(),
        });
        hidden = secret.is_some() && !word.contains('=');
    }
    words.join(" ")
}

fn unreadable(error: serde_json::Error) -> LoadError {
    LoadError::Wrong(format!("could not write the numbers as JSON: {error}"))
}
