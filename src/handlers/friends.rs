//! Friends: who asks whom, and what friends read.
//!
//! A friendship takes two: one asks, the other accepts, or asks as well. What friends see of each other
//! is what is not private; a series is left out of the feed as soon as its reader makes it private.

use std::sync::Arc;

use super::api::{self, ApiError, ErrorKind, Series};
use super::effect::Lane;
use super::lists::or_not_found;
use super::session::Session;
use super::{Access, Call, Ctx};
use crate::store::model::{ActivityEntry, Asked, Friend, FriendRequests, Page, Window};
use crate::store::{FRIENDS_MAX, REQUESTS_MAX};

/// Lists the caller's friends.
pub const LIST: Call<Window> = Call { name: "friends.list", access: Access::User, lane: Lane::Read, run: list };
/// Lists requests to and from the caller.
pub const REQUESTS: Call<Window> =
    Call { name: "friends.requests", access: Access::User, lane: Lane::Read, run: requests };
/// Asks somebody by name.
pub const ASK: Call<String> = Call { name: "friends.ask", access: Access::User, lane: Lane::Write, run: ask };
/// Accepts a request.
pub const ACCEPT: Call<String> = Call { name: "friends.accept", access: Access::User, lane: Lane::Write, run: accept };
/// Ends a friendship, declines a request or takes one back.
pub const REMOVE: Call<String> = Call { name: "friends.remove", access: Access::User, lane: Lane::Write, run: remove };
/// Shows what friends read.
pub const ACTIVITY: Call<Since> =
    Call { name: "friends.activity", access: Access::User, lane: Lane::Read, run: activity };

/// Which part of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// Before this entry.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// What is answered about friends.
#[derive(Debug)]
pub enum Reply {
    /// The caller's friends.
    List(Page<Friend>, Window),
    /// Requests that are open.
    Requests(FriendRequests, Window),
    /// A request was sent.
    Asked(Friend),
    /// They are friends now.
    Accepted(Friend),
    /// What friends read, with the series of each where the catalogue still has it, and whether this
    /// is everything.
    Activity(Vec<(ActivityEntry, Option<Arc<Series>>)>, bool),
}

fn list(window: Window, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    ctx.run(
        Lane::Read,
        move |store| store.friends(&caller.id, window),
        move |page, _, ctx| {
            reply(Reply::List(page?, window), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn requests(window: Window, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    ctx.run(
        Lane::Read,
        move |store| store.friend_requests(&caller.id, window),
        move |requests, _, ctx| {
            reply(Reply::Requests(requests?, window), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn ask(username: String, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, now) = (ctx.caller()?, ctx.now.unix_ms);
    ctx.run(
        Lane::Write,
        move |store| store.ask_friend(&caller.id, &username, now),
        |asked, _, ctx| {
            let asked = asked.map_err(|error| or_not_found(error, "User not found"))?;
            reply(settled(asked)?, ctx);
            Ok(())
        },
    );
    Ok(())
}

fn accept(whom: String, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, now) = (ctx.caller()?, ctx.now.unix_ms);
    ctx.run(
        Lane::Write,
        move |store| store.accept_friend(&caller.id, &whom, now),
        |asked, _, ctx| {
            let asked = asked.map_err(|error| or_not_found(error, "There is no such request"))?;
            reply(settled(asked)?, ctx);
            Ok(())
        },
    );
    Ok(())
}

fn remove(whom: String, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    ctx.run(
        Lane::Write,
        move |store| store.remove_friend(&caller.id, &whom),
        |removed, _, ctx| {
            removed.map_err(|error| or_not_found(error, "There is no such friend or request"))?;
            ctx.reply(api::Reply::Done("Friend removed"));
            Ok(())
        },
    );
    Ok(())
}

fn activity(since: Since, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    ctx.run(
        Lane::Read,
        move |store| store.friends_activity(&caller.id, since.before, since.limit),
        |activity, _, ctx| {
            let activity = activity?;
            let series = |entry: ActivityEntry| {
                let series = ctx.state.catalogue.get(entry.manga_id).cloned();
                (entry, series)
            };
            let entries = activity.entries.into_iter().map(series).collect();
            reply(Reply::Activity(entries, activity.complete), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn reply(reply: Reply, ctx: &mut Ctx<'_>) {
    ctx.reply(api::Reply::Friends(reply));
}

/// What asking came to, as an answer or a refusal.
fn settled(asked: Asked) -> Result<Reply, ApiError> {
    let conflict = |message: String| Err(ApiError::new(ErrorKind::Conflict, message));
    match asked {
        Asked::Waiting(friend) => Ok(Reply::Asked(friend)),
        Asked::Friends(friend) => Ok(Reply::Accepted(friend)),
        Asked::Oneself => Err(ApiError::invalid("username: nobody is their own friend")),
        Asked::FriendsAlready => conflict("You are friends already".into()),
        Asked::WaitingAlready => conflict("You have asked already".into()),
        Asked::TooManyFriends => conflict(format!("A user has at most {FRIENDS_MAX} friends")),
        Asked::TooManyRequests => {
            conflict(format!("At most {REQUESTS_MAX} requests of a user can be open, and {FRIENDS_MAX} to one"))
        }
    }
}
