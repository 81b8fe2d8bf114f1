//! A job and what to do with its result, in one allocation that travels to a worker and back.
//!
//! `work` runs on the worker against the store, or is a [`Post`] that the worker sends; `then` runs on the loop with the result. Until the
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

/// A request to be sent to somebody else's server: JSON by POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Where to.
    pub url: String,
    /// Header fields beside those that any request has.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

/// What came of a [`Post`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Posted {
    /// The status of the answer. Nobody reads its body.
    Status(u16),
    /// There was none, and why.
    Failed(String),
}

/// What sends a [`Post`]: the worker of [`Lane::Outbound`](super::effect::Lane::Outbound) has one.
pub trait Courier: Send {
    /// Sends it and waits for the answer, for a bounded time.
    fn post(&mut self, post: &Post) -> Posted;
}

/// Of `run` and `carry` a task does the one that its lane is for.
trait Task: Send {
    fn run(&mut self, _: &mut dyn Store) -> bool {
        false
    }
    fn carry(&mut self, _: &mut dyn Courier) {}
    fn void(&mut self, error: StoreError);
    fn finish(self: Box<Self>, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError>;
}

struct Pair<A, T, W, F> {
    args: A,
    work: W,
    result: Result<T, StoreError>,
    then: F,
}

impl<A, T, W, F> Task for Pair<A, T, W, F>
where
    A: Send,
    T: Send,
    W: Fn(&A, &mut dyn Store) -> Result<T, StoreError> + Send,
    F: FnOnce(A, Result<T, StoreError>, &mut Session, &mut Ctx<'_>) -> Result<(), ApiError> + Send,
{
    fn run(&mut self, store: &mut dyn Store) -> bool {
        self.result = (self.work)(&self.args, store);
        self.result.is_ok()
    }

    fn void(&mut self, error: StoreError) {
        self.result = Err(error);
    }

    fn finish(self: Box<Self>, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
        (self.then)(self.args, self.result, session, ctx)
    }
}

struct Errand<F> {
    post: Post,
    result: Result<Posted, StoreError>,
    then: F,
}

impl<F> Task for Errand<F>
where
    F: FnOnce(Result<Posted, StoreError>, &mut Session, &mut Ctx<'_>) -> Result<(), ApiError> + Send,
{
    fn carry(&mut self, courier: &mut dyn Courier) {
        self.result = Ok(courier.post(&self.post));
    }

    fn void(&mut self, error: StoreError) {
        self.result = Err(error);
    }

    fn finish(self: Box<Self>, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
        (self.then)(self.result, session, ctx)
    }
}

impl Work {
    /// Something to send for the outbound lane, and what follows from the answer; an error when it was
    /// never tried.
    pub fn post(
        origin: Origin,
        post: Post,
        then: impl FnOnce(Result<Posted, StoreError>, &mut Session, &mut Ctx<'_>) -> Result<(), ApiError> + Send + 'static,
    ) -> Self {
        Self { origin, task: Box::new(Errand { post, result: Err(StoreError::Unavailable), then }) }
    }

    /// Has what is to be sent sent.
    pub fn carry(&mut self, courier: &mut dyn Courier) {
        self.task.carry(courier);
    }

    /// Work, and what follows from it.
    pub fn new<T: Send + 'static>(
        origin: Origin,
        work: impl Fn(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
        then: impl FnOnce(Result<T, StoreError>, &mut Session, &mut Ctx<'_>) -> Result<(), ApiError> + Send + 'static,
    ) -> Self {
        let then = move |(), result, session: &mut Session, ctx: &mut Ctx<'_>| then(result, session, ctx);
        Self::with(origin, (), move |(), store| work(store), then)
    }

    /// The same with something that `work` looks at and `then` is given back.
    pub fn with<A: Send + 'static, T: Send + 'static>(
        origin: Origin,
        args: A,
        work: impl Fn(&A, &mut dyn Store) -> Result<T, StoreError> + Send + 'static,
        then: impl FnOnce(A, Result<T, StoreError>, &mut Session, &mut Ctx<'_>) -> Result<(), ApiError> + Send + 'static,
    ) -> Self {
        // Should the job never run, its result says so.
        Self { origin, task: Box::new(Pair { args, work, result: Err(StoreError::Unavailable), then }) }
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
