//! Bundles on their way to a server, until they serve.

use std::fs::File;
use std::io::Seek as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use belljar_bundle::Digest;
use futures_util::TryStreamExt as _;
use reqwest::{Body, Method, header};
use serde_json::Value;
use tokio_util::io::ReaderStream;

use super::answers::text;
use super::bases::base_of;
use super::client::{Client, read_json};
use super::packing::pack_project_for;
use super::{output, temporary};

/// What is said where a version did not come to serve.
pub(super) fn failed(version: &Value) -> anyhow::Error {
    let failure = version.get("error").unwrap_or(&Value::Null);
    let (message, code) = (text(failure, "message"), text(failure, "code"));
    let id = text(version, "id");
    anyhow!("{id} failed: {}", output::with_code(message, code))
}

/// Uploads a bundle and waits until it serves.
pub(super) async fn push_file(client: &Client, mut bundle: File) -> Result<Value> {
    bundle.rewind()?;
    let version = send(client, bundle, true).await?;
    let version = settle(client, version).await?;
    if text(&version, "state") == "failed" {
        return Err(failed(&version));
    }
    Ok(version)
}

/// Uploads a bundle, or the project folder there packed into one.
pub(super) async fn upload(client: &Client, bundle: &Path, activate: bool) -> Result<Value> {
    let file = open(client, bundle).await?;
    if !file.metadata()?.is_file() {
        bail!("{} is neither a file nor a folder", bundle.display());
    }
    send(client, file, activate).await
}

async fn send(client: &Client, mut file: File, activate: bool) -> Result<Value> {
    let metadata = file.metadata()?;
    let digest = match client.signs() {
        true => {
            let (digest, _) = Digest::of_reader(&file)?;
            // It is read once more, to be sent.
            file.rewind()?;
            Some(*digest.as_bytes())
        }
        false => None,
    };
    let file = tokio::fs::File::from_std(file);
    let bar = output::byte_bar(metadata.len());
    bar.set_message("uploading");
    let sent = bar.clone();
    let stream = ReaderStream::with_capacity(file, 256 << 10)
        .inspect_ok(move |piece| sent.inc(piece.len() as u64));
    let request = client
        .request(Method::POST, &["models"])
        .query(&[("activate", activate)])
        .header(header::CONTENT_TYPE, "application/x-tar")
        .header(header::CONTENT_LENGTH, metadata.len())
        .body(Body::wrap_stream(stream));
    let response = client.answer(request, digest).await;
    bar.finish_and_clear();
    read_json(response?).await
}

/// Opens a bundle: the file itself, or the project folder there packed into one.
async fn open(client: &Client, path: &Path) -> Result<File> {
    if !path.is_dir() {
        return File::open(path).with_context(|| format!("cannot read {}", path.display()));
    }
    let base = base_of(client, path).await?;
    let mut packed = temporary::file()?;
    pack_project_for(path, base.as_ref(), None, &packed)?;
    packed.rewind()?;
    Ok(packed)
}

/// Asks until the version is ready, active or failed.
pub(super) async fn settle(client: &Client, mut version: Value) -> Result<Value> {
    const PAUSE: Duration = Duration::from_millis(50);
    const PAUSE_MAX: Duration = Duration::from_secs(1);
    let spinner = output::spinner();
    let mut pause = PAUSE;
    while !matches!(text(&version, "state"), "ready" | "active" | "failed") {
        spinner.set_message(text(&version, "state").to_owned());
        tokio::time::sleep(pause).await;
        // What takes a second is known after little more: whoever saves a source waits for it.
        pause = (pause * 9 / 8).min(PAUSE_MAX);
        let (name, number) = (text(&version, "name"), text(&version, "version"));
        let request = client.request(Method::GET, &["models", name, number]);
        version = client.send(request).await?;
    }
    spinner.finish_and_clear();
    Ok(version)
}
