//! Verbs on notifications.

use super::StoreError;
use super::model::{
    Audience, Inbox, InboxQuery, MangaId, NewNotice, NoticeId, NoticeKind, NoticeSettings, Notification, Protocols,
    SettingsChange, UnixMillis, UserId,
};

/// What the store does with notifications.
///
/// What a user is shown is what was for them when it was stored, less what they don't want to hear of
/// now. It looks at the newest [`NOTICES_SHOWN`] that were for several, and at what was for this user alone:
/// nothing that is for another user is in the way.
pub trait Notices {
    /// Stores a notification. `None` when the same chapter of the same series was told of less than
    /// [`REPEAT_MS`] ago, unless it insists: nothing is stored then. Of what is for one user alone the newest
    /// [`NOTICES_OWN`] are kept.
    fn add_notice(&mut self, notice: &NewNotice, now: UnixMillis) -> Result<Option<Notification>, StoreError>;
    /// What a user has been told, the latest first.
    fn notices(&mut self, user: &UserId, query: InboxQuery) -> Result<Inbox, StoreError>;
    /// Marks one as read. [`StoreError::NotFound`] when it is not among the user's.
    fn read_notice(&mut self, user: &UserId, id: NoticeId) -> Result<(), StoreError>;
    /// Marks everything stored so far as read.
    fn read_all_notices(&mut self, user: &UserId) -> Result<(), StoreError>;
    /// What a user has neither read nor been sent to their own address, the oldest first; nothing if they
    /// want no datagrams.
    fn undelivered_notices(&mut self, user: &UserId, limit: u32) -> Result<Vec<Notification>, StoreError>;
    /// Notes that everything up to this notification was sent to the user's own address.
    fn notices_delivered(&mut self, user: &UserId, up_to: NoticeId) -> Result<(), StoreError>;
    /// Which of these users a notification is for, as places in `users`, and the ways by which each wants
    /// to hear. More than [`LISTENERS_MAX`] users are [`StoreError::TooMuch`].
    fn audience_among(
        &mut self,
        audience: &Audience,
        kind: NoticeKind,
        manga: Option<MangaId>,
        users: &[UserId],
    ) -> Result<Vec<(usize, Protocols)>, StoreError>;
    /// What a user wants to hear.
    fn notice_settings(&mut self, user: &UserId) -> Result<NoticeSettings, StoreError>;
    /// Changes what a user wants to hear.
    fn change_notice_settings(&mut self, user: &UserId, change: &SettingsChange) -> Result<NoticeSettings, StoreError>;
    /// Mutes a series for a user; once more changes nothing. [`StoreError::TooMuch`] when they have muted
    /// [`MUTES_MAX`].
    fn mute_series(&mut self, user: &UserId, manga: MangaId) -> Result<(), StoreError>;
    /// Lets a user hear of a series again; once more changes nothing.
    fn unmute_series(&mut self, user: &UserId, manga: MangaId) -> Result<(), StoreError>;
    /// Series that a user muted, by key, after the series `after`.
    fn muted_series(&mut self, user: &UserId, after: MangaId, limit: u32) -> Result<Vec<MangaId>, StoreError>;
    /// Deletes notifications stored before `before`, with their marks, at most about `rows_max` rows.
    /// `false` when none is left.
    fn prune_notices(&mut self, before: UnixMillis, rows_max: usize) -> Result<bool, StoreError>;
}

/// How long a chapter that was told of is not told of again: whoever tells may try again, and several
/// groups publish the same chapter within minutes.
pub const REPEAT_MS: i64 = 10 * 60_000;

/// How many notifications for several users, the newest, are looked at for one: some ten milliseconds' work.
pub const NOTICES_SHOWN: i64 = 20_000;

/// How many notifications for one user alone are kept. Users make them themselves, to try out whether they
/// are reached; the oldest make room.
pub const NOTICES_OWN: u32 = 50;

/// The most users in one call of [`Notices::audience_among`]: a few milliseconds of a reader's time.
pub const LISTENERS_MAX: usize = 500;

/// The most series that a user may mute.
pub const MUTES_MAX: u32 = 500;

/// How many rows a job of [`Notices::prune_notices`] takes: a few milliseconds of the writer's time.
pub const PRUNED_ROWS_MAX: usize = 500;
