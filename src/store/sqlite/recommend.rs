//! Tastes: everyone's in slices, one reader's whole, and what most people read.

use std::ops::DerefMut;

use rusqlite::{Connection, Row, params};

use super::manga::word;
use super::users::{must_exist, user_id};
use super::{SqliteStore, in_one_snapshot};
use crate::store::model::{MangaId, ReadingStatus, Taste, TastePlace, TasteSlice, UserId};
use crate::store::{StoreError, Tastes};

impl<C: DerefMut<Target = Connection>> Tastes for SqliteStore<C> {
    fn tastes_after(&mut self, after: Option<&TastePlace>, limit: u32) -> Result<TasteSlice, StoreError> {
        self::after(&self.conn, after, limit)
    }

    fn tastes_of(&mut self, user: &UserId) -> Result<Vec<Taste>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| of(conn, user))
    }

    fn popular(&mut self, user: &UserId, genre: Option<&str>, limit: u32) -> Result<Vec<MangaId>, StoreError> {
        popular(&self.conn, user, genre, limit)
    }
}

/// Private rows are read and left out: so a slice is never longer than it says, whatever it finds.
fn after(conn: &Connection, after: Option<&TastePlace>, limit: u32) -> Result<TasteSlice, StoreError> {
    let (user, manga) = after.map_or(("", 0), |(user, manga)| (user.as_str(), *manga));
    let mut statement = conn.prepare_cached(AFTER)?;
    let mut rows = statement.query(params![user, manga, limit])?;
    let (mut tastes, mut last, mut seen) = (Vec::new(), None::<TastePlace>, 0);
    while let Some(row) = rows.next()? {
        let user = match last.take() {
            Some((user, _)) if user.as_str() == row.get_ref(4)?.as_str().unwrap_or_default() => user,
            _ => user_id(row, 4)?,
        };
        let taste = taste(row)?;
        last = Some((user.clone(), taste.manga_id));
        seen += 1;
        if !row.get::<_, bool>(5)? {
            tastes.push((user, taste));
        }
    }
    Ok(TasteSlice { tastes, next: last.filter(|_| seen == limit) })
}

fn of(conn: &Connection, user: &UserId) -> Result<Vec<Taste>, StoreError> {
    must_exist(conn, user)?;
    let mut statement = conn.prepare_cached(OF)?;
    let rows = statement.query_map([user.as_str()], taste)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Without a genre this reads the whole catalogue: 100,000 series take a tenth of a second. Only
/// somebody whose genres have nothing left for them gets there.
fn popular(conn: &Connection, user: &UserId, genre: Option<&str>, limit: u32) -> Result<Vec<MangaId>, StoreError> {
    let mut statement = conn.prepare_cached(match genre {
        Some(_) => concat!(
            "SELECT manga.id FROM genres JOIN manga_genres ON genre_id = genres.id JOIN manga ON manga.id = manga_id
             WHERE genres.name = ?3 AND ",
            unknown_and_popular!()
        ),
        None => concat!("SELECT manga.id FROM manga WHERE ?3 IS NULL AND ", unknown_and_popular!()),
    })?;
    let rows = statement.query_map(params![user.as_str(), limit, genre], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn taste(row: &Row<'_>) -> Result<Taste, rusqlite::Error> {
    Ok(Taste {
        manga_id: row.get(0)?,
        status: word(row, 1, ReadingStatus::parse)?,
        rating: row.get(2)?,
        updated_at: row.get(3)?,
    })
}

/// ?1 and ?2 the place, ?3 how many rows.
const AFTER: &str = "SELECT manga_id, status,
        (SELECT rating FROM ratings WHERE ratings.user_id = progress.user_id AND ratings.manga_id = progress.manga_id),
        updated_at, user_id, private
    FROM progress WHERE (user_id, manga_id) > (?1, ?2) ORDER BY user_id, manga_id LIMIT ?3";

const OF: &str = "SELECT progress.manga_id, status, rating, progress.updated_at
    FROM progress LEFT JOIN ratings USING (user_id, manga_id) WHERE user_id = ?1
    UNION ALL
    SELECT manga_id, NULL, rating, updated_at FROM ratings
    WHERE user_id = ?1
      AND NOT EXISTS (SELECT 1 FROM progress WHERE user_id = ?1 AND progress.manga_id = ratings.manga_id)
    ORDER BY 1";

/// What ?1 has nothing to do with, at most ?2, in the same order every time.
macro_rules! unknown_and_popular {
    () => {
        "NOT EXISTS (SELECT 1 FROM progress WHERE user_id = ?1 AND progress.manga_id = manga.id)
         AND NOT EXISTS (SELECT 1 FROM ratings WHERE user_id = ?1 AND ratings.manga_id = manga.id)
         ORDER BY readers DESC, CAST(rating_sum AS REAL) / max(rating_count, 1) DESC, manga.id LIMIT ?2"
    };
}
use unknown_and_popular;

#[cfg(test)]
mod tests {
    use super::super::fresh;
    use super::*;

    /// Shows that a slice of everyone's tastes goes straight to its place, and sorts nothing.
    #[test]
    fn a_slice_is_found_by_the_primary_key() {
        let (_folder, conn) = fresh();
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {AFTER}")).unwrap();
        let plan: Vec<String> =
            statement.query_map(params!["a", 1, 5], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        assert!(plan[0].starts_with("SEARCH progress USING PRIMARY KEY ((user_id,manga_id)>"), "{plan:?}");
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:?}");
    }
}
