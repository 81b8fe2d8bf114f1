//! The roll call: whether a loop that sends on what it hears has accepted everybody.
//!
//! A client can believe that it is connected when the server knows nothing of it: the last packet of the handshake
//! is dropped by a kernel that is too busy, or whose queue is full. It is asked for again a second later; never, if
//! so many were waiting that the kernel answered with cookies. What is said meanwhile does not reach that client.
//! Whoever has to log in is answered, so this is for peers that answer nothing.
//!
//! Clients come some at a time, so that a listener's queue holds them, and after each time one of them calls, and
//! calls again when nothing comes any more, until everybody has heard the latest call. Bytes come in order, so
//! nothing is on its way then.

use std::time::{Duration, Instant};

use super::echo;
use crate::client::{Arrival, LineBuffer, Swarm};
use crate::error::LoadError;

/// Connects `clients` that have all been accepted, and of whom nothing is on its way.
pub fn connect_all(swarm: &mut Swarm, clients: usize) -> Result<(), LoadError> {
    while swarm.len() < clients {
        let more = CONNECTS_BEFORE_CALL.min(clients - swarm.len());
        echo::connect_all(swarm, more)?;
        let present = swarm.len();
        call(swarm, present, 0)?;
    }
    Ok(())
}

/// Has `caller` call until the connections `0..clients` have all heard it.
fn call(swarm: &mut Swarm, clients: usize, caller: usize) -> Result<(), LoadError> {
    let mut roll = Roll { lines: (0..clients).map(|_| LineBuffer::default()).collect(), call: 0, present: 0 };
    let end = Instant::now() + DEADLINE;
    while roll.present < clients {
        if Instant::now() > end {
            let present = roll.present;
            return Err(LoadError::TimedOut(format!("{present} of {clients} connections were accepted")));
        }
        (roll.call, roll.present) = (roll.call + 1, 0);
        swarm.send(caller, format!("{}\n", roll.call).as_bytes());
        while roll.present < clients && roll.listen(swarm)? {}
    }
    Ok(())
}

struct Roll {
    /// What each has heard of a call that has not come to its end.
    lines: Vec<LineBuffer>,
    /// The number of the latest call.
    call: u64,
    /// How many have heard it.
    present: usize,
}

impl Roll {
    /// Whether anything came before it was time to call again.
    fn listen(&mut self, swarm: &mut Swarm) -> Result<bool, LoadError> {
        let mut failure = None;
        let something = swarm.turn(Some(AGAIN), |index, arrival| match arrival {
            Arrival::Bytes(bytes) => self.hear(index, bytes),
            Arrival::Closed(kind) => drop(failure.get_or_insert(LoadError::Closed(index, kind))),
        })?;
        failure.map_or(Ok(something), Err)
    }

    fn hear(&mut self, index: usize, bytes: &[u8]) {
        let Some(lines) = self.lines.get_mut(index) else { return };
        let latest = self.call.to_string();
        lines.feed(bytes, |line| self.present += usize::from(line == latest.as_bytes()));
    }
}

/// Well within the usual `net.core.somaxconn` of 4096. Each call is heard by all who came before, too.
const CONNECTS_BEFORE_CALL: usize = 1024;

/// How long nothing must come before it is called again: half of what a kernel waits before it asks again.
const AGAIN: Duration = Duration::from_millis(500);

/// A kernel asks again after 1, 2, 4 and 8 seconds.
const DEADLINE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::net::{SocketAddr, TcpListener};

    /// A peer that sends on what its first connection says, and does not know the third before the first call.
    fn late() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut accepted: Vec<_> = (0..2).map(|_| listener.accept().unwrap().0).collect();
            let calls = BufReader::new(accepted[0].try_clone().unwrap()).lines();
            for call in calls.map_while(Result::ok) {
                accepted.iter_mut().for_each(|stream| drop(writeln!(stream, "{call}")));
                if accepted.len() == 2 {
                    accepted.push(listener.accept().unwrap().0);
                }
            }
        });
        address
    }

    /// Shows that whoever was accepted late is called again, and that nothing is on its way afterwards.
    #[test]
    fn the_late_are_called_again() {
        let mut swarm = Swarm::new(late()).unwrap();
        for _ in 0..3 {
            swarm.connect().unwrap();
        }
        call(&mut swarm, 3, 0).unwrap();
        let more = swarm.turn(Some(Duration::from_millis(50)), |index, _| panic!("{index} has heard more"));
        assert!(!more.unwrap());
    }

    /// Shows that a peer that closes ends the call.
    #[test]
    fn who_is_sent_away_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut swarm = Swarm::new(listener.local_addr().unwrap()).unwrap();
        swarm.connect().unwrap();
        drop(listener.accept().unwrap());
        assert!(matches!(call(&mut swarm, 1, 0), Err(LoadError::Closed(0, _))));
    }
}
