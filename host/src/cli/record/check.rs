//! Sends the requests of a recording again, and says in what the answers are no longer what they
//! were.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, anyhow};
use belljar_testing::recording::{Answer, BODY_BYTES_MAX, Cutter, Drift, Exchange, Request, drift};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::json;

use super::upstream::Upstream;
use super::{exchanges, open};
use crate::cli::{Failure, output};
use crate::http::recorded::headers_of;
use crate::outgoing::reason;

/// The exit code where something has changed.
const DRIFTED: u8 = 1;

/// Compares a recording with the service of today.
pub(super) async fn check(
    path: &Path,
    upstream: &Upstream,
    as_json: bool,
) -> Result<ExitCode, Failure> {
    let (id, recording) = open(path)?;
    let mut drifted = 0;
    for (at, exchange) in recording.exchanges().iter().enumerate() {
        let Exchange { request, answer } = exchange;
        let live = ask(upstream, request).await.map_err(|why| {
            let Request { method, path, .. } = request;
            anyhow!("exchange {}, {method} {path}: {why}", at + 1)
        })?;
        let drifts = drift(answer, &live);
        if !drifts.is_empty() {
            drifted += 1;
            tell(at + 1, request, &drifts, as_json)?;
        }
    }
    let count = recording.exchanges().len();
    if !as_json {
        let told = match drifted {
            0 => "nothing has changed".to_owned(),
            drifted => format!("{drifted} of them changed"),
        };
        output::line(format!("{id}: {} asked again, {told}", exchanges(count)))?;
    }
    Ok(match drifted {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(DRIFTED),
    })
}

fn tell(number: usize, request: &Request, drifts: &[Drift], as_json: bool) -> Result<()> {
    let Request { method, path, .. } = request;
    if as_json {
        let drifts: Vec<_> = drifts
            .iter()
            .map(|drift| json!({ "path": drift.path(), "what": drift.words() }))
            .collect();
        return output::line(json!({
            "exchange": number,
            "request": format!("{method} {path}"),
            "drifts": drifts,
        }));
    }
    output::line(format!("exchange {number}, {method} {path}"))?;
    for drift in drifts {
        output::line(format!("  {drift}"))?;
    }
    Ok(())
}

/// Asks again what was asked, and takes the answer as the proxy does.
async fn ask(upstream: &Upstream, request: &Request) -> Result<Answer, String> {
    let method = Method::from_bytes(request.method.as_bytes());
    let method = method.map_err(|_| "the method is none".to_owned())?;
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    let begun = Instant::now();
    let whither = (request.path.as_str(), request.query.as_deref());
    let body = Bytes::copy_from_slice(request.body.bytes());
    let answered = upstream.send(method, whither, &headers, body).await?;
    let head = begun.elapsed();
    let status = answered.status().as_u16();
    let headers = headers_of(answered.headers());
    let mut cutter = Cutter::new(&headers);
    let mut pieces = answered.bytes_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| format!("the answer broke off: {}", reason(&error)))?;
        cutter.take(&piece, begun.elapsed() - head);
        if cutter.bytes() > BODY_BYTES_MAX {
            return Err(format!("the answer has more than {BODY_BYTES_MAX} bytes"));
        }
    }
    Ok(cutter.end(status, headers, head, begun.elapsed() - head))
}
