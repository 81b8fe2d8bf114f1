//! What one address has not been sent yet, or has not acknowledged: in order, with patience and a bound.
//!
//! An address that acknowledges is sent one notification at a time, again and again until it says that it
//! has it, so that order needs no help from the client. One that does not is sent what it missed in
//! small portions. Whoever stays silent for too long is left alone: what is stored is not lost, and comes
//! again when it registers the next time.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::store::model::{NoticeId, Notification};

/// How often something is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resend {
    /// The first wait for an acknowledgement; each further one is twice as long.
    pub first_ms: u64,
    /// How often a notification is sent at most.
    pub attempts_max: u32,
}

/// What waits for one address.
#[derive(Debug)]
pub struct Outbox {
    /// Whether it acknowledges what it is sent.
    pub acknowledges: bool,
    waiting: VecDeque<Arc<Notification>>,
    /// How often the first was sent, where that is acknowledged.
    attempts: u32,
    /// When the portion that goes out now began, and how many it has already.
    portion: (u64, usize),
    /// The first waits until then.
    due_ms: u64,
    /// The address has sent too little for the first: it waits for its next datagram.
    unpaid: bool,
    /// What was missed is being looked up, since then: all else waits behind it.
    asked_ms: Option<u64>,
    /// There is more of what was missed.
    more: bool,
    /// Something was dropped or given up, so what comes later does not prove that this came.
    gap: bool,
}

impl Outbox {
    /// An empty one.
    pub fn new(acknowledges: bool) -> Self {
        Self {
            acknowledges,
            waiting: VecDeque::new(),
            attempts: 0,
            portion: (0, 0),
            due_ms: 0,
            unpaid: false,
            asked_ms: None,
            more: false,
            gap: false,
        }
    }

    /// Whether nothing waits, nothing is looked up and nothing is missing, so that it can go.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.asked_ms.is_none() && !self.more && !self.gap
    }

    /// What was missed is being looked up from the beginning: a gap is closed by that.
    pub fn ask(&mut self, now_ms: u64) {
        *self = Self { asked_ms: Some(now_ms), ..Self::new(self.acknowledges) };
    }

    /// Whether what was missed is being looked up.
    pub fn is_asking(&self) -> bool {
        self.asked_ms.is_some()
    }

    /// Here is what was missed, oldest first; `full` when there may be more. `None` when it could not be
    /// looked up.
    pub fn found(&mut self, missed: Option<Vec<Arc<Notification>>>, full: bool) {
        self.asked_ms = None;
        let Some(missed) = missed else {
            self.gap = true;
            return;
        };
        let last = missed.last().map(|notification| notification.id);
        // Whatever is not there yet comes with the rest.
        (self.more, self.gap) = (full, self.gap && !full);
        // What came meanwhile is stored as well: a page that is full finds it later, and one that isn't
        // may hold it already.
        self.waiting.retain(|live| !full && last.is_none_or(|last| live.id > last));
        for notification in missed.into_iter().rev() {
            self.waiting.push_front(notification);
        }
    }

    /// Adds what happens now. When too much waits it is dropped: the newest, like everywhere here.
    pub fn push(&mut self, notification: Arc<Notification>) {
        if self.more {
            // It is stored, and comes in its place.
        } else if self.waiting.len() >= WAITING_MAX {
            self.gap = true;
        } else {
            self.waiting.push_back(notification);
        }
    }

    /// The client has this one. Only the one that it was sent last can be meant; anything else is an echo
    /// of something older, or invented.
    pub fn acknowledge(&mut self, id: NoticeId) -> Option<NoticeId> {
        let outstanding = self.acknowledges && self.attempts > 0;
        self.waiting.front().filter(|first| outstanding && first.id == id)?;
        self.waiting.pop_front();
        (self.attempts, self.due_ms) = (0, 0);
        (!self.gap).then_some(id)
    }

    /// What is to be sent now, if anything. It stays the first until it was [`sent`](Self::sent).
    pub fn first(&mut self, resend: Resend, now_ms: u64) -> Option<&Arc<Notification>> {
        if self.asked_ms.is_some_and(|asked_ms| now_ms >= asked_ms + ASKING_MS_MAX) {
            // The answer got lost on a server that is too busy.
            self.found(None, false);
        }
        if self.asked_ms.is_some() || self.unpaid || now_ms < self.due_ms {
            return None;
        }
        if self.acknowledges && self.attempts >= resend.attempts_max {
            // Nobody is there. It goes on with what comes next.
            (self.attempts, self.due_ms, self.gap, self.more) = (0, 0, true, false);
            self.waiting.clear();
        }
        self.waiting.front()
    }

    /// The first has gone out. Everything up to the one that is told counts as delivered.
    pub fn sent(&mut self, resend: Resend, now_ms: u64) -> Option<NoticeId> {
        if self.acknowledges {
            self.due_ms = now_ms + (resend.first_ms << self.attempts.min(16));
            self.attempts += 1;
            return None;
        }
        if self.portion.1 == 0 || now_ms >= self.portion.0 + PORTION_MS {
            self.portion = (now_ms, 0);
        }
        self.portion.1 += 1;
        if self.portion.1 >= PORTION {
            self.due_ms = self.portion.0 + PORTION_MS;
        }
        self.waiting.pop_front().map(|sent| sent.id).filter(|_| !self.gap)
    }

    /// The address may not be sent the first before it has sent more itself.
    pub fn refuse(&mut self) {
        self.unpaid = true;
    }

    /// The address has sent something.
    pub fn hear(&mut self) {
        self.unpaid = false;
    }

    /// Whether the rest of what was missed is to be looked up now. Then it counts as being looked up.
    pub fn asks(&mut self, now_ms: u64) -> bool {
        let asks = self.more && self.waiting.is_empty() && self.asked_ms.is_none();
        if asks {
            (self.more, self.asked_ms) = (false, Some(now_ms));
        }
        asks
    }
}

/// How many notifications wait for one address. A client that is behind by more has long been silent.
const WAITING_MAX: usize = 128;

/// What was missed comes in portions, at the pace that its clients know: one in 50 ms.
const PORTION: usize = 20;
const PORTION_MS: u64 = 1000;

/// A look into the store takes milliseconds; one that took so long has been refused by a full queue.
const ASKING_MS_MAX: u64 = 30_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::model::NoticeKind;

    const RESEND: Resend = Resend { first_ms: 1000, attempts_max: 6 };

    fn notice(id: NoticeId) -> Arc<Notification> {
        Arc::new(Notification {
            id,
            kind: NoticeKind::NewManga,
            manga: None,
            title: String::new(),
            message: String::new(),
            chapter: None,
            old_chapter: None,
            chapter_title: None,
            release_date: None,
            changes: Vec::new(),
            at: 0,
        })
    }

    /// Sends all that may go out now; tells what that was, and up to where it counts as delivered.
    fn next(outbox: &mut Outbox, now_ms: u64) -> (Vec<NoticeId>, Option<NoticeId>) {
        let (mut sent, mut delivered) = (Vec::new(), None);
        while let Some(first) = outbox.first(RESEND, now_ms) {
            sent.push(first.id);
            delivered = outbox.sent(RESEND, now_ms).or(delivered);
        }
        (sent, delivered)
    }

    const NOTHING: (Vec<NoticeId>, Option<NoticeId>) = (Vec::new(), None);

    /// One at a time: the next one goes out when the one before has been acknowledged, and a wrong
    /// acknowledgement changes nothing.
    #[test]
    fn acknowledged_delivery_is_in_order() {
        let mut outbox = Outbox::new(true);
        (1..=3).for_each(|id| outbox.push(notice(id)));
        assert_eq!(outbox.acknowledge(1), None, "it was not sent yet");
        for id in 1..=3 {
            assert_eq!(next(&mut outbox, 0), (vec![id], None));
            assert_eq!(next(&mut outbox, 0), NOTHING);
            assert_eq!((outbox.acknowledge(id + 1), outbox.acknowledge(id - 1)), (None, None));
            assert_eq!(outbox.acknowledge(id), Some(id));
        }
        assert!(outbox.is_idle());
    }

    /// Unacknowledged it is sent again after 1, 2, 4, 8 and 16 seconds, then given up; what comes later is
    /// sent, and no longer proves that everything before was delivered.
    #[test]
    fn sending_again_backs_off_and_ends() {
        let mut outbox = Outbox::new(true);
        outbox.push(notice(1));
        let seconds = (0..100).map(|second| second * 1000);
        let times: Vec<u64> = seconds.filter(|now_ms| next(&mut outbox, *now_ms) != NOTHING).collect();
        assert_eq!(times, [0, 1000, 3000, 7000, 15_000, 31_000]);
        outbox.push(notice(2));
        assert_eq!(next(&mut outbox, 100_000), (vec![2], None));
        assert_eq!(outbox.acknowledge(2), None);
    }

    /// What was missed goes before what happens meanwhile, in portions, page after page, each once.
    #[test]
    fn what_was_missed_comes_first_and_in_portions() {
        let mut outbox = Outbox::new(false);
        outbox.ask(0);
        outbox.push(notice(41));
        assert_eq!(next(&mut outbox, 0), NOTHING);
        outbox.found(Some((1..=30).map(notice).collect()), true);
        assert_eq!(next(&mut outbox, 0), ((1..=20).collect(), Some(20)));
        assert!(next(&mut outbox, 999) == NOTHING && !outbox.asks(999));
        assert_eq!(next(&mut outbox, 1000), ((21..=30).collect(), Some(30)));
        assert!(outbox.asks(1000) && !outbox.asks(1000));
        outbox.push(notice(42));
        outbox.found(Some((31..=41).map(notice).collect()), false);
        assert_eq!(next(&mut outbox, 2000), ((31..=42).collect(), Some(42)));
        assert!(outbox.is_idle());
    }

    /// What the address has not paid for stays, is not delivered, and goes out after its next datagram.
    #[test]
    fn what_is_unpaid_stays() {
        let mut outbox = Outbox::new(false);
        (1..=3).for_each(|id| outbox.push(notice(id)));
        assert_eq!((outbox.first(RESEND, 0).unwrap().id, outbox.sent(RESEND, 0)), (1, Some(1)));
        outbox.refuse();
        assert!(next(&mut outbox, 60_000) == NOTHING && !outbox.is_idle());
        outbox.hear();
        assert_eq!(next(&mut outbox, 60_000), (vec![2, 3], Some(3)));
    }

    /// A look-up that fails or never comes back does not keep what happens now.
    #[test]
    fn a_lost_look_up_holds_up_nothing() {
        let mut outbox = Outbox::new(false);
        outbox.ask(0);
        outbox.push(notice(7));
        assert_eq!(next(&mut outbox, 29_999), NOTHING);
        assert_eq!(next(&mut outbox, 30_000), (vec![7], None));
    }

    /// The newest is dropped when too many wait, and then nothing later counts as delivered.
    #[test]
    fn an_outbox_has_a_bound() {
        let mut outbox = Outbox::new(true);
        (1..=500).for_each(|id| outbox.push(notice(id)));
        let mut last = 0;
        while let [id] = next(&mut outbox, 0).0[..] {
            assert_eq!(outbox.acknowledge(id), None);
            last = id;
        }
        assert_eq!(last, WAITING_MAX as i64);
    }
}
