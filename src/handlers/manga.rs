//! The catalogue, as anyone may read it.

use std::sync::Arc;

use super::api::{ApiError, Reply};
use super::catalogue::MangaRef;
use super::effect::Lane;
use super::encoded::Encoded;
use super::progress::known;
use super::session::Session;
use super::{Access, Call, Ctx};
use crate::store::StoreError;
use crate::store::model::{Manga, MangaQuery};

/// Lists the series that match.
pub const SEARCH: Call<MangaQuery> =
    Call { name: "manga.search", access: Access::Public, lane: Lane::Read, run: search };
/// Shows one series.
pub const DETAIL: Call<Detail> = Call { name: "manga.detail", access: Access::Public, lane: Lane::Read, run: detail };

/// Which series, and how its family puts it: the answer is made once and then shared.
pub struct Detail {
    /// Which series.
    pub manga: MangaRef,
    /// Puts it into the family's shape.
    pub shape: fn(&Manga) -> Vec<u8>,
}

fn search(query: MangaQuery, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let window = query.window;
    ctx.run(
        Lane::Read,
        move |store| store.search_manga(&query),
        move |page, _, ctx| {
            ctx.reply(Reply::MangaList(page?, window));
            Ok(())
        },
    );
    Ok(())
}

fn detail(args: Detail, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let id = known(&args.manga, ctx)?.id;
    if let Some(made) = ctx.state.catalogue.detail(id) {
        ctx.reply(Reply::MangaDetail(made));
        return Ok(());
    }
    let changes = ctx.state.catalogue.changes();
    ctx.run(
        Lane::Read,
        move |store| store.manga(id),
        move |manga, _, ctx| {
            let manga = manga.map_err(|error| match error {
                StoreError::NotFound => ApiError::not_found("Manga not found"),
                other => other.into(),
            })?;
            let made = Arc::new(Encoded::new((args.shape)(&manga)));
            ctx.state.catalogue.keep_detail(id, made.clone(), changes);
            ctx.reply(Reply::MangaDetail(made));
            Ok(())
        },
    );
    Ok(())
}
