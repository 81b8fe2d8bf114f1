//! Notifications: one row for all who hear of it, found by asking for whom each row is.
//!
//! A user's notifications are no rows of their own: the newest rows that are for several are walked, and
//! each is held against the user's library and wishes. So telling ten thousand readers writes one row. The
//! rows that are for one user alone are found by that user, so however many others have, none is passed.

use std::ops::DerefMut;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::unknown_word;
use super::manga::{must_exist as must_be_in_catalogue, word};
use super::users::must_exist;
use super::{SqliteStore, in_one_snapshot};
use crate::store::model::{
    Audience, Chapter, Inbox, InboxQuery, Kinds, MangaId, NewNotice, NoticeId, NoticeKind, NoticeManga, NoticeSettings,
    Notification, Protocol, Protocols, SettingsChange, UnixMillis, UserId,
};
use crate::store::{LISTENERS_MAX, MUTES_MAX, NOTICES_OWN, NOTICES_SHOWN, Notices, REPEAT_MS, StoreError};

impl<C: DerefMut<Target = Connection>> Notices for SqliteStore<C> {
    fn add_notice(&mut self, notice: &NewNotice, now: UnixMillis) -> Result<Option<Notification>, StoreError> {
        add(self.writable()?, notice, now)
    }

    fn notices(&mut self, user: &UserId, query: InboxQuery) -> Result<Inbox, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| inbox(conn, user, query))
    }

    fn read_notice(&mut self, user: &UserId, id: NoticeId) -> Result<(), StoreError> {
        read_one(self.writable()?, user, id)
    }

    fn read_all_notices(&mut self, user: &UserId) -> Result<(), StoreError> {
        read_all(self.writable()?, user)
    }

    fn undelivered_notices(&mut self, user: &UserId, limit: u32) -> Result<Vec<Notification>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| undelivered(conn, user, limit))
    }

    fn notices_delivered(&mut self, user: &UserId, up_to: NoticeId) -> Result<(), StoreError> {
        delivered(self.writable()?, user, up_to)
    }

    fn audience_among(
        &mut self,
        audience: &Audience,
        kind: NoticeKind,
        manga: Option<MangaId>,
        users: &[UserId],
    ) -> Result<Vec<(usize, Protocols)>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| among(conn, audience, kind, manga, users))
    }

    fn notice_settings(&mut self, user: &UserId) -> Result<NoticeSettings, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| settings(conn, user))
    }

    fn change_notice_settings(&mut self, user: &UserId, change: &SettingsChange) -> Result<NoticeSettings, StoreError> {
        change_settings(self.writable()?, user, change)
    }

    fn mute_series(&mut self, user: &UserId, manga: MangaId) -> Result<(), StoreError> {
        mute(self.writable()?, user, manga)
    }

    fn unmute_series(&mut self, user: &UserId, manga: MangaId) -> Result<(), StoreError> {
        unmute(self.writable()?, user, manga)
    }

    fn muted_series(&mut self, user: &UserId, after: MangaId, limit: u32) -> Result<Vec<MangaId>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| muted(conn, user, after, limit))
    }

    fn prune_notices(&mut self, before: UnixMillis, rows_max: usize) -> Result<bool, StoreError> {
        prune(self.writable()?, before, rows_max)
    }
}

// ---- storing

fn add(conn: &Connection, new: &NewNotice, now: UnixMillis) -> Result<Option<Notification>, StoreError> {
    let told = &new.notification;
    if told.kind == NoticeKind::NewChapter && !new.insists && was_told(conn, told, now)? {
        return Ok(None);
    }
    let (audience, user) = match &new.audience {
        Audience::Everyone => ("everyone", None),
        Audience::Readers => ("readers", None),
        Audience::User(user) => ("user", Some(user.as_str())),
    };
    conn.prepare_cached(
        "INSERT INTO notifications (kind, audience, user_id, manga_id, chapter_thousandths, old_chapter_thousandths,
                                    chapter_title, release_date, created_at, title, message, changes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute(params![
        told.kind.as_str(),
        audience,
        user,
        told.manga.as_ref().map(|manga| manga.id),
        told.chapter.map(Chapter::thousandths),
        told.old_chapter.map(Chapter::thousandths),
        told.chapter_title,
        told.release_date,
        now,
        told.title,
        told.message,
        serde_json::to_string(&told.changes).unwrap_or_default(),
    ])?;
    let id = conn.last_insert_rowid();
    if let Some(user) = user {
        make_room(conn, user)?;
    }
    Ok(Some(Notification { id, at: now, ..told.clone() }))
}

/// Of what is for one user alone the oldest goes when there is too much: one row for each that comes.
fn make_room(conn: &Connection, user: &str) -> Result<(), StoreError> {
    conn.prepare_cached(
        "DELETE FROM notifications WHERE id IN (
             SELECT id FROM notifications INDEXED BY notifications_by_user WHERE user_id = ?1
             ORDER BY id DESC LIMIT ?2 OFFSET ?3)",
    )?
    .execute(params![user, ROOM_MADE, NOTICES_OWN])?;
    Ok(())
}

fn was_told(conn: &Connection, told: &Notification, now: UnixMillis) -> Result<bool, StoreError> {
    let Some(manga) = &told.manga else { return Ok(false) };
    let mut statement = conn.prepare_cached(
        "SELECT 1 FROM notifications
         WHERE manga_id = ?1 AND kind = ?2 AND chapter_thousandths IS ?3 AND created_at > ?4",
    )?;
    let chapter = told.chapter.map(Chapter::thousandths);
    Ok(statement.exists(params![manga.id, told.kind.as_str(), chapter, now - REPEAT_MS])?)
}

/// The marks go first, so that by then nothing is left for SQLite to delete unasked.
fn prune(conn: &Connection, before: UnixMillis, rows_max: usize) -> Result<bool, StoreError> {
    let oldest = "SELECT id FROM (SELECT id, created_at FROM notifications ORDER BY id LIMIT 1) WHERE created_at < ?1";
    let mut left = rows_max;
    while left > 0 {
        let Some(id) = conn.prepare_cached(oldest)?.query_row([before], |row| row.get::<_, i64>(0)).optional()? else {
            return Ok(false);
        };
        left -= conn
            .prepare_cached(
                "DELETE FROM notification_reads WHERE (user_id, notification_id) IN (
                     SELECT user_id, notification_id FROM notification_reads WHERE notification_id = ?1 LIMIT ?2)",
            )?
            .execute(params![id, left as i64])?;
        if left > 0 {
            left -= conn.prepare_cached("DELETE FROM notifications WHERE id = ?1")?.execute([id])?;
        }
    }
    Ok(true)
}

// ---- whom it is for

/// The user ?1 with their settings, beside each notification `told` that is named before or after it.
macro_rules! and_user {
    () => {
        " CROSS JOIN users
         LEFT JOIN notification_settings AS wishes ON wishes.user_id = users.id
         LEFT JOIN manga ON manga.id = told.manga_id
         WHERE users.id = ?1 "
    };
}

/// The notifications that the user ?1 may be shown, as `told`, after the one ?2: the newest ?3 of those for
/// several, and all that are for this user alone.
macro_rules! seen_by_user {
    () => {
        concat!(
            " FROM (SELECT id FROM notifications INDEXED BY notifications_by_user
                    WHERE user_id IS NULL AND id > max(?2, coalesce(
                        (SELECT id FROM notifications INDEXED BY notifications_by_user
                         WHERE user_id IS NULL ORDER BY id DESC LIMIT 1 OFFSET ?3), 0))
                    UNION ALL
                    SELECT id FROM notifications INDEXED BY notifications_by_user WHERE user_id = ?1 AND id > ?2
                   ) AS seen
              CROSS JOIN notifications AS told ON told.id = seen.id",
            and_user!(),
            is_meant!()
        )
    };
}

/// Whether `told` was for the user when it was stored, and is of a kind and a series that they want to hear of.
macro_rules! is_meant {
    () => {
        concat!(
            " AND CASE told.audience
                  WHEN 'user' THEN told.user_id = users.id
                  WHEN 'everyone' THEN told.created_at >= users.created_at
                  ELSE EXISTS (
                      SELECT 1 FROM progress WHERE progress.user_id = users.id AND progress.manga_id = told.manga_id
                        AND in_library AND coalesce(added_at, 0) <= told.created_at)
                  END
              AND CASE told.kind ",
            wanted!(),
            " AND NOT EXISTS (SELECT 1 FROM notification_mutes AS mutes
                              WHERE mutes.user_id = users.id AND mutes.manga_id = told.manga_id)"
        )
    };
}

/// Whether `wishes` has a kind, after `CASE` and the kind.
macro_rules! wanted {
    () => {
        "WHEN 'NEW_MANGA' THEN coalesce(new_manga, 1)
         WHEN 'NEW_CHAPTER' THEN coalesce(new_chapter, 1)
         WHEN 'MANGA_UPDATE' THEN coalesce(manga_update, 1)
         ELSE 1 END"
    };
}

/// Whether the user has read `told`.
macro_rules! is_read {
    () => {
        "(told.id <= coalesce(read_to, 0) OR EXISTS (
             SELECT 1 FROM notification_reads AS marks
             WHERE marks.user_id = users.id AND marks.notification_id = told.id))"
    };
}

/// The columns that [`notification_of`] reads, in its order.
macro_rules! told_columns {
    () => {
        "told.id, told.kind, told.manga_id, manga.slug, told.title, told.message, told.chapter_thousandths,
         told.old_chapter_thousandths, told.chapter_title, told.release_date, told.changes, told.created_at"
    };
}

fn inbox(conn: &Connection, user: &UserId, query: InboxQuery) -> Result<Inbox, StoreError> {
    must_exist(conn, user)?;
    let (read_to, _) = cursors(conn, user)?;
    let mut statement = conn.prepare_cached(concat!(
        "SELECT ",
        told_columns!(),
        ", ",
        is_read!(),
        seen_by_user!(),
        " AND seen.id < ?4 AND NOT (?5 AND ",
        is_read!(),
        ") ORDER BY seen.id DESC LIMIT ?6"
    ))?;
    let (after, before) = (if query.unread { read_to } else { 0 }, query.before.unwrap_or(i64::MAX));
    let limit = i64::from(query.limit) + 1;
    let rows = statement
        .query_map(params![user.as_str(), after, NOTICES_SHOWN, before, query.unread, limit], |row| {
            Ok((notification_of(row)?, row.get(12)?))
        })?;
    let mut items: Vec<(Notification, bool)> = rows.collect::<Result<_, _>>()?;
    let more = items.len() > query.limit as usize;
    items.truncate(query.limit as usize);
    Ok(Inbox { items, more, unread: count_unread(conn, user, read_to)? })
}

fn count_unread(conn: &Connection, user: &UserId, read_to: NoticeId) -> Result<u64, StoreError> {
    let sql = concat!("SELECT count(*)", seen_by_user!(), " AND NOT ", is_read!());
    let count: i64 =
        conn.prepare_cached(sql)?.query_row(params![user.as_str(), read_to, NOTICES_SHOWN], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

fn undelivered(conn: &Connection, user: &UserId, limit: u32) -> Result<Vec<Notification>, StoreError> {
    must_exist(conn, user)?;
    let (read_to, delivered_to) = cursors(conn, user)?;
    let mut statement = conn.prepare_cached(concat!(
        "SELECT ",
        told_columns!(),
        seen_by_user!(),
        " AND coalesce(udp, 1) AND NOT ",
        is_read!(),
        " ORDER BY seen.id LIMIT ?4"
    ))?;
    let after = read_to.max(delivered_to);
    let rows = statement.query_map(params![user.as_str(), after, NOTICES_SHOWN, limit], notification_of)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn among(
    conn: &Connection,
    audience: &Audience,
    kind: NoticeKind,
    manga: Option<MangaId>,
    users: &[UserId],
) -> Result<Vec<(usize, Protocols)>, StoreError> {
    if users.len() > LISTENERS_MAX {
        return Err(StoreError::TooMuch);
    }
    let mut statement = conn.prepare_cached(concat!(
        "SELECT coalesce(udp, 1), coalesce(websocket, 1), coalesce(tcp, 1), coalesce(webhook, 1)
         FROM users LEFT JOIN notification_settings AS wishes ON wishes.user_id = users.id
         WHERE users.id = ?1
           AND (?2 OR EXISTS (SELECT 1 FROM progress WHERE progress.user_id = ?1 AND manga_id = ?3 AND in_library))
           AND CASE ?4 ",
        wanted!(),
        " AND NOT EXISTS (SELECT 1 FROM notification_mutes AS mutes WHERE mutes.user_id = ?1 AND manga_id = ?3)"
    ))?;
    let anyone = *audience != Audience::Readers;
    let mut found = Vec::new();
    for (place, user) in users.iter().enumerate() {
        let wishes = statement
            .query_row(params![user.as_str(), anyone, manga, kind.as_str()], |row| protocols_at(row, 0))
            .optional()?;
        let meant = !matches!(audience, Audience::User(one) if one != user);
        found.extend(wishes.filter(|_| meant).map(|protocols| (place, protocols)));
    }
    Ok(found)
}

// ---- marks and cursors

/// Up to where a user has read everything, and up to where everything was sent to their own address.
fn cursors(conn: &Connection, user: &UserId) -> Result<(NoticeId, NoticeId), StoreError> {
    let sql = "SELECT read_to, delivered_to FROM notification_settings WHERE user_id = ?1";
    let found = conn.prepare_cached(sql)?.query_row([user.as_str()], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(found.optional()?.unwrap_or_default())
}

fn read_one(conn: &Connection, user: &UserId, id: NoticeId) -> Result<(), StoreError> {
    let sql =
        concat!("SELECT ", is_read!(), " FROM notifications AS told", and_user!(), is_meant!(), " AND told.id = ?2");
    let is_read: bool = conn.prepare_cached(sql)?.query_row(params![user.as_str(), id], |row| row.get(0))?;
    if !is_read {
        conn.prepare_cached("INSERT INTO notification_reads (user_id, notification_id) VALUES (?1, ?2)")?
            .execute(params![user.as_str(), id])?;
    }
    Ok(())
}

/// The marks below say nothing any more. They go some at a time; those left do no harm.
fn read_all(conn: &Connection, user: &UserId) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO notification_settings (user_id, read_to)
         SELECT ?1, coalesce(max(id), 0) FROM notifications WHERE true
         ON CONFLICT (user_id) DO UPDATE SET read_to = max(read_to, excluded.read_to)",
    )?
    .execute([user.as_str()])?;
    conn.prepare_cached(
        "DELETE FROM notification_reads WHERE user_id = ?1 AND notification_id IN (
             SELECT notification_id FROM notification_reads WHERE user_id = ?1 LIMIT ?2)",
    )?
    .execute(params![user.as_str(), MARKS_CLEARED])?;
    Ok(())
}

/// A cursor never passes what is stored: the next notification must not be taken for delivered.
fn delivered(conn: &Connection, user: &UserId, up_to: NoticeId) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO notification_settings (user_id, delivered_to)
         SELECT ?1, min(?2, coalesce(max(id), 0)) FROM notifications WHERE true
         ON CONFLICT (user_id) DO UPDATE SET delivered_to = max(delivered_to, excluded.delivered_to)",
    )?
    .execute(params![user.as_str(), up_to])?;
    Ok(())
}

// ---- wishes

fn settings(conn: &Connection, user: &UserId) -> Result<NoticeSettings, StoreError> {
    must_exist(conn, user)?;
    let mut statement = conn.prepare_cached(
        "SELECT new_manga, new_chapter, manga_update, udp, websocket, tcp, webhook
         FROM notification_settings WHERE user_id = ?1",
    )?;
    let found = statement
        .query_row([user.as_str()], |row| {
            let kinds = Kinds::ALL
                .with(NoticeKind::NewManga, row.get(0)?)
                .with(NoticeKind::NewChapter, row.get(1)?)
                .with(NoticeKind::MangaUpdate, row.get(2)?);
            Ok(NoticeSettings { kinds, protocols: protocols_at(row, 3)? })
        })
        .optional()?;
    Ok(found.unwrap_or(NoticeSettings::ALL))
}

fn change_settings(conn: &Connection, user: &UserId, change: &SettingsChange) -> Result<NoticeSettings, StoreError> {
    let NoticeSettings { kinds, protocols } = settings(conn, user)?.changed(change);
    conn.prepare_cached(
        "INSERT INTO notification_settings (user_id, new_manga, new_chapter, manga_update, udp, websocket, tcp, webhook)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (user_id) DO UPDATE SET
             new_manga = excluded.new_manga, new_chapter = excluded.new_chapter, manga_update = excluded.manga_update,
             udp = excluded.udp, websocket = excluded.websocket, tcp = excluded.tcp, webhook = excluded.webhook",
    )?
    .execute(params![
        user.as_str(),
        kinds.has(NoticeKind::NewManga),
        kinds.has(NoticeKind::NewChapter),
        kinds.has(NoticeKind::MangaUpdate),
        protocols.has(Protocol::Udp),
        protocols.has(Protocol::Websocket),
        protocols.has(Protocol::Tcp),
        protocols.has(Protocol::Webhook),
    ])?;
    Ok(NoticeSettings { kinds, protocols })
}

fn mute(conn: &Connection, user: &UserId, manga: MangaId) -> Result<(), StoreError> {
    must_be_in_catalogue(conn, manga)?;
    let muted: u32 = conn
        .prepare_cached("SELECT count(*) FROM notification_mutes WHERE user_id = ?1 AND manga_id <> ?2")?
        .query_row(params![user.as_str(), manga], |row| row.get(0))?;
    if muted >= MUTES_MAX {
        return Err(StoreError::TooMuch);
    }
    conn.prepare_cached("INSERT INTO notification_mutes (user_id, manga_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute(params![user.as_str(), manga])?;
    Ok(())
}

fn unmute(conn: &Connection, user: &UserId, manga: MangaId) -> Result<(), StoreError> {
    must_exist(conn, user)?;
    conn.prepare_cached("DELETE FROM notification_mutes WHERE user_id = ?1 AND manga_id = ?2")?
        .execute(params![user.as_str(), manga])?;
    Ok(())
}

fn muted(conn: &Connection, user: &UserId, after: MangaId, limit: u32) -> Result<Vec<MangaId>, StoreError> {
    must_exist(conn, user)?;
    let mut statement = conn.prepare_cached(
        "SELECT manga_id FROM notification_mutes WHERE user_id = ?1 AND manga_id > ?2 ORDER BY manga_id LIMIT ?3",
    )?;
    let rows = statement.query_map(params![user.as_str(), after, limit], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

// ---- rows

fn notification_of(row: &Row<'_>) -> Result<Notification, rusqlite::Error> {
    let (id, slug): (Option<MangaId>, Option<String>) = (row.get(2)?, row.get(3)?);
    let chapter =
        |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.and_then(Chapter::from_thousandths));
    let changes = row.get_ref(10)?.as_str()?;
    Ok(Notification {
        id: row.get(0)?,
        kind: word(row, 1, NoticeKind::parse)?.ok_or_else(|| unknown_word(1, "NULL"))?,
        manga: id.map(|id| NoticeManga { id, slug: slug.unwrap_or_else(|| id.to_string()) }),
        title: row.get(4)?,
        message: row.get(5)?,
        chapter: chapter(6)?,
        old_chapter: chapter(7)?,
        chapter_title: row.get(8)?,
        release_date: row.get(9)?,
        changes: serde_json::from_str(changes).map_err(|_| unknown_word(10, changes))?,
        at: row.get(11)?,
    })
}

fn protocols_at(row: &Row<'_>, column: usize) -> Result<Protocols, rusqlite::Error> {
    Ok(Protocols::ALL
        .with(Protocol::Udp, row.get(column)?)
        .with(Protocol::Websocket, row.get(column + 1)?)
        .with(Protocol::Tcp, row.get(column + 2)?)
        .with(Protocol::Webhook, row.get(column + 3)?))
}

/// How many notifications of one user alone go at a time, should there be that many: one is usual.
const ROOM_MADE: u32 = 100;

/// How many marks that say nothing any more are cleared at a time.
const MARKS_CLEARED: i64 = 500;
