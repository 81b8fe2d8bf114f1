//! What newer routes read from strangers within bounds: parts of lists, numbers, lines of text.

use crate::handlers::api::ApiError;
use crate::proto::json::{Object, missing};
use crate::proto::routes::HttpInput;
use crate::store::model::Window;

/// `limit` and `offset` of a list that is never shown whole: `usual` rows unless asked otherwise.
pub(super) fn window(input: &HttpInput<'_>, usual: u32) -> Result<Window, ApiError> {
    let limit = number(input, "limit", 1, LIMIT_MAX)?.map_or(usual, |limit| limit as u32);
    let offset = number(input, "offset", 0, u32::MAX.into())?.unwrap_or_default() as u32;
    Ok(Window { limit: Some(limit), offset })
}

/// A whole number of the query within bounds, if there.
pub(super) fn number(input: &HttpInput<'_>, name: &str, min: i64, max: i64) -> Result<Option<i64>, ApiError> {
    let Some(text) = input.query(name) else { return Ok(None) };
    let number = text.parse::<i64>().ok().filter(|number| (min..=max).contains(number));
    number.map(Some).ok_or_else(|| ApiError::invalid(format!("{name}: expected a whole number from {min} to {max}")))
}

/// A text of one line that says something, if there: without the spaces around it.
pub(super) fn line(body: &Object<'_>, name: &str, characters_max: usize) -> Result<Option<String>, ApiError> {
    let Some(text) = body.short_text(name, characters_max)? else { return Ok(None) };
    let text = text.trim();
    match (text.is_empty(), text.chars().any(char::is_control)) {
        (true, _) => Err(ApiError::invalid(format!("{name}: must not be empty"))),
        (_, true) => Err(ApiError::invalid(format!("{name}: must not contain control characters"))),
        _ => Ok(Some(text.to_owned())),
    }
}

/// The same, where it must be there.
pub(super) fn need_line(body: &Object<'_>, name: &str, characters_max: usize) -> Result<String, ApiError> {
    line(body, name, characters_max)?.ok_or_else(|| missing(name))
}

/// No list is shown in larger parts: a hundred of the longest reviews are four megabytes.
const LIMIT_MAX: i64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    /// A line is one line that says something and hides no control characters.
    #[test]
    fn lines_are_bounded() {
        let object = |text: &str| format!("{{\"t\":{}}}", serde_json::Value::from(text));
        let one = |text: &str| line(&Object::parse(object(text).as_bytes()).unwrap(), "t", 5);
        assert_eq!(one(" 界 ").unwrap().as_deref(), Some("界"));
        for refused in ["", "  ", "a\nb", "a\0b", "\u{1b}[1m", "sixsix"] {
            assert!(one(refused).unwrap_err().message.starts_with("t: "), "{refused:?}");
        }
        assert_eq!(need_line(&Object::default(), "t", 5).unwrap_err().message, "t: required");
    }
}
