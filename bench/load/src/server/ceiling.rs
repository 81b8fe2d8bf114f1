//! The bare loop, `bench/ceiling`: built beside the load generator, so it is always there.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::process::{Process, must_exist, pinned};
use crate::error::{Doing, LoadError};

/// The bare loop.
pub struct Ceiling {
    process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    _folder: TempDir,
}

impl Ceiling {
    /// Starts the bare loop in its fan-out mode.
    pub fn start(program: &Path, core: Option<usize>) -> Result<Self, LoadError> {
        let folder = tempfile::tempdir().doing("make a folder")?;
        Self::serve(program, core, folder, &["fanout".as_ref()])
    }

    /// The same, with every message in a file in `data`, and synced, before anyone hears it.
    pub fn start_journal(program: &Path, core: Option<usize>, data: &Path) -> Result<Self, LoadError> {
        let folder = tempfile::tempdir_in(data).doing("make a folder")?;
        let file = folder.path().join("journal");
        Self::serve(program, core, folder, &["fanout".as_ref(), "--journal".as_ref(), file.as_os_str()])
    }

    /// Starts the bare loop to accept, and count.
    pub fn start_accepts(program: &Path, core: Option<usize>) -> Result<Self, LoadError> {
        let folder = tempfile::tempdir().doing("make a folder")?;
        Self::serve(program, core, folder, &["accepts".as_ref()])
    }

    /// Starts the bare loop to answer every request with `response`.
    pub fn start_http(program: &Path, core: Option<usize>, response: &[u8]) -> Result<Self, LoadError> {
        let folder = tempfile::tempdir().doing("make a folder")?;
        let file = folder.path().join("response");
        std::fs::write(&file, response).doing("write a response")?;
        Self::serve(program, core, folder, &["http".as_ref(), "--response".as_ref(), file.as_os_str()])
    }

    /// Starts the bare loop of datagrams.
    pub fn start_udp(program: &Path, core: Option<usize>) -> Result<Self, LoadError> {
        let folder = tempfile::tempdir().doing("make a folder")?;
        Self::serve(program, core, folder, &["udp".as_ref()])
    }

    /// Starts `h2` alone, to answer every call with `message`, its five bytes included.
    pub fn start_h2(program: &Path, core: Option<usize>, message: &[u8]) -> Result<Self, LoadError> {
        let folder = tempfile::tempdir().doing("make a folder")?;
        let file = folder.path().join("message");
        std::fs::write(&file, message).doing("write a message")?;
        Self::serve(program, core, folder, &["h2".as_ref(), "--message".as_ref(), file.as_os_str()])
    }

    fn serve(program: &Path, core: Option<usize>, folder: TempDir, mode: &[&OsStr]) -> Result<Self, LoadError> {
        must_exist(program)?;
        let mut process = Process::start(program, core, folder.path(), Stdio::piped(), |command| {
            command.args(mode).args(["--listen", "127.0.0.1:0"]);
        })?;
        let address = process.announced()?;
        Ok(Self { process, address, _folder: folder })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Durable updates per second of SQLite alone, `count` of them in groups of 1,000, in a new folder in `data`.
    pub fn sqlite(program: &Path, core: Option<usize>, data: &Path, count: usize) -> Result<f64, LoadError> {
        let folder = tempfile::tempdir_in(data).doing("make a data folder")?;
        Self::number(program, core, "updates_per_second ", |command| {
            command.arg("sqlite").arg("--dir").arg(folder.path());
            command.args(["--groups-of", "1000", "--count", &count.to_string()]);
        })
    }

    /// Password checks per second of bcrypt alone, on one thread.
    pub fn bcrypt(program: &Path, core: Option<usize>, cost: u32, seconds: f64) -> Result<f64, LoadError> {
        Self::number(program, core, "checks_per_second ", |command| {
            command.args(["bcrypt", "--cost", &cost.to_string(), "--seconds", &seconds.to_string()]);
        })
    }

    /// Runs the ceiling to its end, and returns the number that it prints behind `name`.
    fn number(
        program: &Path,
        core: Option<usize>,
        name: &str,
        work: impl FnOnce(&mut Command),
    ) -> Result<f64, LoadError> {
        must_exist(program)?;
        let mut command = pinned(program, core);
        work(&mut command);
        let output = command.output().doing("run the ceiling")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let number = text.strip_prefix(name).and_then(|number| number.trim().parse().ok());
        number.ok_or_else(|| LoadError::Wrong(format!("the ceiling: {}", String::from_utf8_lossy(&output.stderr))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that a program that is not there is told apart from one that fails.
    #[test]
    fn a_missing_program_is_missing() {
        let start = Ceiling::start(Path::new("/nowhere/ceiling"), None);
        assert!(matches!(start.err(), Some(LoadError::Missing(_))));
    }
}
