//! `POST /infer`: named tensors in, named tensors out, in the format of the caller's choice.
//!
//! | format | media type | how the model is named |
//! | --- | --- | --- |
//! | JSON | `application/json` | `model`, `?model=` or `x-belljar-model` |
//! | Open Inference Protocol | the same; `application/octet-stream` with binary tensors | the same |
//! | msgpack | `application/msgpack`, `application/x-msgpack`, `application/vnd.msgpack` | the same |
//! | safetensors | `application/vnd.safetensors`, `application/x-safetensors` | `__metadata__.model`, or as above |
//!
//! A request that names no model is refused: a default would change its meaning with the next
//! upload. The answer comes in the format that `Accept` asks for, else in that of the request.

use super::described::{InferRequest, InferResponse};
use super::fit::{fit, list};
use super::{
    Answer, BodyFormat, Form, Format, FormatError, HEADER_LENGTH, OIP_HEADER_LENGTH_HEADER,
    TensorRequest, UnsupportedBody, WantedOutput, Written, accepted, allows, body_format,
};
use crate::api::{Binary, Failures};
use crate::auth::{Authorized, Infer, Scope};
use crate::guard::{Inspection, Objection, Texts, is_plain};
use crate::http::HttpState;
use crate::http::body::{self, Limits};
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::json;
use crate::http::own_headers::X_BELLJAR_MODEL;
use crate::http::policy::{RoutePolicy, Routes};
use crate::http::workers;
use crate::inference::{Answered, RequestContext, TensorCall};
use crate::limits::Admission;
use crate::models::LiveModel;
use axum::extract::{FromRef as _, Request, State};
use axum::response::{IntoResponse as _, Response};
use belljar_sandbox::CheckedRequest;
use belljar_sandbox::wit::tensors::{self, MetadataInfo};
use belljar_sandbox::wit::types::Value;
use belljar_screen::FieldKind;
use belljar_screen::json::Bounds;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Deserialize;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    Routes::default().add(RoutePolicy::scope(Scope::Infer), routes!(infer))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InferQuery {
    model: Option<String>,
}

/// Runs a tensor model once, in a fresh sandbox.
///
/// A body such as `{"model":"echo","inputs":{"x":[[1,2],[3,4]]}}` is the shortest way: lists
/// give the shape, numbers are INT64 or FP64 by their content unless the model declares another
/// datatype. `{"datatype":"FP32","shape":[2],"data":[1,2]}` says it all. `inputs` as a list is
/// the Open Inference Protocol.
#[utoipa::path(
    post,
    path = "/infer",
    tag = "Inference",
    params(
        ("model" = Option<String>, Query, description = "`name`, or `name@version`, where the body does not say"),
        ("x-belljar-model" = Option<String>, Header, description = "the same"),
        ("inference-header-content-length" = Option<u64>, Header, description = "of the binary tensor extension: bytes of JSON before the tensors"),
    ),
    request_body(
        content(
            (InferRequest = "application/json"),
            (Binary = "application/octet-stream"),
            (Binary = "application/msgpack"),
            (Binary = "application/vnd.safetensors"),
        )
    ),
    responses(
        (status = 200, description = "The outputs, in the format asked for.", content(
            (InferResponse = "application/json"),
            (Binary = "application/octet-stream"),
            (Binary = "application/msgpack"),
            (Binary = "application/vnd.safetensors"),
        )),
        Failures,
    )
)]
async fn infer(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    context: RequestContext,
    admission: Admission,
    Query(InferQuery { model }): Query<InferQuery>,
    request: Request,
) -> Result<Response, ApiError> {
    serve(&state, &caller, admission, context, model, request).await
}

/// Runs one request, whichever route it came by. `model` is what the route or query says.
pub(crate) async fn serve(
    state: &HttpState,
    caller: &Authorized<Infer>,
    admission: Admission,
    context: RequestContext,
    model: Option<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    // A type that is refused whatever the body is costs no reading.
    Head::read(&parts.headers)?;
    let limits = Limits::from_ref(state);
    let body = body::whole(&parts.headers, body, limits, &context).await?;
    let bounds = limits.json.tensor_bounds();
    let bytes = body.len();
    let read = move || Head::read(&parts.headers)?.decode(&body, model, &bounds);
    let (answered, style) = run(state, caller, admission, &context, bytes, read).await?;
    workers::run(answered.bytes(), move || encode(&answered, &style)).await
}

/// Reads, screens and runs one request, whichever protocol it came in: `read` has it from `bytes`
/// bytes, and says how its answer is to be written.
pub(crate) async fn run<S, F>(
    state: &HttpState,
    caller: &Authorized<Infer>,
    admission: Admission,
    context: &RequestContext,
    bytes: usize,
    read: F,
) -> Result<(Answered<tensors::Response>, S), ApiError>
where
    S: AsRef<Asked> + Send + 'static,
    F: FnOnce() -> Result<(NamedRequest, S), ApiError> + Send + 'static,
{
    let (call, style) = {
        let (state, context) = (state.clone(), context.clone());
        let prepare = move || {
            let (call, style) = read()?;
            let call = state.inference().screen(&context, call)?;
            Ok::<_, ApiError>((call, style))
        };
        workers::run(bytes, prepare).await?
    };
    let asked = style.as_ref();
    let answered = state.inference().infer(caller, call, admission, context);
    let mut answered = answered
        .await
        .map_err(|error| ApiError::from(error).naming(|name| asked.place_of(name)))?;
    asked.choose(&mut answered.answer.outputs)?;
    Ok((answered, style))
}

impl Answered<tensors::Response> {
    /// Bytes of all outputs.
    pub(crate) fn bytes(&self) -> usize {
        self.answer.outputs.iter().map(|one| one.data.len()).sum()
    }
}

/// The name and the version of a model. As in its label, which is there as text already.
pub(crate) fn names(model: &LiveModel) -> (&str, &str) {
    model.label.split_once('@').unwrap_or_default()
}

/// What the head of a request says about its body and its answer.
struct Head<'a> {
    headers: &'a HeaderMap,
    content_type: Option<&'a str>,
    /// Of the binary extension: how many bytes at the front of the body are JSON.
    header_length: Option<usize>,
}

/// How the answer is to be written.
pub(crate) struct AnswerStyle {
    pub(crate) asked: Asked,
    format: Format,
    binary_allowed: bool,
}

impl AsRef<Asked> for AnswerStyle {
    fn as_ref(&self) -> &Asked {
        &self.asked
    }
}

/// What a request says of its answer, and what an answer says of it.
pub(crate) struct Asked {
    form: Form,
    pub(crate) id: Option<String>,
    wanted: Vec<WantedOutput>,
    binary_outputs: Option<bool>,
    /// The names of the inputs, for errors that speak of one.
    inputs: Vec<String>,
}

impl AsRef<Self> for Asked {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Asked {
    /// What a request says.
    pub(crate) fn of(request: &TensorRequest) -> Self {
        let inputs = request.inputs.iter();
        Self {
            form: request.form,
            id: request.id.clone(),
            wanted: request.outputs.clone(),
            binary_outputs: request.binary_outputs,
            inputs: inputs.map(|input| input.name.clone()).collect(),
        }
    }

    /// Leaves the outputs that are wanted, and refuses those that the model has not given: a model
    /// that declares none may give any, so that is known only now.
    pub(crate) fn choose(&self, outputs: &mut Vec<tensors::Tensor>) -> Result<(), FormatError> {
        let is_given = |wanted: &WantedOutput| outputs.iter().any(|one| one.name == wanted.name);
        if let Some(missing) = self.wanted.iter().position(|wanted| !is_given(wanted)) {
            let names = list(outputs.iter().map(|one| one.name.as_str()));
            let message = format!("the model gave no such output; it gave {names}");
            return Err(FormatError::invalid(format!("outputs[{missing}]"), message));
        }
        if !self.wanted.is_empty() {
            outputs.retain(|one| self.wanted.iter().any(|wanted| wanted.name == one.name));
        }
        Ok(())
    }

    /// The place in the request of something that has a name.
    fn place_of(&self, name: &str) -> Option<String> {
        let is_input = self.inputs.iter().any(|input| input == name);
        is_input.then(|| format!("inputs.{name}"))
    }
}

/// A request whose model has a name, wherever that stood.
pub(crate) struct NamedRequest {
    model: String,
    request: TensorRequest,
    /// Of the body that it came in.
    bytes: usize,
}

impl NamedRequest {
    /// A request that came in a body of so many bytes.
    pub(crate) fn new(model: String, request: TensorRequest, bytes: usize) -> Self {
        Self {
            model,
            request,
            bytes,
        }
    }
}

impl Texts for NamedRequest {
    fn visit(&mut self, see: &mut Inspection<'_>) -> Result<(), Box<Objection>> {
        let TensorRequest {
            id,
            inputs,
            outputs,
            parameters,
            ..
        } = &mut self.request;
        see.name(FieldKind::Identifier, || "model".to_owned(), &self.model)?;
        let kind = FieldKind::Tensor;
        if let Some(id) = id {
            name(see, || "id".to_owned(), id)?;
        }
        for (index, output) in outputs.iter().enumerate() {
            name(see, || format!("outputs[{index}]"), &output.name)?;
        }
        for (index, parameter) in parameters.iter_mut().enumerate() {
            let place = || format!("parameters[{index}]");
            name(see, place, &parameter.name)?;
            if let Value::Text(text) = &mut parameter.value {
                see.text(kind, place, text)?;
            }
        }
        for (index, input) in inputs.iter().enumerate() {
            let place = || format!("inputs[{index}]");
            name(see, place, &input.name)?;
            // Elements are data: they may hold any character, and reach the model as they are.
            for (at, text) in input.elements.texts() {
                if !is_plain(text.as_bytes()) {
                    see.screen(kind, || format!("inputs[{index}].data[{at}]"), text)?;
                }
            }
        }
        Ok(())
    }
}

/// Screens a name beside tensors, unless there is nothing in it to look at: there can be many.
fn name(
    see: &mut Inspection<'_>,
    place: impl Fn() -> String,
    name: &str,
) -> Result<(), Box<Objection>> {
    if is_plain(name.as_bytes()) {
        return Ok(());
    }
    see.name(FieldKind::Tensor, place, name)
}

impl TensorCall for NamedRequest {
    type Invalid = FormatError;

    fn model(&self) -> &str {
        &self.model
    }

    async fn fit(self, declared: Option<&MetadataInfo>) -> Result<CheckedRequest, FormatError> {
        let Self { request, bytes, .. } = self;
        if bytes <= workers::INLINE_BYTES_MAX {
            return fit(request, declared);
        }
        let declared = declared.cloned();
        workers::run(bytes, move || fit(request, declared.as_ref())).await
    }
}

impl<'a> Head<'a> {
    /// Refuses a type that is refused whatever the body is: that costs no reading.
    fn read(headers: &'a HeaderMap) -> Result<Self, ApiError> {
        let content_type = text(headers, &header::CONTENT_TYPE);
        let header_length = header_length(headers)?;
        let is_raw = content_type.is_some_and(|of| of.starts_with("application/octet-stream"));
        // Raw bytes may turn out to be a pickle, which has an error of its own. An empty body
        // can only be refused for its type.
        if !is_raw {
            body_format(content_type, header_length, b"").map_err(unsupported)?;
        }
        Ok(Self {
            headers,
            content_type,
            header_length,
        })
    }

    fn decode(
        &self,
        body: &[u8],
        route: Option<String>,
        bounds: &Bounds,
    ) -> Result<(NamedRequest, AnswerStyle), ApiError> {
        let format = body_format(self.content_type, self.header_length, body);
        let format = format.map_err(unsupported)?;
        let (answer_format, binary_allowed) = self.accepted(format)?;
        let mut request = read(format, body, bounds)?;
        let named = text(self.headers, &X_BELLJAR_MODEL);
        let model = model_name(route, named, request.model.take())?;
        let style = AnswerStyle {
            asked: Asked::of(&request),
            format: answer_format,
            binary_allowed,
        };
        Ok((NamedRequest::new(model, request, body.len()), style))
    }

    /// The format to answer in, and whether tensors in it may be binary where it is JSON.
    fn accepted(&self, format: BodyFormat) -> Result<(Format, bool), ApiError> {
        let accept = self.headers.get_all(header::ACCEPT);
        let accept = accept.iter().filter_map(|value| value.to_str().ok());
        let accept: Vec<_> = accept.collect();
        let answer = accepted(&accept, format.answer()).ok_or_else(|| {
            ApiError::not_acceptable(
                "The answer can be had as application/json, application/octet-stream, \
             application/msgpack or application/vnd.safetensors.",
            )
        })?;
        Ok((answer, allows(&accept, Format::OipBinary)))
    }
}

fn encode(
    answered: &Answered<tensors::Response>,
    style: &AnswerStyle,
) -> Result<Response, ApiError> {
    let written = write(answered, style)?;
    let mut response = written.body.into_response();
    let headers = response.headers_mut();
    let media_type = match written.json_bytes {
        Some(json_bytes) => {
            headers.insert(HEADER_LENGTH, HeaderValue::from(json_bytes));
            Format::OipBinary.media_type()
        }
        None => style.format.media_type(),
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    Ok(response)
}

/// Reads a request in JSON that came without a head, as a command is given one.
pub(crate) fn read_headless(
    body: &[u8],
    bounds: &Bounds,
) -> Result<(NamedRequest, AnswerStyle), ApiError> {
    let head = Head {
        headers: &HeaderMap::new(),
        content_type: Some("application/json"),
        header_length: None,
    };
    head.decode(body, None, bounds)
}

/// Writes an answer in the style of its request.
pub(crate) fn write(
    answered: &Answered<tensors::Response>,
    style: &AnswerStyle,
) -> Result<Written, FormatError> {
    let (model, version) = names(&answered.model);
    let Asked {
        form,
        id,
        wanted,
        binary_outputs,
        inputs: _,
    } = &style.asked;
    let answer = Answer {
        model,
        version,
        id: id.as_deref(),
        response: &answered.answer,
        form: *form,
        wanted,
        binary_outputs: *binary_outputs,
        binary_allowed: style.binary_allowed,
    };
    answer.write(style.format)
}

fn read(format: BodyFormat, body: &[u8], bounds: &Bounds) -> Result<TensorRequest, ApiError> {
    Ok(match format {
        BodyFormat::Json => read_json(body, None, bounds)?,
        BodyFormat::JsonWithTail(json_bytes) => {
            let Some((json, tail)) = body.split_at_checked(json_bytes) else {
                let message = format!(
                    "The header {OIP_HEADER_LENGTH_HEADER} says {json_bytes} bytes, and the body has {}.",
                    body.len()
                );
                return Err(ApiError::invalid_request("invalid_header", message));
            };
            read_json(json, Some(tail), bounds)?
        }
        BodyFormat::Msgpack => TensorRequest::from_msgpack(body)?,
        BodyFormat::Safetensors => TensorRequest::from_safetensors(body)?,
    })
}

fn read_json(body: &[u8], tail: Option<&[u8]>, bounds: &Bounds) -> Result<TensorRequest, ApiError> {
    json::check(body, bounds)?;
    TensorRequest::from_json(body, tail).or_else(|error| {
        json::explain(body, bounds)?;
        Err(error.into())
    })
}

/// The one model that the places which can name one agree on.
fn model_name(
    route: Option<String>,
    header: Option<&str>,
    body: Option<String>,
) -> Result<String, ApiError> {
    let mut found: Option<String> = None;
    for name in [route, header.map(ToOwned::to_owned), body]
        .into_iter()
        .flatten()
    {
        match &found {
            Some(before) if *before != name => {
                let message = "Two places of the request name two models; name one.";
                return Err(
                    ApiError::invalid_request("conflicting_models", message).at("model".to_owned())
                );
            }
            _ => found = Some(name),
        }
    }
    found.filter(|name| !name.is_empty()).ok_or_else(|| {
        ApiError::invalid_request(
            "missing_required_parameter",
            "No model is named. Put `model` into the body, `?model=` into the URL, or send the header \
             x-belljar-model.",
        )
        .at("model".to_owned())
    })
}

fn unsupported(reason: UnsupportedBody) -> ApiError {
    match reason {
        UnsupportedBody::Pickle => ApiError::pickle(),
        UnsupportedBody::NoHeaderLength => ApiError::unsupported_media_type(
            "A body of application/octet-stream needs the header Inference-Header-Content-Length, which \
             says how many bytes at its front are JSON.",
        ),
        UnsupportedBody::Unknown => ApiError::unsupported_media_type(
            "Send application/json, application/msgpack, application/vnd.safetensors, or \
             application/octet-stream with the header Inference-Header-Content-Length.",
        ),
    }
}

fn header_length(headers: &HeaderMap) -> Result<Option<usize>, ApiError> {
    let Some(value) = headers.get(HEADER_LENGTH) else {
        return Ok(None);
    };
    let length = value.to_str().ok().and_then(|value| value.parse().ok());
    length.map(Some).ok_or_else(|| {
        let message = format!("The header {OIP_HEADER_LENGTH_HEADER} is not a number of bytes.");
        ApiError::invalid_request("invalid_header", message)
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_model_is_named_once() {
        let name = |route: Option<&str>, header, body: Option<&str>| {
            model_name(
                route.map(ToOwned::to_owned),
                header,
                body.map(ToOwned::to_owned),
            )
        };
        assert_eq!(name(None, None, Some("a")).unwrap(), "a");
        assert_eq!(name(Some("a"), Some("a"), Some("a")).unwrap(), "a");
        assert_eq!(
            name(Some("a"), Some("b"), None).unwrap_err().code(),
            "conflicting_models"
        );
        assert_eq!(
            name(None, None, None).unwrap_err().code(),
            "missing_required_parameter"
        );
        assert_eq!(
            name(None, Some(""), None).unwrap_err().code(),
            "missing_required_parameter"
        );
    }
}
