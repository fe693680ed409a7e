//! `belljar fsck`: everything in the data directory of a stopped server, looked at and put right.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use belljar_bundle::ByteSize;
use belljar_sandbox::{CompilerConfig, MacKey};
use clap::Args;
use serde_json::json;

use super::{Failure, PlaceArgs, block_on, output};
use crate::config::Settings;
use crate::db::StoppedDirectory;
use crate::fsck::{Check, Examined, Repaired, examine, repair};

#[derive(Args, Debug)]
#[command(
    after_help = "Exit codes: 0 nothing was found, or all of it was repaired; 1 something is \
                        left; 2 it cannot be examined.\nThe names are in docs/fsck.md."
)]
pub(super) struct FsckArgs {
    /// Checks whose findings are put right, or `all`
    #[arg(long, value_name = "NAME", value_delimiter = ',', num_args = 1..)]
    repair: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Repairs that may follow from one another: a damaged file is moved away, then its version is
/// marked, then the rest of its files are nobody's.
const PASSES_MAX: usize = 5;

const LEFT: u8 = 1;

pub(super) fn fsck(args: &FsckArgs) -> Result<ExitCode, Failure> {
    let checks = wanted(&args.repair).map_err(Failure::usage)?;
    let settings = args.place.resolve()?.settings;
    let examined = block_on(async {
        let cannot = |error: anyhow::Error| Failure::usage(error);
        let directory = StoppedDirectory::lock(&settings.data_dir)
            .await
            .map_err(|error| cannot(error.into()))?;
        let key = mac_key(&settings).map_err(cannot)?;
        let look = || examine(&directory, &settings.audit, key.clone());
        let mut examined = look().await.map_err(|error| cannot(error.into()))?;
        let mut repaired = Vec::new();
        for _ in 0..PASSES_MAX {
            let done = repair(&directory, &examined.findings, &checks)
                .await
                .map_err(|error| cannot(error.into()))?;
            if done.is_empty() {
                break;
            }
            repaired.extend(done);
            examined = look().await.map_err(|error| cannot(error.into()))?;
        }
        Ok((examined, repaired))
    })?;
    let (examined, repaired) = examined;
    report(args, &examined, &repaired)?;
    Ok(match examined.findings.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(LEFT),
    })
}

fn wanted(names: &[String]) -> Result<Vec<Check>> {
    if names.iter().any(|name| name == "all") {
        return Ok(Check::ALL.to_vec());
    }
    let check = |name: &String| {
        let check = name.parse::<Check>();
        check.with_context(|| format!("--repair {name}"))
    };
    names.iter().map(check).collect()
}

/// The key of compiled models; none where there is none yet.
fn mac_key(settings: &Settings) -> Result<Option<MacKey>> {
    if let Some(secret) = &settings.compiler.mac_secret {
        return Ok(Some(MacKey::derived(secret.expose())));
    }
    let folder = settings.compiler.cache_of.as_ref();
    let path = folder
        .unwrap_or(&settings.data_dir)
        .join(CompilerConfig::KEY_FILE);
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(
        MacKey::open(&path).context("the key of compiled models")?,
    ))
}

fn report(args: &FsckArgs, examined: &Examined, repaired: &[Repaired]) -> Result<()> {
    if args.json {
        let findings: Vec<_> = examined
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "check": finding.check.name(),
                    "subject": finding.subject,
                    "detail": finding.detail,
                    "repairable": finding.is_repairable(),
                    "repair": finding.check.row().repair,
                })
            })
            .collect();
        let repaired: Vec<_> = repaired
            .iter()
            .map(|done| json!({"check": done.check.name(), "subject": done.subject, "done": done.done}))
            .collect();
        return output::json(&json!({
            "findings": findings,
            "repaired": repaired,
            "rows": examined.rows,
            "files": examined.files,
            "bytes": examined.bytes,
            "is_cut": examined.is_cut,
        }));
    }
    for done in repaired {
        output::line(format!(
            "repaired {}: {}: {}",
            done.check, done.subject, done.done
        ))?;
    }
    for finding in &examined.findings {
        output::line(format!(
            "{}: {}: {}",
            finding.check, finding.subject, finding.detail
        ))?;
    }
    let seen = format!(
        "{} rows and lines, {} files, {}",
        examined.rows,
        examined.files,
        ByteSize::bytes(examined.bytes)
    );
    if examined.findings.is_empty() {
        return output::line(format!("nothing is wrong: {seen}"));
    }
    let mut names: Vec<_> = examined
        .findings
        .iter()
        .filter(|finding| finding.is_repairable())
        .map(|finding| finding.check.name())
        .collect();
    names.sort_unstable();
    names.dedup();
    let more = if examined.is_cut { " and more" } else { "" };
    output::line(format!(
        "{} findings{more}: {seen}",
        examined.findings.len()
    ))?;
    if !names.is_empty() {
        output::note(&format!(
            "--repair {} puts right what can be",
            names.join(",")
        ));
    }
    Ok(())
}
