//! Verbs on what people say to each other: in rooms, and one to one.

use super::StoreError;
use super::model::{
    Message, MessageId, Messages, Mute, NewMessage, NewMute, NewPrivateMessage, Page, Posted, RoomKey, RoomRow,
    Silenced, UnixMillis, UserId, Window,
};

/// What the store does for chat. Who may see and do what is checked by whoever asks, but for one thing: a
/// message of somebody who must be silent is never stored.
pub trait Chat {
    /// Says something in a room.
    fn post_message(&mut self, message: &NewMessage) -> Result<Posted, StoreError>;
    /// Says something to one person, named by id or name.
    fn post_private(&mut self, message: &NewPrivateMessage) -> Result<Posted, StoreError>;
    /// What was said in a room before the message `before`, the newest `limit`.
    fn room_messages(&mut self, room: &RoomKey, before: Option<MessageId>, limit: u32) -> Result<Messages, StoreError>;
    /// What a user and somebody, named by id or name, said to each other, alike.
    fn private_messages(
        &mut self,
        user: &UserId,
        with: &str,
        before: Option<MessageId>,
        limit: u32,
    ) -> Result<Messages, StoreError>;
    /// One message; one that was deleted is not there.
    fn message(&mut self, id: MessageId) -> Result<Message, StoreError>;
    /// Deletes a message's text.
    fn delete_message(&mut self, id: MessageId, by: &UserId, at: UnixMillis) -> Result<(), StoreError>;
    /// The rooms in which something was said, the latest first, and behind them those of `also` in which
    /// nothing was.
    fn rooms(&mut self, also: &[RoomKey], window: Window) -> Result<Page<RoomRow>, StoreError>;

    /// Silences somebody. Nothing is changed for an administrator: [`StoreError::Conflict`].
    fn mute(&mut self, mute: &NewMute) -> Result<Mute, StoreError>;
    /// Lets somebody speak again in a room, or everywhere that a mute for everywhere was. Tells who, by id and
    /// name.
    fn unmute(&mut self, who: &Silenced, room: Option<&RoomKey>) -> Result<(Option<UserId>, String), StoreError>;
    /// The mute that keeps a user, or whoever goes by this name without an account, from speaking in a room.
    fn mute_in_force(
        &mut self,
        user: Option<&UserId>,
        name: &str,
        room: &RoomKey,
        now: UnixMillis,
    ) -> Result<Option<Mute>, StoreError>;
    /// Mutes that have not ended, the last to end first.
    fn mutes(&mut self, now: UnixMillis, window: Window) -> Result<Page<Mute>, StoreError>;

    /// What a user said after the message `after`, at most `limit`, for them to take along.
    fn messages_by(&mut self, user: &UserId, after: MessageId, limit: u32) -> Result<Vec<Message>, StoreError>;
    /// Where a user must be silent.
    fn mutes_of(&mut self, user: &UserId) -> Result<Vec<Mute>, StoreError>;
    /// Forgets at most [`CHAT_ROWS_MAX`] messages from before `oldest`, rooms in which nothing was said since,
    /// and mutes that have ended by `now`. `true` when there may be more. With no `oldest`, only mutes.
    fn prune_chat(&mut self, oldest: Option<UnixMillis>, now: UnixMillis) -> Result<bool, StoreError>;
    /// Forgets at most [`CHAT_ROWS_MAX`] messages of people without an account, the oldest, beyond the `kept`
    /// latest. `true` when there may be more.
    fn prune_guests(&mut self, kept: u32) -> Result<bool, StoreError>;
}

/// How many rooms there may be when somebody begins another by saying something in it: with a user of one's
/// own it takes years of talk to need them, and a list of them all is a megabyte.
pub const ROOMS_MAX: u64 = 10_000;

/// The same for somebody without an account, whom nothing stops from taking the next name: enough for every
/// word that a crowd comes up with, and nine in ten are left to users.
pub const GUEST_ROOMS_MAX: u64 = 1_000;

/// How many rows of each kind a job of [`Chat::prune_chat`] takes: a few milliseconds of the writer's time.
pub const CHAT_ROWS_MAX: usize = 200;
