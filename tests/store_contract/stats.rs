//! What is counted about a reader, and the goals they set.

use super::*;

contract!(
    a_shelf_is_counted,
    chapters_count_when_the_number_grows,
    steps_are_dated_by_what_the_reader_says,
    steps_are_what_a_list_would_give,
    genres_of_what_was_read,
    what_is_unfinished_has_an_end,
    goals_are_set_changed_and_given_up,
    numbers_of_nobody,
);

fn at(who: &UserId, manga: MangaId, chapter: f64, received_at: UnixMillis) -> ProgressChange {
    ProgressChange { chapter: Chapter::from_f64(chapter), received_at, ..change(who, manga) }
}

/// Manga, time and chapters of every step, the earliest first.
fn steps(fixture: &mut Fixture, who: &UserId, since: Option<UnixMillis>) -> Vec<(MangaId, UnixMillis, u64)> {
    let found = fixture.reader().readings(who, since).unwrap();
    assert!(found.complete);
    let mut steps: Vec<_> = found.steps.iter().map(|step| (step.manga_id, step.at, step.chapters)).collect();
    steps.sort_by_key(|&(manga, at, chapters)| (at, manga, chapters));
    steps
}

/// Shows each number of a shelf: nothing at first, then by status, in whole chapters, with ratings of
/// series that are not read as well as not.
fn a_shelf_is_counted(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let series = fixture.add_series(&["one", "two", "three"]);
    assert_eq!(fixture.reader().shelf(&ann).unwrap(), Shelf { by_status: vec![], ratings: (0, 0) });
    fixture.update(ProgressChange { rating: Some(7), ..at(&ann, series[0], 5.5, 1) }).unwrap();
    fixture.update(ProgressChange { rating: Some(10), ..at(&ann, series[1], 2.0, 2) }).unwrap();
    fixture.add(at(&ann, series[2], 9.0, 3), ReadingStatus::ReReading).unwrap();
    fixture.update(ProgressChange { status: Some(ReadingStatus::Completed), ..at(&ann, series[2], 10.0, 4) }).unwrap();
    let count =
        |status, series, in_library, chapters, rereads| StatusCount { status, series, in_library, chapters, rereads };
    let expected = vec![count(ReadingStatus::Completed, 1, 1, 10, 1), count(ReadingStatus::Reading, 2, 0, 7, 0)];
    assert_eq!(fixture.reader().shelf(&ann).unwrap(), Shelf { by_status: expected, ratings: (2, 17) });
}

/// Shows what counts: whole chapters gone forward, from nothing at first; going back and reading again
/// counts again; a part of a chapter, a page and a status don't.
fn chapters_count_when_the_number_grows(mut fixture: Fixture) {
    let (ann, manga) = fixture.pair();
    let chapters = [3.0, 3.0, 3.5, 5.5, 2.0, 4.25, 4.999, 5.0];
    for (time, chapter) in (10..).zip(chapters) {
        fixture.update(at(&ann, manga, chapter, time)).unwrap();
    }
    let paused = ProgressChange { status: Some(ReadingStatus::OnHold), received_at: 20, ..change(&ann, manga) };
    fixture.update(paused).unwrap();
    assert_eq!(steps(&mut fixture, &ann, None), [(manga, 10, 3), (manga, 13, 2), (manga, 15, 2), (manga, 17, 1)]);
    assert_eq!(steps(&mut fixture, &ann, Some(13)), [(manga, 13, 2), (manga, 15, 2), (manga, 17, 1)]);
    assert_eq!(steps(&mut fixture, &ann, Some(18)), []);
    let (who, what) = (ann.clone(), manga);
    fixture.write(move |store| store.delete_progress(&who, what)).unwrap();
    fixture.update(at(&ann, manga, 1.0, 30)).unwrap();
    assert_eq!(steps(&mut fixture, &ann, Some(17)), [(manga, 17, 1), (manga, 30, 1)], "what was read stays read");
}

/// Shows that a step is dated by its reader, unless that would be in the future or before clocks.
fn steps_are_dated_by_what_the_reader_says(mut fixture: Fixture) {
    let (ann, manga) = fixture.pair();
    for (chapter, read_at) in [(1.0, Some(40)), (2.0, Some(5000)), (3.0, Some(-1)), (4.0, None), (5.0, Some(30))] {
        fixture.update(ProgressChange { read_at, ..at(&ann, manga, chapter, 100 + chapter as i64) }).unwrap();
    }
    let dated = |steps: Vec<(MangaId, UnixMillis, u64)>| steps.iter().map(|step| step.1).collect::<Vec<_>>();
    assert_eq!(dated(steps(&mut fixture, &ann, None)), [30, 40, 102, 103, 104]);
    assert_eq!(dated(steps(&mut fixture, &ann, Some(40))), [40, 102, 103, 104]);
}

/// Shows, with random reading of several series by two people, that the steps are those that a plain
/// list of all changes gives.
fn steps_are_what_a_list_would_give(mut fixture: Fixture) {
    let users = ["ann", "bob"].map(|name| fixture.add_user(name));
    let series = fixture.add_series(&["a", "b", "c"]);
    let mut expected = [vec![], vec![]];
    let mut last = std::collections::HashMap::new();
    let mut time = 0;
    let changes = prop::collection::vec((0..2_usize, 0..3_usize, 0..9_i64), 1..40);
    check(16, changes, |changes| {
        for (who, which, chapter) in changes {
            time += 1;
            fixture.update(at(&users[who], series[which], chapter as f64, time)).unwrap();
            let before = last.insert((who, which), chapter).unwrap_or(0);
            expected[who].extend((chapter > before).then(|| (series[which], time, (chapter - before) as u64)));
        }
        for (who, expected) in users.iter().zip(&expected) {
            prop_assert_eq!(&steps(&mut fixture, who, None), expected);
            let half: Vec<_> = expected.iter().copied().filter(|step| step.1 >= time / 2).collect();
            prop_assert_eq!(steps(&mut fixture, who, Some(time / 2)), half);
        }
        Ok(())
    });
}

/// Shows that the genres of a series are told once, for what is read and for what was forgotten.
fn genres_of_what_was_read(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let genres = |slug: &str, genres: &[&str]| MangaFacts {
        genres: genres.iter().map(|&genre| genre.to_owned()).collect(),
        ..facts(slug)
    };
    fixture.upsert(vec![genres("a", &["horror", "action"]), genres("b", &["action"]), genres("c", &["comedy"])], 1);
    let [a, b, _] = fixture.add_series(&[])[..] else { unreachable!() };
    for manga in [a, b, a] {
        fixture.update(at(&ann, manga, 1.0, 1)).unwrap();
        let who = ann.clone();
        fixture.write(|store| store.delete_progress(&who, manga)).unwrap();
    }
    fixture.update(at(&ann, b, 1.0, 1)).unwrap();
    let mut found = fixture.reader().genres_read(&ann).unwrap();
    found.sort();
    assert_eq!(found, [(a, "action".into()), (a, "horror".into()), (b, "action".into())]);
}

/// Shows that only series with a known end that are being read and not at it are unfinished.
fn what_is_unfinished_has_an_end(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let ended =
        |slug: &str| MangaFacts { status: Publication::Completed, chapters_total: Chapter::whole(10), ..facts(slug) };
    fixture.upsert(vec![ended("a"), ended("b"), ended("c"), facts("runs")], 1);
    let [a, b, c, runs] = fixture.add_series(&[])[..] else { unreachable!() };
    for (time, manga, chapter) in [(1, a, 9.5), (2, b, 1.0), (3, c, 10.0), (4, runs, 1.0)] {
        fixture.update(at(&ann, manga, chapter, time)).unwrap();
    }
    let left = |fixture: &mut Fixture, limit| -> Vec<(MangaId, f64)> {
        let found = fixture.reader().unfinished(&ann, limit).unwrap();
        found.iter().map(|row| (row.manga_id, row.chapters_total.as_f64() - row.chapter.as_f64())).collect()
    };
    assert_eq!(left(&mut fixture, 9), [(b, 9.0), (a, 0.5)]);
    assert_eq!(left(&mut fixture, 1), [(b, 9.0)]);
    fixture.update(ProgressChange { status: Some(ReadingStatus::Dropped), ..at(&ann, b, 1.0, 5) }).unwrap();
    assert_eq!(left(&mut fixture, 9), [(a, 0.5)]);
}

/// Shows that each period has one goal at most, and that setting it again keeps when it was first set.
fn goals_are_set_changed_and_given_up(mut fixture: Fixture) {
    let (ann, bob) = (fixture.add_user("ann"), fixture.add_user("bob"));
    let set = |fixture: &mut Fixture, who: &UserId, period, target, now| {
        let who = who.clone();
        fixture.write(move |store| store.set_goal(&who, period, target, now)).unwrap()
    };
    let goal = |period, target, created_at, updated_at| Goal { period, target, created_at, updated_at };
    assert_eq!(set(&mut fixture, &ann, Period::Year, 1000, 1), goal(Period::Year, 1000, 1, 1));
    set(&mut fixture, &ann, Period::Day, 3, 2);
    set(&mut fixture, &bob, Period::Month, 30, 3);
    assert_eq!(set(&mut fixture, &ann, Period::Day, 4, 5), goal(Period::Day, 4, 2, 5));
    let expected = [goal(Period::Day, 4, 2, 5), goal(Period::Year, 1000, 1, 1)];
    assert_eq!(fixture.reader().goals(&ann).unwrap(), expected);
    let who = ann.clone();
    fixture.write(|store| store.delete_goal(&who, Period::Day)).unwrap();
    assert_eq!(fixture.write(|store| store.delete_goal(&who, Period::Day)), Err(StoreError::NotFound));
    assert_eq!(fixture.reader().goals(&ann).unwrap(), expected[1..]);
    assert_eq!(fixture.reader().goals(&bob).unwrap(), [goal(Period::Month, 30, 3, 3)]);
}

/// Shows that who does not exist has no numbers and no goals.
fn numbers_of_nobody(mut fixture: Fixture) {
    let nobody = id("nobody");
    assert_eq!(fixture.reader().shelf(&nobody), Err(StoreError::NotFound));
    assert_eq!(fixture.reader().readings(&nobody, None), Err(StoreError::NotFound));
    assert_eq!(fixture.reader().goals(&nobody), Err(StoreError::NotFound));
    let set = fixture.write(|store| store.set_goal(&nobody, Period::Day, 1, 1));
    assert_eq!(set, Err(StoreError::NotFound));
}
