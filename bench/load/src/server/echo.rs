//! Echo servers: `examples/echo.rs`, the bare loop's echo, or any program that does the same.
//!
//! Any will do that names its address at the end of its first line and ends on SIGTERM. How long it takes to begin
//! and to end is measured here, since only here it is known.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::process::{Process, must_exist};
use crate::client::Swarm;
use crate::error::{Doing, LoadError};

/// A running echo server.
pub struct Echo {
    process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    /// From starting the process until it took a connection.
    pub start_up: Duration,
    _folder: TempDir,
}

impl Echo {
    /// Starts the example of the reactor.
    pub fn start(program: &Path, core: Option<usize>) -> Result<Self, LoadError> {
        Self::serve(program, &["--tcp", "127.0.0.1:0"], core)
    }

    /// Starts the bare loop in its echo mode.
    pub fn start_bare(ceiling: &Path, core: Option<usize>) -> Result<Self, LoadError> {
        Self::serve(ceiling, &["echo", "--listen", "127.0.0.1:0"], core)
    }

    fn serve(program: &Path, arguments: &[&str], core: Option<usize>) -> Result<Self, LoadError> {
        must_exist(program)?;
        let folder = tempfile::tempdir().doing("make a folder")?;
        let begun = Instant::now();
        let mut process = Process::start(program, core, folder.path(), Stdio::piped(), |command| {
            command.args(arguments);
        })?;
        let address = process.announced()?;
        TcpStream::connect(address).doing("connect to an echo server")?;
        Ok(Self { process, address, start_up: begun.elapsed(), _folder: folder })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Tells it to end, and how long it took until it had. Those who are connected hear of it in `swarm`, and close
    /// as clients do: whoever does not is waited for.
    pub fn shut_down(mut self, swarm: &mut Swarm) -> Result<Duration, LoadError> {
        let begun = Instant::now();
        self.process.terminate();
        while !self.process.has_ended()? {
            if begun.elapsed() > END_MAX {
                return Err(LoadError::TimedOut("an echo server did not end on SIGTERM".to_owned()));
            }
            swarm.turn(Some(POLL_EVERY), |_, _| {})?;
        }
        Ok(begun.elapsed())
    }
}

/// The server's own drain limit is ten seconds.
const END_MAX: Duration = Duration::from_secs(12);

/// The shortest that the selector waits.
const POLL_EVERY: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that a program that is not there, and one that says nothing of an address, is no echo server.
    #[test]
    fn what_does_not_start_is_told() {
        assert!(matches!(Echo::start(Path::new("/nowhere/echo"), None).err(), Some(LoadError::Missing(_))));
        let silent = ["/bin/true", "/usr/bin/true"].iter().map(Path::new).find(|path| path.is_file()).unwrap();
        assert!(matches!(Echo::start(silent, None).err(), Some(LoadError::Missing(_))));
    }
}
