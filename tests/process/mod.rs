//! The real program in a folder of its own, and clients to talk to it: for tests that kill, trace or weigh it.
//!
//! Whoever waits here waits for a thing that must come, until a deadline, and says what did not come. A
//! server that is dropped is killed; its folder belongs to the caller, so that the next one can go on in it.

// Each test program compiles this file for itself and uses its own part of it.
#![allow(dead_code)]

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// A running server. Dropping it kills it.
pub struct Server {
    child: Child,
    folder: PathBuf,
    addresses: Value,
}

impl Server {
    /// Starts one in `folder` and waits until every listener is bound.
    pub fn start(folder: &Path, settings: &[(&str, &str)]) -> Self {
        Self::spawn(command(folder, settings), folder).until_ready()
    }

    /// Starts a command made from [`command`], and does not wait for it.
    pub fn spawn(command: Command, folder: &Path) -> Self {
        let stderr = File::options().create(true).append(true).open(folder.join(STDERR_FILE)).unwrap();
        Self::spawn_with(command, folder, stderr.into())
    }

    /// The same, with a standard error that the caller looks after.
    pub fn spawn_with(mut command: Command, folder: &Path, stderr: Stdio) -> Self {
        let _ = fs::remove_file(folder.join(PORTS_FILE));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        Self { child, folder: folder.to_owned(), addresses: Value::Null }
    }

    /// Waits until every listener is bound.
    pub fn until_ready(mut self) -> Self {
        let ports = self.folder.join(PORTS_FILE);
        until("the server to start", || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the server ended ({status}) instead of starting:\n{}", self.stderr());
            }
            let text = fs::read_to_string(&ports).ok()?;
            self.addresses = serde_json::from_str(&text).unwrap();
            Some(())
        });
        self
    }

    /// The first address of a service, by its name in the ports file.
    pub fn address(&self, service: &str) -> SocketAddr {
        self.addresses[service][0].as_str().unwrap_or_else(|| panic!("no service {service}")).parse().unwrap()
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard error, all servers of its folder together.
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.folder.join(STDERR_FILE)).unwrap_or_default()
    }

    /// Ends it in the middle of whatever it is doing: `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub fn terminate(mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.wait()
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self) -> ExitStatus {
        until("the server to end", || self.child.try_wait().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program with everything it keeps in `folder`, on free ports of loopback, and with cheap passwords.
pub fn command(folder: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mangahub"));
    configure(&mut command, folder, settings);
    command.args(arguments(folder));
    command
}

/// What the program is started with, for a test that starts it through another one.
pub fn arguments(folder: &Path) -> [PathBuf; 2] {
    ["--ports-file".into(), folder.join(PORTS_FILE)]
}

/// Gives a command the environment that [`command`] would have.
pub fn configure(command: &mut Command, folder: &Path, settings: &[(&str, &str)]) {
    let strange = std::env::vars_os().map(|(name, _)| name);
    for name in strange.filter(|name| name.to_string_lossy().starts_with("MANGAHUB_")) {
        command.env_remove(name);
    }
    let services =
        ["HTTP_LISTEN", "TCP_V1_LISTEN", "TCP_V2_LISTEN", "UDP_V1", "UDP_V2", "GRPC_LISTEN", "INTERNAL_LISTEN"];
    for service in services {
        command.env(format!("MANGAHUB_{service}"), "127.0.0.1:0");
    }
    command.env("MANGAHUB_AUTH_BCRYPT_COST", "4").env("MANGAHUB_LOG_FORMAT", "text");
    command.envs(settings.iter().copied()).current_dir(folder);
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none before the deadline.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {DEADLINE:?} in vain for {what}");
        std::thread::sleep(POLL);
    }
}

/// A user who registered.
#[derive(Debug, Clone)]
pub struct Account {
    pub id: String,
    pub token: String,
}

/// Registers a user over HTTP.
pub fn register(http: SocketAddr, name: &str) -> Account {
    let body = json!({"username": name, "email": format!("{name}@example.org"), "password": "correct horse"});
    let (status, answer) = Http::connect(http, "").unwrap().call("POST", "/api/v1/auth/register", Some(&body)).unwrap();
    assert_eq!(status, 201, "{answer}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Account { id: text(&answer["user"]["id"]), token: text(&answer["token"]) }
}

/// A token as a server with this secret would issue it, for a user who need not exist.
pub fn forge(secret: &str, user: &str, username: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({
        "user_id": user, "username": username, "email": "", "role": "user", "scopes": [],
        "iss": "mangahub", "sub": user, "iat": now, "nbf": now, "exp": now + 86_400,
    });
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

/// An HTTP connection that is kept alive.
pub struct Http {
    stream: BufReader<TcpStream>,
    token: String,
}

impl Http {
    /// Connects; an empty token is not sent.
    pub fn connect(address: SocketAddr, token: &str) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), token: token.to_owned() })
    }

    /// Sends a request and reads its whole answer.
    pub fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> io::Result<(u16, Value)> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n", body.len());
        if !self.token.is_empty() {
            request += &format!("Authorization: Bearer {}\r\n", self.token);
        }
        request += &format!("Content-Type: application/json\r\n\r\n{body}");
        self.stream.get_mut().write_all(request.as_bytes())?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<(u16, Value)> {
        let status = self.header_line()?.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status: u16 = status.ok_or(io::ErrorKind::InvalidData)?;
        let mut length = 0;
        loop {
            let line = self.header_line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(|_| io::ErrorKind::InvalidData)?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    fn header_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        match line.ends_with("\r\n") {
            true => Ok(line.trim_end().to_owned()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// A sync connection: one JSON object to a line.
pub struct Line {
    stream: BufReader<TcpStream>,
}

impl Line {
    /// Connects.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::dress(TcpStream::connect_timeout(&address, DEADLINE)?)
    }

    /// Connects from another of this machine's addresses, which has ports of its own.
    pub fn connect_from(source: IpAddr, address: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
        socket.connect_timeout(&address.into(), DEADLINE)?;
        Self::dress(socket.into())
    }

    fn dress(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_nodelay(true)?;
        // Small, because a test may hold thousands.
        Ok(Self { stream: BufReader::with_capacity(1024, stream) })
    }

    /// The port on this side.
    pub fn port(&self) -> u16 {
        self.stream.get_ref().local_addr().unwrap().port()
    }

    /// Sends messages in one write, without waiting for anything.
    pub fn send(&mut self, messages: &[Value]) -> io::Result<()> {
        let lines: String = messages.iter().map(|message| format!("{message}\n")).collect();
        self.stream.get_mut().write_all(lines.as_bytes())
    }

    /// The next message; `None` when the server has closed, or died in the middle of one.
    pub fn next(&mut self) -> io::Result<Option<Value>> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        Ok(line.ends_with(b"\n").then(|| serde_json::from_slice(&line).expect("a line is JSON")))
    }

    /// The next message of this type; those before it are dropped.
    pub fn expect(&mut self, kind: &str) -> io::Result<Value> {
        loop {
            match self.next()? {
                Some(message) if message["type"] == kind => return Ok(message),
                Some(_) => {}
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    /// Begins a session.
    pub fn authenticate(&mut self, token: &str) -> io::Result<()> {
        self.send(&[auth(token)])?;
        self.expect("auth_success").map(drop)
    }
}

/// The message that begins a session.
pub fn auth(token: &str) -> Value {
    json!({"type": "auth", "data": {"token": token}})
}

/// Where a server's addresses are written.
const PORTS_FILE: &str = "ports.json";

/// Where its standard error goes.
const STDERR_FILE: &str = "stderr.txt";

/// Longer than anything here takes on a slow machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// How often a condition that nothing announces is looked at.
const POLL: Duration = Duration::from_millis(2);
