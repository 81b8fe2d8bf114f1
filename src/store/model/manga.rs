//! The catalogue.

use serde::{Deserialize, Serialize};

use super::{Chapter, UnixMillis, Window};

/// The integer key of a series. Its public twin is the slug.
pub type MangaId = i64;

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
