//! MangaHub keeps track of the manga that people read, on all their devices at once.
//!
//! One thread owns every socket and never waits for anything but them; whatever can block runs on
//! workers. Dependencies point one way, `reactor → proto → handlers → store`, and `tests/arch.rs`
//! holds it. In reading order:
//!
//! - [`mod@serve`]: from a configuration to a running server; where everything is put together.
//! - [`reactor`]: the event loop, and the only code that touches sockets and clocks.
//! - [`proto`]: bytes to messages and back, pure; the tables of routes.
//! - [`app`]: the product on the reactor: a message, its route, its call, its answer.
//! - [`handlers`]: what the system does, pure decisions.
//! - [`store`]: what it keeps; the only code that knows SQL.
//! - [`config`], [`cli`], [`logs`]: what surrounds a server.
//!
//! The reactor serves other protocols as well: `examples/echo.rs` is the tutorial.

pub mod app;
pub mod cli;
pub mod config;
pub mod handlers;
pub mod logs;
mod outbound;
pub mod proto;
pub mod reactor;
pub mod serve;
pub mod store;

pub use serve::{Running, ServeError, serve};
