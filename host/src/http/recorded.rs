//! Recordings on the wire: a request as one that could have been recorded, and what was answered to
//! it as an answer of today.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use belljar_testing::recording::{Answer, Content, Found, Headers, Miss, Request};
use bytes::Bytes;
use futures_util::stream;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::time::Instant;

use super::error::{ApiError, ErrorType, Status};
use super::own_headers::{X_BELLJAR_EXCHANGE, X_BELLJAR_RUN};

/// Headers of one connection, which are not passed on, and those that say how bytes are carried.
const OF_CONNECTION: [&str; 10] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// How long the pauses of a recorded answer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gaps {
    /// As long as they were.
    Recorded,
    /// Nothing waits.
    None,
}

/// Whether a header is one connection's own.
pub(crate) fn is_of_connection(name: &HeaderName) -> bool {
    OF_CONNECTION.contains(&name.as_str())
}

/// The test that a request is of; all that say none are of one.
pub(crate) fn run_of(headers: &HeaderMap) -> &str {
    let name = headers
        .get(X_BELLJAR_RUN)
        .and_then(|name| name.to_str().ok());
    name.unwrap_or_default()
}

/// A request as recordings have it.
pub(crate) fn asked(parts: &Parts, body: Bytes) -> Request {
    Request {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers: headers_of(&parts.headers),
        body: belljar_testing::recording::Body::new(body.into()),
    }
}

/// Headers as recordings have them: several of one name as one, and none that is no text.
pub(crate) fn headers_of(headers: &HeaderMap) -> Headers {
    let mut known = Headers::new();
    for (name, value) in headers {
        let Ok(value) = value.to_str() else { continue };
        known
            .entry(name.as_str().to_owned())
            .and_modify(|before: &mut String| {
                before.push_str(", ");
                before.push_str(value);
            })
            .or_insert_with(|| value.to_owned());
    }
    known
}

/// What was answered, when it was answered: comes back when its head is due, and its events come
/// when they are.
pub(crate) async fn answer(found: Found<'_>, gaps: Gaps) -> Response {
    let Found { number, answer } = found;
    let begun = Instant::now();
    let after = |time: Duration| match gaps {
        Gaps::Recorded => time,
        Gaps::None => Duration::ZERO,
    };
    let head = after(answer.after);
    wait_until(begun + head).await;
    let body = match &answer.content {
        Content::Whole(body) => Body::from(Bytes::copy_from_slice(body.bytes())),
        Content::Stream(events) => {
            // From the beginning on, so that what one comes late is not added up.
            let mut due = head;
            let events: Vec<(Instant, Bytes)> = events
                .iter()
                .map(|event| {
                    due += after(event.after);
                    (begun + due, Bytes::copy_from_slice(event.body.bytes()))
                })
                .collect();
            Body::from_stream(stream::unfold(
                events.into_iter(),
                |mut events| async move {
                    let (due, bytes) = events.next()?;
                    wait_until(due).await;
                    Some((Ok::<_, Infallible>(bytes), events))
                },
            ))
        }
    };
    let mut response = Response::new(body);
    // Checked when the recording was read.
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or_default();
    set_headers(response.headers_mut(), answer);
    response
        .headers_mut()
        .insert(X_BELLJAR_EXCHANGE, HeaderValue::from(number));
    response
}

fn set_headers(headers: &mut HeaderMap, answer: &Answer) {
    for (name, value) in &answer.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value))
            && !is_of_connection(&name)
        {
            headers.insert(name, value);
        }
    }
}

fn wait_until(due: Instant) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    if due <= Instant::now() {
        return Box::pin(std::future::ready(()));
    }
    Box::pin(tokio::time::sleep_until(due))
}

impl From<&Miss> for ApiError {
    fn from(miss: &Miss) -> Self {
        let words = miss.to_string();
        let message = format!("Not recorded: {words}.");
        Self::not_found("not_recorded", message)
    }
}

impl ApiError {
    /// 502: what is behind a proxy does not answer.
    pub(crate) fn upstream(reason: &str) -> Self {
        let message = format!("The service behind this proxy does not answer: {reason}.");
        Self::new(
            Status::BadGateway,
            ErrorType::Server,
            "upstream_unreachable",
            message,
        )
    }

    /// 413: a body is larger than recordings keep.
    pub(crate) fn too_large_to_record(limit_bytes: usize) -> Self {
        let message = format!("Requests with more than {limit_bytes} bytes are not recorded.");
        Self::new(
            Status::PayloadTooLarge,
            ErrorType::InvalidRequest,
            super::error::TOO_LARGE,
            message,
        )
        .closing()
    }

    /// 403: a page of another site asks.
    pub(crate) fn foreign_page() -> Self {
        Self::new(
            Status::Forbidden,
            ErrorType::Permission,
            "foreign_origin",
            "Pages of other sites are not let through: this proxy may have a key of its own.",
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use belljar_testing::recording::{Body as Recorded, Event};
    use http_body_util::BodyExt as _;

    fn stream(gaps_ms: &[u64]) -> Answer {
        let events = gaps_ms.iter().map(|ms| Event {
            after: Duration::from_millis(*ms),
            body: Recorded::new(format!("data: {ms}\n\n").into_bytes()),
        });
        Answer {
            status: 206,
            headers: Headers::from([
                ("content-type".to_owned(), "text/event-stream".to_owned()),
                ("content-length".to_owned(), "1".to_owned()),
            ]),
            after: Duration::from_millis(250),
            content: Content::Stream(events.collect()),
        }
    }

    /// When the head and the events of an answer have come, in milliseconds from the request on.
    async fn times(answer: &Answer, gaps: Gaps) -> (Vec<u128>, Vec<u8>) {
        let begun = Instant::now();
        let response = super::answer(Found { number: 3, answer }, gaps).await;
        assert_eq!(response.status().as_u16(), 206);
        assert_eq!(response.headers()["x-belljar-exchange"], "3");
        assert!(!response.headers().contains_key("content-length"));
        let mut times = vec![begun.elapsed().as_millis()];
        let mut bytes = Vec::new();
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            times.push(begun.elapsed().as_millis());
            bytes.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        (times, bytes)
    }

    #[tokio::test(start_paused = true)]
    async fn events_come_when_they_came_or_at_once() {
        let answer = stream(&[0, 20, 0, 7_000]);
        let (recorded, bytes) = times(&answer, Gaps::Recorded).await;
        assert_eq!(recorded, [250, 250, 270, 270, 7_270]);
        let (none, same) = times(&answer, Gaps::None).await;
        assert_eq!(none, [0; 5]);
        assert_eq!(bytes, same);
    }

    /// A reader that takes its time does not move what comes after.
    #[tokio::test(start_paused = true)]
    async fn what_comes_late_is_not_added_up() {
        let answer = stream(&[100, 100, 100]);
        let begun = Instant::now();
        let found = Found {
            number: 1,
            answer: &answer,
        };
        let mut body = super::answer(found, Gaps::Recorded).await.into_body();
        let _ = body.frame().await;
        tokio::time::advance(Duration::from_millis(150)).await;
        let _ = body.frame().await;
        let _ = body.frame().await;
        assert_eq!(begun.elapsed().as_millis(), 550);
    }
}
