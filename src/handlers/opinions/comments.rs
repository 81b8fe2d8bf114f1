//! Comments: what readers say below a series, the newest first.
//!
//! Whose a comment is, is looked up in the job that changes it, so nothing can come between.

use super::{About, GONE, Reply, or_missing};
use crate::handlers::api::{self, ApiError, ErrorKind};
use crate::handlers::catalogue::MangaRef;
use crate::handlers::effect::Lane;
use crate::handlers::progress::known;
use crate::handlers::session::Session;
use crate::handlers::{Access, Call, Ctx};
use crate::store::StoreError;
use crate::store::model::{CommentId, NewComment, Role, Window};

/// Lists the comments below a series.
pub const LIST: Call<About> = Call { name: "comments.list", access: Access::User, lane: Lane::Read, run: list };
/// Lists the caller's comments.
pub const MINE: Call<Window> = Call { name: "comments.mine", access: Access::User, lane: Lane::Read, run: mine };
/// Shows one comment.
pub const GET: Call<CommentId> = Call { name: "comments.get", access: Access::User, lane: Lane::Read, run: get };
/// Posts a comment.
pub const POST: Call<Post> = Call { name: "comments.post", access: WRITING, lane: Lane::Write, run: post };
/// Replaces the text of one's own comment.
pub const EDIT: Call<Edit> = Call { name: "comments.edit", access: WRITING, lane: Lane::Write, run: edit };
/// Deletes one's own comment; an administrator deletes anybody's.
pub const DELETE: Call<CommentId> = Call { name: "comments.delete", access: WRITING, lane: Lane::Write, run: delete };

const WRITING: Access = Access::Scope("write:comment");

/// A new comment.
#[derive(Debug, Clone)]
pub struct Post {
    /// Below which series.
    pub manga: MangaRef,
    /// The text.
    pub content: String,
}

/// A new text for a comment.
#[derive(Debug, Clone)]
pub struct Edit {
    /// Which comment.
    pub id: CommentId,
    /// The text.
    pub content: String,
}

fn list(args: About, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let id = known(&args.manga, ctx)?.id;
    ctx.run(
        Lane::Read,
        move |store| store.comments(id, args.window),
        move |page, _, ctx| {
            ctx.reply(api::Reply::Opinion(Reply::Comments(page.map_err(or_missing(GONE))?, args.window)));
            Ok(())
        },
    );
    Ok(())
}

fn mine(window: Window, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    ctx.run(
        Lane::Read,
        move |store| store.comments_by(&caller.id, window),
        move |page, _, ctx| {
            ctx.reply(api::Reply::Opinion(Reply::Comments(page.map_err(or_missing(GONE))?, window)));
            Ok(())
        },
    );
    Ok(())
}

fn get(id: CommentId, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    ctx.run(
        Lane::Read,
        move |store| store.comment(id),
        |comment, _, ctx| {
            let comment = comment.map_err(or_missing(NO_COMMENT))?;
            ctx.reply(api::Reply::Opinion(Reply::Comment(Box::new(comment))));
            Ok(())
        },
    );
    Ok(())
}

fn post(args: Post, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, series) = (ctx.caller()?, known(&args.manga, ctx)?);
    let comment =
        NewComment { manga_id: series.id, user_id: caller.id, content: args.content, received_at: ctx.now.unix_ms };
    ctx.run(
        Lane::Write,
        move |store| store.add_comment(&comment),
        |comment, _, ctx| {
            let comment = comment.map_err(or_missing(GONE))?;
            ctx.reply(api::Reply::Opinion(Reply::Commented(Box::new(comment))));
            Ok(())
        },
    );
    Ok(())
}

fn edit(args: Edit, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, now) = (ctx.caller()?, ctx.now.unix_ms);
    ctx.run(
        Lane::Write,
        move |store| match store.comment(args.id)?.user_id == caller.id {
            true => store.edit_comment(args.id, &args.content, now).map(Some),
            false => Ok(None),
        },
        |edited, _, ctx| {
            let Some(comment) = edited.map_err(or_missing(NO_COMMENT))? else {
                let message = "you don't have permission to update this comment";
                return Err(ApiError::new(ErrorKind::Forbidden, message));
            };
            ctx.reply(api::Reply::Opinion(Reply::Comment(Box::new(comment))));
            Ok(())
        },
    );
    Ok(())
}

fn delete(id: CommentId, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    ctx.run(
        Lane::Write,
        move |store| {
            let own = store.comment(id)?.user_id == caller.id;
            match own || caller.role == Role::Admin {
                true => store.delete_comment(id),
                false => Err(StoreError::NotFound),
            }
        },
        |deleted, _, ctx| {
            deleted.map_err(or_missing("comment not found or you don't have permission to delete it"))?;
            ctx.reply(api::Reply::Done("Comment deleted successfully"));
            Ok(())
        },
    );
    Ok(())
}

const NO_COMMENT: &str = "Comment not found";
