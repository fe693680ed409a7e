//! `belljar replay-server`: answers from a recording, as the service did, without the service.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use belljar_testing::recording::{BODY_BYTES_MAX, Replay};
use clap::{Args, ValueEnum};
use tokio::net::TcpListener;

use super::record::{announce, open, serve_until_asked};
use super::{Failure, block_on, output};
use crate::http::error::ApiError;
use crate::http::recorded::{Gaps, answer, asked, run_of};
use crate::http::surface::Surface;
use crate::ids::RequestId;

/// How long answers that are under way at the end may take.
const GRACE: Duration = Duration::from_secs(5);

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
    replay: Replay,
    gaps: Gaps,
}

/// Answers until it is asked to end.
pub(super) fn replay_server(args: &ReplayServerArgs) -> Result<(), Failure> {
    let (id, recording) = open(&args.recording)?;
    let told = format!("{id}, {} exchanges", recording.exchanges().len());
    let replaying = Arc::new(Replaying {
        replay: Replay::new(recording),
        gaps: match args.gaps {
            ChosenGaps::Recorded => Gaps::Recorded,
            ChosenGaps::None => Gaps::None,
        },
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
    let asked = asked(&parts, body);
    let found = replaying.replay.find(run_of(&parts.headers), &asked);
    let found = found.map_err(|miss| ApiError::from(&*miss))?;
    Ok(answer(found, replaying.gaps).await)
}
