//! `belljar health`: whether a server serves, as an exit code. It needs no key, so that it can be
//! the check of a container, of a probe and of a script.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use belljar_bundle::DurationText;
use clap::Args;
use serde::Deserialize;

use super::client::Place;
use super::{Failure, PlaceArgs, block_on, output};

#[derive(Args, Debug)]
pub(super) struct HealthArgs {
    /// Server to ask (default: the one of the data directory)
    #[arg(
        long,
        value_name = "URL",
        env = "BELLJAR_SERVER",
        hide_env_values = true
    )]
    server: Option<String>,
    /// Socket of the file system to ask it by
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    socket: Option<PathBuf>,
    /// Ask whether it answers, and not whether its models are loaded
    #[arg(long)]
    live: bool,
    /// How long the answer may take
    #[arg(long, value_name = "DURATION", default_value = "5 s")]
    timeout: DurationText,
    #[command(flatten)]
    place: PlaceArgs,
}

/// The answer of either path.
#[derive(Deserialize)]
struct Health {
    status: String,
}

/// The most that is read of an answer, in bytes: who answers may be anybody.
const ANSWER_BYTES_MAX: usize = 1024;

/// Prints how the server is.
///
/// # Errors
///
/// When it does not answer in time, or says that it does not serve.
pub(super) fn health(args: &HealthArgs) -> Result<(), Failure> {
    let place = match (&args.server, &args.socket) {
        (_, Some(socket)) => Place::behind(socket.clone())?,
        (Some(url), None) => Place::named(url)?,
        (None, None) => Place::of(&args.place.data_dir()?)?,
    };
    block_on(ask(&place, args))
}

async fn ask(place: &Place, args: &HealthArgs) -> Result<(), Failure> {
    let path = ["health", if args.live { "live" } else { "ready" }];
    let http = place
        .connecting_without_secrets()
        .timeout(args.timeout.as_duration());
    let http = http.build().context("the HTTP client cannot be set up")?;
    let sent = http.get(place.url(&path)).send().await;
    let mut answer = sent.map_err(|error| place.unreachable(&error))?;
    let status = answer.status();
    let mut body = Vec::new();
    loop {
        let read = answer.chunk().await;
        let Some(part) = read.map_err(|error| place.unreachable(&error))? else {
            break;
        };
        body.extend_from_slice(&part);
        if body.len() > ANSWER_BYTES_MAX {
            return Err(anyhow!("the answer is too long: is this a belljar server?").into());
        }
    }
    let Ok(health) = serde_json::from_slice::<Health>(&body) else {
        return Err(anyhow!("the server answered {status}: is this a belljar server?").into());
    };
    if status.is_success() {
        return Ok(output::line(health.status)?);
    }
    Err(anyhow!("the server is not ready: {}", health.status).into())
}
