//! Verbs on refresh tokens. Each use of one is one verb, so that of two at the same time one is second.

use super::StoreError;
use super::model::{Digest, NewFamily, RefreshKey, Rotation, UnixMillis};

/// What the store does with refresh tokens.
pub trait RefreshTokens {
    /// Begins a family. The user's oldest beyond [`FAMILIES_MAX`] go, and so do some of anybody's that
    /// ended long ago. [`StoreError::NotFound`] when there is no such user, or their tokens were voided
    /// since.
    fn begin_refresh(&mut self, family: &NewFamily) -> Result<(), StoreError>;
    /// Uses a token: replaces it by `next` when it is the living one of its family, and ends the family
    /// when it is not. [`StoreError::NotFound`] when there is no such family.
    fn rotate_refresh(
        &mut self,
        spent: &RefreshKey,
        next: &Digest,
        now: UnixMillis,
        expires_at: UnixMillis,
    ) -> Result<Rotation, StoreError>;
    /// Ends a family, if there is one.
    fn revoke_refresh(&mut self, family: &Digest, now: UnixMillis) -> Result<(), StoreError>;
}

/// The most families that are kept of one user: more devices than anybody has. Those that were used
/// last stay, living ones before ended ones.
pub const FAMILIES_MAX: usize = 100;
