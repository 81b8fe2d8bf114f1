//! JSON objects from strangers: read once, member by member, with an error that names the member.
//!
//! Values stay as they were written until somebody asks for one of a type. A member that comes
//! twice is refused, because two readers could take different ones for true. A value that nobody
//! asks for is passed over without recursion, however deep it nests; length is bounded by the wire.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::handlers::api::{ApiError, ErrorKind};
use crate::store::model::Chapter;

/// The members of an object, borrowed from its text.
#[derive(Debug, Default)]
pub struct Object<'a> {
    /// Not kept in here: objects are handed from step to step, and moving a handful of members each time costs more
    /// than asking for memory once.
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// What a text holds that should be an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotObject {
    /// Not JSON.
    Malformed,
    /// A member comes twice.
    Twice,
    /// It has more members than are looked through.
    TooMany,
    /// JSON of another type.
    OtherType,
}

impl NotObject {
    /// What is wrong, for whoever sent it.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Malformed => "not valid JSON",
            Self::Twice => "a member comes twice",
            Self::TooMany => "too many members (at most 128)",
            Self::OtherType => "expected a JSON object",
        }
    }
}

impl<'a> Object<'a> {
    /// Reads an object from the whole of `text`.
    pub fn parse(text: &'a [u8]) -> Result<Self, NotObject> {
        Self::of_text(std::str::from_utf8(text).map_err(|_| NotObject::Malformed)?)
    }

    fn of_text(text: &'a str) -> Result<Self, NotObject> {
        serde_json::from_str(text).map_err(|error| {
            let said = error.to_string();
            let ours = [NotObject::Twice, NotObject::TooMany].into_iter().find(|fault| said.starts_with(fault.what()));
            let is_json = || error.is_data() && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
            ours.unwrap_or_else(|| if is_json() { NotObject::OtherType } else { NotObject::Malformed })
        })
    }

    /// Reads a request's body. An empty one is an empty object: every member is then missing.
    pub fn body(text: &'a [u8]) -> Result<Self, ApiError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        Self::parse(text).map_err(|error| match error {
            NotObject::OtherType => ApiError::invalid("The body must be a JSON object"),
            NotObject::Malformed => ApiError::new(ErrorKind::InvalidJson, "The body is not valid JSON"),
            other => ApiError::new(ErrorKind::InvalidJson, format!("The body: {}", other.what())),
        })
    }

    /// A member as it was written; `null` counts as not there.
    pub fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let (_, value) = self.members.iter().find(|(member, _)| member == name)?;
        (value.get() != "null").then_some(value)
    }

    /// Whether a member is there and is `null`: where that means to clear what it names.
    pub fn is_null(&self, name: &str) -> bool {
        self.members.iter().any(|(member, value)| member == name && value.get() == "null")
    }

    /// A list of at most so many elements of one type, if there.
    pub fn list<T: Deserialize<'a>>(&self, name: &str, of: &str, most: usize) -> Result<Option<Vec<T>>, ApiError> {
        let list = self.read::<Vec<T>>(name, format_args!("a list of {of}"))?;
        match list.as_ref().is_some_and(|list| list.len() > most) {
            true => Err(ApiError::invalid(format!("{name}: at most {most}"))),
            false => Ok(list),
        }
    }

    /// A member of some type, or why it isn't.
    fn read<T: Deserialize<'a>>(&self, name: &str, expected: impl fmt::Display) -> Result<Option<T>, ApiError> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        let wrong = |_| ApiError::invalid(format!("{name}: expected {expected}"));
        serde_json::from_str(value.get()).map(Some).map_err(wrong)
    }

    /// Whether a member is a text, or not there.
    pub fn may_be_text(&self, name: &str) -> bool {
        self.raw(name).is_none_or(|value| value.get().starts_with('"'))
    }

    /// A text, if there.
    pub fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, ApiError> {
        #[derive(Deserialize)]
        struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
        // It has been read once, so without an escape it is what stands between its quotes.
        if let Some(value) = self.raw(name)
            && let Some(text) = value.get().strip_prefix('"').and_then(|text| text.strip_suffix('"'))
            && !text.contains('\\')
        {
            return Ok(Some(Cow::Borrowed(text)));
        }
        Ok(self.read::<Text<'a>>(name, "a string")?.map(|text| text.0))
    }

    /// A text that must be there.
    pub fn need_text(&self, name: &str) -> Result<Cow<'a, str>, ApiError> {
        self.text(name)?.ok_or_else(|| missing(name))
    }

    /// A text of at most so many characters, if there.
    pub fn short_text(&self, name: &str, characters_max: usize) -> Result<Option<Cow<'a, str>>, ApiError> {
        let text = self.text(name)?;
        match text.as_ref().is_some_and(|text| text.chars().count() > characters_max) {
            true => Err(ApiError::invalid(format!("{name}: at most {characters_max} characters"))),
            false => Ok(text),
        }
    }

    /// A text of one line or many, if there; it may be empty. At most so many characters, of which no
    /// code point has more than four bytes. It comes back as it was sent, so of the control characters
    /// only those that lay text out are taken: tabs and ends of lines, `\n` or `\r\n`.
    pub fn long_text(&self, name: &str, characters_max: usize) -> Result<Option<String>, ApiError> {
        let Some(text) = self.short_text(name, characters_max)? else { return Ok(None) };
        let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
        match text.replace("\r\n", "\n").contains(odd) {
            true => Err(ApiError::invalid(format!("{name}: must not contain control characters"))),
            false => Ok(Some(text.into_owned())),
        }
    }

    /// The same, where it must be there and say something.
    pub fn need_long_text(&self, name: &str, characters_max: usize) -> Result<String, ApiError> {
        let text = self.long_text(name, characters_max)?.ok_or_else(|| missing(name))?;
        match text.trim().is_empty() {
            true => Err(ApiError::invalid(format!("{name}: must not be empty"))),
            false => Ok(text),
        }
    }

    /// A whole number within bounds, if there.
    pub fn integer(&self, name: &str, min: i64, max: i64) -> Result<Option<i64>, ApiError> {
        let expected = format_args!("a whole number from {min} to {max}");
        match self.read::<i64>(name, expected)? {
            Some(number) if !(min..=max).contains(&number) => {
                Err(ApiError::invalid(format!("{name}: expected {expected}")))
            }
            number => Ok(number),
        }
    }

    /// Yes or no, if there.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, ApiError> {
        self.read(name, "true or false")
    }

    /// A chapter, if there: a number with up to three decimals.
    pub fn chapter(&self, name: &str) -> Result<Option<Chapter>, ApiError> {
        let Some(number) = self.read::<f64>(name, "a number")? else { return Ok(None) };
        if number < 0.0 {
            return Err(ApiError::invalid(format!("{name}: invalid chapter number: cannot be negative")));
        }
        let wrong = || {
            ApiError::invalid(format!(
                "{name}: expected a chapter number up to {} with at most three decimals",
                Chapter::MAX
            ))
        };
        Chapter::from_f64(number).map(Some).ok_or_else(wrong)
    }

    /// An object inside; empty when it isn't there. It must hold together like the one around it.
    pub fn object(&self, name: &str) -> Result<Object<'a>, ApiError> {
        let Some(value) = self.raw(name) else { return Ok(Self::default()) };
        Self::of_text(value.get()).map_err(|error| match error {
            NotObject::OtherType => ApiError::invalid(format!("{name}: expected an object")),
            other => ApiError::new(ErrorKind::InvalidMessage, format!("{name}: {}", other.what())),
        })
    }
}

/// A member that should be there isn't.
pub fn missing(name: &str) -> ApiError {
    ApiError::invalid(format!("{name}: required"))
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                #[derive(Deserialize)]
                struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
                let mut object = Object { members: Vec::with_capacity(MEMBERS_USUAL) };
                while let Some(Name(name)) = map.next_key()? {
                    // Known again by what they say.
                    let fault = |fault: NotObject| Err(serde::de::Error::custom(fault.what()));
                    if object.members.len() == MEMBERS_MAX {
                        return fault(NotObject::TooMany);
                    }
                    if object.members.iter().any(|(other, _)| *other == name) {
                        return fault(NotObject::Twice);
                    }
                    object.members.push((name, map.next_value()?));
                }
                Ok(object)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// No message here has twenty members. Looking for a repeated one compares each with all before,
/// so their number is bounded; an object with more is refused.
const MEMBERS_MAX: usize = 128;

/// Most messages have a handful.
const MEMBERS_USUAL: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn error<T: fmt::Debug>(result: Result<T, ApiError>) -> String {
        result.unwrap_err().message.into_owned()
    }

    /// Values come out as their type, and what isn't there is not an error.
    #[test]
    fn members_are_read_by_type() {
        let object = Object::parse(br#"{"a":"x\u00e9","n":5,"c":5.5,"b":true,"z":null,"o":{"i":1}}"#).unwrap();
        assert_eq!(object.text("a").unwrap().unwrap(), "xé");
        assert_eq!(object.integer("n", 0, 9).unwrap(), Some(5));
        assert_eq!(object.chapter("c").unwrap(), Chapter::from_thousandths(5500));
        assert_eq!(object.boolean("b").unwrap(), Some(true));
        assert_eq!(object.text("z").unwrap(), None);
        assert!(object.may_be_text("a") && object.may_be_text("z") && !object.may_be_text("n"));
        assert_eq!(object.object("o").unwrap().integer("i", 0, 1).unwrap(), Some(1));
        assert!(object.object("absent").unwrap().raw("i").is_none());
        assert!(object.is_null("z") && !object.is_null("a") && !object.is_null("absent"));
        let list = Object::parse(br#"{"l":[1,2],"t":["a"]}"#).unwrap();
        assert_eq!(list.list::<i64>("l", "numbers", 2).unwrap(), Some(vec![1, 2]));
        assert_eq!(error(list.list::<i64>("l", "numbers", 1)), "l: at most 1");
        assert_eq!(error(list.list::<i64>("t", "numbers", 1)), "t: expected a list of numbers");
    }

    /// Every error names its member.
    #[test]
    fn errors_name_the_member() {
        let object = Object::parse(br#"{"a":1,"n":1.5,"c":-1,"big":1e300,"o":[]}"#).unwrap();
        assert_eq!(error(object.text("a")), "a: expected a string");
        assert_eq!(error(object.integer("n", 1, 10)), "n: expected a whole number from 1 to 10");
        assert!(error(object.chapter("c")).contains("cannot be negative"));
        assert!(error(object.chapter("big")).starts_with("big: "));
        assert_eq!(error(object.need_text("x")), "x: required");
        assert_eq!(error(object.object("o")), "o: expected an object");
        let inside = Object::parse(br#"{"o":{"a":1,"a":1}}"#).unwrap().object("o").unwrap_err();
        assert_eq!((inside.kind, inside.message.as_ref()), (ErrorKind::InvalidMessage, "o: a member comes twice"));
    }

    /// A long text is kept as it was, whatever its script, and refused when it hides something.
    #[test]
    fn long_texts_hide_nothing() {
        let read = |text: &str| {
            let body = serde_json::json!({ "t": text }).to_string();
            Object::parse(body.as_bytes()).unwrap().need_long_text("t", 9)
        };
        for good in ["x", " x ", "a\nb\r\nc\t", "שלום", "\u{202e}evil", "👩‍👩‍👧‍👦", "界界界界界界界界界", "';--"]
        {
            assert_eq!(read(good).as_deref(), Ok(good));
        }
        for bad in ["", " \n\t", "a\0b", "a\rb", "\u{1b}[1m", "\u{7f}x", "\u{85}x", "ten charac"] {
            assert!(error(read(bad)).starts_with("t: "), "{bad:?}");
        }
        assert_eq!(error(Object::default().need_long_text("t", 9)), "t: required");
        assert_eq!(Object::default().long_text("t", 9), Ok(None));
        for nothing in ["", " \n"] {
            let body = serde_json::json!({ "t": nothing }).to_string();
            assert_eq!(Object::parse(body.as_bytes()).unwrap().long_text("t", 9), Ok(Some(nothing.to_owned())));
        }
    }

    /// What is not one object is refused by its cause, and one with a repeated member or too many is none.
    #[test]
    fn only_objects_are_objects() {
        let of = |count: usize| {
            let members: Vec<String> = (0..count).map(|number| format!("\"{number}\":0")).collect();
            format!("{{{}}}", members.join(",")).into_bytes()
        };
        let (most, more) = (of(MEMBERS_MAX), of(MEMBERS_MAX + 1));
        assert!(Object::parse(&most).is_ok() && NotObject::TooMany.what().contains(&MEMBERS_MAX.to_string()));
        let cases: [(&[u8], NotObject); 11] = [
            (&more, NotObject::TooMany),
            (b"", NotObject::Malformed),
            (b"{", NotObject::Malformed),
            (b"{}{}", NotObject::Malformed),
            (b"{\"a\":1,\"a\":2}", NotObject::Twice),
            (b"{\"a\":1,\"\\u0061\":2}", NotObject::Twice),
            (b"\xff", NotObject::Malformed),
            (b"{\"a\":\"x\ty\"}", NotObject::Malformed),
            (b"[[[", NotObject::Malformed),
            (b"[]", NotObject::OtherType),
            (b"null", NotObject::OtherType),
        ];
        for (text, expected) in cases {
            assert_eq!(Object::parse(text).unwrap_err(), expected, "{:.40}", String::from_utf8_lossy(text));
        }
    }

    /// Depth costs nothing where nobody looks, and where somebody does it is a wrong type.
    #[test]
    fn depth_is_harmless() {
        let deep = format!("{{\"a\":{}1{},\"b\":1}}", "[".repeat(100_000), "]".repeat(100_000));
        let object = Object::parse(deep.as_bytes()).unwrap();
        assert_eq!(object.integer("b", 0, 1).unwrap(), Some(1));
        assert_eq!(object.text("a").unwrap_err().message, "a: expected a string");
        assert_eq!(object.object("a").unwrap_err().message, "a: expected an object");
    }
}
