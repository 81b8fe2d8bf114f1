//! An echo server as a child process: how long it takes to begin and to end, and a value that ends it.
//!
//! Any program will do that names its address at the end of a line on standard output, as `examples/echo.rs` and
//! `ceiling echo` do, and ends on SIGTERM.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::error::{Doing, LoadError};
use crate::guard;

/// A running echo server.
pub struct Program {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// From starting the process until it took a connection.
    pub start_up: Duration,
}

impl Program {
    /// Starts `program`, on one core if one is given, and waits until it takes connections.
    pub fn start(program: &Path, arguments: &[&str], core: Option<usize>) -> Result<Self, LoadError> {
        if !program.is_file() {
            let name = program.display();
            return Err(LoadError::Missing(format!("{name} is not there; `cargo build --release --example echo`")));
        }
        let begun = Instant::now();
        let child = on_core(program, core)
            .args(arguments)
            // A pipe that closes with us: the bare loop ends by it even if we are killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .doing("start an echo server")?;
        // From here on dropping it ends the process.
        let mut program = Self { child, address: ([127, 0, 0, 1], 0).into(), start_up: Duration::ZERO };
        program.address = program.announced()?;
        guard::check(program.address)?;
        TcpStream::connect(program.address).doing("connect to an echo server")?;
        program.start_up = begun.elapsed();
        Ok(program)
    }

    /// The address at the end of its first line.
    fn announced(&mut self) -> Result<SocketAddr, LoadError> {
        let mut line = String::new();
        if let Some(stdout) = self.child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).doing("read an echo server's address")?;
        }
        let address = line.split_ascii_whitespace().next_back().and_then(|address| address.parse().ok());
        address.ok_or_else(|| LoadError::Missing(format!("an echo server did not start: {}", line.trim())))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to end, and how long it took until it had.
    pub fn shut_down(mut self) -> Result<Duration, LoadError> {
        let begun = Instant::now();
        self.terminate();
        while self.child.try_wait().doing("look at a process")?.is_none() {
            if begun.elapsed() > END_MAX {
                return Err(LoadError::TimedOut("an echo server did not end on SIGTERM".to_owned()));
            }
            std::thread::sleep(POLL_EVERY);
        }
        Ok(begun.elapsed())
    }

    fn terminate(&self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
    }
}

impl Drop for Program {
    /// Nothing of it is worth keeping. One that has ended already is only waited for.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn on_core(program: &Path, core: Option<usize>) -> Command {
    let Some(core) = core else { return Command::new(program) };
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

/// The server's own drain limit is ten seconds.
const END_MAX: Duration = Duration::from_secs(12);

/// A tenth of what a shutdown takes.
const POLL_EVERY: Duration = Duration::from_micros(200);

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that a program that is not there, and one that says nothing of an address, are told apart from one that
    /// runs.
    #[test]
    fn what_does_not_start_is_told() {
        assert!(matches!(Program::start(Path::new("/nowhere/echo"), &[], None).err(), Some(LoadError::Missing(_))));
        let echo = ["/bin/echo", "/usr/bin/echo"].iter().map(Path::new).find(|path| path.is_file()).unwrap();
        assert!(matches!(Program::start(echo, &["no", "address"], None).err(), Some(LoadError::Missing(_))));
    }
}
