//! The plain structs that the store keeps and the rest of the server speaks about.
//!
//! Nothing here knows SQL or JSON shapes of a protocol. A value that could be wrong (a status, a
//! chapter) is a type that can't be: it is parsed once, at the edge, and trusted from then on.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z, the server's clock.
pub type UnixMillis = i64;

/// The integer key of a series. Its public twin is the slug.
pub type MangaId = i64;

/// A user's id: the same text on every wire. New users get a UUID; imported ones keep what they had.
///
/// Shared text, so that a connection, a topic and a job can each hold it for the price of a pointer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct UserId(Arc<str>);

impl UserId {
    /// The longest id, in bytes: room for any UUID or name, and a bound on what a token can make us hold.
    pub const MAX_BYTES: usize = 64;

    /// An id from its text, or `None` when it is empty, too long or has anything but `[A-Za-z0-9_.@-]`.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.@-".contains(&byte);
        let fits = (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(plain);
        fits.then(|| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<uuid::Uuid> for UserId {
    fn from(id: uuid::Uuid) -> Self {
        Self(id.to_string().into())
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

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

words! {
    /// What a user may do beyond their own data.
    Role {
        /// Reads, and writes what is their own.
        User = "user",
        /// Also changes the catalogue and other people's content.
        Admin = "admin",
    }
}

words! {
    /// Where a reader stands with a series.
    ReadingStatus {
        /// Reading it now.
        Reading = "reading",
        /// Read to its end.
        Completed = "completed",
        /// On the list for later.
        PlanToRead = "plan_to_read",
        /// Paused.
        OnHold = "on_hold",
        /// Given up.
        Dropped = "dropped",
        /// Reading it once more.
        ReReading = "re_reading",
    }
}

words! {
    /// Where a series stands with its publisher.
    Publication {
        /// New chapters come out.
        Ongoing = "ongoing",
        /// It has ended; its totals are known.
        Completed = "completed",
        /// It pauses.
        Hiatus = "hiatus",
        /// It was stopped before its end.
        Cancelled = "cancelled",
        /// It is announced.
        Upcoming = "upcoming",
    }
}

words! {
    /// The readers a series is made for.
    Demographic {
        /// Boys.
        Shounen = "shounen",
        /// Girls.
        Shoujo = "shoujo",
        /// Men.
        Seinen = "seinen",
        /// Women.
        Josei = "josei",
        /// Children.
        Kodomo = "kodomo",
    }
}

/// A chapter number: an exact decimal with up to three places, kept in thousandths.
///
/// `5.5` is 5500. Binary fractions never enter, so `5.1` stays `5.1` for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Chapter(i64);

impl Chapter {
    /// No chapter is beyond this one: ten times the longest series, and far from overflow.
    pub const MAX: Chapter = Chapter(100_000 * 1000);

    /// A whole chapter, or `None` when it is negative or beyond [`Chapter::MAX`].
    pub fn whole(number: i64) -> Option<Self> {
        Self::from_thousandths(number.checked_mul(1000)?)
    }

    /// A chapter as the store keeps it, or `None` when it is out of range.
    pub fn from_thousandths(thousandths: i64) -> Option<Self> {
        (0..=Self::MAX.0).contains(&thousandths).then_some(Self(thousandths))
    }

    /// A chapter as JSON carries it, or `None` when it is out of range or has more than three places.
    pub fn from_f64(number: f64) -> Option<Self> {
        let thousandths = (number * 1000.0).round();
        let exact = (number * 1000.0 - thousandths).abs() < 1e-4;
        (exact && (0.0..=Self::MAX.0 as f64).contains(&thousandths)).then_some(Self(thousandths as i64))
    }

    /// The number in thousandths, as the store keeps it.
    pub const fn thousandths(self) -> i64 {
        self.0
    }

    /// The whole part, rounded down: what a client that reads integers is shown.
    pub const fn floor(self) -> i64 {
        self.0 / 1000
    }

    /// The number as JSON shows it: `5` or `5.5`.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl fmt::Display for Chapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_f64())
    }
}

impl Serialize for Chapter {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 % 1000 {
            0 => serializer.serialize_i64(self.floor()),
            _ => serializer.serialize_f64(self.as_f64()),
        }
    }
}

impl<'de> Deserialize<'de> for Chapter {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        Self::from_f64(number).ok_or_else(|| serde::de::Error::custom("not a chapter number"))
    }
}

/// A registered person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The same on every wire.
    pub id: UserId,
    /// Unique, ASCII case ignored.
    pub username: String,
    /// Unique, ASCII case ignored.
    pub email: String,
    /// The bcrypt hash of the password.
    pub password_hash: String,
    /// What they may do.
    pub role: Role,
    /// Tokens issued before this second (Unix time) are void; 0 when none ever was.
    pub valid_from: i64,
    /// When they registered.
    pub created_at: UnixMillis,
}

/// A series.
#[derive(Debug, Clone, PartialEq)]
pub struct Manga {
    /// The integer key.
    pub id: MangaId,
    /// Everything else.
    pub facts: MangaFacts,
    /// When it entered the catalogue.
    pub created_at: UnixMillis,
    /// When a fact last changed.
    pub updated_at: UnixMillis,
}

/// What is known about a series; also one entry of `data/manga.json`. Unknown facts are `None`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MangaFacts {
    /// Unique, lower case, `[a-z0-9-]`; the public id of the v1 family. May be all digits.
    pub slug: String,
    /// The title shown.
    pub title: String,
    /// The licensed English title.
    #[serde(default)]
    pub title_english: Option<String>,
    /// The original title in Latin letters.
    #[serde(default)]
    pub title_romanised: Option<String>,
    /// The original title in its own script.
    #[serde(default)]
    pub title_native: Option<String>,
    /// Other names it is known by.
    #[serde(default)]
    pub alternative_titles: Vec<String>,
    /// Who wrote it.
    #[serde(default)]
    pub author: Option<String>,
    /// Who drew it.
    #[serde(default)]
    pub artist: Option<String>,
    /// Genre names, lower case.
    #[serde(default)]
    pub genres: Vec<String>,
    /// The readers it is made for.
    #[serde(default)]
    pub demographic: Option<Demographic>,
    /// Where it stands with its publisher.
    pub status: Publication,
    /// The year of its first chapter.
    #[serde(default)]
    pub year: Option<i32>,
    /// How many chapters it has in all; `None` while it runs.
    #[serde(default)]
    pub chapters_total: Option<Chapter>,
    /// How many volumes it has in all; `None` while it runs.
    #[serde(default)]
    pub volumes_total: Option<i32>,
    /// The latest chapter known to be out.
    #[serde(default)]
    pub latest_chapter: Option<Chapter>,
    /// One to three sentences.
    #[serde(default)]
    pub description: String,
    /// Where its cover can be seen.
    #[serde(default)]
    pub cover_url: Option<String>,
}

/// Which series a list shows: every given part must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MangaQuery {
    /// Part of any title, ASCII and Unicode case ignored.
    pub title: Option<String>,
    /// Part of the author's or artist's name.
    pub author: Option<String>,
    /// Part of a genre's name.
    pub genre: Option<String>,
    /// The publication status.
    pub status: Option<Publication>,
    /// How many to skip and to show.
    pub window: Window,
}

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

/// Where one user stands with one series: at most one row for each pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Whose.
    pub user_id: UserId,
    /// Of which series.
    pub manga_id: MangaId,
    /// Whether it stands in the user's library; progress alone doesn't put it there.
    pub in_library: bool,
    /// Where the reader stands.
    pub status: ReadingStatus,
    /// The last chapter read; 0 when none.
    pub chapter: Chapter,
    /// The volume, where the reader counts in volumes.
    pub volume: Option<i32>,
    /// The page within the chapter.
    pub page: Option<i32>,
    /// How often it was read again.
    pub rereads: i32,
    /// When reading began.
    pub started_at: Option<UnixMillis>,
    /// When it was read to its end.
    pub completed_at: Option<UnixMillis>,
    /// Shown to its owner only.
    pub private: bool,
    /// A note for its owner only.
    pub note: Option<String>,
    /// The user's rating of the series, 1 to 10, from the ratings table.
    pub rating: Option<i32>,
    /// The server's time of receipt of the last change.
    pub updated_at: UnixMillis,
}

/// One change to one progress row. `None` leaves the stored value as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct ProgressChange {
    /// Whose.
    pub user_id: UserId,
    /// Of which series.
    pub manga_id: MangaId,
    /// The chapter now reached.
    pub chapter: Option<Chapter>,
    /// The status now held.
    pub status: Option<ReadingStatus>,
    /// The volume now reached.
    pub volume: Option<i32>,
    /// The page now reached.
    pub page: Option<i32>,
    /// A rating, 1 to 10; written to the ratings table.
    pub rating: Option<i32>,
    /// Whether others may see it.
    pub private: Option<bool>,
    /// The owner's note; the empty string clears it.
    pub note: Option<String>,
    /// The device that sent it, for the history.
    pub device: Option<String>,
    /// When the reader says it was read, for the history; it orders nothing.
    pub read_at: Option<UnixMillis>,
    /// The server's time of receipt.
    pub received_at: UnixMillis,
    /// Refuse with `NotFound` when there is no row yet (the v1 PUT).
    pub must_exist: bool,
}

/// A stored change, and the number of its history row: the order in which changes happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The row as it now is.
    pub progress: Progress,
    /// The id of the history row written in the same transaction.
    pub seq: i64,
}

/// One line of a user's reading history. Appended, never changed.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEntry {
    /// Its number; later entries have higher ones.
    pub seq: i64,
    /// Of which series.
    pub manga_id: MangaId,
    /// The chapter reached.
    pub chapter: Chapter,
    /// The volume reached.
    pub volume: Option<i32>,
    /// The page reached.
    pub page: Option<i32>,
    /// The status held.
    pub status: ReadingStatus,
    /// The device that sent it.
    pub device: Option<String>,
    /// When the reader says it was read.
    pub read_at: Option<UnixMillis>,
    /// When the server received it.
    pub recorded_at: UnixMillis,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Shows which ids are taken and which are not, at the edges.
    #[test]
    fn user_ids() {
        let longest = "x".repeat(UserId::MAX_BYTES);
        for good in ["a", "0b0e9a3c-57a8-4c4e-8e0b-0d5c3c1f2a11", "user_1.2@x", longest.as_str()] {
            assert_eq!(UserId::parse(good).unwrap().as_str(), good);
        }
        let too_long = "x".repeat(UserId::MAX_BYTES + 1);
        for bad in ["", " ", "a b", "a'b", "a\0", "é", "a/b", "a:b", too_long.as_str()] {
            assert_eq!(UserId::parse(bad), None, "{bad:?}");
        }
    }

    /// Shows that each word is read as the variant that writes it, and that nothing else is a word.
    #[test]
    fn words_are_read_as_written() {
        for word in ReadingStatus::WORDS {
            assert_eq!(ReadingStatus::parse(word).unwrap().as_str(), *word);
            assert_eq!(ReadingStatus::parse(&word.replace('_', "-")).unwrap().as_str(), *word);
        }
        for word in ["", "Reading", "reading ", "plan to read", "-", "re_reading\0"] {
            assert_eq!(ReadingStatus::parse(word), None, "{word:?}");
        }
        assert_eq!(serde_json::to_string(&ReadingStatus::PlanToRead).unwrap(), r#""plan_to_read""#);
        assert_eq!(Role::WORDS, ["user", "admin"]);
    }

    /// Shows which numbers are chapters: up to three places, not negative, within range.
    #[test]
    fn chapter_numbers() {
        for (number, thousandths) in
            [(0.0, 0), (-0.0, 0), (5.5, 5500), (5.1, 5100), (0.001, 1), (100_000.0, 100_000_000)]
        {
            assert_eq!(Chapter::from_f64(number).map(Chapter::thousandths), Some(thousandths), "{number}");
        }
        let wrong = [-1.0, -0.001, 5.0001, 100_000.001, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        for number in wrong {
            assert_eq!(Chapter::from_f64(number), None, "{number}");
        }
        for number in [-1, 100_001, i64::MAX, i64::MIN] {
            assert_eq!(Chapter::whole(number), None, "{number}");
        }
        assert_eq!(Chapter::from_f64(7.9).unwrap().floor(), 7);
    }

    /// Shows how JSON and people see a chapter: whole ones without a point.
    #[test]
    fn chapters_in_json() {
        for (json, text) in [("5", "5"), ("5.5", "5.5"), ("0", "0"), ("1044.125", "1044.125")] {
            let chapter: Chapter = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&chapter).unwrap(), json);
            assert_eq!(chapter.to_string(), text);
        }
        for json in ["-1", "\"5\"", "1e9", "5.00001", "null"] {
            assert!(serde_json::from_str::<Chapter>(json).is_err(), "{json}");
        }
    }

    proptest! {
        /// Shows that every chapter survives the way over JSON, over f64 and over the store, exactly,
        /// and keeps its order.
        #[test]
        fn chapters_are_exact(thousandths in 0..=Chapter::MAX.thousandths(), other in 0..=Chapter::MAX.thousandths()) {
            let chapter = Chapter::from_thousandths(thousandths).unwrap();
            prop_assert_eq!(chapter.thousandths(), thousandths);
            prop_assert_eq!(Chapter::from_f64(chapter.as_f64()), Some(chapter));
            let json = serde_json::to_string(&chapter).unwrap();
            prop_assert_eq!(serde_json::from_str::<Chapter>(&json).unwrap(), chapter);
            prop_assert_eq!(chapter.to_string().parse::<f64>().unwrap(), chapter.as_f64());
            prop_assert_eq!(chapter < Chapter::from_thousandths(other).unwrap(), thousandths < other);
        }

        /// Shows that no number, however odd, becomes a chapter that it isn't.
        #[test]
        fn no_number_is_bent(number in any::<f64>()) {
            if let Some(chapter) = Chapter::from_f64(number) {
                prop_assert!((chapter.as_f64() - number).abs() < 1e-6);
            }
        }
    }
}
