//! Chat: what was said, and where.
//!
//! A message that was deleted keeps its row, so that its number leads nowhere else, and is shown to nobody.
//! Who must be silent is in `mutes`.

use std::ops::DerefMut;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::unknown_word;
use super::friends::named;
use super::manga::bounds;
use super::users::{found, listed, user_id};
use super::{SqliteStore, in_one_snapshot, mutes};
use crate::store::model::{
    Message, MessageId, Messages, Mute, NewMessage, NewMute, NewPrivateMessage, Page, Place, Posted, RoomKey, RoomRow,
    Silenced, Speaker, UnixMillis, UserId, Window,
};
use crate::store::{CHAT_ROWS_MAX, Chat, GUEST_ROOMS_MAX, ROOMS_MAX, StoreError};

impl<C: DerefMut<Target = Connection>> Chat for SqliteStore<C> {
    fn post_message(&mut self, message: &NewMessage) -> Result<Posted, StoreError> {
        post(self.writable()?, message)
    }

    fn post_private(&mut self, message: &NewPrivateMessage) -> Result<Posted, StoreError> {
        post_private(self.writable()?, message)
    }

    fn room_messages(&mut self, room: &RoomKey, before: Option<MessageId>, limit: u32) -> Result<Messages, StoreError> {
        room_messages(&self.conn, room, before, limit)
    }

    fn private_messages(
        &mut self,
        user: &UserId,
        with: &str,
        before: Option<MessageId>,
        limit: u32,
    ) -> Result<Messages, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| private_messages(conn, user, with, before, limit))
    }

    fn message(&mut self, id: MessageId) -> Result<Message, StoreError> {
        message(&self.conn, id)
    }

    fn delete_message(&mut self, id: MessageId, by: &UserId, at: UnixMillis) -> Result<(), StoreError> {
        delete(self.writable()?, id, by, at)
    }

    fn rooms(&mut self, also: &[RoomKey], window: Window) -> Result<Page<RoomRow>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| rooms(conn, also, window))
    }

    fn mute(&mut self, mute: &NewMute) -> Result<Mute, StoreError> {
        mutes::mute(self.writable()?, mute)
    }

    fn unmute(&mut self, who: &Silenced, room: Option<&RoomKey>) -> Result<(Option<UserId>, String), StoreError> {
        mutes::unmute(self.writable()?, who, room)
    }

    fn mute_in_force(
        &mut self,
        user: Option<&UserId>,
        name: &str,
        room: &RoomKey,
        now: UnixMillis,
    ) -> Result<Option<Mute>, StoreError> {
        mutes::in_force_for(&self.conn, user, name, room, now)
    }

    fn mutes(&mut self, now: UnixMillis, window: Window) -> Result<Page<Mute>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| mutes::page(conn, now, window))
    }

    fn messages_by(&mut self, user: &UserId, after: MessageId, limit: u32) -> Result<Vec<Message>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| messages_by(conn, user, after, limit))
    }

    fn mutes_of(&mut self, user: &UserId) -> Result<Vec<Mute>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| mutes::of(conn, user))
    }

    fn prune_chat(&mut self, oldest: Option<UnixMillis>, now: UnixMillis) -> Result<bool, StoreError> {
        prune(self.writable()?, oldest, now)
    }

    fn prune_guests(&mut self, kept: u32) -> Result<bool, StoreError> {
        prune_guests(self.writable()?, kept)
    }
}

fn post(conn: &Connection, new: &NewMessage) -> Result<Posted, StoreError> {
    if new.speaker != Speaker::System
        && let Some(mute) = mutes::in_force_for(conn, new.user_id.as_ref(), &new.username, &new.room, new.received_at)?
    {
        return Ok(Posted::Muted(mute));
    }
    if !has_room(conn, &new.room, new.speaker)? {
        return Ok(Posted::NoRoom);
    }
    conn.prepare_cached(
        "INSERT INTO chat_messages (room, speaker, user_id, username, created_at, content)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        new.room.as_str(),
        new.speaker.as_str(),
        new.user_id.as_ref().map(UserId::as_str),
        new.username,
        new.received_at,
        new.content
    ])?;
    let id = conn.last_insert_rowid();
    conn.prepare_cached(SPOKEN_IN)?.execute(params![new.room.as_str(), new.received_at])?;
    Ok(Posted::Stored(Message {
        id,
        place: Place::Room(new.room.clone()),
        speaker: new.speaker,
        user_id: new.user_id.clone(),
        username: new.username.clone(),
        created_at: new.received_at,
        content: new.content.clone(),
    }))
}

/// Whether something may be said there. The rooms of series are as many as those are; a room with a name is
/// made by what is said in it, and nobody makes too many.
fn has_room(conn: &Connection, room: &RoomKey, speaker: Speaker) -> Result<bool, StoreError> {
    if room.manga().is_some() || *room == RoomKey::general() {
        return Ok(true);
    }
    let known = conn.prepare_cached("SELECT 1 FROM chat_rooms WHERE room = ?1")?.exists([room.as_str()])?;
    let most = if speaker == Speaker::Guest { GUEST_ROOMS_MAX } else { ROOMS_MAX };
    Ok(known || rooms_stored(conn)? < most)
}

fn rooms_stored(conn: &Connection) -> Result<u64, StoreError> {
    let stored: i64 = conn.prepare_cached("SELECT count(*) FROM chat_rooms")?.query_row([], |row| row.get(0))?;
    Ok(stored.unsigned_abs())
}

/// What somebody says to another is kept from them where they must be silent everywhere.
fn post_private(conn: &Connection, new: &NewPrivateMessage) -> Result<Posted, StoreError> {
    let (to, _) = named(conn, &new.to)?;
    if let Some(mute) = mutes::in_force(conn, &new.from, None, new.received_at)? {
        return Ok(Posted::Muted(mute));
    }
    conn.prepare_cached(
        "INSERT INTO chat_messages (speaker, user_id, to_id, username, created_at, content)
         VALUES ('user', ?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![new.from.as_str(), to.as_str(), new.username, new.received_at, new.content])?;
    message(conn, conn.last_insert_rowid()).map(Posted::Stored)
}

fn room_messages(
    conn: &Connection,
    room: &RoomKey,
    before: Option<MessageId>,
    limit: u32,
) -> Result<Messages, StoreError> {
    let mut statement = conn.prepare_cached(IN_ROOM)?;
    let rows = statement
        .query_map(params![room.as_str(), before.unwrap_or(MessageId::MAX), i64::from(limit) + 1], message_of)?;
    Ok(page_of(rows.collect::<Result<_, _>>()?, limit))
}

fn private_messages(
    conn: &Connection,
    user: &UserId,
    with: &str,
    before: Option<MessageId>,
    limit: u32,
) -> Result<Messages, StoreError> {
    let (with, _) = named(conn, with)?;
    let mut statement = conn.prepare_cached(BETWEEN_TWO)?;
    let (low, high) = (user.min(&with), user.max(&with));
    let rows = statement.query_map(
        params![low.as_str(), high.as_str(), before.unwrap_or(MessageId::MAX), i64::from(limit) + 1],
        message_of,
    )?;
    Ok(page_of(rows.collect::<Result<_, _>>()?, limit))
}

/// What was read, newest first and one more than asked for, as it is shown.
fn page_of(mut rows: Vec<Message>, limit: u32) -> Messages {
    let more = rows.len() as u64 > u64::from(limit);
    rows.truncate(limit as usize);
    rows.reverse();
    Messages { items: rows, more }
}

fn message(conn: &Connection, id: MessageId) -> Result<Message, StoreError> {
    let sql = concat!(select_messages!(), " WHERE said.id = ?1 AND deleted_at IS NULL");
    Ok(conn.prepare_cached(sql)?.query_row([id], message_of)?)
}

fn delete(conn: &Connection, id: MessageId, by: &UserId, at: UnixMillis) -> Result<(), StoreError> {
    let deleted = conn
        .prepare_cached(
            "UPDATE chat_messages SET content = '', deleted_at = ?3, deleted_by = ?2
             WHERE id = ?1 AND deleted_at IS NULL",
        )?
        .execute(params![id, by.as_str(), at])?;
    found(deleted)
}

/// The rooms of `also` that are stored are looked up one by one: they are those that somebody is in.
fn rooms(conn: &Connection, also: &[RoomKey], window: Window) -> Result<Page<RoomRow>, StoreError> {
    let stored = rooms_stored(conn)?;
    let mut is_stored = conn.prepare_cached("SELECT 1 FROM chat_rooms WHERE room = ?1")?;
    let mut fresh = Vec::new();
    for room in also {
        if is_stored.query_row([room.as_str()], |_| Ok(())).optional()?.is_none() {
            fresh.push(RoomRow { room: room.clone(), last_at: None });
        }
    }
    let (limit, offset) = bounds(window);
    let mut statement = conn.prepare_cached(ROOMS)?;
    let rows = statement.query_map([limit, offset], |row| {
        Ok(RoomRow { room: RoomKey::stored(row.get_ref(0)?.as_str()?), last_at: Some(row.get(1)?) })
    })?;
    let mut items: Vec<RoomRow> = rows.collect::<Result<_, _>>()?;
    let total = stored + fresh.len() as u64;
    fresh.sort_by(|one, other| one.room.cmp(&other.room));
    let skip = u64::from(window.offset).saturating_sub(stored) as usize;
    let room_for = window.limit.map_or(usize::MAX, |limit| (limit as usize).saturating_sub(items.len()));
    items.extend(fresh.into_iter().skip(skip).take(room_for));
    Ok(Page { items, total })
}

fn messages_by(conn: &Connection, user: &UserId, after: MessageId, limit: u32) -> Result<Vec<Message>, StoreError> {
    let mut statement = conn.prepare_cached(BY_USER)?;
    let rows = statement.query_map(params![user.as_str(), after, limit], message_of)?;
    listed(conn, user, rows.collect::<Result<_, _>>()?)
}

/// The oldest messages have the smallest numbers, so no index of times is needed.
fn prune(conn: &Connection, oldest: Option<UnixMillis>, now: UnixMillis) -> Result<bool, StoreError> {
    let mut most = 0;
    for sql in [ENDED_MUTES, ENDED_GUEST_MUTES] {
        most = most.max(conn.prepare_cached(sql)?.execute(params![now, CHAT_ROWS_MAX as i64])?);
    }
    for sql in [OLD_MESSAGES, OLD_ROOMS] {
        let Some(oldest) = oldest else { break };
        most = most.max(conn.prepare_cached(sql)?.execute(params![oldest, CHAT_ROWS_MAX as i64])?);
    }
    Ok(most >= CHAT_ROWS_MAX)
}

fn prune_guests(conn: &Connection, kept: u32) -> Result<bool, StoreError> {
    let forgotten = conn.prepare_cached(BEYOND_GUESTS)?.execute(params![kept, CHAT_ROWS_MAX as i64])?;
    Ok(forgotten >= CHAT_ROWS_MAX)
}

fn message_of(row: &Row<'_>) -> Result<Message, rusqlite::Error> {
    let speaker = row.get_ref(2)?.as_str()?;
    let place = match row.get_ref(1)?.as_str_or_null()? {
        Some(key) => Place::Room(RoomKey::stored(key)),
        None => Place::To { id: user_id(row, 7)?, username: row.get(8)? },
    };
    Ok(Message {
        id: row.get(0)?,
        place,
        speaker: Speaker::parse(speaker).ok_or_else(|| unknown_word(2, speaker))?,
        user_id: row.get_ref(3)?.as_str_or_null()?.map(|_| user_id(row, 3)).transpose()?,
        username: row.get(4)?,
        created_at: row.get(5)?,
        content: row.get(6)?,
    })
}

/// The columns that [`message_of`] reads, in its order.
macro_rules! select_messages {
    () => {
        "SELECT said.id, room, speaker, user_id, said.username, said.created_at, content, to_id, recipient.username
         FROM chat_messages AS said LEFT JOIN users AS recipient ON recipient.id = to_id"
    };
}
use select_messages;

const IN_ROOM: &str = concat!(
    select_messages!(),
    " WHERE room = ?1 AND said.id < ?2 AND deleted_at IS NULL ORDER BY said.id DESC LIMIT ?3"
);

const BETWEEN_TWO: &str = concat!(
    select_messages!(),
    " WHERE min(user_id, to_id) = ?1 AND max(user_id, to_id) = ?2 AND to_id IS NOT NULL
          AND said.id < ?3 AND deleted_at IS NULL ORDER BY said.id DESC LIMIT ?4"
);

const BY_USER: &str = concat!(
    select_messages!(),
    " WHERE user_id = ?1 AND said.id > ?2 AND deleted_at IS NULL ORDER BY said.id LIMIT ?3"
);

/// A room's time is exact to the second: a lively room then costs its messages' commits no two pages more.
const SPOKEN_IN: &str = "INSERT INTO chat_rooms (room, last_at) VALUES (?1, ?2)
    ON CONFLICT (room) DO UPDATE SET last_at = excluded.last_at WHERE excluded.last_at >= last_at + 1000";

const ROOMS: &str = "SELECT room, last_at FROM chat_rooms ORDER BY last_at DESC, room DESC LIMIT ?1 OFFSET ?2";

const OLD_MESSAGES: &str = "DELETE FROM chat_messages WHERE id IN (
    SELECT id FROM (SELECT id, created_at FROM chat_messages ORDER BY id LIMIT ?2) WHERE created_at < ?1)";

const OLD_ROOMS: &str = "DELETE FROM chat_rooms WHERE room IN (
    SELECT room FROM chat_rooms WHERE last_at < ?1 ORDER BY last_at LIMIT ?2)";

const ENDED_MUTES: &str = "DELETE FROM chat_mutes WHERE (user_id, room) IN (
    SELECT user_id, room FROM chat_mutes WHERE until <= ?1 ORDER BY until LIMIT ?2)";

const ENDED_GUEST_MUTES: &str = "DELETE FROM chat_guest_mutes WHERE (name_key, room) IN (
    SELECT name_key, room FROM chat_guest_mutes WHERE until <= ?1 ORDER BY until LIMIT ?2)";

const BEYOND_GUESTS: &str = "DELETE FROM chat_messages WHERE id IN (
    SELECT id FROM chat_messages WHERE speaker = 'guest'
        AND id <= (SELECT id FROM chat_messages WHERE speaker = 'guest' ORDER BY id DESC LIMIT 1 OFFSET ?1)
    ORDER BY id LIMIT ?2)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::migrations;

    fn plan(conn: &Connection, sql: &str) -> String {
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let none = vec![rusqlite::types::Null; statement.parameter_count()];
        let steps = statement.query_map(rusqlite::params_from_iter(none), |row| row.get::<_, String>(3)).unwrap();
        steps.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
    }

    /// Shows, by SQLite's own plans, that every list comes off an index in its order.
    #[test]
    fn lists_are_read_off_an_index() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrations::run(&mut conn, migrations::LANDED).unwrap();
        for (sql, index) in [
            (IN_ROOM, "chat_messages_by_room"),
            (BETWEEN_TWO, "chat_messages_by_pair"),
            (BY_USER, "chat_messages_by_user"),
            (ROOMS, "chat_rooms_by_last"),
            (OLD_ROOMS, "chat_rooms_by_last"),
            (ENDED_MUTES, "chat_mutes_by_end"),
            (ENDED_GUEST_MUTES, "chat_guest_mutes_by_end"),
            (BEYOND_GUESTS, "chat_messages_by_guests"),
            (mutes::PAGE, "chat_mutes_by_end"),
            (mutes::PAGE, "chat_guest_mutes_by_end"),
        ] {
            let plan = plan(&conn, sql);
            assert!(plan.contains(index), "{index}: {plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
    }

    /// Shows that a list is planned once, however much of it is asked for. SQLite's default is to look at the limit
    /// that is bound, and to plan anew at each.
    #[test]
    fn a_list_is_planned_once() {
        let (_folder, conn) = super::super::fresh();
        let mut statement = conn.prepare(IN_ROOM).unwrap();
        for limit in 1..10_i64 {
            let rows = statement.query_map(params!["general", MessageId::MAX, limit], message_of).unwrap();
            assert_eq!(rows.count(), 0);
        }
        assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0);
    }
}
