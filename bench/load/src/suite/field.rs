//! Whoever takes part in a fan-out: the server, the bare loop and the peers, each started once and asked in turn.

use uuid::Uuid;

use super::{Suite, fan_out::Work};
use crate::broker::Broker;
use crate::error::LoadError;
use crate::report::chart::{CEILING, SERVER};
use crate::scenario::fanout::{self, Loop};
use crate::scenario::{fanout_broker, idle};
use crate::server::{Ceiling, MangaHub, Peer, mosquitto, nats, redis, twin};
use crate::token::{Identity, forge, register};

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The server.
    Hub,
    /// The bare loop.
    Bare,
    /// The same protocol with goroutines.
    Twin,
    /// A broker.
    Broker(Broker),
}

impl Who {
    /// Everybody but the server, in the order in which they are measured with it and shown: the bare loop first.
    pub const RIVALS: [Who; 5] =
        [Who::Bare, Who::Twin, Who::Broker(Broker::Redis), Who::Broker(Broker::Nats), Who::Broker(Broker::Mosquitto)];

    /// The name in the page.
    pub fn name(self) -> &'static str {
        match self {
            Who::Hub => SERVER,
            Who::Bare => CEILING,
            Who::Twin => "Go twin",
            Who::Broker(broker) => broker.name(),
        }
    }

    /// Nobody but the server stores anything, so only some stand for the others beside work that is stored.
    pub fn does(self, work: &Work) -> bool {
        !work.stored || matches!(self, Who::Hub | Who::Bare | Who::Broker(Broker::Redis))
    }
}

/// Somebody who was started.
pub enum Runner {
    /// The server, and who publishes.
    Hub(MangaHub, Identity),
    /// The bare loop.
    Bare(Ceiling),
    /// The Go twin, and the publisher's token.
    Twin(Peer, String),
    /// A broker.
    Broker(Broker, Peer),
}

impl Runner {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        match self {
            Runner::Hub(hub, _) => hub.pid(),
            Runner::Bare(ceiling) => ceiling.pid(),
            Runner::Twin(peer, _) | Runner::Broker(_, peer) => peer.pid(),
        }
    }

    /// Everybody who hears a message of `work`, of so many bytes, is connected.
    pub fn ready(&self, work: &Work, clients: usize, bytes: usize) -> Result<Loop, LoadError> {
        let (in_flight, message) = (work.in_flight, work.message());
        match self {
            Runner::Hub(hub, Identity { token, .. }) => {
                fanout::ready(hub.tcp()?, std::slice::from_ref(token), clients, in_flight, message)
            }
            Runner::Bare(ceiling) => fanout::ready_raw(ceiling.address, bytes, clients, in_flight),
            Runner::Twin(peer, token) => {
                fanout::ready(peer.address, std::slice::from_ref(token), clients, in_flight, message)
            }
            Runner::Broker(broker, peer) => fanout_broker::ready(*broker, peer.address, bytes, clients, in_flight),
        }
    }

    /// User-space bytes for one more idle connection that hears messages; of the bare loop nobody asks.
    pub fn idle(&self, from: usize, to: usize) -> Result<Option<f64>, LoadError> {
        let idle = match self {
            Runner::Hub(hub, Identity { token, .. }) => {
                idle::run(hub.tcp()?, hub.pid(), std::slice::from_ref(token), from, to)?
            }
            Runner::Bare(_) => return Ok(None),
            Runner::Twin(peer, token) => idle::run(peer.address, peer.pid(), std::slice::from_ref(token), from, to)?,
            Runner::Broker(broker, peer) => fanout_broker::idle(*broker, peer.address, peer.pid(), from, to)?,
        };
        Ok(Some(idle.bytes_per_connection))
    }
}

impl Suite<'_> {
    /// Starts `who`, or notes why not. The twin publishes as `publisher`, so that its messages are as long as the
    /// server's.
    pub fn start(&mut self, who: Who, publisher: Option<&Identity>) -> Option<Runner> {
        let (core, places) = (self.core, self.places);
        let started = match who {
            Who::Hub => self.start_hub(),
            Who::Bare => Ceiling::start(&places.ceiling, core).map(Runner::Bare),
            Who::Twin => start_twin(places, core, publisher),
            Who::Broker(broker) => match broker {
                Broker::Redis => redis::start(core),
                Broker::Nats => nats::start(core),
                Broker::Mosquitto => mosquitto::start(core),
            }
            .map(|peer| Runner::Broker(broker, peer)),
        };
        self.keep(started, who.name())
    }

    fn start_hub(&self) -> Result<Runner, LoadError> {
        let settings = [("MANGAHUB_TCP_BROADCAST_SCOPE", "all")];
        let hub = MangaHub::start(&self.places.server, self.core, &self.places.data, &settings)?;
        let publisher = register(hub.http()?, 1)?.pop();
        let publisher = publisher.ok_or_else(|| LoadError::Missing("no publisher was registered".to_owned()))?;
        Ok(Runner::Hub(hub, publisher))
    }
}

fn start_twin(places: &super::Places, core: Option<usize>, publisher: Option<&Identity>) -> Result<Runner, LoadError> {
    let secret = Uuid::new_v4().simple().to_string();
    let (user_id, username) = publisher.map_or(("publisher", "publisher"), |who| (&who.user_id, &who.username));
    let token = forge(&secret, user_id, username)?.token;
    Ok(Runner::Twin(twin::start(&places.twin, core, &secret)?, token))
}
