//! Who must be silent in chat: where, and until when.
//!
//! A mute that has ended is as if it were not there, and is deleted later.

use rusqlite::{Connection, Row, ToSql, params};

use super::friends::named;
use super::manga::bounds;
use super::users::{by_id, found, listed, user_id};
use crate::store::StoreError;
use crate::store::model::{Mute, NewMute, Page, Role, RoomKey, Silenced, UnixMillis, UserId, Window, guest_key};

/// The mute that keeps a user from speaking there, the one that ends last.
pub(super) fn in_force(
    conn: &Connection,
    user: &UserId,
    room: Option<&RoomKey>,
    now: UnixMillis,
) -> Result<Option<Mute>, StoreError> {
    let sql = concat!(select_mutes!(), " WHERE user_id = ?1 AND +room IN ('', ?2) AND until > ?3");
    last_of(conn, sql, params![user.as_str(), key(room), now])
}

/// The one of them that ends last. They are a few at most and nearly always none, and every message asks: a sorter,
/// which SQLite sets up for no rows as well, would cost as much as storing the message. So would the table that it
/// makes of two rooms to look them up in the index, hence the plus: all rooms of the user's are gone through.
fn last_of(conn: &Connection, sql: &str, params: &[&dyn ToSql]) -> Result<Option<Mute>, StoreError> {
    let mut statement = conn.prepare_cached(sql)?;
    let mutes = statement.query_map(params, mute_of)?.collect::<Result<Vec<_>, _>>()?;
    Ok(mutes.into_iter().max_by_key(|mute| mute.until))
}

/// The same for a user, or for whoever goes by this name without an account.
pub(super) fn in_force_for(
    conn: &Connection,
    user: Option<&UserId>,
    name: &str,
    room: &RoomKey,
    now: UnixMillis,
) -> Result<Option<Mute>, StoreError> {
    if let Some(user) = user {
        return in_force(conn, user, Some(room), now);
    }
    let sql =
        concat!(select_guest_mutes!(), " WHERE (name_key = '' OR name_key = ?1) AND +room IN ('', ?2) AND until > ?3");
    last_of(conn, sql, params![guest_key(name), room.as_str(), now])
}

pub(super) fn mute(conn: &Connection, new: &NewMute) -> Result<Mute, StoreError> {
    let (id, _) = match &new.who {
        Silenced::User(user) => named(conn, user)?,
        Silenced::Guest(name) => return mute_guest(conn, name, new),
    };
    if by_id(conn, &id)?.role == Role::Admin {
        return Err(StoreError::Conflict);
    }
    let room = key(new.room.as_ref());
    conn.prepare_cached(
        "INSERT INTO chat_mutes (user_id, room, until, created_at, muted_by, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (user_id, room) DO UPDATE SET
             until = excluded.until, created_at = excluded.created_at, muted_by = excluded.muted_by,
             reason = excluded.reason",
    )?
    .execute(params![id.as_str(), room, new.until, new.received_at, new.muted_by.as_str(), new.reason])?;
    let sql = concat!(select_mutes!(), " WHERE user_id = ?1 AND room = ?2");
    Ok(conn.prepare_cached(sql)?.query_row(params![id.as_str(), room], mute_of)?)
}

fn mute_guest(conn: &Connection, name: &str, new: &NewMute) -> Result<Mute, StoreError> {
    let (name_key, room) = (guest_key(name), key(new.room.as_ref()));
    conn.prepare_cached(
        "INSERT INTO chat_guest_mutes (name_key, room, username, until, created_at, muted_by, reason)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (name_key, room) DO UPDATE SET
             username = excluded.username, until = excluded.until, created_at = excluded.created_at,
             muted_by = excluded.muted_by, reason = excluded.reason",
    )?
    .execute(params![name_key, room, name, new.until, new.received_at, new.muted_by.as_str(), new.reason])?;
    let sql = concat!(select_guest_mutes!(), " WHERE name_key = ?1 AND room = ?2");
    Ok(conn.prepare_cached(sql)?.query_row(params![name_key, room], mute_of)?)
}

pub(super) fn unmute(
    conn: &Connection,
    who: &Silenced,
    room: Option<&RoomKey>,
) -> Result<(Option<UserId>, String), StoreError> {
    let (sql, of, id, name) = match who {
        Silenced::User(user) => {
            let (id, name) = named(conn, user)?;
            ("DELETE FROM chat_mutes WHERE user_id = ?1 AND room = ?2", id.to_string(), Some(id), name)
        }
        Silenced::Guest(name) => {
            let sql = "DELETE FROM chat_guest_mutes WHERE name_key = ?1 AND room = ?2";
            (sql, guest_key(name), None, name.clone())
        }
    };
    let ended = conn.prepare_cached(sql)?.execute(params![of, key(room)])?;
    found(ended).map(|()| (id, name))
}

pub(super) fn page(conn: &Connection, now: UnixMillis, window: Window) -> Result<Page<Mute>, StoreError> {
    let mut total = conn.prepare_cached(
        "SELECT (SELECT count(*) FROM chat_mutes WHERE until > ?1)
             + (SELECT count(*) FROM chat_guest_mutes WHERE until > ?1)",
    )?;
    let total: i64 = total.query_row([now], |row| row.get(0))?;
    let (limit, offset) = bounds(window);
    let mut statement = conn.prepare_cached(PAGE)?;
    let rows = statement.query_map([now, limit, offset], mute_of)?;
    Ok(Page { items: rows.collect::<Result<_, _>>()?, total: total.unsigned_abs() })
}

pub(super) fn of(conn: &Connection, user: &UserId) -> Result<Vec<Mute>, StoreError> {
    let mut statement = conn.prepare_cached(concat!(select_mutes!(), " WHERE user_id = ?1 ORDER BY room"))?;
    let rows = statement.query_map([user.as_str()], mute_of)?;
    listed(conn, user, rows.collect::<Result<_, _>>()?)
}

/// Everywhere has no key.
fn key(room: Option<&RoomKey>) -> &str {
    room.map_or("", RoomKey::as_str)
}

fn mute_of(row: &Row<'_>) -> Result<Mute, rusqlite::Error> {
    let room = row.get_ref(2)?.as_str()?;
    Ok(Mute {
        user_id: row.get::<_, bool>(7)?.then(|| user_id(row, 0)).transpose()?,
        username: row.get(1)?,
        room: (!room.is_empty()).then(|| RoomKey::stored(room)),
        until: row.get(3)?,
        created_at: row.get(4)?,
        muted_by: row.get_ref(5)?.as_str_or_null()?.map(|_| user_id(row, 5)).transpose()?,
        reason: row.get(6)?,
    })
}

/// The columns that [`mute_of`] reads, in its order. CROSS keeps mutes the outer loop: without any, no user is looked up.
macro_rules! select_mutes {
    () => {
        "SELECT user_id, username, room, until, chat_mutes.created_at, muted_by, reason, TRUE
         FROM chat_mutes CROSS JOIN users ON users.id = user_id"
    };
}
use select_mutes;

/// The same of those who have no account, and no id.
macro_rules! select_guest_mutes {
    () => {
        "SELECT name_key, username, room, until, created_at, muted_by, reason, FALSE FROM chat_guest_mutes"
    };
}
use select_guest_mutes;

pub(super) const PAGE: &str = concat!(
    select_mutes!(),
    " WHERE until > ?1 UNION ALL ",
    select_guest_mutes!(),
    " WHERE until > ?1 ORDER BY until DESC, user_id DESC, room DESC LIMIT ?2 OFFSET ?3"
);
