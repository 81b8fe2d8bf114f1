//! Two devices that disagree about how far a reader is.
//!
//! A device that was offline may send a chapter that another has left behind. What becomes of it the
//! operator chooses ([`Behind`]); the store decides whether it is behind, in the transaction that would
//! store it. Here is what the device is told when it is asked: what it sent, and what is stored.

use std::sync::Arc;

use super::api::{ApiError, ErrorKind, Series};
use crate::store::model::{Behind, Chapter, Progress, ProgressChange, ReadingStatus, Stored, UnixMillis};
use crate::store::{Store, StoreError};

/// A change that was not stored, because it is behind. The reader decides, and the device sends it
/// once more with `force`, or forgets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Of which series.
    pub series: Arc<Series>,
    /// The chapter that was sent.
    pub sent: Chapter,
    /// The chapter that is stored.
    pub stored: Chapter,
    /// The status that is stored.
    pub status: ReadingStatus,
    /// When the stored row last changed.
    pub updated_at: UnixMillis,
    /// The device that changed it then, if it said its name.
    pub device: Option<String>,
}

/// What came of a change.
pub enum Outcome {
    /// It is stored.
    Stored(Stored),
    /// It is behind this row, which that device wrote.
    Behind(Progress, Option<String>),
}

/// What becomes of a change that is behind, unless its reader insists.
pub fn policy(usual: Behind, force: bool) -> Behind {
    if force { Behind::Store } else { usual }
}

/// Runs a verb that stores a change. When it is refused for being behind, the row that it is behind is
/// read in the same transaction, so the reader is asked about what really stood in the way.
pub fn store_or_ask(
    store: &mut dyn Store,
    change: &ProgressChange,
    verb: impl Fn(&mut dyn Store, &ProgressChange) -> Result<Stored, StoreError>,
) -> Result<Outcome, StoreError> {
    match verb(store, change) {
        Err(StoreError::Behind) => {
            let row = store.progress(&change.user_id, change.manga_id)?;
            let newest = store.history(&change.user_id, Some(change.manga_id), None, 1)?.pop();
            Ok(Outcome::Behind(row, newest.and_then(|entry| entry.device)))
        }
        stored => stored.map(Outcome::Stored),
    }
}

impl Outcome {
    /// The stored change, or the refusal that asks the reader.
    pub fn stored(self, change: &ProgressChange, series: &Arc<Series>) -> Result<Stored, ApiError> {
        match self {
            Self::Stored(stored) => Ok(stored),
            Self::Behind(row, device) => Err(ApiError {
                conflict: Some(Box::new(Conflict {
                    series: series.clone(),
                    sent: change.chapter.unwrap_or_default(),
                    stored: row.chapter,
                    status: row.status,
                    updated_at: row.updated_at,
                    device,
                })),
                ..ApiError::new(
                    ErrorKind::Conflict,
                    "The stored chapter is further; send this one with force to store it",
                )
            }),
        }
    }
}
