//! A peer that only keeps us busy: frames that ask for work and carry none, and no calls beside them.
//!
//! The library under us bounds what such frames can make it remember, not how many it answers. So the
//! heads of the frames are read on their way to it, and the kinds of the known attacks are counted:
//! pings, settings, priorities, resets, and continuations of a head.

/// Weighs the frames that carry nothing against those that carry something, and against time.
#[derive(Debug)]
pub struct Gauge {
    /// What is left of a preface or a frame's payload, to be skipped.
    skip: usize,
    /// The head of a frame, as far as it has come.
    head: [u8; HEAD_BYTES],
    held: usize,
    /// How many idle frames may still come.
    credit: u32,
    second: u64,
    /// Continuations of one head, one after the other.
    continued: u32,
    /// Bytes written that have earned nothing yet.
    unpaid: usize,
}

/// A peer does nothing but keep us busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flood;

impl Gauge {
    /// For a connection that begins with the preface of HTTP/2.
    pub const fn new() -> Self {
        Self {
            skip: PREFACE_BYTES,
            head: [0; HEAD_BYTES],
            held: 0,
            credit: CREDIT_MAX,
            second: 0,
            continued: 0,
            unpaid: 0,
        }
    }

    /// Looks at bytes that came in this second of the connection's clock.
    pub fn read(&mut self, mut bytes: &[u8], second: u64) -> Result<(), Flood> {
        let passed = u32::try_from(second.saturating_sub(self.second)).unwrap_or(u32::MAX);
        self.second = second;
        self.earn(passed.saturating_mul(CREDIT_PER_SECOND));
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
        match kind {
            HEADERS => self.earn(CREDIT_PER_CALL),
            // Of what may be padding alone nobody knows whether it carries something.
            DATA if flags & PADDED == 0 && self.skip > 0 => self.earn(1),
            DATA if self.skip > PADDING_BYTES_MAX => self.earn(1),
            // Some clients end a call with an empty frame.
            DATA if flags & END_STREAM != 0 => {}
            // Window updates come for what we sent, see `wrote`; kinds that nobody knows come for nothing.
            _ => {
                self.credit = self.credit.checked_sub(1).ok_or(Flood)?;
            }
        }
        if self.continued > CONTINUATIONS_MAX { Err(Flood) } else { Ok(()) }
    }

    /// Notes that so much was written to the peer: it says when it has room for more.
    pub fn wrote(&mut self, bytes: usize) {
        self.unpaid += bytes;
        self.earn((self.unpaid / WRITTEN_PER_CREDIT) as u32);
        self.unpaid %= WRITTEN_PER_CREDIT;
    }

    fn earn(&mut self, credit: u32) {
        self.credit = self.credit.saturating_add(credit).min(CREDIT_MAX);
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
const PADDED: u8 = 8;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

/// What a peer may send at once for nothing, and in each second from then on. A flood sends a hundred
/// thousand a second.
const CREDIT_MAX: u32 = 10_000;
const CREDIT_PER_SECOND: u32 = 1000;

/// A client that measures its link pings with a call, and one that gives up a call resets it.
const CREDIT_PER_CALL: u32 = 2;

/// As many bytes written as earn one idle frame: a client may tell after each event of a stream, twice.
const WRITTEN_PER_CREDIT: usize = 64;

/// A padded frame up to this may be nothing but padding.
const PADDING_BYTES_MAX: usize = 256;

/// A head of 16 KiB fits one frame; some clients cut it into a few.
const CONTINUATIONS_MAX: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const PRIORITY: u8 = 2;
    const RESET: u8 = 3;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const WINDOW_UPDATE: u8 = 8;

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
        // Two idle ones, a call, and data that earns nothing while nothing is missing.
        assert_eq!((whole.credit, slow.credit), (CREDIT_MAX, CREDIT_MAX));
        slow.read(&[frame(PING, 8), frame(PRIORITY, 5), frame(DATA, 0)].concat(), 0).unwrap();
        assert_eq!(slow.credit, CREDIT_MAX - 3);
        assert_eq!((slow.held, slow.skip), (0, 0));
    }

    /// A flood is noticed, however slowly it comes, and a client that is merely busy goes on for ever.
    #[test]
    fn floods_are_noticed() {
        for kind in [PING, SETTINGS, RESET, PRIORITY, WINDOW_UPDATE, 99] {
            let mut gauge = after_preface();
            gauge.read(&vec![frame(kind, 0); CREDIT_MAX as usize].concat(), 0).unwrap();
            gauge.read(&vec![frame(kind, 0); CREDIT_PER_SECOND as usize].concat(), 1).unwrap();
            assert_eq!(gauge.read(&frame(kind, 0), 1), Err(Flood));
        }
        let mut busy = after_preface();
        let calls = [frame(HEADERS, 40), frame(DATA, 15), frame(PING, 8), frame(RESET, 4)].concat();
        busy.read(&calls.repeat(50_000), 0).unwrap();
        // One that listens to a stream says for each event that it has room again.
        for _ in 0..50_000 {
            busy.wrote(200);
            busy.read(&[frame(WINDOW_UPDATE, 4), frame(WINDOW_UPDATE, 4)].concat(), 0).unwrap();
        }
        let mut padded = after_preface();
        let mut nothing = frame(DATA, 256);
        nothing[4] = PADDED;
        assert_eq!(padded.read(&nothing.repeat(CREDIT_MAX as usize + 1), 0), Err(Flood));
    }

    /// A head that is continued without end is a flood of its own.
    #[test]
    fn a_head_ends() {
        let mut gauge = after_preface();
        gauge.read(&frame(1, 10), 0).unwrap();
        for _ in 0..CONTINUATIONS_MAX {
            gauge.read(&frame(CONTINUATION, 10), 0).unwrap();
        }
        assert_eq!(Gauge { ..gauge }.read(&frame(DATA, 1), 0), Ok(()));
        assert_eq!(gauge.read(&frame(CONTINUATION, 10), 0), Err(Flood));
    }
}
