//! `belljar new`: a project of a model that builds, from a template.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use belljar_bundle::{BaseName, ModelName};
use clap::Args;

use super::project::{self, Form, Kind, Language};
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
    /// Build it on a base that the server has: Python or JavaScript alone, without a toolchain
    #[arg(long, value_name = "BASE", conflicts_with = "base")]
    on: Option<BaseName>,
    /// Write the project of a base, on which others build their models
    #[arg(long)]
    base: bool,
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
    let form = match (&args.on, args.base) {
        (Some(base), _) => Form::OnBase(base.clone()),
        (None, true) => Form::Base,
        (None, false) => Form::Built,
    };
    let language = args.lang;
    if form != Form::Built && !language.has_bases() {
        return Err(Failure::usage(anyhow!(
            "there are bases of python and js alone: what is written in {} is compiled",
            language.name()
        )));
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    project::write(
        &folder,
        &project::template(language, args.kind, &form, &args.name),
    )?;
    project::write(&folder, &project::sdk(language))?;
    let shown = folder.display();
    let written = format!(
        "{} is written into {shown}/; README.md says what is there\n",
        args.name
    );
    let next = match form {
        Form::Built | Form::Base => {
            let [build, test, pack] = language.commands();
            let test = match form {
                Form::Base => String::new(),
                _ => format!("  test   {test}\n"),
            };
            format!("  tools  belljar doctor {shown}\n  build  {build}\n{test}  pack   {pack}\n")
        }
        Form::OnBase(_) => format!("  test   {}\n", language.plain_test()),
    };
    let last = match form {
        Form::Built | Form::OnBase(_) => format!("  dev    belljar dev {shown}"),
        Form::Base => format!("  push   belljar push {shown}"),
    };
    Ok(output::line(format!("{written}{next}{last}"))?)
}
