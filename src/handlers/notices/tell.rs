//! Telling: what triggers a notification, how it is stored, and who hears of it at once.
//!
//! A trigger's job stores the notification in the transaction of what it tells about; when that is
//! committed it is put in line here ([`publish`]). One notification after the other is told, so that
//! nobody hears of them in another order. Those for readers take a look at who of the listeners reads
//! the series: in parts, each a job of a reader lane, until all have been looked at.

use std::collections::VecDeque;
use std::sync::Arc;

use super::words;
use crate::handlers::api::{self, ApiError, Event, Topic};
use crate::handlers::catalogue::MangaRef;
use crate::handlers::effect::{Effect, Lane};
use crate::handlers::session::{MemberId, Session};
use crate::handlers::work::Work;
use crate::handlers::{Access, Call, Ctx};
use crate::store::model::{
    Audience, Chapter, FieldChange, Manga, NewNotice, NoticeKind, NoticeManga, Notification, Protocols, UnixMillis,
    UserId,
};
use crate::store::{LISTENERS_MAX, Store, StoreError};

/// Somebody on the operator's side says that something happened to a series.
pub const TRIGGER: Call<Trigger> =
    Call { name: "notices.trigger", access: Access::Public, lane: Lane::Write, run: trigger };
/// An administrator tells everyone, or the readers of a series, something.
pub const ANNOUNCE: Call<Announcement> =
    Call { name: "notices.announce", access: Access::Admin, lane: Lane::Write, run: announce };
/// A user sends themself a notification.
pub const TEST: Call<()> = Call { name: "notices.test", access: Access::User, lane: Lane::Write, run: test };

/// What happened to a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// Its key, as whoever says it knows it.
    pub manga: i64,
    /// Its title, where it was given.
    pub title: Option<String>,
    /// What it was.
    pub what: What,
}

/// A kind of happening, with what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// It came into the catalogue.
    Added,
    /// A chapter came out; the latest before.
    Chapter(Chapter, Option<Chapter>),
    /// Facts changed.
    Facts(Vec<FieldChange>),
}

/// What an administrator tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Announcement {
    /// About which series.
    pub manga: Option<MangaRef>,
    /// Its title, or a heading.
    pub title: Option<String>,
    /// The chapter that came out.
    pub chapter: Option<Chapter>,
    /// What it is called.
    pub chapter_title: Option<String>,
    /// When it came out.
    pub release_date: Option<String>,
    /// What people read, if it isn't what such a notification always says.
    pub message: Option<String>,
    /// Everyone hears of it, not only those who read the series.
    pub everyone: bool,
}

/// What a job has stored, to be told once it is committed.
pub type Stored = Vec<(Audience, Arc<Notification>)>;

// ---- what triggers it

fn trigger(args: Trigger, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let series = ctx.state.catalogue.get(args.manga);
    let slug = series.map_or_else(|| args.manga.to_string(), |series| series.slug.clone());
    let title = args.title.or_else(|| series.map(|series| series.title.clone()));
    let title = title.ok_or_else(|| ApiError::invalid("title: required"))?;
    let manga = NoticeManga { id: args.manga, slug };
    let notice = match args.what {
        What::Added => words::new_manga(manga, &title),
        What::Chapter(chapter, old) => words::new_chapter(manga, &title, chapter, old),
        What::Facts(changes) => words::manga_update(manga, &title, changes),
    };
    store_and_tell(notice, super::Reply::Accepted, ctx);
    Ok(())
}

fn announce(args: Announcement, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let series = args.manga.as_ref().and_then(|manga| ctx.state.catalogue.find(manga));
    let title = args.title.or_else(|| series.map(|series| series.title.clone()));
    let manga = series.map(|series| NoticeManga { id: series.id, slug: series.slug.clone() });
    let mut notice = match (manga, args.chapter) {
        (Some(manga), Some(chapter)) => words::new_chapter(manga, &title.unwrap_or_default(), chapter, None),
        (manga, _) => {
            let message = args.message.clone().or_else(|| title.clone());
            let message = message.ok_or_else(|| ApiError::invalid("message: required"))?;
            words::announcement(manga, &title.unwrap_or_default(), message)
        }
    };
    let told = &mut notice.notification;
    told.chapter = args.chapter;
    told.message = args.message.unwrap_or_else(|| std::mem::take(&mut told.message));
    (told.chapter_title, told.release_date) = (args.chapter_title, args.release_date);
    if args.everyone {
        notice.audience = Audience::Everyone;
    }
    store_and_tell(notice, super::Reply::Queued, ctx);
    Ok(())
}

fn test(_: (), _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let notice = words::test(Audience::User(ctx.caller()?.id));
    store_and_tell(notice, super::Reply::Queued, ctx);
    Ok(())
}

fn store_and_tell(notice: NewNotice, reply: super::Reply, ctx: &mut Ctx<'_>) {
    let now = ctx.now.unix_ms;
    ctx.run(
        Lane::Write,
        move |store| store_all(vec![notice], store, now),
        |stored, _, ctx| {
            let stored = stored?;
            ctx.reply(api::Reply::Notices(reply));
            publish(stored, ctx);
            Ok(())
        },
    );
}

/// Within a job that changed a series: stores what its events since the event `after` tell.
pub fn store_events(manga: &Manga, after: i64, store: &mut dyn Store, now: UnixMillis) -> Result<Stored, StoreError> {
    let events = store.manga_events(after, EVENTS_MAX)?;
    let notices = events.into_iter().filter_map(|event| words::of_event(event, manga)).collect();
    store_all(notices, store, now)
}

/// Within a job: stores notifications. What was told of already is left out.
fn store_all(notices: Vec<NewNotice>, store: &mut dyn Store, now: UnixMillis) -> Result<Stored, StoreError> {
    let mut stored = Vec::new();
    for notice in notices {
        if let Some(notification) = store.add_notice(&notice, now)? {
            stored.push((notice.audience, Arc::new(notification)));
        }
    }
    Ok(stored)
}

// ---- telling it

/// Notifications in line to be told.
#[derive(Debug, Default)]
pub struct Line {
    waiting: VecDeque<(Audience, Arc<Notification>)>,
    /// When the job that is outstanding was given to its lane, in milliseconds of the turn's clock.
    given_ms: Option<u64>,
    /// How many were not told at once, because too many were in line.
    pub skipped: u64,
}

/// Those whom a notification still has to find.
struct Round {
    audience: Audience,
    notification: Arc<Notification>,
    left: Vec<MemberId>,
}

/// Puts what was committed in line.
pub fn publish(stored: Stored, ctx: &mut Ctx<'_>) {
    let line = &mut ctx.state.notices.line;
    for told in stored {
        match line.waiting.len() < WAITING_MAX {
            true => line.waiting.push_back(told),
            // It is stored: whoever asks finds it.
            false => line.skipped += 1,
        }
    }
    go_on_if_idle(ctx);
}

/// Once a second: goes on where a job found no room.
pub fn go_on_if_idle(ctx: &mut Ctx<'_>) {
    let outstanding = ctx.state.notices.line.given_ms.is_some_and(|given_ms| ctx.now.mono_ms < given_ms + JOB_MS_MAX);
    if !outstanding {
        go_on(ctx);
    }
}

/// Tells one after the other, until one has to look for its readers.
fn go_on(ctx: &mut Ctx<'_>) {
    ctx.state.notices.line.given_ms = None;
    while let Some((audience, notification)) = ctx.state.notices.line.waiting.pop_front() {
        let event = || Event::Notification(notification.clone(), Protocols::ALL);
        let left = match &audience {
            Audience::User(user) => {
                if let Some(member) = ctx.state.members.find(user) {
                    ctx.publish(Topic::Notices(member), event());
                }
                continue;
            }
            Audience::Everyone if notification.kind == NoticeKind::NewManga => {
                ctx.publish(Topic::News, event());
                Vec::new()
            }
            Audience::Everyone | Audience::Readers => ctx.state.notices.listeners.all(),
        };
        ctx.publish(Topic::Announced, event());
        if !left.is_empty() {
            return look_up(Round { audience, notification, left }, ctx);
        }
    }
}

/// Looks which of the next listeners it is for, tells those, and goes on.
fn look_up(mut round: Round, ctx: &mut Ctx<'_>) {
    let rest = round.left.split_off(round.left.len().min(LISTENERS_MAX));
    let part = std::mem::replace(&mut round.left, rest);
    let named = |member: MemberId| ctx.state.members.get(member).map(|found| (member, found.id.clone()));
    let (members, users): (Vec<MemberId>, Vec<UserId>) = part.into_iter().filter_map(named).unzip();
    let (audience, told) = (round.audience.clone(), round.notification.clone());
    ctx.state.notices.line.given_ms = Some(ctx.now.mono_ms);
    let manga = told.manga.as_ref().map(|manga| manga.id);
    let job = Work::new(
        ctx.origin.clone(),
        move |store| store.audience_among(&audience, told.kind, manga, &users),
        move |found, _, ctx| {
            // Who is not found for want of a reader finds it later: it is stored.
            for (place, protocols) in found.unwrap_or_default() {
                let event = Event::Notification(round.notification.clone(), protocols);
                ctx.publish(Topic::Notices(members[place]), event);
            }
            match round.left.is_empty() {
                true => go_on(ctx),
                false => look_up(round, ctx),
            }
            Ok(())
        },
    );
    ctx.effects.push(Effect::Submit(Lane::Read, job));
}

/// A change of a series makes two events at most.
const EVENTS_MAX: u32 = 4;

/// More than an hour of a busy publisher; beyond it a burst is found by asking.
const WAITING_MAX: usize = 1024;

/// A job that is not back after so long found no room in its lane: no wait for a reader is longer.
const JOB_MS_MAX: u64 = 60_000;
