//! Every scenario against real servers, as somebody types it, for a fraction of a second.
//!
//! What is under test is the load: that it connects, measures, verifies what came, and says so in numbers. The
//! numbers themselves mean nothing here. The servers are those beside the program, of the same build; where they
//! are not built yet, they are first.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

/// Has the server, the echo and the bare loop built, once, and returns the program's folder.
fn built() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_mangahub-load")).parent().unwrap().to_owned();
        let missing = |name: &&str| !folder.join(name).is_file();
        if ["mangahub", "ceiling", "examples/echo"].iter().any(missing) {
            // The whole workspace, as for the tests: alone, a package would be built anew with features of its own.
            let wanted = ["build", "--workspace", "--bins", "--examples", "--locked"];
            assert!(Command::new(env!("CARGO")).args(wanted).status().unwrap().success());
        }
        folder
    })
}

fn run(arguments: &str) -> Output {
    let program = built().join("mangahub-load");
    Command::new(program).args(arguments.split_ascii_whitespace()).env_remove("MANGAHUB_AUTH_SECRET").output().unwrap()
}

/// What a run prints as JSON, which must have gone well.
fn measure(arguments: &str) -> Value {
    let output = run(&format!("{arguments} --json"));
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments}: {said} {errors}");
    assert_eq!(errors, "", "{arguments}: nobody watches, so there is no progress to tell");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{arguments}: {error}: {said}"))
}

/// What a run says that must fail.
fn refusal(arguments: &str) -> String {
    let output = run(arguments);
    assert!(!output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {path} in {value}"))
}

/// The first kind of work of an outcome.
fn first(outcome: &Value) -> &Value {
    &outcome["work"][0]
}

/// Each kind of work that is named was done, nothing of it failed, and the server's part of it is known.
fn all_went_well(outcome: &Value, names: &[&str]) {
    let work = outcome["work"].as_array().unwrap();
    let found: Vec<&str> = work.iter().map(|work| work["name"].as_str().unwrap()).collect();
    assert_eq!(found, names);
    for work in work {
        // A busy machine may answer after the end of so short a run, so this is not the rate.
        assert!(number(work, "/latency/count") > 0.0, "{work}");
        assert!(number(work, "/latency/max_ms") >= number(work, "/latency/p50_ms"), "{work}");
        assert_eq!(work["failures"], serde_json::json!({}), "{work}");
    }
}

#[test]
fn ping_in_both_loops_and_by_two_processes() {
    let closed = measure("ping --connections 20 --in-flight 2 --seconds 0.3");
    all_went_well(&closed, &["ping"]);
    assert!(number(&closed, "/server_cpu_us_per_operation") >= 0.0);
    assert_eq!(first(&closed)["offered"], Value::Null);
    let open = measure("ping --connections 20 --rate 200 --seconds 0.5 --sources 300");
    all_went_well(&open, &["ping"]);
    assert_eq!(number(first(&open), "/offered"), 100.0);
    assert_eq!(number(first(&open), "/latency/count"), 100.0);
    let shared = measure("ping --connections 21 --rate 200 --seconds 0.5 --processes 2");
    all_went_well(&shared, &["ping"]);
    assert_eq!(number(first(&shared), "/offered"), 100.0);
}

#[test]
fn echo_and_its_table() {
    all_went_well(&measure("echo --bytes 5000 --connections 5 --in-flight 3 --seconds 0.3"), &["echo"]);
    all_went_well(&measure("echo --bytes 34 --connections 5 --rate 200 --seconds 0.3"), &["echo"]);
    let table = measure("echo --table --bytes 34,2000 --connections 1,20 --in-flight 1,4 --seconds 0.2");
    assert_eq!(table["rows"].as_array().unwrap().len(), 8);
    assert!(number(&table, "/rows/7/echoes_per_second") > 0.0 && number(&table, "/rows/7/of_bare_loop") > 0.0);
    assert!(number(&table, "/start_up_ms") > 0.0 && number(&table, "/shutdown_ms") > 0.0);
    assert_eq!(number(&table, "/connect/count"), 200.0);
}

#[test]
fn connect_as_a_storm_and_at_a_rate() {
    let storm = measure("connect --clients 200");
    all_went_well(&storm, &["login"]);
    assert_eq!(number(first(&storm), "/latency/count"), 200.0);
    let steady = measure("connect --rate 100 --seconds 0.5");
    assert_eq!(number(first(&steady), "/latency/count"), 50.0);
    assert_eq!(number(first(&measure("connect --clients 201 --processes 2")), "/latency/count"), 201.0);
}

#[test]
fn idle_over_several_sizes() {
    let growth = measure("idle --sizes 50,100,200 --users many");
    assert_eq!((growth["points"].as_array().unwrap().len(), growth["steps"].as_array().unwrap().len()), (3, 2));
    assert!(number(&growth, "/points/2/1") > 0.0);
    assert!(refusal("idle --sizes 100").contains("two sizes"));
    assert_eq!(measure("idle --sizes 50,100 --processes 2").pointer("/points/1/0"), Some(&100.into()));
}

#[test]
fn fan_out_stored_and_not_and_at_a_rate() {
    assert!(number(&measure("fanout --clients 20 --in-flight 4 --seconds 0.3"), "/deliveries_per_second") > 0.0);
    let stored = measure("fanout --clients 20 --stored --rate 50 --seconds 0.4");
    assert_eq!(number(&stored, "/latency/count"), 20.0);
    assert!(number(&stored, "/server_cpu_us_per_delivery") >= 0.0);
}

#[test]
fn ingest_is_stored() {
    all_went_well(&measure("ingest --users 10 --seconds 0.3"), &["update"]);
    all_went_well(&measure("ingest --users 10 --rate 100 --seconds 0.3 --processes 2"), &["update"]);
}

#[test]
fn chat_in_one_room_and_in_several() {
    assert!(number(&measure("chat --members 10 --seconds 0.3"), "/deliveries_per_second") > 0.0);
    let rooms = measure("chat --rooms 3 --members 4 --rate 60 --seconds 0.5");
    assert_eq!(number(&rooms, "/latency/count"), 30.0);
}

#[test]
fn members_greetings_and_datagrams() {
    assert!(measure("members --from 20 --to 40")["bytes_per_connection"].is_number());
    assert_eq!(number(&measure("greet --rate 50 --seconds 0.4"), "/wait/count"), 20.0);
    assert!(number(&measure("udp --addresses 20 --seconds 0.3"), "/datagrams_per_second") > 0.0);
    assert_eq!(number(&measure("udp --addresses 20 --rate 20 --seconds 0.5"), "/latency/count"), 10.0);
}

#[test]
fn searches_and_logins_with_a_ping_beside_them() {
    let catalogue = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/manga.json");
    let searches = measure(&format!("search --catalogue {} --rate 50 --seconds 0.5", catalogue.display()));
    assert_eq!(number(&searches, "/answers/200/latency/count"), 25.0);
    assert!(number(&searches, "/ping/count") > 0.0);
    assert_eq!(number(&measure("logins --users 3 --rate 2 --seconds 1"), "/offered"), 2.0);
}

#[test]
fn a_mixed_day_in_both_loops_and_by_two_processes() {
    let all = ["update", "chat", "poll"];
    all_went_well(&measure("mixed --readers 6 --chatters 4 --pollers 4 --seconds 0.5"), &all);
    let shared = "mixed --readers 6 --chatters 4 --pollers 4 --rate 100 --seconds 0.5 --processes 2";
    all_went_well(&measure(shared), &all);
}

#[test]
fn a_soak_looks_at_memory() {
    let soak = measure("soak --minutes 0.05 --readers 4 --chatters 3 --pollers 3 --rate 50");
    all_went_well(&soak, &["update", "chat", "poll"]);
    assert!(soak["memory"]["samples"].as_array().unwrap().len() > 1, "{soak}");
}

#[test]
fn requests_at_a_rate_and_in_a_mix() {
    all_went_well(&measure("http --connections 4 --rate 100 --seconds 0.3 --processes 2"), &["request"]);
    let catalogue = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/manga.json");
    let mix = format!("http --mix --catalogue {} --connections 4 --rate 100 --seconds 0.5", catalogue.display());
    all_went_well(&measure(&mix), &["request"]);
}

/// Shows that a GET has a number where wrk is installed, and that it is said where it is not.
#[test]
fn one_get_over_and_over() {
    match Command::new("wrk").arg("--version").output() {
        Ok(_) => assert!(number(&measure("http --connections 4 --seconds 1"), "/requests_per_second") > 0.0),
        Err(_) => assert!(refusal("http --connections 4 --seconds 1").contains("wrk is not installed")),
    }
}

/// Shows that no scenario sends anything to another machine unless it is told to, by addresses that nobody has: a
/// packet to them would be waited for in vain, and the refusal comes at once.
#[test]
fn other_machines_are_left_alone() {
    let far = "192.0.2.1:9090";
    for command in [
        "connect --tcp A --token t",
        "connect --rate 1 --tcp A --token t",
        "idle --tcp A --pid 1 --token t",
        "ping --tcp A --token t",
        "ping --tcp A --token t --processes 2",
        "echo --tcp A",
        "fanout --tcp A --token t",
        "fanout --raw --message-bytes 100 --tcp A",
        "fanout-broker --broker redis --addr A --message-bytes 100",
        "ingest --tcp A --http A",
        "http --http A",
        "http --http A --rate 1",
        "logins --tcp A --http A",
        "chat --http A --secret 0123456789abcdef0123456789abcdef",
        "members --http A --pid 1 --secret 0123456789abcdef0123456789abcdef",
        "greet --http A --secret 0123456789abcdef0123456789abcdef",
        "udp --udp A --internal A",
        "udp --udp A --raw 100",
        "mixed --tcp A --http A",
        "soak --tcp A --http A --pid 1",
    ] {
        let refused = refusal(&command.replace('A', far));
        assert!(refused.contains("--allow-remote-target"), "{command}: {refused}");
    }
}

/// A peer that answers every connection with what `answer` makes of what it sends.
fn peer(answer: fn(&mut Vec<u8>)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut bytes = vec![0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut bytes) {
                    let mut said = bytes[..length].to_vec();
                    answer(&mut said);
                    if stream.write_all(&said).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// Shows that a server that loses, doubles or changes something is found out, and the run fails.
#[test]
fn what_is_wrong_fails_the_run() {
    let wrong: [fn(&mut Vec<u8>); 3] = [
        |said| said[20] ^= 1,
        |said| said.extend_from_slice(&said.clone()),
        |said| drop(said.drain(..said.len().min(34))),
    ];
    for (at, answer) in wrong.into_iter().enumerate() {
        let refused = refusal(&format!("echo --tcp {} --connections 2 --in-flight 2 --seconds 0.3", peer(answer)));
        assert!(refused.contains("came back otherwise") || refused.contains("failed"), "{at}: {refused}");
    }
    // One that takes everything and says nothing is not taken for a fast one.
    let silent = peer(Vec::clear);
    assert!(refusal(&format!("echo --tcp {silent} --connections 2 --seconds 0.2")).contains("2 operations failed"));
}
