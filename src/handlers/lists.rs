//! Lists of series that people put together, for themselves, for friends or for everyone.
//!
//! A list that somebody may not see does not exist for them, and one that isn't theirs can't be changed:
//! both are "not found", so that nothing is told about it.

use std::sync::Arc;

use super::api::{self, ApiError, ErrorKind, Series};
use super::catalogue::MangaRef;
use super::effect::Lane;
use super::progress::known;
use super::session::Session;
use super::{Access, Call, Ctx};
use crate::store::model::{ItemChange, List, ListChange, ListId, ListItem, Page, Window};
use crate::store::{ITEMS_MAX, LISTS_MAX, StoreError};

/// Lists the caller's own lists.
pub const OWN: Call<Window> = Call { name: "lists.own", access: Access::User, lane: Lane::Read, run: own };
/// Lists what the caller may see of somebody's lists.
pub const OF_USER: Call<OfUser> = Call { name: "lists.of_user", access: Access::User, lane: Lane::Read, run: of_user };
/// Makes a list.
pub const CREATE: Call<ListChange> =
    Call { name: "lists.create", access: Access::User, lane: Lane::Write, run: create };
/// Shows a list.
pub const GET: Call<Part> = Call { name: "lists.get", access: Access::User, lane: Lane::Read, run: get };
/// Changes a list.
pub const CHANGE: Call<Change> = Call { name: "lists.change", access: Access::User, lane: Lane::Write, run: change };
/// Deletes a list.
pub const DELETE: Call<ListId> = Call { name: "lists.delete", access: Access::User, lane: Lane::Write, run: delete };
/// Puts a series on a list.
pub const ADD: Call<Item> = Call { name: "lists.add", access: Access::User, lane: Lane::Write, run: add };
/// Changes or moves an item.
pub const CHANGE_ITEM: Call<Item> =
    Call { name: "lists.change_item", access: Access::User, lane: Lane::Write, run: change_item };
/// Takes a series off a list.
pub const REMOVE: Call<Item> = Call { name: "lists.remove", access: Access::User, lane: Lane::Write, run: remove };

/// Somebody's lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfUser {
    /// Whose, by id or name.
    pub owner: String,
    /// Which part.
    pub window: Window,
}

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which list.
    pub id: ListId,
    /// Which items.
    pub window: Window,
}

/// A change to a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which list.
    pub id: ListId,
    /// What changes.
    pub change: ListChange,
}

/// A series on a list, and what shall become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Which list.
    pub id: ListId,
    /// Which series.
    pub manga: MangaRef,
    /// What is said about it, and where it stands.
    pub change: ItemChange,
}

/// What is answered about lists.
#[derive(Debug)]
pub enum Reply {
    /// Some of somebody's lists.
    Lists(Page<List>, Window),
    /// A new list.
    Created(List),
    /// A list as it is now.
    Changed(List),
    /// A list and a part of what is on it, with the series of each where the catalogue has it.
    List(List, Vec<(ListItem, Option<Arc<Series>>)>, Window),
    /// A new item.
    Added(ListItem, Arc<Series>),
    /// An item as it is now.
    Item(ListItem, Arc<Series>),
}

fn own(window: Window, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    ctx.run(
        Lane::Read,
        move |store| store.own_lists(&caller.id, window),
        move |page, _, ctx| {
            reply(Reply::Lists(page?, window), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn of_user(args: OfUser, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, window) = (ctx.caller()?, args.window);
    ctx.run(
        Lane::Read,
        move |store| store.lists_seen(&caller.id, &args.owner, window),
        move |page, _, ctx| {
            let page = page.map_err(|error| or_not_found(error, "User not found"))?;
            reply(Reply::Lists(page, window), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn create(list: ListChange, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, now) = (ctx.caller()?, ctx.now.unix_ms);
    ctx.run(
        Lane::Write,
        move |store| store.create_list(&caller.id, &list, now),
        |list, _, ctx| {
            let list = list.map_err(|error| match error {
                StoreError::TooMuch => {
                    ApiError::new(ErrorKind::Conflict, format!("A user has at most {LISTS_MAX} lists"))
                }
                other => or_not_found(other, "This account no longer exists"),
            })?;
            reply(Reply::Created(list), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn get(args: Part, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, window) = (ctx.caller()?, args.window);
    ctx.run(
        Lane::Read,
        move |store| store.list(&caller.id, args.id, window),
        move |found, _, ctx| {
            let (list, items) = found.map_err(no_list)?;
            let series = |item: ListItem| {
                let series = ctx.state.catalogue.get(item.manga_id).cloned();
                (item, series)
            };
            let items = items.into_iter().map(series).collect();
            reply(Reply::List(list, items, window), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn change(args: Change, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, now) = (ctx.caller()?, ctx.now.unix_ms);
    ctx.run(
        Lane::Write,
        move |store| store.change_list(&caller.id, args.id, &args.change, now),
        |list, _, ctx| {
            reply(Reply::Changed(list.map_err(no_list)?), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn delete(id: ListId, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    ctx.run(
        Lane::Write,
        move |store| store.delete_list(&caller.id, id),
        |deleted, _, ctx| {
            deleted.map_err(no_list)?;
            ctx.reply(api::Reply::Done("List deleted"));
            Ok(())
        },
    );
    Ok(())
}

fn add(args: Item, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, now, series) = (ctx.caller()?, ctx.now.unix_ms, known(&args.manga, ctx)?);
    let manga = series.id;
    ctx.run(
        Lane::Write,
        move |store| store.add_list_item(&caller.id, args.id, manga, &args.change, now),
        move |item, _, ctx| {
            let item = item.map_err(|error| match error {
                StoreError::Conflict => ApiError::new(ErrorKind::Conflict, "Manga already on this list"),
                StoreError::TooMuch => {
                    ApiError::new(ErrorKind::Conflict, format!("A list has at most {ITEMS_MAX} series"))
                }
                other => no_list(other),
            })?;
            reply(Reply::Added(item, series), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn change_item(args: Item, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, now, series) = (ctx.caller()?, ctx.now.unix_ms, known(&args.manga, ctx)?);
    let manga = series.id;
    ctx.run(
        Lane::Write,
        move |store| store.change_list_item(&caller.id, args.id, manga, &args.change, now),
        move |item, _, ctx| {
            reply(Reply::Item(item.map_err(no_item)?, series), ctx);
            Ok(())
        },
    );
    Ok(())
}

fn remove(args: Item, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, now, manga) = (ctx.caller()?, ctx.now.unix_ms, known(&args.manga, ctx)?.id);
    ctx.run(
        Lane::Write,
        move |store| store.remove_list_item(&caller.id, args.id, manga, now),
        |removed, _, ctx| {
            removed.map_err(no_item)?;
            ctx.reply(api::Reply::Done("Manga removed from list"));
            Ok(())
        },
    );
    Ok(())
}

fn reply(reply: Reply, ctx: &mut Ctx<'_>) {
    ctx.reply(api::Reply::Lists(reply));
}

fn no_list(error: StoreError) -> ApiError {
    or_not_found(error, "List not found")
}

fn no_item(error: StoreError) -> ApiError {
    or_not_found(error, "There is no such list, or the manga is not on it")
}

/// The same refusal with words of its own.
pub fn or_not_found(error: StoreError, message: &'static str) -> ApiError {
    match error {
        StoreError::NotFound => ApiError::not_found(message),
        other => other.into(),
    }
}
