//! The command that measures everything and writes the page.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::show::Show;
use crate::error::{Doing, LoadError};
use crate::suite::{self, Places, Scale};

/// Everything, against the bare loop and the peers, as a Markdown page; `--html` and `--json=FILE` have the plots.
#[derive(Args)]
#[command(after_help = "\
Examples:
  mangahub-load suite --quick
  mangahub-load suite --only chat,udp
  mangahub-load suite --output docs/benchmarks.md
`bench/run` builds what is needed and calls it.")]
pub struct Suite {
    /// Under a minute, to see that it works; the numbers mean little.
    #[arg(long)]
    quick: bool,
    /// Only these parts.
    #[arg(long, value_name = "PART", value_delimiter = ',', value_parser = PossibleValuesParser::new(suite::sections()))]
    only: Vec<String>,
    /// Where the page is written; printed when not given.
    #[arg(long)]
    output: Option<PathBuf>,
    /// The server's binary; beside this one, if not given.
    #[arg(long)]
    server: Option<PathBuf>,
    /// A folder on a real disk for the servers' data; beside this binary, if not given.
    #[arg(long)]
    data: Option<PathBuf>,
    /// The script that writes the catalogue to search in.
    #[arg(long, default_value = "scripts/synthetic-catalogue")]
    catalogue_script: PathBuf,
}

impl Suite {
    /// Runs it.
    pub fn run(self, show: &Show) -> Result<(), LoadError> {
        let Self { quick, only, output, server, data, catalogue_script } = self;
        let own = std::env::current_exe().doing("find this binary")?;
        let places = Places {
            server: server.unwrap_or_else(|| own.with_file_name("mangahub")),
            ceiling: own.with_file_name("ceiling"),
            twin: own.with_file_name("twin-go"),
            data: data.unwrap_or_else(|| own.with_file_name("bench-data")),
            catalogue_script,
        };
        let (scale, command) = if quick { (Scale::QUICK, "bench/run --quick") } else { (Scale::FULL, "bench/run") };
        show.suite(&suite::run(&places, &scale, &only, command)?, output.as_deref())
    }
}
