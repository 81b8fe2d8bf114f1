//! The server under load: one that runs already, or one that is started for this run.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::error::{Doing, LoadError};
use crate::server::MangaHub;
use crate::token;

/// Where the server is, or that it shall be started.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct HubArguments {
    /// The v1 TCP address of a running server.
    #[arg(long, value_name = "ADDR")]
    tcp: Option<SocketAddr>,
    /// The HTTP address of a running server.
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// The gRPC address of a running server.
    #[arg(long, value_name = "ADDR")]
    grpc: Option<SocketAddr>,
    /// Its process id, to see what an operation costs it.
    #[arg(long)]
    pid: Option<u32>,
    /// A token for every connection.
    #[arg(long)]
    token: Option<String>,
    /// Its token secret, to make tokens from.
    #[arg(long, env = "MANGAHUB_AUTH_SECRET", hide_env_values = true)]
    secret: Option<String>,
    /// The binary to start when no address is given; `mangahub` beside this one, if not given.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tcp", "http", "grpc"])]
    server: Option<PathBuf>,
}

/// A server that takes connections. One that was started ends with its value.
pub struct Hub {
    arguments: HubArguments,
    started: Option<MangaHub>,
}

impl HubArguments {
    /// The server, started with `settings` unless there is an address.
    pub fn open(self, settings: &[(&str, &str)]) -> Result<Hub, LoadError> {
        if self.tcp.is_some() || self.http.is_some() || self.grpc.is_some() {
            return Ok(Hub { arguments: self, started: None });
        }
        let own = std::env::current_exe().doing("find this binary")?;
        let program = self.server.clone().unwrap_or_else(|| own.with_file_name("mangahub"));
        let data = own.with_file_name("bench-data");
        std::fs::create_dir_all(&data).doing("make the data folder")?;
        let started = MangaHub::start(&program, None, &data, settings)?;
        Ok(Hub { arguments: self, started: Some(started) })
    }
}

impl Hub {
    /// Where v1 TCP clients connect.
    pub fn tcp(&self) -> Result<SocketAddr, LoadError> {
        match (&self.started, self.arguments.tcp) {
            (Some(hub), _) => hub.tcp(),
            (None, Some(tcp)) => Ok(tcp),
            (None, None) => Err(LoadError::Missing("--tcp is needed as well".to_owned())),
        }
    }

    /// Where HTTP clients connect.
    pub fn http(&self) -> Result<SocketAddr, LoadError> {
        match &self.started {
            Some(hub) => hub.http(),
            None => self.known_http().ok_or_else(|| LoadError::Missing("--http is needed as well".to_owned())),
        }
    }

    /// Where gRPC clients connect.
    pub fn grpc(&self) -> Result<SocketAddr, LoadError> {
        match &self.started {
            Some(hub) => hub.grpc(),
            None => self.arguments.grpc.ok_or_else(|| LoadError::Missing("--grpc is needed as well".to_owned())),
        }
    }

    /// The same as [`Hub::http`], if anybody has said.
    pub fn known_http(&self) -> Option<SocketAddr> {
        self.started.as_ref().and_then(|hub| hub.http().ok()).or(self.arguments.http)
    }

    /// Its process, if anybody has said.
    pub fn known_pid(&self) -> Option<u32> {
        self.started.as_ref().map(MangaHub::pid).or(self.arguments.pid)
    }

    /// Its process.
    pub fn pid(&self) -> Result<u32, LoadError> {
        self.known_pid().ok_or_else(|| LoadError::Missing("--pid is needed for a server of yours".to_owned()))
    }

    /// What its tokens are signed with.
    pub fn secret(&self) -> Result<&str, LoadError> {
        let secret = self.started.as_ref().map(|hub| hub.secret.as_str()).or(self.arguments.secret.as_deref());
        secret.ok_or_else(|| LoadError::Missing("--secret or MANGAHUB_AUTH_SECRET is needed".to_owned()))
    }

    /// The token of one user, who need not exist.
    pub fn token(&self) -> Result<String, LoadError> {
        match &self.arguments.token {
            Some(token) => Ok(token.clone()),
            None => Ok(token::forge(self.secret()?, "load", "load")?.token),
        }
    }

    /// The token of a user who exists.
    pub fn token_of_a_user(&self) -> Result<String, LoadError> {
        match &self.arguments.token {
            Some(token) => Ok(token.clone()),
            None => token::register(self.http()?, 1)?
                .pop()
                .map(|identity| identity.token)
                .ok_or_else(|| LoadError::Missing("no user was registered".to_owned())),
        }
    }

    /// The server that was started, if it was.
    pub fn started(&self) -> Option<&MangaHub> {
        self.started.as_ref()
    }
}
