//! `examples/echo.rs` as a program: its flags, what it prints, and how it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::server::{DEADLINE, connect, connect_narrow, echoes, pattern, read_to_end, until};

/// A running example.
pub struct Program {
    child: Child,
    tcp: SocketAddr,
    pub http: SocketAddr,
}

impl Program {
    pub fn start(flags: &[&str]) -> Self {
        let flags = [&["--tcp", "127.0.0.1:0", "--http", "127.0.0.1:0"], flags].concat();
        let mut child = command().args(flags).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut address = |name: &str| {
            let line = lines.next().expect("it prints where it listens").unwrap();
            line.strip_prefix(name).unwrap_or_else(|| panic!("not {name:?}: {line:?}")).parse().unwrap()
        };
        Self { tcp: address("tcp "), http: address("http "), child }
    }

    /// Sends a request and reads to the end of the answer, which the request asks to be the last.
    pub fn request(&self, request: &[u8]) -> String {
        let mut client = connect(self.http);
        client.write_all(request).unwrap();
        String::from_utf8(read_to_end(&mut client)).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `cargo test` builds examples beside the tests.
fn command() -> Command {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let path: PathBuf = profile.join("examples").join(format!("echo{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is missing: `cargo build --examples` makes it", path.display());
    Command::new(path)
}

/// Raw bytes come back, small and large.
#[test]
fn tcp_echo() {
    let program = Program::start(&[]);
    let mut client = connect(program.tcp);
    echoes(&mut client, b"hello\n");
    echoes(&mut client, &pattern(100_000));
}

/// Any method and path is answered with the request's body; HEAD gets none.
#[test]
fn http_echo() {
    let program = Program::start(&[]);
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
        let request = format!(
            "{method} /any/path?q=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
        );
        let answer = program.request(request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nhello"), "{method}: {answer}");
    }
    let answer = program.request(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    let chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
    let last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answers = program.request(&[&chunked[..], last].concat());
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 2, "{answers}");
    assert!(answers.contains("\r\n\r\nabcHTTP"), "{answers}");
}

/// What is no HTTP is answered with 400, and a body beyond the bound with 413.
#[test]
fn http_refusals() {
    let program = Program::start(&["--max-message", "10"]);
    assert!(program.request(b"nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
    let fits = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 10\r\n\r\n0123456789";
    assert!(program.request(fits).starts_with("HTTP/1.1 200 "));
    let large = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n0123456789a";
    assert!(program.request(large).starts_with("HTTP/1.1 413 "));
}

/// A small bound on what is owed slows a slow reader down and loses nothing.
#[test]
fn tcp_backpressure() {
    let program = Program::start(&["--max-message", "100"]);
    let mut client = connect_narrow(program.tcp);
    let sent = pattern(4 << 20);
    let mut writer = client.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&sent).unwrap();
            writer.shutdown(std::net::Shutdown::Write).unwrap();
        });
        assert!(read_to_end(&mut client) == sent, "the echo differs");
    });
}

/// `--h2` answers a plain 200 on any path, to a client that speaks HTTP/2.
#[test]
fn h2_answers() {
    let flags = ["--tcp", "127.0.0.1:0", "--h2", "127.0.0.1:0"];
    let mut child = command().args(flags).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("h2 ").map(str::to_owned)).unwrap();
    let mut client = connect(address.parse().unwrap());
    // Settings, and GET of /any as fields of the standard's own table: method, scheme, a path, an authority.
    let head = [&[0x82, 0x86, 0x04, 0x04][..], b"/any", &[0x01, 0x01], b"x"].concat();
    let frames = [&[0, 0, 0, 4, 0, 0, 0, 0, 0][..], &[0, 0, head.len() as u8, 1, 5, 0, 0, 0, 1], &head];
    client.write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frames.concat()[..]].concat()).unwrap();
    let answer = std::iter::from_fn(|| {
        let mut head = [0; 9];
        client.read_exact(&mut head).unwrap();
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        client.read_exact(&mut payload).unwrap();
        Some((head[3], payload))
    });
    let (_, fields) = answer.into_iter().find(|(kind, _)| *kind == 1).unwrap();
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(fields.first(), Some(&0x88), "{fields:?} is no :status 200");
}

/// Silence is ended after `--idle-ms`.
#[test]
fn idle_flag() {
    let program = Program::start(&["--idle-ms", "300"]);
    assert_eq!(read_to_end(&mut connect(program.tcp)), b"");
    assert_eq!(read_to_end(&mut connect(program.http)), b"");
}

/// SIGTERM and SIGINT drain: clients see the end of their streams, and the status is 0.
#[cfg(unix)]
#[test]
fn signals_drain() {
    use rustix::process::{Pid, Signal, kill_process};
    for signal in [Signal::TERM, Signal::INT] {
        let mut program = Program::start(&[]);
        let mut client = connect(program.tcp);
        echoes(&mut client, b"hello");
        kill_process(Pid::from_child(&program.child), signal).unwrap();
        assert_eq!(read_to_end(&mut client), b"");
        drop(client);
        let mut status = None;
        until("end of the program", DEADLINE, || {
            status = program.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(status.unwrap().success(), "{status:?}");
    }
}

/// Nonsense is refused with one clear line: no address, no address at all, a port that is taken.
#[test]
fn bad_flags_are_refused() {
    let program = Program::start(&[]);
    let taken = program.tcp.to_string();
    let cases: [(&[&str], &str); 4] = [
        (&[], "--tcp"),
        (&["--tcp", "invalid-address"], "invalid-address"),
        (&["--tcp", ""], "--tcp"),
        (&["--tcp", &taken], &taken),
    ];
    for (flags, told) in cases {
        let mut child = command().args(flags).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(!child.wait().unwrap().success() && said.contains(told), "{flags:?}: {said}");
    }
}
