//! What a request asks of its answer's form: which content codings it takes, and which versions of
//! the answer it has already.
//!
//! Read off the head in the pass that looks at every field, and kept until the answer is written.
//! What is done about it is decided where answers are made. See RFC 9110 §12.5.3 and §13.1.2.

use memchr::memchr;

/// What a request asks of its answer's form. The default asks nothing.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The values of `If-None-Match`, joined by commas.
    unless: Option<Box<[u8]>>,
    takes_gzip: bool,
    refuses_identity: bool,
}

/// How much each coding is wanted, in thousandths; `None` where it is not mentioned.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Codings {
    gzip: Option<u16>,
    identity: Option<u16>,
    any: Option<u16>,
}

impl Asked {
    /// Whether gzip is taken, and no less gladly than no coding.
    pub fn gzip(&self) -> bool {
        self.takes_gzip
    }

    /// Whether an answer without a coding is taken. Who forbids that and takes no gzip gets one all
    /// the same: it says more than a refusal would.
    pub fn identity(&self) -> bool {
        !self.refuses_identity
    }

    /// Whether the client has the version with this tag, given without its quotes. Tags are compared
    /// weakly: `W/` makes no difference.
    pub fn has(&self, tag: &str) -> bool {
        let Some(mut rest) = self.unless.as_deref().map(<[u8]>::trim_ascii) else { return false };
        if rest == b"*" {
            return true;
        }
        while let Some((found, after)) = next_tag(rest) {
            if found == tag.as_bytes() {
                return true;
            }
            rest = after;
        }
        false
    }

    /// Takes note of all `Accept-Encoding` fields.
    pub(super) fn set_codings(&mut self, codings: Codings) {
        let Codings { gzip, identity, any } = codings;
        let wanted = gzip.or(any).unwrap_or(0);
        self.takes_gzip = wanted > 0 && identity.is_none_or(|identity| wanted >= identity);
        self.refuses_identity = identity.or(any) == Some(0);
    }

    /// Takes note of one `If-None-Match` field.
    pub(super) fn note_unless(&mut self, value: &[u8]) {
        self.unless = Some(match self.unless.take() {
            Some(before) => [&before, &b","[..], value].concat().into(),
            None => value.into(),
        });
    }
}

impl Codings {
    /// Takes note of one `Accept-Encoding` field.
    pub(super) fn note(&mut self, value: &[u8]) {
        for member in value.split(|&byte| byte == b',') {
            let mut parts = member.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
            let name = parts.next().unwrap_or_default();
            let Some(weight) = weight(parts) else { continue };
            let is = |coding: &[u8]| name.eq_ignore_ascii_case(coding);
            if is(b"gzip") || is(b"x-gzip") {
                self.gzip = Some(weight);
            } else if is(b"identity") {
                self.identity = Some(weight);
            } else if is(b"*") {
                self.any = Some(weight);
            }
        }
    }
}

/// The first tag of a list, without its quotes, and what follows it. A comma may be part of a tag.
/// What is no list ends it.
fn next_tag(list: &[u8]) -> Option<(&[u8], &[u8])> {
    let begins = list.iter().position(|byte| !b", \t".contains(byte))?;
    let list = &list[begins..];
    let list = list.strip_prefix(b"W/").unwrap_or(list).strip_prefix(b"\"")?;
    let end = memchr(b'"', list)?;
    Some((&list[..end], &list[end + 1..]))
}

/// The weight among an element's parameters, in thousandths; 1 without one. `None` for what is no
/// weight: such an element says nothing.
pub(crate) fn weight<'a>(mut parameters: impl Iterator<Item = &'a [u8]>) -> Option<u16> {
    let given = parameters.find_map(|part| part.strip_prefix(b"q=").or(part.strip_prefix(b"Q=")));
    let Some(text) = given else { return Some(1000) };
    let (whole, digits) = match text {
        [whole @ (b'0' | b'1')] => (whole, &b""[..]),
        [whole @ (b'0' | b'1'), b'.', digits @ ..] if digits.len() <= 3 => (whole, digits),
        _ => return None,
    };
    let mut thousandths = u16::from(whole - b'0') * 1000;
    for (digit, worth) in digits.iter().zip([100, 10, 1]) {
        thousandths += u16::from(char::from(*digit).to_digit(10)? as u8) * worth;
    }
    (thousandths <= 1000).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codings(values: &[&str]) -> (bool, bool) {
        let (mut asked, mut codings) = (Asked::default(), Codings::default());
        values.iter().for_each(|value| codings.note(value.as_bytes()));
        asked.set_codings(codings);
        (asked.gzip(), asked.identity())
    }

    /// Weights, wildcards, case and several fields: gzip only where it is taken, and not against a wish.
    #[test]
    fn codings_are_weighed() {
        for (values, gzip, identity) in [
            (&[][..], false, true),
            (&[""], false, true),
            (&["gzip"], true, true),
            (&["GZIP ; q=0.001"], true, true),
            (&["x-gzip"], true, true),
            (&["br, deflate"], false, true),
            (&["br", "gzip"], true, true),
            (&["gzip;q=0"], false, true),
            (&["gzip;q=0.000, *"], false, true),
            (&["*"], true, true),
            (&["*;q=0"], false, false),
            (&["*;q=0, identity"], false, true),
            (&["identity;q=0, gzip"], true, false),
            (&["identity, gzip;q=0.5"], false, true),
            (&["identity;q=0.5, gzip;q=0.5"], true, true),
            (&["gzip;q=2"], false, true),
            (&["gzip;q=1.001"], false, true),
            (&["gzip;q=-1, gzip;q=0.12345, gzip;q=, gzip;q=.5"], false, true),
            (&[";q=1,,gzip,"], true, true),
        ] {
            assert_eq!(codings(values), (gzip, identity), "{values:?}");
        }
    }

    fn has(values: &[&str], tag: &str) -> bool {
        let mut asked = Asked::default();
        values.iter().for_each(|value| asked.note_unless(value.as_bytes()));
        asked.has(tag)
    }

    /// A list in one field or several, weak or strong; a star is any; what is no tag matches nothing.
    #[test]
    fn tags_are_compared_weakly() {
        for values in
            [&["\"a\""][..], &["W/\"a\""], &["\"x\", W/\"a\""], &["\"x\"", "\"a\""], &["*"], &[" , \"x,y\",\"a\""]]
        {
            assert!(has(values, "a"), "{values:?}");
        }
        for values in
            [&[][..], &[""], &["a"], &["\"a"], &["\"b\""], &["w/\"a\""], &["\"x,a\""], &["\"*\""], &["x, \"a\""]]
        {
            assert!(!has(values, "a"), "{values:?}");
        }
    }
}
