//! The processes under load: started, pinned to a core, looked at and stopped.
//!
//! [`MangaHub`] is the server, [`Ceiling`] the bare loop, [`Redis`] the peer. Each listens on a port that the
//! system chose and on loopback only, keeps its files in a folder that goes with it, and never outlives its
//! value: dropping one stops it. A program that is not installed is [`LoadError::Missing`].

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde::Deserialize;
use tempfile::TempDir;
use uuid::Uuid;

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
    fn start(
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
    fn wait_for<T>(&mut self, mut ready: impl FnMut() -> Option<T>) -> Result<T, LoadError> {
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

    /// SIGTERM, and SIGKILL when that is not enough.
    fn stop(&mut self) {
        let pid = Pid::from_raw(self.child.id() as i32);
        let _ = pid.map(|pid| rustix::process::kill_process(pid, Signal::TERM));
        let end = Instant::now() + STOP_MAX;
        while Instant::now() < end {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(POLL_EVERY),
                _ => return,
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The server, with limits on rates off and a fresh store.
pub struct MangaHub {
    process: Process,
    /// Where it listens.
    pub ports: Ports,
    /// What its tokens are signed with.
    pub secret: String,
    _folder: TempDir,
}

/// The ports file, as far as it is used.
#[derive(Debug, Clone, Deserialize)]
pub struct Ports {
    http: Vec<SocketAddr>,
    tcp_v1: Vec<SocketAddr>,
    /// Not every server has one.
    #[serde(default)]
    udp_v1: Vec<SocketAddr>,
    /// Likewise.
    #[serde(default)]
    grpc: Vec<SocketAddr>,
    internal: Vec<SocketAddr>,
}

impl MangaHub {
    /// Starts the server with its data in a new folder in `data`, and `settings` (name, value) on top.
    pub fn start(
        program: &Path,
        core: Option<usize>,
        data: &Path,
        settings: &[(&str, &str)],
    ) -> Result<Self, LoadError> {
        must_exist(program)?;
        let folder = tempfile::tempdir_in(data).doing("make a data folder")?;
        let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let (path, ports_file) = (folder.path(), folder.path().join("ports.json"));
        let store = format!("sqlite:{}", path.join("mangahub.db").display());
        let mut process = Process::start(program, core, path, Stdio::null(), |command| {
            command.arg("--ports-file").arg(&ports_file);
            command.env("MANGAHUB_STORE_URL", &store).env("MANGAHUB_SERVER_DATA_DIR", path);
            command.env("MANGAHUB_AUTH_SECRET", &secret);
            command.envs(SETTINGS.iter().copied()).envs(settings.iter().copied());
        })?;
        // The file may be read half written; then it does not parse, and is read again.
        let ports = process.wait_for(|| serde_json::from_slice(&std::fs::read(&ports_file).ok()?).ok())?;
        Ok(Self { process, ports, secret, _folder: folder })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Where v1 TCP clients connect.
    pub fn tcp(&self) -> Result<SocketAddr, LoadError> {
        self.ports.tcp_v1.first().copied().ok_or_else(|| LoadError::Missing("no TCP listener".to_owned()))
    }

    /// Where HTTP clients connect.
    pub fn http(&self) -> Result<SocketAddr, LoadError> {
        self.ports.http.first().copied().ok_or_else(|| LoadError::Missing("no HTTP listener".to_owned()))
    }

    /// Where v1 UDP clients register.
    pub fn udp(&self) -> Result<SocketAddr, LoadError> {
        self.ports.udp_v1.first().copied().ok_or_else(|| LoadError::Missing("no UDP listener".to_owned()))
    }

    /// Where gRPC clients connect.
    pub fn grpc(&self) -> Result<SocketAddr, LoadError> {
        self.ports.grpc.first().copied().ok_or_else(|| LoadError::Missing("no gRPC listener".to_owned()))
    }

    /// Where programs beside the server tell it things.
    pub fn internal(&self) -> Result<SocketAddr, LoadError> {
        self.ports.internal.first().copied().ok_or_else(|| LoadError::Missing("no internal listener".to_owned()))
    }
}

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
        let mut line = String::new();
        if let Some(stdout) = process.child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).doing("read the ceiling's address")?;
        }
        let address = line.strip_prefix("listening ").and_then(|address| address.trim().parse().ok());
        let address = address.ok_or_else(|| LoadError::Missing(format!("the ceiling did not start: {line}")))?;
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

/// Redis, keeping nothing on disk.
pub struct Redis {
    _process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    _folder: TempDir,
}

impl Redis {
    /// Starts Redis with nothing between it and its sockets: no snapshots, no log, no limit on subscribers.
    pub fn start(core: Option<usize>) -> Result<Self, LoadError> {
        let program = Path::new("redis-server");
        must_exist(program)?;
        let folder = tempfile::tempdir().doing("make a folder")?;
        let address = free_port()?;
        let mut process = Process::start(program, core, folder.path(), Stdio::null(), |command| {
            command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string()]);
            command.args(["--save", "", "--appendonly", "no", "--protected-mode", "no"]);
            command.args(["--client-output-buffer-limit", "pubsub 0 0 0"]);
            command.arg("--dir").arg(folder.path());
        })?;
        process.wait_for(|| redis_answers(address))?;
        Ok(Self { _process: process, address, _folder: folder })
    }
}

fn redis_answers(address: SocketAddr) -> Option<()> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(START_MAX)).ok()?;
    stream.write_all(b"PING\r\n").ok()?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).ok()?;
    (&answer == b"+PONG\r\n").then_some(())
}

/// A port that was free a moment ago. Redis can't choose one by itself.
fn free_port() -> Result<SocketAddr, LoadError> {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).doing("find a free port")
}

fn pinned(program: &Path, core: Option<usize>) -> Command {
    let Some(core) = core else { return Command::new(program) };
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

/// `taskset` would start, and then fail to find the program; so it is looked for here.
fn must_exist(program: &Path) -> Result<(), LoadError> {
    let found = match program.parent() {
        Some(parent) if parent.as_os_str().is_empty() => version_of(program).is_some(),
        _ => program.is_file(),
    };
    if found {
        Ok(())
    } else {
        Err(LoadError::Missing(format!("{} is not there", program.file_name().unwrap_or_default().display())))
    }
}

/// The first line of `program --version`, if it can be run.
pub fn version_of(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned)
}

/// Binds this process to one core.
pub fn pin_self(core: usize) -> Result<(), LoadError> {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(core);
    rustix::thread::sched_setaffinity(None, &cores).doing("pin this process to a core")
}

/// Raises the limit on descriptors to what the system allows.
pub fn raise_descriptor_limit() -> Result<(), LoadError> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).doing("raise the limit on descriptors")
}

/// The process's anonymous memory in bytes, once it has not moved for a while.
pub fn settled_rss_anon_bytes(pid: u32) -> Result<u64, LoadError> {
    let end = Instant::now() + SETTLE_MAX;
    let (mut last, mut steady) = (rss_anon_bytes(pid)?, 0);
    while steady < SETTLED_READINGS && Instant::now() < end {
        std::thread::sleep(SETTLE_EVERY);
        let now = rss_anon_bytes(pid)?;
        steady = if now == last { steady + 1 } else { 0 };
        last = now;
    }
    Ok(last)
}

/// The processor time that a process has used.
pub fn processor_time(pid: u32) -> Result<Duration, LoadError> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).doing("read the times of a process")?;
    let ticks = ticks_of(&stat).ok_or_else(|| LoadError::Wrong("the times of a process can't be read".to_owned()))?;
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// The ticks in user and system mode, the 14th and 15th field; the second may have spaces within its brackets.
fn ticks_of(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

fn rss_anon_bytes(pid: u32) -> Result<u64, LoadError> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).map_err(|error| match error.kind() {
        ErrorKind::NotFound => LoadError::Missing(format!("there is no process {pid}")),
        _ => LoadError::Io { doing: "read the status of a process".to_owned(), source: error },
    })?;
    kib_field(&status, "RssAnon:").ok_or_else(|| LoadError::Wrong("the status names no RssAnon".to_owned()))
}

/// A field like `RssAnon:   123 kB`, in bytes.
fn kib_field(status: &str, name: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// What every measurement of the server shares: no rates limited, cheap registrations, ports by the system.
const SETTINGS: &[(&str, &str)] = &[
    ("MANGAHUB_HTTP_LISTEN", "127.0.0.1:0"),
    ("MANGAHUB_TCP_V1_LISTEN", "127.0.0.1:0"),
    ("MANGAHUB_TCP_V2_LISTEN", "127.0.0.1:0"),
    ("MANGAHUB_UDP_V1", "127.0.0.1:0"),
    ("MANGAHUB_UDP_V2", "127.0.0.1:0"),
    ("MANGAHUB_GRPC_LISTEN", "127.0.0.1:0"),
    ("MANGAHUB_INTERNAL_LISTEN", "127.0.0.1:0"),
    ("MANGAHUB_LIMITS_MESSAGES_PER_SECOND", "0"),
    ("MANGAHUB_LIMITS_CONNECTIONS_PER_USER", "0"),
    ("MANGAHUB_TCP_BROADCASTS_PER_SECOND", "0"),
    ("MANGAHUB_AUTH_BCRYPT_COST", "4"),
];

/// A program that takes longer to start has failed. The first start with 100,000 series indexes them
/// for a minute or two.
const START_MAX: Duration = Duration::from_secs(300);

/// The server's own drain limit is ten seconds; beyond it we kill.
const STOP_MAX: Duration = Duration::from_secs(12);

const POLL_EVERY: Duration = Duration::from_millis(10);

/// Memory has settled after this many equal readings ...
const SETTLED_READINGS: usize = 5;

/// ... this far apart ...
const SETTLE_EVERY: Duration = Duration::from_millis(40);

/// ... and is taken as it is after this long.
const SETTLE_MAX: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that a field of a status file comes out in bytes, and a missing one as nothing.
    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tx\nVmRSS:\t    900 kB\nRssAnon:\t    120 kB\nRssFile:\t 4 kB\n";
        assert_eq!(kib_field(status, "RssAnon:"), Some(120 * 1024));
        assert_eq!(kib_field(status, "RssShmem:"), None);
    }

    /// Shows that the times are found behind a name with spaces and brackets, and our own in the system.
    #[test]
    fn times_are_read_in_ticks() {
        assert_eq!(ticks_of("7 (a (b) c) S 1 7 7 0 -1 4194560 90 0 0 0 30 12 0 0 20 0 1 0 5 6 7"), Some(42));
        assert_eq!(ticks_of("7 (a) S 1"), None);
        assert!(processor_time(std::process::id()).is_ok());
    }

    /// Shows that memory of a live process is found, by reading our own, and that a dead id is named.
    #[test]
    fn own_memory_is_not_nothing() {
        assert!(rss_anon_bytes(std::process::id()).unwrap() > 0);
        assert!(matches!(rss_anon_bytes(u32::MAX / 2), Err(LoadError::Missing(_))));
    }

    /// Shows that a program that is not there is told apart from one that fails.
    #[test]
    fn a_missing_program_is_missing() {
        let start = Ceiling::start(Path::new("/nowhere/ceiling"), None);
        assert!(matches!(start.err(), Some(LoadError::Missing(_))));
    }
}
