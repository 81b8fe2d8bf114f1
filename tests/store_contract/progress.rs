//! What a library holds, and what each change makes of a reader's place.

use super::*;

contract!(
    library_holds_what_was_added,
    adding_keeps_what_was_read,
    library_shows_the_last_change_first,
    progress_begins_outside_the_library,
    progress_must_exist_when_asked,
    progress_leaves_what_is_not_given,
    progress_time_never_runs_backwards,
    reading_dates_follow_the_status,
    rereads_are_counted,
    ratings_travel_with_progress,
    users_do_not_share_progress,
    deleted_progress_leaves_history,
);

/// Shows that a series added to a library is there once, with its facts, and not added twice.
fn library_holds_what_was_added(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    fixture.upsert(vec![full_facts()], 7);
    let series = fixture.reader().manga_after(0, 1).unwrap().remove(0);
    assert_eq!(fixture.reader().library(&ann, None, Window::default()), Ok(Page { items: vec![], total: 0 }));

    let added = fixture.add(change(&ann, series.id), ReadingStatus::PlanToRead).unwrap();
    assert!(added.progress.in_library);
    assert_eq!(added.progress.status, ReadingStatus::PlanToRead);
    assert_eq!(added.progress.started_at, None);
    let page = fixture.reader().library(&ann, None, Window::default()).unwrap();
    let series = Manga { standing: Standing { readers: 1, ..Standing::default() }, ..series };
    assert_eq!(page, Page { items: vec![(added.progress.clone(), series.clone())], total: 1 });

    assert_eq!(fixture.add(change(&ann, series.id), ReadingStatus::Reading), Err(StoreError::Conflict));
    assert_eq!(fixture.reader().progress(&ann, series.id), Ok(added.progress));
    assert_eq!(fixture.reader().history(&ann, None, None, 9).unwrap().len(), 1);
}

/// Shows that adding a series that is being read keeps the row: the status is replaced, the chapter
/// only by one that is not 0.
fn adding_keeps_what_was_read(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let series = fixture.add_series(&["a", "b"]);
    for (series, given, kept) in [(series[0], 0, 5), (series[1], 9, 9)] {
        let read = ProgressChange { chapter: Chapter::whole(5), note: Some("good".into()), ..change(&ann, series) };
        fixture.update(read).unwrap();
        let add = ProgressChange { chapter: Chapter::whole(given), ..change(&ann, series) };
        let added = fixture.add(add, ReadingStatus::OnHold).unwrap().progress;
        assert_eq!(added.chapter, Chapter::whole(kept).unwrap());
        assert_eq!((added.status, added.note.as_deref()), (ReadingStatus::OnHold, Some("good")));
    }
}

/// Shows that library and progress are paged with the last change first, and that only one of them
/// leaves out what is not in the library.
fn library_shows_the_last_change_first(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let series = fixture.add_series(&["a", "b", "c", "d"]);
    for (now, &series) in (100..).zip(&series[..3]) {
        fixture.add(ProgressChange { received_at: now, ..change(&ann, series) }, ReadingStatus::Reading).unwrap();
    }
    fixture.update(ProgressChange { received_at: 200, ..change(&ann, series[0]) }).unwrap();
    fixture.update(ProgressChange { received_at: 300, ..change(&ann, series[3]) }).unwrap();
    let mut library = |limit, offset| {
        let page = fixture.reader().library(&ann, None, Window { limit, offset }).unwrap();
        (page.items.into_iter().map(|(_, manga)| manga.facts.slug).collect::<String>(), page.total)
    };
    assert_eq!(library(None, 0), ("acb".into(), 3));
    assert_eq!(library(Some(1), 1), ("c".into(), 3));
    assert_eq!(library(Some(5), 3), (String::new(), 3));
    let page = fixture.reader().progress_page(&ann, None, Window { limit: Some(2), offset: 0 }).unwrap();
    assert_eq!(page.items.iter().map(|row| row.manga_id).collect::<Vec<_>>(), [series[3], series[0]]);
    assert_eq!(page.total, 4);
}

/// Shows what the first change of a pair makes: a row of defaults that is not in the library.
fn progress_begins_outside_the_library(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let first = ProgressChange { chapter: Chapter::from_f64(5.5), received_at: 42, ..change(&ann, series) };
    let stored = fixture.update(first).unwrap();
    let expected = Progress {
        user_id: ann.clone(),
        manga_id: series,
        in_library: false,
        status: ReadingStatus::Reading,
        chapter: Chapter::from_f64(5.5).unwrap(),
        volume: None,
        page: None,
        rereads: 0,
        started_at: Some(42),
        completed_at: None,
        private: false,
        note: None,
        rating: None,
        updated_at: 42,
        added_at: None,
    };
    assert_eq!(stored.progress, expected);
    assert_eq!(fixture.reader().progress(&ann, series), Ok(expected));
}

/// Shows that a change that must find a row is refused without one, and stored with one.
fn progress_must_exist_when_asked(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let strict = ProgressChange { needs: Needs::Row, chapter: Chapter::whole(3), ..change(&ann, series) };
    assert_eq!(fixture.update(strict.clone()), Err(StoreError::NotFound));
    fixture.update(change(&ann, series)).unwrap();
    assert_eq!(fixture.update(strict).unwrap().progress.chapter, Chapter::whole(3).unwrap());
}

/// Shows that each member changes alone, that the empty note clears it, and that a change of nothing
/// leaves everything.
fn progress_leaves_what_is_not_given(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let all = ProgressChange {
        chapter: Chapter::whole(7),
        status: Some(ReadingStatus::OnHold),
        volume: Some(2),
        page: Some(19),
        private: Some(true),
        note: Some("mine".into()),
        ..change(&ann, series)
    };
    let full = fixture.update(all).unwrap().progress;
    let none = || change(&ann, series);
    assert_eq!(fixture.update(none()).unwrap().progress, full);
    let cases = [
        (
            ProgressChange { chapter: Chapter::whole(0), ..none() },
            Progress { chapter: Chapter::default(), ..full.clone() },
        ),
        (ProgressChange { volume: Some(3), ..none() }, Progress { volume: Some(3), ..full.clone() }),
        (ProgressChange { page: Some(0), ..none() }, Progress { page: Some(0), ..full.clone() }),
        (ProgressChange { private: Some(false), ..none() }, Progress { private: false, ..full.clone() }),
        (ProgressChange { note: Some(String::new()), ..none() }, Progress { note: None, ..full.clone() }),
        (
            ProgressChange { status: Some(ReadingStatus::Dropped), ..none() },
            Progress { status: ReadingStatus::Dropped, ..full.clone() },
        ),
    ];
    let back = |row: &Progress| ProgressChange {
        chapter: Some(row.chapter),
        status: Some(row.status),
        volume: row.volume,
        page: row.page,
        private: Some(row.private),
        note: row.note.clone(),
        ..none()
    };
    for (given, expected) in cases {
        assert_eq!(fixture.update(given).unwrap().progress, expected);
        assert_eq!(fixture.update(back(&full)).unwrap().progress, full);
    }
}

/// Shows that a change received earlier but stored later moves no time back.
fn progress_time_never_runs_backwards(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    fixture.update(ProgressChange { received_at: 500, ..change(&ann, series) }).unwrap();
    let late = fixture.update(ProgressChange { received_at: 400, chapter: Chapter::whole(2), ..change(&ann, series) });
    assert_eq!(late.unwrap().progress.updated_at, 500);
}

/// Shows when the dates of beginning and ending are set, kept and cleared: a table of changes to one
/// row, each with the dates that must be there after it.
fn reading_dates_follow_the_status(mut fixture: Fixture) {
    use ReadingStatus::{Completed, Dropped, OnHold, PlanToRead, ReReading, Reading};
    let (ann, series) = fixture.pair();
    let steps = [
        (10, Some(PlanToRead), None, None, None),
        (11, Some(PlanToRead), Some(0), None, None),
        (12, None, Some(1), Some(12), None),
        (13, Some(Reading), None, Some(12), None),
        (14, Some(Completed), None, Some(12), Some(14)),
        (15, Some(Completed), Some(9), Some(12), Some(14)),
        (16, Some(ReReading), None, Some(12), Some(14)),
        (17, Some(OnHold), None, Some(12), Some(14)),
        (18, Some(Dropped), None, Some(12), Some(14)),
        (19, Some(Completed), None, Some(12), Some(19)),
        (20, Some(Reading), None, Some(12), None),
        (21, Some(Completed), None, Some(12), Some(21)),
        (22, Some(PlanToRead), None, Some(12), None),
    ];
    for (now, status, chapter, started_at, completed_at) in steps {
        let chapter = chapter.and_then(Chapter::whole);
        let row = fixture.update(ProgressChange { received_at: now, status, chapter, ..change(&ann, series) });
        let row = row.unwrap().progress;
        assert_eq!((row.started_at, row.completed_at), (started_at, completed_at), "at {now}");
    }
    // A row that begins as completed has both dates at once.
    let other = fixture.add_series(&["other"])[1];
    let whole = ProgressChange { status: Some(Completed), received_at: 30, ..change(&ann, other) };
    let row = fixture.update(whole).unwrap().progress;
    assert_eq!((row.started_at, row.completed_at), (Some(30), Some(30)));
}

/// Shows that only the step from re-reading to completed counts as read again.
fn rereads_are_counted(mut fixture: Fixture) {
    use ReadingStatus::{Completed, ReReading, Reading};
    let (ann, series) = fixture.pair();
    let steps = [(Reading, 0), (Completed, 0), (ReReading, 0), (Completed, 1), (Completed, 1), (ReReading, 1)];
    for (status, rereads) in steps.into_iter().chain([(Reading, 1), (Completed, 1), (ReReading, 1), (Completed, 2)]) {
        let row = fixture.update(ProgressChange { status: Some(status), ..change(&ann, series) }).unwrap().progress;
        assert_eq!(row.rereads, rereads);
    }
}

/// Shows that a rating given with progress is in every answer from then on, and can be changed.
fn ratings_travel_with_progress(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    for (given, shown) in [(None, None), (Some(8), Some(8)), (None, Some(8)), (Some(10), Some(10))] {
        let row = fixture.update(ProgressChange { rating: given, ..change(&ann, series) }).unwrap().progress;
        assert_eq!(row.rating, shown);
        assert_eq!(fixture.reader().progress(&ann, series), Ok(row));
    }
    let added = fixture.add(change(&ann, series), ReadingStatus::Reading).unwrap();
    assert_eq!(added.progress.rating, Some(10));
    assert_eq!(fixture.reader().library(&ann, None, Window::default()).unwrap().items[0].0.rating, Some(10));
}

/// Shows that what one user does changes nothing of another's.
fn users_do_not_share_progress(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let bob = fixture.add_user("bob");
    fixture.update(ProgressChange { rating: Some(3), ..change(&ann, series) }).unwrap();
    assert_eq!(fixture.reader().progress(&bob, series), Err(StoreError::NotFound));
    let bobs = fixture.update(ProgressChange { chapter: Chapter::whole(4), ..change(&bob, series) }).unwrap().progress;
    assert_eq!(bobs.rating, None);
    assert_eq!(fixture.reader().progress(&ann, series).unwrap().chapter, Chapter::default());
    assert_eq!(fixture.reader().history(&ann, None, None, 9).unwrap().len(), 1);
}

/// Shows that deleted progress is gone, is not found a second time, and leaves its history.
fn deleted_progress_leaves_history(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    fixture.add(change(&ann, series), ReadingStatus::Reading).unwrap();
    for expected in [Ok(()), Err(StoreError::NotFound)] {
        let user = ann.clone();
        assert_eq!(fixture.write(move |store| store.delete_progress(&user, series)), expected);
    }
    let reader = fixture.reader();
    assert_eq!(reader.progress(&ann, series), Err(StoreError::NotFound));
    assert_eq!(reader.library(&ann, None, Window::default()).unwrap().total, 0);
    assert_eq!(reader.history(&ann, Some(series), None, 9).unwrap().len(), 1);
    fixture.add(change(&ann, series), ReadingStatus::Reading).unwrap();
}
