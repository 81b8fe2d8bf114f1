//! The send buffer: bytes that are owed to a peer, in order.
//!
//! Most connections owe nothing and hold nothing. A member of a topic usually owes one chunk, which
//! it shares with every other member, and whoever asked owes one answer: either fits inline. Only a
//! queue of several is allocated.
//! What is partly written keeps an offset; nothing is ever moved to the front.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;

/// Bytes to be written.
#[derive(Debug, Default)]
pub struct SendBuf {
    queue: Queue,
}

#[derive(Debug, Default)]
enum Queue {
    #[default]
    Empty,
    /// The chunk, how much of it has been written, and how many messages it holds.
    One(Rc<[u8]>, u32, u16),
    Many(Box<Many>),
}

#[derive(Debug, Default)]
struct Many {
    /// Each with the number of messages in it.
    chunks: VecDeque<(Chunk, u32)>,
    /// How much of the first chunk has been written.
    written: usize,
    /// How much is left in all.
    bytes: usize,
    /// How many messages are left, the one that is being written among them.
    messages: usize,
}

#[derive(Debug)]
enum Chunk {
    Shared(Rc<[u8]>),
    Owned(Vec<u8>),
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Chunk::Shared(bytes) => bytes,
            Chunk::Owned(bytes) => bytes,
        }
    }
}

impl SendBuf {
    /// How many slices one write takes at most: enough to join a turn's replies and events, few
    /// enough to live on the stack.
    pub const SLICES_MAX: usize = 16;

    /// How many bytes are owed.
    pub fn len(&self) -> usize {
        match &self.queue {
            Queue::Empty => 0,
            Queue::One(chunk, written, _) => chunk.len() - *written as usize,
            Queue::Many(many) => many.bytes,
        }
    }

    /// Whether nothing is owed.
    pub fn is_empty(&self) -> bool {
        matches!(self.queue, Queue::Empty)
    }

    /// Whether it is more than one chunk, so that it matters whether they are joined.
    pub fn is_several(&self) -> bool {
        matches!(self.queue, Queue::Many(_))
    }

    /// How many messages are owed; those in a chunk that is partly written count until it is gone.
    pub fn messages(&self) -> usize {
        match &self.queue {
            Queue::Empty => 0,
            Queue::One(_, _, messages) => usize::from(*messages),
            Queue::Many(many) => many.messages,
        }
    }

    /// Drops what no byte has been written of: whole chunks, so whole messages. Returns how many bytes
    /// those were.
    pub fn cut(&mut self) -> usize {
        let before = self.len();
        match &mut self.queue {
            Queue::One(_, 0, _) => self.queue = Queue::Empty,
            Queue::Many(many) if many.written == 0 => self.queue = Queue::Empty,
            Queue::Many(many) => {
                many.chunks.truncate(1);
                let (bytes, messages) =
                    many.chunks.front().map_or((0, 0), |(chunk, messages)| (chunk.bytes().len(), *messages));
                (many.bytes, many.messages) = (bytes - many.written, messages as usize);
            }
            Queue::Empty | Queue::One(..) => {}
        }
        before - self.len()
    }

    /// Adds a chunk of so many messages that other connections share.
    pub fn push_shared(&mut self, chunk: Rc<[u8]>, messages: u32) {
        if chunk.is_empty() {
            return;
        }
        if let (true, Ok(few), Ok(_)) = (self.is_empty(), u16::try_from(messages), u32::try_from(chunk.len())) {
            self.queue = Queue::One(chunk, 0, few);
            return;
        }
        let many = self.many();
        many.bytes += chunk.len();
        many.messages += messages as usize;
        many.chunks.push_back((Chunk::Shared(chunk), messages));
    }

    /// Adds a message of this connection's own; `join` lets them share a write with the ones before.
    pub fn push_owned(&mut self, bytes: &[u8], join: bool) {
        if self.is_empty() {
            return self.push_shared(Rc::from(bytes), 1);
        }
        if bytes.is_empty() {
            return;
        }
        let many = self.many();
        many.bytes += bytes.len();
        many.messages += 1;
        match many.chunks.back_mut() {
            Some((Chunk::Owned(last), messages)) if join && last.len() + bytes.len() <= JOINED_BYTES_MAX => {
                last.extend_from_slice(bytes);
                *messages += 1;
            }
            _ => many.chunks.push_back((Chunk::Owned(bytes.to_vec()), 1)),
        }
    }

    /// The next bytes to write: one chunk, or with `join` as many as fit in `slices`.
    /// Returns how many slices were filled.
    pub fn slices<'a>(&'a self, join: bool, slices: &mut [IoSlice<'a>; Self::SLICES_MAX]) -> usize {
        match &self.queue {
            Queue::Empty => 0,
            Queue::One(chunk, written, _) => {
                slices[0] = IoSlice::new(&chunk[*written as usize..]);
                1
            }
            Queue::Many(many) => {
                let most = if join { Self::SLICES_MAX } else { 1 };
                let mut skip = many.written;
                let mut filled = 0;
                for (chunk, _) in many.chunks.iter().take(most) {
                    slices[filled] = IoSlice::new(&chunk.bytes()[skip..]);
                    filled += 1;
                    skip = 0;
                }
                filled
            }
        }
    }

    /// Notes that the first `count` bytes were written.
    pub fn advance(&mut self, count: usize) {
        debug_assert!(count <= self.len());
        match &mut self.queue {
            Queue::Empty => {}
            Queue::One(chunk, written, _) => {
                *written += count as u32;
                if *written as usize == chunk.len() {
                    self.queue = Queue::Empty;
                }
            }
            Queue::Many(many) => {
                many.bytes -= count;
                many.written += count;
                while let Some((first, messages)) = many.chunks.front() {
                    let length = first.bytes().len();
                    if many.written < length {
                        return;
                    }
                    many.written -= length;
                    many.messages -= *messages as usize;
                    many.chunks.pop_front();
                }
                self.queue = Queue::Empty;
            }
        }
    }

    /// The queue as a list, moving a lone chunk into it.
    fn many(&mut self) -> &mut Many {
        if !matches!(self.queue, Queue::Many(_)) {
            let mut many = Box::<Many>::default();
            if let Queue::One(chunk, written, messages) = std::mem::take(&mut self.queue) {
                many.written = written as usize;
                many.bytes = chunk.len() - written as usize;
                many.messages = usize::from(messages);
                many.chunks.push_back((Chunk::Shared(chunk), messages.into()));
            }
            self.queue = Queue::Many(many);
        }
        match &mut self.queue {
            Queue::Many(many) => many,
            _ => unreachable!("it was just made a list"),
        }
    }
}

/// How far a chunk grows by joining. What is written of a chunk is freed with all of it, so a peer
/// that always leaves a little would otherwise have everything it was ever sent kept for it.
const JOINED_BYTES_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(tx: &mut SendBuf, join: bool, most: usize) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); SendBuf::SLICES_MAX];
        let filled = tx.slices(join, &mut slices);
        let joined: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
        let count = joined.len().min(most);
        tx.advance(count);
        joined[..count].to_vec()
    }

    /// An idle connection pays three words for its send buffer.
    #[test]
    fn an_empty_buffer_is_small() {
        assert!(size_of::<SendBuf>() <= 24);
    }

    /// Without joining, each message is a write of its own, in order.
    #[test]
    fn unjoined_messages_are_written_one_by_one() {
        let mut tx = SendBuf::default();
        tx.push_shared(Rc::from(&b"one"[..]), 1);
        tx.push_owned(b"two", false);
        tx.push_owned(b"three", false);
        assert_eq!(written(&mut tx, false, 99), b"one");
        assert_eq!(written(&mut tx, false, 99), b"two");
        assert_eq!(written(&mut tx, false, 99), b"three");
        assert!(tx.is_empty());
    }

    /// A stream that is never written to its end does not keep what has been written.
    #[test]
    fn what_is_written_is_freed_though_something_is_always_owed() {
        let mut tx = SendBuf::default();
        for _ in 0..1000 {
            tx.push_owned(&[0; 1000], true);
            let most = tx.len() - 10;
            written(&mut tx, true, most);
        }
        let Queue::Many(many) = &tx.queue else { panic!("something is owed") };
        let kept: usize = many.chunks.iter().map(|(chunk, _)| chunk.bytes().len()).sum();
        assert!(kept <= 2 * JOINED_BYTES_MAX, "{kept} bytes kept for {} owed", tx.len());
    }

    /// What has begun to leave stays, everything behind it goes, and the count of messages follows.
    #[test]
    fn a_cut_leaves_what_is_partly_written() {
        let mut tx = SendBuf::default();
        tx.push_shared(Rc::from(&b"onetwo"[..]), 2);
        assert_eq!((tx.messages(), tx.cut(), tx.is_empty()), (2, 6, true));
        tx.push_shared(Rc::from(&b"onetwo"[..]), 2);
        tx.push_owned(b"three", true);
        tx.push_owned(b"four", true);
        assert_eq!(tx.messages(), 4);
        assert_eq!(written(&mut tx, true, 4), b"onet");
        assert_eq!((tx.cut(), tx.messages(), tx.len()), (9, 2, 2));
        tx.push_owned(b"bye", true);
        assert_eq!(written(&mut tx, true, 99), b"wobye");
        assert_eq!((tx.messages(), tx.is_empty()), (0, true));
    }

    proptest! {
        /// Whatever is pushed comes out once and in order, however little each write takes.
        #[test]
        fn every_byte_leaves_once_in_order(
            pushes in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..20)), 0..40),
            writes in prop::collection::vec(1usize..9, 1..20),
            join in any::<bool>(),
        ) {
            let mut tx = SendBuf::default();
            let mut expected = Vec::new();
            let mut got = Vec::new();
            let mut sizes = writes.iter().cycle();
            for (shared, bytes) in &pushes {
                expected.extend_from_slice(bytes);
                if *shared { tx.push_shared(Rc::from(&bytes[..]), 1) } else { tx.push_owned(bytes, join) }
                got.extend(written(&mut tx, join, *sizes.next().unwrap()));
                prop_assert_eq!(tx.len() + got.len(), expected.len());
            }
            while !tx.is_empty() {
                got.extend(written(&mut tx, join, *sizes.next().unwrap()));
            }
            prop_assert_eq!(got, expected);
        }
    }
}
