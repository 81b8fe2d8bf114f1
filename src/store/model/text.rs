//! Text made comparable: what a search looks for and what it looks into go through the same functions.
//!
//! Both work character by character, so that a part of a text becomes a part of the text that is made
//! of it: whatever somebody copies out of a title finds that title.

use unicode_normalization::char::{decompose_canonical, is_combining_mark};

/// Text with case taken out of it.
///
/// Up and down again: that makes one of `ß` and `SS`, of `ς` and `Σ`. Control characters become
/// blanks, so that folded text has no line break.
pub fn fold_case(text: &str) -> String {
    one_case(text).collect()
}

/// Text with case and accents taken out of it, for the search: `é` is `e` and `ō` is `o`.
///
/// Only letters lose marks that stand above or below them in European scripts. A kana with its voicing
/// mark stays another kana, and a Hangul syllable stays whole.
pub fn fold(text: &str) -> String {
    one_case(text).filter_map(plain).collect()
}

/// A slug for a title: its letters and digits in ASCII, joined by hyphens; empty when it has none.
pub fn slugify(title: &str) -> String {
    let mut slug = String::new();
    for char in fold(title).chars() {
        match char {
            'a'..='z' | '0'..='9' => slug.push(char),
            // It is one word to its readers: "hero's" becomes "heros".
            '\'' | '’' => {}
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
        if slug.len() == SLUG_BYTES_MAX {
            break;
        }
    }
    slug.trim_end_matches('-').to_owned()
}

fn one_case(text: &str) -> impl Iterator<Item = char> {
    let one_case = text.chars().map(narrow).flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    one_case.map(|char| if char.is_control() { ' ' } else { char })
}

/// ASCII as Japanese keyboards type it, in the width of a kanji, becomes ASCII.
fn narrow(char: char) -> char {
    match char {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(char as u32 - WIDE_TO_ASCII).unwrap_or(char),
        '\u{3000}' => ' ',
        _ => char,
    }
}

/// How far the wide forms stand behind ASCII: a block of Unicode in the same order.
const WIDE_TO_ASCII: u32 = 0xff01 - 0x21;

/// A character without its accents; `None` for an accent that stands alone.
fn plain(char: char) -> Option<char> {
    let (mut base, mut only_accents) = (None, true);
    decompose_canonical(char, |part| match base {
        None if is_accent(part) => {}
        None => base = Some(part),
        Some(_) => only_accents &= is_accent(part),
    });
    if only_accents { base } else { Some(char) }
}

/// The marks that European scripts put on letters. Other scripts' marks are part of what is written.
fn is_accent(char: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&char) && is_combining_mark(char)
}

/// No slug that is made of a title is longer; a person may write a longer one.
const SLUG_BYTES_MAX: usize = 80;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Shows that case is ignored in scripts that have it, and that others are left alone.
    #[test]
    fn case_is_taken_out() {
        assert_eq!(fold_case("ONE Piece"), "one piece");
        assert_eq!(fold_case("ÉÀ Straße ΟΔΟΣ οδος"), "éà strasse οδοσ οδοσ");
        assert_eq!(fold_case("進撃の巨人 🏴‍☠️"), "進撃の巨人 🏴‍☠️");
        assert_eq!(fold_case("a\nb\0c"), "a b c");
        assert_eq!(fold_case(&fold_case("İstanbul ǅ")), fold_case("İstanbul ǅ"));
    }

    /// Shows which marks go, composed or not, and that a kana and a syllable keep theirs.
    #[test]
    fn accents_are_taken_out() {
        assert_eq!(fold("Café Shōnen ÅNGSTRÖM ñ ǖ ế"), "cafe shonen angstrom n u e");
        assert_eq!(fold("e\u{301}\u{323}"), "e");
        assert_eq!(fold("\u{301}"), "");
        assert_eq!(fold("ＯＮＥ　ＰＩＥＣＥ！～"), "one piece!~");
        assert_eq!(fold("ガンダム が 한국 進撃"), "ガンダム が 한국 進撃");
        assert_eq!(fold(&fold("İstanbul ǅ ΐ")), fold("İstanbul ǅ ΐ"));
    }

    /// Shows what a title's slug is, and that a title without Latin letters has none.
    #[test]
    fn slugs() {
        for (title, slug) in [
            ("Café au Lait!", "cafe-au-lait"),
            ("  A -- Hero's   Tale  ", "a-heros-tale"),
            ("20th Century Boys", "20th-century-boys"),
            ("進撃の巨人", ""),
            ("~5", "5"),
        ] {
            assert_eq!(slugify(title), slug, "{title}");
        }
        let long = slugify(&"ab ".repeat(100));
        assert!(long.len() <= SLUG_BYTES_MAX && !long.ends_with('-'), "{long}");
    }

    proptest! {
        /// Shows that a part of any text becomes a part of the folded text.
        #[test]
        fn parts_stay_parts(before in ".{0,8}", part in ".{0,8}", after in ".{0,8}") {
            let whole = format!("{before}{part}{after}");
            prop_assert!(fold(&whole).contains(&fold(&part)));
            prop_assert!(fold_case(&whole).contains(&fold_case(&part)));
        }
    }
}
