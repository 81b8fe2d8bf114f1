//! A notification in each dialect's shape, as one JSON object without a line end.
//!
//! The second family's clients print `title` and `message` of a flat object; the first family's look
//! into `data`. On WebSocket one object is both. Whole numbers stand where clients read whole numbers,
//! with the exact chapter beside them. How one asks for notifications is read here as well.
//!
//! A datagram has a bound, and a list of changes has almost none: the last ones are left out there, and
//! counted in `changes_left_out`. They are found over HTTP.

use serde::Serialize;

use super::json::{Object, missing};
use super::time::{Rfc3339, rfc3339};
use crate::handlers::api::ApiError;
use crate::handlers::notices::subscribe::Subject;
use crate::store::model::{Chapter, FieldChange, Notification};

/// As the first family's clients read it: over UDP, and on its sync service.
pub fn write_v1(notification: &Notification, out: &mut Vec<u8>) {
    write_v1_with(notification, usize::MAX, out);
}

/// The same with at most so many of its changes.
pub fn write_v1_with(notification: &Notification, changes_max: usize, out: &mut Vec<u8>) {
    let at = &rfc3339(notification.at);
    write(&Enveloped { r#type: ENVELOPE, timestamp: at, data: Release::new(notification, at, changes_max) }, out);
}

/// As the second family's clients read it over UDP, with at most so many of its changes.
pub fn write_v2_with(notification: &Notification, changes_max: usize, out: &mut Vec<u8>) {
    write(&Flat::new(notification, changes_max), out);
}

/// The same within `data`, as messages of the second family's sync service are.
pub fn write_sync_v2(notification: &Notification, out: &mut Vec<u8>) {
    let flat = Flat::new(notification, usize::MAX);
    write(&Enveloped { r#type: ENVELOPE, timestamp: &rfc3339(notification.at), data: flat }, out);
}

/// As a WebSocket client reads it, of whichever family: flat, and with the first family's `data`.
pub fn write_web(notification: &Notification, out: &mut Vec<u8>) {
    let at = &rfc3339(notification.at);
    let flat = Flat::with(notification, Some(Release::new(notification, at, usize::MAX)), usize::MAX);
    write(&Flat { r#type: ENVELOPE, ..flat }, out);
}

/// `topics`, of `subscribe` and `unsubscribe` on every wire.
pub fn read_subjects(message: &Object<'_>) -> Result<Vec<Subject>, ApiError> {
    let names: Vec<String> = message.list("topics", "strings", SUBJECTS_MAX)?.ok_or_else(|| missing("topics"))?;
    names.iter().map(|name| Subject::parse(name)).collect()
}

/// Subjects by their names.
pub fn names(subjects: &[Subject]) -> Vec<&'static str> {
    subjects.iter().map(|subject| subject.as_str()).collect()
}

/// Twice each, should somebody repeat themselves, and some that will come.
const SUBJECTS_MAX: usize = 8;

/// The type of a message whose kind stands elsewhere.
const ENVELOPE: &str = "notification";

#[derive(Serialize)]
struct Enveloped<'a, T> {
    r#type: &'a str,
    timestamp: &'a str,
    data: T,
}

/// A release, in the first family's words.
#[derive(Serialize)]
struct Release<'a> {
    id: i64,
    kind: &'a str,
    manga_id: &'a str,
    manga_title: &'a str,
    chapter_number: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    chapter_exact: Option<Chapter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chapter_title: Option<&'a str>,
    release_date: &'a str,
    message: &'a str,
    // What the second family's clients look for here.
    #[serde(flatten)]
    facts: Facts<'a>,
    #[serde(skip_serializing_if = "is_none")]
    changes_left_out: usize,
}

/// A notification, in the second family's words; `D` is what its `data` holds.
#[derive(Serialize)]
struct Flat<'a, D> {
    r#type: &'a str,
    id: i64,
    kind: &'a str,
    manga_id: i64,
    manga_slug: &'a str,
    title: &'a str,
    message: &'a str,
    timestamp: Rfc3339,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<D>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<Change<'a>>,
    #[serde(skip_serializing_if = "is_none")]
    changes_left_out: usize,
}

/// The second family's `data`.
#[derive(Serialize)]
struct Facts<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    chapter: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    updated_fields: Vec<&'a str>,
}

#[derive(Serialize)]
struct Change<'a> {
    field: &'a str,
    #[serde(skip_serializing_if = "is_null")]
    old_value: &'a serde_json::Value,
    new_value: &'a serde_json::Value,
}

impl<'a> Release<'a> {
    fn new(notification: &'a Notification, at: &'a str, changes_max: usize) -> Self {
        let facts = Facts::new(notification, changes_max);
        Self {
            // A chapter says what changed by itself.
            changes_left_out: if facts.chapter.is_some() { 0 } else { left_out(notification, changes_max) },
            id: notification.id,
            kind: notification.kind.as_str(),
            manga_id: notification.manga.as_ref().map_or("", |manga| &manga.slug),
            manga_title: &notification.title,
            chapter_number: notification.chapter.map_or(0, Chapter::floor),
            chapter_exact: notification.chapter,
            chapter_title: notification.chapter_title.as_deref(),
            release_date: notification.release_date.as_deref().unwrap_or(at),
            message: &notification.message,
            facts,
        }
    }
}

impl<'a> Flat<'a, Facts<'a>> {
    fn new(notification: &'a Notification, changes_max: usize) -> Self {
        let facts = Facts::new(notification, changes_max);
        Self::with(
            notification,
            Some(facts).filter(|facts| facts.chapter.is_some() || !facts.updated_fields.is_empty()),
            changes_max,
        )
    }
}

impl<'a, D> Flat<'a, D> {
    fn with(notification: &'a Notification, data: Option<D>, changes_max: usize) -> Self {
        let kind = notification.kind.as_str();
        Self {
            r#type: kind,
            id: notification.id,
            kind,
            manga_id: notification.manga.as_ref().map_or(0, |manga| manga.id),
            manga_slug: notification.manga.as_ref().map_or("", |manga| &manga.slug),
            title: &notification.title,
            message: &notification.message,
            timestamp: rfc3339(notification.at),
            data,
            changes: notification.changes.iter().take(changes_max).map(Change::from).collect(),
            changes_left_out: left_out(notification, changes_max),
        }
    }
}

impl<'a> Facts<'a> {
    fn new(notification: &'a Notification, changes_max: usize) -> Self {
        let fields = notification.changes.iter().take(changes_max).map(|change| change.field.as_str());
        let chapter = notification.chapter.map(Chapter::floor);
        Self { chapter, updated_fields: if chapter.is_some() { Vec::new() } else { fields.collect() } }
    }
}

impl<'a> From<&'a FieldChange> for Change<'a> {
    fn from(change: &'a FieldChange) -> Self {
        Self { field: &change.field, old_value: &change.old_value, new_value: &change.new_value }
    }
}

fn left_out(notification: &Notification, changes_max: usize) -> usize {
    notification.changes.len().saturating_sub(changes_max)
}

fn is_none(count: &usize) -> bool {
    *count == 0
}

fn is_null(value: &&serde_json::Value) -> bool {
    value.is_null()
}

/// Writing plain data to memory has nothing that could fail.
fn write<T: Serialize>(message: &T, out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(out, message);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::model::{NoticeKind, NoticeManga};
    use serde_json::{Value, json};

    fn chapter() -> Notification {
        Notification {
            id: 7,
            kind: NoticeKind::NewChapter,
            manga: Some(NoticeManga { id: 5, slug: "one-piece".into() }),
            title: "One Piece".into(),
            message: "New chapter 1100 available (was chapter 1099)".into(),
            chapter: Chapter::from_f64(1100.5),
            old_chapter: Chapter::whole(1099),
            chapter_title: None,
            release_date: None,
            changes: vec![FieldChange {
                field: "current_chapter".into(),
                old_value: json!(1099),
                new_value: json!(1100),
            }],
            at: 0,
        }
    }

    fn shape(write: fn(&Notification, &mut Vec<u8>), notification: &Notification) -> Value {
        let mut out = Vec::new();
        write(notification, &mut out);
        serde_json::from_slice(&out).unwrap()
    }

    fn in_a_datagram(notification: &Notification, out: &mut Vec<u8>) {
        write_v2_with(notification, usize::MAX, out);
    }

    /// Each family finds its members where it looks for them.
    #[test]
    fn each_dialect_has_its_shape() {
        let at = "1970-01-01T00:00:00Z";
        let message = "New chapter 1100 available (was chapter 1099)";
        let changes = json!([{"field": "current_chapter", "old_value": 1099, "new_value": 1100}]);
        let release = json!({
            "id": 7, "kind": "NEW_CHAPTER", "manga_id": "one-piece", "manga_title": "One Piece",
            "chapter_number": 1100, "chapter_exact": 1100.5, "release_date": at, "message": message, "chapter": 1100,
        });
        assert_eq!(shape(write_v1, &chapter()), json!({"type": "notification", "timestamp": at, "data": release}));
        let mut flat = json!({
            "type": "NEW_CHAPTER", "id": 7, "kind": "NEW_CHAPTER", "manga_id": 5, "manga_slug": "one-piece",
            "title": "One Piece", "message": message, "timestamp": at, "data": {"chapter": 1100}, "changes": changes,
        });
        assert_eq!(shape(in_a_datagram, &chapter()), flat);
        assert_eq!(shape(write_sync_v2, &chapter()), json!({"type": "notification", "timestamp": at, "data": flat}));
        (flat["type"], flat["data"]) = (json!("notification"), release);
        assert_eq!(shape(write_web, &chapter()), flat);
    }

    /// An update names its fields; what was not there before has no `old_value`.
    #[test]
    fn an_update_names_its_fields() {
        let mut update = Notification { kind: NoticeKind::MangaUpdate, chapter: None, ..chapter() };
        update.changes[0] = FieldChange { field: "author".into(), old_value: Value::Null, new_value: json!("Oda") };
        let flat = shape(in_a_datagram, &update);
        assert_eq!(flat["data"], json!({"updated_fields": ["author"]}));
        assert_eq!(flat["changes"], json!([{"field": "author", "new_value": "Oda"}]));
        assert_eq!(shape(write_v1, &update)["data"]["chapter_number"], 0);
    }

    /// What is about no series names none.
    #[test]
    fn an_announcement_is_about_nothing() {
        let note = Notification { manga: None, chapter: None, changes: Vec::new(), ..chapter() };
        let flat = shape(in_a_datagram, &note);
        assert_eq!((&flat["manga_id"], flat.get("data"), flat.get("changes")), (&json!(0), None, None));
    }
}
