//! A reader's own shelf. Adding to it is nobody else's business: nothing is told.

use super::api::{ApiError, ErrorKind, Reply};
use super::catalogue::MangaRef;
use super::effect::Lane;
use super::progress::{check_chapter, known};
use super::session::Session;
use super::{Access, Call, Ctx};
use crate::store::StoreError;
use crate::store::model::{Chapter, ProgressChange, ReadingStatus, Window};

/// Puts a series on the shelf.
pub const ADD: Call<Add> = Call { name: "library.add", access: Access::User, lane: Lane::Write, run: add };
/// Shows the shelf.
pub const LIST: Call<Window> = Call { name: "library.list", access: Access::User, lane: Lane::Read, run: list };

/// What to put on the shelf, and where its reader stands.
#[derive(Debug, Clone)]
pub struct Add {
    /// Which series.
    pub manga: MangaRef,
    /// The status to begin with.
    pub status: ReadingStatus,
    /// The last chapter read.
    pub chapter: Chapter,
    /// Shown to its owner only.
    pub private: Option<bool>,
}

fn add(args: Add, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, series) = (ctx.caller()?, known(&args.manga, ctx)?);
    check_chapter(Some(args.chapter), &series)?;
    let change = ProgressChange {
        user_id: caller.id,
        manga_id: series.id,
        chapter: Some(args.chapter),
        status: Some(args.status),
        volume: None,
        page: None,
        rating: None,
        private: args.private,
        note: None,
        device: ctx.device.take().or_else(|| session.device_name()),
        read_at: None,
        received_at: ctx.now.unix_ms,
        must_exist: false,
    };
    ctx.run(
        Lane::Write,
        move |store| store.add_to_library(&change, args.status),
        move |added, _, ctx| {
            let added = added.map_err(|error| match error {
                StoreError::Conflict => ApiError::new(ErrorKind::Conflict, "Manga already in library"),
                StoreError::NotFound => ApiError::not_found("This account or series no longer exists"),
                other => other.into(),
            })?;
            if added.is_first {
                ctx.state.catalogue.forget_details(series.id);
            }
            ctx.reply(Reply::Created("Manga added to library"));
            Ok(())
        },
    );
    Ok(())
}

fn list(window: Window, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    ctx.run(
        Lane::Read,
        move |store| store.library(&caller.id, window),
        |page, _, ctx| {
            ctx.reply(Reply::Library(page?));
            Ok(())
        },
    );
    Ok(())
}
