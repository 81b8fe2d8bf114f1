//! Answers in the second family's shape.

use serde_json::json;

use super::{auth, catalogue, notices, opinions, parts, reading};
use crate::handlers::api::{ApiError, ErrorKind, Lack, Reply};
use crate::proto::http1::Response;
use crate::proto::v1;
use crate::store::model::Role;

/// An answer in this family's shape.
pub fn respond(outcome: Result<Reply, ApiError>) -> Response {
    match outcome {
        Ok(reply) => show(reply),
        Err(error) => refuse(&error),
    }
}

/// A refusal in this family's shape.
fn refuse(error: &ApiError) -> Response {
    let mut body = json!({"error": said(error)});
    if let Some(conflict) = &error.conflict {
        body["conflict"] = json!(reading::conflict(conflict));
    }
    match error.lack.as_deref() {
        Some(Lack::Scopes { required, granted }) => {
            (body["required"], body["granted"]) = (json!([required]), json!(granted));
        }
        Some(Lack::Role(role)) => {
            body["error"] = json!("Insufficient permissions");
            (body["required"], body["current"]) = (json!(Role::Admin), json!(role));
        }
        None => {}
    }
    let response = Response::json(error.kind.codes().0, body.to_string());
    match (error.kind, &error.detail) {
        (ErrorKind::MethodNotAllowed, Some(methods)) => response.with_header("Allow", methods.clone()),
        (ErrorKind::Unauthorized, _) => response.with_header("WWW-Authenticate", "Bearer"),
        _ => response,
    }
}

/// What is not there, or there already, this family says in small letters: `manga not found`.
fn said(error: &ApiError) -> String {
    let mut letters = error.message.chars();
    let small = error.kind == ErrorKind::NotFound || error.message.starts_with("Manga ");
    match letters.next() {
        Some(first) if small => first.to_lowercase().chain(letters).collect(),
        _ => error.message.to_string(),
    }
}

fn show(reply: Reply) -> Response {
    match reply {
        Reply::Done(message) => Response::json(200, json!({"message": message}).to_string()),
        Reply::Created(message) => Response::json(201, json!({"message": message}).to_string()),
        Reply::Notices(reply) => notices::show(reply),
        Reply::Opinion(reply) => opinions::show(reply),
        Reply::Tokens(reply) => auth::show(&reply),
        Reply::Parts(parts) => parts::show(&parts),
        Reply::MangaDetail(body) => Response::json(200, body.plain().clone()),
        Reply::Catalogue(reply) => catalogue::show(reply),
        Reply::Changed(changed) => reading::changed(&changed),
        Reply::Library(page) => reading::library(&page),
        Reply::Progress(row, series) => reading::progress(&row, Some(&series)),
        Reply::ProgressList(page, _) => reading::progress_list(&page),
        Reply::ProgressDeleted(_) => Response::json(200, json!({"message": "progress deleted"}).to_string()),
        other => v1::show::respond(Ok(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever may not is told what it takes and what they have.
    #[test]
    fn refusals_say_what_is_lacking() {
        let body = |lack: Option<Lack>| {
            let error = ApiError { lack: lack.map(Box::new), ..ApiError::new(ErrorKind::Forbidden, "no") };
            let response = respond(Err(error));
            assert_eq!(response.status, 403);
            serde_json::from_slice::<serde_json::Value>(response.body.bytes()).unwrap()
        };
        let scopes = Lack::Scopes { required: "write:manga", granted: vec!["read:manga".into()] };
        assert_eq!(body(Some(scopes)), json!({"error": "no", "required": ["write:manga"], "granted": ["read:manga"]}));
        assert_eq!(
            body(Some(Lack::Role(Role::User))),
            json!({"error": "Insufficient permissions", "required": "admin", "current": "user"})
        );
        assert_eq!(body(None), json!({"error": "no"}));
    }
}
