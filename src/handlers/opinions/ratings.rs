//! Ratings: one number from each reader of a series.
//!
//! The same ones that come with progress: whoever rates here sees it there.

use super::{About, GONE, Reply, Standing, or_missing};
use crate::handlers::api::{self, ApiError};
use crate::handlers::catalogue::MangaRef;
use crate::handlers::effect::Lane;
use crate::handlers::progress::known;
use crate::handlers::session::Session;
use crate::handlers::{Access, Call, Ctx};
use crate::store::StoreError;

/// Rates a series.
pub const RATE: Call<Rate> = Call { name: "ratings.rate", access: Access::User, lane: Lane::Write, run: rate };
/// Takes the caller's rating back.
pub const DELETE: Call<MangaRef> =
    Call { name: "ratings.delete", access: Access::User, lane: Lane::Write, run: delete };
/// Shows the caller's rating.
pub const MINE: Call<MangaRef> = Call { name: "ratings.mine", access: Access::User, lane: Lane::Read, run: mine };
/// Shows the average.
pub const AVERAGE: Call<MangaRef> =
    Call { name: "ratings.average", access: Access::User, lane: Lane::Read, run: average };
/// Shows both.
pub const STANDING: Call<MangaRef> =
    Call { name: "ratings.standing", access: Access::User, lane: Lane::Read, run: standing };
/// Lists who rated.
pub const LIST: Call<About> = Call { name: "ratings.list", access: Access::User, lane: Lane::Read, run: list };

/// What to rate, and how.
#[derive(Debug, Clone)]
pub struct Rate {
    /// Which series.
    pub manga: MangaRef,
    /// 1 to 10.
    pub rating: i32,
}

fn rate(args: Rate, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, series, now) = (ctx.caller()?, known(&args.manga, ctx)?, ctx.now.unix_ms);
    let (user, id) = (caller.id, series.id);
    ctx.run(
        Lane::Write,
        move |store| Ok((store.rate(&user, id, args.rating, now)?, store.rating_sums(id)?)),
        move |stored, _, ctx| {
            let (mine, sums) = stored.map_err(or_missing(GONE))?;
            ctx.state.catalogue.forget_detail(id);
            let standing = Standing { series, username: caller.username, mine: Some(mine), sums };
            ctx.reply(api::Reply::Opinion(Reply::Rated(mine, Box::new(standing))));
            Ok(())
        },
    );
    Ok(())
}

fn delete(manga: MangaRef, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, id) = (ctx.caller()?, known(&manga, ctx)?.id);
    ctx.run(
        Lane::Write,
        move |store| store.delete_rating(&caller.id, id),
        move |deleted, _, ctx| {
            deleted.map_err(or_missing(NO_RATING))?;
            ctx.state.catalogue.forget_detail(id);
            ctx.reply(api::Reply::Done("Rating deleted successfully"));
            Ok(())
        },
    );
    Ok(())
}

fn mine(manga: MangaRef, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, id) = (ctx.caller()?, known(&manga, ctx)?.id);
    ctx.run(
        Lane::Read,
        move |store| store.rating(&caller.id, id),
        |rating, _, ctx| {
            ctx.reply(api::Reply::Opinion(Reply::OwnRating(rating.map_err(or_missing(NO_RATING))?)));
            Ok(())
        },
    );
    Ok(())
}

fn average(manga: MangaRef, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let id = known(&manga, ctx)?.id;
    ctx.run(
        Lane::Read,
        move |store| store.rating_sums(id),
        |sums, _, ctx| {
            ctx.reply(api::Reply::Opinion(Reply::Average(sums.map_err(or_missing(GONE))?)));
            Ok(())
        },
    );
    Ok(())
}

/// Two reads that need not agree to the millisecond: a rating that arrives between them is counted
/// and not yet shown.
fn standing(manga: MangaRef, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, series) = (ctx.caller()?, known(&manga, ctx)?);
    let (user, id) = (caller.id, series.id);
    ctx.run(
        Lane::Read,
        move |store| {
            let mine = match store.rating(&user, id) {
                Ok(rating) => Some(rating),
                Err(StoreError::NotFound) => None,
                Err(error) => return Err(error),
            };
            Ok((mine, store.rating_sums(id)?))
        },
        move |read, _, ctx| {
            let (mine, sums) = read.map_err(or_missing(GONE))?;
            let standing = Standing { series, username: caller.username, mine, sums };
            ctx.reply(api::Reply::Opinion(Reply::Standing(Box::new(standing))));
            Ok(())
        },
    );
    Ok(())
}

fn list(args: About, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let id = known(&args.manga, ctx)?.id;
    ctx.run(
        Lane::Read,
        move |store| store.ratings(id, args.window),
        move |page, _, ctx| {
            ctx.reply(api::Reply::Opinion(Reply::Ratings(page.map_err(or_missing(GONE))?, args.window)));
            Ok(())
        },
    );
    Ok(())
}

const NO_RATING: &str = "Rating not found";
