//! How long a connection may take for its next step, and what it hears when it took longer.

use super::MangaHub;
use crate::handlers::Settings;
use crate::handlers::api::{ApiError, ErrorKind, Reply, Via};
use crate::handlers::effect::CloseReason;
use crate::handlers::session::{ServiceKind, Session};
use crate::proto::{Phase, Wire};
use crate::reactor;
use crate::reactor::service::{Expired, Io, Patience};

/// What is waited for, as the loop counts it (see [`Patience`]).
mod step {
    /// The first message of a sync session.
    pub const AUTH: u8 = 1;
    /// The next message of a sync session.
    pub const IDLE: u8 = 2;
    /// The next request.
    pub const KEEP_ALIVE: u8 = 3;
    /// The rest of a head.
    pub const HEAD: u8 = 4;
    /// The rest of a body.
    pub const BODY: u8 = 5;
    /// Any sign of life on a WebSocket; without one it is asked for.
    pub const PING: u8 = 6;
    /// The answer to that.
    pub const PONG: u8 = 7;
    /// The rest of a frame.
    pub const FRAME: u8 = 8;
}

/// What a connection is waited for in its phase, and for how long.
pub(super) fn of(settings: &Settings, wire: &Wire, phase: Phase, session: &Session) -> Patience {
    let wait = |kind, ms, renewed_by_bytes| Patience { kind, ms, renewed_by_bytes };
    match (wire, session.service, session.member) {
        (Wire::Http(_), ..) => {
            let (idle_ms, head_ms, body_ms) = settings.http_timeouts_ms;
            match phase {
                Phase::Idle => wait(step::KEEP_ALIVE, idle_ms, true),
                Phase::Head => wait(step::HEAD, head_ms, false),
                Phase::Body => wait(step::BODY, body_ms, false),
            }
        }
        (Wire::Ws(codec), ..) => {
            let (ping_ms, pong_ms) = settings.ws_timeouts_ms;
            match phase {
                Phase::Idle if codec.awaits_pong() => wait(step::PONG, pong_ms.saturating_sub(ping_ms), true),
                Phase::Idle => wait(step::PING, ping_ms, true),
                Phase::Head | Phase::Body => wait(step::FRAME, settings.http_timeouts_ms.2, false),
            }
        }
        (_, ServiceKind::SyncV2, None) => wait(step::AUTH, settings.auth_timeout_ms.1, false),
        (_, _, None) => wait(step::AUTH, settings.auth_timeout_ms.0, false),
        (_, ServiceKind::SyncV2, Some(_)) => wait(step::IDLE, settings.v2_idle_ms, true),
        // Its clients only listen; keepalive finds those that are gone.
        (_, _, Some(_)) => Patience::ENDLESS,
    }
}

impl MangaHub {
    /// A step was not done in time.
    pub(super) fn step_expired(&mut self, kind: u8, session: &mut Session, io: &mut Io<'_, Self>) -> Expired {
        let (error, reason) = match kind {
            step::AUTH => {
                let error = ApiError::new(ErrorKind::Timeout, "Authentication was not received in time");
                // An error line of its own for both dialects, beside the refusals of a bad token.
                self.context(Via::NONE, io).refuse(error);
                return Expired::Close(CloseReason::AuthTimeout);
            }
            step::PING => {
                self.context(Via::NONE, io).reply(Reply::Ping);
                return Expired::GoOn;
            }
            step::IDLE | step::KEEP_ALIVE | step::PONG => return Expired::Close(CloseReason::IdleTimeout),
            step::FRAME => return Expired::Close(CloseReason::ReadTimeout),
            step::HEAD | step::BODY => {
                (ApiError::new(ErrorKind::Timeout, "The request did not arrive in time"), CloseReason::ReadTimeout)
            }
            reactor::JOBS => (ApiError::busy(), CloseReason::JobTimeout),
            _ => return Expired::Close(CloseReason::Internal),
        };
        session.cors = Session::ENDING;
        self.apologise(error, session, io);
        Expired::Close(reason)
    }
}
