//! The first message of a sync session: a token, and from then on a member.
//!
//! Who the token says it is was decided in `auth`; here a connection becomes one of theirs.

use super::api::{ApiError, ErrorKind, Reply};
use super::auth::{self, bad_token, check_token};
use super::effect::{CloseReason, Lane};
use super::session::Session;
use super::token::Claims;
use super::{Access, Call, Ctx};

/// Begins a sync session.
pub const AUTHENTICATE: Call<Authenticate> =
    Call { name: "sync.auth", access: Access::Public, lane: Lane::Reactor, run: authenticate };

/// The first message of a sync session.
#[derive(Debug)]
pub struct Authenticate {
    /// As the client got it from a login.
    pub token: String,
    /// The name the device gave itself.
    pub device: Option<String>,
}

fn authenticate(args: Authenticate, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let claims = check_token(&args.token, ctx)?;
    if claims.issued_at.is_some() {
        return welcome(&claims, args.device, session, ctx);
    }
    let device = args.device;
    auth::look_up(claims, bad_token(), ctx, |claims, session, ctx| welcome(&claims, device, session, ctx));
    Ok(())
}

fn welcome(claims: &Claims, device: Option<String>, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let most = ctx.state.settings.connections_per_user;
    let Some(member) = ctx.state.members.enter(&claims.user_id, &claims.username, claims.role, most) else {
        return Err(ApiError::new(
            ErrorKind::RateLimited,
            format!("Too many connections for this user (at most {most})"),
        ));
    };
    session.member = Some(member);
    if session.service.is_sync() {
        ctx.state.members.begin_sync(member);
    }
    if let Some(name) = device {
        session.extra_mut().device = Some(name.into());
    }
    let session_id = ctx.state.fresh_id();
    let username =
        ctx.state.members.get(member).map_or_else(|| claims.username.as_str().into(), |m| m.username.clone());
    ctx.reply(Reply::Welcome { session_id, user_id: claims.user_id.clone(), username });
    ctx.join();
    Ok(())
}

/// Why a sync session that failed to begin is closed.
pub const fn close_reason(kind: ErrorKind) -> CloseReason {
    match kind {
        ErrorKind::RateLimited => CloseReason::TooMany,
        ErrorKind::Unavailable | ErrorKind::Internal => CloseReason::Internal,
        _ => CloseReason::AuthFailed,
    }
}
