//! What readers aim at: at most one row for each user and period.

use std::ops::DerefMut;

use rusqlite::{Connection, Row, params};

use super::SqliteStore;
use super::error::unknown_word;
use super::manga::word;
use super::users::{found, must_exist};
use crate::store::model::{Goal, Period, UnixMillis, UserId};
use crate::store::{Goals, StoreError};

impl<C: DerefMut<Target = Connection>> Goals for SqliteStore<C> {
    fn goals(&mut self, user: &UserId) -> Result<Vec<Goal>, StoreError> {
        goals(&self.conn, user)
    }

    fn set_goal(&mut self, user: &UserId, period: Period, target: u32, now: UnixMillis) -> Result<Goal, StoreError> {
        set(self.writable()?, user, period, target, now)
    }

    fn delete_goal(&mut self, user: &UserId, period: Period) -> Result<(), StoreError> {
        delete(self.writable()?, user, period)
    }
}

fn goals(conn: &Connection, user: &UserId) -> Result<Vec<Goal>, StoreError> {
    must_exist(conn, user)?;
    let mut statement =
        conn.prepare_cached("SELECT period, target, created_at, updated_at FROM goals WHERE user_id = ?1")?;
    let rows = statement.query_map([user.as_str()], goal_of)?;
    let mut goals: Vec<Goal> = rows.collect::<Result<_, _>>()?;
    goals.sort_by_key(|goal| goal.period as u8);
    Ok(goals)
}

fn set(conn: &Connection, user: &UserId, period: Period, target: u32, now: UnixMillis) -> Result<Goal, StoreError> {
    conn.prepare_cached(
        "INSERT INTO goals (user_id, period, target, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?4)
         ON CONFLICT (user_id, period) DO UPDATE SET
             target = excluded.target, updated_at = max(updated_at, excluded.updated_at)",
    )?
    .execute(params![user.as_str(), period.as_str(), target, now])?;
    let mut statement = conn.prepare_cached(
        "SELECT period, target, created_at, updated_at FROM goals WHERE user_id = ?1 AND period = ?2",
    )?;
    Ok(statement.query_row(params![user.as_str(), period.as_str()], goal_of)?)
}

fn delete(conn: &Connection, user: &UserId, period: Period) -> Result<(), StoreError> {
    let deleted = conn
        .prepare_cached("DELETE FROM goals WHERE user_id = ?1 AND period = ?2")?
        .execute(params![user.as_str(), period.as_str()])?;
    found(deleted)
}

fn goal_of(row: &Row<'_>) -> Result<Goal, rusqlite::Error> {
    Ok(Goal {
        period: word(row, 0, Period::parse)?.ok_or_else(|| unknown_word(0, "NULL"))?,
        target: row.get(1)?,
        created_at: row.get(2)?,
        updated_at: row.get(3)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::fresh;
    use super::*;

    /// Shows that goals go with their user, and nobody else's do.
    #[test]
    fn goals_go_with_their_user() {
        let (_folder, conn) = fresh();
        conn.execute_batch(
            "INSERT INTO users VALUES ('ann', 'ann', 'ann', 'x', 'user', 0, 0), ('bob', 'bob', 'bob', 'x', 'user', 0, 0);
             INSERT INTO goals VALUES ('ann', 'day', 1, 0, 0), ('ann', 'year', 1, 0, 0), ('bob', 'day', 2, 0, 0);
             DELETE FROM users WHERE id = 'ann';",
        )
        .unwrap();
        let left = goals(&conn, &UserId::parse("bob").unwrap()).unwrap();
        assert_eq!(left, [Goal { period: Period::Day, target: 2, created_at: 0, updated_at: 0 }]);
        let rows: i64 = conn.query_row("SELECT count(*) FROM goals", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 1);
    }
}
