//! Telling: what triggers a notification, how it is stored, and who hears of it at once.
//!
//! A trigger's job stores the notification in the transaction of what it tells about; when that is
//! committed it is put in line here ([`publish`]). One notification after the other is told, so that
//! nobody hears of them in another order. Each that is for several takes a look at which of the listeners
//! it is for, and by which ways they want to hear: in parts, each a job of a reader lane, until all have been
//! looked at. So a wish counts from the moment that it is stored. Nobody's request waits for these looks.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{spread, words};
use crate::handlers::api::{self, ApiError, Event, Topic};
use crate::handlers::catalogue::MangaRef;
use crate::handlers::chat::announce;
use crate::handlers::effect::Lane;
use crate::handlers::session::{MemberId, Session};
use crate::handlers::{Access, Call, Ctx};
use crate::store::model::{
    Audience, Chapter, FieldChange, Manga, Message, NewNotice, NoticeManga, Notification, Protocols, UnixMillis, UserId,
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
#[derive(Debug, Default)]
pub struct Stored {
    notices: Vec<(Audience, Arc<Notification>)>,
    /// What was said about them in rooms of chat.
    posted: Vec<Message>,
    /// A webhook is to hear of them.
    due: bool,
}

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
    // Others may have told of this chapter a moment ago, but not in these words or not to all of these.
    notice.insists = true;
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
        move |store| store_all(std::slice::from_ref(&notice), store, now),
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
    let notices: Vec<_> = events.into_iter().filter_map(|event| words::of_event(event, manga)).collect();
    store_all(&notices, store, now)
}

/// Within a job: stores notifications. What was told of already is left out.
fn store_all(notices: &[NewNotice], store: &mut dyn Store, now: UnixMillis) -> Result<Stored, StoreError> {
    let mut stored = Stored::default();
    for notice in notices {
        let Some(notification) = store.add_notice(notice, now)? else { continue };
        stored.posted.extend(spread::post(&notification, store, now)?);
        stored.due |= spread::enqueue(&notice.audience, &notification, store, now)?;
        stored.notices.push((notice.audience.clone(), Arc::new(notification)));
    }
    Ok(stored)
}

// ---- telling it

/// Notifications in line to be told.
#[derive(Debug, Default)]
pub struct Line {
    waiting: VecDeque<(Audience, Arc<Notification>)>,
    /// The one that is being told. It stays until everybody whom it is for has heard of it.
    round: Option<Round>,
    /// How many looks were taken: the last one's number.
    looks: u64,
    /// When the look that is outstanding was given to its lane, in milliseconds of the turn's clock.
    given_ms: Option<u64>,
    /// How many were not told at once, because too many were in line.
    pub skipped: u64,
    /// How many looks found no room in their lane or no answer, and were taken again.
    pub retried: u64,
}

/// A notification with those whom it still has to find.
#[derive(Debug)]
struct Round {
    audience: Audience,
    notification: Arc<Notification>,
    left: Vec<MemberId>,
}

impl Line {
    /// How many are not told yet.
    pub fn len(&self) -> usize {
        self.waiting.len() + usize::from(self.round.is_some())
    }

    /// Whether all are told.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Puts what was committed in line.
pub fn publish(stored: Stored, ctx: &mut Ctx<'_>) {
    ctx.state.webhooks.due |= stored.due;
    announce::tell(stored.posted, ctx);
    let line = &mut ctx.state.notices.line;
    for told in stored.notices {
        match line.waiting.len() < WAITING_MAX {
            true => line.waiting.push_back(told),
            // It is stored: whoever asks finds it.
            false => line.skipped += 1,
        }
    }
    go_on_if_idle(ctx);
}

/// Once a second: goes on where a look found no room.
pub fn go_on_if_idle(ctx: &mut Ctx<'_>) {
    let outstanding = ctx.state.notices.line.given_ms.is_some_and(|given_ms| ctx.now.mono_ms < given_ms + LOOK_MS_MAX);
    if !outstanding {
        go_on(ctx);
    }
}

/// Tells one after the other, until one has to look for its listeners.
fn go_on(ctx: &mut Ctx<'_>) {
    while ctx.state.notices.line.round.is_none() {
        let Some((audience, notification)) = ctx.state.notices.line.waiting.pop_front() else { return };
        let event = || Event::Notification(notification.clone(), Protocols::ALL);
        if let Audience::User(user) = &audience {
            if let Some(member) = ctx.state.members.find(user) {
                ctx.publish(Topic::Notices(member), event());
            }
            continue;
        }
        ctx.publish(Topic::Announced, event());
        let left = ctx.state.notices.listeners.all();
        if !left.is_empty() {
            ctx.state.notices.line.round = Some(Round { audience, notification, left });
        }
    }
    look(ctx);
}

/// Looks which of the next listeners it is for.
fn look(ctx: &mut Ctx<'_>) {
    let line = &mut ctx.state.notices.line;
    let Some(round) = &line.round else { return };
    let part = &round.left[..round.left.len().min(LISTENERS_MAX)];
    let named = |member: &MemberId| ctx.state.members.get(*member).map(|found| (*member, found.id.clone()));
    let (members, users): (Vec<MemberId>, Vec<UserId>) = part.iter().filter_map(named).unzip();
    let (audience, told, looked_at) = (round.audience.clone(), round.notification.clone(), part.len());
    line.looks += 1;
    line.given_ms = Some(ctx.now.mono_ms);
    let (number, manga) = (line.looks, told.manga.as_ref().map(|manga| manga.id));
    ctx.run_apart(
        Lane::Read,
        move |store| store.audience_among(&audience, told.kind, manga, &users),
        move |found, ctx| {
            let line = &mut ctx.state.notices.line;
            if line.looks != number {
                // It was given up, and another one was taken instead.
                return;
            }
            line.given_ms = None;
            match found {
                Ok(found) => tell_some(looked_at, found.into_iter().map(|(place, ways)| (members[place], ways)), ctx),
                // The next second tries again: else they would never hear of it, and those at addresses of
                // datagrams not even later, once they have heard of the next one.
                Err(_) => line.retried += 1,
            }
        },
    );
}

/// Tells the first so many listeners, those whom it is for, and goes on.
fn tell_some(looked_at: usize, found: impl Iterator<Item = (MemberId, Protocols)>, ctx: &mut Ctx<'_>) {
    let Some(mut round) = ctx.state.notices.line.round.take() else { return };
    for (member, protocols) in found {
        ctx.publish(Topic::Notices(member), Event::Notification(round.notification.clone(), protocols));
    }
    round.left.drain(..looked_at);
    if !round.left.is_empty() {
        ctx.state.notices.line.round = Some(round);
    }
    go_on(ctx);
}

/// A change of a series makes two events at most.
const EVENTS_MAX: u32 = 4;

/// More than an hour of a busy publisher; beyond it a burst is found by asking.
const WAITING_MAX: usize = 1024;

/// A look that is not back after so long is taken again: no wait for a reader is longer.
const LOOK_MS_MAX: u64 = 60_000;
