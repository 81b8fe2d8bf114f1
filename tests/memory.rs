//! What an idle connection costs: user-space memory of the real program, by the thousand.
//!
//! Measured is what the kernel accounts to the process and no file stands behind (`RssAnon`), so the
//! allocator's waste and the holes in tables count as well. What a socket costs the kernel is its own.

mod process;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use process::{Line, Server, auth, forge, until};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// One more idle device of a user costs at most 300 bytes.
#[test]
fn an_idle_connection_of_one_user() {
    let bytes = bytes_per_connection(|_| 0);
    println!("{bytes} bytes for each idle connection of one user");
    assert!(bytes <= 300, "{bytes} bytes for each idle connection of one user");
}

/// One more idle user costs at most 512 bytes, with everything that is remembered of the user.
#[test]
fn an_idle_connection_of_a_user_of_its_own() {
    let bytes = bytes_per_connection(|number| number);
    println!("{bytes} bytes for each idle connection of a user of its own");
    assert!(bytes <= 512, "{bytes} bytes for each idle connection of a user of its own");
}

/// How much each connection adds, from the first thousand on.
fn bytes_per_connection(user: impl Fn(usize) -> usize) -> i64 {
    let _alone = ALONE.lock();
    allow_descriptors();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), SETTINGS);
    let mut clients = Vec::new();
    connect(&mut clients, FEW, &server, &user);
    let before = settled_bytes(server.pid());
    connect(&mut clients, MANY, &server, &user);
    let after = settled_bytes(server.pid());
    println!("{FEW} connections: {before} bytes, {MANY} connections: {after} bytes");
    (after - before) / (MANY - FEW) as i64
}

/// Opens sessions until there are `count`, some at a time, each from an address that has ports left.
fn connect(clients: &mut Vec<Line>, count: usize, server: &Server, user: impl Fn(usize) -> usize) {
    let address = server.address("tcp_v1");
    while clients.len() < count {
        let batch = clients.len()..count.min(clients.len() + BATCH);
        for number in batch.clone() {
            clients.push(open(number, address, user(number)));
        }
        for client in &mut clients[batch] {
            client.expect("auth_success").unwrap();
        }
    }
}

fn open(number: usize, address: SocketAddr, user: usize) -> Line {
    let source = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1 + (number / PER_ADDRESS) as u8));
    let mut line = Line::connect_from(source, address).unwrap();
    // As long as those that registering gives.
    let id = format!("3f2c51a8-9d1e-4c57-8a60-{user:012}");
    line.send(&[auth(&forge(SECRET, &id, &format!("reader-{user}")))]).unwrap();
    line
}

/// The process's anonymous memory once it has stopped moving.
fn settled_bytes(pid: u32) -> i64 {
    let (mut last, mut since) = (0, Instant::now());
    until("the memory to settle", || {
        let now = anonymous_bytes(pid);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        (since.elapsed() >= SETTLED).then_some(now)
    })
}

fn anonymous_bytes(pid: u32) -> i64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a Linux with RssAnon");
    line.trim().trim_end_matches(" kB").parse::<i64>().unwrap() * 1024
}

/// The clients are in this process.
fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let needed = MANY as u64 + 500;
    let allowed = limit.maximum.unwrap_or(u64::MAX);
    assert!(allowed >= needed, "{needed} descriptors are needed and {allowed} allowed: raise `ulimit -Hn`");
}

/// Each test needs most of the descriptors that there are.
static ALONE: Mutex<()> = Mutex::new(());

/// Limits that would keep a crowd of one user out are off.
const SETTINGS: &[(&str, &str)] = &[
    ("MANGAHUB_LIMITS_CONNECTIONS_PER_USER", "0"),
    ("MANGAHUB_TCP_V1_AUTH_TIMEOUT_MS", "600000"),
    ("MANGAHUB_AUTH_SECRET", SECRET),
];

const SECRET: &str = "a secret for tests, of 32 bytes or more";

/// From here on, so that what the program needs anyway is not counted.
const FEW: usize = 1_000;

/// Up to here.
const MANY: usize = 15_000;

/// How many sessions are begun at a time.
const BATCH: usize = 250;

/// How many connections share an address: fewer than there are ports.
const PER_ADDRESS: usize = 2_000;

/// For how long nothing must change: some of the loop's ticks.
const SETTLED: Duration = Duration::from_secs(3);
