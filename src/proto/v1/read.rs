//! What the first family's clients send, read into the calls' arguments.
//!
//! A member of a wrong type, or one that is missing, is refused by its name. The members that change
//! progress are the same on the sync wires, which read them here too.

use std::borrow::Cow;

use crate::handlers::account;
use crate::handlers::api::ApiError;
use crate::handlers::auth::{Login, Register};
use crate::handlers::catalogue::MangaRef;
use crate::handlers::library::Add;
use crate::handlers::password::{ChangePassword, PasswordRule};
use crate::handlers::progress::{History, List, Unknown, Update};
use crate::proto::json::{Object, missing};
use crate::proto::routes::HttpInput;
use crate::proto::time::parse_rfc3339;
use crate::store::model::{Chapter, MangaQuery, Publication, ReadingStatus, Window};

pub(super) fn read_register(input: &HttpInput<'_>) -> Result<Register, ApiError> {
    let body = input.body()?;
    Ok(Register {
        username: account::check_username(body.need_text("username")?.into_owned(), USERNAME_CHARACTERS_MAX)?,
        email: account::check_email(body.need_text("email")?.into_owned())?,
        password: PasswordRule::V1.check(body.need_text("password")?.into_owned())?,
    })
}

pub(super) fn read_login(input: &HttpInput<'_>) -> Result<Login, ApiError> {
    let body = input.body()?;
    let login = match body.short_text("username", LOGIN_CHARACTERS_MAX)? {
        Some(username) => username,
        None => body.short_text("email", LOGIN_CHARACTERS_MAX)?.ok_or_else(|| missing("username"))?,
    };
    Ok(Login { login: login.into_owned(), password: body.need_text("password")?.into_owned() })
}

pub(super) fn read_change_password(input: &HttpInput<'_>) -> Result<ChangePassword, ApiError> {
    let body = input.body()?;
    Ok(ChangePassword {
        current: body.need_text("current_password")?.into_owned(),
        new: PasswordRule::STANDARD.check(body.need_text("new_password")?.into_owned()).map_err(|mut error| {
            error.message = error.message.replacen("password", "new_password", 1).into();
            error
        })?,
    })
}

/// The password alone: whose account it is, the token says.
pub(super) fn read_delete_account(input: &HttpInput<'_>) -> Result<String, ApiError> {
    Ok(input.body()?.need_text("password")?.into_owned())
}

pub(super) fn read_search(input: &HttpInput<'_>) -> Result<MangaQuery, ApiError> {
    let text = |name| search_text(input, name);
    let status = input.query("status").map(|word| parse_word(&word, "status", Publication::parse, Publication::WORDS));
    Ok(MangaQuery {
        title: text("title")?,
        author: text("author")?,
        genre: text("genre")?,
        status: status.transpose()?,
        window: read_window(input)?,
        ..MangaQuery::default()
    })
}

/// A text to search for. No title is longer than the bound, and the index takes time for each character.
pub(in crate::proto) fn search_text(input: &HttpInput<'_>, name: &str) -> Result<Option<String>, ApiError> {
    let Some(text) = input.query(name) else { return Ok(None) };
    match text.chars().count() > SEARCH_CHARACTERS_MAX {
        true => Err(ApiError::invalid(format!("{name}: at most {SEARCH_CHARACTERS_MAX} characters"))),
        false => Ok(Some(text.into_owned())),
    }
}

/// Every series: what can't be read in the query is as if it weren't there.
pub(super) fn read_all(input: &HttpInput<'_>) -> Result<MangaQuery, ApiError> {
    Ok(MangaQuery { window: read_window(input).unwrap_or_default(), ..MangaQuery::default() })
}

/// `limit` and `offset`. No limit, or 0, is all there are; then there is no offset either.
pub(super) fn read_window(input: &HttpInput<'_>) -> Result<Window, ApiError> {
    let number = |name: &str| {
        let Some(text) = input.query(name) else { return Ok(0) };
        text.parse::<u32>().map_err(|_| ApiError::invalid(format!("{name}: expected a whole number from 0")))
    };
    let (limit, offset) = (number("limit")?, number("offset")?);
    Ok(match limit {
        0 => Window::default(),
        limit => Window { limit: Some(limit), offset },
    })
}

/// A part of a list of progress, of one status or all.
pub(super) fn read_list(input: &HttpInput<'_>) -> Result<List, ApiError> {
    let status = input.query("status").map(|word| parse_status(&word)).transpose()?;
    Ok(List { status, window: read_window(input)? })
}

pub(super) fn read_add(input: &HttpInput<'_>) -> Result<Add, ApiError> {
    let body = input.body()?;
    let status = body.text("status")?.filter(|word| !word.is_empty()).ok_or_else(|| missing("status"))?;
    Ok(Add {
        manga: read_manga(&body)?,
        status: Some(parse_status(&status)?),
        chapter: read_chapter(&body)?.unwrap_or_default(),
        private: body.boolean("private")?,
        force: body.boolean("force")?.unwrap_or(false),
    })
}

pub(super) fn read_update(input: &HttpInput<'_>) -> Result<Update, ApiError> {
    read_update_of(named(input), &input.body()?)
}

pub(super) fn read_edit(input: &HttpInput<'_>) -> Result<Update, ApiError> {
    Ok(Update { manga: named(input), unknown: Unknown::EntryMustExist, ..read_change(&input.body()?)? })
}

pub(super) fn read_update_with_id(input: &HttpInput<'_>) -> Result<Update, ApiError> {
    let body = input.body()?;
    read_update_of(read_manga(&body)?, &body)
}

fn read_update_of(manga: MangaRef, body: &Object<'_>) -> Result<Update, ApiError> {
    Ok(Update { manga, unknown: Unknown::RowMustExist, ..read_change(body)? })
}

/// The members that change progress, the same on every wire: those that aren't there change
/// nothing. `""` for a status and `0` for a rating are how a client says "not given".
pub fn read_change(body: &Object<'_>) -> Result<Update, ApiError> {
    let status = body.text("status")?.filter(|word| !word.is_empty());
    let read_at = body.text("read_at")?;
    let read_at = read_at.map(|text| {
        parse_rfc3339(&text).ok_or_else(|| ApiError::invalid("read_at: expected a time such as 2026-01-31T09:00:00Z"))
    });
    let count = |name| body.integer(name, 0, COUNT_MAX).map(|count| count.map(|count| count as i32));
    Ok(Update {
        manga: MangaRef::Id(0),
        user_id: body.text("user_id")?.map(Cow::into_owned),
        chapter: read_chapter(body)?,
        status: status.map(|word| parse_status(&word)).transpose()?,
        volume: count("volume")?,
        page: count("page")?,
        rating: body.integer("rating", 0, 10)?.filter(|rating| *rating > 0).map(|rating| rating as i32),
        private: body.boolean("private")?,
        note: body.long_text("note", NOTE_CHARACTERS_MAX)?,
        read_at: read_at.transpose()?,
        force: body.boolean("force")?.unwrap_or(false),
        unknown: Unknown::SeriesMustExist,
    })
}

/// The chapter under any of its names; the exact one wins, and none may be wrong.
fn read_chapter(body: &Object<'_>) -> Result<Option<Chapter>, ApiError> {
    let (exact, current, chapter) =
        (body.chapter("chapter_exact")?, body.chapter("current_chapter")?, body.chapter("chapter")?);
    Ok(exact.or(current).or(chapter))
}

pub(super) fn read_history(input: &HttpInput<'_>) -> Result<History, ApiError> {
    let number = |name: &str, max: i64| {
        let Some(text) = input.query(name) else { return Ok(None) };
        let number = text.parse::<i64>().ok().filter(|number| (1..=max).contains(number));
        number.map(Some).ok_or_else(|| ApiError::invalid(format!("{name}: expected a whole number from 1 to {max}")))
    };
    Ok(History {
        manga: input.query("manga").map(|word| MangaRef::Word(word.into_owned())),
        before: number("before", i64::MAX)?,
        limit: number("limit", HISTORY_LIMIT_MAX)?.unwrap_or(HISTORY_LIMIT) as u32,
    })
}

/// The series that the path names: a slug first, then, if all digits, a key.
pub(super) fn named(input: &HttpInput<'_>) -> MangaRef {
    MangaRef::Word(input.param().to_owned())
}

/// The series that a body names, by text or by number.
pub(super) fn read_manga(body: &Object<'_>) -> Result<MangaRef, ApiError> {
    let raw = body.raw("manga_id").ok_or_else(|| missing("manga_id"))?;
    match raw.get().starts_with('"') {
        true => Ok(MangaRef::Word(body.need_text("manga_id")?.into_owned())),
        false => Ok(MangaRef::Id(body.integer("manga_id", 0, i64::MAX)?.unwrap_or_default())),
    }
}

/// A reading status by its word, the same on every wire.
pub fn parse_status(word: &str) -> Result<ReadingStatus, ApiError> {
    parse_word(word, "status", ReadingStatus::parse, ReadingStatus::WORDS)
}

pub(in crate::proto) fn parse_word<T>(
    word: &str,
    name: &str,
    parse: fn(&str) -> Option<T>,
    words: &[&str],
) -> Result<T, ApiError> {
    parse(word).ok_or_else(|| ApiError::invalid(format!("{name}: expected one of {}", words.join(", "))))
}

/// The longest name this family's registration takes.
const USERNAME_CHARACTERS_MAX: usize = 32;

/// More than the longest title has.
const SEARCH_CHARACTERS_MAX: usize = 300;

/// No name or address is longer, so no longer one is looked for.
const LOGIN_CHARACTERS_MAX: usize = 254;

/// A note is a few paragraphs.
const NOTE_CHARACTERS_MAX: usize = 2000;

/// No volume or page has a higher number.
const COUNT_MAX: i64 = 1_000_000;

/// How many entries of a history are shown unasked, and at most.
const HISTORY_LIMIT: i64 = 50;
const HISTORY_LIMIT_MAX: i64 = 500;
