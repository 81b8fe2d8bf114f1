//! What the server itself says in rooms.
//!
//! Whoever has a write job of their own lets it [`post`], so that what is announced and what it is about
//! are stored together, and [`tell`]s when the job is done. [`announce`] is both for whoever has none.

use super::say;
use crate::handlers::Ctx;
use crate::handlers::effect::Lane;
use crate::store::model::{MangaId, Message, NewMessage, Posted, RoomKey, Speaker, UnixMillis};
use crate::store::{Store, StoreError};

/// Under which name the server speaks: the second family's clients know it.
pub const SYSTEM_NAME: &str = "System_Admin";

/// The rooms that hear news about a series: its own, and the one where everybody meets.
pub fn rooms_of(manga: MangaId) -> [RoomKey; 2] {
    [RoomKey::of_manga(manga), RoomKey::general()]
}

/// Stores an announcement in each of these rooms. For a job in the writer's lane.
///
/// The text must fit a message: at most 2,000 characters, and not empty.
pub fn post(
    store: &mut dyn Store,
    rooms: &[RoomKey],
    text: &str,
    received_at: UnixMillis,
) -> Result<Vec<Message>, StoreError> {
    let mut posted = Vec::new();
    for room in rooms {
        let message = NewMessage {
            room: room.clone(),
            user_id: None,
            speaker: Speaker::System,
            username: SYSTEM_NAME.to_owned(),
            content: text.to_owned(),
            received_at,
        };
        if let Posted::Stored(message) = store.post_message(&message)? {
            posted.push(message);
        }
    }
    Ok(posted)
}

/// Tells what was posted to whoever is in its room.
pub fn tell(posted: Vec<Message>, ctx: &mut Ctx<'_>) {
    posted.into_iter().for_each(|message| say::tell(message, ctx));
}

/// Posts and tells, in a job of its own. Nobody hears of a failure: the log does.
pub fn announce(rooms: Vec<RoomKey>, text: String, ctx: &mut Ctx<'_>) {
    let now = ctx.now.unix_ms;
    ctx.run(
        Lane::Write,
        move |store| post(store, &rooms, &text, now),
        |posted, _, ctx| {
            match posted {
                Ok(posted) => tell(posted, ctx),
                Err(error) => tracing::warn!(%error, "an announcement was not stored"),
            }
            Ok(())
        },
    );
}
