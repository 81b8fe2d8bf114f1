//! What the real program does when its files are not as it would like them.
//!
//! It says so in one line and ends; or, when the disk fails under a running server, it promises nothing
//! that it can't keep. A log that nobody reads stops nothing. Two servers on one folder are allowed, and each hears what the other revoked.

mod process;

use std::fs;
use std::path::Path;
use std::process::Command;

use process::{Http, Line, Server, arguments, command, configure, register, until};
use serde_json::{Value, json};

/// A reader of the log who stalls (here: one who reads nothing at all) stalls nobody else: far more is
/// logged than a pipe holds, every request is answered, and the server still ends when it is told to.
#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (unread, stderr) = std::io::pipe().unwrap();
    let command = command(folder.path(), &[("MANGAHUB_LOG_LEVEL", "debug"), ("MANGAHUB_LOG_FORMAT", "json")]);
    let server = Server::spawn_with(command, folder.path(), stderr.into()).until_ready();
    let mut client = Http::connect(server.address("http"), "").unwrap();
    for _ in 0..2000 {
        assert_eq!(client.call("GET", "/health", None).unwrap().0, 200);
    }
    assert!(server.terminate().success());
    drop(unread);
}

/// A data folder that can't be made or written, a database that is none: one line that names the thing,
/// and exit status 1.
#[test]
fn what_can_not_be_used_is_named_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "in the way").unwrap();
    fs::write(folder.path().join("noise.db"), "this is no database, however long it may be ".repeat(100)).unwrap();
    fs::create_dir(folder.path().join("folder.db")).unwrap();
    for (key, value, named) in [
        // Nobody may make a folder there, not even root.
        ("MANGAHUB_SERVER_DATA_DIR", "/proc/mangahub", "/proc/mangahub"),
        ("MANGAHUB_SERVER_DATA_DIR", "file", "file"),
        ("MANGAHUB_SERVER_DATA_DIR", "file/below", "file/below"),
        ("MANGAHUB_STORE_URL", "sqlite:/proc/mangahub.db", "/proc/mangahub.db"),
        ("MANGAHUB_STORE_URL", "sqlite:noise.db", "noise.db"),
        ("MANGAHUB_STORE_URL", "sqlite:folder.db", "folder.db"),
        ("MANGAHUB_STORE_CATALOGUE", "nowhere.json", "nowhere.json"),
    ] {
        let output = command(folder.path(), &[(key, value), ("MANGAHUB_LOG_LEVEL", "error")]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{key}={value}: {said}");
        assert_eq!(said.lines().count(), 1, "{key}={value}: {said}");
        assert!(said.starts_with('✗') && said.contains(named), "{key}={value}: {said}");
        let key = key.trim_start_matches("MANGAHUB_").to_lowercase().replacen('_', ".", 1);
        assert!(said.contains(&key) || said.contains("database"), "{key}={value}: {said}");
    }
}

/// A database that was deleted, its log left behind: the server starts anew and does not mix the old into it.
#[test]
fn a_deleted_database_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    register(server.address("http"), "reader");
    server.kill();
    assert!(fs::metadata(folder.path().join("data/mangahub.db-wal")).unwrap().len() > 0);
    fs::remove_file(folder.path().join("data/mangahub.db")).unwrap();
    let server = Server::start(folder.path(), &[]);
    register(server.address("http"), "reader");
    assert!(server.terminate().success());
}

/// A database that is moved away or replaced under a running server: what would be lost with it is refused,
/// the operator is told in one line, and when the file is back all goes on.
#[test]
fn nothing_is_promised_of_a_database_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let account = register(server.address("http"), "reader");
    let mut line = Line::connect(server.address("tcp_v1")).unwrap();
    line.authenticate(&account.token).unwrap();
    let (database, aside) = (folder.path().join("data/mangahub.db"), folder.path().join("data/aside.db"));
    fs::rename(&database, &aside).unwrap();
    fs::write(&database, "a backup that somebody put here").unwrap();
    for chapter in 1..=3 {
        line.send(&[progress("berserk", chapter)]).unwrap();
        assert_eq!(line.expect("error").unwrap()["code"], "UNAVAILABLE");
    }
    let told = || server.stderr().lines().filter(|line| line.contains("deleted or replaced")).count();
    until("the operator to be told", || (told() > 0).then_some(()));
    assert_eq!(told(), 1, "{}", server.stderr());
    // Sending it new clients would be wrong, and whoever decides that is told.
    let health = |wanted: u16| {
        let mut http = Http::connect(server.address("http"), &account.token).unwrap();
        until("the health to change", || http.call("GET", "/health", None).ok().filter(|(status, _)| *status == wanted))
    };
    assert_eq!(health(500).1["status"], "unhealthy");
    fs::rename(&aside, &database).unwrap();
    assert_eq!(health(200).1["status"], "ok");
    line.send(&[progress("berserk", 4)]).unwrap();
    assert_eq!(line.expect("broadcast").unwrap()["data"]["stored"], true);
    server.kill();
    let server = Server::start(folder.path(), &[]);
    assert_eq!(stored(&server, &account.token), [json!(4)]);
}

/// Two servers share a folder. Logging out everywhere in one ends the sessions in the other, and voids the
/// token there.
#[test]
fn a_logout_reaches_the_other_process() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    let data = folder.path().join("data");
    let (url, data) = (format!("sqlite:{}/mangahub.db", data.display()), data.display().to_string());
    let settings = [("MANGAHUB_STORE_URL", url.as_str()), ("MANGAHUB_SERVER_DATA_DIR", data.as_str())];
    let start = |folder: &Path| {
        fs::create_dir(folder).unwrap();
        Server::start(folder, &settings)
    };
    let (one, other) = (start(&one), start(&other));
    let account = register(one.address("http"), "reader");
    let mut session = Line::connect(other.address("tcp_v1")).unwrap();
    session.authenticate(&account.token).unwrap();
    let mut http = Http::connect(one.address("http"), &account.token).unwrap();
    let (status, answer) = http.call("POST", "/api/v1/auth/logout-all", None).unwrap();
    assert_eq!(status, 200, "{answer}");
    // Nothing else would end a session of this dialect.
    while session.next().unwrap().is_some() {}
    let (status, _) = me(&other, &account.token);
    assert_eq!(status, 401, "the token still counts in the other process");
}

/// What one server stores the other shows, while both write.
#[test]
fn two_servers_write_to_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    let one = Server::start(folder.path(), &[]);
    let account = register(one.address("http"), "reader");
    let other = Server::start(folder.path(), &[]);
    let mut sessions = [&one, &other].map(|server| {
        let mut line = Line::connect(server.address("tcp_v1")).unwrap();
        line.authenticate(&account.token).unwrap();
        line
    });
    for chapter in 1..=20 {
        sessions.iter_mut().for_each(|line| line.send(&[progress("berserk", chapter)]).unwrap());
        let seqs = sessions.each_mut().map(|line| line.expect("broadcast").unwrap()["data"]["seq"].as_i64().unwrap());
        assert_ne!(seqs[0], seqs[1]);
    }
    for server in [&one, &other] {
        assert_eq!(stored(server, &account.token).len(), 40);
    }
}

/// The disk takes no more, in the middle of a stream of updates: each one is either told as stored or
/// refused, the server lives on and reads, and after a restart exactly the told ones are there.
#[test]
fn a_full_disk_breaks_no_promise() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), UNLIMITED);
    let account = register(server.address("http"), "reader");
    assert!(server.terminate().success());
    let server = Server::spawn(with_small_files(folder.path()), folder.path()).until_ready();
    let mut line = Line::connect(server.address("tcp_v1")).unwrap();
    line.authenticate(&account.token).unwrap();
    let mut told = Vec::new();
    let mut refused = 0;
    // Many more than the log has room for.
    for first in (1..=3_000).step_by(20) {
        line.send(&(first..first + 20).map(|chapter| progress("berserk", chapter)).collect::<Vec<_>>()).unwrap();
        for _ in 0..20 {
            match line.next().unwrap().unwrap() {
                message if message["type"] == "broadcast" => told.push(message["data"]["current_chapter"].clone()),
                message => {
                    assert_eq!(message["code"], "UNAVAILABLE", "{message}");
                    refused += 1;
                }
            }
        }
    }
    println!("{} updates were told, {refused} refused", told.len());
    assert!(!told.is_empty() && refused > 0);
    assert_eq!(me(&server, &account.token).0, 200, "it reads although it can't write");
    drop(line);
    server.kill();
    let server = Server::start(folder.path(), UNLIMITED);
    let mut kept = stored(&server, &account.token);
    kept.reverse();
    assert_eq!(kept, told);
}

/// The program, allowed no file larger than its own start needs and a little more. The shell makes the
/// kernel refuse such writes instead of ending the process.
fn with_small_files(folder: &Path) -> Command {
    let mut shell = Command::new("sh");
    configure(&mut shell, folder, UNLIMITED);
    // In blocks of 512 bytes.
    shell.args(["-c", "trap '' XFSZ; ulimit -f 2048; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_mangahub")]);
    shell.args(arguments(folder));
    shell
}

fn progress(series: &str, chapter: i64) -> Value {
    json!({"type": "progress", "data": {"manga_id": series, "current_chapter": chapter}})
}

fn me(server: &Server, token: &str) -> (u16, Value) {
    Http::connect(server.address("http"), token).unwrap().call("GET", "/api/v1/users/me", None).unwrap()
}

/// The chapters in the user's whole history, the newest first.
fn stored(server: &Server, token: &str) -> Vec<Value> {
    let mut http = Http::connect(server.address("http"), token).unwrap();
    let mut chapters = Vec::new();
    let mut before = i64::MAX;
    loop {
        let path = format!("/api/v1/users/history?limit=500&before={before}");
        let (status, answer) = http.call("GET", &path, None).unwrap();
        assert_eq!(status, 200, "{answer}");
        let items = answer["data"]["items"].as_array().unwrap();
        let Some(last) = items.last() else { return chapters };
        before = last["id"].as_i64().unwrap();
        chapters.extend(items.iter().map(|item| item["chapter"].clone()));
    }
}

/// No limit on how fast one may write.
const UNLIMITED: &[(&str, &str)] = &[("MANGAHUB_LIMITS_MESSAGES_PER_SECOND", "0"), ("MANGAHUB_LOG_LEVEL", "off")];
