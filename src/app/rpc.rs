//! A call from the thread of gRPC: what it brings, and how it begins and is answered on the loop.
//!
//! That thread reads the message; whose token it is and what the call does is decided here, in the
//! same steps as a request over HTTP.

use bytes::Bytes;

use super::MangaHub;
use super::http::authorize;
use crate::handlers::api::{Answer, ApiError, ErrorKind, Event, Origin};
use crate::handlers::effect::Lane;
use crate::handlers::key::ConnKey;
use crate::handlers::session::{ServiceKind, Session};
use crate::handlers::token::Claims;
use crate::handlers::watch::Streams;
use crate::handlers::work::Work;
use crate::handlers::{Access, Caller, Ctx, auth, text};
use crate::proto::grpc::own;
use crate::proto::routes::{Input, Prepared, ROUTES, Route};
use crate::reactor::grpc::Asked;
use crate::reactor::service::{Io, Now};
use crate::store::model::Role;

/// Reads a call on the thread it came by. What is left to do is left for the loop.
pub fn ask(asked: Asked) -> Result<Work, ApiError> {
    let Asked { via, message, authorization, device, remote, place } = asked;
    let Some(route) = ROUTES.get(usize::from(via.0)) else { return Err(ApiError::not_found("no such method")) };
    // Who calls is asked first, as over HTTP; what they sent is read here, where it holds up nobody else.
    let prepared = route.prepare(&Input::Rpc(&message));
    let conn = ConnKey { index: 0, generation: 0 };
    let origin = Origin { via, conn, since_ms: 0, user: None, remote: Some(remote) };
    Ok(Work::new(
        origin,
        |_| Ok(()),
        move |_, session, ctx| {
            drop(place);
            ctx.device = device.as_deref().and_then(text::device);
            begin(route, authorization.as_deref(), prepared, session, ctx)
        },
    ))
}

/// Checks who calls, and runs the call.
fn begin(
    route: &'static Route,
    authorization: Option<&str>,
    call: Result<Prepared, ApiError>,
    session: &mut Session,
    ctx: &mut Ctx<'_>,
) -> Result<(), ApiError> {
    match authenticate(route, authorization, ctx)? {
        // The token of some tool: what its user may do is looked up with the user.
        Some(claims) if claims.issued_at.is_none() => {
            let device = ctx.device.take();
            auth::look_up(claims, auth::bad_token(), ctx, move |claims, session, ctx| {
                authorize(&claims, route.access)?;
                ctx.device = device;
                identify(claims, route, ctx)?;
                call?(session, ctx)
            });
            Ok(())
        }
        Some(claims) => {
            authorize(&claims, route.access)?;
            identify(claims, route, ctx)?;
            call?(session, ctx)
        }
        None => call?(session, ctx),
    }
}

/// The claims of the call's token, where the method needs one or makes a difference for one.
fn authenticate(route: &Route, given: Option<&str>, ctx: &Ctx<'_>) -> Result<Option<Claims>, ApiError> {
    let refused = |message: &'static str| ApiError::new(ErrorKind::Unauthorized, message);
    let given = match (route.access, given) {
        (Access::Public, _) | (Access::Guest, None) => return Ok(None),
        (_, None) => return Err(refused("Authorization metadata required")),
        (_, Some(given)) => given,
    };
    let token = given.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let (_, token) = token.ok_or_else(|| refused("Invalid authorization metadata format"))?;
    auth::check_token(token.trim(), ctx).map(Some)
}

/// Notes who calls. What needs the one writer is paid for like a message on any other wire.
fn identify(claims: Claims, route: &Route, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = caller(claims);
    if let Some(remote) = &ctx.origin.remote {
        remote.0.is_of(&caller.username);
    }
    let spent = match route.lane {
        Lane::Write => ctx.state.members.spend_of(&caller, ctx.state.settings.messages, ctx.now.mono_ms),
        _ => Ok(()),
    };
    ctx.set_caller(Some(caller));
    spent.map_err(ApiError::too_often)
}

/// A token whose scopes are not an administrator's makes nobody one, whatever its role.
fn caller(claims: Claims) -> Caller {
    let role = if authorize(&claims, Access::Admin).is_ok() { claims.role } else { Role::User };
    Caller { role, ..Caller::from(claims) }
}

impl MangaHub {
    /// Begins a call that nobody has given up meanwhile.
    pub(super) fn begin_rpc(&mut self, mut call: Work, io: &mut Io<'_, Self>) {
        if call.origin.is_abandoned() {
            return;
        }
        call.origin.since_ms = io.now.mono_ms;
        self.state.counts.call(usize::from(call.origin.via.0));
        self.finish_work(call, None, io);
    }

    /// Hands an answer to whoever waits for it on another thread.
    pub(super) fn answer_rpc(&mut self, answer: Answer, now: Now) {
        let Answer { origin, outcome } = answer;
        let Some(remote) = origin.remote.clone() else { return };
        self.record(&origin, outcome.as_ref().err(), &Session::new(ServiceKind::Grpc), now);
        remote.0.answer(outcome);
    }
}

/// An event on its way to streams: put into bytes for the first that hears it, and shared by the others.
pub(super) struct Told<'a> {
    event: &'a Event,
    frame: Option<Bytes>,
}

impl<'a> Told<'a> {
    pub(super) fn new(event: &'a Event) -> Self {
        Self { event, frame: None }
    }

    /// Tells a stream, if it wants to hear of it.
    pub(super) fn tell(&mut self, streams: &Streams, number: u32) {
        let Some(stream) = streams.get(number).filter(|stream| stream.hears(self.event)) else { return };
        if self.frame.is_none() {
            self.frame = own::event(self.event);
        }
        if let Some(frame) = &self.frame {
            stream.remote.0.tell(frame.clone());
        }
    }
}
