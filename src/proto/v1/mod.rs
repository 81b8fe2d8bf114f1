//! The first family over HTTP: `/api/v1`, and the aliases of the common specification.
//!
//! `{"success":true,"data":…}` or `{"success":false,"error":{"code","message"}}`, always. Lists are
//! never null, times are RFC 3339, and members that its clients read as integers are whole numbers,
//! with the exact value beside them. Here are its routes; [`read`] takes requests apart, [`show`]
//! puts answers together. `docs/protocol.md` shows each shape.

mod bounded;
pub mod catalogue;
pub mod export;
mod friends;
mod goals;
mod lists;
pub(super) mod notices;
mod opinions;
pub mod read;
mod recommend;
mod sections;
pub mod show;
mod stats;
mod webhooks;

use read::{
    named, read_add, read_all, read_change_password, read_delete_account, read_edit, read_history, read_list,
    read_login, read_register, read_search, read_update, read_update_with_id,
};
use show::detail_body;

use super::http1::Method;
use super::routes::{Family, HttpInput, Route};
use crate::handlers::catalogue::Shape;
use crate::handlers::manga::Detail;
use crate::handlers::{account, auth, leases, library, manga, monitor, password, progress};

/// The routes of this family.
pub fn routes() -> Vec<Route> {
    use Method::{Delete, Get, Patch, Post, Put};
    let mut routes = vec![
        Route::http(Family::V1, Get, "/health", monitor::HEALTH, |_| Ok(())),
        Route::http(Family::V1, Post, "/api/v1/auth/register", auth::REGISTER, read_register),
        Route::http(Family::V1, Post, "/api/v1/auth/login", auth::LOGIN, read_login),
        Route::http(Family::V1, Post, "/api/v1/auth/logout-all", auth::LOGOUT_ALL, |_| Ok(())),
        Route::http(Family::V1, Post, "/api/v1/auth/udp-token", leases::TOKEN, |_| Ok(())),
        Route::http(Family::V1, Get, "/api/v1/users/me", account::ME, |_| Ok(())),
        Route::http(Family::V1, Delete, "/api/v1/users/me", account::DELETE, read_delete_account),
        Route::http(Family::V1, Get, "/api/v1/users/me/export", crate::handlers::export::EXPORT, export::read),
        Route::http(Family::V1, Put, "/api/v1/users/me/password", password::CHANGE_PASSWORD, read_change_password),
        Route::http(Family::V1, Get, "/api/v1/manga/all", manga::SEARCH, read_all).kept(),
        Route::http(Family::V1, Get, "/api/v1/users/progress", progress::LIST, read_list),
        Route::http(Family::V1, Delete, "/api/v1/users/progress/{manga}", progress::DELETE, |input| Ok(named(input))),
        Route::http(Family::V1, Get, "/api/v1/users/progress/{manga}", progress::GET, |input| Ok(named(input))),
        Route::http(Family::V1, Put, "/api/v1/users/progress/{manga}", progress::UPDATE, read_update),
        Route::http(Family::V1, Patch, "/api/v1/users/library/{manga}", progress::UPDATE, read_edit),
        Route::http(Family::V1, Delete, "/api/v1/users/library/{manga}", library::REMOVE, |input| Ok(named(input))),
        Route::http(Family::V1, Get, "/api/v1/users/history", progress::HISTORY, read_history),
    ];
    routes.extend(catalogue::routes());
    for (list, detail, library) in [
        ("/api/v1/manga", "/api/v1/manga/{manga}", "/api/v1/users/library"),
        ("/manga", "/manga/{manga}", "/users/library"),
    ] {
        routes.push(Route::http(Family::V1, Get, list, manga::SEARCH, read_search).kept());
        let read_detail =
            |input: &HttpInput<'_>| Ok(Detail { manga: named(input), shape: Shape::First, encode: detail_body });
        routes.push(Route::http(Family::V1, Get, detail, manga::DETAIL, read_detail).kept());
        routes.push(Route::http(Family::V1, Get, library, library::LIST, read_list));
        routes.push(Route::http(Family::V1, Post, library, library::ADD, read_add));
    }
    routes.push(Route::http(Family::V1, Put, "/users/progress", progress::UPDATE, read_update_with_id));
    routes.extend(opinions::routes());
    routes.extend(friends::routes());
    routes.extend(lists::routes());
    routes.extend(stats::routes());
    routes.extend(goals::routes());
    routes.extend(recommend::routes());
    routes.extend(webhooks::routes());
    routes.extend(notices::routes());
    routes
}
