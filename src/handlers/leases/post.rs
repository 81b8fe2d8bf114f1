//! What goes out to addresses, and what it means for those who are told what they missed.
//!
//! A notification counts as delivered when it is on its way, or when it is acknowledged where that was
//! asked for; what finds no room, or has not been paid for, waits in the outbox. Bytes are made elsewhere,
//! so each one is handed out, and then either sent or not.

use std::sync::Arc;

use super::{Leases, Outbox, Place, Resend};
use crate::handlers::api::ProgressEvent;
use crate::handlers::key::LeaseKey;
use crate::store::model::Notification;

/// A notification for one address.
#[derive(Debug)]
pub struct Letter {
    /// Where it goes.
    pub to: Place,
    /// What it says.
    pub notification: Arc<Notification>,
}

impl Leases {
    /// Hands a lease a notification as it happens. Where it goes, unless it waits behind others.
    pub fn hand(&mut self, key: LeaseKey, notification: &Arc<Notification>) -> Option<Place> {
        let lease = self.registry.get_mut(key).filter(|lease| lease.last < notification.id)?;
        lease.last = notification.id;
        let Some(outbox) = &mut lease.outbox else { return Some(lease.place) };
        outbox.push(notification.clone());
        self.ready.push_back(key);
        None
    }

    /// Whether a notification that was [handed](Self::hand) to a lease goes out at once, as so many bytes.
    /// If it doesn't it waits. That of a stranger always goes: where there is no room it is dropped there.
    pub fn goes(&mut self, key: LeaseKey, notification: &Arc<Notification>, bytes: usize, room: bool) -> bool {
        let Some(lease) = self.registry.get(key) else { return false };
        let (place, user) = (lease.place, lease.holder.as_ref().map(|holder| holder.user.clone()));
        if user.is_none() && !room {
            // Nothing is kept of what strangers were told, and a burst to all of them must not be.
            return true;
        }
        let waits = user.is_some() && (!room || self.closed);
        if waits || !self.registry.charge(place, 0, bytes) {
            self.keep(key, notification.clone(), waits);
            return false;
        }
        if let Some(user) = user {
            self.note_delivered(user, notification.id);
        }
        true
    }

    fn keep(&mut self, key: LeaseKey, notification: Arc<Notification>, paid: bool) {
        let Some(lease) = self.registry.get_mut(key) else { return };
        let outbox = lease.outbox.get_or_insert_with(|| Box::new(Outbox::new(false)));
        outbox.push(notification);
        if !paid {
            outbox.refuse();
        }
    }

    /// Where a lease is, if it wants to hear of this user's progress: it is that user's own.
    pub fn hears_progress(&self, key: LeaseKey, event: &ProgressEvent) -> Option<Place> {
        let lease = self.registry.get(key)?;
        let holder = lease.holder.as_ref()?;
        (holder.progress && holder.user == event.user_id).then_some(lease.place)
    }

    /// The next lease that may have something to send.
    pub fn next_ready(&mut self) -> Option<LeaseKey> {
        self.ready.pop_front()
    }

    /// What a lease is to be sent now.
    pub fn next_letter(&mut self, key: LeaseKey, resend: Resend, now_ms: u64) -> Option<Letter> {
        let closed = self.closed;
        let lease = self.registry.get_mut(key).filter(|lease| !(closed && lease.holder.is_some()))?;
        let notification = lease.outbox.as_mut()?.first(resend, now_ms)?.clone();
        Some(Letter { to: lease.place, notification })
    }

    /// Whether the letter goes out, as so many bytes. It then counts as sent; else it waits until the
    /// address has sent more itself.
    pub fn send(&mut self, key: LeaseKey, bytes: usize, resend: Resend, now_ms: u64) -> bool {
        let Some(place) = self.registry.get(key).map(|lease| lease.place) else { return false };
        let paid = self.registry.charge(place, 0, bytes);
        let Some(lease) = self.registry.get_mut(key) else { return false };
        let Some(outbox) = &mut lease.outbox else { return false };
        if !paid {
            outbox.refuse();
            return false;
        }
        let delivered = outbox.sent(resend, now_ms);
        let user = lease.holder.as_ref().map(|holder| holder.user.clone());
        if let (Some(user), Some(delivered)) = (user, delivered) {
            self.note_delivered(user, delivered);
        }
        true
    }

    /// All that a lease may be sent now has been: what was missed is looked up further, and an outbox that
    /// nobody needs goes.
    pub fn rest(&mut self, key: LeaseKey, now_ms: u64) {
        let Some(lease) = self.registry.get_mut(key) else { return };
        let Some(outbox) = &mut lease.outbox else { return };
        if outbox.asks(now_ms) {
            self.asks.push(key);
        }
        if outbox.is_idle() && !outbox.acknowledges {
            lease.outbox = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::leases::{Bounds, Dialect, Heard, Holder, Standing};
    use crate::handlers::rate::Rate;
    use crate::handlers::session::Members;
    use crate::store::model::{NoticeId, NoticeKind, Role, UserId};

    const RESEND: Resend = Resend { first_ms: 1000, attempts_max: 6 };
    const BOUNDS: Bounds = Bounds {
        lease_ms: 300_000,
        silent_lease_ms: 86_400_000,
        leases_max: 10,
        leases_per_user: 2,
        leases_per_address: 2,
        rate: Rate { per_second: 20, burst: 40 },
    };
    /// What a notification takes here.
    const BYTES: usize = 250;

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

    fn far() -> Place {
        Place { socket: 0, dialect: Dialect::V2, address: "203.0.113.9:5".parse().unwrap() }
    }

    fn ann() -> UserId {
        UserId::parse("ann").unwrap()
    }

    /// A verified lease far away, which has sent 100 bytes.
    fn leased(leases: &mut Leases) -> LeaseKey {
        let member = Members::default().enter(&ann(), "ann", Role::User, 0).unwrap();
        let holder = Holder { user: ann(), member, progress: false };
        leases.registry.add(far(), Some(holder), Standing::new(far().address.ip(), 100, 7), &BOUNDS, 0)
    }

    fn post(leases: &mut Leases, now_ms: u64) -> Vec<NoticeId> {
        let mut sent = Vec::new();
        while let Some(key) = leases.next_ready() {
            while let Some(letter) = leases.next_letter(key, RESEND, now_ms) {
                if !leases.send(key, BYTES, RESEND, now_ms) {
                    break;
                }
                sent.push(letter.notification.id);
            }
            leases.rest(key, now_ms);
        }
        sent
    }

    fn ping(leases: &mut Leases, proof: Option<u64>) {
        leases.heard(far(), Heard { bytes: 100, ping: true, proof }, &BOUNDS, 0);
    }

    /// What was missed goes to somebody far away as they pay for it, in order, and is never counted as
    /// delivered before; a proof lets all the rest go.
    #[test]
    fn what_is_not_paid_for_is_not_delivered() {
        let mut leases = Leases::default();
        let key = leased(&mut leases);
        let mut outbox = Outbox::new(false);
        outbox.found(Some((1..=10).map(notice).collect()), false);
        leases.registry.get_mut(key).unwrap().outbox = Some(Box::new(outbox));
        leases.ready.push_back(key);
        assert_eq!(post(&mut leases, 0), [1]);
        leases.ready.push_back(key);
        assert_eq!((post(&mut leases, 5000), leases.delivered[&ann()]), (vec![], 1));
        ping(&mut leases, None);
        assert_eq!((post(&mut leases, 5000), leases.delivered[&ann()]), (vec![2], 2));
        ping(&mut leases, Some(7));
        assert_eq!((post(&mut leases, 5000), leases.delivered[&ann()]), ((3..=10).collect(), 10));
        assert!(leases.registry.get(key).unwrap().outbox.is_none());
    }

    /// What happens now waits in the same way, where the address has not paid, and where the socket has no
    /// room for it.
    #[test]
    fn what_happens_now_waits_until_it_can_be_sent() {
        let mut leases = Leases::default();
        let key = leased(&mut leases);
        let hand = |leases: &mut Leases, id, room| {
            let handed = leases.hand(key, &notice(id));
            handed.is_some_and(|_| leases.goes(key, &notice(id), BYTES, room))
        };
        assert!(hand(&mut leases, 1, true) && !hand(&mut leases, 2, true) && !hand(&mut leases, 3, true));
        assert_eq!((post(&mut leases, 0), leases.delivered[&ann()]), (vec![], 1));
        ping(&mut leases, Some(7));
        assert_eq!((post(&mut leases, 0), leases.delivered[&ann()]), (vec![2, 3], 3));
        assert!(!hand(&mut leases, 4, false) && leases.delivered[&ann()] == 3);
        leases.ready.push_back(key);
        assert_eq!((post(&mut leases, 0), leases.delivered[&ann()]), (vec![4], 4));
        assert!(hand(&mut leases, 5, true));
    }

    /// When marks have been stored for the last time, nothing more is sent that would need one.
    #[test]
    fn nothing_goes_out_that_could_not_be_marked() {
        let mut leases = Leases { closed: true, ..Leases::default() };
        let key = leased(&mut leases);
        assert!(leases.hand(key, &notice(1)).is_some() && !leases.goes(key, &notice(1), 10, true));
        leases.ready.push_back(key);
        assert!(post(&mut leases, 0).is_empty() && leases.delivered.is_empty());
    }
}
