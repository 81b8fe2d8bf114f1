//! What the server has told anybody, it still knows after `kill -9`.
//!
//! The real program is killed again and again while several users write to it by both dialects of sync and
//! by HTTP, and started again on the same files. Whatever a client was answered or saw broadcast as stored
//! must be there, and the database must be sound.

mod process;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use process::{Account, Http, Line, Server, command, register};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

/// Fifty times: load, `kill -9` at a random moment, restart, and nothing that was promised is missing.
/// Every seventh time the server is killed once more while it starts and recovers.
#[test]
fn nothing_that_was_told_is_lost_by_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = seeded();
    let mut server = Server::start(folder.path(), SETTINGS);
    let mut load = Load::new(&server);
    let mut book = Book::default();
    for round in 0..ROUNDS {
        let told = 1 + below(&mut random, 300);
        load.until_told(&server, told, &mut book);
        thread::sleep(Duration::from_micros(below(&mut random, 5_000)));
        server.kill();
        let more = load.finish(&mut book);
        if round % 7 == 6 {
            let starting = Server::spawn(command(folder.path(), SETTINGS), folder.path());
            thread::sleep(Duration::from_micros(below(&mut random, 100_000)));
            starting.kill();
        }
        server = Server::start(folder.path(), SETTINGS);
        book.check(&open(folder.path()));
        book.check_over_http(server.address("http"), &load.accounts);
        println!("round {round}: killed after {told} promises, {more} more were on their way");
    }
    println!("{} promises by sequence number, {} by answer, all kept", book.told.len(), book.answered.len());
    assert!(book.told.len() > ROUNDS && book.answered.len() > ROUNDS);
}

/// SIGTERM under load: the server ends with success, what was told is in the database file alone, and no
/// log is left beside it.
#[test]
fn a_stop_leaves_one_file_with_everything() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), SETTINGS);
    let mut load = Load::new(&server);
    let mut book = Book::default();
    load.until_told(&server, 200, &mut book);
    let status = server.terminate();
    load.finish(&mut book);
    assert!(status.success(), "{status}");
    let log_bytes = std::fs::metadata(database(folder.path()) + "-wal").map_or(0, |log| log.len());
    assert_eq!(log_bytes, 0, "the log was not moved into the database");
    // "Immutable" reads the one file and nothing else.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let uri = format!("file:{}?immutable=1", database(folder.path()));
    book.check(&Connection::open_with_flags(uri, flags).unwrap());
    assert!(book.told.len() + book.answered.len() >= 200);
}

/// Something that a client was told is stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Change {
    user: String,
    series: String,
    chapter: i64,
}

/// How a client learned of a change: a broadcast has its number in the history, an answer to PUT has none.
enum Promise {
    Told(i64, Change),
    Answered(Change),
}

/// Every promise there was.
#[derive(Default)]
struct Book {
    told: HashMap<i64, Change>,
    answered: HashSet<Change>,
}

impl Book {
    /// Notes a promise. Returns whether it is a new one: a broadcast is heard by many.
    fn enter(&mut self, promise: Promise) -> bool {
        match promise {
            Promise::Answered(change) => self.answered.insert(change),
            Promise::Told(seq, change) => match self.told.entry(seq) {
                Entry::Vacant(place) => {
                    place.insert(change);
                    true
                }
                Entry::Occupied(known) => {
                    assert_eq!(*known.get(), change, "number {seq} was told of two changes");
                    false
                }
            },
        }
    }

    /// The database is sound and has kept every promise.
    fn check(&self, db: &Connection) {
        let sound: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
        let history = changes(db, "history", "seq");
        for (seq, change) in &self.told {
            assert_eq!(history.get(seq), Some(change), "number {seq} was told and is not there");
        }
        let kept: HashSet<&Change> = history.values().collect();
        for change in &self.answered {
            assert!(kept.contains(change), "{change:?} was answered and is not there");
        }
        self.check_rows(&changes(db, "progress", "history_seq"));
    }

    /// No row of progress is older than what was told of it.
    fn check_rows(&self, rows: &HashMap<i64, Change>) {
        let row = |change: &Change| (change.user.clone(), change.series.clone());
        let at: HashMap<_, _> = rows.iter().map(|(seq, change)| (row(change), *seq)).collect();
        for (seq, change) in &self.told {
            let reached = at.get(&row(change));
            assert!(reached.is_some_and(|reached| reached >= seq), "{change:?}: at {reached:?}, {seq} was told");
        }
        for (seq, change) in rows {
            let told = self.told.get(seq);
            assert!(told.is_none_or(|told| told == change), "{change:?} is not what was told: {told:?}");
        }
    }

    /// The restarted server itself shows the last change that was told of each user.
    fn check_over_http(&self, http: SocketAddr, accounts: &[Account]) {
        for account in accounts {
            let last = self.told.iter().filter(|(_, change)| change.user == account.id).max_by_key(|(seq, _)| **seq);
            let Some((seq, change)) = last else { continue };
            let path = format!("/api/v1/users/history?manga={}&limit=500", change.series);
            let (status, answer) = Http::connect(http, &account.token).unwrap().call("GET", &path, None).unwrap();
            assert_eq!(status, 200, "{answer}");
            let items = answer["data"]["items"].as_array().unwrap();
            let found = items.iter().find(|item| item["id"] == *seq).unwrap_or_else(|| panic!("{seq} is not shown"));
            assert_eq!(found["chapter"], change.chapter);
        }
    }
}

/// Clients that write as fast as they are answered.
struct Load {
    accounts: Vec<Account>,
    /// The last chapter that each client wrote: no two changes are alike.
    chapters: HashMap<(usize, usize), i64>,
    promises: Option<Receiver<Promise>>,
    clients: Vec<((usize, usize), thread::JoinHandle<i64>)>,
}

impl Load {
    fn new(server: &Server) -> Self {
        let names = (0..USERS).map(|user| format!("reader{user}"));
        let accounts: Vec<_> = names.map(|name| register(server.address("http"), &name)).collect();
        Self { accounts, chapters: HashMap::new(), promises: None, clients: Vec::new() }
    }

    /// Starts the clients and lets them work until `count` new promises were heard.
    fn until_told(&mut self, server: &Server, count: u64, book: &mut Book) {
        let (sender, receiver) = channel();
        for user in 0..USERS {
            for (kind, series) in SERIES.iter().enumerate() {
                let writer = Writer {
                    account: self.accounts[user].clone(),
                    series,
                    chapter: *self.chapters.entry((user, kind)).or_insert(0),
                    promises: sender.clone(),
                };
                let address = server.address(["tcp_v1", "tcp_v2", "http"][kind]);
                self.clients.push(((user, kind), thread::spawn(move || writer.run(kind, address))));
            }
        }
        let mut told = 0;
        while told < count {
            told += u64::from(book.enter(receiver.recv_timeout(PATIENCE).expect("the clients are answered")));
        }
        self.promises = Some(receiver);
    }

    /// After the server's end: what was still heard, until the last client has noticed. Returns how much of it is new.
    fn finish(&mut self, book: &mut Book) -> usize {
        let count =
            self.promises.take().unwrap().iter().filter_map(|promise| book.enter(promise).then_some(())).count();
        for (client, thread) in self.clients.drain(..) {
            self.chapters.insert(client, thread.join().unwrap());
        }
        count
    }
}

/// One client.
struct Writer {
    account: Account,
    series: &'static str,
    chapter: i64,
    promises: Sender<Promise>,
}

impl Writer {
    /// Works until the server is gone; returns the last chapter that was sent.
    fn run(mut self, kind: usize, address: SocketAddr) -> i64 {
        let ended = match kind {
            0 | 1 => self.write_lines(kind, address),
            _ => self.write_over_http(address),
        };
        drop(ended);
        self.chapter
    }

    /// Sends updates in batches, each without waiting for an answer in between, and listens to everything.
    fn write_lines(&mut self, kind: usize, address: SocketAddr) -> io::Result<()> {
        let mut line = Line::connect(address)?;
        line.authenticate(&self.account.token)?;
        for batch in [1, 5, 16, 40].into_iter().cycle() {
            let first = self.chapter + 1;
            self.chapter += batch;
            let updates: Vec<Value> = (first..=self.chapter).map(|chapter| self.update(kind, chapter)).collect();
            let sent = line.send(&updates);
            // Also after the server has died: what it wrote before is still on its way.
            while self.listen(&mut line)? != Some(self.chapter) {}
            sent?;
        }
        Ok(())
    }

    fn update(&self, kind: usize, chapter: i64) -> Value {
        match kind {
            0 => json!({"type": "progress", "data": {"manga_id": self.series, "current_chapter": chapter}}),
            _ => json!({"type": "progress_update", "data": {"manga_id": self.series, "chapter": chapter}}),
        }
    }

    /// Hears one message. Returns the chapter, if it is of this client's own series.
    fn listen(&self, line: &mut Line) -> io::Result<Option<i64>> {
        let message = line.next()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let data = &message["data"];
        assert_ne!(message["type"], "error", "{message}");
        if data["stored"] != true {
            return Ok(None);
        }
        let series = data["manga_slug"].as_str().or(data["manga_id"].as_str()).unwrap().to_owned();
        let chapter = data["chapter_exact"].as_i64().unwrap();
        let change = Change { user: data["user_id"].as_str().unwrap().to_owned(), series, chapter };
        let own = change.user == self.account.id && change.series == self.series;
        // Nobody listens any more when the test has failed already.
        let _ = self.promises.send(Promise::Told(data["seq"].as_i64().unwrap(), change));
        Ok(own.then_some(chapter))
    }

    /// Puts one chapter after the other.
    fn write_over_http(&mut self, address: SocketAddr) -> io::Result<()> {
        let mut http = Http::connect(address, &self.account.token)?;
        let series = json!({"manga_id": self.series, "status": "reading"});
        let (status, answer) = http.call("POST", "/api/v1/users/library", Some(&series))?;
        assert!([200, 201, 409, 503].contains(&status), "{answer}");
        loop {
            self.chapter += 1;
            let path = format!("/api/v1/users/progress/{}", self.series);
            let (status, answer) = http.call("PUT", &path, Some(&json!({"current_chapter": self.chapter})))?;
            assert_eq!(status, 200, "{answer}");
            let (user, series) = (self.account.id.clone(), self.series.to_owned());
            let _ = self.promises.send(Promise::Answered(Change { user, series, chapter: self.chapter }));
        }
    }
}

/// Rows of a table as changes, by their number in the history.
fn changes(db: &Connection, table: &str, number: &str) -> HashMap<i64, Change> {
    let sql = format!(
        "SELECT {number}, user_id, slug, chapter_thousandths / 1000 FROM {table} JOIN manga ON manga.id = manga_id"
    );
    let mut statement = db.prepare(&sql).unwrap();
    let rows = statement.query_map([], |row| {
        Ok((row.get(0)?, Change { user: row.get(1)?, series: row.get(2)?, chapter: row.get(3)? }))
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

fn database(folder: &Path) -> String {
    folder.join("data/mangahub.db").to_str().unwrap().to_owned()
}

fn open(folder: &Path) -> Connection {
    Connection::open_with_flags(database(folder), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// Random moments, the same ones again with `MANGAHUB_TEST_SEED`; what the threads do meanwhile is theirs.
fn seeded() -> ChaCha20Rng {
    let seed = match std::env::var("MANGAHUB_TEST_SEED") {
        Ok(seed) => seed.parse().expect("MANGAHUB_TEST_SEED is a number"),
        Err(_) => getrandom::u64().unwrap(),
    };
    println!("MANGAHUB_TEST_SEED={seed}");
    ChaCha20Rng::seed_from_u64(seed)
}

fn below(random: &mut ChaCha20Rng, bound: u64) -> u64 {
    random.next_u64() % bound
}

/// No limit on how fast one may write, so that the writer's groups are large.
const SETTINGS: &[(&str, &str)] = &[("MANGAHUB_LIMITS_MESSAGES_PER_SECOND", "0"), ("MANGAHUB_LOG_LEVEL", "warn")];

/// How often the server is killed.
const ROUNDS: usize = 50;

const USERS: usize = 3;

/// What each user's three clients write, none of it with an end that would refuse a chapter.
const SERIES: [&str; 3] = ["berserk", "blue-lock", "dandadan"];

/// How long a promise may take.
const PATIENCE: Duration = Duration::from_secs(30);
