//! `grpc.health.v1.Health`: how a service is, for those who watch over servers.
//!
//! All services are one program, so they are well or not together. `Watch` is this same question, asked
//! again and again on the thread of gRPC.

use prost::Message;

use super::bytes;
use super::messages::health::health_check_response::ServingStatus;
use super::messages::health::{HealthCheckRequest, HealthCheckResponse};
use super::reflect;
use crate::handlers::api::{ApiError, Reply};
use crate::handlers::{monitor, text};
use crate::proto::routes::{Package, Route};

/// How a service is now.
pub const CHECK: &str = "/grpc.health.v1.Health/Check";
/// How it is now, and whenever that changes.
pub const WATCH: &str = "/grpc.health.v1.Health/Watch";

pub(super) fn routes() -> Vec<Route> {
    vec![Route::rpc(Package::Health, CHECK, monitor::HEALTH, read)]
}

/// Whether such a service is served here; the empty name is the whole server.
fn read(message: HealthCheckRequest) -> Result<(), ApiError> {
    match message.service.is_empty() || reflect::has_service(&message.service) {
        true => Ok(()),
        false => Err(ApiError::not_found(format!("There is no service {}", text::shown(&message.service, 100)))),
    }
}

pub(super) fn show(reply: &Reply) -> Option<Vec<u8>> {
    let Reply::Health { draining, store } = reply else { return None };
    Some(status(if *store && !*draining { ServingStatus::Serving } else { ServingStatus::NotServing }))
}

/// What a watcher is told who asks for a service that is not known.
pub fn unknown() -> Vec<u8> {
    status(ServingStatus::ServiceUnknown)
}

/// What a watcher is told when the server goes.
pub fn leaving() -> Vec<u8> {
    status(ServingStatus::NotServing)
}

/// Whether a message names a service that is served here; one that can't be read names none.
pub fn is_known(message: &[u8]) -> bool {
    HealthCheckRequest::decode(message).is_ok_and(|message| read(message).is_ok())
}

fn status(status: ServingStatus) -> Vec<u8> {
    bytes(&HealthCheckResponse { status: status.into() }).unwrap_or_default()
}
