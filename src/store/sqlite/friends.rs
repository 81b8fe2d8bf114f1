//! Friendships: one row for each pair, read from either side.
//!
//! What friends read is in `activity`.

use std::ops::DerefMut;

use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::activity::Bounds;
use super::manga::bounds;
use super::users::{found, listed, must_exist, user_id};
use super::{SqliteStore, activity, in_one_snapshot};
use crate::store::model::{Activity, Asked, Friend, FriendRequests, Friendship, Page, UnixMillis, UserId, Window};
use crate::store::{FRIENDS_MAX, Friends, REQUESTS_MAX, StoreError};

impl<C: DerefMut<Target = Connection>> Friends for SqliteStore<C> {
    fn friends(&mut self, user: &UserId, window: Window) -> Result<Page<Friend>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| page(conn, user, window))
    }

    fn friend_requests(&mut self, user: &UserId, incoming: Window) -> Result<FriendRequests, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| requests(conn, user, incoming))
    }

    fn ask_friend(&mut self, user: &UserId, username: &str, now: UnixMillis) -> Result<Asked, StoreError> {
        ask(self.writable()?, user, username, now)
    }

    fn accept_friend(&mut self, user: &UserId, whom: &str, now: UnixMillis) -> Result<Asked, StoreError> {
        accept(self.writable()?, user, whom, now)
    }

    fn remove_friend(&mut self, user: &UserId, whom: &str) -> Result<(), StoreError> {
        remove(self.writable()?, user, whom)
    }

    fn friendships_after(&mut self, user: &UserId, skip: u64, limit: u32) -> Result<Vec<Friendship>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| friendships_after(conn, user, skip, limit))
    }

    fn friends_activity(&mut self, user: &UserId, before: Option<i64>, limit: u32) -> Result<Activity, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| {
            must_exist(conn, user)?;
            activity::read(conn, user, before, limit, &Bounds::STANDARD)
        })
    }
}

/// How two people stand to each other.
enum Standing {
    Strangers,
    AskedByMe,
    AskedByThem,
    Friends,
}

/// An id first: it was given, while a name can be chosen to look like one.
pub(super) fn named(conn: &Connection, whom: &str) -> Result<(UserId, String), StoreError> {
    let row = |row: &Row<'_>| Ok((user_id(row, 0)?, row.get(1)?));
    let by_id = conn.prepare_cached("SELECT id, username FROM users WHERE id = ?1")?.query_row([whom], row);
    match by_id.optional()? {
        Some(found) => Ok(found),
        None => by_name(conn, whom),
    }
}

fn by_name(conn: &Connection, username: &str) -> Result<(UserId, String), StoreError> {
    let mut statement = conn.prepare_cached("SELECT id, username FROM users WHERE username = ?1")?;
    Ok(statement.query_row([username], |row| Ok((user_id(row, 0)?, row.get(1)?)))?)
}

fn ask(conn: &Connection, user: &UserId, username: &str, now: UnixMillis) -> Result<Asked, StoreError> {
    must_exist(conn, user)?;
    let (id, username) = by_name(conn, username)?;
    if id == *user {
        return Ok(Asked::Oneself);
    }
    let friend = Friend { id, username, since: now };
    match standing(conn, user, &friend.id)? {
        Standing::Friends => Ok(Asked::FriendsAlready),
        Standing::AskedByMe => Ok(Asked::WaitingAlready),
        Standing::AskedByThem => befriend(conn, user, friend),
        Standing::Strangers => send(conn, user, friend),
    }
}

fn accept(conn: &Connection, user: &UserId, whom: &str, now: UnixMillis) -> Result<Asked, StoreError> {
    let (id, username) = named(conn, whom)?;
    match standing(conn, user, &id)? {
        Standing::Friends => Ok(Asked::FriendsAlready),
        Standing::AskedByThem => befriend(conn, user, Friend { id, username, since: now }),
        Standing::AskedByMe | Standing::Strangers => Err(StoreError::NotFound),
    }
}

fn send(conn: &Connection, user: &UserId, friend: Friend) -> Result<Asked, StoreError> {
    let (low, high, low_asked) = ordered(user, &friend.id);
    if count(conn, user, OUTGOING)? >= REQUESTS_MAX || count(conn, &friend.id, INCOMING)? >= FRIENDS_MAX {
        return Ok(Asked::TooManyRequests);
    }
    conn.prepare_cached("INSERT INTO friendships (low_id, high_id, low_asked, asked_at) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![low.as_str(), high.as_str(), low_asked, friend.since])?;
    Ok(Asked::Waiting(friend))
}

fn befriend(conn: &Connection, user: &UserId, friend: Friend) -> Result<Asked, StoreError> {
    let (low, high, _) = ordered(user, &friend.id);
    if count(conn, user, FRIENDS)? >= FRIENDS_MAX || count(conn, &friend.id, FRIENDS)? >= FRIENDS_MAX {
        return Ok(Asked::TooManyFriends);
    }
    conn.prepare_cached("UPDATE friendships SET accepted_at = max(asked_at, ?3) WHERE low_id = ?1 AND high_id = ?2")?
        .execute(params![low.as_str(), high.as_str(), friend.since])?;
    Ok(Asked::Friends(friend))
}

fn remove(conn: &Connection, user: &UserId, whom: &str) -> Result<(), StoreError> {
    let (id, _) = named(conn, whom)?;
    let (low, high, _) = ordered(user, &id);
    let deleted = conn
        .prepare_cached("DELETE FROM friendships WHERE low_id = ?1 AND high_id = ?2")?
        .execute([low.as_str(), high.as_str()])?;
    found(deleted)
}

pub(super) fn are_friends(conn: &Connection, user: &UserId, other: &UserId) -> Result<bool, StoreError> {
    Ok(matches!(standing(conn, user, other)?, Standing::Friends))
}

fn standing(conn: &Connection, user: &UserId, other: &UserId) -> Result<Standing, StoreError> {
    let (low, high, user_is_low) = ordered(user, other);
    let row: Option<(bool, bool)> = conn
        .prepare_cached(
            "SELECT low_asked, accepted_at IS NOT NULL FROM friendships WHERE low_id = ?1 AND high_id = ?2",
        )?
        .query_row([low.as_str(), high.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match row {
        None => Standing::Strangers,
        Some((_, true)) => Standing::Friends,
        Some((low_asked, false)) if low_asked == user_is_low => Standing::AskedByMe,
        Some((_, false)) => Standing::AskedByThem,
    })
}

/// The two in the order in which their row has them, and whether the first is the lower.
fn ordered<'a>(user: &'a UserId, other: &'a UserId) -> (&'a UserId, &'a UserId, bool) {
    if user < other { (user, other, true) } else { (other, user, false) }
}

fn page(conn: &Connection, user: &UserId, window: Window) -> Result<Page<Friend>, StoreError> {
    let total = count(conn, user, FRIENDS)?;
    if total == 0 {
        must_exist(conn, user)?;
    }
    Ok(Page { items: side(conn, user, FRIENDS, "username COLLATE NOCASE", window)?, total })
}

fn requests(conn: &Connection, user: &UserId, incoming: Window) -> Result<FriendRequests, StoreError> {
    must_exist(conn, user)?;
    Ok(FriendRequests {
        incoming: side(conn, user, INCOMING, "since DESC", incoming)?,
        incoming_total: count(conn, user, INCOMING)?,
        outgoing: side(conn, user, OUTGOING, "since DESC", Window::default())?,
    })
}

fn friendships_after(conn: &Connection, user: &UserId, skip: u64, limit: u32) -> Result<Vec<Friendship>, StoreError> {
    let mut statement = conn.prepare_cached(FRIENDSHIPS)?;
    let skip = i64::try_from(skip).unwrap_or(i64::MAX);
    let named = named_params! {":user": user.as_str(), ":limit": limit, ":skip": skip};
    let rows = statement.query_map(named, |row| {
        Ok(Friendship {
            id: user_id(row, 0)?,
            username: row.get(1)?,
            asked: row.get(2)?,
            asked_at: row.get(3)?,
            accepted_at: row.get(4)?,
        })
    })?;
    listed(conn, user, rows.collect::<Result<_, _>>()?)
}

/// The people on one side of a user's pairs. `rows` and `order` are words of this file.
fn side(conn: &Connection, user: &UserId, rows: &str, order: &str, window: Window) -> Result<Vec<Friend>, StoreError> {
    let (limit, offset) = bounds(window);
    let mut statement = conn.prepare_cached(&format!(
        "SELECT users.id, username, since FROM ({rows}) JOIN users ON users.id = other
         ORDER BY {order}, users.id LIMIT :limit OFFSET :offset"
    ))?;
    let friends = statement
        .query_map(named_params! {":user": user.as_str(), ":limit": limit, ":offset": offset}, |row| {
            Ok(Friend { id: user_id(row, 0)?, username: row.get(1)?, since: row.get(2)? })
        })?;
    Ok(friends.collect::<Result<_, _>>()?)
}

fn count(conn: &Connection, user: &UserId, rows: &str) -> Result<u64, StoreError> {
    let mut statement = conn.prepare_cached(&format!("SELECT count(*) FROM ({rows})"))?;
    let total: i64 = statement.query_row(named_params! {":user": user.as_str()}, |row| row.get(0))?;
    Ok(total.unsigned_abs())
}

/// A user's friends, and since when. Two halves, so that each is found by an index.
pub(super) const FRIENDS: &str =
    "SELECT high_id AS other, accepted_at AS since FROM friendships WHERE low_id = :user AND accepted_at IS NOT NULL
     UNION ALL
     SELECT low_id, accepted_at FROM friendships WHERE high_id = :user AND accepted_at IS NOT NULL";

/// Who asked the user, and when.
const INCOMING: &str = "SELECT high_id AS other, asked_at AS since FROM friendships
     WHERE low_id = :user AND accepted_at IS NULL AND NOT low_asked
     UNION ALL
     SELECT low_id, asked_at FROM friendships WHERE high_id = :user AND accepted_at IS NULL AND low_asked";

/// Whom the user asked, and when.
const OUTGOING: &str = "SELECT high_id AS other, asked_at AS since FROM friendships
     WHERE low_id = :user AND accepted_at IS NULL AND low_asked
     UNION ALL
     SELECT low_id, asked_at FROM friendships WHERE high_id = :user AND accepted_at IS NULL AND NOT low_asked";

/// All pairs of a user, in an order that being accepted does not change.
const FRIENDSHIPS: &str = "SELECT users.id, username, asked, asked_at, accepted_at FROM (
         SELECT high_id AS other, low_asked AS asked, asked_at, accepted_at FROM friendships WHERE low_id = :user
         UNION ALL
         SELECT low_id, NOT low_asked, asked_at, accepted_at FROM friendships WHERE high_id = :user)
     JOIN users ON users.id = other ORDER BY asked_at, users.id LIMIT :limit OFFSET :skip";

#[cfg(test)]
mod tests {
    use super::super::fresh;
    use super::*;

    /// Shows that everyone's pairs are found by an index from either side, and that a user who is deleted takes theirs
    /// along.
    #[test]
    fn pairs_are_found_and_go_with_their_users() {
        let (_folder, conn) = fresh();
        for rows in [FRIENDS, INCOMING, OUTGOING] {
            let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {rows}")).unwrap();
            let plan: Vec<String> = statement.query_map(["x"], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
            assert!(!plan.iter().any(|step| step.starts_with("SCAN")), "{plan:?}");
        }
        for user in ["ann", "bob", "cay"] {
            conn.execute("INSERT INTO users VALUES (?1, ?1, ?1, 'x', 'user', 0, 0)", [user]).unwrap();
        }
        conn.execute_batch(
            "INSERT INTO friendships VALUES ('ann', 'bob', 1, 0, 0), ('bob', 'cay', 0, 0, NULL), ('ann', 'cay', 1, 0, 0);
             DELETE FROM users WHERE id = 'bob';",
        )
        .unwrap();
        let left: i64 = conn.query_row("SELECT count(*) FROM friendships", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 1);
    }
}
