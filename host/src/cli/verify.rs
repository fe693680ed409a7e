//! `belljar verify`: runs again what a receipt is about, without a server, and says whether it is as
//! stated.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use belljar_sandbox::{RunSeed, RunTime};
use clap::Args;
use serde_json::{Value, json};

use super::ephemeral_server::{self, EphemeralServer};
use super::replay::exit_code;
use super::{Failure, SettingArgs, block_on, output};
use crate::asking::{Asked, Manner, Question};
use crate::inference::AskedOrigin;
use crate::receipts::{Envelope, PublicKeys, Statement};
use crate::runs::{Page, Run, Verdict};

/// Bytes of a receipt and of a list of keys.
const SMALL_FILE_BYTES_MAX: u64 = 64 << 10;
/// Runs that the server of this command keeps: the one that it makes.
const RUNS_KEPT: u32 = 1;

#[derive(Args, Debug)]
#[command(
    override_usage = "belljar verify [OPTIONS] <RECEIPT>",
    after_help = "Exits with 0 where the run is as stated, 4 where it is not or the receipt is not to be believed, 3 where nobody can tell."
)]
pub(super) struct VerifyArgs {
    /// Receipt, as GET /runs/ID/receipt gives it
    #[arg(value_name = "RECEIPT")]
    receipt: PathBuf,
    /// Bundle, or project folder
    #[arg(long, value_name = "FILE|DIR")]
    bundle: PathBuf,
    /// Body of the request, in JSON
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Keys that are believed, as /.well-known/belljar.json of the server has them
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Log what the server would log, the model's own lines included
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    settings: SettingArgs,
}

/// What can be said of a receipt, and why; no reason where it is right.
struct Finding {
    verdict: Verdict,
    reason: Option<String>,
}

impl Finding {
    const MATCH: Self = Self {
        verdict: Verdict::Match,
        reason: None,
    };

    fn mismatch(reason: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Mismatch,
            reason: Some(reason.into()),
        }
    }

    fn cannot_tell(reason: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::CannotTell,
            reason: Some(reason.into()),
        }
    }
}

pub(super) fn verify(args: &VerifyArgs) -> Result<ExitCode, Failure> {
    let receipt = read(&args.receipt)?;
    let keys: PublicKeys = serde_json::from_slice(&read(&args.keys)?)
        .with_context(|| format!("{} is no list of keys", args.keys.display()))?;
    let input = std::fs::read(&args.input)
        .with_context(|| format!("{} cannot be read", args.input.display()))?;
    let input: Value = serde_json::from_slice(&input).context("the input is not JSON")?;
    let finding = match Envelope::parse(&receipt).and_then(|it| Ok((it.open(&keys)?, it))) {
        Ok((statement, envelope)) => {
            let _log = ephemeral_server::log(args.verbose, &args.settings)?;
            block_on(async {
                let server = EphemeralServer::keeping_runs(&args.settings, RUNS_KEPT).await?;
                let found = made_again(&server, args, &statement, &envelope, input).await;
                server.close().await;
                Ok(found?)
            })?
        }
        Err(error) => Finding::mismatch(error.to_string()),
    };
    tell(&finding, args.json)?;
    Ok(exit_code(finding.verdict.name()))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(SMALL_FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(bytes)
}

fn tell(finding: &Finding, json: bool) -> Result<()> {
    let Finding { verdict, reason } = finding;
    let verdict = verdict.name();
    if json {
        return output::json(&json!({"verdict": verdict, "reason": reason}));
    }
    output::line(match reason {
        None => "match: the run is as the receipt states".to_owned(),
        Some(reason) => format!("{verdict}: {reason}"),
    })
}

/// Makes the run again, and holds it against what is stated.
async fn made_again(
    server: &EphemeralServer,
    args: &VerifyArgs,
    statement: &Statement,
    envelope: &Envelope,
    input: Value,
) -> Result<Finding> {
    let status = server.admit(&args.bundle).await?;
    if hex::encode(status.digest.as_bytes()) != statement.bundle_digest() {
        return Ok(Finding::mismatch(format!(
            "the receipt is about another bundle than {}",
            status.id
        )));
    }
    let Some(openings) = envelope.openings() else {
        let reason = "whoever handed the receipt on has kept the salts of its commitments";
        return Ok(Finding::cannot_tell(reason));
    };
    let invalid = || anyhow!("the receipt states a seed or a moment that is none");
    let seed: RunSeed = statement.seed().parse().map_err(|_| invalid())?;
    let time = RunTime::try_from(statement.time_ms()).map_err(|_| invalid())?;
    let origin = AskedOrigin {
        seed: Some(seed),
        time: Some(time),
    };
    let can = status.capabilities.unwrap_or_default();
    let call = Question::Json(input).into_call(status.id.to_string(), can)?;
    // How it ends is part of what is compared.
    let manner = Manner {
        origin,
        ..Manner::default()
    };
    let asker = server.app().asker();
    let Asked { outcome, .. } = asker.ask(call, manner, &mut |_| Ok(())).await;
    let Some(run) = kept(server).await? else {
        let reason = outcome
            .err()
            .map_or_else(String::new, |error| error.to_string());
        return Ok(Finding::mismatch(format!(
            "the model was not asked: {reason}"
        )));
    };
    let differences = statement.differences(&run, openings);
    if differences.is_empty() {
        return Ok(Finding::MATCH);
    }
    let told = format!("another {} than stated", differences.join(", "));
    Ok(match why_not_comparable(statement, &run) {
        Some(why) => Finding::cannot_tell(format!("{told}, and {why}")),
        None => Finding::mismatch(told),
    })
}

/// The run that was kept last.
async fn kept(server: &EphemeralServer) -> Result<Option<Run>> {
    let page = Page {
        after: None,
        limit: 1,
    };
    let (runs, _) = server.app().runs().list(None, &page).await?;
    Ok(runs.into_iter().next())
}

/// Why a run that differs need not be another one.
fn why_not_comparable(statement: &Statement, run: &Run) -> Option<&'static str> {
    if statement.resumed() {
        return Some("the model had gone on from what it had kept of earlier requests");
    }
    let stated = crate::runs::Outcome::named(statement.outcome());
    if stated.is_of_circumstances() || run.outcome.is_of_circumstances() {
        return Some("one of them ended for want of time, of room, or of its caller");
    }
    (*statement.engine() != run.engine)
        .then_some("this machine, this version or these settings are not those that it ran with")
}
