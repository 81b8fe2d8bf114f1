//! Mosquitto (Debian package `mosquitto`): an MQTT broker, one thread with one epoll loop.

use super::peer::Peer;
use super::process::{installed, version_of};
use crate::error::{Doing, LoadError};

/// Starts Mosquitto with nothing between it and its sockets: nothing kept, no log, no delay before small packets
/// are sent, and no limit on what waits for a slow subscriber.
pub fn start(core: Option<usize>) -> Result<Peer, LoadError> {
    let program = installed(PROGRAM, "mosquitto")?;
    Peer::start(&program, core, |command, folder, address| {
        let file = folder.join("mosquitto.conf");
        let config = format!("listener {} 127.0.0.1\n{CONFIG}", address.port());
        std::fs::write(&file, config).doing("write the configuration of Mosquitto")?;
        command.arg("-c").arg(file);
        Ok(())
    })
}

/// What it says of itself: it prints its version above its help.
pub fn version() -> Option<String> {
    version_of(PROGRAM.as_ref(), "-h")
}

const PROGRAM: &str = "mosquitto";

/// `max_queued_messages 0` is no limit; `sys_interval 0` leaves out its reports about itself.
const CONFIG: &str = "allow_anonymous true
persistence false
log_type none
connection_messages false
set_tcp_nodelay true
max_queued_messages 0
sys_interval 0
";
