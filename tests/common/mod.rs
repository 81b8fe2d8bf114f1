//! What black-box tests share: a server in this process, and plain clients that read until a deadline.
//!
//! Every server has ports of its own, a folder that goes with it, and the cheapest password hash.
//! Clients are bytes on a `TcpStream`, nothing that could hide a fault of the server. A test never
//! sleeps: it reads until what it waits for has come, or fails at [`DEADLINE`].

// Each test program uses its own part of this.
#![allow(dead_code)]

pub mod accounts;
pub mod ears;
pub mod grpc;
pub mod http;
pub mod line;
pub mod udp;
pub mod ws;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use mangahub::Running;
use mangahub::config::Config;
use mangahub::logs::Redacted;
use serde_json::{Value, json};
use tempfile::TempDir;

use http::HttpClient;
use line::LineClient;

/// How long anything may take on a machine that is busy with other things.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// What the tokens of a [`TestServer`] are signed with, so that a test can sign its own.
pub const SECRET: &str = "only the tests of this repository use this secret";

/// A series of the shipped catalogue that runs: it bounds no chapter.
pub const ONGOING: &str = "berserk";

/// A series of the shipped catalogue that has ended with [`COMPLETED_CHAPTERS`].
pub const COMPLETED: &str = "akira";

/// How many chapters [`COMPLETED`] has.
pub const COMPLETED_CHAPTERS: i64 = 120;

/// A server in this process.
pub struct TestServer {
    running: Option<Running>,
    folder: TempDir,
}

/// A user who has registered.
#[derive(Debug, Clone)]
pub struct Account {
    /// Their id.
    pub id: String,
    /// Their name.
    pub username: String,
    /// A token of theirs.
    pub token: String,
}

impl TestServer {
    /// A server with the configuration of the tests.
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    /// The same without a bound on how fast one user changes things, for tests that change many.
    pub fn unmetered() -> Self {
        Self::with(|config| config.limits.messages_per_second = 0)
    }

    /// The same with some keys changed.
    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let running = Some(serve(folder.path(), change));
        Self { running, folder }
    }

    /// Ends the server and starts another on the same folder.
    pub fn restart_with(&mut self, change: impl FnOnce(&mut Config)) {
        self.stop();
        self.running = Some(serve(self.folder.path(), change));
    }

    /// Drains the server and waits for its end.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.handle().drain();
            running.wait().unwrap();
        }
    }

    /// The running server.
    pub fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    /// Where it keeps everything.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where a service listens.
    pub fn address(&self, service: &str) -> SocketAddr {
        self.running().address(service)
    }

    /// A new HTTP connection.
    pub fn http(&self) -> HttpClient {
        HttpClient::connect(self.address("http"))
    }

    /// A new HTTP connection to the operator's listener.
    pub fn internal(&self) -> HttpClient {
        HttpClient::connect(self.address("internal"))
    }

    /// A new sync connection of the first dialect that has said nothing.
    pub fn v1(&self) -> LineClient {
        LineClient::connect(self.address("tcp_v1"))
    }

    /// A new sync connection of the second dialect that has said nothing.
    pub fn v2(&self) -> LineClient {
        LineClient::connect(self.address("tcp_v2"))
    }

    /// A session of the first dialect.
    pub fn session_v1(&self, account: &Account) -> LineClient {
        let mut client = self.v1();
        client.authenticate(&account.token);
        client
    }

    /// A session of the second dialect.
    pub fn session_v2(&self, account: &Account) -> LineClient {
        let mut client = self.v2();
        client.authenticate(&account.token);
        client
    }

    /// Registers a user whose password is [`PASSWORD`].
    pub fn register(&self, username: &str) -> Account {
        let body = json!({"username": username, "email": format!("{username}@example.org"), "password": PASSWORD});
        let reply = self.http().post("/api/v1/auth/register", None, &body);
        assert_eq!(reply.status, 201, "{}", reply.text());
        account(&reply.json())
    }

    /// The server in general, as its operator sees it.
    pub fn varz(&self) -> Value {
        self.internal().get("/varz", None).json()
    }

    /// Looks at `/varz` until `wanted` holds.
    pub fn await_varz(&self, what: &str, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let mut client = self.internal();
        await_true(what, || {
            let varz = client.get("/varz", None).json();
            wanted(&varz).then_some(varz)
        })
    }

    /// Looks at `/connz` until a row of a closed connection of this protocol has the reason.
    pub fn await_closed(&self, protocol: &str, reason: &str) -> Value {
        let mut client = self.internal();
        let path = format!("/connz?state=closed&protocol={protocol}");
        await_true(&format!("a {protocol} connection closed as {reason}"), || {
            let page = client.get(&path, None).json();
            page["connections"].as_array().unwrap().iter().find(|row| row["reason"] == reason).cloned()
        })
    }
}

/// The password of every registered user.
pub const PASSWORD: &str = "correct horse";

/// The account in an answer to register or login.
pub fn account(reply: &Value) -> Account {
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("not an account: {reply}")).to_owned();
    let user = &reply["data"]["user"];
    Account { id: text(&user["id"]), username: text(&user["username"]), token: text(&reply["data"]["token"]) }
}

/// Asks again and again until there is an answer, for what has no event to wait for.
pub fn await_true<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "in vain: {what}");
        std::thread::yield_now();
    }
}

fn serve(folder: &Path, change: impl FnOnce(&mut Config)) -> Running {
    let mut config = Config::default();
    let any = || vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    config.http.listen = any();
    config.tcp.v1_listen = any();
    config.tcp.v2_listen = any();
    config.grpc.listen = any();
    config.internal.listen = any();
    config.udp.v1 = any();
    config.udp.v2 = any();
    config.server.data_dir = folder.to_owned();
    config.store.url = format!("sqlite:{}/mangahub.db", folder.display());
    config.auth.bcrypt_cost = 4;
    config.auth.secret = Some(Redacted::new(SECRET.to_owned()));
    change(&mut config);
    mangahub::serve(config).unwrap()
}

/// The program as it is shipped, in a folder of its own, killed when the test ends.
pub struct Program {
    child: Child,
    ports: PathBuf,
}

impl Program {
    /// Starts the server in `folder` on free ports, with these arguments, and waits for its ports.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        let ports = folder.join("ports.json");
        let child = command(folder)
            .args(FREE_PORTS)
            .args(arguments)
            .arg("--ports-file")
            .arg(&ports)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("stderr.log")).unwrap())
            .spawn()
            .unwrap();
        let mut program = Self { child, ports };
        await_true("the ports file", || {
            let ended = program.child.try_wait().unwrap();
            assert_eq!(ended, None, "the server ended instead of starting");
            program.ports.exists().then_some(())
        });
        program
    }

    /// Where a service listens, by the ports file.
    pub fn address(&self, service: &str) -> SocketAddr {
        let ports: Value = serde_json::from_slice(&std::fs::read(&self.ports).unwrap()).unwrap();
        ports[service][0].as_str().unwrap_or_else(|| panic!("{service} is not in {ports}")).parse().unwrap()
    }

    /// Sends a signal by its name, as `kill` does.
    pub fn signal(&self, name: &str) {
        let process = rustix::process::Pid::from_child(&self.child);
        let signal = match name {
            "TERM" => rustix::process::Signal::TERM,
            "HUP" => rustix::process::Signal::HUP,
            "INT" => rustix::process::Signal::INT,
            other => panic!("no signal {other}"),
        };
        rustix::process::kill_process(process, signal).unwrap();
    }

    /// Waits for its end and tells its exit code.
    pub fn exit_code(&mut self) -> Option<i32> {
        await_true("the end of the server", || self.child.try_wait().unwrap()).code()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already; either way nothing is left behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program in a folder, without anything that the caller's environment would tell it.
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mangahub"));
    command.current_dir(folder).env_clear();
    command
}

/// Runs the program to its end, with this on its standard input.
pub fn run(folder: &Path, arguments: &[&str], input: &str) -> Output {
    use std::io::Write;
    let mut child = command(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Every listener on a port of its own, and the cheapest password hash.
const FREE_PORTS: [&str; 16] = [
    "--set",
    "http.listen=127.0.0.1:0",
    "--set",
    "tcp.v1_listen=127.0.0.1:0",
    "--set",
    "tcp.v2_listen=127.0.0.1:0",
    "--set",
    "grpc.listen=127.0.0.1:0",
    "--set",
    "internal.listen=127.0.0.1:0",
    "--set",
    "udp.v1=127.0.0.1:0",
    "--set",
    "udp.v2=127.0.0.1:0",
    "--set",
    "auth.bcrypt_cost=4",
];
