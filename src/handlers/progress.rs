//! Reading on: a change is checked, stored, and then told.
//!
//! What a client hears of a change it hears after the commit, so a broadcast is a promise. A series
//! outside the catalogue can be told on the first family's sync wire without being stored, and the
//! event says so. A row that its owner marked private is told to its owner's connections only. What
//! happens when two devices disagree is in `conflict`.

use std::sync::Arc;

use super::api::{ApiError, ErrorKind, Event, ProgressEvent, Reply, Series, SeriesName, Topic};
use super::catalogue::MangaRef;
use super::conflict::{policy, store_or_ask};
use super::effect::Lane;
use super::session::Session;
use super::{Access, Call, Caller, Ctx, text};
use crate::store::StoreError;
use crate::store::model::{
    Chapter, Needs, Page, Progress, ProgressChange, Publication, ReadingStatus, Stored, UnixMillis, Window,
};

/// Stores and tells a change.
pub const UPDATE: Call<Update> = Call { name: "progress.update", access: Access::User, lane: Lane::Write, run: update };
/// Shows one row.
pub const GET: Call<MangaRef> = Call { name: "progress.get", access: Access::User, lane: Lane::Read, run: get };
/// Shows all of the caller's rows.
pub const LIST: Call<List> = Call { name: "progress.list", access: Access::User, lane: Lane::Read, run: list };
/// Forgets one row.
pub const DELETE: Call<MangaRef> =
    Call { name: "progress.delete", access: Access::User, lane: Lane::Write, run: delete };
/// Shows what was read when.
pub const HISTORY: Call<History> =
    Call { name: "progress.history", access: Access::User, lane: Lane::Read, run: history };

/// A change of progress. `None` leaves what is stored.
#[derive(Debug, Clone)]
pub struct Update {
    /// Of which series.
    pub manga: MangaRef,
    /// The user the message claims to be about, where its shape has one: must be the caller.
    pub user_id: Option<String>,
    /// The chapter reached.
    pub chapter: Option<Chapter>,
    /// The status held.
    pub status: Option<ReadingStatus>,
    /// The volume reached.
    pub volume: Option<i32>,
    /// The page reached.
    pub page: Option<i32>,
    /// A rating, 1 to 10.
    pub rating: Option<i32>,
    /// Whether others may see it.
    pub private: Option<bool>,
    /// A note for oneself.
    pub note: Option<String>,
    /// When it was read, by the client's clock.
    pub read_at: Option<UnixMillis>,
    /// Stored even if another device is further.
    pub force: bool,
    /// What to do about what isn't there.
    pub unknown: Unknown,
}

/// What a route does about a series or a row that isn't there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// The series must be known and have a row: the first family's PUT.
    RowMustExist,
    /// The series must be known and in the library: the first family's PATCH.
    EntryMustExist,
    /// The series must be known.
    SeriesMustExist,
    /// A series that isn't known is told and not stored, under this title.
    Tell(String),
}

/// Which rows of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct List {
    /// Of one status only.
    pub status: Option<ReadingStatus>,
    /// How many to skip and to show.
    pub window: Window,
}

/// What changed for a reader.
#[derive(Debug)]
pub enum Changed {
    /// A series is in the library now.
    Added,
    /// A series is no longer in the library.
    Removed,
    /// A row of progress is like this now.
    Updated(Box<Progress>, Arc<Series>),
}

/// Which part of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Of one series only.
    pub manga: Option<MangaRef>,
    /// Before this entry.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

fn update(args: Update, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    if args.user_id.as_deref().is_some_and(|claimed| claimed != caller.id.as_str()) {
        return Err(ApiError::new(ErrorKind::Forbidden, "user_id: only one's own progress can be changed"));
    }
    let device = ctx.device.take().or_else(|| session.device_name());
    let Some(series) = ctx.state.catalogue.find(&args.manga).cloned() else {
        return tell_unknown(args, &caller, device, ctx);
    };
    check_chapter(args.chapter, &series)?;
    let change = ProgressChange {
        user_id: caller.id.clone(),
        manga_id: series.id,
        chapter: args.chapter,
        status: args.status,
        volume: args.volume,
        page: args.page,
        rating: args.rating,
        private: args.private,
        note: args.note,
        device,
        read_at: args.read_at,
        received_at: ctx.now.unix_ms,
        needs: args.unknown.needs(),
        behind: policy(ctx.state.settings.behind, args.force),
    };
    ctx.run_with(
        Lane::Write,
        change,
        |change, store| store_or_ask(store, change, |store, change| store.update_progress(change)),
        move |change, outcome, _, ctx| {
            let outcome = outcome.map_err(|error| not_there(error, &args.unknown))?;
            let stored = outcome.stored(&change, &series)?;
            if stored.is_first || change.rating.is_some() {
                ctx.state.catalogue.forget_details(series.id);
            }
            let edited = args.unknown == Unknown::EntryMustExist;
            if !edited || is_progress(&change) {
                tell(&stored, change, caller, series.clone(), ctx);
            }
            let row = Box::new(stored.progress);
            ctx.reply(match edited {
                true => Reply::Progress(row, series),
                false => Reply::Changed(Changed::Updated(row, series)),
            });
            Ok(())
        },
    );
    Ok(())
}

impl Unknown {
    fn needs(&self) -> Needs {
        match self {
            Self::RowMustExist => Needs::Row,
            Self::EntryMustExist => Needs::LibraryEntry,
            Self::SeriesMustExist | Self::Tell(_) => Needs::Nothing,
        }
    }
}

fn not_there(error: StoreError, unknown: &Unknown) -> ApiError {
    match (error, unknown) {
        (StoreError::NotFound, Unknown::RowMustExist) => ApiError::not_found("Manga not in library"),
        (StoreError::NotFound, Unknown::EntryMustExist) => ApiError::not_found("Manga not found in library"),
        (StoreError::NotFound, _) => ApiError::not_found("This account or series no longer exists"),
        (other, _) => other.into(),
    }
}

/// Whether an edit of a library's entry says how far its reader is: a rating, a note and a private mark
/// are nobody else's business.
fn is_progress(change: &ProgressChange) -> bool {
    change.chapter.is_some() || change.status.is_some() || change.volume.is_some() || change.page.is_some()
}

/// Only a series that has ended bounds a chapter; an unknown total refuses nothing.
pub fn check_chapter(chapter: Option<Chapter>, series: &Series) -> Result<(), ApiError> {
    let (Some(chapter), Publication::Completed, Some(total)) = (chapter, series.status, series.chapters_total) else {
        return Ok(());
    };
    match chapter > total {
        true => Err(ApiError::invalid(format!("invalid chapter number: exceeds total chapters ({total})"))),
        false => Ok(()),
    }
}

/// Tells a stored change to those who may hear of it.
fn tell(stored: &Stored, change: ProgressChange, caller: Caller, series: Arc<Series>, ctx: &mut Ctx<'_>) {
    let progress = &stored.progress;
    let event = ProgressEvent {
        seq: stored.seq,
        user_id: caller.id,
        username: caller.username,
        series: SeriesName::Known(series),
        chapter: progress.chapter,
        status: Some(progress.status),
        volume: progress.volume,
        page: progress.page,
        rating: change.rating,
        device: change.device,
        at: progress.updated_at,
    };
    publish(event, progress.private, ctx);
}

/// Tells about a series that the catalogue doesn't have, where the route allows it.
fn tell_unknown(args: Update, caller: &Caller, device: Option<String>, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (Unknown::Tell(title), MangaRef::Slug(id)) = (&args.unknown, &args.manga) else {
        return Err(ApiError::not_found("Manga not found"));
    };
    let id = text::shown(id, TOLD_CHARACTERS_MAX);
    if id.is_empty() {
        return Err(ApiError::invalid("manga_id: nothing of it can be shown"));
    }
    let title = text::shown(title, TOLD_CHARACTERS_MAX);
    let event = ProgressEvent {
        seq: 0,
        user_id: caller.id.clone(),
        username: caller.username.clone(),
        series: SeriesName::Unknown { id, title },
        chapter: args.chapter.unwrap_or_default(),
        status: args.status,
        volume: args.volume,
        page: args.page,
        rating: args.rating,
        device,
        at: ctx.now.unix_ms,
    };
    publish(event, args.private == Some(true), ctx);
    Ok(())
}

fn publish(event: ProgressEvent, private: bool, ctx: &mut Ctx<'_>) {
    let topic = match ctx.state.settings.broadcast_all && !private {
        true => Some(Topic::Everyone),
        // A user without a connection has nobody to tell.
        false => ctx.state.members.find(&event.user_id).map(Topic::Member),
    };
    if let Some(topic) = topic {
        ctx.publish(topic, Event::Progress(Box::new(event)));
    }
}

fn get(manga: MangaRef, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, series) = (ctx.caller()?, known(&manga, ctx)?);
    let id = series.id;
    ctx.run(
        Lane::Read,
        move |store| store.progress(&caller.id, id),
        move |progress, _, ctx| {
            let progress = progress.map_err(no_progress)?;
            ctx.reply(Reply::Progress(Box::new(progress), series));
            Ok(())
        },
    );
    Ok(())
}

fn list(args: List, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, List { status, window }) = (ctx.caller()?, args);
    ctx.run(
        Lane::Read,
        move |store| store.progress_page(&caller.id, status, window),
        move |page, _, ctx| {
            let Page { items, total } = page?;
            let name = |row: Progress| {
                let series = ctx.state.catalogue.get(row.manga_id).cloned();
                (row, series)
            };
            let items = items.into_iter().map(name).collect();
            ctx.reply(Reply::ProgressList(Page { items, total }, window));
            Ok(())
        },
    );
    Ok(())
}

fn delete(manga: MangaRef, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, series) = (ctx.caller()?, known(&manga, ctx)?);
    let id = series.id;
    ctx.run(
        Lane::Write,
        move |store| store.delete_progress(&caller.id, id),
        move |deleted, _, ctx| {
            deleted.map_err(no_progress)?;
            ctx.state.catalogue.forget_details(id);
            ctx.reply(Reply::ProgressDeleted(series));
            Ok(())
        },
    );
    Ok(())
}

fn history(args: History, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    let manga = args.manga.map(|manga| known(&manga, ctx)).transpose()?.map(|series| series.id);
    ctx.run(
        Lane::Read,
        move |store| store.history(&caller.id, manga, args.before, args.limit),
        move |entries, _, ctx| {
            let catalogue = &ctx.state.catalogue;
            let named = entries?.into_iter().map(|entry| {
                let series = catalogue.get(entry.manga_id).cloned();
                (entry, series)
            });
            let named = named.collect();
            ctx.reply(Reply::History(named));
            Ok(())
        },
    );
    Ok(())
}

/// The series that a client named.
pub fn known(manga: &MangaRef, ctx: &Ctx<'_>) -> Result<Arc<Series>, ApiError> {
    ctx.state.catalogue.find(manga).cloned().ok_or_else(|| ApiError::not_found("Manga not found"))
}

fn no_progress(error: StoreError) -> ApiError {
    match error {
        StoreError::NotFound => ApiError::not_found("Progress not found"),
        other => other.into(),
    }
}

/// How much of a stranger's id or title is told to others.
const TOLD_CHARACTERS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn series(status: Publication, total: Option<i64>) -> Series {
        Series {
            id: 1,
            slug: "one".into(),
            title: "One".into(),
            status,
            chapters_total: total.and_then(Chapter::whole),
            latest_chapter: None,
        }
    }

    /// Only the known end of a series that has ended is a bound.
    #[test]
    fn only_a_completed_series_bounds_progress() {
        let chapter = Chapter::from_f64(100.5);
        assert!(check_chapter(chapter, &series(Publication::Ongoing, Some(100))).is_ok());
        assert!(check_chapter(chapter, &series(Publication::Completed, None)).is_ok());
        assert!(check_chapter(chapter, &series(Publication::Completed, Some(101))).is_ok());
        let refused = check_chapter(chapter, &series(Publication::Completed, Some(100))).unwrap_err();
        assert_eq!(refused.message, "invalid chapter number: exceeds total chapters (100)");
    }
}
