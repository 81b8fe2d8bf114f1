//! Fan-out: telling a topic's members what happened, once a turn.
//!
//! Sending is what costs: about two microseconds of system call for each delivery, whoever does it.
//! So consecutive events of one topic are put into bytes once for each kind of reader, joined into
//! one chunk that every member shares, and written later with everything else that is owed. Order
//! is kept across topics: a later event never overtakes an earlier one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use smallvec::SmallVec;

use super::conn::Flags;
use super::net::Net;
use super::service::{EventOf, KINDS, Service, TopicOf};
use super::{Reactor, Telling, mark_dirty, udp};
use crate::handlers::effect::CloseReason;
use crate::handlers::key::{Audience, ConnKey};

/// One kind's bytes of a run of events: one chunk, or one for each event where they must not join.
type Encoded = SmallVec<[Rc<[u8]>; 1]>;

impl<N: Net, S: Service> Reactor<N, S> {
    /// Puts an event in line. A client that pipelines is answered in order, so until it has been
    /// told of what it caused, its replies stand in the same line.
    pub(super) fn queue_event(&mut self, key: ConnKey, topic: TopicOf<S>, event: EventOf<S>) {
        self.tellings.push_back(Telling::Event(topic, event));
        if let Some(conn) = self.conns.get_mut(key)
            && conn.wire.pipelines()
            && !conn.flags.any(Flags::UNTOLD)
        {
            conn.flags.set(Flags::UNTOLD);
            self.untold.push(key);
        }
    }

    /// Tells what happened this turn. Events of a topic that was told too often wait, and all that
    /// stands behind them.
    pub(super) fn publish(&mut self) {
        if self.now.mono_ms < self.publish_ms {
            return;
        }
        while let Some(first) = self.tellings.front() {
            let Telling::Event(topic, _) = first else {
                self.tell_one();
                continue;
            };
            if let Err(wait_ms) = self.service.may_publish(topic, self.now) {
                self.publish_ms = self.now.mono_ms + u64::from(wait_ms);
                return;
            }
            let same = |telling: &&Telling<S>| matches!(telling, Telling::Event(other, _) if other == topic);
            let run = self.tellings.iter().take_while(same).count();
            self.publish_run(run);
            self.tellings.drain(..run);
            self.post_all();
        }
        for key in self.untold.drain(..) {
            let Some(conn) = self.conns.get_mut(key) else { continue };
            conn.flags.clear(Flags::UNTOLD);
            // It may have been waiting for this to close.
            mark_dirty(&mut self.dirty, conn);
        }
    }

    /// Puts in line what concerns one connection; at once where nothing stands there.
    pub(super) fn in_line(&mut self, telling: Telling<S>) {
        self.tellings.push_back(telling);
        if self.tellings.len() == 1 {
            self.tell_one();
        }
    }

    /// Does what is first in line and concerns one connection: a reply is queued on it, or it
    /// becomes a member of a topic, or ceases to be one.
    fn tell_one(&mut self) {
        match self.tellings.pop_front() {
            Some(Telling::Reply(key, bytes)) => self.tell_reply(key, &bytes),
            Some(Telling::Enter(key, topic)) => {
                // One that is about to join enters all its topics then, this one too.
                let Some(conn) = self.conns.get_mut(key).filter(|conn| !conn.flags.any(Flags::JOINING)) else { return };
                conn.flags.set(Flags::JOINED);
                self.hub.join(topic, key.into());
            }
            Some(Telling::Leave(key, topic)) => self.hub.leave(&topic, key.into()),
            Some(event @ Telling::Event(..)) => self.tellings.push_front(event),
            None => {}
        }
    }

    fn tell_reply(&mut self, key: ConnKey, bytes: &[u8]) {
        let Some(conn) = self.conns.get_mut(key).filter(|conn| conn.hears()) else { return };
        self.held.1 += bytes.len();
        conn.tx.push_owned(bytes, self.service.joins(self.service.kind(&conn.session)));
        mark_dirty(&mut self.dirty, conn);
    }

    /// Publishes the first `run` tellings, which are events of one topic.
    fn publish_run(&mut self, run: usize) {
        let mut encodings: [Option<Encoded>; KINDS] = Default::default();
        let Self { service, conns, hub, tellings, dirty, held, stats, out, limits, post, datagrams, now, .. } = self;
        let mut slow = SmallVec::<[ConnKey; 4]>::new();
        let Some(Telling::Event(topic, _)) = tellings.front() else { return };
        let events = || tellings.iter().take(run).filter_map(event_of);
        stats.events += run as u64;
        let mut elsewhere = false;
        for member in hub.members(topic) {
            let Audience::Conn(key) = member.audience() else {
                elsewhere = true;
                continue;
            };
            let Some(conn) = conns.get_mut(key).filter(|conn| conn.hears()) else { continue };
            let kind = service.kind(&conn.session);
            let encoded = encodings[kind].get_or_insert_with(|| encode(service, kind, events(), out));
            for chunk in encoded.iter() {
                held.1 += chunk.len();
                conn.tx.push_shared(chunk.clone(), (run / encoded.len().max(1)) as u32);
            }
            conn.messages_out = conn.messages_out.wrapping_add(run as u32);
            stats.deliveries += run as u64;
            // A busy turn is not its fault; that its socket takes nothing is.
            let stuck = !conn.flags.any(Flags::WRITABLE) && conn.tx.messages() > conn.wire.messages_owed_max();
            if stuck || conn.tx.len() > limits.send_bytes_max {
                slow.push(key);
            } else {
                mark_dirty(dirty, conn);
            }
        }
        if elsewhere {
            post.open(udp::room(datagrams, limits));
            let elsewhere = |audience: &Audience| !matches!(audience, Audience::Conn(_));
            let members = || hub.members(topic).iter().map(|member| member.audience()).filter(elsewhere);
            for event in events() {
                let deliver = || service.deliver(&mut members(), event, *now, post);
                if catch_unwind(AssertUnwindSafe(deliver)).is_err() {
                    stats.panics += 1;
                }
            }
        }
        for key in slow {
            self.give_up(key, CloseReason::SlowConsumer);
        }
    }

    /// Ends a connection that is owed too much: what has not begun to leave is dropped at once. Where
    /// the protocol has a last word it is left to be written, as long as the peer takes anything.
    pub(super) fn give_up(&mut self, key: ConnKey, reason: CloseReason) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        self.out.clear();
        if !conn.flags.any(Flags::CLOSING | Flags::DOOMED) {
            conn.wire.last_word(reason, &mut self.out);
        }
        if self.out.is_empty() {
            return self.doom(key, reason);
        }
        self.held.1 -= conn.tx.cut();
        self.held.1 += self.out.len();
        conn.tx.push_owned(&self.out, true);
        conn.flags.clear(Flags::UNTOLD);
        self.close(key, reason);
    }
}

fn event_of<S: Service>(telling: &Telling<S>) -> Option<&EventOf<S>> {
    match telling {
        Telling::Event(_, event) => Some(event),
        Telling::Reply(..) | Telling::Enter(..) | Telling::Leave(..) => None,
    }
}

/// Puts a run of events into bytes for one kind of reader.
fn encode<'a, S: Service>(
    service: &mut S,
    kind: usize,
    events: impl Iterator<Item = &'a EventOf<S>>,
    out: &mut Vec<u8>,
) -> Encoded {
    let joins = service.joins(kind);
    let mut encoded = Encoded::new();
    out.clear();
    for event in events {
        // An event that can't be written is told to nobody; the others are.
        let length = out.len();
        if catch_unwind(AssertUnwindSafe(|| service.write_event(event, kind, out))).is_err() {
            tracing::error!("an event could not be written");
            out.truncate(length);
        }
        if !joins {
            encoded.push(Rc::from(&out[..]));
            out.clear();
        }
    }
    if joins {
        encoded.push(Rc::from(&out[..]));
    }
    encoded
}
