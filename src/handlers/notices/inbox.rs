//! What a user has been told, what of it they have read, and what they want to hear.

use super::Reply;
use crate::handlers::api::{self, ApiError, ErrorKind};
use crate::handlers::catalogue::MangaRef;
use crate::handlers::effect::Lane;
use crate::handlers::lists::or_not_found;
use crate::handlers::progress::known;
use crate::handlers::session::Session;
use crate::handlers::{Access, Call, Ctx};
use crate::store::model::{InboxQuery, MangaId, NoticeId, NoticeSettings, SettingsChange};
use crate::store::{MUTES_MAX, StoreError};

/// Lists the caller's notifications.
pub const LIST: Call<InboxQuery> = Call { name: "notices.list", access: Access::User, lane: Lane::Read, run: list };
/// Marks one as read.
pub const READ: Call<NoticeId> = Call { name: "notices.read", access: Access::User, lane: Lane::Write, run: read };
/// Marks all as read.
pub const READ_ALL: Call<()> =
    Call { name: "notices.read_all", access: Access::User, lane: Lane::Write, run: read_all };
/// Shows what the caller wants to hear.
pub const SETTINGS: Call<()> = Call { name: "notices.settings", access: Access::User, lane: Lane::Read, run: settings };
/// Changes what the caller wants to hear.
pub const CHANGE: Call<SettingsChange> =
    Call { name: "notices.change_settings", access: Access::User, lane: Lane::Write, run: change };
/// Mutes a series.
pub const MUTE: Call<MangaRef> = Call { name: "notices.mute", access: Access::User, lane: Lane::Write, run: mute };
/// Lets a series be heard again.
pub const UNMUTE: Call<MangaRef> =
    Call { name: "notices.unmute", access: Access::User, lane: Lane::Write, run: unmute };

fn list(query: InboxQuery, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let user = ctx.caller()?.id;
    let whose = user.clone();
    ctx.run(
        Lane::Read,
        move |store| store.notices(&user, query),
        |inbox, _, ctx| {
            let inbox = inbox.map_err(no_account)?;
            reply(Reply::Inbox(whose, inbox), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn read(id: NoticeId, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let user = ctx.caller()?.id;
    ctx.run(
        Lane::Write,
        move |store| store.read_notice(&user, id),
        |read, _, ctx| {
            read.map_err(|error| or_not_found(error, "Notification not found"))?;
            reply(Reply::Done("Notification marked as read"), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn read_all(_: (), _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let user = ctx.caller()?.id;
    ctx.run(
        Lane::Write,
        move |store| store.read_all_notices(&user),
        |read, _, ctx| {
            read.map_err(no_account)?;
            reply(Reply::Done("All notifications marked as read"), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn settings(_: (), _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let user = ctx.caller()?.id;
    ctx.run(
        Lane::Read,
        move |store| Ok((store.notice_settings(&user)?, store.muted_series(&user, 0, MUTES_MAX)?)),
        show_settings,
    );
    Ok(())
}

fn change(change: SettingsChange, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let user = ctx.caller()?.id;
    ctx.run(
        Lane::Write,
        move |store| Ok((store.change_notice_settings(&user, &change)?, store.muted_series(&user, 0, MUTES_MAX)?)),
        show_settings,
    );
    Ok(())
}

fn show_settings(
    found: Result<(NoticeSettings, Vec<MangaId>), StoreError>,
    _: &mut Session,
    ctx: &mut Ctx<'_>,
) -> Result<(), ApiError> {
    let (settings, muted) = found.map_err(no_account)?;
    let muted = muted.into_iter().map(|id| (id, ctx.state.catalogue.get(id).cloned())).collect();
    reply(Reply::Settings(settings, muted), ctx);
    Ok(())
}

fn mute(manga: MangaRef, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (user, manga) = (ctx.caller()?.id, known(&manga, ctx)?.id);
    ctx.run(
        Lane::Write,
        move |store| store.mute_series(&user, manga),
        |muted, _, ctx| {
            muted.map_err(|error| match error {
                StoreError::TooMuch => {
                    ApiError::new(ErrorKind::Conflict, format!("A user mutes at most {MUTES_MAX} series"))
                }
                other => or_not_found(other, "Manga not found"),
            })?;
            reply(Reply::Done("Manga muted"), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn unmute(manga: MangaRef, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (user, manga) = (ctx.caller()?.id, known(&manga, ctx)?.id);
    ctx.run(
        Lane::Write,
        move |store| store.unmute_series(&user, manga),
        |unmuted, _, ctx| {
            unmuted.map_err(no_account)?;
            reply(Reply::Done("Manga no longer muted"), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn reply(reply: Reply, ctx: &mut Ctx<'_>) {
    ctx.reply(api::Reply::Notices(reply));
}

fn no_account(error: StoreError) -> ApiError {
    or_not_found(error, "This account no longer exists")
}
