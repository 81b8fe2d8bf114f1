//! The areas of the document: one file for each, with its routes and its shapes.

pub mod accounts;
pub mod catalogue;
pub mod catalogue_v2;
pub mod library;
pub mod notices;
pub mod opinions;
pub mod progress;
pub mod server;
pub mod social;
pub mod statistics;
pub mod webhooks;

use super::describe::Area;

/// Every area, in the order of the document.
pub fn all() -> Vec<Area> {
    vec![
        accounts::area(),
        catalogue::area(),
        catalogue_v2::area(),
        library::area(),
        progress::area(),
        opinions::area(),
        social::area(),
        statistics::area(),
        webhooks::area(),
        notices::area(),
        server::area(),
    ]
}
