//! Ratings, comments and reviews: what readers think of a series, by whom and in which order.
//!
//! Every list is read off an index in the order in which it is shown, so a page costs what it shows
//! and what it skips. What ratings and votes add up to is kept by triggers; `schema.sql` has them.

use std::ops::DerefMut;

use rusqlite::{Connection, Row, params};

use super::manga::{bounds, must_exist as manga_must_exist};
use super::users::{found, listed, must_exist as user_must_exist, user_id};
use super::{SqliteStore, in_one_snapshot};
use crate::store::model::{
    Comment, CommentId, MangaId, NewComment, Page, Rating, RatingSums, Review, ReviewChange, ReviewId, ReviewOrder,
    UnixMillis, UserId, Window,
};
use crate::store::{Opinions, StoreError};

impl<C: DerefMut<Target = Connection>> Opinions for SqliteStore<C> {
    fn rate(
        &mut self,
        user: &UserId,
        manga: MangaId,
        rating: i32,
        received_at: UnixMillis,
    ) -> Result<Rating, StoreError> {
        let conn = self.writable()?;
        rate(conn, user, manga, rating, received_at)?;
        rating_of(conn, user, manga)
    }

    fn delete_rating(&mut self, user: &UserId, manga: MangaId) -> Result<(), StoreError> {
        let mut statement =
            self.writable()?.prepare_cached("DELETE FROM ratings WHERE user_id = ?1 AND manga_id = ?2")?;
        found(statement.execute(params![user.as_str(), manga])?)
    }

    fn rating(&mut self, user: &UserId, manga: MangaId) -> Result<Rating, StoreError> {
        rating_of(&self.conn, user, manga)
    }

    fn rating_sums(&mut self, manga: MangaId) -> Result<RatingSums, StoreError> {
        sums(&self.conn, manga)
    }

    fn ratings(&mut self, manga: MangaId, window: Window) -> Result<Page<(String, Rating)>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| ratings(conn, manga, window))
    }

    fn add_comment(&mut self, comment: &NewComment) -> Result<Comment, StoreError> {
        add_comment(self.writable()?, comment)
    }

    fn comment(&mut self, id: CommentId) -> Result<Comment, StoreError> {
        comment(&self.conn, id)
    }

    fn edit_comment(&mut self, id: CommentId, content: &str, received_at: UnixMillis) -> Result<Comment, StoreError> {
        let conn = self.writable()?;
        conn.prepare_cached("UPDATE comments SET content = ?2, updated_at = max(updated_at, ?3) WHERE id = ?1")?
            .execute(params![id, content, received_at])?;
        comment(conn, id)
    }

    fn delete_comment(&mut self, id: CommentId) -> Result<(), StoreError> {
        found(self.writable()?.prepare_cached("DELETE FROM comments WHERE id = ?1")?.execute([id])?)
    }

    fn comments(&mut self, manga: MangaId, window: Window) -> Result<Page<Comment>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| comments(conn, manga, window))
    }

    fn comments_by(&mut self, user: &UserId, window: Window) -> Result<Page<Comment>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| comments_by(conn, user, window))
    }

    fn put_review(&mut self, change: &ReviewChange) -> Result<Review, StoreError> {
        put_review(self.writable()?, change)
    }

    fn review(&mut self, id: ReviewId, viewer: Option<&UserId>) -> Result<Review, StoreError> {
        review(&self.conn, id, viewer)
    }

    fn review_by(&mut self, user: &UserId, manga: MangaId) -> Result<Review, StoreError> {
        review_by(&self.conn, user, manga)
    }

    fn delete_review(&mut self, id: ReviewId) -> Result<(), StoreError> {
        found(self.writable()?.prepare_cached("DELETE FROM reviews WHERE id = ?1")?.execute([id])?)
    }

    fn reviews(
        &mut self,
        manga: MangaId,
        order: ReviewOrder,
        window: Window,
        viewer: Option<&UserId>,
    ) -> Result<Page<Review>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| reviews(conn, manga, order, window, viewer))
    }

    fn comments_after(&mut self, user: &UserId, after: CommentId, limit: u32) -> Result<Vec<Comment>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| comments_after(conn, user, after, limit))
    }

    fn reviews_after(&mut self, user: &UserId, after: MangaId, limit: u32) -> Result<Vec<Review>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| reviews_after(conn, user, after, limit))
    }

    fn votes_after(
        &mut self,
        user: &UserId,
        after: ReviewId,
        limit: u32,
    ) -> Result<Vec<(ReviewId, MangaId)>, StoreError> {
        in_one_snapshot(&mut self.conn, |conn| votes_after(conn, user, after, limit))
    }

    fn vote(&mut self, id: ReviewId, user: &UserId, helpful: bool) -> Result<Review, StoreError> {
        vote(self.writable()?, id, user, helpful)
    }
}

/// Writes a rating; the triggers of `ratings` keep what a series' ratings add up to.
pub(super) fn rate(
    conn: &Connection,
    user: &UserId,
    manga: MangaId,
    rating: i32,
    received_at: UnixMillis,
) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO ratings (user_id, manga_id, rating, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?4)
         ON CONFLICT (user_id, manga_id) DO UPDATE SET
             rating = excluded.rating, updated_at = max(updated_at, excluded.updated_at)",
    )?
    .execute(params![user.as_str(), manga, rating, received_at])?;
    Ok(())
}

fn rating_of(conn: &Connection, user: &UserId, manga: MangaId) -> Result<Rating, StoreError> {
    let sql = "SELECT rating, created_at, updated_at FROM ratings WHERE user_id = ?1 AND manga_id = ?2";
    Ok(conn.prepare_cached(sql)?.query_row(params![user.as_str(), manga], |row| rating_at(row, 0))?)
}

fn sums(conn: &Connection, manga: MangaId) -> Result<RatingSums, StoreError> {
    let mut statement = conn.prepare_cached("SELECT rating_sum, rating_count FROM manga WHERE id = ?1")?;
    Ok(statement.query_row([manga], |row| Ok(RatingSums { sum: row.get(0)?, count: row.get(1)? }))?)
}

/// The total looks at the progress of everybody who rated the series: 10,000 take some ten milliseconds.
/// An index of private rows would spare that, and make each update of a progress row a fifth dearer.
fn ratings(conn: &Connection, manga: MangaId, window: Window) -> Result<Page<(String, Rating)>, StoreError> {
    let total: i64 = conn.prepare_cached(RATINGS_TOTAL)?.query_row([manga], |row| row.get(0))?;
    if total == 0 {
        manga_must_exist(conn, manga)?;
    }
    let (limit, offset) = bounds(window);
    let mut statement = conn.prepare_cached(RATINGS)?;
    let rows = statement.query_map([manga, limit, offset], |row| Ok((row.get(0)?, rating_at(row, 1)?)))?;
    Ok(Page { items: rows.collect::<Result<_, _>>()?, total: total.unsigned_abs() })
}

fn rating_at(row: &Row<'_>, first: usize) -> Result<Rating, rusqlite::Error> {
    Ok(Rating { rating: row.get(first)?, created_at: row.get(first + 1)?, updated_at: row.get(first + 2)? })
}

fn add_comment(conn: &Connection, new: &NewComment) -> Result<Comment, StoreError> {
    conn.prepare_cached(
        "INSERT INTO comments (manga_id, user_id, created_at, updated_at, content) VALUES (?1, ?2, ?3, ?3, ?4)",
    )?
    .execute(params![new.manga_id, new.user_id.as_str(), new.received_at, new.content])?;
    comment(conn, conn.last_insert_rowid())
}

fn comment(conn: &Connection, id: CommentId) -> Result<Comment, StoreError> {
    let sql = concat!(select_comments!(), " WHERE comments.id = ?1");
    Ok(conn.prepare_cached(sql)?.query_row([id], comment_of)?)
}

fn comments(conn: &Connection, manga: MangaId, window: Window) -> Result<Page<Comment>, StoreError> {
    let total: i64 = conn
        .prepare_cached("SELECT count(*) FROM comments WHERE manga_id = ?1")?
        .query_row([manga], |row| row.get(0))?;
    if total == 0 {
        manga_must_exist(conn, manga)?;
    }
    let (limit, offset) = bounds(window);
    let mut statement = conn.prepare_cached(COMMENTS)?;
    let rows = statement.query_map([manga, limit, offset], comment_of)?;
    Ok(Page { items: rows.collect::<Result<_, _>>()?, total: total.unsigned_abs() })
}

fn comments_by(conn: &Connection, user: &UserId, window: Window) -> Result<Page<Comment>, StoreError> {
    let total: i64 = conn
        .prepare_cached("SELECT count(*) FROM comments WHERE user_id = ?1")?
        .query_row([user.as_str()], |row| row.get(0))?;
    if total == 0 {
        user_must_exist(conn, user)?;
    }
    let (limit, offset) = bounds(window);
    let mut statement = conn.prepare_cached(COMMENTS_BY)?;
    let rows = statement.query_map(params![user.as_str(), limit, offset], comment_of)?;
    Ok(Page { items: rows.collect::<Result<_, _>>()?, total: total.unsigned_abs() })
}

fn comments_after(conn: &Connection, user: &UserId, after: CommentId, limit: u32) -> Result<Vec<Comment>, StoreError> {
    let mut statement = conn.prepare_cached(COMMENTS_AFTER)?;
    let rows = statement.query_map(params![user.as_str(), after, limit], comment_of)?;
    listed(conn, user, rows.collect::<Result<_, _>>()?)
}

fn comment_of(row: &Row<'_>) -> Result<Comment, rusqlite::Error> {
    Ok(Comment {
        id: row.get(0)?,
        manga_id: row.get(1)?,
        user_id: user_id(row, 2)?,
        username: row.get(3)?,
        created_at: row.get(4)?,
        updated_at: row.get(5)?,
        content: row.get(6)?,
    })
}

fn put_review(conn: &Connection, change: &ReviewChange) -> Result<Review, StoreError> {
    conn.prepare_cached(
        "INSERT INTO reviews (manga_id, user_id, rating, spoiler, created_at, updated_at, text)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)
         ON CONFLICT (user_id, manga_id) DO UPDATE SET
             rating = excluded.rating, spoiler = excluded.spoiler, text = excluded.text,
             updated_at = max(updated_at, excluded.updated_at)",
    )?
    .execute(params![
        change.manga_id,
        change.user_id.as_str(),
        change.rating,
        change.spoiler,
        change.received_at,
        change.text
    ])?;
    if let Some(rating) = change.rating {
        rate(conn, &change.user_id, change.manga_id, rating, change.received_at)?;
    }
    review_by(conn, &change.user_id, change.manga_id)
}

fn review(conn: &Connection, id: ReviewId, viewer: Option<&UserId>) -> Result<Review, StoreError> {
    let sql = concat!(select_reviews!(), " WHERE reviews.id = ?2");
    Ok(conn.prepare_cached(sql)?.query_row(params![viewer.map(UserId::as_str), id], review_of)?)
}

fn review_by(conn: &Connection, user: &UserId, manga: MangaId) -> Result<Review, StoreError> {
    let sql = concat!(select_reviews!(), " WHERE reviews.user_id = ?1 AND reviews.manga_id = ?2");
    Ok(conn.prepare_cached(sql)?.query_row(params![user.as_str(), manga], review_of)?)
}

fn reviews(
    conn: &Connection,
    manga: MangaId,
    order: ReviewOrder,
    window: Window,
    viewer: Option<&UserId>,
) -> Result<Page<Review>, StoreError> {
    let total: i64 = conn
        .prepare_cached("SELECT count(*) FROM reviews WHERE manga_id = ?1")?
        .query_row([manga], |row| row.get(0))?;
    if total == 0 {
        manga_must_exist(conn, manga)?;
    }
    let (limit, offset) = bounds(window);
    let mut statement = conn.prepare_cached(reviews_in(order))?;
    let rows = statement.query_map(params![viewer.map(UserId::as_str), manga, limit, offset], review_of)?;
    Ok(Page { items: rows.collect::<Result<_, _>>()?, total: total.unsigned_abs() })
}

fn reviews_after(conn: &Connection, user: &UserId, after: MangaId, limit: u32) -> Result<Vec<Review>, StoreError> {
    let mut statement = conn.prepare_cached(REVIEWS_AFTER)?;
    let rows = statement.query_map(params![user.as_str(), after, limit], review_of)?;
    listed(conn, user, rows.collect::<Result<_, _>>()?)
}

fn votes_after(
    conn: &Connection,
    user: &UserId,
    after: ReviewId,
    limit: u32,
) -> Result<Vec<(ReviewId, MangaId)>, StoreError> {
    let mut statement = conn.prepare_cached(VOTES_AFTER)?;
    let rows = statement.query_map(params![user.as_str(), after, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
    listed(conn, user, rows.collect::<Result<_, _>>()?)
}

fn vote(conn: &Connection, id: ReviewId, user: &UserId, helpful: bool) -> Result<Review, StoreError> {
    let sql = match helpful {
        true => "INSERT INTO review_votes (review_id, user_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        false => "DELETE FROM review_votes WHERE review_id = ?1 AND user_id = ?2",
    };
    conn.prepare_cached(sql)?.execute(params![id, user.as_str()])?;
    review(conn, id, Some(user))
}

fn review_of(row: &Row<'_>) -> Result<Review, rusqlite::Error> {
    Ok(Review {
        id: row.get(0)?,
        manga_id: row.get(1)?,
        user_id: user_id(row, 2)?,
        username: row.get(3)?,
        rating: row.get(4)?,
        spoiler: row.get(5)?,
        helpful: row.get(6)?,
        voted: row.get(7)?,
        created_at: row.get(8)?,
        updated_at: row.get(9)?,
        text: row.get(10)?,
    })
}

/// The ratings of the series ?1, without those of readers who keep it private.
macro_rules! of_listed_ratings {
    () => {
        " WHERE ratings.manga_id = ?1
            AND NOT EXISTS (SELECT 1 FROM progress
                            WHERE progress.user_id = ratings.user_id AND progress.manga_id = ?1 AND private)"
    };
}

const RATINGS_TOTAL: &str = concat!("SELECT count(*) FROM ratings", of_listed_ratings!());

const RATINGS: &str = concat!(
    "SELECT username, rating, ratings.created_at, ratings.updated_at
     FROM ratings JOIN users ON users.id = ratings.user_id",
    of_listed_ratings!(),
    " ORDER BY ratings.created_at DESC, ratings.user_id DESC LIMIT ?2 OFFSET ?3"
);

/// The columns that [`comment_of`] reads, in its order.
macro_rules! select_comments {
    () => {
        "SELECT comments.id, manga_id, user_id, username, comments.created_at, comments.updated_at, content
         FROM comments JOIN users ON users.id = user_id"
    };
}
use select_comments;

const COMMENTS: &str = concat!(select_comments!(), " WHERE manga_id = ?1 ORDER BY comments.id DESC LIMIT ?2 OFFSET ?3");

const COMMENTS_BY: &str =
    concat!(select_comments!(), " WHERE user_id = ?1 ORDER BY comments.id DESC LIMIT ?2 OFFSET ?3");

const COMMENTS_AFTER: &str =
    concat!(select_comments!(), " WHERE user_id = ?1 AND comments.id > ?2 ORDER BY comments.id LIMIT ?3");

/// The columns that [`review_of`] reads, in its order; ?1 is who looks, or NULL.
macro_rules! select_reviews {
    () => {
        "SELECT reviews.id, manga_id, user_id, username, rating, spoiler, helpful,
                CASE WHEN ?1 IS NULL THEN NULL
                     ELSE EXISTS (SELECT 1 FROM review_votes
                                  WHERE review_id = reviews.id AND review_votes.user_id = ?1) END,
                reviews.created_at, reviews.updated_at, text
         FROM reviews JOIN users ON users.id = user_id"
    };
}
use select_reviews;

const REVIEWS_AFTER: &str =
    concat!(select_reviews!(), " WHERE reviews.user_id = ?1 AND manga_id > ?2 ORDER BY manga_id LIMIT ?3");

const VOTES_AFTER: &str = "SELECT review_id, manga_id FROM review_votes JOIN reviews ON id = review_id
     WHERE review_votes.user_id = ?1 AND review_id > ?2 ORDER BY review_id LIMIT ?3";

/// A series' reviews in some order, each with its index.
const fn reviews_in(order: ReviewOrder) -> &'static str {
    match order {
        ReviewOrder::Helpful => {
            concat!(select_reviews!(), " WHERE manga_id = ?2 ORDER BY helpful DESC, reviews.id DESC LIMIT ?3 OFFSET ?4")
        }
        ReviewOrder::Date => {
            concat!(select_reviews!(), " WHERE manga_id = ?2 ORDER BY reviews.id DESC LIMIT ?3 OFFSET ?4")
        }
        ReviewOrder::Rating => {
            concat!(select_reviews!(), " WHERE manga_id = ?2 ORDER BY rating DESC, reviews.id DESC LIMIT ?3 OFFSET ?4")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::migrations;

    fn plan(conn: &Connection, sql: &str) -> String {
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let none = vec![rusqlite::types::Null; statement.parameter_count()];
        let steps = statement.query_map(rusqlite::params_from_iter(none), |row| row.get::<_, String>(3)).unwrap();
        steps.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
    }

    /// Shows, by SQLite's own plans, that every list comes off an index in its order: nothing is
    /// sorted, and no table is read from end to end.
    #[test]
    fn lists_are_read_off_an_index() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrations::run(&mut conn, migrations::LANDED).unwrap();
        for (sql, index) in [
            (RATINGS, "ratings_by_manga"),
            (RATINGS_TOTAL, "ratings_by_manga"),
            (COMMENTS, "comments_by_manga"),
            (COMMENTS_BY, "comments_by_user"),
            (COMMENTS_AFTER, "comments_by_user"),
            (REVIEWS_AFTER, "sqlite_autoindex_reviews_1"),
            (VOTES_AFTER, "review_votes_by_user"),
            (reviews_in(ReviewOrder::Helpful), "reviews_by_helpful"),
            (reviews_in(ReviewOrder::Date), "reviews_by_manga"),
            (reviews_in(ReviewOrder::Rating), "reviews_by_rating"),
        ] {
            let plan = plan(&conn, sql);
            assert!(plan.contains(index), "{index}: {plan}");
            assert!(!plan.contains("TEMP B-TREE") && !plan.contains("SCAN"), "{plan}");
        }
    }

    /// Shows that deleting a user finds what is theirs by an index: each table has one that begins
    /// with the user.
    #[test]
    fn deleting_a_user_scans_nothing() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrations::run(&mut conn, migrations::LANDED).unwrap();
        for table in ["ratings", "comments", "reviews", "review_votes"] {
            let plan = plan(&conn, &format!("DELETE FROM {table} WHERE user_id = ?1"));
            assert!(plan.contains("SEARCH") && !plan.contains("SCAN"), "{table}: {plan}");
        }
    }

    /// Shows that what ratings and votes add up to follows a user who goes, with everything of theirs.
    #[test]
    fn deleting_a_user_takes_their_opinions_along() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrations::run(&mut conn, migrations::LANDED).unwrap();
        conn.execute_batch(
            "INSERT INTO manga (id, slug, title, alternative_titles, status,
                                created_at, updated_at, description)
             VALUES (1, 'a', 'A', '[]', 'ongoing', 0, 0, '');
             INSERT INTO users VALUES ('ann', 'ann', 'ann', 'x', 'user', 0, 0), ('bob', 'bob', 'bob', 'x', 'user', 0, 0);
             INSERT INTO ratings VALUES ('ann', 1, 4, 0, 0), ('bob', 1, 9, 0, 0);
             INSERT INTO comments (manga_id, user_id, created_at, updated_at, content)
             VALUES (1, 'ann', 0, 0, 'x'), (1, 'bob', 0, 0, 'y');
             INSERT INTO reviews (id, manga_id, user_id, spoiler, created_at, updated_at, text)
             VALUES (1, 1, 'ann', 0, 0, 0, 'x'), (2, 1, 'bob', 0, 0, 0, 'y');
             INSERT INTO review_votes VALUES (1, 'bob'), (2, 'ann');
             DELETE FROM users WHERE id = 'ann';",
        )
        .unwrap();
        assert_eq!(sums(&conn, 1), Ok(RatingSums { sum: 9, count: 1 }));
        let everything = Window { limit: None, offset: 0 };
        let left = reviews(&conn, 1, ReviewOrder::Helpful, everything, None).unwrap();
        assert_eq!((left.total, left.items[0].id, left.items[0].helpful), (1, 2, 0));
        assert_eq!(comments(&conn, 1, everything).unwrap().items[0].username, "bob");
        assert_eq!(ratings(&conn, 1, everything).unwrap().total, 1);
        let votes: i64 = conn.query_row("SELECT count(*) FROM review_votes", [], |row| row.get(0)).unwrap();
        assert_eq!(votes, 0);
    }
}
