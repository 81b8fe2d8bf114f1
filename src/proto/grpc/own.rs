//! `mangahub.v1`: this server's own services, for whoever writes a client today.
//!
//! What is asked is read in `own/read.rs`; here are the routes and what is shown.

mod read;
mod show;
mod told;

pub use show::{event, show};

use super::messages::own as messages;
use crate::handlers::opinions::ratings;
use crate::handlers::{behalf, library, manga, progress, watch};
use crate::proto::routes::{Package, Route};
use read::*;

/// The streams: one message is asked, and whatever happens is answered.
pub const STREAMS: [&str; 3] = [WATCH_PROGRESS, WATCH_NOTIFICATIONS, WATCH_CHAT];

const WATCH_PROGRESS: &str = "/mangahub.v1.ProgressService/WatchProgress";
const WATCH_NOTIFICATIONS: &str = "/mangahub.v1.NotificationService/WatchNotifications";
const WATCH_CHAT: &str = "/mangahub.v1.ChatService/WatchChat";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::rpc(Package::Own, "/mangahub.v1.CatalogueService/GetManga", manga::DETAIL, read_detail),
        Route::rpc(Package::Own, "/mangahub.v1.CatalogueService/SearchManga", manga::SEARCH, read_search),
        Route::rpc(Package::Own, "/mangahub.v1.CatalogueService/ListGenres", manga::GENRES, |_: NoGenreFilter| Ok(())),
        Route::rpc(Package::Own, "/mangahub.v1.LibraryService/ListLibrary", library::LIST, read_library),
        Route::rpc(Package::Own, "/mangahub.v1.LibraryService/AddToLibrary", library::ADD, read_add),
        Route::rpc(Package::Own, "/mangahub.v1.LibraryService/RemoveFromLibrary", library::REMOVE, read_remove),
        Route::rpc(Package::Own, "/mangahub.v1.ProgressService/GetProgress", progress::GET, read_get),
        Route::rpc(Package::Own, "/mangahub.v1.ProgressService/ListProgress", progress::LIST, read_list),
        Route::rpc(Package::Own, "/mangahub.v1.ProgressService/UpdateProgress", behalf::UPDATE, read_update),
        Route::rpc(Package::Own, "/mangahub.v1.ProgressService/DeleteProgress", progress::DELETE, read_delete),
        Route::rpc(Package::Own, "/mangahub.v1.ProgressService/ListHistory", progress::HISTORY, read_history),
        Route::rpc(Package::Own, WATCH_PROGRESS, watch::PROGRESS, read_watch),
        Route::rpc(Package::Own, WATCH_NOTIFICATIONS, watch::notices::NOTICES, read_watch_notices),
        Route::rpc(Package::Own, WATCH_CHAT, watch::chat::CHAT, read_watch_chat),
        Route::rpc(Package::Own, "/mangahub.v1.RatingService/GetRating", ratings::STANDING, read_rating),
        Route::rpc(Package::Own, "/mangahub.v1.RatingService/RateManga", ratings::RATE, read_rate),
        Route::rpc(Package::Own, "/mangahub.v1.RatingService/DeleteRating", ratings::DELETE, read_unrate),
    ]
}

type NoGenreFilter = messages::ListGenresRequest;
