//! The simulation's parts: a kernel ([`net`]), a small service for the loop alone ([`board`]), and
//! the product with its clients ([`world`], [`clients`], [`posts`], [`checks`]).

pub mod board;
pub mod checks;
pub mod clients;
pub mod net;
pub mod posts;
pub mod world;
