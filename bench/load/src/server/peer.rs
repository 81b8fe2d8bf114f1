//! What all peers have in common: a process, one address, and a folder for what they write.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::process::{Process, free_port};
use crate::error::{Doing, LoadError};

/// A peer that listens.
pub struct Peer {
    process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    _folder: TempDir,
}

impl Peer {
    /// Starts `program` on a free port and waits until it listens. `set_up` writes what it needs into the folder
    /// and completes its command line.
    pub fn start(
        program: &Path,
        core: Option<usize>,
        set_up: impl FnOnce(&mut Command, &Path, SocketAddr) -> Result<(), LoadError>,
    ) -> Result<Self, LoadError> {
        let folder = tempfile::tempdir().doing("make a folder")?;
        let address = free_port()?;
        let mut done = Ok(());
        let mut process = Process::start(program, core, folder.path(), Stdio::null(), |command| {
            done = set_up(command, folder.path(), address);
        })?;
        done?;
        process.wait_for_port(address)?;
        Ok(Self { process, address, _folder: folder })
    }

    /// Starts a program of ours, which chooses its port and announces it.
    pub fn announced(
        program: &Path,
        core: Option<usize>,
        set_up: impl FnOnce(&mut Command),
    ) -> Result<Self, LoadError> {
        let folder = tempfile::tempdir().doing("make a folder")?;
        let mut process = Process::start(program, core, folder.path(), Stdio::piped(), set_up)?;
        let address = process.announced()?;
        Ok(Self { process, address, _folder: folder })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}
