//! MangaHub keeps track of the manga that people read, on all their devices at once.
//!
//! Dependencies point one way: `reactor → proto → handlers → store`, and `tests/arch.rs` holds it.

pub mod config;
pub mod handlers;
pub mod proto;
pub mod reactor;
pub mod store;
