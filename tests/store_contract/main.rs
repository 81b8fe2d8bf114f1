//! What every backend of the store must do, each case against a fresh store of each backend.
//!
//! A case is a function of a [`Fixture`]: an opened store and how to open it once more. A new backend
//! adds one line to `backends!`, and nothing else.

mod accounts;
mod catalogue;
mod opinions;
mod reading;

use accounts::*;
use catalogue::*;
use mangahub::store::model::*;
use mangahub::store::{Job, OpenStore, Store, StoreError, StoreOptions, UPSERTS_MAX, Writer, open};
use opinions::*;
use proptest::prelude::*;
use reading::*;

/// Each backend, and how a fixture of it is made; then every case that all of them must pass.
macro_rules! contract {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test] fn $case() { super::$case(super::Fixture::sqlite()); })+
        }
    };
}

mod chat;
mod departure;
mod friends;
mod lists;
mod recommend;
mod stats;

contract!(
    users_are_found_again,
    names_and_addresses_are_unique,
    unknown_names_are_not_found,
    revocations_only_grow,
    catalogue_keeps_every_fact,
    catalogue_is_idempotent,
    catalogue_comes_in_slices,
    catalogue_takes_so_much_at_once,
    search_finds_any_title,
    search_parts_must_all_match,
    search_ignores_case_everywhere,
    search_takes_everything_literally,
    search_pages,
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
    history_is_in_order_and_paged,
    history_of_many_series_is_paged_by_any_step,
    history_outlives_progress_again_and_again,
    history_shows_nobody_elses_rows,
    history_of_undone_work_is_not_there,
    text_comes_back_as_it_was,
    readers_refuse_to_write,
    readers_see_what_is_committed,
    data_version_changes_with_a_foreign_commit,
    a_failing_job_harms_no_other,
    a_panicking_job_harms_no_other,
    a_job_sees_what_earlier_jobs_wrote,
    reopening_shows_what_was_promised,
    checkpoint_keeps_everything,
    groups_of_any_outcome_keep_exactly_what_succeeded,
    any_text_can_be_searched_for,
    history_is_what_a_list_would_be,
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
    words_find_series,
    words_are_taken_literally,
    any_part_finds_its_title,
    lists_have_orders,
    genres_are_joined_by_and,
    administrators_change_facts,
    deleting_leaves_histories,
    the_file_yields_to_administrators,
    lists_follow_every_change,
    leaving_a_library_keeps_what_was_read,
    adding_without_a_status,
    lists_of_one_status,
    edits_need_an_entry,
    a_change_behind_is_treated_as_told,
    beginning_again_is_not_behind,
    adding_may_be_behind,
    places_follow_the_rules,
);

// Users

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

// Catalogue

/// Shows that a series comes back with every fact, known and unknown.
fn catalogue_keeps_every_fact(mut fixture: Fixture) {
    let (full, bare) = (full_facts(), facts("bare"));
    assert_eq!(fixture.upsert(vec![full.clone(), bare.clone()], 7), 2);
    let series = fixture.reader().manga_after(0, 10).unwrap();
    assert_eq!(
        series[0],
        Manga { id: series[0].id, facts: full, created_at: 7, updated_at: 7, standing: Standing::default() }
    );
    assert_eq!(
        series[1],
        Manga { id: series[1].id, facts: bare, created_at: 7, updated_at: 7, standing: Standing::default() }
    );
    assert_eq!(fixture.reader().manga(series[0].id), Ok(series[0].clone()));
}

/// Shows that the same facts again write nothing, and that any changed fact is written and dated,
/// under the same key.
fn catalogue_is_idempotent(mut fixture: Fixture) {
    fixture.upsert(vec![full_facts(), facts("bare")], 7);
    let before = fixture.reader().manga_after(0, 10).unwrap();
    assert_eq!(fixture.upsert(vec![full_facts(), facts("bare")], 8), 0);
    assert_eq!(fixture.reader().manga_after(0, 10).unwrap(), before);

    let full = full_facts;
    let changes = [
        MangaFacts { title: "Other".into(), ..full() },
        MangaFacts { title_native: None, ..full() },
        MangaFacts { alternative_titles: vec![], ..full() },
        MangaFacts { genres: vec!["horror".into(), "action".into()], ..full() },
        MangaFacts { genres: vec!["horror".into()], ..full() },
        MangaFacts { chapters_total: None, ..full() },
        MangaFacts { status: Publication::Hiatus, ..full() },
        MangaFacts { description: String::new(), ..full() },
    ];
    for (now, changed) in (10..).zip(changes) {
        assert_eq!(fixture.upsert(vec![changed.clone(), facts("bare")], now), 1);
        let stored = fixture.reader().manga(before[0].id).unwrap();
        assert_eq!(stored, Manga { facts: changed, updated_at: now, ..before[0].clone() });
    }
    // Genres that differ in case or come twice are one genre, and no change either.
    let shouted = MangaFacts { genres: vec!["Action".into(), "ACTION".into()], ..facts("bare") };
    assert_eq!(fixture.upsert(vec![shouted.clone()], 90), 1);
    assert_eq!(fixture.upsert(vec![shouted], 91), 0);
    assert_eq!(fixture.reader().manga(before[1].id).unwrap().facts.genres, ["action"]);
}

/// Shows that slices by key, each after the last key of the one before, make up the whole.
fn catalogue_comes_in_slices(mut fixture: Fixture) {
    let all = fixture.add_series(&["a", "b", "c", "d", "e"]);
    let (mut seen, mut after) = (vec![], 0);
    loop {
        let slice = fixture.reader().manga_after(after, 2).unwrap();
        let Some(last) = slice.last() else { break };
        after = last.id;
        seen.extend(slice.iter().map(|manga| manga.id));
    }
    assert_eq!(seen, all);
}

/// Shows that as many series as one call may carry are taken, and that one more is refused as a whole.
fn catalogue_takes_so_much_at_once(mut fixture: Fixture) {
    let batch = |count: usize| (0..count).map(|number| facts(&format!("series-{number}"))).collect::<Vec<_>>();
    let too_much = batch(UPSERTS_MAX + 1);
    assert_eq!(fixture.write(move |store| store.upsert_manga(&too_much, 1)), Err(StoreError::TooMuch));
    assert_eq!(fixture.reader().manga_after(0, 1), Ok(vec![]));
    assert_eq!(fixture.upsert(batch(UPSERTS_MAX), 1), UPSERTS_MAX);
}

/// Shows that a part of any title finds the series, and that no match reaches from one title into
/// the next.
fn search_finds_any_title(mut fixture: Fixture) {
    fixture.upsert(vec![full_facts(), facts("bare")], 7);
    for part in ["Attack", "on Titan", "Shingeki", "進撃", "巨人", "AoT", "ataque a los", ""] {
        let found = fixture.search(MangaQuery { title: Some(part.into()), ..MangaQuery::default() });
        assert!(found.contains(&"attack-on-titan".to_owned()), "{part}");
    }
    for part in ["Titan\nShingeki", "TitanAttack", "bare\0"] {
        assert_eq!(fixture.search(MangaQuery { title: Some(part.into()), ..MangaQuery::default() }), [""; 0], "{part}");
    }
}

/// Shows that each part narrows the search down, and that a part nobody has finds nothing.
fn search_parts_must_all_match(mut fixture: Fixture) {
    fixture.upsert(vec![full_facts(), MangaFacts { genres: vec!["action".into()], ..facts("attack-two") }], 7);
    let title = || MangaQuery { title: Some("attack".into()), ..MangaQuery::default() };
    let query = |author: &str, genre: &str, status| MangaQuery {
        author: Some(author.into()),
        genre: Some(genre.into()),
        status: Some(status),
        ..title()
    };
    assert_eq!(fixture.search(title()).len(), 2);
    assert_eq!(fixture.search(MangaQuery { genre: Some("act".into()), ..title() }).len(), 2);
    assert_eq!(fixture.search(query("isayama", "horror", Publication::Completed)), ["attack-on-titan"]);
    assert_eq!(fixture.search(query("artist", "act", Publication::Completed)), ["attack-on-titan"]);
    assert_eq!(fixture.search(query("isayama", "romance", Publication::Completed)), [""; 0]);
    assert_eq!(fixture.search(query("isayama", "horror", Publication::Ongoing)), [""; 0]);
    assert_eq!(fixture.search(query("nobody", "horror", Publication::Completed)), [""; 0]);
}

/// Shows that case is ignored in every script that has it, in titles, people and genres.
fn search_ignores_case_everywhere(mut fixture: Fixture) {
    let loud = MangaFacts {
        title: "ÉLAN Straße ΟΔΟΣ".into(),
        author: Some("Čapek".into()),
        genres: vec!["Über".into()],
        ..facts("loud")
    };
    fixture.upsert(vec![loud], 7);
    for part in ["élan", "STRASSE", "straße", "οδος", "Οδοσ"] {
        assert_eq!(
            fixture.search(MangaQuery { title: Some(part.into()), ..MangaQuery::default() }),
            ["loud"],
            "{part}"
        );
    }
    assert_eq!(fixture.search(MangaQuery { author: Some("čAPEK".into()), ..MangaQuery::default() }), ["loud"]);
    assert_eq!(fixture.search(MangaQuery { genre: Some("üBER".into()), ..MangaQuery::default() }), ["loud"]);
}

/// Shows that nothing in a search is a wildcard, a quote or a statement: each hostile string finds
/// the one series that has it in its title, and the catalogue survives.
fn search_takes_everything_literally(mut fixture: Fixture) {
    let slugs: Vec<String> = (0..HOSTILE.len()).map(|number| format!("series-{number}")).collect();
    let titled = |(slug, hostile): (&String, &&str)| MangaFacts { title: format!("<{hostile}>"), ..facts(slug) };
    fixture.upsert(slugs.iter().zip(HOSTILE).map(titled).collect(), 7);
    for (slug, hostile) in slugs.iter().zip(HOSTILE) {
        let query = MangaQuery { title: Some(format!("<{hostile}>")), ..MangaQuery::default() };
        assert_eq!(fixture.search(query), [slug.as_str()], "{hostile}");
        let elsewhere =
            MangaQuery { author: Some((*hostile).into()), genre: Some((*hostile).into()), ..MangaQuery::default() };
        assert_eq!(fixture.search(elsewhere), [""; 0], "{hostile}");
    }
    assert_eq!(fixture.reader().manga_after(0, 100).unwrap().len(), HOSTILE.len());
}

/// Shows that windows cut a list that is ordered by title, and that the total counts all of it.
fn search_pages(mut fixture: Fixture) {
    fixture.add_series(&["delta", "alpha", "Charlie", "bravo"]);
    let window = |limit, offset| MangaQuery { window: Window { limit, offset }, ..MangaQuery::default() };
    let cases: [(Option<u32>, u32, &[&str]); 6] = [
        (None, 0, &["alpha", "bravo", "Charlie", "delta"]),
        (Some(2), 0, &["alpha", "bravo"]),
        (Some(2), 3, &["delta"]),
        (None, 2, &["Charlie", "delta"]),
        (Some(0), 0, &[]),
        (Some(9), u32::MAX, &[]),
    ];
    for (limit, offset, titles) in cases {
        let page = fixture.reader().search_manga(&window(limit, offset)).unwrap();
        assert_eq!(page.items.iter().map(|manga| manga.facts.title.as_str()).collect::<Vec<_>>(), titles);
        assert_eq!(page.total, 4);
    }
}

// Library

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

// Progress

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

/// Shows that each change has a line with what the row was then, that lines are numbered in the
/// order of the changes whatever their times say, and that pages of them make up the whole.
fn history_is_in_order_and_paged(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let series = fixture.add_series(&["a", "b"]);
    let mut seqs = vec![];
    for number in 0..6 {
        let line = ProgressChange {
            chapter: Chapter::whole(number),
            volume: Some(1),
            device: Some(format!("device-{number}")),
            read_at: Some(1_000 - number),
            received_at: 500 - number,
            ..change(&ann, series[number as usize % 2])
        };
        seqs.push(fixture.update(line).unwrap().seq);
    }
    assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
    let reader = fixture.reader();
    let all = reader.history(&ann, None, None, 100).unwrap();
    assert_eq!(all.iter().map(|line| line.seq).collect::<Vec<_>>(), seqs.iter().rev().copied().collect::<Vec<_>>());
    let newest = HistoryEntry {
        seq: seqs[5],
        manga_id: series[1],
        chapter: Chapter::whole(5).unwrap(),
        volume: Some(1),
        page: None,
        status: ReadingStatus::Reading,
        device: Some("device-5".into()),
        read_at: Some(995),
        recorded_at: 495,
    };
    assert_eq!(all[0], newest);
    let first = reader.history(&ann, None, None, 4).unwrap();
    let second = reader.history(&ann, None, Some(first[3].seq), 4).unwrap();
    assert_eq!([first, second].concat(), all);
    let of_one = reader.history(&ann, Some(series[0]), None, 100).unwrap();
    assert_eq!(of_one.iter().map(|line| line.seq).collect::<Vec<_>>(), [seqs[4], seqs[2], seqs[0]]);
    assert_eq!(reader.history(&ann, Some(series[0]), Some(seqs[2]), 100).unwrap().len(), 1);
    assert_eq!(reader.history(&ann, None, Some(seqs[0]), 100), Ok(vec![]));
    assert_eq!(reader.history(&ann, None, None, 0), Ok(vec![]));
}

/// Shows that lines of several series that took turns come back in one order, and that pages of any
/// size, each before the last line of the one before, make up the whole and end.
fn history_of_many_series_is_paged_by_any_step(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let series = fixture.add_series(&["a", "b", "c", "d"]);
    let turns = [0, 1, 0, 2, 2, 1, 0, 0, 3, 1, 2, 0, 1];
    let mut lines: Vec<(i64, MangaId)> = vec![];
    for turn in turns {
        lines.insert(0, (fixture.update(change(&ann, series[turn])).unwrap().seq, series[turn]));
    }
    for limit in 1..=turns.len() as u32 + 1 {
        assert_eq!(fixture.history_in_pages(&ann, None, limit), lines, "{limit}");
        for &one in &series {
            let of_one: Vec<_> = lines.iter().copied().filter(|&(_, manga)| manga == one).collect();
            assert_eq!(fixture.history_in_pages(&ann, Some(one), limit), of_one, "{limit}");
        }
    }
    for (before, rest) in [(i64::MIN, 0), (0, 0), (i64::MAX, turns.len())] {
        assert_eq!(fixture.reader().history(&ann, None, Some(before), 99).unwrap().len(), rest, "{before}");
    }
}

/// Shows that however often progress is deleted and begun again, every line stays, in order, among
/// those of the other series.
fn history_outlives_progress_again_and_again(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let series = fixture.add_series(&["a", "b"]);
    let mut lines = vec![];
    for _ in 0..3 {
        for manga in [series[0], series[1], series[0]] {
            lines.insert(0, (fixture.update(change(&ann, manga)).unwrap().seq, manga));
        }
        let user = ann.clone();
        let gone = series[0];
        fixture.write(move |store| store.delete_progress(&user, gone)).unwrap();
        assert_eq!(fixture.history_in_pages(&ann, None, 2), lines);
    }
    let of_gone: Vec<_> = lines.iter().copied().filter(|&(_, manga)| manga == series[0]).collect();
    assert_eq!(fixture.history_in_pages(&ann, Some(series[0]), 2), of_gone);
    assert_eq!(fixture.reopened().history_in_pages(&ann, None, 100), lines);
}

/// Shows that lines of two users who take turns with the same series are never mixed.
fn history_shows_nobody_elses_rows(mut fixture: Fixture) {
    let users = [fixture.add_user("ann"), fixture.add_user("bob")];
    let silent = fixture.add_user("cat");
    let series = fixture.add_series(&["a", "b"]);
    let mut lines = [vec![], vec![]];
    for number in 0..12 {
        let (who, manga) = (number % 2, series[number / 3 % 2]);
        lines[who].insert(0, (fixture.update(change(&users[who], manga)).unwrap().seq, manga));
    }
    for (user, lines) in users.iter().zip(lines) {
        assert_eq!(fixture.history_in_pages(user, None, 2), lines);
    }
    assert_eq!(fixture.reader().history(&silent, None, None, 99), Ok(vec![]));
    assert_eq!(fixture.reader().history(&silent, Some(series[0]), Some(9), 99), Ok(vec![]));
}

/// Shows that work that was undone leaves no line, neither where it was nor among those that are
/// written next by others.
fn history_of_undone_work_is_not_there(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let bob = fixture.add_user("bob");
    let first = fixture.update(change(&ann, series)).unwrap().seq;
    let undone = change(&ann, series);
    let failed = fixture.write(move |store| {
        store.update_progress(&undone)?;
        store.delete_progress(&undone.user_id, series)?;
        store.update_progress(&undone)?;
        Err::<(), _>(StoreError::Busy)
    });
    assert_eq!(failed, Err(StoreError::Busy));
    let bobs = fixture.update(change(&bob, series)).unwrap().seq;
    let second = fixture.update(change(&ann, series)).unwrap().seq;
    assert_eq!(fixture.history_in_pages(&ann, None, 9), [(second, series), (first, series)]);
    assert_eq!(fixture.history_in_pages(&bob, None, 9), [(bobs, series)]);
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

// Lanes

/// Shows that each verb that writes is refused by a reader, and changes nothing.
fn readers_refuse_to_write(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    fixture.update(change(&ann, series)).unwrap();
    let refused = Err(StoreError::Unavailable);
    let reader = fixture.reader();
    assert_eq!(reader.create_user(&user("bob")), refused);
    assert_eq!(reader.set_password(&ann, "x", Voiding { was: 0, valid_from: 9 }), refused);
    assert_eq!(reader.set_valid_from(&ann, 9), refused);
    assert_eq!(reader.upsert_manga(&[facts("new")], 9), Err(StoreError::Unavailable));
    assert_eq!(reader.add_to_library(&change(&ann, series)), Err(StoreError::Unavailable));
    assert_eq!(reader.update_progress(&change(&ann, series)), Err(StoreError::Unavailable));
    assert_eq!(reader.delete_progress(&ann, series), refused);
    assert_eq!(reader.ping(), Ok(()));
    assert_eq!(reader.manga_after(0, 9).unwrap().len(), 1);
    assert_eq!(reader.history(&ann, None, None, 9).unwrap().len(), 1);
}

/// Shows that every reader sees a commit as soon as the writer has returned.
fn readers_see_what_is_committed(mut fixture: Fixture) {
    assert_eq!(fixture.store.readers.len(), READERS);
    for name in ["ann", "bob"] {
        fixture.add_user(name);
        for reader in &mut fixture.store.readers {
            assert_eq!(reader.user_by_login(name).unwrap().username, name);
        }
    }
}

/// Shows that the number stays while nobody writes, and changes when another opener commits.
fn data_version_changes_with_a_foreign_commit(mut fixture: Fixture) {
    let before = fixture.reader().data_version().unwrap();
    assert_eq!(fixture.reader().data_version(), Ok(before));
    let mut other = fixture.open_again();
    run(&mut *other.writer, vec![Task::new(|store| store.create_user(&user("ann")))]);
    assert_ne!(fixture.reader().data_version(), Ok(before));
}

/// Shows that in one group the failing jobs are undone, half-done work included, and the others kept.
fn a_failing_job_harms_no_other(mut fixture: Fixture) {
    let tasks = vec![
        Task::new(|store| store.create_user(&user("ann"))),
        Task::new(|store| {
            store.create_user(&user("half"))?;
            store.create_user(&user("ann"))
        }),
        Task::new(|store| store.create_user(&user("bob"))),
    ];
    let outcomes = run(&mut *fixture.store.writer, tasks);
    assert_eq!(outcomes, [Ok(()), Err(StoreError::Conflict), Ok(())]);
    assert_eq!(fixture.names(&["ann", "half", "bob"]), ["ann", "bob"]);
}

/// Shows that a panic undoes its own job, answers `Unavailable` for it, and the writer goes on.
fn a_panicking_job_harms_no_other(mut fixture: Fixture) {
    let tasks = vec![
        Task::new(|store| store.create_user(&user("ann"))),
        Task::new(|store| {
            store.create_user(&user("half"))?;
            std::panic::resume_unwind(Box::new("on purpose, and without a message"))
        }),
        Task::new(|store| store.create_user(&user("bob"))),
    ];
    let outcomes = run(&mut *fixture.store.writer, tasks);
    assert_eq!(outcomes, [Ok(()), Err(StoreError::Unavailable), Ok(())]);
    assert_eq!(fixture.names(&["ann", "half", "bob"]), ["ann", "bob"]);
    fixture.add_user("cat");
}

/// Shows that jobs of one group see each other's work in order, as if each had been committed.
fn a_job_sees_what_earlier_jobs_wrote(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let step = |number| {
        let step = ProgressChange { chapter: Chapter::whole(number), ..change(&ann, series) };
        let ann = ann.clone();
        Task::new(move |store| {
            let before = store.history(&ann, None, None, 100)?.len();
            assert_eq!(before as i64, number);
            store.update_progress(&step)
        })
    };
    let outcomes = run(&mut *fixture.store.writer, (0..5).map(step).collect());
    let seqs: Vec<i64> = outcomes.into_iter().map(|outcome| outcome.unwrap().seq).collect();
    assert!(seqs.is_sorted_by(|a, b| a < b));
}

/// Shows that what was answered is there after the store was closed and opened again, and that
/// history numbers go on.
fn reopening_shows_what_was_promised(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let stored = fixture.update(ProgressChange { chapter: Chapter::whole(9), ..change(&ann, series) }).unwrap();
    let mut fixture = fixture.reopened();
    assert_eq!(fixture.reader().progress(&ann, series), Ok(stored.progress));
    assert!(fixture.update(change(&ann, series)).unwrap().seq > stored.seq);
}

/// Shows that moving the log into the database changes nothing that is seen.
fn checkpoint_keeps_everything(mut fixture: Fixture) {
    fixture.add_user("ann");
    fixture.store.writer.checkpoint().unwrap();
    fixture.add_user("bob");
    assert_eq!(fixture.names(&["ann", "bob"]), ["ann", "bob"]);
    fixture.store.writer.checkpoint().unwrap();
    assert_eq!(fixture.reopened().names(&["ann", "bob"]), ["ann", "bob"]);
}

// Properties

/// What a job of a random group does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Succeeds,
    Fails,
    Panics,
}

/// Shows, with random groups of jobs that succeed, fail or panic half-way, that the store holds
/// exactly what the jobs that reported success wrote, and one history line for each.
fn groups_of_any_outcome_keep_exactly_what_succeeded(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let fate = prop_oneof![3 => Just(Fate::Succeeds), 1 => Just(Fate::Fails), 1 => Just(Fate::Panics)];
    let groups = prop::collection::vec(prop::collection::vec(fate, 1..20), 1..4);
    let mut succeeded = 0;
    let mut series_made = 0;
    check(32, groups, |groups| {
        for group in groups {
            let series = fixture.add_series(&[&format!("series-{series_made}")])[series_made];
            series_made += 1;
            let mut last = None;
            let tasks = (1..).zip(&group).map(|(chapter, &fate)| {
                let read = ProgressChange { chapter: Chapter::whole(chapter), ..change(&ann, series) };
                Task::new(move |store| {
                    let stored = store.update_progress(&read)?;
                    match fate {
                        Fate::Succeeds => Ok(stored.progress),
                        Fate::Fails => Err(StoreError::Busy),
                        Fate::Panics => std::panic::resume_unwind(Box::new(())),
                    }
                })
            });
            let outcomes = run(&mut *fixture.store.writer, tasks.collect());
            for (outcome, fate) in outcomes.into_iter().zip(&group) {
                match fate {
                    Fate::Succeeds => last = Some(outcome.clone().unwrap()),
                    Fate::Fails => prop_assert_eq!(outcome, Err(StoreError::Busy)),
                    Fate::Panics => prop_assert_eq!(outcome, Err(StoreError::Unavailable)),
                }
            }
            succeeded += group.iter().filter(|&&fate| fate == Fate::Succeeds).count();
            prop_assert_eq!(fixture.reader().progress(&ann, series), last.ok_or(StoreError::NotFound));
            prop_assert_eq!(fixture.reader().history(&ann, None, None, u32::MAX).unwrap().len(), succeeded);
        }
        Ok(())
    });
}

/// Shows, with random text around random text, that any part of a title finds it.
fn any_text_can_be_searched_for(mut fixture: Fixture) {
    check(64, (".{0,8}", ".{1,12}", ".{0,8}"), |(before, part, after)| {
        fixture.upsert(vec![MangaFacts { title: format!("{before}{part}{after}"), ..facts("any") }], 7);
        prop_assert_eq!(fixture.search(MangaQuery { title: Some(part), ..MangaQuery::default() }), ["any"]);
        Ok(())
    });
}

/// What a random reader does with a random series.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Updates,
    Deletes,
    FailsToUpdate,
}

/// Shows, with random deeds of three users and four series, that history is what plain lists of what
/// was stored would be, for each user, of each series and of all, in pages of random size.
fn history_is_what_a_list_would_be(mut fixture: Fixture) {
    let users = [fixture.add_user("ann"), fixture.add_user("bob"), fixture.add_user("cat")];
    let series = fixture.add_series(&["a", "b", "c", "d"]);
    let deed = prop_oneof![5 => Just(Deed::Updates), 1 => Just(Deed::Deletes), 1 => Just(Deed::FailsToUpdate)];
    let deeds = prop::collection::vec((0..users.len(), 0..series.len(), deed), 1..30);
    let mut lines: Vec<(UserId, (i64, MangaId))> = vec![];
    check(32, (deeds, 1_u32..12), |(deeds, limit)| {
        let tasks = deeds.iter().map(|&(who, what, deed)| {
            let change = change(&users[who], series[what]);
            Task::new(move |store| match deed {
                Deed::Updates => store.update_progress(&change).map(|stored| Some(stored.seq)),
                Deed::Deletes => store.delete_progress(&change.user_id, change.manga_id).map(|()| None),
                Deed::FailsToUpdate => store.update_progress(&change).and(Err(StoreError::Busy)),
            })
        });
        let outcomes = run(&mut *fixture.store.writer, tasks.collect());
        for (&(who, what, _), outcome) in deeds.iter().zip(outcomes) {
            if let Ok(Some(seq)) = outcome {
                lines.insert(0, (users[who].clone(), (seq, series[what])));
            }
        }
        for user in &users {
            let theirs = || lines.iter().filter(|(whose, _)| whose == user).map(|&(_, line)| line);
            prop_assert_eq!(fixture.history_in_pages(user, None, limit), theirs().collect::<Vec<_>>());
            for &one in &series {
                let of_one: Vec<_> = theirs().filter(|&(_, manga)| manga == one).collect();
                prop_assert_eq!(fixture.history_in_pages(user, Some(one), limit), of_one);
            }
        }
        Ok(())
    });
}

// What the cases stand on

/// A fresh store, and how to open it once more.
struct Fixture {
    store: OpenStore,
    reopen: Box<dyn Fn() -> OpenStore>,
}

impl Fixture {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let reopen = move || {
            let path = folder.path().join("hub.db");
            let url = format!("sqlite:{}", path.to_str().unwrap());
            open(&StoreOptions { url, readers: READERS, full_sync: false }).unwrap()
        };
        Self { store: reopen(), reopen: Box::new(reopen) }
    }

    fn open_again(&self) -> OpenStore {
        (self.reopen)()
    }

    /// The same store, closed and opened.
    fn reopened(self) -> Self {
        drop(self.store);
        Self { store: (self.reopen)(), reopen: self.reopen }
    }

    fn reader(&mut self) -> &mut dyn Store {
        &mut *self.store.readers[0]
    }

    /// Runs one job as a group of its own.
    fn write<T: Send>(
        &mut self,
        work: impl FnMut(&mut dyn Store) -> Result<T, StoreError> + Send,
    ) -> Result<T, StoreError> {
        run(&mut *self.store.writer, vec![Task::new(work)]).remove(0)
    }

    fn update(&mut self, change: ProgressChange) -> Result<Stored, StoreError> {
        self.write(move |store| store.update_progress(&change))
    }

    fn add(&mut self, change: ProgressChange, status: ReadingStatus) -> Result<Stored, StoreError> {
        let change = ProgressChange { status: Some(status), ..change };
        self.write(move |store| store.add_to_library(&change))
    }

    fn upsert(&mut self, facts: Vec<MangaFacts>, now: UnixMillis) -> usize {
        self.write(move |store| store.upsert_manga(&facts, now)).unwrap()
    }

    fn search(&mut self, query: MangaQuery) -> Vec<String> {
        let page = self.reader().search_manga(&query).unwrap();
        assert_eq!(page.total, page.items.len() as u64);
        page.items.into_iter().map(|manga| manga.facts.slug).collect()
    }

    fn add_user(&mut self, name: &'static str) -> UserId {
        self.write(move |store| store.create_user(&user(name))).unwrap();
        id(name)
    }

    /// Adds series and returns the keys of all there are, in the order they came.
    fn add_series(&mut self, slugs: &[&str]) -> Vec<MangaId> {
        self.upsert(slugs.iter().map(|slug| facts(slug)).collect(), 1);
        self.reader().manga_after(0, 1_000).unwrap().into_iter().map(|manga| manga.id).collect()
    }

    /// Number and series of every line of a user's history, read page by page.
    fn history_in_pages(&mut self, user: &UserId, manga: Option<MangaId>, limit: u32) -> Vec<(i64, MangaId)> {
        let mut lines: Vec<(i64, MangaId)> = vec![];
        loop {
            let before = lines.last().map(|&(seq, _)| seq);
            let page = self.reader().history(user, manga, before, limit).unwrap();
            assert!(page.len() <= limit as usize);
            lines.extend(page.iter().map(|line| (line.seq, line.manga_id)));
            if page.is_empty() {
                return lines;
            }
        }
    }

    /// One user and one series.
    fn pair(&mut self) -> (UserId, MangaId) {
        (self.add_user("ann"), self.add_series(&["one"])[0])
    }

    /// Which of these users there are.
    fn names(&mut self, names: &[&str]) -> Vec<String> {
        names.iter().filter_map(|name| self.reader().user_by_login(name).ok()).map(|user| user.username).collect()
    }
}

/// What a job does, from a closure.
type Work<'a, T> = Box<dyn FnMut(&mut dyn Store) -> Result<T, StoreError> + Send + 'a>;

/// A job that keeps its outcome.
struct Task<'a, T> {
    work: Work<'a, T>,
    outcome: Option<Result<T, StoreError>>,
}

impl<'a, T> Task<'a, T> {
    fn new(work: impl FnMut(&mut dyn Store) -> Result<T, StoreError> + Send + 'a) -> Self {
        Self { work: Box::new(work), outcome: None }
    }
}

impl<T: Send> Job for Task<'_, T> {
    fn run(&mut self, store: &mut dyn Store) -> bool {
        self.outcome.insert((self.work)(store)).is_ok()
    }

    fn void(&mut self, error: StoreError) {
        self.outcome = Some(Err(error));
    }
}

/// Runs tasks as one group and returns what each says afterwards.
fn run<T: Send>(writer: &mut dyn Writer, mut tasks: Vec<Task<'_, T>>) -> Vec<Result<T, StoreError>> {
    let mut group: Vec<&mut dyn Job> = tasks.iter_mut().map(|task| task as &mut dyn Job).collect();
    writer.run(&mut group);
    tasks.into_iter().map(|task| task.outcome.expect("every job has its result")).collect()
}

/// Runs a property a bounded number of times.
fn check<S: Strategy>(cases: u32, values: S, test: impl FnMut(S::Value) -> Result<(), TestCaseError>) {
    let test = std::cell::RefCell::new(test);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = proptest::test_runner::TestRunner::new(config).run(&values, |value| (test.borrow_mut())(value));
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

fn id(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn user(name: &str) -> User {
    User {
        id: id(name),
        username: name.to_owned(),
        email: format!("{name}@example.org"),
        password_hash: "hash".to_owned(),
        role: Role::Admin,
        valid_from: 0,
        created_at: 1_700_000_000_000,
    }
}

/// A series of which only the slug is known.
fn facts(slug: &str) -> MangaFacts {
    serde_json::from_value(serde_json::json!({ "slug": slug, "title": slug, "status": "ongoing" })).unwrap()
}

/// A series of which everything is known.
fn full_facts() -> MangaFacts {
    MangaFacts {
        slug: "attack-on-titan".into(),
        title: "Attack on Titan".into(),
        title_english: Some("Attack on Titan".into()),
        title_romanised: Some("Shingeki no Kyojin".into()),
        title_native: Some("進撃の巨人".into()),
        alternative_titles: vec!["AoT".into(), "Ataque a los \"titanes\", [1]".into()],
        author: Some("Isayama Hajime".into()),
        artist: Some("An Artist".into()),
        genres: vec!["action".into(), "horror".into()],
        demographic: Some(Demographic::Shounen),
        status: Publication::Completed,
        year: Some(2009),
        chapters_total: Chapter::from_f64(139.5),
        volumes_total: Some(34),
        latest_chapter: Chapter::whole(139),
        description: "Walls.".into(),
        cover_url: Some("https://example.org/cover.jpg".into()),
    }
}

/// A change of nothing.
fn change(user: &UserId, manga: MangaId) -> ProgressChange {
    ProgressChange {
        user_id: user.clone(),
        manga_id: manga,
        chapter: None,
        status: None,
        volume: None,
        page: None,
        rating: None,
        private: None,
        note: None,
        device: None,
        read_at: None,
        received_at: 1,
        needs: Needs::Nothing,
        behind: Behind::Store,
    }
}

/// Readers of each store: more than one, so that a case can show that all of them see a commit.
const READERS: usize = 2;

/// Text that means something to SQL, to patterns or to terminals, and must mean nothing here. None
/// is a part of another once it stands between angle brackets.
const HOSTILE: &[&str] = &[
    "'; DROP TABLE users; --",
    "' OR '1'='1",
    "\" OR \"\"=\"",
    "') UNION SELECT password_hash FROM users --",
    "%",
    "_",
    "%%%",
    "[a-z]*?",
    "\\",
    "\\%",
    "?1",
    ":name",
    "$1",
    "/* */",
    "שלום עולם",
    "\u{202e}evil\u{202c}",
    "👩‍👩‍👧‍👦🏴‍☠️",
    "e\u{301}",
    "ﷺ",
    "ｆｕｌｌ",
    "\u{feff}",
    "{\"json\": [1]}",
];
