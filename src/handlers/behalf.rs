//! Changes of progress whose message names the reader, as services do that act for their users.
//!
//! The reader is the caller. An administrator may name another, and where the operator has opened gRPC
//! to an isolated network, so may anybody: the services that came before knew no tokens.

use super::api::{ApiError, ErrorKind};
use super::effect::Lane;
use super::progress::{self, Update};
use super::session::Session;
use super::{Access, Call, Caller, Ctx};
use crate::store::StoreError;
use crate::store::model::{Role, UserId};

/// Stores and tells a change for the reader that it names.
pub const UPDATE: Call<Update> =
    Call { name: "progress.update", access: Access::Guest, lane: Lane::Write, run: update };

fn update(mut args: Update, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let named = args.user_id.take();
    match (&ctx.caller, named) {
        (Some(_), None) => (progress::UPDATE.run)(args, session, ctx),
        (Some(caller), Some(named)) if caller.id.as_str() == named => (progress::UPDATE.run)(args, session, ctx),
        (Some(caller), Some(named)) if caller.role == Role::Admin => update_for(&named, args, ctx),
        (Some(_), Some(_)) => {
            Err(ApiError::new(ErrorKind::Forbidden, "user_id: only one's own progress can be changed"))
        }
        (None, Some(named)) if ctx.state.settings.rpc_unauthenticated => update_for(&named, args, ctx),
        (None, _) => Err(ApiError::new(ErrorKind::Unauthorized, "Authorization metadata required")),
    }
}

/// Goes on as if that reader had called.
fn update_for(named: &str, args: Update, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let nobody = || ApiError::not_found("user_id: there is no such user");
    let id = UserId::parse(named).ok_or_else(nobody)?;
    let device = ctx.device.take();
    ctx.run(
        Lane::Read,
        move |store| store.user(&id),
        move |user, session, ctx| {
            let user = user.map_err(|error| match error {
                StoreError::NotFound => nobody(),
                other => other.into(),
            })?;
            ctx.device = device;
            ctx.set_caller(Some(Caller { id: user.id, username: user.username.into(), role: user.role }));
            (progress::UPDATE.run)(args, session, ctx)
        },
    );
    Ok(())
}
