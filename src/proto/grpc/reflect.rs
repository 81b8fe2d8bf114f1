//! `grpc.reflection`: what is spoken here, for tools that have no `.proto` files.
//!
//! The answers are the descriptors that the messages were compiled from, so they can't disagree with
//! what is served.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost::Message;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, OneofDescriptorProto,
};

use super::messages::DESCRIPTORS;
use super::messages::reflection::server_reflection_request::MessageRequest;
use super::messages::reflection::server_reflection_response::MessageResponse;
use super::messages::reflection::{
    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse, ServerReflectionRequest,
    ServerReflectionResponse, ServiceResponse,
};
use super::status::{Code, Status};

/// Answers one request with one response.
pub fn answer(message: &[u8]) -> Result<Vec<u8>, Status> {
    let request = ServerReflectionRequest::decode(message)
        .map_err(|_| Status::new(Code::InvalidArgument, "The message can't be read"))?;
    let response = ServerReflectionResponse {
        valid_host: request.host.clone(),
        message_response: Some(look_up(request.message_request.as_ref())),
        original_request: Some(request),
    };
    Ok(response.encode_to_vec())
}

/// Whether a service of this name is served.
pub fn has_service(name: &str) -> bool {
    KNOWN.services.iter().any(|service| service == name)
}

fn look_up(asked: Option<&MessageRequest>) -> MessageResponse {
    let file = |found: Option<&usize>, name: &str| match found.and_then(|place| KNOWN.files.get(*place)) {
        Some(file) => MessageResponse::FileDescriptorResponse(FileDescriptorResponse {
            file_descriptor_proto: vec![file.clone()],
        }),
        None => not_found(name),
    };
    match asked {
        Some(MessageRequest::FileByFilename(name)) => file(KNOWN.by_filename.get(name), name),
        Some(MessageRequest::FileContainingSymbol(name)) => file(KNOWN.by_symbol.get(name), name),
        // Nothing here can be extended.
        Some(MessageRequest::FileContainingExtension(extension)) => not_found(&extension.containing_type),
        Some(MessageRequest::AllExtensionNumbersOfType(name)) if KNOWN.by_symbol.contains_key(name) => {
            MessageResponse::AllExtensionNumbersResponse(ExtensionNumberResponse {
                base_type_name: name.clone(),
                extension_number: Vec::new(),
            })
        }
        Some(MessageRequest::AllExtensionNumbersOfType(name)) => not_found(name),
        Some(MessageRequest::ListServices(_)) => {
            let service = KNOWN.services.iter().map(|name| ServiceResponse { name: name.clone() });
            MessageResponse::ListServicesResponse(ListServiceResponse { service: service.collect() })
        }
        None => error(Code::InvalidArgument, "Nothing is asked".to_owned()),
    }
}

fn not_found(name: &str) -> MessageResponse {
    error(Code::NotFound, format!("{} is not known here", crate::handlers::text::shown(name, 100)))
}

fn error(code: Code, error_message: String) -> MessageResponse {
    MessageResponse::ErrorResponse(ErrorResponse { error_code: code as i32, error_message })
}

/// What can be asked for.
#[derive(Default)]
struct Known {
    /// Each file's descriptor in bytes.
    files: Vec<bytes::Bytes>,
    by_filename: HashMap<String, usize>,
    by_symbol: HashMap<String, usize>,
    services: Vec<String>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let mut known = Known::default();
    // What the compiler wrote can be read; a test sees to it.
    let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap_or_default();
    set.file.iter().for_each(|file| known.add(file));
    known
});

impl Known {
    fn add(&mut self, file: &FileDescriptorProto) {
        let (place, package) = (self.files.len(), file.package());
        self.files.push(file.encode_to_vec().into());
        self.by_filename.insert(file.name().to_owned(), place);
        for service in &file.service {
            let name = format!("{package}.{}", service.name());
            for method in &service.method {
                self.by_symbol.insert(format!("{name}.{}", method.name()), place);
            }
            self.by_symbol.insert(name.clone(), place);
            self.services.push(name);
        }
        file.enum_type.iter().for_each(|words| self.add_enum(package, words, place));
        file.message_type.iter().for_each(|message| self.add_message(package, message, place));
    }

    fn add_message(&mut self, scope: &str, message: &DescriptorProto, place: usize) {
        let name = format!("{scope}.{}", message.name());
        let members = message.field.iter().map(FieldDescriptorProto::name);
        let choices = message.oneof_decl.iter().map(OneofDescriptorProto::name);
        for member in members.chain(choices) {
            self.by_symbol.insert(format!("{name}.{member}"), place);
        }
        message.enum_type.iter().for_each(|words| self.add_enum(&name, words, place));
        message.nested_type.iter().for_each(|inner| self.add_message(&name, inner, place));
        self.by_symbol.insert(name, place);
    }

    /// Its words stand beside it, not within it.
    fn add_enum(&mut self, scope: &str, words: &EnumDescriptorProto, place: usize) {
        for word in words.value.iter().map(EnumValueDescriptorProto::name).chain([words.name()]) {
            self.by_symbol.insert(format!("{scope}.{word}"), place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::grpc::find;

    fn ask(asked: MessageRequest) -> MessageResponse {
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(asked) };
        let answer = answer(&request.encode_to_vec()).unwrap();
        ServerReflectionResponse::decode(answer.as_slice()).unwrap().message_response.unwrap()
    }

    /// Every method in the `.proto` files is served, and nothing else is: the files are the contract.
    #[test]
    fn every_described_method_is_served() {
        let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
        let mut methods = Vec::new();
        for file in &set.file {
            for service in &file.service {
                let name = format!("/{}.{}/", file.package(), service.name());
                methods.extend(service.method.iter().map(|method| format!("{name}{}", method.name())));
            }
        }
        for method in &methods {
            assert!(find(method).is_some(), "{method} is described and not served");
        }
        for path in crate::proto::routes::rpc_paths() {
            assert!(methods.iter().any(|method| method == path), "{path} is served and not described");
        }
    }

    /// Files are found by their names and by what is in them, nested things included.
    #[test]
    fn files_are_found() {
        let found = |asked| match ask(asked) {
            MessageResponse::FileDescriptorResponse(files) => {
                Some(FileDescriptorProto::decode(files.file_descriptor_proto[0].clone()).unwrap().name().to_owned())
            }
            MessageResponse::ErrorResponse(error) if error.error_code == Code::NotFound as i32 => None,
            other => panic!("{other:?}"),
        };
        let symbol = |name: &str| found(MessageRequest::FileContainingSymbol(name.to_owned()));
        assert_eq!(symbol("pb.MangaService").as_deref(), Some("pb.proto"));
        assert_eq!(symbol("manga.MangaService.GetManga").as_deref(), Some("manga.proto"));
        assert_eq!(
            symbol("grpc.health.v1.HealthCheckResponse.ServingStatus").as_deref(),
            Some("grpc/health/v1/health.proto")
        );
        for inner in ["HealthCheckResponse.SERVING", "HealthCheckRequest.service", "Health.Check"] {
            assert!(symbol(&format!("grpc.health.v1.{inner}")).is_some(), "{inner}");
        }
        assert_eq!(symbol("pb.Nothing"), None);
        assert_eq!(found(MessageRequest::FileByFilename("pb.proto".into())).as_deref(), Some("pb.proto"));
        assert_eq!(found(MessageRequest::FileByFilename("../Cargo.toml".into())), None);
    }
}
