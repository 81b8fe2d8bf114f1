//! What a process has used: its memory, its processor time. And what this process may use: cores, descriptors.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use crate::error::{Doing, LoadError};

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
}
