//! Series as they come in, and as one part of a title finds them.

use super::*;

contract!(
    catalogue_keeps_every_fact,
    catalogue_is_idempotent,
    catalogue_comes_in_slices,
    catalogue_takes_so_much_at_once,
    search_finds_any_title,
    search_parts_must_all_match,
    search_ignores_case_everywhere,
    search_takes_everything_literally,
    search_pages,
    any_text_can_be_searched_for,
);

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

/// Shows, with random text around random text, that any part of a title finds it.
fn any_text_can_be_searched_for(mut fixture: Fixture) {
    check(64, (".{0,8}", ".{1,12}", ".{0,8}"), |(before, part, after)| {
        fixture.upsert(vec![MangaFacts { title: format!("{before}{part}{after}"), ..facts("any") }], 7);
        prop_assert_eq!(fixture.search(MangaQuery { title: Some(part), ..MangaQuery::default() }), ["any"]);
        Ok(())
    });
}
