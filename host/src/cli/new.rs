//! `belljar new`: a project of a model that builds, from a template.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use belljar_bundle::ModelName;
use clap::Args;

use super::project::{self, Kind, Language};
use super::{Failure, output};

#[derive(Args, Debug)]
pub(super) struct NewArgs {
    /// The model's name, and the folder's
    #[arg(value_name = "NAME")]
    name: ModelName,
    /// Language to write it in
    #[arg(long, value_name = "LANGUAGE")]
    lang: Language,
    /// What the model does
    #[arg(long, value_name = "KIND", default_value = "tensors")]
    kind: Kind,
    /// Folder to make (default: the name)
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Writes a project into a folder of its own.
pub(super) fn new(args: &NewArgs) -> Result<(), Failure> {
    let folder = args
        .dir
        .clone()
        .unwrap_or_else(|| PathBuf::from(args.name.as_str()));
    let in_use = match fs::read_dir(&folder) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => fs::symlink_metadata(&folder).is_ok(),
    };
    if in_use {
        return Err(Failure::usage(anyhow!(
            "{} is there already and stays as it is: choose another folder with --dir",
            folder.display()
        )));
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    project::write(
        &folder,
        &project::template(args.lang, args.kind, &args.name),
    )?;
    project::write(&folder, &project::sdk(args.lang))?;
    let [build, test, pack] = args.lang.commands();
    Ok(output::line(format!(
        "{} is written into {}/; README.md says what is there\n  tools  belljar doctor {}\n  \
         build  {build}\n  test   {test}\n  pack   {pack}\n  dev    belljar dev {}",
        args.name,
        folder.display(),
        folder.display(),
        folder.display(),
    ))?)
}
