//! What the program says about itself: documents that were made before anybody asked.
//!
//! Which documents there are, and what is in them, is the affair of the wire that shows them.

use super::api::{ApiError, Document, Reply};
use super::effect::Lane;
use super::session::Session;
use super::{Access, Call, Ctx};

/// Shows a document.
pub const SHOW: Call<Document> = Call { name: "document", access: Access::Public, lane: Lane::Reactor, run: show };

fn show(document: Document, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    ctx.reply(Reply::Document(document));
    Ok(())
}
