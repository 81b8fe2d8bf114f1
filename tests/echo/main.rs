//! The features of a TCP server package, each shown on an echo: life, clients, limits, robustness,
//! TLS, and the example as a program. The library is used as a stranger would use it.

mod clients;
mod lifecycle;
mod limits;
mod process;
mod server;
mod tls;
mod websocket;
