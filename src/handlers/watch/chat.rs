//! The stream of what happens in one room of chat.
//!
//! Whoever listens is in the room, as somebody with a WebSocket is: nobody listens unseen.

use super::{Ear, Show, Stream, admit, listener, open};
use crate::handlers::api::{ApiError, Event};
use crate::handlers::chat::{self, Room, RoomRef, listen};
use crate::handlers::effect::Lane;
use crate::handlers::session::Session;
use crate::handlers::{Access, Call, Ctx};

/// Tells the caller what happens in a room.
pub const CHAT: Call<WatchChat> = Call { name: "chat.watch", access: Access::User, lane: Lane::Write, run: watch };

/// Which room, what to tell first, and how.
#[derive(Debug, Clone)]
pub struct WatchChat {
    /// The room.
    pub room: RoomRef,
    /// So many of the last messages.
    pub history: u32,
    /// How an event looks.
    pub show: Show,
}

fn watch(args: WatchChat, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    let room = Room::named(&args.room, &ctx.state.catalogue)?;
    let key = room.key.clone();
    ctx.run(
        Lane::Write,
        // One at least: whether anything was said there is asked in any case.
        move |store| store.room_messages(&key, None, args.history.max(1)),
        move |messages, _, ctx| {
            let (remote, messages) = (listener(ctx)?, messages?);
            let member = admit(&caller, ctx)?;
            let entered = listen::enter(&room, member, ctx);
            let entered = entered.inspect_err(|_| ctx.state.members.leave(member, ctx.now.mono_ms))?;
            let show = |event: chat::Event| (args.show)(&Event::Chat(event.into()));
            let after = messages.items.last().map_or(0, |message| message.id);
            if after > 0 {
                ctx.state.rooms.note_said(entered.id);
            }
            let said = messages
                .items
                .into_iter()
                .take(args.history as usize)
                .map(|said| chat::Event::Said(said, Some(room.clone())));
            let stream = Stream { remote: remote.clone(), member, ear: Ear::Room { id: entered.id, after } };
            open(stream, said.filter_map(show), ctx);
            if let Some(presence) = listen::announce(&room, &entered, member, ctx).and_then(show) {
                remote.0.tell(presence);
            }
            Ok(())
        },
    );
    Ok(())
}
