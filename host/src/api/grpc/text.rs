//! A request of a stream to a model of texts: its tensors and options are those of Triton's models,
//! and mean what the members of `POST /v2/models/{name}/generate` mean.
//!
//! `text_input` is the text; `sampling_parameters` may hold options as an object of JSON; others are
//! tensors of one element, or options of the request. With `stream` the pieces of the answer come as
//! they are made, else the whole of it comes at the end.

use super::answers::{one, refused};
use crate::api::oip::generate::{GenerateAnswer, GenerateRequest, Member, Members, shown};
use crate::api::tensors::TensorRequest;
use crate::api::tensors::grpc::write;
use crate::api::text_body::TextEvents;
use crate::api::texts::{Answerer, ReadCall, TextApi};
use crate::generation::Event;
use crate::http::Config;
use crate::http::error::ApiError;
use crate::inference::{Text, TextUsage};
use crate::models::ServedModel;
use belljar_sandbox::Capability;
use belljar_sandbox::wit::tensors::{Datatype, Response, Tensor};
use belljar_sandbox::wit::types::{Parameter, Value};
use serde_json::value::{RawValue, to_raw_value};

/// The option that asks for an answer without outputs at the end of all others.
const EMPTY_FINAL_RESPONSE: &str = "triton_enable_empty_final_response";

/// The tensor with options as an object of JSON.
const SAMPLING_PARAMETERS: &str = "sampling_parameters";

const STREAM: &str = "stream";

const TEXT_OUTPUT: &str = "text_output";

/// Whether a model gives texts and takes no tensors.
pub(super) fn is_of_texts(live: &ServedModel) -> bool {
    let can = |capability| live.capabilities().has(capability);
    can(Capability::Text) && !can(Capability::Tensors)
}

/// A request for a text.
pub(super) struct CallText {
    request: GenerateRequest,
    style: CallStyle,
}

/// How the answers are to be written.
#[derive(Clone)]
pub(super) struct CallStyle {
    id: Option<String>,
    /// Whether the answer comes in pieces.
    is_in_pieces: bool,
    has_empty_final: bool,
}

impl CallText {
    /// The request that tensors and options make.
    pub(super) fn new(model: String, request: TensorRequest) -> Result<Self, ApiError> {
        let TensorRequest {
            id,
            inputs,
            outputs,
            parameters,
            ..
        } = request;
        let unknown = outputs.iter().position(|wanted| wanted.name != TEXT_OUTPUT);
        if let Some(unknown) = unknown {
            let message = format!("the model has no such output; it gives `{TEXT_OUTPUT}`");
            return Err(ApiError::invalid_argument(
                format!("outputs[{unknown}]"),
                message,
            ));
        }
        let mut style = CallStyle {
            id,
            is_in_pieces: false,
            has_empty_final: false,
        };
        let mut members = Vec::new();
        let mut options = Vec::new();
        for input in inputs {
            let (name, value) = input.into_json()?;
            let value = raw(value).ok_or_else(|| unreadable(&name))?;
            if name == SAMPLING_PARAMETERS {
                options.extend(sampling_parameters(&value)?);
            } else {
                members.push((name, value));
            }
        }
        for Parameter { name, value } in parameters {
            match (name.as_str(), value) {
                (EMPTY_FINAL_RESPONSE, Value::Boolean(wanted)) => style.has_empty_final = wanted,
                (_, value) => {
                    let value = plain(&value).ok_or_else(|| unreadable(&name))?;
                    options.push((name, value));
                }
            }
        }
        let mut said = members.iter().chain(&options);
        style.is_in_pieces = said.any(|(name, value)| name == STREAM && value.get() == "true");
        Ok(Self {
            request: GenerateRequest::new(model, members, options, true)?,
            style,
        })
    }
}

fn unreadable(name: &str) -> ApiError {
    let end = name.floor_char_boundary(64);
    let name = name.get(..end).unwrap_or_default();
    ApiError::invalid_argument(name, "holds what is no option")
}

fn raw(json: Vec<u8>) -> Option<Box<RawValue>> {
    RawValue::from_string(String::from_utf8(json).ok()?).ok()
}

fn plain(value: &Value) -> Option<Box<RawValue>> {
    let raw = match value {
        Value::Boolean(value) => to_raw_value(value),
        Value::Integer(value) => to_raw_value(value),
        Value::Number(value) => to_raw_value(value),
        Value::Text(value) => to_raw_value(value),
    };
    raw.ok()
}

/// The options in a text that is an object of JSON.
fn sampling_parameters(value: &RawValue) -> Result<Vec<Member>, ApiError> {
    let invalid = |_| {
        let message = "expected an object of JSON as a text";
        ApiError::invalid_argument(SAMPLING_PARAMETERS, message)
    };
    let text: String = serde_json::from_str(value.get()).map_err(invalid)?;
    let Members(members) = serde_json::from_str(&text).map_err(invalid)?;
    Ok(members)
}

impl TextApi for CallText {
    type Style = CallStyle;
    type Answer = GenerateAnswer;
    type Events = CallEvents;

    fn model(&self) -> &str {
        self.request.model()
    }

    fn read(self, config: &Config) -> Result<ReadCall<CallStyle>, ApiError> {
        let ReadCall {
            call,
            is_stream,
            note,
            ..
        } = self.request.read(config)?;
        Ok(ReadCall {
            call,
            style: self.style,
            is_stream,
            note,
        })
    }

    fn place(name: &str) -> Option<String> {
        GenerateRequest::place(name)
    }

    fn answer(answerer: Answerer<'_>, text: Text, _: CallStyle) -> GenerateAnswer {
        GenerateRequest::answer(answerer, text, ())
    }

    fn events(answerer: Answerer<'_>, style: CallStyle) -> CallEvents {
        let id = &answerer.model.id;
        CallEvents {
            model: (id.name.to_string(), id.version.to_string()),
            style,
            whole: String::new(),
        }
    }
}

/// The answers to one request, each a message with its length before it.
pub(super) struct CallEvents {
    /// Its name and its version.
    model: (String, String),
    style: CallStyle,
    /// What there is of an answer that does not come in pieces.
    whole: String,
}

impl CallEvents {
    /// Writes one answer.
    fn piece(&self, out: &mut Vec<u8>, text: Option<&str>, is_last: bool) {
        let outputs = text.map(|text| {
            // A text is bounded by the caps of a run, far below 4 GiB.
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            Tensor {
                name: TEXT_OUTPUT.to_owned(),
                datatype: Datatype::Bytes,
                shape: vec![1],
                data: [length.to_le_bytes().as_slice(), text.as_bytes()].concat(),
            }
        });
        let response = Response {
            outputs: outputs.into_iter().collect(),
            parameters: Vec::new(),
        };
        let (name, version) = &self.model;
        let answer = write(
            (name.as_str(), version.as_str()),
            self.style.id.as_deref(),
            response,
        );
        out.extend_from_slice(&one(answer, is_last));
    }
}

impl TextEvents for CallEvents {
    fn event(&mut self, out: &mut Vec<u8>, _: usize, event: Event) {
        let Some(text) = shown(event) else { return };
        if self.style.is_in_pieces {
            self.piece(out, Some(&text), false);
        } else {
            self.whole.push_str(&text);
        }
    }

    fn failure(&mut self, out: &mut Vec<u8>, error: &ApiError) {
        out.extend_from_slice(&refused(Some(error.text()), self.style.id.as_deref()));
    }

    fn end(&mut self, out: &mut Vec<u8>, _: &TextUsage) {
        if !self.style.is_in_pieces {
            let whole = std::mem::take(&mut self.whole);
            self.piece(out, Some(&whole), true);
        } else if self.style.has_empty_final {
            self.piece(out, None, true);
        }
    }
}
