//! Datagrams on their way to their sockets' queues: as many as find room there.
//!
//! Whoever fills it may ask first whether there is room, and keep what must not be lost.

use crate::handlers::effect::Datagram;

/// What is put into the queues next.
#[derive(Debug, Default)]
pub struct Post {
    datagrams: Vec<Datagram>,
    /// How many each socket's queue still takes.
    room: Vec<usize>,
    dropped: u64,
}

impl Post {
    /// Begins anew, with so much room in each socket's queue.
    pub(super) fn open(&mut self, room: impl Iterator<Item = usize>) {
        self.room.clear();
        self.room.extend(room);
    }

    /// Whether a socket's queue takes one more.
    pub fn has_room(&self, socket: u8) -> bool {
        self.room.get(usize::from(socket)).is_some_and(|room| *room > 0)
    }

    /// Adds a datagram, or drops it when there is no room: the newest goes.
    pub fn push(&mut self, datagram: Datagram) {
        match self.room.get_mut(usize::from(datagram.socket)) {
            Some(room) if *room > 0 => {
                *room -= 1;
                self.datagrams.push(datagram);
            }
            _ => self.dropped += 1,
        }
    }

    /// Takes out what was added, and how many were dropped. Little is kept of the memory of a burst.
    pub(super) fn take(&mut self) -> (Vec<Datagram>, u64) {
        (std::mem::take(&mut self.datagrams), std::mem::take(&mut self.dropped))
    }

    /// Gives back an empty list, to be filled again.
    pub(super) fn give_back(&mut self, empty: Vec<Datagram>) {
        if empty.capacity() <= KEPT {
            self.datagrams = empty;
        }
    }
}

/// Room for so many datagrams is kept.
const KEPT: usize = 1024;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::rc::Rc;

    use super::*;

    /// Each socket takes as many as it has room for; the newest are dropped, and counted.
    #[test]
    fn each_socket_has_its_room() {
        let datagram =
            |socket| Datagram { socket, to: SocketAddr::from(([127, 0, 0, 1], 1)), bytes: Rc::from([7].as_slice()) };
        let mut post = Post::default();
        post.open([2, 0].into_iter());
        assert!(post.has_room(0) && !post.has_room(1) && !post.has_room(2));
        (0..3).for_each(|socket| post.push(datagram(socket)));
        (0..2).for_each(|_| post.push(datagram(0)));
        let (datagrams, dropped) = post.take();
        assert_eq!((datagrams.len(), dropped, post.has_room(0)), (2, 3, false));
    }
}
