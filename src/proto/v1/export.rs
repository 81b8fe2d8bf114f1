//! A user's export: which part of it is asked for, and the document that its sections make. Which
//! sections there are is in `sections`.

use serde_json::{Value, json};

use super::sections::SECTIONS;
use super::show::account;
use crate::handlers::api::ApiError;
use crate::handlers::export::{Export, Part, Parts};
use crate::proto::http1::Response;
use crate::proto::routes::HttpInput;
use crate::proto::time::rfc3339;
use crate::store::model::{UnixMillis, User};

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
