//! `belljar doctor`: whether this machine has what a project is built with, and whether the SDK in
//! the project is that of this program.

mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use belljar_bundle::pack::project_base;
use clap::{Args, ValueEnum as _};
use serde_json::json;

use self::tools::{Finding, Found};
use super::project::{self, Language, SdkState};
use super::{Failure, output};

#[derive(Args, Debug)]
#[command(after_help = "Exit code: 0 when all is there, 1 when something is missing.")]
pub(super) struct DoctorArgs {
    /// Project folder, whose language is looked at (default: this folder)
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Language to look at (default: the project's, or all)
    #[arg(long, value_name = "LANGUAGE")]
    lang: Option<Language>,
    /// Write the SDK of this program and the contract into the project
    #[arg(long)]
    fix: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Looks at tools and at the project, and tells what mends each thing.
pub(super) fn doctor(args: &DoctorArgs) -> Result<ExitCode, Failure> {
    if !args.folder.is_dir() {
        let told = anyhow!("{} is no folder", args.folder.display());
        return Err(Failure::usage(told));
    }
    let of_folder = Language::of_folder(&args.folder);
    let languages = match args.lang.or(of_folder) {
        Some(language) => vec![language],
        None => Language::value_variants().to_vec(),
    };
    let project = args.folder.join("model.toml").is_file();
    // What is wrong with a manifest that cannot be read, packing says.
    let on_base = args.lang.is_none() && matches!(project_base(&args.folder), Ok(Some(_)));
    let sdk = match of_folder {
        Some(language) if project && languages == [language] => {
            sdk(&args.folder, language, args.fix)?
        }
        _ if args.fix => {
            return Err(Failure::usage(anyhow!(
                "{} is no project: --fix writes into a folder with a model.toml",
                args.folder.display()
            )));
        }
        _ => Vec::new(),
    };
    let findings: Vec<Finding> = languages
        .iter()
        .flat_map(|&language| match on_base {
            true => vec![no_tools(language)],
            false => tools::of(language, &args.folder),
        })
        .chain(sdk)
        .collect();
    let whole = findings.iter().all(Finding::is_good);
    if args.json {
        let rows: Vec<_> = findings
            .iter()
            .map(|finding| {
                json!({
                    "language": finding.language.name(),
                    "tool": finding.tool,
                    "state": finding.found.state(),
                    "version": finding.found.version(),
                    "wanted": finding.wanted,
                    "mend": (!finding.is_good()).then_some(finding.mend.as_str()),
                })
            })
            .collect();
        output::json(&json!({"whole": whole, "findings": rows}))?;
    } else {
        let mut last = None;
        for finding in &findings {
            if last.replace(finding.language) != Some(finding.language) {
                output::line(finding.language.name())?;
            }
            output::line(format!("  {finding}"))?;
        }
    }
    Ok(ExitCode::from(u8::from(!whole)))
}

/// What a project is told that is built on the base of a server.
fn no_tools(language: Language) -> Finding {
    Finding {
        language,
        tool: "tools",
        wanted: "none".to_owned(),
        found: Found::Good("none are needed: the server has its base".to_owned()),
        mend: String::new(),
    }
}

/// Compares the SDK in a project with that of this program, and writes the latter where it is
/// asked for.
fn sdk(folder: &Path, language: Language, fix: bool) -> Result<Vec<Finding>> {
    let files = project::sdk(language);
    let version = env!("CARGO_PKG_VERSION");
    let finding = |found, mend: String| Finding {
        language,
        tool: "SDK in sdk/ and wit/",
        wanted: version.to_owned(),
        found,
        mend,
    };
    if fix {
        project::write(folder, &files)?;
    }
    let mut missing = 0_usize;
    let mut differing = Vec::new();
    for file in &files {
        match project::state(folder, file)? {
            SdkState::Same => {}
            SdkState::Missing => missing += 1,
            SdkState::Differs => differing.push(file.path.as_str()),
        }
    }
    // A project that was not made by `belljar new` has its SDK somewhere else, or none.
    if missing == files.len() {
        return Ok(Vec::new());
    }
    if missing == 0 && differing.is_empty() {
        return Ok(vec![finding(
            Found::Good(version.to_owned()),
            String::new(),
        )]);
    }
    let mut told = Vec::new();
    if missing > 0 {
        told.push(format!("{missing} files are missing"));
    }
    if let Some(first) = differing.first() {
        told.push(format!("{} differ, such as {first}", differing.len()));
    }
    let mend = format!("belljar doctor --fix {}", folder.display());
    Ok(vec![finding(Found::Wrong(told.join(", ")), mend)])
}
