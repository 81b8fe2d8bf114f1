//! Fan-out: telling a topic's members what happened, once a turn.
//!
//! Sending is what costs: about two microseconds of system call for each delivery, whoever does it.
//! So consecutive events of one topic are put into bytes once for each kind of reader, joined into
//! one chunk that every member shares, and written later with everything else that is owed. Order
//! is kept across topics: a later event never overtakes an earlier one.

use std::rc::Rc;

use smallvec::SmallVec;

use super::conn::Flags;
use super::net::Net;
use super::service::{EventOf, KINDS, Service};
use super::{Reactor, mark_dirty};
use crate::handlers::effect::CloseReason;
use crate::handlers::key::Audience;

/// One kind's bytes of a run of events: one chunk, or one for each event where they must not join.
type Encoded = SmallVec<[Rc<[u8]>; 1]>;

impl<N: Net, S: Service> Reactor<N, S> {
    /// Publishes what happened this turn. Events of a topic that was told too often wait, and all
    /// behind them.
    pub(super) fn publish(&mut self) {
        if self.now.mono_ms < self.publish_ms {
            return;
        }
        while let Some((topic, _)) = self.events.front() {
            if let Err(wait_ms) = self.service.may_publish(topic, self.now) {
                self.publish_ms = self.now.mono_ms + u64::from(wait_ms);
                return;
            }
            let run = self.events.iter().take_while(|(other, _)| other == topic).count();
            self.publish_run(run);
            self.events.drain(..run);
        }
    }

    /// Publishes the first `run` events, which have one topic.
    fn publish_run(&mut self, run: usize) {
        let mut encodings: [Option<Encoded>; KINDS] = Default::default();
        let Self { service, conns, hub, events, dirty, doomed, held, stats, out, limits, .. } = self;
        let topic = &events[0].0;
        stats.events += run as u64;
        for member in hub.members(topic) {
            let key = match member.audience() {
                Audience::Conn(key) => key,
                elsewhere => {
                    events.iter().take(run).for_each(|(_, event)| service.deliver(elsewhere, event));
                    continue;
                }
            };
            let Some(conn) = conns.get_mut(key) else { continue };
            if conn.flags.any(Flags::CLOSING | Flags::DOOMED) {
                continue;
            }
            let kind = service.kind(&conn.session);
            let encoded = encodings[kind].get_or_insert_with(|| {
                let events = events.iter().take(run).map(|(_, event)| event);
                encode(service, kind, events, out)
            });
            for chunk in encoded.iter() {
                held.1 += chunk.len();
                conn.tx.push_shared(chunk.clone());
            }
            conn.messages_out = conn.messages_out.wrapping_add(run as u32);
            stats.deliveries += run as u64;
            if conn.tx.len() > limits.send_bytes_max {
                conn.reason = Some(CloseReason::SlowConsumer);
                conn.flags.set(Flags::DOOMED);
                doomed.push(key);
            } else {
                mark_dirty(dirty, conn);
            }
        }
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
        service.write_event(event, kind, out);
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
