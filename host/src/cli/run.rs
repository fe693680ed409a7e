//! `belljar run`: one inference on a bundle, without a server.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};
use axum::body::{Body, BodyDataStream};
use axum::http::{Request, header};
use axum::response::Response;
use clap::Args;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::ephemeral_server::{self, EphemeralServer};
use super::{Failure, SettingArgs, block_on, output};
use crate::models::VersionStatus;

#[derive(Args, Debug)]
pub(super) struct RunArgs {
    /// Bundle or project folder
    #[arg(value_name = "FILE|DIR")]
    bundle: PathBuf,
    #[command(flatten)]
    input: Input,
    /// Log what the server would log, the model's own lines included
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    settings: SettingArgs,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Input {
    /// Tensors as JSON, such as '{"x":[[1,2],[3,4]]}', or the whole body of a request
    #[arg(long, value_name = "JSON")]
    input: Option<String>,
    /// The same from a file; - is stdin
    #[arg(long, value_name = "FILE")]
    input_file: Option<PathBuf>,
    /// A message to a text model, or a text for an embedding model
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
}

/// Runs a bundle once and prints the answer.
pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    let input = args.input.read().map_err(Failure::usage)?;
    let _log = ephemeral_server::log(args.verbose, &args.settings)?;
    block_on(async {
        let server = EphemeralServer::open(&args.settings).await?;
        let outcome = match server.admit(&args.bundle).await {
            Ok(status) => answer(&server, &status, input).await,
            Err(error) => Err(error),
        };
        server.close().await;
        Ok(outcome?)
    })
}

/// What to ask the model.
enum Question {
    Prompt(String),
    Json(Value),
}

impl Input {
    fn read(&self) -> Result<Question> {
        if let Some(prompt) = &self.prompt {
            return Ok(Question::Prompt(prompt.clone()));
        }
        let text = match (&self.input, &self.input_file) {
            (Some(text), _) => text.clone(),
            (None, Some(path)) if path.as_os_str() == "-" => {
                let mut text = String::new();
                std::io::stdin()
                    .read_to_string(&mut text)
                    .context("stdin cannot be read")?;
                text
            }
            (None, Some(path)) => std::fs::read_to_string(path)
                .with_context(|| format!("{} cannot be read", path.display()))?,
            (None, None) => bail!("an input is needed: --input, --input-file or --prompt"),
        };
        let json: Value = serde_json::from_str(&text).context("the input is not JSON")?;
        if !json.is_object() {
            bail!("the input is a JSON object, such as {{\"x\":[[1,2],[3,4]]}}");
        }
        Ok(Question::Json(json))
    }
}

/// Asks the model through the routes of the server.
async fn answer(
    server: &EphemeralServer,
    status: &VersionStatus,
    question: Question,
) -> Result<()> {
    let model = status.id.to_string();
    let can = status.capabilities.unwrap_or_default();
    let (path, body) = match question {
        Question::Prompt(text) if can.text => {
            let messages = json!([{"role": "user", "content": text}]);
            (
                "/v1/chat/completions",
                json!({"model": model, "stream": true, "messages": messages}),
            )
        }
        Question::Prompt(text) if can.embeddings => {
            ("/v1/embeddings", json!({"model": model, "input": text}))
        }
        Question::Prompt(_) => {
            bail!(
                "{model} takes no text: it has {}; use --input",
                can.names().join(", ")
            )
        }
        Question::Json(mut json) if json.get("messages").is_some() => {
            insert(&mut json, "model", json!(model));
            ("/v1/chat/completions", json)
        }
        Question::Json(mut json) if json.get("input").is_some() && can.embeddings => {
            insert(&mut json, "model", json!(model));
            ("/v1/embeddings", json)
        }
        Question::Json(mut json) if can.tensors => {
            if json.get("inputs").is_none() {
                json = json!({"inputs": json});
            }
            insert(&mut json, "model", json!(model));
            ("/infer", json)
        }
        Question::Json(_) => {
            bail!(
                "{model} takes no tensors: it has {}; use --prompt",
                can.names().join(", ")
            )
        }
    };
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::HOST, "localhost")
        .body(Body::from(body.to_string()))?;
    let response = server.app().router().oneshot(request).await?;
    print(response).await
}

fn insert(json: &mut Value, name: &str, value: Value) {
    if let Some(object) = json.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

async fn print(response: Response) -> Result<()> {
    let success = response.status().is_success();
    let is_stream = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let mut body = response.into_body().into_data_stream();
    if success && is_stream {
        return print_stream(body).await;
    }
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        bytes.extend_from_slice(&piece.context("the answer broke off")?);
    }
    if success {
        return output::line(String::from_utf8_lossy(&bytes));
    }
    let envelope: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    Err(refusal(&envelope).unwrap_or_else(|| anyhow!("the run failed without a reason")))
}

/// Prints text as it comes.
async fn print_stream(mut body: BodyDataStream) -> Result<()> {
    let mut pending = Vec::new();
    while let Some(piece) = body.next().await {
        pending.extend_from_slice(&piece.context("the answer broke off")?);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            let Some(data) = line.strip_prefix(b"data: ") else {
                continue;
            };
            let Ok(event) = serde_json::from_slice::<Value>(data) else {
                continue;
            };
            if let Some(error) = refusal(&event) {
                return Err(error);
            }
            if let Some(text) = event
                .pointer("/choices/0/delta/content")
                .and_then(Value::as_str)
            {
                output::text(text)?;
            }
        }
    }
    output::line("")
}

fn refusal(envelope: &Value) -> Option<anyhow::Error> {
    let error = envelope.get("error")?;
    let message = error.get("message")?.as_str()?;
    let code = error.get("code").and_then(Value::as_str).unwrap_or("error");
    Some(anyhow!("{message} ({code})"))
}
