//! Users: who they are, and from when on their tokens count.

use std::ops::DerefMut;

use rusqlite::{Connection, Row, params};

use super::SqliteStore;
use super::error::unknown_word;
use crate::store::model::{Role, User, UserId, Voiding};
use crate::store::{Accounts, StoreError};

impl<C: DerefMut<Target = Connection>> Accounts for SqliteStore<C> {
    fn create_user(&mut self, user: &User) -> Result<(), StoreError> {
        create(self.writable()?, user)
    }

    fn user(&mut self, id: &UserId) -> Result<User, StoreError> {
        by_id(&self.conn, id)
    }

    fn user_by_login(&mut self, login: &str) -> Result<User, StoreError> {
        by_login(&self.conn, login)
    }

    fn set_password(&mut self, id: &UserId, hash: &str, voiding: Voiding) -> Result<(), StoreError> {
        set_password(self.writable()?, id, hash, voiding)
    }

    fn set_valid_from(&mut self, id: &UserId, valid_from: i64) -> Result<(), StoreError> {
        set_valid_from(self.writable()?, id, valid_from)
    }

    fn revocations(&mut self, since: i64) -> Result<Vec<(UserId, i64)>, StoreError> {
        revocations(&self.conn, since)
    }
}

pub(super) fn create(conn: &Connection, user: &User) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO users (id, username, email, password_hash, role, valid_from, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        user.id.as_str(),
        user.username,
        user.email,
        user.password_hash,
        user.role.as_str(),
        user.valid_from,
        user.created_at
    ])?;
    Ok(())
}

pub(super) fn by_id(conn: &Connection, id: &UserId) -> Result<User, StoreError> {
    let sql = concat!("SELECT ", user_columns!(), " FROM users WHERE id = ?1");
    Ok(conn.prepare_cached(sql)?.query_row([id.as_str()], user_of)?)
}

pub(super) fn by_login(conn: &Connection, login: &str) -> Result<User, StoreError> {
    let sql = match login.contains('@') {
        true => concat!("SELECT ", user_columns!(), " FROM users WHERE email = ?1"),
        false => concat!("SELECT ", user_columns!(), " FROM users WHERE username = ?1"),
    };
    Ok(conn.prepare_cached(sql)?.query_row([login], user_of)?)
}

/// `valid_from` only ever grows: two changes that arrive out of order must not revive a token. Writing it
/// ends the refresh tokens as well; a trigger sees to that.
pub(super) fn set_password(conn: &Connection, id: &UserId, hash: &str, voiding: Voiding) -> Result<(), StoreError> {
    let changed = conn
        .prepare_cached(
            "UPDATE users SET password_hash = ?2, valid_from = max(valid_from, ?3) WHERE id = ?1 AND valid_from = ?4",
        )?
        .execute(params![id.as_str(), hash, voiding.valid_from, voiding.was])?;
    found_as_it_was(conn, id, changed)
}

pub(super) fn set_valid_from(conn: &Connection, id: &UserId, valid_from: i64) -> Result<(), StoreError> {
    let changed = conn
        .prepare_cached("UPDATE users SET valid_from = max(valid_from, ?2) WHERE id = ?1")?
        .execute(params![id.as_str(), valid_from])?;
    found(changed)
}

pub(super) fn revocations(conn: &Connection, since: i64) -> Result<Vec<(UserId, i64)>, StoreError> {
    // The second condition holds for all that the first may find; it lets SQLite use the partial index.
    // Somebody who is being erased is in both tables.
    let mut statement = conn.prepare_cached(
        "SELECT id, valid_from FROM users WHERE valid_from >= ?1 AND valid_from > 0
         UNION
         SELECT id, valid_from FROM deleted_users WHERE erased IN (0, 1) AND valid_from >= ?1
         ORDER BY valid_from, id",
    )?;
    let rows = statement.query_map([since], |row| Ok((user_id(row, 0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// `NotFound` when there is no such user. For verbs that found nothing and must say why.
pub(super) fn must_exist(conn: &Connection, id: &UserId) -> Result<(), StoreError> {
    Ok(conn.prepare_cached("SELECT 1 FROM users WHERE id = ?1")?.query_row([id.as_str()], |_| Ok(()))?)
}

/// A list of a user's. Only where it is empty is the user looked for.
pub(super) fn listed<T>(conn: &Connection, user: &UserId, rows: Vec<T>) -> Result<Vec<T>, StoreError> {
    if rows.is_empty() {
        must_exist(conn, user)?;
    }
    Ok(rows)
}

/// Turns "no row changed" into `Conflict` where the user exists: their tokens were voided meanwhile.
pub(super) fn found_as_it_was(conn: &Connection, id: &UserId, rows_changed: usize) -> Result<(), StoreError> {
    match rows_changed {
        0 => must_exist(conn, id).and(Err(StoreError::Conflict)),
        _ => Ok(()),
    }
}

/// Turns "no row changed" into `NotFound`.
pub(super) fn found(rows_changed: usize) -> Result<(), StoreError> {
    match rows_changed {
        0 => Err(StoreError::NotFound),
        _ => Ok(()),
    }
}

/// The columns that [`user_of`] reads, in its order.
macro_rules! user_columns {
    () => {
        "id, username, email, password_hash, role, valid_from, created_at"
    };
}
use user_columns;

fn user_of(row: &Row<'_>) -> Result<User, rusqlite::Error> {
    let role = row.get_ref(4)?.as_str()?;
    Ok(User {
        id: user_id(row, 0)?,
        username: row.get(1)?,
        email: row.get(2)?,
        password_hash: row.get(3)?,
        role: Role::parse(role).ok_or_else(|| unknown_word(4, role))?,
        valid_from: row.get(5)?,
        created_at: row.get(6)?,
    })
}

pub(super) fn user_id(row: &Row<'_>, column: usize) -> Result<UserId, rusqlite::Error> {
    let text = row.get_ref(column)?.as_str()?;
    UserId::parse(text).ok_or_else(|| unknown_word(column, text))
}
