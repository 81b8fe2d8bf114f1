//! The kinds of value a key can have: how each is read, what it expects, how it is shown.
//!
//! A value arrives as text from every layer ([`Raw`]), so that `5` and `"5"`, a file and an
//! environment variable mean the same. Reading is parsing: what comes out can't be wrong.

use std::{fmt, marker::PhantomData, net::SocketAddr, path::PathBuf};

use serde_json::{Value, json};

use crate::logs::{self, Redacted};

/// A value as it was written, before its key decides what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// A scalar of the file, an environment variable, or a flag.
    One(String),
    /// An array of the file.
    Many(Vec<String>),
}

impl Raw {
    fn one(&self) -> Option<&str> {
        match self {
            Self::One(text) => Some(text),
            Self::Many(_) => None,
        }
    }

    /// The items of a list; text is split at its commas.
    fn items(&self) -> Vec<&str> {
        match self {
            Self::One(text) => text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect(),
            Self::Many(items) => items.iter().map(String::as_str).collect(),
        }
    }
}

impl fmt::Display for Raw {
    /// As an error quotes it: on one line, nothing a terminal would obey, not endless.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = match self {
            Self::One(text) => json!(text),
            Self::Many(items) => json!(items),
        };
        let literal = literal(&value);
        match literal.char_indices().nth(QUOTED_CHARS_MAX) {
            Some((end, _)) => write!(out, "{}…", &literal[..end]),
            None => out.write_str(&literal),
        }
    }
}

/// One kind of value. A marker type: the field of the struct has the type [`Kind::Field`].
pub trait Kind {
    /// What the struct holds.
    type Field;
    /// Whether the value must never be shown.
    const SECRET: bool = false;
    /// Reads what was written, or says what is expected.
    fn read(raw: &Raw) -> Result<Self::Field, String>;
    /// The value for machines; null when unset.
    fn value(field: &Self::Field) -> Value;
    /// The value as the file says it.
    fn literal(field: &Self::Field) -> String {
        literal(&Self::value(field))
    }
}

/// A whole number from `MIN` to `MAX`, held as `T`.
pub struct Whole<T, const MIN: u64, const MAX: u64>(PhantomData<T>);

/// How many of something there may be.
pub type Count<const MIN: u64, const MAX: u64> = Whole<usize, MIN, MAX>;
/// How often, or for how many days: small numbers.
pub type Rate<const MIN: u64 = 0, const MAX: u64 = 1_000_000_000> = Whole<u32, MIN, MAX>;
/// A time in milliseconds.
pub type Millis<const MIN: u64, const MAX: u64> = Whole<u64, MIN, MAX>;
/// A time in seconds.
pub type Seconds<const MIN: u64, const MAX: u64> = Whole<u64, MIN, MAX>;

impl<T, const MIN: u64, const MAX: u64> Kind for Whole<T, MIN, MAX>
where
    T: Copy + TryFrom<u64> + TryInto<u64>,
{
    type Field = T;

    fn read(raw: &Raw) -> Result<T, String> {
        let number = raw.one().and_then(|text| text.trim().parse().ok()).filter(|number| (MIN..=MAX).contains(number));
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| format!("expected a whole number from {MIN} to {MAX}"))
    }

    fn value(field: &T) -> Value {
        json!((*field).try_into().unwrap_or(MAX))
    }
}

/// A size in bytes: a whole number, or one with `B`, `KiB`, `MiB`, `GiB` or `TiB`.
pub struct Bytes<const MIN: u64, const MAX: u64>;

impl<const MIN: u64, const MAX: u64> Kind for Bytes<MIN, MAX> {
    type Field = usize;

    fn read(raw: &Raw) -> Result<usize, String> {
        let bytes = raw.one().and_then(parse_size).filter(|bytes| (MIN..=MAX).contains(bytes));
        bytes.and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(|| {
            format!("expected a size from {} to {}, such as 65536 or \"64KiB\"", size_of_u64(MIN), size_of_u64(MAX))
        })
    }

    fn value(field: &usize) -> Value {
        json!(field)
    }

    fn literal(field: &usize) -> String {
        format!("\"{}\"", size(*field))
    }
}

/// A size as people write it: `64KiB`, `1000B`.
pub fn size(bytes: usize) -> String {
    size_of_u64(bytes as u64)
}

fn size_of_u64(bytes: u64) -> String {
    let unit = UNITS.iter().rev().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    let (name, unit) = unit.unwrap_or(&UNITS[0]);
    format!("{}{name}", bytes / unit)
}

fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, name) = text.split_at(digits);
    let name = if name.is_empty() { "B" } else { name.trim_start() };
    let (_, unit) = UNITS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    number.parse::<u64>().ok()?.checked_mul(*unit)
}

/// `true` or `false`.
pub struct Flag;

impl Kind for Flag {
    type Field = bool;

    fn read(raw: &Raw) -> Result<bool, String> {
        match raw.one().map(str::trim) {
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            _ => Err("expected true or false".to_owned()),
        }
    }

    fn value(field: &bool) -> Value {
        json!(field)
    }
}

/// Addresses to listen on. No name but `localhost` is looked up: a start must not depend on DNS.
pub struct Addresses;

impl Kind for Addresses {
    type Field = Vec<SocketAddr>;

    fn read(raw: &Raw) -> Result<Vec<SocketAddr>, String> {
        let expected = "expected a list of addresses with ports, such as [\"127.0.0.1:8080\", \"[::1]:8080\"]";
        let address = |item: &str| match item.trim().strip_prefix("localhost:") {
            Some(port) => port.parse().ok().map(|port: u16| SocketAddr::from(([127, 0, 0, 1], port))),
            None => item.trim().parse().ok(),
        };
        raw.items().into_iter().map(|item| address(item).ok_or_else(|| expected.to_owned())).collect()
    }

    fn value(field: &Vec<SocketAddr>) -> Value {
        json!(field.iter().map(SocketAddr::to_string).collect::<Vec<_>>())
    }
}

/// Ports of listeners.
pub struct Ports;

impl Kind for Ports {
    type Field = Vec<u16>;

    fn read(raw: &Raw) -> Result<Vec<u16>, String> {
        let expected = "expected a list of ports, such as [9093]";
        let port = |item: &str| item.trim().parse().map_err(|_| expected.to_owned());
        raw.items().into_iter().map(port).collect()
    }

    fn value(field: &Vec<u16>) -> Value {
        json!(field)
    }
}

/// Host names without scheme and port, in lower case.
pub struct HostNames;

impl Kind for HostNames {
    type Field = Vec<String>;

    fn read(raw: &Raw) -> Result<Vec<String>, String> {
        let expected = "expected a list of host names without scheme and port, such as [\"manga.example.org\"]";
        let name = |item: &str| is_host_name(item).then(|| item.to_ascii_lowercase());
        raw.items().into_iter().map(|item| name(item).ok_or_else(|| expected.to_owned())).collect()
    }

    fn value(field: &Vec<String>) -> Value {
        json!(field)
    }
}

/// Origins as browsers send them (RFC 6454, section 6.2), in lower case, or `*`.
pub struct CorsOrigins;

impl Kind for CorsOrigins {
    type Field = Vec<String>;

    fn read(raw: &Raw) -> Result<Vec<String>, String> {
        let expected = "expected a list of origins without a path, such as [\"https://manga.example.org\"], or [\"*\"]";
        let origin = |item: &str| is_origin(item).then(|| item.to_ascii_lowercase());
        raw.items().into_iter().map(|item| origin(item).ok_or_else(|| expected.to_owned())).collect()
    }

    fn value(field: &Vec<String>) -> Value {
        json!(field)
    }
}

fn is_host_name(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !text.is_empty() && text.bytes().all(known)
}

fn is_origin(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let Some(authority) = lower.strip_prefix("http://").or_else(|| lower.strip_prefix("https://")) else {
        return text == "*";
    };
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') && !port.ends_with(']') => {
            port.parse::<u16>().is_ok() && (is_host_name(host) || is_ipv6_literal(host))
        }
        _ => is_host_name(authority) || is_ipv6_literal(authority),
    }
}

fn is_ipv6_literal(text: &str) -> bool {
    let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    inside.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
}

/// A path of the file system, relative to the working directory.
pub struct FilePath;

impl Kind for FilePath {
    type Field = PathBuf;

    fn read(raw: &Raw) -> Result<PathBuf, String> {
        let path = raw.one().filter(|path| !path.is_empty() && !path.contains('\0'));
        path.map(PathBuf::from).ok_or_else(|| "expected a path".to_owned())
    }

    fn value(field: &PathBuf) -> Value {
        json!(field.to_string_lossy())
    }
}

/// The address of a store: `sqlite:` and a path.
pub struct StoreUrl;

impl Kind for StoreUrl {
    type Field = String;

    fn read(raw: &Raw) -> Result<String, String> {
        let path = raw.one().and_then(|url| url.strip_prefix("sqlite:"));
        match path.filter(|path| !path.is_empty() && !path.contains('\0')) {
            Some(path) => Ok(format!("sqlite:{path}")),
            None => Err("expected sqlite: and a path, such as \"sqlite:./data/mangahub.db\"".to_owned()),
        }
    }

    fn value(field: &String) -> Value {
        json!(field)
    }
}

/// Directives of the log filter, checked by the filter itself.
pub struct LogFilter;

impl Kind for LogFilter {
    type Field = String;

    fn read(raw: &Raw) -> Result<String, String> {
        let text = raw.one().unwrap_or_default();
        logs::filter(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
    }

    fn value(field: &String) -> Value {
        json!(field)
    }
}

/// The key that signs tokens.
pub struct SigningSecret;

impl Kind for SigningSecret {
    type Field = Redacted<String>;
    const SECRET: bool = true;

    fn read(raw: &Raw) -> Result<Redacted<String>, String> {
        let secret = raw.one().unwrap_or_default();
        if is_published(secret) {
            return Err("this secret is published, anyone could sign tokens with it: choose your own, \
                        or leave it unset and one is made"
                .to_owned());
        }
        if secret.len() < SIGNING_SECRET_BYTES_MIN {
            return Err(format!("expected at least {SIGNING_SECRET_BYTES_MIN} bytes, or unset and one is made"));
        }
        Ok(Redacted::new(secret.to_owned()))
    }

    fn value(_: &Redacted<String>) -> Value {
        json!(SET)
    }

    fn literal(_: &Redacted<String>) -> String {
        SET.to_owned()
    }
}

/// Whether a secret is one that examples and compose files hand to everyone, however it is spelt.
fn is_published(secret: &str) -> bool {
    let plain = secret.to_ascii_lowercase().replace(['_', ' '], "-");
    PUBLISHED_SECRETS.iter().any(|part| plain.contains(part))
}

/// A shared password between machines.
pub struct Token;

impl Kind for Token {
    type Field = Redacted<String>;
    const SECRET: bool = true;

    fn read(raw: &Raw) -> Result<Redacted<String>, String> {
        let token = raw.one().filter(|token| token.len() >= TOKEN_BYTES_MIN);
        match token.filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic())) {
            Some(token) => Ok(Redacted::new(token.to_owned())),
            None => Err(format!("expected at least {TOKEN_BYTES_MIN} printable ASCII characters without spaces")),
        }
    }

    fn value(_: &Redacted<String>) -> Value {
        json!(SET)
    }

    fn literal(_: &Redacted<String>) -> String {
        SET.to_owned()
    }
}

/// A value that may be left unset, which is written as empty text.
pub struct Maybe<K>(PhantomData<K>);

impl<K: Kind> Kind for Maybe<K> {
    type Field = Option<K::Field>;
    const SECRET: bool = K::SECRET;

    fn read(raw: &Raw) -> Result<Self::Field, String> {
        match raw.one() {
            Some("") => Ok(None),
            _ => K::read(raw).map(Some),
        }
    }

    fn value(field: &Self::Field) -> Value {
        field.as_ref().map_or(Value::Null, K::value)
    }

    fn literal(field: &Self::Field) -> String {
        field.as_ref().map_or_else(|| "\"\"".to_owned(), K::literal)
    }
}

/// An enum of words, each written in the file as the text beside it.
macro_rules! choice {
    ($(#[doc = $about:literal])+ $Name:ident { $($(#[doc = $why:literal])+ $Variant:ident = $word:literal,)+ }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $Name {
            $($(#[doc = $why])+ $Variant,)+
        }

        impl $Name {
            /// The word for it in the file.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$Variant => $word,)+
                }
            }
        }

        impl Kind for $Name {
            type Field = Self;

            fn read(raw: &Raw) -> Result<Self, String> {
                match raw.one().map(str::trim) {
                    $(Some($word) => Ok(Self::$Variant),)+
                    _ => Err(format!("expected {}", [$(concat!("\"", $word, "\"")),+].join(" or "))),
                }
            }

            fn value(field: &Self) -> Value {
                json!(field.as_str())
            }
        }
    };
}

choice! {
    /// Who receives whose progress.
    BroadcastScope {
        /// Everyone receives everyone's, except private entries.
        All = "all",
        /// Everyone receives their own.
        User = "user",
    }
}

choice! {
    /// What becomes of progress that is behind what is stored.
    ConflictRule {
        /// It is stored.
        LastWriteWins = "last_write_wins",
        /// The stored place is kept.
        Furthest = "furthest",
        /// It is refused, and its reader is asked.
        Ask = "ask",
    }
}

choice! {
    /// When a commit counts as kept.
    Synchronous {
        /// When it is on the disk.
        Full = "full",
        /// When the operating system has it.
        Normal = "normal",
    }
}

choice! {
    /// Who can make an account.
    Registration {
        /// Anyone.
        Open = "open",
        /// The operator.
        Closed = "closed",
    }
}

choice! {
    /// How log events are written.
    LogFormat {
        /// As text on a terminal, else as JSON.
        Auto = "auto",
        /// As text.
        Text = "text",
        /// As JSON, one object per line.
        Json = "json",
    }
}

/// A value in the syntax that TOML and JSON share, on one line, safe to print on a terminal.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "\"\"".to_owned(),
        Value::Array(items) => format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        // JSON leaves DEL and the C1 controls as they are; TOML forbids the first, terminals obey the others.
        scalar => logs::escape_with(&scalar.to_string(), |char| format!("\\u{:04X}", u32::from(char))).into_owned(),
    }
}

const UNITS: [(&str, u64); 5] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// What stands in the place of a secret that is set.
const SET: &str = "(set)";

/// As long as the output of HS256's hash (RFC 7518, section 3.2); a shorter one is refused.
const SIGNING_SECRET_BYTES_MIN: usize = 32;

/// Too many to guess over a network; a shorter one is refused.
const TOKEN_BYTES_MIN: usize = 16;

/// An error quotes this much of a value; the rest becomes an ellipsis, so that it stays one readable line.
const QUOTED_CHARS_MAX: usize = 80;

/// Parts of the secrets that the existing servers publish in their repositories, and of those alike.
const PUBLISHED_SECRETS: [&str; 8] = [
    "your-jwt-secret",
    "your-secret-key",
    "your-super-secret",
    "dev-secret",
    "change-in-production",
    "change-this",
    "change-me",
    "changeme",
];
