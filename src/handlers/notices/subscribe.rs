//! Asking to hear more on a connection that lives on, and asking not to any more.
//!
//! Notifications come to whoever asks for them. Progress comes to sync connections by itself; others ask
//! for it. Somebody nobody vouches for hears of notifications what is public, and of progress nothing.

use super::Reply;
use crate::handlers::api::{self, ApiError, ErrorKind, Topic};
use crate::handlers::effect::{Effect, Lane};
use crate::handlers::session::{MemberId, Session};
use crate::handlers::{Access, Call, Ctx, State, text};

/// Asks to hear more.
pub const SUBSCRIBE: Call<Vec<Subject>> =
    Call { name: "notices.subscribe", access: Access::Public, lane: Lane::Reactor, run: subscribe };
/// Asks to hear less.
pub const UNSUBSCRIBE: Call<Vec<Subject>> =
    Call { name: "notices.unsubscribe", access: Access::Public, lane: Lane::Reactor, run: unsubscribe };

/// What one can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Readers' progress.
    Progress,
    /// Notifications.
    Notifications,
}

impl Subject {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Progress => "progress",
            Self::Notifications => "notifications",
        }
    }

    /// The subject of this name.
    pub fn parse(name: &str) -> Result<Self, ApiError> {
        [Self::Progress, Self::Notifications].into_iter().find(|subject| subject.as_str() == name).ok_or_else(|| {
            let shown = text::shown(name, 40);
            ApiError::invalid(format!("topics: there is no topic {shown:?}; there are progress and notifications"))
        })
    }
}

/// What a connection asked to hear, beside what it hears anyway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heard {
    /// Everyone's progress, as far as it is public.
    progress: bool,
    /// What is public, as it happens.
    announced: bool,
    /// What is for its user, and for everyone.
    notices: bool,
}

impl Heard {
    /// The topics of it.
    pub fn topics(self, member: Option<MemberId>, broadcast_all: bool) -> impl Iterator<Item = Topic> {
        let own = member.filter(|_| self.notices).map(Topic::Notices);
        let topics = [
            own,
            self.announced.then_some(Topic::Announced),
            (self.progress && broadcast_all).then_some(Topic::Everyone),
        ];
        topics.into_iter().flatten()
    }

    /// Whether the user's own and everyone's progress was asked for.
    pub const fn progress(self) -> bool {
        self.progress
    }
}

fn heard(session: &Session) -> Heard {
    session.extra.as_ref().map_or(Heard::default(), |extra| extra.heard)
}

fn subscribe(subjects: Vec<Subject>, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let progress = subjects.contains(&Subject::Progress);
    let notifications = subjects.contains(&Subject::Notifications);
    let now = heard(session);
    let wanted = match session.member {
        None if progress => return Err(ApiError::new(ErrorKind::Unauthorized, "topics: progress needs a token")),
        None => Heard { announced: notifications || now.announced, ..now },
        // What they don't want to hear of is left out as it is told.
        Some(_) => Heard {
            progress: now.progress || (progress && !session.service.is_sync()),
            notices: notifications || now.notices,
            ..now
        },
    };
    change(wanted, session, ctx);
    Ok(())
}

fn unsubscribe(subjects: Vec<Subject>, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    if subjects.contains(&Subject::Progress) && session.service.is_sync() {
        return Err(ApiError::invalid("topics: a sync connection always hears of progress"));
    }
    let mut wanted = heard(session);
    for subject in subjects {
        wanted = match subject {
            Subject::Progress => Heard { progress: false, ..wanted },
            Subject::Notifications => Heard { progress: wanted.progress, ..Heard::default() },
        };
    }
    change(wanted, session, ctx);
    Ok(())
}

/// Answers, then enters and leaves what differs: so the answer comes before what it promises.
fn change(wanted: Heard, session: &mut Session, ctx: &mut Ctx<'_>) {
    let (before, all) = (heard(session), ctx.state.settings.broadcast_all);
    if wanted != before {
        session.extra_mut().heard = wanted;
    }
    let mut named = Vec::new();
    named.extend((wanted.progress || session.service.is_sync()).then_some(Subject::Progress));
    named.extend((wanted.notices || wanted.announced).then_some(Subject::Notifications));
    ctx.reply(api::Reply::Notices(Reply::Subscribed(named)));
    let (old, new): (Vec<Topic>, Vec<Topic>) =
        (before.topics(session.member, all).collect(), wanted.topics(session.member, all).collect());
    let entered = new.iter().filter(|topic| !old.contains(topic)).map(|topic| Effect::Enter(*topic));
    let left = old.iter().filter(|topic| !new.contains(topic)).map(|topic| Effect::Leave(*topic));
    ctx.effects.extend(entered.chain(left));
    if let Some(member) = session.member {
        match (before.notices, wanted.notices) {
            (false, true) => ctx.state.notices.listeners.enter(member),
            (true, false) => ctx.state.notices.listeners.leave(member),
            _ => {}
        }
    }
}

/// The connection is gone: its user may listen no longer.
pub fn forget(session: &Session, state: &mut State) {
    if let (true, Some(member)) = (heard(session).notices, session.member) {
        state.notices.listeners.leave(member);
    }
}
