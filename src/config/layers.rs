//! Where settings come from besides the defaults: the file, the environment, the flags.
//!
//! Each layer becomes a list of [`Setting`]s that name a key there is; what a value means is not
//! decided here. A name that is nearly a key is an error, never passed over: a limit that an
//! operator believes to be set must be set.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    ConfigError, Origin,
    keys::{Key, SECTIONS, keys},
    kinds::Raw,
};

/// One value for one key, as it was written.
pub struct Setting {
    /// The key it is for.
    pub key: &'static Key,
    /// What was written.
    pub raw: Raw,
    /// Where.
    pub origin: Origin,
}

/// The settings of a TOML file, in no particular order.
pub fn from_file(file: &Path) -> Result<Vec<Setting>, ConfigError> {
    let text = read(file).map_err(|error| ConfigError::Unreadable { file: file.into(), reason: error.to_string() })?;
    let document = DeTable::parse(&text).map_err(|error| ConfigError::Syntax {
        file: file.into(),
        line: line_of(&text, error.span().map_or(0, |span| span.start)),
        reason: error.message().replace('\n', ", "),
    })?;
    let origin = |start: usize| Origin::File { file: file.into(), line: line_of(&text, start) };
    let mut settings = Vec::new();
    for (section, value) in document.get_ref() {
        let name = section.get_ref();
        let Some(table) = value.get_ref().as_table() else {
            return Err(unknown_key(name, origin(section.span().start)));
        };
        if !SECTIONS.iter().any(|known| known.name == name) {
            return Err(unknown_section(name, origin(section.span().start)));
        }
        for (key, value) in table {
            settings.push(setting(name, key.get_ref(), value, origin(key.span().start))?);
        }
    }
    Ok(settings)
}

/// The settings among a process's environment variables. Those of our client commands and of
/// other programs are passed over.
pub fn from_environment(env: impl Iterator<Item = (String, String)>) -> Result<Vec<Setting>, ConfigError> {
    let ours = env.filter(|(name, _)| name.starts_with(PREFIX) && !CLIENT_VARIABLES.contains(&name.as_str()));
    let mut settings = Vec::new();
    for (name, value) in ours {
        let origin = Origin::Environment(name.clone());
        if let Some(key) = keys().find(|key| key.variable() == name) {
            settings.push(Setting { key, raw: Raw::One(value), origin });
        } else if let Some(error) = misspelt_variable(&name, origin) {
            return Err(error);
        }
    }
    Ok(settings)
}

/// The settings of `--set`, the last one of a key winning.
pub fn from_flags(flags: &[(String, String)]) -> Result<Vec<Setting>, ConfigError> {
    let setting = |(path, value): &(String, String)| match keys().find(|key| key.path() == *path) {
        Some(key) => Ok(Setting { key, raw: Raw::One(value.clone()), origin: Origin::Flag }),
        None => Err(unknown_key(path, Origin::Flag)),
    };
    flags.iter().map(setting).collect()
}

fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other("over 1 MiB is no configuration"));
    }
    Ok(text)
}

fn setting(section: &str, name: &str, value: &Spanned<DeValue<'_>>, origin: Origin) -> Result<Setting, ConfigError> {
    let path = format!("{section}.{name}");
    let Some(key) = keys().find(|key| key.path() == path) else {
        return Err(unknown_key(&path, origin));
    };
    match raw(value.get_ref()) {
        Some(raw) => Ok(Setting { key, raw, origin }),
        None => Err(ConfigError::BadValue {
            key: path,
            value: "{…}".to_owned(),
            origin,
            reason: "expected a single value or a list, not a table or a list of lists".to_owned(),
        }),
    }
}

fn raw(value: &DeValue<'_>) -> Option<Raw> {
    match value {
        DeValue::Array(items) => items.iter().map(|item| scalar(item.get_ref())).collect::<Option<_>>().map(Raw::Many),
        value => scalar(value).map(Raw::One),
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(
            i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| number.as_str().to_owned(), |number| number.to_string()),
        ),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn line_of(text: &str, start: usize) -> usize {
    1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count()
}

fn unknown_key(path: &str, origin: Origin) -> ConfigError {
    let nearest = nearest(path, keys().map(Key::path));
    ConfigError::Unknown { name: format!("key {}", path.escape_debug()), origin, nearest }
}

fn unknown_section(name: &str, origin: Origin) -> ConfigError {
    let nearest = nearest(name, SECTIONS.iter().map(|section| section.name.to_owned()));
    let nearest = nearest.map(|name| format!("[{name}]"));
    ConfigError::Unknown { name: format!("section [{}]", name.escape_debug()), origin, nearest }
}

/// The error for a variable that is in one of our sections or nearly one of ours; `None` for any other.
fn misspelt_variable(name: &str, origin: Origin) -> Option<ConfigError> {
    let in_section = |section: &str| {
        let rest = name.strip_prefix(PREFIX)?.strip_prefix(&section.to_uppercase())?;
        rest.starts_with('_').then_some(())
    };
    let ours = SECTIONS.iter().any(|section| in_section(section.name).is_some());
    let nearest = nearest(name, keys().map(Key::variable));
    (ours || nearest.is_some()).then(|| ConfigError::Unknown { name: "variable".to_owned(), origin, nearest })
}

/// The nearest candidate, if it is only slips of the keyboard away.
fn nearest(written: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    let written = written.to_lowercase();
    let distance = |candidate: &String| strsim::osa_distance(&written, &candidate.to_lowercase());
    let (distance, candidate) = candidates.map(|candidate| (distance(&candidate), candidate)).min()?;
    (distance <= SLIP_CHARS_MAX).then_some(candidate)
}

const PREFIX: &str = "MANGAHUB_";

/// What the client commands of the existing clients read: no settings of the server, though
/// `MANGAHUB_TCP_SERVER` looks like one.
const CLIENT_VARIABLES: [&str; 4] =
    ["MANGAHUB_API_URL", "MANGAHUB_TCP_SERVER", "MANGAHUB_UDP_ADDR", "MANGAHUB_GRPC_ADDR"];

/// The default file has 9 KiB; a larger one than this is a device or a mistake, and is refused.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Letters wrong, missing, swapped or too many in a name that we still take for a misspelt key.
/// One more and unrelated short names begin to match.
const SLIP_CHARS_MAX: usize = 3;
