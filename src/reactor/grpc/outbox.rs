//! The way back: what the loop says goes to the calls together, once a turn.
//!
//! Waking this thread is a system call, so the loop only collects, and rings once at the end of its
//! turn. A call that the loop forgets, for whatever reason, is answered when its handle is dropped:
//! nobody waits for ever.

use std::mem::take;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::board::{Board, Line};
use super::counts::Counts;
use crate::handlers::api::{ApiError, ErrorKind, Reply};
use crate::handlers::remote::Waiting;

/// What a call came to.
pub type Outcome = Result<Reply, ApiError>;

/// Where the server is in its life, as far as this thread must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Life {
    /// Calls are taken.
    Running,
    /// No new ones are.
    Draining,
    /// The loop has ended.
    Stopped,
}

/// What the loop has said and the calls have not heard.
pub struct Outbox {
    items: Mutex<Vec<Item>>,
    bell: Notify,
    /// There is a thread that takes what is said.
    serving: AtomicBool,
    counts: Arc<Counts>,
    board: Arc<Board>,
    life: watch::Sender<Life>,
}

enum Item {
    Answer(oneshot::Sender<Outcome>, Outcome),
    Message(mpsc::UnboundedSender<Bytes>, Bytes),
}

/// The loop's end. When it is dropped the loop has ended.
pub struct Answers(Arc<Outbox>);

/// Makes both ends.
pub fn answers() -> (Answers, Arc<Outbox>) {
    let outbox = Arc::new(Outbox {
        items: Mutex::new(Vec::new()),
        bell: Notify::new(),
        serving: AtomicBool::new(false),
        counts: Arc::default(),
        board: Arc::default(),
        life: watch::Sender::new(Life::Running),
    });
    (Answers(outbox.clone()), outbox)
}

impl Answers {
    /// Lets the other thread hear what was said since the last time.
    pub fn hand_over(&self) {
        if !self.0.items().is_empty() {
            self.0.bell.notify_one();
        }
    }

    /// Whether somebody may still wait for one.
    pub fn are_awaited(&self) -> bool {
        self.0.serving.load(Ordering::Acquire)
    }

    /// What the other thread has counted.
    pub fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// Who is connected to the other thread.
    pub fn board(&self) -> &Board {
        &self.0.board
    }

    /// No new calls are taken from now on.
    pub fn drain(&self) {
        self.0.advance(Life::Draining);
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.0.bell.notify_one();
        self.0.advance(Life::Stopped);
    }
}

/// The other thread serves. When this is dropped it does not any more, and says so.
pub struct Serving<F: FnMut()> {
    outbox: Arc<Outbox>,
    left: F,
}

impl<F: FnMut()> Drop for Serving<F> {
    fn drop(&mut self) {
        self.outbox.serving.store(false, Ordering::Release);
        (self.left)();
    }
}

impl Outbox {
    /// Notes that a thread serves from now on, and what to do when it has left.
    pub fn serve<F: FnMut()>(self: &Arc<Self>, left: F) -> Serving<F> {
        self.serving.store(true, Ordering::Release);
        Serving { outbox: self.clone(), left }
    }

    /// Where this thread counts.
    pub fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }

    /// Where this thread lists its connections.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Waits until the server has come so far.
    pub async fn reached(&self, life: Life) {
        // The sender is held by this very outbox, so it is never gone.
        let _ = self.life.subscribe().wait_for(|now| *now >= life).await;
    }

    /// Where the server is now.
    pub fn life(&self) -> Life {
        *self.life.borrow()
    }

    fn advance(&self, life: Life) {
        self.life.send_if_modified(|now| {
            let later = *now < life;
            *now = life.max(*now);
            later
        });
    }

    fn items(&self) -> MutexGuard<'_, Vec<Item>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, item: Item) {
        self.items().push(item);
    }
}

/// Gives everything that was said to those who wait for it, until the thread ends.
pub async fn hand_out(outbox: Arc<Outbox>) {
    loop {
        outbox.bell.notified().await;
        for item in take(&mut *outbox.items()) {
            // Whoever has left meanwhile does not hear it.
            match item {
                Item::Answer(to, outcome) => drop(to.send(outcome)),
                Item::Message(to, message) => drop(to.send(message)),
            }
        }
    }
}

/// The end of one call, in the loop's hands.
pub struct Slot {
    line: Arc<Line>,
    outbox: Arc<Outbox>,
    answer: Mutex<Option<oneshot::Sender<Outcome>>>,
    feed: Option<(mpsc::UnboundedSender<Bytes>, Arc<AtomicUsize>)>,
}

/// The messages of a stream, in the hands of its call.
pub struct Feed {
    messages: mpsc::UnboundedReceiver<Bytes>,
    /// How many there are in it and on the way to it.
    owed: Arc<AtomicUsize>,
}

impl Slot {
    /// A call that is answered once.
    pub fn unary(line: Arc<Line>, outbox: Arc<Outbox>) -> (Self, oneshot::Receiver<Outcome>) {
        let (sender, receiver) = oneshot::channel();
        line.asked();
        (Self { line, outbox, answer: Mutex::new(Some(sender)), feed: None }, receiver)
    }

    /// A call that is told things, until it is answered.
    pub fn feed(line: Arc<Line>, outbox: Arc<Outbox>) -> (Self, oneshot::Receiver<Outcome>, Feed) {
        let (mut slot, end) = Self::unary(line, outbox);
        let (sender, messages) = mpsc::unbounded_channel();
        let owed = Arc::new(AtomicUsize::new(0));
        slot.feed = Some((sender, owed.clone()));
        (slot, end, Feed { messages, owed })
    }

    fn take(&self) -> Option<oneshot::Sender<Outcome>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Waiting for Slot {
    fn peer(&self) -> SocketAddr {
        self.line.peer
    }

    fn is_of(&self, username: &Arc<str>) {
        self.line.is_of(username);
    }

    fn has_left(&self) -> bool {
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        answer.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    fn answer(&self, outcome: Outcome) {
        if let Some(to) = self.take() {
            if outcome.is_ok() {
                self.line.told();
            }
            self.outbox.push(Item::Answer(to, outcome));
        }
    }

    fn admitted(&self) {
        // It waits in the same line as what it is told: an empty frame.
        self.tell(Bytes::new());
    }

    fn tell(&self, frame: Bytes) -> bool {
        let Some((to, owed)) = &self.feed else { return false };
        if self.has_left() {
            return false;
        }
        if owed.fetch_add(1, Ordering::Relaxed) >= FEED_MESSAGES_MAX {
            let slow = "The stream was read too slowly; what it missed is lost";
            self.answer(Err(ApiError::new(ErrorKind::TooLarge, slow)));
            return false;
        }
        if !frame.is_empty() {
            self.line.told();
        }
        self.outbox.push(Item::Message(to.clone(), frame));
        true
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.line.done();
        let Some(to) = self.take().filter(|to| !to.is_closed()) else { return };
        let error = match self.outbox.life() {
            Life::Running => ApiError::new(ErrorKind::Internal, "Something went wrong on the server"),
            _ => ApiError::new(ErrorKind::Unavailable, "The server is shutting down"),
        };
        self.outbox.push(Item::Answer(to, Err(error)));
        // The turn in which this would be handed over may have been the last.
        self.outbox.bell.notify_one();
    }
}

impl Feed {
    /// The next message. Pends for ever once there can be no more.
    pub async fn next(&mut self) -> Bytes {
        match self.messages.recv().await {
            Some(message) => message,
            None => std::future::pending().await,
        }
    }

    /// The last one has been sent.
    pub fn sent(&self) {
        self.owed.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many messages a stream may be behind: a few kilobytes each, so a megabyte. Beyond it the stream is
/// ended, and the others are not held up.
const FEED_MESSAGES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::key::ConnKey;

    fn peer() -> Arc<Line> {
        Arc::new(Line::new(([127, 0, 0, 1], 1).into(), ConnKey { index: 0, generation: 1 }))
    }

    /// Runs `hand_out` until everything that was said has been given out.
    fn give(outbox: &Arc<Outbox>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let handing = tokio::spawn(hand_out(outbox.clone()));
            while !outbox.items().is_empty() {
                tokio::task::yield_now().await;
            }
            handing.abort();
        });
    }

    /// An answer arrives once, and a call that is forgotten hears that too.
    #[test]
    fn every_call_is_answered_once() {
        let (answers, outbox) = answers();
        let (slot, mut heard) = Slot::unary(peer(), outbox.clone());
        slot.answer(Ok(Reply::Silence));
        slot.answer(Ok(Reply::Done("twice")));
        answers.hand_over();
        give(&outbox);
        assert!(matches!(heard.try_recv(), Ok(Ok(Reply::Silence))));
        let (slot, mut heard) = Slot::unary(peer(), outbox.clone());
        drop(slot);
        give(&outbox);
        assert!(matches!(heard.try_recv(), Ok(Err(error)) if error.kind == ErrorKind::Internal));
        answers.drain();
        let (slot, mut heard) = Slot::unary(peer(), outbox.clone());
        drop(slot);
        give(&outbox);
        assert!(matches!(heard.try_recv(), Ok(Err(error)) if error.kind == ErrorKind::Unavailable));
    }

    /// Whoever gives up is noticed, and nothing is kept for them.
    #[test]
    fn who_leaves_is_noticed() {
        let (_answers, outbox) = answers();
        let (slot, heard) = Slot::unary(peer(), outbox.clone());
        assert!(!slot.has_left());
        drop(heard);
        assert!(slot.has_left());
        drop(slot);
        assert!(outbox.items().is_empty());
    }

    /// A stream that is not read is ended after so many messages; one that is read goes on.
    #[test]
    fn a_slow_stream_is_ended() {
        let (answers, outbox) = answers();
        let (slot, mut end, mut feed) = Slot::feed(peer(), outbox.clone());
        for _ in 0..3 {
            assert!(slot.tell(Bytes::from_static(&[1])));
            answers.hand_over();
            give(&outbox);
            assert_eq!(feed.messages.try_recv().ok(), Some(Bytes::from_static(&[1])));
            feed.sent();
        }
        assert!((0..FEED_MESSAGES_MAX).all(|_| slot.tell(Bytes::from_static(&[1]))));
        assert!(!slot.tell(Bytes::from_static(&[1])) && !slot.tell(Bytes::from_static(&[1])));
        assert!(slot.has_left());
        answers.hand_over();
        give(&outbox);
        assert!(matches!(end.try_recv(), Ok(Err(error)) if error.kind == ErrorKind::TooLarge));
    }
}
