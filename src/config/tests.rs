//! The layers, every error line, the default file, and that secrets stay hidden.

use std::{fs, net::SocketAddr, path::PathBuf};

use super::{keys::keys, *};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load(text: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.toml");
    fs::write(&file, text).unwrap();
    Config::load(Some(&file), pairs(env).into_iter(), &pairs(flags))
}

/// The error line, without the folder the file is in.
fn refusal(text: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> String {
    let line = load(text, env, flags).unwrap_err().to_string();
    assert_eq!(line.lines().count(), 1, "{line:?}");
    match line.find("m.toml") {
        Some(start) => line[start..].to_owned(),
        None => line,
    }
}

fn in_environment(name: &str, value: &str) -> String {
    refusal("", &[(name, value)], &[])
}

/// Each layer wins over the one before, and each value remembers the layer it came from.
#[test]
fn later_layers_win() {
    let file = "[http]\nfields = 20\nhead_bytes = 20000\n\n[limits]\nconnections = 1\n";
    let env = [("MANGAHUB_HTTP_FIELDS", "30"), ("MANGAHUB_LIMITS_CONNECTIONS", "2"), ("PATH", "/bin")];
    let config = load(file, &env, &[("limits.connections", "3"), ("limits.connections", "4")]).unwrap();
    assert_eq!((config.http.head_bytes, config.http.fields, config.limits.connections), (20_000, 30, 4));
    assert!(matches!(config.origin("http.head_bytes"), Origin::File { line: 3, .. }));
    assert_eq!(*config.origin("http.fields"), Origin::Environment("MANGAHUB_HTTP_FIELDS".to_owned()));
    assert_eq!(*config.origin("limits.connections"), Origin::Flag);
    assert_eq!(*config.origin("http.body_bytes"), Origin::Default);
    assert_eq!(config.keys_in_file(), 3);
}

/// `mangahub.toml` in the root is what the declaration generates, so neither is changed alone.
#[test]
fn the_default_file_is_generated() {
    assert_eq!(include_str!("../../mangahub.toml"), default_file(), "run: mangahub config default > mangahub.toml");
}

/// Every key of the default file, its comment sign taken away, is accepted and changes nothing.
#[test]
fn every_default_can_be_written() {
    let written = |line: &str| match line.strip_prefix('#') {
        Some(key) if !key.starts_with(' ') && !key.is_empty() => key.to_owned(),
        _ => line.to_owned(),
    };
    let text: Vec<String> = default_file().lines().map(written).collect();
    let config = load(&text.join("\n"), &[], &[]).unwrap();
    assert_eq!(config.keys_in_file(), keys().count());
    let values = |config: &Config| config.shown().into_iter().map(|row| (row.key, row.value)).collect::<Vec<_>>();
    assert_eq!(values(&config), values(&Config::default()));
}

/// The defaults pass the checks that a written configuration has to pass.
#[test]
fn defaults_pass_the_checks() {
    let config = Config::load(None, std::iter::empty(), &[]).unwrap();
    assert_eq!(config.tcp.v1_listen, [SocketAddr::from(([127, 0, 0, 1], 9090))]);
    assert_eq!(config.tcp.broadcasts_per_second, 100);
}

/// Every key has at least one line of why, and lines stay readable in an editor.
#[test]
fn every_key_says_why() {
    for key in keys() {
        let lines = || key.why.iter().map(|line| line.trim());
        assert!(lines().all(|line| (20..=130).contains(&line.len())), "{}", key.path());
    }
}

/// Each key has its own variable, and all of them work.
#[test]
fn every_key_can_be_set_by_variable() {
    let default = Config::default();
    for key in keys().filter(|key| !key.secret) {
        let value = match (key.value)(&default) {
            serde_json::Value::Array(items) => items
                .iter()
                .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
                .collect::<Vec<_>>()
                .join(","),
            serde_json::Value::String(text) => text,
            serde_json::Value::Null => String::new(),
            scalar => scalar.to_string(),
        };
        let config = load("", &[(&key.variable(), &value)], &[]).unwrap();
        assert_eq!(*config.origin(&key.path()), Origin::Environment(key.variable()));
        assert_eq!((key.value)(&config), (key.value)(&default), "{}", key.path());
    }
}

/// Lists are comma separated outside the file; `localhost`, IPv6 and port 0 are addresses.
#[test]
fn lists_in_the_environment() {
    let env = [
        ("MANGAHUB_HTTP_LISTEN", "localhost:8080, [::1]:0 ,0.0.0.0:81"),
        ("MANGAHUB_TCP_V1_LISTEN", ""),
        ("MANGAHUB_HTTP_HOSTS", "Manga.example.org"),
        ("MANGAHUB_HTTP_CORS_ORIGINS", "https://Manga.example.org:444,http://[::1]:3000,*"),
    ];
    let config = load("", &env, &[]).unwrap();
    let addresses: Vec<SocketAddr> =
        ["127.0.0.1:8080", "[::1]:0", "0.0.0.0:81"].map(|address| address.parse().unwrap()).to_vec();
    assert_eq!(config.http.listen, addresses);
    assert!(config.tcp.v1_listen.is_empty());
    assert_eq!(config.http.hosts, ["manga.example.org"]);
    assert_eq!(config.http.cors_origins, ["https://manga.example.org:444", "http://[::1]:3000", "*"]);
}

/// Sizes are numbers or text with a unit, numbers may be in TOML's other notations, quotes do not matter.
#[test]
fn sizes_and_numbers() {
    let file = "[limits]\nrecv_bytes_total = \"2 mib\"\nsend_bytes_total = 0x40_0000\nconnections = \"7\"\n\
                read_budget_bytes = \"8192\"\n[tcp]\nv2_coalesce = \"true\"\n";
    let config = load(file, &[("MANGAHUB_HTTP_BODY_BYTES", "1GiB")], &[]).unwrap();
    assert_eq!((config.limits.recv_bytes_total, config.limits.send_bytes_total), (2 << 20, 4 << 20));
    assert_eq!((config.limits.connections, config.limits.read_budget_bytes), (7, 8192));
    assert_eq!(config.http.body_bytes, 1 << 30);
    assert!(config.tcp.v2_coalesce);
}

/// Empty text unsets what may be unset, so that an environment can undo a file.
#[test]
fn empty_text_unsets() {
    let file = format!("[auth]\nsecret = \"{SECRET}\"\n[tcp]\nbroadcast_scope = \"user\"\n");
    let env = [("MANGAHUB_AUTH_SECRET", ""), ("MANGAHUB_TCP_BROADCAST_SCOPE", "")];
    let config = load(&file, &env, &[]).unwrap();
    assert_eq!((config.auth.secret, config.tcp.broadcast_scope), (None, None));
}

/// Each mistake in the file is one line with its place, the key, the value and what is expected.
#[test]
fn mistakes_in_the_file() {
    let cases = [
        ("[limits]\nconections = 1", "m.toml:2: unknown key limits.conections; did you mean limits.connections?"),
        ("[limit]\n", "m.toml:1: unknown section [limit]; did you mean [limits]?"),
        ("[weather]\nsun = 1", "m.toml:1: unknown section [weather]; `mangahub config default` lists all there is"),
        ("\nlisten = 1", "m.toml:2: unknown key listen; `mangahub config default` lists all there is"),
        ("[http]\nfields = -1", "m.toml:2: http.fields = \"-1\": expected a whole number from 8 to 256"),
        ("[http]\nfields = 9.5", "m.toml:2: http.fields = \"9.5\": expected a whole number from 8 to 256"),
        ("[http]\nfields = [9]", "m.toml:2: http.fields = [\"9\"]: expected a whole number from 8 to 256"),
        (
            "[http]\nlisten = { port = 1 }",
            "m.toml:2: http.listen = {…}: expected a single value or a list, not a table or a list of lists",
        ),
        ("[auth]\nbcrypt_cost = 16", "m.toml:2: auth.bcrypt_cost = \"16\": expected a whole number from 4 to 15"),
        ("[auth]\nregistration = \"shut\"", "m.toml:2: auth.registration = \"shut\": expected \"open\" or \"closed\""),
        ("[tcp]\nv2_coalesce = 1", "m.toml:2: tcp.v2_coalesce = \"1\": expected true or false"),
        (
            "[http]\nbody_bytes = \"1MB\"",
            "m.toml:2: http.body_bytes = \"1MB\": expected a size from 1KiB to 1GiB, such as 65536 or \"64KiB\"",
        ),
        (
            "[log]\nlevel = \"a\\nb\\u001b[31m\"",
            "m.toml:2: log.level = \"a\\nb\\u001b[31m\": expected error, warn, info, debug, trace or off, \
             or several by module such as \"info,mangahub::store=debug\"",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal(text, &[], &[]), expected);
    }
}

/// Text that is no TOML is refused with its line, duplicates and a wild byte included.
#[test]
fn text_that_is_not_toml() {
    for (text, place) in [
        ("[http]\n\nlisten = [", "m.toml:3: not TOML: "),
        ("[http]\nfields = 9\nfields = 9", "m.toml:3: not TOML: "),
        ("[http]\n[http]\n", "m.toml:2: not TOML: "),
        ("a = \"\u{0}\"", "m.toml:1: not TOML: "),
    ] {
        let line = refusal(text, &[], &[]);
        assert!(line.starts_with(place) && line.len() > place.len(), "{line}");
    }
}

/// A file that is not there, is a folder, or never ends is refused by name.
#[test]
fn files_that_cannot_be_read() {
    for file in ["/no/such/file.toml", "/", "/dev/zero"].map(PathBuf::from) {
        let line = Config::load(Some(&file), std::iter::empty(), &[]).unwrap_err().to_string();
        assert!(line.starts_with(&format!("{}: can't read the configuration: ", file.display())), "{line}");
    }
}

/// A misspelt variable is refused with the nearest; those of clients and of others are passed over.
#[test]
fn mistakes_in_the_environment() {
    let unknown = "MANGAHUB_LIMITS_CONECTIONS: unknown variable; did you mean MANGAHUB_LIMITS_CONNECTIONS?";
    assert_eq!(in_environment("MANGAHUB_LIMITS_CONECTIONS", "1"), unknown);
    let section = "MANGAHUB_LIMIT_CONNECTIONS: unknown variable; did you mean MANGAHUB_LIMITS_CONNECTIONS?";
    assert_eq!(in_environment("MANGAHUB_LIMIT_CONNECTIONS", "1"), section);
    let far = "MANGAHUB_HTTP_COLOUR_SCHEME: unknown variable; `mangahub config default` lists all there is";
    assert_eq!(in_environment("MANGAHUB_HTTP_COLOUR_SCHEME", "1"), far);
    let bad = "MANGAHUB_TCP_BROADCAST_SCOPE: tcp.broadcast_scope = \"none\": expected \"all\" or \"user\"";
    assert_eq!(in_environment("MANGAHUB_TCP_BROADCAST_SCOPE", "none"), bad);
    let others = ["MANGAHUB_TCP_SERVER", "MANGAHUB_API_URL", "MANGAHUB_SERVICE_PORT", "HTTP_PORT", "LIMITS_FIELDS"];
    assert!(load("", &others.map(|name| (name, "x")), &[]).is_ok());
}

/// Flags are refused in the same words.
#[test]
fn mistakes_in_flags() {
    let unknown = "--set: unknown key http.field; did you mean http.fields?";
    assert_eq!(refusal("", &[], &[("http.field", "9")]), unknown);
    let bad = "--set: store.url = \"mysql://x\": expected sqlite: and a path, such as \"sqlite:./data/mangahub.db\"";
    assert_eq!(refusal("", &[], &[("store.url", "mysql://x")]), bad);
}

/// Values that are no addresses, hosts, origins, paths or tokens are refused.
#[test]
fn malformed_values() {
    for (key, value) in [
        ("http.listen", "8080"),
        ("http.listen", "example.org:80"),
        ("http.listen", "127.0.0.1:65536"),
        ("http.listen", "localhost:http"),
        ("http.hosts", "http://example.org"),
        ("http.hosts", "example.org:80"),
        ("http.cors_origins", "example.org"),
        ("http.cors_origins", "http://example.org/"),
        ("http.cors_origins", "http://example.org:99999"),
        ("http.cors_origins", "http://::1"),
        ("http.cors_origins", "file://x"),
        ("store.url", "sqlite:"),
        ("server.data_dir", ""),
        ("internal.token", "short"),
        ("internal.token", "sixteen letters with spaces"),
        ("limits.messages_burst", "0"),
        ("http.body_bytes", "99999999999999999999"),
        ("http.body_bytes", "18014398509481984KiB"),
        ("http.body_bytes", "KiB"),
    ] {
        let line = refusal("", &[], &[(key, value)]);
        assert!(line.starts_with(&format!("--set: {key} = ")) && line.contains(": expected "), "{line}");
    }
}

/// A long value is quoted in part, so that the line stays a line.
#[test]
fn long_values_are_cut() {
    let line = refusal("", &[], &[("log.level", &"é".repeat(5000))]);
    assert!(line.len() < 400 && line.contains("é…: expected"), "{line}");
}

/// Secrets that are published in whatever spelling, or short, are refused; their text is in no error.
#[test]
fn bad_secrets_are_refused_and_hidden() {
    for published in [
        "your-jwt-secret-change-in-production",
        "dev-secret-key-change-in-production",
        "YOUR_JWT_SECRET_CHANGE_IN_PRODUCTION",
        "please-change-me-please-change-me-please",
    ] {
        let line = refusal("", &[("MANGAHUB_AUTH_SECRET", published)], &[]);
        assert!(line.starts_with("MANGAHUB_AUTH_SECRET: auth.secret = (hidden): this secret is published"), "{line}");
    }
    let short = &SECRET[1..];
    let line = refusal(&format!("[auth]\nsecret = \"{short}\""), &[], &[]);
    assert_eq!(line, "m.toml:2: auth.secret = (hidden): expected at least 32 bytes, or unset and one is made");
    assert!(!refusal("", &[], &[("internal.token", "hunter2")]).contains("hunter2"));
}

/// A good secret reaches the struct, and neither `Debug` nor the rows of `config show`.
#[test]
fn good_secrets_are_hidden() {
    let env = [("MANGAHUB_AUTH_SECRET", SECRET), ("MANGAHUB_INTERNAL_TOKEN", SECRET)];
    let config = load("", &env, &[]).unwrap();
    assert_eq!(config.auth.secret.as_ref().map(|secret| secret.expose().as_str()), Some(SECRET));
    assert!(!format!("{config:?} {:?}", config.shown()).contains(SECRET));
    let row = config.shown().into_iter().find(|row| row.key == "internal.token").unwrap();
    assert_eq!((row.literal.as_str(), row.value), ("(set)", serde_json::json!("(set)")));
}

/// Values that are fine alone and wrong together are refused where they were written.
#[test]
fn contradictions() {
    let open = [("internal.listen", "0.0.0.0:8085")];
    let reason = "off loopback this listener needs internal.token: set it too";
    assert_eq!(refusal("", &[], &open), format!("--set: internal.listen = [\"0.0.0.0:8085\"]: {reason}"));
    assert!(load("", &[("MANGAHUB_INTERNAL_TOKEN", SECRET)], &open).is_ok());

    let reason = "127.0.0.1:8080 is in http.listen already: every listener needs an address of its own";
    let line = refusal("[tcp]\nv1_listen = [\"127.0.0.1:8080\"]", &[], &[]);
    assert_eq!(line, format!("m.toml:2: tcp.v1_listen = [\"127.0.0.1:8080\"]: {reason}"));
    assert!(load("", &[], &[("http.listen", "127.0.0.1:0,127.0.0.1:0")]).is_ok());

    let line = refusal("[http]\nline_bytes = 32768", &[], &[]);
    assert_eq!(line, "m.toml:2: http.line_bytes = \"32KiB\": expected at most http.head_bytes, which is 16KiB");
}

/// Without a decision everyone hears everyone on loopback only; a decision is kept.
#[test]
fn scope_narrows_off_loopback() {
    let scope = |flags: &[(&str, &str)]| load("", &[], flags).unwrap().effective_broadcast_scope();
    let open = ("tcp.v2_listen", "0.0.0.0:8081");
    assert_eq!(scope(&[]), (BroadcastScope::All, false));
    assert_eq!(scope(&[open]), (BroadcastScope::User, true));
    assert_eq!(scope(&[open, ("tcp.broadcast_scope", "all")]), (BroadcastScope::All, false));
    assert_eq!(scope(&[("tcp.broadcast_scope", "user")]), (BroadcastScope::User, false));
}

/// Switching the rate limit off switches the bound on broadcasts off, unless that was decided.
#[test]
fn broadcasts_follow_the_rate_limit() {
    let off = ("limits.messages_per_second", "0");
    let config = load("", &[], &[off]).unwrap();
    assert_eq!(config.tcp.broadcasts_per_second, 0);
    assert_eq!(*config.origin("tcp.broadcasts_per_second"), Origin::Follows("limits.messages_per_second"));
    let config = load("[tcp]\nbroadcasts_per_second = 100", &[], &[off]).unwrap();
    assert_eq!(config.tcp.broadcasts_per_second, 100);
}
