//! What every package's messages have in common when they are read: words, counts, names of series.
//!
//! Protocol Buffers have no "not given" for most members: an empty text or a zero stands for it.

use crate::handlers::api::ApiError;
use crate::handlers::catalogue::MangaRef;
use crate::proto::v1::read::{parse_status, parse_word};
use crate::store::model::{Chapter, Publication, ReadingStatus, Window};

/// A text of one line, if it says anything: at most so many characters, none of them a control
/// character.
pub fn text(name: &str, text: String, characters_max: usize) -> Result<Option<String>, ApiError> {
    if text.chars().count() > characters_max {
        return Err(ApiError::invalid(format!("{name}: at most {characters_max} characters")));
    }
    match text.contains(char::is_control) {
        true => Err(ApiError::invalid(format!("{name}: must not contain control characters"))),
        false => Ok(Some(text).filter(|text| !text.is_empty())),
    }
}

/// A text of several lines; it may be empty.
pub fn long_text(name: &str, text: String, characters_max: usize) -> Result<String, ApiError> {
    if text.chars().count() > characters_max {
        return Err(ApiError::invalid(format!("{name}: at most {characters_max} characters")));
    }
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    match text.replace("\r\n", "\n").contains(odd) {
        true => Err(ApiError::invalid(format!("{name}: must not contain control characters"))),
        false => Ok(text),
    }
}

/// A text to search for.
pub fn words(name: &str, words: String) -> Result<Option<String>, ApiError> {
    text(name, words, SEARCH_CHARACTERS_MAX)
}

/// The series that a message names: a slug first, then, if all digits, a key.
pub fn manga(name: &str, word: String) -> Result<MangaRef, ApiError> {
    let word = text(name, word, SLUG_CHARACTERS_MAX)?;
    word.map(MangaRef::Word).ok_or_else(|| ApiError::invalid(format!("{name}: required")))
}

/// A chapter that is a whole number.
pub fn whole_chapter(chapter: i32) -> Result<Chapter, ApiError> {
    if chapter < 0 {
        return Err(ApiError::invalid("chapter: invalid chapter number: cannot be negative"));
    }
    Chapter::whole(i64::from(chapter)).ok_or_else(wrong_chapter)
}

/// A chapter with its decimals.
pub fn chapter(chapter: f64) -> Result<Chapter, ApiError> {
    if chapter < 0.0 {
        return Err(ApiError::invalid("chapter: invalid chapter number: cannot be negative"));
    }
    Some(chapter).filter(|chapter| chapter.is_finite()).and_then(Chapter::from_f64).ok_or_else(wrong_chapter)
}

fn wrong_chapter() -> ApiError {
    ApiError::invalid(format!("chapter: expected a chapter number up to {} with at most three decimals", Chapter::MAX))
}

/// Where a reader stands, if it is said.
pub fn status(word: &str) -> Result<Option<ReadingStatus>, ApiError> {
    (!word.is_empty()).then(|| parse_status(word)).transpose()
}

/// Where a series stands, if it is said.
pub fn publication(word: &str) -> Result<Option<Publication>, ApiError> {
    let parse = || parse_word(word, "status", Publication::parse, Publication::WORDS);
    (!word.is_empty()).then(parse).transpose()
}

/// A rating, if there is one: 0 is none.
pub fn rating(rating: i32) -> Result<Option<i32>, ApiError> {
    match rating {
        0 => Ok(None),
        1..=10 => Ok(Some(rating)),
        _ => Err(ApiError::invalid("rating: expected a whole number from 1 to 10")),
    }
}

/// A volume's or a page's number.
pub fn count(name: &str, count: Option<i32>) -> Result<Option<i32>, ApiError> {
    match count {
        Some(number) if !(0..=COUNT_MAX).contains(&number) => {
            Err(ApiError::invalid(format!("{name}: expected a whole number from 0 to {COUNT_MAX}")))
        }
        count => Ok(count),
    }
}

/// `limit` rows from `offset`: as many as usual if it is not said, never more than the most.
pub fn window(limit: u32, offset: u32, usual: u32, most: u32) -> Window {
    let limit = if limit == 0 { usual } else { limit.min(most) };
    Window { limit: Some(limit), offset }
}

/// No slug is longer.
const SLUG_CHARACTERS_MAX: usize = 200;

/// More than the longest title has.
const SEARCH_CHARACTERS_MAX: usize = 300;

/// No volume or page has a higher number.
const COUNT_MAX: i32 = 1_000_000;
