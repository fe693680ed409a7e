//! `belljar run`: one inference on a bundle, without a server.

use std::future::poll_fn;
use std::io::Read as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};
use belljar_sandbox::Capability;
use bytes::Bytes;
use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::bundles::size;
use super::ephemeral_server::{self, EphemeralServer};
use super::{Failure, SettingArgs, block_on, output};
use crate::api::openai::wire::{
    ChatRequest, CompletionRequest, EmbeddingsRequest, Moderation, ModerationRequest,
    RerankRequest, Reranking, ScoreList, ScoreRequest, Sifted, write_embeddings,
};
use crate::api::tensors::infer;
use crate::api::texts::{Answerer, TextApi};
use crate::app::App;
use crate::auth::{Authorized, Infer};
use crate::generation::Event;
use crate::http::body;
use crate::http::error::ApiError;
use crate::http::json as wire_json;
use crate::ids::{RequestId, sorted_uuid};
use crate::inference::{RequestContext, TextStream};
use crate::limits::{Admission, Admitted, Counts, TokenAdmission};
use crate::models::VersionStatus;
use crate::net::ClientAddress;

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
            Ok(status) => answer(server.app(), &status, input).await,
            Err(error) => Err(error),
        };
        server.close().await;
        Ok(outcome?)
    })
}

/// The question to the model.
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

/// A request to the model, as the body that one of the surfaces takes.
enum Call {
    Chat(Value),
    Completion(Value),
    Embeddings(Value),
    Moderation(Value),
    Rerank(Value),
    Score(Value),
    Tensors(Value),
}

impl Question {
    /// The request that the question makes to this model.
    fn into_call(self, status: &VersionStatus) -> Result<Call> {
        let model = status.id.to_string();
        let can = status.capabilities.unwrap_or_default();
        Ok(match self {
            Self::Prompt(text) if can.has(Capability::Text) => {
                let messages = json!([{"role": "user", "content": text}]);
                Call::Chat(json!({"model": model, "stream": true, "messages": messages}))
            }
            Self::Prompt(text) if can.has(Capability::Embeddings) => {
                Call::Embeddings(json!({"model": model, "input": text}))
            }
            Self::Prompt(text) if can.has(Capability::Moderation) => {
                Call::Moderation(json!({"model": model, "input": text}))
            }
            Self::Prompt(_) => {
                bail!(
                    "{model} takes no text: it has {}; use --input",
                    can.names().join(", ")
                )
            }
            Self::Json(json) if json.get("messages").is_some() => Call::Chat(naming(json, model)),
            Self::Json(json) if json.get("prompt").is_some() && can.has(Capability::Text) => {
                Call::Completion(naming(json, model))
            }
            Self::Json(json) if json.get("input").is_some() && can.has(Capability::Embeddings) => {
                Call::Embeddings(naming(json, model))
            }
            Self::Json(json) if json.get("input").is_some() && can.has(Capability::Moderation) => {
                Call::Moderation(naming(json, model))
            }
            Self::Json(json) if json.get("query").is_some() && can.has(Capability::Ranking) => {
                Call::Rerank(naming(json, model))
            }
            Self::Json(json) if json.get("text_1").is_some() && can.has(Capability::Ranking) => {
                Call::Score(naming(json, model))
            }
            Self::Json(json) if can.has(Capability::Tensors) && json.get("inputs").is_some() => {
                Call::Tensors(naming(json, model))
            }
            Self::Json(json) if can.has(Capability::Tensors) => {
                Call::Tensors(json!({"inputs": json, "model": model}))
            }
            Self::Json(_) => {
                bail!(
                    "{model} takes no tensors: it has {}; use --prompt",
                    can.names().join(", ")
                )
            }
        })
    }
}

/// The body of a request, with the model named in it.
fn naming(mut json: Value, model: String) -> Value {
    if let Some(object) = json.as_object_mut() {
        object.insert("model".to_owned(), model.into());
    }
    json
}

/// Asks the model as a request to the server would, and prints the answer.
async fn answer(app: &App, status: &VersionStatus, question: Question) -> Result<()> {
    let run = Run::new(app)?;
    let context = run.context.clone();
    let answered = ask(run, status, question).await;
    if let Some(cost) = context.cost() {
        output::note(&format!(
            "fuel {}, memory {}, output {}, time {:.1} ms",
            cost.fuel,
            size(cost.memory_bytes),
            size(cost.output_bytes),
            cost.wall.as_secs_f64() * 1e3
        ));
    }
    answered
}

async fn ask(run: Run<'_>, status: &VersionStatus, question: Question) -> Result<()> {
    match question.into_call(status)? {
        Call::Chat(body) => {
            let route = "/v1/chat/completions";
            run.texts::<Sifted<ChatRequest>>(route, &body).await
        }
        Call::Completion(body) => {
            let route = "/v1/completions";
            run.texts::<Sifted<CompletionRequest>>(route, &body).await
        }
        Call::Embeddings(body) => run.embeddings(&body).await,
        Call::Moderation(body) => run.moderation(&body).await,
        Call::Rerank(body) => run.rerank(&body).await,
        Call::Score(body) => run.score(&body).await,
        Call::Tensors(body) => run.tensors(&body).await,
    }
}

/// The one request of this process.
struct Run<'a> {
    app: &'a App,
    caller: Authorized<Infer>,
    context: RequestContext,
    since: Instant,
}

impl<'a> Run<'a> {
    fn new(app: &'a App) -> Result<Self> {
        let caller = app.keys().authenticate(None)?;
        let context = RequestContext::new(RequestId::random(), app.audit().clone());
        context.set_caller(caller.clone());
        Ok(Self {
            app,
            caller: Authorized::check(caller)?,
            context,
            since: Instant::now(),
        })
    }

    /// Runs a request for texts of either kind.
    async fn texts<A: TextApi + DeserializeOwned>(self, route: &str, body: &Value) -> Result<()> {
        let request: A = self.read(body)?;
        let asked = request.model().to_owned();
        let read = request.read(self.app.http_config()).map_err(refusal)?;
        let inference = self.app.inference();
        let call = inference
            .prepare(&self.context, read.call)
            .map_err(refusal)?;
        let admission = self.admit_tokens(route)?;
        let (caller, context) = (&self.caller, &self.context);
        if read.is_stream {
            let texts = inference.stream(caller, call, admission, context, self.since);
            return print_stream(texts.await.map_err(refusal)?).await;
        }
        let text = inference.generate(caller, call, admission, context, self.since);
        let text = text.await.map_err(refusal)?;
        let model = text.model.clone();
        let answerer = Answerer {
            asked,
            model: &model,
            created: self.app.clock().now(),
            unique: sorted_uuid(),
            usage: text.usage,
        };
        let answer = A::answer(answerer, text, read.style);
        output::line(serde_json::to_string(&answer)?)
    }

    async fn embeddings(self, body: &Value) -> Result<()> {
        let wire: EmbeddingsRequest = self.settled(body)?;
        let asked = wire.model.clone();
        let (call, style) = wire.read().map_err(refusal)?;
        let inference = self.app.inference();
        let call = inference.prepare(&self.context, call).map_err(refusal)?;
        let admission = self.admit_tokens("/v1/embeddings")?;
        let embedded = inference.embed(&self.caller, call, admission, &self.context);
        let embedded = embedded.await.map_err(refusal)?;
        print(&write_embeddings(&asked, &embedded.answer, style))
    }

    async fn moderation(self, body: &Value) -> Result<()> {
        let wire: ModerationRequest = self.settled(body)?;
        let (call, style) = wire.read().map_err(refusal)?;
        let inference = self.app.inference();
        let call = inference.prepare(&self.context, call).map_err(refusal)?;
        let admission = self.admit_tokens("/v1/moderations")?;
        let judged = inference.classify(&self.caller, call, admission, &self.context);
        let judged = judged.await.map_err(refusal)?;
        let answer = Moderation::new(judged.answer, style);
        output::line(serde_json::to_string(&answer)?)
    }

    async fn rerank(self, body: &Value) -> Result<()> {
        let wire: RerankRequest = self.settled(body)?;
        let (call, style) = wire.read().map_err(refusal)?;
        let inference = self.app.inference();
        let call = inference.prepare(&self.context, call).map_err(refusal)?;
        let admission = self.admit_tokens("/v1/rerank")?;
        let ranked = inference.rank(&self.caller, call, admission, &self.context);
        let answer = Reranking::new(ranked.await.map_err(refusal)?.answer, style);
        output::line(serde_json::to_string(&answer)?)
    }

    async fn score(self, body: &Value) -> Result<()> {
        let wire: ScoreRequest = self.settled(body)?;
        let asked = wire.model.clone();
        let call = wire.read().map_err(refusal)?;
        let inference = self.app.inference();
        let call = inference.prepare(&self.context, call).map_err(refusal)?;
        let admission = self.admit_tokens("/v1/score")?;
        let ranked = inference.rank(&self.caller, call, admission, &self.context);
        let ranked = ranked.await.map_err(refusal)?;
        let answer = ScoreList::new(asked, self.app.clock().now(), ranked.answer);
        output::line(serde_json::to_string(&answer)?)
    }

    /// Reads a body, and what it has beside what is known as the settings say.
    fn settled<T>(&self, body: &Value) -> Result<T>
    where
        Sifted<T>: DeserializeOwned,
    {
        let sifted: Sifted<T> = self.read(body)?;
        let unknown = self.app.http_config().input.unknown_members;
        let (known, _) = sifted.settle(unknown).map_err(refusal)?;
        Ok(known)
    }

    async fn tensors(self, body: &Value) -> Result<()> {
        let body = self.bytes(body)?;
        let bounds = self.app.http_config().input.tensor_bounds();
        let (call, style) = infer::read_headless(&body, &bounds).map_err(refusal)?;
        drop(body);
        let inference = self.app.inference();
        let call = inference.screen(&self.context, call).map_err(refusal)?;
        let admission = self.admit("/infer")?;
        let answered = inference.infer(&self.caller, call, admission, &self.context);
        let mut answered = answered.await.map_err(refusal)?;
        style
            .asked
            .choose(&mut answered.answer.outputs)
            .map_err(refusal)?;
        let written = infer::write(&answered, &style).map_err(refusal)?;
        print(&written.body)
    }

    /// Reads a body by the rules of the server.
    fn read<T: DeserializeOwned>(&self, body: &Value) -> Result<T> {
        let body = self.bytes(body)?;
        let bounds = self.app.http_config().input.text_bounds();
        wire_json::check(&body, &bounds).map_err(refusal)?;
        wire_json::parse(&body).map_err(refusal)
    }

    /// A body that is no larger than the server takes.
    fn bytes(&self, body: &Value) -> Result<Bytes> {
        let body = Bytes::from(serde_json::to_vec(body)?);
        let limit = self.app.http_config().body_bytes_max;
        if u64::try_from(body.len()).is_ok_and(|bytes| bytes <= limit) {
            Ok(body)
        } else {
            Err(refusal(ApiError::too_large(limit, body::SETTING)))
        }
    }

    fn admit(&self, route: &str) -> Result<Admission> {
        match self.enter(route, Counts::Request)? {
            Admitted::Request(admission) => Ok(admission),
            Admitted::Tokens(_) | Admitted::Opening => Err(anyhow!("{route} takes no tokens")),
        }
    }

    fn admit_tokens(&self, route: &str) -> Result<TokenAdmission> {
        match self.enter(route, Counts::Tokens)? {
            Admitted::Tokens(admission) => Ok(admission),
            Admitted::Request(_) | Admitted::Opening => Err(anyhow!("{route} takes tokens")),
        }
    }

    fn enter(&self, route: &str, counts: Counts) -> Result<Admitted> {
        let address = ClientAddress::new(Ipv4Addr::LOCALHOST.into(), 128);
        let limiter = self.app.limiter();
        let entry = limiter.admit(&self.caller.caller, address, route, counts);
        entry.outcome.map_err(refusal)
    }
}

/// Prints text as it comes.
async fn print_stream(mut texts: TextStream) -> Result<()> {
    while let Some(event) = poll_fn(|context| texts.poll_next(context)).await {
        let (_, event) = event.map_err(refusal)?;
        if let Event::Text(fragment) = event {
            output::text(&fragment.text)?;
        }
    }
    output::line("")
}

fn print(body: &[u8]) -> Result<()> {
    output::line(String::from_utf8_lossy(body))
}

/// The words in which the server would refuse. What only the operator may read goes to the log.
fn refusal(error: impl Into<ApiError>) -> anyhow::Error {
    let error = error.into();
    if let Some(detail) = error.detail() {
        tracing::error!("the run failed: {detail}");
    }
    anyhow!("{} ({})", error.message(), error.code())
}
