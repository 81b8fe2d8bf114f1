//! The catalogue as its search finds it and as administrators change it.

use super::*;

contract!(
    words_find_series,
    words_are_taken_literally,
    any_part_finds_its_title,
    lists_have_orders,
    genres_are_joined_by_and,
    administrators_change_facts,
    deleting_leaves_histories,
    the_file_yields_to_administrators,
    lists_follow_every_change,
);

/// The slugs that words find.
fn find(fixture: &mut Fixture, words: &str, in_description: bool) -> Vec<String> {
    fixture.search(MangaQuery { words: Some(words.into()), in_description, ..MangaQuery::default() })
}

fn titled(slug: &str, title: &str) -> MangaFacts {
    MangaFacts { title: title.into(), ..facts(slug) }
}

/// Shows that every word must match a title, a name or the slug, and the description where that is asked
/// for; that accents and case don't count; and that words of one and two characters work like others.
fn words_find_series(mut fixture: Fixture) {
    let cafe = MangaFacts {
        title_native: Some("珈琲 の店".into()),
        author: Some("Ōtomo Éric".into()),
        description: "A *quiet* place".into(),
        ..titled("cafe-au-lait", "Café au Lait")
    };
    fixture.upsert(vec![cafe, facts("other")], 7);
    for words in
        ["cafe", "CAFÉ lait", "lai caf", "otomo", "eric Lait", "au-lait", "珈琲", "珈", "a", "au é", "の t", ""]
    {
        assert!(find(&mut fixture, words, false).contains(&"cafe-au-lait".to_owned()), "{words}");
    }
    for words in ["cafe quiet", "quiet", "x", "xy cafe", "珈琲店", "cafe zz"] {
        assert_eq!(find(&mut fixture, words, false), [""; 0], "{words}");
    }
    assert_eq!(find(&mut fixture, "quiet CAFE *", true), ["cafe-au-lait"]);
    let too_many: Vec<String> = (100..133).map(|number| number.to_string()).collect();
    assert_eq!(find(&mut fixture, &too_many.join(" "), true), [""; 0]);
}

/// Shows that nothing in the words is a part of the index's own language.
fn words_are_taken_literally(mut fixture: Fixture) {
    fixture.upsert(vec![facts("plain")], 7);
    for hostile in HOSTILE.iter().chain(SYNTAX) {
        for in_description in [false, true] {
            assert!(find(&mut fixture, &format!("{hostile} zzz"), in_description).is_empty(), "{hostile}");
        }
        let query = MangaQuery { genres: vec![(*hostile).into()], ..MangaQuery::default() };
        assert_eq!(fixture.search(query), [""; 0], "{hostile}");
    }
    let odd: Vec<MangaFacts> =
        SYNTAX.iter().zip(0..).map(|(text, number)| titled(&format!("s{number}"), &format!("<{text}>"))).collect();
    fixture.upsert(odd, 7);
    for (text, number) in SYNTAX.iter().zip(0..) {
        let query = MangaQuery { title: Some(format!("<{text}>")), ..MangaQuery::default() };
        assert_eq!(fixture.search(query), [format!("s{number}")], "{text}");
    }
}

/// What FTS5 would understand, were it not in quotes.
const SYNTAX: &[&str] = &[
    "a NEAR b",
    "NEAR(a b, 2)",
    "titles:x",
    "{titles slug} : x",
    "pre*",
    "^x",
    "x AND",
    "NOT y",
    "(",
    "+",
    "\"\"",
    "-q",
];

/// Shows, with random titles and random cuts of them, that a part finds its title whatever its length.
fn any_part_finds_its_title(mut fixture: Fixture) {
    let text = prop_oneof![".{1,6}", "[a-zàéōñ ]{1,12}", "[あ-ん一-十ガ-ボ]{1,6}"];
    check(64, (text, any::<prop::sample::Index>(), 1_usize..5), |(title, place, length)| {
        fixture.upsert(vec![titled("any", &title)], 7);
        let characters: Vec<char> = title.chars().collect();
        let part: String = characters[place.index(characters.len())..].iter().take(length).collect();
        prop_assert_eq!(fixture.search(MangaQuery { title: Some(part), ..MangaQuery::default() }), ["any"]);
        Ok(())
    });
}

/// Shows the orders of a list, and that what is equal in one stands by title.
fn lists_have_orders(mut fixture: Fixture) {
    let (ann, bob) = (fixture.add_user("ann"), fixture.add_user("bob"));
    for (slug, now) in [("b", 1), ("d", 2), ("a", 3), ("c", 3)] {
        fixture.upsert(vec![facts(slug)], now);
    }
    let series = |fixture: &mut Fixture, slug: &str| {
        fixture.reader().manga_after(0, 9).unwrap().into_iter().find(|manga| manga.facts.slug == slug).unwrap().id
    };
    let (b, c, d) = (series(&mut fixture, "b"), series(&mut fixture, "c"), series(&mut fixture, "d"));
    for (user, id, rating) in [(&ann, b, Some(9)), (&bob, b, Some(6)), (&ann, d, None), (&ann, c, Some(8))] {
        fixture.update(ProgressChange { rating, ..change(user, id) }).unwrap();
    }
    let sorted = |sort| MangaQuery { sort, ..MangaQuery::default() };
    assert_eq!(fixture.search(sorted(MangaSort::Title)), ["a", "b", "c", "d"]);
    assert_eq!(fixture.search(sorted(MangaSort::Recent)), ["c", "a", "d", "b"]);
    assert_eq!(fixture.search(sorted(MangaSort::Popularity)), ["b", "c", "d", "a"]);
    assert_eq!(fixture.search(sorted(MangaSort::Rating)), ["c", "b", "a", "d"]);
    let rated = |hundredths| MangaQuery { rating_min_hundredths: Some(hundredths), ..MangaQuery::default() };
    assert_eq!(fixture.search(rated(750)), ["b", "c"]);
    assert_eq!(fixture.search(rated(751)), ["c"]);
    let page = MangaQuery { window: Window { limit: Some(2), offset: 1 }, ..sorted(MangaSort::Popularity) };
    let page = fixture.reader().search_manga(&page).unwrap();
    assert_eq!((page.items[0].id, page.items.len(), page.total), (c, 2, 4));
    let standing = Standing { readers: 2, rating_sum: 15, rating_count: 2 };
    assert_eq!(fixture.reader().manga(b).unwrap().standing, standing);
}

/// Shows that a series must have all genres that are asked for, by name or by key.
fn genres_are_joined_by_and(mut fixture: Fixture) {
    let of = |slug: &str, genres: &[&str]| MangaFacts {
        genres: genres.iter().map(|name| (*name).into()).collect(),
        ..facts(slug)
    };
    fixture.upsert(vec![of("both", &["Action", "Drama"]), of("one", &["action"])], 7);
    let drama = fixture.write(|store| store.create_genre("DRAMA")).unwrap_err();
    assert_eq!(drama, StoreError::Conflict);
    let made = fixture.write(|store| store.create_genre("Über")).unwrap();
    assert_eq!(made.name, "über");
    let all = fixture.reader().genres().unwrap();
    assert_eq!(all.iter().map(|genre| genre.name.as_str()).collect::<Vec<_>>(), ["action", "drama", "über"]);
    let mut with = |genres: &[&str]| {
        let genres = genres.iter().map(|name| (*name).into()).collect();
        fixture.search(MangaQuery { genres, ..MangaQuery::default() })
    };
    assert_eq!(with(&["action"]), ["both", "one"]);
    assert_eq!(with(&["ACTION", &all[1].id.to_string()]), ["both"]);
    assert_eq!(with(&["uber"]), [""; 0]);
    assert_eq!(with(&["acti"]), [""; 0]);
    assert_eq!(with(&["999"]), [""; 0]);
}

/// Shows that a change by an administrator is searched at once, that a slug is taken once, and that what
/// differs is kept as events: a new chapter apart from other facts, and nothing when nothing differs.
fn administrators_change_facts(mut fixture: Fixture) {
    fixture.upsert(vec![facts("loaded")], 1);
    assert_eq!(fixture.reader().manga_events(0, 9).unwrap(), [], "the file tells nobody");
    let made = fixture.write(|store| store.create_manga(&full_facts(), 5)).unwrap();
    assert_eq!((&made.facts, made.created_at), (&full_facts(), 5));
    assert_eq!(fixture.write(|store| store.create_manga(&facts("loaded"), 5)), Err(StoreError::Conflict));

    let facts =
        [Fact::Title("Wäll".into()), Fact::LatestChapter(Chapter::whole(140)), Fact::Genres(vec!["Sport".into()])];
    let changed = fixture.write(|store| store.change_manga(made.id, &facts, 6)).unwrap();
    assert_eq!((changed.facts.title.as_str(), changed.updated_at, changed.created_at), ("Wäll", 6, 5));
    assert_eq!(fixture.write(|store| store.change_manga(made.id, &facts, 7)).unwrap(), changed);
    assert_eq!(find(&mut fixture, "wall", false), ["attack-on-titan"]);
    assert_eq!(find(&mut fixture, "shingeki wall", false), ["attack-on-titan"]);
    let taken = fixture.write(|store| store.change_manga(made.id, &[Fact::Slug("loaded".into())], 8));
    assert_eq!(taken, Err(StoreError::Conflict));
    assert_eq!(fixture.write(|store| store.change_manga(404, &facts, 8)), Err(StoreError::NotFound));
    assert_eq!(find(&mut fixture, "wall", false), ["attack-on-titan"], "a change that failed is undone");

    let events = fixture.reader().manga_events(0, 9).unwrap();
    let kinds: Vec<_> = events.iter().map(|event| (event.kind, event.created_at, event.changes.len())).collect();
    let (new, chapter, update) = (MangaEventKind::NewManga, MangaEventKind::NewChapter, MangaEventKind::MangaUpdate);
    assert_eq!(kinds[1..], [(chapter, 6, 1), (update, 6, 2)]);
    assert_eq!((kinds[0].0, kinds[0].1), (new, 5));
    let title = FieldChange { field: "title".into(), old_value: "Attack on Titan".into(), new_value: "Wäll".into() };
    assert!(events[2].changes.contains(&title), "{events:?}");
    assert_eq!(fixture.reader().manga_events(events[1].seq, 1).unwrap(), events[2..]);
}

/// Shows that a deleted series is nowhere any more and its slug is free, that readers' history stays
/// and nobody reads on, and that deleting it again changes nothing.
fn deleting_leaves_histories(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    fixture.add(change(&ann, series), ReadingStatus::Reading).unwrap();
    for _ in 0..2 {
        fixture.write(|store| store.delete_manga(series, 9)).unwrap();
    }
    fixture.write(|store| store.delete_manga(404, 9)).unwrap();
    assert_eq!(fixture.reader().manga(series), Err(StoreError::NotFound));
    assert_eq!(fixture.reader().manga_after(0, 9), Ok(vec![]));
    assert_eq!(fixture.search(MangaQuery::default()), [""; 0]);
    assert_eq!(find(&mut fixture, "one", false), [""; 0]);
    assert_eq!(find(&mut fixture, "on", false), [""; 0]);
    assert_eq!(fixture.reader().library(&ann, None, Window::default()).unwrap(), Page { items: vec![], total: 0 });
    assert_eq!(fixture.reader().history(&ann, None, None, 9).unwrap().len(), 1);
    assert_eq!(fixture.update(change(&ann, series)), Err(StoreError::NotFound));
    assert_eq!(fixture.write(|store| store.change_manga(series, &[], 9)), Err(StoreError::NotFound));
    let again = fixture.write(|store| store.create_manga(&facts("one"), 9)).unwrap();
    assert_ne!(again.id, series);
    assert_eq!(find(&mut fixture, "one", false), ["one"]);
}

/// Shows that the catalogue file, loaded again, takes back nothing that an administrator did, even where
/// its own entry has changed meanwhile.
fn the_file_yields_to_administrators(mut fixture: Fixture) {
    let ids = fixture.add_series(&["changed", "renamed", "deleted", "untouched"]);
    fixture.write(|store| store.change_manga(ids[0], &[Fact::Title("Mine".into())], 2)).unwrap();
    fixture.write(|store| store.change_manga(ids[1], &[Fact::Slug("new-name".into())], 2)).unwrap();
    fixture.write(|store| store.delete_manga(ids[2], 2)).unwrap();
    fixture.write(|store| store.create_manga(&titled("made", "Made"), 2)).unwrap();
    let file = ["changed", "renamed", "deleted", "untouched", "made"].map(|slug| titled(slug, "From the file"));
    let mut fixture = fixture.reopened();
    assert_eq!(fixture.upsert(file.to_vec(), 3), 1);
    let series = fixture.reader().manga_after(0, 9).unwrap();
    let titles: Vec<_> = series.iter().map(|manga| (manga.facts.slug.as_str(), manga.facts.title.as_str())).collect();
    assert_eq!(
        titles,
        [("changed", "Mine"), ("new-name", "renamed"), ("untouched", "From the file"), ("made", "Made")]
    );
}

/// Shows that one call indexes so much and no more, that what is up to date is left out, and that another
/// reader's lists follow every change.
fn lists_follow_every_change(mut fixture: Fixture) {
    fixture.upsert(vec![titled("a", "Alpha"), titled("b", "Beta")], 1);
    assert_eq!(fixture.write(|store| store.index_manga(0)), Ok(None), "what is written is indexed");
    let list = |fixture: &mut Fixture| -> Vec<String> {
        let page = fixture.store.readers[1].search_manga(&MangaQuery::default()).unwrap();
        page.items.into_iter().map(|manga| manga.facts.title).collect()
    };
    assert_eq!(list(&mut fixture), ["Alpha", "Beta"]);
    let id = fixture.reader().manga_after(0, 1).unwrap()[0].id;
    fixture.write(|store| store.change_manga(id, &[Fact::Title("Zeta".into())], 2)).unwrap();
    assert_eq!(list(&mut fixture), ["Beta", "Zeta"]);
    let failed = fixture.write(|store| {
        store.create_manga(&titled("c", "Gamma"), 3)?;
        assert_eq!(store.search_manga(&MangaQuery::default()).unwrap().total, 3);
        Err::<(), _>(StoreError::Busy)
    });
    assert_eq!(failed, Err(StoreError::Busy));
    fixture.write(|store| store.create_manga(&titled("d", "Delta"), 3)).unwrap();
    let seen = fixture.write(|store| store.search_manga(&MangaQuery::default())).unwrap();
    assert_eq!(seen.items.iter().map(|manga| manga.facts.slug.as_str()).collect::<Vec<_>>(), ["b", "d", "a"]);
    assert_eq!(list(&mut fixture), ["Beta", "Delta", "Zeta"]);
}
