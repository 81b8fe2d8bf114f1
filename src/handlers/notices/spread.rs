//! Who else hears of a notification: rooms of chat and webhooks. What they get is stored in the
//! transaction that stores the notification, so all of them hear of it or none does.

use serde_json::json;

use crate::handlers::chat::announce;
use crate::handlers::webhooks;
use crate::store::model::{
    Audience, FieldChange, HookAudience, HookEvent, Message, NoticeKind, Notification, RoomKey, UnixMillis,
};
use crate::store::{EVENT_BYTES_MAX, Store, StoreError};

/// A new chapter is said in the room of its series, and in the one where everybody meets.
pub(super) fn post(told: &Notification, store: &mut dyn Store, now: UnixMillis) -> Result<Vec<Message>, StoreError> {
    let (NoticeKind::NewChapter, Some(chapter)) = (told.kind, told.chapter) else { return Ok(Vec::new()) };
    let text = format!("New Chapter Release: {} - Chapter {chapter}!", told.title);
    // Whoever triggered it may know a series that the catalogue doesn't have, and no room is for that.
    let rooms = match told.manga.as_ref().map(|manga| (manga.id, store.manga(manga.id))) {
        Some((id, Ok(_))) => announce::rooms_of(id).to_vec(),
        Some((_, Err(StoreError::NotFound))) | None => vec![RoomKey::general()],
        Some((_, Err(error))) => return Err(error),
    };
    announce::post(store, &rooms, &text, now)
}

/// Puts it in line for webhooks. `true` when one is to hear of it.
pub(super) fn enqueue(
    audience: &Audience,
    told: &Notification,
    store: &mut dyn Store,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let event = match told.kind {
        NoticeKind::NewManga => HookEvent::NewManga,
        NoticeKind::NewChapter => HookEvent::NewChapter,
        NoticeKind::MangaUpdate => HookEvent::MangaUpdate,
        NoticeKind::Announcement => HookEvent::Announcement,
        NoticeKind::Test => HookEvent::Test,
    };
    let audience = match (audience, &told.manga) {
        (Audience::User(user), _) => HookAudience::User(user.clone()),
        (Audience::Readers, Some(manga)) => HookAudience::Readers(manga.id),
        (Audience::Readers, None) | (Audience::Everyone, _) => HookAudience::Everyone,
    };
    let mut body = body(event, told, true);
    if body.len() > EVENT_BYTES_MAX {
        // Whoever wants to know what changed in so long a text asks for the series.
        body = self::body(event, told, false);
    }
    store.enqueue_webhook(event, &body, &audience, now)
}

fn body(event: HookEvent, told: &Notification, with_changes: bool) -> String {
    let change = |change: &FieldChange| json!({"field": change.field, "old_value": change.old_value, "new_value": change.new_value});
    let changes = told.changes.iter().filter(|_| with_changes).map(change).collect::<Vec<_>>();
    let data = json!({
        "id": told.id,
        "manga_id": told.manga.as_ref().map(|manga| manga.id),
        "manga_slug": told.manga.as_ref().map(|manga| &manga.slug),
        "title": told.title,
        "message": told.message,
        "chapter": told.chapter,
        "old_chapter": told.old_chapter,
        "chapter_title": told.chapter_title,
        "release_date": told.release_date,
        "changes": changes,
    });
    webhooks::envelope(event, told.at, &data)
}
