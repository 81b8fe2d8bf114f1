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
    /// What readers make of it.
    pub standing: Standing,
}

/// How many read a series, and what they think of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Users with progress.
    pub readers: i64,
    /// What all ratings add up to.
    pub rating_sum: i64,
    /// How many ratings there are.
    pub rating_count: i64,
}

impl Standing {
    /// The average rating, rounded to two decimals; `None` without ratings.
    pub fn average_rating(self) -> Option<f64> {
        let average = || self.rating_sum as f64 / self.rating_count as f64;
        (self.rating_count > 0).then(|| (average() * 100.0).round() / 100.0)
    }
}

/// A genre.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Genre {
    /// Its key.
    pub id: i64,
    /// Its name, in lower case.
    pub name: String,
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

/// Which series a list shows: every given part must match. Case and accents are ignored everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MangaQuery {
    /// Part of any title.
    pub title: Option<String>,
    /// Part of the author's or artist's name.
    pub author: Option<String>,
    /// Part of a genre's name.
    pub genre: Option<String>,
    /// Words, each of them part of a title, a name, or the slug. More than [`WORDS_MAX`] different
    /// ones find nothing.
    pub words: Option<String>,
    /// The words may also stand in the description.
    pub in_description: bool,
    /// Genres that a series must all have: each a name, or the digits of a key.
    pub genres: Vec<String>,
    /// The publication status.
    pub status: Option<Publication>,
    /// The least average rating, in hundredths.
    pub rating_min_hundredths: Option<u16>,
    /// What comes first.
    pub sort: MangaSort,
    /// How many to skip and to show.
    pub window: Window,
}

/// The most different words in a [`MangaQuery`]: more than the longest title has.
pub const WORDS_MAX: usize = 32;

words! {
    /// The orders of a list. What is equal in one stands by title.
    #[derive(Default)]
    MangaSort {
        /// By title.
        #[default]
        Title = "title",
        /// The newest in the catalogue first.
        Recent = "recent",
        /// The one with the most readers first.
        Popularity = "popularity",
        /// The best first, those without a rating last.
        Rating = "rating",
    }
}

/// One fact, as an administrator gives it. A change is a list of them, and so is a new series.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// The public id.
    Slug(String),
    /// The title shown.
    Title(String),
    /// The licensed English title.
    TitleEnglish(Option<String>),
    /// The original title in Latin letters.
    TitleRomanised(Option<String>),
    /// The original title in its own script.
    TitleNative(Option<String>),
    /// Other names.
    AlternativeTitles(Vec<String>),
    /// Who wrote it.
    Author(Option<String>),
    /// Who drew it.
    Artist(Option<String>),
    /// Genre names.
    Genres(Vec<String>),
    /// The readers it is made for.
    Demographic(Option<Demographic>),
    /// Where it stands with its publisher.
    Status(Publication),
    /// The year of its first chapter.
    Year(Option<i32>),
    /// How many chapters it has in all.
    ChaptersTotal(Option<Chapter>),
    /// How many volumes it has in all.
    VolumesTotal(Option<i32>),
    /// The latest chapter known to be out.
    LatestChapter(Option<Chapter>),
    /// The chapters there are so far, from a client that has one number for both: the end of a series
    /// that has ended, the latest chapter of one that runs.
    ChaptersSoFar(Option<Chapter>),
    /// One to three sentences.
    Description(String),
    /// Where its cover can be seen.
    CoverUrl(Option<String>),
}

impl MangaFacts {
    /// A series of which only names are known; it runs.
    pub fn named(slug: String, title: String) -> Self {
        Self {
            slug,
            title,
            title_english: None,
            title_romanised: None,
            title_native: None,
            alternative_titles: Vec::new(),
            author: None,
            artist: None,
            genres: Vec::new(),
            demographic: None,
            status: Publication::Ongoing,
            year: None,
            chapters_total: None,
            volumes_total: None,
            latest_chapter: None,
            description: String::new(),
            cover_url: None,
        }
    }

    /// Takes one fact over. The status comes before what depends on it.
    pub fn set(&mut self, fact: Fact) {
        match fact {
            Fact::Slug(slug) => self.slug = slug,
            Fact::Title(title) => self.title = title,
            Fact::TitleEnglish(title) => self.title_english = title,
            Fact::TitleRomanised(title) => self.title_romanised = title,
            Fact::TitleNative(title) => self.title_native = title,
            Fact::AlternativeTitles(titles) => self.alternative_titles = titles,
            Fact::Author(author) => self.author = author,
            Fact::Artist(artist) => self.artist = artist,
            Fact::Genres(genres) => self.genres = genres,
            Fact::Demographic(demographic) => self.demographic = demographic,
            Fact::Status(status) => self.status = status,
            Fact::Year(year) => self.year = year,
            Fact::ChaptersTotal(total) => self.chapters_total = total,
            Fact::VolumesTotal(total) => self.volumes_total = total,
            Fact::LatestChapter(latest) => self.latest_chapter = latest,
            Fact::ChaptersSoFar(so_far) => {
                self.chapters_total = so_far.filter(|_| self.status == Publication::Completed);
                self.latest_chapter = so_far;
            }
            Fact::Description(description) => self.description = description,
            Fact::CoverUrl(url) => self.cover_url = url,
        }
    }
}

words! {
    /// What an administrator's change was.
    MangaEventKind {
        /// A series came into the catalogue.
        NewManga = "new_manga",
        /// Facts changed.
        MangaUpdate = "manga_update",
        /// A chapter came out.
        NewChapter = "new_chapter",
    }
}

/// An administrator's change, kept for those who want to be told.
#[derive(Debug, Clone, PartialEq)]
pub struct MangaEvent {
    /// Its number; later events have higher ones.
    pub seq: i64,
    /// Of which series.
    pub manga_id: MangaId,
    /// What it was.
    pub kind: MangaEventKind,
    /// Which facts changed, and how.
    pub changes: Vec<FieldChange>,
    /// When.
    pub created_at: UnixMillis,
}

/// How one fact changed, by the name that it has in [`MangaFacts`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Which fact.
    pub field: String,
    /// What it was.
    pub old_value: serde_json::Value,
    /// What it is.
    pub new_value: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that one number of chapters is the end of a series only when that has ended.
    #[test]
    fn one_number_of_chapters() {
        let mut facts = MangaFacts::named("a".into(), "A".into());
        facts.set(Fact::ChaptersSoFar(Chapter::whole(7)));
        assert_eq!((facts.chapters_total, facts.latest_chapter), (None, Chapter::whole(7)));
        facts.set(Fact::Status(Publication::Completed));
        facts.set(Fact::ChaptersSoFar(Chapter::whole(9)));
        assert_eq!((facts.chapters_total, facts.latest_chapter), (Chapter::whole(9), Chapter::whole(9)));
    }

    /// Shows that an average has two decimals, and that there is none without ratings.
    #[test]
    fn averages() {
        let standing = |rating_sum, rating_count| Standing { readers: 0, rating_sum, rating_count };
        assert_eq!(standing(0, 0).average_rating(), None);
        assert_eq!(standing(20, 3).average_rating(), Some(6.67));
        assert_eq!(standing(10, 1).average_rating(), Some(10.0));
    }
}
