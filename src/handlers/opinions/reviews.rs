//! Reviews: what a reader says about a series at length, and which of them others find helpful.
//!
//! A reader has one review of a series. Its rating is the review's own: it is written to the reader's
//! ratings as well, and stays as it was published when the reader rates otherwise later.

use super::{About, GONE, Reply, or_missing};
use crate::handlers::api::{self, ApiError, ErrorKind};
use crate::handlers::catalogue::MangaRef;
use crate::handlers::effect::Lane;
use crate::handlers::progress::known;
use crate::handlers::session::Session;
use crate::handlers::{Access, Call, Ctx};
use crate::store::model::{ReviewChange, ReviewId, ReviewOrder};

/// Lists the reviews of a series.
pub const LIST: Call<List> = Call { name: "reviews.list", access: Access::Guest, lane: Lane::Read, run: list };
/// Shows the caller's review.
pub const MINE: Call<MangaRef> = Call { name: "reviews.mine", access: Access::User, lane: Lane::Read, run: mine };
/// Writes the caller's review.
pub const PUT: Call<Put> = Call { name: "reviews.put", access: Access::User, lane: Lane::Write, run: put };
/// Deletes the caller's review.
pub const DELETE_MINE: Call<MangaRef> =
    Call { name: "reviews.delete_mine", access: Access::User, lane: Lane::Write, run: delete_mine };
/// Deletes anybody's review.
pub const DELETE: Call<ReviewId> =
    Call { name: "reviews.delete", access: Access::Admin, lane: Lane::Write, run: delete };
/// Says whether a review is helpful.
pub const VOTE: Call<Vote> = Call { name: "reviews.vote", access: Access::User, lane: Lane::Write, run: vote };

/// Which reviews, in which order.
#[derive(Debug, Clone)]
pub struct List {
    /// The part.
    pub about: About,
    /// What stands first.
    pub order: ReviewOrder,
}

/// A review that is written.
#[derive(Debug, Clone)]
pub struct Put {
    /// About which series.
    pub manga: MangaRef,
    /// The rating it gives.
    pub rating: Option<i32>,
    /// It tells how the story goes on.
    pub spoiler: bool,
    /// The text.
    pub text: String,
}

/// Whether a review is helpful.
#[derive(Debug, Clone, Copy)]
pub struct Vote {
    /// Which review.
    pub id: ReviewId,
    /// It is; `false` takes that back.
    pub helpful: bool,
}

fn list(args: List, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let series = known(&args.about.manga, ctx)?;
    let (id, window) = (series.id, args.about.window);
    let viewer = ctx.caller.clone().map(|caller| caller.id);
    ctx.run(
        Lane::Read,
        move |store| store.reviews(id, args.order, window, viewer.as_ref()),
        move |page, _, ctx| {
            ctx.reply(api::Reply::Opinion(Reply::Reviews(page.map_err(or_missing(GONE))?, series, window)));
            Ok(())
        },
    );
    Ok(())
}

fn mine(manga: MangaRef, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, series) = (ctx.caller()?, known(&manga, ctx)?);
    let id = series.id;
    ctx.run(
        Lane::Read,
        move |store| store.review_by(&caller.id, id),
        move |review, _, ctx| {
            let review = review.map_err(or_missing(NO_REVIEW))?;
            ctx.reply(api::Reply::Opinion(Reply::Review(Box::new(review), series)));
            Ok(())
        },
    );
    Ok(())
}

fn put(args: Put, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, series) = (ctx.caller()?, known(&args.manga, ctx)?);
    let change = ReviewChange {
        manga_id: series.id,
        user_id: caller.id,
        rating: args.rating,
        spoiler: args.spoiler,
        text: args.text,
        received_at: ctx.now.unix_ms,
    };
    ctx.run(
        Lane::Write,
        move |store| store.put_review(&change),
        move |review, _, ctx| {
            let review = review.map_err(or_missing(GONE))?;
            if review.rating.is_some() {
                ctx.state.catalogue.forget_detail(series.id);
            }
            ctx.reply(api::Reply::Opinion(Reply::Review(Box::new(review), series)));
            Ok(())
        },
    );
    Ok(())
}

fn delete_mine(manga: MangaRef, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, id) = (ctx.caller()?, known(&manga, ctx)?.id);
    ctx.run(
        Lane::Write,
        move |store| {
            let review = store.review_by(&caller.id, id)?;
            store.delete_review(review.id)
        },
        |deleted, _, ctx| {
            deleted.map_err(or_missing(NO_REVIEW))?;
            ctx.reply(api::Reply::Done(DELETED));
            Ok(())
        },
    );
    Ok(())
}

fn delete(id: ReviewId, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    ctx.run(
        Lane::Write,
        move |store| store.delete_review(id),
        |deleted, _, ctx| {
            deleted.map_err(or_missing(NO_REVIEW))?;
            ctx.reply(api::Reply::Done(DELETED));
            Ok(())
        },
    );
    Ok(())
}

fn vote(args: Vote, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    ctx.run(
        Lane::Write,
        move |store| {
            let own = store.review(args.id, None)?.user_id == caller.id;
            match own && args.helpful {
                true => Ok(None),
                false => store.vote(args.id, &caller.id, args.helpful).map(Some),
            }
        },
        move |voted, _, ctx| {
            let Some(review) = voted.map_err(or_missing(NO_REVIEW))? else {
                return Err(ApiError::new(ErrorKind::Forbidden, "One's own review can't be voted for"));
            };
            ctx.reply(api::Reply::Opinion(Reply::Voted { helpful: review.helpful, voted: args.helpful }));
            Ok(())
        },
    );
    Ok(())
}

const NO_REVIEW: &str = "Review not found";
const DELETED: &str = "Review deleted";
