//! Accounts: how they are found, what is taken once, and that their text is only text.

use super::*;

contract!(
    users_are_found_again,
    names_and_addresses_are_unique,
    unknown_names_are_not_found,
    revocations_only_grow,
    text_comes_back_as_it_was,
);

/// Shows that a user comes back by id, by name and by address, whatever the case of the letters.
fn users_are_found_again(mut fixture: Fixture) {
    let ann = user("ann");
    fixture.write(|store| store.create_user(&user("ann"))).unwrap();
    let reader = fixture.reader();
    assert_eq!(reader.user(&ann.id), Ok(ann.clone()));
    for login in ["ann", "ANN", "ann@example.org", "Ann@Example.ORG"] {
        assert_eq!(reader.user_by_login(login), Ok(ann.clone()), "{login}");
    }
    for login in ["", "an", "ann ", "ann@", "' OR 1=1 --", "%", "ann@example.org' --"] {
        assert_eq!(reader.user_by_login(login), Err(StoreError::NotFound), "{login}");
    }
}

/// Shows that id, name and address are each taken once, ASCII case ignored, and that a refused user
/// leaves nothing behind.
fn names_and_addresses_are_unique(mut fixture: Fixture) {
    fixture.write(|store| store.create_user(&user("ann"))).unwrap();
    let id = || User { id: user("ann").id, ..user("bob") };
    let name = || User { username: "ANN".into(), ..user("bob") };
    let address = || User { email: "aNN@example.org".into(), ..user("bob") };
    for twin in [id(), name(), address()] {
        assert_eq!(fixture.write(move |store| store.create_user(&twin)), Err(StoreError::Conflict));
    }
    assert_eq!(fixture.reader().user_by_login("bob"), Err(StoreError::NotFound));
    fixture.write(|store| store.create_user(&user("bob"))).unwrap();
}

/// Shows that every verb that names a user or series that does not exist says so.
fn unknown_names_are_not_found(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let series = fixture.add_series(&["known"])[0];
    let nobody = id("nobody");
    fn missing<T: std::fmt::Debug>(result: Result<T, StoreError>) {
        assert_eq!(result.unwrap_err(), StoreError::NotFound);
    }
    let reader = fixture.reader();
    missing(reader.user(&nobody));
    missing(reader.manga(series + 1));
    missing(reader.progress(&ann, series));
    missing(reader.progress(&nobody, series));
    missing(reader.library(&nobody, None, Window::default()));
    missing(reader.progress_page(&nobody, None, Window::default()));
    missing(reader.history(&nobody, None, None, 9));
    missing(reader.history(&nobody, Some(series), None, 9));
    missing(reader.history(&ann, Some(series + 1), None, 9));
    for (who, what) in [(&nobody, series), (&ann, series + 1)] {
        let change = change(who, what);
        let twin = ProgressChange { rating: Some(5), ..change.clone() };
        missing(fixture.write(move |store| store.update_progress(&change)));
        missing(fixture.write(move |store| store.add_to_library(&twin)));
    }
    let (who, whom) = (nobody.clone(), nobody.clone());
    missing(fixture.write(move |store| store.set_password(&who, "x", Voiding { was: 0, valid_from: 1 })));
    missing(fixture.write(move |store| store.set_valid_from(&whom, 1)));
    missing(fixture.write(move |store| store.delete_progress(&nobody, series)));
}

/// Shows that voiding tokens is listed from its second on, with the newest time for each user, and
/// that an earlier time that comes later changes nothing.
fn revocations_only_grow(mut fixture: Fixture) {
    let (ann, bob) = (fixture.add_user("ann"), fixture.add_user("bob"));
    assert_eq!(fixture.reader().revocations(0), Ok(vec![]));
    let (who, whom, again) = (ann.clone(), bob.clone(), ann.clone());
    fixture.write(move |store| store.set_valid_from(&who, 100)).unwrap();
    fixture.write(move |store| store.set_password(&whom, "new", Voiding { was: 0, valid_from: 200 })).unwrap();
    fixture.write(move |store| store.set_valid_from(&again, 50)).unwrap();
    let reader = fixture.reader();
    assert_eq!(reader.revocations(0), Ok(vec![(ann.clone(), 100), (bob.clone(), 200)]));
    assert_eq!(reader.revocations(101), Ok(vec![(bob.clone(), 200)]));
    assert_eq!(reader.revocations(200), Ok(vec![(bob.clone(), 200)]));
    assert_eq!(reader.revocations(201), Ok(vec![]));
    let bob = reader.user(&bob).unwrap();
    assert_eq!((bob.password_hash.as_str(), bob.valid_from), ("new", 200));
}

/// Shows that hostile text is only text: as a name, a note and a device it comes back unchanged.
fn text_comes_back_as_it_was(mut fixture: Fixture) {
    let series = fixture.add_series(&["a"])[0];
    for (number, text) in HOSTILE.iter().copied().enumerate() {
        let name = format!("{text}{number}");
        let person = User { username: name.clone(), password_hash: text.into(), ..user(&format!("user-{number}")) };
        let stored = person.clone();
        fixture.write(move |store| store.create_user(&stored)).unwrap();
        assert_eq!(fixture.reader().user(&person.id), Ok(person.clone()));
        let noted =
            ProgressChange { note: Some(name.clone()), device: Some(name.clone()), ..change(&person.id, series) };
        assert_eq!(fixture.update(noted).unwrap().progress.note, Some(name.clone()));
        assert_eq!(fixture.reader().progress(&person.id, series).unwrap().note, Some(name.clone()));
        assert_eq!(fixture.reader().history(&person.id, None, None, 1).unwrap()[0].device, Some(name));
    }
}
