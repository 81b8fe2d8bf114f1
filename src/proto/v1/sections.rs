//! The sections of a user's export: what each reads, and how its rows look.
//!
//! **An area with rows of users adds its section to [`SECTIONS`], and nothing else anywhere.** The place of
//! a row, after which the next part begins, is a number from 1.

use serde_json::{Value, json};

use super::goals::goal;
use super::lists::{head, item};
use super::notices::{entry, wishes};
use super::show::{history_entry, progress_row};
use super::webhooks::webhook;
use crate::handlers::export::{Names, Part, Section, Shelf};
use crate::proto::time::rfc3339;
use crate::store::StoreError;
use crate::store::model::{Comment, Friendship, Goal, InboxQuery, List, ListItem, MangaId, OwnRating, Review};

/// Every section, in the order of the document.
pub(super) const SECTIONS: &[Section] = &[
    Section { name: "progress", read: progress },
    Section { name: "ratings", read: ratings },
    Section { name: "history", read: history },
    Section { name: "comments", read: comments },
    Section { name: "reviews", read: reviews },
    Section { name: "review_votes", read: review_votes },
    Section { name: "friends", read: friends },
    Section { name: "lists", read: lists },
    Section { name: "goals", read: own_goals },
    Section { name: "webhooks", read: webhooks },
    Section { name: "notifications", read: notifications },
    Section { name: "notification_preferences", read: notice_settings },
    Section { name: "muted_manga", read: muted },
];

fn progress(shelf: &mut Shelf<'_>, after: Option<i64>, limit: u32) -> Result<Part, StoreError> {
    let rows = shelf.store.progress_after(shelf.user, after.unwrap_or(0), limit)?;
    let names = shelf.name(rows.iter().map(|row| row.manga_id))?;
    Ok(Part::new(rows, limit, |row| row.manga_id, |row| progress_row(row, names.get(&row.manga_id))))
}

fn ratings(shelf: &mut Shelf<'_>, after: Option<i64>, limit: u32) -> Result<Part, StoreError> {
    let rows = shelf.store.ratings_after(shelf.user, after.unwrap_or(0), limit)?;
    let names = shelf.name(rows.iter().map(|row| row.manga_id))?;
    let show = |row: &OwnRating| {
        let rest = json!({
            "rating": row.rating,
            "created_at": rfc3339(row.created_at),
            "updated_at": rfc3339(row.updated_at),
        });
        about(names, row.manga_id, rest)
    };
    Ok(Part::new(rows, limit, |row| row.manga_id, show))
}

/// The latest first, so what comes after a row is what was before it.
fn history(shelf: &mut Shelf<'_>, after: Option<i64>, limit: u32) -> Result<Part, StoreError> {
    let rows = shelf.store.history(shelf.user, None, after, limit)?;
    let names = shelf.name(rows.iter().map(|row| row.manga_id))?;
    Ok(Part::new(rows, limit, |row| row.seq, |row| history_entry(row, names.get(&row.manga_id))))
}

fn comments(shelf: &mut Shelf<'_>, after: Option<i64>, limit: u32) -> Result<Part, StoreError> {
    let rows = shelf.store.comments_after(shelf.user, after.unwrap_or(0), limit)?;
    let names = shelf.name(rows.iter().map(|row| row.manga_id))?;
    let show = |row: &Comment| {
        let rest = json!({
            "id": row.id,
            "content": row.content,
            "created_at": rfc3339(row.created_at),
            "updated_at": rfc3339(row.updated_at),
        });
        about(names, row.manga_id, rest)
    };
    Ok(Part::new(rows, limit, |row| row.id, show))
}

fn reviews(shelf: &mut Shelf<'_>, after: Option<i64>, limit: u32) -> Result<Part, StoreError> {
    let rows = shelf.store.reviews_after(shelf.user, after.unwrap_or(0), limit)?;
    let names = shelf.name(rows.iter().map(|row| row.manga_id))?;
    let show = |row: &Review| {
        let rest = json!({
            "id": row.id,
            "rating": row.rating,
            "text": row.text,
            "spoiler": row.spoiler,
            "helpful": row.helpful,
            "created_at": rfc3339(row.created_at),
            "updated_at": rfc3339(row.updated_at),
        });
        about(names, row.manga_id, rest)
    };
    Ok(Part::new(rows, limit, |row| row.manga_id, show))
}

/// Which reviews the user found helpful.
fn review_votes(shelf: &mut Shelf<'_>, after: Option<i64>, limit: u32) -> Result<Part, StoreError> {
    let rows = shelf.store.votes_after(shelf.user, after.unwrap_or(0), limit)?;
    let names = shelf.name(rows.iter().map(|(_, manga)| *manga))?;
    let show = |(review, manga): &(_, _)| about(names, *manga, json!({"review_id": review}));
    Ok(Part::new(rows, limit, |(review, _)| *review, show))
}

/// The place of a pair is its number in the order of asking: a pair has no number of its own.
fn friends(shelf: &mut Shelf<'_>, after: Option<i64>, limit: u32) -> Result<Part, StoreError> {
    let skip = after.unwrap_or(0);
    let rows = shelf.store.friendships_after(shelf.user, skip.unsigned_abs(), limit)?;
    let rows: Vec<(i64, Friendship)> = (1..).map(|number| skip.saturating_add(number)).zip(rows).collect();
    let show = |(_, row): &(i64, Friendship)| {
        json!({
            "id": row.id,
            "username": row.username,
            "status": if row.accepted_at.is_some() { "friends" } else { "requested" },
            "asked_by_me": row.asked,
            "asked_at": rfc3339(row.asked_at),
            "accepted_at": row.accepted_at.map(rfc3339),
        })
    };
    Ok(Part::new(rows, limit, |(number, _)| *number, show))
}

/// Each list with all that is on it. What is on a list counts as rows of the part.
fn lists(shelf: &mut Shelf<'_>, after: Option<i64>, limit: u32) -> Result<Part, StoreError> {
    let lists = shelf.store.lists_after(shelf.user, after.unwrap_or(0), limit)?;
    let names = shelf.name(lists.iter().flat_map(|(_, items)| items.iter().map(|item| item.manga_id)))?;
    let rows: usize = lists.iter().map(|(_, items)| 1 + items.len()).sum();
    let last = lists.last().map(|(list, _)| list.id);
    let next = last.filter(|_| rows as u64 >= u64::from(limit));
    Ok(Part { items: lists.iter().map(|(list, items)| list_with_items(list, items, names)).collect(), next })
}

/// A user has a handful at most.
fn own_goals(shelf: &mut Shelf<'_>, after: Option<i64>, limit: u32) -> Result<Part, StoreError> {
    let place: fn(&Goal) -> i64 = |goal| goal.period as i64 + 1;
    let mut rows = shelf.store.goals(shelf.user)?;
    rows.retain(|goal| place(goal) > after.unwrap_or(0));
    Ok(Part::new(rows, limit, place, goal))
}

/// Without their secrets, and without what was sent to them.
fn webhooks(shelf: &mut Shelf<'_>, after: Option<i64>, limit: u32) -> Result<Part, StoreError> {
    let mut rows = shelf.store.webhooks(shelf.user)?;
    rows.retain(|hook| hook.id > after.unwrap_or(0));
    rows.truncate(limit as usize);
    Ok(Part::new(rows, limit, |hook| hook.id, webhook))
}

/// What the user was told, the latest first, and whether they have read it.
fn notifications(shelf: &mut Shelf<'_>, after: Option<i64>, limit: u32) -> Result<Part, StoreError> {
    let query = InboxQuery { unread: false, before: after, limit };
    let rows = shelf.store.notices(shelf.user, query)?.items;
    Ok(Part::new(rows, limit, |(notification, _)| notification.id, |(told, read)| entry(told, *read)))
}

fn notice_settings(shelf: &mut Shelf<'_>, after: Option<i64>, limit: u32) -> Result<Part, StoreError> {
    let row = shelf.store.notice_settings(shelf.user)?;
    let rows = if after.is_none() { vec![row] } else { Vec::new() };
    Ok(Part::new(rows, limit, |_| 1, wishes))
}

fn muted(shelf: &mut Shelf<'_>, after: Option<i64>, limit: u32) -> Result<Part, StoreError> {
    let rows = shelf.store.muted_series(shelf.user, after.unwrap_or(0), limit)?;
    let names = shelf.name(rows.iter().copied())?;
    Ok(Part::new(rows, limit, |manga| *manga, |manga| about(names, *manga, json!({}))))
}

fn list_with_items(list: &List, items: &[ListItem], names: &Names) -> Value {
    let mut shown = head(list);
    shown["items"] = items.iter().map(|row| item(row, names.get(&row.manga_id))).collect();
    shown
}

/// A row about a series: which one, and the rest.
fn about(names: &Names, id: MangaId, rest: Value) -> Value {
    let series = names.get(&id);
    let mut row = json!({
        "manga_id": series.map(|series| series.slug.as_str()),
        "manga_key": id,
        "manga_title": series.map(|series| series.title.as_str()),
    });
    if let (Some(row), Value::Object(rest)) = (row.as_object_mut(), rest) {
        row.extend(rest);
    }
    row
}
