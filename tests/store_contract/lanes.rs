//! Readers beside the writer, jobs beside jobs in a group, and what is there after reopening.

use super::*;

contract!(
    readers_refuse_to_write,
    readers_see_what_is_committed,
    data_version_changes_with_a_foreign_commit,
    a_failing_job_harms_no_other,
    a_panicking_job_harms_no_other,
    a_job_sees_what_earlier_jobs_wrote,
    reopening_shows_what_was_promised,
    checkpoint_keeps_everything,
    groups_of_any_outcome_keep_exactly_what_succeeded,
);

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
