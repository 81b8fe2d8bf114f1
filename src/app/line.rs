//! A line, step by step: read, found, in order, within the rate, run.
//!
//! The order of answers is the order of lines. Only the writer's lane keeps its order by itself, so
//! while jobs are outstanding a line goes on only if they are all the writer's and all it leaves is
//! another one. Anything else waits until the jobs are answered, and is then shown again.

use super::{MangaHub, auth_route};
use crate::handlers::api::{ApiError, ErrorKind};
use crate::handlers::effect::{Effect, Lane};
use crate::handlers::session::{ServiceKind, Session};
use crate::handlers::{Access, Caller, Ctx, sync_auth, text};
use crate::proto::chat as chat_text;
use crate::proto::routes::{self, Found, Input};
use crate::proto::sync::Message;
use crate::reactor::service::{Flow, Io};

impl MangaHub {
    /// Handles a line, or a WebSocket's text; `None` is a line that was too long.
    pub(super) fn line(&mut self, line: Option<&[u8]>, session: &mut Session, io: &mut Io<'_, Self>) -> Flow {
        let message = match line {
            Some(line) => Message::parse(line, session.service),
            None => Err(ApiError::new(ErrorKind::TooLarge, "The line is too long; it was skipped")),
        };
        if session.member.is_none() && session.service.is_sync() {
            return self.first_line(message, session, io);
        }
        let found = message.and_then(|message| Ok((find(&message, session.service)?, message)));
        let ordered = matches!(&found, Ok(((_, route), _)) if route.lane == Lane::Write);
        let jobs = io.jobs;
        if jobs > 0 && (session.reads || !ordered) {
            return Flow::Wait;
        }
        let before = io.effects.len();
        let metered = found.as_ref().map_or(true, |((_, route), _)| route.metered);
        let mut ctx = self.context(crate::handlers::api::Via::NONE, io);
        let spent = if metered { spend(session, &mut ctx) } else { Ok(()) };
        let paid = metered && spent.is_ok();
        if let Err(error) = spent.and_then(|()| run(found?, session, &mut ctx)) {
            ctx.refuse(error);
        }
        let overtakes = |effect: &Effect<_>| !matches!(effect, Effect::Submit(Lane::Write, _));
        if jobs > 0 && ctx.effects[before..].iter().any(overtakes) {
            ctx.effects.truncate(before);
            refund(session, &mut ctx, paid);
            return Flow::Wait;
        }
        session.reads = ctx.effects[before..]
            .iter()
            .any(|effect| matches!(effect, Effect::Submit(lane, _) if *lane != Lane::Write));
        Flow::Handled
    }

    /// Before a session has begun the only message is `auth`, and while it is being checked nothing
    /// else is looked at.
    fn first_line(
        &mut self,
        message: Result<Message<'_>, ApiError>,
        session: &mut Session,
        io: &mut Io<'_, Self>,
    ) -> Flow {
        if io.jobs > 0 {
            return Flow::Wait;
        }
        let (via, route) = auth_route(session.service);
        let mut ctx = self.context(via, io);
        let outcome = match message {
            Ok(message) if message.kind == "auth" => {
                ctx.state.counts.call(usize::from(via.0));
                route.run(&Input::Line(message.data), session, &mut ctx)
            }
            // It is refused anyway; an address that sends many of them hears that instead. What can't be read
            // may have been meant for an `auth`, so it hears what is wrong with it.
            other => {
                let required = |_| ApiError::new(ErrorKind::Unauthorized, "Authentication required");
                spend(session, &mut ctx).and(Err(other.map_or_else(|unreadable| unreadable, required)))
            }
        };
        if let Err(error) = outcome {
            refuse_session(error, &mut ctx);
        }
        Flow::Handled
    }
}

/// A session that can't begin: says why, and closes.
pub(super) fn refuse_session(error: ApiError, ctx: &mut Ctx<'_>) {
    let reason = sync_auth::close_reason(error.kind);
    ctx.refuse(error);
    ctx.close(reason);
}

fn run(
    ((via, route), message): (Found, Message<'_>),
    session: &mut Session,
    ctx: &mut Ctx<'_>,
) -> Result<(), ApiError> {
    ctx.origin.via = via;
    ctx.state.counts.call(usize::from(via.0));
    if session.service == ServiceKind::Ws && !chat_text::is_plain(&message.kind) {
        session.plain = false;
    }
    let member = session.member.and_then(|member| ctx.state.members.get(member));
    ctx.set_caller(member.map(Caller::from));
    if ctx.caller.is_none() && !matches!(route.access, Access::Public | Access::Guest) {
        return Err(ApiError::new(ErrorKind::Unauthorized, "Log in to do this"));
    }
    route.run(&Input::Line(message.data), session, ctx)
}

/// The route of a message within a session. A session begins once, so `auth` is not one.
fn find(message: &Message<'_>, service: ServiceKind) -> Result<Found, ApiError> {
    let found = routes::find_line(service, &message.kind).filter(|(_, route)| !route.begins);
    found.ok_or_else(|| {
        ApiError::new(ErrorKind::UnknownType, format!("Unknown message type: {}", text::shown(&message.kind, 40)))
    })
}

/// Takes a message from what its user may send, or its address where there is no user.
fn spend(session: &Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (rate, now_ms) = (ctx.state.settings.messages, ctx.now.mono_ms);
    let spent = match session.member {
        Some(member) => ctx.state.members.spend(member, rate, now_ms),
        None => ctx.state.strangers.take(ctx.peer.ip(), rate, now_ms),
    };
    spent.map_err(ApiError::too_often)
}

fn refund(session: &Session, ctx: &mut Ctx<'_>, paid: bool) {
    if let (Some(member), true) = (session.member, paid) {
        ctx.state.members.refund(member, ctx.state.settings.messages);
    }
}
