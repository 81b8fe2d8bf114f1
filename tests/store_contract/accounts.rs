//! What ends with an account, and what stays logged in: refresh tokens, leaving, taking along.

use mangahub::store::{FAMILIES_MAX, StoreError};

use super::*;

contract!(
    refresh_tokens_are_good_once,
    a_spent_refresh_token_ends_its_family,
    refresh_tokens_are_not_shared,
    refresh_tokens_are_revoked,
    voiding_tokens_ends_families,
    a_password_that_was_compared_counts_once,
    families_are_bounded,
    deleted_users_are_gone_at_once,
    erasing_goes_on,
    own_rows_come_in_parts,
);

const NOW: UnixMillis = 1_000_000;
const END: UnixMillis = NOW + 500_000;

/// Two numbers stand for a family and its token.
fn key(family: usize, token: usize) -> RefreshKey {
    let digest = |number: usize| {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_le_bytes());
        digest
    };
    RefreshKey { family: digest(family), token: digest(token) }
}

fn begin(fixture: &mut Fixture, user: &UserId, family: usize, now: UnixMillis) -> Result<(), StoreError> {
    let valid_from = fixture.reader().user(user)?.valid_from;
    let family = NewFamily {
        user_id: user.clone(),
        valid_from,
        key: key(family, 0),
        issued_at: now,
        expires_at: now + (END - NOW),
    };
    fixture.write(move |store| store.begin_refresh(&family))
}

/// Uses token `spent` of a family, for `spent + 1`.
fn rotate(fixture: &mut Fixture, family: usize, spent: usize, now: UnixMillis) -> Result<Rotation, StoreError> {
    let (spent, next) = (key(family, spent), key(family, spent + 1).token);
    fixture.write(move |store| store.rotate_refresh(&spent, &next, now, now + (END - NOW)))
}

fn rotated(user: &str) -> Result<Rotation, StoreError> {
    Ok(Rotation::Rotated(Box::new(super::user(user))))
}

/// Shows that each token is good once, for the next, and for its own time.
fn refresh_tokens_are_good_once(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    begin(&mut fixture, &ann, 1, NOW).unwrap();
    for use_number in 0..5 {
        assert_eq!(rotate(&mut fixture, 1, use_number, NOW + use_number as i64), rotated("ann"));
    }
    assert_eq!(rotate(&mut fixture, 1, 5, END + 4), Ok(Rotation::Expired));
    assert_eq!(rotate(&mut fixture, 1, 5, END + 3), rotated("ann"), "asking too late changes nothing");
    assert_eq!(rotate(&mut fixture, 2, 0, NOW), Err(StoreError::NotFound));
}

/// Shows that a spent token ends its family, however long ago it was spent, and no other family.
fn a_spent_refresh_token_ends_its_family(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    (1..4).for_each(|family| begin(&mut fixture, &ann, family, NOW).unwrap());
    for use_number in 0..3 {
        rotate(&mut fixture, 1, use_number, NOW).unwrap();
    }
    assert_eq!(rotate(&mut fixture, 1, 0, NOW), Ok(Rotation::Revoked));
    assert_eq!(rotate(&mut fixture, 1, 3, NOW), Ok(Rotation::Revoked), "the living one has ended too");
    assert_eq!(rotate(&mut fixture, 2, 0, NOW), rotated("ann"));
    assert_eq!(rotate(&mut fixture, 3, 77, NOW), Ok(Rotation::Revoked), "what is not the living one was spent");
}

/// Shows that of two uses in one group of jobs the first wins and the second ends the family.
fn refresh_tokens_are_not_shared(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    begin(&mut fixture, &ann, 1, NOW).unwrap();
    let twice = (1..3)
        .map(|next| {
            Task::new(move |store: &mut dyn Store| store.rotate_refresh(&key(1, 0), &key(1, next).token, NOW, END))
        })
        .collect();
    let outcomes = run(&mut *fixture.store.writer, twice);
    assert_eq!(outcomes, [rotated("ann"), Ok(Rotation::Revoked)]);
    assert_eq!(rotate(&mut fixture, 1, 1, NOW), Ok(Rotation::Revoked));
}

/// Shows that revoking ends one family, and that what isn't there can be revoked.
fn refresh_tokens_are_revoked(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    (1..3).for_each(|family| begin(&mut fixture, &ann, family, NOW).unwrap());
    for _ in 0..2 {
        fixture.write(|store| store.revoke_refresh(&key(1, 0).family, NOW)).unwrap();
    }
    fixture.write(|store| store.revoke_refresh(&key(9, 0).family, NOW)).unwrap();
    assert_eq!(rotate(&mut fixture, 1, 0, NOW), Ok(Rotation::Revoked));
    assert_eq!(rotate(&mut fixture, 2, 0, NOW), rotated("ann"));
}

/// Shows that whatever voids a user's tokens ends all of their families, and nobody else's; and that a
/// family can't begin with what was known before.
fn voiding_tokens_ends_families(mut fixture: Fixture) {
    let (ann, bob) = (fixture.add_user("ann"), fixture.add_user("bob"));
    begin(&mut fixture, &bob, 99, NOW).unwrap();
    for (round, valid_from) in [(0, 100), (1, 200)] {
        let before = fixture.reader().user(&ann).unwrap().valid_from;
        begin(&mut fixture, &ann, round, NOW).unwrap();
        let who = ann.clone();
        fixture
            .write(move |store| match round {
                0 => store.set_password(&who, "new", Voiding { was: before, valid_from }),
                _ => store.set_valid_from(&who, valid_from),
            })
            .unwrap();
        assert_eq!(rotate(&mut fixture, round, 0, NOW), Ok(Rotation::Revoked));
        let late =
            NewFamily { user_id: ann.clone(), valid_from: before, key: key(50, 0), issued_at: NOW, expires_at: END };
        assert_eq!(fixture.write(move |store| store.begin_refresh(&late)), Err(StoreError::NotFound));
        begin(&mut fixture, &ann, round + 10, NOW).unwrap();
    }
    assert_eq!(rotate(&mut fixture, 99, 0, NOW), rotated("bob"));
    let nobody = NewFamily { user_id: id("nobody"), valid_from: 0, key: key(51, 0), issued_at: NOW, expires_at: END };
    assert_eq!(fixture.write(move |store| store.begin_refresh(&nobody)), Err(StoreError::NotFound));
}

/// Shows that of several writes that rely on the same password one is done: the others find the tokens
/// voided, and change nothing.
fn a_password_that_was_compared_counts_once(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let (who, voiding) = (ann.clone(), Voiding { was: 0, valid_from: 100 });
    fixture.write(move |store| store.set_password(&who, "first", voiding)).unwrap();
    for valid_from in [100, 101] {
        let (who, whom, late) = (ann.clone(), ann.clone(), Voiding { was: 0, valid_from });
        let refused = fixture.write(move |store| store.set_password(&who, "second", late));
        assert_eq!(refused, Err(StoreError::Conflict));
        assert_eq!(fixture.write(move |store| store.delete_user(&whom, late, 0)), Err(StoreError::Conflict));
    }
    let user = fixture.reader().user(&ann).unwrap();
    assert_eq!((user.password_hash.as_str(), user.valid_from, user.username.as_str()), ("first", 100, "ann"));
}

/// Shows that a user has so many families at most: those that ended go first, then those that were used
/// longest ago.
fn families_are_bounded(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    for family in 0..FAMILIES_MAX {
        begin(&mut fixture, &ann, family, NOW + family as i64).unwrap();
    }
    rotate(&mut fixture, 0, 0, NOW + 1_000).unwrap();
    fixture.write(|store| store.revoke_refresh(&key(70, 0).family, NOW)).unwrap();
    for more in 1_000..1_003 {
        begin(&mut fixture, &ann, more, NOW + more as i64).unwrap();
    }
    for gone in [70, 1, 2] {
        assert_eq!(rotate(&mut fixture, gone, 0, NOW), Err(StoreError::NotFound), "{gone}");
    }
    assert_eq!(rotate(&mut fixture, 0, 1, NOW), rotated("ann"));
    for kept in (3..70).chain(71..FAMILIES_MAX).chain(1_000..1_003) {
        assert_eq!(rotate(&mut fixture, kept, 0, NOW), rotated("ann"), "{kept}");
    }
}

/// Shows that a deleted user can't be found any more, at once, that the name is free, and that the
/// tokens stay void over a restart, after everything has been erased.
fn deleted_users_are_gone_at_once(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    fixture.update(ProgressChange { rating: Some(7), ..change(&ann, series) }).unwrap();
    begin(&mut fixture, &ann, 1, NOW).unwrap();
    let who = ann.clone();
    fixture.write(move |store| store.delete_user(&who, Voiding { was: 0, valid_from: 300 }, 0)).unwrap();
    assert_eq!(rotate(&mut fixture, 1, 0, NOW), Ok(Rotation::Revoked));
    for login in ["ann", "ann@example.org"] {
        assert_eq!(fixture.reader().user_by_login(login), Err(StoreError::NotFound), "{login}");
    }
    assert_eq!(fixture.reader().revocations(300), Ok(vec![(ann.clone(), 300)]));
    let next = User { id: id("ann-again"), ..user("ann") };
    fixture.write(move |store| store.create_user(&next)).unwrap();
    while fixture.write(|store| store.erase_deleted(2)).unwrap() {}
    let mut fixture = fixture.reopened();
    assert_eq!(fixture.reader().user(&ann), Err(StoreError::NotFound));
    assert_eq!(fixture.reader().progress(&ann, series), Err(StoreError::NotFound));
    assert_eq!(fixture.reader().history(&ann, None, None, 9), Err(StoreError::NotFound));
    assert_eq!(fixture.reader().user_by_login("ann").unwrap().id, id("ann-again"));
    assert_eq!(fixture.reader().revocations(300), Ok(vec![(ann.clone(), 300)]));
    assert_eq!(fixture.reader().revocations(301), Ok(vec![]));
    let (late, again) = (change(&ann, series), ann.clone());
    assert_eq!(fixture.update(late), Err(StoreError::NotFound));
    assert_eq!(
        fixture.write(move |store| store.delete_user(&again, Voiding { was: 300, valid_from: 400 }, 0)),
        Err(StoreError::NotFound)
    );
}

/// Shows that erasing goes on where it stopped, after a restart too, and takes what came in between.
fn erasing_goes_on(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let series = fixture.add_series(&["one", "two"]);
    for round in 0..20 {
        fixture.update(change(&ann, series[round % 2])).unwrap();
    }
    let (who, what) = (ann.clone(), series[0]);
    fixture.write(move |store| store.delete_progress(&who, what)).unwrap();
    let who = ann.clone();
    fixture.write(move |store| store.delete_user(&who, Voiding { was: 0, valid_from: 1 }, 0)).unwrap();
    for _ in 0..5 {
        assert_eq!(fixture.write(|store| store.erase_deleted(3)), Ok(true));
    }
    fixture.update(change(&ann, series[0])).unwrap();
    let mut fixture = fixture.reopened();
    assert!(fixture.reader().user(&ann).is_ok());
    while fixture.write(|store| store.erase_deleted(3)).unwrap() {}
    assert_eq!(fixture.reader().user(&ann), Err(StoreError::NotFound));
    assert_eq!(fixture.write(|store| store.erase_deleted(3)), Ok(false));
}

/// Shows that what a user takes along comes by series, in parts, each row once, and nobody else's.
fn own_rows_come_in_parts(mut fixture: Fixture) {
    let (ann, bob) = (fixture.add_user("ann"), fixture.add_user("bob"));
    let series = fixture.add_series(&["one", "two", "three", "four", "five"]);
    for (place, manga) in series.iter().enumerate().rev() {
        let rating = (place % 2 == 0).then_some(place as i32 + 1);
        fixture.update(ProgressChange { rating, note: Some(format!("{place}")), ..change(&ann, *manga) }).unwrap();
        fixture.update(ProgressChange { rating: Some(10), ..change(&bob, *manga) }).unwrap();
    }
    let reader = fixture.reader();
    let (mut rows, mut ratings) = (vec![], vec![]);
    loop {
        let after = rows.last().map_or(0, |row: &Progress| row.manga_id);
        let part = reader.progress_after(&ann, after, 2).unwrap();
        if part.is_empty() {
            break;
        }
        rows.extend(part);
    }
    loop {
        let after = ratings.last().map_or(0, |row: &OwnRating| row.manga_id);
        let part = reader.ratings_after(&ann, after, 2).unwrap();
        if part.is_empty() {
            break;
        }
        ratings.extend(part);
    }
    assert_eq!(rows.iter().map(|row| row.manga_id).collect::<Vec<_>>(), series);
    assert_eq!(rows[4].note.as_deref(), Some("4"));
    assert_eq!(
        ratings.iter().map(|row| (row.manga_id, row.rating)).collect::<Vec<_>>(),
        [(series[0], 1), (series[2], 3), (series[4], 5)]
    );
    assert_eq!(reader.progress_after(&id("nobody"), 0, 2), Err(StoreError::NotFound));
    assert_eq!(reader.ratings_after(&id("nobody"), 0, 2), Err(StoreError::NotFound));
}
