//! The task that sends spans to the collector: OTLP over HTTP, in protobuf.
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::fmt::rfc2822;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use reqwest::header::{self, HeaderMap};
use reqwest::{Method, Response, Url};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::buffer::Buffer;
use super::config::{CollectorUrl, Config, OWN_ATTRIBUTES};
use super::span::attribute_of;
use crate::clock::time_of_day;
use crate::outgoing::{Outgoing, OutgoingError, pause};
use crate::telemetry::metrics;

/// The time for which a stop goes on sending what is left.
const STOP_MAX: Duration = Duration::from_secs(2);

/// Bytes of an answer that are read. The protocol's has a number and a sentence.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Statuses after which the protocol wants the same message again.
const RETRIED: [u16; 4] = [429, 502, 503, 504];

/// The version of the conventions that names follow.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.40.0";

/// What sends spans to the collector.
pub struct Exporter {
    http: Outgoing,
    url: Url,
    headers: HeaderMap,
    resource: Resource,
    buffer: Arc<Buffer>,
    batch_delay: Duration,
    retry_first: Duration,
    retry_time: Duration,
    /// What was lost since the collector took a message last; none while it takes them.
    lost: Option<u64>,
}

/// What became of an attempt.
enum Attempt {
    /// It was taken, but for so many spans.
    Taken { rejected: u64 },
    /// It may be taken another time, and not before the collector says.
    Failed { why: String, not_before: Duration },
    /// It will not be taken.
    Refused { why: String },
}

/// Spans in the form in which they are sent.
struct Batch {
    body: Bytes,
    spans: u64,
}

impl Exporter {
    pub(super) fn new(
        config: &Config,
        url: &CollectorUrl,
        buffer: Arc<Buffer>,
    ) -> Result<Self, OutgoingError> {
        let http = if url.is_plain() {
            Outgoing::without_tls(config.timeout)?
        } else {
            Outgoing::new(config.timeout, &config.authorities)?
        };
        let mut headers: HeaderMap = config
            .headers
            .iter()
            .map(|header| (header.name.clone(), header.value.clone()))
            .collect();
        headers.insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static("application/x-protobuf"),
        );
        let [name, version, instance] = OWN_ATTRIBUTES;
        let mut attributes: Vec<(&str, String)> = vec![
            (name, config.service_name.to_string()),
            (version, env!("CARGO_PKG_VERSION").to_owned()),
            // Another one after each start, as the conventions want it.
            (instance, uuid::Uuid::from_u128(rand::random()).to_string()),
        ];
        let more = config.attributes.iter();
        attributes.extend(more.map(|it| (it.name.as_str(), it.value.clone())));
        let attributes = attributes
            .into_iter()
            .map(|(name, value)| attribute_of(name, Value::StringValue(value)));
        Ok(Self {
            http,
            url: url.of_traces(),
            headers,
            resource: Resource {
                attributes: attributes.collect(),
                ..Resource::default()
            },
            buffer,
            batch_delay: config.batch_delay,
            retry_first: config.retry_first,
            retry_time: config.retry_time,
            lost: None,
        })
    }

    /// Sends spans until `stop`, and then for a moment what is left.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut unsent = None;
        while !stop.is_cancelled() {
            let gathered = async {
                self.buffer.wait(false).await;
                // Fails where the time is over, which is as good a reason to send.
                let _ = timeout(self.batch_delay, self.buffer.wait(true)).await;
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = gathered => {}
            }
            let Some(batch) = self.batch() else { continue };
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    unsent = Some(batch);
                    break;
                }
                () = self.deliver(&batch) => {}
            }
        }
        self.end(unsent).await;
    }

    /// The next spans as one message; none where there are none.
    fn batch(&self) -> Option<Batch> {
        let spans = self.buffer.take();
        metrics::TRACE_SPANS_QUEUED
            .handle()
            .set(self.buffer.len() as f64);
        let count = u64::try_from(spans.len()).unwrap_or(u64::MAX);
        (count > 0).then(|| Batch {
            body: self.message(spans).encode_to_vec().into(),
            spans: count,
        })
    }

    fn message(&self, spans: Vec<Span>) -> ExportTraceServiceRequest {
        let scope = InstrumentationScope {
            name: "belljar".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.resource.clone()),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope),
                    spans,
                    schema_url: SCHEMA.to_owned(),
                }],
                schema_url: SCHEMA.to_owned(),
            }],
        }
    }

    /// Tries until a message is taken or refused, or its time is over.
    async fn deliver(&mut self, batch: &Batch) {
        let begun = Instant::now();
        for attempt in 0.. {
            let outcome = self.attempt(batch).await;
            let Attempt::Failed { why, not_before } = outcome else {
                self.settle(batch, outcome);
                return;
            };
            let pause = pause(attempt, self.retry_first, rand::random()).max(not_before);
            if begun.elapsed().saturating_add(pause) >= self.retry_time {
                self.settle(batch, Attempt::Refused { why });
                return;
            }
            self.note_failure(&why);
            sleep(pause).await;
        }
    }

    async fn attempt(&self, batch: &Batch) -> Attempt {
        let request = self
            .http
            .request(Method::POST, self.url.clone())
            .headers(self.headers.clone())
            .body(batch.body.clone());
        let attempt = match request.send().await {
            Ok(answer) => answered(answer).await,
            Err(error) => Attempt::Failed {
                why: if error.is_timeout() {
                    "it did not answer in time".to_owned()
                } else {
                    "it cannot be reached".to_owned()
                },
                not_before: Duration::ZERO,
            },
        };
        let outcome = match attempt {
            Attempt::Taken { .. } => "ok",
            Attempt::Failed { .. } | Attempt::Refused { .. } => "failed",
        };
        metrics::TRACE_EXPORTS
            .with([("outcome", outcome.into())])
            .increment(1);
        attempt
    }

    /// Counts what has become of a message, and says so where that is new.
    fn settle(&mut self, batch: &Batch, attempt: Attempt) {
        match attempt {
            Attempt::Taken { rejected } => {
                let rejected = rejected.min(batch.spans);
                count("ok", batch.spans - rejected);
                count("rejected", rejected);
                if let Some(lost) = self.lost.take() {
                    tracing::info!(spans.lost = lost, "the collector takes traces again");
                }
            }
            Attempt::Failed { why, .. } | Attempt::Refused { why } => {
                count("failed", batch.spans);
                self.note_failure(&why);
                self.lost = self.lost.map(|lost| lost.saturating_add(batch.spans));
            }
        }
    }

    /// Says that the collector takes nothing, once until it does again.
    fn note_failure(&mut self, why: &str) {
        if self.lost.is_none() {
            self.lost = Some(0);
            tracing::warn!("the collector takes no traces: {why}");
        }
    }

    /// Tries once with each message that is left, for a bounded time.
    async fn end(&mut self, first: Option<Batch>) {
        let deadline = Instant::now() + STOP_MAX;
        let mut next = first;
        while let Some(batch) = next.take().or_else(|| self.batch()) {
            let left = deadline.saturating_duration_since(Instant::now());
            match timeout(left, self.attempt(&batch)).await {
                Ok(attempt) => self.settle(&batch, attempt),
                Err(_) => count("dropped", batch.spans),
            }
        }
    }
}

/// What an answer says.
async fn answered(mut answer: Response) -> Attempt {
    let status = answer.status();
    if !status.is_success() {
        let why = format!("it answered with the status {}", status.as_u16());
        return if RETRIED.contains(&status.as_u16()) {
            let not_before = retry_after(answer.headers());
            Attempt::Failed { why, not_before }
        } else {
            Attempt::Refused { why }
        };
    }
    // The head says that it was taken; the body says what of it was not, if it can be read.
    let mut body = Vec::new();
    while let Ok(Some(piece)) = answer.chunk().await {
        if body.len() + piece.len() > ANSWER_BYTES_MAX {
            return Attempt::Taken { rejected: 0 };
        }
        body.extend_from_slice(&piece);
    }
    let told = ExportTraceServiceResponse::decode(body.as_slice()).unwrap_or_default();
    let rejected = told.partial_success.map_or(0, |part| part.rejected_spans);
    let rejected = u64::try_from(rejected).unwrap_or(0);
    Attempt::Taken { rejected }
}

/// How long the collector wants to be left alone: a number of seconds or a date.
fn retry_after(headers: &HeaderMap) -> Duration {
    let text = headers.get(header::RETRY_AFTER);
    let text = text.and_then(|text| text.to_str().ok()).unwrap_or("0");
    if let Ok(seconds) = text.parse() {
        return Duration::from_secs(seconds);
    }
    let date = rfc2822::parse(text).map(|date| date.timestamp());
    let wait = date.map(|date| time_of_day().duration_until(date));
    wait.map_or(Duration::ZERO, |wait| {
        Duration::try_from(wait).unwrap_or_default()
    })
}

fn count(outcome: &'static str, spans: u64) {
    if spans > 0 {
        metrics::TRACE_SPANS
            .with([("outcome", outcome.into())])
            .increment(spans);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use jiff::{SignedDuration, Timestamp};

    fn wait(text: &str) -> Duration {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, text.parse().unwrap());
        retry_after(&headers)
    }

    #[test]
    fn a_collector_is_left_alone_for_as_long_as_it_says() {
        assert_eq!(retry_after(&HeaderMap::new()), Duration::ZERO);
        assert_eq!(wait("7"), Duration::from_secs(7));
        let date = |time: Timestamp| {
            let printer = rfc2822::DateTimePrinter::new();
            wait(&printer.timestamp_to_rfc9110_string(&time).unwrap())
        };
        let now = Timestamp::now();
        let soon = date(now + SignedDuration::from_secs(100));
        assert!((90..=100).contains(&soon.as_secs()), "{soon:?}");
        assert_eq!(date(now - SignedDuration::from_secs(100)), Duration::ZERO);
        for odd in ["", "soon", "-1", "1.5"] {
            assert_eq!(wait(odd), Duration::ZERO, "{odd}");
        }
    }
}
