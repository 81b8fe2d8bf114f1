//! The stream of a user's notifications.
//!
//! It may begin with what was missed. That is read in the writer's lane, whose order is the order of what
//! is stored, and what is told twice for that is heard once: so nothing is missed between.

use std::sync::Arc;

use bytes::Bytes;

use super::{Ear, Show, Stream, admit, listener, open};
use crate::handlers::api::{ApiError, Event};
use crate::handlers::effect::Lane;
use crate::handlers::lists::or_not_found;
use crate::handlers::session::Session;
use crate::handlers::{Access, Call, Caller, Ctx};
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
    if !args.unread && args.after.is_none() {
        return begin(&caller, 0, [], ctx);
    }
    let user = caller.id.clone();
    ctx.run(
        Lane::Write,
        move |store| {
            let query = |unread, limit| InboxQuery { unread, before: None, limit };
            let newest = store.notices(&user, query(false, 1))?.items.first().map_or(0, |(newest, _)| newest.id);
            Ok((newest, store.notices(&user, query(args.unread, REPLAYED_MAX))?.items))
        },
        move |found, _, ctx| {
            let (newest, missed) = found.map_err(|error| or_not_found(error, "This account no longer exists"))?;
            // Nobody has heard what is not there yet, whatever they say.
            let after = args.after.unwrap_or(0).min(newest);
            // The latest comes first from the store, and last to whoever reads.
            let missed = missed.into_iter().rev().map(|(told, _)| Arc::new(told)).filter(|told| told.id > after);
            let missed: Vec<_> = missed.collect();
            let after = missed.last().map_or(after, |last| last.id);
            let first = missed.into_iter().filter_map(|told| (args.show)(&Event::Notification(told, Protocols::ALL)));
            begin(&caller, after, first, ctx)
        },
    );
    Ok(())
}

/// Tells what was missed; what is newer than `after` follows as it happens.
fn begin(
    caller: &Caller,
    after: NoticeId,
    first: impl IntoIterator<Item = Bytes>,
    ctx: &mut Ctx<'_>,
) -> Result<(), ApiError> {
    let remote = listener(ctx)?;
    let member = admit(caller, ctx)?;
    ctx.state.notices.listeners.enter(member);
    open(Stream { remote, member, ear: Ear::Notices(after) }, first, ctx);
    Ok(())
}

/// How much of what was missed is told: less than half of what a stream may be behind.
const REPLAYED_MAX: u32 = 100;
