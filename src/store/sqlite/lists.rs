//! Lists and who may see them. What is on a list, and in which order, is in `list_items`.

use std::ops::DerefMut;

use rusqlite::{Connection, Row, params};

use super::error::unknown_word;
use super::friends::{are_friends, named};
use super::manga::{bounds, word};
use super::users::{found, listed, must_exist, user_id};
use super::{SqliteStore, in_one_snapshot, list_items};
use crate::store::model::{
    ItemChange, List, ListChange, ListId, ListItem, MangaId, Page, UnixMillis, UserId, Visibility, Window,
};
use crate::store::{LISTS_MAX, Lists, StoreError};

impl<C: DerefMut<Target = Connection>> Lists for SqliteStore<C> {
    fn create_list(&mut self, owner: &UserId, list: &ListChange, now: UnixMillis) -> Result<List, StoreError> {
        create(self.writable()?, owner, list, now)
    }

    fn own_lists(&mut self, owner: &UserId, window: Window) -> Result<Page<List>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| page(conn, owner, owner, window))
    }

    fn lists_after(
        &mut self,
        owner: &UserId,
        after: ListId,
        limit: u32,
    ) -> Result<Vec<(List, Vec<ListItem>)>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| lists_after(conn, owner, after, limit))
    }

    fn lists_seen(&mut self, viewer: &UserId, owner: &str, window: Window) -> Result<Page<List>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| page(conn, viewer, &named(conn, owner)?.0, window))
    }

    fn list(&mut self, viewer: &UserId, id: ListId, window: Window) -> Result<(List, Vec<ListItem>), StoreError> {
        in_one_snapshot(&mut self.conn, |conn| Ok((seen(conn, viewer, id)?, list_items::page(conn, id, window)?)))
    }

    fn change_list(
        &mut self,
        owner: &UserId,
        id: ListId,
        change: &ListChange,
        now: UnixMillis,
    ) -> Result<List, StoreError> {
        self::change(self.writable()?, owner, id, change, now)
    }

    fn delete_list(&mut self, owner: &UserId, id: ListId) -> Result<(), StoreError> {
        delete(self.writable()?, owner, id)
    }

    fn add_list_item(
        &mut self,
        owner: &UserId,
        id: ListId,
        manga: MangaId,
        item: &ItemChange,
        now: UnixMillis,
    ) -> Result<ListItem, StoreError> {
        let conn = self.writable()?;
        touch(conn, owner, id, now)?;
        list_items::add(conn, id, manga, item, now)
    }

    fn change_list_item(
        &mut self,
        owner: &UserId,
        id: ListId,
        manga: MangaId,
        change: &ItemChange,
        now: UnixMillis,
    ) -> Result<ListItem, StoreError> {
        let conn = self.writable()?;
        touch(conn, owner, id, now)?;
        list_items::change(conn, id, manga, change)
    }

    fn remove_list_item(
        &mut self,
        owner: &UserId,
        id: ListId,
        manga: MangaId,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let conn = self.writable()?;
        touch(conn, owner, id, now)?;
        list_items::remove(conn, id, manga)
    }
}

fn create(conn: &Connection, owner: &UserId, list: &ListChange, now: UnixMillis) -> Result<List, StoreError> {
    let lists: i64 = conn
        .prepare_cached("SELECT count(*) FROM lists WHERE user_id = ?1")?
        .query_row([owner.as_str()], |row| row.get(0))?;
    if lists.unsigned_abs() >= LISTS_MAX {
        return Err(StoreError::TooMuch);
    }
    conn.prepare_cached(
        "INSERT INTO lists (user_id, name, description, visibility, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
    )?
    .execute(params![
        owner.as_str(),
        list.name.as_deref().unwrap_or_default(),
        list.description.as_deref().unwrap_or_default(),
        list.visibility.unwrap_or(Visibility::Private).as_str(),
        now
    ])?;
    by_id(conn, conn.last_insert_rowid())
}

fn change(
    conn: &Connection,
    owner: &UserId,
    id: ListId,
    change: &ListChange,
    now: UnixMillis,
) -> Result<List, StoreError> {
    touch(conn, owner, id, now)?;
    conn.prepare_cached(
        "UPDATE lists SET name = coalesce(?2, name), description = coalesce(?3, description),
                          visibility = coalesce(?4, visibility)
         WHERE id = ?1",
    )?
    .execute(params![id, change.name, change.description, change.visibility.map(Visibility::as_str)])?;
    by_id(conn, id)
}

/// Dates a change, and by that finds out whether the list is the owner's to change.
fn touch(conn: &Connection, owner: &UserId, id: ListId, now: UnixMillis) -> Result<(), StoreError> {
    let changed = conn
        .prepare_cached("UPDATE lists SET updated_at = max(updated_at, ?3) WHERE id = ?1 AND user_id = ?2")?
        .execute(params![id, owner.as_str(), now])?;
    found(changed)
}

/// A thousand items go with it: they stand together, in some ten pages.
fn delete(conn: &Connection, owner: &UserId, id: ListId) -> Result<(), StoreError> {
    let deleted = conn
        .prepare_cached("DELETE FROM lists WHERE id = ?1 AND user_id = ?2")?
        .execute(params![id, owner.as_str()])?;
    found(deleted)
}

/// A list, if this user may see it.
fn seen(conn: &Connection, viewer: &UserId, id: ListId) -> Result<List, StoreError> {
    let list = by_id(conn, id)?;
    let may_see = list.owner == *viewer
        || match list.visibility {
            Visibility::Private => false,
            Visibility::Friends => are_friends(conn, viewer, &list.owner)?,
            Visibility::Public => true,
        };
    if may_see { Ok(list) } else { Err(StoreError::NotFound) }
}

/// The part of `owner`'s lists that `viewer` may see.
fn page(conn: &Connection, viewer: &UserId, owner: &UserId, window: Window) -> Result<Page<List>, StoreError> {
    let mine = viewer == owner;
    let friends = mine || are_friends(conn, viewer, owner)?;
    let total: i64 = conn
        .prepare_cached(concat!("SELECT count(*) FROM lists ", shown!()))?
        .query_row(params![owner.as_str(), mine, friends], |row| row.get(0))?;
    if total == 0 {
        must_exist(conn, owner)?;
    }
    let (limit, offset) = bounds(window);
    let mut statement = conn.prepare_cached(concat!(
        "SELECT ",
        list_columns!(),
        " FROM lists JOIN users ON users.id = user_id ",
        shown!(),
        " ORDER BY updated_at DESC, lists.id DESC LIMIT ?4 OFFSET ?5"
    ))?;
    let rows = statement.query_map(params![owner.as_str(), mine, friends, limit, offset], list_of)?;
    Ok(Page { items: rows.collect::<Result<_, _>>()?, total: total.unsigned_abs() })
}

fn lists_after(
    conn: &Connection,
    owner: &UserId,
    after: ListId,
    limit: u32,
) -> Result<Vec<(List, Vec<ListItem>)>, StoreError> {
    let mut statement = conn.prepare_cached(concat!(
        "SELECT ",
        list_columns!(),
        " FROM lists JOIN users ON users.id = user_id WHERE user_id = ?1 AND lists.id > ?2 ORDER BY lists.id LIMIT ?3"
    ))?;
    let (mut lists, mut rows) = (Vec::new(), 0);
    for list in statement.query_map(params![owner.as_str(), after, limit], list_of)? {
        let list = list?;
        let items = list_items::page(conn, list.id, Window::default())?;
        rows += 1 + items.len() as u64;
        lists.push((list, items));
        if rows >= u64::from(limit) {
            break;
        }
    }
    listed(conn, owner, lists)
}

fn by_id(conn: &Connection, id: ListId) -> Result<List, StoreError> {
    let sql = concat!("SELECT ", list_columns!(), " FROM lists JOIN users ON users.id = user_id WHERE lists.id = ?1");
    Ok(conn.prepare_cached(sql)?.query_row([id], list_of)?)
}

/// Which lists are shown: ?1 the owner's, ?2 to themself, ?3 to a friend.
macro_rules! shown {
    () => {
        "WHERE user_id = ?1 AND (?2 OR visibility = 'public' OR (?3 AND visibility = 'friends'))"
    };
}
use shown;

/// The columns that [`list_of`] reads, in its order.
macro_rules! list_columns {
    () => {
        "lists.id, user_id, username, name, description, visibility,
         (SELECT count(*) FROM list_items WHERE list_id = lists.id), lists.created_at, updated_at"
    };
}
use list_columns;

fn list_of(row: &Row<'_>) -> Result<List, rusqlite::Error> {
    Ok(List {
        id: row.get(0)?,
        owner: user_id(row, 1)?,
        owner_name: row.get(2)?,
        name: row.get(3)?,
        description: row.get(4)?,
        visibility: word(row, 5, Visibility::parse)?.ok_or_else(|| unknown_word(5, "NULL"))?,
        items: row.get::<_, i64>(6)?.unsigned_abs(),
        created_at: row.get(7)?,
        updated_at: row.get(8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::fresh;

    /// Shows that a user who is deleted takes their lists along with all that is on them, and a series
    /// its places on lists; and that both are found by an index.
    #[test]
    fn lists_go_with_their_owner() {
        let (_folder, conn) = fresh();
        conn.execute_batch(
            "INSERT INTO users VALUES ('ann', 'ann', 'ann', 'x', 'user', 0, 0), ('bob', 'bob', 'bob', 'x', 'user', 0, 0);
             INSERT INTO manga (id, slug, title, alternative_titles, status,
                                created_at, updated_at, description)
             SELECT value, value, 'A', '[]', 'ongoing', 0, 0, '' FROM json_each('[1, 2]');
             INSERT INTO lists VALUES (1, 'ann', 'A', '', 'public', 0, 0), (2, 'bob', 'B', '', 'private', 0, 0);
             INSERT INTO list_items VALUES (1, 1, 0, NULL, 0), (2, 1, 0, NULL, 0), (2, 2, 1, NULL, 0);
             DELETE FROM users WHERE id = 'ann';
             DELETE FROM manga WHERE id = 2;",
        )
        .unwrap();
        let mut statement = conn.prepare("SELECT list_id, manga_id FROM list_items").unwrap();
        let left: Vec<(i64, i64)> =
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
        assert_eq!(left, [(2, 1)]);
        for sql in ["SELECT 1 FROM lists WHERE user_id = ?1", "SELECT 1 FROM list_items WHERE manga_id = ?1"] {
            let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let plan: String = statement.query_row([1], |row| row.get(3)).unwrap();
            assert!(plan.starts_with("SEARCH"), "{plan}");
        }
    }
}
