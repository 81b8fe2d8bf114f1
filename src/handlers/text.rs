//! Texts of strangers that are shown to others: on a screen, in a log, on somebody's device.

/// Control characters, line and paragraph separators, and what changes the direction of writing: whatever
/// could move a cursor, end a line or reverse what is read.
pub fn is_unsafe(char: char) -> bool {
    char.is_control() || matches!(char, '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// What takes no room where it is shown, and so can make two texts look like one: joiners, marks of direction,
/// fillers, selectors of variants, tags.
pub fn is_invisible(char: char) -> bool {
    is_unsafe(char)
        || matches!(
            char,
            '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
                | '\u{200B}'..='\u{200F}' | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
                | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
                | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}'
        )
}

/// A name, made fit to be shown: its first characters, without those that are [unsafe](is_unsafe).
pub fn shown(name: &str, characters_max: usize) -> String {
    name.chars().filter(|char| !is_unsafe(*char)).take(characters_max).collect()
}

/// The name that a device gave itself, made fit to be shown; none if nothing is left of it.
pub fn device(name: &str) -> Option<String> {
    Some(shown(name, DEVICE_CHARACTERS_MAX)).filter(|name| !name.is_empty())
}

/// The longest name of a device.
pub const DEVICE_CHARACTERS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// What can't be seen goes, whatever else it does; the rest stays in its script, up to the bound.
    #[test]
    fn names_are_what_they_look_like() {
        assert_eq!(shown("Öl 読者 שלום 👍", 20), "Öl 読者 שלום 👍");
        assert_eq!(shown("a\0b\n\u{1b}[1m\u{7f}\u{9b}\u{2028}\u{202e}c\u{2066}d", 20), "ab[1mcd");
        assert_eq!(shown("\n\n\nabcd", 3), "abc");
        assert_eq!(device("\u{202e}\t"), None);
        assert_eq!(device(&"x".repeat(70)), Some("x".repeat(64)));
    }
}
