//! The order of system calls behind a promise: an update is on the disk before anybody hears of it.
//!
//! The real program runs under `strace`. What is looked at are the calls that the kernel saw, so that no
//! mistake in what the program believes about itself can hide.

mod process;

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use process::{Line, Server, arguments, configure, register, until};
use serde_json::json;

/// Between the read of an update and the write of its broadcast, the write-ahead log is written and then
/// synced, and the sync has come back.
#[test]
fn the_log_is_synced_between_an_update_and_its_broadcast() {
    let folder = tempfile::tempdir().unwrap();
    let calls = trace_one_update(folder.path(), "full");
    let (received, told) = read_and_told(&calls);
    assert_eq!(received.file(), told.file(), "the reader and the listener are one connection");
    let between = |call: &Call| call.begin > received.end && call.end < told.begin;
    let logged = find(&calls, "a write to the log in between", |call| {
        between(call) && call.is(&["pwrite64"]) && call.file().contains("-wal>")
    });
    let synced = find(&calls, "a sync of the log in between", |call| {
        between(call) && call.begin > logged.end && call.is(&["fdatasync", "fsync"]) && call.file().contains("-wal>")
    });
    assert!(synced.text.trim_end().ends_with("= 0"), "the sync failed: {}", synced.text);
    let late = |call: &&Call| call.is(&["pwrite64"]) && call.begin > synced.begin && call.end < told.begin;
    assert_eq!(calls.iter().find(late).map(|call| &call.text), None, "something was written after the sync");
    for call in [received, logged, synced, told] {
        println!("{}", call.text);
    }
}

/// With `store.synchronous = "normal"` nothing is synced in between: the trace can tell one from the other.
#[test]
fn without_the_promise_there_is_no_sync() {
    let folder = tempfile::tempdir().unwrap();
    let calls = trace_one_update(folder.path(), "normal");
    let (received, told) = read_and_told(&calls);
    let between = |call: &&Call| call.begin > received.end && call.end < told.begin;
    let synced = calls.iter().filter(between).find(|call| call.is(&["fdatasync", "fsync"]));
    assert_eq!(synced.map(|call| &call.text), None);
}

/// Calls are put together again from their halves, whatever came between, and short process ids are padded.
#[test]
fn a_trace_is_read() {
    let calls = parse(
        "12345 1.0 read(3<a>, \"x\", 1) = 1\n\
         99    1.1 fsync(4<b> <unfinished ...>\n\
         12345 1.2 write(3<a>, \"y\", 1) = 1\n\
         99    1.3 <... fsync resumed>) = 0\n",
    );
    let seen: Vec<_> = calls.iter().map(|call| (call.begin, call.end, call.text.as_str(), call.file())).collect();
    let expected = [
        (0, 0, "read(3<a>, \"x\", 1) = 1", "3<a>"),
        (2, 2, "write(3<a>, \"y\", 1) = 1", "3<a>"),
        (1, 3, "fsync(4<b>) = 0", "4<b>"),
    ];
    assert_eq!(seen, expected);
}

/// The read of the update and the write of its broadcast.
fn read_and_told(calls: &[Call]) -> (&Call, &Call) {
    let received = find(calls, "the read of the update", |call| {
        call.is(&["read", "recvfrom"]) && call.says("progress") && call.says(CHAPTER)
    });
    let told = find(calls, "the write of the broadcast", |call| {
        call.is(&["write", "writev", "sendto", "sendmsg"]) && call.says("broadcast") && call.says(CHAPTER)
    });
    (received, told)
}

/// Runs the server under strace, sends it one update, and reads what strace wrote.
fn trace_one_update(folder: &Path, synchronous: &str) -> Vec<Call> {
    let file = folder.join("trace.txt");
    let server = Server::spawn(strace(folder, &file, synchronous), folder).until_ready();
    let account = register(server.address("http"), "reader");
    let mut line = Line::connect(server.address("tcp_v1")).unwrap();
    line.authenticate(&account.token).unwrap();
    let chapter: i64 = CHAPTER.parse().unwrap();
    line.send(&[json!({"type": "progress", "data": {"manga_id": "berserk", "current_chapter": chapter}})]).unwrap();
    let told = line.expect("broadcast").unwrap();
    assert_eq!((&told["data"]["stored"], &told["data"]["current_chapter"]), (&json!(true), &json!(chapter)));
    assert!(server.terminate().success());
    // The tracer notices the end a moment after the parent does.
    let ended = |text: &String| text.contains("+++ exited with 0 +++");
    parse(&until("the end of the trace", || Some(fs::read_to_string(&file).unwrap()).filter(ended)))
}

/// The program under strace, which stands aside (`-D`), so that the child is the server itself.
fn strace(folder: &Path, file: &Path, synchronous: &str) -> Command {
    match Command::new("strace").arg("-V").output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("strace is missing; scripts/test installs it, or do it yourself: apt-get install strace")
        }
        found => assert!(found.unwrap().status.success(), "strace does not run"),
    }
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-y", "-ttt", "-s", "512", "-e", CALLS, "-o"]).arg(file);
    command.arg(env!("CARGO_BIN_EXE_mangahub")).args(arguments(folder));
    configure(&mut command, folder, &[("MANGAHUB_STORE_SYNCHRONOUS", synchronous)]);
    command
}

/// A system call, from the line of the trace where it began to the one where it came back.
struct Call {
    begin: usize,
    end: usize,
    text: String,
}

impl Call {
    fn is(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.text.strip_prefix(name).is_some_and(|rest| rest.starts_with('(')))
    }

    fn says(&self, word: &str) -> bool {
        self.text.contains(word)
    }

    /// The descriptor and what it stands for: the first argument.
    fn file(&self) -> &str {
        let first = self.text.split_once('(').map_or("", |(_, rest)| rest);
        first.split_once('>').map_or("", |(file, _)| &first[..=file.len()])
    }
}

/// Reads a trace: `PID TIME call(…) = result`, and calls that others came between in two halves.
fn parse(trace: &str) -> Vec<Call> {
    let mut open: HashMap<&str, Call> = HashMap::new();
    let mut calls = Vec::new();
    for (number, line) in trace.lines().enumerate() {
        // Short process ids are padded.
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let Some((_, text)) = rest.trim_start().split_once(' ') else { continue };
        if let Some(start) = text.strip_suffix("<unfinished ...>") {
            open.insert(thread, Call { begin: number, end: number, text: start.trim_end().to_owned() });
        } else if let Some((_, rest)) = text.strip_prefix("<... ").and_then(|text| text.split_once(" resumed>")) {
            let Some(mut call) = open.remove(thread) else { continue };
            call.end = number;
            call.text += rest;
            calls.push(call);
        } else {
            calls.push(Call { begin: number, end: number, text: text.to_owned() });
        }
    }
    calls
}

fn find<'a>(calls: &'a [Call], what: &str, is_it: impl Fn(&Call) -> bool) -> &'a Call {
    let found = calls.iter().find(|call| is_it(call));
    found.unwrap_or_else(|| {
        let all: Vec<&str> = calls.iter().map(|call| call.text.as_str()).collect();
        panic!("{what} is not in the trace:\n{}", all[all.len().saturating_sub(200)..].join("\n"))
    })
}

/// The calls that read, write or sync.
const CALLS: &str = "trace=read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,fsync,fdatasync";

/// A chapter that stands nowhere else in the trace.
const CHAPTER: &str = "48151";
