//! Friendships, and what friends see of each other's reading.

use mangahub::store::{FRIENDS_MAX, REQUESTS_MAX};

use super::*;

contract!(
    asking_and_accepting_make_friends,
    asking_back_is_accepting,
    what_cannot_be_asked_is_told,
    either_side_ends_it,
    open_requests_are_bounded,
    friends_are_bounded,
    activity_is_merged_and_paged,
    activity_shows_nothing_private,
    readers_make_no_friends,
);

fn ask(fixture: &mut Fixture, who: &UserId, whom: &'static str, now: UnixMillis) -> Result<Asked, StoreError> {
    let who = who.clone();
    fixture.write(move |store| store.ask_friend(&who, whom, now))
}

fn accept(fixture: &mut Fixture, who: &UserId, whom: &'static str, now: UnixMillis) -> Result<Asked, StoreError> {
    let who = who.clone();
    fixture.write(move |store| store.accept_friend(&who, whom, now))
}

fn friend(name: &str, since: UnixMillis) -> Friend {
    Friend { id: id(name), username: name.to_owned(), since }
}

fn befriend(fixture: &mut Fixture, who: &UserId, whom: &'static str) {
    let asked = ask(fixture, who, whom, 1).unwrap();
    assert_eq!(asked, Asked::Waiting(friend(whom, 1)));
    let name: &'static str = who.as_str().to_owned().leak();
    assert_eq!(accept(fixture, &id(whom), name, 2).unwrap(), Asked::Friends(friend(name, 2)));
}

/// Shows a request from both sides, and the friendship that comes of it, whichever id is the smaller.
fn asking_and_accepting_make_friends(mut fixture: Fixture) {
    let (ann, bob, cay) = (fixture.add_user("ann"), fixture.add_user("bob"), fixture.add_user("cay"));
    ask(&mut fixture, &bob, "ANN", 10).unwrap();
    ask(&mut fixture, &bob, "cay", 20).unwrap();
    let waiting = fixture.reader().friend_requests(&bob, Window::default()).unwrap();
    assert_eq!(waiting.outgoing, [friend("cay", 20), friend("ann", 10)]);
    assert_eq!((waiting.incoming.len(), waiting.incoming_total), (0, 0));
    for who in [&ann, &cay] {
        let asked = fixture.reader().friend_requests(who, Window::default()).unwrap();
        assert_eq!((asked.incoming[0].username.as_str(), asked.incoming_total), ("bob", 1));
        assert_eq!(fixture.reader().friends(who, Window::default()).unwrap().total, 0);
    }
    accept(&mut fixture, &ann, "bob", 30).unwrap();
    accept(&mut fixture, &cay, "BOB", 40).unwrap();
    let all = fixture.reader().friends(&bob, Window::default()).unwrap();
    assert_eq!(all, Page { items: vec![friend("ann", 30), friend("cay", 40)], total: 2 });
    let second = fixture.reader().friends(&bob, Window { limit: Some(1), offset: 1 }).unwrap();
    assert_eq!(second, Page { items: vec![friend("cay", 40)], total: 2 });
    assert_eq!(fixture.reader().friends(&ann, Window::default()).unwrap().items, [friend("bob", 30)]);
    assert_eq!(fixture.reader().friend_requests(&bob, Window::default()).unwrap().outgoing, []);
}

/// Shows that who asks somebody by whom they were asked accepts.
fn asking_back_is_accepting(mut fixture: Fixture) {
    let (ann, bob) = (fixture.add_user("ann"), fixture.add_user("bob"));
    ask(&mut fixture, &ann, "bob", 1).unwrap();
    assert_eq!(ask(&mut fixture, &bob, "ann", 2), Ok(Asked::Friends(friend("ann", 2))));
    assert_eq!(fixture.reader().friends(&ann, Window::default()).unwrap().items, [friend("bob", 2)]);
}

/// Shows each request and acceptance that changes nothing, and that it says why.
fn what_cannot_be_asked_is_told(mut fixture: Fixture) {
    let (ann, bob) = (fixture.add_user("ann"), fixture.add_user("bob"));
    assert_eq!(ask(&mut fixture, &ann, "nobody", 1), Err(StoreError::NotFound));
    assert_eq!(ask(&mut fixture, &ann, "ann@example.org", 1), Err(StoreError::NotFound), "an address is no name");
    assert_eq!(ask(&mut fixture, &id("nobody"), "ann", 1), Err(StoreError::NotFound));
    assert_eq!(ask(&mut fixture, &ann, "Ann", 1), Ok(Asked::Oneself));
    assert_eq!(accept(&mut fixture, &ann, "bob", 1), Err(StoreError::NotFound));
    ask(&mut fixture, &ann, "bob", 1).unwrap();
    assert_eq!(ask(&mut fixture, &ann, "bob", 2), Ok(Asked::WaitingAlready));
    assert_eq!(accept(&mut fixture, &ann, "bob", 2), Err(StoreError::NotFound), "nobody accepts for another");
    accept(&mut fixture, &bob, "ann", 3).unwrap();
    for who in [&ann, &bob] {
        let other = if who == &ann { "bob" } else { "ann" };
        assert_eq!(ask(&mut fixture, who, other, 4), Ok(Asked::FriendsAlready));
        assert_eq!(accept(&mut fixture, who, other, 4), Ok(Asked::FriendsAlready));
    }
    for hostile in HOSTILE {
        let (who, whom) = (ann.clone(), *hostile);
        assert_eq!(fixture.write(|store| store.ask_friend(&who, whom, 5)), Err(StoreError::NotFound));
        assert_eq!(fixture.write(|store| store.remove_friend(&who, whom)), Err(StoreError::NotFound));
    }
    let reader = fixture.reader();
    assert_eq!(reader.friends(&id("nobody"), Window::default()), Err(StoreError::NotFound));
    assert_eq!(reader.friend_requests(&id("nobody"), Window::default()), Err(StoreError::NotFound));
    assert_eq!(reader.friends_activity(&id("nobody"), None, 9), Err(StoreError::NotFound));
}

/// Shows that a request is taken back by one and declined by the other, that a friendship ends from
/// either side, by id or by name, and that then all can begin anew.
fn either_side_ends_it(mut fixture: Fixture) {
    let (ann, bob) = (fixture.add_user("ann"), fixture.add_user("bob"));
    for (accepted, who, whom) in [(false, &ann, "bob"), (false, &bob, "ANN"), (true, &ann, "BOB"), (true, &bob, "ann")]
    {
        ask(&mut fixture, &ann, "bob", 1).unwrap();
        if accepted {
            accept(&mut fixture, &bob, "ann", 2).unwrap();
        }
        let who = who.clone();
        fixture.write(|store| store.remove_friend(&who, whom)).unwrap();
        assert_eq!(fixture.write(|store| store.remove_friend(&who, whom)), Err(StoreError::NotFound));
        assert_eq!(fixture.reader().friends(&ann, Window::default()).unwrap().total, 0);
        assert_eq!(fixture.reader().friend_requests(&bob, Window::default()).unwrap().incoming_total, 0);
    }
}

/// Shows that only so many requests of a user can be open.
fn open_requests_are_bounded(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let names: Vec<&'static str> = (0..=REQUESTS_MAX).map(|n| &*format!("user-{n}").leak()).collect();
    for name in &names {
        fixture.add_user(name);
    }
    let (last, names) = names.split_last().unwrap();
    for name in names {
        assert!(matches!(ask(&mut fixture, &ann, name, 1), Ok(Asked::Waiting(_))));
    }
    assert_eq!(ask(&mut fixture, &ann, last, 1), Ok(Asked::TooManyRequests));
    accept(&mut fixture, &id(names[0]), "ann", 2).unwrap();
    assert!(matches!(ask(&mut fixture, &ann, last, 3), Ok(Asked::Waiting(_))), "an answer makes room");
}

/// Shows that a user can have, and be asked by, only so many.
fn friends_are_bounded(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let names: Vec<&'static str> = (0..=FRIENDS_MAX).map(|n| &*format!("user-{n}").leak()).collect();
    for slice in names.chunks(200) {
        let work = |store: &mut dyn Store| slice.iter().try_for_each(|name| store.create_user(&user(name)));
        fixture.write(work).unwrap();
    }
    let (last, names) = names.split_last().unwrap();
    for slice in names.chunks(200) {
        let asking = |store: &mut dyn Store| {
            slice.iter().try_for_each(|name| {
                store.ask_friend(&id(name), "ann", 1).map(|asked| {
                    assert!(matches!(asked, Asked::Waiting(_)), "{asked:?}");
                })
            })
        };
        fixture.write(asking).unwrap();
    }
    assert_eq!(ask(&mut fixture, &id(last), "ann", 1), Ok(Asked::TooManyRequests));
    for slice in names.chunks(200) {
        let accepting = |store: &mut dyn Store| {
            slice.iter().try_for_each(|name| {
                store.accept_friend(&ann, name, 2).map(|asked| {
                    assert!(matches!(asked, Asked::Friends(_)), "{asked:?}");
                })
            })
        };
        fixture.write(accepting).unwrap();
    }
    assert_eq!(fixture.reader().friends(&ann, Window::default()).unwrap().total, FRIENDS_MAX);
    assert!(matches!(ask(&mut fixture, &id(last), "ann", 3), Ok(Asked::Waiting(_))));
    assert_eq!(accept(&mut fixture, &ann, last, 4), Ok(Asked::TooManyFriends));
}

/// Shows that rows of several friends and series come in one order, page by page, and that those of
/// strangers, of people who only asked, and one's own are not among them.
fn activity_is_merged_and_paged(mut fixture: Fixture) {
    let users: Vec<UserId> = ["ann", "bob", "cay", "dan", "eve"].map(|name| fixture.add_user(name)).into();
    let series = fixture.add_series(&["one", "two", "three"]);
    let [ann, bob, cay, dan, eve] = &users[..] else { unreachable!() };
    befriend(&mut fixture, ann, "bob");
    befriend(&mut fixture, cay, "ann");
    ask(&mut fixture, dan, "ann", 1).unwrap();
    let mut expected = vec![];
    for (step, who) in [bob, cay, dan, ann, eve, cay, bob, bob, cay, bob].into_iter().enumerate() {
        let manga = series[step % 3];
        let chapter = Chapter::whole(step as i64 + 1);
        let stored = fixture.update(ProgressChange { chapter, ..change(who, manga) }).unwrap();
        if who == bob || who == cay {
            expected.insert(0, (stored.seq, who.clone(), manga));
        }
    }
    for limit in [1, 2, 3, 100] {
        let (mut seen, mut before) = (vec![], None);
        loop {
            let page = fixture.reader().friends_activity(ann, before, limit).unwrap();
            assert!(page.complete && page.entries.len() <= limit as usize);
            let Some(last) = page.entries.last() else { break };
            before = Some(last.seq);
            seen.extend(page.entries.into_iter().map(|entry| (entry.seq, entry.user_id, entry.manga_id)));
        }
        assert_eq!(seen, expected, "{limit}");
    }
    let newest = fixture.reader().friends_activity(ann, None, 1).unwrap().entries.remove(0);
    assert_eq!((newest.username.as_str(), newest.chapter.floor(), newest.recorded_at), ("bob", 10, 1));
    assert_eq!(fixture.reader().friends_activity(eve, None, 9).unwrap().entries, []);
}

/// Shows that a series that is private now is not in the feed, what was read in the open before
/// included, and that a forgotten one isn't either.
fn activity_shows_nothing_private(mut fixture: Fixture) {
    let (ann, bob) = (fixture.add_user("ann"), fixture.add_user("bob"));
    let series = fixture.add_series(&["open", "hidden", "gone"]);
    befriend(&mut fixture, &ann, "bob");
    for &manga in &series {
        fixture.update(change(&bob, manga)).unwrap();
    }
    let shown = |fixture: &mut Fixture| -> Vec<MangaId> {
        let page = fixture.reader().friends_activity(&ann, None, 9).unwrap();
        page.entries.into_iter().map(|entry| entry.manga_id).collect()
    };
    assert_eq!(shown(&mut fixture).len(), 3);
    fixture.update(ProgressChange { private: Some(true), ..change(&bob, series[1]) }).unwrap();
    let (who, what) = (bob.clone(), series[2]);
    fixture.write(move |store| store.delete_progress(&who, what)).unwrap();
    assert_eq!(shown(&mut fixture), [series[0]]);
    fixture.update(ProgressChange { private: Some(false), ..change(&bob, series[1]) }).unwrap();
    assert_eq!(shown(&mut fixture), [series[1], series[1], series[1], series[0]]);
    let who = bob.clone();
    fixture.write(move |store| store.remove_friend(&who, "ann")).unwrap();
    assert_eq!(shown(&mut fixture), [0; 0]);
}

/// Shows that a reader refuses every verb that writes.
fn readers_make_no_friends(mut fixture: Fixture) {
    let (ann, bob) = (fixture.add_user("ann"), fixture.add_user("bob"));
    ask(&mut fixture, &ann, "bob", 1).unwrap();
    let reader = fixture.reader();
    assert_eq!(reader.ask_friend(&bob, "ann", 2), Err(StoreError::Unavailable));
    assert_eq!(reader.accept_friend(&bob, "ann", 2), Err(StoreError::Unavailable));
    assert_eq!(reader.remove_friend(&bob, "ann"), Err(StoreError::Unavailable));
}
