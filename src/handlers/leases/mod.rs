//! Datagram addresses that want to hear of things: registering, proving who one is, acknowledging.
//!
//! Both dialects say the same few things ([`Said`]) and share one [`Registry`]. An address that shows a
//! token made for this ([`TOKEN`]) hears what is for its user, and what it missed. Any other hears what is
//! public, as it happens, whatever it claims. Nothing that an address sends is passed on to another.
//!
//! This file is what addresses say and what is kept of them. `register` is how a lease begins and ends,
//! `missed` what is looked up and noted in the store, `post` what goes out: a [`Letter`] at a time, whose
//! bytes are the dialects' concern.

mod missed;
mod outbox;
mod post;
mod register;
mod registry;
mod standing;

use std::collections::{HashMap, VecDeque};

use serde_json::value::RawValue;

pub use missed::{ask_all, close, tick};
pub use outbox::{Outbox, Resend};
pub use post::Letter;
pub use register::revoke;
pub use registry::{Bounds, Dialect, Full, Heard, Holder, Lease, Place, Registry};
pub use standing::Standing;

use super::api::{ApiError, Reply};
use super::effect::Lane;
use super::key::LeaseKey;
use super::session::Session;
use super::{Access, Call, Ctx};
use crate::store::model::{NoticeId, UserId};

/// Makes a token for registering an address. A datagram travels in the clear, so it is short-lived and
/// good for nothing else; and no other token is good for that.
pub const TOKEN: Call<()> = Call { name: "auth.udp_token", access: Access::User, lane: Lane::Reactor, run: make_token };

/// How the operator wants leases.
#[derive(Debug, Clone, Copy)]
pub struct Wishes {
    /// Their bounds.
    pub bounds: Bounds,
    /// How often something unacknowledged is sent again.
    pub resend: Resend,
    /// An address that claims to be a user without a token is believed.
    pub believe_claims: bool,
}

/// What an address says, whatever the dialect.
#[derive(Debug)]
pub enum Said {
    /// It wants to hear of things.
    Register(Register),
    /// It doesn't any more.
    Unregister,
    /// It is there. The client's own time comes back as it was sent, and what it was told when it
    /// registered shows that it hears.
    Ping(Option<Box<RawValue>>, Option<u64>),
    /// It has received a notification.
    Acknowledge(NoticeId),
}

/// How an address wants to hear of things.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Register {
    /// What the client calls itself: told back to it, and otherwise of no meaning.
    pub client_id: String,
    /// Who it claims to be.
    pub user_id: Option<String>,
    /// What proves whose it is.
    pub token: Option<String>,
    /// It acknowledges notifications, and wants to be sent again what it has not.
    pub acknowledges: bool,
    /// It wants to hear of its user's own progress, too.
    pub progress: bool,
}

/// What an address is answered.
#[derive(Debug)]
pub enum Answer {
    /// It will hear of things. What it calls itself, and what it has to say in a ping before it is sent
    /// more than it pays for, unless that is known already.
    Registered(String, Option<u64>),
    /// It won't any more.
    Unregistered,
    /// The server is there, too.
    Pong(Option<Box<RawValue>>),
    /// Nothing.
    Silence,
}

/// The registry, and what follows from it that has not been done yet.
#[derive(Debug, Default)]
pub struct Leases {
    /// Who there is.
    pub registry: Registry,
    /// Whose outboxes may have something to send: looked at once a turn.
    ready: VecDeque<LeaseKey>,
    /// Whose missed notifications are to be looked up.
    asks: Vec<LeaseKey>,
    /// Up to where each user's notifications were sent: stored once a second.
    delivered: HashMap<UserId, NoticeId>,
    /// That was stored for the last time, so nothing more is sent of which it would have to be.
    closed: bool,
}

impl Leases {
    /// A datagram came from a place: its lease begins anew, and what it had not paid for may go on.
    pub fn heard(&mut self, place: Place, heard: Heard, bounds: &Bounds, now_ms: u64) {
        let Some(key) = self.registry.heard(place, heard, bounds, now_ms) else { return };
        if let Some(outbox) = self.registry.get_mut(key).and_then(|lease| lease.outbox.as_mut()) {
            outbox.hear();
            self.ready.push_back(key);
        }
    }

    /// Everything up to this one counts as delivered to a user.
    fn note_delivered(&mut self, user: UserId, up_to: NoticeId) {
        let known = self.delivered.entry(user).or_insert(up_to);
        *known = up_to.max(*known);
    }
}

/// Does what an address says with a datagram of so many bytes, and tells what it is answered.
pub fn hear(said: Said, place: Place, bytes: usize, ctx: &mut Ctx<'_>) -> Result<Answer, ApiError> {
    match said {
        Said::Register(wish) => register::register(wish, place, bytes, ctx),
        Said::Ping(client_time, _) => Ok(Answer::Pong(client_time)),
        Said::Unregister => {
            if let Some(key) = ctx.state.leases.registry.find(place) {
                register::end(key, ctx);
            }
            Ok(Answer::Unregistered)
        }
        Said::Acknowledge(id) => {
            acknowledge(id, place, &mut ctx.state.leases);
            Ok(Answer::Silence)
        }
    }
}

fn acknowledge(id: NoticeId, place: Place, leases: &mut Leases) {
    let Some(key) = leases.registry.find(place) else { return };
    let Some(lease) = leases.registry.get_mut(key) else { return };
    let delivered = lease.outbox.as_mut().and_then(|outbox| outbox.acknowledge(id));
    let user = lease.holder.as_ref().map(|holder| holder.user.clone());
    if let (Some(user), Some(delivered)) = (user, delivered) {
        leases.note_delivered(user, delivered);
    }
}

fn make_token(_: (), _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    let id = ctx.state.fresh_id();
    // Right after a revocation it is dated to when tokens count again.
    let valid_from = ctx.state.revocations.valid_from(&caller.id).unwrap_or(0);
    let issued_s = ctx.now_s().max(valid_from);
    let token = ctx.state.keys.issue_for_datagrams(&caller, issued_s, TOKEN_S, id);
    ctx.reply(Reply::DatagramToken { token, expires_in_s: TOKEN_S });
    Ok(())
}

/// A token for datagrams lives for so many seconds: it is used at once, and travels in the clear.
pub const TOKEN_S: i64 = 600;
