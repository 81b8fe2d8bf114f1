//! gRPC: messages of Protocol Buffers in HTTP/2 streams.
//!
//! HTTP/2 itself is a library's, on a thread of its own (`reactor/grpc`). Here is what the bytes mean:
//! [`frame`] finds messages in a stream, [`status`] says how a call ends, [`flood`] notices a peer that
//! only keeps us busy. A package's services have a file each: [`manga`] and [`pb`] for the two families'
//! clients, [`own`] for everybody else; [`health`] and [`reflect`] are the protocols of tools.
//! `messages` is made of the `.proto` files, which are the contract.

pub mod flood;
pub mod frame;
pub mod health;
pub mod manga;
pub mod messages;
pub mod own;
pub mod pb;
mod read;
pub mod reflect;
pub mod status;

use prost::Message;

use super::routes::{self, Package, Route};
use crate::handlers::api::{ApiError, Reply, Via};
use frame::MESSAGE_BYTES_MAX;
use status::{Code, Status};

/// Every method that the loop answers.
pub fn routes() -> Vec<Route> {
    let mut routes = manga::routes();
    routes.extend(pb::routes());
    routes.extend(own::routes());
    routes.extend(health::routes());
    routes
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// One message, one answer.
    Unary(Via),
    /// One message, then whatever happens.
    Feed(Via),
    /// How a service is, again and again: by this method.
    HealthWatch(Via),
    /// What is spoken here.
    Reflection,
}

impl Method {
    /// Whether it is a question about the server rather than to it.
    pub fn is_of_tools(self) -> bool {
        match self {
            Self::HealthWatch(_) | Self::Reflection => true,
            Self::Unary(via) => package(via) == Some(Package::Health),
            Self::Feed(_) => false,
        }
    }
}

fn package(via: Via) -> Option<Package> {
    routes::ROUTES.get(usize::from(via.0)).and_then(Route::package)
}

/// The method of a path.
pub fn find(path: &str) -> Option<Method> {
    match path {
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
        | "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo" => Some(Method::Reflection),
        health::WATCH => routes::find_rpc(health::CHECK).map(|(via, _)| Method::HealthWatch(via)),
        path if own::STREAMS.contains(&path) => routes::find_rpc(path).map(|(via, _)| Method::Feed(via)),
        _ => routes::find_rpc(path).map(|(via, _)| Method::Unary(via)),
    }
}

/// Puts what a call came to into its method's message, or says how it failed.
pub fn show(via: Via, outcome: Result<Reply, ApiError>) -> Result<Vec<u8>, Status> {
    let Some(route) = routes::ROUTES.get(usize::from(via.0)) else { return Err(no_shape()) };
    let package = route.package();
    let message = match (package, outcome) {
        (Some(Package::Pb), outcome) if route.name == "progress.update" => pb::updated(outcome)?,
        (_, Err(error)) => return Err(Status::from(&error)),
        (Some(Package::Manga), Ok(reply)) => manga::show(reply),
        (Some(Package::Pb), Ok(reply)) => pb::show(reply),
        (Some(Package::Own), Ok(reply)) => own::show(reply),
        (Some(Package::Health), Ok(reply)) => health::show(&reply),
        (None, Ok(_)) => None,
    };
    let message = message.ok_or_else(no_shape)?;
    // Its reader would refuse it, and not say why.
    match message.len() > MESSAGE_BYTES_MAX {
        true => Err(Status::new(Code::ResourceExhausted, "The answer is longer than 4 MiB, please ask for fewer rows")),
        false => Ok(message),
    }
}

/// A message of ours in bytes.
fn bytes(message: &impl Message) -> Option<Vec<u8>> {
    Some(message.encode_to_vec())
}

/// A method has no shape for what its call answered: a mistake in our tables.
fn no_shape() -> Status {
    Status::new(Code::Internal, "Something went wrong on the server")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::manga::Reply as Catalogue;
    use crate::store::model::Genre;

    /// An answer that no client would take is refused with a word about why.
    #[test]
    fn answers_are_as_short_as_messages() {
        let (via, _) = routes::find_rpc("/mangahub.v1.CatalogueService/ListGenres").unwrap();
        let named = |length| Catalogue::Genres(vec![Genre { id: 1, name: "x".repeat(length) }]);
        let shown = |length| show(via, Ok(Reply::Catalogue(named(length)))).map_err(|status| status.code);
        assert!(shown(MESSAGE_BYTES_MAX - 100).is_ok());
        assert_eq!(shown(MESSAGE_BYTES_MAX), Err(Code::ResourceExhausted));
    }
}
