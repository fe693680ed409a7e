//! What is told of the calls to clients that ask (`grpcurl`, `grpcio-reflection`): the services, and
//! the files that describe them, as `host/proto` has them. Both versions of the protocol have the
//! same messages.

use super::stream::{refuse_signed, silent, stopping};
use super::wire::reflection::server_reflection_request::MessageRequest;
use super::wire::reflection::server_reflection_response::MessageResponse;
use super::wire::reflection::{
    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse,
    ServerReflectionRequest, ServerReflectionResponse, ServiceResponse,
};
use crate::http::HttpState;
use crate::http::body::{Limits, Messages};
use crate::http::error::{ApiError, ErrorType, Status};
use crate::http::grpc::{frame, streamed};
use axum::extract::{FromRef as _, Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use prost::Message as _;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use tonic::Code;

/// Questions of one call. Who reads everything asks for each file and each service once.
const QUESTIONS_MAX: u32 = 1_000;

/// Characters of a name that an answer repeats.
const NAME_CHARACTERS_MAX: usize = 200;

static DESCRIBED: LazyLock<Described> =
    LazyLock::new(|| Described::read(include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"))));

/// Answers questions one after another, until the caller has sent its last.
pub(super) async fn tell(
    State(state): State<HttpState>,
    request: Request,
) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    refuse_signed(&head)?;
    let messages = Messages::of(&head, body, Limits::from_ref(&state))?.small();
    let answers = stream::unfold(Some((messages, 0)), move |open| {
        let state = state.clone();
        async move {
            let (mut messages, asked) = open?;
            match next(&state, &mut messages, asked).await {
                Ok(Some(answer)) => Some((Ok(answer), Some((messages, asked + 1)))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        }
    });
    Ok(streamed(answers))
}

async fn next(
    state: &HttpState,
    messages: &mut Messages,
    asked: u32,
) -> Result<Option<Bytes>, ApiError> {
    let idle = state.config().idle_timeout;
    let has_more = tokio::select! {
        biased;
        () = state.stopping().cancelled() => return Err(stopping()),
        next = tokio::time::timeout(idle, messages.has_more()) => next,
    };
    has_more.map_err(|_| silent(idle))??;
    let Some(message) = messages.next().await? else {
        return Ok(None);
    };
    if asked >= QUESTIONS_MAX {
        return Err(ApiError::new(
            Status::TooManyRequests,
            ErrorType::RateLimit,
            "too_many_questions",
            format!("One call of reflection answers {QUESTIONS_MAX} questions; open another one."),
        ));
    }
    let question = ServerReflectionRequest::decode(message.unpack()?).map_err(|_| {
        let message = "The message is not in the format of the call.";
        ApiError::invalid_request("invalid_message", message)
    })?;
    let mut out = Vec::new();
    frame(&DESCRIBED.answer(question), &mut out);
    Ok(Some(out.into()))
}

/// The files that describe the calls.
struct Described {
    /// By name: what a file needs, and the file as it is sent.
    files: BTreeMap<String, (Vec<String>, Bytes)>,
    /// The file of each thing that has a name.
    symbols: BTreeMap<String, String>,
    services: Vec<String>,
}

impl Described {
    fn read(bytes: &[u8]) -> Self {
        let set = FileDescriptorSet::decode(bytes);
        let mut described = Self {
            files: BTreeMap::new(),
            symbols: BTreeMap::new(),
            services: Vec::new(),
        };
        // Made by the build script, which has encoded it.
        let set = set.expect("the build has written a set of descriptors");
        for file in set.file {
            described.add(&file);
        }
        described
    }

    fn add(&mut self, file: &FileDescriptorProto) {
        let mut names = BTreeSet::new();
        let package = file.package();
        for message in &file.message_type {
            add_message(&mut names, package, message);
        }
        for kind in &file.enum_type {
            add_enumeration(&mut names, package, kind);
        }
        for service in &file.service {
            let name = within(package, service.name());
            for call in &service.method {
                names.insert(within(&name, call.name()));
            }
            self.services.push(name.clone());
            names.insert(name);
        }
        let owner = file.name().to_owned();
        let of_file = names.into_iter().map(|name| (name, owner.clone()));
        self.symbols.extend(of_file);
        let encoded = Bytes::from(file.encode_to_vec());
        self.files.insert(owner, (file.dependency.clone(), encoded));
    }

    fn answer(&self, question: ServerReflectionRequest) -> ServerReflectionResponse {
        let answered = match &question.message_request {
            Some(MessageRequest::ListServices(_)) => Ok(self.list()),
            Some(MessageRequest::FileByFilename(name)) => self.file(name),
            Some(MessageRequest::FileContainingSymbol(symbol)) => {
                let file = self.symbols.get(symbol);
                file.map_or_else(|| Err(unknown(symbol)), |file| self.file(file))
            }
            Some(MessageRequest::FileContainingExtension(asked)) => {
                Err(unknown(&asked.containing_type))
            }
            Some(MessageRequest::AllExtensionNumbersOfType(name)) => self.extensions(name),
            None => Err(ErrorResponse {
                error_code: Code::InvalidArgument as i32,
                error_message: "The request asks for nothing.".to_owned(),
            }),
        };
        ServerReflectionResponse {
            valid_host: question.host.clone(),
            message_response: Some(answered.unwrap_or_else(MessageResponse::ErrorResponse)),
            original_request: Some(question),
        }
    }

    fn list(&self) -> MessageResponse {
        let services = self.services.iter();
        MessageResponse::ListServicesResponse(ListServiceResponse {
            service: services
                .map(|name| ServiceResponse { name: name.clone() })
                .collect(),
        })
    }

    /// A file and all that it needs, itself first.
    fn file(&self, name: &str) -> Result<MessageResponse, ErrorResponse> {
        let mut wanted = vec![name];
        let (mut sent, mut files) = (BTreeSet::new(), Vec::new());
        while let Some(name) = wanted.pop() {
            let (needs, encoded) = self.files.get(name).ok_or_else(|| unknown(name))?;
            if sent.insert(name) {
                files.push(encoded.to_vec());
                wanted.extend(needs.iter().map(String::as_str));
            }
        }
        Ok(MessageResponse::FileDescriptorResponse(
            FileDescriptorResponse {
                file_descriptor_proto: files,
            },
        ))
    }

    /// The extensions of a message: none, where there is such a message.
    fn extensions(&self, name: &str) -> Result<MessageResponse, ErrorResponse> {
        let is_known = self.symbols.contains_key(name);
        let none = ExtensionNumberResponse {
            base_type_name: name.to_owned(),
            extension_number: Vec::new(),
        };
        let response = MessageResponse::AllExtensionNumbersResponse(none);
        is_known.then_some(response).ok_or_else(|| unknown(name))
    }
}

fn add_message(names: &mut BTreeSet<String>, outer: &str, message: &DescriptorProto) {
    let name = within(outer, message.name());
    let fields = message.field.iter().map(|field| field.name());
    let choices = message.oneof_decl.iter().map(|choice| choice.name());
    names.extend(fields.chain(choices).map(|field| within(&name, field)));
    for inner in &message.nested_type {
        add_message(names, &name, inner);
    }
    for kind in &message.enum_type {
        add_enumeration(names, &name, kind);
    }
    names.insert(name);
}

fn add_enumeration(names: &mut BTreeSet<String>, outer: &str, kind: &EnumDescriptorProto) {
    names.insert(within(outer, kind.name()));
    // Values stand beside their enumeration, as in C.
    names.extend(kind.value.iter().map(|value| within(outer, value.name())));
}

fn within(outer: &str, name: &str) -> String {
    format!("{outer}.{name}")
}

fn unknown(name: &str) -> ErrorResponse {
    let name: String = name.chars().take(NAME_CHARACTERS_MAX).collect();
    ErrorResponse {
        error_code: Code::NotFound as i32,
        error_message: format!("Nothing is described here as `{name}`."),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;

    fn ask(question: MessageRequest) -> Option<MessageResponse> {
        let question = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(question),
        };
        DESCRIBED.answer(question).message_response
    }

    #[test]
    fn everything_that_has_a_name_leads_to_its_file() {
        for (symbol, file) in [
            ("inference.GRPCInferenceService", "inference.proto"),
            (
                "inference.GRPCInferenceService.ModelInfer",
                "inference.proto",
            ),
            (
                "inference.ModelInferRequest.InferInputTensor",
                "inference.proto",
            ),
            ("inference.ModelInferRequest.model_name", "inference.proto"),
            ("grpc.health.v1.HealthCheckResponse.SERVING", "health.proto"),
            ("grpc.reflection.v1.ErrorResponse", "reflection_v1.proto"),
            (
                "grpc.reflection.v1alpha.ServerReflection",
                "reflection_v1alpha.proto",
            ),
        ] {
            assert_eq!(
                DESCRIBED.symbols.get(symbol).map(String::as_str),
                Some(file)
            );
            let answer = ask(MessageRequest::FileContainingSymbol(symbol.to_owned()));
            let Some(MessageResponse::FileDescriptorResponse(files)) = answer else {
                panic!("{symbol}: {answer:?}")
            };
            let first = files.file_descriptor_proto.first();
            let read = first.and_then(|bytes| FileDescriptorProto::decode(bytes.as_slice()).ok());
            assert_eq!(
                read.map(|read| read.name().to_owned()).as_deref(),
                Some(file)
            );
        }
        for unknown in ["", "inference", "inference.Nobody", "ModelInferRequest"] {
            let answer = ask(MessageRequest::FileContainingSymbol(unknown.to_owned()));
            let is_refused = matches!(answer, Some(MessageResponse::ErrorResponse(_)));
            assert!(is_refused, "{unknown}: {answer:?}");
        }
    }
}
