//! Notifications: what readers are told about the catalogue.
//!
//! A notification is stored before anybody is told of it, in the transaction of what it tells about.
//! Whoever is away finds it later.

mod listeners;

pub use listeners::Listeners;

/// Notifications on their way to those who listen.
#[derive(Debug, Default)]
pub struct Board {
    /// Who listens now.
    pub listeners: Listeners,
}
