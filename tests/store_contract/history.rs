//! History: its order, its pages, and what becomes of it when progress is deleted or work undone.

use super::*;

contract!(
    history_is_in_order_and_paged,
    history_of_many_series_is_paged_by_any_step,
    history_outlives_progress_again_and_again,
    history_shows_nobody_elses_rows,
    history_of_undone_work_is_not_there,
    history_is_what_a_list_would_be,
);

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
