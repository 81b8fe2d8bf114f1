//! The catalogue, as readers see it: lists, searches, one series, genres.

use std::sync::Arc;

use super::api::{self, ApiError};
use super::catalogue::{MangaRef, Shape};
use super::effect::Lane;
use super::encoded::Encoded;
use super::session::Session;
use super::{Access, Call, Ctx};
use crate::store::StoreError;
use crate::store::model::{Genre, Manga, MangaQuery, Page, Window};

/// Lists the series that match.
pub const SEARCH: Call<MangaQuery> =
    Call { name: "manga.search", access: Access::Public, lane: Lane::Read, run: search };
/// Shows one series.
pub const DETAIL: Call<Detail> = Call { name: "manga.detail", access: Access::Public, lane: Lane::Read, run: detail };
/// Lists series in one of the second family's ways.
pub const LIST: Call<Listing> = Call { name: "manga.list", access: Access::Public, lane: Lane::Read, run: list };
/// Lists the genres.
pub const GENRES: Call<()> = Call { name: "genre.list", access: Access::Public, lane: Lane::Read, run: genres };
/// Lists the series of a genre.
pub const OF_GENRE: Call<OfGenre> =
    Call { name: "genre.manga", access: Access::Public, lane: Lane::Read, run: of_genre };

/// What is said of the catalogue, beside what every family says.
#[derive(Debug)]
pub enum Reply {
    /// Part of a list, what was asked, and in which way it was.
    List(Page<Manga>, Box<MangaQuery>, ListKind),
    /// A series that was made.
    Made(Box<Manga>),
    /// A series as it now is.
    Changed(Box<Manga>),
    /// A series is not in the catalogue, or no longer.
    Deleted,
    /// All genres.
    Genres(Vec<Genre>),
    /// A genre that was made.
    GenreMade(Genre),
}

/// The ways in which the second family lists series: each has a shape of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKind {
    /// Everything, in pages.
    All,
    /// What matches some words, in one piece.
    Found,
    /// What matches filters, in pages, with the filters.
    Filtered,
    /// What is of a genre.
    OfGenre,
}

/// Which series, and how its family puts it: the answer is made once and then shared.
pub struct Detail {
    /// Which series.
    pub manga: MangaRef,
    /// Whose shape `encode` makes.
    pub shape: Shape,
    /// Puts it into that shape.
    pub encode: fn(&Manga) -> Vec<u8>,
}

/// What to list, and in which way.
pub struct Listing {
    /// What.
    pub query: MangaQuery,
    /// The way.
    pub kind: ListKind,
}

/// Series of which genre.
pub struct OfGenre {
    /// The genre's key.
    pub genre: i64,
    /// Which part of the list.
    pub window: Window,
}

fn search(mut query: MangaQuery, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let limit = query.window.limit.map(|limit| limit.min(ROWS_MAX));
    let window = Window { limit, ..query.window };
    query.window.limit = limit.or(Some(ROWS_MAX));
    ctx.run(
        Lane::Read,
        move |store| store.search_manga(&query),
        move |page, _, ctx| {
            ctx.reply(api::Reply::MangaList(page?, window));
            Ok(())
        },
    );
    Ok(())
}

fn list(args: Listing, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    ctx.run(
        Lane::Read,
        move |store| store.search_manga(&args.query).map(|page| (page, args.query.clone())),
        move |listed, _, ctx| {
            let (page, query) = listed?;
            ctx.reply(api::Reply::Catalogue(Reply::List(page, Box::new(query), args.kind)));
            Ok(())
        },
    );
    Ok(())
}

fn detail(args: Detail, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let id = known(&args.manga, args.shape, ctx)?;
    if let Some(made) = ctx.state.catalogue.detail(id, args.shape) {
        ctx.reply(api::Reply::MangaDetail(made));
        return Ok(());
    }
    let changes = ctx.state.catalogue.changes();
    ctx.run(
        Lane::Read,
        move |store| store.manga(id),
        move |manga, _, ctx| {
            let manga = manga.map_err(|error| or_not_found(error, args.shape))?;
            let made = Arc::new(Encoded::new((args.encode)(&manga)));
            ctx.state.catalogue.keep_detail(id, args.shape, made.clone(), changes);
            ctx.reply(api::Reply::MangaDetail(made));
            Ok(())
        },
    );
    Ok(())
}

fn genres((): (), _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    ctx.run(
        Lane::Read,
        |store| store.genres(),
        |genres, _, ctx| {
            ctx.reply(api::Reply::Catalogue(Reply::Genres(genres?)));
            Ok(())
        },
    );
    Ok(())
}

fn of_genre(args: OfGenre, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let query = MangaQuery { genres: vec![args.genre.to_string()], window: args.window, ..MangaQuery::default() };
    ctx.run(
        Lane::Read,
        move |store| match store.genres()?.iter().any(|genre| genre.id == args.genre) {
            true => store.search_manga(&query).map(|page| (page, query.clone())),
            false => Err(StoreError::NotFound),
        },
        |listed, _, ctx| {
            let (page, query) = listed.map_err(|error| match error {
                StoreError::NotFound => ApiError::not_found("genre not found"),
                other => other.into(),
            })?;
            ctx.reply(api::Reply::Catalogue(Reply::List(page, Box::new(query), ListKind::OfGenre)));
            Ok(())
        },
    );
    Ok(())
}

/// The key of the series that a client named.
pub fn known(manga: &MangaRef, shape: Shape, ctx: &Ctx<'_>) -> Result<i64, ApiError> {
    let series = ctx.state.catalogue.find(manga);
    series.map(|series| series.id).ok_or_else(|| or_not_found(StoreError::NotFound, shape))
}

/// The refusal for a series that isn't there, in the words of its family.
pub fn or_not_found(error: StoreError, shape: Shape) -> ApiError {
    match (error, shape) {
        (StoreError::NotFound, Shape::Second) => ApiError::not_found("manga not found"),
        (StoreError::NotFound, _) => ApiError::not_found("Manga not found"),
        (other, _) => other.into(),
    }
}

/// The most series in one answer, asked for or not: a megabyte, and a few milliseconds of a reader.
const ROWS_MAX: u32 = 1000;
