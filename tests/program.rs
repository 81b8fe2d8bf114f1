//! The program as an operator meets it: its configuration, its start, its signals and its end.

mod common;

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use common::http::{HttpClient, request};
use common::line::LineClient;
use common::ws::{KEY, WsClient, frame, handshake};
use common::{Account, ONGOING, PASSWORD, Program, account, await_true, command, run};
use serde_json::{Value, json};

/// The one line that a refusal is, with its exit code.
fn refusal(output: &Output) -> (i32, String) {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.trim_end().lines().count(), 1, "not one line: {text}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    (output.status.code().unwrap(), text)
}

fn register(address: SocketAddr, username: &str) -> Account {
    let body = json!({"username": username, "email": format!("{username}@example.org"), "password": PASSWORD});
    account(&HttpClient::connect(address).post("/api/v1/auth/register", None, &body).json())
}

fn session(program: &Program, service: &str, account: &Account) -> LineClient {
    let mut client = LineClient::connect(program.address(service));
    client.authenticate(&account.token);
    client
}

// ---- the configuration

/// A good file is checked and shown with where each value came from; later layers win.
#[test]
fn a_configuration_is_checked_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my.toml");
    std::fs::write(&file, "[limits]\nconnections = 50\nmessages_burst = 7\n").unwrap();
    let file = file.to_str().unwrap();
    let checked = run(folder.path(), &["config", "check", "--config", file], "");
    assert!(checked.status.success());
    assert!(String::from_utf8(checked.stdout).unwrap().contains("2 keys"));
    let shown = command(folder.path())
        .args(["config", "show", "--config", file, "--output", "json", "--set", "limits.messages_per_second=9"])
        .env("MANGAHUB_LIMITS_MESSAGES_BURST", "8")
        .env("MANGAHUB_AUTH_SECRET", "a secret of at least thirty-two bytes")
        .output()
        .unwrap();
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(!text.contains("thirty-two"), "a secret was shown");
    let settings: Value = serde_json::from_str(&text).unwrap();
    let row = |key: &str| {
        let rows = settings["settings"].as_array().unwrap();
        let row = rows.iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("{key} is not shown"));
        (row["value"].clone(), row["origin"].as_str().unwrap().to_owned())
    };
    assert_eq!(row("limits.connections"), (json!(50), format!("{file}:2")));
    assert_eq!(row("limits.messages_burst"), (json!(8), "MANGAHUB_LIMITS_MESSAGES_BURST".into()));
    assert_eq!(row("limits.messages_per_second"), (json!(9), "--set".into()));
    assert_eq!(row("server.drain_seconds"), (json!(10), "default".into()));
    assert_eq!(row("auth.secret").0, "(set)");
}

/// Whatever is wrong with the configuration is one line that names the key, from `check` as from a start.
#[test]
fn a_wrong_configuration_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    for (text, names) in [
        ("[limits]\nconections = 5\n", "conections"),
        ("[limit]\nconnections = 5\n", "limit"),
        ("[limits]\nconnections = \"many\"\n", "limits.connections"),
        ("[limits]\nconnections = -1\n", "limits.connections"),
        ("[tcp]\nv1_listen = [\"nowhere\"]\n", "tcp.v1_listen"),
        ("[auth]\nsecret = \"short\"\n", "auth.secret"),
        ("[auth]\nsecret = \"dev-secret-key-change-in-production\"\n", "auth.secret"),
        ("[tcp]\nbroadcast_scope = \"friends\"\n", "tcp.broadcast_scope"),
        ("[internal]\nlisten = [\"0.0.0.0:8085\"]\n", "internal.listen"),
        ("not toml", "wrong.toml"),
    ] {
        std::fs::write(&file, text).unwrap();
        for arguments in [&["config", "check"][..], &[], &["admin", "create-user", "x", "--email", "x@example.org"]] {
            let more: &[&str] = if arguments.len() > 3 { &["--role", "user", "--password-stdin"] } else { &[] };
            let output =
                run(folder.path(), &[arguments, more, &["--config", file.to_str().unwrap()]].concat(), "password1\n");
            let (code, line) = refusal(&output);
            assert!(code == 2 && line.contains(names), "{text:?}: {code}: {line}");
        }
    }
    let missing = run(folder.path(), &["--config", "nowhere.toml"], "");
    assert!(refusal(&missing).1.contains("nowhere.toml"));
    let variable = command(folder.path()).env("MANGAHUB_LIMITS_CONNECTION", "5").output().unwrap();
    assert!(refusal(&variable).1.contains("MANGAHUB_LIMITS_CONNECTION"));
    assert!(!folder.path().join("data").exists(), "a refused start left something behind");
}

/// A port that is taken is one line that names the service and the address.
#[test]
fn a_taken_port_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let _taken_too = UdpSocket::bind(address).unwrap();
    for (key, service) in [
        ("http.listen", "http"),
        ("tcp.v1_listen", "tcp_v1"),
        ("tcp.v2_listen", "tcp_v2"),
        ("grpc.listen", "grpc"),
        ("udp.v1", "udp_v1"),
        ("udp.v2", "udp_v2"),
        ("internal.listen", "internal"),
    ] {
        let mut arguments = vec!["--set".to_owned(), format!("{key}={address}")];
        for other in
            ["http.listen", "tcp.v1_listen", "tcp.v2_listen", "udp.v1", "udp.v2", "grpc.listen", "internal.listen"]
        {
            if other != key {
                arguments.extend(["--set".to_owned(), format!("{other}=127.0.0.1:0")]);
            }
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--set", "log.level=error"]).collect();
        let (code, line) = refusal(&run(folder.path(), &arguments, ""));
        assert!(code == 6 && line.contains(service) && line.contains(&address.to_string()), "{code}: {line}");
    }
}

/// A check looks at the files that the configuration names, and says which key names a missing one.
#[test]
fn a_check_looks_at_files() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["config", "check", "--set", "store.catalogue=nowhere.json"];
    let (code, line) = refusal(&run(folder.path(), &arguments, ""));
    assert!(code == 2 && line.contains("store.catalogue") && line.contains("nowhere.json"), "{code}: {line}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a check makes nothing");
}

/// Where there is no room for the descriptors of a start, one line names the limit and what is wanted.
#[test]
fn too_few_descriptors_are_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let script = "ulimit -n 20; exec \"$0\"";
    let arguments = ["-c", script, env!("CARGO_BIN_EXE_mangahub")];
    let output = Command::new("sh").args(arguments).current_dir(folder.path()).output().unwrap();
    let (code, line) = refusal(&output);
    assert!(code == 1 && line.contains("RLIMIT_NOFILE is 20, and a start needs "), "{code}: {line}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Asking for help or the version is no start.
#[test]
fn help_and_version() {
    let folder = tempfile::tempdir().unwrap();
    for (argument, says) in [("--version", env!("CARGO_PKG_VERSION")), ("--help", "--config"), ("help", "admin")] {
        let output = run(folder.path(), &[argument], "");
        assert!(output.status.success() && String::from_utf8(output.stdout).unwrap().contains(says), "{argument}");
    }
    assert_eq!(run(folder.path(), &["--nonsense"], "").status.code(), Some(2));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

// ---- a start

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Started without a file in an empty folder, everything is under `data`, for its owner's eyes only,
/// while it runs and after.
#[test]
fn everything_is_kept_under_data() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let private = || {
        assert_eq!(mode(&data), 0o700);
        let files: Vec<_> = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()).collect();
        for file in &files {
            assert_eq!(mode(file), 0o600, "{}", file.display());
        }
        files.iter().map(|file| file.file_name().unwrap().to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut program = Program::start(folder.path(), &[]);
    let alice = register(program.address("http"), "alice");
    let mut client = session(&program, "tcp_v1", &alice);
    client.say("progress", json!({"manga_id": ONGOING, "current_chapter": 5}));
    client.expect("broadcast");
    let files = private();
    assert!(files.contains(&"mangahub.db".to_owned()) && files.contains(&"secret".to_owned()), "{files:?}");
    program.signal("TERM");
    assert_eq!(program.exit_code(), Some(0));
    let mut files = private();
    files.sort();
    assert_eq!(files, ["mangahub.db", "secret"], "a stopped server leaves one database file");
    let mut outside: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    outside.sort();
    assert_eq!(outside, ["data", "ports.json", "stderr.log"], "the last two are this test's own");
    std::fs::remove_file(folder.path().join("ports.json")).unwrap();
    let program = Program::start(folder.path(), &[]);
    let path = format!("/api/v1/users/progress/{ONGOING}");
    let row = HttpClient::connect(program.address("http")).get(&path, Some(&alice.token)).data(200);
    assert_eq!(row["progress"]["current_chapter"], 5, "what was told is kept, and the token still counts");
}

/// The ports file names every service and each of its addresses.
#[test]
fn the_ports_file_names_every_listener() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &["--set", "tcp.v2_listen=127.0.0.1:0,127.0.0.1:0"]);
    let ports: Value = serde_json::from_slice(&std::fs::read(folder.path().join("ports.json")).unwrap()).unwrap();
    for (service, count) in [("http", 1), ("tcp_v1", 1), ("tcp_v2", 2), ("internal", 1)] {
        let addresses = ports[service].as_array().unwrap_or_else(|| panic!("{service} is not in {ports}"));
        assert_eq!(addresses.len(), count, "{ports}");
        for address in addresses {
            let address: SocketAddr = address.as_str().unwrap().parse().unwrap();
            assert!(address.port() != 0 && std::net::TcpStream::connect(address).is_ok());
        }
    }
    assert_eq!(HttpClient::connect(program.address("internal")).get("/readyz", None).status, 200);
}

/// A token that is none, which somebody may have mistyped.
const FORGED: &str = "almost-a-token";

/// Logs at their loudest hold no password and no token, good or bad, whichever way it came: in a header, in a
/// query, in a message, in what can't be read.
#[test]
fn logs_hold_no_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(folder.path(), &["--set", "log.level=trace"]);
    let alice = register(program.address("http"), "alice");
    let mut http = HttpClient::connect(program.address("http"));
    let wrong = json!({"username": "alice\u{1b}[31m", "password": "wrong password"});
    http.post("/api/v1/auth/login", None, &wrong).refused(401, "UNAUTHORIZED");
    http.get("/api/v1/users/me", Some(&alice.token)).data(200);
    http.get(&format!("/api/v1/manga?token={}", alice.token), None).data(200);
    session(&program, "tcp_v1", &alice).expect_nothing();
    session(&program, "tcp_v2", &alice).expect_nothing();
    for service in ["tcp_v1", "tcp_v2"] {
        let mut stranger = LineClient::connect(program.address(service));
        stranger.say("auth", json!({"token": FORGED}));
        stranger.next();
    }
    let by_query = format!("/ws?token={}", alice.token);
    let by_header = handshake("/ws", &format!("Authorization: Bearer {}\r\n", alice.token));
    let forged = [handshake(&format!("/ws?token={FORGED}"), ""), format!("GET /ws?token={FORGED} HTTP/9\r\n\r\n")];
    for request in [handshake(&by_query, ""), by_header] {
        let (mut client, head) = WsClient::ask(program.address("http"), request);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        client.send(&json!({"type": "join", "token": FORGED}));
        client.expect("presence");
        client.send_raw(frame(0x83, FORGED.as_bytes()));
        client.expect_close(1002);
    }
    let without_key = handshake(&by_query, "").replace(KEY, "");
    for (request, status) in forged.into_iter().zip(["401", "400"]).chain([(without_key, "400")]) {
        let (_, head) = WsClient::ask(program.address("http"), &request);
        assert_eq!(&head[9..12], status, "{request}");
    }
    http.get("/api/v1/users/me", Some(FORGED)).refused(401, "UNAUTHORIZED");
    program.signal("TERM");
    assert_eq!(program.exit_code(), Some(0));
    let log = std::fs::read_to_string(folder.path().join("stderr.log")).unwrap();
    assert!(log.contains("\"service\":\"ws\""), "WebSockets are in it: {log}");
    let signature = alice.token.rsplit('.').next().unwrap();
    for secret in [PASSWORD, "wrong password", &alice.token, signature, FORGED, "\u{1b}"] {
        assert!(!log.contains(secret), "the log holds {secret:?}");
    }
    for line in log.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "not a terminal, so JSON: {line}");
    }
}

/// SIGHUP reads the configuration again: the log's level changes, other keys wait for a restart, a
/// mistake changes nothing, and clients notice none of it.
#[test]
fn sighup_reads_the_configuration_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my.toml");
    let logged = |wanted: &str| {
        await_true(wanted, || {
            let log = std::fs::read_to_string(folder.path().join("stderr.log")).unwrap();
            log.contains(wanted).then_some(())
        });
    };
    std::fs::write(&file, "[log]\nlevel = \"error\"\n").unwrap();
    let mut program = Program::start(folder.path(), &["--config", file.to_str().unwrap()]);
    let alice = register(program.address("http"), "alice");
    let mut client = session(&program, "tcp_v1", &alice);
    std::fs::write(&file, "[log]\nlevel = \"loud\"\n").unwrap();
    program.signal("HUP");
    logged("SIGHUP: nothing has changed");
    std::fs::write(&file, "[log]\nlevel = \"debug\"\n[limits]\nconnections = 50\n").unwrap();
    program.signal("HUP");
    logged("\"log_level\":\"debug\"");
    logged("\"key\":\"limits.connections\"");
    client.say("ping", json!({}));
    client.expect("pong");
    program.signal("TERM");
    assert_eq!(program.exit_code(), Some(0));
    logged("draining");
}

// ---- the end

/// A signal drains: clients are told, and the exit status is 0, long before the limit.
#[test]
fn a_signal_drains() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let mut program = Program::start(folder.path(), &[]);
        let alice = register(program.address("http"), "alice");
        let (mut v1, mut v2) = (session(&program, "tcp_v1", &alice), session(&program, "tcp_v2", &alice));
        program.signal(signal);
        for client in [&mut v1, &mut v2] {
            assert!(client.expect("system")["reconnect_after_ms"].is_u64());
            client.expect_end();
        }
        assert_eq!(program.exit_code(), Some(0), "{signal}");
    }
}

/// A request that does not end holds the drain, until its limit ends it with status 0.
#[test]
fn a_drain_has_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(folder.path(), &["--set", "server.drain_seconds=1"]);
    let mut stuck = hold_open(&program);
    program.signal("TERM");
    assert_eq!(program.exit_code(), Some(0));
    stuck.try_send("x");
}

/// A second signal ends at once, with the status that shells expect.
#[test]
fn a_second_signal_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut program =
        Program::start(folder.path(), &["--set", "server.drain_seconds=60", "--set", "http.head_timeout_ms=60000"]);
    let _stuck = hold_open(&program);
    program.signal("TERM");
    let ready = || HttpClient::connect(program.address("internal")).get("/readyz", None).status;
    await_true("draining", || (ready() == 503).then_some(()));
    assert!(program.is_running());
    program.signal("TERM");
    assert_eq!(program.exit_code(), Some(128 + 15));
}

/// A connection with half a request that the server has seen.
fn hold_open(program: &Program) -> HttpClient {
    let whole = request("GET", "/health", &[], b"");
    let mut client = HttpClient::connect(program.address("http"));
    client.send(&whole[..whole.len() - 2]);
    let mut internal = HttpClient::connect(program.address("internal"));
    await_true("half a request", || {
        let varz = internal.get("/varz", None).json();
        (varz["held_bytes"]["receive"].as_u64().unwrap() > 0).then_some(())
    });
    client
}
