//! `belljar replay-server`: answers from a recording, as the service did, without the service.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use belljar_testing::recording::{BODY_BYTES_MAX, Cursors, Recording};
use clap::{Args, ValueEnum};
use hashlink::LruCache;
use http::HeaderMap;
use parking_lot::Mutex;
use tokio::net::TcpListener;

use super::record::{announce, open, serve_until_asked};
use super::{Failure, block_on, output};
use crate::http::error::ApiError;
use crate::http::recorded::{Gaps, answer, asked};
use crate::http::surface::Surface;
use crate::ids::RequestId;

/// How long answers that are under way at the end may take.
const GRACE: Duration = Duration::from_secs(5);
/// Tests whose places in the answers are remembered; whoever has not asked for the longest begins
/// anew.
const RUNS_MAX: usize = 1024;
/// Bytes of the name of a test.
const RUN_BYTES_MAX: usize = 128;
/// The header in which a test says its name.
const RUN: &str = "x-belljar-run";

#[derive(Args, Debug)]
pub(super) struct ReplayServerArgs {
    /// Recording, as `belljar record` writes it
    #[arg(value_name = "FILE")]
    recording: PathBuf,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Pauses before answers and between events
    #[arg(long, value_enum, value_name = "GAPS", default_value = "recorded")]
    gaps: ChosenGaps,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ChosenGaps {
    /// As long as they were
    Recorded,
    /// None at all
    None,
}

struct Replaying {
    recording: Recording,
    gaps: Gaps,
    /// Where each test is in the answers to what it asks more than once.
    cursors: Mutex<LruCache<Box<str>, Cursors>>,
}

/// Answers until it is asked to end.
pub(super) fn replay_server(args: &ReplayServerArgs) -> Result<(), Failure> {
    let (id, recording) = open(&args.recording)?;
    let told = format!("{id}, {} exchanges", recording.exchanges().len());
    let replaying = Arc::new(Replaying {
        recording,
        gaps: match args.gaps {
            ChosenGaps::Recorded => Gaps::Recorded,
            ChosenGaps::None => Gaps::None,
        },
        cursors: Mutex::new(LruCache::new(RUNS_MAX)),
    });
    if !args.listen.ip().is_loopback() {
        output::note("warning: other machines can ask for what was recorded, without a key");
    }
    block_on(async {
        let listener = TcpListener::bind(args.listen)
            .await
            .with_context(|| format!("cannot listen on {}", args.listen))?;
        announce(&[("replaying", &told)], listener.local_addr()?)?;
        let routes = Router::new().fallback(replay).with_state(replaying);
        serve_until_asked(listener, routes, GRACE).await
    })
}

async fn replay(State(replaying): State<Arc<Replaying>>, request: Request) -> Response {
    let surface = Surface::of_request(&request);
    match found(&replaying, request).await {
        Ok(response) => response,
        Err(error) => surface.retell(error.into_response(), &RequestId::random().to_string()),
    }
}

async fn found(replaying: &Replaying, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await;
    let body = body.map_err(|_| ApiError::too_large_to_record(BODY_BYTES_MAX))?;
    let run = run_of(&parts.headers);
    let asked = asked(&parts, body);
    let found = {
        let mut cursors = replaying.cursors.lock();
        let cursors = cursors.entry(run).or_insert_with(Cursors::default);
        replaying.recording.find(&asked, cursors)
    };
    let found = found.map_err(|miss| ApiError::from(&*miss))?;
    Ok(answer(found, replaying.gaps).await)
}

/// The test that a request is of; all that say none are of one.
fn run_of(headers: &HeaderMap) -> Box<str> {
    let name = headers.get(RUN).and_then(|name| name.to_str().ok());
    let name = name.filter(|name| name.len() <= RUN_BYTES_MAX);
    name.unwrap_or_default().into()
}
