//! The members that describe a series, as administrators of both families send them.
//!
//! The families name few facts differently, so one reader takes all their names. What is not there stays
//! as it is; `null`, or an empty text, clears a fact that need not be known.

use super::json::Object;
use super::v1::read::parse_word;
use crate::handlers::api::ApiError;
use crate::handlers::curation::Draft;
use crate::store::model::{Chapter, Demographic, Fact, Publication};

/// Makes a fact of a value, or of its absence.
type Make<T> = fn(Option<T>) -> Fact;

/// The facts in a body.
pub(super) fn read_draft(body: &Object<'_>) -> Result<Draft, ApiError> {
    let mut facts = Vec::new();
    read_names(body, &mut facts)?;
    read_words(body, &mut facts)?;
    read_numbers(body, &mut facts)?;
    if let Some(names) = texts(body, "genres", GENRES_MAX, GENRE_CHARACTERS_MAX)? {
        facts.push(Fact::Genres(names));
    }
    Ok(Draft { facts, genre_ids: body.list("genre_ids", "whole numbers", GENRES_MAX)? })
}

/// The name of a genre.
pub(super) fn read_genre(body: &Object<'_>) -> Result<String, ApiError> {
    let name = line(body, "name", GENRE_CHARACTERS_MAX)?.flatten();
    name.ok_or_else(|| ApiError::invalid("name: required"))
}

fn read_names(body: &Object<'_>, facts: &mut Vec<Fact>) -> Result<(), ApiError> {
    if let Some(slug) = body.text("slug")?.filter(|slug| !slug.is_empty()) {
        facts.push(Fact::Slug(check_slug(&slug)?));
    }
    if let Some(title) = line(body, "title", NAME_CHARACTERS_MAX)? {
        facts.push(Fact::Title(title.ok_or_else(|| ApiError::invalid("title: required"))?));
    }
    let names: [(&str, Make<String>); 5] = [
        ("title_english", Fact::TitleEnglish),
        ("title_romanised", Fact::TitleRomanised),
        ("title_native", Fact::TitleNative),
        ("author", Fact::Author),
        ("artist", Fact::Artist),
    ];
    for (name, fact) in names {
        facts.extend(line(body, name, NAME_CHARACTERS_MAX)?.map(fact));
    }
    facts.extend(texts(body, "alternative_titles", TITLES_MAX, NAME_CHARACTERS_MAX)?.map(Fact::AlternativeTitles));
    Ok(())
}

fn read_words(body: &Object<'_>, facts: &mut Vec<Fact>) -> Result<(), ApiError> {
    if let Some(word) = body.text("status")?.filter(|word| !word.is_empty()) {
        facts.push(Fact::Status(parse_word(&word, "status", Publication::parse, Publication::WORDS)?));
    }
    if let Some(word) = line(body, "demographic", NAME_CHARACTERS_MAX)? {
        let parse = |word: String| parse_word(&word, "demographic", Demographic::parse, Demographic::WORDS);
        facts.push(Fact::Demographic(word.map(parse).transpose()?));
    }
    if let Some(text) = body.short_text("description", DESCRIPTION_CHARACTERS_MAX)? {
        if text.chars().any(|char| char.is_control() && char != '\n' && char != '\t') {
            return Err(no_controls("description"));
        }
        facts.push(Fact::Description(text.trim().to_owned()));
    } else if body.is_null("description") {
        facts.push(Fact::Description(String::new()));
    }
    for name in ["cover_url", "cover_image_url"] {
        if let Some(url) = line(body, name, URL_CHARACTERS_MAX)? {
            facts.push(Fact::CoverUrl(url.map(|url| check_url(name, url)).transpose()?));
        }
    }
    Ok(())
}

fn read_numbers(body: &Object<'_>, facts: &mut Vec<Fact>) -> Result<(), ApiError> {
    let numbers: [(&str, i64, i64, Make<i32>); 2] =
        [("year", YEAR_MIN, YEAR_MAX, Fact::Year), ("volumes_total", 0, VOLUMES_MAX, Fact::VolumesTotal)];
    for (name, min, max, fact) in numbers {
        let number = body.integer(name, min, max)?.map(|number| number as i32);
        if number.is_some() || body.is_null(name) {
            facts.push(fact(number));
        }
    }
    // One number for both comes first: the exact ones win.
    let chapters: [(&str, Make<Chapter>); 3] = [
        ("total_chapters", |chapter| Fact::ChaptersSoFar(chapter.filter(|chapter| *chapter > Chapter::default()))),
        ("chapters_total", Fact::ChaptersTotal),
        ("latest_chapter", Fact::LatestChapter),
    ];
    for (name, fact) in chapters {
        let chapter = body.chapter(name)?;
        if chapter.is_some() || body.is_null(name) {
            facts.push(fact(chapter));
        }
    }
    Ok(())
}

/// A text of one line: `None` when it isn't there, `Some(None)` when it clears.
fn line(body: &Object<'_>, name: &str, characters_max: usize) -> Result<Option<Option<String>>, ApiError> {
    let Some(text) = body.short_text(name, characters_max)? else { return Ok(body.is_null(name).then_some(None)) };
    let text = check_line(name, &text)?;
    Ok(Some(Some(text).filter(|text| !text.is_empty())))
}

fn texts(body: &Object<'_>, name: &str, most: usize, characters_max: usize) -> Result<Option<Vec<String>>, ApiError> {
    let Some(list) = body.list::<String>(name, "strings", most)? else {
        return Ok(body.is_null(name).then(Vec::new));
    };
    let mut texts = Vec::with_capacity(list.len());
    for text in list {
        if text.chars().count() > characters_max {
            return Err(ApiError::invalid(format!("{name}: at most {characters_max} characters each")));
        }
        texts.extend(Some(check_line(name, &text)?).filter(|text| !text.is_empty()));
    }
    Ok(Some(texts))
}

fn check_line(name: &str, text: &str) -> Result<String, ApiError> {
    match text.chars().any(char::is_control) {
        true => Err(no_controls(name)),
        false => Ok(text.trim().to_owned()),
    }
}

fn no_controls(name: &str) -> ApiError {
    ApiError::invalid(format!("{name}: control characters are not allowed"))
}

fn check_slug(slug: &str) -> Result<String, ApiError> {
    let plain = slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    match plain && slug.len() <= SLUG_BYTES_MAX {
        true => Ok(slug.to_owned()),
        false => Err(ApiError::invalid(format!(
            "slug: expected lower case letters, digits and hyphens, at most {SLUG_BYTES_MAX}"
        ))),
    }
}

/// A page that shows a cover puts the address into a link, so that only addresses of the web will do.
fn check_url(name: &str, url: String) -> Result<String, ApiError> {
    let web = url.starts_with("https://") || url.starts_with("http://");
    match web && !url.contains(|char: char| char.is_whitespace() || matches!(char, '"' | '<' | '>')) {
        true => Ok(url),
        false => Err(ApiError::invalid(format!("{name}: expected an address that begins with http:// or https://"))),
    }
}

/// The longest titles of light novels have some 150.
const NAME_CHARACTERS_MAX: usize = 300;
const SLUG_BYTES_MAX: usize = 200;
/// A page of text.
const DESCRIPTION_CHARACTERS_MAX: usize = 10_000;
const URL_CHARACTERS_MAX: usize = 2000;
/// Further names and genres of one series: several times what the best known have.
const TITLES_MAX: usize = 50;
const GENRES_MAX: usize = 30;
const GENRE_CHARACTERS_MAX: usize = 50;
/// Before the first manga, and after us.
const YEAR_MIN: i64 = 1800;
const YEAR_MAX: i64 = 2200;
const VOLUMES_MAX: i64 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Draft, String> {
        read_draft(&Object::parse(body.as_bytes()).unwrap()).map_err(|error| error.message.into_owned())
    }

    /// What isn't there isn't a fact; null and the empty text clear; the status comes before the chapters.
    #[test]
    fn facts_are_read() {
        assert!(read("{}").unwrap().facts.is_empty());
        let body = r#"{"total_chapters":7,"status":"completed","author":null,"artist":" ","year":null,"genres":["a",""],
            "genre_ids":[1,2],"latest_chapter":5.5,"title":" T ","cover_url":"https://x.example/a.png"}"#;
        let draft = read(body).unwrap();
        let expected = [
            Fact::Title("T".into()),
            Fact::Author(None),
            Fact::Artist(None),
            Fact::Status(Publication::Completed),
            Fact::CoverUrl(Some("https://x.example/a.png".into())),
            Fact::Year(None),
            Fact::ChaptersSoFar(Chapter::whole(7)),
            Fact::LatestChapter(Chapter::from_f64(5.5)),
            Fact::Genres(vec!["a".into()]),
        ];
        assert_eq!(draft.facts, expected);
        assert_eq!(draft.genre_ids, Some(vec![1, 2]));
    }

    /// Every refusal names its member.
    #[test]
    fn refusals_name_the_member() {
        let long = format!(r#"{{"title":"{}"}}"#, "x".repeat(301));
        for (body, member) in [
            (r#"{"title":""}"#, "title"),
            (r#"{"title":null}"#, "title"),
            (r#"{"title":5}"#, "title"),
            (r#"{"title":"a\nb"}"#, "title"),
            (&long, "title"),
            (r#"{"slug":"A b"}"#, "slug"),
            (r#"{"slug":"~5"}"#, "slug"),
            (r#"{"status":"reading"}"#, "status"),
            (r#"{"demographic":"x"}"#, "demographic"),
            (r#"{"description":"a\u0000"}"#, "description"),
            (r#"{"cover_url":"javascript:alert(1)"}"#, "cover_url"),
            (r#"{"cover_url":"https://a b"}"#, "cover_url"),
            (r#"{"year":1}"#, "year"),
            (r#"{"total_chapters":-1}"#, "total_chapters"),
            (r#"{"chapters_total":"7"}"#, "chapters_total"),
            (r#"{"volumes_total":-1}"#, "volumes_total"),
            (r#"{"genres":"action"}"#, "genres"),
            (r#"{"genres":["\u0001"]}"#, "genres"),
            (r#"{"genre_ids":["1"]}"#, "genre_ids"),
            (r#"{"alternative_titles":[1]}"#, "alternative_titles"),
        ] {
            let message = read(body).unwrap_err();
            assert!(message.starts_with(member), "{body}: {message}");
        }
    }
}
