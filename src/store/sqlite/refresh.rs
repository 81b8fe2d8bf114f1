//! Refresh tokens: one row for each family, with its living token.
//!
//! A family's spent tokens are not kept: whatever is shown of the family and is not the living token was
//! spent, because only who was given one knows the family. So a family is one row however often it is
//! refreshed, and a token that was spent months ago is still recognised.

use std::ops::DerefMut;

use rusqlite::{Connection, params};

use super::SqliteStore;
use super::users::{by_id, found};
use crate::store::model::{Digest, NewFamily, RefreshKey, Rotation, UnixMillis, UserId};
use crate::store::{FAMILIES_MAX, RefreshTokens, StoreError};

impl<C: DerefMut<Target = Connection>> RefreshTokens for SqliteStore<C> {
    fn begin_refresh(&mut self, family: &NewFamily) -> Result<(), StoreError> {
        begin(self.writable()?, family)
    }

    fn rotate_refresh(
        &mut self,
        spent: &RefreshKey,
        next: &Digest,
        now: UnixMillis,
        expires_at: UnixMillis,
    ) -> Result<Rotation, StoreError> {
        rotate(self.writable()?, spent, next, now, expires_at)
    }

    fn revoke_refresh(&mut self, family: &Digest, now: UnixMillis) -> Result<(), StoreError> {
        revoke(self.writable()?, family, now)
    }
}

fn begin(conn: &Connection, family: &NewFamily) -> Result<(), StoreError> {
    let NewFamily { user_id, valid_from, key, issued_at, expires_at } = family;
    let begun = conn
        .prepare_cached(
            "INSERT INTO refresh_tokens (family, user_id, token, begun_at, issued_at, expires_at)
             SELECT ?1, id, ?2, ?3, ?3, ?4 FROM users WHERE id = ?5 AND valid_from = ?6",
        )?
        .execute(params![key.family, key.token, issued_at, expires_at, user_id.as_str(), valid_from])?;
    found(begun)?;
    trim(conn, user_id)?;
    sweep(conn, issued_at - KEPT_AFTER_MS)
}

/// A user's families beyond the most there may be go.
fn trim(conn: &Connection, user: &UserId) -> Result<(), StoreError> {
    conn.prepare_cached(
        "DELETE FROM refresh_tokens WHERE family IN (
             SELECT family FROM refresh_tokens WHERE user_id = ?1
             ORDER BY revoked_at IS NULL DESC, issued_at DESC, begun_at DESC, family LIMIT -1 OFFSET ?2)",
    )?
    .execute(params![user.as_str(), FAMILIES_MAX as i64])?;
    Ok(())
}

/// Some of those that ended before a time go, whoever's they are.
fn sweep(conn: &Connection, before: UnixMillis) -> Result<(), StoreError> {
    conn.prepare_cached(
        "DELETE FROM refresh_tokens WHERE family IN (
             SELECT family FROM refresh_tokens WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)",
    )?
    .execute(params![before, SWEPT_MAX])?;
    Ok(())
}

fn rotate(
    conn: &Connection,
    spent: &RefreshKey,
    next: &Digest,
    now: UnixMillis,
    expires_at: UnixMillis,
) -> Result<Rotation, StoreError> {
    let mut family = conn.prepare_cached(
        "SELECT user_id, token = ?2, expires_at > ?3, revoked_at IS NOT NULL FROM refresh_tokens WHERE family = ?1",
    )?;
    let (user, living, in_time, revoked): (String, bool, bool, bool) = family
        .query_row(params![spent.family, spent.token, now], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
    if revoked {
        return Ok(Rotation::Revoked);
    }
    if !living {
        revoke(conn, &spent.family, now)?;
        return Ok(Rotation::Revoked);
    }
    if !in_time {
        return Ok(Rotation::Expired);
    }
    conn.prepare_cached("UPDATE refresh_tokens SET token = ?2, issued_at = ?3, expires_at = ?4 WHERE family = ?1")?
        .execute(params![spent.family, next, now, expires_at])?;
    let user = UserId::parse(&user).ok_or(StoreError::Corrupt)?;
    Ok(Rotation::Rotated(Box::new(by_id(conn, &user)?)))
}

fn revoke(conn: &Connection, family: &Digest, now: UnixMillis) -> Result<(), StoreError> {
    conn.prepare_cached("UPDATE refresh_tokens SET revoked_at = ?2 WHERE family = ?1 AND revoked_at IS NULL")?
        .execute(params![family, now])?;
    Ok(())
}

/// Whoever comes with a token that has ended is told for a day that it has; after that it is no token.
const KEPT_AFTER_MS: i64 = 86_400_000;

/// How many go with each that comes: they get fewer, and no login waits for many.
const SWEPT_MAX: i64 = 20;

#[cfg(test)]
mod tests {
    use rusqlite::OptionalExtension;

    use super::super::fresh;
    use super::*;

    fn family(number: u8, expires_at: UnixMillis) -> NewFamily {
        NewFamily {
            user_id: UserId::parse("ann").unwrap(),
            valid_from: 0,
            key: RefreshKey { family: [number; 32], token: [number; 32] },
            issued_at: expires_at - 1000,
            expires_at,
        }
    }

    /// Shows that what ended long ago goes when something begins, a few at a time.
    #[test]
    fn what_ended_goes() {
        let (_folder, conn) = fresh();
        conn.execute("INSERT INTO users VALUES ('ann', 'ann', 'ann', 'x', 'user', 0, 0)", []).unwrap();
        let count = |conn: &Connection| -> i64 {
            conn.query_row("SELECT count(*) FROM refresh_tokens", [], |row| row.get(0)).unwrap()
        };
        (0..50).for_each(|number| begin(&conn, &family(number, 2000)).unwrap());
        assert_eq!(count(&conn), 50);
        begin(&conn, &family(50, 2000 + KEPT_AFTER_MS)).unwrap();
        assert_eq!(count(&conn), 51, "they are known for a day after their end");
        begin(&conn, &family(51, 3001 + KEPT_AFTER_MS)).unwrap();
        assert_eq!(count(&conn), 32);
        begin(&conn, &family(52, 3001 + KEPT_AFTER_MS)).unwrap();
        begin(&conn, &family(53, 3001 + KEPT_AFTER_MS)).unwrap();
        assert_eq!(count(&conn), 4);
        let found = |number: u8| {
            let sql = "SELECT 1 FROM refresh_tokens WHERE family = ?1";
            conn.query_row(sql, [[number; 32]], |_| Ok(())).optional().unwrap().is_some()
        };
        assert!(!found(49) && found(50) && found(53));
    }
}
