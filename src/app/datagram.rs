//! A datagram, step by step: within the rate, read, done, answered; and events on their way to leases.
//!
//! Answers and notifications go the same way out, past what an address may be sent.

use std::rc::Rc;

use super::MangaHub;
use crate::handlers::api::{Event, Via};
use crate::handlers::effect::{Datagram, Effect};
use crate::handlers::key::Audience;
use crate::handlers::leases::{self, Answer, Dialect, Letter, Place, Said};
use crate::proto::datagram;
use crate::reactor::service::{Io, Now};
use crate::store::model::Protocol;

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
        let ping = matches!(said, Ok(Some(Said::Ping(_))));
        self.state.leases.registry.heard(place, bytes.len(), ping, &bounds, now_ms);
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
        self.post_letters(io);
    }

    /// Sends what has been left for single addresses.
    pub(super) fn post_letters(&mut self, io: &mut Io<'_, Self>) {
        let mut post = Vec::new();
        self.write_letters(&mut post);
        io.effects.extend(post.into_iter().map(Effect::Datagram));
    }

    fn write_letters(&mut self, post: &mut Vec<Datagram>) {
        for Letter { to: place, notification } in self.state.leases.take_letters() {
            let bytes = datagram::write_notification(&notification, place.dialect);
            if self.state.leases.registry.charge(place, 0, bytes.len()) {
                post.push(to(place, bytes.into()));
            }
        }
    }

    /// Hands an event to leases. It is put into bytes once for each dialect, however many hear of it.
    pub(super) fn tell_leases(
        &mut self,
        members: &mut dyn Iterator<Item = Audience>,
        event: &Event,
        now: Now,
        post: &mut Vec<Datagram>,
    ) {
        let resend = self.state.settings.leases.resend;
        let mut encoded: [Option<Rc<[u8]>>; 2] = [None, None];
        for member in members {
            let Audience::Lease(key) = member else { continue };
            let leases = &mut self.state.leases;
            let place = match event {
                Event::Progress(event) => leases.hears_progress(key, event),
                Event::Notification(notification, protocols) if protocols.has(Protocol::Udp) => {
                    leases.hand(key, notification, resend, now.mono_ms)
                }
                Event::Notification(..) => None,
            };
            let Some(place) = place else { continue };
            let bytes = encoded[usize::from(place.dialect == Dialect::V2)]
                .get_or_insert_with(|| datagram::write_event(event, place.dialect).into());
            if leases.registry.charge(place, 0, bytes.len()) {
                post.push(to(place, bytes.clone()));
            }
        }
        self.write_letters(post);
    }
}

fn to(place: Place, bytes: Rc<[u8]>) -> Datagram {
    Datagram { socket: place.socket, to: place.address, bytes }
}
