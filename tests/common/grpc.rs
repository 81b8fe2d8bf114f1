//! A gRPC client: Google's own for Python, with the messages of the repository's `.proto` files.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use super::{Account, TestServer};

/// A client process that does one command a line, over one connection.
pub struct GrpcClient {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl GrpcClient {
    /// A client of this server.
    pub fn of(server: &TestServer) -> Self {
        let address = server.address("grpc").to_string();
        let mut process = python("grpc_client.py")
            .args([concat!(env!("CARGO_MANIFEST_DIR"), "/proto"), &address])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("run scripts/test once, it installs target/python: {error}"));
        let (to, from) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        Self { process, to, from }
    }

    /// One command, and what came of it.
    pub fn ask(&mut self, command: Value) -> Value {
        writeln!(self.to, "{command}").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the client ended at {command}"))
    }

    /// A call, whatever comes of it.
    pub fn call(&mut self, method: &str, message: Value, more: Value) -> Value {
        let mut command = json!({"do": "call", "method": method, "message": message});
        for (name, value) in more.as_object().into_iter().flatten() {
            command[name] = value.clone();
        }
        self.ask(command)
    }

    /// The message that a call is answered with.
    #[track_caller]
    pub fn good(&mut self, method: &str, message: Value, by: Option<&Account>) -> Value {
        let more = by.map_or(json!({}), |account| json!({"token": account.token}));
        let answer = self.call(method, message, more);
        assert_eq!(answer["code"], "OK", "{method}: {answer}");
        answer["message"].clone()
    }

    /// The code of a call that is refused.
    pub fn refused(&mut self, method: &str, message: Value, by: Option<&Account>) -> String {
        let more = by.map_or(json!({}), |account| json!({"token": account.token}));
        let answer = self.call(method, message, more);
        answer["code"].as_str().unwrap().to_owned()
    }

    /// Opens a stream under a name.
    pub fn open(&mut self, name: &str, method: &str, message: Value, by: &Account) {
        // A test of many messages takes its time on a busy machine.
        let timeout = 300;
        self.ask(json!({
            "do": "open", "stream": name, "method": method, "message": message, "token": by.token, "timeout": timeout,
        }));
    }

    /// The next message of a stream.
    #[track_caller]
    pub fn hear(&mut self, name: &str) -> Value {
        let mut told = self.ask(json!({"do": "next", "stream": name}));
        assert_eq!(told["code"], "OK", "{name}: {told}");
        told["message"].take()
    }

    /// How a stream ended, of which nothing is left.
    pub fn end(&mut self, name: &str) -> String {
        let told = self.ask(json!({"do": "next", "stream": name}));
        assert_eq!(told["end"], true, "{name}: {told}");
        told["code"].as_str().unwrap().to_owned()
    }

    /// Gives a stream up.
    pub fn cancel(&mut self, name: &str) {
        self.ask(json!({"do": "cancel", "stream": name}));
    }
}

impl Drop for GrpcClient {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A script of `tests/clients`, with the packages that it needs.
pub fn python(script: &str) -> Command {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut command = Command::new(format!("{root}/target/python/bin/python"));
    command.arg(format!("{root}/tests/clients/{script}"));
    command
}
