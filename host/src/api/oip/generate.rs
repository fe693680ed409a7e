//! `POST /v2/models/{name}/generate` and `/generate_stream`: texts, as Triton's generate extension
//! asks for them
//! (<https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_generate.md>).
//!
//! The extension leaves options to the model. Here they are those of `POST /v1/completions`, with
//! the names that Triton's own models have for some of them, and stand in `parameters` or beside it.

use crate::api::Failures;
use crate::api::openai::wire::{CompletionRequest, ModelElsewhere, Sifted, place_in};
use crate::api::text_body::TextEvents;
use crate::api::texts::{self, Answerer, ReadCall, TextApi};
use crate::auth::{Authorized, Infer, Scope};
use crate::generation::Event;
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::json::{self, SizedJson};
use crate::http::policy::{RoutePolicy, Routes};
use crate::http::{Config, HttpState};
use crate::inference::{RequestContext, Text, TextUsage};
use crate::limits::{Counts, TokenAdmission};
use axum::extract::State;
use axum::response::Response;
use belljar_sandbox::wit::text::TextFragment;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fmt;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Infer).counting(Counts::Tokens);
    Routes::default()
        .add(policy, routes!(generate))
        .add(policy, routes!(generate_version))
        .add(policy, routes!(generate_stream))
        .add(policy, routes!(generate_version_stream))
}

/// A request for a text.
#[derive(ToSchema)]
#[schema(as = GenerateRequest)]
#[expect(dead_code, reason = "only its description is used; see `Members`")]
struct DescribedRequest {
    text_input: String,
    /// Options, which may as well stand beside it: `max_tokens`, `temperature`, `top_p`, `top_k`,
    /// `seed`, `stop` and the others of `POST /v1/completions`. `stream` changes nothing.
    parameters: Option<HashMap<String, serde_json::Value>>,
}

/// A text, or a piece of one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GenerateAnswer {
    model_name: String,
    model_version: String,
    text_output: String,
}

/// An event of a stream.
#[derive(ToSchema)]
#[schema(as = GenerateEvent)]
#[expect(dead_code, reason = "only its description is used")]
struct DescribedEvent {
    /// An answer as JSON, with the next piece of the text, or the error that ended it.
    data: String,
}

/// Continues a text, and answers when it is complete.
#[utoipa::path(
    post,
    path = "/v2/models/{name}/generate",
    tag = "Open Inference Protocol",
    params(("name" = String, Path)),
    request_body = DescribedRequest,
    responses((status = 200, body = GenerateAnswer), Failures)
)]
async fn generate(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    Path(name): Path<String>,
    context: RequestContext,
    admission: TokenAdmission,
    SizedJson { value, bytes }: SizedJson<Members>,
) -> Result<Response, ApiError> {
    let request = GenerateRequest::of(name, value.0, false)?;
    texts::create(request, bytes, caller, state, context, admission).await
}

/// The same by one version of a model.
#[utoipa::path(
    post,
    path = "/v2/models/{name}/versions/{version}/generate",
    tag = "Open Inference Protocol",
    params(("name" = String, Path), ("version" = String, Path)),
    request_body = DescribedRequest,
    responses((status = 200, body = GenerateAnswer), Failures)
)]
async fn generate_version(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    Path((name, version)): Path<(String, String)>,
    context: RequestContext,
    admission: TokenAdmission,
    SizedJson { value, bytes }: SizedJson<Members>,
) -> Result<Response, ApiError> {
    let request = GenerateRequest::of(format!("{name}@{version}"), value.0, false)?;
    texts::create(request, bytes, caller, state, context, admission).await
}

/// Continues a text, and answers with its pieces as they come: server-sent events, each with a
/// `text_output` of its own. An error in the middle of them is the last event.
#[utoipa::path(
    post,
    path = "/v2/models/{name}/generate_stream",
    tag = "Open Inference Protocol",
    params(("name" = String, Path)),
    request_body = DescribedRequest,
    responses((status = 200, content((DescribedEvent = "text/event-stream"))), Failures)
)]
async fn generate_stream(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    Path(name): Path<String>,
    context: RequestContext,
    admission: TokenAdmission,
    SizedJson { value, bytes }: SizedJson<Members>,
) -> Result<Response, ApiError> {
    let request = GenerateRequest::of(name, value.0, true)?;
    texts::create(request, bytes, caller, state, context, admission).await
}

/// The same by one version of a model.
#[utoipa::path(
    post,
    path = "/v2/models/{name}/versions/{version}/generate_stream",
    tag = "Open Inference Protocol",
    params(("name" = String, Path), ("version" = String, Path)),
    request_body = DescribedRequest,
    responses((status = 200, content((DescribedEvent = "text/event-stream"))), Failures)
)]
async fn generate_version_stream(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    Path((name, version)): Path<(String, String)>,
    context: RequestContext,
    admission: TokenAdmission,
    SizedJson { value, bytes }: SizedJson<Members>,
) -> Result<Response, ApiError> {
    let request = GenerateRequest::of(format!("{name}@{version}"), value.0, true)?;
    texts::create(request, bytes, caller, state, context, admission).await
}

/// A member of a request: its name, and its value as the JSON that it came as.
pub(crate) type Member = (String, Box<RawValue>);

/// The members of an object, in their order.
pub(crate) struct Members(pub(crate) Vec<Member>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

/// The member with the text.
const TEXT_INPUT: &str = "text_input";

/// The member with the options.
const PARAMETERS: &str = "parameters";

/// Names that models of Triton's have for an option, and its name here.
const OTHER_NAMES: [(&str, &str); 3] = [
    (TEXT_INPUT, "prompt"),
    ("stop_words", "stop"),
    ("random_seed", "seed"),
];

/// Options that say how an answer is to be written, which the route says, or that it has what it
/// never has.
const WITHOUT_EFFECT: [&str; 2] = ["stream", "exclude_input_in_output"];

/// Options of a completion that the one text of an answer has no room for, and other names for what
/// is named elsewhere.
const NOT_OFFERED: [&str; 7] = [
    "model",
    "prompt",
    "n",
    "best_of",
    "echo",
    "logprobs",
    "stream_options",
];

/// A request for a text, as one for a completion.
pub(crate) struct GenerateRequest {
    model: String,
    /// The request for a completion, without its model.
    body: Vec<u8>,
    is_stream: bool,
}

impl GenerateRequest {
    /// The request that these members make, of which one may have options in it.
    fn of(model: String, members: Vec<Member>, is_stream: bool) -> Result<Self, ApiError> {
        let (parameters, members): (Vec<_>, Vec<_>) = members
            .into_iter()
            .partition(|(name, _)| name == PARAMETERS);
        let mut options = Vec::new();
        for (_, value) in parameters {
            let read: Option<Members> = serde_json::from_str(value.get())
                .map_err(|_| ApiError::invalid_argument(PARAMETERS, "expected an object"))?;
            options.extend(read.into_iter().flat_map(|Members(options)| options));
        }
        Self::new(model, members, options, is_stream)
    }

    /// The request that these members and options make.
    pub(crate) fn new(
        model: String,
        members: Vec<Member>,
        options: Vec<Member>,
        is_stream: bool,
    ) -> Result<Self, ApiError> {
        let mut completion = Completion::default();
        for (name, value) in members {
            completion.add(&name, value.get())?;
        }
        for (name, value) in options {
            if name == TEXT_INPUT || name == PARAMETERS {
                let place = format!("{PARAMETERS}.{name}");
                return Err(ApiError::invalid_argument(place, "belongs beside it"));
            }
            completion.add_option(&name, value.get())?;
        }
        Ok(Self {
            model,
            body: completion.end()?,
            is_stream,
        })
    }
}

/// A request for a completion in the making.
struct Completion {
    json: Vec<u8>,
    /// The options that only the model knows, as the inside of an object.
    own: Vec<u8>,
    has_text: bool,
}

impl Default for Completion {
    fn default() -> Self {
        Self {
            json: b"{".to_vec(),
            own: Vec::new(),
            has_text: false,
        }
    }
}

impl Completion {
    fn add(&mut self, name: &str, value: &str) -> Result<(), ApiError> {
        if WITHOUT_EFFECT.contains(&name) {
            return Ok(());
        }
        if NOT_OFFERED.contains(&name) {
            return Err(ApiError::unknown_argument(name.to_owned(), None));
        }
        if name == TEXT_INPUT {
            if !value.starts_with('"') {
                return Err(ApiError::invalid_argument(TEXT_INPUT, "expected a string"));
            }
            self.has_text = true;
        }
        let other = OTHER_NAMES.iter().find(|(theirs, _)| *theirs == name);
        if self.json.len() > 1 {
            self.json.push(b',');
        }
        json::write_string(&mut self.json, other.map_or(name, |(_, ours)| ours));
        self.json.push(b':');
        self.json.extend_from_slice(value.as_bytes());
        Ok(())
    }

    /// Adds one of the options that are the model's to read where nobody else knows them.
    fn add_option(&mut self, name: &str, value: &str) -> Result<(), ApiError> {
        let is_known = place_in::<CompletionRequest>(name).is_some()
            || OTHER_NAMES.iter().any(|(theirs, _)| *theirs == name)
            || WITHOUT_EFFECT.contains(&name);
        if is_known || value.starts_with(['{', '[']) {
            return self.add(name, value);
        }
        if !self.own.is_empty() {
            self.own.push(b',');
        }
        json::write_string(&mut self.own, name);
        self.own.push(b':');
        self.own.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn end(mut self) -> Result<Vec<u8>, ApiError> {
        if !self.has_text {
            return Err(ApiError::missing_argument(TEXT_INPUT.to_owned()));
        }
        if !self.own.is_empty() {
            self.json.extend_from_slice(b",\"parameters\":{");
            self.json.append(&mut self.own);
            self.json.push(b'}');
        }
        self.json.push(b'}');
        Ok(self.json)
    }
}

impl TextApi for GenerateRequest {
    type Style = ();
    type Answer = GenerateAnswer;
    type Events = GenerateEvents;

    fn model(&self) -> &str {
        &self.model
    }

    fn read(self, config: &Config) -> Result<ReadCall<()>, ApiError> {
        let request: ModelElsewhere<CompletionRequest> = json::parse(&self.body.into())?;
        let ReadCall { call, note, .. } = request.named(self.model).read(config)?;
        Ok(ReadCall {
            call,
            style: (),
            is_stream: self.is_stream,
            note,
        })
    }

    fn place(name: &str) -> Option<String> {
        Sifted::<CompletionRequest>::place(name)
    }

    fn answer(answerer: Answerer<'_>, text: Text, (): ()) -> GenerateAnswer {
        let events = text.answers.into_iter().flatten();
        GenerateEvents::new(&answerer).piece(events.filter_map(shown).collect())
    }

    fn events(answerer: Answerer<'_>, (): ()) -> GenerateEvents {
        GenerateEvents::new(&answerer)
    }
}

/// The text that an event adds to the answer, if it does.
pub(crate) fn shown(event: Event) -> Option<String> {
    match event {
        Event::Text(TextFragment { text, .. }) | Event::Refusal(text) => Some(text),
        // A bare text has no tools, and thoughts are no part of it.
        Event::Reasoning(_) | Event::ToolCall(_) | Event::Stopped(_) | Event::Finish(_) => None,
    }
}

/// The events of a streamed text.
pub(crate) struct GenerateEvents {
    model_name: String,
    model_version: String,
}

impl GenerateEvents {
    fn new(answerer: &Answerer<'_>) -> Self {
        let id = &answerer.model.id;
        Self {
            model_name: id.name.to_string(),
            model_version: id.version.to_string(),
        }
    }

    fn piece(&self, text_output: String) -> GenerateAnswer {
        GenerateAnswer {
            model_name: self.model_name.clone(),
            model_version: self.model_version.clone(),
            text_output,
        }
    }
}

impl TextEvents for GenerateEvents {
    fn event(&mut self, out: &mut Vec<u8>, _: usize, event: Event) {
        if let Some(text) = shown(event) {
            out.extend_from_slice(b"data: ");
            // Writing to memory does not fail.
            let _ = serde_json::to_writer(&mut *out, &self.piece(text));
            out.extend_from_slice(b"\n\n");
        }
    }

    fn failure(&mut self, out: &mut Vec<u8>, error: &ApiError) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&error.for_open_inference());
        out.extend_from_slice(b"\n\n");
    }

    fn end(&mut self, _: &mut Vec<u8>, _: &TextUsage) {}
}
