//! The only door from other threads into the loop: a queue, and a bell that rings once.
//!
//! Waking a sleeping poll is a system call, so a thousand completions ring the bell once: the
//! sender pushes first, then rings if nobody has; the loop clears the bell *before* it empties the
//! queue, so nothing that came later sleeps unseen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::pool::Ticket;

/// Something from another thread.
pub enum Wakeup<J> {
    /// Jobs that are done, in the order in which they were.
    Done(Vec<Ticket<J>>),
    /// A call from a thread that speaks for clients of its own. That thread bounds how many it has open.
    Call(J),
    /// That thread serves nobody any more: a drain may be over.
    Left,
    /// Stop accepting, finish what runs, then end.
    Drain,
    /// End now.
    Stop,
}

/// What ends the loop's sleep.
pub trait Bell: Send + Sync {
    /// Makes the current or next wait return at once.
    fn ring(&self);
}

impl Bell for mio::Waker {
    fn ring(&self) {
        // Nothing to be done if it fails: the descriptor is ours and valid, and a full counter
        // means that the loop is about to wake anyway.
        let _ = self.wake();
    }
}

/// The loop's end.
pub struct Inbox<J> {
    queue: Receiver<Wakeup<J>>,
    rung: Arc<AtomicBool>,
}

/// Everyone else's end.
pub struct Door<J> {
    queue: Sender<Wakeup<J>>,
    rung: Arc<AtomicBool>,
    bell: Arc<dyn Bell>,
}

impl<J> Clone for Door<J> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), rung: self.rung.clone(), bell: self.bell.clone() }
    }
}

/// Makes both ends. The queue has no bound of its own: completions are bounded by the jobs that
/// were admitted, calls by their places, each held until its call is begun, and the rest are two signals.
pub fn inbox<J>(bell: Arc<dyn Bell>) -> (Door<J>, Inbox<J>) {
    let (sender, receiver) = unbounded();
    let rung = Arc::new(AtomicBool::new(false));
    (Door { queue: sender, rung: rung.clone(), bell }, Inbox { queue: receiver, rung })
}

impl<J> Door<J> {
    /// Hands something to the loop. It is dropped if the loop has ended.
    pub fn send(&self, wakeup: Wakeup<J>) {
        if self.queue.send(wakeup).is_ok() && !self.rung.swap(true, Ordering::AcqRel) {
            self.bell.ring();
        }
    }
}

impl<J> Inbox<J> {
    /// Call once before emptying the queue.
    pub fn silence(&self) {
        self.rung.swap(false, Ordering::AcqRel);
    }

    /// The next thing, if there is one.
    pub fn next(&self) -> Option<Wakeup<J>> {
        self.queue.try_recv().ok()
    }

    /// Whether something waits.
    pub fn has_mail(&self) -> bool {
        !self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Bell for Counter {
        fn ring(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Many messages ring once, until the loop has listened.
    #[test]
    fn the_bell_rings_once_for_many() {
        let bell = Arc::new(Counter::default());
        let (door, inbox) = inbox::<()>(bell.clone());
        (0..1000).for_each(|_| door.send(Wakeup::Drain));
        assert_eq!(bell.0.load(Ordering::Relaxed), 1);
        inbox.silence();
        door.send(Wakeup::Stop);
        assert_eq!(bell.0.load(Ordering::Relaxed), 2);
        assert_eq!(std::iter::from_fn(|| inbox.next()).count(), 1001);
    }
}
