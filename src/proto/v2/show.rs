//! Answers in the second family's shape.

use serde_json::json;

use super::catalogue;
use crate::handlers::api::{ApiError, ErrorKind, Reply};
use crate::proto::http1::Response;
use crate::proto::v1;

/// An answer in this family's shape.
pub fn respond(outcome: Result<Reply, ApiError>) -> Response {
    match outcome {
        Ok(reply) => show(reply),
        Err(error) => refuse(&error),
    }
}

/// A refusal in this family's shape.
fn refuse(error: &ApiError) -> Response {
    let response = Response::json(error.kind.codes().0, json!({"error": error.message}).to_string());
    match (error.kind, &error.detail) {
        (ErrorKind::MethodNotAllowed, Some(methods)) => response.with_header("Allow", methods.clone()),
        (ErrorKind::Unauthorized, _) => response.with_header("WWW-Authenticate", "Bearer"),
        _ => response,
    }
}

fn show(reply: Reply) -> Response {
    match reply {
        Reply::Done(message) => Response::json(200, json!({"message": message}).to_string()),
        Reply::Created(message) => Response::json(201, json!({"message": message}).to_string()),
        Reply::MangaDetail(body) => Response::json(200, body),
        Reply::Catalogue(reply) => catalogue::show(reply),
        other => v1::show::respond(Ok(other)),
    }
}
