//! Searches by title at a fixed rate, in a large catalogue, with the exact number of hits in every answer.
//!
//! What is searched for is drawn from the catalogue's own titles, so that every search must find something:
//! whole words, "the" as often as titles have it, and parts of words. The same catalogue gives the same ones.

use std::fs::File;
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::Pace;
use super::open_loop::{self, Offer, OpenLoop};
use crate::error::{Doing, LoadError};
use crate::http::{self, Answer};

/// Asks `http` for `queries` in turn, `per_second` of them, and pings `tcp` with `token` meanwhile.
pub fn run(
    http: SocketAddr,
    tcp: SocketAddr,
    token: &str,
    queries: &[String],
    per_second: f64,
    pace: Pace,
) -> Result<OpenLoop, LoadError> {
    let target = |query: &String| http::get(http, &format!("/api/v1/manga?title={query}&limit=20"));
    let requests: Vec<Vec<u8>> = queries.iter().map(target).collect();
    let offer = Offer { requests: &requests, per_second, connections: CONNECTIONS, drain: DRAIN, judge };
    open_loop::run(http, tcp, token, &offer, pace)
}

/// What to search for in the catalogue in `file`.
pub fn queries(file: &Path) -> Result<Vec<String>, LoadError> {
    let wrong = |why: String| LoadError::Wrong(format!("{}: {why}", file.display()));
    let reader = BufReader::new(File::open(file).doing("open the catalogue")?);
    let entries: Vec<Entry> = serde_json::from_reader(reader).map_err(|error| wrong(error.to_string()))?;
    let step = entries.len().div_ceil(QUERIES).max(1);
    let titles = entries.iter().step_by(step).map(|entry| entry.title.as_str());
    let queries: Vec<String> = titles.enumerate().filter_map(|(at, title)| draw(title, at)).collect();
    if queries.is_empty() { Err(wrong("no title to search for".to_owned())) } else { Ok(queries) }
}

#[derive(Deserialize)]
struct Entry {
    title: String,
}

/// A word of a title as people type it, a different one for each `at`; of every second a part, if it is long enough.
fn draw(title: &str, at: usize) -> Option<String> {
    let words = title.split(|letter: char| !letter.is_alphanumeric());
    // Other alphabets would have to be written in percents.
    let words: Vec<&str> = words.filter(|word| word.is_ascii() && word.len() >= LETTERS_MIN).collect();
    let word = words.get(at / 2 % words.len().max(1))?.to_lowercase();
    match at % 2 == 1 && word.len() >= LETTERS_MIN + 2 {
        true => Some(word[1..word.len() - 1].to_owned()),
        false => Some(word),
    }
}

fn judge(answer: &Answer<'_>) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Page {
        meta: Meta,
    }
    #[derive(Deserialize)]
    struct Meta {
        total: u64,
    }
    if answer.status != 200 {
        return Err(format!("status {}", answer.status));
    }
    match serde_json::from_slice::<Page>(answer.body) {
        Ok(page) if page.meta.total >= 1 => Ok(()),
        Ok(_) => Err("nothing was found".to_owned()),
        Err(_) => Err("an answer without meta.total".to_owned()),
    }
}

/// More than the searches of a second, so that an answer that is kept does not count for all of them.
const QUERIES: usize = 2000;

/// The shortest text that is searched for.
const LETTERS_MIN: usize = 3;

/// As many as people would open: more than the server has workers for.
const CONNECTIONS: usize = 64;

/// Whoever is this late has collapsed.
const DRAIN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that words and parts of words are drawn, in turn, short and foreign ones left out.
    #[test]
    fn words_and_parts_of_them() {
        let draws = |title| (0..4).map(|at| draw(title, at).unwrap_or_default()).collect::<Vec<_>>();
        assert_eq!(draws("Kayata's Star of 空"), ["kayata", "ayat", "star", "star"]);
        assert_eq!(draws("The Silent Sky"), ["the", "the", "silent", "ilen"]);
        assert_eq!(draw("空 of 2", 0), None);
    }

    /// Shows that only a page with a total of hits is right.
    #[test]
    fn an_answer_is_judged() {
        let verdict = |status, body: &[u8]| judge(&Answer { status, body, length: 0 });
        assert_eq!(verdict(200, br#"{"data":{"items":[]},"meta":{"total":3,"count":1}}"#), Ok(()));
        assert_eq!(verdict(200, br#"{"meta":{"total":0}}"#), Err("nothing was found".to_owned()));
        assert_eq!(verdict(503, b"{}"), Err("status 503".to_owned()));
        assert!(verdict(200, b"{}").is_err() && verdict(200, b"busy").is_err());
    }

    /// Shows that queries come from the whole catalogue in a file, and that a file without titles is refused.
    #[test]
    fn queries_come_from_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, r#"[{"slug":"a","title":"Blue Moon"},{"slug":"b","title":"Flower Moon"}]"#).unwrap();
        assert_eq!(queries(file.path()).unwrap(), ["blue", "lowe"]);
        std::fs::write(&file, "[]").unwrap();
        assert!(queries(file.path()).is_err());
    }
}
