//! The search: an index of texts, and the orders in which what it finds is shown.
//!
//! FTS5 tables hold the texts of every series, folded ([`fold`]), so that SQLite compares characters and
//! needs to know nothing of Unicode. Trigram indexes, of names and of descriptions, find any part of
//! three or more characters; for shorter ones there is an index of single characters and pairs. All are
//! written where the facts are, in the same transaction ([`index`]).
//!
//! **An exact total and a page in order, without reading the rows in between.** A common word is in
//! half of all titles, and joining and sorting those rows would take longer than everything else. So
//! no row is read that is not shown: the index yields keys, each condition is a bitmap of keys, the
//! total is the number of its ones, and the page is found by walking along an order that the
//! connection keeps in memory ([`Orders`]) and picking what is in the bitmap. What that costs is
//! measured in `docs/architecture.md`.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;
use std::sync::Arc;

use rusqlite::{Connection, Params, params};

use super::genres;
use super::manga::{by_id, facts_to_index, word};
use crate::store::model::{
    Manga, MangaFacts, MangaId, MangaQuery, MangaSort, Page, Publication, Standing, WORDS_MAX, fold,
};
use crate::store::{StoreError, UPSERTS_MAX};

// ---- writing the index

/// How entries are made; a new number makes the next start write all of them again.
pub(super) const VERSION: i64 = 2;

/// Puts a series into the index, or what is known of it now in the place of what was.
pub(super) fn index(conn: &Connection, id: MangaId, facts: &MangaFacts) -> Result<(), StoreError> {
    let texts = [titles(facts), people(facts), fold(&facts.slug), fold(&facts.description)];
    conn.prepare_cached("INSERT OR REPLACE INTO manga_search (rowid, titles, people, slug) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![id, texts[0], texts[1], texts[2]])?;
    conn.prepare_cached("INSERT OR REPLACE INTO manga_search_description (rowid, description) VALUES (?1, ?2)")?
        .execute(params![id, texts[3]])?;
    let short = texts.map(|text| short_parts(&text));
    conn.prepare_cached(
        "INSERT OR REPLACE INTO manga_search_short (rowid, titles, people, slug, description)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![id, short[0], short[1], short[2], short[3]])?;
    changed(conn)
}

/// Takes a series out of the index.
pub(super) fn forget(conn: &Connection, id: MangaId) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM manga_search WHERE rowid = ?1")?.execute([id])?;
    conn.prepare_cached("DELETE FROM manga_search_description WHERE rowid = ?1")?.execute([id])?;
    conn.prepare_cached("DELETE FROM manga_search_short WHERE rowid = ?1")?.execute([id])?;
    changed(conn)
}

/// Every series that is written or deleted passes here, so that connections learn of it.
fn changed(conn: &Connection) -> Result<(), StoreError> {
    conn.prepare_cached("UPDATE catalogue_version SET version = version + 1")?.execute([])?;
    Ok(())
}

/// Indexes the next series that are not up to date; returns the last one's key.
pub(super) fn index_next(conn: &Connection, after: MangaId) -> Result<Option<MangaId>, StoreError> {
    let next = facts_to_index(conn, after, VERSION, UPSERTS_MAX)?;
    for (id, facts) in &next {
        index(conn, *id, facts)?;
        conn.prepare_cached("UPDATE manga SET search_version = ?2 WHERE id = ?1")?.execute(params![id, VERSION])?;
    }
    Ok(next.last().map(|(id, _)| *id))
}

fn titles(facts: &MangaFacts) -> String {
    let known = [&facts.title_english, &facts.title_romanised, &facts.title_native];
    let titles = std::iter::once(&facts.title).chain(known.into_iter().flatten()).chain(&facts.alternative_titles);
    lines(titles)
}

fn people(facts: &MangaFacts) -> String {
    lines([&facts.author, &facts.artist].into_iter().flatten())
}

/// Folded and one to a line; since folded text has no line break, no match reaches over two.
fn lines<'a>(texts: impl Iterator<Item = &'a String>) -> String {
    texts.map(|text| fold(text)).collect::<Vec<_>>().join("\n")
}

/// The characters and pairs of characters that occur in the lines of a text, each once, as words.
fn short_parts(text: &str) -> String {
    let mut parts = BTreeSet::new();
    for line in text.lines() {
        let mut before = None;
        for (start, char) in line.char_indices() {
            let end = start + char.len_utf8();
            parts.insert(&line[start..end]);
            if let Some(before) = before.replace(start) {
                parts.insert(&line[before..end]);
            }
        }
    }
    parts.into_iter().map(as_word).collect::<Vec<_>>().join(" ")
}

/// A short text as the index of short texts writes it: digits are words to every tokenizer, while
/// blanks, marks and emoji are not.
fn as_word(text: &str) -> String {
    text.bytes().fold(String::new(), |mut word, byte| {
        // Writing to a string can't fail.
        let _ = write!(word, "{byte:02x}");
        word
    })
}

// ---- searching

/// The part of the catalogue that a query asks for, with the number of all that match.
pub(super) fn page(conn: &Connection, orders: &mut Orders, query: &MangaQuery) -> Result<Page<Manga>, StoreError> {
    orders.refresh(conn)?;
    let mut found = orders.with_status(query.status);
    narrow_by_text(conn, orders, query, &mut found)?;
    narrow_by_genre(conn, query, &mut found)?;
    if let Some(least) = query.rating_min_hundredths {
        let standings = standings(conn)?.into_iter();
        let good = standings.filter(|(_, standing)| is_rated(*standing, least)).map(|(id, _)| id);
        found.narrow(&good.collect());
    }
    let items = shown(conn, orders, query, &found)?;
    Ok(Page { items: items.into_iter().map(|id| by_id(conn, id)).collect::<Result<_, _>>()?, total: found.len() })
}

/// The keys of the window, in the order asked for.
fn shown(conn: &Connection, orders: &Orders, query: &MangaQuery, found: &Keys) -> Result<Vec<MangaId>, StoreError> {
    let by_standing;
    let order = match query.sort {
        MangaSort::Title => &orders.by_title,
        MangaSort::Recent => &orders.by_age,
        MangaSort::Popularity | MangaSort::Rating => {
            by_standing = sort_by_standing(conn, orders, query.sort, found)?;
            &by_standing
        }
    };
    let limit = query.window.limit.map_or(usize::MAX, |limit| limit as usize);
    let found = order.iter().map(|id| MangaId::from(*id)).filter(|id| found.contains(*id));
    Ok(found.skip(query.window.offset as usize).take(limit).collect())
}

/// What is read or rated changes all the time, so that no order by it is kept: it is made for each
/// query, out of an index. What nobody has read or rated follows by title, and needs no sorting.
fn sort_by_standing(conn: &Connection, orders: &Orders, sort: MangaSort, found: &Keys) -> Result<Vec<u32>, StoreError> {
    let height = |standing: Standing| match sort {
        MangaSort::Rating => (standing.rating_sum * MILLION).checked_div(standing.rating_count).unwrap_or(0),
        _ => standing.readers,
    };
    let heights = standings(conn)?.into_iter().map(|(id, standing)| (id, height(standing)));
    let heights: HashMap<MangaId, i64> = heights.filter(|(_, height)| *height > 0).collect();
    let height = |id: &u32| heights.get(&MangaId::from(*id)).copied();
    let by_title = orders.by_title.iter().copied().filter(|id| found.contains(MangaId::from(*id)));
    let (mut order, rest): (Vec<u32>, Vec<u32>) = by_title.partition(|id| height(id).is_some());
    order.sort_by_key(|id| std::cmp::Reverse(height(id)));
    order.extend(rest);
    Ok(order)
}

/// Averages are compared as whole numbers of millionths.
const MILLION: i64 = 1_000_000;

fn is_rated(standing: Standing, least_hundredths: u16) -> bool {
    standing.rating_count > 0 && standing.rating_sum * 100 >= i64::from(least_hundredths) * standing.rating_count
}

/// The series that somebody has read or rated.
fn standings(conn: &Connection) -> Result<Vec<(MangaId, Standing)>, StoreError> {
    let mut statement = conn.prepare_cached(STANDINGS)?;
    let rows = statement.query_map([], |row| {
        Ok((row.get(0)?, Standing { readers: row.get(1)?, rating_sum: row.get(2)?, rating_count: row.get(3)? }))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn narrow_by_text(
    conn: &Connection,
    orders: &mut Orders,
    query: &MangaQuery,
    found: &mut Keys,
) -> Result<(), StoreError> {
    let mut needles = Needles::default();
    needles.add("titles", &fold(query.title.as_deref().unwrap_or("")));
    needles.add("people", &fold(query.author.as_deref().unwrap_or("")));
    let words = fold(query.words.as_deref().unwrap_or(""));
    let words = distinct_words(&words);
    if words.len() > WORDS_MAX {
        *found = Keys::default();
        return Ok(());
    }
    for word in words {
        match query.in_description {
            // Only the trigrams are apart; the short parts of all texts are in one table.
            true if word.chars().count() < TRIGRAM => needles.add("titles people slug description", word),
            true => found.narrow(&anywhere(conn, orders, word)?),
            false => needles.add("titles people slug", word),
        }
    }
    // All of a table at once: it leaps from match to match of the rarest, and common words cost little.
    for (sql, parts) in [(IN_NAMES, needles.long), (IN_SHORT, needles.short)] {
        if !parts.is_empty() {
            found.narrow(&*orders.matches(conn, sql, parts.join(" AND "))?);
        }
    }
    Ok(())
}

/// The series that have a word of three or more characters in any of their texts.
fn anywhere(conn: &Connection, orders: &mut Orders, word: &str) -> Result<Keys, StoreError> {
    let mut found = Keys::clone(&*orders.matches(conn, IN_NAMES, quoted(word))?);
    found.widen(&*orders.matches(conn, IN_DESCRIPTIONS, quoted(word))?);
    Ok(found)
}

const IN_NAMES: &str = "SELECT rowid FROM manga_search WHERE manga_search MATCH ?1";
const IN_DESCRIPTIONS: &str = "SELECT rowid FROM manga_search_description WHERE manga_search_description MATCH ?1";
const IN_SHORT: &str = "SELECT rowid FROM manga_search_short WHERE manga_search_short MATCH ?1";

/// Shorter texts have no trigram.
const TRIGRAM: usize = 3;

/// A text as FTS5 takes it literally: in quotes nothing means anything but a quote, which is doubled.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// The words of a text, without those that are part of another: where that one is, they are too.
fn distinct_words(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> = text.split_whitespace().collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let mut distinct: Vec<&str> = Vec::new();
    for word in words {
        if distinct.len() <= WORDS_MAX && !distinct.iter().any(|longer| longer.contains(word)) {
            distinct.push(word);
        }
    }
    distinct
}

/// What to look for in each of the two indexes, in the language of FTS5.
#[derive(Default)]
struct Needles {
    long: Vec<String>,
    short: Vec<String>,
}

impl Needles {
    /// Adds a folded text that must be part of one of these columns.
    fn add(&mut self, columns: &str, text: &str) {
        match text.chars().count() {
            0 => {}
            1..TRIGRAM => self.short.push(format!("{{{columns}}} : {}", as_word(text))),
            _ => self.long.push(format!("{{{columns}}} : {}", quoted(text))),
        }
    }
}

fn narrow_by_genre(conn: &Connection, query: &MangaQuery, found: &mut Keys) -> Result<(), StoreError> {
    if query.genre.is_none() && query.genres.is_empty() {
        return Ok(());
    }
    let all = genres::all(conn)?;
    if let Some(part) = query.genre.as_deref().map(fold) {
        let genres = all.iter().filter(|genre| fold(&genre.name).contains(&part));
        let mut any = Keys::default();
        for genre in genres {
            any.widen(&genres::members(conn, genre.id)?);
        }
        found.narrow(&any);
    }
    for wanted in &query.genres {
        let (key, name) = (wanted.parse::<i64>(), fold(wanted));
        let genre = all.iter().find(|genre| key.as_ref().map_or(fold(&genre.name) == name, |key| genre.id == *key));
        found.narrow(&genre.map_or(Ok(Keys::default()), |genre| genres::members(conn, genre.id))?);
    }
    Ok(())
}

/// The keys that a statement yields.
pub(super) fn keys(conn: &Connection, sql: &str, params: impl Params) -> Result<Keys, StoreError> {
    let mut statement = conn.prepare_cached(sql)?;
    let keys = statement.query_map(params, |row| row.get(0))?;
    Ok(keys.collect::<Result<_, _>>()?)
}

// ---- keys and orders

/// A set of keys, one bit for each that there could be.
#[derive(Debug, Default, Clone)]
pub(super) struct Keys(Vec<u64>);

impl Keys {
    fn contains(&self, id: MangaId) -> bool {
        self.0.get(id as usize / 64).is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    /// Adds a key. SQLite counts keys up from 1 and rows stay, so they are dense; one that a stranger's
    /// hand made up, far beyond, is not found rather than given room.
    fn insert(&mut self, id: MangaId) {
        if !(0..KEYS_MAX).contains(&id) {
            return;
        }
        let place = id as usize / 64;
        if place >= self.0.len() {
            self.0.resize(place + 1, 0);
        }
        self.0[place] |= 1 << (id % 64);
    }

    fn narrow(&mut self, other: &Self) {
        self.0.truncate(other.0.len());
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= other);
    }

    fn widen(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word |= other);
    }

    fn len(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

impl FromIterator<MangaId> for Keys {
    fn from_iter<I: IntoIterator<Item = MangaId>>(ids: I) -> Self {
        let mut keys = Self::default();
        ids.into_iter().for_each(|id| keys.insert(id));
        keys
    }
}

/// Keys beyond this one are not found: four million series, whose set is half a megabyte.
const KEYS_MAX: MangaId = 1 << 22;

/// What a connection keeps of the catalogue as it saw it last: its orders and statuses, eight bytes a
/// series, and what common searches found, for finding it takes the longest: 60 nanoseconds a series.
///
/// All of it goes when the catalogue has changed, and reading the orders again takes 20 ms for 100,000
/// series. Changes are an administrator's, so they are rare; should they come by the second, the orders
/// belong into one place that all connections share.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// The catalogue's version; 0 when nothing was read yet.
    version: i64,
    by_title: Vec<u32>,
    by_age: Vec<u32>,
    all: Keys,
    by_status: HashMap<Publication, Keys>,
    common: HashMap<(&'static str, String), Arc<Keys>>,
}

/// A search that finds fewer is done again in less time than it is worth keeping.
const COMMON_KEYS_MIN: u64 = 2000;

/// How many common searches are kept: 3 MB with 100,000 series. At the bound all are forgotten; what is
/// common is soon there again.
const COMMON_MAX: usize = 256;

impl Orders {
    fn refresh(&mut self, conn: &Connection) -> Result<(), StoreError> {
        let version =
            conn.prepare_cached("SELECT version FROM catalogue_version")?.query_row([], |row| row.get::<_, i64>(0))?;
        if version == self.version {
            return Ok(());
        }
        *self = Self::default();
        let mut statement = conn.prepare_cached(BY_TITLE)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let id: MangaId = row.get(0)?;
            self.by_title.extend(u32::try_from(id));
            self.all.insert(id);
            if let Some(status) = word(row, 1, Publication::parse)? {
                self.by_status.entry(status).or_default().insert(id);
            }
        }
        let mut statement = conn.prepare_cached(BY_AGE)?;
        let newest = statement.query_map([], |row| row.get::<_, MangaId>(0))?;
        for id in newest {
            self.by_age.extend(u32::try_from(id?));
        }
        self.version = version;
        Ok(())
    }

    /// The keys that one of the indexes finds for a text in its language.
    fn matches(&mut self, conn: &Connection, sql: &'static str, text: String) -> Result<Arc<Keys>, StoreError> {
        let search = (sql, text);
        if let Some(kept) = self.common.get(&search) {
            return Ok(kept.clone());
        }
        let found = Arc::new(keys(conn, sql, [&search.1])?);
        if found.len() >= COMMON_KEYS_MIN {
            if self.common.len() == COMMON_MAX {
                self.common.clear();
            }
            self.common.insert(search, found.clone());
        }
        Ok(found)
    }

    fn with_status(&self, status: Option<Publication>) -> Keys {
        match status {
            None => self.all.clone(),
            Some(status) => self.by_status.get(&status).cloned().unwrap_or_default(),
        }
    }
}

const BY_TITLE: &str = "SELECT id, status FROM manga WHERE deleted_at IS NULL ORDER BY title COLLATE NOCASE, id";
const BY_AGE: &str = "SELECT id FROM manga WHERE deleted_at IS NULL ORDER BY created_at DESC, id DESC";
const STANDINGS: &str = "SELECT id, readers, rating_sum, rating_count FROM manga
     WHERE deleted_at IS NULL AND (readers > 0 OR rating_count > 0)";

#[cfg(test)]
mod tests {
    use super::super::{manga, migrations};
    use super::*;

    fn set(ids: &[MangaId]) -> Keys {
        ids.iter().copied().collect()
    }

    /// Shows what a set is after others have narrowed and widened it, whatever their lengths, and that a
    /// key out of all proportion takes no room.
    #[test]
    fn sets_of_keys() {
        let members = |keys: &Keys| (0..300).filter(|id| keys.contains(*id)).collect::<Vec<_>>();
        let mut keys = set(&[1, 64, 200]);
        keys.narrow(&set(&[1, 64, 65]));
        assert_eq!((members(&keys), keys.len()), (vec![1, 64], 2));
        keys.widen(&set(&[2, 299]));
        assert_eq!(members(&keys), [1, 2, 64, 299]);
        keys.narrow(&Keys::default());
        assert_eq!((members(&keys), keys.len()), (vec![], 0));
        let odd = set(&[-1, i64::MIN, i64::MAX, KEYS_MAX]);
        assert_eq!((odd.0.len(), odd.contains(-1), odd.contains(i64::MAX)), (0, false, false));
    }

    /// Shows that a word within another one is not looked for, and that words are counted to a bound.
    #[test]
    fn words_within_words_are_dropped() {
        assert_eq!(distinct_words("one  piece on pie one"), ["piece", "one"]);
        assert_eq!(distinct_words(" "), [""; 0]);
        let many: Vec<String> = (100..200).map(|number| number.to_string()).collect();
        assert!(distinct_words(&many.join(" ")).len() > WORDS_MAX);
    }

    /// Shows that series from before there was an index get into it, some at a time and each once.
    #[test]
    fn old_series_are_indexed() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrations::run(&mut conn, &migrations::LANDED[..2]).unwrap();
        conn.execute_batch(
            "INSERT INTO manga (slug, title, alternative_titles, search_titles, search_people, status, created_at,
                                updated_at, description)
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 501)
             SELECT 'slug-' || n, 'Élan ' || n, '[]', '', '', 'ongoing', 0, 0, '' FROM n",
        )
        .unwrap();
        migrations::run(&mut conn, migrations::LANDED).unwrap();
        let query = MangaQuery { words: Some("elan 50".into()), ..MangaQuery::default() };
        assert_eq!(page(&conn, &mut Orders::default(), &query).unwrap().total, 0);
        assert_eq!(index_next(&conn, 0), Ok(Some(500)));
        assert_eq!(index_next(&conn, 500), Ok(Some(501)));
        assert_eq!(index_next(&conn, 501), Ok(None));
        assert_eq!(index_next(&conn, 0), Ok(None));
        let found = page(&conn, &mut Orders::default(), &query).unwrap();
        let slugs: Vec<_> = found.items.iter().map(|manga| manga.facts.slug.as_str()).collect();
        assert_eq!(slugs, ["slug-150", "slug-250", "slug-350", "slug-450", "slug-50", "slug-500", "slug-501"]);
        assert!(manga::upsert(&conn, &[found.items[0].facts.clone()], 1).unwrap() == 0, "the file knows its series");
    }

    /// Shows that what many series match is kept, to a bound, and only until the catalogue changes.
    #[test]
    fn common_searches_are_kept() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrations::run(&mut conn, migrations::LANDED).unwrap();
        let count = COMMON_KEYS_MIN as usize;
        let series = |number: usize| MangaFacts::named(format!("s-{number}"), format!("Common {number}"));
        for first in (0..count).step_by(UPSERTS_MAX) {
            let facts: Vec<_> = (first..first + UPSERTS_MAX).map(series).collect();
            manga::upsert(&conn, &facts, 0).unwrap();
        }
        let mut orders = Orders::default();
        let mut find = |conn: &Connection, title: &str| {
            let query = MangaQuery { title: Some(title.into()), ..MangaQuery::default() };
            let total = page(conn, &mut orders, &query).unwrap().total;
            (total, orders.common.len())
        };
        assert_eq!(find(&conn, "common"), (COMMON_KEYS_MIN, 1));
        assert_eq!(find(&conn, "common"), (COMMON_KEYS_MIN, 1));
        assert_eq!(find(&conn, "common 77"), (11, 1));
        manga::upsert(&conn, &[series(count)], 0).unwrap();
        assert_eq!(find(&conn, "mmo"), (COMMON_KEYS_MIN + 1, 1));
    }

    /// Shows that the orders and standings are read out of indexes, without the rows.
    #[test]
    fn orders_need_no_rows() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrations::run(&mut conn, migrations::LANDED).unwrap();
        for sql in [BY_TITLE, BY_AGE, STANDINGS] {
            let plan: Vec<String> = conn
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
                .unwrap()
                .query_map([], |row| row.get(3))
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            assert!(plan.len() == 1 && plan[0].contains("COVERING INDEX"), "{plan:?}");
        }
    }

    /// Shows that short parts are those of each line, each once, in digits.
    #[test]
    fn short_parts_are_characters_and_pairs() {
        assert_eq!(short_parts("aba\nb"), "61 6162 62 6261");
        assert_eq!(short_parts("か "), "20 e3818b e3818b20");
        assert_eq!(short_parts(""), "");
    }
}
