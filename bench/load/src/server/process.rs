//! A program under load: started on one core, waited for, and ended with its value.
//!
//! Its standard error is kept, to be shown when it does not start. Nothing here knows what the program is.
//! What must hold: no program outlives its [`Process`], and a program that is not installed is
//! [`LoadError::Missing`], told apart from one that fails.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::error::{Doing, LoadError};

/// A child process that ends with its value.
pub struct Process {
    name: String,
    child: Child,
    /// Where its standard error goes, to be shown when it fails.
    errors: PathBuf,
}

impl Process {
    /// Starts `program` on one core when one is given. Its standard output is read by the caller or thrown away.
    pub fn start(
        program: &Path,
        core: Option<usize>,
        folder: &Path,
        stdout: Stdio,
        set_up: impl FnOnce(&mut Command),
    ) -> Result<Self, LoadError> {
        let name = program.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let errors = folder.join(format!("{name}.stderr"));
        let stderr = File::create(&errors).doing("create a log file")?;
        let mut command = pinned(program, core);
        // A pipe that closes with us: `ceiling` ends by it even if we are killed.
        command.stdin(Stdio::piped()).stdout(stdout).stderr(stderr);
        set_up(&mut command);
        let child = command.spawn().doing(&format!("start {name}"))?;
        Ok(Self { name, child, errors })
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks `ready` until it has an answer, the process ends or the start takes too long.
    pub fn wait_for<T>(&mut self, mut ready: impl FnMut() -> Option<T>) -> Result<T, LoadError> {
        let end = Instant::now() + START_MAX;
        loop {
            if let Some(answer) = ready() {
                return Ok(answer);
            }
            let ended = self.child.try_wait().doing("look at a process")?;
            if ended.is_some() || Instant::now() > end {
                let said = std::fs::read_to_string(&self.errors).unwrap_or_default();
                let tail = said.lines().rev().take(5).collect::<Vec<_>>().join(" | ");
                return Err(LoadError::Missing(format!("{} did not start: {tail}", self.name)));
            }
            std::thread::sleep(POLL_EVERY);
        }
    }

    /// Waits until somebody listens at `address`.
    pub fn wait_for_port(&mut self, address: SocketAddr) -> Result<(), LoadError> {
        self.wait_for(|| TcpStream::connect(address).ok().map(drop))
    }

    /// The address at the end of its first line, `listening 127.0.0.1:1234`. It needs a piped output.
    pub fn announced(&mut self) -> Result<SocketAddr, LoadError> {
        let mut line = String::new();
        if let Some(stdout) = self.child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).doing("read an address")?;
        }
        let address = line.split_ascii_whitespace().next_back().and_then(|address| address.parse().ok());
        address.ok_or_else(|| LoadError::Missing(format!("{} did not start: {line}", self.name)))
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        let pid = Pid::from_raw(self.child.id() as i32);
        let _ = pid.map(|pid| rustix::process::kill_process(pid, Signal::TERM));
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> Result<bool, LoadError> {
        Ok(self.child.try_wait().doing("look at a process")?.is_some())
    }

    /// SIGTERM, unless it has ended by itself, and SIGKILL when that is not enough.
    fn stop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        self.terminate();
        end_within(&mut self.child, STOP_MAX);
    }
}

/// Waits until a process that was told to end has ended, and kills it when that takes longer than `most`.
pub fn end_within(child: &mut Child, most: Duration) {
    let end = Instant::now() + most;
    while Instant::now() < end {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(POLL_EVERY),
            _ => return,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A port that was free a moment ago. Most peers can't choose one by themselves.
pub fn free_port() -> Result<SocketAddr, LoadError> {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).doing("find a free port")
}

/// The command that runs `program` on one core, when one is given.
pub fn pinned(program: &Path, core: Option<usize>) -> Command {
    let Some(core) = core else { return Command::new(program) };
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

/// The program's path. `taskset` would start, and then fail to find it; so it is looked for here.
pub fn must_exist(program: &Path) -> Result<PathBuf, LoadError> {
    let places = match program.parent() {
        Some(parent) if parent.as_os_str().is_empty() => search_path(),
        _ => vec![PathBuf::new()],
    };
    let found = places.into_iter().map(|place| place.join(program)).find(|path| path.is_file());
    found.ok_or_else(|| {
        LoadError::Missing(format!("{} is not there", program.file_name().unwrap_or_default().display()))
    })
}

/// Like [`must_exist`], and names the Debian package otherwise.
pub fn installed(program: &str, package: &str) -> Result<PathBuf, LoadError> {
    must_exist(Path::new(program))
        .map_err(|_| LoadError::Missing(format!("{program} is not installed (Debian package {package})")))
}

/// `PATH`, and where Debian puts servers, which an ordinary user's path leaves out.
fn search_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(["/usr/local/sbin".into(), "/usr/sbin".into()]).collect()
}

/// The first line of what `program` says of itself when asked with `flag`, if it can be run.
pub fn version_of(program: &Path, flag: &str) -> Option<String> {
    let output = Command::new(must_exist(program).ok()?).arg(flag).stdin(Stdio::null()).output().ok()?;
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).lines().find(|line| !line.is_empty()).map(str::to_owned)
}

/// A program that takes longer to start has failed. The first start with 100,000 series indexes them
/// for a minute or two.
pub const START_MAX: Duration = Duration::from_secs(300);

/// The server's own drain limit is ten seconds; beyond it we kill.
const STOP_MAX: Duration = Duration::from_secs(12);

const POLL_EVERY: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that a program that is not installed is missing, with the package that has it, and that others are found.
    #[test]
    fn a_missing_program_names_its_package() {
        let said = installed("no-such-program", "no-such-package").unwrap_err().to_string();
        assert_eq!(said, "no-such-program is not installed (Debian package no-such-package)");
        assert!(installed("sh", "dash").is_ok_and(|path| path.is_absolute()));
        assert!(must_exist(Path::new("/nowhere/sh")).is_err());
    }

    /// Shows that what never listens, because it ends, is told with what it said.
    #[test]
    fn a_program_that_fails_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let script = |command: &mut Command| {
            command.args(["-c", "echo broken >&2; exit 1"]);
        };
        let mut process = Process::start(Path::new("sh"), None, folder.path(), Stdio::null(), script).unwrap();
        let said = process.wait_for(|| None::<()>).unwrap_err().to_string();
        assert_eq!(said, "sh did not start: broken");
    }
}
