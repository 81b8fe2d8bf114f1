//! A user's export: which sections it has, and how they look.
//!
//! **An area with rows of users adds its section to `SECTIONS`, and nothing else anywhere.**

use serde_json::{Value, json};

use super::show::{account, history_entry, progress_row};
use crate::handlers::api::ApiError;
use crate::handlers::export::{Export, Part, Parts, Section, Shelf};
use crate::proto::http1::Response;
use crate::proto::routes::HttpInput;
use crate::proto::time::rfc3339;
use crate::store::StoreError;
use crate::store::model::{OwnRating, UnixMillis, User};

/// Every section, in the order of the document.
const SECTIONS: &[Section] = &[
    Section { name: "progress", read: progress },
    Section { name: "ratings", read: ratings },
    Section { name: "history", read: history },
];

fn progress(shelf: &mut Shelf<'_>, after: Option<i64>, limit: u32) -> Result<Part, StoreError> {
    let rows = shelf.store.progress_after(shelf.user, after.unwrap_or(0), limit)?;
    let names = shelf.name(rows.iter().map(|row| row.manga_id))?;
    Ok(Part::new(rows, limit, |row| row.manga_id, |row| progress_row(row, names.get(&row.manga_id))))
}

fn ratings(shelf: &mut Shelf<'_>, after: Option<i64>, limit: u32) -> Result<Part, StoreError> {
    let rows = shelf.store.ratings_after(shelf.user, after.unwrap_or(0), limit)?;
    let names = shelf.name(rows.iter().map(|row| row.manga_id))?;
    let show = |row: &OwnRating| {
        let series = names.get(&row.manga_id);
        json!({
            "manga_id": series.map(|series| series.slug.as_str()),
            "manga_key": row.manga_id,
            "manga_title": series.map(|series| series.title.as_str()),
            "rating": row.rating,
            "created_at": rfc3339(row.created_at),
            "updated_at": rfc3339(row.updated_at),
        })
    };
    Ok(Part::new(rows, limit, |row| row.manga_id, show))
}

/// The latest first, so what comes after a row is what was before it.
fn history(shelf: &mut Shelf<'_>, after: Option<i64>, limit: u32) -> Result<Part, StoreError> {
    let rows = shelf.store.history(shelf.user, None, after, limit)?;
    let names = shelf.name(rows.iter().map(|row| row.manga_id))?;
    Ok(Part::new(rows, limit, |row| row.seq, |row| history_entry(row, names.get(&row.manga_id))))
}

/// All sections from their beginning, or with `section` one of them, with `after` from a place on.
pub(super) fn read(input: &HttpInput<'_>) -> Result<Export, ApiError> {
    let after = input.query("after").map(|text| {
        let place = text.parse::<i64>().ok().filter(|place| *place > 0);
        place.ok_or_else(|| ApiError::invalid("after: expected a whole number from 1, as `next` has it"))
    });
    let sections = match (input.query("section"), after.transpose()?) {
        (None, None) => SECTIONS.iter().map(|section| (section, None)).collect(),
        (None, Some(_)) => return Err(ApiError::invalid("section: required with after")),
        (Some(name), after) => {
            let names: Vec<&str> = SECTIONS.iter().map(|section| section.name).collect();
            let section = SECTIONS.iter().find(|section| section.name == name);
            let wrong = || ApiError::invalid(format!("section: expected one of {}", names.join(", ")));
            vec![(section.ok_or_else(wrong)?, after)]
        }
    };
    Ok(Export { sections, shape: document })
}

fn document(user: &User, now: UnixMillis, parts: Parts) -> Vec<u8> {
    let mut data = json!({"exported_at": rfc3339(now), "account": account(user)});
    for (name, part) in parts {
        data[name] = section(name, part);
    }
    json!({"success": true, "data": data}).to_string().into_bytes()
}

fn section(name: &str, part: Part) -> Value {
    let next = part.next.map(|place| format!("/api/v1/users/me/export?section={name}&after={place}"));
    json!({"items": part.items, "next": next})
}

/// The document as a file that a browser saves.
pub(super) fn file(document: Vec<u8>) -> Response {
    let name = "attachment; filename=\"mangahub-export.json\"";
    Response::json(200, document).with_header("Content-Disposition", name)
}
