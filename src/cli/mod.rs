//! The command line: arguments, their help, and one file per group of commands.
//!
//! Commands write to the writers they are handed and return a [`Failure`] instead of exiting, so
//! that tests and `main` call the same functions. What a command does to the server's data lives
//! with the data, not here.

pub mod admin;
pub mod config;
pub mod ports_file;
pub mod reload;
pub mod serve;

use std::{env, io, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{Config, ConfigError};
use crate::serve::ServeError;

/// What the program was asked to do.
#[derive(Debug, Parser)]
#[command(name = "mangahub", version, about = ABOUT, after_help = EXAMPLES)]
pub struct Arguments {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// The command; without one the server starts.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options that every command takes.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Read this configuration file (TOML)
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one key, over file and environment; may be repeated
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE", value_parser = parse_set)]
    pub set: Vec<(String, String)>,
    /// Write the addresses to FILE as JSON once every listener is bound
    #[arg(long, global = true, value_name = "FILE")]
    pub ports_file: Option<PathBuf>,
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value_t)]
    pub output: Output,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the server (the same as no command)
    Serve,
    /// Check the configuration, or show what holds and why
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Manage accounts, with the server running or not
    #[command(subcommand)]
    Admin(admin::AdminCommand),
}

impl Global {
    /// The configuration that file, environment and flags make.
    pub fn load(&self, env: impl Iterator<Item = (String, String)>) -> Result<Config, ConfigError> {
        Config::load(self.config.as_deref(), env, &self.set)
    }
}

/// The process's environment. What is not Unicode is replaced, and then refused where it is used.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
}

/// How the program ended: the exit codes, all of them. `clap` ends with 2 by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Success = 0,
    /// Not done, for a reason without a code of its own.
    Failure = 1,
    /// The arguments or the configuration are wrong.
    Usage = 2,
    /// The credentials or the permissions are wrong.
    Auth = 3,
    /// What was named does not exist.
    NotFound = 4,
    /// It exists already, or has changed meanwhile.
    Conflict = 5,
    /// The server can't be reached, or a port can't be bound.
    Network = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked for: one line for a person, one code for a script.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// The code to exit with.
    pub exit: Exit,
    /// The line to print; empty when there is nobody left to read it.
    pub message: String,
}

impl Failure {
    /// A failure that says `message`.
    pub fn new(exit: Exit, message: impl ToString) -> Self {
        Self { exit, message: message.to_string() }
    }

    /// Prints the line, if any, and gives the code.
    pub fn report(&self, errors: &mut dyn io::Write) -> Exit {
        if !self.message.is_empty() {
            // Standard error may be closed; the exit code still tells.
            let _ = writeln!(errors, "✗ {}", self.message);
        }
        self.exit
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Usage, error)
    }
}

impl From<io::Error> for Failure {
    /// A reader that has seen enough (`| head`) is no failure.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Exit::Success, ""),
            _ => Self::new(Exit::Failure, error),
        }
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        let exit = match error {
            ServeError::Listen { .. } => Exit::Network,
            _ => Exit::Failure,
        };
        Self::new(exit, error)
    }
}

fn parse_set(text: &str) -> Result<(String, String), String> {
    let expected = || "expected section.key=value, such as limits.messages_per_second=0".to_owned();
    let (key, value) = text.split_once('=').ok_or_else(expected)?;
    if !key.contains('.') {
        return Err(expected());
    }
    Ok((key.trim().to_owned(), value.to_owned()))
}

const ABOUT: &str = "\
Keeps track of the manga people read, on all their devices at once.

Without a command the server starts, on this machine only, with all it keeps under ./data/.";

const EXAMPLES: &str = "\
Examples:
  mangahub                                          start with the defaults
  mangahub --config mangahub.toml                   start with a file
  mangahub --set http.listen=0.0.0.0:8080           start, with one key changed
  MANGAHUB_LIMITS_MESSAGES_PER_SECOND=0 mangahub    the same way through the environment
  mangahub config show                              every key, its value and where it came from
  mangahub config check --config mangahub.toml      find mistakes before a restart does
  mangahub admin create-user ann --email ann@example.org --role admin --password-stdin < password.txt

Exit codes: 0 done, 1 failed, 2 wrong arguments or configuration, 3 not allowed, 4 not found,
5 exists already or has changed, 6 network.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split_whitespace())
    }

    /// The declaration of the arguments is sound by clap's own checks.
    #[test]
    fn declaration_is_sound() {
        Arguments::command().debug_assert();
    }

    /// Global options are taken before and after the command, and `--set` repeats in order.
    #[test]
    fn global_options_anywhere() {
        let before = parse("mangahub --config a.toml --set a.b=1 --set c.d=x=y --output json config show").unwrap();
        let after = parse("mangahub config show --config a.toml --set a.b=1 --set c.d=x=y --output json").unwrap();
        for arguments in [before, after] {
            assert_eq!(arguments.global.config, Some(PathBuf::from("a.toml")));
            let pairs = [("a.b", "1"), ("c.d", "x=y")].map(|(key, value)| (key.to_owned(), value.to_owned()));
            assert_eq!(arguments.global.set, pairs);
            assert_eq!(arguments.global.output, Output::Json);
            assert!(matches!(arguments.command, Some(Command::Config(config::ConfigCommand::Show))));
        }
    }

    /// No command is the server, and `serve` says the same aloud.
    #[test]
    fn serving_is_the_default() {
        assert!(parse("mangahub --ports-file p.json").unwrap().command.is_none());
        assert!(matches!(parse("mangahub serve").unwrap().command, Some(Command::Serve)));
    }

    /// Wrong usage ends with code 2; help and version with 0.
    #[test]
    fn usage_errors_exit_with_two() {
        for wrong in
            ["mangahub fly", "mangahub --set x", "mangahub --set x=1", "mangahub config", "mangahub --output xml"]
        {
            assert_eq!(parse(wrong).unwrap_err().exit_code(), i32::from(Exit::Usage as u8), "{wrong}");
        }
        for right in ["mangahub --help", "mangahub --version", "mangahub admin create-user --help"] {
            assert_eq!(parse(right).unwrap_err().exit_code(), 0, "{right}");
        }
    }

    /// A closed pipe ends quietly with success; any other failure is one line with a cross.
    #[test]
    fn failures_are_one_line() {
        let mut errors = Vec::new();
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).report(&mut errors), Exit::Success);
        assert!(errors.is_empty());
        assert_eq!(Failure::new(Exit::Conflict, "the name is taken").report(&mut errors), Exit::Conflict);
        assert_eq!(String::from_utf8(errors).unwrap(), "✗ the name is taken\n");
    }
}
