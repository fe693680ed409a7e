//! `belljar test`: the examples of a bundle, without a server.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use belljar_sandbox::RunTime;
use clap::Args;
use serde_json::json;

use super::asking::{Asked, Manner, Refused, ask};
use super::bundles::size;
use super::ephemeral_server::{self, EphemeralServer};
use super::run::Question;
use super::{Failure, SettingArgs, block_on, output};
use crate::examples::{self, Answered, Example};
use crate::inference::AskedOrigin;
use crate::models::VersionStatus;

/// Bytes of a file with examples.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The moment at which examples run, in milliseconds since 1970: the beginning of 2026.
const UNIX_MS: u64 = 1_767_225_600_000;

#[derive(Args, Debug)]
#[command(
    after_help = "Examples are in the files tests/*.toml of a project, and in its bundle. One that \
                  is all there is:\n\n  \
                  [[example]]\n  \
                  name = \"doubles\"\n  \
                  input = { x = [1, 2] }\n  \
                  output = { y = [2, 4] }\n\n\
                  docs/inside.md has the rest."
)]
pub(super) struct TestArgs {
    /// Bundle or project folder
    #[arg(value_name = "FILE|DIR", default_value = ".")]
    bundle: PathBuf,
    /// Run only examples with this in their names or the name of their file
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Print JSON, a line for each example
    #[arg(long)]
    json: bool,
    /// Log what the server would log, the model's own lines included
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    settings: SettingArgs,
}

/// An example with where it is from.
struct Placed {
    name: String,
    example: Example,
}

/// Runs the examples of a bundle.
pub(super) fn test(args: &TestArgs) -> Result<(), Failure> {
    let _log = ephemeral_server::log(args.verbose, &args.settings)?;
    block_on(async {
        let server = EphemeralServer::open_for(&args.bundle, &args.settings).await?;
        let outcome = run(&server, args).await;
        server.close().await;
        Ok(outcome?)
    })
}

async fn run(server: &EphemeralServer, args: &TestArgs) -> Result<()> {
    let status = server.admit(&args.bundle).await?;
    let all = placed(server, &status)?;
    if all.is_empty() {
        bail!(
            "{} has no examples: they are in tests/*.toml (`belljar test --help`)",
            status.id
        );
    }
    let is_chosen = |placed: &Placed| {
        let only = args.only.as_deref();
        only.is_none_or(|text| placed.name.contains(text))
    };
    let chosen: Vec<Placed> = all.into_iter().filter(is_chosen).collect();
    if chosen.is_empty() {
        bail!("no example has that in its name");
    }
    let (count, mut failed) = (chosen.len(), 0);
    for Placed { name, example } in chosen {
        let answered = answered(server, &status, &example).await?;
        let differences = example.differences(&answered);
        failed += usize::from(!differences.is_empty());
        let differences: Vec<String> = differences.iter().map(ToString::to_string).collect();
        if args.json {
            output::json(&json!({
                "name": name,
                "passed": differences.is_empty(),
                "differences": differences,
                "fuel": answered.fuel,
                "memory_bytes": answered.memory_bytes,
            }))?;
        } else if differences.is_empty() {
            let memory = size(answered.memory_bytes);
            output::line(format!(
                "ok    {name}: fuel {}, memory {memory}",
                answered.fuel
            ))?;
        } else {
            output::line(format!("FAIL  {name}"))?;
            for difference in differences {
                output::line(format!("      {difference}"))?;
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of {count} examples failed");
    }
    output::note(&format!("{count} examples passed"));
    Ok(())
}

/// The examples of a bundle, by their files.
fn placed(server: &EphemeralServer, status: &VersionStatus) -> Result<Vec<Placed>> {
    let bundle = server
        .app()
        .registry()
        .store()
        .open_bundle(&status.digest)?;
    let mut placed = Vec::new();
    for file in bundle.examples() {
        let name = file.name.as_str();
        if file.bytes > FILE_BYTES_MAX {
            bail!("{name} has more than {}", size(FILE_BYTES_MAX));
        }
        let text = std::fs::read_to_string(&file.path).with_context(|| name.to_owned())?;
        for (index, example) in examples::read(name, &text)?.into_iter().enumerate() {
            let called = example.name.clone();
            let called = called.unwrap_or_else(|| format!("example {}", index + 1));
            placed.push(Placed {
                name: format!("{name}: {called}"),
                example,
            });
        }
    }
    Ok(placed)
}

/// What a model answers to an example.
async fn answered(
    server: &EphemeralServer,
    status: &VersionStatus,
    example: &Example,
) -> Result<Answered> {
    let question = match example.question() {
        examples::Question::Prompt(text) => Question::of_text(text),
        examples::Question::Body(body) => Question::of_body(body),
    };
    let call = question.into_call(status)?;
    // The same chance and the same moment each time.
    let origin = AskedOrigin {
        seed: Some([0; 32].into()),
        time: RunTime::try_from(UNIX_MS).ok(),
    };
    let manner = Manner {
        origin,
        ..Manner::default()
    };
    let mut text = String::new();
    let mut told = |piece: &str| {
        text.push_str(piece);
        Ok(())
    };
    let Asked { outcome, cost, .. } = ask(server.app(), call, manner, &mut told).await;
    let error = match outcome {
        Ok(()) => None,
        Err(error) => match error.downcast_ref::<Refused>() {
            Some(refused) => Some((refused.code.to_owned(), refused.message.clone())),
            None => return Err(error),
        },
    };
    let cost = cost.unwrap_or_default();
    Ok(Answered {
        text,
        error,
        fuel: cost.fuel,
        memory_bytes: cost.memory_bytes,
    })
}
