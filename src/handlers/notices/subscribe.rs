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

/// What a connection asked to hear, beside what it hears anyway. One bit each: every connection has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard(u8);

impl Heard {
    /// What a connection hears that has asked for nothing.
    pub const NOTHING: Self = Self(0);
    /// Everyone's progress, as far as it is public.
    const PROGRESS: Self = Self(1);
    /// What is public, as it happens.
    const ANNOUNCED: Self = Self(2);
    /// What is for its user, and for everyone.
    const NOTICES: Self = Self(4);

    const fn has(self, what: Self) -> bool {
        self.0 & what.0 != 0
    }

    /// This, and if `asked` that too.
    const fn and(self, what: Self, asked: bool) -> Self {
        if asked { Self(self.0 | what.0) } else { self }
    }

    const fn without(self, what: Self) -> Self {
        Self(self.0 & !what.0)
    }

    /// The topics of it.
    pub fn topics(self, member: Option<MemberId>, broadcast_all: bool) -> impl Iterator<Item = Topic> {
        let own = member.filter(|_| self.has(Self::NOTICES)).map(Topic::Notices);
        let topics = [
            own,
            self.has(Self::ANNOUNCED).then_some(Topic::Announced),
            (self.progress() && broadcast_all).then_some(Topic::Everyone),
        ];
        topics.into_iter().flatten()
    }

    /// Whether the user's own and everyone's progress was asked for.
    pub const fn progress(self) -> bool {
        self.has(Self::PROGRESS)
    }
}

fn subscribe(subjects: Vec<Subject>, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let progress = subjects.contains(&Subject::Progress);
    let notifications = subjects.contains(&Subject::Notifications);
    let now = session.heard;
    let wanted = match session.member {
        None if progress => return Err(ApiError::new(ErrorKind::Unauthorized, "topics: progress needs a token")),
        None => now.and(Heard::ANNOUNCED, notifications),
        // What they don't want to hear of is left out as it is told.
        Some(_) => now.and(Heard::PROGRESS, progress && !session.service.is_sync()).and(Heard::NOTICES, notifications),
    };
    change(wanted, session, ctx);
    Ok(())
}

fn unsubscribe(subjects: Vec<Subject>, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    if subjects.contains(&Subject::Progress) && session.service.is_sync() {
        return Err(ApiError::invalid("topics: a sync connection always hears of progress"));
    }
    let mut wanted = session.heard;
    for subject in subjects {
        wanted = match subject {
            Subject::Progress => wanted.without(Heard::PROGRESS),
            Subject::Notifications => wanted.without(Heard::ANNOUNCED).without(Heard::NOTICES),
        };
    }
    change(wanted, session, ctx);
    Ok(())
}

/// Answers, then enters and leaves what differs: so the answer comes before what it promises.
fn change(wanted: Heard, session: &mut Session, ctx: &mut Ctx<'_>) {
    let (before, all) = (session.heard, ctx.state.settings.broadcast_all);
    session.heard = wanted;
    let mut named = Vec::new();
    named.extend((wanted.progress() || session.service.is_sync()).then_some(Subject::Progress));
    named.extend((wanted.has(Heard::NOTICES) || wanted.has(Heard::ANNOUNCED)).then_some(Subject::Notifications));
    ctx.reply(api::Reply::Notices(Reply::Subscribed(named)));
    let (old, new): (Vec<Topic>, Vec<Topic>) =
        (before.topics(session.member, all).collect(), wanted.topics(session.member, all).collect());
    let entered = new.iter().filter(|topic| !old.contains(topic)).map(|topic| Effect::Enter(*topic));
    let left = old.iter().filter(|topic| !new.contains(topic)).map(|topic| Effect::Leave(*topic));
    ctx.effects.extend(entered.chain(left));
    if let Some(member) = session.member {
        match (before.has(Heard::NOTICES), wanted.has(Heard::NOTICES)) {
            (false, true) => ctx.state.notices.listeners.enter(member),
            (true, false) => ctx.state.notices.listeners.leave(member),
            _ => {}
        }
    }
}

/// The connection is gone: its user may listen no longer.
pub fn forget(session: &Session, state: &mut State) {
    if let (true, Some(member)) = (session.heard.has(Heard::NOTICES), session.member) {
        state.notices.listeners.leave(member);
    }
}
