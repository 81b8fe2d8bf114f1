//! A peer that only keeps us busy: frames that ask for work and carry none, too many in a second.
//!
//! The library under us bounds what such frames can make it remember, not how many it answers. So the
//! heads of the frames are read on their way to it, and the kinds of the known attacks are counted:
//! pings, settings, priorities, resets, and continuations of a head.

/// Counts the frames that carry nothing.
#[derive(Debug)]
pub struct Gauge {
    /// What is left of a preface or a frame's payload, to be skipped.
    skip: usize,
    /// The head of a frame, as far as it has come.
    head: [u8; HEAD_BYTES],
    held: usize,
    /// Idle frames in the running second.
    count: u32,
    second: u64,
    /// Continuations of one head, one after the other.
    continued: u32,
}

/// A peer does nothing but keep us busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flood;

impl Gauge {
    /// For a connection that begins with the preface of HTTP/2.
    pub const fn new() -> Self {
        Self { skip: PREFACE_BYTES, head: [0; HEAD_BYTES], held: 0, count: 0, second: 0, continued: 0 }
    }

    /// Looks at bytes that came in this second of the connection's clock.
    pub fn read(&mut self, mut bytes: &[u8], second: u64) -> Result<(), Flood> {
        if second != self.second {
            (self.second, self.count) = (second, 0);
        }
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let taken = bytes.len().min(HEAD_BYTES - self.held);
            self.head[self.held..self.held + taken].copy_from_slice(&bytes[..taken]);
            self.held += taken;
            bytes = &bytes[taken..];
            if self.held == HEAD_BYTES {
                self.frame()?;
            }
        }
        Ok(())
    }

    fn frame(&mut self) -> Result<(), Flood> {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.held = 0;
        self.skip = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        self.continued = if kind == CONTINUATION { self.continued + 1 } else { 0 };
        // Some clients end a call with an empty frame, so one that ends nothing is the odd one.
        let empty = kind == DATA && self.skip == 0 && flags & END_STREAM == 0;
        let idle = empty || matches!(kind, PRIORITY | RESET | SETTINGS | PING | CONTINUATION);
        self.count += u32::from(idle);
        match self.count > IDLE_FRAMES_PER_SECOND || self.continued > CONTINUATIONS_MAX {
            true => Err(Flood),
            false => Ok(()),
        }
    }
}

impl Default for Gauge {
    fn default() -> Self {
        Self::new()
    }
}

const PREFACE_BYTES: usize = 24;
const HEAD_BYTES: usize = 9;

const END_STREAM: u8 = 1;
const DATA: u8 = 0;
const PRIORITY: u8 = 2;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

/// A client that measures its link pings once a round trip, some thousand times a second on this very
/// machine, and one that gives up its calls resets them; a flood sends a hundred thousand.
const IDLE_FRAMES_PER_SECOND: u32 = 10_000;

/// A head of 16 KiB fits one frame; some clients cut it into a few.
const CONTINUATIONS_MAX: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, length: usize) -> Vec<u8> {
        let mut frame = (length as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, 0, 0, 0, 0, 1]);
        frame.resize(HEAD_BYTES + length, kind);
        frame
    }

    fn after_preface() -> Gauge {
        let mut gauge = Gauge::new();
        gauge.read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0).unwrap();
        gauge
    }

    /// Frames are told apart whole, byte by byte, and with others behind them.
    #[test]
    fn frames_are_counted_however_they_come() {
        let stream = [frame(SETTINGS, 6), frame(DATA, 1000), frame(PING, 8), frame(DATA, 0), frame(1, 40)].concat();
        let mut whole = after_preface();
        whole.read(&stream, 0).unwrap();
        let mut slow = after_preface();
        stream.iter().for_each(|byte| slow.read(&[*byte], 0).unwrap());
        assert_eq!((whole.count, slow.count), (3, 3));
        assert_eq!((slow.held, slow.skip), (0, 0));
    }

    /// A flood is noticed within its second, and a client that is merely busy goes on for ever.
    #[test]
    fn floods_are_noticed() {
        for kind in [PING, SETTINGS, RESET, PRIORITY] {
            let mut gauge = after_preface();
            let second = vec![frame(kind, 0); IDLE_FRAMES_PER_SECOND as usize].concat();
            for number in 0..3 {
                gauge.read(&second, number).unwrap();
            }
            assert_eq!(gauge.read(&frame(kind, 0), 2), Err(Flood));
        }
        let mut busy = after_preface();
        let calls = vec![[frame(1, 40), frame(DATA, 15)].concat(); 50_000].concat();
        busy.read(&calls, 0).unwrap();
    }

    /// A head that is continued without end is a flood of its own.
    #[test]
    fn a_head_ends() {
        let mut gauge = after_preface();
        gauge.read(&frame(1, 10), 0).unwrap();
        for _ in 0..CONTINUATIONS_MAX {
            gauge.read(&frame(CONTINUATION, 10), 0).unwrap();
        }
        assert_eq!(gauge.clone_for_test().read(&frame(DATA, 1), 0), Ok(()));
        assert_eq!(gauge.read(&frame(CONTINUATION, 10), 0), Err(Flood));
    }

    impl Gauge {
        fn clone_for_test(&self) -> Self {
            Self { ..*self }
        }
    }
}
