//! Numbers about a reader, from their progress and ratings. Those that need history are in `readings`.

use std::ops::DerefMut;

use rusqlite::{Connection, params};

use super::manga::chapter;
use super::progress::status;
use super::users::must_exist;
use super::{SqliteStore, in_one_snapshot, readings};
use crate::store::model::{MangaId, Readings, Shelf, StatusCount, Unfinished, UnixMillis, UserId};
use crate::store::{READING_ROWS_MAX, Statistics, StoreError};

impl<C: DerefMut<Target = Connection>> Statistics for SqliteStore<C> {
    fn shelf(&mut self, user: &UserId) -> Result<Shelf, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| shelf(conn, user))
    }

    fn readings(&mut self, user: &UserId, since: Option<UnixMillis>) -> Result<Readings, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| {
            must_exist(conn, user)?;
            readings::read(conn, user, since, READING_ROWS_MAX)
        })
    }

    fn genres_read(&mut self, user: &UserId) -> Result<Vec<(MangaId, String)>, StoreError> {
        genres(&self.conn, user)
    }

    fn unfinished(&mut self, user: &UserId, limit: u32) -> Result<Vec<Unfinished>, StoreError> {
        unfinished(&self.conn, user, limit)
    }
}

fn shelf(conn: &Connection, user: &UserId) -> Result<Shelf, StoreError> {
    must_exist(conn, user)?;
    let mut statement = conn.prepare_cached(
        "SELECT status, count(*), sum(in_library), sum(chapter_thousandths / 1000), sum(rereads)
         FROM progress WHERE user_id = ?1 GROUP BY status ORDER BY status",
    )?;
    let rows = statement.query_map([user.as_str()], |row| {
        let number = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
        Ok(StatusCount {
            status: status(row, 0)?,
            series: number(1)?,
            in_library: number(2)?,
            chapters: number(3)?,
            rereads: number(4)?,
        })
    })?;
    let by_status = rows.collect::<Result<_, _>>()?;
    let ratings: (i64, i64) = conn
        .prepare_cached("SELECT count(*), coalesce(sum(rating), 0) FROM ratings WHERE user_id = ?1")?
        .query_row([user.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Shelf { by_status, ratings: (ratings.0.unsigned_abs(), ratings.1.unsigned_abs()) })
}

fn genres(conn: &Connection, user: &UserId) -> Result<Vec<(MangaId, String)>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT read.manga_id, genres.name
         FROM (SELECT manga_id FROM progress WHERE user_id = ?1
               UNION
               SELECT manga_id FROM forgotten_progress WHERE user_id = ?1) AS read
         JOIN manga_genres ON manga_genres.manga_id = read.manga_id
         JOIN genres ON genres.id = genre_id",
    )?;
    let rows = statement.query_map([user.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn unfinished(conn: &Connection, user: &UserId, limit: u32) -> Result<Vec<Unfinished>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT manga_id, chapter_thousandths, chapters_total_thousandths
         FROM progress JOIN manga ON manga.id = manga_id
         WHERE user_id = ?1 AND progress.status IN ('reading', 're_reading') AND manga.status = 'completed'
           AND chapters_total_thousandths > chapter_thousandths
         ORDER BY progress.updated_at DESC, manga_id DESC LIMIT ?2",
    )?;
    let rows = statement.query_map(params![user.as_str(), limit], |row| {
        Ok(Unfinished {
            manga_id: row.get(0)?,
            chapter: chapter(row, 1)?.unwrap_or_default(),
            chapters_total: chapter(row, 2)?.unwrap_or_default(),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
