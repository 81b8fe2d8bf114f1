//! Libraries and changes that are behind: what must hold whichever backend keeps them.

use super::*;

contract!(
    leaving_a_library_keeps_what_was_read,
    adding_without_a_status,
    lists_of_one_status,
    edits_need_an_entry,
    a_change_behind_is_treated_as_told,
    beginning_again_is_not_behind,
    adding_may_be_behind,
    places_follow_the_rules,
);

/// Shows that a series that leaves a library leaves its row and history as they were, that the date of
/// its coming goes with it, and that it can come again.
fn leaving_a_library_keeps_what_was_read(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let bob = fixture.add_user("bob");
    let read = ProgressChange { chapter: Chapter::whole(7), received_at: 10, ..change(&ann, series) };
    assert_eq!(fixture.update(read).unwrap().progress.added_at, None);
    let add = |received_at| ProgressChange { received_at, ..change(&ann, series) };
    let added = fixture.add(add(20), ReadingStatus::OnHold).unwrap().progress;
    assert_eq!((added.added_at, added.updated_at), (Some(20), 20));
    let later = ProgressChange { received_at: 30, ..change(&ann, series) };
    assert_eq!(fixture.update(later).unwrap().progress.added_at, Some(20), "reading on is not coming");

    let mut remove = |user: &UserId| {
        let user = user.clone();
        fixture.write(move |store| store.remove_from_library(&user, series))
    };
    assert_eq!(remove(&bob), Err(StoreError::NotFound));
    assert_eq!(remove(&ann), Ok(()));
    assert_eq!(remove(&ann), Err(StoreError::NotFound));
    let left = fixture.reader().progress(&ann, series).unwrap();
    assert_eq!(left, Progress { in_library: false, added_at: None, updated_at: 30, ..added });
    assert_eq!(fixture.reader().library(&ann, None, Window::default()).unwrap().total, 0);
    assert_eq!(fixture.reader().history(&ann, None, None, 9).unwrap().len(), 3);
    assert_eq!(fixture.add(add(40), ReadingStatus::Reading).unwrap().progress.added_at, Some(40));
}

/// Shows that a series is added for later when nobody says otherwise, and that one that is being read
/// keeps its status.
fn adding_without_a_status(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let series = fixture.add_series(&["new", "read"]);
    fixture.update(ProgressChange { status: Some(ReadingStatus::Dropped), ..change(&ann, series[1]) }).unwrap();
    for (series, status, started_at) in
        [(series[0], ReadingStatus::PlanToRead, None), (series[1], ReadingStatus::Dropped, None)]
    {
        let add = change(&ann, series);
        let row = fixture.write(move |store| store.add_to_library(&add)).unwrap().progress;
        assert_eq!((row.status, row.started_at, row.in_library), (status, started_at, true));
    }
}

/// Shows that lists can be of one status, and count only that.
fn lists_of_one_status(mut fixture: Fixture) {
    use ReadingStatus::{Completed, OnHold, Reading};
    let ann = fixture.add_user("ann");
    let series = fixture.add_series(&["a", "b", "c"]);
    for (&series, status) in series.iter().zip([Reading, OnHold, Reading]) {
        fixture.add(change(&ann, series), status).unwrap();
    }
    let first = Window { limit: Some(1), offset: 0 };
    for (status, all, shown) in [(None, 3, 1), (Some(Reading), 2, 1), (Some(OnHold), 1, 1), (Some(Completed), 0, 0)] {
        let library = fixture.reader().library(&ann, status, first).unwrap();
        assert_eq!((library.total, library.items.len()), (all, shown));
        let page = fixture.reader().progress_page(&ann, status, first).unwrap();
        assert_eq!((page.total, page.items.len()), (all, shown));
        assert!(page.items.iter().all(|row| status.is_none_or(|status| row.status == status)));
    }
}

/// Shows that an edit of a library's entry finds none where the series is only read.
fn edits_need_an_entry(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let edit = ProgressChange { needs: Needs::LibraryEntry, note: Some("n".into()), ..change(&ann, series) };
    assert_eq!(fixture.update(edit.clone()), Err(StoreError::NotFound));
    fixture.update(change(&ann, series)).unwrap();
    assert_eq!(fixture.update(edit.clone()), Err(StoreError::NotFound));
    fixture.add(change(&ann, series), ReadingStatus::Reading).unwrap();
    assert_eq!(fixture.update(edit).unwrap().progress.note.as_deref(), Some("n"));
}

/// A row at chapter 10, volume 2, page 5, and a change to another chapter, with all that can go with it.
fn behind(user: &UserId, manga: MangaId, chapter: f64, behind: Behind) -> ProgressChange {
    ProgressChange {
        chapter: Chapter::from_f64(chapter),
        volume: Some(1),
        page: Some(3),
        rating: Some(4),
        note: Some("from afar".into()),
        device: Some("phone".into()),
        received_at: 50,
        behind,
        ..change(user, manga)
    }
}

fn at_ten(fixture: &mut Fixture) -> (UserId, MangaId, Progress) {
    let (ann, series) = fixture.pair();
    let read = ProgressChange {
        chapter: Chapter::whole(10),
        status: Some(ReadingStatus::Completed),
        volume: Some(2),
        page: Some(5),
        received_at: 40,
        ..change(&ann, series)
    };
    let row = fixture.update(read).unwrap().progress;
    (ann, series, row)
}

/// Shows that a change behind the stored chapter is stored, or leaves the place and changes the rest, or
/// is refused and leaves nothing behind; and that none of this touches one that is not behind.
fn a_change_behind_is_treated_as_told(mut fixture: Fixture) {
    let (ann, series, row) = at_ten(&mut fixture);
    let place = |row: &Progress| (row.chapter.as_f64(), row.volume, row.page);

    assert_eq!(fixture.update(behind(&ann, series, 9.999, Behind::Refuse)), Err(StoreError::Behind));
    assert_eq!(fixture.reader().progress(&ann, series), Ok(row));
    assert_eq!(fixture.reader().history(&ann, None, None, 9).unwrap().len(), 1);

    let kept = fixture.update(behind(&ann, series, 9.999, Behind::KeepPlace)).unwrap().progress;
    assert_eq!(place(&kept), (10.0, Some(2), Some(5)));
    assert_eq!((kept.rating, kept.note.as_deref(), kept.updated_at), (Some(4), Some("from afar"), 50));
    let newest = fixture.reader().history(&ann, None, None, 1).unwrap().remove(0);
    assert_eq!((newest.chapter.as_f64(), newest.device.as_deref()), (10.0, Some("phone")));

    for rule in [Behind::KeepPlace, Behind::Refuse] {
        let on = fixture.update(behind(&ann, series, 10.0, rule)).unwrap().progress;
        assert_eq!(place(&on), (10.0, Some(1), Some(3)), "the same chapter is not behind");
        let on = fixture.update(behind(&ann, series, 10.5, rule)).unwrap().progress;
        assert_eq!(place(&on), (10.5, Some(1), Some(3)));
        let back = fixture.update(behind(&ann, series, 10.0, Behind::Store)).unwrap().progress;
        assert_eq!(place(&back), (10.0, Some(1), Some(3)));
        let elsewhere = ProgressChange { chapter: None, page: Some(8), ..behind(&ann, series, 0.0, rule) };
        assert_eq!(fixture.update(elsewhere).unwrap().progress.page, Some(8), "without a chapter nothing is behind");
    }
}

/// Shows that a change that begins again is not behind, and that one after it is: what was begun again is
/// read on like anything else.
fn beginning_again_is_not_behind(mut fixture: Fixture) {
    for (rule, refused) in [(Behind::KeepPlace, false), (Behind::Refuse, true)] {
        for (slug, status) in [("re", ReadingStatus::ReReading), ("plan", ReadingStatus::PlanToRead)] {
            let slug = format!("{slug}-{refused}");
            let series = *fixture.add_series(&[&slug]).last().unwrap();
            let user = id("ann");
            if fixture.reader().user(&user).is_err() {
                fixture.add_user("ann");
            }
            let mut read = |chapter, status: Option<ReadingStatus>| {
                let change =
                    ProgressChange { chapter: Chapter::whole(chapter), status, behind: rule, ..change(&user, series) };
                fixture.update(change).map(|stored| stored.progress.chapter.floor())
            };
            read(100, Some(ReadingStatus::Completed)).unwrap();
            let stale = |now: i64| if refused { Err(StoreError::Behind) } else { Ok(now) };
            assert_eq!(read(1, Some(ReadingStatus::Reading)), stale(100));
            assert_eq!(read(1, Some(status)), Ok(1));
            assert_eq!(read(30, Some(status)), Ok(30));
            assert_eq!(read(2, Some(status)), stale(30));
            assert_eq!(read(2, None), stale(30));
        }
    }
}

/// Shows that adding to a library follows the same rule, and that what is there already is said first.
fn adding_may_be_behind(mut fixture: Fixture) {
    let (ann, series, row) = at_ten(&mut fixture);
    assert_eq!(fixture.add(behind(&ann, series, 4.0, Behind::Refuse), row.status), Err(StoreError::Behind));
    assert_eq!(fixture.reader().progress(&ann, series), Ok(row.clone()));
    let nothing_read = fixture.add(behind(&ann, series, 0.0, Behind::Refuse), row.status).unwrap().progress;
    assert_eq!((nothing_read.chapter, nothing_read.in_library), (row.chapter, true));
    assert_eq!(fixture.add(behind(&ann, series, 4.0, Behind::Refuse), row.status), Err(StoreError::Conflict));
}

/// Shows, with random changes under random rules, that a row is where a plain model of the rules says.
fn places_follow_the_rules(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let rule = prop_oneof![Just(Behind::Store), Just(Behind::KeepPlace), Just(Behind::Refuse)];
    let status = prop::option::of(prop::sample::select(
        &[ReadingStatus::Reading, ReadingStatus::ReReading, ReadingStatus::PlanToRead][..],
    ));
    let changes = prop::collection::vec((prop::option::of(0_i64..6), status, rule), 1..20);
    let mut made = 0;
    check(32, changes, |changes| {
        made += 1;
        let series = *fixture.add_series(&[&format!("series-{made}")]).last().unwrap();
        let mut model: Option<(i64, ReadingStatus)> = None;
        for (chapter, status, rule) in changes {
            let change = ProgressChange {
                chapter: chapter.and_then(Chapter::whole),
                status,
                behind: rule,
                ..change(&ann, series)
            };
            let (at, was) = model.unwrap_or((0, ReadingStatus::Reading));
            let begins = status.is_some_and(|status| status != was && status != ReadingStatus::Reading);
            let is_behind = model.is_some() && chapter.is_some_and(|chapter| chapter < at) && !begins;
            let outcome = fixture.update(change).map(|stored| stored.progress);
            if is_behind && rule == Behind::Refuse {
                prop_assert_eq!(outcome, Err(StoreError::Behind));
                continue;
            }
            let keeps = is_behind && rule == Behind::KeepPlace;
            let expected = (if keeps { at } else { chapter.unwrap_or(at) }, status.unwrap_or(was));
            let row = outcome.unwrap();
            prop_assert_eq!((row.chapter.floor(), row.status), expected);
            model = Some(expected);
        }
        Ok(())
    });
}
