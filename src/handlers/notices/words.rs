//! What notifications say: the texts that existing clients print, word for word.

use serde_json::Value;

use crate::handlers::text;
use crate::store::model::{
    Audience, Chapter, FieldChange, Manga, MangaEvent, MangaEventKind, NewNotice, NoticeKind, NoticeManga, Notification,
};

/// A notification with nothing said yet.
fn blank(kind: NoticeKind, manga: Option<NoticeManga>, title: &str, message: String) -> Notification {
    Notification {
        id: 0,
        kind,
        manga,
        title: clean(title, TITLE_CHARACTERS_MAX),
        message: clean(&message, MESSAGE_CHARACTERS_MAX),
        chapter: None,
        old_chapter: None,
        chapter_title: None,
        release_date: None,
        changes: Vec::new(),
        at: 0,
    }
}

fn told_to(audience: Audience, notification: Notification) -> NewNotice {
    NewNotice { audience, notification, insists: false }
}

/// A series came into the catalogue: for everyone.
pub fn new_manga(manga: NoticeManga, title: &str) -> NewNotice {
    let message = format!("New manga added: {title}");
    told_to(Audience::Everyone, blank(NoticeKind::NewManga, Some(manga), title, message))
}

/// A chapter came out: for the readers.
pub fn new_chapter(manga: NoticeManga, title: &str, chapter: Chapter, old: Option<Chapter>) -> NewNotice {
    let was = old.map(|old| format!(" (was chapter {old})")).unwrap_or_default();
    let message = format!("New chapter {chapter} available{was}");
    let change = FieldChange {
        field: "current_chapter".into(),
        old_value: old.map_or(Value::Null, |old| old.floor().into()),
        new_value: chapter.floor().into(),
    };
    let notification = Notification {
        chapter: Some(chapter),
        old_chapter: old,
        changes: vec![change],
        ..blank(NoticeKind::NewChapter, Some(manga), title, message)
    };
    told_to(Audience::Readers, notification)
}

/// Facts changed: for the readers.
pub fn manga_update(manga: NoticeManga, title: &str, changes: Vec<FieldChange>) -> NewNotice {
    let fields: Vec<&str> = changes.iter().map(|change| change.field.as_str()).collect();
    let message = format!("Updated: {}", enumerate(&fields));
    let changes = changes.into_iter().map(shorten).collect();
    let notification = Notification { changes, ..blank(NoticeKind::MangaUpdate, Some(manga), title, message) };
    told_to(Audience::Readers, notification)
}

/// An administrator has something to say: for everyone.
pub fn announcement(manga: Option<NoticeManga>, title: &str, message: String) -> NewNotice {
    told_to(Audience::Everyone, blank(NoticeKind::Announcement, manga, title, message))
}

/// A user tries out whether they are reached.
pub fn test(audience: Audience) -> NewNotice {
    let message = "This is a test notification".to_owned();
    told_to(audience, blank(NoticeKind::Test, None, "Test", message))
}

/// What an administrator's change of the catalogue tells.
pub fn of_event(event: MangaEvent, manga: &Manga) -> Option<NewNotice> {
    let named = NoticeManga { id: manga.id, slug: manga.facts.slug.clone() };
    let title = &manga.facts.title;
    Some(match event.kind {
        MangaEventKind::NewManga => new_manga(named, title),
        MangaEventKind::MangaUpdate => manga_update(named, title, event.changes.into_iter().map(renamed).collect()),
        MangaEventKind::NewChapter => {
            let old = event.changes.first().and_then(|change| change.old_value.as_f64()).and_then(Chapter::from_f64);
            new_chapter(named, title, manga.facts.latest_chapter?, old)
        }
    })
}

/// Facts by the names that clients know from their own forms.
fn renamed(change: FieldChange) -> FieldChange {
    let field = match change.field.as_str() {
        "chapters_total" => "total_chapters".to_owned(),
        _ => change.field,
    };
    FieldChange { field, ..change }
}

/// `a`, `a and b`, `a, b, and c`.
fn enumerate(names: &[&str]) -> String {
    match names {
        [] => "details".into(),
        [one] => (*one).into(),
        [one, two] => format!("{one} and {two}"),
        [head @ .., last] => format!("{}, and {last}", head.join(", ")),
    }
}

/// A datagram has no room for descriptions: of a long value only the beginning is told.
fn shorten(change: FieldChange) -> FieldChange {
    let shorten = |value: Value| match &value {
        Value::String(text) => Value::String(clean(text, VALUE_CHARACTERS_MAX)),
        Value::Array(_) | Value::Object(_) => Value::String(clean(&value.to_string(), VALUE_CHARACTERS_MAX)),
        _ => value,
    };
    FieldChange {
        field: clean(&change.field, FIELD_CHARACTERS_MAX),
        old_value: shorten(change.old_value),
        new_value: shorten(change.new_value),
    }
}

/// Without control characters, and cut.
pub fn clean(text: &str, characters_max: usize) -> String {
    text::shown(text, characters_max)
}

const TITLE_CHARACTERS_MAX: usize = 300;

/// Longer than any text above with a title in it.
const MESSAGE_CHARACTERS_MAX: usize = 600;

const VALUE_CHARACTERS_MAX: usize = 120;

const FIELD_CHARACTERS_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> NoticeManga {
        NoticeManga { id: 1, slug: "a".into() }
    }

    /// The texts are those that clients and their users know.
    #[test]
    fn messages_are_word_for_word() {
        let said = |notice: NewNotice| notice.notification.message;
        assert_eq!(said(new_manga(one(), "Akira")), "New manga added: Akira");
        let (ten, old) = (Chapter::whole(10).unwrap(), Chapter::from_f64(9.5));
        assert_eq!(said(new_chapter(one(), "A", ten, None)), "New chapter 10 available");
        assert_eq!(said(new_chapter(one(), "A", ten, old)), "New chapter 10 available (was chapter 9.5)");
        let updated = |fields: &[&str]| {
            let change =
                |field: &&str| FieldChange { field: (*field).into(), old_value: Value::Null, new_value: Value::Null };
            said(manga_update(one(), "A", fields.iter().map(change).collect()))
        };
        assert_eq!(updated(&["a"]), "Updated: a");
        assert_eq!(updated(&["a", "b"]), "Updated: a and b");
        assert_eq!(updated(&["a", "b", "c"]), "Updated: a, b, and c");
    }

    /// Of a long value only the beginning is told, and nothing that a terminal would obey.
    #[test]
    fn long_values_are_cut() {
        let change = FieldChange {
            field: "description".into(),
            old_value: "\u{1b}[2J".into(),
            new_value: "界".repeat(5000).into(),
        };
        let notice = manga_update(one(), "A", vec![change]);
        let change = &notice.notification.changes[0];
        assert!(change.new_value.as_str().unwrap().chars().count() <= VALUE_CHARACTERS_MAX + 1);
        assert!(!change.old_value.as_str().unwrap().contains('\u{1b}'));
    }
}
