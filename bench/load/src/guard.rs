//! Whom load may go to: this machine, unless somebody says otherwise in so many words.
//!
//! A load generator that can be aimed at a stranger is a weapon. So every scenario asks here before its first
//! packet, and only `--allow-remote-target` opens the way. The permission holds for the whole process, for it is
//! the same person who has started all of its connections.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::LoadError;

static REMOTE_ALLOWED: AtomicBool = AtomicBool::new(false);

/// From now on other machines may be loaded.
pub fn allow_remote_target() {
    REMOTE_ALLOWED.store(true, Ordering::Relaxed);
}

/// Whether they may be; a process that we start is told so.
pub fn remote_target_is_allowed() -> bool {
    REMOTE_ALLOWED.load(Ordering::Relaxed)
}

/// Refuses a target that may not be loaded.
pub fn check(target: SocketAddr) -> Result<(), LoadError> {
    match may_load(target.ip(), remote_target_is_allowed()) {
        true => Ok(()),
        false => Err(LoadError::Missing(format!(
            "{target} is not a loopback address: load stays on this machine. With --allow-remote-target it goes to \
             others; do so only to servers whose owner has agreed"
        ))),
    }
}

fn may_load(target: IpAddr, remote_allowed: bool) -> bool {
    target.is_loopback() || remote_allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that the whole loopback network may be loaded, and nothing else without the permission: not another
    /// machine, not "any address", not a loopback address in the clothes of the other family.
    #[test]
    fn only_loopback_without_permission() {
        let may = |address: &str, allowed| may_load(address.parse().unwrap(), allowed);
        for own in ["127.0.0.1", "127.255.0.9", "::1"] {
            assert!(may(own, false) && may(own, true), "{own}");
        }
        for other in ["192.0.2.1", "10.0.0.1", "0.0.0.0", "::", "2001:db8::1", "::ffff:127.0.0.1"] {
            assert!(!may(other, false) && may(other, true), "{other}");
        }
    }

    /// Shows that a refusal names the target and the flag.
    #[test]
    fn a_refusal_names_the_flag() {
        let refusal = check("192.0.2.1:9090".parse().unwrap()).unwrap_err().to_string();
        assert!(refusal.contains("192.0.2.1:9090") && refusal.contains("--allow-remote-target"), "{refusal}");
    }
}
