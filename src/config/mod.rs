//! What an operator can set, read once at the start into one struct that can't be wrong.
//!
//! [`mod@keys`] declares every key; everything else here is made from that table, so adding a key is
//! adding a row. [`kinds`] says how each kind of value is read and shown, `layers` where values
//! come from: defaults < file < environment < flags. Reading the file is the only side effect;
//! the environment is handed in. [`mod@files`] looks whether what they name is there.
//!
//! What must hold: a [`Config`] that [`Config::load`] returned has passed every check, and knows
//! for each value where it came from. Secrets never leave it by way of `Debug`, an error or a table.

pub mod files;
pub mod keys;
pub mod kinds;
mod layers;

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

pub use keys::{Auth, Config, Http, Internal, Limits, Log, Server, Store, Tcp, Udp};
use keys::{SECTIONS, keys};
pub use kinds::{BroadcastScope, ConflictRule, LogFormat, Registration, Synchronous};
use layers::Setting;

/// Why there is no configuration. Each is one line that names the place, the key and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read: check its path and permissions.
    #[error("{}: can't read the configuration: {reason}", file.display())]
    Unreadable {
        /// The file asked for.
        file: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// The file is not TOML: mend that line.
    #[error("{}:{line}: not TOML: {reason}", file.display())]
    Syntax {
        /// The file asked for.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the parser expected there.
        reason: String,
    },
    /// There is no such key: take the one proposed, or look it up.
    #[error("{origin}: unknown {name}; {}", hint(nearest.as_deref()))]
    Unknown {
        /// What was written: `key limits.conections`, `section [limit]`, `variable MANGAHUB_…`.
        name: String,
        /// Where it was written.
        origin: Origin,
        /// The nearest thing there is.
        nearest: Option<String>,
    },
    /// The value can't be used, alone or beside the others: change it as the reason says.
    #[error("{origin}: {key} = {value}: {reason}")]
    BadValue {
        /// The key, as `section.key`.
        key: String,
        /// The value as it was written, shortened; `(hidden)` for a secret.
        value: String,
        /// Where it was written.
        origin: Origin,
        /// What is expected.
        reason: String,
    },
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// Nobody set it, and its default follows another key.
    Follows(&'static str),
    /// A line of the configuration file.
    File {
        /// The file, as it was named.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// `--set` on the command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => out.write_str("default"),
            Self::Follows(key) => write!(out, "default (follows {key})"),
            Self::File { file, line } => write!(out, "{}:{line}", file.display()),
            Self::Environment(name) => out.write_str(name),
            Self::Flag => out.write_str("--set"),
        }
    }
}

/// One key with its value, as `config show` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// `section.key`.
    pub key: String,
    /// The value as the file would say it; `(set)` for a secret.
    pub literal: String,
    /// The value for machines; `"(set)"` for a secret, null when unset.
    pub value: serde_json::Value,
    /// Where it came from.
    pub origin: Origin,
}

impl Config {
    /// Reads the layers in order, each over the one before, and checks the whole.
    ///
    /// `env` is every variable of the process: those that are not ours are passed over. `flags`
    /// are pairs of `section.key` and value.
    pub fn load(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        flags: &[(String, String)],
    ) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        if let Some(file) = file {
            let settings = layers::from_file(file)?;
            config.keys_in_file = settings.len();
            config.apply_all(settings)?;
        }
        config.apply_all(layers::from_environment(env)?)?;
        config.apply_all(layers::from_flags(flags)?)?;
        config.follow();
        config.check()?;
        Ok(config)
    }

    /// How many keys the file set.
    pub fn keys_in_file(&self) -> usize {
        self.keys_in_file
    }

    /// Where the value of `section.key` came from; [`Origin::Default`] for a key there is not.
    pub fn origin(&self, key: &str) -> &Origin {
        position(key).and_then(|index| self.origins.get(index)).unwrap_or(&Origin::Default)
    }

    /// Every key in the order of the declaration, secrets hidden.
    pub fn shown(&self) -> Vec<Shown> {
        keys()
            .map(|key| Shown {
                key: key.path(),
                literal: (key.literal)(self),
                value: (key.value)(self),
                origin: self.origin(&key.path()).clone(),
            })
            .collect()
    }

    /// Who receives whose progress, and whether it was narrowed to [`BroadcastScope::User`]
    /// because a listener can be reached from outside and nobody decided.
    pub fn effective_broadcast_scope(&self) -> (BroadcastScope, bool) {
        let outside = self.listeners().any(|(_, address)| !address.ip().is_loopback());
        match self.tcp.broadcast_scope {
            Some(scope) => (scope, false),
            None if outside => (BroadcastScope::User, true),
            None => (BroadcastScope::All, false),
        }
    }

    /// Every address to listen on, with the key that asks for it.
    pub fn listeners(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> + '_ {
        let lists = [
            ("http.listen", &self.http.listen),
            ("tcp.v1_listen", &self.tcp.v1_listen),
            ("tcp.v2_listen", &self.tcp.v2_listen),
            ("udp.v1", &self.udp.v1),
            ("udp.v2", &self.udp.v2),
            ("grpc.listen", &self.grpc.listen),
            ("internal.listen", &self.internal.listen),
        ];
        lists.into_iter().flat_map(|(key, list)| list.iter().map(move |address| (key, *address)))
    }

    fn apply_all(&mut self, settings: Vec<Setting>) -> Result<(), ConfigError> {
        settings.into_iter().try_for_each(|setting| self.apply(setting))
    }

    fn apply(&mut self, Setting { key, raw, origin }: Setting) -> Result<(), ConfigError> {
        (key.set)(self, &raw).map_err(|reason| ConfigError::BadValue {
            key: key.path(),
            value: if key.secret { HIDDEN.to_owned() } else { raw.to_string() },
            origin: origin.clone(),
            reason,
        })?;
        if let Some(index) = position(&key.path()) {
            self.origins[index] = origin;
        }
        Ok(())
    }

    /// Whoever switches the rate limit off wants a load test: a bound on broadcasts left at its
    /// default would then measure itself.
    fn follow(&mut self) {
        let untouched = *self.origin("tcp.broadcasts_per_second") == Origin::Default;
        if self.limits.messages_per_second == 0 && untouched {
            self.tcp.broadcasts_per_second = 0;
            if let Some(index) = position("tcp.broadcasts_per_second") {
                self.origins[index] = Origin::Follows("limits.messages_per_second");
            }
        }
    }

    /// What no single value can show: that they fit together.
    fn check(&self) -> Result<(), ConfigError> {
        self.check_internal_token()?;
        self.check_addresses_differ()?;
        self.check_order()
    }

    fn check_internal_token(&self) -> Result<(), ConfigError> {
        let outside = self.internal.listen.iter().any(|address| !address.ip().is_loopback());
        if outside && self.internal.token.is_none() {
            return Err(self.refused("internal.listen", "off loopback this listener needs internal.token: set it too"));
        }
        Ok(())
    }

    fn check_addresses_differ(&self) -> Result<(), ConfigError> {
        let taken: Vec<_> = self.listeners().filter(|(_, address)| address.port() != 0).collect();
        // A datagram and a connection never meet, whatever their ports.
        let alike = |one: &str, other: &str| one.starts_with("udp.") == other.starts_with("udp.");
        for (index, (key, address)) in taken.iter().enumerate() {
            let same = |(first, other): &&(&str, SocketAddr)| other == address && alike(first, key);
            if let Some((first, _)) = taken[..index].iter().find(same) {
                let reason = format!("{address} is in {first} already: every listener needs an address of its own");
                return Err(self.refused(key, &reason));
            }
        }
        Ok(())
    }

    fn check_order(&self) -> Result<(), ConfigError> {
        let at_most = [
            ("http.line_bytes", self.http.line_bytes, "http.head_bytes", self.http.head_bytes),
            (
                "websocket.anonymous_message_bytes",
                self.websocket.anonymous_message_bytes,
                "websocket.message_bytes",
                self.websocket.message_bytes,
            ),
            ("tcp.line_bytes_before_auth", self.tcp.line_bytes_before_auth, "tcp.line_bytes", self.tcp.line_bytes),
            (
                "limits.send_bytes_per_connection",
                self.limits.send_bytes_per_connection,
                "limits.send_bytes_total",
                self.limits.send_bytes_total,
            ),
        ];
        for (key, value, bound, most) in at_most {
            if value > most {
                return Err(self.refused(key, &format!("expected at most {bound}, which is {}", kinds::size(most))));
            }
        }
        let ping_seconds = self.websocket.ping_seconds;
        if self.websocket.pong_seconds <= ping_seconds {
            let reason = format!("expected more than websocket.ping_seconds, which is {ping_seconds}");
            return Err(self.refused("websocket.pong_seconds", &reason));
        }
        Ok(())
    }

    fn refused(&self, key: &str, reason: &str) -> ConfigError {
        let value = keys().find(|row| row.path() == key).map(|row| (row.literal)(self)).unwrap_or_default();
        ConfigError::BadValue {
            key: key.to_owned(),
            value,
            origin: self.origin(key).clone(),
            reason: reason.to_owned(),
        }
    }
}

/// The text of `mangahub.toml`: every key commented out at its default, under its line of why.
pub fn default_file() -> String {
    let defaults = Config::default();
    let mut text = FILE_HEADER.to_owned();
    for section in SECTIONS {
        text.push('\n');
        section.about.iter().for_each(|line| text.push_str(&format!("#{line}\n")));
        text.push_str(&format!("[{}]\n", section.name));
        for key in section.keys {
            key.why.iter().for_each(|line| text.push_str(&format!("#{line}\n")));
            text.push_str(&format!("#{} = {}\n", key.name, (key.literal)(&defaults)));
        }
    }
    text
}

fn position(path: &str) -> Option<usize> {
    keys().position(|key| key.path() == path)
}

fn hint(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("did you mean {nearest}?"),
        None => "`mangahub config default` lists all there is".to_owned(),
    }
}

/// What an error says in the place of a secret.
const HIDDEN: &str = "(hidden)";

const FILE_HEADER: &str = "\
# The configuration of MangaHub: every key, at its default, with the reason for it.
#
# Start with `mangahub --config mangahub.toml`. To change a key, take away its `#`.
# Later wins: default < this file < environment < flag. The same key in each:
#   this file     [limits] messages_per_second = 0
#   environment   MANGAHUB_LIMITS_MESSAGES_PER_SECOND=0     (lists with commas)
#   flag          --set limits.messages_per_second=0
# Sizes are bytes, or text such as \"64KiB\" and \"1MiB\". An address with port 0 takes any free port.
# `mangahub config check --config mangahub.toml` checks, `mangahub config show` tells what holds.
";

#[cfg(test)]
mod tests;
