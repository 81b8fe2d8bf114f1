//! Webhooks: addresses that are told over HTTP what happens.

/// Deliveries on their way.
#[derive(Debug, Default)]
pub struct Board {
    /// Something may be due.
    pub due: bool,
}
