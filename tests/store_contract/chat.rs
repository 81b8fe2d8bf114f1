//! What people say to each other.

use mangahub::handlers::chat::announce;
use mangahub::store::GUEST_ROOMS_MAX;

use super::*;

contract!(
    rooms_keep_what_was_said,
    messages_come_in_pages,
    announcements_are_said_by_the_server,
    private_messages_are_for_two,
    deleted_messages_are_shown_to_nobody,
    the_silent_are_not_stored,
    guests_are_silenced_by_name_or_all,
    new_rooms_are_bounded,
    only_so_much_of_guests_is_kept,
    mutes_are_listed_and_lifted,
    rooms_are_listed,
    old_chat_is_forgotten,
    what_somebody_said_goes_with_them,
    chat_of_nobody_is_not_found,
    readers_refuse_to_chat,
);

fn general() -> RoomKey {
    RoomKey::general()
}

fn said_by(user: &UserId, room: &RoomKey, content: &str, at: UnixMillis) -> NewMessage {
    NewMessage {
        room: room.clone(),
        user_id: Some(user.clone()),
        speaker: Speaker::User,
        username: format!("{user} as shown then"),
        content: content.to_owned(),
        received_at: at,
    }
}

fn said_by_guest(name: &str, content: &str) -> NewMessage {
    let (room, speaker) = (general(), Speaker::Guest);
    NewMessage { room, user_id: None, speaker, username: name.into(), content: content.into(), received_at: 1 }
}

impl Fixture {
    /// A user who is no administrator.
    fn add_plain(&mut self, name: &'static str) -> UserId {
        let plain = User { role: Role::User, ..user(name) };
        self.write(|store| store.create_user(&plain)).unwrap();
        plain.id
    }

    fn say(&mut self, message: NewMessage) -> Result<Message, Mute> {
        match self.write(|store| store.post_message(&message)).unwrap() {
            Posted::Stored(message) => Ok(message),
            Posted::Muted(mute) => Err(mute),
            Posted::NoRoom => panic!("there are too many rooms"),
        }
    }

    fn whisper(&mut self, from: &UserId, to: &str, content: &str) -> Result<Posted, StoreError> {
        let message = NewPrivateMessage {
            from: from.clone(),
            username: from.to_string(),
            to: to.into(),
            content: content.into(),
            received_at: 5,
        };
        self.write(|store| store.post_private(&message))
    }

    fn silence(&mut self, user: &str, room: Option<RoomKey>, by: &UserId, until: UnixMillis) -> Mute {
        self.silence_who(Silenced::User(user.to_owned()), room, by, until)
    }

    fn silence_who(&mut self, who: Silenced, room: Option<RoomKey>, by: &UserId, until: UnixMillis) -> Mute {
        let muted_by = by.clone();
        let mute = NewMute { who, room, until, reason: "because".into(), muted_by, received_at: 1 };
        self.write(|store| store.mute(&mute)).unwrap()
    }

    fn room(&mut self, room: &RoomKey) -> Vec<String> {
        let messages = self.reader().room_messages(room, None, 100).unwrap();
        messages.items.into_iter().map(|message| message.content).collect()
    }
}

/// Shows that what users, guests and the server said in a room comes back as it was, and in no other room.
fn rooms_keep_what_was_said(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let text = "<b>☃</b>\n\t'; DROP TABLE chat_messages; --";
    let first = fixture.say(said_by(&ann, &general(), text, 7)).unwrap();
    fixture.say(said_by_guest("anonymous", "hi")).unwrap();
    let system = NewMessage { speaker: Speaker::System, ..said_by_guest("System_Admin", "New chapter") };
    fixture.say(system).unwrap();
    fixture.say(said_by(&ann, &RoomKey::of_manga(series), "elsewhere", 9)).unwrap();
    let mut fixture = fixture.reopened();
    let read = fixture.reader().room_messages(&general(), None, 10).unwrap();
    assert!(!read.more);
    assert_eq!(read.items[0], first);
    assert_eq!((&*first.content, first.created_at, first.user_id.as_ref()), (text, 7, Some(&ann)));
    assert_eq!(first.username, format!("{ann} as shown then"));
    let speakers: Vec<_> = read.items.iter().map(|message| (message.speaker, message.user_id.is_some())).collect();
    assert_eq!(speakers, [(Speaker::User, true), (Speaker::Guest, false), (Speaker::System, false)]);
    assert_eq!(fixture.room(&RoomKey::of_manga(series)), ["elsewhere"]);
    assert_eq!(fixture.reader().message(first.id), Ok(first));
}

/// Shows that an announcement is said in each room within one job, by the server, and that no mute stops it.
fn announcements_are_said_by_the_server(mut fixture: Fixture) {
    let series = fixture.pair().1;
    let rooms = announce::rooms_of(series);
    let posted =
        fixture.write(|store| announce::post(store, &rooms, "New Chapter Release: T - Chapter 5!", 9)).unwrap();
    assert_eq!(posted.len(), 2);
    for (room, message) in rooms.iter().zip(posted) {
        assert_eq!((message.speaker, message.user_id.as_ref()), (Speaker::System, None));
        assert_eq!(fixture.reader().room_messages(room, None, 9).unwrap().items, [message]);
    }
}

/// Shows that pages of any size are what one large page is, each oldest first.
fn messages_come_in_pages(mut fixture: Fixture) {
    let ann = fixture.add_plain("ann");
    let ids: Vec<_> = (0..7).map(|n| fixture.say(said_by(&ann, &general(), &n.to_string(), n)).unwrap().id).collect();
    assert!(ids.is_sorted_by(|one, other| one < other));
    for limit in [1, 3, 7, 8] {
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let page = fixture.reader().room_messages(&general(), before, limit).unwrap();
            before = page.items.first().map(|message| message.id);
            seen.splice(0..0, page.items.iter().map(|message| message.id));
            if !page.more {
                break;
            }
            assert_eq!(page.items.len(), limit as usize);
        }
        assert_eq!(seen, ids, "{limit}");
    }
}

/// Shows that a conversation is one list for both, found by id and by name, and nobody else's.
fn private_messages_are_for_two(mut fixture: Fixture) {
    let [ann, bob, cay] = ["ann", "bob", "cay"].map(|name| fixture.add_plain(name));
    fixture.whisper(&ann, "bob", "1").unwrap();
    fixture.whisper(&bob, ann.as_str(), "2").unwrap();
    fixture.whisper(&ann, "cay", "3").unwrap();
    fixture.whisper(&ann, "ann", "to myself").unwrap();
    let reader = fixture.reader();
    let mut texts = |user: &UserId, with: &str| -> Vec<String> {
        let items = reader.private_messages(user, with, None, 9).unwrap().items;
        items.into_iter().map(|message| message.content).collect()
    };
    assert_eq!(texts(&ann, "BOB"), ["1", "2"]);
    assert_eq!(texts(&bob, ann.as_str()), ["1", "2"]);
    assert_eq!(texts(&cay, "ann"), ["3"]);
    assert_eq!(texts(&ann, "ann"), ["to myself"]);
    assert_eq!(texts(&bob, "cay"), [""; 0]);
    let last = reader.private_messages(&ann, "bob", None, 1).unwrap();
    assert!(last.more && last.items[0].content == "2");
    assert_eq!(last.items[0].place, Place::To { id: ann.clone(), username: "ann".into() });
    assert_eq!(reader.room_messages(&general(), None, 9).unwrap().items, []);
    assert_eq!(fixture.whisper(&ann, "nobody", "x"), Err(StoreError::NotFound));
    assert_eq!(
        fixture.whisper(&ann, "bob@example.org", "x"),
        Err(StoreError::NotFound),
        "addresses are nobody's business"
    );
}

/// Shows that a deleted message is in no list and can't be deleted twice.
fn deleted_messages_are_shown_to_nobody(mut fixture: Fixture) {
    let ann = fixture.add_plain("ann");
    let one = fixture.say(said_by(&ann, &general(), "one", 1)).unwrap();
    fixture.say(said_by(&ann, &general(), "two", 2)).unwrap();
    fixture.write(|store| store.delete_message(one.id, &ann, 3)).unwrap();
    assert_eq!(fixture.write(|store| store.delete_message(one.id, &ann, 3)), Err(StoreError::NotFound));
    assert_eq!(fixture.room(&general()), ["two"]);
    assert_eq!(fixture.reader().message(one.id), Err(StoreError::NotFound));
    assert_eq!(fixture.reader().messages_by(&ann, 0, 9).unwrap().len(), 1);
}

/// Shows that a mute holds where it was given and until it ends, and that one for everywhere holds for
/// private messages too.
fn the_silent_are_not_stored(mut fixture: Fixture) {
    let [ann, bob] = ["ann", "bob"].map(|name| fixture.add_plain(name));
    let other = RoomKey::named("other").unwrap();
    let mute = fixture.silence("bob", Some(general()), &ann, 100);
    assert_eq!(
        (&mute.user_id, &mute.username, &mute.muted_by),
        (&Some(bob.clone()), &"bob".to_owned(), &Some(ann.clone()))
    );
    assert_eq!(fixture.say(said_by(&bob, &general(), "x", 99)), Err(mute));
    fixture.say(said_by(&bob, &other, "elsewhere", 99)).unwrap();
    fixture.say(said_by(&bob, &general(), "after", 100)).unwrap();
    assert!(matches!(fixture.whisper(&bob, "ann", "x"), Ok(Posted::Stored(_))));
    fixture.silence(bob.as_str(), None, &ann, 300);
    assert_eq!(fixture.say(said_by(&bob, &other, "x", 200)).unwrap_err().until, 300);
    assert!(matches!(fixture.whisper(&bob, "ann", "x"), Ok(Posted::Muted(_))));
    assert_eq!((fixture.room(&general()).len(), fixture.room(&other).len()), (1, 1));
}

/// Shows that people without an account are silenced by their name, in whatever case and marked or not, or all
/// together, where and as long as they are, and that no user is silenced with them.
fn guests_are_silenced_by_name_or_all(mut fixture: Fixture) {
    let ann = fixture.add_plain("ann");
    let other = RoomKey::named("other").unwrap();
    let guest = |name: &str| Silenced::Guest(name.into());
    let bob = fixture.silence_who(guest("Bob"), Some(general()), &ann, 100);
    assert_eq!((&bob.user_id, &*bob.username, &bob.muted_by), (&None, "Bob", &Some(ann.clone())));
    for name in ["Bob", "BOB", "bob (guest)"] {
        assert_eq!(fixture.say(said_by_guest(name, "x")), Err(bob.clone()), "{name}");
        assert_eq!(fixture.reader().mute_in_force(None, name, &general(), 99), Ok(Some(bob.clone())));
    }
    fixture.say(said_by_guest("bobby", "x")).unwrap();
    fixture.say(NewMessage { room: other.clone(), ..said_by_guest("Bob", "x") }).unwrap();
    assert_eq!(fixture.reader().mute_in_force(None, "Bob", &general(), 100), Ok(None));
    assert_eq!(fixture.reader().mute_in_force(Some(&ann), "Bob", &general(), 1), Ok(None));
    let all = fixture.silence_who(guest(""), None, &ann, 200);
    assert_eq!(fixture.say(NewMessage { room: other, ..said_by_guest("cay", "x") }), Err(all.clone()));
    fixture.say(said_by(&ann, &general(), "a user", 1)).unwrap();
    fixture.say(NewMessage { speaker: Speaker::System, ..said_by_guest("System_Admin", "the server") }).unwrap();
    fixture.silence("ann", None, &ann, 150);
    let page = fixture.reader().mutes(1, Window::default()).unwrap();
    assert_eq!(page.items.iter().map(|mute| mute.until).collect::<Vec<_>>(), [200, 150, 100]);
    assert_eq!((page.total, &page.items[0]), (3, &all));
    assert_eq!(fixture.write(|store| store.unmute(&guest(""), None)), Ok((None, String::new())));
    assert_eq!(fixture.write(|store| store.unmute(&guest(""), None)), Err(StoreError::NotFound));
    fixture.write(|store| store.prune_chat(None, 150)).unwrap();
    assert_eq!(fixture.reader().mutes(1, Window::default()).unwrap().total, 0);
}

/// Shows that nobody begins a room beyond the bound, people without an account long before users, that one
/// which is there stays open to all, and that rooms of series don't count as new.
fn new_rooms_are_bounded(mut fixture: Fixture) {
    let ann = fixture.add_plain("ann");
    let series = RoomKey::of_manga(7);
    let in_room = |name: &str| RoomKey::named(name).unwrap();
    fixture
        .write(|store| {
            for number in 0..GUEST_ROOMS_MAX {
                let room = RoomKey::named(&format!("r{number}")).unwrap();
                store.post_message(&NewMessage { room, ..said_by_guest("x", "x") })?;
            }
            Ok(())
        })
        .unwrap();
    let mut guest = |room: RoomKey| {
        let message = NewMessage { room, ..said_by_guest("x", "x") };
        fixture.write(|store| store.post_message(&message)).unwrap()
    };
    assert_eq!(guest(in_room("another")), Posted::NoRoom);
    assert!([in_room("r0"), general(), series].into_iter().all(|room| matches!(guest(room), Posted::Stored(_))));
    fixture.say(said_by(&ann, &in_room("another"), "x", 1)).unwrap();
    fixture.say(NewMessage { room: in_room("another"), ..said_by_guest("x", "now it is there") }).unwrap();
}

/// Shows that what people without an account say is kept up to a number, the latest, whoever else spoke.
fn only_so_much_of_guests_is_kept(mut fixture: Fixture) {
    let ann = fixture.add_plain("ann");
    fixture.say(said_by(&ann, &general(), "a user's", 1)).unwrap();
    (0..250).for_each(|number| drop(fixture.say(said_by_guest("x", &number.to_string())).unwrap()));
    assert_eq!(fixture.write(|store| store.prune_guests(250)), Ok(false));
    assert_eq!(fixture.room(&general())[0], "150", "a page shows the latest hundred");
    assert_eq!(fixture.write(|store| store.prune_guests(3)), Ok(true));
    assert_eq!(fixture.write(|store| store.prune_guests(3)), Ok(false));
    assert_eq!(fixture.room(&general()), ["a user's", "247", "248", "249"]);
}

/// Shows that mutes are listed until they end, that a new one replaces the old, and that each can be lifted.
fn mutes_are_listed_and_lifted(mut fixture: Fixture) {
    let [ann, bob] = ["ann", "bob"].map(|name| fixture.add_plain(name));
    fixture.silence("bob", None, &ann, 100);
    fixture.silence("bob", Some(general()), &ann, 50);
    fixture.silence("bob", None, &ann, 200);
    let all = Window::default();
    let page = fixture.reader().mutes(10, all).unwrap();
    assert_eq!(page.items.iter().map(|mute| mute.until).collect::<Vec<_>>(), [200, 50]);
    assert_eq!(page.total, 2);
    assert_eq!(fixture.reader().mutes(50, all).unwrap().total, 1);
    assert_eq!(fixture.reader().mutes_of(&bob).unwrap().len(), 2);
    assert_eq!(
        fixture.write(|store| store.unmute(&Silenced::User("bob".into()), None)),
        Ok((Some(bob.clone()), "bob".into()))
    );
    assert_eq!(fixture.write(|store| store.unmute(&Silenced::User("bob".into()), None)), Err(StoreError::NotFound));
    fixture.say(said_by(&bob, &RoomKey::named("x").unwrap(), "again", 20)).unwrap();
    let admin = User { role: Role::Admin, ..user("root") };
    fixture.write(|store| store.create_user(&admin)).unwrap();
    let mute = NewMute {
        who: Silenced::User("root".into()),
        room: None,
        until: 9,
        reason: String::new(),
        muted_by: ann.clone(),
        received_at: 1,
    };
    assert_eq!(fixture.write(|store| store.mute(&mute)), Err(StoreError::Conflict));
}

/// Shows that rooms are listed with the latest first, those in which nothing was said behind them, in pages.
fn rooms_are_listed(mut fixture: Fixture) {
    let ann = fixture.add_plain("ann");
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| RoomKey::named(name).unwrap());
    fixture.say(said_by(&ann, &a, "x", 5)).unwrap();
    fixture.say(said_by(&ann, &b, "x", 9)).unwrap();
    let also = [d.clone(), a.clone(), c.clone()];
    let row = |room: &RoomKey, last_at| RoomRow { room: room.clone(), last_at };
    let all = [row(&b, Some(9)), row(&a, Some(5)), row(&c, None), row(&d, None)];
    let reader = fixture.reader();
    let page = reader.rooms(&also, Window::default()).unwrap();
    assert_eq!((&page.items[..], page.total), (&all[..], 4));
    for offset in 0..5 {
        let page = reader.rooms(&also, Window { limit: Some(2), offset }).unwrap();
        let (from, to) = (offset.min(4) as usize, (offset + 2).min(4) as usize);
        assert_eq!((&page.items[..], page.total), (&all[from..to], 4), "{offset}");
    }
}

/// Shows that messages, rooms and mutes go when their time has come, and no sooner, however many there are.
fn old_chat_is_forgotten(mut fixture: Fixture) {
    let ann = fixture.add_plain("ann");
    let old = RoomKey::named("old").unwrap();
    for at in 0..250 {
        fixture.say(said_by(&ann, &old, "x", at)).unwrap();
    }
    fixture.say(said_by(&ann, &general(), "new", 250)).unwrap();
    fixture.silence("ann", None, &ann, 300);
    assert_eq!(fixture.write(|store| store.prune_chat(None, 1)), Ok(false));
    assert_eq!(fixture.write(|store| store.prune_chat(Some(250), 299)), Ok(true));
    while fixture.write(|store| store.prune_chat(Some(250), 299)).unwrap() {}
    let rooms = fixture.reader().rooms(&[], Window::default()).unwrap();
    assert_eq!(rooms.items, [RoomRow { room: general(), last_at: Some(250) }]);
    assert_eq!((fixture.room(&old).len(), fixture.room(&general())), (0, vec!["new".to_owned()]));
    assert_eq!(fixture.reader().mutes_of(&ann).unwrap().len(), 1);
    fixture.write(|store| store.prune_chat(None, 300)).unwrap();
    assert_eq!(fixture.reader().mutes_of(&ann).unwrap().len(), 0);
}

/// Shows that a deleted user's messages go, private ones on both sides, and that what they deleted stays deleted.
fn what_somebody_said_goes_with_them(mut fixture: Fixture) {
    let [ann, bob] = ["ann", "bob"].map(|name| fixture.add_plain(name));
    let kept = fixture.say(said_by(&bob, &general(), "kept", 1)).unwrap();
    let gone = fixture.say(said_by(&bob, &general(), "deleted by ann", 1)).unwrap();
    for content in ["1", "2", "3"] {
        fixture.say(said_by(&ann, &general(), content, 1)).unwrap();
        fixture.whisper(&ann, "bob", content).unwrap();
        fixture.whisper(&bob, "ann", content).unwrap();
    }
    fixture.write(|store| store.delete_message(gone.id, &ann, 3)).unwrap();
    fixture.silence("ann", None, &bob, 9);
    fixture.silence("bob", None, &ann, 9);
    fixture.write(|store| store.delete_user(&ann, Voiding { was: 0, valid_from: 300 }, 0)).unwrap();
    while fixture.write(|store| store.erase_deleted(2)).unwrap() {}
    assert_eq!(fixture.room(&general()), ["kept"]);
    let reader = fixture.reader();
    assert_eq!(reader.messages_by(&bob, 0, 99).unwrap(), [kept]);
    assert_eq!(reader.message(gone.id), Err(StoreError::NotFound));
    let mutes = reader.mutes(0, Window::default()).unwrap();
    assert_eq!(
        mutes.items.iter().map(|mute| (&mute.user_id, &mute.muted_by)).collect::<Vec<_>>(),
        [(&Some(bob), &None)]
    );
}

/// Shows that every verb that names somebody who does not exist says so.
fn chat_of_nobody_is_not_found(mut fixture: Fixture) {
    let (ann, nobody) = (fixture.add_plain("ann"), id("nobody"));
    let message = said_by(&nobody, &general(), "x", 1);
    assert_eq!(fixture.write(|store| store.post_message(&message)), Err(StoreError::NotFound));
    assert_eq!(fixture.whisper(&nobody, "ann", "x"), Err(StoreError::NotFound));
    assert_eq!(fixture.reader().private_messages(&ann, "nobody", None, 1), Err(StoreError::NotFound));
    assert_eq!(fixture.reader().messages_by(&nobody, 0, 1), Err(StoreError::NotFound));
    assert_eq!(fixture.reader().mutes_of(&nobody), Err(StoreError::NotFound));
    assert_eq!(fixture.write(|store| store.unmute(&Silenced::User("nobody".into()), None)), Err(StoreError::NotFound));
    assert_eq!(fixture.reader().room_messages(&general(), None, 1), Ok(Messages::default()));
}

/// Shows that a reader's store can't write.
fn readers_refuse_to_chat(mut fixture: Fixture) {
    let ann = fixture.add_plain("ann");
    let reader = fixture.reader();
    assert_eq!(reader.post_message(&said_by(&ann, &general(), "x", 1)), Err(StoreError::Unavailable));
    assert_eq!(reader.delete_message(1, &ann, 1), Err(StoreError::Unavailable));
    assert_eq!(reader.unmute(&Silenced::User("ann".into()), None), Err(StoreError::Unavailable));
    assert_eq!(reader.prune_chat(None, 1), Err(StoreError::Unavailable));
    assert_eq!(reader.prune_guests(1), Err(StoreError::Unavailable));
}
