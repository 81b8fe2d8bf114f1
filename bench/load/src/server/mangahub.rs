//! MangaHub itself: a fresh store, a secret of its own, and no limits on rates.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use serde::Deserialize;
use tempfile::TempDir;
use uuid::Uuid;

use super::process::{Process, must_exist};
use crate::error::{Doing, LoadError};

/// The server, with limits on rates off and a fresh store.
pub struct MangaHub {
    process: Process,
    /// Where it listens.
    pub ports: Ports,
    /// What its tokens are signed with.
    pub secret: String,
    folder: TempDir,
}

/// The ports file, as far as it is used.
#[derive(Debug, Clone, Deserialize)]
pub struct Ports {
    http: Vec<SocketAddr>,
    tcp_v1: Vec<SocketAddr>,
    /// Not every server has one.
    #[serde(default)]
    udp_v1: Vec<SocketAddr>,
    /// Likewise.
    #[serde(default)]
    grpc: Vec<SocketAddr>,
    internal: Vec<SocketAddr>,
}

impl MangaHub {
    /// Starts the server with its data in a new folder in `data`, and `settings` (name, value) on top.
    pub fn start(
        program: &Path,
        core: Option<usize>,
        data: &Path,
        settings: &[(&str, &str)],
    ) -> Result<Self, LoadError> {
        must_exist(program)?;
        let folder = tempfile::tempdir_in(data).doing("make a data folder")?;
        let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let (path, ports_file) = (folder.path(), folder.path().join("ports.json"));
        let store = format!("sqlite:{}", path.join(DATABASE).display());
        let mut process = Process::start(program, core, path, Stdio::null(), |command| {
            command.arg("--ports-file").arg(&ports_file);
            command.env("MANGAHUB_STORE_URL", &store).env("MANGAHUB_SERVER_DATA_DIR", path);
            command.env("MANGAHUB_AUTH_SECRET", &secret);
            command.envs(SETTINGS.iter().copied()).envs(settings.iter().copied());
        })?;
        // The file may be read half written; then it does not parse, and is read again.
        let ports = process.wait_for(|| serde_json::from_slice(&std::fs::read(&ports_file).ok()?).ok())?;
        Ok(Self { process, ports, secret, folder })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// How long the log of its database is.
    pub fn log_bytes(&self) -> u64 {
        self.folder.path().join(format!("{DATABASE}-wal")).metadata().map_or(0, |log| log.len())
    }

    /// Where v1 TCP clients connect.
    pub fn tcp(&self) -> Result<SocketAddr, LoadError> {
        self.ports.tcp_v1.first().copied().ok_or_else(|| LoadError::Missing("no TCP listener".to_owned()))
    }

    /// Where HTTP clients connect.
    pub fn http(&self) -> Result<SocketAddr, LoadError> {
        self.ports.http.first().copied().ok_or_else(|| LoadError::Missing("no HTTP listener".to_owned()))
    }

    /// Where v1 UDP clients register.
    pub fn udp(&self) -> Result<SocketAddr, LoadError> {
        self.ports.udp_v1.first().copied().ok_or_else(|| LoadError::Missing("no UDP listener".to_owned()))
    }

    /// Where gRPC clients connect.
    pub fn grpc(&self) -> Result<SocketAddr, LoadError> {
        self.ports.grpc.first().copied().ok_or_else(|| LoadError::Missing("no gRPC listener".to_owned()))
    }

    /// Where programs beside the server tell it things.
    pub fn internal(&self) -> Result<SocketAddr, LoadError> {
        self.ports.internal.first().copied().ok_or_else(|| LoadError::Missing("no internal listener".to_owned()))
    }
}

const DATABASE: &str = "mangahub.db";

/// What every measurement of the server shares: no rates limited, cheap registrations, ports by the system.
const SETTINGS: &[(&str, &str)] = &[
    ("MANGAHUB_HTTP_LISTEN", "127.0.0.1:0"),
    ("MANGAHUB_TCP_V1_LISTEN", "127.0.0.1:0"),
    ("MANGAHUB_TCP_V2_LISTEN", "127.0.0.1:0"),
    ("MANGAHUB_UDP_V1", "127.0.0.1:0"),
    ("MANGAHUB_UDP_V2", "127.0.0.1:0"),
    ("MANGAHUB_GRPC_LISTEN", "127.0.0.1:0"),
    ("MANGAHUB_INTERNAL_LISTEN", "127.0.0.1:0"),
    ("MANGAHUB_LIMITS_MESSAGES_PER_SECOND", "0"),
    ("MANGAHUB_LIMITS_CONNECTIONS_PER_USER", "0"),
    ("MANGAHUB_TCP_BROADCASTS_PER_SECOND", "0"),
    ("MANGAHUB_AUTH_BCRYPT_COST", "4"),
];
