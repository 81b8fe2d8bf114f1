//! Who must be silent in chat: where, and until when.
//!
//! A mute that has ended is as if it were not there, and is deleted later.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::friends::named;
use super::manga::bounds;
use super::users::{by_id, found, listed, user_id};
use crate::store::StoreError;
use crate::store::model::{Mute, NewMute, Page, Role, RoomKey, UnixMillis, UserId, Window};

/// The mute that keeps a user from speaking there, the one that ends last.
pub(super) fn in_force(
    conn: &Connection,
    user: &UserId,
    room: Option<&RoomKey>,
    now: UnixMillis,
) -> Result<Option<Mute>, StoreError> {
    let sql = concat!(
        select_mutes!(),
        " WHERE user_id = ?1 AND (room = '' OR room = ?2) AND until > ?3 ORDER BY until DESC LIMIT 1"
    );
    let mut statement = conn.prepare_cached(sql)?;
    Ok(statement.query_row(params![user.as_str(), key(room), now], mute_of).optional()?)
}

pub(super) fn mute(conn: &Connection, new: &NewMute) -> Result<Mute, StoreError> {
    let (id, _) = named(conn, &new.user)?;
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

pub(super) fn unmute(conn: &Connection, user: &str, room: Option<&RoomKey>) -> Result<(UserId, String), StoreError> {
    let user = named(conn, user)?;
    let ended = conn
        .prepare_cached("DELETE FROM chat_mutes WHERE user_id = ?1 AND room = ?2")?
        .execute(params![user.0.as_str(), key(room)])?;
    found(ended).map(|()| user)
}

pub(super) fn page(conn: &Connection, now: UnixMillis, window: Window) -> Result<Page<Mute>, StoreError> {
    let mut total = conn.prepare_cached("SELECT count(*) FROM chat_mutes WHERE until > ?1")?;
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
        user_id: user_id(row, 0)?,
        username: row.get(1)?,
        room: (!room.is_empty()).then(|| RoomKey::stored(room)),
        until: row.get(3)?,
        created_at: row.get(4)?,
        muted_by: row.get_ref(5)?.as_str_or_null()?.map(|_| user_id(row, 5)).transpose()?,
        reason: row.get(6)?,
    })
}

/// The columns that [`mute_of`] reads, in its order.
macro_rules! select_mutes {
    () => {
        "SELECT user_id, username, room, until, chat_mutes.created_at, muted_by, reason
         FROM chat_mutes JOIN users ON users.id = user_id"
    };
}
use select_mutes;

pub(super) const PAGE: &str =
    concat!(select_mutes!(), " WHERE until > ?1 ORDER BY until DESC, user_id DESC, room DESC LIMIT ?2 OFFSET ?3");
