//! Leaving, by somebody who has something of everything.

use super::*;

contract!(everything_goes_with_its_user, everything_of_ones_own_comes_in_parts);

/// Two series, and three users each of whom has something of everything, and found helpful what the others wrote.
fn everything(fixture: &mut Fixture) -> ([UserId; 3], Vec<MangaId>) {
    let users = [fixture.add_user("ann"), fixture.add_user("bob"), fixture.add_user("cay")];
    let series = fixture.add_series(&["one", "two"]);
    for (user, rating) in users.iter().zip([2, 5, 8]) {
        for &manga in &series {
            fixture.update(ProgressChange { rating: Some(rating), ..change(user, manga) }).unwrap();
            write_about(fixture, user, manga);
        }
        let who = user.clone();
        fixture.write(|store| store.set_goal(&who, Period::Week, 5, 1)).unwrap();
        fixture.write(|store| store.set_goal(&who, Period::Day, 1, 1)).unwrap();
        for whom in &users {
            fixture.write(|store| store.ask_friend(&who, whom.as_str(), rating.into())).unwrap();
        }
    }
    for (user, review) in users.iter().flat_map(|user| (1..=6).map(move |review| (user, review))) {
        if fixture.reader().review(review, None).unwrap().user_id != *user {
            fixture.write(|store| store.vote(review, user, true)).unwrap();
        }
    }
    (users, series)
}

/// A comment, a review, and a list that has the series on it.
fn write_about(fixture: &mut Fixture, user: &UserId, manga: MangaId) {
    let comment = NewComment { manga_id: manga, user_id: user.clone(), content: "c".into(), received_at: 1 };
    fixture.write(|store| store.add_comment(&comment)).unwrap();
    let review = ReviewChange {
        manga_id: manga,
        user_id: user.clone(),
        rating: None,
        spoiler: false,
        text: "r".into(),
        received_at: 1,
    };
    fixture.write(|store| store.put_review(&review)).unwrap();
    let list = ListChange { name: Some("l".into()), description: None, visibility: Some(Visibility::Public) };
    let list = fixture.write(|store| store.create_list(user, &list, 1)).unwrap().id;
    fixture.write(|store| store.add_list_item(user, list, manga, &ItemChange::default(), 1)).unwrap();
}

/// Shows that nothing of a deleted user's is left, that what others have stays, and that what ratings and
/// votes add up to is what is left of them, however few rows a job takes.
fn everything_goes_with_its_user(mut fixture: Fixture) {
    let ([ann, bob, cay], series) = everything(&mut fixture);
    let who = ann.clone();
    fixture.write(|store| store.delete_user(&who, Voiding { was: 0, valid_from: 300 }, 0)).unwrap();
    while fixture.write(|store| store.erase_deleted(2)).unwrap() {}
    let mut fixture = fixture.reopened();
    let reader = fixture.reader();
    let all = Window::default();
    for &manga in &series {
        assert_eq!(reader.rating_sums(manga), Ok(RatingSums { sum: 13, count: 2 }));
        assert_eq!(reader.ratings(manga, all).unwrap().total, 2);
        assert_eq!(reader.comments(manga, all).unwrap().total, 2);
        let reviews = reader.reviews(manga, ReviewOrder::Date, all, None).unwrap();
        assert_eq!(reviews.items.iter().map(|review| review.helpful).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(reader.review_by(&ann, manga), Err(StoreError::NotFound));
    }
    for (user, other) in [(&bob, &cay), (&cay, &bob)] {
        let friends = reader.friendships_after(user, 0, 9).unwrap();
        assert_eq!(friends.iter().map(|friend| &friend.id).collect::<Vec<_>>(), [other]);
        assert_eq!(reader.votes_after(user, 0, 9).unwrap().len(), 2);
        assert_eq!(reader.lists_after(user, 0, 9).unwrap().len(), 2);
        assert_eq!(reader.goals(user).unwrap().len(), 2);
        assert_eq!(reader.comments_after(user, 0, 9).unwrap().len(), 2);
    }
    assert_eq!(reader.lists_seen(&bob, "ann", all), Err(StoreError::NotFound));
    assert_eq!((1..=2).map(|list| reader.list(&bob, list, all)).filter(Result::is_ok).count(), 0);
}

/// Reads a list in parts of one row, each after the place of the last.
fn in_parts<T>(place: fn(&T) -> i64, mut read: impl FnMut(i64) -> Result<Vec<T>, StoreError>) -> Vec<T> {
    let mut rows: Vec<T> = vec![];
    loop {
        let part = read(rows.last().map_or(0, place)).unwrap();
        assert!(part.len() <= 1);
        if part.is_empty() {
            return rows;
        }
        rows.extend(part);
    }
}

/// Shows that each list of a user's own comes in parts, each row once, and nobody else's; and that there is
/// none of nobody.
fn everything_of_ones_own_comes_in_parts(mut fixture: Fixture) {
    let ([ann, bob, cay], series) = everything(&mut fixture);
    let reader = fixture.reader();
    let comments = in_parts(|row: &Comment| row.id, |after| reader.comments_after(&bob, after, 1));
    assert!(comments.iter().all(|row| row.user_id == bob));
    assert_eq!(comments.iter().map(|row| row.manga_id).collect::<Vec<_>>(), series);
    let reviews = in_parts(|row: &Review| row.manga_id, |after| reader.reviews_after(&bob, after, 1));
    assert!(reviews.iter().all(|row| row.user_id == bob && row.helpful == 2));
    assert_eq!(reviews.iter().map(|row| row.manga_id).collect::<Vec<_>>(), series);
    let votes = in_parts(|row: &(ReviewId, MangaId)| row.0, |after| reader.votes_after(&bob, after, 1));
    let (one, two) = (series[0], series[1]);
    assert_eq!(votes, [(1, one), (2, two), (5, one), (6, two)]);
    let lists = in_parts(|row: &(List, Vec<ListItem>)| row.0.id, |after| reader.lists_after(&bob, after, 2));
    assert!(lists.iter().all(|(list, items)| list.owner == bob && items.len() == 1 && list.items == 1));
    assert_eq!(lists.len(), 2);
    assert_eq!(reader.lists_after(&bob, 0, 3).unwrap().len(), 2, "a list is never cut");
    let mut skip = 0;
    let friends = in_parts(
        |_: &Friendship| 0,
        |_| {
            skip += 1;
            reader.friendships_after(&bob, skip - 1, 1)
        },
    );
    let told: Vec<_> = friends.iter().map(|row| (&row.id, row.asked, row.asked_at, row.accepted_at)).collect();
    assert_eq!(told, [(&ann, false, 2, Some(5)), (&cay, true, 5, Some(8))]);
    let nobody = id("nobody");
    assert_eq!(reader.comments_after(&nobody, 0, 1), Err(StoreError::NotFound));
    assert_eq!(reader.reviews_after(&nobody, 0, 1), Err(StoreError::NotFound));
    assert_eq!(reader.votes_after(&nobody, 0, 1), Err(StoreError::NotFound));
    assert_eq!(reader.lists_after(&nobody, 0, 1), Err(StoreError::NotFound));
    assert_eq!(reader.friendships_after(&nobody, 0, 1), Err(StoreError::NotFound));
}
