//! What streams tell of notifications and of chat.

use super::messages;
use super::messages::chat_event::Event as What;
use crate::handlers::chat::{Event, Face, Room};
use crate::store::model::{Chapter, FieldChange, Message, Mute, Notification, UnixMillis, UserId};

/// A notification in its message.
pub(super) fn notification(told: &Notification) -> messages::Notification {
    messages::Notification {
        id: told.id,
        kind: told.kind.as_str().to_owned(),
        manga_id: told.manga.as_ref().map(|manga| manga.id),
        manga: told.manga.as_ref().map(|manga| manga.slug.clone()).unwrap_or_default(),
        title: told.title.clone(),
        message: told.message.clone(),
        chapter: told.chapter.map(Chapter::as_f64),
        old_chapter: told.old_chapter.map(Chapter::as_f64),
        chapter_title: told.chapter_title.clone(),
        release_date: told.release_date.clone(),
        changes: told.changes.iter().map(change).collect(),
        at_ms: told.at,
    }
}

fn change(change: &FieldChange) -> messages::FieldChange {
    let json = |value: &serde_json::Value| (!value.is_null()).then(|| value.to_string());
    messages::FieldChange {
        field: change.field.clone(),
        old_value: json(&change.old_value),
        new_value: json(&change.new_value),
    }
}

/// What happened in a room in its message; nothing for what happened between two people.
pub(super) fn chat(event: &Event) -> Option<messages::ChatEvent> {
    let (room, at, what) = match event {
        Event::Said(message, room) => (room.as_ref()?, message.created_at, What::Message(said(message))),
        Event::Deleted(id, room, at) => (room.as_ref()?, *at, What::DeletedId(*id)),
        Event::Muted(room, mute, at) => (room, *at, What::Muted(muted(mute))),
        Event::Unmuted(room, face, at) => (room, *at, What::Unmuted(person(face))),
        Event::Typing(room, face, at) => (room, *at, What::Typing(person(face))),
        Event::Notice(room, text, at) => (room, *at, What::Notice(text.clone())),
        Event::Presence(room, online, at) => (room, *at, What::Online(u32::try_from(*online).unwrap_or(u32::MAX))),
    };
    Some(in_room(room, at, what))
}

fn in_room(room: &Room, at_ms: UnixMillis, what: What) -> messages::ChatEvent {
    messages::ChatEvent { room: room.label.to_string(), manga_id: room.key.manga(), at_ms, event: Some(what) }
}

fn said(message: &Message) -> messages::ChatMessage {
    messages::ChatMessage {
        id: message.id,
        speaker: message.speaker.as_str().to_owned(),
        from: Some(somebody(message.user_id.as_ref(), &message.username)),
        content: message.content.clone(),
    }
}

fn muted(mute: &Mute) -> messages::ChatMute {
    messages::ChatMute { person: Some(somebody(mute.user_id.as_ref(), &mute.username)), until_ms: mute.until }
}

fn person(face: &Face) -> messages::ChatPerson {
    somebody(face.user_id.as_ref(), &face.username)
}

fn somebody(user_id: Option<&UserId>, username: &str) -> messages::ChatPerson {
    let user_id = user_id.map(|id| id.as_str().to_owned()).unwrap_or_default();
    messages::ChatPerson { user_id, username: username.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::model::{NoticeKind, Place, RoomKey, Speaker};
    use serde_json::{Value, json};

    fn message(place: Place, speaker: Speaker) -> Message {
        let user_id = (speaker == Speaker::User).then(|| UserId::parse("u1").unwrap());
        Message { id: 7, place, speaker, user_id, username: "ann".into(), created_at: 5, content: "hi".into() }
    }

    /// What was said in a room says where and by whom; what was said to one person is no stream's.
    #[test]
    fn what_is_said_names_its_room() {
        let room = Room { key: RoomKey::of_manga(5), label: "one-piece".into() };
        let public = message(Place::Room(room.key.clone()), Speaker::User);
        let told = chat(&Event::Said(public, Some(room.clone()))).unwrap();
        assert_eq!((told.room.as_str(), told.manga_id, told.at_ms), ("one-piece", Some(5), 5));
        let Some(What::Message(said)) = told.event else { panic!("{told:?}") };
        assert_eq!((said.id, said.speaker.as_str(), said.from.unwrap().user_id.as_str()), (7, "user", "u1"));
        let to = Place::To { id: UserId::parse("u2").unwrap(), username: "bob".into() };
        assert_eq!(chat(&Event::Said(message(to, Speaker::User), None)), None);
        assert_eq!(chat(&Event::Deleted(7, None, 0)), None);
        assert_eq!(chat(&Event::Deleted(7, Some(room), 0)).unwrap().event, Some(What::DeletedId(7)));
    }

    /// Values of facts are JSON, and what was not there is not set.
    #[test]
    fn changes_are_json() {
        let changed = FieldChange { field: "author".into(), old_value: Value::Null, new_value: json!("Oda") };
        let told = notification(&Notification {
            id: 7,
            kind: NoticeKind::MangaUpdate,
            manga: None,
            title: "One Piece".into(),
            message: "x".into(),
            chapter: None,
            old_chapter: None,
            chapter_title: None,
            release_date: None,
            changes: vec![changed],
            at: 5,
        });
        assert_eq!((told.kind.as_str(), told.manga_id, told.manga.as_str()), ("MANGA_UPDATE", None, ""));
        assert_eq!(told.changes[0].old_value, None);
        assert_eq!(told.changes[0].new_value.as_deref(), Some("\"Oda\""));
    }
}
