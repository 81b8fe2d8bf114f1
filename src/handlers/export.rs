//! Everything of a user's, to take along.
//!
//! An export has sections, each a list that comes in parts of bounded size; the first answer has the
//! first part of each, and says how to ask for the next. Which sections there are, and how their rows
//! look, is the family's table ([`Section`]): an area adds one line there and nothing here.

use std::collections::HashMap;

use serde_json::Value;

use super::api::{ApiError, Reply, Series};
use super::auth;
use super::effect::Lane;
use super::session::Session;
use super::{Access, Call, Caller, Ctx};
use crate::store::model::{MangaId, UnixMillis, User, UserId};
use crate::store::{Store, StoreError};

/// Puts together what there is of the caller.
pub const EXPORT: Call<Export> = Call { name: "account.export", access: Access::User, lane: Lane::Slow, run: export };

/// What is wanted, and in which shape.
#[derive(Debug)]
pub struct Export {
    /// The sections, with where each begins.
    pub sections: Vec<(&'static Section, Option<i64>)>,
    /// Puts the document together, from the account and the parts.
    pub shape: fn(&User, UnixMillis, Parts) -> Vec<u8>,
}

/// A list that belongs to a user.
#[derive(Debug)]
pub struct Section {
    /// Its name in the document.
    pub name: &'static str,
    /// Reads at most so many rows after a place, in the shape that they are shown in.
    pub read: fn(&mut Shelf<'_>, Option<i64>, u32) -> Result<Part, StoreError>,
}

/// A part of a section.
#[derive(Debug, Default)]
pub struct Part {
    /// Its rows.
    pub items: Vec<Value>,
    /// Where the next part begins, when there may be one.
    pub next: Option<i64>,
}

/// The part of each section, by its name.
pub type Parts = Vec<(&'static str, Part)>;

impl Part {
    /// A part of the rows that were read. When they are as many as were asked for there may be more, after
    /// the last one's place.
    pub fn new<T>(rows: Vec<T>, limit: u32, place: fn(&T) -> i64, show: impl FnMut(&T) -> Value) -> Self {
        let next = rows.last().filter(|_| rows.len() as u64 >= u64::from(limit)).map(place);
        Self { items: rows.iter().map(show).collect(), next }
    }
}

/// A user's rows, and the series they are about.
pub struct Shelf<'a> {
    /// Where they are.
    pub store: &'a mut dyn Store,
    /// Whose they are.
    pub user: &'a UserId,
    series: Names,
}

impl Shelf<'_> {
    /// What is known of these series, each looked up once.
    pub fn name(&mut self, wanted: impl Iterator<Item = MangaId>) -> Result<&Names, StoreError> {
        for id in wanted {
            if !self.series.contains_key(&id) {
                let series = Series::from(&self.store.manga(id)?);
                self.series.insert(id, series);
            }
        }
        Ok(&self.series)
    }
}

/// Series by their key.
pub type Names = HashMap<MangaId, Series>;

fn export(args: Export, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let Caller { id, .. } = ctx.caller()?;
    let now_ms = ctx.now.unix_ms;
    ctx.run(
        Lane::Slow,
        move |store| {
            let user = store.user(&id)?;
            let mut shelf = Shelf { store, user: &id, series: Names::new() };
            let mut parts = Parts::new();
            for (section, after) in &args.sections {
                parts.push((section.name, (section.read)(&mut shelf, *after, ROWS_MAX)?));
            }
            Ok((args.shape)(&user, now_ms, parts))
        },
        |document, _, ctx| {
            let document = document.map_err(|error| match error {
                StoreError::NotFound => auth::no_account(),
                other => other.into(),
            })?;
            ctx.reply(Reply::Export(document));
            Ok(())
        },
    );
    Ok(())
}

/// How many rows of each section one answer has: with the longest notes some megabytes, and usually less
/// than one.
const ROWS_MAX: u32 = 1000;
