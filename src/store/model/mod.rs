//! The plain structs that the store keeps and the rest of the server speaks about, one file an area.
//!
//! Nothing here knows SQL or JSON shapes of a protocol. A value that could be wrong (a status, a
//! chapter) is a type that can't be: it is parsed once, at the edge, and trusted from then on.

/// An enum whose variants each have one word, the same in the database and on every wire.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every variant's word, in the order of declaration.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word that stands for this variant.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The variant of a word; hyphens are taken for underscores.
            pub fn parse(word: &str) -> Option<Self> {
                match word.replace('-', "_").as_str() { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

mod chapter;
mod friends;
mod lists;
mod manga;
mod notices;
mod opinion;
mod progress;
mod recommend;
mod refresh;
mod stats;
mod text;
mod user;
mod webhooks;

pub use chapter::Chapter;
pub use friends::*;
pub use lists::*;
pub use manga::*;
pub use notices::*;
pub use opinion::*;
pub use progress::*;
pub use recommend::*;
pub use refresh::*;
pub use stats::*;
pub use text::{fold, fold_case, slugify};
pub use user::*;
pub use webhooks::*;

/// Milliseconds since 1970-01-01T00:00:00Z, the server's clock.
pub type UnixMillis = i64;

/// The part of a list that is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    /// At most this many rows; `None` for all there are.
    pub limit: Option<u32>,
    /// After skipping this many.
    pub offset: u32,
}

/// A part of a list, with how many rows the whole list has.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The rows of the window.
    pub items: Vec<T>,
    /// The rows of the whole list.
    pub total: u64,
}
