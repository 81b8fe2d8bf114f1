//! The receive buffer: bytes that arrived and no codec has consumed.
//!
//! Consuming moves a cursor; bytes are shifted only when more are appended, so reading a message
//! never costs the square of what is buffered. `scanned` belongs to the codec: how far it has
//! looked for the end of a message without finding it, so that it never looks twice.
//! Sending is the reactor's concern (`reactor/send.rs`).

/// Bytes received and not yet consumed.
#[derive(Debug, Default)]
pub struct RecvBuf {
    bytes: Vec<u8>,
    start: usize,
    /// How many of the unconsumed bytes the codec has already looked at.
    pub scanned: usize,
}

impl RecvBuf {
    /// An empty buffer that holds no memory.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), start: 0, scanned: 0 }
    }

    /// The unconsumed bytes.
    pub fn data(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// The unconsumed bytes, to be changed where they lie.
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
    }

    /// How many bytes are unconsumed.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Whether nothing is unconsumed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The heap memory held, in bytes.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Drops the first `count` unconsumed bytes.
    ///
    /// # Panics
    /// When fewer are there: a codec consumes only what it has seen.
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.len(), "a codec consumed {count} of {} bytes", self.len());
        self.start += count;
        self.scanned = self.scanned.saturating_sub(count);
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
    }

    /// Takes the unconsumed bytes into a buffer of their own to be set aside: this one itself when
    /// they fill it, else a copy of their size, and this one keeps its memory for the next reader.
    pub fn split_tail(&mut self) -> RecvBuf {
        if self.bytes.capacity() <= 2 * self.len() + 256 {
            return std::mem::take(self);
        }
        let tail = RecvBuf { bytes: self.data().to_vec(), start: 0, scanned: self.scanned };
        self.clear();
        tail
    }

    /// Drops every byte and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        (self.start, self.scanned) = (0, 0);
    }

    /// Adds bytes that arrived, moving unconsumed ones to the front when that saves growing.
    pub fn append(&mut self, arrived: &[u8]) {
        if self.start > 0 && self.bytes.len() + arrived.len() > self.bytes.capacity() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(arrived);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Consuming and appending keep the order of bytes, whatever the cursor's place.
    #[test]
    fn bytes_stay_in_order_across_consume_and_append() {
        let mut rx = RecvBuf::new();
        rx.append(b"hello ");
        rx.consume(2);
        rx.append(b"world");
        assert_eq!(rx.data(), b"llo world");
        rx.consume(9);
        assert!(rx.is_empty());
    }

    /// What a codec has scanned shrinks with what it consumes and never goes below nothing.
    #[test]
    fn scanned_follows_the_cursor() {
        let mut rx = RecvBuf::new();
        rx.append(b"abcdef");
        rx.scanned = 4;
        rx.consume(3);
        assert_eq!(rx.scanned, 1);
        rx.consume(3);
        assert_eq!(rx.scanned, 0);
    }
}
