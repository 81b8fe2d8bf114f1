//! What recommendations are made of: tastes, and what most people read.

use super::*;

contract!(tastes_come_in_slices_without_what_is_private, a_readers_own_tastes_are_whole, popular_is_what_others_read,);

fn taste(manga_id: MangaId, status: Option<ReadingStatus>, rating: Option<i32>, updated_at: UnixMillis) -> Taste {
    Taste { manga_id, status, rating, updated_at }
}

/// Shows that slices of any size make up everyone's open progress, in one order, and end.
fn tastes_come_in_slices_without_what_is_private(mut fixture: Fixture) {
    let users = ["bob", "ann", "cay"].map(|name| fixture.add_user(name));
    let series = fixture.add_series(&["a", "b", "c"]);
    let mut expected = vec![];
    for (number, (who, &manga)) in users.iter().flat_map(|who| series.iter().map(move |manga| (who, manga))).enumerate()
    {
        let private = number % 4 == 2;
        let rating = (number % 2 == 0).then_some(number as i32 + 1);
        fixture.update(ProgressChange { private: Some(private), rating, ..change(who, manga) }).unwrap();
        if !private {
            expected.push((who.clone(), taste(manga, Some(ReadingStatus::Reading), rating, 1)));
        }
    }
    expected.sort_by_key(|(who, taste)| (who.clone(), taste.manga_id));
    for limit in [1, 2, 3, 9, 10] {
        let (mut seen, mut after, mut slices) = (vec![], None, 0);
        loop {
            let slice = fixture.reader().tastes_after(after.as_ref(), limit).unwrap();
            assert!(slice.tastes.len() <= limit as usize);
            seen.extend(slice.tastes);
            slices += 1;
            after = slice.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected, "{limit}");
        assert_eq!(slices, 9 / limit + 1, "private rows count for a slice's length");
    }
}

/// Shows that a reader's own tastes have what is private and what was dropped.
fn a_readers_own_tastes_are_whole(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let series = fixture.add_series(&["a", "b", "c"]);
    assert_eq!(fixture.reader().tastes_of(&ann), Ok(vec![]));
    assert_eq!(fixture.reader().tastes_of(&id("nobody")), Err(StoreError::NotFound));
    fixture.update(ProgressChange { private: Some(true), rating: Some(8), ..change(&ann, series[1]) }).unwrap();
    let dropped = ProgressChange { status: Some(ReadingStatus::Dropped), received_at: 5, ..change(&ann, series[0]) };
    fixture.update(dropped).unwrap();
    fixture.update(ProgressChange { rating: Some(3), ..change(&ann, series[2]) }).unwrap();
    let who = ann.clone();
    fixture.write(|store| store.delete_progress(&who, series[2])).unwrap();
    let expected = [
        taste(series[0], Some(ReadingStatus::Dropped), None, 5),
        taste(series[1], Some(ReadingStatus::Reading), Some(8), 1),
        taste(series[2], None, Some(3), 1),
    ];
    assert_eq!(fixture.reader().tastes_of(&ann).unwrap(), expected);
}

/// Shows the order: readers, then the rating, then the key; of a genre or of all; without what the
/// reader knows.
fn popular_is_what_others_read(mut fixture: Fixture) {
    let [ann, bob, cay] = ["ann", "bob", "cay"].map(|name| fixture.add_user(name));
    let of = |slug: &str, genre: &str| MangaFacts { genres: vec![genre.into()], ..facts(slug) };
    fixture.upsert(vec![of("a", "x"), of("b", "x"), of("c", "y"), of("d", "x"), of("e", "x")], 1);
    let [a, b, c, d, e] = fixture.add_series(&[])[..] else { unreachable!() };
    for (who, manga, rating) in [(&bob, b, None), (&bob, c, None), (&cay, c, None), (&cay, d, Some(9)), (&ann, e, None)]
    {
        fixture.update(ProgressChange { rating, ..change(who, manga) }).unwrap();
    }
    let popular =
        |fixture: &mut Fixture, who: &UserId, genre, limit| fixture.reader().popular(who, genre, limit).unwrap();
    assert_eq!(popular(&mut fixture, &ann, None, 9), [c, d, b, a]);
    assert_eq!(popular(&mut fixture, &ann, Some("x"), 9), [d, b, a]);
    assert_eq!(popular(&mut fixture, &ann, Some("x"), 1), [d]);
    assert_eq!(popular(&mut fixture, &cay, None, 9), [b, e, a]);
    for hostile in HOSTILE {
        assert_eq!(popular(&mut fixture, &ann, Some(hostile), 9), [0; 0], "{hostile}");
    }
}
