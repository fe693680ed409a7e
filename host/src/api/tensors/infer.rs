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

use super::{
    Answer, BodyFormat, HEADER_LENGTH, Inference, OIP_HEADER_LENGTH_HEADER, UnsupportedBody,
    accepted, body_format, fit,
};
use crate::api::{Binary, Failures};
use crate::auth::Caller;
use crate::http::HttpState;
use crate::http::body::{self, Limits};
use crate::http::error::ApiError;
use crate::http::extract::{Infer, May, Query, record_of};
use crate::http::json;
use crate::http::runs;
use crate::http::screening::{self, Identifier};
use axum::extract::{FromRef as _, Request, State};
use axum::response::{IntoResponse as _, Response};
use belljar_screen::json::Bounds;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(infer))
}

const X_BELLJAR_MODEL: HeaderName = HeaderName::from_static("x-belljar-model");

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
            (Object = "application/json"),
            (Binary = "application/octet-stream"),
            (Binary = "application/msgpack"),
            (Binary = "application/vnd.safetensors"),
        )
    ),
    responses(
        (status = 200, description = "The outputs, in the format asked for.", content(
            (Object = "application/json"),
            (Binary = "application/octet-stream"),
            (Binary = "application/msgpack"),
            (Binary = "application/vnd.safetensors"),
        )),
        Failures,
    )
)]
async fn infer(
    May { caller, .. }: May<Infer>,
    State(state): State<HttpState>,
    Query(InferQuery { model }): Query<InferQuery>,
    request: Request,
) -> Result<Response, ApiError> {
    serve(&state, &caller, model, request).await
}

/// Runs one request, whichever route it came by. `model` is what the route or query says.
pub(crate) async fn serve(
    state: &HttpState,
    caller: &Caller,
    model: Option<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let (record, headers) = (record_of(&parts), &parts.headers);
    let header_length = header_length(headers)?;
    let content_type = text(headers, &header::CONTENT_TYPE);
    // A type that is refused whatever the body is costs no reading. An empty body can only be
    // refused for its type here.
    body_format(content_type, header_length, b"")
        .map_err(unsupported)
        .or_else(|error| {
            // Raw bytes may turn out to be a pickle, which has an error of its own.
            if content_type
                .is_some_and(|content_type| content_type.starts_with("application/octet-stream"))
            {
                Ok(BodyFormat::Json)
            } else {
                Err(error)
            }
        })?;
    let limits = Limits::from_ref(state);
    let body = body::whole(headers, body, limits, &record).await?;
    let format = body_format(content_type, header_length, &body).map_err(unsupported)?;
    let accept = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let answer_format =
        accepted(&accept.collect::<Vec<_>>(), format.answer()).ok_or_else(|| {
            ApiError::not_acceptable(
                "The answer can be had as application/json, application/octet-stream, \
             application/msgpack or application/vnd.safetensors.",
            )
        })?;

    let mut inference = read(format, &body, &limits.json.tensor_bounds())?;
    let name = model_name(
        model,
        text(headers, &X_BELLJAR_MODEL),
        inference.model.take(),
    )?;
    screening::pass(state, &record, Identifier("model", &name))?;
    let live = state.registry().ready(&name, caller)?;
    record.set_model(live.label.clone());
    let id = inference.id.take();
    let (form, binary_outputs) = (inference.form, inference.binary_outputs);
    let wanted = inference.outputs.clone();
    let request = fit(inference, live.model.inspection().tensors.as_ref())?;
    drop(body);

    let run = live.model.infer(request, &live.budget, record.run_label());
    let response = runs::tracked(&live, &record, run).await?;

    let (_, version) = live.label.split_once('@').unwrap_or_default();
    let model = live.id.name.as_str();
    let id = id.as_deref();
    let answer = Answer {
        model,
        version,
        id,
        response: &response,
        form,
        wanted: &wanted,
        binary_outputs,
    };
    let written = answer.write(answer_format)?;
    let mut response = written.body.into_response();
    let headers = response.headers_mut();
    let media_type = match written.json_bytes {
        Some(json_bytes) => {
            headers.insert(HEADER_LENGTH, HeaderValue::from(json_bytes));
            "application/octet-stream"
        }
        None => answer_format.media_type_of_text(),
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    Ok(response)
}

fn read(format: BodyFormat, body: &[u8], bounds: &Bounds) -> Result<Inference, ApiError> {
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
        BodyFormat::Msgpack => Inference::from_msgpack(body)?,
        BodyFormat::Safetensors => Inference::from_safetensors(body)?,
    })
}

fn read_json(body: &[u8], tail: Option<&[u8]>, bounds: &Bounds) -> Result<Inference, ApiError> {
    json::check(body, bounds)?;
    Inference::from_json(body, tail).or_else(|error| {
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
