//! What readers think: ratings and their sums, comments, reviews and their votes.

use std::collections::HashMap;

use super::*;

contract!(
    rating_sums_are_what_counting_gives,
    a_rating_is_one_for_each_pair,
    ratings_are_listed_without_private_ones,
    comments_are_posted_edited_and_deleted,
    comments_are_listed_by_series_and_by_user,
    a_review_is_one_for_each_pair,
    votes_count_once,
    reviews_come_in_each_order,
    opinions_of_nothing_are_not_found,
    opinions_come_back_as_they_were,
    readers_refuse_to_write_opinions,
);

/// Everything, in one part.
const ALL: Window = Window { limit: None, offset: 0 };

/// One way to change what a series' ratings add up to, or to try to.
#[derive(Debug, Clone, Copy)]
enum Way {
    Rates,
    ReadsOn,
    AddsToLibrary,
    Reviews,
    TakesBack,
    FailsToRate,
}

/// Shows, with random deeds of three users and two series in every way that writes a rating, that
/// the sums kept beside a series are what counting would give, and that work that was undone is in neither.
fn rating_sums_are_what_counting_gives(mut fixture: Fixture) {
    let users = [fixture.add_user("ann"), fixture.add_user("bob"), fixture.add_user("cat")];
    let series = fixture.add_series(&["a", "b"]);
    let way = prop_oneof![
        Just(Way::Rates),
        Just(Way::ReadsOn),
        Just(Way::AddsToLibrary),
        Just(Way::Reviews),
        Just(Way::TakesBack),
        Just(Way::FailsToRate)
    ];
    let deeds = prop::collection::vec((0..users.len(), 0..series.len(), 1_i32..=10, way), 1..30);
    let mut counted: HashMap<(usize, usize), i32> = HashMap::new();
    check(32, deeds, |deeds| {
        let tasks = deeds.iter().map(|&(who, what, rating, way)| {
            let (user, manga) = (users[who].clone(), series[what]);
            Task::new(move |store| does(store, way, &user, manga, rating))
        });
        let outcomes = run(&mut *fixture.store.writer, tasks.collect());
        for (&(who, what, rating, way), outcome) in deeds.iter().zip(outcomes) {
            match (way, outcome) {
                (_, Err(_)) => None,
                (Way::TakesBack, Ok(())) => counted.remove(&(who, what)),
                (_, Ok(())) => counted.insert((who, what), rating),
            };
        }
        for (number, &manga) in series.iter().enumerate() {
            let theirs: Vec<i64> =
                counted.iter().filter(|((_, what), _)| *what == number).map(|(_, &rating)| rating.into()).collect();
            let sums = RatingSums { sum: theirs.iter().sum(), count: theirs.len() as i64 };
            prop_assert_eq!(fixture.reader().rating_sums(manga), Ok(sums));
            prop_assert_eq!(fixture.reader().ratings(manga, ALL).unwrap().items.len(), theirs.len());
        }
        Ok(())
    });
}

fn does(store: &mut dyn Store, way: Way, user: &UserId, manga: MangaId, rating: i32) -> Result<(), StoreError> {
    let rated = ProgressChange { rating: Some(rating), ..change(user, manga) };
    match way {
        Way::Rates => store.rate(user, manga, rating, 1).map(drop),
        Way::ReadsOn => store.update_progress(&rated).map(drop),
        Way::AddsToLibrary => store.add_to_library(&rated).map(drop),
        Way::Reviews => {
            store.put_review(&ReviewChange { rating: Some(rating), ..written(user, manga, "Good.") }).map(drop)
        }
        Way::TakesBack => store.delete_rating(user, manga),
        Way::FailsToRate => store.rate(user, manga, rating, 1).and(Err(StoreError::Busy)),
    }
}

/// Shows that a rating changes in place: the first time stays, the last time never runs backwards,
/// and progress shows the same one.
fn a_rating_is_one_for_each_pair(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    fixture.update(change(&ann, series)).unwrap();
    let missing = Err(StoreError::NotFound);
    assert_eq!(fixture.reader().rating(&ann, series), missing);
    for (rating, now, updated_at) in [(7, 50, 50), (9, 70, 70), (1, 60, 70)] {
        let user = ann.clone();
        let stored = fixture.write(move |store| store.rate(&user, series, rating, now)).unwrap();
        assert_eq!(stored, Rating { rating, created_at: 50, updated_at });
        assert_eq!(fixture.reader().rating(&ann, series), Ok(stored));
        assert_eq!(fixture.reader().progress(&ann, series).unwrap().rating, Some(rating));
    }
    let user = ann.clone();
    let mut take_back = || {
        fixture.write({
            let user = user.clone();
            move |store| store.delete_rating(&user, series)
        })
    };
    assert_eq!(take_back(), Ok(()));
    assert_eq!(take_back(), Err(StoreError::NotFound));
    assert_eq!(fixture.reader().progress(&ann, series).unwrap().rating, None);
}

/// Shows that raters are listed by when they first rated, the newest first, in parts of any size, and
/// that who keeps the progress private is counted and not listed.
fn ratings_are_listed_without_private_ones(mut fixture: Fixture) {
    let keys = fixture.add_series(&["a", "b"]);
    let (series, other) = (keys[0], keys[1]);
    let names = ["ann", "bob", "cat", "dan"];
    for (number, name) in names.into_iter().enumerate() {
        let user = fixture.add_user(name);
        let now = 100 + number as i64;
        fixture.write(move |store| store.rate(&user, series, 5, now)).unwrap();
    }
    let again = id("ann");
    fixture.write(move |store| store.rate(&again, series, 10, 999)).unwrap();
    fixture.update(ProgressChange { private: Some(true), ..change(&id("cat"), series) }).unwrap();
    fixture.update(ProgressChange { private: Some(true), ..change(&id("bob"), other) }).unwrap();
    fixture.update(change(&id("dan"), series)).unwrap();

    let listed = |page: Page<(String, Rating)>| page.items.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let page = fixture.reader().ratings(series, ALL).unwrap();
    assert_eq!(page.total, 3);
    assert_eq!(page.items[2].1, Rating { rating: 10, created_at: 100, updated_at: 999 });
    assert_eq!(listed(page), ["dan", "bob", "ann"]);
    let part = Window { limit: Some(1), offset: 1 };
    assert_eq!(listed(fixture.reader().ratings(series, part).unwrap()), ["bob"]);
    assert_eq!(fixture.reader().rating_sums(series), Ok(RatingSums { sum: 25, count: 4 }));

    fixture.update(ProgressChange { private: Some(false), ..change(&id("cat"), series) }).unwrap();
    assert_eq!(listed(fixture.reader().ratings(series, ALL).unwrap()), ["dan", "cat", "bob", "ann"]);
    assert_eq!(fixture.reader().ratings(other, ALL), Ok(Page { items: vec![], total: 0 }));
}

/// Shows that a comment comes back as it was posted, changes its text and its date only, and is gone
/// once deleted, its number never to be given again.
fn comments_are_posted_edited_and_deleted(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let posted = fixture.post(&ann, series, "First!");
    let expected = Comment {
        id: posted.id,
        manga_id: series,
        user_id: ann.clone(),
        username: "ann".into(),
        content: "First!".into(),
        created_at: 5,
        updated_at: 5,
    };
    assert_eq!(posted, expected);
    assert_eq!(fixture.reader().comment(posted.id), Ok(expected.clone()));
    let number = posted.id;
    let edited = fixture.write(move |store| store.edit_comment(number, "Second.", 9)).unwrap();
    assert_eq!(edited, Comment { content: "Second.".into(), updated_at: 9, ..expected });
    fixture.write(move |store| store.delete_comment(number)).unwrap();

    let missing = |result: Result<Comment, StoreError>| assert_eq!(result, Err(StoreError::NotFound));
    missing(fixture.reader().comment(number));
    missing(fixture.write(move |store| store.edit_comment(number, "x", 9)));
    assert_eq!(fixture.write(move |store| store.delete_comment(number)), Err(StoreError::NotFound));
    assert!(fixture.post(&ann, series, "Third.").id > number);
}

/// Shows that lists of a series' and of a user's comments have what belongs there and nothing else,
/// the newest first, in parts of any size.
fn comments_are_listed_by_series_and_by_user(mut fixture: Fixture) {
    let users = [fixture.add_user("ann"), fixture.add_user("bob")];
    let series = fixture.add_series(&["a", "b", "silent"]);
    let mut posted: Vec<Comment> = vec![];
    for number in 0..9 {
        posted.insert(0, fixture.post(&users[number % 2], series[number / 2 % 2], &format!("comment {number}")));
    }
    for limit in 1..=4 {
        for offset in 0..=5 {
            let window = Window { limit: Some(limit), offset };
            let part = |of: Vec<Comment>| Page {
                total: of.len() as u64,
                items: of.into_iter().skip(offset as usize).take(limit as usize).collect(),
            };
            let of = |wanted: &dyn Fn(&Comment) -> bool| posted.iter().filter(|one| wanted(one)).cloned().collect();
            for &manga in &series[..2] {
                let expected = part(of(&|one| one.manga_id == manga));
                assert_eq!(fixture.reader().comments(manga, window), Ok(expected));
            }
            for user in &users {
                let expected = part(of(&|one| one.user_id == *user));
                assert_eq!(fixture.reader().comments_by(user, window), Ok(expected));
            }
        }
    }
    assert_eq!(fixture.reader().comments(series[2], ALL), Ok(Page { items: vec![], total: 0 }));
}

/// Shows that a user has one review of a series: writing it again replaces all but its number, its
/// first date and its votes, and its rating becomes the user's; one without a rating leaves that.
fn a_review_is_one_for_each_pair(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let bob = fixture.add_user("bob");
    let rated = ReviewChange { rating: Some(8), spoiler: true, ..written(&ann, series, "He wins.") };
    let first = fixture.write(move |store| store.put_review(&rated)).unwrap();
    assert_eq!((first.rating, first.spoiler, first.text.as_str()), (Some(8), true, "He wins."));
    assert_eq!((first.helpful, first.voted, first.username.as_str()), (0, Some(false), "ann"));
    assert_eq!(fixture.reader().rating(&ann, series).unwrap().rating, 8);
    let (number, voter) = (first.id, bob.clone());
    fixture.write(move |store| store.vote(number, &voter, true)).unwrap();

    let again = ReviewChange { received_at: 9, ..written(&ann, series, "It is good.") };
    let second = fixture.write(move |store| store.put_review(&again)).unwrap();
    let expected =
        Review { rating: None, spoiler: false, text: "It is good.".into(), updated_at: 9, helpful: 1, ..first };
    assert_eq!(second, expected);
    assert_eq!(fixture.reader().rating(&ann, series).unwrap().rating, 8);
    assert_eq!(fixture.reader().review_by(&ann, series), Ok(expected.clone()));
    assert_eq!(fixture.reader().review(number, None), Ok(Review { voted: None, ..expected }));
    assert_eq!(fixture.reader().review_by(&bob, series), Err(StoreError::NotFound));

    fixture.write(move |store| store.delete_review(number)).unwrap();
    assert_eq!(fixture.reader().review(number, None), Err(StoreError::NotFound));
    assert_eq!(fixture.write(move |store| store.delete_review(number)), Err(StoreError::NotFound));
    assert_eq!(fixture.reader().rating(&ann, series).unwrap().rating, 8);
}

/// Shows that a vote counts once however often it is given, that it can be taken back, and that each
/// reader sees their own.
fn votes_count_once(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let (bob, cat) = (fixture.add_user("bob"), fixture.add_user("cat"));
    let review = fixture.review(&ann, series, None).id;
    for (user, helpful, count) in
        [(&bob, true, 1), (&bob, true, 1), (&cat, true, 2), (&bob, false, 1), (&bob, false, 1), (&cat, false, 0)]
    {
        let voter = user.clone();
        let seen = fixture.write(move |store| store.vote(review, &voter, helpful)).unwrap();
        assert_eq!((seen.helpful, seen.voted), (count, Some(helpful)));
    }
    let voter = cat.clone();
    fixture.write(move |store| store.vote(review, &voter, true)).unwrap();
    for (viewer, voted) in [(None, None), (Some(&bob), Some(false)), (Some(&cat), Some(true))] {
        let seen = fixture.reader().reviews(series, ReviewOrder::Helpful, ALL, viewer).unwrap().items.remove(0);
        assert_eq!((seen.helpful, seen.voted), (1, voted));
    }
}

/// Shows each order of reviews, ties the newest first, reviews without a rating last, and that parts
/// of any size make up the whole.
fn reviews_come_in_each_order(mut fixture: Fixture) {
    let series = fixture.add_series(&["a", "b"]);
    let names = ["ann", "bob", "cat", "dan"];
    let ids = names.map(|name| {
        fixture.add_user(name);
        let rating = match name {
            "ann" => Some(3),
            "bob" => None,
            _ => Some(9),
        };
        fixture.review(&id(name), series[0], rating).id
    });
    fixture.review(&id("ann"), series[1], Some(10));
    for (voter, review) in [("cat", ids[0]), ("dan", ids[0]), ("ann", ids[1]), ("bob", ids[2])] {
        fixture.write(move |store| store.vote(review, &id(voter), true)).unwrap();
    }
    for (order, expected) in [
        (ReviewOrder::Date, ["dan", "cat", "bob", "ann"]),
        (ReviewOrder::Helpful, ["ann", "cat", "bob", "dan"]),
        (ReviewOrder::Rating, ["dan", "cat", "ann", "bob"]),
    ] {
        for limit in 1..=4 {
            let mut seen: Vec<String> = vec![];
            while seen.len() < names.len() {
                let window = Window { limit: Some(limit), offset: seen.len() as u32 };
                let page = fixture.reader().reviews(series[0], order, window, None).unwrap();
                assert_eq!(page.total, 4);
                seen.extend(page.items.into_iter().map(|review| review.username));
            }
            assert_eq!(seen, expected, "{order:?}");
        }
    }
}

/// Shows that an opinion about a series, or of a user, that does not exist is refused, and that a
/// question about one says so.
fn opinions_of_nothing_are_not_found(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let (nobody, nothing) = (id("nobody"), series + 1);
    fn missing<T: std::fmt::Debug>(result: Result<T, StoreError>) {
        assert_eq!(result.unwrap_err(), StoreError::NotFound);
    }
    for (who, what) in [(&nobody, series), (&ann, nothing)] {
        let (rater, poster, reviewer) = (who.clone(), posted(who, what, "x"), written(who, what, "x"));
        missing(fixture.write(move |store| store.rate(&rater, what, 5, 1)));
        missing(fixture.write(move |store| store.add_comment(&poster)));
        missing(fixture.write(move |store| store.put_review(&reviewer)));
    }
    let review = fixture.review(&ann, series, None).id;
    let (voter, ghost) = (ann.clone(), nobody.clone());
    missing(fixture.write(move |store| store.vote(review + 1, &voter, true)));
    missing(fixture.write(move |store| store.vote(review, &ghost, true)));
    let reader = fixture.reader();
    missing(reader.rating_sums(nothing));
    missing(reader.ratings(nothing, ALL));
    missing(reader.comments(nothing, ALL));
    missing(reader.comments_by(&nobody, ALL));
    missing(reader.reviews(nothing, ReviewOrder::Date, ALL, None));
    missing(reader.comment(i64::MAX));
    missing(reader.review(i64::MIN, None));
}

/// Shows that hostile text is only text: a comment and a review come back unchanged, at full length too.
fn opinions_come_back_as_they_were(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let longest = ["界".repeat(5000), "🏴‍☠️\r\n\t".repeat(500)];
    for text in HOSTILE.iter().map(|text| (*text).to_owned()).chain(longest) {
        let comment = fixture.post(&ann, series, &text);
        assert_eq!(fixture.reader().comment(comment.id).unwrap().content, text);
        let review = written(&ann, series, &text);
        fixture.write(move |store| store.put_review(&review)).unwrap();
        assert_eq!(fixture.reader().review_by(&ann, series).unwrap().text, text);
    }
}

/// Shows that each verb that writes an opinion is refused by a reader, and changes nothing.
fn readers_refuse_to_write_opinions(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let user = ann.clone();
    fixture.write(move |store| store.rate(&user, series, 5, 1)).unwrap();
    let comment = fixture.post(&ann, series, "x").id;
    let review = fixture.review(&ann, series, None).id;
    fn refused<T: std::fmt::Debug>(result: Result<T, StoreError>) {
        assert_eq!(result.unwrap_err(), StoreError::Unavailable);
    }
    let reader = fixture.reader();
    refused(reader.rate(&ann, series, 6, 1));
    refused(reader.delete_rating(&ann, series));
    refused(reader.add_comment(&posted(&ann, series, "y")));
    refused(reader.edit_comment(comment, "y", 9));
    refused(reader.delete_comment(comment));
    refused(reader.put_review(&written(&ann, series, "y")));
    refused(reader.delete_review(review));
    refused(reader.vote(review, &ann, true));
    assert_eq!(reader.rating(&ann, series).unwrap().rating, 5);
    assert_eq!(reader.comment(comment).unwrap().content, "x");
    assert_eq!(reader.review(review, None).unwrap().text, "Read it.");
}

impl Fixture {
    fn post(&mut self, user: &UserId, manga: MangaId, content: &str) -> Comment {
        let comment = posted(user, manga, content);
        self.write(move |store| store.add_comment(&comment)).unwrap()
    }

    fn review(&mut self, user: &UserId, manga: MangaId, rating: Option<i32>) -> Review {
        let review = ReviewChange { rating, ..written(user, manga, "Read it.") };
        self.write(move |store| store.put_review(&review)).unwrap()
    }
}

fn posted(user: &UserId, manga: MangaId, content: &str) -> NewComment {
    NewComment { manga_id: manga, user_id: user.clone(), content: content.to_owned(), received_at: 5 }
}

fn written(user: &UserId, manga: MangaId, text: &str) -> ReviewChange {
    let (user_id, text) = (user.clone(), text.to_owned());
    ReviewChange { manga_id: manga, user_id, rating: None, spoiler: false, text, received_at: 5 }
}
