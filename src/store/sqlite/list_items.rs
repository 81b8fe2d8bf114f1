//! What is on a list, and in which order.
//!
//! An item's `place` is a number that only sorts. Where an item comes in between two that leave no
//! number free, the shorter side of the list moves away by one: at most half of it is written.
//! Taking an item off writes nothing else.

use rusqlite::{Connection, params};

use super::manga::bounds;
use super::users::found;
use crate::store::model::{ItemChange, ListId, ListItem, MangaId, UnixMillis, Window};
use crate::store::{ITEMS_MAX, StoreError};

/// A part of a list, in its order.
pub(super) fn page(conn: &Connection, list: ListId, window: Window) -> Result<Vec<ListItem>, StoreError> {
    let (limit, offset) = bounds(window);
    let mut statement = conn.prepare_cached(
        "SELECT manga_id, note, added_at FROM list_items WHERE list_id = ?1 ORDER BY place LIMIT ?2 OFFSET ?3",
    )?;
    let mut position = u64::from(window.offset);
    let rows = statement.query_map(params![list, limit, offset], |row| {
        position += 1;
        Ok(ListItem { manga_id: row.get(0)?, position, note: row.get(1)?, added_at: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Puts a series on a list.
pub(super) fn add(
    conn: &Connection,
    list: ListId,
    manga: MangaId,
    item: &ItemChange,
    now: UnixMillis,
) -> Result<ListItem, StoreError> {
    let others = places(conn, list)?;
    if others.iter().any(|&(other, _)| other == manga) {
        return Err(StoreError::Conflict);
    }
    if others.len() as u64 >= ITEMS_MAX {
        return Err(StoreError::TooMuch);
    }
    let (place, position) = make_room(conn, list, &others, item.position)?;
    conn.prepare_cached(
        "INSERT INTO list_items (list_id, manga_id, place, note, added_at) VALUES (?1, ?2, ?3, nullif(?4, ''), ?5)",
    )?
    .execute(params![list, manga, place, item.note, now])?;
    one(conn, list, manga, position)
}

/// Changes what is said about an item, and moves it where a place is given.
pub(super) fn change(
    conn: &Connection,
    list: ListId,
    manga: MangaId,
    change: &ItemChange,
) -> Result<ListItem, StoreError> {
    let mut others = places(conn, list)?;
    let from = others.iter().position(|&(other, _)| other == manga).ok_or(StoreError::NotFound)?;
    let (_, mut place) = others.remove(from);
    let mut position = from as u64 + 1;
    if change.position.is_some_and(|wanted| wanted != position) {
        (place, position) = make_room(conn, list, &others, change.position)?;
    }
    conn.prepare_cached(
        "UPDATE list_items SET place = ?3, note = iif(?4 IS NULL, note, nullif(?4, ''))
         WHERE list_id = ?1 AND manga_id = ?2",
    )?
    .execute(params![list, manga, place, change.note])?;
    one(conn, list, manga, position)
}

/// Takes a series off a list.
pub(super) fn remove(conn: &Connection, list: ListId, manga: MangaId) -> Result<(), StoreError> {
    let deleted =
        conn.prepare_cached("DELETE FROM list_items WHERE list_id = ?1 AND manga_id = ?2")?.execute([list, manga])?;
    found(deleted)
}

/// Every item's series and place, in order: at most [`ITEMS_MAX`].
fn places(conn: &Connection, list: ListId) -> Result<Vec<(MangaId, i64)>, StoreError> {
    let mut statement =
        conn.prepare_cached("SELECT manga_id, place FROM list_items WHERE list_id = ?1 ORDER BY place")?;
    let rows = statement.query_map([list], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A free place among the others such that the item there has this position; and the position.
fn make_room(
    conn: &Connection,
    list: ListId,
    others: &[(MangaId, i64)],
    position: Option<u64>,
) -> Result<(i64, u64), StoreError> {
    let index = position.map_or(others.len(), |position| others.len().min(position.max(1) as usize - 1));
    let before = index.checked_sub(1).map(|last| others[last].1);
    let after = others.get(index).map(|&(_, place)| place);
    let place = match (before, after) {
        (None, None) => 0,
        (Some(before), None) => before + 1,
        (None, Some(after)) => after - 1,
        (Some(before), Some(after)) if after - before > 1 => before + 1,
        (Some(before), Some(_)) if index <= others.len() - index => {
            conn.prepare_cached("UPDATE list_items SET place = place - 1 WHERE list_id = ?1 AND place <= ?2")?
                .execute([list, before])?;
            before
        }
        (Some(_), Some(after)) => {
            conn.prepare_cached("UPDATE list_items SET place = place + 1 WHERE list_id = ?1 AND place >= ?2")?
                .execute([list, after])?;
            after
        }
    };
    Ok((place, index as u64 + 1))
}

fn one(conn: &Connection, list: ListId, manga: MangaId, position: u64) -> Result<ListItem, StoreError> {
    let mut statement =
        conn.prepare_cached("SELECT note, added_at FROM list_items WHERE list_id = ?1 AND manga_id = ?2")?;
    let item = statement.query_row([list, manga], |row| {
        Ok(ListItem { manga_id: manga, position, note: row.get(0)?, added_at: row.get(1)? })
    })?;
    Ok(item)
}
