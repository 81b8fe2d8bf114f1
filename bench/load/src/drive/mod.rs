//! The loop that drives a load: the closed one and the open one, over any protocol's client.
//!
//! [`Client`] is one connection's side of a protocol: what it asks next, and which answers have come. A
//! [`Lane`](lane::Lane) is a group of connections that do the same at the same pace; [`Drive`] owns the connections
//! and turns. Read [`lane`] first: the two loops differ in nothing but when the next operation is due. A closed loop
//! has so many operations on their way for each connection, so a slow server is asked less. An open loop sends at
//! fixed times whether the server keeps up or not, and latency counts from those times, so a stall is not hidden.
//!
//! What must hold: an operation ends as one answer or one failure, and a connection's answers come in the order in
//! which it asked.

pub mod lane;
pub mod meter;
pub mod run;
pub mod schedule;
pub mod tally;

pub use lane::Pacing;
pub use meter::Meter;
pub use run::Drive;
pub use tally::{Outcome, Tally};

/// A kind of good answer (a status, or 0 where there is only one), or what is wrong with an answer, in few words.
pub type Verdict = Result<u16, String>;

/// One connection's side of a protocol. No sockets, no clock.
pub trait Client {
    /// Appends the bytes of the next operation.
    fn ask(&mut self, out: &mut Vec<u8>);

    /// Takes what arrived, and tells `answered` of each operation that is complete now, the oldest first. Something
    /// that no correct server sends is an error, and ends the run.
    fn receive(&mut self, bytes: &[u8], answered: &mut dyn FnMut(Verdict)) -> Result<(), String>;

    /// Appends what the connection owes besides operations: the answer to a ping.
    fn owed(&mut self, _out: &mut Vec<u8>) {}
}
