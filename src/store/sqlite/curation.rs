//! What administrators change in the catalogue, and the events that tell of it.
//!
//! An event is written in the transaction of its change, so that neither is there without the other.
//! Deleting leaves a tombstone: readers' rows go on pointing to it, and nobody finds it.

use rusqlite::{Connection, params};
use serde_json::Value;

use super::error::unknown_word;
use super::manga::{By, by_id, must_exist, put, word};
use super::search;
use crate::store::StoreError;
use crate::store::model::{Fact, FieldChange, Manga, MangaEvent, MangaEventKind, MangaFacts, MangaId, UnixMillis};

pub(super) fn create(conn: &Connection, facts: &MangaFacts, now: UnixMillis) -> Result<Manga, StoreError> {
    let id = put(conn, None, facts, By::Administrator, now)?;
    let nothing = MangaFacts::named(String::new(), String::new());
    note(conn, id, MangaEventKind::NewManga, &differences(&nothing, facts), now)?;
    by_id(conn, id)
}

/// Changes what differs. When nothing does, nothing is written and nobody told.
pub(super) fn change(conn: &Connection, id: MangaId, changes: &[Fact], now: UnixMillis) -> Result<Manga, StoreError> {
    let stored = by_id(conn, id)?;
    let mut facts = stored.facts.clone();
    changes.iter().cloned().for_each(|fact| facts.set(fact));
    facts.genres = super::manga::genre_names(&facts);
    let differences = differences(&stored.facts, &facts);
    if differences.is_empty() {
        return Ok(stored);
    }
    put(conn, Some(id), &facts, By::Administrator, now)?;
    let came_out = facts.latest_chapter > stored.facts.latest_chapter;
    let (chapter, others): (Vec<_>, Vec<_>) =
        differences.into_iter().partition(|change| came_out && change.field == "latest_chapter");
    for (kind, changes) in [(MangaEventKind::NewChapter, chapter), (MangaEventKind::MangaUpdate, others)] {
        if !changes.is_empty() {
            note(conn, id, kind, &changes, now)?;
        }
    }
    by_id(conn, id)
}

/// Makes a tombstone of a series. Its slug becomes what no slug can be, so that it is free.
pub(super) fn delete(conn: &Connection, id: MangaId, now: UnixMillis) -> Result<(), StoreError> {
    if let Err(StoreError::NotFound) = must_exist(conn, id) {
        return Ok(());
    }
    conn.prepare_cached("UPDATE manga SET deleted_at = ?2, slug = '~' || id WHERE id = ?1")?.execute([id, now])?;
    search::forget(conn, id)
}

pub(super) fn last_event(conn: &Connection) -> Result<i64, StoreError> {
    let sql = "SELECT coalesce(max(seq), 0) FROM manga_events";
    Ok(conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

pub(super) fn events(conn: &Connection, after: i64, limit: u32) -> Result<Vec<MangaEvent>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, manga_id, kind, changes, created_at FROM manga_events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?;
    let rows = statement.query_map([after, limit.into()], |row| {
        let changes = row.get_ref(3)?.as_str()?;
        Ok(MangaEvent {
            seq: row.get(0)?,
            manga_id: row.get(1)?,
            kind: word(row, 2, MangaEventKind::parse)?.ok_or_else(|| unknown_word(2, "NULL"))?,
            changes: serde_json::from_str(changes).map_err(|_| unknown_word(3, changes))?,
            created_at: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn note(
    conn: &Connection,
    id: MangaId,
    kind: MangaEventKind,
    changes: &[FieldChange],
    now: UnixMillis,
) -> Result<(), StoreError> {
    conn.prepare_cached("INSERT INTO manga_events (manga_id, kind, changes, created_at) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![id, kind.as_str(), json_of(changes), now])?;
    Ok(())
}

/// The facts that differ, by the names that they have in the catalogue file.
fn differences(old: &MangaFacts, new: &MangaFacts) -> Vec<FieldChange> {
    let (Value::Object(old), Value::Object(new)) = (json_value(old), json_value(new)) else { return Vec::new() };
    let both = old.into_iter().zip(new);
    both.filter(|(old, new)| old.1 != new.1)
        .map(|((field, old_value), (_, new_value))| FieldChange { field, old_value, new_value })
        .collect()
}

/// Facts always become a JSON object; there is nothing in them that could not.
fn json_value(facts: &MangaFacts) -> Value {
    serde_json::to_value(facts).unwrap_or_default()
}

fn json_of(changes: &[FieldChange]) -> String {
    serde_json::to_string(changes).unwrap_or_default()
}
