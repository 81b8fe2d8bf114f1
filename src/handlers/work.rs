//! A job and what to do with its result, in one allocation that travels to a worker and back.
//!
//! `work` runs on the worker against the store; `then` runs on the loop with the result. Until the
//! worker hands the job back its result can be voided, because a transaction can still fail.

use super::Ctx;
use super::api::{ApiError, Origin};
use super::session::Session;
use crate::store::{Job, Store, StoreError};

/// A piece of work for a lane, with the call it belongs to.
pub struct Work {
    /// The call it works for.
    pub origin: Origin,
    task: Box<dyn Task>,
}

trait Task: Send {
    fn run(&mut self, store: &mut dyn Store) -> bool;
    fn void(&mut self, error: StoreError);
    fn finish(self: Box<Self>, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError>;
}

struct Pair<T, W, F> {
    work: Option<W>,
    result: Result<T, StoreError>,
    then: F,
}

impl<T, W, F> Task for Pair<T, W, F>
where
    T: Send,
    W: FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send,
    F: FnOnce(Result<T, StoreError>, &mut Session, &mut Ctx<'_>) -> Result<(), ApiError> + Send,
{
    fn run(&mut self, store: &mut dyn Store) -> bool {
        if let Some(work) = self.work.take() {
            self.result = work(store);
        }
        self.result.is_ok()
    }

    fn void(&mut self, error: StoreError) {
        self.result = Err(error);
    }

    fn finish(self: Box<Self>, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
        (self.then)(self.result, session, ctx)
    }
}

impl Work {
    /// Work, and what follows from it.
    pub fn new<T: Send + 'static>(
        origin: Origin,
        work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
        then: impl FnOnce(Result<T, StoreError>, &mut Session, &mut Ctx<'_>) -> Result<(), ApiError> + Send + 'static,
    ) -> Self {
        // Should the job never run, its result says so.
        Self { origin, task: Box::new(Pair { work: Some(work), result: Err(StoreError::Unavailable), then }) }
    }

    /// What follows from the result.
    pub fn finish(self, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
        self.task.finish(session, ctx)
    }
}

impl Job for Work {
    fn run(&mut self, store: &mut dyn Store) -> bool {
        if self.origin.is_abandoned() {
            self.task.void(StoreError::Busy);
            return false;
        }
        self.task.run(store)
    }

    fn void(&mut self, error: StoreError) {
        self.task.void(error);
    }
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Work by route {}", self.origin.via.0)
    }
}
