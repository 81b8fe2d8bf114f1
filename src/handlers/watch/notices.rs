//! The stream of a user's notifications.
//!
//! It may begin with what was missed. That is read in the writer's lane, whose order is the order of what
//! is stored, and what is told twice for that is heard once: so nothing is missed between.

use std::sync::Arc;

use super::{Ear, Show, Stream, admit, listener, open};
use crate::handlers::api::{ApiError, Event};
use crate::handlers::effect::Lane;
use crate::handlers::lists::or_not_found;
use crate::handlers::session::Session;
use crate::handlers::{Access, Call, Ctx};
use crate::store::model::{InboxQuery, NoticeId, Protocols};

/// Tells the caller of what is for them.
pub const NOTICES: Call<WatchNotices> =
    Call { name: "notices.watch", access: Access::User, lane: Lane::Write, run: watch };

/// What to tell first, and how.
#[derive(Debug, Clone, Copy)]
pub struct WatchNotices {
    /// What is not read yet; or of what is newer than `after`, that alone.
    pub unread: bool,
    /// What is newer than this one.
    pub after: Option<NoticeId>,
    /// How a notification looks.
    pub show: Show,
}

fn watch(args: WatchNotices, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    let (user, after) = (caller.id.clone(), args.after.unwrap_or(0));
    let replays = args.unread || args.after.is_some();
    ctx.run(
        Lane::Write,
        move |store| {
            let query = InboxQuery { unread: args.unread, before: None, limit: REPLAYED_MAX };
            Ok(if replays { store.notices(&user, query)?.items } else { Vec::new() })
        },
        move |found, _, ctx| {
            let missed = found.map_err(|error| or_not_found(error, "This account no longer exists"))?;
            let remote = listener(ctx)?;
            let member = admit(&caller, ctx)?;
            // The latest comes first from the store, and last to whoever reads.
            let missed = missed.into_iter().rev().map(|(told, _)| told).filter(|told| told.id > after);
            let missed: Vec<_> = missed.map(Arc::new).collect();
            let after = missed.last().map_or(after, |last| last.id);
            let first = missed.into_iter().filter_map(|told| (args.show)(&Event::Notification(told, Protocols::ALL)));
            ctx.state.notices.listeners.enter(member);
            open(Stream { remote, member, ear: Ear::Notices { after } }, first, ctx);
            Ok(())
        },
    );
    Ok(())
}

/// How much of what was missed is told: less than half of what a stream may be behind.
const REPLAYED_MAX: u32 = 100;
