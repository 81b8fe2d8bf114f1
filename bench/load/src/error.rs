//! The one error of the load generator: a measurement that could not be made, or that proved something wrong.

use std::io;

/// Why a measurement does not count.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A socket, file or process failed.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// The peer closed a connection that was meant to stay: which, and what the system said of it.
    #[error("connection {0} was closed by the peer: {1}")]
    Closed(usize, io::ErrorKind),
    /// The peer did not answer in time.
    #[error("timed out: {0}")]
    TimedOut(String),
    /// The peer answered something that a correct one would not.
    #[error("wrong answer: {0}")]
    Wrong(String),
    /// A peer or setting that the measurement needs is not there.
    #[error("{0}")]
    Missing(String),
}

/// Names what was being done when the system refused.
pub trait Doing<T> {
    /// Wraps the error with the words that complete "could not …".
    fn doing(self, doing: &str) -> Result<T, LoadError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, doing: &str) -> Result<T, LoadError> {
        self.map_err(|source| LoadError::Io { doing: doing.to_owned(), source: source.into() })
    }
}
