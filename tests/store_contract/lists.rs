//! Lists of series: whose they are, who sees them, and the order in which things stand on them.

use mangahub::store::{ITEMS_MAX, LISTS_MAX};

use super::*;

contract!(
    a_list_is_made_changed_and_deleted,
    lists_are_shown_to_whom_they_are_for,
    lists_belong_to_their_owner,
    lists_are_bounded,
    items_stand_where_they_are_put,
    items_are_bounded,
    text_on_lists_comes_back_as_it_was,
    readers_make_no_lists,
    any_moves_keep_the_order_that_a_vector_would_have,
);

fn new(name: &str, visibility: Visibility) -> ListChange {
    ListChange { name: Some(name.into()), description: None, visibility: Some(visibility) }
}

fn create(fixture: &mut Fixture, owner: &UserId, list: ListChange, now: UnixMillis) -> Result<List, StoreError> {
    let owner = owner.clone();
    fixture.write(move |store| store.create_list(&owner, &list, now))
}

fn at(position: u64) -> ItemChange {
    ItemChange { position: Some(position), note: None }
}

fn order(fixture: &mut Fixture, owner: &UserId, list: ListId) -> Vec<MangaId> {
    let (head, items) = fixture.reader().list(owner, list, Window::default()).unwrap();
    assert_eq!(head.items, items.len() as u64);
    assert!(items.iter().zip(1..).all(|(item, position)| item.position == position), "{items:?}");
    items.into_iter().map(|item| item.manga_id).collect()
}

/// Shows that a list is private unless said otherwise, that a change leaves what it does not name, and
/// that a deleted list takes what is on it along.
fn a_list_is_made_changed_and_deleted(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let begin = ListChange { name: Some("First".into()), ..ListChange::default() };
    let first = create(&mut fixture, &ann, begin, 10).unwrap();
    assert_eq!((first.visibility, first.items, first.owner_name.as_str()), (Visibility::Private, 0, "ann"));
    let (who, id) = (ann.clone(), first.id);
    let change = ListChange { description: Some("About".into()), ..ListChange::default() };
    let changed = fixture.write(|store| store.change_list(&who, id, &change, 20)).unwrap();
    assert_eq!(changed, List { description: "About".into(), updated_at: 20, ..first.clone() });
    let item = ItemChange { note: Some("n".into()), position: None };
    let added = fixture.write(|store| store.add_list_item(&who, id, series, &item, 30)).unwrap();
    assert_eq!(added, ListItem { manga_id: series, position: 1, note: Some("n".into()), added_at: 30 });
    let (head, items) = fixture.reader().list(&ann, id, Window::default()).unwrap();
    assert_eq!((head.items, head.updated_at, items), (1, 30, vec![added]));
    let second = create(&mut fixture, &ann, new("Second", Visibility::Public), 25).unwrap();
    let own = fixture.reader().own_lists(&ann, Window::default()).unwrap();
    assert_eq!(own.items.iter().map(|list| list.id).collect::<Vec<_>>(), [id, second.id], "the last changed first");
    fixture.write(|store| store.delete_list(&who, id)).unwrap();
    assert_eq!(fixture.reader().list(&ann, id, Window::default()), Err(StoreError::NotFound));
    assert_eq!(fixture.reader().own_lists(&ann, Window::default()).unwrap().total, 1);
    let third = create(&mut fixture, &ann, new("Third", Visibility::Public), 40).unwrap();
    assert!(third.id > second.id, "a key is never given twice");
}

/// Shows for each visibility who sees a list, by itself and among its owner's, before and after a
/// friendship ends.
fn lists_are_shown_to_whom_they_are_for(mut fixture: Fixture) {
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| fixture.add_user(name));
    let levels = [Visibility::Private, Visibility::Friends, Visibility::Public];
    let lists = levels.map(|level| create(&mut fixture, &ann, new("x", level), 1).unwrap().id);
    let who = bob.clone();
    fixture.write(move |store| store.ask_friend(&who, "ann", 1)).unwrap();
    let seen = |fixture: &mut Fixture, who: &UserId| -> Vec<ListId> {
        let page = fixture.reader().lists_seen(who, "ANN", Window::default()).unwrap();
        let among: Vec<ListId> = page.items.iter().rev().map(|list| list.id).collect();
        assert_eq!(page.total, among.len() as u64);
        for id in lists {
            assert_eq!(fixture.reader().list(who, id, Window::default()).is_ok(), among.contains(&id));
        }
        among
    };
    assert_eq!(seen(&mut fixture, &bob), [lists[2]], "asking is not being friends");
    let who = ann.clone();
    fixture.write(|store| store.accept_friend(&who, "bob", 2)).unwrap();
    assert_eq!(seen(&mut fixture, &ann), lists);
    assert_eq!(seen(&mut fixture, &bob), lists[1..]);
    assert_eq!(seen(&mut fixture, &eve), lists[2..]);
    fixture.write(|store| store.remove_friend(&who, "bob")).unwrap();
    assert_eq!(seen(&mut fixture, &bob), [lists[2]]);
    assert_eq!(fixture.reader().lists_seen(&bob, "nobody", Window::default()), Err(StoreError::NotFound));
    assert_eq!(fixture.reader().own_lists(&id("nobody"), Window::default()), Err(StoreError::NotFound));
}

/// Shows that nobody changes a list of somebody else, whoever may see it.
fn lists_belong_to_their_owner(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let eve = fixture.add_user("eve");
    let list = create(&mut fixture, &ann, new("x", Visibility::Public), 1).unwrap().id;
    let who = ann.clone();
    fixture.write(|store| store.add_list_item(&who, list, series, &at(1), 2)).unwrap();
    let before = fixture.reader().list(&ann, list, Window::default()).unwrap();
    fn missing<T: std::fmt::Debug>(result: Result<T, StoreError>) {
        assert_eq!(result.unwrap_err(), StoreError::NotFound);
    }
    missing(fixture.write(|store| store.change_list(&eve, list, &new("mine", Visibility::Private), 3)));
    missing(fixture.write(|store| store.add_list_item(&eve, list, series, &at(1), 3)));
    missing(fixture.write(|store| store.change_list_item(&eve, list, series, &at(1), 3)));
    missing(fixture.write(|store| store.remove_list_item(&eve, list, series, 3)));
    missing(fixture.write(|store| store.delete_list(&eve, list)));
    missing(fixture.write(|store| store.remove_list_item(&who, list, series + 1, 3)));
    missing(fixture.write(|store| store.change_list_item(&who, list, series + 1, &at(1), 3)));
    missing(fixture.write(|store| store.add_list_item(&who, list, series + 1, &at(1), 3)));
    missing(fixture.write(|store| store.create_list(&id("nobody"), &new("x", Visibility::Public), 3)));
    assert_eq!(fixture.reader().list(&ann, list, Window::default()).unwrap(), before);
}

/// Shows that a user has so many lists and no more.
fn lists_are_bounded(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let who = ann.clone();
    let fill = |store: &mut dyn Store| {
        (0..LISTS_MAX).try_for_each(|_| store.create_list(&who, &new("x", Visibility::Private), 1).map(drop))
    };
    fixture.write(fill).unwrap();
    assert_eq!(create(&mut fixture, &ann, new("x", Visibility::Private), 1), Err(StoreError::TooMuch));
    let page = fixture.reader().own_lists(&ann, Window { limit: Some(7), offset: 196 }).unwrap();
    assert_eq!((page.items.len(), page.total), (4, LISTS_MAX));
}

/// Shows where an item stands after each way of putting it somewhere, and that notes come and go alone.
fn items_stand_where_they_are_put(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let [a, b, c, d] = fixture.add_series(&["a", "b", "c", "d"])[..] else { unreachable!() };
    let list = create(&mut fixture, &ann, new("x", Visibility::Private), 1).unwrap().id;
    let who = ann.clone();
    for (manga, item, position) in [(a, ItemChange::default(), 1), (b, at(1), 1), (c, at(2), 2), (d, at(99), 4)] {
        let added = fixture.write(|store| store.add_list_item(&who, list, manga, &item, 2)).unwrap();
        assert_eq!(added.position, position);
    }
    assert_eq!(order(&mut fixture, &ann, list), [b, c, a, d]);
    let again = fixture.write(|store| store.add_list_item(&who, list, a, &at(1), 2));
    assert_eq!(again, Err(StoreError::Conflict));
    for (manga, to, expected) in
        [(d, 1, [d, b, c, a]), (d, 4, [b, c, a, d]), (c, 3, [b, a, c, d]), (c, 3, [b, a, c, d]), (a, 1, [a, b, c, d])]
    {
        let moved = fixture.write(|store| store.change_list_item(&who, list, manga, &at(to), 3)).unwrap();
        assert_eq!(moved.position, to);
        assert_eq!(order(&mut fixture, &ann, list), expected);
    }
    let note = |text: &str| ItemChange { note: Some(text.into()), position: None };
    let noted = fixture.write(|store| store.change_list_item(&who, list, b, &note("n"), 4)).unwrap();
    assert_eq!((noted.note.as_deref(), noted.position), (Some("n"), 2));
    assert_eq!(fixture.write(|store| store.change_list_item(&who, list, b, &at(2), 4)).unwrap().note, noted.note);
    assert_eq!(fixture.write(|store| store.change_list_item(&who, list, b, &note(""), 4)).unwrap().note, None);
    fixture.write(|store| store.remove_list_item(&who, list, b, 5)).unwrap();
    assert_eq!(order(&mut fixture, &ann, list), [a, c, d]);
    let part = fixture.reader().list(&ann, list, Window { limit: Some(1), offset: 1 }).unwrap().1;
    assert_eq!((part.len(), part[0].manga_id, part[0].position), (1, c, 2));
}

/// Shows that a list holds so many series and no more, and that one can be moved through a full one.
fn items_are_bounded(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let names: Vec<String> = (0..=ITEMS_MAX).map(|number| format!("series-{number:04}")).collect();
    for slice in names.chunks(UPSERTS_MAX) {
        fixture.upsert(slice.iter().map(|name| facts(name)).collect(), 1);
    }
    let series: Vec<MangaId> = fixture.reader().manga_after(0, 2000).unwrap().iter().map(|manga| manga.id).collect();
    let list = create(&mut fixture, &ann, new("x", Visibility::Private), 1).unwrap().id;
    let (one_more, series) = series.split_last().unwrap();
    let who = ann.clone();
    let fill = |store: &mut dyn Store| {
        series.iter().try_for_each(|&manga| store.add_list_item(&who, list, manga, &at(500), 1).map(drop))
    };
    fixture.write(fill).unwrap();
    let beyond = fixture.write(|store| store.add_list_item(&who, list, *one_more, &at(1), 1));
    assert_eq!(beyond, Err(StoreError::TooMuch));
    let mut expected = order(&mut fixture, &ann, list);
    assert_eq!(expected.len() as u64, ITEMS_MAX);
    for (from, to) in [(0, 499), (999, 500), (500, 0), (250, 750)] {
        let manga = expected.remove(from);
        expected.insert(to, manga);
        fixture.write(|store| store.change_list_item(&who, list, manga, &at(to as u64 + 1), 2)).unwrap();
        assert_eq!(order(&mut fixture, &ann, list), expected);
    }
}

/// Shows, with random additions, moves and removals, that a list stands as a vector would.
fn any_moves_keep_the_order_that_a_vector_would_have(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let names: Vec<String> = (0..12).map(|number| format!("s{number}")).collect();
    let series = fixture.add_series(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let steps = prop::collection::vec((0..12_usize, 1..14_u64, any::<bool>()), 1..60);
    check(24, steps, |steps| {
        let list = create(&mut fixture, &ann, new("x", Visibility::Private), 1).unwrap().id;
        let (who, mut expected) = (ann.clone(), vec![]);
        for (which, position, remove) in steps {
            let manga = series[which];
            let place = |len: usize| len.min(position as usize - 1);
            match expected.iter().position(|&other| other == manga) {
                None => {
                    fixture.write(|store| store.add_list_item(&who, list, manga, &at(position), 1)).unwrap();
                    expected.insert(place(expected.len()), manga);
                }
                Some(from) if remove => {
                    fixture.write(|store| store.remove_list_item(&who, list, manga, 1)).unwrap();
                    expected.remove(from);
                }
                Some(from) => {
                    fixture.write(|store| store.change_list_item(&who, list, manga, &at(position), 1)).unwrap();
                    expected.remove(from);
                    expected.insert(place(expected.len()), manga);
                }
            }
            prop_assert_eq!(&order(&mut fixture, &ann, list), &expected);
        }
        fixture.write(|store| store.delete_list(&who, list)).unwrap();
        Ok(())
    });
}

/// Shows that names, descriptions and notes of any kind are text and nothing else.
fn text_on_lists_comes_back_as_it_was(mut fixture: Fixture) {
    let (ann, manga) = fixture.pair();
    for &text in HOSTILE {
        let list = ListChange { name: Some(text.into()), description: Some(text.into()), visibility: None };
        let made = create(&mut fixture, &ann, list, 1).unwrap();
        let (who, note) = (ann.clone(), ItemChange { note: Some(text.into()), position: None });
        fixture.write(|store| store.add_list_item(&who, made.id, manga, &note, 1)).unwrap();
        let (head, items) = fixture.reader().list(&ann, made.id, Window::default()).unwrap();
        assert_eq!((head.name.as_str(), head.description.as_str(), items[0].note.as_deref()), (text, text, Some(text)));
        assert_eq!(fixture.reader().lists_seen(&ann, text, Window::default()), Err(StoreError::NotFound));
    }
}

/// Shows that a reader refuses every verb that writes.
fn readers_make_no_lists(mut fixture: Fixture) {
    let (ann, manga) = fixture.pair();
    let list = create(&mut fixture, &ann, new("x", Visibility::Public), 1).unwrap().id;
    let reader = fixture.reader();
    fn refused<T: std::fmt::Debug>(result: Result<T, StoreError>) {
        assert_eq!(result.unwrap_err(), StoreError::Unavailable);
    }
    refused(reader.create_list(&ann, &new("y", Visibility::Public), 2));
    refused(reader.change_list(&ann, list, &new("y", Visibility::Public), 2));
    refused(reader.delete_list(&ann, list));
    refused(reader.add_list_item(&ann, list, manga, &at(1), 2));
    refused(reader.change_list_item(&ann, list, manga, &at(1), 2));
    refused(reader.remove_list_item(&ann, list, manga, 2));
    refused(reader.set_goal(&ann, Period::Day, 1, 2));
    refused(reader.delete_goal(&ann, Period::Day));
}
