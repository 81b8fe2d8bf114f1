//! The catalogue, as administrators change it.
//!
//! A change is stored with the event that tells of it, and with the notification for its readers; when
//! that is committed, the catalogue in memory follows, in the same turn in which the answer goes out. So
//! whoever has the answer finds the change.

use super::api::{self, ApiError, ErrorKind};
use super::catalogue::{MangaRef, Shape};
use super::effect::Lane;
use super::manga::{Reply, known, or_not_found};
use super::notices::tell;
use super::session::Session;
use super::{Access, Call, Ctx};
use crate::store::model::{Fact, Manga, MangaFacts, UnixMillis, slugify};
use crate::store::{Store, StoreError};

/// Adds a series.
pub const CREATE: Call<Draft> = Call { name: "manga.create", access: Access::Admin, lane: Lane::Write, run: create };
/// Changes facts of a series.
pub const CHANGE: Call<Change> = Call { name: "manga.change", access: Access::Admin, lane: Lane::Write, run: change };
/// Takes a series out.
pub const DELETE: Call<MangaRef> = Call { name: "manga.delete", access: Access::Admin, lane: Lane::Write, run: delete };
/// Adds a genre.
pub const CREATE_GENRE: Call<String> =
    Call { name: "genre.create", access: Access::Admin, lane: Lane::Write, run: create_genre };

/// Facts as a client gave them, each checked.
#[derive(Debug, Default)]
pub struct Draft {
    /// Those that were given, the status before what depends on it.
    pub facts: Vec<Fact>,
    /// Genres by their keys; they are looked up where they are stored.
    pub genre_ids: Option<Vec<i64>>,
}

/// A change of a series.
#[derive(Debug)]
pub struct Change {
    /// Which series.
    pub manga: MangaRef,
    /// What changes.
    pub draft: Draft,
    /// Whose words a refusal has.
    pub shape: Shape,
}

/// What a job that writes a series comes to.
enum Written {
    /// It is stored, and so is what readers are told of it.
    Manga(Box<Manga>, tell::Stored),
    /// Nothing is: there is no genre of this key.
    NoGenre(i64),
}

fn create(draft: Draft, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let title = draft.facts.iter().find_map(|fact| if let Fact::Title(title) = fact { Some(title) } else { None });
    let title = title.cloned().ok_or_else(|| ApiError::invalid("title: required"))?;
    let named = MangaFacts::named(fresh_slug(&title, ctx), title);
    let now = ctx.now.unix_ms;
    ctx.run(
        Lane::Write,
        move |store| {
            let changes = match with_genres(&draft, store)? {
                Ok(changes) => changes,
                Err(unknown) => return Ok(Written::NoGenre(unknown)),
            };
            let mut facts = named.clone();
            changes.into_iter().for_each(|fact| facts.set(fact));
            write(store, now, |store| store.create_manga(&facts, now))
        },
        |written, _, ctx| finish(written.map_err(slug_is_taken)?, Reply::Made, ctx),
    );
    Ok(())
}

fn change(args: Change, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let id = known(&args.manga, args.shape, ctx)?;
    let (draft, now) = (args.draft, ctx.now.unix_ms);
    ctx.run(
        Lane::Write,
        move |store| match with_genres(&draft, store)? {
            Ok(changes) => write(store, now, |store| store.change_manga(id, &changes, now)),
            Err(unknown) => Ok(Written::NoGenre(unknown)),
        },
        move |written, _, ctx| {
            let written = written.map_err(|error| match error {
                StoreError::NotFound => or_not_found(error, args.shape),
                other => slug_is_taken(other),
            })?;
            finish(written, Reply::Changed, ctx)
        },
    );
    Ok(())
}

/// Within a job: writes a series, and what readers are told of it.
fn write(
    store: &mut dyn Store,
    now: UnixMillis,
    write: impl Fn(&mut dyn Store) -> Result<Manga, StoreError>,
) -> Result<Written, StoreError> {
    let before = store.last_manga_event()?;
    let manga = write(store)?;
    let told = tell::store_events(&manga, before, store, now)?;
    Ok(Written::Manga(Box::new(manga), told))
}

/// The catalogue in memory follows what was committed.
fn finish(written: Written, reply: fn(Box<Manga>) -> Reply, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    match written {
        Written::NoGenre(id) => Err(ApiError::invalid(format!("genre_ids: there is no genre {id}"))),
        Written::Manga(manga, told) => {
            ctx.state.catalogue.put(&manga);
            ctx.reply(api::Reply::Catalogue(reply(manga)));
            tell::publish(told, ctx);
            Ok(())
        }
    }
}

/// Deleting what isn't there is no mistake: it may be the second try.
fn delete(manga: MangaRef, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let Some(id) = ctx.state.catalogue.find(&manga).map(|series| series.id) else {
        ctx.reply(api::Reply::Catalogue(Reply::Deleted));
        return Ok(());
    };
    let now = ctx.now.unix_ms;
    ctx.run(
        Lane::Write,
        move |store| store.delete_manga(id, now),
        move |deleted, _, ctx| {
            deleted?;
            ctx.state.catalogue.remove(id);
            ctx.reply(api::Reply::Catalogue(Reply::Deleted));
            Ok(())
        },
    );
    Ok(())
}

fn create_genre(name: String, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    ctx.run(
        Lane::Write,
        move |store| store.create_genre(&name),
        |genre, _, ctx| {
            let genre = genre.map_err(|error| match error {
                StoreError::Conflict => ApiError::new(ErrorKind::Conflict, "genre already exists"),
                other => other.into(),
            })?;
            ctx.reply(api::Reply::Catalogue(Reply::GenreMade(genre)));
            Ok(())
        },
    );
    Ok(())
}

/// The facts of a draft, its genres by name; `Err` with the first key that no genre has.
fn with_genres(draft: &Draft, store: &mut dyn Store) -> Result<Result<Vec<Fact>, i64>, StoreError> {
    let mut facts = draft.facts.clone();
    let Some(ids) = &draft.genre_ids else { return Ok(Ok(facts)) };
    let all = store.genres()?;
    let name = |id: &i64| all.iter().find(|genre| genre.id == *id).map(|genre| genre.name.clone()).ok_or(*id);
    Ok(ids.iter().map(name).collect::<Result<_, _>>().map(|names| {
        facts.push(Fact::Genres(names));
        facts
    }))
}

/// The slug of a series that is given none: its title's, and something that no other has.
fn fresh_slug(title: &str, ctx: &mut Ctx<'_>) -> String {
    let (slug, id) = (slugify(title), ctx.state.fresh_id().simple().to_string());
    match slug.as_str() {
        "" => format!("manga-{}", &id[..8]),
        slug => format!("{slug}-{}", &id[..8]),
    }
}

fn slug_is_taken(error: StoreError) -> ApiError {
    match error {
        StoreError::Conflict => ApiError::new(ErrorKind::Conflict, "slug: already taken"),
        other => other.into(),
    }
}
