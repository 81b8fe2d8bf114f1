//! One call over and over, on many connections: `h2load` asks, as fast as it gets answers.
//!
//! The load is a program of its own because it is the one that others measure with. It looks at the HTTP status only,
//! so the bytes it received are held against what so many right answers have.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use serde::Serialize;

use crate::error::{Doing, LoadError};
use crate::grpc::Call;
use crate::guard;

/// What a run of `h2load` showed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Flood {
    /// Answers per second.
    pub calls_per_second: f64,
}

/// Makes `call` on `connections`, `streams` at a time on each; a right answer's message has `answer_bytes`, the five
/// before it included.
pub fn run(
    address: SocketAddr,
    call: &Call,
    answer_bytes: usize,
    connections: usize,
    streams: usize,
    seconds: f64,
) -> Result<Flood, LoadError> {
    guard::check(address)?;
    // h2load knows whole seconds only.
    let seconds = seconds.clamp(1.0, 600.0).ceil();
    let mut body = tempfile::NamedTempFile::new().doing("make a file")?;
    body.write_all(&call.frame).doing("write a request")?;
    let mut command = Command::new("h2load");
    command.args([format!("-c{}", connections.max(1)), format!("-m{}", streams.max(1)), format!("-D{seconds}")]);
    command.args(["-t1", "-H", "content-type: application/grpc", "-H", "te: trailers"]);
    if let Some(token) = &call.token {
        command.args(["-H", &format!("authorization: Bearer {token}")]);
    }
    command.arg("-d").arg(body.path()).arg(format!("http://{address}/{}", call.method));
    let output = command.stdin(Stdio::null()).output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => LoadError::Missing("h2load is not installed (Debian package nghttp2-client)".to_owned()),
        _ => LoadError::Io { doing: "start h2load".to_owned(), source: error },
    })?;
    match output.status.success() {
        true => read(&String::from_utf8_lossy(&output.stdout), answer_bytes),
        false => Err(LoadError::Wrong(format!("h2load: {}", String::from_utf8_lossy(&output.stderr).trim()))),
    }
}

/// The number in what `h2load` prints, unless an answer was missing or not as long as it should be.
fn read(said: &str, answer_bytes: usize) -> Result<Flood, LoadError> {
    let wrong = |what: &str| LoadError::Wrong(format!("h2load: {what}"));
    let line = |name: &str| said.lines().find(|line| line.starts_with(name)).ok_or_else(|| wrong("no answer"));
    let rate = line("finished in")?.split(", ").find_map(|part| part.strip_suffix(" req/s")?.parse().ok());
    let calls_per_second = rate.filter(|rate| *rate > 0.0).ok_or_else(|| wrong("no rate"))?;
    let statuses = line("status codes:")?;
    let good = number_before(statuses, " 2xx").ok_or_else(|| wrong(statuses))?;
    let others = [" 3xx", " 4xx", " 5xx"].iter().filter_map(|kind| number_before(statuses, kind)).sum::<u64>();
    let requests = line("requests:")?;
    let failed =
        [" failed", " errored", " timeout"].iter().filter_map(|kind| number_before(requests, kind)).sum::<u64>();
    if good == 0 || others + failed > 0 {
        return Err(wrong(&format!("{requests}; {statuses}")));
    }
    let received = line("traffic:")?.rsplit_once('(').and_then(|(_, data)| data.strip_suffix(") data")?.parse().ok());
    let received: u64 = received.ok_or_else(|| wrong("no traffic"))?;
    // Answers on their way at the end are counted in one number and not in the other.
    let expected = good * answer_bytes as u64;
    if received.abs_diff(expected) > expected / 100 + STRAGGLERS * answer_bytes as u64 {
        return Err(wrong(&format!("{received} bytes in {good} answers of {answer_bytes}")));
    }
    Ok(Flood { calls_per_second })
}

/// The number right before `word`.
fn number_before(line: &str, word: &str) -> Option<u64> {
    line.split([',', ':']).find_map(|part| part.strip_suffix(word)?.trim().parse().ok())
}

/// More than are on their way at any time.
const STRAGGLERS: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(failed: u64, not_found: u64, data: u64) -> String {
        format!(
            "starting benchmark...\n\nfinished in 2.00s, 50.00 req/s, 3.00MB/s\n\
             requests: 100000 total, 100640 started, 100000 done, 100000 succeeded, {failed} failed, 0 errored, 0 timeout\n\
             status codes: 100000 2xx, 0 3xx, {not_found} 4xx, 0 5xx\n\
             traffic: 5.98MB (6274000) total, 1.87KB (1912) headers (space savings 98.66%), 1.91MB ({data}) data\n"
        )
    }

    /// Shows that the rate is found, and that failures, refusals and wrong lengths are no numbers.
    #[test]
    fn what_h2load_says_is_read() {
        assert_eq!(read(&said(0, 0, 2_000_000), 20).unwrap().calls_per_second, 50.0);
        assert!(read(&said(1, 0, 2_000_000), 20).is_err());
        assert!(read(&said(0, 1, 2_000_000), 20).is_err());
        assert!(read(&said(0, 0, 0), 20).is_err(), "errors have no message");
        assert!(read("", 20).is_err());
    }
}
