//! `belljar completion` and `belljar man`: what a shell completes, and the pages of the manual, both
//! made from the definition of the command line.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Failure, definition, output};

#[derive(Args, Debug)]
pub(super) struct CompletionArgs {
    /// Shell to write for
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

#[derive(Args, Debug)]
pub(super) struct ManArgs {
    /// Write a page for each command into this folder instead
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn completion(args: &CompletionArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut completed(), NAME, &mut script);
    output::text(&String::from_utf8(script)?)?;
    Ok(())
}

pub(super) fn man(args: &ManArgs) -> Result<(), Failure> {
    match &args.out {
        Some(folder) => pages(folder)?,
        None => {
            let mut page = Vec::new();
            Man::new(definition()).render(&mut page)?;
            output::text(&String::from_utf8(page)?)?;
        }
    }
    Ok(())
}

/// A page for each command.
fn pages(folder: &Path) -> Result<()> {
    let written =
        fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(definition(), folder));
    written.with_context(|| format!("cannot write pages to {}", folder.display()))
}

/// The command line as far as it is completed: without what only the server itself starts.
fn completed() -> Command {
    let whole = definition();
    let shown = whole
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    Command::new(NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .args(whole.get_arguments().cloned())
        .subcommands(shown.cloned())
}

/// The name of the program, as it is typed.
const NAME: &str = "belljar";
