//! The second family over HTTP: `/auth/*`, `/api/*` beside `/api/v1`, `/check-conn` and `/db-ping`.
//!
//! Answers are bare objects and lists, refusals `{"error":…}`. Series are named by their integer key
//! only. Each area has its routes, and all that belongs to them, in a file of its own; [`show`] puts
//! answers together.
//! `docs/protocol.md` shows each shape.

mod auth;
pub mod catalogue;
mod notices;
mod opinions;
mod parts;
pub mod reading;
pub mod show;

use super::routes::Route;

/// The routes of this family.
pub fn routes() -> Vec<Route> {
    let mut routes = auth::routes();
    routes.extend(parts::routes());
    routes.extend(catalogue::routes());
    routes.extend(opinions::routes());
    routes.extend(reading::routes());
    routes.extend(notices::routes());
    routes
}

/// Whether a path is this family's: refusals have its shape there, whether a route is found or not.
pub fn owns(path: &str) -> bool {
    let under = |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    (under("/api") && !under("/api/v1")) || under("/auth") || under("/check-conn") || under("/db-ping")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths are told apart by whole segments.
    #[test]
    fn families_are_told_by_path() {
        for v2 in ["/api/manga", "/api", "/auth/login", "/check-conn"] {
            assert!(owns(v2), "{v2}");
        }
        for v1 in ["/api/v1/manga", "/api/v1", "/apis", "/health", "/"] {
            assert!(!owns(v1), "{v1}");
        }
    }
}
