//! The first catalogue, `data/manga.json`, as the server will read it on its first start.
//!
//! What can be wrong without the parser minding is checked here; wording, vocabulary and facts are
//! the business of `scripts/check-catalogue`.

use std::collections::HashSet;

use mangahub::store::model::{Demographic, MangaFacts, Publication};

/// The file parses as the store's own type, unknown keys refused, and is worth browsing.
#[test]
fn it_parses_and_is_large_enough() {
    let series = catalogue();
    assert!(series.len() >= SERIES_MIN, "only {} series", series.len());
}

/// Whoever browses finds something: no demographic is an afterthought.
#[test]
fn each_demographic_has_its_share() {
    let series = catalogue();
    for demographic in [Demographic::Shounen, Demographic::Shoujo, Demographic::Seinen, Demographic::Josei] {
        let count = series.iter().filter(|series| series.demographic == Some(demographic)).count();
        assert!(count >= DEMOGRAPHIC_MIN, "only {count} {}", demographic.as_str());
    }
}

/// Slugs are public ids: unique, and made of what an address can carry unescaped.
#[test]
fn slugs_are_unique_and_plain() {
    let mut seen = HashSet::new();
    for MangaFacts { slug, .. } in catalogue() {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        assert!(!slug.is_empty() && slug.bytes().all(plain), "{slug:?} is no slug");
        assert!(seen.insert(slug.clone()), "{slug} is there twice");
    }
}

/// Progress is checked against a series' end, so one that has ended says where and when it began.
#[test]
fn completed_series_have_totals_and_years() {
    for series in catalogue().into_iter().filter(|series| series.status == Publication::Completed) {
        assert!(series.chapters_total.is_some(), "{} has no chapters_total", series.slug);
        assert!(series.year.is_some(), "{} has no year", series.slug);
        assert_eq!(series.latest_chapter, series.chapters_total, "{}", series.slug);
    }
}

/// Whoever opens a series finds a sentence about it, and genres that a filter in lower case matches.
#[test]
fn every_series_is_described_and_sorted_into_genres() {
    for series in catalogue() {
        assert!(!series.description.trim().is_empty(), "{} has no description", series.slug);
        assert!(!series.genres.is_empty(), "{} has no genre", series.slug);
        for genre in &series.genres {
            assert_eq!(*genre, genre.to_lowercase(), "{} of {}", genre, series.slug);
        }
    }
}

fn catalogue() -> Vec<MangaFacts> {
    serde_json::from_str(include_str!("../data/manga.json")).expect("data/manga.json is an array of MangaFacts")
}

/// The file has more, and isn't meant to shrink; a few entries can still go when one proves to be wrong.
const SERIES_MIN: usize = 250;

/// Of shounen, shoujo, seinen and josei each.
const DEMOGRAPHIC_MIN: usize = 30;
