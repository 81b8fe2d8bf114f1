//! What the source must keep: dependencies in one direction, pure protocols and handlers, SQL in one
//! place, a reason for every file and dependency, and a connection that stays small.
//!
//! The rules are read off the text: comments are taken away, words are compared. That is crude and
//! needs no compiler; the checker is itself tested against snippets that break each rule.

use std::fs;
use std::path::{Path, PathBuf};

use mangahub::app::MangaHub;
use mangahub::reactor::conn::Conn;
use mangahub::reactor::net::MioNet;

/// Which modules a layer must not know: all that stand above it.
const ABOVE: [(&str, &[&str]); 4] = [
    ("reactor", &["app", "serve", "cli", "config", "store"]),
    ("proto", &["reactor", "app", "serve", "cli", "config"]),
    ("handlers", &["proto", "reactor", "app", "serve", "cli", "config"]),
    ("store", &["handlers", "proto", "reactor", "app", "serve", "cli"]),
];

/// What only the reactor, the workers and the program's edge may touch.
const IMPURE: [&str; 19] = [
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "mio",
    "socket2",
    "thread",
    "Instant",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "getrandom",
    "new_v4",
    "now_v7",
    "from_os_rng",
    "thread_rng",
    "std::fs",
    "std::env",
];

/// How statements begin; the method `DELETE` alone is none.
const STATEMENTS: [&str; 8] =
    ["SELECT ", "INSERT INTO", "INSERT OR", "DELETE FROM", "UPDATE ", "PRAGMA ", "CREATE TABLE", "BEGIN IMMEDIATE"];

/// Every file of a folder and the folders in it that ends in `.rs`, with its path from there.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text without comments. A `//` inside a string hides the rest of its line: harmless here.
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let comment = line.match_indices("//").find(|(place, _)| *place == 0 || !line[..*place].ends_with(':'));
        comment.map_or(line, |(place, _)| &line[..place])
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The modules of this crate that a text names, in paths and in groups.
fn modules_named(code: &str) -> Vec<String> {
    let mut named = Vec::new();
    for prefix in ["crate::", "mangahub::"] {
        for (place, _) in code.match_indices(prefix) {
            let after = &code[place + prefix.len()..];
            match after.strip_prefix('{') {
                Some(group) => named.extend(first_words(group)),
                None => named.push(word(after)),
            }
        }
    }
    named
}

/// The first word of each part of a `{…}` group, up to its end.
fn first_words(group: &str) -> Vec<String> {
    let (mut depth, mut words, mut begins) = (0, Vec::new(), true);
    for (place, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if begins && (c.is_alphanumeric() || c == '_') => {
                words.push(word(&group[place..]));
                begins = false;
            }
            _ => {}
        }
    }
    words
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Whether a text has a name as a whole word or path.
fn mentions(code: &str, name: &str) -> bool {
    let part_of_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(name).any(|(place, _)| {
        !part_of_word(code[..place].chars().next_back()) && !part_of_word(code[place + name.len()..].chars().next())
    })
}

/// What a source file breaks. `path` is from `src`.
fn violations(path: &str, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let layer = path.split(['/', '.']).next().unwrap();
    let code = code(text);
    if !text.starts_with("//!") {
        broken.push(format!("{path}: begins without saying what the file is for (`//!`)"));
    }
    for (_, above) in ABOVE.iter().filter(|(name, _)| *name == layer) {
        for name in modules_named(&code).iter().filter(|name| above.contains(&name.as_str())) {
            broken.push(format!("{path}: {layer} must not know {name}"));
        }
    }
    if ["proto", "handlers"].contains(&layer) {
        for name in IMPURE.iter().filter(|name| mentions(&code, name)) {
            broken.push(format!("{path}: {layer} is pure, {name} is not"));
        }
    }
    if layer != "store" {
        for statement in STATEMENTS.iter().filter(|statement| code.contains(&format!("\"{statement}"))) {
            broken.push(format!("{path}: SQL outside store: {statement}"));
        }
        if mentions(&code, "rusqlite") {
            broken.push(format!("{path}: rusqlite outside store"));
        }
    }
    broken
}

/// Dependencies of a manifest that have no comment above.
fn unexplained(manifest: &str) -> Vec<String> {
    let (mut section, mut before, mut found) = (String::new(), "", Vec::new());
    for line in manifest.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if section.ends_with("dependencies") && line.contains('=') && !line.starts_with('#') {
            let name = line.split('=').next().unwrap().trim();
            if !before.starts_with("# ") {
                found.push(name.to_owned());
            }
        } else if section.contains("dependencies.") {
            found.push(format!("[{section}]: written as a section, which this check can't read"));
        }
        before = line;
    }
    found
}

/// The sources keep every rule.
#[test]
fn the_source_keeps_the_rules() {
    let src = root().join("src");
    let files = sources(&src);
    assert!(files.len() > 40, "the sources were not found");
    let mut broken = Vec::new();
    for (path, text) in &files {
        let path = path.strip_prefix(&src).unwrap().to_str().unwrap();
        broken.extend(violations(path, text));
    }
    assert_eq!(broken, Vec::<String>::new());
}

/// Every other file of Rust says what it is for as well.
#[test]
fn every_file_says_what_it_is_for() {
    for folder in ["tests", "examples", "bench"] {
        for (path, text) in sources(&root().join(folder)) {
            assert!(text.starts_with("//!"), "{} begins without `//!`", path.display());
        }
    }
}

/// Every dependency has a line of why.
#[test]
fn every_dependency_has_a_reason() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("[dependencies]"));
    assert_eq!(unexplained(&manifest), Vec::<String>::new());
}

/// A connection without buffers is at most 192 bytes: it is what an idle client costs.
#[test]
fn a_connection_stays_small() {
    let bytes = size_of::<Conn<MioNet, MangaHub>>();
    assert!(bytes <= 192, "a connection has {bytes} bytes");
}

/// The checker finds each breach, and only breaches.
#[test]
fn the_checker_finds_each_breach() {
    let breaches = [
        ("proto/x.rs", "use crate::reactor::Reactor;"),
        ("proto/x.rs", "use crate::{\n    handlers::{api, key},\n    reactor,\n};"),
        ("handlers/x.rs", "fn f() { crate::proto::v1::routes(); }"),
        ("handlers/x/y.rs", "use crate::{app::{MangaHub}, store::model};"),
        ("store/x.rs", "use crate::handlers::api::Reply;"),
        ("reactor/x.rs", "use crate::store::Store;"),
        ("reactor.rs", "use crate::app;"),
        ("proto/x.rs", "use std::net::TcpStream;"),
        ("handlers/x.rs", "use std::net::{IpAddr, UdpSocket};"),
        ("handlers/x.rs", "let now = std::time::Instant::now();"),
        ("handlers/x.rs", "let now = jiff::Timestamp::now();"),
        ("proto/x.rs", "std::thread::spawn(f);"),
        ("handlers/x.rs", "use std::{sync::Arc, thread};"),
        ("proto/x.rs", "use mio::Poll;"),
        ("handlers/x.rs", "getrandom::fill(&mut bytes);"),
        ("handlers/x.rs", "Uuid::new_v4()"),
        ("app/x.rs", "let sql = \"SELECT 1\";"),
        ("cli/x.rs", "let sql = \"DELETE FROM users\";"),
        ("serve.rs", "use rusqlite::Connection;"),
    ];
    for (path, snippet) in breaches {
        let found = violations(path, &format!("//! A file.\n{snippet}\n"));
        assert_eq!(found.len(), 1, "{path}: {snippet}: {found:?}");
    }
    assert_eq!(violations("serve.rs", "use std::io;\n").len(), 1, "a file without a reason");
    let fine = [
        ("proto/x.rs", "use crate::handlers::api::Reply; // unlike crate::reactor"),
        ("proto/x.rs", "/// See [`crate::reactor`], Instant and mio.\nlet instantly = 1; let instance = Instance;"),
        ("handlers/x.rs", "use std::net::{IpAddr, SocketAddr};"),
        ("reactor/x.rs", "use std::time::Instant; use crate::proto::Wire;"),
        ("store/x.rs", "conn.execute(\"DELETE FROM users\"); use rusqlite::Connection;"),
        ("proto/x.rs", "let methods = \"GET, DELETE\"; let method = \"DELETE\";"),
    ];
    for (path, snippet) in fine {
        assert_eq!(violations(path, &format!("//! A file.\n{snippet}\n")), Vec::<String>::new(), "{snippet}");
    }
    let manifest =
        "[dependencies]\n# Why.\na = \"1\"\nb = \"1\"\n[dev-dependencies]\nc = { version = \"1\" }\n[lints]\nd = 1\n";
    assert_eq!(unexplained(manifest), ["b", "c"]);
}
