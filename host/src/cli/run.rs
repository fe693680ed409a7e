//! `belljar run`: one inference on a bundle, or on weights alone, without a server.

mod larger;
mod profile;

use std::fs::File;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use belljar_sandbox::{RunSeed, RunTime};
use clap::Args;
use serde_json::Value;

use self::profile::{Before, ProfileArgs, Wanted};
use super::bundles::size;
use super::ephemeral_server::{self, EphemeralServer};
use super::weights::{Described, Weights};
use super::{Failure, SettingArgs, block_on, output};
use crate::asking::{Asked, Call, Manner, Question, TextTaken};
use crate::flame::Folded;
use crate::inference::AskedOrigin;
use crate::models::VersionStatus;

#[derive(Args, Debug)]
pub(super) struct RunArgs {
    /// Bundle, project folder, or weights as `belljar pack` takes them
    #[arg(value_name = "FILE|DIR")]
    bundle: PathBuf,
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    profile: ProfileArgs,
    /// Seed of all that is random in the run: 64 hexadecimal digits; drawn if not given
    #[arg(long, value_name = "HEX")]
    seed: Option<RunSeed>,
    /// Moment at which the run's clock stands, in milliseconds since 1970; now if not given
    #[arg(long, value_name = "MS")]
    time: Option<RunTime>,
    /// Print tokens and times to stderr, as where it is a terminal
    #[arg(long)]
    stats: bool,
    /// Log what the server would log, the model's own lines included
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    settings: SettingArgs,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
struct Input {
    /// Tensors as JSON, such as '{"x":[[1,2],[3,4]]}', or the whole body of a request
    #[arg(long, value_name = "JSON", conflicts_with_all = ["input_file", "prompt", "images"])]
    input: Option<String>,
    /// The same from a file; - is stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prompt", "images"])]
    input_file: Option<PathBuf>,
    /// A message to a text model, or a text for an embedding model
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// A picture beside the message, PNG, JPEG, GIF or WebP; may come several times
    #[arg(long = "image", value_name = "FILE")]
    images: Vec<PathBuf>,
}

/// Runs a bundle once and prints the answer.
pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    let input = args.input.read().map_err(Failure::usage)?;
    let wanted = args.profile.wanted().map_err(Failure::usage)?;
    let _log = ephemeral_server::log(args.verbose, &args.settings)?;
    let weights = Weights::found_at(&args.bundle)?;
    block_on(async {
        let server = match &weights {
            // Runtimes are built without.
            Some(_) => EphemeralServer::open(&args.settings).await?,
            None => EphemeralServer::open_for(&args.bundle, &args.settings).await?,
        };
        let mut way = Way {
            server: &server,
            input,
            stats: args.stats,
            origin: AskedOrigin {
                seed: args.seed,
                time: args.time,
            },
            wanted,
        };
        let outcome = match way.before().await {
            Ok(before) => {
                let admitted = match &weights {
                    Some(weights) => admit_untried(&server, weights).await,
                    None => server.admit(&args.bundle).await,
                };
                match admitted {
                    Ok(status) => way.answer(&status, before).await,
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        };
        server.close().await;
        Ok(outcome?)
    })
}

/// Takes weights that nobody has measured: with all that the settings allow.
async fn admit_untried(server: &EphemeralServer, weights: &Weights) -> Result<VersionStatus> {
    let bundle = weights.bundle(&Described::default())?;
    bundle.notes.iter().for_each(|note| output::note(note));
    server.admit_parts(&bundle.untried(server.policy())?).await
}

impl Input {
    fn read(&self) -> Result<Question> {
        if self.prompt.is_some() || !self.images.is_empty() {
            return Ok(Question::Prompt {
                text: self.prompt.clone().unwrap_or_default(),
                images: self
                    .images
                    .iter()
                    .map(|path| data_url(path))
                    .collect::<Result<_>>()?,
            });
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
            (None, None) => bail!("an input is needed: --input, --input-file, --prompt or --image"),
        };
        let json: Value = serde_json::from_str(&text).context("the input is not JSON")?;
        if !json.is_object() {
            bail!("the input is a JSON object, such as {{\"x\":[[1,2],[3,4]]}}");
        }
        Ok(Question::Json(json))
    }
}

/// Bytes of a picture.
const IMAGE_BYTES_MAX: u64 = 32 << 20;

/// A picture in the form of a URL, of the kind that its first bytes say.
fn data_url(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(IMAGE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .with_context(|| format!("{} cannot be read", path.display()))?;
    if bytes.len() as u64 > IMAGE_BYTES_MAX {
        bail!("{} has more than {}", path.display(), size(IMAGE_BYTES_MAX));
    }
    let kind = match bytes.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => "png",
        [0xff, 0xd8, 0xff, ..] => "jpeg",
        [b'G', b'I', b'F', b'8', ..] => "gif",
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => "webp",
        _ => bail!("{} is no picture in PNG, JPEG, GIF or WebP", path.display()),
    };
    Ok(format!(
        "data:image/{kind};base64,{}",
        BASE64_STANDARD.encode(bytes)
    ))
}

/// The way of a question to its answer.
struct Way<'a> {
    server: &'a EphemeralServer,
    input: Question,
    stats: bool,
    origin: AskedOrigin,
    wanted: Option<Wanted>,
}

impl Way<'_> {
    /// What the profile is held against; what has to run for that runs.
    async fn before(&mut self) -> Result<Option<Folded>> {
        let before = self.wanted.as_mut().and_then(|wanted| wanted.before.take());
        let path = match before {
            None => return Ok(None),
            Some(Before::Stacks(stacks)) => return Ok(Some(stacks)),
            Some(Before::Bundle(path)) => path,
        };
        let run = async {
            let status = self.server.admit(&path).await?;
            let call = self.call(&status)?;
            let asker = self.server.app().asker();
            let asked = asker.ask(call, self.manner(true), &mut |_| Ok(())).await;
            asked.outcome?;
            let profile = asked.profile.unwrap_or_default();
            Ok::<_, anyhow::Error>(Folded::of(&profile))
        };
        let run = run.await;
        Ok(Some(run.with_context(|| path.display().to_string())?))
    }

    /// The request to a version.
    fn call(&self, status: &VersionStatus) -> Result<Call> {
        let can = status.capabilities.unwrap_or_default();
        Ok(self.input.clone().into_call(status.id.to_string(), can)?)
    }

    fn manner(&self, is_profiled: bool) -> Manner {
        Manner {
            origin: self.origin,
            is_profiled,
            ..Manner::default()
        }
    }

    /// Asks the model as a request to the server would, and prints the answer.
    async fn answer(&self, status: &VersionStatus, before: Option<Folded>) -> Result<()> {
        let call = self.call(status)?;
        let manner = self.manner(self.wanted.is_some());
        let asker = self.server.app().asker();
        let mut told = |text: &str| output::text(text).map_err(std::io::Error::other);
        let Asked {
            outcome,
            cost,
            text,
            profile,
        } = asker.ask(call.clone(), manner, &mut told).await;
        if let Some(taken) = text
            && (self.stats || std::io::stderr().is_terminal())
        {
            output::note(&tokens(&taken));
        }
        if let Some(cost) = cost {
            output::note(&format!(
                "fuel {}, memory {}, output {}, time {:.1} ms",
                cost.fuel,
                size(cost.memory_bytes),
                size(cost.output_bytes),
                cost.wall.as_secs_f64() * 1e3
            ));
        }
        if let (Some(wanted), Some(profile)) = (&self.wanted, profile) {
            let model = status.id.to_string();
            wanted.write(&model, &Folded::of(&profile), before.as_ref())?;
        }
        if let Err(failure) = &outcome
            && let Some(advice) =
                larger::advice(self.server, status, call, self.origin, failure).await
        {
            output::note(&advice);
        }
        Ok(outcome?)
    }
}

/// The tokens of a text and their speed.
fn tokens(taken: &TextTaken) -> String {
    let TextTaken {
        usage,
        first,
        whole,
    } = taken;
    let after = whole.saturating_sub(*first).as_secs_f64();
    // The first token is there when the clock of the others begins.
    let further = usage.completion_tokens.saturating_sub(1);
    let speed = if further > 0 && after > 0.0 {
        format!(", {:.1} tokens/s", further as f64 / after)
    } else {
        String::new()
    };
    format!(
        "prompt {} tokens in {:.2} s, answer {} tokens{speed}",
        usage.prompt_tokens,
        first.as_secs_f64(),
        usage.completion_tokens,
    )
}
