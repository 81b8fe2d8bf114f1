//! A reader's own shelf.
//!
//! Putting something on it and taking it off is nobody else's business: nothing is told. An edit of what
//! stands there is a change of progress like any other, in `progress`; it is told when it says how far
//! its reader is.

use super::api::{ApiError, ErrorKind, Reply};
use super::catalogue::MangaRef;
use super::conflict::{policy, store_or_ask};
use super::effect::Lane;
use super::progress::{Changed, List, check_chapter, known};
use super::session::Session;
use super::{Access, Call, Ctx};
use crate::store::StoreError;
use crate::store::model::{Chapter, ProgressChange, ReadingStatus};

/// Puts a series on the shelf.
pub const ADD: Call<Add> = Call { name: "library.add", access: Access::User, lane: Lane::Write, run: add };
/// Takes a series off the shelf.
pub const REMOVE: Call<MangaRef> =
    Call { name: "library.remove", access: Access::User, lane: Lane::Write, run: remove };
/// Shows the shelf.
pub const LIST: Call<List> = Call { name: "library.list", access: Access::User, lane: Lane::Read, run: list };

/// What to put on the shelf, and where its reader stands.
#[derive(Debug, Clone)]
pub struct Add {
    /// Which series.
    pub manga: MangaRef,
    /// The status to begin with; without one, a series that is not being read is for later.
    pub status: Option<ReadingStatus>,
    /// The last chapter read.
    pub chapter: Chapter,
    /// Shown to its owner only.
    pub private: Option<bool>,
    /// The chapter is stored even if another device is further.
    pub force: bool,
}

fn add(args: Add, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, series) = (ctx.caller()?, known(&args.manga, ctx)?);
    check_chapter(Some(args.chapter), &series)?;
    let change = ProgressChange {
        chapter: Some(args.chapter),
        status: args.status,
        private: args.private,
        device: ctx.device.take().or_else(|| session.device_name()),
        behind: policy(ctx.state.settings.behind, args.force),
        ..ProgressChange::nothing(caller.id, series.id, ctx.now.unix_ms)
    };
    ctx.run_with(
        Lane::Write,
        change,
        |change, store| store_or_ask(store, change, |store, change| store.add_to_library(change)),
        move |change, outcome, _, ctx| {
            let outcome = outcome.map_err(|error| match error {
                StoreError::Conflict => ApiError::new(ErrorKind::Conflict, "Manga already in library"),
                StoreError::NotFound => ApiError::not_found("This account or series no longer exists"),
                other => other.into(),
            })?;
            let stored = outcome.stored(&change, &series)?;
            if stored.is_first {
                ctx.state.catalogue.forget_details(series.id);
            }
            ctx.reply(Reply::Changed(Changed::Added));
            Ok(())
        },
    );
    Ok(())
}

fn remove(manga: MangaRef, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, id) = (ctx.caller()?, known(&manga, ctx)?.id);
    ctx.run(
        Lane::Write,
        move |store| store.remove_from_library(&caller.id, id),
        |removed, _, ctx| {
            removed.map_err(|error| match error {
                StoreError::NotFound => ApiError::not_found("Manga not found in library"),
                other => other.into(),
            })?;
            ctx.reply(Reply::Changed(Changed::Removed));
            Ok(())
        },
    );
    Ok(())
}

fn list(args: List, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, List { status, window }) = (ctx.caller()?, args);
    ctx.run(
        Lane::Read,
        move |store| store.library(&caller.id, status, window),
        |page, _, ctx| {
            ctx.reply(Reply::Library(page?));
            Ok(())
        },
    );
    Ok(())
}
