//! Names of people: what can be told apart by eye, and which ones nobody may take.
//!
//! Whoever has no account takes a name by saying it, so what must not be confused is compared here: with
//! the server's own names, and with those of registered users. Letters of one script that look like another's
//! are not compared: a list of those is never whole, and marks nobody as a user either way.

use unicode_normalization::UnicodeNormalization;

use super::chat::announce::SYSTEM_NAME;
use super::text;
use crate::store::model::fold;
use crate::store::{Store, StoreError};

/// A name as it is seen: in the plain form of its letters, without what takes no room, and with single blanks.
pub fn seen(name: &str) -> String {
    let visible: String = name.nfkc().filter(|char| !text::is_invisible(*char)).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a name is one that the server speaks under, or would be taken for it: case, accents and what stands
/// between its letters make no difference.
pub fn is_reserved(name: &str) -> bool {
    let bare = bare(name);
    RESERVED.iter().any(|reserved| *reserved == bare) || bare == self::bare(SYSTEM_NAME)
}

fn bare(name: &str) -> String {
    fold(&seen(name)).chars().filter(|char| char.is_alphanumeric()).collect()
}

/// Whether a registered user has this name, or one that differs only in its case.
///
/// The store takes upper case for lower in ASCII only, so a name in other letters is asked for in each of its
/// usual cases.
pub fn is_taken(name: &str, store: &mut dyn Store) -> Result<bool, StoreError> {
    let mut cases = vec![name.to_owned()];
    if !name.is_ascii() {
        cases.extend([name.to_lowercase(), name.to_uppercase(), capitalised(name)]);
    }
    for name in cases {
        match store.user_by_login(&name) {
            Ok(_) => return Ok(true),
            Err(StoreError::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Each word with one capital, as names are written.
fn capitalised(name: &str) -> String {
    let word = |word: &str| {
        let mut chars = word.chars();
        let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
        first + &chars.as_str().to_lowercase()
    };
    name.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Beside the name that the server speaks under: what would be taken for it, and what those are called who do
/// not say who they are.
const RESERVED: [&str; 4] = ["system", "server", "mangahub", "anonymous"];

#[cfg(test)]
mod tests {
    use super::*;

    /// What can't be seen is no part of a name, and letters have one form.
    #[test]
    fn a_name_is_what_is_seen_of_it() {
        for (name, seen_as) in [
            ("alice\u{200b}", "alice"),
            ("\u{feff}al\u{ad}ice\u{2060}", "alice"),
            ("a\u{200d}l\u{200c}ice", "alice"),
            ("ａｌｉｃｅ", "alice"),
            ("alice\u{a0}\u{3000} b", "alice b"),
            ("e\u{301}va", "éva"),
            ("読者 שלום", "読者 שלום"),
            ("\u{200b}\u{3164}\u{115f}\u{e0041}\u{fe0f}", ""),
        ] {
            assert_eq!(seen(name), seen_as, "{name:?}");
        }
    }

    /// The server's names are nobody's, however they are written; names that contain them are.
    #[test]
    fn the_servers_names_are_reserved() {
        for name in
            ["System_Admin", "system admin", "SYSTEM", "s.y.s-t_e m", "Sýstem", "ｓｙｓｔｅｍ", "sys\u{200b}tem"]
        {
            assert!(is_reserved(name), "{name:?}");
        }
        for name in ["systematic", "my system", "ann", "読者", ""] {
            assert!(!is_reserved(name), "{name:?}");
        }
    }

    /// A name is asked for as people write names.
    #[test]
    fn words_have_capitals() {
        assert_eq!(capitalised("åsa ÖBERG"), "Åsa Öberg");
    }
}
