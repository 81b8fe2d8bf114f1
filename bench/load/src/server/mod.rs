//! The processes under load, one file each: how each is started on a core, what it needs and how it is stopped.
//!
//! [`MangaHub`] is the server, [`Ceiling`] the bare loop; the others are peers. Each listens on a free port of
//! the loopback network only, keeps its files in a folder that goes with it, and never outlives its value:
//! dropping one stops it. A program that is not installed is [`LoadError::Missing`](crate::error::LoadError::Missing),
//! and whatever is claimed against it is then not claimed.

mod ceiling;
mod echo;
mod mangahub;
pub mod mosquitto;
pub mod nats;
pub mod nginx;
mod peer;
mod process;
pub mod redis;
pub mod twin;
mod usage;

pub use ceiling::Ceiling;
pub use echo::Echo;
pub use mangahub::MangaHub;
pub use peer::Peer;
pub use process::{end_within, version_of};
pub use usage::{pin_self, processor_time, raise_descriptor_limit, settled_rss_anon_bytes};
