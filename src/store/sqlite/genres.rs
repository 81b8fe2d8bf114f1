//! Genres: a few dozen names, and which series are of which.

use rusqlite::Connection;

use super::search::{Keys, keys};
use crate::store::StoreError;
use crate::store::model::{Genre, fold_case};

/// Every genre, by name.
pub(super) fn all(conn: &Connection) -> Result<Vec<Genre>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT id, name FROM genres ORDER BY name")?;
    let rows = statement.query_map([], |row| Ok(Genre { id: row.get(0)?, name: row.get(1)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Adds a genre under its name without case.
pub(super) fn create(conn: &Connection, name: &str) -> Result<Genre, StoreError> {
    let name = fold_case(name);
    conn.prepare_cached("INSERT INTO genres (name) VALUES (?1)")?.execute([&name])?;
    Ok(Genre { id: conn.last_insert_rowid(), name })
}

/// The series of a genre, deleted ones among them.
pub(super) fn members(conn: &Connection, genre: i64) -> Result<Keys, StoreError> {
    keys(conn, "SELECT manga_id FROM manga_genres WHERE genre_id = ?1", [genre])
}
