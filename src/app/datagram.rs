//! A datagram, step by step: within the rate, read, done, answered; and events on their way to leases.
//!
//! Answers and notifications go the same way out, past what an address may be sent.

use std::collections::HashMap;
use std::rc::Rc;

use super::MangaHub;
use crate::handlers::api::{Event, Via};
use crate::handlers::effect::{Datagram, Effect};
use crate::handlers::key::Audience;
use crate::handlers::leases::{self, Answer, Dialect, Heard, Letter, Place, Said};
use crate::proto::datagram;
use crate::reactor::post::Post;
use crate::reactor::service::{Io, Now};
use crate::store::model::{NoticeId, Protocol};

impl MangaHub {
    /// Handles a datagram.
    pub(super) fn hear(&mut self, socket: u8, bytes: &[u8], io: &mut Io<'_, Self>) {
        let Some(dialect) = self.dialects.get(usize::from(socket)).copied() else { return };
        let place = Place { socket, dialect, address: io.peer };
        let (bounds, now_ms) = (self.state.settings.leases.bounds, io.now.mono_ms);
        if !self.state.leases.registry.admit(io.peer, bounds.rate, now_ms) {
            return;
        }
        let said = datagram::parse(bytes, dialect);
        let (ping, proof) = match &said {
            Ok(Some(Said::Ping(_, proof))) => (true, *proof),
            _ => (false, None),
        };
        let heard = Heard { bytes: bytes.len(), ping, proof };
        self.state.leases.heard(place, heard, &bounds, now_ms);
        let outcome = match said {
            Err(fault) => Err(fault),
            Ok(None) => Ok(Answer::Silence),
            Ok(Some(said)) => {
                let registering = matches!(said, Said::Register(_));
                let heard = leases::hear(said, place, bytes.len(), &mut self.context(Via::NONE, io));
                heard.map_err(|error| datagram::Fault { registering, error })
            }
        };
        if let Err(fault) = &outcome {
            self.state.counts.refuse(None, fault.error.kind.codes().2);
        }
        let answer = datagram::write_answer(outcome, dialect, io.now.unix_ms);
        if !answer.is_empty() && self.state.leases.registry.charge(place, bytes.len(), answer.len()) {
            io.effects.push(Effect::Datagram(to(place, answer.into())));
        }
    }

    /// Sends what is due to single addresses, as far as there is room. What several are sent is put into
    /// bytes once.
    pub(super) fn post_letters(&mut self, post: &mut Post, now: Now) {
        let (resend, now_ms) = (self.state.settings.leases.resend, now.mono_ms);
        let leases = &mut self.state.leases;
        let mut encoded: HashMap<(NoticeId, Dialect), Rc<[u8]>> = HashMap::new();
        while let Some(key) = leases.next_ready() {
            while let Some(Letter { to: place, notification }) = leases.next_letter(key, resend, now_ms) {
                let write = || datagram::write_notification(&notification, place.dialect).into();
                let bytes = encoded.entry((notification.id, place.dialect)).or_insert_with(write);
                // What finds no room is due again with the next tick.
                if !post.has_room(place.socket) || !leases.send(key, bytes.len(), resend, now_ms) {
                    break;
                }
                post.push(to(place, bytes.clone()));
            }
            leases.rest(key, now_ms);
        }
    }

    /// Hands an event to leases. It is put into bytes once for each dialect, however many hear of it.
    pub(super) fn tell_leases(&mut self, members: &mut dyn Iterator<Item = Audience>, event: &Event, post: &mut Post) {
        let mut encoded: [Option<Rc<[u8]>>; 2] = [None, None];
        for member in members {
            let Audience::Lease(key) = member else { continue };
            let leases = &mut self.state.leases;
            let place = match event {
                Event::Progress(event) => leases.hears_progress(key, event),
                Event::Notification(notification, protocols) if protocols.has(Protocol::Udp) => {
                    leases.hand(key, notification)
                }
                Event::Notification(..) | Event::Chat(_) => None,
            };
            let Some(place) = place else { continue };
            let bytes = encoded[usize::from(place.dialect == Dialect::V2)]
                .get_or_insert_with(|| datagram::write_event(event, place.dialect).into());
            let goes = match event {
                Event::Notification(notification, _) => {
                    leases.goes(key, notification, bytes.len(), post.has_room(place.socket))
                }
                // Progress is told once: the next one says more.
                _ => leases.registry.charge(place, 0, bytes.len()),
            };
            if goes {
                post.push(to(place, bytes.clone()));
            }
        }
    }
}

fn to(place: Place, bytes: Rc<[u8]>) -> Datagram {
    Datagram { socket: place.socket, to: place.address, bytes }
}
